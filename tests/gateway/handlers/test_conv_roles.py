"""`conv/member_info_update`, and removing where there are roles (reference 3.7, 3.9, 3.14)."""

from typing import Any

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.apps import STRICT, into
from tests.gateway.handlers.conversations import names, row
from tests.gateway.handlers.refusals import refusal
from tests.gateway.talk import clients, people, push_names, pushes, settled, told
from tests.gateway.test_missed_notifications import missed
from tests.support.client import CAPABILITIES, Refused, Session, command, connect, login
from tests.support.server import Server

DROPPABLE = 2
PARTIAL = 0x20
UNAUTHORIZED = (4320, "CONVERSATION_OPERATION_UNAUTHORIZED")
NEED_OWNER = (4324, "CONVERSATION_NEED_OWNER")
NOT_FOUND = (4303, "CONVERSATION_NOT_FOUND")


def give(session: Session, conversation: str, client: str, role: str) -> GenericCommand:
    """The command as SDKs send it."""
    info = {"pid": client, "role": role}
    return command("conv", "member_info_update", session.peer, cid=conversation, targetClientId=client, info=info)


async def given(session: Session, conversation: str, client: str, role: str) -> Any:
    """The info in the reply."""
    reply = (await session.connection.request(give(session, conversation, client, role))).convMessage
    assert reply.cid == conversation
    return reply.info


async def change(session: Session, op: str, conversation: str, *members: str) -> Any:
    """The reply to `add` or `remove`."""
    return (await session.request("conv", op, cid=conversation, m=members)).convMessage


@pytest.mark.covers(
    "conv/member_info_update",
    "conv/member_info_updated",
    "conv/member_info_changed",
    "ConvCommand.targetClientId",
    "ConvCommand.info",
    "ConvMemberInfo.pid",
    "ConvMemberInfo.role",
    "ConvMemberInfo.infoId",
)
async def test_a_role_is_told_to_every_member(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike), settled(server, tom.peer) as tablet:
        conversation = await tom.start(jerry.peer)
        for session in (tom, tablet, jerry):
            await pushes(session)
        own = await told(tom, give(tom, conversation, jerry.peer, "Manager"))
        assert names(own) == ["conv/member_info_updated", "conv/member_info_changed"]
        info = own[0].convMessage.info
        assert (own[0].convMessage.cid, info.pid, info.role, len(info.infoId)) == (
            conversation,
            jerry.peer,
            "Manager",
            24,
        )
        others = [push for session in (tablet, jerry) for push in await pushes(session)]
        mine = [push for push in [own[1], *others] if push.convMessage.cid == conversation]
        assert names(mine) == ["conv/member_info_changed"] * 3
        for push in mine:
            assert (push.HasField("i"), push.notificationType, push.serverTs > 0) == (False, DROPPABLE, True)
            assert (push.convMessage.initBy, push.convMessage.info) == (tom.peer, info)
        assert await push_names(spike) == []


async def test_the_same_role_again_keeps_its_id_and_tells_nobody(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        first = await given(tom, conversation, jerry.peer, "Manager")
        await pushes(jerry)
        assert await given(tom, conversation, jerry.peer, "Manager") == first
        assert await push_names(jerry) == []
        again = await given(tom, conversation, jerry.peer, "Member")
        assert (again.infoId, again.role) == (first.infoId, "Member")
        assert await push_names(jerry) == ["conv/member_info_changed"]


async def test_who_is_refused_to_give_roles(server: Server) -> None:
    """As the JavaScript SDK's tests have it: nobody raises itself, and nobody acts on an equal."""
    async with clients(server, "tom", "jerry", "spike", "butch") as (tom, jerry, spike, butch):
        conversation = await tom.start(jerry.peer, spike.peer)
        await given(tom, conversation, jerry.peer, "Manager")
        await pushes(spike)
        for by, client, role, code in (
            (spike, spike.peer, "Manager", UNAUTHORIZED),
            (jerry, jerry.peer, "Member", UNAUTHORIZED),
            (jerry, tom.peer, "Member", UNAUTHORIZED),
            (tom, tom.peer, "Manager", UNAUTHORIZED),
            (tom, spike.peer, "Owner", UNAUTHORIZED),
            (tom, spike.peer, "King", (4321, "UNKNOWN_CONVERSATION_ROLE")),
            (tom, spike.peer, "", (4321, "UNKNOWN_CONVERSATION_ROLE")),
            (tom, butch.peer, "Manager", (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")),
            (butch, butch.peer, "Manager", (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")),
            (tom, "", "Manager", (4301, "CONVERSATION_API_FAILED")),
            (tom, "x" * 65, "Manager", (4301, "CONVERSATION_API_FAILED")),
        ):
            assert await refusal(given(by, conversation, client, role)) == code
        assert await refusal(given(tom, "65f000000000000000000001", spike.peer, "Manager")) == NOT_FOUND
        bare = command("conv", "member_info_update", tom.peer, cid=conversation)
        assert (await refusal(tom.connection.request(bare)))[0] == 4301
        two = give(tom, conversation, spike.peer, "Manager")
        two.convMessage.info.pid = jerry.peer
        assert await refusal(tom.connection.request(two)) == (4301, "CONVERSATION_API_FAILED")
        assert await push_names(spike) == []


async def test_a_client_named_in_the_info_alone(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        info = {"pid": jerry.peer, "role": "Manager"}
        reply = await tom.request("conv", "member_info_update", cid=conversation, info=info)
        assert reply.convMessage.info.pid == jerry.peer


async def test_roles_can_be_off(server: Server) -> None:
    door = into(server, STRICT)
    tom, jerry = people("tom", "jerry")
    async with login(door, tom) as session:
        conversation = await session.start(jerry)
        disabled = (4325, "CONVERSATION_MEMBER_INFO_FEATURE_DISABLED")
        assert await refusal(given(session, conversation, jerry, "Manager")) == disabled
        assert await refusal(given(session, "", "", "")) == disabled


@pytest.mark.covers("ConvCommand.failedPids", "ErrorCommand.pids")
async def test_the_owner_stays_and_others_go(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        await given(tom, conversation, jerry.peer, "Manager")
        reply = await change(jerry, "remove", conversation, spike.peer, tom.peer)
        (failed,) = reply.failedPids
        assert list(reply.allowedPids) == [spike.peer]
        assert (failed.code, failed.reason, list(failed.pids)) == (*NEED_OWNER, [tom.peer])
        assert await refusal(change(tom, "remove", conversation, tom.peer)) == NEED_OWNER
        assert sorted((await row(tom, conversation))["m"]) == sorted([tom.peer, jerry.peer])


async def test_without_partial_results_one_failure_fails_the_request_inferred(server: Server) -> None:
    tom, jerry, spike = people("tom", "jerry", "spike")
    async with login(server, tom) as owner, connect(server) as connection:
        manager = await connection.open(jerry, configBitmap=CAPABILITIES & ~PARTIAL)
        conversation = await owner.start(jerry, spike)
        await given(owner, conversation, jerry, "Manager")
        assert await refusal(change(manager, "remove", conversation, spike, tom)) == NEED_OWNER
        assert sorted((await row(owner, conversation))["m"]) == sorted([tom, jerry, spike])
        reply = await change(manager, "remove", conversation, spike)
        assert (list(reply.allowedPids), list(reply.failedPids)) == ([], [])


async def test_members_remove_nobody_once_there_are_roles_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        await change(jerry, "remove", conversation, tom.peer)
        await change(tom, "add", conversation, tom.peer)
        await given(tom, conversation, jerry.peer, "Manager")
        for target in (tom, jerry):
            assert await refusal(change(spike, "remove", conversation, target.peer)) == UNAUTHORIZED
        await change(spike, "remove", conversation, spike.peer)
        await change(jerry, "remove", conversation, jerry.peer)
        assert (await row(tom, conversation))["m"] == [tom.peer]


async def test_who_comes_back_is_a_plain_member(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        await given(tom, conversation, jerry.peer, "Manager")
        await change(tom, "remove", conversation, jerry.peer)
        await change(spike, "add", conversation, jerry.peer)
        assert await refusal(given(jerry, conversation, spike.peer, "Manager")) == UNAUTHORIZED


async def test_what_was_missed_is_told_over_http(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        info = await given(tom, conversation, jerry.peer, "Manager")
        (changed,) = [
            item
            for item in (await missed(server, spike, spike.opened.serverTs))["droppable"]["notifications"]
            if item["op"] == "member-info-changed"
        ]
        assert (changed["cid"], changed["initBy"], changed["notificationType"]) == (conversation, tom.peer, DROPPABLE)
        assert changed["info"] == {"pid": jerry.peer, "role": "Manager", "infoId": info.infoId}


async def test_more_managers_than_may_be(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        members = [f"{tom.peer}-{number}" for number in range(101)]
        conversation = await tom.start(*members)
        for member in members[:100]:
            await given(tom, conversation, member, "Manager")
        with pytest.raises(Refused, match="4322 CONVERSATION_MEMBER_IN_ROLE_FULL"):
            await given(tom, conversation, members[100], "Manager")
