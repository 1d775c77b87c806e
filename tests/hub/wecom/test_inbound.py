"""What WeCom tells an application: verified, decrypted, read, and answered with nothing."""

from typing import Any

import pytest

from hongyan.hub.connector import Acted, Forged, Happened, Incoming, Outcome, Problem, Reception, Said, Target
from hongyan.hub.connectors.wecom.app import App
from hongyan.hub.connectors.wecom.xml import parse
from hongyan.hub.content import Audio, Button, Card, Form, Image, Input, Link, Location, Message, Option, Text
from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.wecom import WeCom
from hongyan.sandbox.wecom.callback import seal, sign, xml
from hongyan.sandbox.wecom.world import AGENTS, CORP
from tests.hub.wecom.conftest import AES_KEY, TOKEN
from tests.hub.wecom.sending import arrived, listening, receipt, tell
from tests.support.hub import PNG, Clock

#: Sealed for another corp.
VECTOR = "Q3stYC6hdFzMh9T8HCvyDHPgJBp1hNiGJRGfxoOyXGI="


def incoming(clock: Clock, plain: bytes, *, method: str = "POST", age: int = 0, **changed: str) -> Incoming:
    """A request as WeCom makes it."""
    agent = AGENTS[0]
    sealed = changed.pop("sealed", "") or seal(agent, plain)
    timestamp = str(int(clock.platforms()) - age)
    query = {"msg_signature": sign(agent, timestamp, "n", sealed), "timestamp": timestamp, "nonce": "n", **changed}
    if method == "GET":
        return Incoming("GET", {**query, "echostr": sealed}, {}, b"")
    return Incoming("POST", query, {}, xml({"ToUserName": CORP, "AgentID": str(agent.id), "Encrypt": sealed}))


def said(clock: Clock, **fields: Any) -> bytes:
    common = {"ToUserName": CORP, "FromUserName": "lisi", "CreateTime": int(clock.platforms()), "AgentID": 1000002}
    return xml({**common, **fields})


async def hear(app: App, clock: Clock, **fields: Any) -> Any:
    """The one event."""
    reception = await app.receive(incoming(clock, said(clock, **fields)))
    assert (reception.reply.status, reception.reply.body) == (200, b"")
    [event] = reception.events
    return event


# requests


async def test_the_address_is_verified_by_the_plain_text(app: App, clock: Clock) -> None:
    reception = await app.receive(incoming(clock, b"4455667788", method="GET"))
    assert reception == Reception(reception.reply, ())
    assert (reception.reply.status, reception.reply.body, reception.reply.type) == (200, b"4455667788", "text/plain")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "changed",
    [{"msg_signature": "0" * 40}, {"msg_signature": "ü"}, {"nonce": "\ud800"}, {"timestamp": "0"}, {"sealed": VECTOR}],
)
async def test_forgeries(app: App, clock: Clock, method: str, changed: dict[str, str]) -> None:
    with pytest.raises(Forged):
        await app.receive(incoming(clock, said(clock, MsgType="text", Content="x", MsgId=1), method=method, **changed))


@pytest.mark.parametrize("age", [601, -601])
async def test_replays_outside_of_the_window_inferred(app: App, clock: Clock, age: int) -> None:
    with pytest.raises(Forged, match="clock"):
        await app.receive(incoming(clock, said(clock, MsgType="text", Content="x", MsgId=1), age=age))


async def test_a_clock_that_is_wrong_by_minutes(app: App, clock: Clock) -> None:
    clock.skew = -300
    assert (await hear(app, clock, MsgType="text", Content="x", MsgId=1)).message == Message(Text("x"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"encrypt":"abc"}',
        b"<xml></xml>",
        b"<xml><Encrypt/></xml>",
        b"<xml><Encrypt><a>b</a></Encrypt></xml>",
        b"<xml><Encrypt>a</Encrypt>",
        b'<!DOCTYPE x [<!ENTITY e "x">]><xml><Encrypt>&e;</Encrypt></xml>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><xml><Encrypt>a</Encrypt></xml>',
        b"<a>" * 11 + b"</a>" * 11,
        b"<xml>" + b"<a/>" * 2001 + b"</xml>",
        b"<xml>" + b" " * 300_000 + b"</xml>",
        b'<?xml version="1.0" encoding="no-such"?><xml/>',
        b"<xml>&undefined;</xml>",
    ],
)
async def test_the_wrong_dialect(app: App, body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        await app.receive(Incoming("POST", {}, {}, body))
    assert caught.value.outcome is Outcome.BAD_CONTENT


async def test_a_sealed_body_of_another_kind(app: App, clock: Clock) -> None:
    for plain in (b"{}", b"<xml><MsgType>text</MsgType></xml>", said(clock, MsgType="", Content="x")):
        with pytest.raises(Problem) as caught:
            await app.receive(incoming(clock, plain))
        assert caught.value.outcome is Outcome.BAD_CONTENT


async def test_no_callback_was_set_up(mute_app: App, clock: Clock) -> None:
    with pytest.raises(Problem, match="cannot receive"):
        await mute_app.receive(incoming(clock, b"x", method="GET"))


def test_xml() -> None:
    text = b'<?xml version="1.0" encoding="utf-8"?>\n<xml>\n<a><![CDATA[<x>&]]></a><b><c>1</c>\n<c>2</c></b><d/></xml>'
    assert parse(text) == {"a": "<x>&", "b": {"c": ["1", "2"]}, "d": ""}


# events


async def test_text(app: App, clock: Clock) -> None:
    event = await hear(app, clock, MsgType="text", Content=" ]]> 你好 ", MsgId=1234567890123456)
    assert isinstance(event, Said)
    assert event.message == Message(Text(" ]]> 你好 "))
    assert (event.id, event.sender.id, event.at) == ("1234567890123456", "lisi", int(clock.platforms()) * 1000)
    assert (event.chat.target, event.chat.direct) == (Target("user", "lisi"), True)


async def test_files_and_others(app: App, clock: Clock, wecom: WeCom) -> None:
    wecom.board.keep("m1", "a.png", "image/png", PNG)
    wecom.files.kept["m1"] = ("image", CORP, clock.platforms() + 60)
    image = await hear(app, clock, MsgType="image", PicUrl="https://p.example/1", MediaId="m1", MsgId=1)
    assert isinstance(image.message.content, Image)
    assert await app.fetch(image.media[0]) == PNG
    voice = await hear(app, clock, MsgType="voice", MediaId="m2", Format="amr", MsgId=2)
    assert isinstance(voice.message.content, Audio)
    with pytest.raises(Problem) as caught:
        await app.fetch(voice.media[0])
    assert caught.value.code == "40007"
    where = await hear(app, clock, MsgType="location", Location_X=23.1, Location_Y=113.3, Label="广州", MsgId=3)
    assert where.message.content == Location(23.1, 113.3, address="广州")
    link = await hear(
        app, clock, MsgType="link", Title="题", Url="https://a.example", Description="", PicUrl="", MsgId=4
    )
    assert link.message.content == Link("题", "https://a.example")


async def test_a_json_file_is_no_error(app: App, clock: Clock, wecom: WeCom) -> None:
    wecom.board.keep("m1", "a.json", "application/json", b'{"errcode":40007}')
    wecom.files.kept["m1"] = ("file", CORP, clock.platforms() + 60)
    assert await app.fetch({"media_id": "m1"}) == b'{"errcode":40007}'


@pytest.mark.parametrize("place", [("x", "1"), ("nan", "1"), ("91", "0"), ("", "")])
async def test_a_location_that_is_nowhere(app: App, clock: Clock, place: tuple[str, str]) -> None:
    with pytest.raises(Problem, match="coordinates"):
        await hear(app, clock, MsgType="location", Location_X=place[0], Location_Y=place[1], Label="", MsgId=1)


@pytest.mark.parametrize("name", ["subscribe", "enter_agent", "inactive_alert", "open_approval_change"])
async def test_other_events(app: App, clock: Clock, name: str) -> None:
    event = await hear(app, clock, MsgType="event", Event=name, EventKey="k")
    assert isinstance(event, Happened)
    assert (event.name, event.data) == (name, {"user": "lisi", "EventKey": "k", "AgentID": "1000002"})


@pytest.mark.parametrize(("name", "alarms"), [("inactive_alert", 1), ("close_inactive_agent", 1), ("subscribe", 0)])
async def test_the_end_of_an_application_is_an_alarm(app: App, clock: Clock, name: str, alarms: int) -> None:
    event = await hear(app, clock, MsgType="event", Event=name)
    assert isinstance(event, Happened)
    assert (event.alarm is not None) == alarms


async def test_an_event_that_comes_again_has_the_same_id(app: App, clock: Clock) -> None:
    fields = {"MsgType": "event", "Event": "template_card_event", "EventKey": "yes", "TaskId": "t1"}
    first = await hear(app, clock, **fields)
    again = await hear(app, clock, **fields)
    other = await hear(app, clock, **{**fields, "TaskId": "t2"})
    assert first.id == again.id != other.id


# as the sandbox tells it


async def heard(app: App, wecom: WeCom, inbound: Inbound) -> Any:
    """What the application makes of what the sandbox tells it."""
    async with listening(app) as (url, events):
        told = await wecom.tell(inbound, url)
    assert (told.status, told.body) == (200, "")
    [event] = events
    return event


BUTTONS = Card("请审批", buttons=(Button("同意", id="yes", value="42"),))
FORM = Form("f", (Input("d", "天", "select", (Option("1", "一"), Option("2", "二"))),))
CHECKS = Form("f", (Input("d", "天", "checks", (Option("1", "一"), Option("2", "二"))),))


async def test_a_button_is_pressed_and_the_card_is_changed(app: App, wecom: WeCom) -> None:
    sent = await tell(app, BUTTONS)
    [shown] = wecom.board.all()
    event = await heard(app, wecom, Inbound("action", "ZhangSan", on=shown.id, action="yes:42"))
    assert isinstance(event, Acted)
    assert (event.action, event.value, event.sender.id) == ("yes", "42", "ZhangSan")
    assert event.receipt["task_id"] == receipt(sent)["task_id"]
    await app.update(event.receipt, Message(Card("已同意")))
    assert arrived(wecom)[0][1]["main_title"] == {"title": "已同意"}


@pytest.mark.parametrize(
    ("form", "chosen", "told"), [(FORM, "2", "2"), (CHECKS, ["1", "2"], ["1", "2"]), (CHECKS, ["1"], ["1"])]
)
async def test_a_form_is_sent(app: App, wecom: WeCom, form: Form, chosen: Any, told: Any) -> None:
    await tell(app, Card("请假", form=form))
    shown = wecom.board.all()[-1]
    event = await heard(app, wecom, Inbound("action", "lisi", on=shown.id, action="f", inputs={"d": chosen}))
    assert (event.action, event.inputs) == ("f", {"d": told})


async def test_somebody_writes(app: App, wecom: WeCom) -> None:
    event = await heard(app, wecom, Inbound("text", "wangwu", text="重启 ]]> <b>"))
    assert (event.sender.id, event.message) == ("wangwu", Message(Text("重启 ]]> <b>")))


async def test_the_address_is_verified_by_the_sandbox(app: App, wecom: WeCom) -> None:
    async with listening(app) as (url, events):
        told = await wecom.tell(Inbound("verify", ""), url)
    assert (told.status, told.body.isdecimal(), events) == (200, True, [])


def test_the_token_of_the_tests_is_the_sandboxs() -> None:
    assert (AGENTS[0].token, AGENTS[0].aes_key) == (TOKEN, AES_KEY)
