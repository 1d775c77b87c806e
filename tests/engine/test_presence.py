"""Who is online, and what is told of it."""

import pytest

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.engine import Engine
from hongyan.engine.events import ClientOffline, ClientOnline, Event
from hongyan.engine.values import App, Departure
from tests.store.steps import NOON, Wall

OTHER_APP = App(2, "other", "", "", "", "", AppSettings(), 0)


def test_a_client_is_online_from_its_first_session_to_its_last(
    engine: Engine, app: App, events: list[Event], wall: Wall
) -> None:
    presence = engine.presence
    presence.session_opened(app, "tom")
    presence.session_opened(app, "tom")
    wall.at += 5
    presence.session_ended(app, "tom", Departure.LOST)
    assert presence.online(app, ["tom"]) == ["tom"]
    assert events == [ClientOnline(app.key, "tom", NOON)]
    presence.session_ended(app, "tom", Departure.LOGGED_OUT)
    assert presence.online(app, ["tom"]) == []
    assert events[1:] == [ClientOffline(app.key, "tom", Departure.LOGGED_OUT, NOON + 5)]
    presence.session_opened(app, "tom")
    assert events[2:] == [ClientOnline(app.key, "tom", NOON + 5)]


@pytest.mark.parametrize("why", list(Departure))
def test_why_the_last_session_ended_is_told(engine: Engine, app: App, events: list[Event], why: Departure) -> None:
    engine.presence.session_opened(app, "tom")
    engine.presence.session_ended(app, "tom", why)
    assert events[1:] == [ClientOffline(app.key, "tom", why, NOON)]


def test_the_same_id_in_another_app_is_another_client(engine: Engine, app: App, events: list[Event]) -> None:
    engine.presence.session_opened(app, "tom")
    assert engine.presence.online(OTHER_APP, ["tom"]) == []
    engine.presence.session_opened(OTHER_APP, "tom")
    engine.presence.session_ended(app, "tom", Departure.LOST)
    assert engine.presence.online(OTHER_APP, ["tom"]) == ["tom"]
    assert [type(event) for event in events] == [ClientOnline, ClientOnline, ClientOffline]


def test_those_online_are_told_in_the_order_they_are_asked_for(engine: Engine, app: App) -> None:
    for client in ("a", "b", "c"):
        engine.presence.session_opened(app, client)
    assert engine.presence.online(app, ["c", "x", "a", "c"]) == ["c", "a", "c"]


def test_what_subscribers_see_is_so(engine: Engine, app: App) -> None:
    """At the event the change has been made."""
    seen: list[list[str]] = []
    engine.presence._bus.subscribe(lambda event: seen.append(engine.presence.online(app, ["tom"])))
    engine.presence.session_opened(app, "tom")
    engine.presence.session_ended(app, "tom", Departure.LOST)
    assert seen == [["tom"], []]
