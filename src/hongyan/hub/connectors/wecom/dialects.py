"""The two Markdown dialects of WeCom. Neither has a way to escape marks, so a space of no width breaks what is none."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass

from hongyan.hub.fitting import split, utf8
from hongyan.hub.markdown import Block, Blocks, Bullets, CodeBlock, Grid, Inlines, Quote, Writer

GAP = "\u200b"
_IN_ADDRESS = str.maketrans({"(": "%28", ")": "%29", " ": "%20", "<": "%3C", ">": "%3E"})
_TAG = re.compile(r"<(?=[A-Za-z/@!])")
_CALL = re.compile(r"<(?=@)")
_MARK = re.compile(r"(?<=\*)(?=\*)|(?<=\])(?=\()|^(?=[#>])", re.MULTILINE)


def inert(text: str) -> str:
    """Plain text in which nothing is a link, a mention or a colour."""
    return _TAG.sub("<" + GAP, text)


class Markdown(Writer):
    """`markdown`: headings, bold, links, code in a line, quotes; mentions and colours beside what is written here."""

    def text(self, text: str) -> str:
        return _MARK.sub(GAP, inert(text))

    def bold(self, inner: Inlines) -> str:
        return f"**{self.inline(inner)}**"

    def italic(self, inner: Inlines) -> str:
        self.used.add("marks_dropped")
        return self.inline(inner)

    def strike(self, inner: Inlines) -> str:
        self.used.add("marks_dropped")
        return self.inline(inner)

    def code(self, text: str) -> str:
        # whether somebody is called from within code is not known, so nobody is
        return f"`{_CALL.sub('<' + GAP, text.replace('`', 'ˋ'))}`"

    def link(self, url: str, inner: Inlines) -> str:
        return f"[{self.inline(inner)}]({address(url)})"

    def picture(self, url: str, text: str) -> str:
        self.used.add("image_to_link")
        return f"[{self.text(text) or '🖼'}]({address(url)})"

    def heading(self, level: int, inner: Inlines) -> str:
        return f"{'#' * level} {self.inline(inner)}"

    def code_block(self, text: str, language: str) -> str:
        self.used.add("marks_dropped")
        return "\n".join(self.code(line) if line.strip() else "" for line in text.split("\n"))


class MarkdownV2(Markdown):
    """`markdown_v2`: italics, lists, tables, pictures, code blocks and rules as well; no mentions, no colours."""

    def italic(self, inner: Inlines) -> str:
        return f"*{self.inline(inner)}*"

    def picture(self, url: str, text: str) -> str:
        return f"![{self.text(text)}]({address(url)})"

    def code_block(self, text: str, language: str) -> str:
        return f"```{language}\n{text.replace('```', f'`{GAP}``')}\n```"

    def rule(self) -> str:
        return "---"

    def grid(self, columns: Sequence[Inlines], rows: Sequence[Sequence[Inlines]]) -> str:
        def row(cells: Sequence[Inlines]) -> str:
            return "| " + " | ".join(self.cell(each) for each in cells) + " |"

        return "\n".join([row(columns), "|" + " --- |" * len(columns), *map(row, rows)])

    def cell(self, inner: Inlines) -> str:
        return self.inline(inner).replace("|", "｜").replace("\n", " ")


def address(url: str) -> str:
    """A URL that ends no link, and calls nobody."""
    return url.translate(_IN_ADDRESS)


def kinds(node: object) -> set[type]:
    """The types of all nodes within."""
    if isinstance(node, tuple):
        return set().union(*map(kinds, node))
    if not is_dataclass(node) or isinstance(node, type):
        return set()
    return {type(node)}.union(*(kinds(getattr(node, each.name)) for each in fields(node)))


def packed(blocks: Blocks, writer: Writer, most: int) -> list[str]:
    """The blocks in as few pieces of so many bytes as they need; nothing is lost, and no mark is torn if possible."""
    pieces: list[str] = []
    for text in (text for block in blocks for text in _fitting(block, writer, most)):
        joined = pieces[-1] + writer.gap + text if pieces else text
        if pieces and utf8(joined) <= most:
            pieces[-1] = joined
        else:
            pieces.append(text)
    return pieces


def _fitting(block: Block, writer: Writer, most: int) -> Iterator[str]:
    text = writer.block(block)
    if utf8(text) <= most:
        if text:
            yield text
        return
    halves = _halves(block)
    if not halves:
        yield from split(text, most, size=utf8)
    for half in halves:
        yield from _fitting(half, writer, most)


def _halves(block: Block) -> Sequence[Block]:
    """The block as two; none if it can't be divided."""
    match block:
        case CodeBlock(text, language) if "\n" in text:
            lines = text.split("\n")
            middle = len(lines) // 2
            return [CodeBlock("\n".join(part), language) for part in (lines[:middle], lines[middle:])]
        case Grid(columns, rows) if len(rows) > 1:
            middle = len(rows) // 2
            return [Grid(columns, part) for part in (rows[:middle], rows[middle:])]
        case Bullets(items, start) if len(items) > 1:
            middle = len(items) // 2
            return [Bullets(items[:middle], start), Bullets(items[middle:], None if start is None else start + middle)]
        case Quote(blocks) if len(blocks) > 1:
            middle = len(blocks) // 2
            return [Quote(blocks[:middle]), Quote(blocks[middle:])]
        case _:
            return []
