// How WeCom's client shows a message. Everything in a payload is text: nodes are made, no HTML is read.

import {el} from "/sandbox/page/el.js";

const isAddress = (url) => typeof url === "string" && /^https?:\/\//i.test(url);
/** What makes an element a link, if the address is one of the web. */
const opens = (url) => isAddress(url) ? {href: url, target: "_blank", rel: "noopener noreferrer"} : {};
const mediaUrl = (id) => `/sandbox/media/${encodeURIComponent(id)}`;

export function render(shown, world) {
  if (shown.state === "recalled") return el("div", {class: "wc-line"}, `${shown.account}撤回了一条消息`);
  const names = {all: "所有人", ...shown.extra.names};
  const here = {shown, names, world};
  const robot = shown.address === "robot";
  const side = el("div", {class: "wc-side"},
    robot || shown.extra.group ? el("div", {class: "wc-sender"}, shown.account, el("span", {class: "wc-tag"}, robot ? "BOT" : "应用")) : null,
    content(here), dropped(here));
  return el("div", {class: "wc-message"},
    el("div", {class: robot ? "wc-avatar wc-robot" : "wc-avatar", "aria-hidden": "true"}, robot ? robotIcon() : shown.account.slice(0, 1)), side);
}

function robotIcon() {
  const svg = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const root = svg("svg", {viewBox: "0 0 24 24", width: "22", height: "22", fill: "currentColor"});
  root.append(
    svg("path", {d: "M12 4.5c-4.6 0-8 3-8 7.2 0 2.3 1 4.2 2.7 5.5l-.4 2.6 2.9-1.4c.9.3 1.8.4 2.8.4 4.6 0 8-3 8-7.1s-3.4-7.2-8-7.2Z"}),
    svg("path", {d: "M9 10.3v2.4M15 10.3v2.4", stroke: "#2f7cf6", "stroke-width": "1.8", "stroke-linecap": "round"}));
  return root;
}

/** WeCom tells the sender nothing of these; the page does. */
function dropped({shown, names}) {
  const ids = shown.extra.dropped ?? [];
  return ids.length ? el("div", {class: "wc-dropped"}, `超过成员频率，企业微信静默丢弃：${ids.map((id) => names[id] ?? id).join("、")}`) : null;
}

function content(here) {
  const {kind, payload, extra} = here.shown;
  switch (kind) {
    case "text": return bubble(el("div", {class: "wc-pre"}, ...plain(here, payload.content), ...told(here, payload)));
    case "markdown": return bubble(markdown(here, payload.content, false), "wc-rich");
    case "markdown_v2": return bubble(markdown(here, payload.content, true), "wc-rich");
    case "image": return picture(mediaUrl(extra.media ?? payload.media_id), "wc-photo", "图片");
    case "voice": return bubble(el("span", {class: "wc-voice"}, "🔊 ", el("a", opens(location.origin + mediaUrl(payload.media_id)), "语音")));
    case "video": return video(payload);
    case "file": return file(here, payload.media_id);
    case "textcard": return textcard(payload);
    case "news": case "mpnews": return news(payload.articles ?? []);
    case "miniprogram_notice": return miniprogram(payload);
    case "template_card": return template(here, payload);
    default: return bubble(el("code", {}, JSON.stringify(payload)));
  }
}

const bubble = (inner, more = "") => el("div", {class: `wc-bubble ${more}`}, inner);

function picture(url, className, alt) {
  if (!url) return null;
  const made = el("img", {class: className, src: url, alt, loading: "lazy", referrerpolicy: "no-referrer"});
  made.addEventListener("error", () => made.replaceWith(el("span", {class: "wc-broken"}, `🖼 ${alt || "图片"}`)));
  return made;
}

// ---------------------------------------------------------------- text

function told({names}, payload) {
  const ids = [...(payload.mentioned_list ?? []), ...(payload.mentioned_mobile_list ?? [])];
  return ids.length ? [" ", ...ids.flatMap((id) => [mention(names, id.replace(/^@/, "")), " "])] : [];
}

const mention = (names, id) => el("span", {class: "wc-at"}, `@${names[id] ?? id}`);

/** Plain text: addresses open, so do links that an application writes in HTML. */
function plain({names}, text) {
  return tokens(String(text ?? ""), [
    [/<a\s+href="([^"]*)"[^>]*>([^<]*)<\/a>/, (found) => isAddress(found[1]) ? el("a", opens(found[1]), found[2]) : found[2]],
    [/<@([^<>\s]+)>/, (found) => mention(names, found[1])],
    [/https?:\/\/[^\s<>"，。；）]+/, (found) => el("a", opens(found[0]), found[0])],
  ]);
}

/** The text in pieces: what a pattern finds is made a node of, the first in the text first. */
function tokens(text, patterns) {
  const made = [];
  let rest = text;
  while (rest) {
    let best = null;
    for (const [pattern, make] of patterns) {
      const found = pattern.exec(rest);
      if (found && found[0] && (!best || found.index < best.found.index)) best = {found, make};
    }
    if (!best) break;
    if (best.found.index) made.push(rest.slice(0, best.found.index));
    made.push(best.make(best.found));
    rest = rest.slice(best.found.index + best.found[0].length);
  }
  if (rest) made.push(rest);
  return made;
}

// ---------------------------------------------------------------- Markdown, in both dialects

function inline(here, text, second) {
  const inner = (part) => inline(here, part, second);
  const both = [
    [/`([^`\n]+)`/, (found) => el("code", {}, found[1])],
    [/\*\*([^\n]+?)\*\*/, (found) => el("b", {}, ...inner(found[1]))],
    [/\[([^\]\n]*)\]\(([^)\s]+)\)/, (found) => el("a", opens(found[2]), ...inner(found[1]))],
  ];
  return tokens(text, second ? [
    [/!\[([^\]\n]*)\]\(([^)\s]+)\)/, (found) => isAddress(found[2]) ? picture(found[2], "wc-inline", found[1]) : found[1]],
    ...both,
    [/\*([^*\n]+)\*/, (found) => el("i", {}, ...inner(found[1]))],
  ] : [
    ...both,
    [/<font color="(info|comment|warning)">([\s\S]*?)<\/font>/, (found) => el("span", {class: `wc-${found[1]}`}, ...inner(found[2]))],
    [/<@([^<>\s]+)>/, (found) => mention(here.names, found[1])],
  ]);
}

function markdown(here, text, second) {
  const root = el("div");
  const lines = String(text ?? "").split("\n");
  let at = 0;
  const line = () => lines[at];
  while (at < lines.length) {
    const heading = /^(#{1,6})\s+(.*)$/.exec(line());
    if (heading) {
      root.append(el("div", {class: `wc-h wc-h${heading[1].length}`}, ...inline(here, heading[2], second)));
      at += 1;
    } else if (/^\s*>/.test(line())) {
      const quoted = [];
      for (; at < lines.length && /^\s*>/.test(line()); at += 1) quoted.push(line().replace(/^\s*> ?/, ""));
      root.append(el("blockquote", {}, markdown(here, quoted.join("\n"), second)));
    } else if (second && /^```/.test(line())) {
      const code = [];
      for (at += 1; at < lines.length && !/^```/.test(line()); at += 1) code.push(line());
      at += 1;
      root.append(el("pre", {}, el("code", {}, code.join("\n"))));
    } else if (second && /^\s*\|/.test(line()) && /^\s*\|[\s:|-]+$/.test(lines[at + 1] ?? "")) {
      const rows = [];
      for (; at < lines.length && /^\s*\|/.test(line()); at += 1) rows.push(line());
      root.append(table(here, rows));
    } else if (second && /^\s*(-{3,}|\*{3,})\s*$/.test(line())) {
      root.append(el("hr"));
      at += 1;
    } else if (second && /^\s*([-*+]|\d+\.)\s+/.test(line())) {
      const items = [];
      for (; at < lines.length && /^\s*([-*+]|\d+\.)\s+/.test(line()); at += 1) items.push(line());
      root.append(...items.map((each) => item(here, each)));
    } else {
      root.append(el("div", {class: line().trim() ? "wc-p" : "wc-gap"}, ...inline(here, line(), second)));
      at += 1;
    }
  }
  return root;
}

function item(here, text) {
  const [, space, mark, rest] = /^(\s*)([-*+]|\d+\.)\s+(.*)$/.exec(text);
  const made = el("div", {class: "wc-item"}, el("span", {class: "wc-mark"}, /\d/.test(mark) ? mark : "•"), el("span", {}, ...inline(here, rest, true)));
  made.style.paddingInlineStart = `${Math.min(space.length, 12) * 8}px`;
  return made;
}

function table(here, rows) {
  const cells = (row) => row.trim().replace(/^\||\|$/g, "").split("|").map((each) => each.trim());
  const row = (text, name) => el("tr", {}, ...cells(text).map((each) => el(name, {}, ...inline(here, each, true))));
  return el("div", {class: "wc-scroll", tabindex: "0"}, el("table", {},
    el("thead", {}, row(rows[0], "th")), el("tbody", {}, ...rows.slice(2).map((each) => row(each, "td")))));
}

// ---------------------------------------------------------------- files

function video(payload) {
  return el("div", {class: "wc-card"},
    el("video", {class: "wc-video", src: mediaUrl(payload.media_id), controls: true, preload: "metadata"}),
    payload.title || payload.description ? el("div", {class: "wc-pad"}, el("div", {class: "wc-title"}, payload.title), el("div", {class: "wc-desc"}, payload.description)) : null);
}

function file({shown}, id) {
  const [name, size] = shown.extra.files?.[id] ?? ["文件", 0];
  return el("a", {class: "wc-card wc-file", ...opens(location.origin + mediaUrl(id))},
    el("span", {}, el("span", {class: "wc-title"}, name), el("span", {class: "wc-desc"}, sized(size))),
    el("span", {class: "wc-file-icon", "aria-hidden": "true"}, name.split(".").pop().slice(0, 4).toUpperCase()));
}

function sized(bytes) {
  if (!bytes) return "";
  if (bytes < 1024) return `${bytes}B`;
  return bytes < 1048576 ? `${(bytes / 1024).toFixed(1)}K` : `${(bytes / 1048576).toFixed(1)}M`;
}

// ---------------------------------------------------------------- cards

function textcard(card) {
  return el("a", {class: "wc-card wc-pad", ...opens(card.url)},
    el("div", {class: "wc-title"}, card.title),
    el("div", {class: "wc-desc wc-pre"}, ...html(card.description)),
    el("div", {class: "wc-more"}, card.btntxt || "详情"));
}

/** The little HTML that a text card may have. */
function html(text) {
  return tokens(String(text ?? ""), [
    [/<br\s*\/?>/i, () => el("br")],
    [/<div class="?(gray|normal|highlight)"?>([\s\S]*?)<\/div>/, (found) => el("div", {class: `wc-${found[1]}`}, ...html(found[2]))],
  ]);
}

function news(articles) {
  const [first, ...rest] = articles;
  if (!first) return null;
  const address = (each) => each.url ?? each.content_source_url;
  const image = (each) => each.picurl ?? (each.thumb_media_id ? mediaUrl(each.thumb_media_id) : "");
  if (!rest.length) {
    return el("a", {class: "wc-card wc-news", ...opens(address(first))},
      el("div", {class: "wc-pad"}, el("div", {class: "wc-title"}, first.title),
        el("div", {class: "wc-news-row"}, el("div", {class: "wc-desc"}, first.description ?? first.digest), picture(image(first), "wc-thumb", ""))));
  }
  return el("div", {class: "wc-card wc-news"},
    el("a", {class: "wc-cover", ...opens(address(first))}, picture(image(first), "wc-cover-image", ""), el("span", {class: "wc-cover-title"}, first.title)),
    ...rest.map((each) => el("a", {class: "wc-news-item", ...opens(address(each))}, el("span", {}, each.title), picture(image(each), "wc-thumb", ""))));
}

function miniprogram(notice) {
  return el("div", {class: "wc-card wc-pad"}, el("div", {class: "wc-title"}, notice.title), el("div", {class: "wc-desc"}, notice.description),
    ...(notice.content_item ?? []).map((each) => row(each.key, each.value)));
}

function row(key, value, url = "") {
  return el("div", {class: "wc-row"}, el("span", {class: "wc-key"}, key), url ? el("a", opens(url), value ?? "查看") : el("span", {}, value));
}

const SOURCES = ["", "wc-black", "wc-red", "wc-green"];

function template(here, card) {
  const made = el("div", {class: "wc-card wc-template"},
    source(card.source),
    picture(card.card_image?.url, "wc-card-image", ""),
    head(card), emphasis(card.emphasis_content), quote(card.quote_area),
    card.image_text_area ? el("a", {class: "wc-quote", ...opens(card.image_text_area.url)}, el("b", {}, card.image_text_area.title), " ", card.image_text_area.desc) : null,
    card.sub_title_text ? el("div", {class: "wc-sub wc-pre"}, card.sub_title_text) : null,
    ...(card.vertical_content_list ?? []).map((each) => el("div", {class: "wc-vertical"}, el("b", {}, each.title), el("div", {class: "wc-desc"}, each.desc))),
    rows(card.horizontal_content_list ?? []));
  const body = el("form", {class: "wc-form", onsubmit: (event) => event.preventDefault()},
    ...(card.button_selection ? [select(card.button_selection)] : []),
    ...(card.select_list ?? []).map(select), checks(card.checkbox));
  if (body.childElementCount) made.append(body);
  const acts = buttons(here, card, body);
  if (acts) made.append(acts);
  for (const each of card.jump_list ?? []) made.append(el("a", {class: "wc-jump", ...opens(each.url)}, el("span", {}, each.title), el("span", {"aria-hidden": "true"}, "›")));
  return made;
}

const source = (from) => from?.desc || from?.icon_url
  ? el("div", {class: `wc-source ${SOURCES[from.desc_color] ?? ""}`}, isAddress(from.icon_url) ? picture(from.icon_url, "wc-icon", "") : null, from.desc) : null;

function head(card) {
  const title = card.main_title ?? {};
  if (!title.title && !title.desc) return null;
  return el(isAddress(card.card_action?.url) ? "a" : "div", {class: "wc-head", ...opens(card.card_action?.url)},
    el("div", {class: "wc-title"}, title.title), el("div", {class: "wc-desc"}, title.desc));
}

const emphasis = (area) => area ? el("div", {class: "wc-emphasis"}, el("b", {}, area.title), el("div", {class: "wc-desc"}, area.desc)) : null;
const quote = (area) => area?.quote_text || area?.title
  ? el("a", {class: "wc-quote wc-pre", ...opens(area.url)}, area.title ? el("b", {}, `${area.title}\n`) : null, area.quote_text) : null;
const rows = (list) => list.length ? el("div", {class: "wc-rows"}, ...list.map((each) => row(each.keyname, each.value, each.type === 1 ? each.url : ""))) : null;

function select(question) {
  return el("label", {class: "wc-row"}, el("span", {class: "wc-key"}, question.title),
    el("select", {"data-question": question.question_key}, ...(question.option_list ?? []).map((each) =>
      el("option", {value: each.id, selected: each.id === question.selected_id}, each.text))));
}

function checks(question) {
  if (!question) return null;
  const type = question.mode === 1 ? "checkbox" : "radio";
  return el("fieldset", {"data-question": question.question_key, "data-many": question.mode === 1}, ...(question.option_list ?? []).map((each) =>
    el("label", {class: "wc-option"}, el("input", {type, name: question.question_key, value: each.id, checked: each.is_checked}), el("span", {}, each.text))));
}

/** What was chosen, by the keys of the questions. */
function inputs(form) {
  const chosen = {};
  for (const each of form.querySelectorAll("select")) chosen[each.dataset.question] = each.value;
  for (const each of form.querySelectorAll("fieldset")) {
    const ids = [...each.querySelectorAll("input:checked")].map((box) => box.value);
    chosen[each.dataset.question] = "many" in each.dataset ? ids : ids[0] ?? "";
  }
  return chosen;
}

function buttons(here, card, form) {
  if (card.replace_text) return el("div", {class: "wc-buttons"}, el("button", {type: "button", class: "wc-button", disabled: true}, card.replace_text));
  const all = [...(card.button_list ?? []), ...(card.submit_button ? [{...card.submit_button, style: 1}] : [])];
  if (!all.length) return null;
  return el("div", {class: "wc-buttons"}, ...all.map((each) => each.type === 1
    ? el("a", {class: `wc-button wc-style-${each.style ?? 1}`, ...opens(each.url)}, each.text)
    : el("button", {type: "button", class: `wc-button wc-style-${each.style ?? 1}`, onclick: (event) => event.currentTarget.dispatchEvent(
      new CustomEvent("sandbox-act", {bubbles: true, detail: {on: here.shown.id, action: each.key, value: "", inputs: inputs(form)}}))}, each.text)));
}
