// How DingTalk's client shows a message. Everything in a payload is text: nodes are made, no HTML is read.

import {el} from "/sandbox/page/el.js";

export function render(shown, world) {
  const here = {shown, people: world?.people ?? []};
  if (shown.state === "recalled") return el("div", {class: "dt-line"}, `${shown.account}撤回了一条消息`);
  if (shown.extra.work) return workNotification(here);
  const root = el("div", {class: "dt-message"}, avatar(shown.account), el("div", {class: "dt-side"},
    el("div", {class: "dt-sender"}, shown.account, el("span", {class: "dt-tag"}, "机器人")), content(here)));
  // an interactive card has its mentions beside it, not in its text
  const told = shown.kind === "card" ? [...(shown.extra.mentions ?? []), ...(shown.extra.everyone ? ["所有人"] : [])] : [];
  if (told.length) root.querySelector(".dt-side").append(el("div", {class: "dt-told"}, told.map((each) => `@${each}`).join(" ")));
  return root;
}

const avatar = (name) => el("div", {class: "dt-avatar", "aria-hidden": "true"}, robotIcon(), el("span", {class: "dt-out"}, name));

/** A drawing of lines, each a path. */
function icon(...paths) {
  const made = (name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const root = made("svg", {viewBox: "0 0 24 24", width: "22", height: "22", fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round", "aria-hidden": "true"});
  root.append(...paths.map((d) => made("path", {d})));
  return root;
}
const robotIcon = () => icon("M8 8h8a3.5 3.5 0 0 1 3.5 3.5v3.5a3.5 3.5 0 0 1-3.5 3.5H8A3.5 3.5 0 0 1 4.5 15v-3.5A3.5 3.5 0 0 1 8 8z", "M12 8V4.5", "M9.2 12.6v1.2M14.8 12.6v1.2");
const linkIcon = () => icon("M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1", "M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1");
const waveIcon = () => icon("M6 11.5v1", "M10 9.5a4 4 0 0 1 0 5", "M13.5 7a7.5 7.5 0 0 1 0 10");

function content(here) {
  const {shown} = here;
  const {payload} = shown;
  if (shown.kind === "card") return interactive(here);
  if (payload.msgKey) return sample(here, payload.msgKey, payload.msgParam);
  const body = payload[shown.kind] ?? {};
  switch (shown.kind) {
    case "text": return bubble(named(here, body.content));
    case "markdown": return bubble(markdown(here, body.text), "dt-rich");
    case "link": return linkCard(body.title, body.text, body.messageUrl, body.picUrl);
    case "feedCard": return feed(body.links ?? []);
    case "actionCard": return actionCard(here, body.text, body.singleURL
      ? [[body.singleTitle, body.singleURL]]
      : (body.btns ?? []).map((each) => [each.title, each.actionURL]), body.btnOrientation === "1");
    default: return unknown(payload);
  }
}

function sample(here, key, param) {
  const row = (text, url) => [param[text], param[url]];
  switch (key) {
    case "sampleText": return bubble(named(here, param.content));
    case "sampleMarkdown": return bubble(markdown(here, param.text), "dt-rich");
    case "sampleImageMsg": return el("div", {class: "dt-photo"}, image(param.photoURL, "图片"));
    case "sampleLink": return linkCard(param.title, param.text, param.messageUrl, param.picUrl);
    case "sampleAudio": return voice(Number(param.duration) / 1000);
    case "sampleFile": return fileCard(param.fileName, param.fileType, param.mediaId);
    case "sampleVideo": return video(param);
    case "sampleActionCard": return actionCard(here, param.text, [row("singleTitle", "singleURL")]);
    case "sampleActionCard6": return actionCard(here, param.text, [1, 2].map((n) => row(`buttonTitle${n}`, `buttonUrl${n}`)), true);
    default: {
      const count = Number(key.replace("sampleActionCard", ""));
      if (!count) return unknown(param);
      return actionCard(here, param.text, Array.from({length: count}, (_, n) => row(`actionTitle${n + 1}`, `actionURL${n + 1}`)));
    }
  }
}

const bubble = (inner, more = "") => el("div", {class: `dt-bubble ${more}`}, inner);
const unknown = (value) => bubble(el("code", {}, JSON.stringify(value)));

// ---------------------------------------------------------------- work notifications

const HEAD = "#3296fa";

function workNotification(here) {
  const {shown} = here;
  const body = shown.payload[shown.kind] ?? {};
  return el("div", {class: "dt-work"},
    el("div", {class: "dt-work-app"}, el("span", {class: "dt-app-icon", "aria-hidden": "true"}, "鸿"), shown.account),
    workContent(here, body));
}

function workContent(here, body) {
  switch (here.shown.kind) {
    case "text": return el("div", {class: "dt-pad dt-pre"}, body.content);
    case "markdown": return el("div", {class: "dt-pad dt-rich"}, markdown(here, body.text));
    case "image": return el("div", {class: "dt-photo"}, image(body.media_id, "图片"));
    case "voice": return el("div", {class: "dt-pad"}, voice(Number(body.duration)));
    case "file": return fileCard("文件", "", body.media_id);
    case "link": return linkCard(body.title, body.text, body.messageUrl, body.picUrl);
    case "oa": return oa(body);
    case "action_card": return actionCard(here, body.markdown, body.single_url
      ? [[body.single_title, body.single_url]]
      : (body.btn_json_list ?? []).map((each) => [each.title, each.action_url]), body.btn_orientation === "1");
    default: return unknown(here.shown.payload);
  }
}

function oa(body) {
  const inner = body.body ?? {};
  const status = body.status_bar;
  const root = el("a", {class: "dt-oa", ...opens(body.message_url)},
    el("div", {class: "dt-oa-head"}, body.head?.text),
    el("div", {class: "dt-pad"},
      inner.title ? el("div", {class: "dt-oa-title"}, inner.title) : null,
      ...(inner.form ?? []).map((each) => el("div", {class: "dt-oa-row"}, el("span", {}, each.key), el("span", {}, each.value))),
      inner.rich ? el("div", {class: "dt-oa-rich"}, el("b", {}, inner.rich.num), inner.rich.unit) : null,
      inner.content ? el("div", {class: "dt-oa-text"}, inner.content) : null,
      inner.image ? image(inner.image, "") : null,
      inner.file_count ? el("div", {class: "dt-soft"}, `${inner.file_count} 个附件`) : null,
      inner.author ? el("div", {class: "dt-oa-author"}, inner.author) : null,
      status ? el("div", {class: "dt-status"}, status.status_value) : null),
    el("div", {class: "dt-more"}, "查看详情", el("span", {"aria-hidden": "true"}, "›")));
  root.querySelector(".dt-oa-head").style.backgroundColor = colour(body.head?.bgcolor) ?? HEAD;
  if (status) root.querySelector(".dt-status").style.setProperty("--dt-status", colour(status.status_bg) ?? HEAD);
  return root;
}

/** ARGB or RGB, as DingTalk writes it. */
function colour(text) {
  const found = /^(?:0x|#)?(?:[0-9a-f]{2})?([0-9a-f]{6})$/i.exec(text ?? "");
  return found ? `#${found[1]}` : null;
}

// ---------------------------------------------------------------- cards

function actionCard(here, text, buttons, across = false) {
  return el("div", {class: "dt-card"}, el("div", {class: "dt-pad dt-rich"}, markdown(here, text)),
    el("div", {class: `dt-buttons ${across ? "dt-across" : ""}`}, ...buttons.map(([title, url]) => el("a", {class: "dt-button", ...opens(url)}, title))));
}

/** A card whose template is ours (`title`, `markdown`, `buttons`), or as good as that goes of anybody's. */
function interactive(here) {
  const params = here.shown.payload.cardParamMap;
  const listed = list(params.buttons) ?? list(json(params.sys_full_json_obj)?.msgButtons) ?? [];
  const text = params.markdown ?? params.content ?? Object.entries(params).map(([key, value]) => `${key}: ${value}`).join("  \n");
  return el("div", {class: "dt-card dt-interactive", "data-level": params.level ?? "info"},
    el("div", {class: "dt-pad dt-rich"}, markdown(here, text)),
    listed.length ? el("div", {class: "dt-presses"}, ...listed.map((each) => press(here, each))) : null);
}

function press(here, button) {
  const style = {primary: "dt-primary", danger: "dt-danger"}[button.style ?? ""] ?? "";
  if (button.url) return el("a", {class: `dt-press ${style}`, ...opens(button.url)}, button.text);
  return el("button", {type: "button", class: `dt-press ${style}`, onclick: (event) => {
    if (button.confirm && !window.confirm(button.confirm)) return;
    event.currentTarget.dispatchEvent(new CustomEvent("sandbox-act", {
      bubbles: true, detail: {on: here.shown.id, action: button.id ?? "", value: button.value ?? "", inputs: {}},
    }));
  }}, button.text);
}

function json(text) {
  try { return JSON.parse(text); } catch { return null; }
}
function list(value) {
  const found = typeof value === "string" ? json(value) : value;
  return Array.isArray(found) && found.every((each) => each && typeof each === "object") ? found : null;
}

function linkCard(title, text, url, picture) {
  return el("a", {class: "dt-card dt-link", ...opens(url)}, el("div", {class: "dt-link-title"}, title),
    el("div", {class: "dt-link-row"}, el("div", {class: "dt-link-text"}, text), picture ? image(picture, "") : el("span", {class: "dt-link-icon"}, linkIcon())));
}

function feed(links) {
  const [first, ...rest] = links;
  if (!first) return unknown(links);
  return el("div", {class: "dt-card dt-feed"},
    el("a", {class: "dt-feed-first", ...opens(first.messageURL)}, image(first.picURL, ""), el("span", {}, first.title)),
    ...rest.map((each) => el("a", {class: "dt-feed-next", ...opens(each.messageURL)}, el("span", {}, each.title), image(each.picURL, ""))));
}

function voice(seconds) {
  const root = el("div", {class: "dt-bubble dt-voice"}, waveIcon(), `${Math.max(1, Math.round(seconds || 1))}″`);
  root.style.minWidth = `${Math.min(220, 70 + 4 * (seconds || 1))}px`;
  return root;
}

const KINDS = {pdf: "dt-red", doc: "dt-blue", docx: "dt-blue", xls: "dt-green", xlsx: "dt-green", csv: "dt-green", ppt: "dt-orange", pptx: "dt-orange", zip: "dt-grey", txt: "dt-grey"};

function fileCard(name, kind, mediaId) {
  return el("a", {class: "dt-card dt-file", ...opens(source(mediaId))},
    el("span", {class: `dt-file-icon ${KINDS[(kind ?? "").toLowerCase()] ?? "dt-grey"}`, "aria-hidden": "true"}, (kind || "?").slice(0, 4).toUpperCase()),
    el("span", {class: "dt-file-name"}, name));
}

function video(param) {
  const seconds = Number(param.duration) || 0;
  return el("a", {class: "dt-video", ...opens(source(param.videoMediaId))}, image(param.picMediaId, "视频"),
    el("span", {class: "dt-play", "aria-hidden": "true"}, "▶"),
    el("span", {class: "dt-length"}, `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`));
}

// ---------------------------------------------------------------- addresses and pictures

/** Where a picture or file is: an uploaded one is in the sandbox. */
function source(address) {
  const text = String(address ?? "");
  if (text.startsWith("@")) return `/sandbox/media/${encodeURIComponent(text)}`;
  return safe(text);
}

/** http and https alone; DingTalk's own addresses lead to the one they carry. */
function safe(address) {
  try {
    const url = new URL(address);
    if (url.protocol === "dingtalk:") return safe(url.searchParams.get("url") ?? "");
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch { return null; }
}

function opens(address) {
  const href = address?.startsWith("/sandbox/media/") ? address : safe(address);
  return href ? {href, target: "_blank", rel: "noopener noreferrer"} : {};
}

function image(address, text) {
  const src = source(address);
  const missing = () => el("span", {class: "dt-missing", role: "img"}, text || "图片");
  if (!src) return missing();
  return el("img", {src, alt: text, loading: "lazy", referrerpolicy: "no-referrer", onerror: (event) => event.currentTarget.replaceWith(missing())});
}

// ---------------------------------------------------------------- texts

/** Text in which those who are told stand by their names. */
function named(here, text) {
  const names = new Map();
  const told = new Set(here.shown.extra.mentions ?? []);
  for (const each of here.people) {
    if (!told.has(each.name)) continue;
    names.set(`@${each.mobile}`, each.name);
    names.set(`@${each.id}`, each.name);
  }
  if (here.shown.extra.everyone) names.set("@所有人", "所有人");
  const root = document.createDocumentFragment();
  let rest = String(text ?? "");
  while (rest) {
    const found = [...names.keys()].map((key) => [rest.indexOf(key), key]).filter(([at]) => at >= 0).sort((a, b) => a[0] - b[0])[0];
    if (!found) break;
    const [at, key] = found;
    root.append(rest.slice(0, at), el("span", {class: "dt-at"}, `@${names.get(key)}`));
    rest = rest.slice(at + key.length);
  }
  root.append(rest);
  return root;
}

/** DingTalk's Markdown: headings, quotes, lists, bold, italic, links, pictures, and coloured text. */
function markdown(here, text) {
  const root = document.createDocumentFragment();
  const lines = String(text ?? "").split("\n");
  let at = 0;
  const take = (pattern) => {
    const taken = [];
    while (at < lines.length && pattern.test(lines[at])) taken.push(lines[at++]);
    return taken;
  };
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (!line.trim()) at += 1;
    else if (heading) {
      root.append(el("div", {class: `dt-h dt-h${heading[1].length}`}, ...inline(here, heading[2])));
      at += 1;
    } else if (/^\s*(-{3,}|\*{3,})\s*$/.test(line)) {
      root.append(el("hr"));
      at += 1;
    } else if (/^>/.test(line)) {
      root.append(el("blockquote", {}, markdown(here, take(/^>/).map((each) => each.replace(/^> ?/, "")).join("\n"))));
    } else if (ITEM.test(line)) root.append(items(here, take(/^(\s+\S|\s*([-*+]|\d+\.)\s)/)));
    else {
      const paragraph = [];
      while (at < lines.length && lines[at].trim() && !/^(#{1,6}\s|>|\s*([-*+]|\d+\.)\s)/.test(lines[at])) paragraph.push(lines[at++]);
      if (!paragraph.length) paragraph.push(lines[at++]);
      root.append(el("p", {}, ...joined(here, paragraph)));
    }
  }
  return root;
}

const ITEM = /^(\s*)([-*+]|\d+\.)\s+(.*)$/;

/** A list, and those within it by how far they stand to the right. */
function items(here, lines) {
  const first = ITEM.exec(lines[0]);
  const root = el(/\d/.test(first[2]) ? "ol" : "ul", /\d/.test(first[2]) ? {start: parseInt(first[2], 10)} : {});
  let item = null;
  let inner = [];
  const close = () => {
    if (item && inner.length) item.append(ITEM.test(inner[0]) ? items(here, inner) : markdown(here, inner.map((each) => each.trimStart()).join("\n")));
    inner = [];
  };
  for (const line of lines) {
    const found = ITEM.exec(line);
    if (found && found[1].length <= first[1].length) {
      close();
      item = el("li", {}, ...inline(here, found[3]));
      root.append(item);
    } else inner.push(line);
  }
  close();
  return root;
}

/** Lines of a paragraph: one ends where two spaces do, else a space follows. */
function joined(here, lines) {
  return lines.flatMap((line, number) => {
    const last = number === lines.length - 1;
    const ends = / {2,}$/.test(line);
    return [...inline(here, line.trim()), ...(last ? [] : [ends ? el("br") : " "])];
  });
}

const SPANS = [
  [/^\\([\\`*_{}[\]()#+\-.!<>~|:=])/, (here, found) => [found[1]]],
  [/^!\[((?:\\.|[^\]\\])*)\]\(([^()\s]*)\)/, (here, found) => [image(found[2], plain(found[1]))]],
  [/^\[((?:\\.|[^\]\\])*)\]\(([^()\s]*)\)/, (here, found) => [el("a", opens(found[2]), ...inline(here, found[1]))]],
  [/^\*\*(?=\S)([\s\S]*?\S)\*\*/, (here, found) => [el("b", {}, ...inline(here, found[1]))]],
  [/^\*(?=[^\s*])((?:\\.|[^*\\])*)\*/, (here, found) => [el("i", {}, ...inline(here, found[1]))]],
  [/^<font color=["']?(#[0-9a-f]{3,8}|[a-z]{3,20})["']?>([\s\S]*?)<\/font>/i, (here, found) => {
    const made = el("span", {}, ...inline(here, found[2]));
    made.style.color = found[1];
    return [made];
  }],
];
const plain = (text) => text.replace(/\\(.)/g, "$1");

function inline(here, text) {
  const made = [];
  let start = 0;
  const flush = (end) => { if (end > start) made.push(named(here, text.slice(start, end))); };
  for (let at = 0; at < text.length;) {
    let hit = null;
    if (/[\\![*<]/.test(text[at])) {
      for (const [pattern, make] of SPANS) {
        const found = pattern.exec(text.slice(at));
        if (found) { hit = [found, make]; break; }
      }
    }
    if (!hit) { at += 1; continue; }
    flush(at);
    made.push(...hit[1](here, hit[0]));
    at += hit[0][0].length;
    start = at;
  }
  flush(text.length);
  return made;
}
