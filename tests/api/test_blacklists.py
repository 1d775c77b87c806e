"""Blacklists over HTTP: those of conversations (P5) and those of clients (P6), and every way to ask wrongly."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from hongyan.api.site import Site
from hongyan.engine.engine import Engine
from hongyan.engine.events import BlocksChanged, Event, MembersLeft
from hongyan.engine.ports import Bus, ConversationStore
from hongyan.engine.values import App, ConversationDraft, ConversationKind
from hongyan.errors import Refused
from tests.api.conftest import Calling

KINDS = {
    "conversations": ConversationKind.NORMAL,
    "chatrooms": ConversationKind.CHATROOM,
    "service-conversations": ConversationKind.SERVICE,
}
#: What each path says to a conversation of another kind.
WRONG = {"conversations": 4314, "chatrooms": 4316, "service-conversations": 4313}
UNKNOWN = "65f000000000000000000001"

Ask = Callable[..., Awaitable[httpx.Response]]
Make = Callable[[ConversationKind], Awaitable[str]]


@pytest.fixture
def app(engine: Engine) -> App:
    found = engine.apps.get("home")
    assert found is not None
    return found


@pytest.fixture
def ask(calling: Calling, app: App) -> Ask:
    """A call with the master key; `json` is its body."""

    async def call(method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"X-LC-Id": "home", "X-LC-Key": f"{app.master_key},master"} | options.pop("headers", {})
        return await calling().request(method, path, headers=headers, **options)

    return call


@pytest.fixture
def make(engine: Engine, app: App) -> Make:
    """Makes a conversation of `ann`, and of `bob` where there are members."""
    store: ConversationStore = engine.conversations._store

    async def create(kind: ConversationKind) -> str:
        made: list[str] = []
        members = () if kind is ConversationKind.CHATROOM else ("ann", "bob")
        await store.create(app.key, ConversationDraft(kind, "ann", members), lambda row, *_: made.append(row.id))
        return made[0]

    return create


@pytest.fixture
def events(engine: Engine) -> list[Event]:
    bus: Bus = engine.conversations._bus
    published: list[Event] = []
    bus.subscribe(published.append)
    return published


@pytest.mark.parametrize("name", KINDS)
async def test_a_conversation_blocks_lists_and_unblocks(
    ask: Ask, make: Make, name: str, engine: Engine, app: App, events: list[Event]
) -> None:
    conversation = await make(KINDS[name])
    path = f"/1.2/rtm/{name}/{conversation}/blacklists"
    assert (await ask("GET", path)).json() == {"client_ids": []}
    done = await ask("POST", path, json={"client_ids": ["bob", "ann", "cem"]})  # the owner too
    assert (done.status_code, done.json()) == (200, {})
    assert (await ask("GET", path)).json() == {"client_ids": ["ann", "bob", "cem"]}
    page = (await ask("GET", path, params={"limit": "2"})).json()
    assert page["client_ids"] == ["ann", "bob"]
    rest = await ask("GET", path, params={"limit": "2", "next": page["next"]})
    assert rest.json() == {"client_ids": ["cem"]}
    assert rest.headers["Cache-Control"] == "no-store"
    undone = await ask("DELETE", path, json={"client_ids": ["bob", "nobody"]})
    assert (undone.status_code, undone.json()) == (200, {})
    assert (await ask("GET", path)).json() == {"client_ids": ["ann", "cem"]}
    await ask("DELETE", path, params={"client_ids": "cem,nobody"})
    assert (await ask("GET", path)).json() == {"client_ids": ["ann"]}
    told = [event for event in events if isinstance(event, BlocksChanged)]
    assert [(event.clients, event.by, event.blocked) for event in told] == [
        (("bob", "ann", "cem"), "", True),
        (("bob",), "", False),
        (("cem",), "", False),
    ]
    left = [event.left for event in events if isinstance(event, MembersLeft)]
    assert left == ([] if name == "chatrooms" else [("bob", "ann")])


async def test_ten_to_a_page_unless_asked_otherwise(ask: Ask, make: Make) -> None:
    conversation = await make(ConversationKind.NORMAL)
    path = f"/1.2/rtm/conversations/{conversation}/blacklists"
    everyone = [f"c{number:02}" for number in range(25)]
    await ask("POST", path, json={"client_ids": everyone})
    found: list[str] = []
    params: dict[str, str] = {}
    sizes = []
    while True:
        page = (await ask("GET", path, params=params)).json()
        found += page["client_ids"]
        sizes.append(len(page["client_ids"]))
        if "next" not in page:
            break
        params = {"next": page["next"]}
    assert (found, sizes) == (everyone, [10, 10, 5])
    assert (await ask("GET", path, params={"limit": "1000"})).json() == {"client_ids": everyone}


async def test_a_client_refuses_conversations(ask: Ask, make: Make, engine: Engine, app: App) -> None:
    conversations = [await make(kind) for kind in KINDS.values()]
    path = "/1.2/rtm/clients/eve%20ä/blacklists"
    assert (await ask("GET", path)).json() == {"conv_ids": []}
    for conversation in conversations:
        done = await ask("POST", path, json={"conv_id": conversation})
        assert (done.status_code, done.json()) == (200, {})
    page = (await ask("GET", path, params={"limit": "2"})).json()
    assert page["conv_ids"] == conversations[:2]
    rest = (await ask("GET", path, params={"limit": "2", "next": page["next"]})).json()
    assert rest == {"conv_ids": conversations[2:]}
    with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
        await engine.conversations.add(app, "ann", conversations[0], ["eve ä"], lambda _: None)
    for options in ({"json": {"conv_id": conversations[0]}}, {"params": {"conv_id": conversations[1]}}):
        undone = await ask("DELETE", path, **options)
        assert (undone.status_code, undone.json()) == (200, {})
    assert (await ask("GET", path)).json() == {"conv_ids": conversations[2:]}
    await engine.conversations.add(app, "ann", conversations[0], ["eve ä"], lambda _: None)


@pytest.mark.parametrize("kind", ConversationKind)
async def test_the_path_names_the_kind_inferred(ask: Ask, make: Make, kind: ConversationKind) -> None:
    conversation = await make(kind)
    for name in KINDS:
        await _ask_of_kind(ask, name, kind, conversation)


async def _ask_of_kind(ask: Ask, name: str, kind: ConversationKind, conversation: str) -> None:
    path = f"/1.2/rtm/{name}/{conversation}/blacklists"
    for method in ("POST", "DELETE", "GET"):
        answer = await ask(method, path, **({} if method == "GET" else {"json": {"client_ids": ["cem"]}}))
        if kind is KINDS[name]:
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.json()["code"]) == (400, WRONG[name])


async def test_clients_refuse_no_temporary_conversation_inferred(ask: Ask, make: Make) -> None:
    conversation = await make(ConversationKind.TEMPORARY)
    for method in ("POST", "DELETE"):
        answer = await ask(method, "/1.2/rtm/clients/eve/blacklists", json={"conv_id": conversation})
        assert (answer.status_code, answer.json()["code"]) == (400, 4314)


async def test_the_switch_of_an_app_is_for_its_clients_inferred(ask: Ask, make: Make, engine: Engine) -> None:
    await engine.apps.change("home", {"blacklist": "off"})
    conversation = await make(ConversationKind.NORMAL)
    path = f"/1.2/rtm/conversations/{conversation}/blacklists"
    for method, where, body in (
        ("POST", path, {"client_ids": ["cem"]}),
        ("DELETE", path, {"client_ids": ["cem"]}),
        ("GET", path, None),
        ("POST", "/1.2/rtm/clients/eve/blacklists", {"conv_id": conversation}),
        ("DELETE", "/1.2/rtm/clients/eve/blacklists", {"conv_id": conversation}),
        ("GET", "/1.2/rtm/clients/eve/blacklists", None),
    ):
        assert (await ask(method, where, json=body)).status_code == 200


# asked wrongly


PATHS = ["/1.2/rtm/conversations/{cid}/blacklists", "/1.2/rtm/clients/eve/blacklists"]
METHODS = ["POST", "DELETE", "GET"]


def signed(key: str, mark: str) -> str:
    time = "1700000000000"
    return f"{hashlib.md5((time + key).encode(), usedforsecurity=False).hexdigest()},{time}{mark}"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
async def test_only_the_master_key_opens(calling: Calling, app: App, make: Make, path: str, method: str) -> None:
    conversation = await make(ConversationKind.NORMAL)
    where = path.format(cid=conversation)
    body = None if method == "GET" else {"client_ids": ["bob"], "conv_id": conversation}
    master = app.master_key
    for headers, status, code in (
        ({}, 401, 401),
        ({"X-LC-Id": "nobody", "X-LC-Key": f"{master},master"}, 404, 4100),
        ({"X-LC-Id": "home"}, 403, 403),
        ({"X-LC-Id": "home", "X-LC-Key": "home-key"}, 403, 403),
        ({"X-LC-Id": "home", "X-LC-Key": master}, 401, 401),
        ({"X-LC-Id": "home", "X-LC-Key": "home-key,master"}, 401, 401),
        ({"X-LC-Id": "home", "X-LC-Sign": signed("home-key", "")}, 403, 403),
        ({"X-LC-Id": "home", "X-LC-Sign": "0,0,ax-sig-1"}, 403, 403),
        ({"X-LC-Id": "home", "X-LC-Sign": signed("home-key", ",master")}, 401, 401),
        ({"X-LC-Id": "home", "X-AVOSCloud-Master-Key": "wrong"}, 401, 401),
    ):
        answer = await calling().request(method, where, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), headers
        assert set(answer.json()) == {"code", "error"}
    for headers in (
        {"X-LC-Id": "home", "X-LC-Key": f"{master},master"},
        {"X-LC-Id": "home", "X-LC-Sign": signed(master, ",master")},
        {"X-AVOSCloud-Application-Id": "home", "X-AVOSCloud-Master-Key": master},
    ):
        assert (await calling().request(method, where, json=body, headers=headers)).status_code == 200


NO_CLIENTS = [
    (b"", 1),
    (b"{", 107),
    (b"[]", 107),
    (b"{}", 1),
    (b"[" * 100_000, 107),
    (b'{"client_ids":"cem"}', 1),
    (b'{"client_ids":null}', 1),
    (b'{"client_ids":[1]}', 1),
    (b'{"client_ids":["cem",null]}', 1),
    (b'{"client_id":["cem"]}', 1),
    (b'{"client_ids":["\\ud800"]}', 107),
    (b'{"client_ids":["\xff"]}', 107),
    (b'{"client_ids":[]}', 4301),
    (b'{"client_ids":[""]}', 4301),
    (b'{"client_ids":["' + b"x" * 65 + b'"]}', 4301),
    (b'{"client_ids":["cem","' + b"x" * 65 + b'"]}', 4301),
    (b'{"client_ids":[' + b",".join(b'"%d"' % number for number in range(501)) + b"]}", 4301),
]


@pytest.mark.parametrize("name", KINDS)
async def test_bodies_that_name_no_clients(ask: Ask, make: Make, name: str) -> None:
    conversation = await make(KINDS[name])
    path = f"/1.2/rtm/{name}/{conversation}/blacklists"
    await ask("POST", path, json={"client_ids": ["zoe"]})
    for body, code in NO_CLIENTS:
        for method in ("POST", "DELETE"):
            answer = await ask(method, path, content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (400, code), body[:50]
    assert (await ask("GET", path)).json() == {"client_ids": ["zoe"]}


NO_CONVERSATION = [
    (b"", 1),
    (b"[]", 107),
    (b"{}", 1),
    (b'{"conv_id":null}', 1),
    (b'{"conv_id":""}', 1),
    (b'{"conv_id":7}', 1),
    (b'{"conv_id":["65f000000000000000000001"]}', 1),
    (b'{"conv_id":"\\udfff"}', 107),
    (b'{"conv_id":"65f000000000000000000001"}', 4303),
]


async def test_bodies_that_name_no_conversation(ask: Ask, make: Make) -> None:
    conversation = await make(ConversationKind.NORMAL)
    path = "/1.2/rtm/clients/eve/blacklists"
    await ask("POST", path, json={"conv_id": conversation})
    for body, code in NO_CONVERSATION:
        for method in ("POST", "DELETE"):
            answer = await ask(method, path, content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (400, code), body
    assert (await ask("GET", path)).json() == {"conv_ids": [conversation]}


@pytest.mark.parametrize("name", KINDS)
async def test_unknown_conversations(ask: Ask, name: str) -> None:
    path = f"/1.2/rtm/{name}/{UNKNOWN}/blacklists"
    for method in METHODS:
        answer = await ask(method, path, **({} if method == "GET" else {"json": {"client_ids": ["cem"]}}))
        assert (answer.status_code, answer.json()["code"]) == (400, 4303)


async def test_a_client_id_that_can_be_none(ask: Ask, make: Make) -> None:
    conversation = await make(ConversationKind.NORMAL)
    answer = await ask("POST", f"/1.2/rtm/clients/{'x' * 65}/blacklists", json={"conv_id": conversation})
    assert (answer.status_code, answer.json()["code"]) == (400, 4301)


@pytest.mark.parametrize("path", PATHS)
async def test_places_that_are_none(ask: Ask, make: Make, path: str) -> None:
    where = path.format(cid=await make(ConversationKind.NORMAL))
    for params in (
        *({"limit": text} for text in ("-1", "x", "", "1.5", "9" * 30)),
        *({"next": text} for text in ("x", "-1", "", "1" * 16, "١")),
    ):
        answer = await ask("GET", where, params=params)
        assert (answer.status_code, answer.json()["code"]) == (400, 1), params


@pytest.mark.parametrize("path", PATHS)
async def test_a_server_that_is_not_ready(ask: Ask, site: Site, make: Make, path: str) -> None:
    where = path.format(cid=await make(ConversationKind.NORMAL))
    site.ready = False
    for method in METHODS:
        answer = await ask(method, where, json={"client_ids": ["cem"], "conv_id": UNKNOWN})
        assert (answer.status_code, answer.json()["code"]) == (503, 503)


async def test_a_full_list(ask: Ask, make: Make) -> None:
    path = f"/1.2/rtm/conversations/{await make(ConversationKind.NORMAL)}/blacklists"
    assert (await ask("POST", path, json={"client_ids": [f"c{n}" for n in range(500)]})).status_code == 200
    answer = await ask("POST", path, json={"client_ids": ["one more"]})
    assert (answer.status_code, answer.json()["code"]) == (400, 4543)


async def test_browsers_may_call(calling: Calling) -> None:
    answer = await calling().options(
        "/1.2/rtm/clients/eve/blacklists",
        headers={"Origin": "https://a.example", "Access-Control-Request-Method": "DELETE"},
    )
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
