// Messages as Slack shows them: blocks, attachments with a bar of colour, files, windows with forms.

import {el} from "/sandbox/page/el.js";

const FACES = ["#4a154b", "#1264a3", "#007a5a", "#c75300"];

const safe = (url) => /^(https?:\/\/|\/sandbox\/media\/)/i.test(String(url));
const openable = (url) => safe(url) || /^(mailto|tel):/i.test(String(url));
const objects = (value) => (Array.isArray(value) ? value.filter((each) => each && typeof each === "object") : []);

function link(url, ...inner) {
  if (!openable(url)) return el("span", {}, ...inner);
  return el("a", {href: url, target: "_blank", rel: "noopener noreferrer", class: "sl-link"}, ...inner);
}

function picture(url, alt, kind) {
  if (!safe(url)) return el("span", {class: "sl-missing"}, alt || "image");
  const made = el("img", {src: url, alt: alt ?? "", class: kind, loading: "lazy", referrerpolicy: "no-referrer"});
  made.addEventListener("error", () => made.replaceWith(el("span", {class: "sl-missing"}, `🖼 ${alt || url}`)));
  return made;
}

// ---------------------------------------------------------------- texts

const ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"};
const unescaped = (text) => text.replace(/&(amp|lt|gt);/g, (each) => ENTITIES[each]);
const named = (shown, id) => shown.extra?.names?.[id] ?? id;
const mention = (text) => el("span", {class: "sl-mention"}, `@${text}`);

/** Slack's marks. */
function mrkdwn(text, shown) {
  const lines = String(text).split("```");
  return lines.flatMap((part, number) => {
    if (number % 2) return [el("pre", {class: "sl-pre"}, unescaped(part.replace(/^\n|\n$/g, "")))];
    return quoted(part, shown);
  });
}

function quoted(text, shown) {
  const made = [];
  for (const line of text.split("\n")) {
    const quote = line.startsWith("&gt;");
    const last = made.at(-1);
    if (quote) {
      const inner = spans(line.slice(4).trimStart(), shown);
      if (last?.className === "sl-quote") last.append(el("br"), ...inner);
      else made.push(el("blockquote", {class: "sl-quote"}, ...inner));
    } else {
      if (made.length && last?.className !== "sl-quote") made.push(el("br"));
      made.push(...spans(line, shown));
    }
  }
  return made;
}

const SPANS = /`([^`\n]+)`|<([^<>]+)>|(?<![\p{L}\p{N}])([*_~])(?=\S)([^\n]*?\S)\3(?![\p{L}\p{N}])|(https?:\/\/[^\s<>]+)/gu;

function spans(text, shown) {
  const made = [];
  let end = 0;
  for (const found of text.matchAll(SPANS)) {
    made.push(unescaped(text.slice(end, found.index)));
    end = found.index + found[0].length;
    const [, code, tag, mark, inner, url] = found;
    if (code) made.push(el("code", {class: "sl-code"}, unescaped(code)));
    else if (tag) made.push(tagged(tag, shown));
    else if (mark) made.push(el({"*": "b", _: "i", "~": "s"}[mark], {}, ...spans(inner, shown)));
    else made.push(link(unescaped(url), unescaped(url)));
  }
  return [...made, unescaped(text.slice(end))];
}

function tagged(tag, shown) {
  const [target, label] = tag.split(/\|(.*)/s);
  if (target.startsWith("@")) return mention(label || named(shown, target.slice(1)));
  if (target.startsWith("#")) return el("span", {class: "sl-mention"}, `#${label || shown.extra?.channels?.[target.slice(1)] || target.slice(1)}`);
  if (target.startsWith("!subteam^")) return mention(label || target.slice(9));
  if (target.startsWith("!")) return mention(label || target.slice(1).split("^")[0]);
  return link(unescaped(target), ...(label ? spans(label, shown) : [unescaped(target)]));
}

function textObject(text, shown) {
  if (!text || typeof text !== "object") return [];
  return text.type === "mrkdwn" ? mrkdwn(text.text ?? "", shown) : [String(text.text ?? "")];
}

// ---------------------------------------------------------------- rich text

function styled(span, node) {
  const style = span.style ?? {};
  let made = node;
  if (style.code) made = el("code", {class: "sl-code"}, made);
  if (style.bold) made = el("b", {}, made);
  if (style.italic) made = el("i", {}, made);
  if (style.strike) made = el("s", {}, made);
  return made;
}

function richSpan(span, shown) {
  switch (span.type) {
    case "text": return styled(span, document.createTextNode(String(span.text)));
    case "link": return styled(span, link(span.url, span.text || span.url));
    case "user": return mention(named(shown, span.user_id));
    case "usergroup": return mention(span.usergroup_id);
    case "broadcast": return mention(span.range);
    case "channel": return el("span", {class: "sl-mention"}, `#${shown.extra?.channels?.[span.channel_id] ?? span.channel_id}`);
    case "emoji": return span.unicode ? String.fromCodePoint(...span.unicode.split("-").map((each) => parseInt(each, 16))) : `:${span.name}:`;
    default: return String(span.text ?? span.fallback ?? "");
  }
}

const richSpans = (element, shown) => objects(element.elements).map((span) => richSpan(span, shown));

function richElement(element, shown) {
  switch (element.type) {
    case "rich_text_list": {
      const ordered = element.style === "ordered";
      const items = objects(element.elements).map((item) => el("li", {}, ...richSpans(item, shown)));
      const list = el(ordered ? "ol" : "ul", {class: `sl-list sl-indent-${Math.min(8, Number(element.indent) || 0)}`}, ...items);
      if (ordered && element.offset) list.start = Number(element.offset) + 1;
      return list;
    }
    case "rich_text_quote": return el("blockquote", {class: "sl-quote"}, ...richSpans(element, shown));
    case "rich_text_preformatted": return el("pre", {class: "sl-pre"}, ...richSpans(element, shown));
    default: return el("div", {class: "sl-text"}, ...richSpans(element, shown));
  }
}

// ---------------------------------------------------------------- elements that can be pressed

function act(from, shown, action, value = "", inputs = {}) {
  from.dispatchEvent(new CustomEvent("sandbox-act", {bubbles: true, detail: {on: shown.id, action, value, inputs}}));
}

function button(element, shown) {
  const press = (event) => {
    const ask = element.confirm;
    if (ask && !confirm(`${ask.title?.text ?? ""}\n\n${ask.text?.text ?? ""}`)) { event.preventDefault(); return; }
    if (element.action_id && !element.url) act(event.currentTarget, shown, element.action_id, element.value ?? "");
  };
  const kind = `sl-button ${["primary", "danger"].includes(element.style) ? `sl-${element.style}` : ""}`;
  const label = element.text?.text ?? "";
  if (element.url && openable(element.url)) {
    return el("a", {class: kind, href: element.url, target: "_blank", rel: "noopener noreferrer", onclick: press}, label);
  }
  return el("button", {type: "button", class: kind, onclick: press}, label);
}

function options(element) {
  return objects(element.options).map((each) => el("option", {
    value: each.value,
    selected: element.initial_option?.value === each.value || objects(element.initial_options).some((one) => one.value === each.value),
  }, each.text?.text ?? each.value));
}

/** A field of a form, or of a message; `told` is called with its value. */
function field(element, told = () => {}) {
  const change = (event) => told(event.currentTarget.value);
  switch (element.type) {
    case "static_select":
    case "overflow":
      return el("select", {class: "sl-field", onchange: change}, el("option", {value: ""}, element.placeholder?.text ?? "…"), ...options(element));
    case "multi_static_select":
      return el("select", {class: "sl-field", multiple: true}, ...options(element));
    case "checkboxes":
    case "radio_buttons":
      return el("div", {class: "sl-boxes"}, ...objects(element.options).map((each) => el("label", {},
        el("input", {
          type: element.type === "checkboxes" ? "checkbox" : "radio", name: element.action_id, value: each.value, onchange: change,
          checked: objects(element.initial_options).some((one) => one.value === each.value),
        }), " ", each.text?.text ?? each.value)));
    case "datepicker":
      return el("input", {type: "date", class: "sl-field", value: element.initial_date ?? "", onchange: change});
    default:
      if (element.multiline) {
        const area = el("textarea", {class: "sl-field", rows: 3, placeholder: element.placeholder?.text ?? ""});
        area.value = element.initial_value ?? "";
        return area;
      }
      return el("input", {class: "sl-field", value: element.initial_value ?? "", placeholder: element.placeholder?.text ?? ""});
  }
}

function element(one, shown) {
  if (one.type === "button") return button(one, shown);
  if (one.type === "image") return picture(one.image_url, one.alt_text, "sl-accessory");
  const made = field(one, (value) => act(made, shown, one.action_id, value));
  return made;
}

// ---------------------------------------------------------------- blocks

function block(one, shown) {
  switch (one.type) {
    case "header": return el("h3", {class: "sl-header"}, one.text?.text ?? "");
    case "divider": return el("hr", {class: "sl-divider"});
    case "section": {
      const texts = el("div", {class: "sl-section-text"},
        one.text ? el("div", {class: "sl-text"}, ...textObject(one.text, shown)) : null,
        objects(one.fields).length ? el("div", {class: "sl-fields"}, ...objects(one.fields).map((each) => el("div", {class: "sl-text"}, ...textObject(each, shown)))) : null);
      return el("div", {class: "sl-section"}, texts, one.accessory ? element(one.accessory, shown) : null);
    }
    case "image": {
      const title = one.title?.text;
      return el("figure", {class: "sl-image"}, title ? el("figcaption", {}, title) : null,
        picture(one.image_url, one.alt_text, "sl-picture"));
    }
    case "actions": return el("div", {class: "sl-actions"}, ...objects(one.elements).map((each) => element(each, shown)));
    case "context": return el("div", {class: "sl-context"}, ...objects(one.elements).map((each) => each.type === "image"
      ? picture(each.image_url, each.alt_text, "sl-tiny") : el("span", {}, ...textObject(each, shown))));
    case "rich_text": return el("div", {class: "sl-rich"}, ...objects(one.elements).map((each) => richElement(each, shown)));
    case "markdown": return el("div", {class: "sl-text"}, one.text ?? "");
    case "table": return table(one, shown);
    default: return el("div", {class: "sl-missing"}, one.type ?? "?");
  }
}

function table(one, shown) {
  const rows = (Array.isArray(one.rows) ? one.rows : []).map((row, number) => el("tr", {}, ...objects(row).map((cell) =>
    el(number ? "td" : "th", {}, ...(cell.type === "rich_text" ? objects(cell.elements).map((each) => richElement(each, shown)) : [String(cell.text ?? cell.value ?? "")])))));
  return el("div", {class: "sl-scroll", tabindex: "0"}, el("table", {class: "sl-table"}, el("tbody", {}, ...rows)));
}

const blocks = (list, shown) => objects(list).map((each) => block(each, shown));

function attachment(one, shown) {
  const color = {good: "#2eb67d", warning: "#daa038", danger: "#a30200"}[one.color] ?? one.color;
  const made = el("div", {class: "sl-attachment"});
  if (/^#?[0-9a-f]{6}$/i.test(color ?? "")) made.style.borderLeftColor = color.startsWith("#") ? color : `#${color}`;
  const marks = (text) => mrkdwn(text, shown);
  made.append(
    ...(one.pretext ? [el("div", {class: "sl-text"}, ...marks(one.pretext))] : []),
    ...(one.author_name ? [el("div", {class: "sl-soft"}, one.author_name)] : []),
    ...(one.title ? [el("div", {class: "sl-title"}, one.title_link ? link(one.title_link, one.title) : one.title)] : []),
    ...(one.text ? [el("div", {class: "sl-text"}, ...marks(one.text))] : []),
    ...(objects(one.fields).length ? [el("div", {class: "sl-fields"}, ...objects(one.fields).map((each) => el("div", {class: "sl-text"}, el("b", {}, each.title ?? ""), el("br"), ...marks(each.value ?? ""))))] : []),
    ...blocks(one.blocks, shown),
    ...(one.image_url ? [picture(one.image_url, one.fallback, "sl-picture")] : []),
    ...(one.footer ? [el("div", {class: "sl-context"}, one.footer)] : []),
    ...(!made.childNodes.length && one.fallback && !one.blocks && !one.text && !one.title ? [one.fallback] : []));
  return made;
}

function file(one) {
  const kind = String(one.mimetype ?? "").split("/")[0];
  const url = one.media;
  if (kind === "image") return el("figure", {class: "sl-image"}, el("figcaption", {}, one.title ?? one.name), picture(url, one.alt_txt || one.title, "sl-picture"));
  if (kind === "audio" && safe(url)) return el("div", {class: "sl-file sl-wide"}, el("b", {}, one.title ?? one.name), el("audio", {controls: true, src: url, preload: "none"}));
  if (kind === "video" && safe(url)) return el("div", {class: "sl-file sl-wide"}, el("b", {}, one.title ?? one.name), el("video", {controls: true, src: url, preload: "none"}));
  const size = one.size > 999_999 ? `${(one.size / 1e6).toFixed(1)} MB` : one.size > 999 ? `${Math.round(one.size / 1e3)} KB` : `${one.size} B`;
  const ending = String(one.name ?? "").split(".").pop().slice(0, 4).toUpperCase();
  return link(url, el("span", {class: "sl-file"}, el("span", {class: "sl-ending", "aria-hidden": "true"}, ending),
    el("span", {}, el("b", {}, one.title ?? one.name), el("span", {class: "sl-soft"}, size))));
}

// ---------------------------------------------------------------- windows

function view(shown) {
  const one = shown.payload;
  const inputs = [];
  const body = objects(one.blocks).map((each) => {
    if (each.type !== "input") return block(each, shown);
    const made = field(each.element ?? {});
    inputs.push([each.element?.action_id, made]);
    return el("label", {class: "sl-input"}, el("b", {}, each.label?.text ?? "", each.optional ? el("span", {class: "sl-soft"}, " (optional)") : null),
      made, each.hint ? el("span", {class: "sl-soft"}, each.hint.text) : null);
  });
  const send = (event) => {
    event.preventDefault();
    const filled = {};
    for (const [id, made] of inputs) {
      if (made.multiple) filled[id] = [...made.selectedOptions].map((each) => each.value);
      else if (made.classList.contains("sl-boxes")) filled[id] = [...made.querySelectorAll(":checked")].map((each) => each.value);
      else filled[id] = made.value;
    }
    act(event.currentTarget, shown, one.callback_id ?? "", "", filled);
  };
  return el("form", {class: "sl-view", onsubmit: send},
    el("div", {class: "sl-view-head"}, el("b", {}, one.title?.text ?? "")),
    ...body,
    el("div", {class: "sl-view-foot"}, one.submit ? el("button", {class: "sl-button sl-primary", disabled: shown.state === "recalled"}, one.submit.text) : null));
}

// ---------------------------------------------------------------- the whole

function face(name) {
  let sum = 0;
  for (const each of name) sum += each.codePointAt(0);
  const made = el("span", {class: "sl-face", "aria-hidden": "true"}, [...name][0]?.toUpperCase() ?? "?");
  made.style.backgroundColor = FACES[sum % FACES.length];
  return made;
}

export function render(shown, world) {
  void world;
  if (shown.kind === "view") return el("div", {class: "sl-root"}, view(shown));
  const time = new Date(shown.at).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
  const head = el("div", {class: "sl-head"}, el("b", {}, shown.account), el("span", {class: "sl-app"}, "APP"), el("time", {class: "sl-soft"}, time));
  if (shown.state === "recalled") return el("div", {class: "sl-root"}, el("p", {class: "sl-gone"}, "🗑 This message was deleted."));
  const payload = shown.payload ?? {};
  const body = [];
  if (objects(payload.blocks).length) body.push(...blocks(payload.blocks, shown));
  else if (payload.markdown_text) body.push(el("div", {class: "sl-text"}, payload.markdown_text));
  else if (payload.text) body.push(el("div", {class: "sl-text"}, ...(payload.mrkdwn === false ? [unescaped(String(payload.text))] : mrkdwn(payload.text, shown))));
  body.push(...objects(payload.attachments).map((each) => attachment(each, shown)));
  body.push(...objects(payload.files).map(file));
  return el("div", {class: "sl-root sl-message"}, face(shown.account),
    el("div", {class: "sl-body"},
      shown.extra?.only ? el("div", {class: "sl-soft"}, `👁 Only visible to ${shown.extra.only}`) : null,
      head, ...body, shown.state === "changed" ? el("span", {class: "sl-soft"}, "(edited)") : null));
}
