"""What followers hear: of everything that happens, inside its write, or on its own where nothing is written."""

from collections.abc import Iterable
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine import aftermath
from hongyan.engine.chatrooms import Login
from hongyan.engine.engine import Engine
from hongyan.engine.events import (
    ClientOffline,
    ClientOnline,
    ConversationCreated,
    ConversationUpdated,
    Event,
    MembersJoined,
    MembersLeft,
    MessagePatched,
    MessageSent,
    SessionEnded,
    SessionOpened,
    UpstreamReceived,
)
from hongyan.engine.values import App, Departure, Draft, Edit, Stored
from hongyan.engine.work import NewJob
from hongyan.errors import Refused
from hongyan.store import Store
from tests.engine.test_conversations import start
from tests.engine.test_messages import send

KINDS = {
    ClientOffline,
    ClientOnline,
    ConversationCreated,
    ConversationUpdated,
    MembersJoined,
    MembersLeft,
    MessagePatched,
    MessageSent,
    SessionEnded,
    SessionOpened,
    UpstreamReceived,
}


class Follower:
    """Makes a job of each event, and keeps the events."""

    def __init__(self) -> None:
        self.kinds: set[Any] = set(KINDS)
        self.events: list[Any] = []
        self.drafts: list[Draft | None] = []

    def wants(self, app_key: int, kind: type[Event]) -> bool:
        return kind in self.kinds

    def jobs(self, app_key: int, event: Event, draft: Draft | None) -> Iterable[NewJob]:
        self.events.append(event)
        self.drafts.append(draft)
        return [NewJob(app_key, "follower", "test", type(event).__name__.encode())]

    def take(self) -> list[str]:
        """The names of the events since the last call."""
        names = [type(event).__name__ for event in self.events]
        self.events.clear()
        return names


@pytest.fixture
def follower(engine: Engine) -> Follower:
    made = Follower()
    engine.aftermath.add(made)
    return made


async def kept(engine: Engine, store: Store) -> list[str]:
    """The bodies of the jobs that are in the database."""
    await engine.aftermath.flush()
    return [job.body.decode() for job in await store.jobs.next("follower", 1_000)]


def ignore(*_: object) -> None: ...


class Device:
    """A session of ann, as a door has it."""

    source, tag, device, is_open, client = "1.2.3.4", "mobile", "phone", True, "ann"

    def __init__(self, app: App) -> None:
        self.app = app


async def test_all_that_happens(engine: Engine, app: App, store: Store, follower: Follower) -> None:
    talk = (await start(engine, app, "ann", "bob")).id
    assert follower.take() == ["ConversationCreated", "MembersJoined"]
    await engine.conversations.add(app, "ann", talk, ["cem"], ignore)
    await engine.conversations.remove(app, "ann", talk, ["cem"], ignore)
    await engine.info.update(app, "ann", talk, '{"name": "tea"}', None, ignore)
    assert follower.take() == ["MembersJoined", "MembersLeft", "ConversationUpdated"]
    place = await send(engine, app, "ann", talk)
    assert isinstance(place, Stored)
    assert follower.drafts[-1] is not None
    await engine.edits.apply(app, "ann", [Edit(talk, place.id, place.timestamp, None)], ignore)
    await engine.blacklists.block(app, None, talk, ["bob"], ignore)
    assert follower.take() == ["MessageSent", "MessagePatched", "MembersLeft"]
    await engine.temporary.start(app, "ann", ["dan"], "", ttl=0, reply=ignore)
    assert follower.take() == ["ConversationCreated", "MembersJoined"]
    service = await engine.services.create(app, {"name": "news"})
    news = await engine.services.find(app, service.id)
    await engine.services.subscribe(app, news, "ann", "ann", ignore)
    await send(engine, app, "ann", news.id)
    await engine.service_messages.broadcast(app, news, "news", Draft("to all"))
    await engine.service_messages.send_alone(app, news, "news", ["ann", "bob"], Draft("to two"), sync=False)
    await engine.services.unsubscribe(news, "ann", "ann", ignore)
    assert follower.take() == [
        "ConversationCreated",
        "MembersJoined",
        "UpstreamReceived",
        "MessageSent",
        "MessageSent",
        "MessageSent",
        "MembersLeft",
    ]
    conversation = await engine.app_messages.target(app, talk)
    await engine.app_messages.send(app, conversation, "robot", Draft("beep"), sync=False)
    assert follower.take() == ["MessageSent"]
    login: Login = Device(app)
    await engine.chatrooms.start(login, "", ignore)
    room = next(seat.conversation_id for seat in engine.chatrooms._seats.values())
    hall = await engine.access.conversation(app, room)
    await engine.chatrooms.join(login, hall, ["ann"], ignore)
    await engine.chatrooms.leave(login, hall, ["ann"], ignore)
    assert follower.take() == ["ConversationCreated", "MembersJoined", "MembersLeft"]
    assert len(await kept(engine, store)) == 21


async def test_what_writes_nothing(engine: Engine, app: App, store: Store, follower: Follower) -> None:
    talk = (await start(engine, app, "ann", "bob")).id
    follower.take()
    device = Device(app)
    engine.presence.session_opened(app, "ann", device, returned=True)
    engine.presence.session_opened(app, "ann", device)
    online, opened, again = follower.events
    assert (type(online), type(again)) == (ClientOnline, SessionOpened)
    assert (opened.source, opened.tag, opened.returned, again.returned) == ("1.2.3.4", "mobile", True, False)
    await send(engine, app, "ann", talk, transient=True)
    engine.presence.session_ended(app, "ann", Departure.LOGGED_OUT, device)
    engine.presence.session_ended(app, "ann", Departure.LOST, device, errors.READ_TIMEOUT)
    sent, first, last, offline = follower.events[3:]
    assert (type(sent), type(offline)) == (MessageSent, ClientOffline)
    assert (first.why, first.error, last.why, last.error) == (
        Departure.LOGGED_OUT,
        None,
        Departure.LOST,
        errors.READ_TIMEOUT,
    )
    assert len(await kept(engine, store)) == 9


async def test_what_is_refused_leaves_nothing(engine: Engine, app: App, store: Store, follower: Follower) -> None:
    talk = (await start(engine, app, "ann", "bob")).id
    before = await kept(engine, store)
    with pytest.raises(Refused):
        await engine.conversations.add(app, "eve", talk, ["cem"], ignore)
    assert isinstance(await send(engine, app, "eve", talk), Refused)
    place = await send(engine, app, "ann", talk, token="1")
    assert isinstance(place, Stored)
    await send(engine, app, "ann", talk, token="1")
    with pytest.raises(Refused):
        await engine.edits.apply(app, "bob", [Edit(talk, place.id, place.timestamp, None)], ignore)
    await engine.conversations.add(app, "ann", talk, ["bob"], ignore)
    await engine.info.update(app, "ann", talk, "{}", None, ignore)
    assert await kept(engine, store) == [*before, "MessageSent"], "one for a message that came twice"


async def test_what_nobody_wants_makes_no_jobs(engine: Engine, app: App, store: Store, follower: Follower) -> None:
    follower.kinds = {MembersJoined}
    talk = (await start(engine, app, "ann", "bob")).id
    await send(engine, app, "ann", talk)
    await send(engine, app, "ann", talk, transient=True)
    engine.presence.session_opened(app, "ann", Device(app))
    assert follower.take() == ["MembersJoined"]
    assert await kept(engine, store) == ["MembersJoined"]


async def test_too_many_are_left_out(
    engine: Engine, app: App, store: Store, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftermath, "WAITING_MAX", 3)
    monkeypatch.setattr(aftermath, "BATCH", 2)
    for number in range(5):
        engine.presence.session_opened(app, f"client-{number}")
    assert await kept(engine, store) == ["ClientOnline"] * 3
    engine.presence.session_opened(app, "late")
    assert len(await kept(engine, store)) == 4


async def test_a_full_disk_loses_them_and_nothing_else(
    engine: Engine, app: App, store: Store, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = store.jobs.add

    async def refuse(jobs: object) -> None:
        raise Refused(errors.STORAGE_FULL)

    monkeypatch.setattr(store.jobs, "add", refuse)
    engine.presence.session_opened(app, "ann")
    await engine.aftermath.flush()
    monkeypatch.setattr(store.jobs, "add", add)
    engine.presence.session_opened(app, "bob")
    assert await kept(engine, store) == ["ClientOnline"]
