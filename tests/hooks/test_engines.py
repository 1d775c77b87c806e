"""Calling the engine of an app: what is sent, what is taken for an answer, and what is asked only once."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.clock import Clock
from hongyan.engine.questions import NOTHING, Answer, HookFailed, Sending, Updating
from hongyan.engine.values import App, Conversation, ConversationKind, Draft
from hongyan.hooks.engines import AT_ONCE_BY, KNOWN_FOR, Engines
from hongyan.outbound import Outbound
from tests.store.steps import NOON, Wall
from tests.support.app_engine import AppEngine, Raw, app_engine

RECEIVED = "messageReceived"


@pytest.fixture
async def peer() -> AsyncIterator[AppEngine]:
    async with app_engine(messageReceived=lambda params: None) as made:
        yield made


@pytest.fixture
def app(peer: AppEngine) -> App:
    return App(1, "app-id", "test", "app-key", "master", "hook", AppSettings(hook_url=peer.url), 0)


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def engines(wall: Wall, certificates: ssl.SSLContext) -> AsyncIterator[Engines]:
    outbound = Outbound(("127.0.0.0/8",), context=certificates)
    made = Engines(outbound, Clock(wall, lambda: 0))
    yield made
    await made.stop()
    await outbound.close()


def sending(text: str = "hi", sender: str = "tom", conversation: str = "c1") -> Sending:
    where = Conversation(1, 1, conversation, ConversationKind.NORMAL, 1, {"tom", "jerry"})
    return Sending(where, sender, Draft(text), ["jerry"], 5)


async def learned(engines: Engines, app: App) -> None:
    """Return when the engine has told its functions."""
    task = engines._engines[app.key].asking
    if task is not None:
        await task


async def test_the_call(peer: AppEngine, app: App, engines: Engines) -> None:
    assert await engines.ask(app, sending()) == NOTHING
    (call,) = peer.calls
    assert call.path == "/1.1/functions/_messageReceived"
    assert call.params["content"] == "hi"
    expected = {
        "content-type": "application/json",
        "x-lc-id": "app-id",
        "x-lc-key": "master,master",
        "x-lc-hook-key": "hook",
    }
    assert expected.items() <= call.headers.items()
    assert call.headers["user-agent"].startswith("Hongyan/")


@pytest.mark.parametrize(
    "raw",
    [
        Raw(200, b""),
        Raw(200, b"{}"),
        Raw(200, b'{"result": null}'),
        Raw(200, b'{"result": {}}'),
        Raw(404, b"gone"),
        Raw(400, b'{"code": "400", "error": "no such hook"}'),
    ],
)
async def test_no_change(peer: AppEngine, app: App, engines: Engines, raw: Raw) -> None:
    peer.hooks["_messageReceived"] = lambda params: raw
    assert await engines.ask(app, sending()) == NOTHING


@pytest.mark.parametrize(
    "raw",
    [
        Raw(500, b'{"code": 141, "error": "Cloud Code script had an error."}'),
        Raw(400, b'{"code": 1, "error": "thrown"}'),
        Raw(400, b'{"code": 400, "error": "thrown"}'),
        Raw(401, b'{"code": 401, "error": "Unauthorized."}'),
        Raw(302, b"", "Location: http://127.0.0.1/\r\n"),
        Raw(200, b"<html>"),
        Raw(200, b"[]"),
        Raw(200, b"\xff\xfe"),
        Raw(200, b'{"result": "text"}'),
        Raw(200, b'{"result": ' + b"[" * 100_000),
        Raw(200, b'{"result": {"content": "' + b"x" * 2_000_000 + b'"}}'),
        Raw(204, b""),
        Raw(everything=b"garbage\r\n\r\n"),
    ],
)
async def test_failures_that_were_answered(peer: AppEngine, app: App, engines: Engines, raw: Raw) -> None:
    peer.hooks["_messageReceived"] = lambda params: raw
    with pytest.raises(HookFailed) as failed:
        await engines.ask(app, sending())
    assert failed.value.answered


@pytest.mark.parametrize("raw", [Raw(502), Raw(503), Raw(504), Raw(everything=b"")])
async def test_an_engine_that_is_away(peer: AppEngine, app: App, engines: Engines, raw: Raw) -> None:
    async def hang_up(params: object) -> Raw:
        await peer.stop()
        return raw

    peer.hooks["_messageReceived"] = (lambda params: raw) if raw.everything is None else hang_up
    with pytest.raises(HookFailed) as failed:
        await engines.ask(app, sending())
    assert (failed.value.answered, failed.value.away) == (False, True)


async def test_an_address_that_may_not_be_called(app: App) -> None:
    outbound = Outbound()
    engines = Engines(outbound, Clock())
    with pytest.raises(HookFailed, match="allowed_private"):
        await engines.ask(app, sending())
    await engines.stop()
    await outbound.close()


async def test_what_it_has_not_is_not_asked_for(peer: AppEngine, app: App, engines: Engines, wall: Wall) -> None:
    await engines.ask(app, sending())
    await learned(engines, app)
    assert engines.has_hook(app, Sending)
    assert not engines.has_hook(app, Updating)
    await engines.ask(app, Updating("tom", "c1", {}))
    assert peer.of("conversationUpdate") == []
    peer.hooks["_conversationUpdate"] = lambda params: {"reject": True}
    peer.names = list(peer.hooks)
    wall.at += KNOWN_FOR
    assert engines.has_hook(app, Updating), "it may have been added"
    assert await engines.ask(app, Updating("tom", "c1", {})) == Answer(refused=True)


async def test_an_engine_that_does_not_tell(peer: AppEngine, app: App, engines: Engines, wall: Wall) -> None:
    peer.names = None
    for _ in range(2):
        await engines.ask(app, sending())
        await engines.ask(app, Updating("tom", "c1", {}))
        await learned(engines, app)
    assert len(peer.of(RECEIVED)) == 2
    assert len(peer.of("conversationUpdate")) == 1, "once in three minutes"
    assert not engines.has_hook(app, Updating)
    wall.at += KNOWN_FOR
    await engines.ask(app, Updating("tom", "c1", {}))
    assert len(peer.of("conversationUpdate")) == 2


async def test_another_address_is_another_engine(peer: AppEngine, app: App, engines: Engines) -> None:
    await engines.ask(app, sending())
    await learned(engines, app)
    async with app_engine(conversationUpdate=lambda params: None) as other:
        app.settings = replace(app.settings, hook_url=other.url)
        assert engines.has_hook(app, Updating)
        await engines.ask(app, Updating("tom", "c1", {}))
        assert len(other.of("conversationUpdate")) == 1


async def test_what_it_has(peer: AppEngine, app: App, engines: Engines) -> None:
    assert (await engines.find(app)).names == {"_messageReceived"}
    peer.names = None
    assert (await engines.find(app)).names is None
    await peer.stop()
    with pytest.raises(HookFailed):
        await engines.find(app)


async def test_nobody_takes_all_of_the_engine(peer: AppEngine, app: App, engines: Engines) -> None:
    """So many of one client are asked about at once; others go on. Those that wait are asked about in order."""
    go_on = asyncio.Event()

    async def hang(params: dict[str, str]) -> None:
        if params["fromPeer"] == "tom":
            await go_on.wait()

    peer.hooks["_messageReceived"] = hang
    app.settings = replace(app.settings, hook_timeout=15)
    asked = [asyncio.create_task(engines.ask(app, sending(str(number)))) for number in range(AT_ONCE_BY + 3)]
    begun = await peer.expect(RECEIVED, AT_ONCE_BY)
    await engines.ask(app, sending("of another", "jerry", "c2"))
    *first, last = [params["content"] for params in peer.of(RECEIVED)]
    assert (sorted(first), last) == ([*map(str, range(AT_ONCE_BY))], "of another")
    assert len(begun) == AT_ONCE_BY
    go_on.set()
    await asyncio.gather(*asked)
    later = [params["content"] for params in peer.of(RECEIVED)][AT_ONCE_BY + 1 :]
    assert set(later) == {str(AT_ONCE_BY + number) for number in range(3)}
    assert engines._gates._gates == {}


async def test_waiting_counts(peer: AppEngine, app: App, engines: Engines) -> None:
    """Who waits for its turn fails in time as well."""
    never = asyncio.Event()
    peer.hooks["_messageReceived"] = lambda params: never.wait()
    app.settings = replace(app.settings, hook_timeout=1)
    asked = [engines.ask(app, sending()) for _ in range(AT_ONCE_BY + 1)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(outcome, HookFailed) and not outcome.answered for outcome in outcomes)


async def test_names_that_change_while_another_thread_asks(app: App, engines: Engines) -> None:
    class Changing:
        """The event loop forgets the names as soon as they have been read."""

        url, asked_at, missing = app.settings.hook_url, NOON, {"_messageReceived": 0}
        asking, read = None, 0

        @property
        def names(self) -> frozenset[str] | None:
            self.read += 1
            return frozenset({"_messageReceived"}) if self.read == 1 else None

    engines._engines[app.key] = Changing()  # type: ignore[assignment]
    assert engines.has_hook(app, Sending)
