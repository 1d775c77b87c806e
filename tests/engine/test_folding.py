"""Folding: width and case are put aside, and each part of a folded text is found again in the original."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.engine import folding
from hongyan.engine.folding import Traced, fold

#: Ordinary ones, wide and narrow ones, and those that become none or several characters.
ODD = "aBß坏，ＡｂﬁİĲ㎏ﷺ½ｱｶﾊ\u3000\u200b\u00ad\ufffe😀\u3099ﾞﾟ"
odd_texts = st.text(st.sampled_from(ODD) | st.characters(), max_size=30)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Bad", "bad"),
        ("ＢａＤ！", "bad!"),
        ("坏，蛋", "坏,蛋"),
        ("ｶﾞﾊﾟｱﾞ", "ガパア\u3099"),
        ("ﾞｶﾞﾞ", "\u3099ガ\u3099"),
        ("Straße ﬁ", "strasse fi"),
        ("a\u200bb\u00adc", "abc"),
        ("\u3000", " "),
        ("\ud83d", "\ufffd"),
        ("\ufffe", "\ufffe"),
        ("", ""),
    ],
)
def test_what_texts_become(text: str, folded: str) -> None:
    assert fold(text).text == folded


@given(odd_texts)
def test_each_folded_character_comes_from_a_part_of_the_text(text: str) -> None:
    traced = fold(text)
    spans = [traced.origin((at, at + 1)) for at in range(len(traced.text))]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    for one, next_ in itertools.pairwise(spans):
        assert one == next_ or one[1] <= next_[0]
    if spans:
        assert traced.origin((0, len(traced.text))) == (spans[0][0], spans[-1][1])


@given(odd_texts)
def test_what_a_character_comes_from_becomes_that_character(text: str) -> None:
    traced = fold(text)
    for at, character in enumerate(traced.text):
        start, end = traced.origin((at, at + 1))
        assert character in fold(text[start:end]).text


def test_characters_beyond_those_remembered_are_folded_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "ÀÉÎÕÜ坏蛋Ａ"
    expected = fold(text).text
    monkeypatch.setattr(folding, "_REMEMBERED_MAX", 2)
    monkeypatch.setattr(folding, "_folds", folding._Folds())
    assert fold(text).text == expected
    assert len(folding._folds) <= 2


def test_a_text_without_pieces_is_the_text() -> None:
    traced = Traced("as it is", ())
    assert (traced.text, traced.origin((3, 5))) == ("as it is", (3, 5))
