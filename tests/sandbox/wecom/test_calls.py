"""The emulator by plain HTTP: what other senders send, what is refused, and the rates."""

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.wecom import WeCom
from hongyan.sandbox.wecom.world import AGENTS, CORP
from tests.support.hub import PNG, Clock

KEY = "693a91f6-7a3c-4bc4-97a0-0ec2fa5d0001"
OTHER_KEY = "693a91f6-7a3c-4bc4-97a0-0ec2fa5d0002"
AGENT = AGENTS[0]


class Caller:
    """Calls as any program makes them."""

    def __init__(self, session: aiohttp.ClientSession, origin: str) -> None:
        self.session = session
        self.origin = origin
        self.token = ""

    async def __call__(self, path: str, body: Any = None, **query: str) -> dict[str, Any]:
        """A POST if there is a body; every answer is HTTP 200."""
        if self.token:
            query = {"access_token": self.token, **query}
        async with self.session.request(
            "GET" if body is None else "POST",
            f"{self.origin}/cgi-bin/{path}",
            params=query,
            **({"data": body} if isinstance(body, bytes | aiohttp.FormData) else {"json": body}),
        ) as answer:
            assert answer.status == 200
            told: dict[str, Any] = await answer.json()
            return told

    async def log_in(self, agent: Any = AGENT) -> None:
        self.token = ""
        self.token = (await self("gettoken", corpid=CORP, corpsecret=agent.secret))["access_token"]

    async def robot(self, body: Any, key: str = KEY) -> int:
        return int((await self("webhook/send", body, key=key))["errcode"])

    async def send(self, type_: str, value: Any, **fields: Any) -> dict[str, Any]:
        body = {"touser": "lisi", "agentid": AGENT.id, "msgtype": type_, type_: value, **fields}
        return await self("message/send", body)


@pytest.fixture
async def call(sandbox: Sandbox) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(session, sandbox.origin)


@pytest.fixture
def platforms() -> list[str]:
    return ["wecom"]


@pytest.fixture
def wecom(sandbox: Sandbox) -> WeCom:
    emulator = sandbox.emulators["wecom"]
    assert isinstance(emulator, WeCom)
    return emulator


# other senders


async def test_alertmanager(call: Caller, wecom: WeCom) -> None:
    """As Alertmanager 0.25 was seen to ask: the agent's id and `safe` as texts, and an empty object besides."""
    token = await call("gettoken", corpid=CORP, corpsecret=AGENT.secret)
    body = (
        b'{"text":{"content":"[FIRING:1] DiskFull"},"touser":"lisi","toparty":"","totag":"",'
        b'"agentid":"1000002","safe":"0","msgtype":"text","markdown":{}}\n'
    )
    answer = await call("message/send", body, access_token=token["access_token"])
    assert (answer["errcode"], answer["errmsg"]) == (0, "ok")
    [shown] = wecom.board.all()
    assert (shown.kind, shown.payload, shown.to) == ("text", {"content": "[FIRING:1] DiskFull"}, ["lisi"])


async def test_grafana_posts_for_its_token(call: Caller) -> None:
    for query, body in (({"corpid": CORP, "corpsecret": AGENT.secret}, b""), ({}, None)):
        sent: Any = {"corpid": CORP, "corpsecret": AGENT.secret} if body is None else body
        answer = await call("gettoken", sent, **query)
        assert (answer["errcode"], answer["expires_in"]) == (0, 7200)


# tokens


async def test_a_token_is_the_same_while_it_is_good(call: Caller, clock: Clock) -> None:
    await call.log_in()
    first = call.token
    clock.advance(7000)
    await call.log_in()
    assert call.token == first
    clock.advance(200)
    assert (await call.send("text", {"content": "x"}))["errcode"] == 42001
    await call.log_in()
    assert call.token != first


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, 41002),
        ({"corpid": CORP}, 41004),
        ({"corpid": "x", "corpsecret": "x"}, 40013),
        ({"corpid": CORP, "corpsecret": "x"}, 40001),
    ],
)
async def test_who_gets_no_token(call: Caller, query: dict[str, str], code: int) -> None:
    answer = await call("gettoken", **query)
    assert answer["errcode"] == code
    assert "hint: [" in answer["errmsg"]
    assert "from ip: 127.0.0.1" in answer["errmsg"]


async def test_calls_without_a_good_token(call: Caller) -> None:
    assert (await call("agent/get", agentid="1"))["errcode"] == 41001
    call.token = "x"
    assert (await call("agent/get", agentid="1"))["errcode"] == 40014


# robots


async def test_what_a_robot_takes(call: Caller, wecom: WeCom) -> None:
    digest = hashlib.md5(PNG).hexdigest()
    card = {"card_type": "text_notice", "main_title": {"title": "x"}, "card_action": {"type": 1, "url": "https://a.b"}}
    bodies = {
        "text": {"content": "x", "mentioned_list": ["lisi", "@all"], "mentioned_mobile_list": ["138"]},
        "markdown": {"content": '<font color="info">x</font> <@lisi>'},
        "markdown_v2": {"content": "| a |\n| --- |\n| 1 |"},
        "image": {"base64": base64.b64encode(PNG).decode(), "md5": digest},
        "news": {"articles": [{"title": "x", "url": "https://a.b"}]},
        "template_card": card,
    }
    for type_, value in bodies.items():
        assert await call.robot({"msgtype": type_, type_: value}) == 0
    assert [shown.kind for shown in wecom.board.all()] == list(bodies)
    assert {shown.address for shown in wecom.board.all()} == {"robot"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"not json", 40058),
        ([], 40058),
        ({}, 40008),
        ({"msgtype": "textcard", "textcard": {}}, 40008),
        ({"msgtype": "text"}, 44004),
        ({"msgtype": "text", "text": {"content": ""}}, 44004),
        ({"msgtype": "text", "text": {"content": "字" * 683}}, 40058),
        ({"msgtype": "markdown", "markdown": {"content": "x" * 4097}}, 40058),
        ({"msgtype": "image", "image": {"base64": "data:image/png;base64,xx", "md5": ""}}, 40058),
        ({"msgtype": "image", "image": {"base64": "AAAA", "md5": "0"}}, 40058),
        ({"msgtype": "news", "news": {"articles": []}}, 44004),
        ({"msgtype": "news", "news": {"articles": [{"title": "x", "url": "https://a.b"}] * 9}}, 45008),
        ({"msgtype": "news", "news": {"articles": [{"title": "x"}]}}, 40058),
        ({"msgtype": "file", "file": {"media_id": "x"}}, 40007),
        ({"msgtype": "template_card", "template_card": {"card_type": "button_interaction"}}, 40058),
        ({"msgtype": "template_card", "template_card": {"card_type": "text_notice", "main_title": {}}}, 40058),
    ],
)
async def test_what_a_robot_refuses(call: Caller, wecom: WeCom, body: Any, code: int) -> None:
    assert await call.robot(body) == code
    assert wecom.board.all() == []


async def test_robots_that_are_not_there(call: Caller) -> None:
    text = {"msgtype": "text", "text": {"content": "x"}}
    assert await call.robot(text, "x") == 93000
    assert (await call("webhook/send", key=KEY))["errcode"] == 43002


async def test_a_robot_speaks_twenty_times_in_a_minute(call: Caller, clock: Clock) -> None:
    clock.advance(60 - clock.platforms() % 60)
    text = {"msgtype": "text", "text": {"content": "x"}}
    assert [await call.robot(text) for _ in range(21)] == [0] * 20 + [45009]
    assert await call.robot(text, OTHER_KEY) == 0
    clock.advance(59)
    assert await call.robot(text) == 45009
    clock.advance(1)
    assert await call.robot(text) == 0


async def test_files_belong_to_one_robot(call: Caller, clock: Clock) -> None:
    def form(content: bytes) -> aiohttp.FormData:
        made = aiohttp.FormData()
        made.add_field("media", content, filename="报告.pdf", content_type="application/octet-stream")
        return made

    kept = await call("webhook/upload_media", form(b"%PDF-1.7"), key=KEY, type="file")
    assert (kept["errcode"], kept["type"], kept["created_at"].isdecimal()) == (0, "file", True)
    body = {"msgtype": "file", "file": {"media_id": kept["media_id"]}}
    assert [await call.robot(body), await call.robot(body, OTHER_KEY)] == [0, 40007]
    clock.advance(3 * 86_400)
    assert await call.robot(body) == 40007
    for content, type_, code in ((b"12345", "file", 40006), (b"123456", "image", 40004), (b"123456", "voice", 40005)):
        assert (await call("webhook/upload_media", form(content), key=KEY, type=type_))["errcode"] == code
    assert (await call("webhook/upload_media", {}, key=KEY, type="file"))["errcode"] == 41033


# applications


async def test_text_that_is_too_long_is_cut(call: Caller, wecom: WeCom) -> None:
    await call.log_in()
    await call.send("text", {"content": "字" * 1000})
    assert wecom.board.all()[0].payload == {"content": "字" * 682}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"agentid": 1000003}, 301002),
        ({"touser": ""}, 82001),
        ({"touser": "|".join(f"u{number}" for number in range(1001))}, 40032),
        ({"touser": "nobody"}, 81013),
        ({"touser": "sunqi"}, 81013),
        ({"toparty": "|".join(str(number) for number in range(101))}, 40066),
        ({"msgtype": "markdown_v2", "markdown_v2": {"content": "x"}}, 40008),
    ],
)
async def test_what_an_application_may_not(call: Caller, wecom: WeCom, fields: dict[str, Any], code: int) -> None:
    await call.log_in()
    assert (await call.send("text", {"content": "x"}, **fields))["errcode"] == code
    assert wecom.board.all() == []


@pytest.mark.parametrize(
    ("type_", "value", "fields"),
    [
        ("text", {"content": "x"}, {"enable_duplicate_check": 1, "duplicate_check_interval": "x"}),
        ("news", {"articles": [1]}, {}),
        ("template_card", {"card_type": "text_notice", "main_title": {"title": "x"}, "action_menu": 1}, {}),
        ("template_card", {"card_type": "news_notice", "main_title": [], "card_image": 1}, {}),
    ],
)
async def test_values_of_another_type(call: Caller, type_: str, value: Any, fields: dict[str, Any]) -> None:
    await call.log_in()
    assert (await call.send(type_, value, **fields))["errcode"] == 40058


async def test_what_is_above_a_members_rate_is_dropped_without_a_word(call: Caller, wecom: WeCom, clock: Clock) -> None:
    clock.advance(60 - clock.platforms() % 60)
    await call.log_in()
    answers = [await call.send("text", {"content": str(number)}) for number in range(31)]
    assert {answer["errcode"] for answer in answers} == {0}
    assert [shown.extra["dropped"] for shown in wecom.board.all()][29:] == [[], ["lisi"]]
    assert wecom.board.all()[30].to == []


async def test_the_same_content_is_taken_once_if_asked(call: Caller, wecom: WeCom, clock: Clock) -> None:
    await call.log_in()
    once = {"enable_duplicate_check": 1, "duplicate_check_interval": 60}
    first = await call.send("text", {"content": "x"}, **once)
    assert await call.send("text", {"content": "x"}, **once) == first
    await call.send("text", {"content": "x"}, touser="ZhangSan", **once)
    await call.send("text", {"content": "x"})
    clock.advance(60)
    await call.send("text", {"content": "x"}, **once)
    assert len(wecom.board.all()) == 4


def buttons(**more: Any) -> dict[str, Any]:
    return {
        "card_type": "button_interaction",
        "main_title": {"title": "请审批"},
        "button_list": [{"text": "同意", "key": "yes"}],
        "task_id": "t1",
        **more,
    }


OPTION = {"id": "1", "text": "一"}
VOTE = {
    "card_type": "vote_interaction",
    "main_title": {"title": "x"},
    "task_id": "t1",
    "checkbox": {"question_key": "q", "option_list": [OPTION]},
    "submit_button": {"text": "好", "key": "k"},
}


@pytest.mark.parametrize(
    "card",
    [
        buttons(task_id=""),
        buttons(task_id="a b"),
        buttons(main_title={"title": "题" * 37}),
        buttons(sub_title_text="字" * 161),
        buttons(button_list=[]),
        buttons(button_list=[{"text": "同意", "key": "yes"}] * 7),
        buttons(button_list=[{"text": "x" * 11, "key": "yes"}]),
        buttons(button_list=[{"text": "x", "key": "k" * 1025}]),
        buttons(button_list=[{"text": "x", "type": 1, "url": "javascript:x"}]),
        buttons(horizontal_content_list=[{"keyname": "x"}] * 7),
        buttons(action_menu={"desc": "x", "action_list": []}),
        {**VOTE, "submit_button": None},
        {**VOTE, "checkbox": {"question_key": "q", "option_list": [OPTION] * 21}},
        {**VOTE, "card_type": "multiple_interaction", "select_list": []},
        {**VOTE, "card_type": "multiple_interaction", "select_list": [VOTE["checkbox"]] * 4},
        {"card_type": "news_notice", "main_title": {"title": "x"}, "card_action": {"type": 1, "url": "https://a.b"}},
        {"card_type": "text_notice", "main_title": {"title": "x"}},
        {"card_type": "none", "main_title": {"title": "x"}},
    ],
)
async def test_cards_that_are_refused(call: Caller, card: dict[str, Any]) -> None:
    await call.log_in()
    assert (await call.send("template_card", card))["errcode"] in (40058, 44004)


async def test_a_card_is_changed_once_for_each_code(call: Caller, wecom: WeCom, clock: Clock) -> None:
    await call.log_in()
    sent = await call.send("template_card", buttons())
    assert (await call.send("template_card", buttons()))["errcode"] == 40058  # the task's id comes again
    change = {"atall": 1, "agentid": AGENT.id, "response_code": sent["response_code"], "button": {"replace_name": "好"}}
    assert (await call("message/update_template_card", {**change, "response_code": "x"}))["errcode"] == 42014
    await call.log_in(AGENTS[1])
    other = {**change, "agentid": AGENTS[1].id}
    assert (await call("message/update_template_card", other))["errcode"] == 42015
    await call.log_in()
    assert (await call("message/update_template_card", {**change, "button": {}}))["errcode"] == 40058
    codes = [(await call("message/update_template_card", change))["errcode"] for _ in range(2)]
    assert codes == [0, 42017]
    assert wecom.board.all()[0].payload["replace_text"] == "好"
    sent = await call.send("template_card", buttons(task_id="t2"))
    clock.advance(72 * 3600)
    await call.log_in()
    late = {**change, "response_code": sent["response_code"]}
    assert (await call("message/update_template_card", late))["errcode"] == 42014


async def test_recall(call: Caller, wecom: WeCom) -> None:
    await call.log_in()
    sent = await call.send("text", {"content": "x"})
    await call.log_in(AGENTS[1])
    assert (await call("message/recall", {"msgid": sent["msgid"]}))["errcode"] == 40058
    await call.log_in()
    assert (await call("message/recall", {"msgid": sent["msgid"]}))["errcode"] == 0
    assert wecom.board.all()[0].state == "recalled"


async def test_statistics(call: Caller) -> None:
    await call.log_in()
    for _ in range(2):
        await call.send("text", {"content": "x"})
    assert (await call("message/get_statistics", {"time_type": 0}))["statistics"] == [
        {"agentid": AGENT.id, "app_name": AGENT.name, "count": 2}
    ]
    assert (await call("message/get_statistics", {"time_type": 1}))["statistics"] == []


async def test_groups_of_another_application(call: Caller) -> None:
    await call.log_in(AGENTS[1])
    body = {"chatid": "ops", "msgtype": "text", "text": {"content": "x"}}
    assert (await call("appchat/send", body))["errcode"] == 86003
    await call.log_in()
    card = {"chatid": "ops", "msgtype": "template_card", "template_card": buttons()}
    assert (await call("appchat/send", card))["errcode"] == 40008
    assert (await call("appchat/create", {"userlist": ["lisi"]}))["errcode"] == 86006
    assert (await call("appchat/create", {"userlist": ["lisi", "nobody"]}))["errcode"] == 40031


async def test_look_up(call: Caller) -> None:
    await call.log_in()
    assert (await call("user/getuserid", {"mobile": "13800000002"}))["userid"] == "lisi"
    assert (await call("user/get_userid_by_email", {"email": "LiSi@example.com"}))["userid"] == "lisi"
    assert (await call("user/getuserid", {"mobile": "1"}))["errcode"] == 46004


@pytest.mark.parametrize(
    ("inbound", "sentence"),
    [
        (Inbound("read", "lisi"), "does not tell"),
        (Inbound("text", "nobody", text="x"), "no member"),
        (Inbound("text", "lisi", chat="1", text="x"), "no application"),
        (Inbound("action", "lisi", action="x"), "only template cards"),
    ],
)
async def test_what_can_not_be_told(wecom: WeCom, inbound: Inbound, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        await wecom.tell(inbound, "http://127.0.0.1:9/")


async def test_who_does_not_answer(wecom: WeCom) -> None:
    told = await wecom.tell(Inbound("text", "lisi", text="x"), "http://127.0.0.1:9/")
    assert told.status == 0
    with pytest.raises(ValueError, match="plain text of echostr"):
        await wecom.tell(Inbound("verify", ""), "http://127.0.0.1:9/")


async def test_the_world(wecom: WeCom, sandbox: Sandbox) -> None:
    world = wecom.world()
    assert world["robots"][0]["url"] == f"{sandbox.origin}/cgi-bin/webhook/send?key={KEY}"
    assert [each["name"] for each in world["groups"]] == ["运维协作群"]
