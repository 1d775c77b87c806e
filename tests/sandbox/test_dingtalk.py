"""The emulator of DingTalk, as the platform's own SDKs and a widely used sender see it."""

import asyncio
import hashlib
import hmac
import importlib
import json
import sys
import threading
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_plus

import pytest
from aiohttp import ClientSession

from hongyan.sandbox.dingtalk import DingTalk
from hongyan.sandbox.dingtalk.world import AGENT_ID, APP_KEY, APP_SECRET, ROBOTS
from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.server import Sandbox
from tests.support.hub import START, Clock

# what the SDKs do when they are imported and used, and can't be helped
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::SyntaxWarning", "ignore::ResourceWarning"
)
SIGNED, KEYWORD, OPEN = "sandbox-signed", "sandbox-keyword", "sandbox-network"


@pytest.fixture
def platforms() -> list[str]:
    return ["dingtalk"]


@pytest.fixture
def emulator(sandbox: Sandbox) -> DingTalk:
    found = sandbox.emulators["dingtalk"]
    assert isinstance(found, DingTalk)
    return found


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as made:
        yield made


async def post(
    session: ClientSession, sandbox: Sandbox, path: str, body: object, token: str = "", method: str = "POST"
) -> tuple[int, dict[str, Any]]:
    headers = {"x-acs-dingtalk-access-token": token}
    async with session.request(method, sandbox.origin + path, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def robot(
    session: ClientSession, sandbox: Sandbox, body: object, key: str = OPEN, more: str = ""
) -> dict[str, Any]:
    status, answer = await post(session, sandbox, f"/robot/send?access_token={key}{more}", body)
    assert status == 200
    return answer


async def token(session: ClientSession, sandbox: Sandbox) -> str:
    _, answer = await post(session, sandbox, "/v1.0/oauth2/accessToken", {"appKey": APP_KEY, "appSecret": APP_SECRET})
    return str(answer["accessToken"])


TEXT = {"msgtype": "text", "text": {"content": "hello"}}


# DingtalkChatbot


async def test_dingtalkchatbot(sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    from dingtalkchatbot.chatbot import ActionCard, CardItem, DingtalkChatbot, FeedLink

    monkeypatch.setattr("time.time", clock.platforms)
    webhook = f"{sandbox.origin}/robot/send?access_token={SIGNED}"

    def use() -> list[dict[str, Any]]:
        bot = DingtalkChatbot(webhook, secret=ROBOTS[SIGNED].secret)
        item = CardItem(title="Go", url="https://a.example")
        return [
            bot.send_text("hello", at_mobiles=["13800000001"]),
            bot.send_markdown("Disk", "# full", is_at_all=True),
            bot.send_link("T", "text", "https://a.example"),
            bot.send_action_card(ActionCard("T", "text", [item])),
            bot.send_action_card(ActionCard("T", "text", [item, item])),
            bot.send_feed_card([FeedLink("T", "https://a.example", "https://a.example/p.png")]),
            DingtalkChatbot(webhook, secret="SECwrong").send_text("hello"),
            bot.send_image("https://a.example/p.png"),
        ]

    answers = await asyncio.to_thread(use)
    assert [each["errcode"] for each in answers] == [0, 0, 0, 0, 0, 0, 310000, 400105]
    shown = sandbox.board.all()
    assert [each.kind for each in shown] == ["text", "markdown", "link", "actionCard", "actionCard", "feedCard"]
    assert (shown[0].account, shown[0].extra["mentions"], shown[1].extra["everyone"]) == ("告警机器人", ["张三"], True)


# alibabacloud-dingtalk


async def test_alibabacloud_dingtalk(sandbox: Sandbox, emulator: DingTalk) -> None:
    from alibabacloud_dingtalk.card_1_0 import models as cards
    from alibabacloud_dingtalk.card_1_0.client import Client as Cards
    from alibabacloud_dingtalk.oauth2_1_0 import models as oauth
    from alibabacloud_dingtalk.oauth2_1_0.client import Client as OAuth
    from alibabacloud_dingtalk.robot_1_0 import models as robots
    from alibabacloud_dingtalk.robot_1_0.client import Client as Robots
    from alibabacloud_tea_openapi.models import Config
    from alibabacloud_tea_util.models import RuntimeOptions
    from Tea.exceptions import TeaException

    options = RuntimeOptions()

    def config() -> Config:
        return Config(protocol="http", endpoint=sandbox.origin.removeprefix("http://"), region_id="central")

    def use() -> dict[str, Any]:
        found: dict[str, Any] = {}
        asked = oauth.GetAccessTokenRequest(app_key=APP_KEY, app_secret=APP_SECRET)
        access = OAuth(config()).get_access_token(asked).body.access_token
        client = Robots(config())
        param = json.dumps({"content": "hello"})
        sent = client.batch_send_otowith_options(
            robots.BatchSendOTORequest(
                robot_code=APP_KEY, user_ids=["zhangsan", "nobody"], msg_key="sampleText", msg_param=param
            ),
            robots.BatchSendOTOHeaders(x_acs_dingtalk_access_token=access),
            options,
        ).body
        found["invalid"] = sent.invalid_staff_id_list
        read = client.batch_otoquery_with_options(
            robots.BatchOTOQueryRequest(robot_code=APP_KEY, process_query_key=sent.process_query_key),
            robots.BatchOTOQueryHeaders(x_acs_dingtalk_access_token=access),
            options,
        ).body
        found["read"] = [(each.user_id, each.read_status.lower()) for each in read.message_read_info_list]
        found["recalled"] = client.batch_recall_otowith_options(
            robots.BatchRecallOTORequest(robot_code=APP_KEY, process_query_keys=[sent.process_query_key]),
            robots.BatchRecallOTOHeaders(x_acs_dingtalk_access_token=access),
            options,
        ).body.success_result == [sent.process_query_key]
        group = client.org_group_send_with_options(
            robots.OrgGroupSendRequest(
                robot_code=APP_KEY,
                open_conversation_id="cidOps0sandbox==",
                msg_key="sampleMarkdown",
                msg_param=json.dumps({"title": "T", "text": "# x"}),
            ),
            robots.OrgGroupSendHeaders(x_acs_dingtalk_access_token=access),
            options,
        ).body
        state = client.org_group_query_with_options(
            robots.OrgGroupQueryRequest(
                robot_code=APP_KEY,
                open_conversation_id="cidOps0sandbox==",
                process_query_key=group.process_query_key,
            ),
            robots.OrgGroupQueryHeaders(x_acs_dingtalk_access_token=access),
            options,
        ).body
        found["group"] = (state.send_status, state.read_user_ids, state.has_more)
        made = (
            Cards(config())
            .create_and_deliver_with_options(
                cards.CreateAndDeliverRequest(
                    card_template_id="t.schema",
                    out_track_id="c1",
                    callback_type="STREAM",
                    card_data=cards.CreateAndDeliverRequestCardData(card_param_map={"title": "T"}),
                    open_space_id="dtv1.card//IM_GROUP.cidOps0sandbox==",
                    im_group_open_deliver_model=cards.CreateAndDeliverRequestImGroupOpenDeliverModel(
                        robot_code=APP_KEY
                    ),
                ),
                cards.CreateAndDeliverHeaders(x_acs_dingtalk_access_token=access),
                options,
            )
            .body
        )
        found["card"] = (made.success, made.result.out_track_id, made.result.deliver_results[0].success)
        Cards(config()).update_card_with_options(
            cards.UpdateCardRequest(
                out_track_id="c1", card_data=cards.UpdateCardRequestCardData(card_param_map={"title": "U"})
            ),
            cards.UpdateCardHeaders(x_acs_dingtalk_access_token=access),
            options,
        )
        registered = (
            Cards(config())
            .register_callback_with_options(
                cards.RegisterCallbackRequest(
                    callback_route_key="mine", callback_url="https://a.example/in", api_secret="s"
                ),
                cards.RegisterCallbackHeaders(x_acs_dingtalk_access_token=access),
                options,
            )
            .body
        )
        found["route"] = (registered.success, registered.result.callback_url)
        try:
            client.org_group_send_with_options(
                robots.OrgGroupSendRequest(robot_code=APP_KEY, msg_key="sampleText", msg_param=param),
                robots.OrgGroupSendHeaders(x_acs_dingtalk_access_token="old"),
                options,
            )
        except TeaException as error:
            found["old"] = error.code
        return found

    found = await asyncio.to_thread(use)
    assert found == {
        "invalid": ["nobody"],
        "read": [("zhangsan", "unread")],
        "recalled": True,
        "group": ("SUCCESS", [], False),
        "card": (True, "c1", True),
        "route": (True, "https://a.example/in"),
        "old": "InvalidAuthentication",
    }
    person, group, card = sandbox.board.all()
    assert (person.state, group.kind, card.state) == ("recalled", "sampleMarkdown", "changed")
    assert card.payload["cardParamMap"] == {"title": "U"}


# dingtalk-stream


@pytest.fixture
def stream_sdk(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imported with our address, which it reads at import."""
    monkeypatch.setenv("DINGTALK_OPENAPI_ENDPOINT", sandbox.origin)
    for name in [each for each in sys.modules if each.startswith("dingtalk_stream")]:
        monkeypatch.delitem(sys.modules, name)
    found = importlib.import_module("dingtalk_stream")
    monkeypatch.setattr(found.DingTalkStreamClient, "get_host_ip", lambda self: "127.0.0.1")
    yield found
    for name in [each for each in sys.modules if each.startswith("dingtalk_stream")]:
        monkeypatch.delitem(sys.modules, name)


async def test_dingtalk_stream(stream_sdk: Any, sandbox: Sandbox, emulator: DingTalk) -> None:
    """Messages, answers to them, cards, what is pressed, events, pings, and a connection that is made anew."""
    heard: list[Any] = []

    class Bot(stream_sdk.ChatbotHandler):  # type: ignore[misc]
        async def process(self, callback: Any) -> tuple[int, str]:
            message = stream_sdk.ChatbotMessage.from_dict(callback.data)
            heard.append(("said", message.text.content, message.sender_nick, message.conversation_title))

            def answer() -> None:
                self.reply_text("got it", message)
                replier = stream_sdk.CardReplier(self.dingtalk_client, message)
                replier.create_and_send_card("t.schema", {"title": "T"})

            await asyncio.to_thread(answer)
            return stream_sdk.AckMessage.STATUS_OK, "OK"

    class Cards(stream_sdk.CallbackHandler):  # type: ignore[misc]
        async def process(self, callback: Any) -> tuple[int, Any]:
            message = stream_sdk.CardCallbackMessage.from_dict(callback.data)
            heard.append(("pressed", message.user_id, message.content["cardPrivateData"]["params"]["action"]))
            return stream_sdk.AckMessage.STATUS_OK, {}

    class Events(stream_sdk.EventHandler):  # type: ignore[misc]
        async def process(self, event: Any) -> tuple[int, str]:
            heard.append(("event", event.headers.event_type, event.data["UserId"]))
            return stream_sdk.AckMessage.STATUS_OK, "OK"

    client = stream_sdk.DingTalkStreamClient(stream_sdk.Credential(APP_KEY, APP_SECRET))
    client.register_callback_handler(stream_sdk.ChatbotMessage.TOPIC, Bot())
    client.register_callback_handler(stream_sdk.CallbackHandler.TOPIC_CARD_CALLBACK, Cards())
    client.register_all_event_handler(Events())
    done = threading.Event()
    # it asks for its address by a call that blocks: so it needs a loop of its own
    running = asyncio.create_task(asyncio.to_thread(asyncio.run, _until(done, client)))
    try:
        await emulator.streams.connected()
        assert (await emulator.tell(Inbound("text", "zhangsan", "cidOps0sandbox==", "status"), "")).status == 200
        answer, card = sandbox.board.all()
        assert (answer.kind, answer.payload["text"]["content"], answer.to) == ("text", "got it", ["cidOps0sandbox=="])
        assert (card.kind, card.payload["cardParamMap"]) == ("card", {"title": "T"})
        assert (await emulator.tell(Inbound("action", "lisi", on=card.id, action="take"), "")).status == 200
        assert (await emulator.tell(Inbound("added", "wangwu", "cidOps0sandbox=="), "")).status == 200
        assert (await emulator.streams.ping())[0] == 200
        assert heard == [
            ("said", "status", "张三", "运维值班群"),
            ("pressed", "lisi", "take"),
            ("event", "chat_add_member", ["wangwu"]),
        ]
        assert (await emulator.streams.disconnect())[0] == 200
        await emulator.streams.connected(2)
    finally:
        done.set()
        await running


async def _until(done: threading.Event, client: Any) -> None:
    task = asyncio.create_task(client.start())
    await asyncio.to_thread(done.wait)
    while not task.done():  # the first time it takes it for a failure of the network
        task.cancel()
        await asyncio.sleep(0)


# what it refuses


def sign(secret: str, stamp: int) -> str:
    digest = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    return f"&timestamp={stamp}&sign={quote_plus(b64encode(digest))}"


@pytest.mark.parametrize(
    ("key", "more", "body", "code", "word"),
    [
        (OPEN, "", TEXT, 0, "ok"),
        (SIGNED, sign(ROBOTS[SIGNED].secret, START), TEXT, 0, "ok"),
        (SIGNED, "", TEXT, 310000, "签名不匹配"),
        (SIGNED, sign(ROBOTS[SIGNED].secret, START - 3_600_001), TEXT, 310000, "签名过期"),
        (SIGNED, sign(ROBOTS[SIGNED].secret, START + 3_600_001), TEXT, 310000, "签名过期"),
        (KEYWORD, "", TEXT, 310000, "关键词不匹配"),
        (KEYWORD, "", {"msgtype": "text", "text": {"content": "有告警"}}, 0, "ok"),
        ("sandbox-elsewhere", "", TEXT, 310000, "not in whitelist"),
        ("nobody", "", TEXT, 300005, "token is not exist"),
        ("", "", TEXT, 40035, "access_token"),
        (OPEN, "", {}, 40035, "json"),
        (OPEN, "", {"msgtype": "image", "image": {"picURL": "x"}}, 400105, "类型"),
        (OPEN, "", {"msgtype": "text", "text": {}}, 40035, "content"),
        (OPEN, "", {"msgtype": "markdown", "markdown": {"text": "x"}}, 40035, "title"),
        (OPEN, "", {"msgtype": "actionCard", "actionCard": {"title": "x", "text": "x"}}, 40035, "singleTitle"),
        (OPEN, "", {"msgtype": "text", "text": {"content": "满" * 7000}}, 460101, "too long"),
    ],
)
async def test_a_robot(
    sandbox: Sandbox, session: ClientSession, key: str, more: str, body: object, code: int, word: str
) -> None:
    answer = await robot(session, sandbox, body, key, more)
    assert (answer["errcode"], word in answer["errmsg"]) == (code, True)
    assert len(sandbox.board.all()) == (code == 0)


@pytest.mark.parametrize(
    "body",
    [
        {"msgtype": "feedCard", "feedCard": {"links": "x"}},
        {"msgtype": "actionCard", "actionCard": {"title": "x", "text": "x", "btns": ["x"]}},
        {"msgtype": "text", "text": {"content": "x"}, "at": [1]},
        {"msgtype": ["text"]},
        {"msgtype": "text", "text": "x"},
    ],
)
async def test_another_shape_is_refused(sandbox: Sandbox, session: ClientSession, body: object) -> None:
    assert (await robot(session, sandbox, body))["errcode"] in (40035, 400105)
    access = await token(session, sandbox)
    path = f"/topapi/message/corpconversation/asyncsend_v2?access_token={access}"
    asked = {"agent_id": AGENT_ID, "userid_list": ["lisi"], "msg": body}
    assert (await post(session, sandbox, path, asked))[0] == 200
    status, answer = await post(session, sandbox, "/v1.0/card/instances", {"outTrackId": "x", "cardData": body}, access)
    assert (status, "code" in answer) == (400, True)
    assert all(each.kind != "feedCard" for each in sandbox.board.all())


async def test_a_robot_takes_json_by_post(sandbox: Sandbox, session: ClientSession) -> None:
    url = f"{sandbox.origin}/robot/send?access_token={OPEN}"
    async with session.get(url) as answer:
        assert (answer.status, (await answer.json())["errcode"]) == (200, 43002)
    async with session.post(url, data={"a": "b"}) as answer:
        assert (answer.status, (await answer.json())["errcode"]) == (200, 43004)


async def test_a_robot_is_blocked_for_ten_minutes(sandbox: Sandbox, session: ClientSession, clock: Clock) -> None:
    codes = [(await robot(session, sandbox, TEXT))["errcode"] for _ in range(22)]
    assert codes == [0] * 20 + [130101, 410100]
    clock.advance(599)
    assert (await robot(session, sandbox, TEXT))["errcode"] == 410100
    clock.advance(2)
    assert (await robot(session, sandbox, TEXT))["errcode"] == 0


async def test_the_same_uuid_is_shown_once(sandbox: Sandbox, session: ClientSession) -> None:
    for _ in range(2):
        assert (await robot(session, sandbox, {**TEXT, "msgUuid": "u"}))["errcode"] == 0
    assert len(sandbox.board.all()) == 1


async def test_tokens(sandbox: Sandbox, session: ClientSession, clock: Clock) -> None:
    """The one that is good is given again; GET and POST give it."""
    query = f"/gettoken?appkey={APP_KEY}&appsecret={APP_SECRET}"
    async with session.get(sandbox.origin + query) as answer:
        first = (await answer.json())["access_token"]
    _, second = await post(session, sandbox, "/gettoken", {"appkey": APP_KEY, "appsecret": APP_SECRET})
    assert second["access_token"] == first == await token(session, sandbox)
    _, wrong = await post(session, sandbox, "/gettoken", {"appkey": APP_KEY, "appsecret": "x"})
    assert wrong["errcode"] == 40089
    path = f"/topapi/v2/user/getbymobile?access_token={first}"
    assert (await post(session, sandbox, path, {"mobile": "13800000001"}))[1]["result"]["userid"] == "zhangsan"
    assert (await post(session, sandbox, path, {"mobile": "1"}))[1]["errcode"] == 60121
    clock.advance(7201)
    assert (await post(session, sandbox, path, {"mobile": "1"}))[1]["errcode"] == 42001
    assert await token(session, sandbox) != first


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"robotCode": ""}, 400, "invalidParameter.robotCode.empty"),
        ({"robotCode": "x"}, 400, "invalidParameter.robotCode.auth"),
        ({"userIds": []}, 400, "invalidParameter.userIds.empty"),
        ({"userIds": ["a"] * 21}, 400, "invalidParameter.userIds.overMax"),
        ({"msgKey": "sampleDance"}, 400, "invalidParameter.msgKey.invalid"),
        ({"msgParam": {"content": "x"}}, 400, "invalidParameter.msgParam.invalid"),
        ({"msgParam": '{"content":7}'}, 400, "invalidParameter.msgParam.invalid"),
        ({"msgParam": '{"text":"x"}'}, 400, "invalidParameter.msgParam.invalid"),
        ({"msgKey": "sampleImageMsg", "msgParam": '{"photoURL":"@none"}'}, 400, "invalidParameter.msgParam.mediaId"),
        ({"msgParam": json.dumps({"content": "x" * 15_000})}, 400, "invalidParameter.msgParam.tooLong"),
    ],
)
async def test_a_message_to_people(
    sandbox: Sandbox, session: ClientSession, change: dict[str, Any], status: int, code: str
) -> None:
    good = {"robotCode": APP_KEY, "userIds": ["lisi"], "msgKey": "sampleText", "msgParam": '{"content":"x"}'}
    path, access = "/v1.0/robot/oToMessages/batchSend", await token(session, sandbox)
    assert (await post(session, sandbox, path, good, access))[0] == 200
    assert (await post(session, sandbox, path, good, "old"))[0] == 401
    got, answer = await post(session, sandbox, path, {**good, **change}, access)
    assert (got, answer["code"]) == (status, code)
    assert len(sandbox.board.all()) == 1


async def test_calls_in_a_second(sandbox: Sandbox, session: ClientSession, clock: Clock) -> None:
    access = await token(session, sandbox)
    body = {"robotCode": APP_KEY, "processQueryKeys": []}
    path = "/v1.0/robot/otoMessages/batchRecall"
    statuses = [(await post(session, sandbox, path, body, access))[0] for _ in range(21)]
    assert statuses == [200] * 20 + [403]
    clock.advance(1)
    assert (await post(session, sandbox, path, body, access))[0] == 200


@pytest.mark.parametrize(("duration", "code"), [("59", 40007), ("60", 40035), ("0", 40035), ("x", 40035)])
async def test_a_voice_is_shorter_than_a_minute(
    sandbox: Sandbox, session: ClientSession, duration: str, code: int
) -> None:
    path = f"/topapi/message/corpconversation/asyncsend_v2?access_token={await token(session, sandbox)}"
    message = {"msgtype": "voice", "voice": {"media_id": "@none", "duration": duration}}
    _, answer = await post(session, sandbox, path, {"agent_id": AGENT_ID, "userid_list": "lisi", "msg": message})
    assert answer["errcode"] == code


async def test_the_fourth_notification_of_a_day_to_everyone_reaches_nobody_unverified(
    sandbox: Sandbox, session: ClientSession
) -> None:
    base, access = "/topapi/message/corpconversation/", await token(session, sandbox)
    for number in range(4):
        message = {"msgtype": "text", "text": {"content": f"news {number}"}}
        body = {"agent_id": AGENT_ID, "to_all_user": True, "msg": message}
        _, answer = await post(session, sandbox, f"{base}asyncsend_v2?access_token={access}", body)
        assert answer["errcode"] == 0
    assert len(sandbox.board.all()) == 3
    asked = {"agent_id": AGENT_ID, "task_id": answer["task_id"]}
    _, answer = await post(session, sandbox, f"{base}getsendresult?access_token={access}", asked)
    assert {each["code"] for each in answer["send_result"]["forbidden_list"]} == {"143105"}


async def test_a_work_notification_is_dropped_silently(sandbox: Sandbox, session: ClientSession) -> None:
    access = await token(session, sandbox)
    base = "/topapi/message/corpconversation/"
    body = {"agent_id": AGENT_ID, "userid_list": "lisi,nobody", "msg": TEXT}
    tasks = []
    for _ in range(2):
        _, answer = await post(session, sandbox, f"{base}asyncsend_v2?access_token={access}", body)
        assert answer["errcode"] == 0
        tasks.append(answer["task_id"])
    asked = {"agent_id": AGENT_ID, "task_id": tasks[1]}
    _, answer = await post(session, sandbox, f"{base}getsendresult?access_token={access}", asked)
    assert answer["send_result"]["forbidden_list"] == [{"code": "143106", "count": 1, "userid": "lisi"}]
    assert answer["send_result"]["invalid_user_id_list"] == ["nobody"]
    assert len(sandbox.board.all()) == 1
    _, answer = await post(session, sandbox, f"{base}getsendprogress?access_token={access}", asked)
    assert answer["progress"] == {"progress_in_percent": 100, "status": 2}


async def test_an_answer_by_the_session(sandbox: Sandbox, session: ClientSession, clock: Clock) -> None:
    assert (await post(session, sandbox, "/robot/sendBySession?session=x", TEXT))[1]["errcode"] == 300001


async def test_what_can_not_be_told(emulator: DingTalk) -> None:
    for inbound in (
        Inbound("text", "nobody"),
        Inbound("text", "lisi", "cidNone"),
        Inbound("recalled", "lisi"),
        Inbound("action", "lisi", on="none"),
        Inbound("text", "lisi"),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            await emulator.tell(inbound, "")
    with pytest.raises(ValueError, match="does not answer"):
        await emulator.tell(Inbound("text", "lisi"), "http://127.0.0.1:9/")


async def test_a_stream_needs_its_ticket(sandbox: Sandbox, session: ClientSession) -> None:
    status, _ = await post(session, sandbox, "/v1.0/gateway/connections/open", {"clientId": APP_KEY})
    assert status == 401
    async with session.get(f"{sandbox.origin}/dingtalk/stream?ticket=x") as answer:
        assert answer.status == 401
