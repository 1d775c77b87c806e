"""Messages as Slack shows them: blocks, and a bar of colour for how serious it is."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.connectors.slack import rich_text
from hongyan.hub.connectors.slack.forms import FORM_ID, ID_MAX, VALUE_MAX, carried
from hongyan.hub.connectors.slack.rich_text import Element, plain_text
from hongyan.hub.content import (
    Article,
    Articles,
    Button,
    Card,
    Content,
    Field,
    Form,
    Image,
    Level,
    Link,
    Markdown,
    Media,
    Mention,
    Message,
    Table,
    Text,
)
from hongyan.hub.degrade import Degrade, name_of, table_markdown
from hongyan.hub.fitting import cut
from hongyan.hub.markdown import aside, parse

#: Of one message. Slack refuses blocks whose texts are together a little above this, and states no number (inferred).
BLOCKS_MAX, MESSAGE_MAX = 50, 9000
SECTION_MAX, FIELD_MAX, FIELDS_MAX, HEADER_MAX, ACTIONS_MAX = 3000, 2000, 10, 150, 25
BUTTON_MAX, ALT_MAX, FALLBACK_MAX = 75, 2000, 3000
CONTEXT_MAX, CONFIRM_TITLE_MAX, CONFIRM_MAX, CONFIRM_BUTTON_MAX = 2000, 100, 300, 30
#: The bars of colour, of Slack's own palette.
COLORS: Mapping[Level, str] = {"info": "", "success": "#2eb67d", "warning": "#ecb22e", "error": "#e01e5a"}
#: What the ids of buttons begin with that open an address.
LINK_ID = "hongyan.link."
_MEMBER = re.compile(r"[UW][A-Z0-9]{2,30}")
_USER_GROUP = re.compile(r"S[A-Z0-9]{2,30}")


async def render(
    message: Message, degrade: Degrade, mentions: Sequence[Mention], *, interactive: bool, thread: str = ""
) -> list[dict[str, Any]]:
    """The bodies of the messages that say it. `interactive`: presses of buttons are heard; `thread`: what to name
    before the text, where there are no threads.
    """
    level: Level = message.content.level if isinstance(message.content, Markdown | Card) else "info"
    blocks = await _content(message.content, degrade, interactive)
    named = mention_elements(mentions, degrade)
    if named and isinstance(message.content, Text):
        first = blocks[0]["elements"][0]
        first["elements"] = [*named, *first["elements"]]
        named = []
    head = [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": named}]}] if named else []
    if thread:
        head.insert(0, {"type": "context", "elements": [plain_text(f"[#{thread}]")]})
    groups = _groups(blocks)
    if len(groups) > 1:
        degrade.note("text_split")
    return [_part(head if not number else [], group, COLORS[level]) for number, group in enumerate(groups)]


def mention_elements(mentions: Sequence[Mention], degrade: Degrade) -> list[Element]:
    """Who is told, as elements of rich text, with a space after each."""
    elements: list[Element] = []
    for mention in mentions:
        if mention.everyone:
            element = {"type": "broadcast", "range": "channel"}
        elif _MEMBER.fullmatch(mention.user):
            element = {"type": "user", "user_id": mention.user}
        elif _USER_GROUP.fullmatch(mention.user):
            element = {"type": "usergroup", "usergroup_id": mention.user}
        else:
            degrade.note("mention_unresolved", name_of(mention))
            element = {"type": "text", "text": name_of(mention)}
        elements += [element, {"type": "text", "text": " "}]
    return elements


def mention_text(mentions: Sequence[Mention], degrade: Degrade) -> str:
    """The same in Slack's marks, for the comment on a file."""
    words = []
    for element in mention_elements(mentions, degrade):
        match element["type"]:
            case "broadcast":
                words.append("<!channel>")
            case "user":
                words.append(f"<@{element['user_id']}>")
            case "usergroup":
                words.append(f"<!subteam^{element['usergroup_id']}>")
            case _:
                words.append(escape(element["text"]))
    return "".join(words).strip()


def escape(text: str) -> str:
    """The three characters that Slack wants escaped in texts with its marks."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


#: What could be one of Slack's marks, which can't be escaped.
_MARK = re.compile(r"(?:^|(?<=\W))[*_~`](?=\S)|^>", re.MULTILINE)


def fallback(blocks: Sequence[Element]) -> str:
    """What notifications say, and who reads aloud."""
    lines = [line for block in blocks for line in _lines(block)]
    return cut("\n".join(lines), FALLBACK_MAX)


def _lines(element: Any) -> list[str]:
    match element:
        case {"type": "rich_text_section" | "rich_text_quote" | "rich_text_preformatted", "elements": [*inner]}:
            return ["".join(_said(each) for each in inner).strip()]
        case {"type": "table", "rows": [*rows]}:
            return [" | ".join(" ".join(_lines(cell)) for cell in row) for row in rows]
        case {"elements": [*inner]}:
            return [line for each in inner for line in _lines(each)]
        case {"type": "image", "alt_text": str(text)}:
            return [escape(text)]
        case {"type": "header", "text": {"text": str(text)}}:
            return [escape(text)]
        case {"type": "section"}:
            return [line for each in [element.get("text"), *element.get("fields", [])] for line in _lines(each)]
        case {"type": "button", "text": {"text": str(text)}}:
            return [f"[{escape(text)}]"]
        case {"type": "mrkdwn", "text": str(text)}:
            return [text]
        case {"type": "plain_text", "text": str(text)}:
            return [escape(text)]
        case _:
            return []


def _said(element: Element) -> str:
    match element:
        case {"type": "user", "user_id": user}:
            return f"<@{user}>"
        case {"type": "broadcast"}:
            return "<!channel>"
        case {"type": "usergroup", "usergroup_id": group}:
            return f"<!subteam^{group}>"
        case _:
            return escape(str(element.get("text") or element.get("url") or ""))


def _groups(blocks: Sequence[Element]) -> list[list[Element]]:
    """In messages that are not too long, with one table each: Slack takes no second one."""
    groups: list[list[Element]] = []
    length = tables = 0
    for block in blocks:
        size, is_table = rich_text.length_of(block), block["type"] == "table"
        full = groups and (len(groups[-1]) >= BLOCKS_MAX - 1 or length + size > MESSAGE_MAX or (is_table and tables))
        if not groups or full:
            groups.append([])
            length = tables = 0
        groups[-1].append(block)
        length += size
        tables += is_table
    return groups


def _part(head: list[Element], blocks: list[Element], color: str) -> dict[str, Any]:
    if not color:
        return {"text": fallback([*head, *blocks]), "blocks": [*head, *blocks]}
    attachment = {"color": color, "blocks": blocks, "fallback": fallback(blocks)}
    # a text without blocks would stand above the bar
    return {**({"text": fallback([*head, *blocks]), "blocks": head} if head else {}), "attachments": [attachment]}


async def _content(content: Content, degrade: Degrade, interactive: bool) -> list[Element]:
    match content:
        case Text(text):
            return rich_text.of_text(text)
        case Markdown():
            head = [_header(content.title, degrade)] if content.title else []
            return head + await _rich(content.text, degrade)
        case Image(media, text):
            return [await _image(media, text, degrade)]
        case Link(title, url, text, image):
            return await _article(Article(title, url, text, image), degrade)
        case Articles(items):
            return [block for each in items for block in await _article(each, degrade)]
        case Table():
            return await _table(content, degrade)
        case Card():
            return await _card(content, degrade, interactive)
        case _:
            return await _rich(await degrade.markdown(content), degrade)


def _header(title: str, degrade: Degrade) -> Element:
    shown = degrade.cut(" ".join(title.split()), HEADER_MAX, rule="title_cut")
    return {"type": "header", "text": {"type": "plain_text", "text": shown, "emoji": False}}


async def _image(media: Media, text: str, degrade: Degrade) -> Element:
    alt = degrade.cut(text or media.name or "image", ALT_MAX)
    title = {"title": {"type": "plain_text", "text": alt, "emoji": False}} if text else {}
    return {"type": "image", "image_url": await _address(media, degrade), "alt_text": alt, **title}


async def _address(media: Media, degrade: Degrade) -> str:
    address = await degrade.media.link(media)
    if len(address) > 3000:
        raise Problem(Outcome.BAD_CONTENT, "Slack takes addresses of at most 3000 characters")
    return address


#: Characters that end the address of a link.
_IN_LINKS = str.maketrans({"|": "%7C", "<": "%3C", ">": "%3E"})


async def _article(article: Article, degrade: Degrade) -> list[Element]:
    """With the picture beside it; below it, if a text has what could be marks, as only rich text leaves them alone."""
    address = await _address(article.image, degrade) if article.image else ""
    picture = {"type": "image", "image_url": address, "alt_text": cut(article.title, ALT_MAX)}
    label = " ".join(article.title.split())
    if _MARK.search(label) or _MARK.search(article.text):
        head = {"type": "link", "url": article.url, "text": label, "style": {"bold": True}}
        return [*rich_text.of_text(article.text, head), *([picture] if address else [])]
    title = f"*<{article.url.translate(_IN_LINKS)}|{escape(label)}>*"
    room = SECTION_MAX - len(title) - 1
    text = degrade.cut(article.text, room, size=lambda each: len(escape(each))) if room > 0 else ""
    joined = f"{title}\n{escape(text)}" if text else title
    block: Element = {"type": "section", "text": {"type": "mrkdwn", "text": joined, "verbatim": True}}
    return [{**block, "accessory": picture} if address else block]


async def _rich(markdown: str, degrade: Degrade) -> list[Element]:
    return await aside(markdown, lambda: rich_text.blocks(parse(markdown), degrade.note))


async def _table(table: Table, degrade: Degrade) -> list[Element]:
    head = [_header(table.title, degrade)] if table.title else []
    return head + await _rich(table_markdown(table), degrade)


async def _card(card: Card, degrade: Degrade, interactive: bool) -> list[Element]:
    blocks: list[Element] = []
    if card.url:
        blocks += await _article(Article(card.title, card.url), degrade)
    else:
        blocks.append(_header(card.title, degrade))
    blocks += await _rich(card.text, degrade)
    if card.image is not None:
        blocks.append(await _image(card.image, "", degrade))
    blocks += _fields(card.fields, degrade)
    elements = [_button(each, number, degrade, interactive) for number, each in enumerate(card.buttons)]
    if card.form is not None:
        elements.append(_form_button(card, card.form, degrade, interactive))
    made = [each for each in elements if each is not None]
    blocks += _rows(made)
    if len(made) < len(elements):  # nobody would hear of them, and there is no page: their words stay
        names = [each.text for each in card.buttons] + ([card.form.submit] if card.form else [])
        lost = [name for name, each in zip(names, elements, strict=True) if each is None]
        shown = degrade.cut(" | ".join(lost), CONTEXT_MAX)
        blocks.append({"type": "context", "elements": [{"type": "plain_text", "text": shown}]})
    if card.footer:
        blocks.append({"type": "context", "elements": [plain_text(card.footer)]})
    return blocks


def _rows(buttons: Sequence[Element]) -> list[Element]:
    rows: list[Element] = []
    length = 0
    for button in buttons:
        size = rich_text.length_of(button)
        if not rows or len(rows[-1]["elements"]) == ACTIONS_MAX or length + size > MESSAGE_MAX // 2:
            rows.append({"type": "actions", "elements": []})
            length = 0
        rows[-1]["elements"].append(button)
        length += size
    return rows


def _fields(fields: Sequence[Field], degrade: Degrade) -> list[Element]:
    """Short ones stand beside each other."""
    blocks: list[Element] = []
    for field in fields:
        text = _field(field, degrade)
        last = blocks[-1] if blocks else {}
        if field.short and 0 < len(last.get("fields", ())) < FIELDS_MAX:
            last["fields"].append(text)
        elif field.short:
            blocks.append({"type": "section", "fields": [text]})
        else:
            blocks.append({"type": "section", "text": text})
    return blocks


def _field(field: Field, degrade: Degrade) -> Element:
    """A value with what could be marks stands as it is, and the name then is not bold: values are copied."""
    name, most = " ".join(field.name.split()), FIELD_MAX if field.short else SECTION_MAX
    if _MARK.search(field.value) or _MARK.search(name):
        value = degrade.cut(field.value, most - len(name) - 1)
        return {"type": "plain_text", "text": f"{name}\n{value}", "emoji": False}
    room = most - len(escape(name)) - 3
    value = degrade.cut(field.value, room, size=lambda each: len(escape(each)))
    # addresses become links, but so would mentions and channels
    verbatim = "@" in value or "#" in value or "@" in name or "#" in name
    return {"type": "mrkdwn", "text": f"*{escape(name)}*\n{escape(value)}", "verbatim": verbatim}


def _button(button: Button, number: int, degrade: Degrade, interactive: bool) -> Element | None:
    heard = interactive and bool(button.id) and len(button.id) <= ID_MAX and len(button.value) <= VALUE_MAX
    element: Element = {"type": "button", "text": _label(button.text, degrade)}
    if heard:
        element["action_id"] = button.id
        if button.value:
            element["value"] = button.value
    elif button.url:
        element |= {"action_id": f"{LINK_ID}{number}", "url": button.url}
    else:
        address = degrade.address(msgspec.structs.replace(button, confirm=""))
        if address is None:
            return None
        element |= {"action_id": f"{LINK_ID}{number}", "url": address}
    if button.style != "default":
        element["style"] = button.style
    if button.confirm:
        element["confirm"] = _confirm(button, degrade)
    return element


def _confirm(button: Button, degrade: Degrade) -> Element:
    return {
        "title": plain_text(cut(button.text, CONFIRM_TITLE_MAX)),
        "text": plain_text(degrade.cut(button.confirm, CONFIRM_MAX)),
        "confirm": plain_text(cut(button.text, CONFIRM_BUTTON_MAX)),
        "deny": plain_text("Cancel"),
    }


def _label(text: str, degrade: Degrade) -> Element:
    return plain_text(degrade.cut(" ".join(text.split()), BUTTON_MAX, rule="title_cut"))


def _form_button(card: Card, form: Form, degrade: Degrade, interactive: bool) -> Element | None:
    """Messages have no text inputs: a button opens a window with the form, which it carries."""
    element: Element = {"type": "button", "text": _label(form.submit, degrade), "style": "primary"}
    asked = carried(card, form) if interactive else None
    if asked is not None:
        return {**element, "action_id": FORM_ID + form.id, "value": asked}
    address = degrade.form_address(card)
    return None if address is None else {**element, "action_id": f"{LINK_ID}form", "url": address}
