"""The Markdown subset of messages, read once into a tree, and written again in the dialect of each platform.

What it has: headings, paragraphs, bold, italic, strike-through, code, links, pictures, quotes, lists, code blocks,
tables and rules (CommonMark with GitHub's tables and strike-through). HTML is text. Each platform's dialect is a
`Writer` of its own, beside its connector.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

#: How deep quotes and lists may stand in each other.
DEPTH_MAX = 6
_parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])


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


def parse(text: str) -> Blocks:
    return _blocks(SyntaxTreeNode(_parser.parse(text)).children, DEPTH_MAX)


def _blocks(nodes: Sequence[SyntaxTreeNode], depth: int) -> Blocks:
    return tuple(block for node in nodes for block in _block(node, depth))


def _block(node: SyntaxTreeNode, depth: int) -> Iterator[Block]:
    match node.type:
        case "paragraph":
            yield Paragraph(_inline(node))
        case "heading":
            yield Heading(int(node.tag[1:]), _inline(node))
        case "fence" | "code_block":
            yield CodeBlock(node.content.rstrip("\n"), node.info.strip().split(" ")[0])
        case "hr":
            yield Rule()
        case "blockquote" if depth:
            yield Quote(_blocks(node.children, depth - 1))
        case "bullet_list" | "ordered_list" if depth:
            start = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
            yield Bullets(tuple(_blocks(item.children, depth - 1) for item in node.children), start)
        case "table":
            head, *body = node.children
            columns = tuple(_inline(cell) for cell in head.children[0].children)
            rows = [tuple(_inline(cell) for cell in row.children) for part in body for row in part.children]
            yield Grid(columns, tuple(rows))
        case _:  # too deep: what is in it stands without it
            yield from _blocks(node.children, depth)


def _inline(node: SyntaxTreeNode) -> Inlines:
    """Of a block that has one inline node."""
    return tuple(each for child in node.children for each in _spans(child.children))


def _spans(nodes: Sequence[SyntaxTreeNode]) -> Inlines:
    return tuple(_span(node) for node in nodes if node.type != "text" or node.content)


def _span(node: SyntaxTreeNode) -> Inline:
    match node.type:
        case "strong":
            return Bold(_spans(node.children))
        case "em":
            return Italic(_spans(node.children))
        case "s":
            return Strike(_spans(node.children))
        case "code_inline":
            return Code(node.content)
        case "link":
            return LinkTo(str(node.attrs.get("href", "")), _spans(node.children))
        case "image":
            return Picture(str(node.attrs.get("src", "")), node.content)
        case "softbreak" | "hardbreak":
            return Break()
        case _:
            return Plain(node.content)


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
