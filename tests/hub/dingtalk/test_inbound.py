"""What DingTalk tells an app: taken if it is DingTalk's, and told once."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hongyan.hub.connector import (
    Acted,
    Chat,
    Event,
    Forged,
    Happened,
    Incoming,
    Outcome,
    Person,
    Problem,
    Reception,
    Said,
    Target,
)
from hongyan.hub.connectors.dingtalk.app import AppConnector
from hongyan.hub.connectors.dingtalk.crypto import card_sign, robot_sign
from hongyan.hub.connectors.sealed_callback import SealedCallback
from hongyan.hub.content import Audio, Button, Card, File, Image, Markdown, Media, Message, Text, Video
from hongyan.sandbox.dingtalk import DingTalk
from hongyan.sandbox.dingtalk.world import AES_KEY, APP_KEY, APP_SECRET, CALLBACK_TOKEN, CARD_SECRET, CORP_ID
from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.server import Sandbox
from tests.hub.dingtalk.conftest import app_credentials
from tests.support.hub import START, Around, Clock
from tests.support.misshapen import check_all

SAID = {
    "conversationId": "cidOps0sandbox==",
    "conversationType": "2",
    "conversationTitle": "运维值班群",
    "msgId": "msg1",
    "senderNick": "张三",
    "senderStaffId": "zhangsan",
    "createAt": START,
    "isInAtList": True,
    "msgtype": "text",
    "text": {"content": " status "},
}
PRESSED = {
    "type": "actionCallback",
    "outTrackId": "card1",
    "corpId": CORP_ID,
    "userId": "lisi",
    "spaceId": "cidOps0sandbox==",
    "content": json.dumps(
        {
            "cardPrivateData": {
                "actionIds": ["take"],
                "params": {"action": "take", "value": "7", "why": "mine", "n": [1]},
            }
        }
    ),
}


class Door:
    """Where the emulator tells the app."""

    def __init__(self, app: AppConnector) -> None:
        self.app = app
        self.events: list[Event] = []
        self.url = ""

    async def serve(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        incoming = Incoming(request.method, dict(request.query), headers, await request.read())
        reception = await self.app.receive(incoming)
        self.events += reception.events
        reply = reception.reply
        return web.Response(status=reply.status, body=reply.body, content_type=reply.type)


@pytest.fixture
async def door(app: AppConnector) -> AsyncIterator[Door]:
    made = Door(app)
    served = web.Application()
    served.router.add_route("*", "/in", made.serve)
    async with TestServer(served) as server:
        made.url = str(server.make_url("/in"))
        yield made


def signed(body: object, *, stamp: int = START, secret: str = APP_SECRET, **headers: str) -> Incoming:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = {"timestamp": str(stamp), "sign": robot_sign(secret, str(stamp))}
    return Incoming("POST", {}, {**signature, **headers}, raw)


def pressed(body: object, *, stamp: int = START, secret: str = CARD_SECRET) -> Incoming:
    headers = {"x-ddpaas-signature-timestamp": str(stamp), "x-ddpaas-signature": card_sign(secret, str(stamp))}
    return Incoming("POST", {}, headers, json.dumps(body).encode())


def pushed(
    body: object, *, stamp: int = START, owner: str = APP_KEY, name: str = "signature", random: bytes = bytes(16)
) -> Incoming:
    crypto = SealedCallback(CALLBACK_TOKEN, AES_KEY, ())
    encrypted = crypto.seal(json.dumps(body).encode(), owner, random)
    query = {"timestamp": str(stamp), "nonce": "n", name: crypto.sign(str(stamp), "n", encrypted)}
    return Incoming("POST", query, {}, json.dumps({"encrypt": encrypted}).encode())


async def event(app: AppConnector, incoming: Incoming) -> Event:
    (found,) = (await app.receive(incoming)).events
    return found


# through the emulator


async def test_something_is_said_in_a_group(door: Door, emulator: DingTalk) -> None:
    told = await emulator.tell(Inbound("text", "zhangsan", "cidOps0sandbox==", "status"), door.url)
    assert (told.status, told.body) == (200, '{"msgtype":"empty"}')
    (said,) = door.events
    assert isinstance(said, Said)
    assert said.chat == Chat(Target("group", "cidOps0sandbox=="), "运维值班群")
    assert (said.sender, said.message, said.mentioned) == (Person("zhangsan", "张三"), Message(Text("status")), True)
    assert said.at == START


async def test_the_chat_can_be_answered(door: Door, emulator: DingTalk, sandbox: Sandbox) -> None:
    for chat in ("", "cidOps0sandbox=="):
        await emulator.tell(Inbound("text", "lisi", chat, "status"), door.url)
    for said in door.events:
        assert isinstance(said, Said)
        sent = await door.app.send(Message(Text("fine")), [said.chat.target], key=said.id)
        assert sent.results[0].outcome is Outcome.OK
    assert [each.to for each in sandbox.board.all()] == [["lisi"], ["cidOps0sandbox=="]]


async def test_a_picture_is_fetched(door: Door, emulator: DingTalk, sandbox: Sandbox) -> None:
    sandbox.board.keep("@picture", "a.png", "image/png", b"png")
    await emulator.tell(Inbound("image", "lisi", value="@picture"), door.url)
    (said,) = door.events
    assert isinstance(said, Said)
    assert said.chat == Chat(Target("user", "lisi"), "", True)
    assert said.message == Message(Image(Media()))
    assert await door.app.fetch(said.media[0]) == b"png"
    with pytest.raises(Problem):
        await door.app.fetch({"code": "gone"})


async def test_a_button_of_a_card_is_pressed(
    door: Door, emulator: DingTalk, sandbox: Sandbox, card_app: AppConnector
) -> None:
    card = Card("Disk", buttons=(Button("Mine", id="take", value="7"),))
    sent = await card_app.send(Message(card), [Target("group", "cidOps0sandbox==")], key="m1")
    (shown,) = sandbox.board.all()
    door.app = card_app
    told = await emulator.tell(Inbound("action", "lisi", on=shown.id, action="take", value="7"), door.url)
    assert (told.status, told.body) == (200, "{}")
    (acted,) = door.events
    assert isinstance(acted, Acted)
    assert (acted.sender.id, acted.action, acted.value, acted.inputs) == ("lisi", "take", "7", {})
    assert acted.chat == Chat(Target("group", "cidOps0sandbox=="))
    assert sent.results[0].receipt is not None
    assert acted.receipt["card"] == sent.results[0].receipt["card"]
    await card_app.update(acted.receipt, Message(Card("Taken by 李四")))
    assert shown.payload["cardParamMap"]["title"] == "Taken by 李四"


async def test_events_are_answered_encrypted(door: Door, emulator: DingTalk) -> None:
    told = await emulator.tell(Inbound("check", ""), door.url)
    assert (told.status, told.body, door.events) == (200, "success", [])
    told = await emulator.tell(Inbound("added", "wangwu", "cidDev0sandbox=="), door.url)
    assert (told.status, told.body) == (200, "success")
    (happened,) = door.events
    assert isinstance(happened, Happened)
    assert (happened.name, happened.at, happened.data["UserId"]) == ("chat_add_member", START, ["wangwu"])


# what is said


@pytest.mark.parametrize(
    ("fields", "content", "codes"),
    [
        ({"msgtype": "picture", "content": {"downloadCode": "c"}}, Image(Media()), ["c"]),
        (
            {"msgtype": "audio", "content": {"downloadCode": "c", "duration": 2500, "recognition": "hi"}},
            Audio(Media(seconds=2.5, type="audio/amr")),
            ["c"],
        ),
        (
            {"msgtype": "audio", "content": {"downloadCode": "c", "duration": 10**400}},
            Audio(Media(type="audio/amr")),
            ["c"],
        ),
        ({"msgtype": "video", "content": {"downloadCode": "c"}}, Video(Media(type="video/mp4")), ["c"]),
        ({"msgtype": "file", "content": {"downloadCode": "c", "fileName": "a.pdf"}}, File(Media(name="a.pdf")), ["c"]),
        ({"msgtype": "file", "content": '{"downloadCode":"c","fileName":"a.pdf"}'}, File(Media(name="a.pdf")), ["c"]),
        (
            {"msgtype": "richText", "content": {"richText": [{"text": "a*b* "}, {"downloadCode": "c"}, {"text": "d"}]}},
            Markdown("a\\*b\\* d"),
            ["c"],
        ),
        ({"msgtype": "richText", "content": {"richText": [{"downloadCode": "c"}]}}, Image(Media()), ["c"]),
        ({"msgtype": "hologram"}, Text("[hologram]"), []),
        ({"msgtype": "text", "text": None}, Text(""), []),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_is_said(app: AppConnector, fields: dict[str, Any], content: object, codes: list[str]) -> None:
    said = await event(app, signed({**SAID, **fields}))
    assert isinstance(said, Said)
    assert said.message == Message(content)  # type: ignore[arg-type]
    assert [each["code"] for each in said.media] == codes


async def test_somebody_of_another_company(app: AppConnector) -> None:
    said = await event(app, signed({**SAID, "senderStaffId": None, "senderId": "$:LWCP_v1:$x", "isInAtList": False}))
    assert isinstance(said, Said)
    assert (said.sender.id, said.mentioned) == ("$:LWCP_v1:$x", False)


# verified


@pytest.mark.parametrize("skew", [-3599, 3599])
async def test_a_clock_that_is_nearly_an_hour_wrong(app: AppConnector, clock: Clock, skew: int) -> None:
    clock.skew = skew
    for incoming in (signed(SAID), pressed(PRESSED), pushed({"EventType": "check_url"})):
        await app.receive(incoming)


@pytest.mark.parametrize("skew", [-3601, 3601])
async def test_a_clock_that_is_more_than_an_hour_wrong(app: AppConnector, clock: Clock, skew: int) -> None:
    clock.skew = skew
    for incoming in (signed(SAID), pressed(PRESSED), pushed({"EventType": "check_url"})):
        with pytest.raises(Forged, match="clock"):
            await app.receive(incoming)


def without(incoming: Incoming, *names: str) -> Incoming:
    return incoming._replace(
        headers={name: value for name, value in incoming.headers.items() if name not in names},
        query={name: value for name, value in incoming.query.items() if name not in names},
    )


def changed(incoming: Incoming, name: str, value: str) -> Incoming:
    if name in incoming.headers:
        return incoming._replace(headers={**incoming.headers, name: value})
    return incoming._replace(query={**incoming.query, name: value})


@pytest.mark.parametrize(
    "incoming",
    [
        without(signed(SAID), "sign"),
        without(signed(SAID), "timestamp"),
        signed(SAID, secret="other"),
        changed(signed(SAID), "timestamp", str(START + 1)),
        changed(signed(SAID), "sign", "ключ"),
        changed(signed(SAID), "timestamp", "soon"),
        signed(SAID, stamp=-START),
        pressed(PRESSED, secret="other"),
        without(pressed(PRESSED), "x-ddpaas-signature-timestamp"),
        without(pressed(PRESSED), "x-ddpaas-signature"),
        changed(pushed({"EventType": "x"}), "signature", "0" * 40),
        changed(pushed({"EventType": "x"}), "nonce", "m"),
        without(pushed({"EventType": "x"}), "timestamp"),
        pushed({"EventType": "x"}, owner="dingother"),
        # a megabyte of JSON takes a tenth of a second: what can't be read stands for it, and is not read
        pushed({"EventType": "x"})._replace(body=b'{"encrypt": "AAAA", "more": 1e999}'),
        Incoming("POST", {}, {}, json.dumps(SAID).encode()),
    ],
)
async def test_what_is_forged(app: AppConnector, incoming: Incoming) -> None:
    with pytest.raises(Forged):
        await app.receive(incoming)


@pytest.mark.parametrize(
    "incoming",
    [
        signed(b"text=hello"),
        signed(b"\xff\xfe"),
        signed(b"[" * 10_000),
        signed([]),
        signed({"msgtype": "text", "text": {"content": "x"}}),
        signed({**SAID, "msgId": 7}),
        signed({**SAID, "conversationId": ""}),
        pressed({"schema": "2.0", "header": {"event_type": "card.action.trigger"}}),
        pressed({**PRESSED, "content": "no JSON"}),
        pressed({**PRESSED, "content": "{}"}),
        pushed({"type": "url_verification"}),
        pushed([]),
        pushed({"EventType": "x"})._replace(body=b"<xml><Encrypt>x</Encrypt></xml>"),
        pushed({"EventType": "x"})._replace(body=b"{}"),
        signed(SAID)._replace(method="GET"),
    ],
)
async def test_what_is_no_request_of_dingtalk(app: AppConnector, incoming: Incoming) -> None:
    with pytest.raises(Problem) as caught:
        await app.receive(incoming)
    assert caught.value.outcome is Outcome.BAD_CONTENT


async def test_events_for_the_company(app: AppConnector) -> None:
    for name in ("signature", "msg_signature"):
        reception = await app.receive(pushed({"EventType": "check_url"}, owner=CORP_ID, name=name))
        assert answered(reception, CORP_ID) == b"success"


@pytest.mark.parametrize("name", ["check_create_suite_url", "check_update_suite_url"])
async def test_checks_of_suites(app: AppConnector, name: str) -> None:
    reception = await app.receive(pushed({"EventType": name}))
    assert (answered(reception, APP_KEY), reception.events) == (b"success", ())


def answered(reception: Reception, owner: str) -> bytes:
    answer = json.loads(reception.reply.body)
    crypto = SealedCallback(CALLBACK_TOKEN, AES_KEY, (owner,))
    assert answer["msg_signature"] == crypto.sign(answer["timeStamp"], answer["nonce"], answer["encrypt"])
    return crypto.unseal(answer["encrypt"])[0]


async def test_without_the_credentials_nothing_is_taken(sandbox: Sandbox, around: Around) -> None:
    none = {"callback_token": "", "callback_aes_key": "", "card_secret": "", "card_route_key": ""}
    app = AppConnector(app_credentials(sandbox.origin, **none), around())
    for incoming in (pressed(PRESSED, secret=""), pushed({"EventType": "x"})):
        with pytest.raises(Forged, match="has no"):
            await app.receive(incoming)
    await app.close()


# told once


@pytest.mark.parametrize(
    "again",
    [
        lambda stamp: signed(SAID, stamp=stamp),
        lambda stamp: pushed(
            {"EventType": "x", "TimeStamp": "1"}, stamp=stamp, random=base64.b64decode("A" * 22 + "==")
        ),
        lambda stamp: pushed({"EventType": "x", "eventId": "e"}, stamp=stamp),
    ],
)
async def test_what_is_told_again_has_the_same_id(app: AppConnector, again: Callable[[int], Incoming]) -> None:
    first, second = await event(app, again(START)), await event(app, again(START + 5000))
    assert first.id == second.id


async def test_a_press_that_is_replayed_has_the_same_id(app: AppConnector) -> None:
    first, replayed = await event(app, pressed(PRESSED)), await event(app, pressed(PRESSED))
    later = await event(app, pressed(PRESSED, stamp=START + 1))
    assert first.id == replayed.id != later.id
    assert isinstance(first, Acted)
    assert (first.value, first.inputs) == ("7", {"why": "mine", "n": ["1"]})


@pytest.mark.parametrize(
    ("params", "action"), [({}, "take"), ({"action": "other"}, "other"), (None, "take")], ids=["ids", "params", "none"]
)
async def test_what_is_pressed(app: AppConnector, params: object, action: str) -> None:
    content = json.dumps({"cardPrivateData": {"actionIds": ["take"], "params": params}})
    acted = await event(app, pressed({**PRESSED, "content": content}))
    assert isinstance(acted, Acted)
    assert acted.action == action


@pytest.mark.parametrize(
    ("space", "target"),
    [
        ("dtv1.card//IM_GROUP.cidX==", Target("group", "cidX==")),
        ("dtv1.card//IM_ROBOT.lisi", Target("user", "lisi")),
        ("cidX==", Target("group", "cidX==")),
    ],
)
async def test_where_it_is_pressed_inferred(app: AppConnector, space: str, target: Target) -> None:
    acted = await event(app, pressed({**PRESSED, "spaceId": space}))
    assert isinstance(acted, Acted)
    assert acted.chat is not None
    assert acted.chat.target == target


RICH = {"richText": [{"text": "look"}, {"type": "picture", "downloadCode": "code"}]}


@pytest.mark.parametrize(
    "body",
    [
        SAID,
        {**SAID, "msgtype": "richText", "content": RICH},
        {**SAID, "msgtype": "audio", "content": {"duration": 4000}},
    ],
    ids=["text", "rich text", "audio"],
)
async def test_another_shape_at_any_place_is_refused_or_understood(app: AppConnector, body: dict[str, Any]) -> None:
    async def take(wrong: dict[str, Any]) -> Reception:
        return await app.receive(signed(wrong))

    await check_all(body, take)


async def test_another_shape_of_a_press_is_refused_or_understood(app: AppConnector) -> None:
    content = json.loads(PRESSED["content"])
    await check_all(PRESSED, lambda wrong: app.receive(pressed(wrong)))
    await check_all(content, lambda wrong: app.receive(pressed({**PRESSED, "content": json.dumps(wrong)})))
