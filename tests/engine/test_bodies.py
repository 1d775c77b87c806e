"""Which part of a body is masked, and that nothing else of it changes."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.engine.bodies import mask
from hongyan.engine.word_list import Finder
from tests.engine.masks import WORDS, masked, texts

FIND = Finder(WORDS).find


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # not JSON: the whole body, as it is
        ("so bad", "so ***"),
        (r"b\u0061d, C:\bad", r"b\u0061d, C:\***"),
        ('{"_lctype":-1,"_lctext":"bad"', '{"_lctype":-1,"_lctext":"***"'),
        ('{"_lctype":-1,"_lctext":"","x":NaN,"y":"bad"}', '{"_lctype":-1,"_lctext":"","x":NaN,"y":"***"}'),
        # JSON of no type: the whole body, as it is read
        ('{"text":"b\\u0061d","bad":[1.0]}', '{"text":"***","***":[1.0]}'),
        ('["a\\/b"]', '["***"]'),
        ('{"_lctype":0,"x":"bad"}', '{"_lctype":0,"x":"***"}'),
        ('{"_lctype":"-1","x":"bad"}', '{"_lctype":"-1","x":"***"}'),
        ('{"_lctype":true,"x":"bad"}', '{"_lctype":true,"x":"***"}'),
        ('{"x":{"_lctype":-1},"y":"bad"}', '{"x":{"_lctype":-1},"y":"***"}'),
        ('{"_lctype":-1,"x":"bad","_lctype":-0.0}', '{"_lctype":-1,"x":"***","_lctype":-0.0}'),
        # typed: only `_lctext`
        ('{"_lctype":-1,"_lctext":"so bad"}', '{"_lctype":-1,"_lctext":"so ***"}'),
        (' {"_lctext" :\n"bad" , "_lctype":5,"x":"bad"} ', ' {"_lctext" :\n"***" , "_lctype":5,"x":"bad"} '),
        ('{"_lctype":-1,"_lctext":"b\\u0061d \\n"}', '{"_lctype":-1,"_lctext":"*** \\n"}'),
        ('{"_lctype":-1,"_lctext":"\\uD83D\\ude00B!"}', '{"_lctype":-1,"_lctext":"***!"}'),
        ('{"_lctype":-1,"_lctext":"say \\"no\\""}', '{"_lctype":-1,"_lctext":"***"}'),
        ('{"_lctype":-1,"_lc\\u0074ext":"bad"}', '{"_lctype":-1,"_lc\\u0074ext":"***"}'),
        ('{"\\u005flctype":-1,"_lctext":"bad","x":"bad"}', '{"\\u005flctype":-1,"_lctext":"***","x":"bad"}'),
        (
            '{"_lctext":"bad","_lctype":-1,"x":{"_lctext":"bad"},"_lctext":"Bad"}',
            '{"_lctext":"***","_lctype":-1,"x":{"_lctext":"bad"},"_lctext":"***"}',
        ),
        ('{"_lctype":-1,"_lctext":["b\\u0061d",{}]}', '{"_lctype":-1,"_lctext":"***"}'),
        ('{"_lctype":0,"_lctype":1e0,"_lctext":"bad"}', '{"_lctype":0,"_lctype":1e0,"_lctext":"***"}'),
        ('{"_lctype":-1,"_lctext":"b\\u0061d","n":' + "1" * 5_000 + "}", None),
    ],
)
def test_what_is_masked_inferred(body: str, expected: str | None) -> None:
    assert mask(body, FIND) == (expected or body.replace("b\\u0061d", "***"))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "good",
        "{}",
        " [ ] ",
        '{"_lctype":-1}',
        '{"_lctype":-1,"x":"bad"}',
        '{"_lctype":-1,"_lctext":null,"_lcattrs":{"x":"bad"}}',
        '{"_lctype":-127}',
        '{"_lctype":-1,"_lctext":"b\\\\u0061d"}',
        '{"text":"hello\\nkg"}'.replace("kg", "o"),
        '{"_lctype":-1,"_lctext":"\\ud83d"}',
    ],
)
def test_what_is_left_alone(body: str) -> None:
    assert mask(body, FIND) is None


def test_an_escape_is_no_part_of_a_word() -> None:
    find = Finder(["nba", "u0061"]).find
    assert mask('{"text":"hello\\nba \\u0061"}', find) is None


def test_depth_hides_nothing() -> None:
    depth = 10 * sys.getrecursionlimit()
    body = f'{{"x":{"[" * depth}{"]" * depth},"_lctype":-1,"_lctext":"b\\u0061d bad"}}'
    assert mask(body, FIND) == body.replace('"b\\u0061d bad"', '"*** ***"')


def escaped(draw: st.DrawFn, text: str) -> str:
    """The inside of a JSON string, with escapes wherever it may have them."""
    answer = ""
    for character in text:
        plain = json.dumps(character, ensure_ascii=False)[1:-1]
        spelled = "".join(f"\\u{unit:04x}" for unit in utf16(character))
        answer += draw(st.sampled_from([plain, plain, spelled, spelled.upper().replace("U", "u")]))
    return answer


def utf16(character: str) -> list[int]:
    raw = character.encode("utf-16-be")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


@st.composite
def typed(draw: st.DrawFn) -> tuple[str, str, str, str]:
    """A typed message as (what is before its text, the text, the text as it stands there, what is after it)."""
    space = st.sampled_from(["", " ", "\n\t"])
    members = st.sampled_from(
        ['"_lctype":-1', '"_lcattrs":{"_lctext":"bad","a":[{}]}', '"bad":1.50', '"x":"\\"_lctext\\":"', '"y":-0e3']
    )
    before, after = draw(st.lists(members, max_size=3)), draw(st.lists(members, max_size=3))
    text = draw(texts)
    name = escaped(draw, "_lctext")
    start = "{" + draw(space) + "".join(f"{member}{draw(space)}," for member in before)
    end = "".join(f",{draw(space)}{member}" for member in after) + ',"_lctype":2' + draw(space) + "}"
    return f'{start}"{name}"{draw(space)}:{draw(space)}"', text, escaped(draw, text), f'"{end}'


@given(typed())
def test_only_the_text_of_a_typed_message_changes(given: tuple[str, str, str, str]) -> None:
    start, text, spelled, end = given
    body = start + spelled + end
    assert json.loads(body)["_lctext"] == text
    done = mask(body, FIND)
    assert (done is None) == (masked(text) == text)
    if done is not None:
        assert (done[: len(start)], done[len(done) - len(end) :]) == (start, end)
        assert json.loads(f'"{done[len(start) : len(done) - len(end)]}"') == masked(text)
        assert mask(done, FIND) is None


@given(texts)
def test_a_plain_text_is_masked_as_a_whole(text: str) -> None:
    body = f"- {text}"
    done = mask(body, FIND)
    assert (body if done is None else done) == masked(body)
