"""Who hears a service conversation, at every interleaving of a login and of subscribing."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.events import MembersJoined, MembersLeft
from hongyan.engine.sessions import Ticket
from hongyan.engine.values import App, Conversation, ConversationKind
from hongyan.gateway.registry import Registry, Session
from hongyan.gateway.subscriptions import Subscriptions

APP = App(1, "test", "", "", "", "", AppSettings(), 0)
NEWS = Conversation(7, APP.key, "news", ConversationKind.SERVICE, 1, set())


class Reads:
    """What the store says a client has subscribed to: the test gives it, or an error, when it likes."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[list[int]]] = []
        self.has_services = True

    def any(self, app: App) -> bool:
        return self.has_services

    async def subscriptions(self, app: App, client: str) -> list[int]:
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]

    async def answer(self, *keys: int) -> None:
        """What was asked for is answered so, and all that follows from it is done."""
        waiting = [each for each in self.asked if not each.done()]
        assert waiting
        for each in waiting:
            each.set_result(list(keys))
        await settle()


@pytest.fixture
def reads() -> Reads:
    return Reads()


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def subscriptions(reads: Any, registry: Registry) -> Subscriptions:
    return Subscriptions(registry, reads)


def login(registry: Registry, client: str = "tom") -> Session:
    connection: Any = SimpleNamespace(sessions={}, reads=asyncio.Semaphore(2))
    session = connection.sessions[client] = Session(connection, APP, client, Ticket("id", client, "", "", 0))
    registry.add(session)
    return session


def hearing(registry: Registry) -> list[Session]:
    return list(registry.audience(NEWS.key))


def joined(*clients: str) -> MembersJoined:
    return MembersJoined(NEWS, clients, "", 0)


def left(*clients: str) -> MembersLeft:
    return MembersLeft(NEWS, clients, "", 0)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_login_hears_what_was_subscribed_to(
    reads: Reads, registry: Registry, subscriptions: Subscriptions
) -> None:
    session = login(registry)
    beginning = asyncio.ensure_future(subscriptions.begin(session))
    await settle()
    await reads.answer(NEWS.key, 8)
    await beginning
    assert (hearing(registry), session.audiences) == ([session], (NEWS.key, 8))
    registry.remove(session)
    assert hearing(registry) == []


async def test_nothing_is_read_in_an_app_without_services(
    reads: Reads, registry: Registry, subscriptions: Subscriptions
) -> None:
    reads.has_services = False
    await subscriptions.begin(login(registry))
    assert reads.asked == []


async def test_all_sessions_of_a_client_follow_it(registry: Registry, subscriptions: Subscriptions) -> None:
    phone, tablet, other = login(registry), login(registry), login(registry, "jerry")
    subscriptions.joined(joined("tom", "nobody"))
    subscriptions.joined(joined("tom"))
    assert hearing(registry) == [phone, tablet]
    subscriptions.joined(joined("jerry"))
    subscriptions.left(left("tom"))
    subscriptions.left(left("tom"))
    assert hearing(registry) == [other]


@pytest.mark.parametrize("snapshot", [[], [NEWS.key]])
async def test_subscribing_while_it_is_read(
    reads: Reads, registry: Registry, subscriptions: Subscriptions, snapshot: list[int]
) -> None:
    session = login(registry)
    beginning = asyncio.ensure_future(subscriptions.begin(session))
    await settle()
    subscriptions.joined(joined("tom"))
    await reads.answer(*snapshot)
    await beginning
    assert hearing(registry) == [session]


async def test_unsubscribing_while_it_is_read(reads: Reads, registry: Registry, subscriptions: Subscriptions) -> None:
    """What was read before is of no use: it is read again."""
    session = login(registry)
    beginnings = [asyncio.ensure_future(subscriptions.begin(session)) for _ in range(2)]  # it opened again
    await settle()
    subscriptions.left(left("tom"))
    await reads.answer(NEWS.key)
    assert (len(reads.asked), hearing(registry)) == (4, [])
    await reads.answer()
    await asyncio.gather(*beginnings)
    assert hearing(registry) == []


async def test_a_session_that_has_ended_hears_nothing(
    reads: Reads, registry: Registry, subscriptions: Subscriptions
) -> None:
    session = login(registry)
    beginning = asyncio.ensure_future(subscriptions.begin(session))
    await settle()
    registry.remove(session)
    session.connection.sessions.clear()
    await reads.answer(NEWS.key)
    await beginning
    assert hearing(registry) == []


async def test_a_read_that_fails_is_forgotten(reads: Reads, registry: Registry, subscriptions: Subscriptions) -> None:
    session = login(registry)
    beginning = asyncio.ensure_future(subscriptions.begin(session))
    await settle()
    reads.asked[0].set_exception(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        await beginning
    beginning = asyncio.ensure_future(subscriptions.begin(session))
    await settle()
    await reads.answer(NEWS.key)
    await beginning
    subscriptions.left(left("tom"))
    assert hearing(registry) == []


async def test_a_session_of_very_many_subscriptions_hears_all_and_leaves_nothing(
    registry: Registry, reads: Reads, subscriptions: Subscriptions
) -> None:
    session = login(registry)
    registry.listen(session, 5)
    beginning = asyncio.create_task(subscriptions.begin(session))
    await settle()
    await reads.answer(*range(10_000))
    await beginning
    assert sorted(session.audiences) == list(range(10_000))
    assert all(session in registry.audience(key) for key in range(10_000))
    del session.connection.sessions["tom"]
    registry.remove(session)
    assert (session.audiences, any(registry.audience(key) for key in range(10_000))) == ((), False)
