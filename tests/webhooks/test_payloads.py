"""What webhooks are told: for each type what the reference shows, and never too much."""

import json
from typing import Any

import pytest

from hongyan.engine.events import (
    BroadcastSent,
    ConversationCreated,
    ConversationUpdated,
    Event,
    MembersJoined,
    MessageSent,
    RowWritten,
)
from hongyan.engine.values import Conversation, ConversationKind, Message
from hongyan.engine.webhooks import TYPES, type_of
from hongyan.webhooks import payloads
from tools.webhooks import AT, EVENTS, GROUP, example

LONG = "雁" * 10_000


def told(event: Event) -> list[dict[str, Any]]:
    return [json.loads(payloads.body(each, AT)) for each in payloads.TELLERS[type(event)].tell(event)]


@pytest.mark.parametrize("name", TYPES)
def test_each_type_is_told_as_it_is_called(name: str) -> None:
    (one,) = told(EVENTS[name])
    assert one == json.loads(example(name))
    assert one.keys() == {"type", "timestamp", "data"}
    assert one["type"] == name
    assert "cut" not in one["data"]


def test_the_type_is_known_without_reading_all() -> None:
    for name, event in EVENTS.items():
        (one,) = payloads.TELLERS[type(event)].tell(event)
        assert type_of(payloads.body(one, AT)) == name


def message(content: str | bytes, **more: Any) -> Message:
    return Message("id", 1, AT, "Tom", content, **more)


@pytest.mark.parametrize(
    ("event", "cut"),
    [
        (MessageSent(GROUP, message(LONG), None), ["message.content"]),
        (MessageSent(GROUP, message(bytes(20_000)), None), ["message.content"]),
        (
            MessageSent(GROUP, message(LONG, mentions=tuple(f"{n}{LONG[:60]}" for n in range(500))), None),
            ["message.content", "message.mentions"],
        ),
        (MembersJoined(GROUP, tuple(f"{n}{LONG[:60]}" for n in range(500)), "Tom", AT), ["clients"]),
        (
            ConversationCreated(
                Conversation(1, 1, "x", ConversationKind.NORMAL, 1, {f"{n}{LONG[:60]}" for n in range(500)})
            ),
            ["members"],
        ),
        (ConversationUpdated(GROUP, "{}", json.dumps({"a": LONG}), "", AT, None, ("a",)), ["values"]),
        (ConversationUpdated(GROUP, "{}", json.dumps({LONG: 1}), "", AT, None, (LONG,)), ["values", "keys"]),
    ],
    ids=["text", "binary", "mentions", "joined", "members", "values", "keys"],
)
def test_what_is_too_long_is_left_out_and_named(event: Event, cut: list[str]) -> None:
    (one,) = payloads.TELLERS[type(event)].tell(event)
    body = payloads.body(one, AT)
    assert len(body) < payloads.BYTES_MAX
    data = json.loads(body)["data"]
    assert data["cut"] == cut
    for path in cut:
        value = data
        for name in path.split("."):
            value = value[name]
        assert value is None
    assert data["conversation"]["id"]


def test_transient_messages_are_told_to_nobody() -> None:
    assert told(MessageSent(GROUP, message("typing", transient=True), None)) == []


def test_binary_content_is_base64() -> None:
    (one,) = told(MessageSent(GROUP, message(b"\x00\xff"), None))
    assert one["data"]["message"] | {"content": "AP8=", "binary": True} == one["data"]["message"]


def test_a_broadcast_says_so() -> None:
    service = Conversation(1, 1, "x", ConversationKind.SERVICE, 1, set())
    (one,) = told(BroadcastSent(service, message("to all"), 1))
    assert one["data"]["conversation"] == {"id": "x", "kind": "service", "broadcast": True}


def test_a_row_that_is_written_is_told_as_what_it_means() -> None:
    assert [one["type"] for one in told(RowWritten(GROUP, ("name", "m"), ("Ann",), ("Tom",)))] == [
        "conversation.updated",
        "conversation.members_added",
        "conversation.members_removed",
    ]
    assert told(RowWritten(GROUP, ("mu",), (), ())) == []
