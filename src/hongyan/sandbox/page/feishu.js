// Messages as Feishu's clients show them: texts, posts, files, and cards of both schemas.

/** An element with a class and children; texts are texts, whatever is in them. */
function el(name, cls, ...children) {
  const made = document.createElement(name);
  if (cls) made.className = cls;
  made.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== ""));
  return made;
}

const media = (key) => `/sandbox/media/${encodeURIComponent(key)}`;
const isAddress = (url) => typeof url === "string" && /^https?:\/\//i.test(url);
const list = (value) => (Array.isArray(value) ? value : []);
const words = (value) => (typeof value === "string" ? value : typeof value?.content === "string" ? value.content : "");

/** @param shown what has arrived  @param world who and what there is */
export function render(shown, world) {
  const see = new Look(shown, world ?? {});
  const mine = Boolean(shown.extra?.sender);
  const row = el("div", `fs-row${mine ? " fs-mine" : ""}`);
  const avatar = el("span", `fs-avatar fs-of-${mine ? "person" : shown.address}`, [...shown.account][0] ?? "?");
  avatar.setAttribute("aria-hidden", "true");
  const name = el("div", "fs-name", shown.account, mine ? null : el("span", "fs-bot", "机器人"));
  const content = shown.state === "recalled"
    ? [el("div", "fs-recalled", `${shown.account}撤回了一条消息`), see.content()]
    : [see.content()];
  const edited = shown.state === "changed" && shown.kind !== "interactive" ? el("span", "fs-edited", "（已编辑）") : null;
  const urgent = shown.extra?.urgent ? el("span", "fs-urgent", "加急") : null;
  row.append(avatar, el("div", "fs-side", name, content, edited, urgent));
  return el("div", "fs", row);
}

class Look {
  constructor(shown, world) {
    this.shown = shown;
    this.payload = shown.payload ?? {};
    this.names = shown.extra?.names ?? {};
    this.files = shown.extra?.files ?? {};
    for (const each of list(world.people)) {
      for (const id of [each.open_id, each.user_id, each.union_id, each.email]) if (id) this.names[id] ??= each.name;
    }
    this.groups = Object.fromEntries(list(world.groups).map((each) => [each.id, each.title]));
  }

  content() {
    const {payload} = this;
    switch (this.shown.kind) {
      case "text": return el("div", "fs-bubble", this.text(words(payload.text)));
      case "post": return el("div", "fs-bubble fs-post", this.post(payload));
      case "image": return this.image(payload.image_key, "图片");
      case "file": return this.file(payload.file_key);
      case "audio": return this.sound(payload.file_key);
      case "media": return this.video(payload);
      case "interactive": return new Card(this).made(payload);
      case "share_chat": return this.share("群名片", this.groups[payload.chat_id ?? payload.share_chat_id] ?? "群聊");
      case "share_user": return this.share("个人名片", this.names[payload.user_id] ?? "用户");
      default: return el("div", "fs-bubble", `[${this.shown.kind}]`);
    }
  }

  // texts

  /** Where a text has marks: mentions, and in those of applications styles and links. */
  text(text) {
    const marks = this.shown.address === "app" && !this.shown.extra?.sender;
    const pattern = marks
      ? /<at user_id="([^"]*)">(.*?)<\/at>|\*\*(.+?)\*\*|<(i|u|s)>(.*?)<\/\4>|\[([^\]]+)\]\((https?:[^)\s]+)\)|(https?:\/\/[^\s<]+)/gs
      : /<at user_id="([^"]*)">(.*?)<\/at>|(?!)(x)|(?!)(y)(z)|(?!)(x)(y)|(https?:\/\/[^\s<]+)/gs;
    const parts = [];
    let at = 0;
    for (const found of text.matchAll(pattern)) {
      parts.push(text.slice(at, found.index));
      at = found.index + found[0].length;
      const [, id, name, bold, style, styled, link, href, bare] = found;
      if (id !== undefined) parts.push(this.at(id, name));
      else if (bold !== undefined) parts.push(el("b", "", this.text(bold)));
      else if (style !== undefined) parts.push(el(style, "", this.text(styled)));
      else parts.push(this.link(link ?? bare, href ?? bare));
    }
    return [...parts, text.slice(at)];
  }

  at(id, name) {
    if (id === "all") return el("span", "fs-at", "@所有人");
    const known = this.names[id];
    return el("span", known ? "fs-at" : "fs-at fs-unknown", `@${known ?? (name || id)}`);
  }

  link(text, url) {
    if (!isAddress(url)) return el("span", "", text);
    const made = el("a", "fs-link", text);
    made.href = url;
    made.target = "_blank";
    made.rel = "noopener noreferrer";
    return made;
  }

  post(payload) {
    const post = payload.zh_cn ?? payload.en_us ?? Object.values(payload).find((each) => each?.content) ?? {};
    const title = words(post.title) ? el("div", "fs-post-title", words(post.title)) : null;
    return [title, ...list(post.content).map((line) => el("div", "fs-line", list(line).map((node) => this.node(node))))];
  }

  node(node) {
    const styles = list(node?.style).map((each) => ({bold: "b", italic: "i", underline: "u", lineThrough: "s"})[each]).filter(Boolean);
    const styled = (inner) => styles.reduce((made, tag) => el(tag, "", made), inner);
    switch (node?.tag) {
      case "text": return styled(el("span", "", words(node.text)));
      case "a": return styled(this.link(words(node.text), node.href));
      case "at": return this.at(words(node.user_id), words(node.user_name));
      case "img": return this.image(node.image_key, "图片");
      case "media": return this.video(node);
      case "emotion": return el("span", "", `[${words(node.emoji_type)}]`);
      case "hr": return el("hr", "fs-rule");
      case "code_block": return el("pre", "fs-code", words(node.text));
      case "md": return new Markdown(this).blocks(words(node.text));
      default: return null;
    }
  }

  // files

  image(key, text) {
    const made = el("img", "fs-image");
    made.src = media(key);
    made.alt = text || "图片";
    return made;
  }

  file(key) {
    const name = this.files[key] ?? "文件";
    const ending = /\.(\w{1,5})$/.exec(name)?.[1]?.toUpperCase() ?? "FILE";
    const made = el("a", "fs-file", el("span", "fs-file-icon", ending), el("span", "fs-file-name", name));
    made.href = media(key);
    made.download = name;
    return made;
  }

  sound(key) {
    const made = el("audio", "fs-sound");
    made.controls = true;
    made.src = media(key);
    made.setAttribute("aria-label", "语音");
    return el("div", "fs-bubble", made);
  }

  video(content) {
    const made = el("video", "fs-video");
    made.controls = true;
    made.preload = "metadata";
    made.src = media(content.file_key);
    if (content.image_key) made.poster = media(content.image_key);
    made.setAttribute("aria-label", this.files[content.file_key] ?? "视频");
    return made;
  }

  share(kind, name) {
    return el("div", "fs-share", el("span", "fs-avatar fs-of-robot", [...name][0]), el("div", "", el("b", "", name), el("small", "", kind)));
  }

  act(from, action, value, inputs) {
    from.dispatchEvent(new CustomEvent("sandbox-act", {bubbles: true, detail: {on: this.shown.id, action, value, inputs}}));
  }
}

// ---------------------------------------------------------------- Markdown of cards

const ENTITIES = {amp: "&", lt: "<", gt: ">", quot: "\"", nbsp: "\u00a0", ensp: "\u2002", emsp: "\u2003", sim: "∼"};

/** Entities are resolved last: what was written as one is no mark. */
function plain(text) {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,5}));/gi, (all, number, hex, name) => {
    const code = number ? Number(number) : hex ? parseInt(hex, 16) : 0;
    if (code) return code <= 0x10ffff ? String.fromCodePoint(code) : all;
    return ENTITIES[name?.toLowerCase()] ?? all;
  }).replace(/\\([!-/:-@[-`{-~])/g, "$1");
}

const INLINE = new RegExp([
  "(?<fence>`+)(?<code>.+?)\\k<fence>(?!`)",
  "!\\[(?<alt>[^\\]]*)\\]\\((?<key>[^)\\s]+)\\)",
  "\\[(?<text>[^\\]]*)\\]\\((?<href>[^)\\s]+)\\)",
  "<at\\s+(?:id|ids|email)=[\"']?(?<at>[^\"'>\\s]+)[\"']?\\s*>(?:</at>)?",
  "<font\\s+color=[\"']?(?<colour>[\\w-]+)[\"']?\\s*>(?<coloured>.*?)</font>",
  "<text_tag\\s+color=[\"']?(?<tagColour>\\w+)[\"']?\\s*>(?<tagged>.*?)</text_tag>",
  "<(?:a|link)\\s[^>]*?(?:href|url)=[\"'](?<tagHref>[^\"']+)[\"'][^>]*>(?<tagText>.*?)</(?:a|link)>",
  "(?<br><br\\s*/?>)",
  "\\*\\*(?<bold>.+?)\\*\\*(?!\\*)",
  "~~(?<strike>.+?)~~",
  "\\*(?<italic>[^*\\s](?:[^*]*[^*\\s])?)\\*",
  "(?<bare>https?://[^\\s<>()\\[\\]|]+)",
].join("|"), "s");

class Markdown {
  constructor(look) { this.look = look; }

  blocks(text) { return this.lines(text.replaceAll("\r", "").split("\n")); }

  lines(lines) {
    const made = [];
    let at = 0;
    let paragraph = [];
    const flush = () => {
      if (paragraph.length) made.push(el("p", "fs-p", this.inline(paragraph.join("\n"))));
      paragraph = [];
    };
    while (at < lines.length) {
      const line = lines[at];
      const fence = /^\s{0,3}(`{3,}|~{3,})\s*(\S*)/.exec(line);
      const heading = /^(#{1,6})\s+(.*)$/.exec(line);
      if (fence) {
        flush();
        const code = [];
        for (at += 1; at < lines.length && !lines[at].trim().startsWith(fence[1]); at += 1) code.push(lines[at]);
        at += 1;
        made.push(el("pre", "fs-code", code.join("\n")));
      } else if (heading) {
        flush();
        made.push(el("div", `fs-h fs-h${heading[1].length}`, this.inline(heading[2])));
        at += 1;
      } else if (/^\s*(?:-{3,}|\*{3,}|<hr\s*\/?>)\s*$/.test(line)) {
        flush();
        made.push(el("hr", "fs-rule"));
        at += 1;
      } else if (/^\s*>/.test(line)) {
        flush();
        const quoted = [];
        for (; at < lines.length && /^\s*>/.test(lines[at]); at += 1) quoted.push(lines[at].replace(/^\s*> ?/, ""));
        made.push(el("blockquote", "fs-quote", this.lines(quoted)));
      } else if (/^\s*(?:[-*+]|\d+\.)\s+/.test(line)) {
        flush();
        const [items, next] = this.items(lines, at);
        made.push(items);
        at = next;
      } else if (line.includes("|") && /^\s*\|?(?:\s*:?-+:?\s*\|)+\s*(?::?-+:?)?\s*$/.test(lines[at + 1] ?? "")) {
        flush();
        const rows = [];
        for (; at < lines.length && lines[at].includes("|"); at += 1) rows.push(lines[at]);
        made.push(this.table(rows));
      } else {
        if (line.trim()) paragraph.push(line);
        else flush();
        at += 1;
      }
    }
    flush();
    return made;
  }

  /** A list from a line on, with what is indented below its items. */
  items(lines, from) {
    const ordered = /^\s*(\d+)\.\s/.exec(lines[from]);
    const made = el(ordered ? "ol" : "ul", "fs-list");
    if (ordered) made.start = Number(ordered[1]);
    const indent = /^\s*/.exec(lines[from])[0].length;
    let at = from;
    while (at < lines.length) {
      const found = /^(\s*)(?:([-*+])|(\d+)\.)\s+(.*)$/.exec(lines[at]);
      if (!found || found[1].length !== indent || Boolean(found[3]) !== Boolean(ordered)) break;
      const inner = [found[4]];
      for (at += 1; at < lines.length && (!lines[at].trim() || /^\s*/.exec(lines[at])[0].length > indent); at += 1) {
        if (!lines[at].trim() && !/^\s+\S/.test(lines[at + 1] ?? "")) break;
        inner.push(lines[at].replace(/^\s{1,4}/, ""));
      }
      made.append(el("li", "", this.lines(inner)));
    }
    return [made, at === from ? from + 1 : at];
  }

  table(rows) {
    const cells = (row) => row.trim().replace(/^\||\|$/g, "").split("|").map((each) => each.trim());
    const head = el("tr", "", cells(rows[0]).map((each) => el("th", "", this.inline(each))));
    const body = rows.slice(2).map((row) => el("tr", "", cells(row).map((each) => el("td", "", this.inline(each)))));
    return el("div", "fs-table-side", el("table", "fs-table", el("thead", "", head), el("tbody", "", body)));
  }

  inline(text) {
    const parts = [];
    let rest = text;
    for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
      parts.push(plain(rest.slice(0, found.index)), this.span(found.groups));
      rest = rest.slice(found.index + found[0].length);
    }
    return [...parts, plain(rest)];
  }

  span(found) {
    if (found.code !== undefined) return el("code", "", found.code.trim());
    if (found.key !== undefined) return this.look.image(found.key, plain(found.alt));
    if (found.href !== undefined) return this.linked(this.inline(found.text), found.href);
    if (found.at !== undefined) return found.at.split(",").map((id) => this.look.at(id, "")).flatMap((each) => [each, " "]);
    if (found.coloured !== undefined) return el("span", `fs-ink-${found.colour.replace(/-\d+$/, "")}`, this.inline(found.coloured));
    if (found.tagged !== undefined) return el("span", `fs-tag fs-tint-${found.tagColour}`, this.inline(found.tagged));
    if (found.tagHref !== undefined) return this.linked(this.inline(found.tagText), found.tagHref);
    if (found.br !== undefined) return el("br");
    if (found.bold !== undefined) return el("b", "", this.inline(found.bold));
    if (found.strike !== undefined) return el("s", "", this.inline(found.strike));
    if (found.italic !== undefined) return el("i", "", this.inline(found.italic));
    return this.look.link(found.bare, found.bare);
  }

  linked(children, url) {
    const made = this.look.link("", plain(url));
    made.append(...children);
    return made;
  }
}

// ---------------------------------------------------------------- cards

class Card {
  constructor(look) {
    this.look = look;
    this.markdown = new Markdown(look);
    this.tells = look.shown.address === "app";
  }

  made(card) {
    const elements = list(card.body?.elements ?? card.elements ?? Object.values(card.i18n_elements ?? {})[0]);
    const made = el("div", "fs-card", this.header(card.header), el("div", "fs-card-body", this.elements(elements)));
    if (card.type === "template") made.append(el("div", "fs-card-body", `[卡片模板 ${words(card.data?.template_id)}]`));
    const url = card.card_link?.url;
    if (isAddress(url)) {
      made.classList.add("fs-leads");
      made.append(this.look.link("查看详情 ›", url));
      made.lastChild.classList.add("fs-more");
    }
    return made;
  }

  header(header) {
    if (!header) return null;
    const subtitle = words(header.subtitle);
    return el("div", `fs-card-header fs-tint-${/^\w+$/.test(header.template ?? "") ? header.template : "default"}`,
      el("div", "fs-card-title", words(header.title), list(header.text_tag_list).map((each) => el("span", `fs-tag fs-tint-${each.color}`, words(each.text)))),
      subtitle ? el("div", "fs-card-subtitle", subtitle) : null);
  }

  elements(all, form) { return list(all).map((each) => this.element(each, form)); }

  element(each, form) {
    switch (each?.tag) {
      case "markdown": return el("div", `fs-md${each.text_size === "notation" ? " fs-notation" : ""}`, this.markdown.blocks(words(each.content)));
      case "div": return el("div", "fs-div", this.text(each.text), this.fields(each.fields), each.extra ? this.element(each.extra, form) : null);
      case "hr": return el("hr", "fs-rule");
      case "img": return this.picture(each);
      case "note": return el("div", "fs-note", list(each.elements).map((inner) => (inner.tag === "img" ? this.picture(inner) : this.text(inner))));
      case "column_set": return this.columns(each, form);
      case "action": return el("div", "fs-buttons", this.elements(each.actions, form));
      case "button": return this.button(each, form);
      case "form": return this.form(each);
      case "table": return this.table(each);
      case "interactive_container": return el("div", "fs-box", this.elements(each.elements, form));
      case "collapsible_panel": return this.panel(each, form);
      case "input": case "select_static": case "multi_select_static": case "date_picker": return this.input(each, form);
      case "person": return this.look.at(words(each.user_id), "");
      default: return el("div", "fs-unknown", `[${words(each?.tag) || "?"}]`);
    }
  }

  text(text) {
    if (!text) return null;
    return text.tag === "plain_text" ? el("div", "fs-plain", words(text)) : el("div", "fs-md", this.markdown.blocks(words(text)));
  }

  fields(fields) {
    if (!list(fields).length) return null;
    return el("div", "fs-fields", list(fields).map((each) => el("div", each.is_short ? "fs-short" : "fs-long", this.text(each.text))));
  }

  picture(each) {
    const title = words(each.title);
    return el("figure", "fs-figure", this.look.image(each.img_key, words(each.alt)), title ? el("figcaption", "", title) : null);
  }

  columns(each, form) {
    const made = el("div", `fs-columns fs-${/^\w+$/.test(each.flex_mode ?? "") ? each.flex_mode : "none"}`);
    for (const column of list(each.columns)) {
      const part = el("div", "fs-column", this.elements(column.elements, form));
      if (column.width === "weighted") part.style.flexGrow = String(Number(column.weight) || 1);
      else part.classList.add("fs-auto");
      made.append(part);
    }
    return made;
  }

  panel(each, form) {
    const made = el("details", "fs-panel", el("summary", "", words(each.header?.title)), this.elements(each.elements, form));
    made.open = Boolean(each.expanded);
    return made;
  }

  table(each) {
    const columns = list(each.columns);
    const size = Math.max(1, Number(each.page_size) || 5);
    const rows = list(each.rows);
    const shown = (value) => (Array.isArray(value) ? value.map((one) => words(one?.text) || words(one)).join(" ") : value === undefined ? "" : String(value));
    const body = el("tbody");
    const where = el("span", "fs-page");
    let page = 0;
    const last = Math.max(0, Math.ceil(rows.length / size) - 1);
    const turn = (by) => {
      page = Math.min(last, Math.max(0, page + by));
      body.replaceChildren(...rows.slice(page * size, page * size + size).map((row) => el("tr", "", columns.map((column) =>
        el("td", "", /md|markdown/.test(column.data_type ?? "") ? this.markdown.blocks(shown(row[column.name])) : shown(row[column.name]))))));
      where.textContent = `${page + 1} / ${last + 1}`;
    };
    turn(0);
    const head = el("tr", "", columns.map((column) => el("th", "", words(column.display_name))));
    const pager = last ? el("div", "fs-pager", this.turner("‹", "上一页", () => turn(-1)), where, this.turner("›", "下一页", () => turn(1))) : null;
    return el("div", "fs-table-side", el("table", "fs-table", el("thead", "", head), body), pager);
  }

  turner(sign, label, turn) {
    const made = el("button", "fs-turn", sign);
    made.type = "button";
    made.setAttribute("aria-label", label);
    made.addEventListener("click", turn);
    return made;
  }

  // buttons and forms

  button(each, form) {
    const behaviors = list(each.behaviors);
    const url = behaviors.find((one) => one.type === "open_url")?.default_url ?? each.url ?? each.multi_url?.url;
    const value = behaviors.find((one) => one.type === "callback")?.value ?? each.value;
    const cls = `fs-button fs-${/^\w+$/.test(each.type ?? "") ? each.type : "default"}`;
    const submits = each.form_action_type === "submit" || each.action_type === "form_submit";
    if (isAddress(url) && value === undefined && !submits) {
      const made = this.look.link(words(each.text), url);
      made.className = cls;
      return made;
    }
    const made = el("button", cls, words(each.text));
    made.type = "button";
    made.disabled = Boolean(each.disabled) || (!this.tells && !submits);
    if (!this.tells) made.title = "群机器人的按钮只能打开链接";
    const press = () => {
      if (each.form_action_type === "reset") return form?.element.reset();
      if (submits && form && !form.check()) return undefined;
      const action = words(value?.action) || words(each.name) || words(each.text);
      return this.look.act(made, action, words(value?.value), submits && form ? form.values() : {});
    };
    made.addEventListener("click", () => (each.confirm ? this.ask(made, each.confirm, press) : press()));
    return made;
  }

  /** Asks before a button is pressed. */
  ask(button, confirm, press) {
    if (button.nextElementSibling?.classList.contains("fs-confirm")) return;
    const done = (yes) => { asked.remove(); button.focus(); if (yes) press(); };
    const no = el("button", "fs-button fs-default", "取消");
    const yes = el("button", "fs-button fs-primary_filled", "确定");
    for (const [each, answer] of [[no, false], [yes, true]]) {
      each.type = "button";
      each.addEventListener("click", () => done(answer));
    }
    const asked = el("div", "fs-confirm", el("b", "", words(confirm.title)), el("div", "", words(confirm.text)), el("div", "fs-buttons", no, yes));
    asked.setAttribute("role", "alertdialog");
    asked.setAttribute("aria-label", words(confirm.title));
    button.after(asked);
    yes.focus();
  }

  form(each) {
    const element = el("form", "fs-form");
    element.addEventListener("submit", (event) => event.preventDefault());
    const missing = el("div", "fs-missing", "有必填项未填写");
    missing.setAttribute("role", "alert");
    missing.hidden = true;
    const fields = [];
    const form = {
      element,
      add: (name, required, read) => fields.push({name, required, read}),
      values: () => Object.fromEntries(fields.map(({name, read}) => [name, read()]).filter(([, value]) => value.length)),
      check: () => {
        missing.hidden = !fields.some(({required, read}) => required && !read().length);
        return missing.hidden;
      },
    };
    element.append(...this.elements(each.elements, form), missing);
    return element;
  }

  input(each, form) {
    const label = words(each.label);
    const [field, read] = this.field(each);
    field.setAttribute("aria-label", label || words(each.placeholder) || words(each.name));
    field.disabled = Boolean(each.disabled);
    form?.add(words(each.name), Boolean(each.required), read);
    return el("label", "fs-field", label ? el("span", "fs-label", label, each.required ? el("span", "fs-star", "*") : null) : null, field);
  }

  /** The element, and how its value is read. */
  field(each) {
    const hint = words(each.placeholder) || {input: "请输入", date_picker: "请选择日期"}[each.tag] || "请选择";
    if (each.tag === "input") {
      const lines = each.input_type === "multiline_text";
      const made = el(lines ? "textarea" : "input", "fs-input");
      if (lines) made.rows = Number(each.rows) || 3;
      else made.type = each.input_type === "password" ? "password" : "text";
      made.maxLength = Number(each.max_length) || 1000;
      made.placeholder = hint;
      made.defaultValue = words(each.default_value);
      return [made, () => made.value];
    }
    if (each.tag === "date_picker") {
      const made = el("input", "fs-input");
      made.type = "date";
      made.defaultValue = words(each.initial_date);
      return [made, () => made.value];
    }
    const many = each.tag === "multi_select_static";
    const chosen = many ? list(each.selected_values) : [each.initial_option];
    const made = el("select", "fs-input");
    made.multiple = many;
    if (many) made.size = Math.min(4, Math.max(2, list(each.options).length));
    else made.append(new Option(hint, ""));
    for (const option of list(each.options)) {
      const picked = chosen.includes(option.value);
      made.append(new Option(words(option.text), words(option.value), picked, picked));
    }
    return [made, () => (many ? [...made.selectedOptions].map((option) => option.value) : made.value)];
  }
}
