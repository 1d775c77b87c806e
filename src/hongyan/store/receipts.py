"""Received and read: marks of members, times on messages, and the receipts that follow. On the driver."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hongyan.engine.values import Arrived, Conversation, ConversationKind, Receipt, Receipts, stream_id
from hongyan.store import hot
from hongyan.store.ack_state import AckState, Place, Span, Times, narrow, unpack

#: Messages looked at for one mark, the newest: older ones get no time of their own and no receipt. Own ones count.
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


def in_streams(driver: Any, units: Sequence[Received]) -> list[Received]:
    """The same word for the streams of service conversations, where what arrived may be as well. Nobody is told."""
    services = [unit for unit in units if unit.conversation.kind is ConversationKind.SERVICE]
    if not services:
        return []
    by_stream: dict[tuple[int, str], list[Received]] = {}
    for unit in services:
        service = unit.conversation
        by_stream.setdefault((service.app_key, stream_id(service.id, unit.client)), []).append(unit)
    return [
        Received(replace(unit.conversation, key=key), unit.client, unit.arrived, unit.done)
        for app_key, stream, key in hot.FIND_STREAMS.run(driver, list(by_stream))
        for unit in by_stream[app_key, stream]
    ]


def write_received(driver: Any, units: Sequence[Received], now: int) -> list[Receipts]:
    """The receipts of each unit: for messages that this client had not acknowledged before, oldest first."""
    members = list({(unit.conversation.key, unit.client): None for unit in units})
    states = {row[:2]: unpack(*row[2:]) for row in hot.FIND_ACKS.run(driver, members)}
    single = _single_messages(driver, units)
    looked_at: dict[tuple[int, str], list[Times]] = {}
    changed: dict[tuple[int, str], AckState] = {}
    first_acks: dict[tuple[int, int, int], None] = {}
    answers = []
    for unit in units:
        member = (unit.conversation.key, unit.client)
        state = states.get(member)
        fresh: Sequence[hot.MarkRow] = []
        if state is not None:
            if unit.conversation.has_ended(now):
                answers.append(Receipts((), now))
                continue
            fresh, span = _arrived(driver, unit, state, single, looked_at.setdefault(member, []))
            if span is not None:
                _add(driver, unit, state, span)
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


def _arrived(
    driver: Any,
    unit: Received,
    state: AckState,
    single: Mapping[tuple[int, str], hot.MarkRow],
    looked_at: list[Times],
) -> tuple[Sequence[hot.MarkRow], Span | None]:
    """The messages that have arrived now for the first time, oldest first, and the span they make."""
    key, arrived = unit.conversation.key, unit.arrived
    if arrived.message_id:
        row = single.get((key, arrived.message_id))
        if row is None or row.sender == unit.client or state.covers(row.seq):
            return [], None
        return [row], Span(_place(row), _place(row))
    times = narrow(state.narrow(arrived.since, arrived.until), looked_at)
    if times[0] > times[1]:
        return [], None
    looked_at.append(times)
    found = driver.execute(hot.ACK_ROWS, (key, *times, MESSAGES_MAX)).fetchall()
    rows = [hot.MarkRow._make(row) for row in reversed(found)]
    fresh = [row for row in rows if row.sender != unit.client and not state.covers(row.seq)]
    if len(rows) == MESSAGES_MAX:  # there may be older ones in the range
        oldest = hot.MarkRow._make(driver.execute(hot.FIRST_ACK_ROW, (key, times[0])).fetchone())
        return fresh, Span(_place(oldest), _place((fresh or rows)[-1]))
    return fresh, Span(_place(fresh[0]), _place(fresh[-1])) if fresh else None


def _add(driver: Any, unit: Received, state: AckState, span: Span) -> None:
    key = unit.conversation.key

    def joined(left: Place, right: Place) -> bool:
        between = (key, left.timestamp, right.timestamp, left.seq, right.seq, GAP_MAX)
        others, count = driver.execute(hot.OTHERS_BETWEEN, (unit.client, *between)).fetchone()
        return not others and count < GAP_MAX

    state.add(span, joined)


def _place(row: hot.MarkRow) -> Place:
    return Place(row.seq, row.timestamp)


def _wanted(rows: Sequence[hot.MarkRow]) -> tuple[Receipt, ...]:
    return tuple(Receipt(row.sender, row.id) for row in rows if row.flags & hot.RECEIPT)


def _row(member: tuple[int, str], state: AckState, now: int) -> tuple[Any, ...]:
    return (*member, state.upto.seq, state.newest.timestamp, state.pack(), now)
