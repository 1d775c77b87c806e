"""Cut links and killed servers, with real ones: messages arrive exactly once and in order."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from hongyan_client import (
    Client,
    ConnectionLost,
    Disconnected,
    HongyanError,
    Message,
    MessageReceived,
    Reconnected,
    RequestTimeout,
    State,
    Text,
)

from tests.sdk.conftest import QUICK, Open
from tests.sdk.take import Events
from tests.support.link import linked
from tests.support.server import Server


def texts(first: int, last: int) -> list[Text]:
    return [Text(str(number)) for number in range(first, last)]


def contents(messages: list[Message]) -> list[object]:
    return [message.content for message in messages]


async def test_messages_sent_during_a_cut_arrive_once_and_in_order(log_in: Open, shared: Server) -> None:
    async with (
        linked(shared.gateway_port) as link,
        log_in("cut-tom") as tom,
        log_in("cut-jerry", server=link.url) as jerry,
    ):
        heard = Events(jerry)
        conversation = await tom.create_conversation("cut-jerry")
        for number in range(5):
            await conversation.send(str(number))
        assert contents(await heard.messages(5)) == texts(0, 5)
        link.refuse()
        await heard.next(Disconnected)
        assert jerry.state is State.RECONNECTING
        for number in range(5, 250):
            await conversation.send(str(number))
        link.resume()
        await heard.next(Reconnected)
        received = [await heard.message() for _ in range(245)]
        await conversation.send("250")
        received.append(await heard.message())
        assert contents(received) == [*texts(5, 250), Text("250")]


async def test_conversations_made_during_a_cut_are_caught_up(log_in: Open, shared: Server) -> None:
    async with (
        linked(shared.gateway_port) as link,
        log_in("new-tom") as tom,
        log_in("new-jerry", server=link.url) as jerry,
    ):
        heard = Events(jerry)
        link.refuse()
        await heard.next(Disconnected)
        made = [await tom.create_conversation("new-jerry", unique=False) for _ in range(60)]
        for conversation in made:
            await conversation.send("first")
            await conversation.send("second")
        link.resume()
        received = await heard.messages(120)
        for conversation in made:
            here = [message for message in received if message.conversation_id == conversation.id]
            assert contents(here) == [Text("first"), Text("second")]


async def test_sends_during_a_cut_are_stored_once_and_in_order(log_in: Open, shared: Server) -> None:
    async with (
        linked(shared.gateway_port) as link,
        log_in("keep-tom", server=link.url) as tom,
        log_in("keep-jerry") as jerry,
    ):
        heard, own = Events(jerry), Events(tom)
        conversation = await tom.create_conversation("keep-jerry")
        await conversation.send("0")
        link.stall()
        sends = [asyncio.create_task(conversation.send(str(number))) for number in range(1, 40)]
        await asyncio.sleep(0)
        link.refuse()
        await own.next(Disconnected)
        sends += [asyncio.create_task(conversation.send(str(number))) for number in range(40, 60)]
        link.resume()
        sent = await asyncio.gather(*sends)
        assert contents(await heard.messages(60)) == texts(0, 60)
        stored = [message async for message in conversation.history(newest_first=False)]
        assert contents(stored) == texts(0, 60)
        assert [message.id for message in stored[1:]] == [message.id for message in sent]


async def test_a_lost_acknowledgement_does_not_double_the_message(log_in: Open, shared: Server) -> None:
    async with (
        linked(shared.gateway_port) as link,
        log_in("ack-tom", server=link.url) as tom,
        log_in("ack-jerry") as jerry,
    ):
        heard, own = Events(jerry), Events(tom)
        conversation = await tom.create_conversation("ack-jerry")
        link.stall_answers()
        sending = asyncio.create_task(conversation.send("once"))
        first = await heard.message()
        link.refuse()
        await own.next(Disconnected)
        link.resume()
        assert (await sending).id == first.id
        await conversation.send("twice")
        assert contents(await heard.messages(1)) == [Text("twice")]
        await jerry.conversation(conversation.id).send("end")
        assert (await own.message()).content == Text("end")


async def test_a_stalled_link_is_noticed(log_in: Open, shared: Server) -> None:
    async with (
        linked(shared.gateway_port) as link,
        log_in("stall-tom", server=link.url, keep_alive=0.5) as tom,
    ):
        own = Events(tom)
        link.stall()
        await own.next(Disconnected)
        link.cut()
        link.resume()
        await own.next(Reconnected)
        assert await tom.online("stall-tom") == ["stall-tom"]


async def test_links_cut_again_and_again_lose_and_double_nothing(log_in: Open, shared: Server) -> None:
    async with (
        linked(shared.gateway_port) as tom_link,
        linked(shared.gateway_port) as jerry_link,
        log_in("storm-tom", server=tom_link.url) as tom,
        log_in("storm-jerry", server=jerry_link.url) as jerry,
    ):
        heard = Events(jerry)
        conversation = await tom.create_conversation("storm-jerry")

        async def talk() -> None:
            for number in range(300):
                if number % 25 == 12:
                    tom_link.cut()
                if number % 40 == 7:
                    jerry_link.cut()
                await conversation.send(str(number))

        talking = asyncio.create_task(talk())
        received = await heard.messages(300)
        await talking
        assert contents(received) == texts(0, 300)
        assert (tom_link.connections > 5, jerry_link.connections > 5) == (True, True)
        await conversation.send("end")
        assert (await heard.message()).content == Text("end")


async def test_a_killed_server_loses_and_doubles_nothing(server_factory: Callable[..., Server]) -> None:
    server = server_factory()
    server.start()

    def opened(name: str) -> AbstractAsyncContextManager[Client]:
        return Client.open(server.http_url, app_id=server.app.id, client_id=name, backoff=QUICK, send_timeout=90)

    async with opened("tom") as tom, opened("jerry") as jerry:
        heard = Events(jerry)
        conversation = await tom.create_conversation("jerry")

        async def talk() -> None:
            for number in range(400):
                await conversation.send(str(number))

        talking = asyncio.create_task(talk())
        received = await heard.messages(100)
        server.kill()
        await asyncio.to_thread(server.start)
        received += await heard.messages(100)
        server.kill()
        await asyncio.to_thread(server.start)
        received += await heard.messages(200)
        await talking
        await conversation.send("end")
        received.append(await heard.message())
        assert contents(received) == [*texts(0, 400), Text("end")]


async def test_requests_wait_for_a_connection_or_time_out(log_in: Open, shared: Server) -> None:
    async with linked(shared.gateway_port) as link, log_in("wait-tom", server=link.url) as tom:
        own = Events(tom)
        conversation = await tom.create_conversation("wait-jerry")
        link.refuse()
        await own.next(Disconnected)
        patience = tom._request_timeout, tom._send_timeout
        tom._request_timeout = tom._send_timeout = 0.3  # only while nothing is answered, however long that takes
        with pytest.raises(RequestTimeout):
            await conversation.fetch()
        with pytest.raises(RequestTimeout):
            await conversation.send("hi")
        with pytest.raises(ConnectionLost):
            await conversation.send("typing", transient=True)
        tom._request_timeout, tom._send_timeout = patience
        link.resume()
        await own.next(Reconnected)
        assert (await conversation.fetch()).creator == "wait-tom"


async def test_a_slow_application_gets_every_message(log_in: Open) -> None:
    async with log_in("slow-tom") as tom, log_in("slow-jerry", max_events=10) as jerry:
        conversation = await tom.create_conversation("slow-jerry")
        await asyncio.gather(*(conversation.send(str(number)) for number in range(400)))
        received: list[Message] = []
        async for event in jerry.events():
            if isinstance(event, MessageReceived):
                received.append(event.message)
            if len(received) == 400:
                break
        assert contents(received) == texts(0, 400)


async def test_nothing_is_sent_by_a_closed_client(log_in: Open) -> None:
    async with log_in("shut-tom") as tom:
        conversation = await tom.create_conversation("shut-jerry")
    assert tom.state is State.CLOSED
    with pytest.raises(HongyanError):
        await conversation.send("too late")
    with pytest.raises(HongyanError):
        await conversation.fetch()
    assert (await tom.closed()).code == 1000
