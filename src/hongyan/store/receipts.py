"""Received and read: marks of members, times on messages, and the receipts that follow. On the driver."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hongyan.engine.values import Arrived, Conversation, Receipt, Receipts
from hongyan.store import hot
from hongyan.store.ack_state import AckState, Place, Span, unpack

#: Messages looked at for one mark, the newest: older ones get no time of their own and no receipt.
MESSAGES_MAX = 1_000
#: Own messages looked at to tell whether they alone fill a gap.
GAP_MAX = 1_000


@dataclass(slots=True, eq=False)
class Received:
    """A client's word that messages arrived. `done` gets the receipts that their senders asked for."""

    conversation: Conversation
    client: str
    arrived: Arrived
    done: Callable[[Any], None]


def write_received(driver: Any, units: Sequence[Received], now: int) -> list[Receipts]:
    """The receipts of each unit: for messages that this client had not acknowledged before, oldest first."""
    members = list({(unit.conversation.key, unit.client): None for unit in units})
    states = {row[:2]: unpack(*row[2:]) for row in hot.FIND_ACKS.run(driver, members)}
    single = _single_messages(driver, units)
    changed: dict[tuple[int, str], AckState] = {}
    first_acks: dict[tuple[int, int, int], None] = {}
    answers = []
    for unit in units:
        member = (unit.conversation.key, unit.client)
        state = states.get(member)
        fresh = [] if state is None else _fresh(driver, unit, state, single)
        if state is not None and fresh:
            _add(driver, unit, state, fresh)
            changed[member] = state
        first_acks |= {(member[0], row.timestamp, row.seq): None for row in fresh if row.marked_at is None}
        answers.append(Receipts(_wanted(fresh), now))
    if changed:
        hot.MOVE_ACKS.run(driver, [_row(member, state, now) for member, state in changed.items()])
    if first_acks:
        hot.MARK_ACKED.run(driver, [(*place, now) for place in first_acks])
    return answers


def write_read(driver: Any, key: int, client: str, upto: Place, passed: int, now: int) -> Receipts:
    """The receipts for the `passed` messages up to and including `upto`: one a sender, of its newest message."""
    limit = min(passed, MESSAGES_MAX)
    found = driver.execute(hot.READ_ROWS, (key, upto.timestamp, upto.seq, limit)).fetchall()
    rows = [row for row in map(hot.MarkRow._make, reversed(found)) if row.sender != client]
    unmarked = [(key, row.timestamp, row.seq, now) for row in rows if row.marked_at is None]
    if unmarked:
        hot.MARK_READ.run(driver, unmarked)
    return Receipts(tuple({receipt.sender: receipt for receipt in _wanted(rows)}.values()), now)


def _single_messages(driver: Any, units: Sequence[Received]) -> dict[tuple[int, str], hot.MarkRow]:
    """The messages that are named by their ids, by conversation and id."""
    places = {(unit.conversation.key, unit.arrived.since): None for unit in units if unit.arrived.message_id}
    return {row[:2]: hot.MarkRow._make(row[1:]) for row in hot.POINT_ROWS.run(driver, list(places))}


def _fresh(
    driver: Any, unit: Received, state: AckState, single: Mapping[tuple[int, str], hot.MarkRow]
) -> list[hot.MarkRow]:
    """The messages that have arrived now for the first time, oldest first."""
    key, arrived = unit.conversation.key, unit.arrived
    if arrived.message_id:
        row = single.get((key, arrived.message_id))
        return [] if row is None or row.sender == unit.client or state.covers(row.seq) else [row]
    since = max(arrived.since, state.upto.timestamp)
    found = driver.execute(hot.ACK_ROWS, (key, since, arrived.until, unit.client, MESSAGES_MAX)).fetchall()
    return [row for row in map(hot.MarkRow._make, reversed(found)) if not state.covers(row.seq)]


def _add(driver: Any, unit: Received, state: AckState, fresh: Sequence[hot.MarkRow]) -> None:
    key = unit.conversation.key

    def joined(left: Place, right: Place) -> bool:
        between = (key, left.timestamp, right.timestamp, left.seq, right.seq, GAP_MAX)
        others, count = driver.execute(hot.OTHERS_BETWEEN, (unit.client, *between)).fetchone()
        return not others and count < GAP_MAX

    first, last = fresh[0], fresh[-1]
    if len(fresh) == MESSAGES_MAX:  # there may be older ones in the range
        since = max(unit.arrived.since, state.upto.timestamp)
        first = hot.MarkRow._make(driver.execute(hot.FIRST_ACK_ROW, (key, since, unit.client)).fetchone())
    state.add(Span(Place(first.seq, first.timestamp), Place(last.seq, last.timestamp)), joined)


def _wanted(rows: Sequence[hot.MarkRow]) -> tuple[Receipt, ...]:
    return tuple(Receipt(row.sender, row.id) for row in rows if row.flags & hot.RECEIPT)


def _row(member: tuple[int, str], state: AckState, now: int) -> tuple[Any, ...]:
    return (*member, state.upto.seq, state.newest.timestamp, state.pack(), now)
