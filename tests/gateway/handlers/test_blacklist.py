"""`blacklist`: blocking clients from conversations, refusing conversations, and who is told (reference 3.22)."""

from typing import Any

import pytest

from tests.gateway.handlers.conversations import names, row
from tests.gateway.handlers.refusals import refusal
from tests.gateway.talk import clients, people, push_names, pushes, texts, told
from tests.support.client import Refused, Session, command, connect, named
from tests.support.server import Server

UNAUTHORIZED = (4320, "CONVERSATION_OPERATION_UNAUTHORIZED")
BLOCKED = (4548, "BLOCKED_BY_CONV")
FAILED = (4301, "CONVERSATION_API_FAILED")
UNKNOWN = "65f000000000000000000001"
DROPPABLE = 2


async def group(server_sessions: list[Session]) -> str:
    """A conversation of these, the first of whom owns it; what they were told of it is dropped."""
    owner, *others = server_sessions
    conversation = await owner.start(*(session.peer for session in others))
    for session in server_sessions:
        await pushes(session)
    return conversation


# blocking and unblocking


@pytest.mark.covers(
    "blacklist/block",
    "blacklist/blocked",
    "conv/blocked",
    "conv/members_blocked",
    "GenericCommand.blacklistMessage",
    "BlacklistCommand.srcCid",
    "BlacklistCommand.toPids",
    "BlacklistCommand.allowedPids",
)
async def test_a_blocked_member_is_told_and_those_who_remain(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike", "butch") as (tom, jerry, spike, butch):
        conversation = await group([tom, jerry, spike])
        before = (await row(tom, conversation))["updatedAt"]
        own = await told(
            tom, command("blacklist", "block", tom.peer, srcCid=conversation, toPids=[jerry.peer, butch.peer])
        )
        assert names(own) == ["blacklist/blocked", "conv/members_blocked", "conv/members_left"]
        reply = own[0].blacklistMessage
        assert (reply.srcCid, list(reply.allowedPids)) == (conversation, [jerry.peer, butch.peer])
        assert list(reply.failedPids) == []
        gone, stranger, others = await pushes(jerry), await pushes(butch), await pushes(spike)
        assert names(gone) == ["conv/blocked", "conv/left"]
        assert names(stranger) == ["conv/blocked"]
        assert names(others) == ["conv/members_blocked", "conv/members_left"]
        for push in [*own[1:], *gone, *stranger, *others]:
            assert (push.convMessage.cid, push.convMessage.initBy) == (conversation, tom.peer)
            assert not push.convMessage.HasField("transient")
        for push in [*own[1:], *others]:
            left = named(push) == "conv/members_left"
            assert list(push.convMessage.m) == ([jerry.peer] if left else [jerry.peer, butch.peer])
        assert gone[0].notificationType == others[0].notificationType == DROPPABLE
        after = await row(tom, conversation)
        assert sorted(after["m"]) == sorted([tom.peer, spike.peer])
        assert after["updatedAt"] == own[2].convMessage.udate > before


@pytest.mark.covers("blacklist/unblock", "blacklist/unblocked", "conv/unblocked", "conv/members_unblocked")
async def test_who_is_unblocked_is_told_and_no_member_again(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await group([tom, jerry, spike])
        await tom.request("blacklist", "block", srcCid=conversation, toPids=[jerry.peer])
        for session in (jerry, spike):
            await pushes(session)
        own = await told(tom, command("blacklist", "unblock", tom.peer, srcCid=conversation, toPids=[jerry.peer]))
        assert names(own[-2:]) == ["blacklist/unblocked", "conv/members_unblocked"]
        reply = own[-2].blacklistMessage
        assert (reply.srcCid, list(reply.allowedPids)) == (conversation, [jerry.peer])
        free, others = await pushes(jerry), await pushes(spike)
        assert names(free) == ["conv/unblocked"]
        assert names(others) == ["conv/members_unblocked"]
        assert list(others[0].convMessage.m) == [jerry.peer]
        for push in [own[-1], *free, *others]:
            assert (push.convMessage.cid, push.convMessage.initBy) == (conversation, tom.peer)
        assert jerry.peer not in (await row(tom, conversation))["m"]
        await jerry.request("conv", "add", cid=conversation, m=[jerry.peer])
        await jerry.send(conversation, "back")
        assert "back" in await texts(spike)


@pytest.mark.parametrize(("op", "done"), [("block", "blocked"), ("unblock", "unblocked")])
async def test_what_is_so_already_succeeds_without_a_push_inferred(server: Server, op: str, done: str) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await group([tom, jerry])
        if op == "block":
            await tom.request("blacklist", "block", srcCid=conversation, toPids=[jerry.peer])
        await pushes(tom), await pushes(jerry)
        before = (await row(tom, conversation))["updatedAt"]
        own = await told(tom, command("blacklist", op, tom.peer, srcCid=conversation, toPids=[jerry.peer]))
        assert names(own) == [f"blacklist/{done}"]
        assert list(own[0].blacklistMessage.allowedPids) == [jerry.peer]
        assert await push_names(jerry) == []
        assert (await row(tom, conversation))["updatedAt"] == before


async def test_a_blocked_client_does_nothing_there_any_more(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await group([tom, jerry])
        said = await jerry.send(conversation, "before")
        await tom.request("blacklist", "block", srcCid=conversation, toPids=[jerry.peer])
        await tom.send(conversation, "after")
        assert "after" not in await texts(jerry)
        with pytest.raises(Refused, match="4401 INVALID_MESSAGING_TARGET"):
            await jerry.send(conversation, "let me in")
        with pytest.raises(Refused, match="4312 CONVERSATION_LOG_REJECTED"):
            await jerry.logs(conversation)
        patch = {"cid": conversation, "mid": said.uid, "timestamp": said.t, "data": "changed"}
        assert await refusal(jerry.request("patch", "modify", patches=[patch])) == (4401, "INVALID_MESSAGING_TARGET")
        assert (await row(jerry, conversation))["m"] == [tom.peer]
        assert [item.data for item in await tom.history(conversation)] == ["before", "after"]


@pytest.mark.covers("ConvCommand.failedPids", "ErrorCommand.pids")
async def test_of_those_who_are_added_the_blocked_fail_alone(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await group([tom, jerry])
        await tom.request("blacklist", "block", srcCid=conversation, toPids=[jerry.peer])
        reply = await tom.request("conv", "add", cid=conversation, m=[jerry.peer, spike.peer])
        assert list(reply.convMessage.allowedPids) == [spike.peer]
        (failed,) = reply.convMessage.failedPids
        assert (failed.code, failed.reason, list(failed.pids)) == (*BLOCKED, [jerry.peer])
        joining = await jerry.request("conv", "add", cid=conversation, m=[jerry.peer])
        assert list(joining.convMessage.allowedPids) == []
        assert [error.code for error in joining.convMessage.failedPids] == [4548]
        assert sorted((await row(tom, conversation))["m"]) == sorted([tom.peer, spike.peer])
        assert await push_names(jerry) == ["conv/blocked", "conv/left"]


async def test_without_the_bit_one_who_is_blocked_fails_the_whole_request_inferred(server: Server) -> None:
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0], configBitmap=0x0B)
        jerry, spike = people("jerry", "spike")
        conversation = await tom.start(jerry)
        reply = await tom.request("blacklist", "block", srcCid=conversation, toPids=[jerry])
        assert not reply.blacklistMessage.allowedPids
        assert await refusal(tom.request("conv", "add", cid=conversation, m=[jerry, spike])) == BLOCKED
        assert (await row(tom, conversation))["m"] == [tom.peer]


async def test_who_is_blocked_is_left_out_when_a_conversation_is_found_again_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer, unique=True)
        await tom.request("blacklist", "block", srcCid=conversation, toPids=[jerry.peer])
        found = await tom.request("conv", "start", m=[tom.peer, jerry.peer], unique=True)
        assert (found.convMessage.cid, found.convMessage.existing) == (conversation, True)
        assert (await row(tom, conversation))["m"] == [tom.peer]
        assert await refusal(jerry.request("conv", "start", m=[tom.peer, jerry.peer], unique=True)) == BLOCKED


@pytest.mark.covers("BlacklistCommand.failedPids")
async def test_who_does_not_fit_fails_alone_or_with_all_inferred(server: Server) -> None:
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0])
        jerry, spike, butch = people("jerry", "spike", "butch")
        conversation = await tom.start(spike, butch)
        await tom.request("blacklist", "block", srcCid=conversation, toPids=[jerry, *(f"c{n}" for n in range(498))])
        asked = {"srcCid": conversation, "toPids": [jerry, spike, butch]}
        async with connect(server) as other:
            former = await other.open(tom.peer, configBitmap=0x0B)
            assert await refusal(former.request("blacklist", "block", **asked)) == (4543, "BLACKLIST_FULL")
        assert sorted((await row(tom, conversation))["m"]) == sorted([tom.peer, spike, butch])
        reply = (await tom.request("blacklist", "block", **asked)).blacklistMessage
        assert list(reply.allowedPids) == [jerry, spike]
        (failed,) = reply.failedPids
        assert (failed.code, failed.reason, list(failed.pids)) == (4543, "BLACKLIST_FULL", [butch])
        assert sorted((await row(tom, conversation))["m"]) == sorted([tom.peer, butch])


async def test_what_comes_after_a_block_without_waiting_finds_it_done(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await group([tom, jerry])
        await tom.post("blacklist", "block", srcCid=conversation, toPids=[jerry.peer])
        await tom.send(conversation, "without jerry")
        assert await push_names(jerry) == ["conv/blocked", "conv/left"]


# who may


async def test_members_strangers_and_the_blocked_block_nobody(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike", "butch") as (tom, jerry, spike, butch):
        conversation = await group([tom, jerry, spike])
        await tom.request("blacklist", "block", srcCid=conversation, toPids=[jerry.peer])
        for session, target in ((spike, butch), (butch, spike), (jerry, jerry), (jerry, spike), (tom, tom)):
            for op in ("block", "unblock"):
                asked = session.request("blacklist", op, srcCid=conversation, toPids=["nobody", target.peer])
                assert await refusal(asked) == UNAUTHORIZED
        found = await tom.request("blacklist", "query", srcCid=conversation)
        assert list(found.blacklistMessage.blockedPids) == [jerry.peer]
        assert await push_names(butch) == []


# asking


@pytest.mark.covers(
    "blacklist/query",
    "blacklist/query_result",
    "BlacklistCommand.limit",
    "BlacklistCommand.next",
    "BlacklistCommand.blockedPids",
)
async def test_any_member_reads_the_list_page_by_page(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await group([tom, jerry])
        everyone = sorted(people(*(f"p{number:03}" for number in range(120))))
        await tom.request("blacklist", "block", srcCid=conversation, toPids=everyone)
        found: list[str] = []
        sizes: list[int] = []
        asked: dict[str, Any] = {"srcCid": conversation}
        while True:
            answer = (await jerry.request("blacklist", "query", **asked)).blacklistMessage
            assert answer.srcCid == conversation
            found += answer.blockedPids
            sizes.append(len(answer.blockedPids))
            if not answer.HasField("next"):
                break
            asked["next"] = answer.next
        assert (found, sizes) == (everyone, [50, 50, 20])
        for limit, size in ((0, 50), (1, 1), (100, 100), (101, 100), (2**31 - 1, 100)):
            answer = (await tom.request("blacklist", "query", srcCid=conversation, limit=limit)).blacklistMessage
            assert len(answer.blockedPids) == size
        # a place as Java counts it, also one where nothing is any more
        far = (await tom.request("blacklist", "query", srcCid=conversation, next="119")).blacklistMessage
        assert (list(far.blockedPids), far.HasField("next")) == (everyone[119:], False)
        past = (await tom.request("blacklist", "query", srcCid=conversation, next="500")).blacklistMessage
        assert (list(past.blockedPids), past.HasField("next")) == ([], False)
        asked = {"srcCid": conversation}
        assert await refusal(spike.request("blacklist", "query", **asked)) == (
            4317,
            "CONVERSATION_MEMBERSHIP_REQUIRED",
        )


@pytest.mark.covers("blacklist/check_block", "blacklist/check_result")
async def test_whether_one_is_blocked(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await group([tom, jerry])
        await tom.request("blacklist", "block", srcCid=conversation, toPids=["eve"])
        for target, blocked in (("eve", ["eve"]), ("max", []), (tom.peer, [])):
            answer = await jerry.request("blacklist", "check_block", srcCid=conversation, toPids=[target])
            assert answer.blacklistMessage.srcCid == conversation
            assert list(answer.blacklistMessage.blockedPids) == blocked
        asked = spike.request("blacklist", "check_block", srcCid=conversation, toPids=["eve"])
        assert await refusal(asked) == (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")


# malformed


BAD = [
    (["block", "unblock", "query", "check_block"], {"srcCid": UNKNOWN, "toPids": ["x"]}, "4303 CONVERSATION_NOT_FOUND"),
    (["block", "unblock", "query", "check_block"], {"toPids": ["x"]}, "4303 CONVERSATION_NOT_FOUND"),
    (["block", "unblock", "check_block"], {"srcCid": None}, "4301 CONVERSATION_API_FAILED name 1 to 500"),
    (["block", "unblock", "check_block"], {"srcCid": None, "toPids": [""]}, "4301 CONVERSATION_API_FAILED a client id"),
    (["block", "unblock", "check_block"], {"srcCid": None, "toPids": ["x" * 65]}, "4301 CONVERSATION_API_FAILED"),
    (
        ["block", "unblock", "check_block"],
        {"srcCid": None, "toPids": [f"c{n}" for n in range(501)]},
        "4301 CONVERSATION_API_FAILED name 1 to 500 clients",
    ),
    (["query"], {"srcCid": None, "limit": -1}, "4301 CONVERSATION_API_FAILED limit"),
    *(
        (["query"], {"srcCid": None, "next": text}, "4301 CONVERSATION_API_FAILED next")
        for text in ("x", "-1", "1.5", " 1", "١", "1" * 10)
    ),
    (
        ["block", "unblock", "query", "check_block"],
        {"srcCid": None, "toCids": [UNKNOWN]},
        "4301 CONVERSATION_API_FAILED name `srcCid`",
    ),
    (["block", "unblock", "query", "check_block"], {"srcPid": "eve", "toPids": ["x"]}, "4301 CONVERSATION_API_FAILED"),
    (
        ["block", "unblock", "query", "check_block"],
        {"srcPid": "eve", "toCids": [UNKNOWN]},
        "4320 CONVERSATION_OPERATION_UNAUTHORIZED",
    ),
    (["block", "unblock"], {"toCids": [UNKNOWN]}, "4303 CONVERSATION_NOT_FOUND"),
    (["block", "unblock"], {"toCids": [""]}, "4303 CONVERSATION_NOT_FOUND"),
    (["block", "unblock"], {"toCids": [str(n) for n in range(501)]}, "4301 CONVERSATION_API_FAILED name 1 to 500 conv"),
    (["block", "unblock", "check_block"], {"srcPid": "own"}, "4301 CONVERSATION_API_FAILED name 1 to 500 conv"),
    (["query"], {"srcPid": "own", "next": "x"}, "4301 CONVERSATION_API_FAILED next"),
    (["query"], {"srcPid": "own", "limit": -1}, "4301 CONVERSATION_API_FAILED limit"),
]


@pytest.mark.parametrize(("ops", "fields", "error"), BAD)
async def test_what_is_malformed_gets_one_error_and_changes_nothing(
    server: Server, ops: list[str], fields: dict[str, Any], error: str
) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await group([tom, jerry])
        given = {**fields}
        if "srcCid" in fields and fields["srcCid"] is None:
            given["srcCid"] = conversation
        if fields.get("srcPid") == "own":
            given["srcPid"] = tom.peer
        for op in ops:
            with pytest.raises(Refused, match=error):
                await tom.request("blacklist", op, **given)
        for asked in ({"srcCid": conversation}, {"srcPid": tom.peer}):
            answer = (await tom.request("blacklist", "query", **asked)).blacklistMessage
            assert [*answer.blockedPids, *answer.blockedCids] == []
        assert await push_names(jerry) == []


async def test_operations_that_nobody_asks_for(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        for op in ("blocked", "query_result", "members_blocked", "add", None):
            asked = tom.request("blacklist", op, srcCid=UNKNOWN)
            assert await refusal(asked) == (4114, "UNPARSEABLE_RAW_MESSAGE")


async def test_without_a_session(server: Server) -> None:
    async with connect(server) as connection:
        for op in ("block", "unblock", "query", "check_block"):
            asked = connection.request(command("blacklist", op, srcCid=UNKNOWN, toPids=["x"]))
            assert await refusal(asked) == (4105, "SESSION_REQUIRED")


# clients refuse conversations


@pytest.mark.covers("BlacklistCommand.srcPid", "BlacklistCommand.toCids", "BlacklistCommand.blockedCids")
async def test_a_client_refuses_to_be_added_to_conversations(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        first, second, third = [await tom.start() for _ in range(3)]
        reply = (await jerry.request("blacklist", "block", toCids=[first, second])).blacklistMessage
        assert (reply.srcPid, list(reply.toCids)) == (jerry.peer, [first, second])
        added = await tom.request("conv", "add", cid=first, m=[jerry.peer])
        assert [(error.code, list(error.pids)) for error in added.convMessage.failedPids] == [(4548, [jerry.peer])]
        await tom.request("conv", "add", cid=third, m=[jerry.peer])
        page = (await jerry.request("blacklist", "query", srcPid=jerry.peer, limit=1)).blacklistMessage
        assert (page.srcPid, list(page.blockedCids), page.next) == (jerry.peer, [first], "1")
        rest = (await jerry.request("blacklist", "query", srcPid=jerry.peer, next=page.next)).blacklistMessage
        assert (list(rest.blockedCids), rest.HasField("next")) == ([second], False)
        checked = await jerry.request("blacklist", "check_block", srcPid=jerry.peer, toCids=[third, second])
        assert list(checked.blacklistMessage.blockedCids) == [second]
        undone = await jerry.request("blacklist", "unblock", srcPid=jerry.peer, toCids=[first])
        assert (undone.blacklistMessage.srcPid, list(undone.blacklistMessage.toCids)) == (jerry.peer, [first])
        for conversation, by in ((first, tom), (second, jerry)):
            done = await by.request("conv", "add", cid=conversation, m=[jerry.peer])
            assert list(done.convMessage.allowedPids) == [jerry.peer]
        assert not {"conv/blocked", "conv/unblocked"} & set(await push_names(jerry))


async def test_what_a_client_refuses_is_in_its_own_list_only(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, *others):
        conversation = await tom.start()
        for session in others:
            await session.request("blacklist", "block", toCids=[conversation])
        listed = (await tom.request("blacklist", "query", srcCid=conversation)).blacklistMessage
        assert list(listed.blockedPids) == []
        for session, expected in zip([tom, *others], [[], [conversation], [conversation]], strict=True):
            own = (await session.request("blacklist", "query", srcPid=session.peer)).blacklistMessage
            assert list(own.blockedCids) == expected
