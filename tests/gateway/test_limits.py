"""Limits that an operator sets per app, and what a client over one is told."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.apps import Door, into
from tests.gateway.talk import login_pushes, numbered, open_command, people, replies, settle, texts
from tests.support.client import Session, command, connect
from tests.support.server import App, Server

_numbers = count(1)


def app_with(server: Server, **settings: str) -> Door:
    """The way into a new app with these settings."""
    number = next(_numbers)
    app = App(f"limited-{number}", f"key-{number}", f"master-key-{number}")
    return into(server, server.create_app(app, **settings))


@asynccontextmanager
async def pair(door: Door) -> AsyncIterator[tuple[Session, Session, str]]:
    """Two clients and their conversation."""
    async with connect(door) as one, connect(door) as other:
        tom, jerry = await one.open(people("tom")[0]), await other.open(people("jerry")[0])
        await settle(jerry)
        yield tom, jerry, await tom.start(jerry.peer)


def code_of(answer: GenericCommand) -> int:
    return answer.errorMessage.code or answer.ackMessage.code


def reason_of(answer: GenericCommand) -> str:
    return answer.errorMessage.reason or answer.ackMessage.reason


OVER: dict[str, tuple[str, str | None, dict[str, Any], int]] = {
    "direct": ("direct", None, {"msg": "hi"}, 4116),
    "transient": ("direct", None, {"msg": "hi", "transient": True}, 4116),
    "will": ("direct", None, {"msg": "hi", "will": True}, 4116),
    "logs": ("logs", None, {}, 4318),
    "read": ("read", None, {}, 4318),
    "start": ("conv", "start", {}, 4318),
    "add": ("conv", "add", {}, 4318),
    "remove": ("conv", "remove", {}, 4318),
    "query": ("conv", "query", {}, 4318),
    "online": ("session", "query", {}, 4318),
    "refresh": ("session", "refresh", {}, 4318),
}
"""What is sent over its rate: command, fields, and the error."""
NAMES = {4116: "MESSAGE_SENT_QUOTA_EXCEEDED", 4318: "CONVERSATION_API_QUOTA_EXCEEDED"}


@pytest.fixture(scope="module")
def narrow(shared_server: Server) -> Door:
    """An app with rates of a few commands."""
    return app_with(shared_server, send_rate="3", read_rate="4", other_rate="5")


@pytest.mark.parametrize("name", OVER)
async def test_over_a_rate_each_command_gets_a_named_error_and_the_connection_lives_inferred(
    server: Server, narrow: Door, name: str
) -> None:
    """Also one that gets no answer otherwise."""
    cmd, op, fields, code = OVER[name]
    async with connect(narrow) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start()
        where = {"cid": conversation} if cmd in ("direct", "logs") or op in ("add", "remove") else {}
        for serial in range(1, 41):
            await connection.send(numbered(-serial, command(cmd, op, tom.peer, **where, **fields)))
        first = await connection.expect(lambda push: bool(code_of(push)))
        await connection.echo()
        refused = [first, *filter(code_of, connection.pushes)]
        assert {code_of(answer) for answer in refused} == {code}
        assert {reason_of(answer) for answer in refused} == {NAMES[code]}
        assert {answer.peerId for answer in refused} == {tom.peer}
        await connection.echo()


async def test_a_login_over_the_rate_gets_a_named_error(server: Server, narrow: Door) -> None:
    (tom,) = people("tom")
    async with connect(narrow) as connection:
        answers = await replies(connection, [open_command(narrow, tom) for _ in range(40)])
        refused = [answer for answer in answers if code_of(answer)]
        assert {(code_of(answer), reason_of(answer)) for answer in refused} == {(4318, NAMES[4318])}
        assert 0 < len(answers) - len(refused) < 40


async def test_limits_off_lifts_them_all(server: Server) -> None:
    rates = dict.fromkeys(("send_rate", "read_rate", "other_rate", "delivery_rate"), "1")
    async with pair(app_with(server, limits="off", **rates)) as (tom, jerry, conversation):
        for cmd, fields in (("direct", {"msg": "hi"}), ("logs", {})):
            asked = [command(cmd, peer=tom.peer, cid=conversation, **fields) for _ in range(20)]
            assert [code_of(answer) for answer in await replies(tom.connection, asked)] == [0] * 20
        assert len(await texts(jerry)) == 20


# what an app may deliver


async def test_an_app_that_delivers_too_much_may_not_send_for_a_while(server: Server) -> None:
    """What was acknowledged is delivered; what was refused is nowhere, and may be sent again."""
    door = app_with(server, send_rate="100000", read_rate="1000", delivery_rate="2")
    async with pair(door) as (tom, jerry, conversation):
        sent: list[str] = []
        refused: list[GenericCommand] = []
        while not refused or len(sent) < 6:
            (answer,) = await replies(tom.connection, [command("direct", peer=tom.peer, cid=conversation, msg="hi")])
            refused.append(answer) if answer.ackMessage.HasField("code") else sent.append(answer.ackMessage.uid)
        assert {(code_of(answer), reason_of(answer)) for answer in refused} == {(4116, NAMES[4116])}
        await jerry.connection.echo()
        pushed = [push.directMessage.id for push in jerry.connection.pushes if push.HasField("directMessage")]
        assert pushed == sent
        assert [item.msgId for item in await jerry.history(conversation)] == sent


async def test_large_attributes_are_not_changed_without_end_but_keep_nobody_from_writing(server: Server) -> None:
    """A change of few bytes tells every member all of what it is in."""
    door = app_with(server, send_rate="1000", other_rate="1000", delivery_rate="20")
    async with pair(door) as (tom, jerry, conversation):
        large = {"data": json.dumps({"attr": {"text": "x" * 40_000}})}
        await tom.request("conv", "update", cid=conversation, attr=large)
        small = {"data": '{"attr.n":1}'}
        request = command("conv", "update", tom.peer, cid=conversation, attr=small)
        (answer,) = await replies(tom.connection, [request])
        assert (code_of(answer), reason_of(answer)) == (4318, NAMES[4318])
        await tom.send(conversation, "hi")
        assert await texts(jerry) == ["hi"]
        found = (await jerry.query({"objectId": conversation}))[0]
        assert "n" not in found["attr"]
        while code_of(answer):  # until it is worked off
            (answer,) = await replies(tom.connection, [request])
        assert (await jerry.query({"objectId": conversation}))[0]["attr"]["n"] == 1


async def test_who_is_offline_costs_no_deliveries(server: Server) -> None:
    door = app_with(server, send_rate="1000", delivery_rate="1")
    async with connect(door) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start(*people("jerry", "spike"))
        for number in range(50):
            await tom.send(conversation, str(number))


# unread counts


async def test_the_latest_unread_conversations_are_told_inferred(server: Server) -> None:
    door = app_with(server, limits="off", unread_conversations="2", unread_max="3")
    (jerry,) = people("jerry")
    async with connect(door) as connection:
        tom = await connection.open(people("tom")[0])
        conversations = [await tom.start(jerry) for _ in range(3)]
        for conversation in conversations:
            for number in range(5):
                await tom.send(conversation, str(number))
        async with connect(door) as other:
            session = await other.open(jerry)
            (unread,) = [push.unreadMessage for push in await login_pushes(session) if push.HasField("unreadMessage")]
            assert {item.cid for item in unread.convs} == set(conversations[1:])
            assert [item.unread for item in unread.convs] == [3, 3]
            first = (await session.history(conversations[0]))[0]
            await session.read(conversations[0], mid=first.msgId, timestamp=first.timestamp)
            (item,) = (await session.expect("unread")).unreadMessage.convs
            assert (item.cid, item.unread) == (conversations[0], 3)
