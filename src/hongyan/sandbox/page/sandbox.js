// The page of the sandbox: what has arrived, as each platform would show it. No build, no library.

import {el} from "/sandbox/page/el.js";
import {NAMES, WORDS} from "/sandbox/page/words.js";

const KEPT = 500; // as the server keeps
const $ = (id) => document.getElementById(id);

// ---------------------------------------------------------------- what is kept in the browser

const stored = {
  get(key) { try { return localStorage.getItem(`sandbox-${key}`) ?? ""; } catch { return ""; } },
  set(key, value) { try { localStorage.setItem(`sandbox-${key}`, value); } catch { /* private window */ } },
};

let language = stored.get("language") || (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
let t = WORDS[language];
const nameOf = (platform) => NAMES[language][platform] ?? platform;

// ---------------------------------------------------------------- the server

async function ask(path, body, method = body === undefined ? "GET" : "POST") {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : {"Content-Type": "application/json"},
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!answer.ok) throw new Error((await answer.text()) || answer.statusText);
  return answer.json();
}

let world = {origin: location.origin, faults: [], platforms: {}, looks: []};
const looks = new Map(); // platform → its module
const messages = new Map(); // id → what is shown
const columns = new Map(); // platform → its elements

// ---------------------------------------------------------------- toasts

function toast(text, bad = false) {
  const made = el("p", {class: bad ? "toast bad" : "toast"}, text.length > 400 ? `${text.slice(0, 400)}…` : text);
  $("toasts").append(made);
  setTimeout(() => made.remove(), bad ? 9000 : 5000);
}

async function tried(work) {
  try { await work(); } catch (error) { toast(t.failed(error.message), true); }
}

// ---------------------------------------------------------------- columns

function build() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = t.title;
  for (const each of document.querySelectorAll("[data-t]")) each.textContent = t[each.dataset.t];
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", t[each.dataset.label]);
  $("language").textContent = t.language;
  $("language").lang = language === "zh" ? "en" : "zh-CN";
  showLive($("live").dataset.state);
  columns.clear();
  const platforms = Object.keys(world.platforms);
  $("columns").replaceChildren(...platforms.map(column));
  if (!platforms.length) $("columns").append(el("p", {class: "empty"}, t.noPlatforms));
  $("tabs").replaceChildren(...platforms.map(tab));
  $("tabs").setAttribute("aria-label", t.platform);
  select(platforms.includes(stored.get("tab")) ? stored.get("tab") : platforms[0]);
  $("fault-platform").replaceChildren(...platforms.map((each) => el("option", {value: each}, nameOf(each))));
  $("fault-what").replaceChildren(...world.faults.map((each) => el("option", {value: each}, t.whats[each] ?? each)));
  for (const shown of messages.values()) place(shown);
  for (const each of columns.values()) each.list.scrollTop = each.list.scrollHeight;
  tried(showFaults);
}

function column(platform) {
  const list = el("div", {class: "messages", role: "log", tabindex: "0", "aria-label": nameOf(platform)});
  const empty = el("p", {class: "empty"}, el("b", {}, t.empty), el("br"), t.emptyHelp);
  list.append(empty);
  const count = el("span", {class: "count"}, "0");
  const parts = {list, empty, count, tabCount: null, unseen: 0, ...composer(platform)};
  columns.set(platform, parts);
  const made = el("section", {
    class: `column of-${platform}`, id: `column-${platform}`, role: "tabpanel", "aria-labelledby": `name-${platform}`,
  },
  el("header", {}, el("h2", {id: `name-${platform}`}, nameOf(platform)), count, el("span", {class: "space"}),
    el("button", {type: "button", onclick: () => showAccounts(platform)}, t.accounts)),
  list, parts.form);
  made.addEventListener("sandbox-act", (event) => {
    const {on, action, value, inputs} = event.detail;
    tell(platform, {kind: "action", on, action, value: value ?? "", inputs: inputs ?? {}});
  });
  return made;
}

function tab(platform) {
  const count = el("span", {class: "count", hidden: true});
  columns.get(platform).tabCount = count;
  return el("button", {
    type: "button", role: "tab", id: `tab-${platform}`, class: `of-${platform}`,
    "aria-controls": `column-${platform}`, onclick: () => select(platform), onkeydown: alongTabs,
  }, nameOf(platform), " ", count);
}

function alongTabs(event) {
  const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
  if (!step) return;
  const all = [...columns.keys()];
  const at = all.indexOf(event.currentTarget.id.slice(4));
  const next = all[(at + step + all.length) % all.length];
  select(next);
  $(`tab-${next}`).focus();
}

/** On a small screen one platform is seen at a time. */
function select(platform) {
  if (!platform) return;
  stored.set("tab", platform);
  for (const [name, parts] of columns) {
    const here = name === platform;
    $(`tab-${name}`).setAttribute("aria-selected", String(here));
    $(`tab-${name}`).tabIndex = here ? 0 : -1;
    $(`column-${name}`).classList.toggle("selected", here);
    if (here) {
      parts.unseen = 0;
      parts.tabCount.hidden = true;
      parts.list.scrollTop = parts.list.scrollHeight;
    }
  }
}

// ---------------------------------------------------------------- messages

function place(shown) {
  const parts = columns.get(shown.platform);
  if (!parts) return;
  const made = card(shown);
  const before = document.getElementById(`message-${shown.id}`);
  const atEnd = parts.list.scrollHeight - parts.list.scrollTop - parts.list.clientHeight < 80;
  if (before) {
    if (before.querySelector("details")?.open) made.querySelector("details").open = true;
    before.replaceWith(made);
  } else {
    parts.list.append(made);
    if (!$(`column-${shown.platform}`).classList.contains("selected")) {
      parts.unseen += 1;
      parts.tabCount.textContent = String(parts.unseen);
      parts.tabCount.hidden = false;
    }
  }
  recount(parts);
  if (atEnd) {
    parts.list.scrollTop = parts.list.scrollHeight;
    // pictures come later
    for (const each of made.querySelectorAll("img")) each.addEventListener("load", () => { parts.list.scrollTop = parts.list.scrollHeight; });
  }
}

function recount(parts) {
  const count = parts.list.querySelectorAll(".message").length;
  parts.count.textContent = String(count);
  parts.empty.hidden = count > 0;
}

function card(shown) {
  const at = new Date(shown.at);
  const state = t.state[shown.state];
  return el("article", {class: `message is-${shown.state}`, id: `message-${shown.id}`},
    el("header", {},
      el("b", {title: t[shown.address]}, shown.account), ` → ${shown.to.map((id) => nameFor(shown.platform, id)).join(", ")} `,
      el("time", {datetime: at.toISOString(), title: at.toLocaleString(document.documentElement.lang)},
        at.toLocaleTimeString(document.documentElement.lang, {hour: "2-digit", minute: "2-digit"}))),
    el("div", {class: "look"}, look(shown)),
    el("footer", {},
      state ? el("span", {class: `chip ${shown.state}`}, state) : null,
      shown.read_by.length ? el("span", {class: "chip read"}, t.readBy(shown.read_by.map((id) => nameFor(shown.platform, id)).join(", "))) : null,
      shown.thread ? el("span", {class: "chip", title: shown.thread}, t.inThread(shown.thread)) : null,
      el("details", {}, el("summary", {}, el("span", {}, t.raw), el("code", {}, shown.kind)), raw(shown)),
      shown.address === "app" && shown.state !== "recalled"
        ? el("span", {class: "does"},
          el("button", {type: "button", onclick: () => tell(shown.platform, {kind: "read", on: shown.id})}, t.read),
          el("button", {type: "button", onclick: () => tell(shown.platform, {kind: "recalled", on: shown.id})}, t.recall))
        : null));
}

function look(shown) {
  const module = looks.get(shown.platform);
  if (module) {
    try { return module.render(shown, world.platforms[shown.platform]); } catch (error) { console.error(error); }
  }
  return el("div", {class: "plain"}, el("b", {}, shown.kind), el("pre", {}, JSON.stringify(shown.payload, null, 2)));
}

function raw(shown) {
  const text = JSON.stringify(shown.payload, null, 2);
  const rest = Object.keys(shown.extra).length ? JSON.stringify(shown.extra, null, 2) : "";
  return el("div", {class: "raw"}, copyButton(text, t.raw), el("pre", {tabindex: "0"}, text), rest ? el("pre", {tabindex: "0"}, rest) : null);
}

function trim() {
  while (messages.size > KEPT) {
    const [id, shown] = messages.entries().next().value;
    messages.delete(id);
    document.getElementById(`message-${id}`)?.remove();
    const parts = columns.get(shown.platform);
    if (parts) recount(parts);
  }
}

function empty() {
  messages.clear();
  for (const parts of columns.values()) {
    for (const each of parts.list.querySelectorAll(".message")) each.remove();
    parts.unseen = 0;
    parts.tabCount.hidden = true;
    recount(parts);
  }
}

// ---------------------------------------------------------------- what people there do

/** The entries of a world that are people, or groups: lists of what has an id. */
function entries(platform, names) {
  const here = world.platforms[platform] ?? {};
  for (const name of names) if (Array.isArray(here[name])) return here[name].map((each) => typeof each === "string" ? {id: each} : each);
  return [];
}
const people = (platform) => entries(platform, ["people", "users", "members"]);
const groups = (platform) => entries(platform, ["groups", "chats", "channels"]);
const label = (each) => each.name ?? each.title ?? each.id;
const nameFor = (platform, id) => label([...people(platform), ...groups(platform)].find((each) => each.id === id) ?? {id});

function composer(platform) {
  const user = el("select", {"aria-label": t.user}, ...people(platform).map((each) => el("option", {value: each.id}, label(each))));
  const chat = el("select", {"aria-label": t.chat}, el("option", {value: ""}, t.direct),
    ...groups(platform).map((each) => el("option", {value: each.id}, label(each))));
  const text = el("input", {"aria-label": t.message, placeholder: t.say, autocomplete: "off"});
  const address = el("input", {
    type: "url", value: stored.get(`url-${platform}`), placeholder: "http://127.0.0.1:8000/…", spellcheck: "false",
    oninput: (event) => stored.set(`url-${platform}`, event.target.value.trim()),
  });
  const where = el("details", {class: "where"}, el("summary", {}, t.address), address);
  const form = el("form", {class: "composer", onsubmit: async (event) => {
    event.preventDefault();
    if (!text.value.trim()) return;
    if (await tell(platform, {kind: "text", text: text.value, chat: chat.value})) text.value = "";
  }},
  el("div", {class: "row"}, el("label", {}, t.as, " ", user), el("label", {}, t.in, " ", chat)),
  el("div", {class: "row"}, text, el("button", {class: "primary"}, t.send)),
  where);
  return {form, user, chat, text, address, where};
}

async function tell(platform, inbound) {
  const parts = columns.get(platform);
  const url = parts.address.value.trim();
  const addressMissing = () => {
    parts.where.open = true;
    parts.address.focus();
    toast(t.addressMissing, true);
    return false;
  };
  // connections that the app has opened, and what people do only there, need no address
  if (!url && inbound.kind !== "read" && platform === "wecom") return addressMissing();
  try {
    const told = await ask(`/sandbox/inbound/${platform}`, {url, inbound: {user: parts.user.value, ...inbound}});
    if (told.unheard) return addressMissing();
    toast(t.told(told.status, told.body), told.status >= 300);
    return told.status < 300;
  } catch (error) {
    toast(t.failed(error.message), true);
    return false;
  }
}

// ---------------------------------------------------------------- accounts

function copyButton(text, what) {
  const made = el("button", {type: "button", class: "copy", "aria-label": t.copyOf(what), onclick: async () => {
    await copy(text);
    made.textContent = t.copied;
    setTimeout(() => { made.textContent = t.copy; }, 1500);
  }}, t.copy);
  return made;
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // without TLS, at an address other than the loopback, there is only the old way
  const area = el("textarea", {class: "offscreen"});
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

function showAccounts(platform) {
  $("accounts-title").textContent = t.accountsOf(nameOf(platform));
  $("accounts-body").replaceChildren(
    values({[t.base]: world.origin}),
    ...Object.entries(world.platforms[platform]).flatMap(([name, value]) => [el("h3", {}, name.replaceAll("_", " ")), ...entry(value)]));
  $("accounts").showModal();
}

function entry(value) {
  if (Array.isArray(value)) return value.map((each) => each !== null && typeof each === "object" ? values(each) : values({"": each}));
  if (value !== null && typeof value === "object") return [values(value)];
  return [values({"": value})];
}

function values(object) {
  return el("dl", {}, ...Object.entries(object).filter(([, value]) => value !== "" && value !== null && !(Array.isArray(value) && !value.length)).map(([name, value]) => {
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    return el("div", {}, el("dt", {}, name), el("dd", {}, el("code", {}, text)), copyButton(text, name));
  }));
}

// ---------------------------------------------------------------- faults

async function showFaults() {
  const faults = await ask("/sandbox/faults");
  $("faults-count").textContent = String(faults.length);
  $("faults-count").hidden = !faults.length;
  $("faults-clear").hidden = !faults.length;
  $("faults-list").replaceChildren(...(faults.length ? faults.map((each) => el("li", {},
    el("b", {}, nameOf(each.platform)), ` ${t.whats[each.what] ?? each.what} `, each.path ? el("code", {}, each.path) : null,
    " ", el("span", {class: "chip"}, t.left(each.times)))) : [el("li", {class: "none"}, t.noFaults)]));
}

// ---------------------------------------------------------------- news

function showLive(state) {
  $("live").dataset.state = state;
  $("live-text").textContent = t[state];
}

function take(shown) {
  if (shown === null) return empty();
  messages.set(shown.id, shown);
  place(shown);
  trim();
}

function listen() {
  const source = new EventSource("/sandbox/changes");
  let early = null; // what comes while everything is being read
  source.onopen = async () => {
    early = [];
    try {
      const all = await ask("/sandbox/messages");
      empty();
      for (const shown of all) take(shown);
      for (const shown of early) take(shown);
      for (const parts of columns.values()) parts.list.scrollTop = parts.list.scrollHeight;
      showLive("live");
    } catch (error) {
      toast(t.failed(error.message), true);
    }
    early = null;
  };
  source.onmessage = (event) => {
    const shown = JSON.parse(event.data);
    if (early) early.push(shown);
    else take(shown);
    if (!$("faults-count").hidden) tried(showFaults);
  };
  source.onerror = () => {
    showLive("lost");
    // browsers give up for good after some answers
    if (source.readyState === EventSource.CLOSED) { source.close(); setTimeout(listen, 2000); }
  };
}

async function start() {
  for (let waited = 0; ; waited += 1) {
    try { world = await ask("/sandbox/world"); break; } catch { showLive("lost"); await new Promise((done) => setTimeout(done, 2000)); }
  }
  await Promise.all(world.looks.map(async (platform) => {
    document.head.append(el("link", {rel: "stylesheet", href: `/sandbox/page/${platform}.css`}));
    try { looks.set(platform, await import(`/sandbox/page/${platform}.js`)); } catch (error) { console.error(error); }
  }));
  build();
  listen();
}

$("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  t = WORDS[language];
  stored.set("language", language);
  build();
});
$("clear").addEventListener("click", () => tried(() => ask("/sandbox/clear", {})));
$("faults-open").addEventListener("click", () => tried(async () => { await showFaults(); $("faults").showModal(); }));
$("faults-clear").addEventListener("click", () => tried(async () => { await ask("/sandbox/faults", undefined, "DELETE"); await showFaults(); }));
$("faults-form").addEventListener("submit", (event) => {
  event.preventDefault();
  tried(async () => {
    await ask("/sandbox/faults", {
      platform: $("fault-platform").value, what: $("fault-what").value,
      times: Number($("fault-times").value), path: $("fault-path").value.trim(),
    });
    await showFaults();
  });
});
for (const each of document.querySelectorAll("dialog")) {
  each.querySelector(".close").addEventListener("click", () => each.close());
  each.addEventListener("click", (event) => { if (event.target === each) each.close(); }); // beside it
}
start();
