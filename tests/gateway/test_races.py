"""What must hold when things happen at the same time on several connections, or twice on one."""

import asyncio
import json

import pytest

from hongyan import errors
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand
from tests.gateway.apps import STRICT, into
from tests.gateway.raw import message
from tests.gateway.talk import (
    clients,
    login_pushes,
    numbered,
    open_command,
    people,
    push_names,
    pushes,
    replies,
    texts,
)
from tests.support.client import Refused, Session, command, connect, named
from tests.support.server import Server


async def test_a_client_opened_twice_on_a_connection_gets_no_message_of_its_own(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await push_names(tom)
        await tom.connection.send(command("direct", peer=tom.peer, cid=conversation, msg="mine"))
        await tom.connection.request(open_command(server, tom.peer))
        await tom.send(conversation, "mine too")
        assert await texts(tom) == []
        assert await texts(jerry) == ["mine", "mine too"]


async def test_a_client_opened_twice_at_once_is_told_its_counts_once(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        await tom.send(conversation, "hi")
        async with connect(server) as connection:
            logins = [numbered(-serial, open_command(server, jerry)) for serial in (1, 2)]
            connection.write(b"".join(map(message, logins)))  # in one piece, or the first might be told all by itself
            opened = [await connection.expect("session/opened") for _ in logins]
            told = await login_pushes(Session(connection, opened[-1]))
            assert [named(push) for push in told].count("unread") == 1


async def test_a_read_elsewhere_during_a_login_does_not_hide_what_came_after_it(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        for number in range(10):
            await tom.send(conversation, f"read {number}")
            await jerry.expect("direct")
            async with connect(server) as connection:
                opening = asyncio.ensure_future(connection.open(jerry.peer))
                await jerry.read(conversation)
                await jerry.expect("unread")
                await tom.send(conversation, "unread")
                assert _count(await login_pushes(await opening), conversation) == 1
            await jerry.expect("direct")


def _count(told: list[GenericCommand], conversation: str) -> int:
    """What a client makes of it: counts replace, messages add."""
    count = 0
    for push in told:
        count += named(push) == "direct"
        for item in push.unreadMessage.convs:
            count = item.unread if item.cid == conversation else count
    return count


async def test_a_transient_message_does_not_overtake_its_sender_s_others(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await push_names(jerry)
        for number in range(20):
            await tom.connection.send(command("direct", peer=tom.peer, cid=conversation, msg=f"kept {number}"))
            await tom.send(conversation, f"passing {number}", transient=True)
        heard = await texts(jerry)
        assert heard == [text for number in range(20) for text in (f"kept {number}", f"passing {number}")]


async def test_logging_out_voids_the_token_of_a_refresh(server: Server) -> None:
    async with clients(server, "tom") as (tom,), connect(server) as connection:
        phone = await connection.open(tom.peer)
        refreshed = await tom.request("session", "refresh", st=phone.token)
        await tom.close()
        with pytest.raises(Refused) as refusal:
            await connection.open(tom.peer, st=refreshed.sessionMessage.st, r=True)
        assert refusal.value.code == errors.SESSION_TOKEN_EXPIRED.code


async def test_a_connection_serves_one_app(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        with pytest.raises(Refused) as refusal:
            await tom.connection.request(open_command(into(server, STRICT), tom.peer))
        assert refusal.value.code == errors.APP_NOT_AVAILABLE.code


@pytest.mark.parametrize("field", ["tag", "deviceId", "deviceToken"])
async def test_what_travels_in_the_token_is_short(server: Server, field: str) -> None:
    (tom,) = people("tom")
    async with connect(server) as connection:
        with pytest.raises(Refused) as refusal:
            await connection.open(tom, **{field: "x" * 257})
        assert refusal.value.code == errors.INVALID_LOGIN.code
        assert await connection.open(tom, **{field: "x" * 256})


async def test_mentions_are_ids_of_clients(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        for mentions in ([""] * 3, ["x" * 65]):
            with pytest.raises(Refused) as refusal:
                await tom.send(conversation, "hi", mentionPids=mentions)
            assert refusal.value.code == errors.CONVERSATION_API_FAILED.code
        await tom.send(conversation, "hi", mentionPids=[jerry.peer] * 3)
        (push,) = [push for push in await pushes(jerry) if named(push) == "direct"]
        assert list(push.directMessage.mentionPids) == [jerry.peer]


# commands sent without waiting for answers


async def test_a_login_after_a_logout_is_answered_after_it(server: Server) -> None:
    (tom, jerry) = people("tom", "jerry")
    async with connect(server) as connection:
        await connection.open(tom)
        await connection.open(jerry)
        commands = [
            command("session", "close", tom),
            open_command(server, tom),
            command("conv", "start", tom),
            command("session", "close", tom),
            command("conv", "start", jerry),
            open_command(server, tom),
            command("session", "query", tom, sessionPeerIds=[tom, jerry]),
        ]
        answers = await replies(connection, commands)
        assert sorted(answer.i for answer in answers) == list(range(-7, 0))
        order = [named(answer) for answer in answers if answer.peerId == tom and answer.cmd == CommandType.session]
        assert order == ["session/closed", "session/opened", "session/closed", "session/opened", "session/query_result"]
        assert not any(answer.HasField("errorMessage") for answer in answers)


async def test_what_is_sent_after_quitting_is_refused(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await jerry.start(tom.peer)
        for _ in range(10):
            commands = [
                command("conv", "remove", tom.peer, cid=conversation, m=[tom.peer]),
                command("direct", peer=tom.peer, cid=conversation, msg="too late"),
                command("logs", peer=tom.peer, cid=conversation),
                command("conv", "add", tom.peer, cid=conversation, m=[tom.peer]),
                command("direct", peer=tom.peer, cid=conversation, msg="back"),
            ]
            answers = await replies(tom.connection, commands)
            assert [answer.i for answer in answers] == [-1, -2, -3, -4, -5]
            assert [answer.ackMessage.code or answer.errorMessage.code for answer in answers] == [0, 4401, 4312, 0, 0]
        assert await texts(jerry) == ["back"] * 10


async def test_lists_of_conversations_wait_for_changes_too(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await jerry.start(tom.peer)
        for _ in range(10):
            looks = [
                command("conv", "is_member", tom.peer, cids=[conversation]),
                command("read", peer=tom.peer, cids=[conversation]),
            ]
            leave = command("conv", "remove", tom.peer, cid=conversation, m=[tom.peer])
            answers = {answer.i: answer for answer in await replies(tom.connection, [leave, *looks])}
            assert json.loads(answers[-2].convMessage.results.data) == {conversation: False}
            assert answers[-3].errorMessage.code == 4317
            join = command("conv", "add", tom.peer, cid=conversation, m=[tom.peer])
            answers = {answer.i: answer for answer in await replies(tom.connection, [join, looks[0]])}
            assert json.loads(answers[-2].convMessage.results.data) == {conversation: True}
            await tom.connection.send(looks[1])  # only now: it is refused no more, and has no reply then
            assert (await tom.expect("unread")).unreadMessage.convs[0].cid == conversation


async def test_many_changes_and_what_follows_each_sent_at_once(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversations = [await tom.start() for _ in range(20)]
        commands = [
            request
            for conversation in conversations
            for request in (
                command("conv", "add", tom.peer, cid=conversation, m=[jerry.peer]),
                command("direct", peer=tom.peer, cid=conversation, msg=conversation),
            )
        ]
        answers = await replies(tom.connection, commands)
        assert not any(answer.ackMessage.code or answer.HasField("errorMessage") for answer in answers)
        assert await texts(jerry) == conversations


async def test_what_waits_for_a_change_ends_with_its_connection(server: Server) -> None:
    async with clients(server, "jerry") as (jerry,):
        (tom,) = people("tom")
        conversation = await jerry.start(tom)
        for _ in range(10):
            async with connect(server) as connection:
                await connection.open(tom)
                for request in (
                    command("conv", "remove", tom, cid=conversation, m=[tom]),
                    command("conv", "add", tom, cid=conversation, m=[tom]),
                    command("direct", peer=tom, cid=conversation, msg="hi"),
                ):
                    await connection.send(request)
                connection.abort()
        assert await jerry.start(tom)
