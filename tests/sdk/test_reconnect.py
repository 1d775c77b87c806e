"""Logins and reconnects, against a scripted gateway."""

import asyncio

import pytest
from hongyan_client import (
    Backoff,
    ClientClosed,
    Closed,
    ConnectionLost,
    Disconnected,
    HongyanError,
    Raw,
    Reconnected,
    RequestTimeout,
    Signature,
    SignatureRequest,
)

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.sdk.gateway import START, Gateway, rows
from tests.sdk.take import Events
from tests.support.client import command


async def test_a_login_says_who_and_how(gateway: Gateway) -> None:
    async with gateway.open(tag="Mobile", device_id="phone"):
        pass
    opened = gateway.received[0]
    wish = opened.sessionMessage
    assert (opened.appId, opened.peerId, wish.r, wish.tag, wish.deviceId) == ("app", "tom", False, "Mobile", "phone")
    assert wish.configBitmap == 0x7B
    assert wish.ua.startswith("hongyan-python/")
    assert gateway.names() == ["session/open", "session/close"]


async def test_a_reconnect_shows_the_token(gateway: Gateway) -> None:
    async with gateway.open(tag="Mobile") as tom:
        gateway.cut()
        again = (await gateway.expect("session/open", 2)).sessionMessage
        assert (again.r, again.st, again.HasField("tag")) == (True, "token", False)
        events = Events(tom)
        assert (await events.next(Disconnected)).code == 1006
        await events.next(Reconnected)


async def test_an_expired_token_is_replaced_at_once(gateway: Gateway) -> None:
    signed: list[SignatureRequest] = []

    async def sign(request: SignatureRequest) -> Signature:
        signed.append(request)
        return Signature(f"signature-{len(signed)}", 17, "nonce")

    def answer(asked: GenericCommand) -> GenericCommand:
        if asked.sessionMessage.st:
            return command("error", code=4112, reason="SESSION_TOKEN_EXPIRED")
        return command("session", "opened", st="token", stTtl=1)

    gateway.answers["session/open"] = answer
    async with gateway.open(tag="Mobile", sign=sign) as tom:
        gateway.cut()
        fresh = (await gateway.expect("session/open", 3)).sessionMessage
        assert (fresh.r, fresh.HasField("st"), fresh.tag, fresh.s) == (True, False, "Mobile", "signature-2")
        await Events(tom).next(Reconnected)
    assert signed == [SignatureRequest("open", "tom")] * 2
    assert len(gateway.sockets) == 2


async def test_a_refused_reconnect_is_final(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        gateway.answer("session/open", "error", code=4111, reason="SESSION_CONFLICT")
        gateway.cut()
        events = [event async for event in tom.events()]
        assert isinstance(events[-1], Closed)
        assert events[-1].code == 4111
        with pytest.raises(ClientClosed, match="4111"):
            await tom.online("jerry")


async def test_a_refusal_that_passes_is_tried_again(gateway: Gateway) -> None:
    answers = iter(
        [
            command("session", "opened", st="token", stTtl=1),
            command("error", code=4318, reason="CONVERSATION_API_QUOTA_EXCEEDED"),
            command("session", "opened", st="token", stTtl=1),
        ]
    )
    gateway.answers["session/open"] = lambda asked: next(answers)
    async with gateway.open() as tom:
        gateway.cut()
        await Events(tom).next(Reconnected)
    assert gateway.names().count("session/open") == 3


@pytest.mark.parametrize("code", [4100, 4103, 4110])
async def test_close_codes_that_are_final(gateway: Gateway, code: int) -> None:
    async with gateway.open() as tom:
        await gateway.sockets[-1].close(code, "NO")
        assert [event async for event in tom.events()][-1] == Closed(code, "NO")


async def test_the_server_asks_to_connect_elsewhere(gateway: Gateway) -> None:
    async with gateway.open(backoff=Backoff(first=3600)) as tom:
        await gateway.push("goaway")
        await Events(tom).next(Reconnected)
    assert len(gateway.sockets) == 2


async def test_the_first_login_fails_with_its_reason(gateway: Gateway) -> None:
    gateway.answer("session/open", "error", code=4102, reason="SIGNATURE_FAILED", detail="sign")
    with pytest.raises(HongyanError) as refused:
        async with gateway.open():
            pass
    assert (refused.value.code, refused.value.reason, refused.value.detail) == (4102, "SIGNATURE_FAILED", "sign")
    with pytest.raises(ConnectionLost):
        async with gateway.open(server="ws://127.0.0.1:1"):
            pass
    with pytest.raises(ValueError, match="starts with"):
        async with gateway.open(server="127.0.0.1"):
            pass


async def test_the_first_message_after_the_login_is_not_lost(gateway: Gateway) -> None:
    def opened(asked: GenericCommand) -> GenericCommand:
        asked.peerId = "tom"
        return command("session", "opened", st="token", stTtl=1)

    gateway.answers["session/open"] = opened
    gateway.then["session/open"] = lambda: gateway.message(1)
    async with gateway.open(client_id=None) as tom:
        assert (await Events(tom).message()).id == "id1"
        assert tom.client_id == "tom"


async def test_idempotent_requests_are_repeated_and_others_fail(gateway: Gateway) -> None:
    def cut_first(name: str, answer: GenericCommand) -> None:
        cuts = iter([True])

        def answered(asked: GenericCommand) -> GenericCommand | None:
            if next(cuts, False):
                gateway.cut()
                return None
            return answer

        gateway.answers[name] = answered

    cut_first("conv/count", command("conv", "result", count=3))
    cut_first("conv/update", command("conv", "updated"))
    async with gateway.open() as tom:
        assert await tom.conversation("c1").count() == 3
        with pytest.raises(ConnectionLost):
            await tom.conversation("c1").update(name="New")
        await tom.conversation("c1").update(name="New")


async def test_an_unanswered_request_times_out(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        tom._request_timeout = 0.05  # not for the login as well, which may take longer
        with pytest.raises(RequestTimeout, match="no answer to conv/count"):
            await tom.conversation("c1").count()
        with pytest.raises(RequestTimeout, match="not acknowledged"):
            await tom.conversation("c1").send("hi", timeout=0.05)


async def test_a_message_is_sent_again_with_its_token(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        sending = asyncio.create_task(tom.conversation("c1").send("hi"))
        first = await gateway.expect("direct")
        gateway.answer("direct", "ack", uid="id1", t=START + 1)
        gateway.cut()
        assert (await sending).id == "id1"
        second = await gateway.expect("direct", 2)
        assert first.directMessage.dt
        assert first.directMessage == second.directMessage


async def test_a_transient_message_is_not_sent_again(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        sending = asyncio.create_task(tom.conversation("c1").send("typing", transient=True))
        await gateway.expect("direct")
        gateway.cut()
        with pytest.raises(ConnectionLost):
            await sending
        await gateway.expect("session/open", 2)


async def test_a_read_mark_is_kept_until_it_is_taken(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        events = Events(tom)
        await gateway.message(1)
        received = await events.message()
        await tom.conversation("c1").read()
        mark = (await gateway.expect("read")).readMessage.convs[0]
        assert (mark.cid, mark.mid, mark.timestamp) == ("c1", received.id, received.timestamp)
        gateway.cut()
        assert (await gateway.expect("read", 2)).readMessage.convs[0] == mark
        await gateway.push("unread", convs=[{"cid": "c1", "unread": 0}], notifTime=1)
        gateway.answer("session/query", "session", "query_result")
        await tom.online("anybody")
        gateway.cut()
        await gateway.expect("session/open", 3)
        await tom.online("anybody")
    assert gateway.names().count("read") == 2


async def test_offline_messages_are_told_and_the_rest_is_read_from_history(gateway: Gateway) -> None:
    def history(asked: GenericCommand) -> GenericCommand:
        after = asked.logsMessage.t
        kept = [{"msgId": f"id{n}", "timestamp": START + n, "data": f"m{n}", "from": "jerry"} for n in range(1, 5)]
        return command("logs", cid="c1", logs=[item for item in kept if int(str(item["timestamp"])) > after])

    gateway.answers["logs"] = history
    async with gateway.open(offline_messages=True) as tom:
        assert gateway.sockets[-1].subprotocol == "lc.protobuf2.1"
        await gateway.message(1, offline=True, hasMore=True)
        await gateway.message(2, offline=True)
        await gateway.message(5)
        events = Events(tom)
        assert [message.content for message in await events.messages(5)] == [Raw(f"m{n}") for n in range(1, 6)]


async def test_a_message_that_the_server_counted_is_read_from_history(gateway: Gateway) -> None:
    item = {"msgId": "id2", "timestamp": START + 100, "data": "m2", "from": "jerry"}
    gateway.answer("logs", "logs", cid="c1", logs=[item])
    async with gateway.open() as tom:
        await gateway.message(1)
        told = {"cid": "c1", "unread": 2, "mid": "id2", "timestamp": START + 100}
        await gateway.push("unread", convs=[told], notifTime=START + 200)
        events = Events(tom)
        assert [message.id for message in await events.messages(2)] == ["id1", "id2"]
        asked = (await gateway.expect("logs")).logsMessage
        assert (asked.t, asked.mid) == (START + 1, "id1")


async def test_what_was_said_before_the_login_is_not_caught_up(gateway: Gateway) -> None:
    told = {"cid": "c1", "unread": 2, "mid": "id0", "timestamp": START - 1}
    gateway.then["session/open"] = lambda: gateway.push("unread", convs=[told], notifTime=START)
    async with gateway.open() as tom:
        await gateway.message(300)
        assert (await Events(tom).message()).id == "id300"
    assert "logs" not in gateway.names()


async def test_pushes_wait_until_what_was_missed_is_told(gateway: Gateway) -> None:
    missed = {"msgId": "id2", "timestamp": START + 2, "data": "m2", "from": "jerry"}
    date = {"__type": "Date", "iso": "2023-11-14T22:13:20.003Z"}
    async with gateway.open() as tom:
        events = Events(tom)
        await gateway.message(1)
        await events.message()
        gateway.answers["conv/query"] = lambda asked: None
        gateway.cut()
        query = await gateway.expect("conv/query")
        await gateway.message(3)
        gateway.answer("logs", "logs", cid="c1", logs=[missed])
        answer = rows({"objectId": "c1", "lm": date})(query)
        assert answer is not None
        answer.i = query.i
        await gateway.sockets[-1].send(answer.SerializeToString())
        assert [message.id for message in await events.messages(2)] == ["id2", "id3"]


async def test_own_messages_are_not_told_when_catching_up(gateway: Gateway) -> None:
    items = [
        {"msgId": f"id{n}", "timestamp": START + n, "data": f"m{n}", "from": "tom" if n == 2 else "jerry"}
        for n in (1, 2, 3)
    ]
    gateway.answers["conv/query"] = rows(
        {"objectId": "c1", "lm": {"__type": "Date", "iso": "2023-11-14T22:13:20.003Z"}}
    )
    gateway.answer("logs", "logs", cid="c1", logs=items)
    async with gateway.open() as tom:
        sending = asyncio.create_task(tom.conversation("c1").send("m2"))
        await gateway.expect("direct")
        gateway.cut()
        await gateway.expect("logs")
        again = await gateway.expect("direct", 2)
        ack = command("ack", peer="tom", uid="id2", t=START + 2)
        ack.i = again.i
        await gateway.sockets[-1].send(ack.SerializeToString())
        assert (await sending).id == "id2"
        assert [message.id for message in await Events(tom).messages(2)] == ["id1", "id3"]


def test_the_wait_doubles_up_to_its_most() -> None:
    plain = Backoff(jitter=0)
    assert [plain.delay(attempt) for attempt in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert all(15 <= Backoff().delay(9) <= 30 for _ in range(100))
