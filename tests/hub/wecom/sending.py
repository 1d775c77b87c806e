"""Sending, and what arrived, for the tests of this folder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from hongyan.hub.connector import HERE, Event, Incoming, Outcome, Receipt, Sent, Target
from hongyan.hub.connectors.wecom.app import App
from hongyan.hub.connectors.wecom.robot import Robot
from hongyan.hub.content import Content, Mention, Message
from hongyan.sandbox.wecom import WeCom

ZHANG, LI, GROUP = Target("user", "ZhangSan"), Target("user", "lisi"), Target("group", "ops")


async def say(robot: Robot, content: Content, *mentions: Mention, thread: str = "", key: str = "k1") -> Sent:
    """From a robot, which must succeed."""
    sent = await robot.send(Message(content, mentions, thread), [HERE], key=key)
    assert [result.outcome for result in sent.results] == [Outcome.OK]
    return sent


async def tell(app: App, content: Content, *to: Target, mentions: tuple[Mention, ...] = (), key: str = "k1") -> Sent:
    """From an application, to 张三 if nobody is named; it must succeed."""
    sent = await app.send(Message(content, mentions), to or [ZHANG], key=key)
    assert {result.outcome for result in sent.results} == {Outcome.OK}, sent
    return sent


def receipt(sent: Sent) -> Receipt:
    found = sent.results[0].receipt
    assert found is not None
    return found


def arrived(wecom: WeCom) -> list[tuple[str, Any]]:
    """Types and objects of all that was taken."""
    return [(shown.kind, shown.payload) for shown in wecom.board.all()]


def rules(sent: Sent) -> set[str]:
    return {note.rule for note in sent.notes}


@asynccontextmanager
async def listening(app: App) -> AsyncIterator[tuple[str, list[Event]]]:
    """An address that gives what comes to an application, and the events that it has made of it."""
    events: list[Event] = []

    async def door(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        reception = await app.receive(Incoming(request.method, request.query, headers, await request.read()))
        events.extend(reception.events)
        return web.Response(body=reception.reply.body, content_type=reception.reply.type)

    door_app = web.Application()
    door_app.router.add_route("*", "/callback", door)
    async with TestServer(door_app) as server:
        yield str(server.make_url("/callback")), events
