"""What Feishu tells us: verified, decrypted, answered and understood; and what is refused."""

import asyncio
import json
from typing import Any

import pytest

from hongyan.hub.connector import Acted, Chat, Forged, Happened, Incoming, Outcome, Person, Problem, Said, Target
from hongyan.hub.connectors.feishu import crypto
from hongyan.hub.connectors.feishu.app import AppConnector
from hongyan.hub.connectors.feishu.credentials import AppCredentials
from hongyan.hub.connectors.feishu.inbound import Inbound
from hongyan.hub.content import (
    Audio,
    Button,
    Card,
    Content,
    File,
    Form,
    Image,
    Input,
    Location,
    Markdown,
    Media,
    Mention,
    Message,
    Option,
    Text,
    Video,
)
from hongyan.sandbox.feishu import Feishu
from hongyan.sandbox.feishu.crypto import encrypted
from hongyan.sandbox.feishu.world import ENCRYPT_KEY, VERIFICATION_TOKEN
from tests.support.hub import PNG, START, Around, Clock, Files
from tests.support.misshapen import check_all

GROUP = Target("group", "oc_sandbox_ops")
PERSON = Target("user", "ou_sandbox_zhangsan")


# the vectors of the reference


def test_the_signature_of_a_robot() -> None:
    assert crypto.robot_sign("feishu-secret", "1700000000") == "OrBzY1Y01Gq+HgJsl+7OfWcMVwc7YocohQm5iiZwjhU="


def test_the_signature_of_an_event() -> None:
    assert crypto.event_signature("1700000000", "nonce1", "ekey", b'{"encrypt":"abc"}') == (
        "2eca4f3ac5376c6dded4e69a1f13ac45d96702061f87c3bdd5d361cc3fabf644"
    )


@pytest.mark.parametrize(
    "packed", ["MDEyMzQ1Njc4OWFiY2RlZnu9LlFKV10D5I71E4diiao=", "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk="]
)
def test_decryption(packed: str) -> None:
    assert crypto.decrypt("test key", packed) == b"hello world"


@pytest.mark.parametrize("packed", ["", "x", "MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMzQ1Njc4OWFiY2RlZnu9LlFKV10D5I71E4dii"])
def test_what_cannot_be_decrypted(packed: str) -> None:
    with pytest.raises(ValueError, match="encrypted"):
        crypto.decrypt("test key", packed)


def test_another_key() -> None:
    with pytest.raises(ValueError, match="Encrypt Key"):
        crypto.decrypt("other key", "MDEyMzQ1Njc4OWFiY2RlZnu9LlFKV10D5I71E4diiao=")


# requests


def request(
    body: dict[str, Any], clock: Clock, *, key: str = ENCRYPT_KEY, at: float | None = None, **headers: str
) -> Incoming:
    """As Feishu makes it for an app with this Encrypt Key."""
    plain = json.dumps(body).encode()
    if not key:
        return Incoming("POST", {}, headers, plain)
    packed = json.dumps({"encrypt": encrypted(key, plain)}).encode()
    timestamp = str(int(clock.platforms() if at is None else at))
    signature = crypto.event_signature(timestamp, "nonce", key, packed)
    signed = {
        "x-lark-request-timestamp": timestamp,
        "x-lark-request-nonce": "nonce",
        "x-lark-signature": signature,
    }
    return Incoming("POST", {}, {**signed, **headers}, packed)


def event(name: str, event: dict[str, Any], **header: str) -> dict[str, Any]:
    head = {"event_id": "e1", "event_type": name, "create_time": str(START), "token": VERIFICATION_TOKEN}
    return {"schema": "2.0", "header": {**head, **header}, "event": event}


def said(type_: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    message = {
        "message_id": "om_1",
        "create_time": "1609073151345",
        "chat_id": GROUP.id,
        "chat_type": "group",
        "message_type": type_,
        "content": json.dumps(content),
        **more,
    }
    ids = {"open_id": PERSON.id, "user_id": "zhangsan", "union_id": "on_sandbox_zhangsan"}
    return event("im.message.receive_v1", {"sender": {"sender_id": ids, "sender_type": "user"}, "message": message})


def calls(key: str, name: str, open_id: str) -> dict[str, Any]:
    return {"key": key, "name": name, "id": {"open_id": open_id, "user_id": "", "union_id": ""}}


@pytest.mark.parametrize("key", [ENCRYPT_KEY, ""])
async def test_verification_of_the_address(around: Around, credentials: AppCredentials, clock: Clock, key: str) -> None:
    app = AppConnector(_with(credentials, encrypt_key=key), around())
    asked = {"challenge": "c", "token": VERIFICATION_TOKEN, "type": "url_verification"}
    reception = await app.receive(request(asked, clock, key=key)._replace(headers={}))
    assert (reception.reply.status, json.loads(reception.reply.body)) == (200, {"challenge": "c"})
    assert reception.events == ()
    with pytest.raises(Forged):
        await app.receive(request({**asked, "token": "other"}, clock, key=key))


class Together:
    """Names that come only when all have been asked for."""

    def __init__(self) -> None:
        self._all = asyncio.Barrier(3)

    async def person(self, open_id: str) -> str:
        return await self._told("Zhang")

    async def chat(self, chat_id: str) -> str:
        return await self._told("Team")

    async def bot(self) -> str:
        return await self._told("ou_bot")

    async def _told(self, name: str) -> str:
        async with asyncio.timeout(60):
            await self._all.wait()
        return name


async def test_names_are_asked_for_at_once_so_that_the_answer_is_in_time(
    credentials: AppCredentials, clock: Clock
) -> None:
    inbound = Inbound(credentials, Together(), clock.wall)
    body = said("text", {"text": "@_user_1 hi"}, mentions=[calls("@_user_1", "Bot", "ou_bot")])
    [found] = (await inbound.receive(request(body, clock))).events
    assert isinstance(found, Said)
    assert (found.sender.name, found.chat.title, found.mentioned) == ("Zhang", "Team", True)


async def test_what_cannot_be_decrypted_is_answered_in_one_way(app: AppConnector, clock: Clock) -> None:
    """Whoever sends it again with some bits changed does not learn what was right of it."""
    said = set()
    garbage = encrypted(ENCRYPT_KEY, b"no JSON")
    for packed in (garbage, encrypted("another key", b"{}"), garbage[:-4] + "AAA=", encrypted(ENCRYPT_KEY, b"[]"), "?"):
        with pytest.raises(Forged) as refused:
            await app.receive(Incoming("POST", {}, {}, json.dumps({"encrypt": packed}).encode()))
        said.add(str(refused.value))
    assert len(said) == 1


def _with(credentials: AppCredentials, **changes: str) -> AppCredentials:
    names = ("app_id", "app_secret", "encrypt_key", "verification_token", "base_url")
    return AppCredentials(**{**{name: getattr(credentials, name) for name in names}, **changes})


async def test_a_text_in_a_group(app: AppConnector, clock: Clock) -> None:
    mentions = [calls("@_user_1", "鸿雁助手", "ou_sandbox_bot"), calls("@_user_2", "李四", "ou_sandbox_lisi")]
    given = said("text", {"text": "@_user_1 ask @_user_2"}, mentions=mentions, root_id="om_0")
    reception = await app.receive(request(given, clock))
    assert (reception.reply.status, json.loads(reception.reply.body)) == (200, {"msg": "success"})
    assert reception.events == (
        Said(
            "om_1",
            Chat(GROUP, "运维值班群"),
            Person(PERSON.id, "张三"),
            Message(Text("ask @李四"), (Mention(user="ou_sandbox_lisi", name="李四"),), "om_0"),
            1609073151345,
            {"message_id": "om_1", "chat_id": GROUP.id},
            True,
        ),
    )


async def test_ten_who_are_mentioned_are_told_apart(app: AppConnector, clock: Clock) -> None:
    mentions = [calls(f"@_user_{number}", f"n{number}", f"ou_{number}") for number in range(1, 11)]
    text = " ".join(f"@_user_{number}" for number in range(1, 11))
    (found,) = (await app.receive(request(said("text", {"text": text}, mentions=mentions), clock))).events
    assert isinstance(found, Said)
    assert found.message.content == Text(" ".join(f"@n{number}" for number in range(1, 11)))


async def test_everyone_is_mentioned(app: AppConnector, clock: Clock) -> None:
    given = said("text", {"text": "@_all hi"}, mentions=[calls("@_all", "所有人", "")])
    (found,) = (await app.receive(request(given, clock))).events
    assert isinstance(found, Said)
    assert (found.message.content, found.message.mentions) == (Text("@所有人 hi"), (Mention(everyone=True),))


async def test_a_direct_message_is_for_the_bot(app: AppConnector, clock: Clock) -> None:
    (found,) = (await app.receive(request(said("text", {"text": "hi"}, chat_type="p2p"), clock))).events
    assert isinstance(found, Said)
    assert (found.chat, found.mentioned) == (Chat(GROUP, direct=True), True)


POST = {
    "title": "T",
    "content": [
        [
            {"tag": "text", "text": "a*b", "style": ["bold"]},
            {"tag": "a", "text": "l", "href": "https://a.example"},
            {"tag": "at", "user_id": "@_user_1", "user_name": ""},
        ],
        [{"tag": "img", "image_key": "img_1"}],
        [{"tag": "code_block", "language": "GO", "text": "x"}],
        [{"tag": "hr"}],
        [{"tag": "emotion", "emoji_type": "SMILE"}, {"tag": "text", "text": " ~", "style": ["lineThrough"]}],
        [{"tag": "a", "text": "bad", "href": "javascript:x"}],
    ],
}
POST_TEXT = "**a\\*b**[l](<https://a.example>)@李四\n\n\\[🖼 1\\]\n\n```go\nx\n```\n\n---\n\n:SMILE:~~ \\~~~\n\nbad"


@pytest.mark.parametrize(
    ("type_", "content", "message", "media"),
    [
        ("post", POST, Markdown(POST_TEXT, "T"), [("img_1", "image")]),
        ("image", {"image_key": "img_1"}, Image(Media(name="image", type="image/*")), [("img_1", "image")]),
        ("file", {"file_key": "f", "file_name": "a.txt"}, File(Media(name="a.txt")), [("f", "file")]),
        (
            "audio",
            {"file_key": "f", "duration": 2500},
            Audio(Media(name="audio.opus", type="audio/opus", seconds=2.5)),
            [("f", "file")],
        ),
        (
            "audio",
            {"file_key": "f", "duration": 10**400},
            Audio(Media(name="audio.opus", type="audio/opus")),
            [("f", "file")],
        ),
        (
            "media",
            {"file_key": "f", "image_key": "i", "file_name": "a.mp4", "duration": 2000},
            Video(Media(name="a.mp4", type="video/mp4", seconds=2.0)),
            [("f", "file")],
        ),
        ("location", {"name": "外滩", "longitude": "121.4", "latitude": "31.2"}, Location(31.2, 121.4, "外滩"), []),
        ("location", {"name": "外滩", "longitude": "x", "latitude": "31.2"}, Text("外滩"), []),
        ("interactive", {"title": "T", "elements": [[{"tag": "text", "text": "x"}]]}, Markdown("x", "T"), []),
        ("sticker", {"file_key": "f"}, Text("[sticker]"), []),
        ("hongbao", {"text": "[红包]"}, Text("[hongbao] [红包]"), []),
        ("calendar", {"summary": "会议"}, Text("[calendar] 会议"), []),
        ("share_chat", {"chat_id": "oc_1"}, Text("[share_chat]"), []),
        ("text", {"text": ""}, Text("@"), []),
    ],
)
async def test_messages_of_each_type(
    app: AppConnector,
    clock: Clock,
    type_: str,
    content: dict[str, Any],
    message: Content,
    media: list[tuple[str, str]],
) -> None:
    mentions = [calls("@_user_1", "李四", "ou_sandbox_lisi")] if type_ == "post" else []
    (found,) = (await app.receive(request(said(type_, content, mentions=mentions), clock))).events
    assert isinstance(found, Said)
    assert found.message.content == message
    assert found.media == tuple({"message_id": "om_1", "key": key, "type": each} for key, each in media)


async def test_what_bots_say_is_not_heard(app: AppConnector, clock: Clock) -> None:
    given = said("text", {"text": "hi"})
    given["event"]["sender"]["sender_type"] = "app"
    reception = await app.receive(request(given, clock))
    assert (reception.reply.status, reception.events) == (200, ())


@pytest.mark.parametrize(
    "name", ["im.message.message_read_v1", "im.message.recalled_v1", "im.chat.member.bot.deleted_v1"]
)
async def test_other_events(app: AppConnector, clock: Clock, name: str) -> None:
    reception = await app.receive(request(event(name, {"chat_id": "oc_1"}), clock))
    assert reception.events == (Happened("e1", name, START, {"chat_id": "oc_1"}),)


async def test_events_of_the_first_version(app: AppConnector, clock: Clock) -> None:
    inner = {
        "type": "message",
        "open_message_id": "om_1",
        "open_chat_id": GROUP.id,
        "open_id": PERSON.id,
        "chat_type": "group",
        "msg_type": "text",
        "text": "@bot hi",
        "text_without_at_bot": " hi",
        "is_mention": True,
    }
    body = {
        "uuid": "u1",
        "token": VERIFICATION_TOKEN,
        "ts": f"{START / 1000}",
        "type": "event_callback",
        "event": inner,
    }
    (found,) = (await app.receive(request(body, clock))).events
    receipt = {"message_id": "om_1", "chat_id": GROUP.id}
    assert found == Said("om_1", Chat(GROUP), Person(PERSON.id), Message(Text("hi")), START, receipt, True)
    body["event"] = {"type": "p2p_chat_create", "chat_id": "oc_1"}
    (other,) = (await app.receive(request(body, clock))).events
    assert isinstance(other, Happened)
    assert (other.id, other.name) == ("u1", "p2p_chat_create")


# buttons


async def test_presses_and_forms_through_the_sandbox(
    app: AppConnector, feishu: Feishu, clock: Clock, door: Any
) -> None:
    inputs = (
        Input("why", "Why", required=True),
        Input("day", "Day", "date"),
        Input("some", "Some", "checks", (Option("1", "one"), Option("2", "two"))),
    )
    card = Card("T", buttons=(Button("Ack", id="ack", value="7"),), form=Form("f", inputs))
    sent = await app.send(Message(card), [GROUP], key="k")
    receipt = sent.results[0].receipt
    assert receipt is not None
    told = await door.tell(kind="action", user=PERSON.id, on=receipt["message_id"], action="ack")
    assert (told.status, told.body) == (200, "{}")
    (pressed,) = door.take()
    assert isinstance(pressed, Acted)
    assert (pressed.action, pressed.value, pressed.sender, pressed.inputs) == ("ack", "7", Person(PERSON.id), {})
    assert (pressed.receipt, pressed.chat, pressed.at) == (receipt, Chat(GROUP), clock.wall())
    form = {"why": "because", "day": "2026-11-26", "some": ["1", "2"]}
    await door.tell(kind="action", user=PERSON.id, on=receipt["message_id"], action="f", inputs=form)
    (filled,) = door.take()
    assert isinstance(filled, Acted)
    assert (filled.action, filled.inputs) == ("f", form)
    await app.update(filled.receipt, Message(Card("Done")))
    assert feishu.board.all()[-1].state == "changed"


async def test_the_older_callback_of_cards(app: AppConnector, door: Any) -> None:
    sent = await app.send(Message(Card("T", buttons=(Button("Ack", id="ack"),))), [GROUP], key="k")
    assert sent.results[0].receipt is not None
    on = sent.results[0].receipt["message_id"]
    told = await door.tell(kind="action_v1", user=PERSON.id, on=on, action="ack")
    assert (told.status, told.body) == (200, "{}")
    (pressed,) = door.take()
    assert isinstance(pressed, Acted)
    assert (pressed.action, pressed.sender.id) == ("ack", PERSON.id)
    assert pressed.id == json.loads(door.last.body)["token"]
    again = await app.receive(door.last._replace(headers={**door.last.headers, "x-refresh-token": "another"}))
    assert again.events[0].id == pressed.id  # that header is not signed
    headers = {**door.last.headers, "x-lark-signature": "0" * 40}
    with pytest.raises(Forged, match="signature"):
        await app.receive(door.last._replace(headers=headers))


async def test_a_conversation_through_the_sandbox(app: AppConnector, feishu: Feishu, door: Any, files: Files) -> None:
    assert (await door.tell(kind="check", user="")).status == 200
    await door.tell(kind="text", user=PERSON.id, chat=GROUP.id, text="@鸿雁助手 hi @李四")
    (heard,) = door.take()
    assert isinstance(heard, Said)
    assert (heard.message.content, heard.mentioned) == (Text("hi @李四"), True)
    sent = await app.send(Message(Text("answer"), thread="m"), [heard.chat.target], key="k", thread=heard.receipt)
    assert sent.results[0].outcome is Outcome.OK
    assert feishu.board.all()[-1].thread == heard.receipt["message_id"]
    key = (await app.send(Message(Image(files.add())), [PERSON], key="p")).results[0].receipt
    assert key is not None
    image_key = feishu.board.all()[-1].payload["image_key"]
    await door.tell(kind="image", user=PERSON.id, value=image_key)
    (picture,) = door.take()
    assert isinstance(picture, Said)
    assert picture.chat.direct
    assert await app.fetch(picture.media[0]) == PNG
    await door.tell(kind="read", user=PERSON.id, on=key["message_id"])
    await door.tell(kind="recalled", user=PERSON.id, on=heard.receipt["message_id"])
    await door.tell(kind="added", user=PERSON.id, chat=GROUP.id)
    assert [each.name for each in door.take() if isinstance(each, Happened)] == [
        "im.message.message_read_v1",
        "im.message.recalled_v1",
        "im.chat.member.bot.added_v1",
    ]
    assert (await app.status(key)).read == (PERSON.id,)


async def test_fetching_what_is_gone(app: AppConnector) -> None:
    with pytest.raises(Problem) as caught:
        await app.fetch({"message_id": "om_nobody", "key": "x", "type": "file"})
    assert caught.value.outcome is Outcome.BAD_CONTENT


async def test_names_that_feishu_does_not_tell_keep_nothing_back(
    app: AppConnector, feishu: Feishu, clock: Clock
) -> None:
    feishu.faults.add("feishu", "error", times=10)
    mentions = [calls("@_user_1", "李四", "ou_sandbox_lisi")]
    (found,) = (await app.receive(request(said("text", {"text": "@_user_1"}, mentions=mentions), clock))).events
    assert isinstance(found, Said)
    assert (found.sender, found.chat) == (Person(PERSON.id), Chat(GROUP))


# what is refused


async def test_the_same_event_has_the_same_id(app: AppConnector, clock: Clock) -> None:
    """Feishu may give one message in two events: the message's id counts."""
    given = said("text", {"text": "x"})
    again = {**given, "header": {**given["header"], "event_id": "e2"}}
    first, second = [(await app.receive(request(each, clock))).events[0].id for each in (given, again)]
    assert first == second == "om_1"
    other = [(await app.receive(request(event("x", {"a": 1}), clock))).events[0].id for _ in range(2)]
    assert other == ["e1", "e1"]


async def test_forgeries(app: AppConnector, clock: Clock) -> None:
    given = said("text", {"text": "x"})
    good = request(given, clock)
    await app.receive(good)
    forged = [
        good._replace(headers={**good.headers, "x-lark-signature": "0" * 64}),
        good._replace(headers={**good.headers, "x-lark-signature": "é"}),
        good._replace(headers={}),
        good._replace(headers={**good.headers, "x-lark-request-nonce": "other"}),
        good._replace(body=good.body.replace(b"}", b" }")),
        request(given, clock, key="another key"),
        request(given, clock, key=""),
        request({**given, "header": {**given["header"], "token": "other"}}, clock),
        good._replace(body=b'{"encrypt": 1}'),
        good._replace(body=b'{"encrypt": "AAAA"}'),
    ]
    for each in forged:
        with pytest.raises(Forged):
            await app.receive(each)


@pytest.mark.parametrize(("age", "good"), [(0, True), (7 * 3600, True), (9 * 3600, False), (-9 * 3600, False)])
async def test_a_replay_is_refused_after_the_last_retry_inferred(
    app: AppConnector, clock: Clock, age: float, good: bool
) -> None:
    given = request(said("text", {"text": "x"}), clock, at=clock.platforms() - age)
    if good:
        assert len((await app.receive(given)).events) == 1
    else:
        with pytest.raises(Forged, match="old"):
            await app.receive(given)


async def test_without_an_encrypt_key_the_token_counts(
    around: Around, credentials: AppCredentials, clock: Clock
) -> None:
    app = AppConnector(_with(credentials, encrypt_key=""), around())
    given = said("text", {"text": "x"})
    assert len((await app.receive(request(given, clock, key=""))).events) == 1
    with pytest.raises(Forged, match="token"):
        await app.receive(request({**given, "header": {**given["header"], "token": "other"}}, clock, key=""))
    with pytest.raises(Forged, match="encrypted"):
        await app.receive(request(given, clock))
    clock.advance(9 * 3600)
    with pytest.raises(Forged, match="old"):
        await app.receive(request(given, clock, key=""))
    await app.close()


@pytest.mark.parametrize("key", [ENCRYPT_KEY, ""])
async def test_a_body_is_not_read_before_something_vouches_for_it(
    around: Around, credentials: AppCredentials, key: str
) -> None:
    """A megabyte of JSON takes a tenth of a second: here what can't be read stands for it."""
    app = AppConnector(_with(credentials, encrypt_key=key), around())
    for begin in ('"encrypt":"AAAA"', '"header":{"token":"x"}', '"token":"x"', '"open_message_id":"x","action":{}'):
        with pytest.raises(Forged):
            await app.receive(Incoming("POST", {}, {}, f'{{{begin},"event":{{"n":1e999}}}}'.encode()))
    await app.close()


async def test_an_address_is_not_verified_without_the_key(app: AppConnector) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "x", "token": VERIFICATION_TOKEN}).encode()
    with pytest.raises(Forged, match="not encrypted"):
        await app.receive(Incoming("POST", {}, {}, body))


async def test_with_neither_nothing_is_heard(around: Around, credentials: AppCredentials, clock: Clock) -> None:
    app = AppConnector(_with(credentials, encrypt_key="", verification_token=""), around())
    for body in (
        said("text", {"text": "x"}),
        {"type": "url_verification", "challenge": "x"},
        {"open_message_id": "x", "action": {}},
    ):
        with pytest.raises(Forged):
            await app.receive(request(body, clock, key=""))
    await app.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"{}",
        b"<xml/>",
        b'{"msgtype":"text","text":{"content":"x"}}',
        b'{"type":"event_callback","event":{"type":"message"}}',
        b"[" * 100_000,
    ],
)
async def test_a_wrong_dialect(around: Around, credentials: AppCredentials, body: bytes) -> None:
    app = AppConnector(_with(credentials, encrypt_key=""), around())
    with pytest.raises(Problem) as caught:
        await app.receive(Incoming("POST", {}, {}, body))
    assert caught.value.outcome is Outcome.BAD_CONTENT
    await app.close()


@pytest.mark.parametrize(
    "inner",
    [
        {},
        {"message": []},
        {"message": {"message_id": "om_1", "chat_id": "oc_1", "message_type": "text", "content": "x"}},
        {"sender": {"sender_id": {"open_id": "ou_1"}}, "message": {"message_id": 1}},
    ],
)
async def test_an_event_that_lacks_something(app: AppConnector, clock: Clock, inner: dict[str, Any]) -> None:
    with pytest.raises(Problem) as caught:
        await app.receive(request(event("im.message.receive_v1", inner), clock))
    assert caught.value.outcome is Outcome.BAD_CONTENT


ACTION = event(
    "card.action.trigger",
    {
        "operator": {"open_id": PERSON.id, "user_id": "zhangsan"},
        "token": "c-1",
        "action": {"tag": "button", "value": {"action": "take", "value": "7"}, "form_value": {"why": "ill"}},
        "context": {"open_message_id": "om_1", "open_chat_id": GROUP.id},
    },
)
POST = {"title": "t", "content": [[{"tag": "text", "text": "x"}, {"tag": "at", "user_id": "@_user_1"}]]}


@pytest.mark.parametrize(
    "body",
    [
        said("text", {"text": "@_user_1 hi"}, mentions=[calls("@_user_1", "Tom", "ou_tom")]),
        event("im.message.recalled_v1", {"message_id": "om_1", "chat_id": GROUP.id}),
        ACTION,
    ],
    ids=["said", "recalled", "pressed"],
)
async def test_another_shape_at_any_place_is_refused_or_understood(
    app: AppConnector, clock: Clock, body: dict[str, Any]
) -> None:
    assert (await app.receive(request(body, clock))).events
    await check_all(body, lambda wrong: app.receive(request(wrong, clock)))


@pytest.mark.parametrize(("type_", "content"), [("post", POST), ("file", {"file_key": "f", "file_name": "a.pdf"})])
async def test_another_shape_of_a_content_is_refused_or_understood(
    app: AppConnector, clock: Clock, type_: str, content: dict[str, Any]
) -> None:
    await check_all(content, lambda wrong: app.receive(request(said(type_, wrong), clock)))
