"""Operations that the app's own server must have signed (reference 1.9, 3.4, 5)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.gateway import signing
from tests.gateway.apps import Door, into
from tests.gateway.handlers.refusals import EXPIRED, refusal
from tests.gateway.raw import message
from tests.gateway.talk import numbered, open_command, people, replies
from tests.support.client import Session, command, connect, named
from tests.support.server import App, Server

SIGNED = App(id="signed-app", key="signed-key", master_key="signed-master-key")
ONCE = App(id="once-app", key="once-key", master_key="once-master-key")
SWITCHES = {"limits": "off", "sign_login": "on", "sign_conversation": "on", "sign_blacklist": "on"}
UNSIGNED_LOGIN = (4102, "SIGNATURE_FAILED")
UNSIGNED = (4302, "CONVERSATION_SIGNATURE_FAILED")
UNSIGNED_BLOCK = (4546, "BLACKLIST_SIGNATURE_FAILED")
WRONG: signing.Fields = {"s": "0" * 40, "t": 1_700_000_000_000, "n": "n"}
NOWHERE = "0" * 24


@pytest.fixture(scope="session")
def doors(shared_server: Server) -> dict[str, Door]:
    """Into the apps that want signatures, one of them each only once."""
    shared_server.create_app(SIGNED, **SWITCHES)
    shared_server.create_app(ONCE, **SWITCHES, signature_once="on")
    return {app.id: into(shared_server, app) for app in (SIGNED, ONCE)}


@pytest.fixture
def signed(server: Server, doors: dict[str, Door]) -> Door:
    return doors[SIGNED.id]


@pytest.fixture
def once(server: Server, doors: dict[str, Door]) -> Door:
    return doors[ONCE.id]


@asynccontextmanager
async def clients(door: Door, *names: str) -> AsyncIterator[list[Session]]:
    """New clients, each logged in by a signature on one connection."""
    async with connect(door) as connection:
        yield [await connection.open(peer, **signing.login(door.app, peer)) for peer in people(*names)]


# logins


@pytest.mark.covers("SessionCommand.t", "SessionCommand.n", "SessionCommand.s")
async def test_a_login_needs_a_signature_for_this_client(signed: Door) -> None:
    tom, jerry = people("tom", "jerry")
    good = signing.login(SIGNED, tom)
    wrong: list[signing.Fields] = [
        {},
        WRONG,
        signing.login(SIGNED, jerry),
        signing.login(ONCE, tom),
        {**good, "n": "other"},
        {**good, "t": int(good["t"]) + 1},
        {name: value for name, value in good.items() if name != "t"},
        {**good, "s": ""},
        {**good, "t": -5},
        signing.sign(SIGNED, tom, "", at=int(good["t"]) - 6 * 3_600_000 - 1),
    ]
    async with connect(signed) as connection:
        for fields in wrong:
            assert await refusal(connection.open(tom, **fields)) == UNSIGNED_LOGIN
        assert (await connection.open(tom, **good)).peer == tom
        assert (await connection.open(tom, **good)).peer == tom, "it is good for six hours"


async def test_who_has_no_client_id_is_not_invented_one(signed: Door) -> None:
    async with connect(signed) as connection:
        for fields in ({}, WRONG, signing.login(SIGNED, "")):
            assert await refusal(connection.open(None, **fields)) == UNSIGNED_LOGIN


async def test_signatures_are_ignored_while_the_switches_are_off_inferred(server: Server) -> None:
    """Those of a user login, which are not told from others, too."""
    tom, jerry = people("tom", "jerry")
    async with connect(server) as connection:
        session = await connection.open(tom, **WRONG)
        started = await session.request("conv", "start", m=[tom], **WRONG)
        cid = started.convMessage.cid
        for op in ("add", "remove"):
            assert named(await session.request("conv", op, cid=cid, m=[jerry], **WRONG)).startswith(f"conv/{op}")
        assert named(await session.request("session", "refresh", **WRONG)) == "session/refreshed"


async def test_a_token_replaces_the_signature(signed: Door) -> None:
    async with clients(signed, "tom") as (tom,), connect(signed) as connection:
        again = await connection.open(tom.peer, r=True, st=tom.token)
        assert (await connection.open(tom.peer, r=True, st=again.token, **WRONG)).peer == tom.peer


async def test_who_reopens_with_a_dead_token_must_be_signed_for(signed: Door) -> None:
    """JS reopens without token and without signature then."""
    async with clients(signed, "tom") as (tom,):
        await tom.close()
        connection = tom.connection
        good = signing.login(SIGNED, tom.peer)
        for token in (tom.token, "bad"):
            assert await refusal(connection.open(tom.peer, r=True, st=token)) == EXPIRED
            assert await refusal(connection.open(tom.peer, r=True, st=token, **good)) == EXPIRED
        assert await refusal(connection.open(tom.peer, r=True)) == UNSIGNED_LOGIN
        assert (await connection.open(tom.peer, r=True, **good)).peer == tom.peer


async def test_a_login_is_checked_for_client_and_token_before_its_signature_inferred(signed: Door) -> None:
    async with connect(signed) as connection:
        assert await refusal(connection.open("x" * 65, **WRONG)) == (4103, "INVALID_LOGIN")
        assert await refusal(connection.open("tom", st="bad", **WRONG)) == EXPIRED
        assert await refusal(connection.open("tom", **WRONG)) == UNSIGNED_LOGIN


async def test_a_reopen_without_a_serial_is_told_of_its_client(signed: Door) -> None:
    """Java forgets the session then."""
    (tom,) = people("tom")
    async with connect(signed) as connection:
        await connection.send(open_command(signed, tom, r=True))
        error = await connection.expect("error")
        assert (error.HasField("i"), error.peerId, error.errorMessage.code) == (False, tom, 4102)


async def test_a_refresh_needs_a_token_or_a_signature(signed: Door) -> None:
    async with clients(signed, "tom", "jerry") as (tom, jerry):

        async def refreshes(**fields: object) -> bool:
            return named(await tom.request("session", "refresh", **fields)) == "session/refreshed"

        assert await refreshes(st=tom.token)
        assert await refreshes(**signing.login(SIGNED, tom.peer))
        assert await refreshes(st=tom.token, **signing.login(SIGNED, tom.peer))
        for fields in ({}, WRONG, signing.login(SIGNED, jerry.peer), {"st": tom.token, **WRONG}):
            assert await refusal(tom.request("session", "refresh", **fields)) == UNSIGNED_LOGIN
        for fields in ({"st": "bad"}, {"st": jerry.token, **signing.login(SIGNED, tom.peer)}):
            assert await refusal(tom.request("session", "refresh", **fields)) == EXPIRED


# conversations


@pytest.mark.covers("ConvCommand.t", "ConvCommand.n", "ConvCommand.s")
async def test_members_change_by_signature_only(signed: Door) -> None:
    """A wrong one changes nothing and tells nobody."""
    async with clients(signed, "tom", "jerry") as (tom, jerry):
        started = await tom.request("conv", "start", m=[tom.peer], **signing.start(SIGNED, tom.peer, tom.peer))
        cid = started.convMessage.cid
        await tom.connection.expect("conv/members_joined")
        good, bad = signing.invite, signing.kick
        for op, forged in (("add", bad), ("remove", good)):
            for fields in ({}, WRONG, forged(SIGNED, tom.peer, cid, jerry.peer)):
                assert await refusal(tom.request("conv", op, cid=cid, m=[jerry.peer], **fields)) == UNSIGNED
        for fields in ({}, signing.invite(SIGNED, tom.peer, cid, tom.peer), signing.invite(SIGNED, jerry.peer, cid)):
            assert await refusal(jerry.request("conv", "add", cid=cid, m=[jerry.peer], **fields)) == UNSIGNED
        await tom.connection.echo()
        assert not [push for push in tom.connection.pushes if named(push).endswith("members_joined")]

        joined = signing.invite(SIGNED, jerry.peer, cid, jerry.peer)
        assert named(await jerry.request("conv", "add", cid=cid, m=[jerry.peer], **joined)) == "conv/added"
        kicked = signing.kick(SIGNED, tom.peer, cid, jerry.peer)
        assert named(await tom.request("conv", "remove", cid=cid, m=[jerry.peer], **kicked)) == "conv/removed"
        invited = signing.invite(SIGNED, tom.peer, cid, jerry.peer, "spike")
        answer = await tom.request("conv", "add", cid=cid, m=["spike", jerry.peer], **invited)
        assert named(answer) == "conv/added"
        (row,) = await tom.query({"objectId": cid})
        assert sorted(row["m"]) == sorted([tom.peer, jerry.peer, "spike"])


async def test_quitting_needs_no_signature_inferred(signed: Door) -> None:
    """One that is there must be right."""
    async with clients(signed, "tom") as (tom,):
        started = await tom.request("conv", "start", m=[], **signing.start(SIGNED, tom.peer))
        cid = started.convMessage.cid
        quitting = {"cid": cid, "m": [tom.peer]}
        assert await refusal(tom.request("conv", "remove", **quitting, **WRONG)) == UNSIGNED
        assert named(await tom.request("conv", "remove", **quitting)) == "conv/removed"
        good = signing.kick(SIGNED, tom.peer, cid, tom.peer)
        assert named(await tom.request("conv", "remove", **quitting, **good)) == "conv/removed"


@pytest.mark.parametrize("kind", [{}, {"transient": True}, {"unique": True}, {"transient": True, "tempConv": True}])
async def test_starting_needs_a_signature_of_every_kind(signed: Door, kind: dict[str, bool]) -> None:
    async with clients(signed, "tom", "jerry") as (tom, jerry):
        for fields in ({}, WRONG, signing.start(SIGNED, jerry.peer, jerry.peer), signing.start(SIGNED, tom.peer, "x")):
            assert await refusal(tom.request("conv", "start", m=[jerry.peer], **kind, **fields)) == UNSIGNED


async def test_a_temporary_conversation_needs_no_signature_inferred(signed: Door) -> None:
    """Swift signs none. Its members are fixed, signed or not."""
    async with clients(signed, "tom", "jerry") as (tom, jerry):
        for fields in ({}, WRONG):
            request = numbered(-9, command("conv", "start", tom.peer, m=[jerry.peer], tempConv=True, **fields))
            await tom.connection.send(request)
            answer = await tom.connection.expect(lambda push: push.HasField("i") and push.i == -9)
            assert answer.errorMessage.code != UNSIGNED[0]


@pytest.mark.covers("BlacklistCommand.t", "BlacklistCommand.n", "BlacklistCommand.s")
@pytest.mark.parametrize("op", ["block", "unblock"])
async def test_conversations_block_by_signature_only(signed: Door, op: str) -> None:
    async with clients(signed, "tom", "jerry") as (tom, jerry):
        started = await tom.request("conv", "start", m=[tom.peer], **signing.start(SIGNED, tom.peer, tom.peer))
        cid = started.convMessage.cid
        other = {"block": "unblock", "unblock": "block"}[op]
        forged = signing.block(SIGNED, tom.peer, cid, jerry.peer, op=other)
        for fields in ({}, WRONG, forged, signing.block(SIGNED, jerry.peer, cid, jerry.peer, op=op)):
            asked = tom.request("blacklist", op, srcCid=cid, toPids=[jerry.peer], **fields)
            assert await refusal(asked) == UNSIGNED_BLOCK
        good = signing.block(SIGNED, tom.peer, cid, jerry.peer, op=op)
        done = await tom.request("blacklist", op, srcCid=cid, toPids=[jerry.peer], **good)
        assert list(done.blacklistMessage.allowedPids) == [jerry.peer]


@pytest.mark.parametrize("op", ["block", "unblock"])
async def test_clients_refuse_conversations_by_signature_only(signed: Door, op: str) -> None:
    async with clients(signed, "tom") as (tom,):
        started = await tom.request("conv", "start", m=[tom.peer], **signing.start(SIGNED, tom.peer, tom.peer))
        cid = started.convMessage.cid
        for fields in ({}, WRONG, signing.block(SIGNED, tom.peer, cid, op=op)):
            asked = tom.request("blacklist", op, srcPid=tom.peer, toCids=[cid], **fields)
            assert await refusal(asked) == UNSIGNED_BLOCK
        good = signing.sign(SIGNED, tom.peer, cid, "", action=f"client-{op}-conversations")
        done = await tom.request("blacklist", op, srcPid=tom.peer, toCids=[cid], **good)
        assert list(done.blacklistMessage.toCids) == [cid]


@pytest.mark.parametrize("op", ["add", "remove"])
@pytest.mark.parametrize("cid", [NOWHERE, "", "x" * 200])
async def test_the_signature_is_looked_at_before_the_conversation(signed: Door, op: str, cid: str) -> None:
    """So a chat room or service conversation is joined by signature, too, and a stranger learns nothing of it."""
    async with clients(signed, "tom") as (tom,):
        request = command("conv", op, tom.peer, cid=cid, m=["jerry"], **WRONG)
        assert await refusal(tom.connection.request(request)) == UNSIGNED
        good = signing.sign(SIGNED, tom.peer, cid, "jerry", action="invite" if op == "add" else "kick")
        request = command("conv", op, tom.peer, cid=cid, m=["jerry"], **good)
        assert (await refusal(tom.connection.request(request)))[0] != UNSIGNED[0]


# once


async def test_a_signature_logs_in_once_if_the_app_wants_it(once: Door) -> None:
    """Reconnecting and refreshing by a token need none."""
    (tom,) = people("tom")
    good = signing.login(ONCE, tom)
    async with connect(once) as first, connect(once) as second:
        session = await first.open(tom, **good)
        for connection in (first, second):
            assert await refusal(connection.open(tom, **good)) == UNSIGNED_LOGIN
        assert await session.refresh()
        assert (await second.open(tom, r=True, st=session.token)).peer == tom
        fresh = signing.login(ONCE, tom)
        request = command("session", "refresh", tom, **fresh)
        assert named(await first.request(request)) == "session/refreshed"
        assert await refusal(first.request(command("session", "refresh", tom, **fresh))) == UNSIGNED_LOGIN
        assert await refusal(second.open(tom, **fresh)) == UNSIGNED_LOGIN


async def test_of_many_logins_at_once_with_one_signature_one_succeeds(once: Door) -> None:
    (tom,) = people("tom")
    request = open_command(once, tom, **signing.login(ONCE, tom))
    async with connect(once) as first, connect(once) as second:
        answers = await asyncio.gather(replies(first, [request] * 5), replies(second, [request] * 5))
        names = [named(answer) for each in answers for answer in each]
        assert sorted(names) == ["error"] * 9 + ["session/opened"]


async def test_what_follows_a_login_waits_for_it(once: Door) -> None:
    """Also a second login, and what the second client does."""
    tom, jerry = people("tom", "jerry")
    requests = [
        open_command(once, tom, **signing.login(ONCE, tom)),
        command("conv", "start", tom, m=[tom], **signing.start(ONCE, tom, tom)),
        open_command(once, jerry, **signing.login(ONCE, jerry)),
        command("session", "query", jerry, sessionPeerIds=[tom, jerry]),
        command("session", "close", jerry),
        command("session", "query", sessionPeerIds=[tom, jerry]),
    ]
    async with connect(once) as connection:
        answers = await replies(connection, requests)
        assert sorted(named(answer) for answer in answers) == sorted(
            ["session/opened", "conv/started", "session/opened", "session/closed", *["session/query_result"] * 2]
        )
        online = [list(a.sessionMessage.onlineSessionPeerIds) for a in answers if named(a) == "session/query_result"]
        assert online == [[tom, jerry], [tom]]


async def test_who_leaves_before_it_is_logged_in_is_not_online(once: Door) -> None:
    """The command that ends the connection comes right behind the login, the login's result later."""
    (tom,) = people("tom")
    good = signing.login(ONCE, tom)
    async with connect(once) as connection:
        connection.write(message(open_command(once, tom, **good)))
        connection.abort()
    async with clients(once, "jerry") as (jerry,):
        assert await is_offline(jerry, tom)


async def is_offline(session: Session, peer: str) -> bool:
    """Whether the client is not, or soon not any more, online."""
    async with asyncio.timeout(30):
        while (await session.request("session", "query", sessionPeerIds=[peer])).sessionMessage.onlineSessionPeerIds:
            await session.connection.echo()
    return True


async def test_every_change_uses_its_signature_up(once: Door) -> None:
    async with clients(once, "tom") as (tom,):
        good = signing.start(ONCE, tom.peer, tom.peer)
        started = await tom.request("conv", "start", m=[tom.peer], **good)
        assert await refusal(tom.request("conv", "start", m=[tom.peer], **good)) == UNSIGNED
        cid = started.convMessage.cid
        for op, sign in (("add", signing.invite), ("remove", signing.kick)):
            good = sign(ONCE, tom.peer, cid, "jerry")
            assert named(await tom.request("conv", op, cid=cid, m=["jerry"], **good)).startswith(f"conv/{op}")
            assert await refusal(tom.request("conv", op, cid=cid, m=["jerry"], **good)) == UNSIGNED


@pytest.mark.parametrize("end", [Server.stop, Server.kill])
async def test_a_used_signature_stays_used_over_a_restart(
    server_factory: Callable[..., Server], end: Callable[[Server], object]
) -> None:
    server: Server = server_factory()
    server.create_app(ONCE, **SWITCHES, signature_once="on")
    server.start()
    door = into(server, ONCE)
    login, start = signing.login(ONCE, "tom"), signing.start(ONCE, "tom", "tom")
    async with connect(door) as connection:
        tom = await connection.open("tom", **login)
        await tom.request("conv", "start", m=["tom"], **start)
        end(server)
    server.start()
    async with connect(door) as connection:
        assert await refusal(connection.open("tom", **login)) == UNSIGNED_LOGIN
        again = await connection.open("tom", r=True, st=tom.token)
        assert await refusal(again.request("conv", "start", m=["tom"], **start)) == UNSIGNED
