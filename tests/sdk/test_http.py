"""The router and the missed notifications, against a scripted HTTP server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hongyan_client import (
    Blocked,
    ConnectionLost,
    Disconnected,
    Event,
    HongyanError,
    Invited,
    Kicked,
    MembersBlocked,
    MembersJoined,
    MembersUnblocked,
    Read,
    Reconnected,
    Unblocked,
    pushes,
)
from hongyan_client.router import Router

from tests.sdk.gateway import START, Gateway
from tests.sdk.take import TIMEOUT, Events


class Http:
    """Answers GET requests with what `answers` holds for their paths."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[tuple[str, dict[str, list[str]], str]] = []
        self.url = ""
        self._news = asyncio.Condition()

    async def asked(self, path: str) -> None:
        """A request for this path, waited for."""
        async with asyncio.timeout(TIMEOUT), self._news:
            await self._news.wait_for(lambda: any(asked == path for asked, _, _ in self.requests))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = urlsplit(head.split(" ")[1])
        async with self._news:
            self.requests.append((target.path, parse_qs(target.query), head.lower()))
            self._news.notify_all()
        status, body = self.answers.get(target.path, (404, {}))
        text = body if isinstance(body, str) else json.dumps(body)
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()

    def route(self, *addresses: str, ttl: float = 3600) -> None:
        self.answers["/v1/route"] = (200, {"server": addresses[0], "secondary": addresses[-1], "ttl": ttl})


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    made = Http()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


def router(http: Http) -> Router:
    return Router(f"{http.url}/", "app", "key", None)


async def test_addresses_take_turns_and_are_asked_for_again_after_both(http: Http) -> None:
    http.route("ws://a", "ws://b")
    asked = router(http)
    assert [await asked.next() for _ in range(3)] == ["ws://a", "ws://b", "ws://a"]
    assert len(http.requests) == 2
    path, query, head = http.requests[0]
    assert (path, query["appId"]) == ("/v1/route", ["app"])
    assert "x-lc-id: app" in head


async def test_a_good_address_is_kept(http: Http) -> None:
    http.route("ws://a", "ws://b")
    asked = router(http)
    for _ in range(3):
        assert await asked.next() == "ws://a"
        asked.connected()
    assert len(http.requests) == 1
    asked.forget()
    await asked.next()
    assert len(http.requests) == 2


async def test_an_answer_is_not_kept_longer_than_it_says(http: Http) -> None:
    http.route("ws://a", ttl=0)
    asked = router(http)
    await asked.next()
    asked.connected()
    await asked.next()
    assert len(http.requests) == 2


async def test_old_addresses_are_tried_while_the_router_is_away(http: Http) -> None:
    http.route("ws://a")
    asked = router(http)
    await asked.next()
    http.answers["/v1/route"] = (503, {})
    assert await asked.next() == "ws://a"


@pytest.mark.parametrize("answer", [(200, {}), (200, "nonsense"), (200, [1]), (200, {"server": 5}), (302, {})])
async def test_an_answer_without_an_address_is_an_error(http: Http, answer: tuple[int, Any]) -> None:
    http.answers["/v1/route"] = answer
    with pytest.raises(HongyanError):
        await router(http).next()


async def test_the_router_refuses_or_is_away(http: Http) -> None:
    http.answers["/v1/route"] = (404, {"code": 4100, "error": "no app has this id"})
    with pytest.raises(HongyanError, match="4100 HTTP_ERROR: no app has this id"):
        await router(http).next()
    with pytest.raises(ConnectionLost):
        await Router("http://127.0.0.1:1", "app", "key", None).next()


async def test_missed_notifications_are_told_once(gateway: Gateway, http: Http) -> None:
    http.route(gateway.url)
    async with gateway.open(server=http.url) as tom:
        events = Events(tom)
        await gateway.push("conv", "joined", at=START + 5, cid="c1", initBy="spike")
        await events.next(Invited)
        joined = {"cmd": "conv", "op": "joined", "cid": "c2", "initBy": "jerry", "serverTs": START + 10}
        others = [
            {
                "cmd": "conv",
                "op": "members-joined",
                "cid": "c2",
                "m": ["tom"],
                "initBy": "jerry",
                "serverTs": START + 10,
            },
            {"cmd": "rcp", "cid": "c1", "id": "id1", "t": 3, "read": True, "from": "jerry", "serverTs": START + 11},
            {"cmd": "conv", "op": "of-a-newer-server", "cid": "c2", "serverTs": START + 12},
            {"cmd": "conv", "op": "left", "cid": "c1", "initBy": "jerry", "serverTs": START + 13},
        ]
        http.answers["/1.1/rtm/notifications"] = (
            200,
            {
                "hasMore": False,
                "notifications": [joined],
                "permanent": {"notifications": [joined]},
                "droppable": {"notifications": others, "invalidLocalConvCache": False},
            },
        )
        gateway.cut()
        await events.next(Disconnected)
        await events.next(Reconnected)
        assert (await events.next(Invited)).conversation.id == "c2"
        assert (await events.next(MembersJoined)).members == ("tom",)
        assert (await events.next(Read)).message_id == "id1"
        assert (await events.next(Kicked)).conversation.id == "c1"
        path, query, head = http.requests[-1]
        assert (path, query["client_id"], query["start_ts"]) == ("/1.1/rtm/notifications", ["tom"], [str(START + 5)])
        assert "x-lc-im-session-token: token" in head


async def test_what_follows_the_login_hides_nothing_that_was_missed(gateway: Gateway, http: Http) -> None:
    """Nor does another cut, before what was missed was fetched."""
    http.route(gateway.url)
    async with gateway.open(server=http.url) as tom:
        events = Events(tom)
        await gateway.push("conv", "joined", at=START + 5, cid="c1", initBy="spike")
        await events.next(Invited)
        http.answers["/1.1/rtm/notifications"] = (503, {})
        gateway.then["session/open"] = lambda: gateway.push("conv", "joined", at=START + 20, cid="c3", initBy="jerry")
        gateway.cut()
        assert (await events.next(Invited)).conversation.id == "c3"
        await http.asked("/1.1/rtm/notifications")
        joined = {"cmd": "conv", "op": "joined", "cid": "c2", "initBy": "jerry", "serverTs": START + 10}
        http.answers["/1.1/rtm/notifications"] = (200, {"permanent": {"notifications": [joined]}})
        gateway.then.clear()
        gateway.cut()
        assert (await events.next(Invited)).conversation.id == "c2"


async def test_what_was_told_is_not_told_again_however_late_what_was_missed_is_fetched(
    gateway: Gateway, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushes, "SEEN_MAX", 2)
    http.route(gateway.url)
    async with gateway.open(server=http.url) as tom:
        events = Events(tom)
        await gateway.push("conv", "joined", at=START + 5, cid="c1", initBy="spike")
        await events.next(Invited)
        http.answers["/1.1/rtm/notifications"] = (503, {})
        gateway.cut()
        await http.asked("/1.1/rtm/notifications")
        told = [("left", "c1", START + 20), ("joined", "c1", START + 21), ("joined", "c2", START + 22)]
        for op, cid, at in told:
            await gateway.push("conv", op, at=at, cid=cid, initBy="spike")
        assert [(await events.next(Invited)).conversation.id for _ in range(2)] == ["c1", "c2"]
        told.append(("joined", "c3", START + 30))
        notifications = [
            {"cmd": "conv", "op": op, "cid": cid, "initBy": "spike", "serverTs": at} for op, cid, at in told
        ]
        http.answers["/1.1/rtm/notifications"] = (200, {"permanent": {"notifications": notifications}})
        gateway.cut()
        heard: list[Event] = []
        while not isinstance(heard[-1] if heard else None, Invited):
            heard.append(await events.next(Event))
        assert [each.conversation.id for each in heard if isinstance(each, Invited | Kicked)] == ["c3"]


async def test_missed_blocks_are_told(gateway: Gateway, http: Http) -> None:
    http.route(gateway.url)
    async with gateway.open(server=http.url) as tom:
        events = Events(tom)
        items = [
            {"cmd": "conv", "op": op, "cid": "c1", "m": ["eve"], "initBy": "jerry", "serverTs": START + at}
            for at, op in enumerate(("blocked", "unblocked", "members-blocked", "members-unblocked"), 10)
        ]
        http.answers["/1.1/rtm/notifications"] = (200, {"droppable": {"notifications": items}})
        gateway.cut()
        for kind in (Blocked, Unblocked):
            told = await events.next(kind)
            assert (told.conversation.id, told.by) == ("c1", "jerry")
        for kind in (MembersBlocked, MembersUnblocked):
            assert (await events.next(kind)).clients == ("eve",)


async def test_a_server_without_notifications_is_no_problem(gateway: Gateway, http: Http) -> None:
    http.route(gateway.url)
    async with gateway.open(server=http.url) as tom:
        events = Events(tom)
        gateway.cut()
        await events.next(Reconnected)
        await gateway.message(1)
        assert (await events.message()).id == "id1"
