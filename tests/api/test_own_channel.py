"""The kind `hongyan`: messages to clients and conversations of the app itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessagePatched, MessageSent
from hongyan.engine.values import App, ConversationDraft, ConversationKind, ConversationRow
from hongyan.hub.connector import Outcome, Problem, Target
from hongyan.hub.content import Message, Text
from hongyan.hub.hub import Hub
from hongyan.jobs import Jobs
from hongyan.store import Store
from tests.support.fake_channel import Platform, platform

__all__ = ["platform"]

CHANNELS = "/api/v1/channels"


@pytest.fixture
async def jobs(store: Store, hub: Hub, engine: Engine) -> AsyncIterator[Jobs]:
    made = Jobs(store.jobs, engine.clock, hub.kinds())
    await made.start()
    yield made
    await made.stop(5)


@pytest.fixture
async def channel(http: httpx.AsyncClient, jobs: Jobs, platform: Platform) -> str:
    body = {"name": "own", "kind": "hongyan", "credentials": {"sender": "robot"}}
    answer = await http.post(CHANNELS, json=body)
    assert answer.status_code == 201, answer.text
    channel: str = answer.json()["id"]
    return channel


async def send(http: httpx.AsyncClient, channel: str, content: dict[str, Any], *to: str, **more: Any) -> dict[str, Any]:
    message = {"content": content, **more}
    answer = await http.post(
        f"{CHANNELS}/{channel}/messages", json={"to": to or ("user:tom",), "message": message, "wait": 30}
    )
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def said(events: list[Event]) -> list[MessageSent]:
    return [event for event in events if isinstance(event, MessageSent)]


async def test_a_client_is_told_in_one_conversation_with_the_sender(
    http: httpx.AsyncClient, channel: str, events: list[Event]
) -> None:
    for text in ("one", "two"):
        shown = await send(http, channel, {"type": "text", "text": text})
        assert shown["state"] == "sent"
    first, second = said(events)
    assert first.conversation.id == second.conversation.id
    assert first.conversation.members == {"robot", "tom"}
    assert (first.message.sender, json.loads(first.message.content)) == ("robot", {"_lctype": -1, "_lctext": "one"})


async def test_a_conversation_is_told(
    http: httpx.AsyncClient, channel: str, events: list[Event], engine: Engine, app: App
) -> None:
    rows: list[ConversationRow] = []
    draft = ConversationDraft(ConversationKind.NORMAL, "ann", ("ann",), by_system=True)
    await engine.conversations.make(app, draft, lambda row, existing: rows.append(row))
    mentions = [{"user": "ann"}, {"everyone": True}, {"mobile": "13800000000"}]
    shown = await send(http, channel, {"type": "text", "text": "Hi"}, f"group:{rows[0].id}", mentions=mentions)
    assert shown["notes"] == [{"rule": "mention_unresolved", "detail": "@13800000000"}]
    (event,) = said(events)
    assert json.loads(event.message.content)["_lctext"] == "@13800000000 Hi"
    assert (event.message.mentions, event.message.mention_all) == (("ann",), True)


async def test_who_is_not_there_is_a_bad_recipient(http: httpx.AsyncClient, channel: str) -> None:
    shown = await send(http, channel, {"type": "text", "text": "Hi"}, "group:65f000000000000000000001", "user:tom")
    assert [each["state"] for each in shown["targets"]] == ["failed", "sent"]
    assert shown["targets"][0]["outcome"] == "bad_recipient"


URL = "https://f.example/a"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"type": "image", "media": {"url": URL, "name": "a.png", "type": "image/png"}, "text": "look"}, -2),
        ({"type": "audio", "media": {"url": URL, "seconds": 3.5}}, -3),
        ({"type": "video", "media": {"url": URL}, "title": "film"}, -4),
        ({"type": "location", "latitude": 31.2, "longitude": 121.5, "name": "Office"}, -5),
        ({"type": "file", "media": {"url": URL, "name": "a.pdf"}}, -6),
    ],
)
async def test_typed_messages(
    http: httpx.AsyncClient, channel: str, events: list[Event], content: dict[str, Any], kind: int
) -> None:
    await send(http, channel, content)
    value = json.loads(said(events)[0].message.content)
    assert value["_lctype"] == kind
    if "media" in content:
        assert value["_lcfile"]["url"] == URL
    else:
        assert value["_lcloc"] == {"latitude": 31.2, "longitude": 121.5}


async def test_what_has_no_type_is_text_that_carries_the_whole(
    http: httpx.AsyncClient, channel: str, events: list[Event]
) -> None:
    card = {"type": "card", "title": "Alert", "text": "**Disk** full", "buttons": [{"text": "Open", "url": URL}]}
    await send(http, channel, card)
    value = json.loads(said(events)[0].message.content)
    assert value["_lctype"] == -1
    assert "Alert" in value["_lctext"]
    assert URL in value["_lctext"]
    assert value["_lcattrs"]["hongyan"]["content"]["title"] == "Alert"


async def test_a_long_text_is_cut_and_says_so(http: httpx.AsyncClient, channel: str, events: list[Event]) -> None:
    shown = await send(http, channel, {"type": "text", "text": "鸿" * 9_000})
    assert shown["notes"] == [{"rule": "text_cut", "detail": ""}]
    assert json.loads(said(events)[0].message.content)["_lctext"].endswith("…")


async def test_it_is_changed_and_recalled(http: httpx.AsyncClient, channel: str, events: list[Event]) -> None:
    shown = await send(http, channel, {"type": "text", "text": "Helo"})
    path = f"{CHANNELS}/{channel}/messages/{shown['id']}"
    await http.put(path, json={"message": {"content": {"type": "text", "text": "Hello"}}})
    answer = (await http.delete(path)).json()
    assert (answer["message"]["state"], answer["failures"]) == ("recalled", [])
    edited, recalled = [event.message for event in events if isinstance(event, MessagePatched)]
    assert json.loads(edited.content)["_lctext"] == "Hello"
    assert recalled.recalled


async def test_the_same_key_is_said_once(hub: Hub, channel: str, events: list[Event], platform: Platform) -> None:
    """As after a kill between the message and what is noted of it."""
    async with hub.channels.opened(hub.channels._all[channel]) as connector:
        for _ in range(2):
            sent = await connector.send(Message(Text("Hi")), [Target("user", "tom")], key="k1")
            assert sent.results[0].outcome is Outcome.OK
    await asyncio.sleep(0)
    assert len(said(events)) == 1


async def test_without_a_server_it_waits(hub: Hub, channel: str, platform: Platform) -> None:
    hub._serves = False
    await hub.channels._retire(channel)
    async with hub.channels.opened(hub.channels._all[channel]) as connector:
        with pytest.raises(Problem) as found:
            await connector.send(Message(Text("Hi")), [Target("user", "tom")], key="k1")
    assert found.value.outcome is Outcome.TRANSIENT


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("sender", ["", "x" * 65])
async def test_a_sender_is_a_client_id(http: httpx.AsyncClient, sender: str) -> None:
    body = {"name": "own", "kind": "hongyan", "credentials": {"sender": sender}}
    answer = await http.post(CHANNELS, json=body)
    assert (answer.status_code, "1 to 64 characters" in answer.text) == (400, True)
