"""One device of a kind: whom a login elsewhere logs out, and whom not (reference 3.6)."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.handlers.refusals import EXPIRED, REQUIRED, refusal
from tests.gateway.talk import clients, numbered, open_command, people, push_names, replies, settle
from tests.support.client import Connection, Session, command, connect, login, named
from tests.support.server import Server

CONFLICT = (4111, "SESSION_CONFLICT")


@dataclasses.dataclass(frozen=True)
class Device:
    """What a device says of itself."""

    tag: str = "phone"
    deviceId: str = ""
    deviceToken: str = ""

    async def login(self, connection: Connection, peer: str, **fields: Any) -> Session:
        given = {name: value for name, value in dataclasses.asdict(self).items() if value}
        return await connection.open(peer, **given, **fields)


OLD, NEW = Device(deviceId="d-1"), Device(deviceId="d-2")


@pytest.mark.covers("session/closed", "SessionCommand.code", "SessionCommand.reason", "SessionCommand.detail")
async def test_a_login_ends_the_session_of_another_device(server: Server) -> None:
    (tom,) = people("tom")
    async with connect(server) as first, connect(server) as second:
        old = await OLD.login(first, tom)
        await old.start()
        new = await NEW.login(second, tom)
        closed = await first.expect("session/closed")
        message = closed.sessionMessage
        assert (message.code, message.reason) == CONFLICT
        assert message.detail
        assert (closed.peerId, closed.service, closed.HasField("i")) == (tom, 2, False)
        assert await refusal(old.request("conv", "query")) == REQUIRED
        for connection in (first, second):
            assert await refusal(connection.open(tom, r=True, st=old.token)) == EXPIRED
        assert await new.start()
        assert await first.open(people("jerry")[0]), "the connection stays open"


async def test_the_token_stays_void_over_a_restart(server_factory: Callable[..., Server]) -> None:
    server: Server = server_factory()
    server.start()
    async with connect(server) as first, connect(server) as second:
        old = await OLD.login(first, "tom")
        new = await NEW.login(second, "tom")
        await new.close()
    server.kill()
    server.start()
    async with connect(server) as connection:
        assert await refusal(connection.open("tom", r=True, st=old.token)) == EXPIRED


CONFLICTING = {
    "device ids": (OLD, NEW),
    "device tokens": (Device(deviceToken="t-1"), Device(deviceToken="t-2")),
    "an id and a token": (Device(deviceId="d-1"), Device(deviceToken="t-1")),
    "one unknown": (OLD, Device()),
    "both unknown": (Device(), Device()),
}
COMPATIBLE = {
    "the same device": (OLD, OLD),
    "the same token": (Device(deviceToken="t-1"), Device(deviceToken="t-1")),
    "other tags": (OLD, Device("pad", "d-2")),
    "no tag": (Device("", "d-1"), Device("", "d-2")),
    "one without a tag": (OLD, Device("", "d-2")),
    "the default tag": (Device("default", "d-1"), Device("default", "d-2")),
}


@pytest.mark.parametrize(("one", "other"), CONFLICTING.values(), ids=CONFLICTING)
async def test_which_devices_exclude_each_other(server: Server, one: Device, other: Device) -> None:
    (tom,) = people("tom")
    async with connect(server) as first, connect(server) as second:
        await one.login(first, tom)
        assert await refusal(other.login(second, tom, r=True)) == CONFLICT
        await other.login(second, tom)
        await first.expect("session/closed")


@pytest.mark.parametrize("reopen", [False, True])
@pytest.mark.parametrize(("one", "other"), COMPATIBLE.values(), ids=COMPATIBLE)
async def test_which_devices_may_be_open_together(server: Server, one: Device, other: Device, reopen: bool) -> None:
    """The older connection of the same device stays until it is found dead: nothing is lost by that."""
    (tom,) = people("tom")
    async with connect(server) as first, connect(server) as second:
        older, newer = await one.login(first, tom), await other.login(second, tom, r=reopen)
        for session in (older, newer):
            assert await session.start()
        assert "session/closed" not in await push_names(older)


async def test_other_clients_and_apps_are_not_concerned(server: Server) -> None:
    tom, jerry = people("tom", "jerry")
    async with connect(server) as first, connect(server) as second:
        old = await OLD.login(first, tom)
        await NEW.login(second, jerry)
        assert await old.start()


async def test_a_client_that_says_nothing_of_its_device_may_open_again_on_its_connection(server: Server) -> None:
    async with connect(server) as connection:
        tom = await Device().login(connection, people("tom")[0])
        again = await Device().login(connection, tom.peer)
        assert await again.start()
        assert "session/closed" not in await push_names(again)


# reopening


async def test_a_reopen_is_refused_while_another_device_is_logged_in(server: Server) -> None:
    """With a token, as after a lost connection; tag and device are in the token."""
    (tom,) = people("tom")
    async with connect(server) as first:
        old = await OLD.login(first, tom)
    async with connect(server) as second, connect(server) as third:
        new = await NEW.login(second, tom)
        assert await refusal(third.open(tom, r=True, st=old.token)) == CONFLICT
        assert await refusal(OLD.login(third, tom, r=True)) == CONFLICT
        assert await new.start()
        await new.close()
        assert (await third.open(tom, r=True, st=old.token)).peer == tom


async def test_the_same_device_reopens_beside_its_lost_connection(server: Server) -> None:
    (tom,) = people("tom")
    async with connect(server) as first, connect(server) as second:
        old = await OLD.login(first, tom)
        new = await second.open(tom, r=True, st=old.token)
        assert await new.start()


async def test_a_reopen_without_a_serial_is_told_of_the_conflict(server: Server) -> None:
    """Java reopens so; it gets no error, which other SDKs would take for the end of the connection."""
    (tom,) = people("tom")
    async with connect(server) as first:
        old = await OLD.login(first, tom)
    async with connect(server) as second, connect(server) as third:
        await NEW.login(second, tom)
        await third.send(open_command(server, tom, r=True, st=old.token))
        closed = await third.expect("session/closed")
        assert (closed.sessionMessage.code, closed.sessionMessage.reason) == CONFLICT
        assert (closed.peerId, closed.HasField("i")) == (tom, False)
        await third.echo()
        assert third.pushes == []


# at the same time


async def test_of_many_logins_at_once_the_last_one_stays(server: Server) -> None:
    (tom,) = people("tom")
    devices = [Device(deviceId=f"d-{number}") for number in range(8)]
    async with clients(server, "jerry") as (jerry,):
        connections = [await Connection.connect(server) for _ in devices]
        sessions = await asyncio.gather(
            *(device.login(each, tom) for device, each in zip(devices, connections, strict=True))
        )
        for connection in connections:
            await connection.echo()
        (alive,) = [session for session in sessions if not any(map(is_closed, session.connection.pushes))]
        await settle(alive)  # or what it missed could be counted, and not told
        conversation = await jerry.start(tom)
        await jerry.send(conversation, "who is there?")
        for connection in connections:
            await connection.echo()
        heard = [[named(push) for push in connection.pushes] for connection in connections]
        assert sorted(names.count("session/closed") for names in heard) == [0] + [1] * 7
        assert [names.count("direct") + names.count("session/closed") for names in heard] == [1] * 8
        assert await alive.start()
        for connection in connections:
            await connection.close()


def is_closed(push: GenericCommand) -> bool:
    return named(push) == "session/closed"


async def test_of_many_reopens_at_once_one_succeeds(server: Server) -> None:
    (tom,) = people("tom")
    connections = [await Connection.connect(server) for _ in range(8)]

    async def reopen(number: int, connection: Connection) -> GenericCommand:
        request = open_command(server, tom, tag="phone", deviceId=f"d-{number}", r=True)
        (answer,) = await replies(connection, [request])
        return answer

    answers = await asyncio.gather(*(reopen(number, each) for number, each in enumerate(connections)))
    assert sorted(answer.errorMessage.code for answer in answers) == [0] + [4111] * 7
    for connection in connections:
        await connection.close()


async def test_closed_comes_after_what_was_delivered_and_nothing_comes_after_it(server: Server) -> None:
    (tom,) = people("tom")
    async with clients(server, "jerry") as (jerry,), connect(server) as first, connect(server) as second:
        old = await OLD.login(first, tom)
        await settle(old)
        conversation = await jerry.start(tom)
        sending = [command("direct", peer=jerry.peer, cid=conversation, msg=str(number)) for number in range(100)]
        for serial, request in enumerate(sending, 1):
            await jerry.connection.send(numbered(-serial, request))
            if serial == 50:
                new = await NEW.login(second, tom)
        await jerry.connection.expect(lambda push: push.HasField("i") and push.i == -100)
        await first.echo()
        await new.connection.echo()
        received = [push for push in first.pushes if named(push) in ("direct", "session/closed")]
        assert [named(push) for push in received].index("session/closed") == len(received) - 1
        heard = [push.directMessage.msg for push in received[:-1]]
        assert heard == [str(number) for number in range(len(heard))]


async def test_a_session_still_to_be_told_its_counts_is_told_only_of_its_end(server: Server) -> None:
    (tom,) = people("tom")
    async with login(server, people("jerry")[0]) as jerry, connect(server) as first, connect(server) as second:
        await jerry.send(await jerry.start(tom), "unread")
        request = open_command(server, tom, tag="phone", deviceId="d-1", r=False)
        await first.send(numbered(-1, request))
        for _ in range(2):  # the first one may be before the other connection's
            await NEW.login(second, tom)
        await first.echo()
        await settle_after(await first.open(people("spike")[0]))
        names = [named(push) for push in first.pushes if push.peerId == tom]
        assert names.count("session/closed") == 1
        assert names[-1] == "session/closed"


async def settle_after(session: Session) -> None:
    """Wait until a login after it would have been told all, too."""
    await session.start()
    await session.expect("conv/members_joined")
    await session.connection.echo()
