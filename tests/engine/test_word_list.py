"""Word lists: which are taken, and that every word is found, however it is disguised."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.engine import bodies, word_list
from hongyan.engine.folding import fold
from hongyan.engine.word_list import CHARACTERS_MAX, WORD_MAX, WORDS_MAX, Finder, parse
from tests.engine.masks import DISGUISES, WORDS, masked, texts

FINDER = Finder(WORDS)


def test_lines_are_words() -> None:
    assert parse([" bad ", "", "坏蛋", "\t", "bad", "Bad", "two words"]) == ["bad", "坏蛋", "Bad", "two words"]
    assert parse([]) == []


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["ok", "x" * 65], "Line 2 of the word list has 65 characters; a word has at most 64."),
        (["a\x00b"], "Line 1 of the word list contains a control character."),
        (["a\x85b"], "Line 1 of the word list contains a control character."),
        (["\u200b"], "Line 1 of the word list has characters only that nobody sees."),
        (["a＊"], "Line 1 of the word list contains an asterisk, which stands for masked words."),
        (map(str, range(WORDS_MAX + 1)), "A word list has at most 100,000 words."),
        (
            (f"{number:0{WORD_MAX}}" for number in range(CHARACTERS_MAX // WORD_MAX + 1)),
            "The words of a list have at most 1,000,000 characters together.",
        ),
    ],
)
def test_mistakes(lines: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        parse(lines)


def test_the_longest_list_is_taken_and_searched() -> None:
    words = parse(map(str, range(100_000, 100_000 + WORDS_MAX)))
    assert len(words) == WORDS_MAX
    finder = Finder(words)
    assert [finder.find(word) for word in (words[0], words[-1], "99999")] == [[(0, 6)], [(0, 6)], []]


def test_every_word_of_a_list_in_several_parts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_list, "_PART_WORDS", 3)
    monkeypatch.setattr(word_list, "_PART_CHARACTERS", 7)
    finder = Finder(WORDS)
    assert all(bodies.mask(word, finder.find) == "***" for word in WORDS)


@given(texts)
def test_masking_does_what_it_should_and_nothing_else_inferred(text: str) -> None:
    expected = masked(text)
    spans = FINDER.find(text)
    assert (bodies.Traced(text, [(*span, "***") for span in spans]).text, bool(spans)) == (expected, expected != text)


@given(st.lists(st.text(st.sampled_from("ab坏"), min_size=1, max_size=5), min_size=1, max_size=6), st.data())
def test_no_word_of_any_list_is_left(words: list[str], data: st.DataObject) -> None:
    text = data.draw(st.text(st.sampled_from("aAａbBｂ坏\u200b-"), max_size=40))
    finder = Finder(words)
    left = fold(bodies.mask(text, finder.find) or text).text
    assert [word for word in words if fold(word).text in left] == []


def test_words_are_found_wherever_they_lie_in_a_long_text() -> None:
    chance = random.Random(1)
    text = "".join(chance.choices(DISGUISES, k=5_000))
    assert (bodies.mask(text, FINDER.find) or text) == masked(text)


def test_words_inside_words_without_end() -> None:
    finder = Finder("a" * length for length in range(1, WORD_MAX + 1))
    assert bodies.mask(f"b{'a' * 5_000}b", finder.find) == "b***b"


def test_kana_are_the_same_in_both_widths() -> None:
    finder = Finder(["ガキ", "ﾊﾞｶ"])
    assert bodies.mask("ｶﾞｷ・バカ・ｶｷ・ハカ", finder.find) == "***・***・ｶｷ・ハカ"
