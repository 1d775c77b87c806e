"""A login that binds its device to the client: pushes go there until it logs out (reference 4.1)."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.client import TIMEOUT, Refused, command, connect, named
from tests.support.server import Server

BIND, OTHERS = 0xAF, 0xAB
ID = "the installation of a phone"
TOKEN = "a token of Apple's for this phone"

Call = Callable[..., Any]


@pytest.fixture
def call(server: Server) -> Call:
    """A call with the master key."""

    def made(method: str, path: str, **body: Any) -> Any:
        headers = {"X-LC-Id": server.app.id, "X-LC-Key": f"{server.app.master_key},master"}
        url = f"{server.http_url}/1.1{path}"
        return httpx.request(method, url, headers=headers, json=body or None, timeout=TIMEOUT).json()

    return made


async def until(holds: Callable[[], bool]) -> None:
    """The login is answered before the device is bound, of which nothing tells."""
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ({"deviceType": "android", "installationId": ID}, {"deviceId": ID}),
        ({"deviceType": "ios", "deviceToken": TOKEN}, {"deviceToken": TOKEN}),
    ],
    ids=["by its id", "by its token"],
)
async def test_a_device_listens_from_the_login_to_the_logout(
    server: Server, call: Call, device: dict[str, str], said: dict[str, str]
) -> None:
    made = call("POST", "/installations", **device, channels=["news"])["objectId"]

    def channels() -> list[str]:
        found: list[str] = call("GET", f"/installations/{made}")["channels"]
        return found

    try:
        async with connect(server) as connection:
            await connection.open("ann", configBitmap=BIND, **said)
            await until(lambda: channels() == ["news", "ann"])
        assert channels() == ["news", "ann"]
        async with connect(server) as connection:
            session = await connection.open("ann", configBitmap=BIND, **said)
            await session.request("session", "close")
            assert channels() == ["news"]
        async with connect(server) as connection:
            session = await connection.open("ann", configBitmap=OTHERS, **said)
            await session.query({"objectId": "x"})
            assert channels() == ["news"]
    finally:
        call("DELETE", f"/installations/{made}")


@pytest.mark.covers("report/upload", "report/uploaded", "GenericCommand.reportMessage")
@pytest.mark.covers("ReportCommand.initiative", "ReportCommand.type", "ReportCommand.data")
@pytest.mark.parametrize(("bitmap", "bound"), [(BIND, ["ann"]), (OTHERS, None)])
async def test_a_token_that_is_reported_later_inferred(
    server: Server, call: Call, bitmap: int, bound: list[str] | None
) -> None:
    made = call("POST", "/installations", deviceType="ios", deviceToken=TOKEN)["objectId"]
    try:
        async with connect(server) as connection:
            session = await connection.open("ann", configBitmap=bitmap, deviceToken="some other token")
            answer = await session.request("report", "upload", initiative=True, type="token", data=TOKEN)
            assert (named(answer), answer.HasField("reportMessage")) == ("report/uploaded", True)
            assert call("GET", f"/installations/{made}").get("channels") == bound
    finally:
        call("DELETE", f"/installations/{made}")


async def test_a_token_that_is_reported_later_hears_nothing_after_the_logout_inferred(
    server: Server, call: Call
) -> None:
    """Nor does one that was reported before it."""
    tokens = [f"{TOKEN}: number {number}" for number in range(3)]
    made = [call("POST", "/installations", deviceType="ios", deviceToken=token)["objectId"] for token in tokens]

    def listening() -> list[bool]:
        return ["ann" in call("GET", f"/installations/{each}").get("channels", []) for each in made]

    try:
        async with connect(server) as connection:
            session = await connection.open("ann", configBitmap=BIND, deviceToken=tokens[0])
            await until(lambda: listening() == [True, False, False])
            await session.request("report", "upload", type="token", data=tokens[1])
            assert listening() == [True, True, False]
            await session.request("report", "upload", type="token", data=tokens[2])
            assert listening() == [True, False, True]
            await session.request("session", "close")
            assert listening() == [False, False, False]

            session = await connection.open("ann", configBitmap=BIND, deviceToken=tokens[0])
            report = session.request("report", "upload", type="token", data=tokens[1])
            await asyncio.gather(report, session.request("session", "close"))
            assert listening() == [False, False, False]
    finally:
        for each in made:
            call("DELETE", f"/installations/{each}")


WRONG = {"another type": {"type": "x"}, "no token": {"data": ""}, "a long token": {"data": "x" * 257}}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
async def test_a_report_that_is_none(server: Server, change: dict[str, str]) -> None:
    async with connect(server) as connection:
        session = await connection.open("ann", configBitmap=BIND)
        with pytest.raises(Refused) as refusal:
            await session.request("report", "upload", **{"type": "token", "data": TOKEN, **change})
        assert refusal.value.code == 4114
        with pytest.raises(Refused):
            await session.request("report", "uploaded", type="token", data=TOKEN)


async def test_a_report_without_a_session(server: Server) -> None:
    async with connect(server) as connection:
        with pytest.raises(Refused) as refusal:
            await connection.request(command("report", "upload", type="token", data=TOKEN))
        assert refusal.value.code == 4105


async def test_a_device_that_is_not_registered_is_no_obstacle(server: Server) -> None:
    async with connect(server) as connection:
        session = await connection.open("ann", configBitmap=BIND, deviceId="nobody knows this one")
        await session.request("session", "close")


async def test_a_short_device_id_names_no_device(server: Server, call: Call) -> None:
    made = call("POST", "/installations", deviceType="ios", deviceToken=TOKEN, installationId=ID)["objectId"]
    try:
        async with connect(server) as connection:
            session = await connection.open("ann", configBitmap=BIND, deviceId="x")
            await session.query({"objectId": "x"})
            assert "channels" not in call("GET", f"/installations/{made}")
    finally:
        call("DELETE", f"/installations/{made}")
