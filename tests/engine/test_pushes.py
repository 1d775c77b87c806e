"""Pushes of messages: which, to whom, with which content (REST reference 6.2)."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from hongyan import errors
from hongyan.bus.local import LocalBus
from hongyan.engine import push_plans, pushes
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.push_services import PushService
from hongyan.engine.pushing import InvalidToken, RetryLater, Sent
from hongyan.engine.pushing import Refused as NotTaken
from hongyan.engine.questions import Offline, Question, ReceiversOffline
from hongyan.engine.receipts import arrived
from hongyan.engine.values import (
    DAY,
    App,
    Conversation,
    ConversationDraft,
    ConversationKind,
    Departure,
    Draft,
    Edit,
    Pushed,
    Stored,
)
from hongyan.errors import Refused
from hongyan.store import Store
from tests.engine.conftest import SECRET
from tests.engine.post import Post, Work, register, token_of
from tests.engine.test_conversations import remove, start
from tests.store.steps import NOON, Wall

HELLO = '{"alert":"hello"}'


class Asked:
    """An app's engine with the hook `_receiversOffline`, or without."""

    def __init__(self) -> None:
        self.answer: Offline | None = None
        self.questions: list[ReceiversOffline] = []

    def concern(self, app: App, kind: type[Question]) -> bool:
        return self.answer is not None and kind is ReceiversOffline

    async def receivers_offline(self, app: App, question: ReceiversOffline) -> Offline:
        if self.answer is None:
            return Offline()
        self.questions.append(question)
        return self.answer


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def hook() -> Asked:
    return Asked()


@pytest.fixture
async def engine(
    store: Store, bus: LocalBus, wall: Wall, post: Post, hook: Asked, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Engine]:
    made = Engine(store, bus, Clock(wall, lambda: 0), SECRET, push_services=lambda: post.services)
    monkeypatch.setattr(made.pushes, "_hooks", hook)
    await made.start()
    yield made
    await made.push_services.close()


@pytest.fixture
async def app(engine: Engine) -> App:
    """An app that pushes to iOS."""
    made = await engine.apps.create("test", id="test", settings={"members_max": "2000"})
    await engine.push_services.set(made, "apns", {"key": "secret"})
    return made


@pytest.fixture
def work(engine: Engine, store: Store, wall: Wall) -> Work:
    return Work(engine, store, wall)


@pytest.fixture
async def talk(engine: Engine, app: App) -> str:
    """A conversation of ann and bob, who has a phone."""
    await register(engine, app, "bob")
    return (await start(engine, app, "ann", "bob")).id


async def send(
    engine: Engine, app: App, conversation: str, push: str = HELLO, sender: str = "ann", **draft: Any
) -> Stored:
    outcome: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
    engine.messages.send(
        app, sender, conversation, Draft(draft.pop("content", "hi"), push_data=push, **draft), outcome.set_result
    )
    place = await outcome
    assert isinstance(place, Stored)
    return place


def come(engine: Engine, app: App, *clients: str) -> None:
    for client in clients:
        engine.presence.session_opened(app, client)


def leave(engine: Engine, app: App, *clients: str) -> None:
    for client in clients:
        engine.presence.session_ended(app, client, Departure.LOST)


async def acknowledge(engine: Engine, app: App, client: str, conversation: str, place: Stored) -> None:
    what, done = arrived(place.id, None, None), asyncio.Event()
    assert what is not None
    engine.receipts.received(app, client, conversation, what, done.set)
    await done.wait()


def alerts(post: Post) -> list[Any]:
    return [each.push.content.get("alert") for each in post.brought]


# step 1: which messages


async def test_a_message_to_who_is_away_is_pushed(engine: Engine, app: App, work: Work, post: Post, talk: str) -> None:
    place = await send(engine, app, talk)
    await work.do()
    (brought,) = post.brought
    assert (brought.service, brought.device.token, brought.device.environment) == ("apns", token_of("bob"), "prod")
    assert brought.push.content == {"alert": "hello"}
    assert brought.push.expires_at == place.timestamp + 7 * DAY
    assert brought.push.id.startswith(place.id)
    assert await work.jobs() == []


async def test_the_job_is_in_the_messages_own_write(engine: Engine, app: App, work: Work, talk: str) -> None:
    await send(engine, app, talk)
    (job,) = await work.jobs()
    assert (job.kind, job.lane) == (push_plans.PLAN, f"push:{app.key}")


async def test_a_resend_is_pushed_once(engine: Engine, app: App, work: Work, post: Post, talk: str) -> None:
    for _ in range(2):
        await send(engine, app, talk, token="same")
    await work.do()
    assert len(post.brought) == 1


async def test_a_temporary_conversation_is_pushed(engine: Engine, app: App, work: Work, post: Post) -> None:
    await register(engine, app, "bob")
    ids: list[str] = []
    await engine.temporary.start(app, "ann", ["bob"], "", ttl=60, reply=lambda row, existing: ids.append(row.id))
    await send(engine, app, ids[0])
    await work.do()
    assert alerts(post) == ["hello"]


async def test_a_temporary_conversation_that_has_ended_is_not(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall
) -> None:
    await register(engine, app, "bob")
    ids: list[str] = []
    await engine.temporary.start(app, "ann", ["bob"], "", ttl=60, reply=lambda row, existing: ids.append(row.id))
    await send(engine, app, ids[0])
    wall.at += 61_000
    await work.do()
    assert post.brought == []


async def test_a_broadcast_is_pushed_to_subscribers(engine: Engine, app: App, work: Work, post: Post) -> None:
    row = await engine.services.create(app, {"name": "news"})
    service = await engine.services.find(app, row.id)
    for client in ("bob", "cem"):
        await register(engine, app, client)
        await engine.services.subscribe(app, service, client, client, lambda _: None)
    await register(engine, app, "dan")
    await engine.service_messages.broadcast(app, service, "news", Draft("hi", push_data=HELLO))
    await work.do()
    assert post.tokens == [token_of("bob"), token_of("cem")]


async def test_what_a_service_says_to_one_is_pushed_to_that_one(
    engine: Engine, app: App, work: Work, post: Post
) -> None:
    row = await engine.services.create(app, {"name": "news"})
    service = await engine.services.find(app, row.id)
    for client in ("bob", "cem", "dan"):
        await register(engine, app, client)
        await engine.services.subscribe(app, service, client, client, lambda _: None)
    draft = Draft("hi", push_data=HELLO)
    await engine.service_messages.send_alone(app, service, "news", ["bob", "cem"], draft, sync=False)
    await work.do()
    assert post.tokens == [token_of("bob"), token_of("cem")]


async def test_what_the_application_says_is_pushed(engine: Engine, app: App, work: Work, post: Post, talk: str) -> None:
    conversation = await engine.app_messages.target(app, talk)
    await engine.app_messages.send(app, conversation, "boss", Draft("hi", push_data=HELLO), sync=False)
    await work.do()
    assert post.tokens == [token_of("bob")]


async def test_a_broadcast_to_all_clients_is_pushed_to_all_devices(
    engine: Engine, app: App, work: Work, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are online or not (REST reference 3.10). It is not listed."""
    monkeypatch.setattr("hongyan.engine.push_calls.PAGE", 2)
    row = await engine.services.create(app, {"name": "news"})
    service = await engine.services.find(app, row.id)
    for client in ("bob", "cem", "dan"):
        await register(engine, app, client)
    come(engine, app, "bob")
    content = '{"alert":"hello","badge":"Increment","_profile":"dev"}'
    for push in (content, "", "{}"):
        await engine.broadcasts.send(app, service, "news", Draft("hi", push_data=push))
    await engine.broadcasts.send(app, service, "news", Draft("hi", push_data=content, transient=True))
    await work.do()
    assert post.tokens == [token_of(client) for client in ("bob", "cem", "dan")]
    assert {(b.device.environment, b.device.badge, b.push.content["alert"]) for b in post.brought} == {
        ("dev", 1, "hello")
    }
    assert await engine.push_calls.page(app, 100, 0) == []
    assert await work.jobs() == []


async def test_a_transient_message_is_not(engine: Engine, app: App, work: Work, talk: str) -> None:
    await send(engine, app, talk, transient=True)
    await engine.aftermath.flush()
    assert await work.jobs() == []


async def test_a_will_is_not(engine: Engine, app: App, work: Work, talk: str) -> None:
    outcome: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
    draft = Draft("farewell", push_data=HELLO)
    engine.wills.set(app, "ann", talk, draft, outcome.set_result, "phone", lambda: True)
    assert isinstance(await outcome, Stored)
    engine.wills.session_ended(app, "ann", "phone", clean=False, last=True)
    await engine.aftermath.flush()
    assert await work.jobs() == []


async def test_a_chat_room_is_not(engine: Engine, app: App, work: Work) -> None:
    made: list[str] = []
    draft = ConversationDraft(ConversationKind.CHATROOM, "ann", (), by_system=True)
    await engine.conversations.make(app, draft, lambda row, existing: made.append(row.id))
    room = await engine.app_messages.target(app, made[0])
    await engine.app_messages.send(app, room, "ann", Draft("hi", push_data=HELLO), sync=False)
    assert await work.jobs() == []


async def test_what_was_recalled_or_deleted_meanwhile_is_not(
    engine: Engine, app: App, work: Work, post: Post, talk: str
) -> None:
    recalled, deleted = await send(engine, app, talk), await send(engine, app, talk)
    await engine.edits.apply(app, "ann", [Edit(talk, recalled.id, recalled.timestamp, None)], lambda at: None)
    conversation = await engine.app_messages.target(app, talk)
    await engine.app_messages.delete(conversation, "ann", deleted.id, deleted.timestamp)
    await work.do()
    assert post.brought == []


async def test_what_is_recalled_while_it_waits_to_be_sent_is_not(
    engine: Engine, app: App, work: Work, post: Post, talk: str
) -> None:
    place = await send(engine, app, talk)
    await work.do(once=True)
    assert [job.kind for job in await work.jobs()] == [push_plans.SEND]
    await engine.edits.apply(app, "ann", [Edit(talk, place.id, place.timestamp, None)], lambda at: None)
    await work.do()
    assert post.brought == []


async def test_what_was_edited_is_pushed(engine: Engine, app: App, work: Work, post: Post, talk: str) -> None:
    place = await send(engine, app, talk)
    await engine.edits.apply(app, "ann", [Edit(talk, place.id, place.timestamp, Draft("ho"))], lambda at: None)
    await work.do()
    assert len(post.brought) == 1


async def test_an_app_that_does_not_push_pays_nothing(engine: Engine, work: Work) -> None:
    other = await engine.apps.create("other")
    talk = (await start(engine, other, "ann", "bob")).id
    await send(engine, other, talk)
    assert await work.jobs() == []


async def test_a_message_with_nothing_to_push_leaves_no_job(engine: Engine, app: App, work: Work, talk: str) -> None:
    await send(engine, app, talk, push="")
    assert await work.jobs() == []


async def test_after_a_week_a_message_is_not_pushed_any_more(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall, talk: str
) -> None:
    await send(engine, app, talk)
    wall.at += 7 * DAY
    await work.do()
    assert post.brought == []


async def test_after_a_week_a_push_is_not_sent_any_more(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall, talk: str
) -> None:
    await send(engine, app, talk)
    await work.do(once=True)
    wall.at += 7 * DAY
    await work.do()
    assert post.brought == []
    assert await work.jobs() == []


# step 2: to whom


async def test_who_is_online_and_who_has_muted_and_the_sender_are_left_out(
    engine: Engine, app: App, work: Work, post: Post
) -> None:
    everybody = ("ann", "bob", "cem", "dan")
    for client in everybody:
        await register(engine, app, client)
    talk = (await start(engine, app, *everybody)).id
    await engine.info.mute(app, "cem", talk, True, lambda *told: None)
    come(engine, app, "dan")
    await send(engine, app, talk)
    await work.do()
    assert post.tokens == [token_of("bob")]


async def test_who_has_left_meanwhile_is_left_out(engine: Engine, app: App, work: Work, post: Post, talk: str) -> None:
    await send(engine, app, talk)
    await remove(engine, app, "bob", talk, "bob")
    await work.do()
    assert post.brought == []


async def test_only_those_to_whom_the_hook_has_let_it_are_pushed_to(
    engine: Engine, app: App, work: Work, post: Post
) -> None:
    for client in ("bob", "cem", "dan"):
        await register(engine, app, client)
    talk = (await start(engine, app, "ann", "bob", "cem", "dan")).id
    await send(engine, app, talk, receivers=("bob", "dan"))
    await remove(engine, app, "dan", talk, "dan")
    await work.do()
    assert post.tokens == [token_of("bob")]


async def test_many_receivers_are_planned_page_by_page(
    engine: Engine, app: App, work: Work, post: Post, hook: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushes, "PAGE", 10)
    hook.answer = Offline()
    clients = [f"c{number:03}" for number in range(35)]
    for client in clients:
        await register(engine, app, client)
    talk = (await start(engine, app, *clients)).id
    await send(engine, app, talk, sender="c009")
    await work.do()
    assert post.tokens == sorted(token_of(client) for client in clients if client != "c009")
    assert [len(question.clients) for question in hook.questions] == [9, 10, 10, 5]


async def test_many_subscribers_are_planned_page_by_page(
    engine: Engine, app: App, work: Work, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushes, "PAGE", 4)
    row = await engine.services.create(app, {"name": "news"})
    service = await engine.services.find(app, row.id)
    clients = [f"c{number:02}" for number in range(8)]
    for client in clients:
        await register(engine, app, client)
        await engine.services.subscribe(app, service, client, client, lambda _: None)
    await engine.service_messages.broadcast(app, service, "c03", Draft("hi", push_data=HELLO))
    await work.do()
    assert post.tokens == sorted(token_of(client) for client in clients if client != "c03")


# the hook


async def test_the_hook_is_asked_about_those_who_are_away(engine: Engine, app: App, work: Work, hook: Asked) -> None:
    hook.answer = Offline()
    talk = (await start(engine, app, "ann", "bob", "cem", "dan")).id
    come(engine, app, "dan")
    place = await send(engine, app, talk, push="", content=b"\x00\xff", mentions=("cem", "dan"))
    await work.do()
    (question,) = hook.questions
    assert (question.conversation.id, question.sender, question.at) == (talk, "ann", place.timestamp)
    assert (question.clients, question.content) == (["bob", "cem"], b"\x00\xff")
    assert (question.mention_all, question.mentions) == (False, ["cem"])


async def test_the_hook_is_asked_without_any_service(engine: Engine, work: Work, hook: Asked) -> None:
    other = await engine.apps.create("other")
    hook.answer = Offline()
    talk = (await start(engine, other, "ann", "bob")).id
    await send(engine, other, talk, push="", content="text", mention_all=True)
    await work.do()
    assert [(q.content, q.mention_all) for q in hook.questions] == [("text", True)]


async def test_the_hook_is_not_asked_if_everybody_is_here(
    engine: Engine, app: App, work: Work, hook: Asked, talk: str
) -> None:
    hook.answer = Offline()
    come(engine, app, "bob")
    await send(engine, app, talk)
    await work.do()
    assert hook.questions == []


@pytest.mark.parametrize(
    ("answer", "pushed"),
    [
        (Offline(), {"bob": "hello"}),
        (Offline(skip=True), {}),
        (Offline(clients=["cem"]), {}),
        (Offline(clients=["bob", "zoe"]), {"bob": "hello"}),
        (Offline(clients=[]), {}),
        (Offline(force=True), {"bob": "hello", "cem": "hello"}),
        (Offline(force=True, clients=["cem"]), {"cem": "hello"}),
        (Offline(push_message='{"alert":"hooked"}'), {"bob": "hooked"}),
        (Offline(push_message="only text"), {"bob": "only text"}),
        (Offline(push_message="{}"), {}),
    ],
    ids=["nothing", "skip", "only who muted", "some", "nobody", "force", "force some", "content", "text", "no content"],
)
async def test_what_the_hook_says_is_done(
    engine: Engine, app: App, work: Work, post: Post, hook: Asked, answer: Offline, pushed: dict[str, str]
) -> None:
    hook.answer = answer
    for client in ("bob", "cem", "zoe"):
        await register(engine, app, client)
    talk = (await start(engine, app, "ann", "bob", "cem")).id
    await engine.info.mute(app, "cem", talk, True, lambda *told: None)
    await send(engine, app, talk)
    await work.do()
    tokens = {token_of(client): client for client in ("bob", "cem", "zoe")}
    assert {tokens[b.device.token]: b.push.content["alert"] for b in post.brought} == pushed


# step 3: content


STATIC = '{"alert":"${fromClientId} wrote","conv":"${convId}","at":"${timestamp}"}'


@pytest.mark.parametrize(
    ("hooked", "push_data", "static", "expected"),
    [
        ('{"alert":"1"}', '{"alert":"2"}', '{"alert":"3"}', "1"),
        ("", '{"alert":"2"}', '{"alert":"3"}', "2"),
        ("", "", '{"alert":"3"}', "3"),
        ("", "", "plain", "plain"),
        ("", "plain", "", "plain"),
        ("", '{"alert":"${convId}"}', "", "${convId}"),
        ("", "{}", '{"alert":"3"}', None),
        ("", '{"badge":-1}', '{"alert":"3"}', None),
        ("", "", "", None),
    ],
    ids=["hook", "message", "app", "plain app", "plain message", "no variables", "empty", "wrong", "none"],
)
async def test_the_first_content_that_there_is(
    engine: Engine,
    app: App,
    work: Work,
    post: Post,
    hook: Asked,
    talk: str,
    hooked: str,
    push_data: str,
    static: str,
    expected: str | None,
) -> None:
    hook.answer = Offline(push_message=hooked)
    await engine.apps.change(app.id, {"push_content": static})
    await send(engine, app, talk, push=push_data)
    await work.do()
    assert alerts(post) == ([] if expected is None else [expected])


async def test_variables_of_the_apps_own_content(engine: Engine, app: App, work: Work, post: Post, talk: str) -> None:
    await engine.apps.change(app.id, {"push_content": STATIC})
    place = await send(engine, app, talk, push="")
    await work.do()
    expected = {"alert": "ann wrote", "conv": talk, "at": str(place.timestamp // 1000)}
    assert post.brought[0].push.content == expected


@pytest.mark.parametrize("text", ['{"badge":"x"}', "{}", "[" * 5_000, '{"ios":1}', '{"alert":'])
async def test_content_of_an_app_that_is_none_is_refused(engine: Engine, app: App, text: str) -> None:
    with pytest.raises(ValueError, match=r"^The app setting push_content .*\.$"):
        await engine.apps.change(app.id, {"push_content": text})
    assert app.settings.push_content == ""


async def test_each_platform_has_its_own_keys(engine: Engine, app: App, work: Work, post: Post) -> None:
    await engine.push_services.set(app, "fcm", {"key": "x"})
    await register(engine, app, "bob")
    android = {"deviceType": "android", "deviceToken": None, "vendor": "FCM", "registrationId": "r" * 20}
    await register(engine, app, "bob", 1, installationId="i" * 20, **android)
    talk = (await start(engine, app, "ann", "bob")).id
    content = {
        "alert": "all",
        "ios": {"alert": "apple", "_profile": "dev"},
        "fcm": {"title": "google"},
        "_apns_team_id": "TEAM",
    }
    await send(engine, app, talk, push=json.dumps(content))
    await work.do()
    got = {b.service: (b.push.content, b.device) for b in post.brought}
    assert got["apns"][0] == {"alert": "apple"}
    assert (got["apns"][1].environment, got["apns"][1].team) == ("prod", "TEAM")  # `_profile` counts at the top alone
    assert got["fcm"][0] == {"alert": "all", "title": "google"}


async def test_the_development_environment(engine: Engine, app: App, work: Work, post: Post, talk: str) -> None:
    await send(engine, app, talk, push='{"alert":"x","_profile":"dev"}')
    await work.do()
    assert post.brought[0].device.environment == "dev"
    assert post.brought[0].push.content == {"alert": "x"}


# step 4: devices


async def test_devices_that_are_pushed_to(engine: Engine, app: App, work: Work, post: Post, wall: Wall) -> None:
    for service in ("xiaomi", "web_push"):
        await engine.push_services.set(app, service, {"key": "x"})
    keys = {"p256dh": "B" + "A" * 86, "auth": "A" * 22}
    await register(engine, app, "bob", 1)
    wall.at += 1
    await register(engine, app, "bob", 2)
    wall.at += 90 * DAY
    await register(engine, app, "bob", 3, valid=False)
    await register(engine, app, "bob", 4, channels=["news", "bob"])
    await register(engine, app, "bob", 5, channels=["news"])
    await register(engine, app, "bob", 6, deviceToken=None, installationId="ios-without-a-token")
    ours = {"deviceType": "android", "deviceToken": None}
    await register(engine, app, "bob", 7, installationId="x" * 20, vendor="mi", registrationId="mi-token", **ours)
    await register(engine, app, "bob", 8, installationId="y" * 20, vendor="oppo", registrationId="oppo-token", **ours)
    await register(engine, app, "bob", 9, installationId="z" * 20, **ours)
    await register(engine, app, "bob", 10, deviceType="web", deviceToken="https://push.example/1", pushKeys=keys)
    gone = await register(engine, app, "bob", 11)
    await engine.installations.delete(app, gone)
    talk = (await start(engine, app, "ann", "bob")).id
    await send(engine, app, talk)
    await work.do()
    assert {(b.service, b.device.token) for b in post.brought} == {
        ("apns", token_of("bob", 2)),
        ("apns", token_of("bob", 4)),
        ("xiaomi", "mi-token"),
        ("web_push", "https://push.example/1"),
    }
    assert next(b.device for b in post.brought if b.service == "web_push").keys == keys


async def test_a_webhook_takes_what_has_no_service_of_its_own(engine: Engine, app: App, work: Work, post: Post) -> None:
    await engine.push_services.set(app, "webhook", {"key": "x"})
    ours = {"deviceType": "android", "deviceToken": None}
    await register(engine, app, "bob", 0)
    await register(engine, app, "bob", 1, installationId="x" * 20, vendor="mi", registrationId="mi-token", **ours)
    await register(engine, app, "bob", 2, installationId="z" * 20, **ours)
    await register(engine, app, "bob", 3, deviceType="harmony", deviceToken="h" * 20)
    talk = (await start(engine, app, "ann", "bob")).id
    await send(engine, app, talk)
    await work.do()
    assert {(b.service, b.device.platform, b.device.token) for b in post.brought} == {
        ("apns", "ios", token_of("bob")),
        ("webhook", "mi", "mi-token"),
        ("webhook", "android", "z" * 20),
        ("webhook", "harmony", "h" * 20),
    }


@pytest.mark.parametrize("change", [["news"], [], {"__op": "Remove", "objects": ["bob"]}, {"__op": "Delete"}])
async def test_a_device_that_listens_no_more_gets_nothing(
    engine: Engine, app: App, work: Work, post: Post, change: Any
) -> None:
    device = await register(engine, app, "bob")
    await engine.installations.change(app, device, {"channels": change})
    talk = (await start(engine, app, "ann", "bob")).id
    await send(engine, app, talk)
    await work.do()
    assert post.brought == []


async def test_a_device_of_two_clients_is_pushed_to_once(engine: Engine, app: App, work: Work, post: Post) -> None:
    await register(engine, app, "bob", channels=["bob", "cem"])
    talk = (await start(engine, app, "ann", "bob", "cem")).id
    await send(engine, app, talk)
    await work.do()
    assert len(post.brought) == 1


async def test_the_devices_of_another_app_are_not_pushed_to(engine: Engine, app: App, work: Work, post: Post) -> None:
    other = await engine.apps.create("other")
    await register(engine, other, "bob")
    talk = (await start(engine, app, "ann", "bob")).id
    await send(engine, app, talk)
    await work.do()
    assert post.brought == []


async def test_nobody_has_any_number_of_devices(
    engine: Engine, app: App, work: Work, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushes, "DEVICES_MAX", 3)
    for number in range(5):
        await register(engine, app, "bob", number)
    talk = (await start(engine, app, "ann", "bob")).id
    await send(engine, app, talk)
    await work.do()
    assert post.tokens == [token_of("bob", number) for number in (2, 3, 4)]


# badges


async def badge(engine: Engine, app: App, device: str) -> Any:
    row = await engine.installations.read(app, device)
    assert row is not None
    return row.values.get("badge")


@pytest.mark.parametrize(("before", "after"), [(None, 1), (0, 1), (41, 42), ("x", 1), (-7, 1), (2**40, 2**31 - 1)])
async def test_a_badge_is_incremented_where_it_is_kept(
    engine: Engine, app: App, work: Work, post: Post, before: Any, after: int
) -> None:
    device = await register(engine, app, "bob", badge=before)
    talk = (await start(engine, app, "ann", "bob")).id
    row = await engine.installations.read(app, device)
    await send(engine, app, talk, push='{"alert":"x","badge":"Increment"}')
    await work.do()
    assert post.brought[0].device.badge == after
    assert await badge(engine, app, device) == after
    now = await engine.installations.read(app, device)
    assert row is not None
    assert now is not None
    assert now.updated_at == row.updated_at  # or no device would ever be given up


async def test_messages_at_once_count_one_by_one(engine: Engine, app: App, work: Work, post: Post) -> None:
    device = await register(engine, app, "bob")
    talk = (await start(engine, app, "ann", "bob")).id
    for _ in range(3):
        await send(engine, app, talk, push='{"alert":"x","badge":"Increment"}')
    await work.do()
    assert sorted(b.device.badge or 0 for b in post.brought) == [1, 2, 3]
    assert await badge(engine, app, device) == 3


async def test_an_attempt_more_counts_no_badge(engine: Engine, app: App, work: Work, post: Post, wall: Wall) -> None:
    device = await register(engine, app, "bob")
    talk = (await start(engine, app, "ann", "bob")).id
    post.answers = [RetryLater(), Sent()]
    await send(engine, app, talk, push='{"alert":"x","badge":"Increment"}')
    await work.do()
    wall.at += 5_000
    await work.do()
    assert [b.device.badge for b in post.brought] == [1, 1]
    assert await badge(engine, app, device) == 1


async def test_a_number_is_kept_as_the_badge(engine: Engine, app: App, work: Work, post: Post) -> None:
    device = await register(engine, app, "bob", badge=3)
    talk = (await start(engine, app, "ann", "bob")).id
    await send(engine, app, talk, push='{"alert":"x","badge":9}')
    await work.do()
    assert post.brought[0].push.content["badge"] == 9
    assert await badge(engine, app, device) == 9


async def test_a_plan_that_was_written_is_not_written_again(
    engine: Engine, app: App, work: Work, store: Store, talk: str
) -> None:
    """As after a crash between the plan's end and what the jobs note of it."""
    await send(engine, app, talk, push='{"alert":"x","badge":"Increment"}')
    (job,) = await work.jobs()
    for _ in range(2):
        assert await engine.pushes.plan(job) == []
    (sending,) = await work.jobs()
    assert json.loads(sending.body)["devices"][0]["badge"] == 1


# step 5, and what comes back


async def test_pushes_of_messages_are_not_listed(engine: Engine, app: App, work: Work, talk: str) -> None:
    await send(engine, app, talk)
    await work.do()
    assert await engine.push_calls.page(app, 100, 0) == []


async def test_a_device_whose_token_is_invalid_is_given_up(engine: Engine, app: App, work: Work, post: Post) -> None:
    device = await register(engine, app, "bob")
    talk = (await start(engine, app, "ann", "bob")).id
    post.answers = [InvalidToken("gone")]
    for _ in range(2):
        await send(engine, app, talk)
        await work.do()
    assert len(post.brought) == 1
    row = await engine.installations.read(app, device)
    assert row is not None
    assert row.values["valid"] is False
    assert await work.jobs() == []


async def test_a_device_with_a_new_token_meanwhile_stays(
    engine: Engine, app: App, work: Work, post: Post, store: Store
) -> None:
    device = await register(engine, app, "bob")
    await store.installations.void(app.key, device, "an older token")
    row = await engine.installations.read(app, device)
    assert row is not None
    assert row.values["valid"] is True


async def test_a_new_token_makes_a_device_valid_again(engine: Engine, app: App, store: Store) -> None:
    device = await register(engine, app, "bob", installationId="i" * 20)
    await store.installations.void(app.key, device, token_of("bob"))
    for values, valid in (({"badge": 1}, False), ({"deviceToken": "t" * 20}, True)):
        row = await engine.installations.change(app, device, values)
        assert row.values["valid"] is valid


async def test_the_token_of_the_moment_is_used(engine: Engine, app: App, work: Work, post: Post) -> None:
    device = await register(engine, app, "bob")
    talk = (await start(engine, app, "ann", "bob")).id
    await send(engine, app, talk)
    await work.do(once=True)
    await engine.installations.change(app, device, {"deviceToken": "t" * 20})
    await work.do()
    assert post.tokens == ["t" * 20]


async def test_what_fails_for_now_is_sent_again_with_the_same_id(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall, talk: str
) -> None:
    post.answers = [RetryLater(90.0, "busy"), RetryLater(), Sent()]
    await send(engine, app, talk)
    await work.do()
    (job,) = await work.jobs()
    assert (job.due_at, job.error) == (NOON + 90_000, "busy")
    wall.at += 90_000
    await work.do()
    wall.at += 30_000
    await work.do()
    assert len(post.brought) == 3
    assert len({b.push.id for b in post.brought}) == 1
    assert await work.jobs() == []


async def test_a_device_from_which_its_client_has_logged_out_meanwhile_gets_nothing(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall
) -> None:
    device = await register(engine, app, "bob")
    talk = (await start(engine, app, "ann", "bob")).id
    post.answers = [RetryLater(90.0, "busy")]
    await send(engine, app, talk)
    await work.do()
    await engine.installations.change(app, device, {"channels": ["eve"]})
    wall.at += 90_000
    await work.do()
    assert len(post.brought) == 1
    assert await work.jobs() == []


async def test_a_device_that_can_not_be_given_up_now_does_not_send_the_others_again(
    engine: Engine, app: App, work: Work, post: Post, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        await register(engine, app, "bob", number)
    talk = (await start(engine, app, "ann", "bob")).id

    async def refuse(*_: object) -> None:
        raise Refused(errors.STORAGE_FULL, "the disk is full")

    monkeypatch.setattr(store.installations, "void", refuse)
    post.answers = [InvalidToken("gone"), Sent()]
    await send(engine, app, talk)
    await work.do()
    assert len(post.brought) == 2
    assert await work.jobs() == []


async def test_of_several_devices_only_those_that_failed_are_tried_again(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall
) -> None:
    for number in range(3):
        await register(engine, app, "bob", number)
    talk = (await start(engine, app, "ann", "bob")).id
    post.answers = [Sent(), RetryLater(), Sent()]
    await send(engine, app, talk)
    await work.do()
    assert len(post.brought) == 3
    wall.at += 5_000
    await work.do()
    assert len(post.brought) == 4
    assert post.brought[3].push.id == post.brought[1].push.id


async def test_what_is_refused_is_given_up(engine: Engine, app: App, work: Work, post: Post, talk: str) -> None:
    post.answers = [NotTaken("BadTopic", "no")]
    await send(engine, app, talk)
    await work.do()
    assert await work.jobs() == []
    assert engine.push_sending.totals == {"apns": Pushed(failures=1)}


async def test_services_are_loaded_and_opened_in_threads(
    store: Store, bus: LocalBus, wall: Wall, post: Post, app: App, work: Work, talk: str, engine: Engine
) -> None:
    """Both take long, and the event loop is everybody's. At a start it is done before anybody says something."""
    loaded: list[threading.Thread] = []

    def load() -> Mapping[str, PushService]:
        loaded.append(threading.current_thread())
        return post.services

    post.opened.clear()
    again = Engine(store, bus, Clock(wall, lambda: 0), SECRET, push_services=load)
    await again.start()
    assert len(loaded) == 1
    await send(again, app, talk)
    await send(again, app, talk)
    await Work(again, store, wall).do()
    assert len(post.brought) == 2
    await again.push_services.set(app, "fcm", {"key": "secret"})
    await again.push_services.close()
    assert len(loaded) == 1
    assert len(post.opened) == 2
    assert threading.current_thread() not in {*loaded, *post.opened}


async def test_credentials_that_change_while_a_service_is_opened(
    engine: Engine, app: App, work: Work, post: Post, talk: str
) -> None:
    async def change() -> None:
        await engine.push_services.set(app, "apns", {"key": "new"})

    loop, changed = asyncio.get_running_loop(), list[str]()

    def opening(given: Mapping[str, Any]) -> None:
        if not changed:
            changed.append(given["key"])
            asyncio.run_coroutine_threadsafe(change(), loop).result()

    await send(engine, app, talk)
    post.on_open = opening
    await work.do()
    assert changed == ["secret"]
    assert [each.credentials["key"] for each in post.brought] == ["new"]


async def test_new_credentials_are_used_at_once(engine: Engine, app: App, work: Work, post: Post, talk: str) -> None:
    await send(engine, app, talk)
    await work.do()
    await send(engine, app, talk)
    await work.do(once=True)
    closed = post.closed
    await engine.push_services.set(app, "apns", {"key": "new"})
    await work.do()
    assert [b.credentials["key"] for b in post.brought] == ["secret", "new"]
    assert post.closed == closed + 2  # the one that checked the new ones, and the one with the old ones


async def test_without_credentials_nothing_is_sent_any_more(
    engine: Engine, app: App, work: Work, post: Post, talk: str
) -> None:
    await send(engine, app, talk)
    await work.do(once=True)
    await engine.push_services.remove(app, "apns")
    await work.do()
    await send(engine, app, talk)
    assert post.brought == []
    assert await work.jobs() == []


# who is here and hears nothing


@pytest.fixture
async def here(engine: Engine, app: App, talk: str) -> Conversation:
    """Bob is online, as a client that acknowledges what it gets."""
    come(engine, app, "bob")
    first = await send(engine, app, talk, push="")
    await acknowledge(engine, app, "bob", talk, first)
    return await engine.access.conversation(app, talk)


async def test_who_is_here_and_acknowledges_nothing_is_pushed_to(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall, here: Conversation
) -> None:
    await send(engine, app, here.id)
    await work.do()
    assert post.brought == []
    (check,) = await work.jobs()
    assert (check.kind, check.due_at) == (push_plans.CHECK, NOON + 15_000)
    wall.at += 15_000
    await work.do()
    assert post.tokens == [token_of("bob")]


async def test_who_acknowledges_is_not(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall, here: Conversation
) -> None:
    place = await send(engine, app, here.id)
    await work.do()
    await acknowledge(engine, app, "bob", here.id, place)
    wall.at += 15_000
    await work.do()
    assert post.brought == []


async def test_who_has_read_is_not(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall, here: Conversation
) -> None:
    place = await send(engine, app, here.id)
    await work.do()
    await engine.unread.mark_read(app, "bob", here.id, place.id, None)
    wall.at += 15_000
    await work.do()
    assert post.brought == []


async def test_who_went_without_a_word_is_pushed_to(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall, here: Conversation
) -> None:
    await send(engine, app, here.id)
    await work.do()
    leave(engine, app, "bob")
    wall.at += 15_000
    await work.do()
    assert post.tokens == [token_of("bob")]


@pytest.mark.parametrize("stays", [True, False])
async def test_who_never_acknowledges_anything_is_not_taken_for_lost(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall, talk: str, stays: bool
) -> None:
    come(engine, app, "bob")
    await send(engine, app, talk)
    await work.do()
    if not stays:
        leave(engine, app, "bob")
    wall.at += 15_000
    await work.do()
    assert post.brought == []


async def test_who_came_back_and_was_told_by_counts_is_not_pushed_to(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall, here: Conversation
) -> None:
    await send(engine, app, here.id)
    await work.do()
    leave(engine, app, "bob")
    come(engine, app, "bob")
    wall.at += 15_000
    await work.do()
    assert post.brought == []


async def test_who_is_here_without_a_device_is_not_looked_at_again(
    engine: Engine, app: App, work: Work, wall: Wall
) -> None:
    talk = (await start(engine, app, "ann", "cem")).id
    come(engine, app, "cem")
    await send(engine, app, talk)
    await work.do()
    assert await work.jobs() == []


async def test_what_was_recalled_is_not_pushed_to_who_was_here(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall, here: Conversation
) -> None:
    place = await send(engine, app, here.id)
    await work.do()
    await engine.edits.apply(app, "ann", [Edit(here.id, place.id, place.timestamp, None)], lambda at: None)
    wall.at += 15_000
    await work.do()
    assert post.brought == []


async def test_a_stream_is_looked_at_by_its_own_marks(
    engine: Engine, app: App, work: Work, post: Post, wall: Wall
) -> None:
    row = await engine.services.create(app, {"name": "news"})
    service = await engine.services.find(app, row.id)
    for client in ("bob", "cem"):
        await register(engine, app, client)
        await engine.services.subscribe(app, service, client, client, lambda _: None)
        come(engine, app, client)

    async def say(push: str) -> Stored:
        draft = Draft("hi", push_data=push)
        return await engine.service_messages.send_alone(app, service, "news", ["bob", "cem"], draft, sync=False)

    first = await say("")
    for client in ("bob", "cem"):
        await acknowledge(engine, app, client, row.id, first)
    second = await say(HELLO)
    await work.do()
    await acknowledge(engine, app, "bob", row.id, second)
    wall.at += 15_000
    await work.do()
    assert post.tokens == [token_of("cem")]


# rates


async def test_pushes_over_the_rate_wait(engine: Engine, app: App, work: Work, post: Post) -> None:
    now, slept = [0.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    engine.push_sending._monotonic = lambda: now[0]
    engine.push_sending._sleep = sleep
    await engine.apps.change(app.id, {"push_rate": "2"})
    for number in range(5):
        await register(engine, app, "bob", number)
    talk = (await start(engine, app, "ann", "bob")).id
    await send(engine, app, talk)
    await work.do()
    assert len(post.brought) == 5
    assert now[0] >= 90.0  # two at once, and each of the others half a minute later
    assert slept
