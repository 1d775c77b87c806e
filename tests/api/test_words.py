"""Word lists and what the application says by itself: as what clients say, masked or refused (REST reference 6.1)."""

from collections.abc import AsyncIterator

import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessagePatched, MessageReplaced, MessageSent, MessageSynced
from hongyan.engine.values import App
from tests.api.conftest import Calling
from tests.support.rest import Rest, Service

EDITOR = "news"
"""Who speaks for the application."""


@pytest.fixture
async def rest(calling: Calling, app: App, engine: Engine) -> AsyncIterator[Rest]:
    """To an app with a word list."""
    await engine.words.replace(app, ["bad"])
    async with calling() as http:
        http.headers.update({"X-LC-Id": app.id, "X-LC-Key": f"{app.master_key},master"})
        yield Rest(http)


@pytest.fixture
async def service(rest: Rest) -> Service:
    return await rest.service()


def told(events: list[Event]) -> list[tuple[str, str | bytes]]:
    """What was published of messages since the last call."""
    kinds = MessageSent | MessagePatched | MessageReplaced | MessageSynced
    found = [(type(event).__name__, event.message.content) for event in events if isinstance(event, kinds)]
    events.clear()
    return found


async def texts(service: Service, client: str) -> list[str]:
    return [item["data"] for item in await service.history(client)]


async def change(service: Service, sent: dict[str, object], text: str, *clients: str) -> None:
    to = {"to_clients": list(clients)} if clients else {}
    path = f"{service.path}/messages/{sent['msg-id']}"
    await service.rest.call("PUT", path, from_client=EDITOR, timestamp=sent["timestamp"], message=text, **to)


async def test_a_broadcast_is_masked_inferred(service: Service, events: list[Event]) -> None:
    sent = await service.broadcast("bad news")
    assert told(events) == [("MessageSent", "*** news"), ("MessageReplaced", "*** news")]
    await change(service, sent, "still bad")
    assert told(events) == [("MessagePatched", "still ***"), ("MessageReplaced", "still ***")]
    assert await texts(service, "ann") == ["still ***"]


async def test_a_message_to_some_is_masked_and_its_author_told_once_inferred(
    service: Service, events: list[Event]
) -> None:
    sent = await service.tell("bad", "ann", "bob")
    masked = [("MessageSent", "***")] * 2
    assert told(events) == [*masked, ("MessageSynced", "***"), ("MessageReplaced", "***")]
    await change(service, sent, "bad again", "ann", "bob")
    assert told(events) == [*[("MessagePatched", "*** again")] * 2, ("MessageReplaced", "*** again")]
    assert [await texts(service, client) for client in ("ann", "bob")] == [["*** again"]] * 2


async def test_an_author_that_is_not_to_have_the_message_is_not_told(service: Service, events: list[Event]) -> None:
    await service.tell("bad", "ann", no_sync=True)
    await service.tell("bad", "ann", no_sync=True, transient=True)
    assert told(events) == [("MessageSent", "***")] * 2


async def test_what_is_good_is_told_as_ever(service: Service, events: list[Event]) -> None:
    sent = await service.broadcast("good")
    await change(service, sent, "better")
    await service.tell("best", "ann")
    expected = [("MessageSent", "good"), ("MessagePatched", "better"), ("MessageSent", "best")]
    assert told(events) == [*expected, ("MessageSynced", "best")]


async def test_an_app_that_refuses_such_words_refuses_its_own_inferred(
    service: Service, engine: Engine, app: App, events: list[Event]
) -> None:
    all_, some = await service.broadcast("good"), await service.tell("better", "ann")
    await engine.apps.change(app.id, {"filter": "refuse"})
    told(events)
    call = {"from_client": EDITOR, "message": "bad"}
    path = service.path
    assert await service.rest.refused("POST", f"{path}/broadcasts", **call) == (400, 4402)
    assert await service.rest.refused("POST", f"{path}/messages", **call, to_clients=["ann"]) == (400, 4402)
    for sent, to in ((all_, {}), (some, {"to_clients": ["ann"]})):
        where = f"{path}/messages/{sent['msg-id']}"
        assert await service.rest.refused("PUT", where, **call, timestamp=sent["timestamp"], **to) == (400, 4405)
    assert (told(events), await texts(service, "ann")) == ([], ["better", "good"])
