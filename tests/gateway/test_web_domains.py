"""Pages of other sites than the app's own find the websocket closed (reference 9, code 4110)."""

import secrets
from typing import Any

import pytest

from tests.gateway.apps import Door, into
from tests.support.client import Connection, Refused, command, connect
from tests.support.server import App, Server


@pytest.fixture
def door(server: Server) -> Door:
    """Into an app that is for the pages of one site."""
    app = App(f"sites-{secrets.token_hex(4)}", "sites-key", "sites-master-key")
    return into(server, server.create_app(app, web_domains="chat.example.com", limits="off"))


@pytest.mark.parametrize("origin", [None, "https://chat.example.com", "http://localhost:3000"])
async def test_pages_that_may(door: Door, origin: str | None) -> None:
    async with connect(door, origin=origin) as connection:
        await connection.open("tom")


def listen(connection: Connection) -> Any:
    request = command("login")
    request.appId, request.installationId, request.service = connection.app_id, "an-id-of-a-live-query", 1
    return connection.request(request)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://" + "x" * 1_000])
@pytest.mark.parametrize("begin", [lambda connection: connection.open("tom"), listen], ids=["session", "live query"])
async def test_pages_that_may_not(door: Door, begin: Any, origin: str) -> None:
    async with connect(door, origin=origin) as connection:
        with pytest.raises(Refused) as refusal:
            await begin(connection)
        assert refusal.value.code == 4110


async def test_a_page_that_may_not_loses_its_connection(door: Door) -> None:
    async with connect(door, origin="https://evil.example") as connection:
        with pytest.raises(Refused):
            await connection.open("tom")
        assert (await connection.closed()).code == 4110


async def test_an_app_without_the_setting_is_for_all_pages(server: Server) -> None:
    async with connect(server, origin="https://evil.example") as connection:
        await connection.open("tom")
