"""Clients over HTTP: who is online, what they have not read, logging them out, figures."""

import asyncio
import dataclasses
import hmac
from typing import Any

import pytest

from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.events import ClientKicked, Event
from hongyan.engine.signatures import Signature
from hongyan.engine.values import App, Departure, day_of
from hongyan.errors import INTERNAL_ERROR, Refused
from hongyan.store import Store
from tests.api import talk
from tests.api.conftest import Answered
from tests.support.rest import Rest

ONLINE = ["/1.2/rtm/clients/check-online", "/1.2/rtm/clients/online-check", "/1.1/rtm/online", "/1/rtm/online"]
STATS = ["/1.2/rtm/stats", "/1.1/rtm/stats", "/1/rtm/stats"]
KICK: list[tuple[str, dict[str, Any]]] = [
    ("/1.2/rtm/clients/ann/kick", {}),
    ("/1.1/rtm/client/kick", {"client_id": "ann"}),
    ("/1/rtm/client/kick", {"client_id": "ann"}),
]


@pytest.mark.parametrize("path", ONLINE)
@pytest.mark.parametrize("name", ["client_ids", "peers"])
async def test_who_is_online(path: str, name: str, api: Rest, engine: Engine, app: App) -> None:
    """In the order they are asked for; who is unknown is not."""
    for client in ("ann", "bob", "cem"):
        engine.presence.session_opened(app, client)
    engine.presence.session_ended(app, "bob", Departure.LOST)
    answer = await api.call("POST", path, **{name: ["cem", "nobody", "bob", "ann"]})
    assert answer == {"results": ["cem", "ann"]}


@pytest.mark.parametrize("path", ONLINE)
@pytest.mark.parametrize("clients", [None, [], "ann", [1], ["x" * 65], [str(number) for number in range(21)], {}])
async def test_asking_wrongly_who_is_online(path: str, clients: Any, api: Rest) -> None:
    assert await api.refused("POST", path, client_ids=clients) == (400, 1)


async def test_unread_counts(api: Rest, engine: Engine, app: App) -> None:
    """Of all conversations or of one; each no more than clients are told."""
    many, few = await talk.group(engine, app, "ann", "bob"), await talk.group(engine, app, "ann", "bob", "cem")
    news = await talk.service(engine, app, "ann")
    await asyncio.gather(*(talk.say(engine, app, "bob", many, "x") for _ in range(105)))
    for cid, count in ((few, 2), (news, 0)):
        for _ in range(count):
            await talk.say(engine, app, "bob", cid, "x")
    await api.call("POST", f"/1.2/rtm/service-conversations/{news}/broadcasts", from_client="n", message="x")
    to_ann = {"from_client": "n", "message": "x", "to_clients": ["ann"]}
    await api.call("POST", f"/1.2/rtm/service-conversations/{news}/messages", **to_ann)
    expected = {None: 104, many: 100, few: 2, news: 2}
    for cid, count in expected.items():
        query = {"conv_id": cid} if cid else {}
        assert await api.call("GET", "/1.2/rtm/clients/ann/unread-count", query) == {"count": count}
        for version in ("/1.1", "/1"):
            old = f"{version}/rtm/messages/unread/ann" + (f"/{cid}" if cid else "")
            assert await api.call("GET", old) == {"count": count}
    assert await api.call("GET", "/1.2/rtm/clients/nobody/unread-count") == {"count": 0}
    assert await api.call("GET", "/1.2/rtm/clients/nobody/unread-count", {"conv_id": news}) == {"count": 0}
    assert await api.call("GET", "/1.2/rtm/clients/nobody/unread-count", {"conv_id": many}) == {"count": 0}
    assert await api.call("GET", "/1.2/rtm/clients/ann/unread-count", {"conv_id": await talk.room(engine, app)}) == {
        "count": 0
    }


async def test_asking_wrongly_for_unread_counts(api: Rest) -> None:
    path = "/1.2/rtm/clients/ann/unread-count"
    assert await api.refused("GET", path, {"conv_id": ""}) == (400, 1)
    assert await api.refused("GET", path, {"conv_id": "0" * 24}) == (400, 4303)
    assert await api.refused("GET", f"/1.1/rtm/messages/unread/ann/{'0' * 24}") == (400, 4303)
    assert await api.refused("GET", f"/1.2/rtm/clients/{'x' * 65}/unread-count") == (400, 1)


async def test_who_came_while_the_disk_was_full_is_noted_later(
    api: Rest, engine: Engine, app: App, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_visits: Any) -> None:
        raise Refused(INTERNAL_ERROR, "the disk is full")

    engine.presence.session_opened(app, "ann")
    with monkeypatch.context() as full:
        full.setattr(store.visitors, "saw", fails)
        with pytest.raises(Refused):
            await engine.visitors.flush()
    engine.presence.session_opened(app, "bob")
    assert await engine.visitors.today(app) == 2


async def test_figures(api: Rest, engine: Engine, app: App, store: Store) -> None:
    """Who came twice today is one; who came yesterday is none."""
    other = await engine.apps.create("other", id="other", key="other-key")
    for where, client in ((app, "ann"), (app, "ann"), (app, "bob"), (other, "cem")):
        engine.presence.session_opened(where, client)
    engine.presence.session_ended(app, "bob", Departure.LOST)
    today = day_of(engine.clock.now())
    await store.visitors.saw([(app.key, "old", today - 1, 0), (app.key, "older", today - 7, 0)])
    for path in STATS:
        assert await api.call("GET", path) == {"result": {"online_user_count": 1, "user_count_today": 2}}


@pytest.mark.parametrize(("path", "body"), KICK)
async def test_logging_a_client_out(
    path: str, body: dict[str, Any], api: Rest, engine: Engine, app: App, events: list[Event]
) -> None:
    assert await api.call("POST", path, **body, reason="bye") == {}
    assert await api.call("POST", path, **body) == {}
    kicks = [event for event in events if isinstance(event, ClientKicked)]
    assert [(kick.client, kick.reason) for kick in kicks] == [("ann", "bye"), ("ann", "")]


@pytest.mark.parametrize(("path", "body"), KICK)
@pytest.mark.parametrize("reason", [1, True, [], {"a": 1}, "x" * 21])
async def test_wrong_reasons(path: str, body: dict[str, Any], reason: Any, api: Rest, events: list[Event]) -> None:
    assert await api.refused("POST", path, **body, reason=reason) == (400, 1)
    assert not [event for event in events if isinstance(event, ClientKicked)]


@pytest.mark.parametrize("client", [None, 1, "", [], "x" * 65])
async def test_logging_out_nobody(client: Any, api: Rest) -> None:
    assert await api.refused("POST", "/1.1/rtm/client/kick", client_id=client) == (400, 1)


async def test_what_a_client_logged_in_with_is_void(api: Rest, engine: Engine, app: App, store: Store) -> None:
    """Tokens from before, also after a restart; not those of others, nor what comes after."""

    def token(client: str) -> str:
        return engine.sessions.issue(app, engine.sessions.new_ticket(client, "", "", 0))[0]

    before, of_bob = token("ann"), token("bob")
    engine.sessions.redeem(app, "ann", before)
    await api.call("POST", "/1.2/rtm/clients/ann/kick", reason="bye")
    again = Engine(store, engine.kicks._bus, Clock(), bytes(32))
    await again.start()
    for sessions in (engine.sessions, again.sessions):
        with pytest.raises(Refused, match="SESSION_TOKEN_EXPIRED"):
            sessions.redeem(app, "ann", before)
        with pytest.raises(Refused, match="SESSION_TOKEN_EXPIRED"):
            sessions.redeem(app, "ann", before, expired_too=True)
        sessions.redeem(app, "bob", of_bob)
    while engine.clock.now() <= engine.kicks._at[app.key, "ann"][0]:
        await asyncio.sleep(0)
    engine.sessions.redeem(app, "ann", token("ann"))


async def test_signatures_from_before_are_void(
    api: Rest, engine: Engine, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "settings", dataclasses.replace(app.settings, sign_login=True))

    def signed(at: int, client: str = "ann") -> Signature:
        text = f"{app.id}:{client}::{at}:n"
        return Signature(hmac.digest(app.master_key.encode(), text.encode(), "sha1").hex(), str(at), "n")

    now = engine.clock.now()
    assert engine.signatures.login(app, "ann", signed(now)) is None
    await api.call("POST", "/1.2/rtm/clients/ann/kick")
    for at in (now, now // 1000, now - 3_600_000):
        with pytest.raises(Refused, match="SIGNATURE_FAILED"):
            engine.signatures.login(app, "ann", signed(at))
    engine.signatures.login(app, "bob", signed(now, "bob"))
    while engine.clock.now() <= engine.kicks._at[app.key, "ann"][0]:
        await asyncio.sleep(0)
    engine.signatures.login(app, "ann", signed(engine.clock.now()))


async def test_kicks_are_forgotten_when_all_from_before_has_expired(
    api: Rest, engine: Engine, app: App, store: Store
) -> None:
    await store.kicks.kick(app.key, "old", 1, 2, lambda: None)
    await engine.kicks.load()
    await api.call("POST", "/1.2/rtm/clients/ann/kick")
    assert engine.kicks._at.keys() == {(app.key, "ann")}
    await store.prune()
    assert [client for _, client, *_ in await store.kicks.all()] == ["ann"]


async def test_the_app_key_is_enough_for_counts_alone(answered: Answered, engine: Engine, app: App) -> None:
    """It reads how many, never what."""
    cid = await talk.group(engine, app, "ann", "bob")
    await talk.say(engine, app, "bob", cid, "x")
    headers = {"X-LC-Id": app.id, "X-LC-Key": app.app_key}
    answer = await answered("GET", "/1.2/rtm/clients/ann/unread-count", headers)
    assert (answer.status_code, answer.json()) == (200, {"count": 1})
    answer = await answered("GET", "/1.2/rtm/clients/ann/unread-count", {"X-LC-Id": app.id})
    assert (answer.status_code, answer.json()["code"]) == (401, 401)
