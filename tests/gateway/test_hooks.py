"""The engine of an app as clients see it: its codes and words, order, and that it holds up nobody else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from hongyan.wire.messages2_pb2 import PatchItem
from tests.gateway.talk import people, settled, texts
from tests.support.app_engine import AppEngine, Raw, app_engine
from tests.support.client import Refused, connect, named
from tests.support.plugin import servers_key
from tests.support.rest import rest
from tests.support.server import Server

ENVIRONMENT = {"HONGYAN_ALLOWED_PRIVATE": "127.0.0.1", "HONGYAN_TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture
async def engine() -> AsyncIterator[AppEngine]:
    async with app_engine(messageReceived=lambda params: None) as made:
        made.names = None
        yield made


@pytest.fixture(scope="module")
def hooked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that trusts a proxy on this machine."""
    made = Server(tmp_path_factory.mktemp("hooks"), environment=ENVIRONMENT)
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def server(hooked_server: Server, engine: AppEngine, request: pytest.FixtureRequest) -> Server:
    """The server, whose app has the engine."""
    request.node.stash.setdefault(servers_key, []).append(hooked_server)
    fresh = [f"hook_url={engine.url}", "hook_failure=ignore", "hook_timeout=15"]
    hooked_server.hongyan("app", "set", hooked_server.app.id, *fresh)
    return hooked_server


@pytest.fixture
def own_server(server_factory: Callable[..., Server], engine: AppEngine) -> Server:
    """One that has told no engine of another test anything: what failed there would keep it waiting."""
    made: Server = server_factory(environment=ENVIRONMENT)
    made.start()
    made.hongyan("app", "set", made.app.id, f"hook_url={engine.url}")
    return made


@pytest.mark.covers("AckCommand.appCode", "ErrorCommand.appCode", "ErrorCommand.appMsg")
async def test_codes_and_words(server: Server, engine: AppEngine) -> None:
    ann, bob = people("ann", "bob")
    async with settled(server, ann) as session:
        cid = await session.start(bob)
        engine.hooks["_messageReceived"] = lambda params: {"drop": True, "code": 7, "detail": "no ads"}
        with pytest.raises(Refused) as refused:
            await session.send(cid, "x")
        ack = refused.value.answer.ackMessage
        assert (ack.code, ack.reason, ack.appCode, ack.appMsg) == (4402, "MESSAGE_REJECTED_BY_APP", 7, "no ads")
        engine.hooks["_messageReceived"] = lambda params: {"drop": True}
        with pytest.raises(Refused) as refused:
            await session.send(cid, "x")
        ack = refused.value.answer.ackMessage
        assert (ack.code, ack.HasField("appCode"), ack.HasField("appMsg")) == (4402, False, False)
        engine.hooks["_conversationAdd"] = lambda params: {"reject": True, "code": 6, "detail": "an enemy"}
        with pytest.raises(Refused) as refused:
            await session.request("conv", "add", cid=cid, m=["eve"])
        error = refused.value.answer.errorMessage
        assert (error.code, error.reason) == (4305, "CONVERSATION_REJECTED_BY_APP")
        assert (error.appCode, error.appMsg) == (6, "an enemy")
        engine.hooks["_messageReceived"] = lambda params: None
        sent = await session.send(cid, "x")
        engine.hooks["_messageUpdate"] = lambda params: {"drop": True, "code": 9, "detail": "stays"}
        item = PatchItem(cid=cid, mid=sent.uid, timestamp=sent.t, data="y")
        with pytest.raises(Refused) as refused:
            await session.request("patch", "modify", patches=[item])
        error = refused.value.answer.errorMessage
        assert (error.code, error.reason) == (4405, "MESSAGE_UPDATE_REJECTED_BY_APP")
        assert (error.appCode, error.appMsg) == (9, "stays")


@pytest.mark.parametrize("code", [None, 8])
async def test_the_author_is_told_what_became_of_its_message(
    server: Server, engine: AppEngine, code: int | None
) -> None:
    ann, bob = people("ann", "bob")
    engine.hooks["_messageReceived"] = lambda params: {"content": "new", "code": code, "detail": code and "why"}
    async with settled(server, ann) as author, settled(server, bob) as reader:
        cid = await author.start(bob)
        sent = await author.send(cid, "old")
        (patch,) = (await author.expect("patch/modify")).patchMessage.patches
        assert (patch.mid, patch.data, getattr(patch, "from")) == (sent.uid, "new", ann)
        assert (patch.HasField("patchCode"), patch.patchCode, patch.patchReason) == (
            bool(code),
            code or 0,
            "why" if code else "",
        )
        assert await texts(reader) == ["new"]
        assert [message.data for message in await author.history(cid)] == ["new"]


@pytest.mark.parametrize(
    "raw",
    [
        Raw(500),
        Raw(404),
        Raw(302, b"", "Location: http://127.0.0.1/\r\n"),
        Raw(200, b"garbage"),
        Raw(200, b"x" * 2_000_000),
        Raw(everything=b""),
        Raw(200, b'{"result": {"content": "' + b"x" * 6_000 + b'"}}'),
        Raw(200, b'{"result": {"drop": true, "code": "seven"}}'),
    ],
)
async def test_whatever_an_engine_answers(server: Server, engine: AppEngine, raw: Raw) -> None:
    """The message goes on; or it is refused, if the app wants that and it has the hook."""
    ann, bob = people("ann", "bob")

    async def answer(params: object) -> Raw:
        return raw

    engine.hooks["_messageReceived"] = answer
    if raw.everything is not None:  # nothing comes: no need to wait for long
        server.hongyan("app", "set", server.app.id, "hook_timeout=1")
    async with settled(server, ann) as author, settled(server, bob) as reader:
        cid = await author.start(bob)
        await author.send(cid, "1")
        assert await texts(reader) == ["1"]
        server.hongyan("app", "set", server.app.id, "hook_failure=refuse")
        if raw.status == 404:
            await author.send(cid, "2")
            return
        with pytest.raises(Refused) as refused:
            await author.send(cid, "2")
        assert (refused.value.code, refused.value.answer.ackMessage.HasField("appCode")) == (4402, False)


async def test_a_hanging_engine_holds_up_nobody_else(server: Server, engine: AppEngine) -> None:
    """Nor does it change the order of what one client says in one conversation."""
    go_on = asyncio.Event()

    async def answer(params: dict[str, Any]) -> None:
        if params["content"] == "hangs":
            await go_on.wait()

    engine.hooks["_messageReceived"] = answer
    ann, bob, cem = people("ann", "bob", "cem")
    async with settled(server, ann) as of_ann, settled(server, bob) as of_bob, settled(server, cem) as of_cem:
        cid = await of_ann.start(bob, cem)
        other = await of_ann.start(bob)
        hanging = [asyncio.create_task(of_ann.send(cid, text)) for text in ("hangs", "1", "2")]
        await engine.expect("messageReceived", 3)
        await of_bob.send(cid, "of bob")
        await of_ann.send(other, "elsewhere")
        assert not any(task.done() for task in hanging)
        assert await texts(of_cem) == ["of bob"]
        go_on.set()
        await asyncio.gather(*hanging)
        assert await texts(of_cem) == ["hangs", "1", "2"]


async def test_an_engine_that_never_answers(server: Server, engine: AppEngine) -> None:
    server.hongyan("app", "set", server.app.id, "hook_timeout=1")
    never = asyncio.Event()
    engine.hooks["_messageReceived"] = lambda params: never.wait()
    ann, bob = people("ann", "bob")
    async with settled(server, ann) as author, settled(server, bob) as reader:
        cid = await author.start(bob)
        await asyncio.gather(*(author.send(cid, text) for text in "12"))
        assert await texts(reader) == ["1", "2"]


async def test_receivers(server: Server, engine: AppEngine) -> None:
    """Those whom the hook leaves out hear nothing now; the history has it."""
    ann, bob, cem = people("ann", "bob", "cem")
    engine.hooks["_messageReceived"] = lambda params: {"toPeers": [cem]}
    async with settled(server, ann) as author, settled(server, bob) as of_bob, settled(server, cem) as of_cem:
        cid = await author.start(bob, cem)
        await author.send(cid, "for cem")
        assert await texts(of_cem) == ["for cem"]
        assert await texts(of_bob) == []
        assert [message.data for message in await of_bob.history(cid)] == ["for cem"]


async def test_where_a_message_comes_from(server: Server, engine: AppEngine) -> None:
    ann, bob = people("ann", "bob")
    async with rest(server) as api, settled(server, ann) as session:
        cid = await session.start(bob)
        await session.send(cid, "x")
        path = f"/1.2/rtm/conversations/{cid}/messages"
        await api.call("POST", path, from_client="robot", message="beep")
    by_client, by_rest = await engine.expect("messageReceived", 2)
    assert (by_client["fromPeer"], by_client["sourceIP"]) == (ann, "127.0.0.1")
    assert (by_rest["fromPeer"], by_rest["sourceIP"], by_rest["toPeers"]) == ("robot", "127.0.0.1", sorted([ann, bob]))


async def test_who_logs_in_and_out_behind_a_proxy(own_server: Server, engine: AppEngine) -> None:
    server = own_server
    (ann,) = people("ann")
    engine.hooks |= {"_clientOnline": lambda params: None, "_clientOffline": lambda params: None}
    async with connect(server, additional_headers={"X-Forwarded-For": "6.6.6.6, 1.2.3.4"}) as first:
        await first.open(ann, tag="mobile", deviceId="1")
        async with connect(server) as second:
            session = await second.open(ann, tag="mobile", deviceId="2")
            assert named(await first.expect("session/closed")) == "session/closed"
            await session.close()
    online = await engine.expect("clientOnline", 2)
    assert {(each["peerId"], each["sourceIP"], each["tag"], each["reconnect"]) for each in online} == {
        (ann, "1.2.3.4", "mobile", 0),
        (ann, "127.0.0.1", "mobile", 0),
    }
    offline = await engine.expect("clientOffline", 2)
    assert {(each["closeCode"], each["sourceIP"]) for each in offline} == {(3, "1.2.3.4"), (1, "127.0.0.1")}


async def test_kicks(own_server: Server, engine: AppEngine) -> None:
    server = own_server
    (ann,) = people("ann")
    engine.hooks["_clientOffline"] = lambda params: None
    async with rest(server) as api, settled(server, ann) as session:
        await api.call("POST", f"/1.2/rtm/clients/{ann}/kick", reason="go")
        await session.expect("session/closed")
    (offline,) = await engine.expect("clientOffline")
    assert (offline["peerId"], offline["closeCode"]) == (ann, 4)


async def test_a_change_that_hangs_holds_up_its_own_conversation_only(server: Server, engine: AppEngine) -> None:
    """What a client says after it in that conversation waits, as it may depend on it; all else goes on."""
    go_on = asyncio.Event()

    async def wait(params: object) -> None:
        await go_on.wait()

    ann, bob, cem = people("ann", "bob", "cem")
    async with settled(server, ann) as session, settled(server, bob) as other:
        cid, elsewhere = await session.start(bob), await session.start(bob)
        engine.hooks["_conversationAdd"] = wait
        adding = asyncio.create_task(session.request("conv", "add", cid=cid, m=[cem]))
        await engine.expect("conversationAdd")
        after = [asyncio.create_task(session.send(cid, text)) for text in ("1", "2")]
        await session.send(elsewhere, "elsewhere")
        await other.send(cid, "of bob")
        assert not adding.done()
        assert not any(task.done() for task in after)
        go_on.set()
        await asyncio.gather(adding, *after)
        assert [message.data for message in await session.history(cid)] == ["of bob", "1", "2"]
