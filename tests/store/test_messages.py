"""Keeping messages and reading history, compared with a list."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hongyan.engine.values import HistoryRange, Message, new_message_id
from hongyan.store import Store, database, hot, versions
from tests.store.steps import on_driver, send, start

INSERT = "INSERT INTO message (conversation, timestamp, seq, id, sender, body) VALUES (?, ?, ?, ?, 'ann', x'00')"


@dataclass(frozen=True)
class Kept:
    """A message as history orders it."""

    timestamp: int
    seq: int
    id: str


class History:
    """A conversation filled row by row, as an import would, so that times may be equal."""

    def __init__(self, driver: Any, conversation: int, times: list[int]) -> None:
        self.driver = driver
        self.conversation = conversation
        self.kept = [Kept(time, seq, new_message_id(time)) for seq, time in enumerate(sorted(times), 1)]
        driver.executemany(INSERT, [(conversation, each.timestamp, each.seq, each.id) for each in self.kept])

    def page(self, wanted: HistoryRange) -> list[Kept]:
        found = hot.page(self.driver, self.conversation, wanted)
        return [Kept(message.timestamp, message.seq, message.id) for message in found]

    def expected(self, wanted: HistoryRange) -> list[Kept]:
        """The reference's words (3.20) over a list."""
        later, earlier = (wanted.start, wanted.end) if wanted.newer else (wanted.end, wanted.start)
        later_id, earlier_id = (wanted.start_id, wanted.end_id) if wanted.newer else (wanted.end_id, wanted.start_id)
        later_in, earlier_in = wanted.start_included, wanted.end_included
        if not wanted.newer:
            later_in, earlier_in = earlier_in, later_in
        found = [
            each
            for each in self.kept
            if self._compare(each, later, later_id) >= (0 if later_in else 1)
            and self._compare(each, earlier, earlier_id, default=-1) <= (0 if earlier_in else -1)
        ]
        return found[: wanted.limit] if wanted.newer else found[max(0, len(found) - wanted.limit) :]

    def _compare(self, message: Kept, time: int | None, id: str, default: int = 1) -> int:
        """Whether the message is before (-1), at (0) or after (1) the bound."""
        if time is None:
            return default
        named = [each for each in self.kept if (each.timestamp, each.id) == (time, id)]
        here, there = (message.timestamp, message.seq), (time, named[0].seq if named else message.seq)
        return (here > there) - (here < there)


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Makes a fresh history from a list of times."""
    path = tmp_path_factory.mktemp("history") / "hongyan.db"
    versions.migrate(path)
    driver = database.connect(path)
    driver.execute("BEGIN")
    numbers = itertools.count(1)
    yield lambda times: History(driver, next(numbers), times)
    driver.execute("ROLLBACK")
    driver.close()


TIMES = st.integers(1000, 1006)
BOUND = st.none() | TIMES
# an index into the history, or beyond it: an id that is nowhere
ID = st.none() | st.integers(0, 14)


@given(
    times=st.lists(TIMES, max_size=12),
    start=BOUND,
    end=BOUND,
    ids=st.tuples(ID, ID),
    included=st.tuples(st.booleans(), st.booleans()),
    newer=st.booleans(),
    limit=st.integers(1, 13),
    exact=st.booleans(),
)
def test_a_page_is_what_the_words_say(
    histories: Any,
    times: list[int],
    start: int | None,
    end: int | None,
    ids: tuple[int | None, int | None],
    included: tuple[bool, bool],
    newer: bool,
    limit: int,
    exact: bool,
) -> None:
    history = histories(times)

    def named(number: int | None) -> str:
        return "" if number is None else history.kept[number].id if number < len(history.kept) else new_message_id(1003)

    wanted = HistoryRange(limit, newer, start, named(ids[0]), included[0], end, named(ids[1]), included[1])
    if exact and ids[0] is not None and ids[0] < len(history.kept):  # the id at its own time, as clients send it
        wanted = replace(wanted, start=history.kept[ids[0]].timestamp)
    assert history.page(wanted) == history.expected(wanted)


@given(times=st.lists(TIMES, max_size=30), limit=st.integers(1, 7), newer=st.booleans())
@example(times=[1003] * 30, limit=3, newer=False)
def test_page_by_page_each_message_comes_once(histories: Any, times: list[int], limit: int, newer: bool) -> None:
    """However many share a millisecond: the next page begins at (time, id) of the last message of this one."""
    history = histories(times)
    found: list[Kept] = []
    wanted = HistoryRange(limit, newer)
    while page := history.page(wanted):
        assert len(page) == limit or len(found) + len(page) == len(history.kept)
        found = found + page if newer else page + found
        end = page[-1] if newer else page[0]
        wanted = replace(wanted, start=end.timestamp, start_id=end.id)
    assert found == history.kept


def test_an_id_without_a_time_bounds_nothing(histories: Any) -> None:
    history = histories([1000, 1001])
    assert history.page(HistoryRange(10, start_id=history.kept[1].id, end_id=history.kept[0].id)) == history.kept


def test_an_id_of_another_conversation_stands_for_its_time(histories: Any) -> None:
    history, other = histories([1000, 1001, 1001]), histories([1001])
    wanted = HistoryRange(10, start=1001, start_id=other.kept[0].id)
    assert history.page(wanted) == history.kept[:1]
    assert history.page(replace(wanted, start_included=True)) == history.kept


CONTENTS = {
    "text": "plain",
    "typed": '{"_lctype":-1,"_lctext":"hi"}',
    "float": '{"_lctype":-1.0}',
    "other": '{"_lctype":-2}',
    "name": '{"_lctype":"-1"}',
    "deep": '{"a":{"_lctype":-1}}',
    "list": '[{"_lctype":-1}]',
    "number": "-1",
    "broken": '{"_lctype":-1',
    "binary": b'{"_lctype":-1}',
    "empty": "",
    "nested": '{"_lctype":-1,"x":' + "[" * 5000 + "]" * 5000 + "}",
}


async def test_by_type(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    for content in CONTENTS.values():
        await send(store, conversation, "ann", content)
    found = await store.messages.page(conversation, HistoryRange(100, lctype=-1))
    assert [message.content for message in found] == [CONTENTS["typed"], CONTENTS["float"]]
    assert [m.content for m in await store.messages.page(conversation, HistoryRange(1, lctype=-1))] == [
        CONTENTS["float"]
    ]
    assert await store.messages.page(conversation, HistoryRange(100, lctype=7)) == []


@pytest.mark.parametrize("content", ["", "日本 🪿", "nul \x00 inside", "x" * 61_440, b"", b"\x00\xff" * 100, b"text"])
async def test_content_comes_back_as_it_went(store: Store, content: str | bytes) -> None:
    conversation = await start(store, "ann", "bob")
    place = await send(store, conversation, "bob", content)
    (message,) = await store.messages.page(conversation, HistoryRange(10))
    assert (message.id, message.seq, message.timestamp) == (place.id, place.seq, place.timestamp)
    assert (message.sender, message.content, message.patched_at) == ("bob", content, None)


@pytest.mark.parametrize("flag", ["receipt", "mention_all"])
async def test_flags_come_back(store: Store, flag: str) -> None:
    conversation = await start(store, "ann", "bob")
    for draft in ({}, {flag: True}, {"mentions": ("bob", "日本")}):
        await send(store, conversation, "ann", **draft)
    found: list[Message] = await store.messages.page(conversation, HistoryRange(10))
    assert [getattr(message, flag) for message in found] == [False, True, False]
    assert [message.mentions for message in found] == [(), (), ("bob", "日本")]


async def test_no_messages(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    assert await store.messages.page(conversation, HistoryRange(10)) == []
    await send(store, conversation, "ann")
    assert await store.messages.page(conversation, HistoryRange(0)) == []


@pytest.mark.parametrize("newer", [True, False])
async def test_a_page_is_found_by_the_index(store: Store, newer: bool) -> None:
    """SQLite's plan neither scans nor sorts."""
    statements: list[str] = []

    def plan(driver: Any) -> list[str]:
        driver.set_trace_callback(statements.append)
        hot.page(driver, 1, HistoryRange(20, newer, 1, "x" * 22, False, 2, "y" * 22))
        return [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall()]

    steps = await on_driver(store, plan)
    assert steps[0].startswith("SEARCH message USING INDEX")
    assert [step for step in steps if "SCAN " in step or "TEMP B-TREE" in step] == []
