"""`conv/add_shutup`, `remove_shutup`, `query_shutup`, `check_shutup` (reference 3.13)."""

from typing import Any

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.handlers.conversations import names
from tests.gateway.handlers.refusals import refusal
from tests.gateway.handlers.test_conv_roles import NOT_FOUND, UNAUTHORIZED, given
from tests.gateway.talk import clients, people, push_names, pushes, settled, texts, told
from tests.gateway.test_missed_notifications import missed
from tests.support.client import Session, command, connect, login
from tests.support.server import Server

DROPPABLE = 2
SILIENCED = (4563, "SILIENCED")
REQUIRED = (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")
FAILED = (4301, "CONVERSATION_API_FAILED")


def shutup(session: Session, op: str, conversation: str, *members: str, **fields: Any) -> GenericCommand:
    return command("conv", f"{op}_shutup", session.peer, cid=conversation, m=members, **fields)


async def asked(session: Session, op: str, conversation: str, *members: str, **fields: Any) -> Any:
    """The reply's message."""
    return (await session.connection.request(shutup(session, op, conversation, *members, **fields))).convMessage


@pytest.mark.covers(
    "conv/add_shutup",
    "conv/shutup_added",
    "conv/shutuped",
    "conv/members_shutuped",
    "conv/remove_shutup",
    "conv/shutup_removed",
    "conv/unshutuped",
    "conv/members_unshutuped",
)
async def test_everybody_is_told_and_who_it_concerns_twice(server: Server) -> None:
    async with (
        clients(server, "tom", "jerry", "spike", "butch") as (tom, jerry, spike, butch),
        settled(server, tom.peer) as tablet,
    ):
        conversation = await tom.start(jerry.peer, spike.peer)
        for op, done, silenced in (("add", "added", "shutuped"), ("remove", "removed", "unshutuped")):
            for session in (tom, tablet, jerry, spike):
                await pushes(session)
            own = await told(tom, shutup(tom, op, conversation, jerry.peer, butch.peer))
            assert names(own) == [f"conv/shutup_{done}", f"conv/members_{silenced}"]
            reply = own[0].convMessage
            assert (reply.cid, list(reply.failedPids)) == (conversation, [])
            assert list(reply.allowedPids) == [jerry.peer, butch.peer]
            concerned = await pushes(jerry)
            assert names(concerned) == [f"conv/{silenced}", f"conv/members_{silenced}"]
            others = [*await pushes(spike), *_about(conversation, await pushes(tablet))]
            assert names(others) == [f"conv/members_{silenced}"] * 2
            for push in [own[1], *concerned, *others]:
                assert (push.convMessage.cid, push.convMessage.initBy) == (conversation, tom.peer)
                assert (push.HasField("i"), push.notificationType, push.serverTs > 0) == (False, DROPPABLE, True)
            for push in (own[1], concerned[1], *others):
                assert list(push.convMessage.m) == [jerry.peer, butch.peer]
            assert list(concerned[0].convMessage.m) == []
            assert await push_names(butch) == []


def _about(conversation: str, received: list[GenericCommand]) -> list[GenericCommand]:
    return [push for push in received if push.convMessage.cid == conversation]


async def test_the_silenced_read_on_and_say_nothing(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        sent = await jerry.send(conversation, "before")
        await asked(tom, "add", conversation, jerry.peer)
        for fields in ({}, {"transient": True}, {"will": True}):
            assert await refusal(jerry.send(conversation, "after", **fields)) == SILIENCED
        await tom.send(conversation, "quiet now")
        assert await texts(jerry) == ["quiet now"]
        assert [item.data for item in await jerry.history(conversation)] == ["before", "quiet now"]
        await asked(tom, "remove", conversation, jerry.peer)
        await jerry.send(conversation, "thanks")
        assert sent.uid


async def test_the_silenced_edit_and_recall_nothing_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        sent = await jerry.send(conversation, "before")
        await asked(tom, "add", conversation, jerry.peer)
        for fields in ({"data": "after"}, {"recall": True}):
            item = {"cid": conversation, "mid": sent.uid, "timestamp": sent.t, **fields}
            assert await refusal(jerry.request("patch", "modify", patches=[item])) == SILIENCED
        assert [item.data for item in await tom.history(conversation)] == ["before"]


async def test_silenced_twice_is_told_once_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        for op in ("add", "remove"):
            await asked(tom, op, conversation, jerry.peer)
            await pushes(jerry)
            reply = await asked(tom, op, conversation, jerry.peer)
            assert (list(reply.allowedPids), list(reply.failedPids)) == ([jerry.peer], [])
            assert await push_names(jerry) == []


async def test_who_may_not_is_refused_as_a_whole(server: Server) -> None:
    """As the JavaScript SDK's tests have it: no manager lets itself speak again."""
    async with clients(server, "tom", "jerry", "spike", "butch") as (tom, jerry, spike, butch):
        conversation = await tom.start(jerry.peer, spike.peer)
        await given(tom, conversation, jerry.peer, "Manager")
        await asked(tom, "add", conversation, jerry.peer)
        await pushes(spike)
        for op in ("add", "remove"):
            for by, targets, code in (
                (jerry, [jerry.peer], UNAUTHORIZED),
                (jerry, [spike.peer, tom.peer], UNAUTHORIZED),
                (spike, [jerry.peer], UNAUTHORIZED),
                (tom, [tom.peer], UNAUTHORIZED),
                (butch, [spike.peer], REQUIRED),
                (tom, [], FAILED),
                (tom, [""], FAILED),
                (tom, ["x" * 65], FAILED),
                (tom, [str(number) for number in range(501)], FAILED),
            ):
                assert await refusal(asked(by, op, conversation, *targets)) == code
            assert await refusal(asked(tom, op, "65f000000000000000000001", spike.peer)) == NOT_FOUND
        assert list((await asked(spike, "query", conversation)).m) == [jerry.peer]
        assert await push_names(spike) == []


@pytest.mark.covers("conv/query_shutup", "conv/shutup_result", "ConvCommand.next")
async def test_who_is_silenced_page_by_page(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        empty = await asked(jerry, "query", conversation)
        assert (empty.cid, list(empty.m), empty.HasField("next")) == (conversation, [], False)
        everybody = [f"c{number:03}" for number in range(120)]
        await asked(tom, "add", conversation, *everybody)
        assert list((await asked(jerry, "query", conversation)).m) == everybody[:50]
        first = await asked(jerry, "query", conversation, limit=1000)
        assert (list(first.m), first.next) == (everybody[:100], "100")
        last = await asked(jerry, "query", conversation, limit=20, next=first.next)
        assert (list(last.m), last.HasField("next")) == (everybody[100:], False)
        beyond = await asked(jerry, "query", conversation, next="999999999")
        assert (list(beyond.m), beyond.HasField("next")) == ([], False)


@pytest.mark.covers("conv/check_shutup", "conv/check_result")
async def test_whether_one_is_silenced(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await asked(tom, "add", conversation, jerry.peer)
        for client, found in ((jerry.peer, [jerry.peer]), (tom.peer, []), ("nobody", [])):
            reply = await asked(jerry, "check", conversation, client)
            assert (reply.cid, list(reply.m)) == (conversation, found)


async def test_questions_that_are_refused(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start()
        assert await refusal(asked(jerry, "query", conversation)) == REQUIRED
        assert await refusal(asked(jerry, "check", conversation, tom.peer)) == REQUIRED
        for wrong in ("-1", "x", "1.5", "١", "9" * 10, " 1"):
            assert await refusal(asked(tom, "query", conversation, next=wrong)) == FAILED
        for several in ([], ["a", "b"]):
            assert await refusal(asked(tom, "check", conversation, *several)) == FAILED
        for op in ("query", "check"):
            assert await refusal(asked(tom, op, "none", tom.peer)) == NOT_FOUND


async def test_sessions_without_partial_results(server: Server) -> None:
    tom, jerry = people("tom", "jerry")
    async with connect(server) as connection, login(server, jerry):
        owner = await connection.open(tom, configBitmap=0)
        conversation = await owner.start(jerry)
        reply = await asked(owner, "add", conversation, jerry)
        assert (reply.cid, list(reply.allowedPids), list(reply.failedPids)) == (conversation, [], [])


async def test_what_was_missed_is_told_over_http(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        await asked(tom, "add", conversation, jerry.peer)
        await asked(tom, "remove", conversation, jerry.peer)
        for session, expected in (
            (spike, ["members-shutuped", "members-unshutuped"]),
            (jerry, ["shutuped", "members-shutuped", "unshutuped", "members-unshutuped"]),
        ):
            found = (await missed(server, session, session.opened.serverTs))["droppable"]["notifications"]
            items = [item for item in found if "shutuped" in item["op"]]
            assert [item["op"] for item in items] == expected
            for item in items:
                assert (item["cid"], item["initBy"]) == (conversation, tom.peer)
                assert item.get("m") == ([jerry.peer] if item["op"].startswith("members") else None)
