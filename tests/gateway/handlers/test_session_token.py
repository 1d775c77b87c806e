"""Session tokens: opening again, refreshing, logging out (reference 1.9, 3.4, 3.5)."""

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.gateway.apps import STRICT, into
from tests.gateway.handlers.refusals import EXPIRED, REQUIRED, refusal
from tests.gateway.talk import clients, numbered, open_command, people, replies
from tests.support.client import Session, command, connect, named
from tests.support.server import Server


def claims(token: str) -> dict[str, Any]:
    """What the token carries."""
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


@pytest.mark.covers("SessionCommand.st", "SessionCommand.tag", "SessionCommand.deviceId", "SessionCommand.configBitmap")
async def test_a_token_opens_again_and_brings_tag_device_and_capabilities(server: Server) -> None:
    """JS says none of the three on a reconnect."""
    (tom,) = people("tom")
    async with connect(server) as connection:
        token = (await connection.open(tom, tag="web", deviceId="d-1", configBitmap=0x3B)).token
    async with connect(server) as connection:
        request = open_command(server, tom, r=True, st=token)
        opened = await connection.request(request)
        known = claims(opened.sessionMessage.st)
        assert (known["tag"], known["dev"], known["bit"]) == ("web", "d-1", 0x3B)
        assert await acknowledges_transient(Session(connection, opened))


@pytest.mark.covers("SessionCommand.tag", "SessionCommand.deviceToken", "SessionCommand.configBitmap")
async def test_what_a_reopen_says_goes_before_what_the_token_says(server: Server) -> None:
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0], tag="web", configBitmap=0)
        again = await connection.open(tom.peer, r=True, st=tom.token, tag="pad", deviceToken="t-1", configBitmap=0xBB)
        known = claims(again.token)
        assert (known["tag"], known["dev"], known["bit"]) == ("pad", "t-1", 0xBB)


@pytest.mark.parametrize(("reopen", "acknowledged"), [(True, True), (False, False)])
@pytest.mark.covers("SessionCommand.r")
async def test_capabilities_of_a_reopen_that_says_none_inferred(
    server: Server, reopen: bool, acknowledged: bool
) -> None:
    """A reopen without a token and without capabilities counts as 0xAB, a login as none."""
    async with connect(server) as connection:
        opened = await connection.request(open_command(server, people("tom")[0], r=reopen))
        session = Session(connection, opened)
        assert await acknowledges_transient(session) == acknowledged


async def acknowledges_transient(session: Session) -> bool:
    """Whether the server acknowledges a transient message, which it does for those who can take it."""
    conversation = await session.start()
    serial = 9_000
    request = command("direct", peer=session.peer, cid=conversation, msg="typing", transient=True)
    await session.connection.send(numbered(serial, request))
    await session.connection.echo()
    return any(push.HasField("i") and push.i == serial for push in session.connection.pushes)


@pytest.mark.covers("SessionCommand.stTtl")
async def test_a_token_lives_two_days_or_as_the_app_says_inferred(server: Server) -> None:
    for door, seconds in ((server, 172_800), (into(server, STRICT), 1)):
        async with connect(door) as connection:
            tom = await connection.open(people("tom")[0])
            assert tom.opened.sessionMessage.stTtl == seconds


@pytest.mark.parametrize("token", ["bad", "e30.e30.e30", ".." * 1000, "鸿雁", "\0"])
async def test_a_bad_token_is_refused_and_a_login_without_one_succeeds(server: Server, token: str) -> None:
    async with connect(server) as connection:
        (tom,) = people("tom")
        assert await refusal(connection.open(tom, r=True, st=token)) == EXPIRED
        assert (await connection.open(tom, r=True)).peer == tom


async def test_a_changed_token_is_refused(server: Server) -> None:
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0])
        head, body, signature = tom.token.split(".")
        other = "B" if signature[5] != "B" else "C"
        changed = ".".join([head, body, f"{signature[:5]}{other}{signature[6:]}"])
        assert await refusal(connection.open(tom.peer, st=changed)) == EXPIRED


async def test_a_token_is_for_its_client_and_app_alone(server: Server) -> None:
    async with connect(server) as connection, connect(into(server, STRICT)) as elsewhere:
        tom = await connection.open(people("tom")[0])
        assert await refusal(connection.open("somebody-else", st=tom.token)) == EXPIRED
        assert await refusal(elsewhere.open(tom.peer, st=tom.token)) == EXPIRED


async def test_an_expired_token_opens_no_session_but_is_refreshed_inferred(server: Server) -> None:
    async with connect(into(server, STRICT)) as connection:
        tom = await connection.open(people("tom")[0])
        assert tom.opened.sessionMessage.stTtl == 1
        await expiry(tom)
        for _ in range(5):  # a new one lives for a second, too, which a busy machine may take
            await tom.refresh()
            if await opens(tom):
                return
        pytest.fail("what was refreshed opens no session")


async def expiry(session: Session) -> None:
    """Wait until the session's token opens nothing any more."""
    async with asyncio.timeout(30):
        while await opens(session):
            await asyncio.sleep(0.1)


async def opens(session: Session) -> bool:
    """Whether the session's token still opens a session."""
    request = command("session", "open", session.peer, r=True, st=session.token)
    (answer,) = await replies(session.connection, [request])
    return named(answer) == "session/opened"


async def test_a_reopen_without_a_serial_is_answered_without_one(server: Server) -> None:
    """Java reopens so, and tells its client from others by `peerId`."""
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0])
        await connection.send(open_command(server, tom.peer, r=True, st=tom.token))
        opened = await connection.expect("session/opened")
        await connection.send(open_command(server, tom.peer, r=True, st="bad"))
        error = await connection.expect("error")
        for answer in (opened, error):
            assert not answer.HasField("i")
            assert answer.peerId == tom.peer
        assert error.errorMessage.code == 4112


# refresh


@pytest.mark.covers("session/refresh", "session/refreshed", "SessionCommand.st", "SessionCommand.stTtl")
async def test_refresh_gives_a_token(server: Server) -> None:
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0], tag="web")
        await check_refresh(tom, st=tom.token)


async def test_refresh_needs_no_token_inferred(server: Server) -> None:
    async with connect(server) as connection:
        await check_refresh(await connection.open(people("tom")[0], tag="web"))


async def check_refresh(session: Session, **fields: str) -> None:
    answer = await session.request("session", "refresh", **fields)
    assert named(answer) == "session/refreshed"
    assert answer.sessionMessage.stTtl == 172_800
    again = await session.connection.open(session.peer, r=True, st=answer.sessionMessage.st)
    assert claims(again.token)["tag"] == "web"


async def test_a_refresh_changes_nothing_of_the_session(server: Server) -> None:
    """The token of another login of the client will do; tag, device and capabilities stay those of this one."""
    async with connect(server) as first, connect(server) as second:
        phone = await first.open(people("tom")[0], tag="phone", deviceId="d-1")
        web = await second.open(phone.peer, tag="web", deviceId="d-2", configBitmap=0x3B)
        refreshed = await web.request("session", "refresh", st=phone.token)
        known = claims(refreshed.sessionMessage.st)
        assert (known["tag"], known["dev"], known["bit"]) == ("web", "d-2", 0x3B)


async def test_refresh_with_a_foreign_token_is_refused(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        assert await refusal(tom.request("session", "refresh", st=jerry.token)) == EXPIRED
        assert await refusal(tom.request("session", "refresh", st="bad")) == EXPIRED


# close


@pytest.mark.covers("session/close", "session/closed", "GenericCommand.sessionMessage")
async def test_close_logs_out_and_voids_every_token_of_the_login(server: Server) -> None:
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0])
        first, second = tom.token, await tom.refresh()
        answer = await tom.close()
        assert named(answer) == "session/closed"
        assert answer.HasField("sessionMessage")
        assert not answer.sessionMessage.HasField("code")
        assert await refusal(tom.request("conv", "query")) == REQUIRED
        for token in (first, second):
            assert await refusal(connection.open(tom.peer, r=True, st=token)) == EXPIRED
        await connection.open(tom.peer)
