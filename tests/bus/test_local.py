"""The bus of a single node."""

import pytest

from hongyan.bus.local import LocalBus
from hongyan.engine.events import Event, MembersLeft
from hongyan.engine.values import Conversation, ConversationKind

CONVERSATION = Conversation(1, 1, "talk", ConversationKind.NORMAL, 1, {"ann"})


def event(number: int) -> Event:
    return MembersLeft(CONVERSATION, ("bob",), "ann", number)


def test_every_subscriber_hears_every_event_at_once_and_in_order() -> None:
    bus = LocalBus()
    heard: list[tuple[str, Event]] = []
    bus.subscribe(lambda each: heard.append(("first", each)))
    bus.subscribe(lambda each: heard.append(("second", each)))
    for number in range(3):
        bus.publish(event(number))
        assert heard[-2:] == [("first", event(number)), ("second", event(number))]
    assert len(heard) == 6


def test_a_subscriber_that_fails_keeps_nobody_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    bus = LocalBus()
    heard: list[Event] = []
    bus.subscribe(lambda _: 1 / 0 and None)
    bus.subscribe(heard.append)
    bus.publish(event(1))
    assert heard == [event(1)]
    assert [record.message for record in caplog.records] == ["a subscriber failed on MembersLeft"]


def test_an_event_nobody_waits_for_is_lost() -> None:
    bus = LocalBus()
    heard: list[Event] = []
    bus.publish(event(1))
    bus.subscribe(heard.append)
    assert heard == []
