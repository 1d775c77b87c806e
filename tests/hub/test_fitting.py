"""Texts that are cut or split fit, whatever is counted."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hongyan.hub.fitting import cut, split, utf8

SIZES: list[Callable[[str], int]] = [len, utf8]
TEXTS = st.one_of(st.text(max_size=60), st.text(alphabet="a中\n 👩\u200d💻🇨🇳🏽\u0301\ufe0f", max_size=60))


@given(TEXTS, st.integers(0, 80), st.sampled_from(SIZES))
def test_what_is_cut_fits_and_is_the_beginning(text: str, most: int, size: Callable[[str], int]) -> None:
    kept = cut(text, most, size=size)
    assert size(kept) <= most
    if size(text) <= most:
        assert kept == text
    elif kept:
        assert kept.endswith("…")
        assert text.startswith(kept[:-1])


@given(TEXTS, st.integers(4, 80), st.sampled_from(SIZES))
@example("\n" * 20, 4, len)
@example(" " * 20, 4, len)
def test_pieces_fit_and_lose_nothing_but_white_space(text: str, most: int, size: Callable[[str], int]) -> None:
    pieces = split(text, most, size=size)
    assert all(size(piece) <= most and piece.strip() for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    if text.strip() and size(text) <= most:
        assert pieces == [text]


@given(TEXTS, st.integers(0, 3))
def test_splitting_ends_however_little_fits(text: str, most: int) -> None:
    assert "".join("".join(split(text, most, size=utf8)).split()) == "".join(text.split())


@pytest.mark.parametrize("one", ["👩\u200d👩\u200d👧", "🇨🇳", "👍🏽", "❤️", "e\u0301", "1️⃣"])
def test_what_is_seen_as_one_stays_together(one: str) -> None:
    text = "ab" + one + one + "cd"
    for size in SIZES:
        for most in range(size("ab" + one), size(text)):
            kept = cut(text, most, size=size)
            assert kept.rstrip("…") in ("", "a", "ab", "ab" + one, "ab" + one + one, "ab" + one + one + "c")
            assert all(piece.replace(one, "").isascii() for piece in split(text, most, size=size))


def test_lines_stay_whole_if_an_end_is_near() -> None:
    assert cut("first line\nsecond", 13) == "first line…"
    assert cut("a\nsecond line", 10) == "a\nsecond…"
    assert split("first line\nsecond line", 13) == ["first line", "second line"]
    assert split("a\nsecond line", 10) == ["a\nsecond l", "ine"]
