"""How far a client has read: moving the mark, and what of its own is left unread behind it."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from hongyan.engine.values import Receipts
from hongyan.store import hot, receipts
from hongyan.store.ack_state import Place
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

#: Messages that the writer looks at for one read mark.
COUNTED_MAX = 10_000


class Passed(NamedTuple):
    """The messages that a read mark of the client passes: so many up to the time `upto`, of later seqs than `after`.

    Whose they are never changes, so they may be counted at any time.
    """

    conversation: int
    upto: int
    messages: int
    after: int
    client: str


Result = TypeVar("Result")
#: How many of these messages are the client's own.
Counted = Mapping[Passed, int]


def write_counting(
    writer: Writer,
    reader: Reader,
    change: Callable[[sa.Connection, Counted], Result | Passed],
    committed: Callable[[Result], None],
    *touches: int,
) -> Awaitable[object]:
    """Run `change(connection, counted)` as a write; what it wants to have counted is counted by a reader first.

    Own messages among very many that are passed would keep all who write waiting.
    """
    counted: dict[Passed, int] = {}

    def write(bound: sa.Connection) -> Result | Passed:
        return change(bound, counted)

    def told(result: Result | Passed) -> None:
        if not isinstance(result, Passed):
            committed(result)

    async def finish(outcome: Awaitable[Result | Passed]) -> None:
        while isinstance(passed := await outcome, Passed):
            counted[passed] = await reader.run(functools.partial(_count_own, passed=passed))
            outcome = writer.call_then(write, told, *touches)

    return finish(writer.call_then(write, told, *touches))  # it has its place in the queue now


def move_read_mark(
    driver: Any, key: int, client: str, upto: int | None, now: int, counted: Counted
) -> Receipts | Passed | None:
    """Inside a write: the receipts it gives; None for who is no member; or what must be counted before."""
    mark = driver.execute(hot.READ_MARK, (key, client)).fetchone()
    if mark is None:
        return None
    read_seq, own_since_read, last_seq, last_message_at = mark
    target, target_at, own = last_seq, last_message_at, 0
    if upto is not None and last_message_at is not None and upto < last_message_at:
        target, target_at = driver.execute(hot.LAST_UPTO, (key, upto)).fetchone() or (read_seq, 0)
        passed = Passed(key, target_at, target - read_seq, read_seq, client)
        if min(last_seq - target, passed.messages) > COUNTED_MAX:
            if passed not in counted:
                return passed
            own = own_since_read - counted[passed]
        elif last_seq - target < passed.messages:
            own = driver.execute(hot.COUNT_OWN_AFTER, (key, upto, target, client)).fetchone()[0]
        elif target > read_seq:  # never more rows than are marked: reading in small steps costs no more in all
            own = own_since_read - _count_own(driver, passed)
    if target <= read_seq:
        return Receipts((), now)
    driver.execute(hot.MOVE_READ_MARK, (target, target_at, own, now, key, client))
    return receipts.write_read(driver, key, client, Place(target, target_at), target - read_seq, now)


def _count_own(driver: Any, passed: Passed) -> int:
    return int(driver.execute(hot.COUNT_OWN_UPTO, passed).fetchone()[0])
