"""What Slack's blocks may be: their limits (docs.slack.dev, Block Kit), in Slack's own way of complaining."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Block = Mapping[str, Any]
#: Blocks of a message and of a window; of a message, characters of all texts together.
MESSAGE_BLOCKS, VIEW_BLOCKS, ALL_TEXTS = 50, 100, 12_000
_IN_MESSAGES = frozenset(
    {"section", "divider", "image", "actions", "context", "header", "markdown", "rich_text", "table", "file", "video"}
)
_IN_VIEWS = _IN_MESSAGES - {"markdown", "table", "file"} | {"input"}
_RICH = frozenset({"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"})
_SPANS: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "link": ("url",),
    "user": ("user_id",),
    "usergroup": ("usergroup_id",),
    "channel": ("channel_id",),
    "broadcast": ("range",),
    "emoji": ("name",),
    "date": ("timestamp", "format"),
    "color": ("value",),
}


def of_message(blocks: Any) -> list[str]:
    """What is wrong with the blocks of a message."""
    if not isinstance(blocks, list):
        return ["must be an array"]
    wrong = list(_all(blocks, _IN_MESSAGES, MESSAGE_BLOCKS, "/blocks"))
    if sum(isinstance(each, dict) and each.get("type") == "table" for each in blocks) > 1:
        wrong.append("only one table block is allowed [json-pointer:/blocks]")
    return wrong


def of_view(view: Any) -> list[str]:
    """What is wrong with a window."""
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        return ["missing required field: type [json-pointer:/view]"]
    wrong = list(_all(view.get("blocks"), _IN_VIEWS, VIEW_BLOCKS, "/view/blocks"))
    if view["type"] == "modal":
        wrong += _text(view.get("title"), 24, "/view/title", plain=True)
        for name in ("submit", "close"):
            if name in view:
                wrong += _text(view[name], 24, f"/view/{name}", plain=True)
        has_input = any(isinstance(each, dict) and each.get("type") == "input" for each in view.get("blocks") or ())
        if has_input and "submit" not in view:
            wrong.append("missing required field: submit [json-pointer:/view/submit]")
    wrong += _at_most(view.get("private_metadata", ""), 3000, "/view/private_metadata")
    wrong += _at_most(view.get("callback_id", ""), 255, "/view/callback_id")
    return wrong


def length(blocks: Any) -> int:
    """Characters of all texts."""
    if isinstance(blocks, list):
        return sum(map(length, blocks))
    if not isinstance(blocks, dict):
        return 0
    return sum(len(v) if k == "text" and isinstance(v, str) else length(v) for k, v in blocks.items())


def _all(blocks: Any, types: frozenset[str], most: int, at: str) -> Iterator[str]:
    if not isinstance(blocks, list):
        yield f"must be an array [json-pointer:{at}]"
        return
    if len(blocks) > most:
        yield f"no more than {most} items allowed [json-pointer:{at}]"
    ids = [each["block_id"] for each in blocks if isinstance(each, dict) and "block_id" in each]
    if len(ids) != len(set(map(str, ids))):
        yield f"block_id already exists [json-pointer:{at}]"
    for number, block in enumerate(blocks):
        here = f"{at}/{number}"
        if not isinstance(block, dict) or block.get("type") not in types:
            found = block.get("type") if isinstance(block, dict) else block
            yield f"unsupported type: {found} [json-pointer:{here}/type]"
            continue
        yield from _at_most(block.get("block_id", ""), 255, f"{here}/block_id")
        yield from _CHECKS[block["type"]](block, here)


def _section(block: Block, at: str) -> Iterator[str]:
    fields = block.get("fields")
    if "text" not in block and not fields:
        yield f"missing required field: text or fields [json-pointer:{at}]"
    if "text" in block:
        yield from _text(block["text"], 3000, f"{at}/text")
    if fields is not None:
        yield from _list(fields, 1, 10, f"{at}/fields")
        for number, field in enumerate(fields if isinstance(fields, list) else ()):
            yield from _text(field, 2000, f"{at}/fields/{number}")
    if "accessory" in block:
        yield from _element(block["accessory"], _ACCESSORIES, f"{at}/accessory")


def _header(block: Block, at: str) -> Iterator[str]:
    yield from _text(block.get("text"), 150, f"{at}/text", plain=True)


def _image(block: Block, at: str) -> Iterator[str]:
    yield from _picture(block, at)
    if "title" in block:
        yield from _text(block["title"], 2000, f"{at}/title", plain=True)


def _picture(block: Block, at: str) -> Iterator[str]:
    if ("image_url" in block) == ("slack_file" in block):
        yield f"one of image_url and slack_file is required [json-pointer:{at}]"
    if "image_url" in block:
        yield from _address(block["image_url"], f"{at}/image_url")
    alt = block.get("alt_text")
    if not isinstance(alt, str) or not alt:
        yield f"missing required field: alt_text [json-pointer:{at}]"
    yield from _at_most(alt or "", 2000, f"{at}/alt_text")


def _actions(block: Block, at: str) -> Iterator[str]:
    elements = block.get("elements")
    yield from _list(elements, 1, 25, f"{at}/elements")
    ids = []
    for number, element in enumerate(elements if isinstance(elements, list) else ()):
        yield from _element(element, _ACTIONS, f"{at}/elements/{number}")
        if isinstance(element, dict):
            ids.append(element.get("action_id"))
    given = [each for each in ids if each is not None]
    if len(given) != len(set(given)):
        yield f"`action_id` must be unique within a block [json-pointer:{at}/elements]"


def _context(block: Block, at: str) -> Iterator[str]:
    elements = block.get("elements")
    yield from _list(elements, 1, 10, f"{at}/elements")
    for number, element in enumerate(elements if isinstance(elements, list) else ()):
        here = f"{at}/elements/{number}"
        if isinstance(element, dict) and element.get("type") == "image":
            yield from _picture(element, here)
        else:
            yield from _text(element, 3000, here)


def _markdown(block: Block, at: str) -> Iterator[str]:
    text = block.get("text")
    if not isinstance(text, str) or not text:
        yield f"missing required field: text [json-pointer:{at}]"
    yield from _at_most(text or "", 12_000, f"{at}/text")


def _rich_text(block: Block, at: str) -> Iterator[str]:
    elements = block.get("elements")
    if not isinstance(elements, list):
        yield f"missing required field: elements [json-pointer:{at}]"
        return
    for number, element in enumerate(elements):
        here = f"{at}/elements/{number}"
        if not isinstance(element, dict) or element.get("type") not in _RICH:
            yield f"unsupported type [json-pointer:{here}/type]"
            continue
        allowed = {"type", "elements", "style", "indent", "offset", "border", "language"}
        yield from (f"invalid additional property: {name} [json-pointer:{here}]" for name in element.keys() - allowed)
        inner = element.get("elements")
        if element["type"] == "rich_text_list":
            if element.get("style") not in ("bullet", "ordered") or not 0 <= element.get("indent", 0) <= 8:
                yield f"invalid style or indent [json-pointer:{here}]"
            sections = {"type": "rich_text", "elements": inner}
            yield from _rich_text(sections, here)
        else:
            yield from _spans(inner, here)


def _spans(spans: Any, at: str) -> Iterator[str]:
    if not isinstance(spans, list):
        yield f"missing required field: elements [json-pointer:{at}]"
        return
    for number, span in enumerate(spans):
        here = f"{at}/elements/{number}"
        needed = _SPANS.get(span.get("type", "")) if isinstance(span, dict) else None
        if needed is None:
            yield f"unsupported type [json-pointer:{here}/type]"
            continue
        yield from (f"missing required field: {n} [json-pointer:{here}]" for n in needed if not span.get(n))


def _table(block: Block, at: str) -> Iterator[str]:
    rows = block.get("rows")
    yield from _list(rows, 1, 100, f"{at}/rows")
    if len(block.get("column_settings", ())) > 20:
        yield f"no more than 20 items allowed [json-pointer:{at}/column_settings]"
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        here = f"{at}/rows/{number}"
        yield from _list(row, 1, 20, here)
        for column, cell in enumerate(row if isinstance(row, list) else ()):
            kind = cell.get("type") if isinstance(cell, dict) else None
            if kind == "rich_text":
                yield from _rich_text(cell, f"{here}/{column}")
            elif kind not in ("raw_text", "raw_number") or not cell.get("text", cell.get("value")):
                yield f"invalid cell [json-pointer:{here}/{column}]"


def _input(block: Block, at: str) -> Iterator[str]:
    yield from _text(block.get("label"), 2000, f"{at}/label", plain=True)
    yield from _element(block.get("element"), _INPUTS, f"{at}/element")
    if "hint" in block:
        yield from _text(block["hint"], 2000, f"{at}/hint", plain=True)


def _nothing(block: Block, at: str) -> Iterator[str]:
    return iter(())


_CHECKS: Mapping[str, Callable[[Block, str], Iterator[str]]] = {
    "section": _section,
    "header": _header,
    "image": _image,
    "actions": _actions,
    "context": _context,
    "markdown": _markdown,
    "rich_text": _rich_text,
    "table": _table,
    "input": _input,
    "divider": _nothing,
    "file": _nothing,
    "video": _nothing,
}

# elements

_SELECTS = frozenset({"static_select", "multi_static_select", "users_select", "conversations_select", "overflow"})
_CHOICES = frozenset({"checkboxes", "radio_buttons", "datepicker", "timepicker"})
_ACTIONS = frozenset({"button"}) | _SELECTS | _CHOICES
_ACCESSORIES = _ACTIONS | {"image"}
_INPUTS = _SELECTS | _CHOICES | {"plain_text_input", "number_input", "email_text_input", "url_text_input"}


def _element(element: Any, types: frozenset[str], at: str) -> Iterator[str]:
    if not isinstance(element, dict) or element.get("type") not in types:
        yield f"unsupported type: {element.get('type') if isinstance(element, dict) else element} [json-pointer:{at}]"
        return
    kind = element["type"]
    yield from _at_most(element.get("action_id", ""), 255, f"{at}/action_id")
    if kind == "image":
        yield from _picture(element, at)
    elif kind == "button":
        yield from _button(element, at)
    elif kind == "overflow":
        yield from _options(element.get("options"), 2, 5, at)
    elif kind in ("checkboxes", "radio_buttons"):
        yield from _options(element.get("options"), 1, 10, at)
    elif kind in ("static_select", "multi_static_select"):
        yield from _options(element.get("options"), 1, 100, at)
    if "placeholder" in element:
        yield from _text(element["placeholder"], 150, f"{at}/placeholder", plain=True)
    if "confirm" in element:
        yield from _confirm(element["confirm"], f"{at}/confirm")


def _button(button: Block, at: str) -> Iterator[str]:
    yield from _text(button.get("text"), 75, f"{at}/text", plain=True)
    yield from _at_most(button.get("value", ""), 2000, f"{at}/value")
    if "url" in button:
        yield from _address(button["url"], f"{at}/url")
    if button.get("style", "primary") not in ("primary", "danger"):
        yield f"must be one of primary, danger [json-pointer:{at}/style]"


def _options(options: Any, least: int, most: int, at: str) -> Iterator[str]:
    yield from _list(options, least, most, f"{at}/options")
    for number, option in enumerate(options if isinstance(options, list) else ()):
        here = f"{at}/options/{number}"
        if not isinstance(option, dict) or not option.get("value"):
            yield f"missing required field: value [json-pointer:{here}]"
            continue
        yield from _text(option.get("text"), 75, f"{here}/text")
        yield from _at_most(option["value"], 150, f"{here}/value")
        yield from (f"invalid additional property: {n} [json-pointer:{here}]" for n in option.keys() - _OPTION)


_OPTION = {"text", "value", "description", "url"}


def _confirm(confirm: Any, at: str) -> Iterator[str]:
    if not isinstance(confirm, dict):
        yield f"must be an object [json-pointer:{at}]"
        return
    for name, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        yield from _text(confirm.get(name), most, f"{at}/{name}", plain=name != "text")


def _text(text: Any, most: int, at: str, *, plain: bool = False) -> Iterator[str]:
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if not isinstance(text, dict) or text.get("type") not in kinds or not isinstance(text.get("text"), str):
        yield f"expected a text of type {' or '.join(kinds)} [json-pointer:{at}]"
        return
    if not text["text"]:
        yield f"must be more than 0 characters [json-pointer:{at}/text]"
    yield from _at_most(text["text"], most, f"{at}/text")
    extra = {"verbatim"} if text["type"] == "plain_text" else {"emoji"}
    yield from (f"invalid additional property: {name} [json-pointer:{at}]" for name in text.keys() & extra)


def _at_most(text: Any, most: int, at: str) -> Iterator[str]:
    if not isinstance(text, str):
        yield f"must be a string [json-pointer:{at}]"
    elif len(text) > most:
        yield f"must be less than {most + 1} characters [json-pointer:{at}]"


def _address(url: Any, at: str) -> Iterator[str]:
    yield from _at_most(url, 3000, at)
    if not isinstance(url, str) or not url.startswith(("http://", "https://", "mailto:")):
        yield f"Invalid URL [json-pointer:{at}]"


def _list(value: Any, least: int, most: int, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"must be an array [json-pointer:{at}]"
    elif not least <= len(value) <= most:
        yield f"must have {least} to {most} items [json-pointer:{at}]"


def size(value: Any) -> int:
    """Bytes as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode())
