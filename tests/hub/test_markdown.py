"""Markdown: any text is read into a tree of bounded depth, and written again without losing its words."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hongyan.hub import markdown
from hongyan.hub.degrade import address, escape, link, picture
from hongyan.hub.markdown import (
    DEPTH_MAX,
    SPANS_MAX,
    Bold,
    Break,
    Bullets,
    Code,
    CodeBlock,
    Grid,
    Heading,
    Italic,
    LinkTo,
    Paragraph,
    Picture,
    Plain,
    Quote,
    Rule,
    Strike,
    Writer,
    parse,
    plain,
)

X = "https://x.example/"
#: Texts of marks, as nobody would write them.
MARKS = st.text(alphabet="*_~`[]()!<>#-+=:|&;\\/ \t\n\r1a.中\u00a0\u200b😀", max_size=200)
#: Texts without what Markdown takes for the end of a line, or has no place for.
PLAIN = st.text(
    alphabet=st.one_of(
        st.sampled_from("*_~`[]()!<>#-+=:|&;\\/ \t\n1a.中amp"),
        st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"], include_characters=" \n\t"),
    ),
    max_size=200,
)


def words(text: str) -> str:
    """A text as Markdown keeps it: no blank lines, no white space at the ends of lines, nor one blank before them."""
    lines = [line.rstrip() for line in text.rstrip().split("\n")]
    lines = [line[1:] if line[:1] == " " and line[1:2] not in (" ", "\t") else line for line in lines]
    return "\n".join(line for line in lines if line)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", ()),
        ("one\ntwo", (Paragraph((Plain("one"), Break(), Plain("two"))),)),
        ("one\n\ntwo", (Paragraph((Plain("one"),)), Paragraph((Plain("two"),)))),
        ("## a *b*", (Heading(2, (Plain("a "), Italic((Plain("b"),)))),)),
        ("**a**~~b~~`c*`", (Paragraph((Bold((Plain("a"),)), Strike((Plain("b"),)), Code("c*"))),)),
        (f"[a **b**]({X})", (Paragraph((LinkTo(X, (Plain("a "), Bold((Plain("b"),)))),)),)),
        (f"![a \\* b]({X})", (Paragraph((Picture(X, "a * b"),)),)),
        ("> a\n> - b", (Quote((Paragraph((Plain("a"),)), Bullets(((Paragraph((Plain("b"),)),),), None))),)),
        ("3. a\n4. b", (Bullets(((Paragraph((Plain("a"),)),), (Paragraph((Plain("b"),)),)), 3),)),
        ("0. a", (Bullets(((Paragraph((Plain("a"),)),),), 0),)),
        ("-", (Bullets(((),), None),)),
        ("```py x\na\n\nb\n```", (CodeBlock("a\n\nb", "py"),)),
        ("    a", (CodeBlock("a", ""),)),
        ("---", (Rule(),)),
        ("|a|b|\n|-|-|\n|*c*|", (Grid(((Plain("a"),), (Plain("b"),)), (((Italic((Plain("c"),)),), ()),)),)),
        ("<b>a</b>", (Paragraph((Plain("<b>a</b>"),)),)),
        ("[a]: /b\n[a]", (Paragraph((Plain("[a]: /b"), Break(), Plain("[a]"))),)),
        ("[a](javascript:b)", (Paragraph((Plain("[a](javascript:b)"),)),)),
    ],
)  # fmt: skip
def test_the_tree(text: str, tree: markdown.Blocks) -> None:
    assert parse(text) == tree


def test_as_plain_text() -> None:
    text = f"# A\n\n**b** [c]({X}) [{X}]({X}) ![d]({X}) ![]({X})\n\n> q\n>\n> r\n\n"
    text += "1. one\n   - two\n2. three\n\n```\nx\n```\n\n---"
    assert Writer().write(parse(text)) == (
        f"A\n\nb c ({X}) {X} d ({X}) {X}\n\n> q\n>\n> r\n\n1. one\n   - two\n2. three\n\nx\n\n———"
    )


def test_a_table_as_plain_text_says_by_which_rule() -> None:
    writer = Writer()
    assert writer.write(parse("|a|b|\n|-|-|\n|1|2|\n|3|4|")) == "a: 1\nb: 2\n\na: 3\nb: 4"
    assert writer.used == {"table_to_lines"}


def depth(node: Any) -> int:
    """How deep quotes and lists stand in a tree, and marks in a line."""
    match node:
        case Quote(inner):
            return 1 + depth(inner)
        case Bullets(items, _):
            return 1 + depth(items)
        case Bold(inner) | Italic(inner) | Strike(inner) | LinkTo(_, inner):
            return 1 + depth(inner)
        case Paragraph(inner) | Heading(_, inner):
            return depth(inner)
        case tuple():
            return max(map(depth, node), default=0)
        case _:
            return 0


@given(st.one_of(st.text(), MARKS))
@example("*a " * 30 + "a*" * 30)
@example("> " * 30 + "a")
def test_any_text_is_read_and_written(text: str) -> None:
    tree = parse(text)
    assert depth(tree) <= DEPTH_MAX + SPANS_MAX
    Writer().write(tree)


@given(PLAIN)
@example("    four spaces")
@example("\ttab")
@example("a\n    b")
@example("1. a\n2) b")
@example("a | b\n:--")
@example("a\n===\n---")
@example("&copy; &#65; AT&T")
@example("[a]: b")
@example("\\\\a\\")
@example("```\na")
@example("# a\n+ b\n- c")
@example("a\n\n    b")
def test_plain_text_survives_as_markdown(text: str) -> None:
    written = Writer().write(parse(escape(text)))
    assert words(written) == words(text)


@given(PLAIN.filter(str.strip), st.text(alphabet="ab()[]<>\\&;=?#*_|/~`!", max_size=40))
def test_a_link_keeps_its_text_and_address(text: str, rest: str) -> None:
    text = " ".join(text.split())
    (paragraph,) = parse(link(text, X + rest))
    assert isinstance(paragraph, Paragraph)
    (only,) = paragraph.inner
    assert isinstance(only, LinkTo)
    assert plain(only.inner) == text
    (again,) = parse(link(text, only.url))
    assert again == paragraph  # the parser has only written what no URL has as per cents


@pytest.mark.parametrize("url", [X + "a_(b)", X + "?a=1&copy;=2&b=*_~", X + "%28%29", X + "a|b"])
def test_addresses_with_marks(url: str) -> None:
    assert parse(picture("a", url)) == (Paragraph((Picture(markdown_url(url), "a"),)),)
    assert address(X) == X


def markdown_url(url: str) -> str:
    return url.replace("|", "%7C")


N = 20_000
BOMBS = {
    "quotes": "> " * N + "end",
    "lists": "- " * N + "end",
    "both": "> 1. " * N + "end",
    "staircase": "\n".join("  " * i + "- a" for i in range(250)) + "end",
    "emphasis": "*a " * N + "a*" * N + "end",
    "unclosed": "**a" * N + "end",
    "brackets": "[" * N + "end",
    "pictures": "![" * 5_000 + "a" + "](u)" * 5_000 + "end",
    "links": "[a](" * N + "end",
    "ticks": "".join("`" * n + " " for n in range(200)) + "end",
    "columns": "|a" * 3_000 + "|\n" + "|-" * 3_000 + "|\nend",
    "entities": "&" * N + "end",
    "escapes": "\\" * N + "end",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_end_and_lose_nothing(bomb: str) -> None:
    """The limit of every test, two minutes, is thousands of times what each takes."""
    text = BOMBS[bomb][-40_000:]
    tree = parse(text)
    assert depth(tree) <= DEPTH_MAX + SPANS_MAX
    assert "end" in Writer().write(tree)
