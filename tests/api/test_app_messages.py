"""The application's own messages to conversations and chat rooms over HTTP: sending, editing, recalling, deleting."""

import asyncio
import dataclasses
import hashlib
import json
from typing import Any

import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessagePatched, MessageReplaced, MessageSent, MessageSynced
from hongyan.engine.values import RECALLED_BODY, App, Priority
from hongyan.store import Store
from tests.api import talk
from tests.support.rest import Rest

KINDS = ("conversations", "chatrooms")


async def place(kind: str, engine: Engine, app: App) -> str:
    """A conversation of this kind; ann and bob are the members of a group."""
    return await (talk.group(engine, app, "ann", "bob") if kind == "conversations" else talk.room(engine, app))


def path(kind: str, cid: str) -> str:
    return f"/1.2/rtm/{kind}/{cid}/messages"


def sent_events(events: list[Event]) -> list[MessageSent]:
    return [event for event in events if isinstance(event, MessageSent)]


@pytest.mark.parametrize("kind", KINDS)
async def test_sending(kind: str, api: Rest, engine: Engine, app: App, events: list[Event]) -> None:
    """In the name of anybody; it is kept and told, and both forms of the answer say where it stands."""
    cid = await place(kind, engine, app)
    answer = await api.call("POST", path(kind, cid), from_client="robot", message="hello")
    assert answer == {**answer["result"], "result": {"msg-id": answer["msg-id"], "timestamp": answer["timestamp"]}}
    assert "error" not in answer
    (record,) = await api.call("GET", path(kind, cid))
    assert record.keys() == talk.RECORD
    assert (record["msg-id"], record["timestamp"]) == (answer["msg-id"], answer["timestamp"])
    assert (record["from"], record["to"], record["data"], record["bin"]) == ("robot", cid, "hello", False)
    assert record["conv-id"] == f"{cid}00000000"
    (event,) = sent_events(events)
    assert (event.message.sender, event.message.content, event.origin) == ("robot", "hello", None)
    assert (event.message.transient, event.message.priority) == (False, Priority.NORMAL)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_transient_message_is_kept_nowhere(
    kind: str, api: Rest, engine: Engine, app: App, events: list[Event]
) -> None:
    cid = await place(kind, engine, app)
    answer = await api.call("POST", path(kind, cid), from_client="robot", message="hello", transient=True)
    (event,) = sent_events(events)
    assert (event.message.transient, event.message.id) == (True, answer["msg-id"])
    assert await api.call("GET", path(kind, cid)) == []


async def test_who_hears_what_the_sender_said(api: Rest, engine: Engine, app: App, events: list[Event]) -> None:
    """Its own devices, unless `no_sync`; also those of who is no member. Chat rooms never."""
    cid, room = await talk.group(engine, app, "ann", "bob"), await talk.room(engine, app)
    events.clear()
    for sender, more in (("ann", {}), ("ann", {"no_sync": True}), ("robot", {}), ("robot", {"no_sync": True})):
        await api.call("POST", path("conversations", cid), from_client=sender, message="x", **more)
    assert [event.to_sender for event in sent_events(events)] == [True, False, True, False]
    (synced,) = [event for event in events if isinstance(event, MessageSynced)]
    assert (synced.conversation.members, synced.message.sender) == ({"robot"}, "robot")
    events.clear()
    await api.call("POST", path("chatrooms", room), from_client="ann", message="x")
    assert [event.to_sender for event in sent_events(events)] == [False]
    assert not [event for event in events if isinstance(event, MessageSynced)]


async def test_all_that_a_message_may_say(api: Rest, engine: Engine, app: App, events: list[Event]) -> None:
    cid = await talk.group(engine, app, "ann", "bob", "cem")
    more = {"mention_all": True, "mention_client_ids": ["bob", "cem"], "priority": "HIGH", "push_data": {"alert": "!"}}
    await api.call("POST", path("conversations", cid), from_client="ann", message={"_lctype": -1, "é": [1]}, **more)
    (event,) = sent_events(events)
    assert event.message.content == '{"_lctype":-1,"é":[1]}'
    assert (event.message.mention_all, event.message.mentions) == (True, ("bob", "cem"))
    assert event.message.priority == Priority.HIGH
    (record,) = await api.call("GET", path("conversations", cid))
    assert (record["mention-all"], record["mention-client-ids"]) == (True, ["bob", "cem"])


@pytest.mark.parametrize("name", ["from_client", "from_peer"])
async def test_older_names_inferred(name: str, api: Rest, engine: Engine, app: App) -> None:
    cid = await talk.group(engine, app, "ann")
    answer = await api.call("POST", path("conversations", cid), **{name: "ann", "message": "x", "push": "!"})
    more = {name: "ann", "timestamp": answer["timestamp"]}
    one = f"{path('conversations', cid)}/{answer['msg-id']}"
    assert await api.call("PUT", one, **more, message="y") == {"result": {}}
    assert talk.texts(await api.call("GET", path("conversations", cid), {"max_ts": 9_999_999_999_999})) == ["y"]


@pytest.mark.parametrize("kind", KINDS)
async def test_editing_recalling_and_deleting(
    kind: str, api: Rest, engine: Engine, app: App, events: list[Event]
) -> None:
    cid = await place(kind, engine, app)
    answer = await api.call("POST", path(kind, cid), from_client="robot", message="one")
    one, which = f"{path(kind, cid)}/{answer['msg-id']}", {"from_client": "robot", "timestamp": answer["timestamp"]}
    assert await api.call("PUT", one, **which, message="two") == {"result": {}}
    (patched,) = [event for event in events if isinstance(event, MessagePatched)]
    assert (patched.message.content, patched.message.recalled) == ("two", False)
    (record,) = await api.call("GET", path(kind, cid))
    assert (record["data"], record["timestamp"]) == ("two", answer["timestamp"])
    assert await api.call("PUT", f"{one}/recall", **which) == {"result": {}}
    assert await api.call("PUT", f"{one}/recall", **which) == {"result": {}}
    assert [event.message.recalled for event in events if isinstance(event, MessagePatched)] == [False, True]
    (record,) = await api.call("GET", path(kind, cid))
    assert (record["data"], record["recall"]) == (RECALLED_BODY, True)
    events.clear()
    assert await api.call("DELETE", one, which) == {}
    assert events == []
    assert await api.call("GET", path(kind, cid)) == []
    assert await api.refused("DELETE", one, which) == (400, 4404)
    assert await api.refused("PUT", one, **which, message="three") == (400, 4404)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_is_deleted_by_a_body_or_a_query(kind: str, api: Rest, engine: Engine, app: App) -> None:
    cid = await place(kind, engine, app)
    for in_body in (True, False):
        made = await api.call("POST", path(kind, cid), from_client="robot", message="x")
        which = {"from_client": "robot", "timestamp": made["timestamp"]}
        one = f"{path(kind, cid)}/{made['msg-id']}"
        assert await (api.call("DELETE", one, **which) if in_body else api.call("DELETE", one, which)) == {}
        assert await api.call("GET", path(kind, cid)) == []


async def test_switches_for_clients_do_not_hold_for_the_application(
    api: Rest, engine: Engine, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "settings", dataclasses.replace(app.settings, edit=False, recall=False))
    cid = await talk.group(engine, app, "ann")
    said = await talk.say(engine, app, "ann", cid, "one")
    one, which = f"{path('conversations', cid)}/{said.id}", {"from_client": "ann", "timestamp": said.timestamp}
    await api.call("PUT", one, **which, message="two")
    await api.call("PUT", f"{one}/recall", **which)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", [{"from_client": "bob"}, {"timestamp": 1}, {"id": "0" * 22}])
@pytest.mark.parametrize(("method", "end"), [("PUT", ""), ("PUT", "/recall"), ("DELETE", "")])
async def test_all_three_must_match_inferred(
    method: str, end: str, wrong: dict[str, Any], kind: str, api: Rest, engine: Engine, app: App
) -> None:
    cid = await place(kind, engine, app)
    answer = await api.call("POST", path(kind, cid), from_client="ann", message="one")
    which = {"from_client": "ann", "timestamp": answer["timestamp"], "id": answer["msg-id"]} | wrong
    one = f"{path(kind, cid)}/{which.pop('id')}{end}"
    assert await api.refused(method, one, **which, message="two") == (400, 4404)
    assert talk.texts(await api.call("GET", path(kind, cid))) == ["one"]


async def test_a_deleted_message_counts_as_before(api: Rest, engine: Engine, app: App) -> None:
    """Nobody is told, so nobody counts differently; its author has no unread message of his own."""
    cid = await talk.group(engine, app, "ann", "bob")
    own = await talk.say(engine, app, "ann", cid, "own")
    other = await talk.say(engine, app, "bob", cid, "other")
    for said, sender in ((own, "ann"), (other, "bob")):
        which = {"from_client": sender, "timestamp": said.timestamp}
        assert await api.call("DELETE", f"{path('conversations', cid)}/{said.id}", **which) == {}
    assert await api.call("GET", "/1.2/rtm/clients/ann/unread-count") == {"count": 1}
    await engine.unread.mark_read(app, "ann", cid, "", own.timestamp)
    assert await api.call("GET", "/1.2/rtm/clients/ann/unread-count") == {"count": 1}
    await engine.unread.mark_read(app, "ann", cid, "", None)
    assert await api.call("GET", "/1.2/rtm/clients/ann/unread-count") == {"count": 0}
    unread, _ = await engine.unread.since(app, "bob", None)
    assert [(each.count, each.last_message) for each in unread] == [(1, None)]


async def test_a_deleted_message_is_nowhere(api: Rest, engine: Engine, app: App, store: Store) -> None:
    """Neither in a history nor among what is told after a login, nor are its words in the file."""
    cid = await talk.group(engine, app, "ann", "bob")
    said = await talk.say(engine, app, "ann", cid, "secret-words", mentions=("bob",))
    edited = {"from_client": "ann", "timestamp": said.timestamp}
    one = f"{path('conversations', cid)}/{said.id}"
    await api.call("PUT", one, **edited, message="secret-words too")
    await api.call("DELETE", one, edited)
    unread, _ = await engine.unread.since(app, "bob", None)
    assert [each.last_message for each in unread] == [None]
    assert await engine.receipts.missed(app, "bob") == []
    assert [page async for page in engine.edits.since(app, "bob", 0) if page] == []
    for query in ({}, {"from": "ann"}, {"convid": cid}):
        assert await api.call("GET", "/1.1/rtm/messages/history", query) == []
    found = await store._reader.run(lambda driver: driver.execute("SELECT body FROM message").fetchall())
    assert not any(b"secret" in body for (body,) in found)


async def test_the_word_list_holds(api: Rest, engine: Engine, app: App, events: list[Event]) -> None:
    """For what is sent and edited; its author is told."""
    await engine.words.replace(app, ["Voldemort"])
    cid = await talk.group(engine, app, "ann", "bob", "cem")
    where = path("conversations", cid)
    answer = await api.call("POST", where, from_client="ann", message="Voldemort is back")
    assert talk.texts(await api.call("GET", where)) == ["*** is back"]
    which = {"from_client": "ann", "timestamp": answer["timestamp"]}
    await api.call("PUT", f"{where}/{answer['msg-id']}", **which, message="so Voldemort is")
    assert talk.texts(await api.call("GET", where)) == ["so *** is"]
    assert len([event for event in events if isinstance(event, MessageReplaced)]) == 2


SEND = {"from_client": "ann", "message": "x"}
CHANGE = {**SEND, "timestamp": 1}
TEXTS = [None, 1, True, [], ""]
WRONG = [
    *[("POST", "", {**SEND, "from_client": value}) for value in [*TEXTS, {}, "x" * 65]],
    *[("POST", "", {**SEND, "message": value}) for value in [None, 1, True, []]],
    *[
        ("POST", "", {**SEND, name: value})
        for name in ("transient", "no_sync", "mention_all")
        for value in [1, "x", [], {}]
    ],
    *[("POST", "", {**SEND, "priority": value}) for value in [1, "highest", [], True]],
    *[("POST", "", {**SEND, "push_data": value}) for value in [1, True, []]],
    *[
        ("POST", "", {**SEND, "mention_client_ids": value})
        for value in ["ann", [1], [""], ["x" * 65], [str(number) for number in range(21)], {"a": 1}]
    ],
    *[
        (method, end, {**CHANGE, "from_client": value})
        for method, end in (("PUT", "/x"), ("PUT", "/x/recall"), ("DELETE", "/x"))
        for value in TEXTS
    ],
    *[
        (method, end, {**CHANGE, "timestamp": value})
        for method, end in (("PUT", "/x"), ("PUT", "/x/recall"), ("DELETE", "/x"))
        for value in [None, "", "x", -1, 1.5, True, [], 10**20]
    ],
    *[("PUT", "/x", {**CHANGE, "message": value}) for value in [None, 1, True, []]],
]


@pytest.mark.parametrize("kind", KINDS)
async def test_wrong_parameters(kind: str, api: Rest, engine: Engine, app: App, events: list[Event]) -> None:
    """Each is named in the answer, and nothing happens."""
    cid = await place(kind, engine, app)
    events.clear()
    for method, end, body in WRONG:
        assert await api.refused(method, f"{path(kind, cid)}{end}", **body) == (400, 1), (method, end, body)
    assert events == []
    assert await api.call("GET", path(kind, cid)) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_too_long(kind: str, api: Rest, engine: Engine, app: App) -> None:
    cid = await place(kind, engine, app)
    long = "é" * (app.settings.message_max // 2) + "x"
    assert await api.refused("POST", path(kind, cid), from_client="ann", message=long) == (400, 4109)
    answer = await api.call("POST", path(kind, cid), from_client="ann", message=long[:-1])
    which = {"from_client": "ann", "timestamp": answer["timestamp"], "message": long}
    assert await api.refused("PUT", f"{path(kind, cid)}/{answer['msg-id']}", **which) == (400, 4109)


@pytest.mark.parametrize("kind", KINDS)
async def test_unknown_conversations_and_those_of_another_kind_inferred(
    kind: str, api: Rest, engine: Engine, app: App
) -> None:
    other = {"conversations": "chatrooms", "chatrooms": "conversations"}[kind]
    code = {"conversations": 4314, "chatrooms": 4316}[kind]
    wrong = [await place(other, engine, app), await talk.service(engine, app)]
    for cid in wrong:
        for method, end in (("POST", ""), ("PUT", "/x"), ("PUT", "/x/recall"), ("DELETE", "/x")):
            assert await api.refused(method, f"{path(kind, cid)}{end}", **CHANGE) == (400, code)
        assert await api.refused("GET", path(kind, cid)) == (400, code)
    unknown = "0" * 24
    assert await api.refused("POST", path(kind, unknown), **SEND) == (400, 4401)
    for method, end in (("PUT", "/x"), ("PUT", "/x/recall"), ("DELETE", "/x")):
        assert await api.refused(method, f"{path(kind, unknown)}{end}", **CHANGE) == (400, 4303)
    assert await api.refused("GET", path(kind, unknown)) == (400, 4303)


async def test_many_at_once_are_all_kept_once(api: Rest, engine: Engine, app: App) -> None:
    cid = await talk.group(engine, app, "ann", "bob")
    where = path("conversations", cid)
    answers = await asyncio.gather(
        *(api.call("POST", where, from_client="ann", message=str(number)) for number in range(60))
    )
    found = await api.call("GET", where, {"limit": 1000, "reversed": "true"})
    assert sorted(talk.texts(found), key=int) == [str(number) for number in range(60)]
    assert {each["msg-id"] for each in answers} == {record["msg-id"] for record in found}
    assert len({record["timestamp"] for record in found}) == 60


async def test_the_key_of_a_stream_is_the_published_one() -> None:
    """The vector of the reference, 2.5."""
    key = hashlib.md5(b"65f000000000000000000002:alice").hexdigest()
    assert key == "0e36f5ef192742e93de3d9ab3317483a"
    assert json.loads(RECALLED_BODY) == {"_lctype": -127}


async def test_who_is_blocked_reads_no_chat_room(
    api: Rest, engine: Engine, app: App, answered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the app's key: anybody else reads what is said in a chat room, members only a conversation."""
    room, cid = await talk.room(engine, app), await talk.group(engine, app, "ann")
    await api.call("POST", path("chatrooms", room), from_client="ann", message="x")
    await engine.blacklists.block(app, None, room, ["eve"], lambda *_: None)
    headers = {"X-LC-Id": app.id, "X-LC-Key": app.app_key}
    for where, client, expected in (
        (path("chatrooms", room), "bob", 200),
        (path("chatrooms", room), "eve", 400),
        (path("conversations", cid), "ann", 200),
        (path("conversations", cid), "bob", 400),
    ):
        answer = await answered("GET", f"{where}?client_id={client}", headers)
        assert answer.status_code == expected, (where, client, answer.text)
        assert expected == 200 or answer.json()["code"] == 4312
