"""DingTalk's Markdown: headings, quotes, bold, italic, links, pictures and lists; an end of a line needs two spaces."""

import re
from collections.abc import Sequence

from hongyan.hub.markdown import LONG, Break, Inlines, Paragraph, Plain, Writer, parse, plain

#: What may be a mark, and what is one at the start of a line.
_MARKS = re.compile(r"([\\`*_\[\]<>~|])")
_AT_START = re.compile(r"^([-+#=>]|\d+(?=[.)]))", re.MULTILINE)
_LINE_END = re.compile(r"(?<!\n)\n(?!\n)")


class Dialect(Writer):
    """Text is escaped only where a mark would be seen: whether every client hides the backslashes is not known."""

    def __init__(self) -> None:
        super().__init__()
        self._marked: bool | None = None

    def inline(self, inner: Inlines) -> str:
        """Marks may stand on both sides of a line's end, or of what is bold: the outermost says whether there are."""
        if self._marked is not None:
            return super().inline(inner)
        self._marked = _would_be_marks(plain(inner))
        try:
            return super().inline(inner)
        finally:
            self._marked = None

    def text(self, text: str) -> str:
        marked = _would_be_marks(text) if self._marked is None else self._marked
        return _escaped(text) if marked else text

    def line_break(self) -> str:
        return "  \n"

    def bold(self, inner: Inlines) -> str:
        return f"**{self.inline(inner)}**"

    def italic(self, inner: Inlines) -> str:
        return f"*{self.inline(inner)}*"

    def strike(self, inner: Inlines) -> str:
        self.used.add("marks_dropped")
        return self.inline(inner)

    def code(self, text: str) -> str:
        self.used.add("marks_dropped")
        return self.text(text)

    def link(self, url: str, inner: Inlines) -> str:
        return f"[{self.inline(inner)}]({_target(url)})"

    def picture(self, url: str, text: str) -> str:
        return f"![{self.text(text)}]({_target(url)})"

    def heading(self, level: int, inner: Inlines) -> str:
        return f"{'#' * level} {self.inline(inner)}"

    def code_block(self, text: str, language: str) -> str:
        self.used.add("marks_dropped")
        # leading spaces would make it something else, and blank lines end it
        lines = (re.sub(r"^[ \t]+", _hard_spaces, line) for line in text.split("\n"))
        return "  \n".join(self.text(line) if line.strip() else "\u00a0" for line in lines)

    def rule(self) -> str:
        return "---"

    def grid(self, columns: Sequence[Inlines], rows: Sequence[Sequence[Inlines]]) -> str:
        return _LINE_END.sub("  \n", super().grid(columns, rows))


def dingtalk(markdown: str) -> tuple[str, set[str]]:
    """Markdown as DingTalk's, and the rules that were needed."""
    writer = Dialect()
    return writer.write(parse(markdown)), writer.used


def _escaped(text: str) -> str:
    """By backslashes alone: entities are not hidden everywhere."""
    return _AT_START.sub(_start, _MARKS.sub(r"\\\1", text))


def _start(found: re.Match[str]) -> str:
    return f"{found[1]}\\" if found[1].isdigit() else f"\\{found[1]}"


def _would_be_marks(text: str) -> bool:
    """Of a long text it is taken for granted: to parse it takes long."""
    return len(text) > LONG or (bool(_MARKS.search(text) or _AT_START.search(text)) and _has_marks(text))


def _has_marks(text: str) -> bool:
    blocks = parse(text)
    if not blocks:
        return False
    return len(blocks) > 1 or not (
        isinstance(blocks[0], Paragraph) and all(isinstance(each, Plain | Break) for each in blocks[0].inner)
    )


def _hard_spaces(found: re.Match[str]) -> str:
    return "\u00a0" * len(found[0].expandtabs(4))


def _target(url: str) -> str:
    """An address that ends where it should."""
    return url.replace("(", "%28").replace(")", "%29").replace(" ", "%20")
