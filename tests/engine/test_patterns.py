"""`$regex` as SDKs write it, and as people do."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.engine.patterns import Kind, Pattern, parse, searcher


def quote(text: str) -> str:
    r"""As the JS and Swift SDKs do it. JS replaces just the first `\E`."""
    return r"\Q" + text.replace(r"\E", r"\E\\E\Q", 1) + r"\E"


@pytest.mark.parametrize(
    ("source", "options", "expected"),
    [
        (quote("a.b"), "", Pattern(Kind.CONTAINS, "a.b")),
        (quote(r"a\Eb"), "", Pattern(Kind.CONTAINS, r"a\Eb")),
        (r"\Qa\E\\E\Qb\E", "", Pattern(Kind.CONTAINS, r"a\Eb")),
        ("^" + quote("$(x)"), "", Pattern(Kind.PREFIX, "$(x)")),
        (quote("^x") + "$", "", Pattern(Kind.SUFFIX, "^x")),
        ("^" + quote("x") + "$", "s", Pattern(Kind.EQUAL, "x")),
        (quote(""), "", Pattern(Kind.CONTAINS, "")),
        ("", "", Pattern(Kind.CONTAINS, "")),
        (r"\Qunclosed.", "", Pattern(Kind.CONTAINS, "unclosed.")),
        (r"a\E", "", Pattern(Kind.CONTAINS, "a")),
        (".*text.*", "", Pattern(Kind.CONTAINS, "text")),
        ("^text.*", "", Pattern(Kind.PREFIX, "text")),
        (".*text$", "", Pattern(Kind.SUFFIX, "text")),
        (".*", "", Pattern(Kind.CONTAINS, "")),
        (r"a\.b\/\u4e00", "", Pattern(Kind.CONTAINS, "a.b/一")),
        ("Red", "i", Pattern(Kind.CONTAINS, "Red", fold=True)),
        ("a b # words", "x", Pattern(Kind.CONTAINS, "ab")),
        (r"a\ b\Q #\E", "x", Pattern(Kind.CONTAINS, "a b #")),
    ],
)
def test_plain_texts_need_no_regex_engine(source: str, options: str, expected: Pattern) -> None:
    assert parse(source, options) == expected


@pytest.mark.parametrize(
    ("source", "options", "matching", "other"),
    [
        ("^text$", "m", "a\ntext\nb", "a text"),
        ("É", "i", "é", "e"),
        ("a.b", "s", "a\nb", "ab"),
        ("a.b", "", "a-b", "a\nb"),
        ("^.*b", "", "ab", "a\nb"),
        (r"\d{2,3}", "", "123", "1a2"),
        (r"(?:a|b)-(?P<name>c)", "", "b-c", "bc"),
        (r"(?<name>c)+(?i)d", "", "cD", "CD"),
        (r"\Qa.\E+", "", "a..", "ab"),
        (r"[\Q]^\E-]x", "", "^x", "ax"),
        (r"[\u4e00-\u9fa5]", "", "名", "é"),
        (r"[[:digit:]\]]$", "", "]", "a"),
        (r"[]a]", "", "]", "b"),
        (r"[^\/\-]", "", "a", "/-"),
        (r"\p{Han}\x{61}", "", "名a", "aa"),
        (r"[a b]#", "x", " ", "c"),
        (r"a\Z|^b", "", "a\n", "a\n\n"),
        ("x$|y", "", "ax", "x\n"),
        (r"\Q|\E|b", "", "|", "a"),
    ],
)
def test_other_patterns_are_for_the_regex_engine(source: str, options: str, matching: str, other: str) -> None:
    pattern = parse(source, options)
    assert pattern.kind is Kind.REGEX
    search = searcher(pattern.text)
    assert search(matching.encode())
    assert not search(other.encode())


@pytest.mark.parametrize(
    "source",
    [
        "(",
        "[a",
        "a**",
        "*a|",
        "(?=a)b",
        "(?!a)b",
        r"(a)\1",
        "a{1001}",
        "(a{100}){100}",
        r"\ud800",
        "a\\",
        "x" * 1001,
        "[[:[:" * 200,
        "[" * 1000,
        r"[\Qa\E" * 100,
        "(" * 1000,
        r"(\pL{100}){10}",
    ],
    ids=lambda source: source[:20],
)
def test_what_the_engine_cannot_do_is_refused(source: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        parse(source)
    assert str(refusal.value)


def test_catastrophic_patterns_end() -> None:
    for source in ("(a|aa)+$", "(x+x+)+y", r"(\w+\s?)+!", "(a?){30}a{30}b", "((a*)*)*b", "a.*b.*c.*d|(.*)+e"):
        assert not searcher(parse(source).text)(("a" * 20_000 + "-").encode())


@given(st.text(), st.text())
def test_a_quoted_text_is_itself(text: str, around: str) -> None:
    if text.count("\\E") < 2 and not text.endswith("\\"):
        assert parse("^" + quote(text)[:900]).kind is Kind.PREFIX
        assert parse(quote(text)) == Pattern(Kind.CONTAINS, text)


@given(st.text(alphabet=r"ab\QE.*^$[](|)+?{}d1-, #:", max_size=12), st.text(alphabet="ab.\n1-", max_size=8))
def test_patterns_mean_what_they_mean_in_python(source: str, text: str) -> None:
    """Where both engines take the source, which is to say the same to both."""
    if re.search(r"\\[QE]|\[:|\$|[*+?}]\+|\[\[|--|&&|\|\||~~", source):
        return
    with contextlib.suppress(ValueError, re.error):
        pattern = parse(source)
        expected = bool(re.search(source, text, re.ASCII))
        assert _search(pattern, text) == expected


def _search(pattern: Pattern, text: str) -> bool:
    match pattern.kind:
        case Kind.EQUAL:
            return text == pattern.text
        case Kind.PREFIX:
            return text.startswith(pattern.text)
        case Kind.SUFFIX:
            return text.endswith(pattern.text)
        case Kind.CONTAINS:
            return pattern.text in text
        case Kind.REGEX:
            return searcher(pattern.text)(text.encode())
