"""Ids and times as clients see them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.engine.values import iso_time, message_id_time, new_message_id, new_object_id

TIMES = st.integers(0, (1 << 48) - 1)


@given(TIMES)
def test_a_message_id_tells_its_time(time: int) -> None:
    made = new_message_id(time)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", made)
    assert message_id_time(made) == time


def test_message_ids_of_one_moment_differ() -> None:
    assert len({new_message_id(1_800_000_000_000) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("text", ["", "x", "x" * 21, "x" * 23, "!" * 22, "日" * 22, "AAAA AAAAAAAAAAAAAAAAA"])
def test_what_is_no_message_id_has_no_time(text: str) -> None:
    assert message_id_time(text) is None


@given(st.text(max_size=30))
def test_any_text_has_a_time_or_none(text: str) -> None:
    found = message_id_time(text)
    assert found is None or 0 <= found < 1 << 48


def test_object_ids() -> None:
    ids = {new_object_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9a-f]{24}", each) for each in ids)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000_007, "2027-01-15T08:00:00.007Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_have_milliseconds_and_a_z(time: int, text: str) -> None:
    assert iso_time(time) == text
