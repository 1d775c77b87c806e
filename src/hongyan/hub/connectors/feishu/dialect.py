"""Our Markdown as the Markdown of Feishu's cards (schema 2.0): CommonMark with tables, without HTML blocks."""

import re
from collections.abc import Iterator, Mapping, Sequence

from hongyan.hub.markdown import (
    Block,
    Blocks,
    Bold,
    Bullets,
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
    Strike,
    Writer,
)

#: Tables in one element.
TABLES_MAX = 4
#: Marks, written as entities where they are none: Feishu's documentation says so, and knows no backslash.
_MARKS = re.compile(r"[\\`*_\[\]<>~|$#]|&(?=#?\w+;)|:(?=[A-Za-z_]+:)|^[ \t]*[-+=]|^[ \t]*\d+[.)]", re.MULTILINE)
_CALL = re.compile(r"<(?=at\b)", re.IGNORECASE)
_IN_ADDRESS = {ord("("): "%28", ord(")"): "%29", ord(" "): "%20", ord("<"): "%3C", ord(">"): "%3E"}


def escape(text: str) -> str:
    """Plain text, in which nothing is a mark, calls anybody or makes a face."""
    return _MARKS.sub(_entity, text)


def _entity(found: re.Match[str]) -> str:
    mark = found[0]
    return f"{mark[:-1]}&#{ord(mark[-1])};"


class CardWriter(Writer):
    """`pictures` are the keys of those that were uploaded, by their addresses; others are links."""

    def __init__(self, pictures: Mapping[str, str]) -> None:
        super().__init__()
        self._pictures = pictures
        self._tables = 0

    def text(self, text: str) -> str:
        return escape(text)

    def bold(self, inner: Inlines) -> str:
        return f"**{self.inline(inner)}**"

    def italic(self, inner: Inlines) -> str:
        return f"*{self.inline(inner)}*"

    def strike(self, inner: Inlines) -> str:
        return f"~~{self.inline(inner)}~~"

    def code(self, text: str) -> str:
        text = _quiet(text)
        fence = "`" * (_longest(text) + 1)
        space = " " if text.startswith("`") or text.endswith("`") else ""
        return f"{fence}{space}{text}{space}{fence}"

    def link(self, url: str, inner: Inlines) -> str:
        text = self.inline(inner)
        if not url.startswith(("http://", "https://")):  # others do nothing there
            self.used.add("marks_dropped")
            return f"{text} ({escape(url)})"
        return link(text, url)

    def picture(self, url: str, text: str) -> str:
        key = self._pictures.get(url)
        if key is not None:
            return f"![{escape(text)}]({key})"
        self.used.add("image_to_link")
        return self.link(url, (Plain(text or url),))

    def heading(self, level: int, inner: Inlines) -> str:
        return f"{'#' * level} {self.inline(inner)}"

    def bullets(self, items: Sequence[Blocks], start: int | None) -> str:
        """Four spaces are a level."""
        lines = []
        for number, item in enumerate(items, start or 0):
            first, *rest = self.item(item).split("\n")
            lines.append(("- " if start is None else f"{number}. ") + first)
            lines += ["    " + line if line else "" for line in rest]
        return "\n".join(lines)

    def code_block(self, text: str, language: str) -> str:
        text = _quiet(text)
        fence = "`" * max(3, _longest(text) + 1)
        return f"{fence}{re.sub(r'[^A-Za-z0-9_+#-]', '', language)}\n{text}\n{fence}"

    def rule(self) -> str:
        return "---"

    def grid(self, columns: Sequence[Inlines], rows: Sequence[Sequence[Inlines]]) -> str:
        self._tables += 1
        if self._tables > TABLES_MAX:
            return super().grid(columns, rows)
        head = "| " + " | ".join(self.inline(each) for each in columns) + " |"
        body = ["| " + " | ".join(self.inline(cell).replace("\n", "<br>") for cell in row) + " |" for row in rows]
        return "\n".join([head, "|" + " --- |" * len(columns), *body])


def link(text: str, url: str) -> str:
    """`text` is Markdown already."""
    return f"[{text}]({url.translate(_IN_ADDRESS)})"


def pictures(blocks: Blocks) -> Iterator[str]:
    """The addresses of the pictures within."""
    for block in blocks:
        yield from _pictures_of(block)


def _pictures_of(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(inner) | Heading(_, inner):
            yield from _in_line(inner)
        case Quote(blocks):
            yield from pictures(blocks)
        case Bullets(items):
            for item in items:
                yield from pictures(item)
        case Grid(columns, rows):
            for cells in (columns, *rows):
                for cell in cells:
                    yield from _in_line(cell)
        case _:
            return


def _in_line(inner: Inlines) -> Iterator[str]:
    for node in inner:
        yield from _in_span(node)


def _in_span(node: Inline) -> Iterator[str]:
    match node:
        case Picture(url, _):
            yield url
        case Bold(inner) | Italic(inner) | Strike(inner) | LinkTo(_, inner):
            yield from _in_line(inner)
        case _:
            return


def _quiet(text: str) -> str:
    """Code in which nobody is called: whether Feishu looks for that in code, too, is not known."""
    return _CALL.sub("<\u200b", text)


def _longest(text: str) -> int:
    """Backquotes that stand together."""
    return max((len(each) for each in re.findall("`+", text)), default=0)
