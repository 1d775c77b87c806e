"""Markdown as Slack's rich text: exact, as no character of a text can be taken for a mark there.

Slack's own marks (mrkdwn) need white space around them, which Chinese does not have, and can't be escaped.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from hongyan.hub.fitting import split
from hongyan.hub.markdown import (
    Blocks,
    Bold,
    Break,
    Bullets,
    Code,
    CodeBlock,
    Grid,
    Heading,
    Inline,
    Inlines,
    Italic,
    LinkTo,
    Paragraph,
    Picture,
    Plain,
    Quote,
    Rule,
    Strike,
    Writer,
)

#: Characters of a block of rich text: Slack states no limit, but one for a section, and for all blocks together.
BLOCK_MAX = 3000
#: A table: rows with the head, columns, and characters of all cells.
ROWS_MAX, COLUMNS_MAX, CELLS_MAX = 100, 20, 8000
#: How deep lists stand in each other.
INDENT_MAX = 8

Element = dict[str, Any]
Style = dict[str, bool]
_URL = re.compile(r"https?://[^\s<>\"'，。；！？、（）《》】」]+[^\s<>\"'，。；！？、（）《》】」.,;:!?)\]]")


def blocks(tree: Blocks, note: Callable[[str], None]) -> list[Element]:
    """Blocks of rich text, and pictures, lines and tables between them."""
    made: list[Element] = []
    run: list[Element] = []
    for item in _items(tree, note):
        if item["type"].startswith("rich_text_"):
            run.append(item)
            continue
        made += gathered(run)
        run = []
        made.append(item)
    return made + gathered(run)


def of_text(text: str, head: Element | None = None) -> list[Element]:
    """Plain text, whose addresses can be clicked, in the lines after `head`."""
    before = [_section([head])] if head else []
    return gathered([*before, *([_section(_with_links(text))] if text else [])])


def gathered(elements: Sequence[Element]) -> list[Element]:
    """In blocks of rich text that are not too long."""
    made: list[Element] = []
    length = 0
    for element in (piece for each in _joined(elements) for piece in _pieces(each)):
        size = length_of(element)
        if not made or length + size > BLOCK_MAX:
            made.append({"type": "rich_text", "elements": []})
            length = 0
        made[-1]["elements"].append(element)
        length += size
    return made


def table(columns: Sequence[Inlines], rows: Sequence[Sequence[Inlines]]) -> Element | None:
    """A table, if Slack's take so much."""
    made = {
        "type": "table",
        "column_settings": [{"is_wrapped": True} for _ in columns],
        "rows": [[_cell(_bold(columns_cell)) for columns_cell in columns], *([_cell(c) for c in row] for row in rows)],
    }
    fits = len(made["rows"]) <= ROWS_MAX and len(columns) <= COLUMNS_MAX and length_of(made) <= CELLS_MAX
    return made if fits else None


def length_of(element: Any) -> int:
    """Characters of everything in it that is shown."""
    if isinstance(element, list):
        return sum(length_of(each) for each in element)
    if not isinstance(element, dict):
        return 0
    own = sum(len(element[key]) for key in ("text", "url", "alt_text", "value") if isinstance(element.get(key), str))
    return own + sum(length_of(each) for each in element.values() if isinstance(each, dict | list))


def _items(tree: Blocks, note: Callable[[str], None]) -> Iterator[Element]:
    for block in tree:
        match block:
            case Paragraph((Picture(url, text),)) if url.startswith(("http://", "https://")):
                yield {"type": "image", "image_url": url, "alt_text": text or url.rpartition("/")[2] or "image"}
            case Paragraph(inner):
                yield _section(spans(inner, note), gap=2)
            case Heading(_, inner):
                yield _section(spans(_bold(inner), note), gap=1)
            case CodeBlock(text, _):
                yield {"type": "rich_text_preformatted", "elements": [_text(text or " ")]}
            case Quote(inside):
                yield {"type": "rich_text_quote", "elements": _flat(inside, note)}
            case Bullets():
                yield from _list(block, 0, note)
            case Rule():
                yield {"type": "divider"}
            case Grid(columns, rows):
                made = table(columns, rows)
                if made is not None:
                    yield made
                else:
                    note("table_to_lines")
                    yield _section([_text(Writer().write((block,)))], gap=2)


def _list(bullets: Bullets, indent: int, note: Callable[[str], None]) -> Iterator[Element]:
    """Lists within lists follow each other, further indented; the outer one goes on after them."""
    style = "bullet" if bullets.start is None else "ordered"
    first = bullets.start or 0
    current: list[Element] = []
    begin = first

    def made() -> Element:
        offset = {"offset": begin - 1} if style == "ordered" and begin > 1 else {}
        return {"type": "rich_text_list", "style": style, "indent": indent, **offset, "elements": current}

    for number, item in enumerate(bullets.items, first):
        inner = [block for block in item if not isinstance(block, Bullets)]
        current.append(_section(_flat(tuple(inner), note)))
        for nested in (block for block in item if isinstance(block, Bullets)):
            if current:
                yield made()
            yield from _list(nested, min(indent + 1, INDENT_MAX), note)
            current, begin = [], number + 1
    if current:
        yield made()


def _flat(tree: Blocks, note: Callable[[str], None]) -> list[Element]:
    """Blocks as lines, where Slack has no blocks within."""
    elements: list[Element] = []
    for block in tree:
        if elements:
            elements.append(_text("\n"))
        match block:
            case Paragraph(inner):
                elements += spans(inner, note)
            case Heading(_, inner):
                elements += spans(_bold(inner), note)
            case CodeBlock(text, _):
                elements.append(_text(text or " ", {"code": True}))
            case _:
                note("marks_dropped")
                elements.append(_text(Writer().write((block,)) or " "))
    return elements or [_text(" ")]


def spans(inner: Inlines, note: Callable[[str], None]) -> list[Element]:
    return [each for node in inner for each in _span(node, {}, note)]


def _span(node: Inline, style: Style, note: Callable[[str], None]) -> Iterator[Element]:
    match node:
        case Plain(text):
            yield _text(text, style)
        case Code(text):
            yield _text(text, {**style, "code": True})
        case Break():
            yield _text("\n")
        case Bold(inner):
            yield from _styled(inner, {**style, "bold": True}, note)
        case Italic(inner):
            yield from _styled(inner, {**style, "italic": True}, note)
        case Strike(inner):
            yield from _styled(inner, {**style, "strike": True}, note)
        case LinkTo(url, inner):
            text = Writer().inline(inner)
            if url.startswith(("http://", "https://", "mailto:", "tel:")):
                shown = {"text": text} if text and text != url else {}
                yield {"type": "link", "url": url, **shown, **({"style": style} if style else {})}
            else:
                yield _text(f"{text} ({url})", style)
        case Picture(url, text):
            note("image_to_link")
            if url.startswith(("http://", "https://")):
                yield {"type": "link", "url": url, **({"text": text} if text else {})}
            else:
                yield _text(f"{text} ({url})", style)


def _styled(inner: Inlines, style: Style, note: Callable[[str], None]) -> Iterator[Element]:
    for node in inner:
        yield from _span(node, style, note)


def _with_links(text: str) -> list[Element]:
    elements: list[Element] = []
    end = 0
    for found in _URL.finditer(text):
        if found.start() > end:
            elements.append(_text(text[end : found.start()]))
        elements.append({"type": "link", "url": found[0]})
        end = found.end()
    return [*elements, _text(text[end:])] if end < len(text) else elements


def _bold(inner: Inlines) -> Inlines:
    return (Bold(inner),)


def _cell(inner: Inlines) -> Element:
    elements = spans(inner, lambda _: None) or [_text(" ")]
    return {"type": "rich_text", "elements": [_section(elements)]}


def _text(text: str, style: Style | None = None) -> Element:
    return {"type": "text", "text": text, **({"style": style} if style else {})}


def _section(elements: list[Element], gap: int = 0) -> Element:
    """`gap`: the ends of lines before a section that follows; taken out again by `_joined`."""
    return {"type": "rich_text_section", "elements": elements, **({"gap": gap} if gap else {})}


def _joined(elements: Iterable[Element]) -> Iterator[Element]:
    """Sections that follow each other as one, with the empty lines that Slack's own clients put there."""
    last: Element | None = None
    gap = 0
    for element in elements:
        if element["type"] != "rich_text_section":
            if last is not None:
                yield last
                last = None
            yield element
            continue
        inner = [each for each in element["elements"] if each.get("text") != ""]
        if last is None:
            last = {"type": "rich_text_section", "elements": inner or [_text(" ")]}
        else:
            last["elements"] += [_text("\n" * gap), *inner]
        gap = element.get("gap", 1)
    if last is not None:
        yield last


def _pieces(element: Element) -> Iterator[Element]:
    """An element in pieces that are not too long."""
    if length_of(element) <= BLOCK_MAX or "elements" not in element:
        yield element
        return
    rest = {key: value for key, value in element.items() if key != "elements"}
    begin = int(element.get("offset", 0))
    current: list[Element] = []
    done = length = 0
    for inner in [piece for each in element["elements"] for piece in _inner_pieces(each)]:
        size = length_of(inner)
        if current and length + size > BLOCK_MAX:
            yield _piece(rest, begin + done, current)
            done, length, current = done + len(current), 0, []
        current.append(inner)
        length += size
    yield _piece(rest, begin + done, current)


def _inner_pieces(element: Element) -> Iterator[Element]:
    if element["type"] == "text":
        yield from ({**element, "text": piece} for piece in split(element["text"], BLOCK_MAX))
    else:
        yield from _pieces(element)


def _piece(rest: Element, offset: int, elements: list[Element]) -> Element:
    counted = {"offset": offset} if rest.get("style") == "ordered" and offset else {}
    return {**rest, **counted, "elements": elements}


def plain_text(text: str) -> Element:
    """A text outside of rich text, in which nothing is a mark or a face; Slack takes no empty one."""
    return {"type": "plain_text", "text": text or " ", "emoji": False}
