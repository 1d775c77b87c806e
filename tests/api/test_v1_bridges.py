"""Bridges: what is said in a conversation is told elsewhere and back, once."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hongyan import errors
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessagePatched, MessageSent
from hongyan.engine.values import App, ConversationDraft, ConversationKind, ConversationRow, Draft, Edit, Stored
from hongyan.errors import Refused
from hongyan.hub import bridge_in, bridges, media
from hongyan.hub.connector import Chat, Happened, Outcome, Person, Problem, Result, Said, Target
from hongyan.hub.content import Audio, Content, File, Image, Link, Location, Media, Message, Text
from hongyan.hub.hub import Hub
from hongyan.hub.records import lane_in
from hongyan.jobs import Jobs
from hongyan.store import Store
from tests.api.conftest import Calling
from tests.api.test_v1_channels import PATIENCE
from tests.support.fake_channel import SECRET, Platform, ok, platform
from tests.support.hub import PNG

__all__ = ["platform"]

BRIDGES = "/api/v1/bridges"
GOOD = {"x-signature": "good"}
SAID = Said(
    "ev-1",
    Chat(Target("group", "g1"), "Team"),
    Person("u7", "Wang"),
    Message(Text("Good morning")),
    1_795_639_511_852,
    {"id": "m-7"},
)


@pytest.fixture
async def jobs(store: Store, hub: Hub, engine: Engine, platform: Platform) -> AsyncIterator[Jobs]:
    made = Jobs(store.jobs, engine.clock, hub.kinds())
    await made.start()
    yield made
    await made.stop(5)


@pytest.fixture
async def group(engine: Engine, app: App) -> ConversationRow:
    rows: list[ConversationRow] = []
    draft = ConversationDraft(ConversationKind.NORMAL, "ann", ("ann", "bob"), by_system=True)
    await engine.conversations.make(app, draft, lambda row, existing: rows.append(row))
    return rows[0]


class World:
    """A conversation that is mirrored with a group, and both sides of it."""

    def __init__(self, app: App, engine: Engine, hub: Hub, http: httpx.AsyncClient, platform: Platform) -> None:
        self.app, self.engine, self.hub, self.http, self.platform = app, engine, hub, http, platform
        self.conversation = self.channel = self.bridge = self.door = ""

    async def say(self, content: str, sender: str = "ann") -> Stored:
        conversation = await self.engine.app_messages.target(self.app, self.conversation)
        return await self.engine.app_messages.send(self.app, conversation, sender, Draft(content), sync=True)

    async def edit(self, said: Stored, content: str | None) -> None:
        conversation = await self.engine.app_messages.target(self.app, self.conversation)
        draft = None if content is None else Draft(content)
        edit = Edit(self.conversation, said.id, said.timestamp, draft)
        await self.engine.app_messages.edit(self.app, conversation, "ann", edit)

    async def hear(self, *events: Any) -> None:
        self.platform.hears(*events)
        answer = await self.http.post(self.door, content=b"{}", headers=GOOD)
        assert answer.status_code == 200, answer.text

    async def told(self, count: int) -> list[Any]:
        """What was sent to the group, when there is so much."""
        async with asyncio.timeout(PATIENCE):
            while len(self.platform.calls) < count:
                await asyncio.sleep(0.005)
        return [call.message.content for call in self.platform.calls]


@pytest.fixture
async def world(
    app: App, engine: Engine, hub: Hub, http: httpx.AsyncClient, platform: Platform, group: ConversationRow
) -> World:
    made = World(app, engine, hub, http, platform)
    body = {"name": "ops", "kind": "fake", "credentials": {"key": SECRET}}
    channel = (await http.post("/api/v1/channels", json=body)).json()
    made.conversation, made.channel = group.id, channel["id"]
    made.door = channel["inbound_url"].removeprefix("https://chat.example.com")
    answer = await http.post(BRIDGES, json={"conversation": group.id, "channel": channel["id"], "to": "group:g1"})
    assert answer.status_code == 201, answer.text
    made.bridge = answer.json()["id"]
    return made


async def heard(events: list[Event], count: int, kind: type[Event] = MessageSent) -> list[Any]:
    """What the conversation was told, when there is so much."""
    async with asyncio.timeout(PATIENCE):
        while len(found := [event for event in events if isinstance(event, kind)]) < count:
            await asyncio.sleep(0.005)
    return [event.message for event in found]


# managing


async def test_a_bridge_is_made_read_changed_and_deleted(http: httpx.AsyncClient, world: World) -> None:
    (one,) = (await http.get(BRIDGES)).json()["items"]
    assert one == {
        "id": world.bridge,
        "conversation": world.conversation,
        "channel": world.channel,
        "to": "group:g1",
        "enabled": True,
        "created_at": one["created_at"],
        "updated_at": one["created_at"],
    }
    assert (await http.get(f"{BRIDGES}/{world.bridge}")).json() == one
    off = (await http.patch(f"{BRIDGES}/{world.bridge}", json={"enabled": False})).json()
    assert off == {**one, "enabled": False, "updated_at": off["updated_at"]}
    before = world.hub.bridges._all
    await world.hub.bridges.load()
    assert world.hub.bridges._all == before
    assert (await http.delete(f"{BRIDGES}/{world.bridge}")).json() == {}
    assert (await http.get(f"{BRIDGES}/{world.bridge}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"conversation": "65f000000000000000000001"}, 404),
        ({"channel": "65f000000000000000000001"}, 404),
        ({"to": "g1"}, 400),
        ({"to": ""}, 400),
        ({"to": "group:g1"}, 400),
        ({"more": 1}, 400),
    ],
)
async def test_a_bad_bridge_is_refused(
    http: httpx.AsyncClient, world: World, body: dict[str, Any], status: int
) -> None:
    good = {"conversation": world.conversation, "channel": world.channel, "to": "group:g2"}
    answer = await http.post(BRIDGES, json={**good, **body})
    assert answer.status_code in (status, 400), answer.text
    assert answer.json().keys() == {"code", "error"}
    assert len((await http.get(BRIDGES)).json()["items"]) == 1


async def test_a_conversation_is_not_mirrored_in_its_own_app(http: httpx.AsyncClient, world: World) -> None:
    own = {"name": "own", "kind": "hongyan", "credentials": {}}
    channel = (await http.post("/api/v1/channels", json=own)).json()["id"]
    to = f"group:{world.conversation}"
    answer = await http.post(BRIDGES, json={"conversation": world.conversation, "channel": channel, "to": to})
    assert (answer.status_code, "leads to another platform" in answer.text) == (400, True)


async def test_a_foreign_bridge_looks_like_none(
    world: World, engine: Engine, calling: Calling, http: httpx.AsyncClient
) -> None:
    app = await engine.apps.create("second", id="second", key="second-key")
    async with calling() as stranger:
        stranger.headers.update({"X-LC-Id": app.id, "X-LC-Key": f"{app.master_key},master"})
        foreign = await stranger.delete(f"{BRIDGES}/{world.bridge}")
        assert foreign.status_code == 404
        assert foreign.json() == (await stranger.delete(f"{BRIDGES}/65f000000000000000000001")).json()
    assert (await http.get(f"{BRIDGES}/{world.bridge}")).status_code == 200


async def test_a_channel_takes_its_bridges_with_it(http: httpx.AsyncClient, world: World) -> None:
    assert (await http.delete(f"/api/v1/channels/{world.channel}")).status_code == 200
    assert (await http.get(BRIDGES)).json()["items"] == []
    assert not world.hub.bridges.wants(world.app.key, MessageSent)


# out of the conversation


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    ("said", "contents"),
    [
        ('{"_lctype":-1,"_lctext":"Hello"}', [Text("ann: Hello")]),
        ('{"_lctype":-1,"_lctext":"Hi","_lcattrs":{"name":" Ann Lee "}}', [Text("Ann Lee (ann): Hi")]),
        ('{"_lctype":-1,"_lctext":"Hi","_lcattrs":{"name":"","username":"lee"}}', [Text("lee (ann): Hi")]),
        ('{"_lctype":-1,"_lctext":"Hi","_lcattrs":{"name":"a\\nbob: b"}}', [Text("ann: Hi")]),
        ('{"_lctype":-1,"_lctext":"Hi","_lcattrs":{"name":{"x":1}}}', [Text("ann: Hi")]),
        ('{"_lctype":-1,"_lctext":"Hi","_lcattrs":["name"]}', [Text("ann: Hi")]),
        ("plain", [Text("ann: plain")]),
        (
            '{"_lctype":-2,"_lctext":"look","_lcfile":{"url":"https://f.example/a.png","metaData":{"name":"a.png"}}}',
            [Text("ann: look"), Image(Media(url="https://f.example/a.png", name="a.png"))],
        ),
        (
            '{"_lctype":-6,"_lctext":"","_lcfile":{"url":"https://f.example/a.pdf","objId":"x"}}',
            [Text("ann:"), File(Media(url="https://f.example/a.pdf"))],
        ),
        (
            '{"_lctype":-5,"_lctext":"here","_lcloc":{"latitude":31.2,"longitude":121.5}}',
            [Text("ann: here:"), Location(31.2, 121.5)],
        ),
        ('{"_lctype":7,"_lctext":"ours"}', [Text("ann: ours")]),
        ('{"_lctype":7,"x":1}', [Text("ann: [7]")]),
        ('{"_lctype":-2,"_lcfile":{"url":"file:///etc/passwd"}}', [Text("ann: [-2]")]),
        ('{"_lctype":-1,"_lctext":"\\ud800"}', [Text('ann: {"_lctype":-1,"_lctext":"\\ud800"}')]),
        (
            '{"_lctype":-3,"_lcfile":{"url":"https://f.example/a.amr","metaData":{"duration":1%s}}}' % ("0" * 400),
            [Text("ann:"), Audio(Media(url="https://f.example/a.amr"))],
        ),
        ('{"_lctype":-6,"_lcfile":{"url":"https://f.example/a b"}}', [Text("ann: [-6]")]),
        (
            '{"_lctype":-3,"_lcfile":{"url":"https://f.example/a","metaData":{"name":"a\\r\\n/b",'
            '"mime_type":"audio/mpeg\\r\\nX: y"}}}',
            [Text("ann:"), Audio(Media(url="https://f.example/a", name="a___b"))],
        ),
    ],
)
async def test_what_is_said_goes_to_the_group(world: World, said: str, contents: list[Any]) -> None:
    await world.say(said)
    assert await world.told(len(contents)) == contents
    assert {call.to for call in world.platform.calls} == {(Target("group", "g1"),)}


@pytest.mark.usefixtures("jobs")
async def test_files_that_clients_name_are_fetched_from_the_internet_alone(
    world: World, http: httpx.AsyncClient
) -> None:
    """`allowed_private` is for who has the master key, not for whoever is in a conversation."""
    seen: list[bool] = []

    def judge(target: Target) -> Result:
        seen.append(media._for_strangers.get())
        return ok(target)

    world.platform.judges = [judge]
    await world.say('{"_lctype":-6,"_lcfile":{"url":"http://10.0.0.1/secret"}}')
    await world.told(2)
    posted = {"to": ["group:g1"], "message": {"content": {"type": "text", "text": "x"}}}
    await http.post(f"/api/v1/channels/{world.channel}/messages", json=posted)
    await world.told(3)
    assert seen == [True, True, False]


@pytest.mark.usefixtures("jobs")
async def test_a_recall_and_an_edit_go_to_the_group(world: World) -> None:
    said = await world.say('{"_lctype":-1,"_lctext":"Helo"}')
    await world.told(1)
    await world.edit(said, '{"_lctype":-1,"_lctext":"Hello"}')
    async with asyncio.timeout(PATIENCE):
        while not world.platform.updated:
            await asyncio.sleep(0.005)
    assert world.platform.updated == [({"id": "m-group:g1"}, Message(Text("ann: Hello")))]
    await world.edit(said, None)
    async with asyncio.timeout(PATIENCE):
        while not world.platform.recalled:
            await asyncio.sleep(0.005)
    assert world.platform.recalled == [{"id": "m-group:g1"}]


@pytest.mark.usefixtures("jobs")
async def test_nothing_goes_over_a_bridge_that_is_off(world: World, http: httpx.AsyncClient) -> None:
    await http.patch(f"{BRIDGES}/{world.bridge}", json={"enabled": False})
    await world.say("one")
    await http.patch(f"{BRIDGES}/{world.bridge}", json={"enabled": True})
    await world.say("two")
    assert await world.told(1) == [Text("ann: two")]


# into the conversation


@pytest.mark.usefixtures("jobs")
async def test_what_is_said_there_comes_once_and_does_not_go_back(world: World, events: list[Event]) -> None:
    for _ in range(3):
        await world.hear(SAID)
    await world.hear(replace_said(id="ev-2", text="Again"))
    first, second = await heard(events, 2)
    assert (first.sender, json.loads(first.content)) == (
        "fake:u7",
        {
            "_lctype": -1,
            "_lctext": "Good morning",
            "_lcattrs": {"from": {"id": "u7", "name": "Wang", "channel": "ops"}},
        },
    )
    assert json.loads(second.content)["_lctext"] == "Again"
    await world.say("here")
    assert await world.told(1) == [Text("ann: here")]


def replace_said(**more: Any) -> Said:
    text = more.pop("text", "Good morning")
    values = {"id": "ev-1", "chat": SAID.chat, "sender": SAID.sender, "at": SAID.at, "receipt": {"id": "m-8"}}
    return Said(**{**values, "message": Message(Text(text)), **more})  # type: ignore[arg-type]


@pytest.mark.usefixtures("jobs")
async def test_what_concerns_others_does_not_come(world: World, events: list[Event]) -> None:
    await world.hear(
        replace_said(id="a", chat=Chat(Target("group", "g2"))),
        replace_said(id="b", chat=Chat(Target("group", "g1"), direct=True)),
        replace_said(id="program", automatic=True),  # such as another bridge of the same group
        replace_said(id="c", text="this"),
    )
    (one,) = await heard(events, 1)
    assert json.loads(one.content)["_lctext"] == "this"


@pytest.mark.usefixtures("jobs")
async def test_two_groups_of_one_conversation_hear_each_other(
    world: World, http: httpx.AsyncClient, events: list[Event]
) -> None:
    other = {"conversation": world.conversation, "channel": world.channel, "to": "group:g2"}
    assert (await http.post(BRIDGES, json=other)).status_code == 201
    await world.hear(SAID)
    await heard(events, 1)
    assert await world.told(1) == [Text("fake:u7: Good morning")]
    assert world.platform.calls[0].to == (Target("group", "g2"),)


@pytest.mark.usefixtures("jobs")
async def test_files_are_fetched_and_kept(world: World, events: list[Event], calling: Calling) -> None:
    world.platform.media = {"k1": PNG, "k2": b"just text"}
    media = ({"key": "k1", "name": "a.png"}, {"key": "k2", "name": "notes.txt"})
    await world.hear(replace_said(text="Look", media=media))
    text, picture, notes = (json.loads(message.content) for message in await heard(events, 3))
    assert (text["_lctype"], text["_lctext"]) == (-1, "Look")
    assert picture["_lctype"] == -2
    assert picture["_lcfile"]["metaData"]["size"] == len(PNG)
    assert notes["_lctype"] == -6
    assert notes["_lcfile"]["metaData"]["name"] == "notes.txt"
    url = picture["_lcfile"]["url"]
    async with calling() as anybody:
        assert (await anybody.get(url.removeprefix("http://127.0.0.1:8000"))).content == PNG


@pytest.mark.usefixtures("jobs")
async def test_a_file_that_is_gone_is_named(world: World, events: list[Event]) -> None:
    world.platform.problem = Problem(Outcome.BAD_CONTENT, "it has expired")
    await world.hear(replace_said(text="", media=({"key": "k1", "name": "a.png"},)))
    (one,) = await heard(events, 1)
    assert json.loads(one.content)["_lctext"] == "[a.png: it has expired]"


@pytest.mark.usefixtures("jobs")
async def test_other_contents_come_as_text(world: World, events: list[Event]) -> None:
    link = Message(Link("Report", "https://r.example/7"))
    await world.hear(replace_said(message=link), replace_said(id="ev-2", message=Message(Location(1.5, 2.5, "Here"))))
    first, second = (json.loads(message.content) for message in await heard(events, 2))
    assert "https://r.example/7" in first["_lctext"]
    assert (second["_lctype"], second["_lcloc"]) == (-5, {"latitude": 1.5, "longitude": 2.5})


@pytest.mark.usefixtures("jobs")
async def test_a_long_text_is_cut_to_what_a_message_takes(world: World, events: list[Event]) -> None:
    await world.hear(replace_said(text="鸿" * 10_000))
    (one,) = await heard(events, 1)
    assert json.loads(one.content)["_lctext"].endswith("…")


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("content", [Text("Good morning"), Location(1.5, 2.5, "Here" * 3000, "There" * 3000)])
async def test_whoever_has_a_long_name_is_heard(world: World, events: list[Event], content: Content) -> None:
    await world.hear(replace_said(sender=Person("u" * 5_000, "\x07" * 6_000), message=Message(content)))
    (one,) = await heard(events, 1)
    assert json.loads(one.content)["_lctext"].startswith(("Good", "Here"))


@pytest.mark.usefixtures("jobs")
async def test_a_recall_there_is_a_recall_here(world: World, events: list[Event]) -> None:
    await world.hear(SAID)
    (said,) = await heard(events, 1)
    await world.hear(Happened("ev-9", "recalled", SAID.at, recalled={"id": "m-7"}))
    (gone,) = await heard(events, 1, MessagePatched)
    assert (gone.id, gone.recalled) == (said.id, True)


EDIT = replace_said(id="ev-1", text="Good evening", receipt={"id": "m-7"})


@pytest.mark.usefixtures("jobs")
async def test_an_edit_there_is_an_edit_here(world: World, events: list[Event]) -> None:
    await world.hear(SAID)
    (said,) = await heard(events, 1)
    await world.hear(Happened("ev-9", "changed", SAID.at, edited=EDIT))
    (now,) = await heard(events, 1, MessagePatched)
    assert (now.id, now.recalled, now.sender) == (said.id, False, "fake:u7")
    assert json.loads(now.content) == {**json.loads(said.content), "_lctext": "Good evening"}
    await world.say("here")  # and it does not go back
    assert await world.told(1) == [Text("ann: here")]
    assert world.platform.updated == []


@pytest.mark.usefixtures("jobs")
async def test_an_edit_leaves_the_files_of_a_message_alone(world: World, events: list[Event]) -> None:
    world.platform.media = {"k1": PNG}
    await world.hear(
        replace_said(id="f", text="", receipt={"id": "m-7"}, media=({"key": "k1", "name": "a.png"},)), SAID
    )
    picture, text = await heard(events, 2)
    await world.hear(Happened("ev-9", "changed", SAID.at, edited=EDIT))
    (now,) = await heard(events, 1, MessagePatched)
    assert now.id == text.id
    await world.hear(Happened("ev-10", "recalled", SAID.at, recalled={"id": "m-7"}))
    _, *gone = await heard(events, 3, MessagePatched)
    assert {each.id for each in gone} == {picture.id, text.id}


@pytest.mark.usefixtures("jobs")
async def test_two_groups_of_one_conversation_hear_of_an_edit(
    world: World, http: httpx.AsyncClient, events: list[Event]
) -> None:
    other = {"conversation": world.conversation, "channel": world.channel, "to": "group:g2"}
    assert (await http.post(BRIDGES, json=other)).status_code == 201
    await world.hear(SAID)
    await world.told(1)
    await world.hear(Happened("ev-9", "changed", SAID.at, edited=EDIT))
    async with asyncio.timeout(PATIENCE):
        while not world.platform.updated:
            await asyncio.sleep(0.005)
    assert world.platform.updated == [({"id": "m-group:g2"}, Message(Text("fake:u7: Good evening")))]


async def test_edits_that_overtake_their_message_keep_their_order(
    world: World, store: Store, hub: Hub, engine: Engine, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_in, "LATE_STEP", 20)
    edits = [replace_said(id="ev-1", text=f"edit {number}", receipt={"id": "m-7"}) for number in range(3)]
    told = [Happened(f"ev-{number + 5}", "changed", SAID.at, edited=each) for number, each in enumerate(edits)]
    await world.hear(SAID, *told)
    jobs = Jobs(store.jobs, engine.clock, hub.kinds())
    await jobs.start()
    patched = await heard(events, 3, MessagePatched)
    assert [json.loads(each.content)["_lctext"] for each in patched] == ["edit 0", "edit 1", "edit 2"]
    await jobs.stop(5)


@pytest.mark.usefixtures("jobs")
async def test_edits_of_what_did_not_come_change_nothing(
    world: World, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_in, "LATE_TIME", 0)
    await world.hear(SAID)
    (said,) = await heard(events, 1)
    others = [
        replace_said(text="other", receipt={"id": "m-8"}),
        replace_said(text="other", receipt={"id": "m-7"}, automatic=True),
        replace_said(text="other", receipt={"id": "m-7"}, chat=Chat(Target("group", "g2"))),
    ]
    await world.hear(*(Happened(f"ev-{n + 5}", "changed", SAID.at, edited=each) for n, each in enumerate(others)))
    await world.hear(Happened("ev-9", "changed", SAID.at, edited=EDIT))
    (now,) = await heard(events, 1, MessagePatched)
    assert (now.id, json.loads(now.content)["_lctext"]) == (said.id, "Good evening")


async def test_a_recall_that_overtakes_its_message_is_one_all_the_same(
    world: World, store: Store, hub: Hub, engine: Engine, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a large file is fetched, or the server has been away: both wait."""
    monkeypatch.setattr(bridges, "WAITS", (0.01,) * 9)
    await world.hear(SAID, Happened("ev-9", "recalled", SAID.at, recalled={"id": "m-7"}))
    jobs = Jobs(store.jobs, engine.clock, hub.kinds())
    await jobs.start()
    (said,) = await heard(events, 1)
    (gone,) = await heard(events, 1, MessagePatched)
    assert (gone.id, gone.recalled) == (said.id, True)
    await jobs.stop(5)


async def test_a_full_disk_loses_nothing_on_the_way_out(
    world: World, store: Store, hub: Hub, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridges, "WAITS", (0.01,) * 9)
    posts, full = hub.sending._posts, [True, True]
    insert = posts.insert

    async def refused_twice(*given: Any) -> Any:
        if full:
            full.pop()
            raise Refused(errors.STORAGE_FULL, "the server's disk is full")
        return await insert(*given)

    monkeypatch.setattr(posts, "insert", refused_twice)
    jobs = Jobs(store.jobs, engine.clock, hub.kinds())
    await jobs.start()
    await world.say("one")
    assert await world.told(1) == [Text("ann: one")]
    await jobs.stop(5)


async def test_a_job_that_is_done_twice_says_it_once(world: World, store: Store, events: list[Event]) -> None:
    """As after a kill between the message and the end of its job: the job went with the message."""
    await world.hear(SAID)
    (job,) = await store.jobs.next(lane_in(world.bridge), 10)
    await world.hub.bridges.kinds[job.kind].do(job)
    left = await store.jobs.next(lane_in(world.bridge), 10)
    assert [each.kind for each in left] == [bridge_in.LINK]
    assert len(await heard(events, 1)) == 1


def test_long_names_become_clients() -> None:
    assert bridge_in.client_of("slack", "U1") == "slack:U1"
    long = bridge_in.client_of("slack", "x" * 100)
    assert len(long) <= 64
    assert long != bridge_in.client_of("slack", "x" * 101)
