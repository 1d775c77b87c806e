"""The Markdown subset of messages, read once into a tree, and written again in the dialect of each platform.

What it has: headings, paragraphs, bold, italic, strike-through, code, links, pictures, quotes, lists, code blocks,
tables and rules (CommonMark with GitHub's tables and strike-through). HTML and references (`[a]: …`) are text. Each
platform's dialect is a `Writer` of its own, beside its connector.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

T = TypeVar("T")
#: How deep quotes and lists may stand in each other, and marks within a line.
DEPTH_MAX, SPANS_MAX = 6, 10
#: Levels of blocks as the parser counts them (two for a list). It leaves out what is below its own limit.
_LEVELS, _LEVELS_MAX = 14, 20


def _too_deep(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A rule of the parser: what is too deep is a paragraph, whatever marks it has."""
    if state.level < _LEVELS:
        return False
    if not silent:
        state.push("paragraph_open", "p", 1)
        inner = state.push("inline", "", 0)
        inner.content = state.getLines(start, end, state.blkIndent, False).strip()
        inner.children = []
        state.push("paragraph_close", "p", -1)
        state.line = end
    return True


_parser = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": _LEVELS_MAX})
    .enable(["table", "strikethrough"])
    .disable("reference")  # a definition would be lost if nothing refers to it
)
_parser.block.ruler.before("table", "too_deep", _too_deep)


@dataclass(frozen=True, slots=True)
class Plain:
    text: str


@dataclass(frozen=True, slots=True)
class Bold:
    inner: "Inlines"


@dataclass(frozen=True, slots=True)
class Italic:
    inner: "Inlines"


@dataclass(frozen=True, slots=True)
class Strike:
    inner: "Inlines"


@dataclass(frozen=True, slots=True)
class Code:
    text: str


@dataclass(frozen=True, slots=True)
class LinkTo:
    url: str
    inner: "Inlines"


@dataclass(frozen=True, slots=True)
class Picture:
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Break:
    """The end of a line within a paragraph."""


Inline = Plain | Bold | Italic | Strike | Code | LinkTo | Picture | Break
Inlines = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    inner: Inlines


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    inner: Inlines


@dataclass(frozen=True, slots=True)
class Quote:
    blocks: "Blocks"


@dataclass(frozen=True, slots=True)
class Bullets:
    """`start` is the number of the first item of an ordered list, None for an unordered one."""

    items: "tuple[Blocks, ...]"
    start: int | None


@dataclass(frozen=True, slots=True)
class CodeBlock:
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; every row has as many cells as there are columns."""

    columns: tuple[Inlines, ...]
    rows: tuple[tuple[Inlines, ...], ...]


Block = Paragraph | Heading | Quote | Bullets | CodeBlock | Rule | Grid
Blocks = tuple[Block, ...]


#: A text of more characters takes so long that it is parsed in a thread; and how many of them are kept.
LONG, KEPT = 500, 16


def parse(text: str) -> Blocks:
    return _kept(text) if len(text) > LONG else _parsed(text)


async def ahead(text: str) -> None:
    """Parse a long text in a thread, so that `parse` has it: 40,000 characters keep everybody waiting for a second."""
    if len(text) > LONG:
        await asyncio.to_thread(_kept, text)


async def aside(text: str, work: Callable[..., T], *given: Any) -> T:
    """Do what takes as long as its text is: in a thread if that is long."""
    return await asyncio.to_thread(work, *given) if len(text) > LONG else work(*given)


@lru_cache(KEPT)
def _kept(text: str) -> Blocks:
    return _parsed(text)


def _parsed(text: str) -> Blocks:
    try:
        tokens = _parser.parse(text)
    except RecursionError:  # pictures within pictures, and so on
        return (Paragraph((Plain(text),)),)
    return _blocks(iter(tokens), DEPTH_MAX)


def _blocks(tokens: Iterator[Token], depth: int) -> Blocks:
    """What comes until the end of the block that holds them."""
    blocks: list[Block] = []
    for token in tokens:
        if token.nesting < 0:
            break
        blocks += _block(token, tokens, depth)
    return tuple(blocks)


def _block(token: Token, tokens: Iterator[Token], depth: int) -> Iterator[Block]:
    """`tokens` are those after it; what is too deep stands without what holds it."""
    match token.type:
        case "paragraph_open":
            yield Paragraph(_only(tokens))
        case "heading_open":
            yield Heading(int(token.tag[1:]), _only(tokens))
        case "fence" | "code_block":
            yield CodeBlock(token.content.rstrip("\n"), token.info.strip().split(" ")[0])
        case "hr":
            yield Rule()
        case "blockquote_open":
            blocks = _blocks(tokens, max(0, depth - 1))
            yield from (Quote(blocks),) if depth else blocks
        case "bullet_list_open" | "ordered_list_open":
            start = int(token.attrs.get("start", 1)) if token.type == "ordered_list_open" else None
            items = tuple(_items(tokens, max(0, depth - 1)))
            yield from (Bullets(items, start),) if depth else (block for item in items for block in item)
        case "table_open":
            columns, *rows = _rows(tokens)
            yield Grid(columns, tuple(rows))
        case _:
            raise AssertionError(token.type)


def _only(tokens: Iterator[Token]) -> Inlines:
    """What is in a block that holds one inline token, which is read to its end."""
    inner = _inline(next(tokens))
    next(tokens)
    return inner


def _items(tokens: Iterator[Token], depth: int) -> Iterator[Blocks]:
    """Of a list."""
    while next(tokens).nesting > 0:
        yield _blocks(tokens, depth)


def _rows(tokens: Iterator[Token]) -> list[tuple[Inlines, ...]]:
    """Of a table; the first one has the names of the columns."""
    rows: list[list[Inlines]] = []
    for token in tokens:
        match token.type:
            case "tr_open":
                rows.append([])
            case "inline":
                rows[-1].append(_inline(token))
            case "table_close":
                break
    return [tuple(row) for row in rows]


def _inline(token: Token) -> Inlines:
    return _spans(iter(_shallow(token.children or ())))


def _shallow(tokens: Sequence[Token]) -> Iterator[Token]:
    """Without marks that stand too deep in others; their text stays."""
    depth = 0
    for token in tokens:
        depth += min(token.nesting, 0)
        if not token.nesting or depth < SPANS_MAX:
            yield token
        depth += max(token.nesting, 0)


def _spans(tokens: Iterator[Token]) -> Inlines:
    """What comes until the end of the mark that holds them."""
    spans: list[Inline] = []
    for token in tokens:
        if token.nesting < 0:
            break
        if token.type != "text" or token.content:
            spans.append(_span(token, tokens))
    return tuple(spans)


def _span(token: Token, tokens: Iterator[Token]) -> Inline:
    match token.type:
        case "strong_open":
            return Bold(_spans(tokens))
        case "em_open":
            return Italic(_spans(tokens))
        case "s_open":
            return Strike(_spans(tokens))
        case "code_inline":
            return Code(token.content)
        case "link_open":
            return LinkTo(str(token.attrs.get("href", "")), _spans(tokens))
        case "image":
            return Picture(str(token.attrs.get("src", "")), plain(_inline(token)))
        case "softbreak" | "hardbreak":
            return Break()
        case _:
            return Plain(token.content)


def plain(inner: Inlines) -> str:
    """The text of inline nodes without marks."""
    return "".join(_plain(each) for each in inner)


def _plain(node: Inline) -> str:
    match node:
        case Plain(text) | Code(text):
            return text
        case Bold(inner) | Italic(inner) | Strike(inner) | LinkTo(_, inner):
            return plain(inner)
        case Picture(_, text):
            return text
        case Break():
            return "\n"


class Writer:
    """Writes a tree as text; this one as plain text, in which addresses stand in brackets.

    A dialect overrides what it has marks for. `used` collects the rules of `hub.degrade` that were needed.
    """

    #: Between blocks.
    gap = "\n\n"

    def __init__(self) -> None:
        self.used: set[str] = set()

    def write(self, blocks: Blocks) -> str:
        return self.gap.join(filter(None, (self.block(each) for each in blocks)))

    def block(self, block: Block) -> str:
        match block:
            case Paragraph(inner):
                return self.inline(inner)
            case Heading(level, inner):
                return self.heading(level, inner)
            case Quote(blocks):
                return self.quote(blocks)
            case Bullets(items, start):
                return self.bullets(items, start)
            case CodeBlock(text, language):
                return self.code_block(text, language)
            case Rule():
                return self.rule()
            case Grid(columns, rows):
                return self.grid(columns, rows)

    def inline(self, inner: Inlines) -> str:
        return "".join(self.span(each) for each in inner)

    def span(self, node: Inline) -> str:
        match node:
            case Plain(text):
                return self.text(text)
            case Bold(inner):
                return self.bold(inner)
            case Italic(inner):
                return self.italic(inner)
            case Strike(inner):
                return self.strike(inner)
            case Code(text):
                return self.code(text)
            case LinkTo(url, inner):
                return self.link(url, inner)
            case Picture(url, text):
                return self.picture(url, text)
            case Break():
                return self.line_break()

    # what a dialect may override

    def text(self, text: str) -> str:
        return text

    def line_break(self) -> str:
        return "\n"

    def bold(self, inner: Inlines) -> str:
        return self.inline(inner)

    def italic(self, inner: Inlines) -> str:
        return self.inline(inner)

    def strike(self, inner: Inlines) -> str:
        return self.inline(inner)

    def code(self, text: str) -> str:
        return text

    def link(self, url: str, inner: Inlines) -> str:
        text = self.inline(inner)
        return text if text == url else f"{text} ({url})"

    def picture(self, url: str, text: str) -> str:
        return f"{text} ({url})" if text else url

    def heading(self, level: int, inner: Inlines) -> str:
        return self.inline(inner)

    def quote(self, blocks: Blocks) -> str:
        return "\n".join(f"> {line}" if line else ">" for line in self.write(blocks).split("\n"))

    def bullets(self, items: Sequence[Blocks], start: int | None) -> str:
        lines = []
        for number, item in enumerate(items, start or 0):
            mark = self.bullet() if start is None else f"{number}. "
            first, *rest = self.item(item).split("\n")
            lines += [mark + first, *(" " * len(mark) + line if line else "" for line in rest)]
        return "\n".join(lines)

    def bullet(self) -> str:
        return "- "

    def item(self, blocks: Blocks) -> str:
        return "\n".join(filter(None, (self.block(each) for each in blocks)))

    def code_block(self, text: str, language: str) -> str:
        return text

    def rule(self) -> str:
        return "———"

    def grid(self, columns: Sequence[Inlines], rows: Sequence[Sequence[Inlines]]) -> str:
        """`name: value` lines, a row after the other."""
        self.used.add("table_to_lines")
        heads = [self.inline(each) for each in columns]
        return "\n\n".join(
            "\n".join(f"{head}: {self.inline(cell)}" for head, cell in zip(heads, row, strict=True)) for row in rows
        )
