"""Faults: the next requests of a platform fail as asked, and no others."""

import asyncio

import pytest
from aiohttp import ClientSession, ServerDisconnectedError

from hongyan.sandbox import faults as sandbox_faults
from hongyan.sandbox.faults import WHATS, Faults
from hongyan.sandbox.server import Sandbox


def test_each_is_used_up() -> None:
    faults = Faults()
    faults.add("plain", "error", 2)
    faults.add("plain", "garbage")
    taken = [faults.take("plain", "/a") for _ in range(4)]
    assert taken == ["error", "error", "garbage", None]
    assert faults.all() == []


def test_only_its_platform_and_paths_fail() -> None:
    faults = Faults()
    faults.add("plain", "error", path="/plain/send")
    assert faults.take("other", "/plain/send") is None
    assert faults.take("plain", "/plain/token") is None
    assert faults.take("plain", "/plain/send/1") == "error"


async def fault(web: ClientSession, what: str, **more: object) -> None:
    async with web.post("/sandbox/faults", json={"platform": "plain", "what": what, **more}) as answer:
        assert answer.status == 200


async def send(web: ClientSession) -> tuple[int, str]:
    async with web.post("/plain/send", json="hello") as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    ("what", "status", "text"),
    [
        ("error", 500, "Internal Server Error"),
        ("garbage", 200, "<html><body>gateway</body></html>"),
        ("throttled", 200, '{"code": "throttled"}'),
        ("refused", 200, '{"code": "refused"}'),
        ("token_expired", 200, '{"code": "token_expired"}'),
    ],
)
async def test_what_it_answers(plain: Sandbox, web: ClientSession, what: str, status: int, text: str) -> None:
    await fault(web, what)
    assert await send(web) == (status, text)
    assert plain.board.all() == []
    assert (await send(web))[0] == 200
    assert len(plain.board.all()) == 1


async def test_closed(plain: Sandbox, web: ClientSession) -> None:
    await fault(web, "closed")
    with pytest.raises(ServerDisconnectedError):
        await send(web)
    assert plain.board.all() == []


async def test_silence(monkeypatch: pytest.MonkeyPatch, plain: Sandbox, web: ClientSession) -> None:
    await fault(web, "silence")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await send(web)
    monkeypatch.setattr(sandbox_faults, "SILENCE", 0.0)
    await fault(web, "silence")
    assert (await send(web))[0] == 504
    assert plain.board.all() == []


async def test_they_are_listed_and_taken_back(web: ClientSession) -> None:
    await fault(web, "error", times=3, path="/plain/send")
    async with web.get("/sandbox/faults") as answer:
        assert await answer.json() == [{"platform": "plain", "path": "/plain/send", "what": "error", "times": 3}]
    async with web.delete("/sandbox/faults") as answer:
        assert await answer.json() == []
    assert (await send(web))[0] == 200


async def test_clearing_the_messages_leaves_them(web: ClientSession) -> None:
    await fault(web, "error")
    async with web.post("/sandbox/clear", json={}):
        pass
    assert (await send(web))[0] == 500


@pytest.mark.parametrize(
    "asked",
    [
        {"platform": "other", "what": "error"},
        {"platform": "plain", "what": "rain"},
        {"platform": "plain", "what": "error", "times": 0},
        {"platform": "plain", "what": "error", "times": 1001},
        {"platform": "plain"},
    ],
)
async def test_what_is_no_fault(web: ClientSession, plain: Sandbox, asked: dict[str, object]) -> None:
    async with web.post("/sandbox/faults", json=asked) as answer:
        assert answer.status == 400
    assert plain.faults.all() == []


@pytest.mark.parametrize("what", sorted({*WHATS} - {"silence", "closed"}))
async def test_every_emulator_fails_in_every_way(sandbox: Sandbox, what: str) -> None:
    """In its own words or in the common ones; what was sent is not taken."""
    async with ClientSession(sandbox.origin) as session:
        for name, emulator in sandbox.emulators.items():
            sandbox.faults.add(name, what)  # type: ignore[arg-type]
            async with session.post(emulator.prefixes[0], json={}) as answer:
                await answer.read()
            assert sandbox.faults.all() == [], name
        assert sandbox.board.all() == []
