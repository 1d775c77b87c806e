"""The sandbox itself: what the page asks it."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from hongyan.sandbox import board as boards
from hongyan.sandbox import server as servers
from hongyan.sandbox.server import Sandbox
from tests.sandbox.plain import Plain


async def test_it_starts_with_all_emulators(sandbox: Sandbox) -> None:
    async with ClientSession() as session, session.get(f"{sandbox.origin}/sandbox/world") as answer:
        world = await answer.json()
    assert world["origin"] == sandbox.origin
    assert world["platforms"].keys() == sandbox.emulators.keys()


async def test_the_page_runs_only_its_own_scripts(web: ClientSession) -> None:
    async with web.get("/") as answer:
        assert answer.content_type == "text/html"
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "<script>" not in await answer.text()


@pytest.mark.parametrize("name", ["nothing.js", "..%2fserver.py", "%2e%2e/server.py", ""])
async def test_only_files_of_the_page_are_served(web: ClientSession, name: str) -> None:
    async with web.get(f"/sandbox/page/{name}") as answer:
        assert answer.status == 404


async def test_messages_are_shown_as_they_come(web: ClientSession, plain: Sandbox) -> None:
    async with web.get("/sandbox/changes") as changes:
        assert await line(changes) == ": here"
        await send(web, {"text": "hello"})
        shown = json.loads((await line(changes)).removeprefix("data: "))
        assert (shown["platform"], shown["to"], shown["payload"], shown["state"]) == (
            "plain",
            ["everybody"],
            {"text": "hello"},
            "sent",
        )
        message = plain.board.get(shown["id"])
        assert message is not None
        message.state = "recalled"
        plain.board.changed(message)
        assert '"state":"recalled"' in await line(changes)
        async with web.get("/sandbox/messages") as answer:
            assert [each["state"] for each in await answer.json()] == ["recalled"]
        async with web.post("/sandbox/clear", data="{}") as answer:  # as a form of another page would
            assert answer.status == 415
        async with web.post("/sandbox/clear", json={}):
            assert await line(changes) == "data: null"
        async with web.get("/sandbox/messages") as answer:
            assert await answer.json() == []


async def test_the_oldest_messages_go(monkeypatch: pytest.MonkeyPatch, web: ClientSession, plain: Sandbox) -> None:
    monkeypatch.setattr(boards, "KEPT", 3)
    for number in range(5):
        await send(web, number)
    assert [shown.payload for shown in plain.board.all()] == [2, 3, 4]


async def test_who_is_too_far_behind_has_to_come_again(monkeypatch: pytest.MonkeyPatch, plain: Sandbox) -> None:
    monkeypatch.setattr(boards, "BEHIND", 3)
    with plain.board.listening() as changes:
        for number in range(5):
            plain.board.add("plain", "robot", "r", [], "text", number)
        got = [change async for change in changes(10.0)]
    assert [each.payload for each in got if isinstance(each, boards.Shown)] == [0, 1, 2]


async def test_onlookers_who_have_gone_are_forgotten(
    monkeypatch: pytest.MonkeyPatch, web: ClientSession, plain: Sandbox
) -> None:
    monkeypatch.setattr(servers, "BEAT", 0.01)
    async with web.get("/sandbox/changes") as changes:
        assert await line(changes) == ": here"
        assert await line(changes) == ": beat"
        assert len(plain.board._listeners) == 1
    async with asyncio.timeout(30):
        while plain.board._listeners:
            await asyncio.sleep(0)


async def test_files_run_nothing_in_the_name_of_the_page(web: ClientSession, plain: Sandbox) -> None:
    plain.board.keep("@a/1", "a.html", "text/html", b"<script>")
    async with web.get("/sandbox/media/@a/1") as answer:
        assert await answer.read() == b"<script>"
        assert answer.headers["Content-Security-Policy"] == "sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with web.get("/sandbox/media/@a/2") as answer:
        assert answer.status == 404


async def test_files_together_have_a_limit(plain: Sandbox) -> None:
    for number in range(3):
        plain.board.keep(str(number), "a", "text/plain", bytes(40_000_000))
    assert [plain.board.media(str(number)) is not None for number in range(3)] == [False, True, True]


async def test_people_say_things(web: ClientSession) -> None:
    told = {"url": "http://127.0.0.1:1/in", "inbound": {"kind": "text", "user": "u1", "text": "hi"}}
    async with web.post("/sandbox/inbound/plain", json=told) as answer:
        assert await answer.json() == {"status": 200, "body": "http://127.0.0.1:1/in hi"}
    async with web.post("/sandbox/inbound/plain", json={**told, "url": ""}) as answer:
        assert await answer.json() == {"unheard": "There is no connection."}
    told["inbound"]["user"] = "u2"  # type: ignore[index]
    async with web.post("/sandbox/inbound/plain", json=told) as answer:
        assert (answer.status, await answer.text()) == (400, "There is no such user.")
    async with web.post("/sandbox/inbound/other", json=told) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("body", ["", "{", "[]", '{"url":1,"inbound":{}}', '{"url":"a"}', "[" * 100_000])
async def test_what_the_page_would_not_send(web: ClientSession, body: str) -> None:
    for path in ("/sandbox/inbound/plain", "/sandbox/faults"):
        async with web.post(path, data=body, headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 400
        async with web.post(path, data=body, headers={"Content-Type": "text/plain"}) as answer:
            assert answer.status == 415


async def test_a_page_elsewhere_cannot_send_as_this_one(web: ClientSession) -> None:
    """What a browser sends unasked is a form or plain text."""
    async with web.post("/sandbox/inbound/plain", data={"url": "x"}) as answer:
        assert answer.status == 415


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8025", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("10.0.0.7", 200), ("evil.example", 403)],
)
async def test_names_that_were_made_to_lead_here(web: ClientSession, host: str, status: int) -> None:
    async with web.get("/sandbox/messages", headers={"Host": host}) as answer:
        assert answer.status == status
    async with web.post("/plain/send", json=1, headers={"Host": host}) as answer:
        assert answer.status == 200  # emulators answer to the platforms' names as well


async def test_its_own_name() -> None:
    made = Sandbox([Plain])
    await made.start(origin="http://sandbox.test:8025/")
    try:
        assert made.origin == made.emulators["plain"].origin == "http://sandbox.test:8025"
        (bound,) = made._runner.addresses  # type: ignore[union-attr]
        url = f"http://127.0.0.1:{bound[1]}/sandbox/world"
        async with ClientSession() as session, session.get(url, headers={"Host": "sandbox.test:8025"}) as answer:
            assert answer.status == 200
    finally:
        await made.stop()


async def test_it_stops_with_onlookers() -> None:
    made = Sandbox([Plain])
    await made.start()
    async with ClientSession() as session, session.get(f"{made.origin}/sandbox/changes") as changes:
        await line(changes)
        await made.stop()


async def line(answer: ClientResponse) -> str:
    """The next one that is not empty."""
    async with asyncio.timeout(30):
        while not (text := (await answer.content.readline()).decode().strip()):
            assert not answer.content.at_eof()
    return text


async def send(session: ClientSession, payload: Any) -> None:
    async with session.post("/plain/send", json=payload) as answer:
        assert (await answer.json())["code"] == 0
