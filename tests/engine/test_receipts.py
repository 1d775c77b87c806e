"""Telling senders that their messages arrived and were read."""

import asyncio

from hongyan.bus.local import LocalBus
from hongyan.engine.events import Event, ReceiptsGiven
from hongyan.engine.receipts import AT_ONCE, tell
from hongyan.engine.values import Conversation, ConversationKind, Receipt, Receipts


async def test_many_receipts_are_told_a_few_at_a_time_to_those_who_are_members_then() -> None:
    bus, events = LocalBus(), list[Event]()
    bus.subscribe(events.append)
    conversation = Conversation(1, 1, "c", ConversationKind.NORMAL, 1, {"ann", "bob", "cem"})
    given = tuple(Receipt("ann" if n % 2 else "bob", str(n)) for n in range(2 * AT_ONCE + 4))
    tell(bus, conversation, "cem", Receipts((*given, Receipt("stranger", "x")), 7), read=True)
    seen = []
    while len(events) < 3:
        seen.append(len(events))
        if len(events) == 2:
            conversation.members.remove("bob")
        await asyncio.sleep(0)
    assert seen == [1, 2]
    told = [event for event in events if isinstance(event, ReceiptsGiven)]
    assert [(event.reader, event.receipts.at, event.read) for event in told] == [("cem", 7, True)] * 3
    assert [len(event.receipts.given) for event in told] == [AT_ONCE, AT_ONCE, 2]
    assert [receipt for event in told[:2] for receipt in event.receipts.given] == list(given[: 2 * AT_ONCE])
    assert {receipt.sender for receipt in told[2].receipts.given} == {"ann"}


async def test_receipts_of_strangers_alone_are_no_event() -> None:
    bus, events = LocalBus(), list[Event]()
    bus.subscribe(events.append)
    conversation = Conversation(1, 1, "c", ConversationKind.NORMAL, 1, {"cem"})
    tell(bus, conversation, "cem", Receipts((Receipt("ann", "1"),), 7), read=False)
    await asyncio.sleep(0)
    assert events == []
