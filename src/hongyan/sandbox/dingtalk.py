"""DingTalk: robots of groups, an app with its robot, work notifications, interactive cards, and what it tells the app.

Written from the documentation of open.dingtalk.com; where that is silent, from what people report of the live service.
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.dingtalk_crypto import Envelope, card_sign, sign
from hongyan.sandbox.dingtalk_stream import Streams
from hongyan.sandbox.emulator import Emulator, Inbound, Told
from hongyan.sandbox.faults import Faults, What

APP_KEY, APP_SECRET, AGENT_ID = "dingsandboxapp", "sandbox-app-secret-of-dingtalk", 1000001
CORP_ID, CALLBACK_TOKEN = "dingsandboxcorp", "sandboxtoken"
AES_KEY = "sandboxAESkeyOfDingTalk0123456789abcdefghij"
ROUTE_KEY, CARD_SECRET = "sandbox-route", "sandbox-card-secret"


@dataclass(frozen=True)
class Person:
    id: str
    name: str
    mobile: str
    departments: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    id: str
    title: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Robot:
    """Of a group. `networks`: from where it may be called."""

    name: str
    group: str
    secret: str = ""
    keywords: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


PEOPLE = {
    each.id: each
    for each in (
        Person("zhangsan", "张三", "13800000001", (1, 2)),
        Person("lisi", "李四", "13800000002", (1, 2)),
        Person("wangwu", "王五", "13800000003", (1, 3)),
    )
}
DEPARTMENTS = {1: "鸿雁科技", 2: "研发部", 3: "运维部"}
GROUPS = {
    each.id: each
    for each in (
        Group("cidOps0sandbox==", "运维值班群", ("zhangsan", "lisi", "wangwu")),
        Group("cidDev0sandbox==", "研发交流群", ("zhangsan", "lisi")),
    )
}
ROBOTS = {
    "sandbox-signed": Robot("告警机器人", "cidOps0sandbox==", secret="SECsandbox0123456789"),
    "sandbox-keyword": Robot("发布助手", "cidDev0sandbox==", keywords=("告警", "发布")),
    "sandbox-network": Robot("内网机器人", "cidDev0sandbox==", networks=("127.0.0.0/8", "::1/128")),
    "sandbox-elsewhere": Robot("机房机器人", "cidDev0sandbox==", networks=("203.0.113.0/24",)),
}

#: Bytes of a message of a robot, of the parameter of a message in a group, and of a work notification.
ROBOT_MAX, PARAM_MAX, WORK_MAX = 20_000, 15_000, 2048
#: Messages of a robot in a minute, and how long it is blocked for more (s).
ROBOT_RATE, ROBOT_BLOCK = 20, 600.0
TOKEN_LIFE, SESSION_LIFE, READ_LIFE = 7200, 5400, 86_400
DAILY = 500

#: What the parameter of each kind of message must have.
SAMPLES: Mapping[str, Sequence[str]] = {
    "sampleText": ("content",),
    "sampleMarkdown": ("title", "text"),
    "sampleImageMsg": ("photoURL",),
    "sampleLink": ("title", "text", "messageUrl"),
    "sampleActionCard": ("title", "text", "singleTitle", "singleURL"),
    **{
        f"sampleActionCard{n}": ("title", "text", *(f"action{w}{i}" for i in range(1, n + 1) for w in ("Title", "URL")))
        for n in range(2, 6)
    },
    "sampleActionCard6": ("title", "text", "buttonTitle1", "buttonUrl1", "buttonTitle2", "buttonUrl2"),
    "sampleAudio": ("mediaId", "duration"),
    "sampleFile": ("mediaId", "fileName", "fileType"),
    "sampleVideo": ("videoMediaId", "videoType", "picMediaId", "duration"),
}
ROBOT_TYPES: Mapping[str, Sequence[str]] = {
    "text": ("content",),
    "markdown": ("title", "text"),
    "link": ("title", "text", "messageUrl"),
    "actionCard": ("title", "text"),
    "feedCard": ("links",),
}
WORK_TYPES: Mapping[str, Sequence[str]] = {
    "text": ("content",),
    "image": ("media_id",),
    "voice": ("media_id", "duration"),
    "file": ("media_id",),
    "link": ("messageUrl", "picUrl", "title", "text"),
    "oa": ("message_url", "head", "body"),
    "markdown": ("title", "text"),
    "action_card": ("title", "markdown"),
}
UPLOADS = {"image": 20 << 20, "voice": 2 << 20, "video": 20 << 20, "file": 20 << 20}


@dataclass
class Card:
    """An interactive card. `shown` are the ids of what stands on the board."""

    template: str
    params: dict[str, str]
    callback: str
    route: str
    shown: list[str] = field(default_factory=list)


@dataclass
class Task:
    """A work notification: who got it, and who did not, by the code of why."""

    shown: str
    users: list[str]
    invalid_users: list[str]
    invalid_departments: list[str]
    forbidden: dict[str, int]


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, answer: web.Response) -> None:
        self.answer = answer


class DingTalk(Emulator):
    platform = "dingtalk"
    prefixes = (
        "/robot/",
        "/gettoken",
        "/topapi/",
        "/media/upload",
        "/v1.0/",
        "/dingtalk/",
    )

    def __init__(self, board: Board, faults: Faults, now: Any) -> None:
        super().__init__(board, faults, now)
        #: Calls of each API of v1.0 in a second; and how often tokens were asked for.
        self.qps, self.token_requests = 20, 0
        self.streams = Streams()
        self.envelope = Envelope(CALLBACK_TOKEN, AES_KEY, APP_KEY)
        self.routes_of_cards: dict[str, tuple[str, str]] = {ROUTE_KEY: ("", CARD_SECRET)}
        self._tokens: dict[str, float] = {}
        self._robot_calls: dict[str, deque[float]] = {}
        self._blocked: dict[str, float] = {}
        self._uuids: set[tuple[str, str]] = set()
        self._calls: dict[str, deque[float]] = {}
        self._sent: dict[str, tuple[Shown, float]] = {}
        self._tasks: dict[int, Task] = {}
        self._days: dict[tuple[str, int], int] = {}
        self._contents: set[tuple[str, int, str]] = set()
        self._cards: dict[str, Card] = {}
        self._sessions: dict[str, tuple[str, float]] = {}

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        legacy: dict[str, Any] = {
            "/topapi/message/corpconversation/asyncsend_v2": self._work_send,
            "/topapi/message/corpconversation/getsendprogress": self._work_progress,
            "/topapi/message/corpconversation/getsendresult": self._work_result,
            "/topapi/message/corpconversation/recall": self._work_recall,
            "/topapi/message/corpconversation/status_bar/update": self._work_update,
            "/topapi/v2/user/getbymobile": self._by_mobile,
            "/media/upload": self._upload,
        }
        v1: list[tuple[str, str, Any]] = [
            ("POST", "/v1.0/robot/oToMessages/batchSend", self._send_users),
            ("POST", "/v1.0/robot/groupMessages/send", self._send_group),
            ("GET", "/v1.0/robot/oToMessages/readStatus", self._read_users),
            ("POST", "/v1.0/robot/groupMessages/query", self._read_group),
            ("POST", "/v1.0/robot/otoMessages/batchRecall", self._recall),
            ("POST", "/v1.0/robot/groupMessages/recall", self._recall),
            ("POST", "/v1.0/robot/messageFiles/download", self._download),
            ("POST", "/v1.0/card/instances", self._card_create),
            ("POST", "/v1.0/card/instances/deliver", self._card_deliver),
            ("POST", "/v1.0/card/instances/createAndDeliver", self._card_create_and_deliver),
            ("PUT", "/v1.0/card/instances", self._card_update),
            ("PUT", "/v1.0/card/streaming", self._card_streaming),
            ("POST", "/v1.0/card/callbacks/register", self._card_register),
        ]
        return [
            web.route("*", "/robot/send", _answering(self._robot_send)),
            web.post("/robot/sendBySession", _answering(self._session_send)),
            web.get("/gettoken", _answering(self._legacy_token)),
            web.post("/gettoken", _answering(self._legacy_token)),
            web.post("/v1.0/oauth2/accessToken", _answering(self._new_token)),
            *(web.post(path, _answering(self._with_token(handler, v1=False))) for path, handler in legacy.items()),
            *(web.route(way, path, _answering(self._with_token(handler, v1=True))) for way, path, handler in v1),
            web.post("/v1.0/gateway/connections/open", _answering(self._stream_open)),
            web.get("/dingtalk/stream", self.streams.serve),
        ]

    def failure(self, what: What, request: web.Request) -> web.Response:
        v1 = request.path.startswith("/v1.0/")
        match what:
            case "throttled" if request.path == "/robot/send":  # the page of the gateway, which has no errcode
                return _json(
                    {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": secrets.token_hex(8)}
                )
            case "throttled":
                if v1:
                    return _error(403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "qps limit")
                return _legacy(90002, "您的服务器调用钉钉开放平台所有接口的请求都被暂时禁用了")
            case "token_expired":
                if request.path == "/robot/send":
                    return _legacy(300005, "token is not exist")
                if v1:
                    return _error(401, "InvalidAuthentication", "不合法的access_token")
                return _legacy(42001, "access_token超时")
            case _:
                if request.path == "/robot/send":
                    return _legacy(430104, "内容不合适")
                if v1:
                    return _error(400, "invalidParameter.msgParam.invalid", "msgParam is invalid")
                return _legacy(40035, "不合法的参数")

    def world(self) -> Mapping[str, Any]:
        return {
            "app": {
                "app_key": APP_KEY,
                "app_secret": APP_SECRET,
                "robot_code": APP_KEY,
                "agent_id": AGENT_ID,
                "corp_id": CORP_ID,
                "callback_token": CALLBACK_TOKEN,
                "callback_aes_key": AES_KEY,
                "card_template_id": "sandbox-card.schema",
                "card_route_key": ROUTE_KEY,
                "card_secret": CARD_SECRET,
            },
            "robots": [
                {
                    "access_token": token,
                    "name": robot.name,
                    "group": robot.group,
                    "secret": robot.secret,
                    "keywords": robot.keywords,
                    "networks": robot.networks,
                }
                for token, robot in ROBOTS.items()
            ],
            "people": [{"id": each.id, "name": each.name, "mobile": each.mobile} for each in PEOPLE.values()],
            "departments": [{"id": str(number), "name": name} for number, name in DEPARTMENTS.items()],
            "groups": [{"id": each.id, "title": each.title, "members": each.members} for each in GROUPS.values()],
        }

    # tokens

    def expire_tokens(self) -> None:
        """All that were given are good no more."""
        self._tokens.clear()

    def _token(self, key: object, secret: object) -> str | None:
        """The one that is good is given again, and lives longer by that."""
        self.token_requests += 1
        if (key, secret) != (APP_KEY, APP_SECRET):
            return None
        now = self.now()
        token = next((each for each, until in self._tokens.items() if now < until), None) or secrets.token_hex(16)
        self._tokens[token] = now + TOKEN_LIFE
        return token

    async def _legacy_token(self, request: web.Request) -> web.Response:
        given = {**request.query, **(await _fields(request) if request.method == "POST" else {})}
        token = self._token(given.get("appkey"), given.get("appsecret"))
        if token is None:
            return _legacy(40089, "不合法的appkey或appsecret")
        return _legacy(0, "ok", access_token=token, expires_in=TOKEN_LIFE)

    async def _new_token(self, request: web.Request) -> web.Response:
        given = await _fields(request)
        token = self._token(given.get("appKey"), given.get("appSecret"))
        if token is None:
            return _error(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
        return _json({"accessToken": token, "expireIn": TOKEN_LIFE})

    def _with_token(self, handler: Any, *, v1: bool) -> Any:
        async def checked(request: web.Request) -> web.Response:
            token = request.headers.get("x-acs-dingtalk-access-token") if v1 else request.query.get("access_token")
            until = self._tokens.get(token or "")
            if until is None or self.now() >= until:
                if v1:
                    return _error(401, "InvalidAuthentication", "不合法的access_token")
                return _legacy(40014, "不合法的access_token") if until is None else _legacy(42001, "access_token超时")
            if v1 and not self._may_call(f"{request.method} {request.path}"):
                return _error(403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "应用对接口的调用超过了QPS限制")
            answer: web.Response = await handler(request)
            return answer

        return checked

    def _may_call(self, api: str) -> bool:
        calls = self._calls.setdefault(api, deque())
        now = self.now()
        while calls and calls[0] <= now - 1:
            calls.popleft()
        if len(calls) >= self.qps:
            return False
        calls.append(now)
        return True

    # robots of groups

    async def _robot_send(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return _legacy(43002, "require POST http method")
        token = request.query.get("access_token", "")
        if not token:
            return _legacy(40035, "缺少参数 access_token")
        robot = ROBOTS.get(token)
        if robot is None:
            return _legacy(300005, "token is not exist")
        if request.content_type != "application/json":
            return _legacy(43004, "无效的HTTP HEADER Content-Type")
        raw = await request.read()
        refused = self._robot_paced(token)
        if refused is not None:
            return refused
        body = _object(raw)
        if not body:
            return _legacy(40035, "缺少参数 json")
        if len(raw) > ROBOT_MAX:
            return _legacy(460101, "message too long, exceed 20000 bytes")
        kind = _robot_type(body)
        self._robot_secured(robot, request, body[kind])
        uuid = body.get("msgUuid")
        if uuid and (token, uuid) in self._uuids:
            return _legacy(0, "ok")
        self._uuids.add((token, str(uuid)))
        self._show_robot(robot, kind, body)
        return _legacy(0, "ok")

    def _robot_paced(self, token: str) -> web.Response | None:
        now = self.now()
        if now < self._blocked.get(token, 0.0):
            return _legacy(410100, "发送速度太快而限流")
        calls = self._robot_calls.setdefault(token, deque())
        while calls and calls[0] <= now - 60:
            calls.popleft()
        calls.append(now)
        if len(calls) > ROBOT_RATE:
            self._blocked[token] = now + ROBOT_BLOCK
            calls.clear()
            return _legacy(130101, "send too fast, exceed 20 times per minute")
        return None

    def _robot_secured(self, robot: Robot, request: web.Request, content: dict[str, Any]) -> None:
        """All the protections that were chosen for the robot."""
        if robot.secret:
            stamp = request.query.get("timestamp", "")
            if not hmac.compare_digest(request.query.get("sign", ""), sign(robot.secret, stamp)):
                raise Refusal(_described("机器人发送签名不匹配", "请确认签名和生成签名的时间戳必须都放在调用的网址中"))
            if not stamp.isdecimal() or abs(int(stamp) / 1000 - self.now()) > 3600:
                raise Refusal(_described("机器人发送签名过期", "签名生成时间和发送时间请保持在3600秒以内"))
        if robot.networks:
            address = ipaddress.ip_address(request.remote or "0.0.0.0")
            if not any(address in ipaddress.ip_network(each) for each in robot.networks):
                raise Refusal(_legacy(310000, f"ip {address} not in whitelist"))
        if robot.keywords and not any(word in _visible(content) for word in robot.keywords):
            raise Refusal(
                _described("关键词不匹配", "请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词")
            )

    def _show_robot(self, robot: Robot, kind: str, body: dict[str, Any]) -> None:
        group = GROUPS[robot.group]
        at = body.get("at") or {}
        text = _visible(body[kind])
        everyone = bool(at.get("isAtAll"))
        told = [
            PEOPLE[each].name
            for each in group.members
            if kind in ("text", "markdown")
            and (
                (each in at.get("atUserIds", []) and (kind == "text" or f"@{each}" in text))
                or (
                    PEOPLE[each].mobile in at.get("atMobiles", [])
                    and (kind == "text" or f"@{PEOPLE[each].mobile}" in text)
                )
            )
        ]
        extra = {"title": group.title, "mentions": told, "everyone": everyone and kind in ("text", "markdown")}
        self.board.add(self.platform, "robot", robot.name, [group.id], kind, body, extra=extra)

    async def _session_send(self, request: web.Request) -> web.Response:
        """An answer to what somebody has said, to the address that came with it."""
        chat, until = self._sessions.get(request.query.get("session", ""), ("", 0.0))
        if not chat or self.now() >= until:
            return _legacy(300001, "session 不存在或已过期")
        body = _object(await request.read())
        if not body:
            return _legacy(40035, "缺少参数 json")
        self._show_answer(chat, body)
        return _legacy(0, "ok")

    def _show_answer(self, chat: str, body: dict[str, Any]) -> None:
        kind = _robot_type(body)
        self._show_app(chat, kind, body, {})

    # the robot of the app

    def _show_app(self, chat: str, kind: str, payload: Any, extra: dict[str, Any], id: str = "") -> Shown:
        group = GROUPS.get(chat)
        return self.board.add(
            self.platform,
            "app",
            "鸿雁助手",
            [chat],
            kind,
            payload,
            id=id,
            extra={"title": group.title if group else PEOPLE[chat].name, "direct": group is None, **extra},
        )

    def _sample(self, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Kind and parameter of a message, checked as all of it is."""
        code = body.get("robotCode")
        if not code:
            raise Refusal(_error(400, "invalidParameter.robotCode.empty", "robotCode不能为空"))
        if code != APP_KEY:
            raise Refusal(_error(400, "invalidParameter.robotCode.auth", "robotCode没有权限"))
        kind, text = str(body.get("msgKey")), body.get("msgParam")
        if kind not in SAMPLES:
            raise Refusal(_error(400, "invalidParameter.msgKey.invalid", "msgKey无效"))
        param = _object(text.encode()) if isinstance(text, str) else None
        if not param or not all(isinstance(each, str) for each in param.values()):
            raise Refusal(_error(400, "invalidParameter.msgParam.invalid", "msgParam无效"))
        missing = [each for each in SAMPLES[kind] if not param.get(each)]
        if missing:
            raise Refusal(_error(400, "invalidParameter.msgParam.invalid", f"msgParam缺少{missing[0]}"))
        media = [param[each] for each in ("mediaId", "videoMediaId", "picMediaId") if each in param]
        media += [param["photoURL"]] if param.get("photoURL", "").startswith("@") else []
        if any(self.board.media(each) is None for each in media):
            raise Refusal(_error(400, "invalidParameter.msgParam.mediaId", "mediaId无效"))
        assert isinstance(text, str)
        if len(text.encode()) > PARAM_MAX:
            raise Refusal(_error(400, "invalidParameter.msgParam.tooLong", "msgParam过长"))
        return kind, param

    async def _send_users(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        users = body.get("userIds")
        if not isinstance(users, list) or not users:
            return _error(400, "invalidParameter.userIds.empty", "userIds不能为空")
        if len(users) > 20:
            return _error(400, "invalidParameter.userIds.overMax", "userIds超过20个")
        kind, param = self._sample(body)
        known = [each for each in users if each in PEOPLE]
        key = _query_key()
        if known:
            shown = self.board.add(
                self.platform,
                "app",
                "鸿雁助手",
                known,
                kind,
                {"msgKey": kind, "msgParam": param},
                extra={"title": "、".join(PEOPLE[each].name for each in known), "direct": True},
            )
            self._sent[key] = (shown, self.now())
        return _json(
            {
                "processQueryKey": key,
                "invalidStaffIdList": [each for each in users if each not in PEOPLE],
                "flowControlledStaffIdList": [],
                "filteredStaffIdList": [],
            }
        )

    async def _send_group(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        chat = body.get("openConversationId")
        kind, param = self._sample(body)
        if chat not in GROUPS:
            return _error(400, "resource.not.found", "群不存在")
        key = _query_key()
        shown = self._show_app(chat, kind, {"msgKey": kind, "msgParam": param}, {})
        self._sent[key] = (shown, self.now())
        return _json({"processQueryKey": key})

    async def _read_users(self, request: web.Request) -> web.Response:
        shown = self._of_key(request.query.get("processQueryKey"))
        return _json(
            {
                "sendStatus": "RECALLED" if shown.state == "recalled" else "SUCCESS",
                "messageReadInfoList": [
                    {
                        "userId": each,
                        "name": PEOPLE[each].name,
                        "readStatus": "READ" if each in shown.read_by else "UNREAD",
                        "readTimestamp": shown.at if each in shown.read_by else 0,
                    }
                    for each in shown.to
                ],
            }
        )

    async def _read_group(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        shown = self._of_key(body.get("processQueryKey"))
        count = min(int(body.get("maxResults") or 200), 200)
        start = int(body.get("nextToken") or 0)
        read = shown.read_by[start : start + count]
        more = start + count < len(shown.read_by)
        return _json(
            {
                "sendStatus": "RECALLED" if shown.state == "recalled" else "SUCCESS",
                "readUserIds": read,
                "hasMore": more,
                **({"nextToken": str(start + count)} if more else {}),
            }
        )

    def _of_key(self, key: object) -> Shown:
        shown, at = self._sent.get(str(key), (None, 0.0))
        if shown is None or self.now() - at > READ_LIFE:
            raise Refusal(_error(400, "resource.not.found", "processQueryKey不存在或已过期"))
        return shown

    async def _recall(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        done, failed = [], {}
        for key in body.get("processQueryKeys") or []:
            shown, _ = self._sent.get(key, (None, 0.0))
            if shown is None:
                failed[key] = "resource.not.found"
            elif shown.state == "recalled":
                failed[key] = "message.already.recalled"
            else:
                self._change(shown, recalled=True)
                done.append(key)
        return _json({"successResult": done, "failedResult": failed})

    def _change(self, shown: Shown, *, recalled: bool = False) -> None:
        shown.state = "recalled" if recalled else "changed"
        self.board.changed(shown)

    async def _download(self, request: web.Request) -> web.Response:
        code = (await _fields(request)).get("downloadCode")
        if not isinstance(code, str) or self.board.media(code) is None:
            return _error(400, "resource.not.found", "downloadCode不存在")
        return _json({"downloadUrl": f"{self.origin}/sandbox/media/{code}"})

    # work notifications

    async def _work_send(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        if str(body.get("agent_id")) != str(AGENT_ID):
            return _legacy(33001, "无效的企业应用ID")
        message = body.get("msg")
        if isinstance(message, str):
            message = _object(message.encode())
        kind = _work_type(message)
        assert isinstance(message, dict)
        for media in [message[kind].get("media_id")] if kind in ("image", "voice", "file") else []:
            if self.board.media(str(media)) is None:
                return _legacy(40007, "不合法的媒体文件id")
        users = [each for each in str(body.get("userid_list") or "").split(",") if each]
        departments = [each for each in str(body.get("dept_id_list") or "").split(",") if each]
        if len(users) > 100 or len(departments) > 20:
            return _legacy(40035, "接收者数量超过限制")
        if body.get("to_all_user") in (True, "true"):
            departments = ["1"]
        if not users and not departments:
            return _legacy(40035, "缺少参数 userid_list、dept_id_list、to_all_user")
        return _legacy(0, "ok", task_id=self._work_task(kind, message, users, departments), request_id="sandbox")

    def _work_task(self, kind: str, message: dict[str, Any], users: list[str], departments: list[str]) -> int:
        """Who gets nothing is told by the result alone."""
        day = int(self.now() // 86_400)
        content = hashlib.sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()
        wanted = [each for each in users if each in PEOPLE]
        for person in PEOPLE.values():
            if person.id not in wanted and any(str(each) in departments for each in person.departments):
                wanted.append(person.id)
        forbidden: dict[str, int] = {}
        for each in wanted:
            if (each, day, content) in self._contents:
                forbidden[each] = 143106
            elif self._days.get((each, day), 0) >= DAILY:
                forbidden[each] = 143105
            else:
                self._contents.add((each, day, content))
                self._days[each, day] = self._days.get((each, day), 0) + 1
        got = [each for each in wanted if each not in forbidden]
        number = len(self._tasks) + 500_001
        shown_id = ""
        if got:
            extra = {"title": "工作通知", "work": True, "task": number}
            shown_id = self.board.add(self.platform, "app", "鸿雁助手", got, kind, message, extra=extra).id
        self._tasks[number] = Task(
            shown_id,
            got,
            [each for each in users if each not in PEOPLE],
            [each for each in departments if not (each.isdecimal() and int(each) in DEPARTMENTS)],
            forbidden,
        )
        return number

    def _task(self, number: object) -> Task:
        task = self._tasks.get(int(str(number))) if str(number).isdecimal() else None
        if task is None:
            raise Refusal(_legacy(33012, "无效的任务ID"))
        return task

    async def _work_progress(self, request: web.Request) -> web.Response:
        self._task((await _fields(request)).get("task_id"))
        return _legacy(0, "ok", progress={"progress_in_percent": 100, "status": 2})

    async def _work_result(self, request: web.Request) -> web.Response:
        task = self._task((await _fields(request)).get("task_id"))
        shown = self.board.get(task.shown)
        read = shown.read_by if shown else []
        result = {
            "invalid_user_id_list": task.invalid_users,
            "forbidden_user_id_list": list(task.forbidden),
            "failed_user_id_list": [],
            "read_user_id_list": [each for each in task.users if each in read],
            "unread_user_id_list": [each for each in task.users if each not in read],
            "invalid_dept_id_list": task.invalid_departments,
            "forbidden_list": [{"code": str(c), "count": 1, "userid": each} for each, c in task.forbidden.items()],
        }
        return _legacy(0, "ok", send_result=result)

    async def _work_recall(self, request: web.Request) -> web.Response:
        shown = self.board.get(self._task((await _fields(request)).get("msg_task_id")).shown)
        if shown is not None:
            self._change(shown, recalled=True)
        return _legacy(0, "ok")

    async def _work_update(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        shown = self.board.get(self._task(body.get("task_id")).shown)
        if shown is None or shown.kind != "oa" or not body.get("status_value"):
            return _legacy(40035, "只有OA消息可以更新状态栏")
        shown.payload["oa"]["status_bar"] = {
            "status_value": str(body["status_value"]),
            "status_bg": str(body.get("status_bg", "")),
        }
        self._change(shown)
        return _legacy(0, "ok")

    # people and files

    async def _by_mobile(self, request: web.Request) -> web.Response:
        mobile = str((await _fields(request)).get("mobile"))
        for person in PEOPLE.values():
            if person.mobile == mobile:
                return _legacy(0, "ok", result={"userid": person.id, "exclusive_account_userid_list": []})
        return _legacy(60121, "找不到该用户")

    async def _upload(self, request: web.Request) -> web.Response:
        if not request.content_type.startswith("multipart/"):
            return _legacy(43004, "无效的HTTP HEADER Content-Type")
        form = await request.post()
        kind = request.query.get("type") or str(form.get("type", ""))
        media = form.get("media")
        if kind not in UPLOADS:
            return _legacy(40004, "不合法的媒体文件类型")
        if not isinstance(media, web.FileField):
            return _legacy(40035, "缺少参数 media")
        content = media.file.read()
        if not 0 < len(content) <= UPLOADS[kind]:
            return _legacy(40006, "不合法的文件大小")
        media_id = "@sandbox" + secrets.token_hex(8)
        self.board.keep(media_id, media.filename, media.content_type, content)
        return _legacy(0, "ok", media_id=media_id, type=kind, created_at=int(self.now() * 1000))

    # interactive cards

    async def _card_create(self, request: web.Request) -> web.Response:
        return _json({"success": True, "result": self._new_card(await _fields(request))})

    def _new_card(self, body: dict[str, Any]) -> str:
        card_id = body.get("outTrackId")
        params = (body.get("cardData") or {}).get("cardParamMap")
        if not card_id or not body.get("cardTemplateId"):
            raise Refusal(_error(400, "param.error", "outTrackId和cardTemplateId不能为空"))
        if not isinstance(params, dict) or not all(isinstance(each, str) for each in params.values()):
            raise Refusal(_error(400, "param.error", "cardParamMap的值必须是字符串"))
        callback = body.get("callbackType") or "HTTP"
        route = str(body.get("callbackRouteKey") or "")
        if callback == "HTTP" and route and route not in self.routes_of_cards:
            raise Refusal(_error(400, "param.error", "callbackRouteKey未注册"))
        self._cards.setdefault(str(card_id), Card(body["cardTemplateId"], params, callback, route))
        return str(card_id)

    async def _card_deliver(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        return _json({"success": True, "result": self._delivered(body)})

    async def _card_create_and_deliver(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        card_id = self._new_card(body)
        return _json({"success": True, "result": {"outTrackId": card_id, "deliverResults": self._delivered(body)}})

    def _delivered(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """To each space that is named, once."""
        card_id = str(body.get("outTrackId"))
        card = self._cards.get(card_id)
        if card is None:
            raise Refusal(_error(400, "param.error", "卡片不存在"))
        results = []
        for space in str(body.get("openSpaceId") or "").split(";"):
            kind, _, chat = space.removeprefix("dtv1.card//").partition(".")
            error = self._space_error(kind, chat, body)
            shown_id = f"dingtalk-card-{card_id}-{chat}"
            if not error and shown_id not in card.shown:
                at = (body.get("imGroupOpenDeliverModel") or {}).get("atUserIds") or {}
                extra = {
                    "card": card_id,
                    "mentions": [n for u, n in at.items() if u != "@ALL"],
                    "everyone": "@ALL" in at,
                }
                payload = {"cardTemplateId": card.template, "cardParamMap": card.params}
                self._show_app(chat, "card", payload, extra, id=shown_id)
                card.shown.append(shown_id)
            results.append(
                {"spaceType": kind, "spaceId": chat, "success": not error, "errorMsg": error, "carrierId": ""}
            )
        return results

    def _space_error(self, kind: str, chat: str, body: dict[str, Any]) -> str:
        match kind:
            case "IM_GROUP":
                model = body.get("imGroupOpenDeliverModel") or {}
                if model.get("robotCode") != APP_KEY:
                    return "robotCode无效"
                return "" if chat in GROUPS else "群不存在"
            case "IM_ROBOT":
                if (body.get("imRobotOpenDeliverModel") or {}).get("spaceType") != "IM_ROBOT":
                    return "imRobotOpenDeliverModel无效"
                return "" if chat in PEOPLE else "用户不存在"
            case _:
                return "spaceType无效"

    async def _card_update(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        params = (body.get("cardData") or {}).get("cardParamMap") or {}
        by_key = (body.get("cardUpdateOptions") or {}).get("updateCardDataByKey")
        self._card_changed(str(body.get("outTrackId")), params, whole=not by_key)
        return _json({"success": True, "result": True})

    async def _card_streaming(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        key, content = str(body.get("key")), str(body.get("content", ""))
        card = self._cards.get(str(body.get("outTrackId")))
        before = "" if body.get("isFull") or card is None else card.params.get(key, "")
        self._card_changed(str(body.get("outTrackId")), {key: before + content}, whole=False)
        return _json({"success": True, "result": True})

    def _card_changed(self, card_id: str, params: dict[str, str], *, whole: bool) -> None:
        card = self._cards.get(card_id)
        if card is None:
            raise Refusal(_error(400, "param.error", "卡片不存在"))
        if not all(isinstance(each, str) for each in params.values()):
            raise Refusal(_error(400, "param.error", "cardParamMap的值必须是字符串"))
        card.params = dict(params) if whole else {**card.params, **params}
        for each in card.shown:
            shown = self.board.get(each)
            if shown is not None:
                shown.payload["cardParamMap"] = card.params
                self._change(shown)

    async def _card_register(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        key, url = str(body.get("callbackRouteKey") or ""), str(body.get("callbackUrl") or "")
        if not key or not url.startswith(("http://", "https://")):
            return _error(400, "param.error", "callbackRouteKey和callbackUrl不能为空")
        before = self.routes_of_cards.get(key)
        if before is None or body.get("forceUpdate") or not before[0]:
            self.routes_of_cards[key] = (url, str(body.get("apiSecret") or ""))
        url, secret = self.routes_of_cards[key]
        return _json({"success": True, "result": {"callbackUrl": url, "apiSecret": secret}})

    # telling the app

    async def _stream_open(self, request: web.Request) -> web.Response:
        body = await _fields(request)
        if (body.get("clientId"), body.get("clientSecret")) != (APP_KEY, APP_SECRET):
            return _error(401, "authFailed", "clientId或clientSecret无效")
        subscriptions = body.get("subscriptions")
        if not isinstance(subscriptions, list) or not subscriptions:
            return _error(400, "param.error", "subscriptions不能为空")
        ticket = self.streams.ticket({(each.get("type"), each.get("topic")) for each in subscriptions})
        return _json({"endpoint": f"{self.origin.replace('http', 'ws', 1)}/dingtalk/stream", "ticket": ticket})

    async def tell(self, inbound: Inbound, url: str) -> Told:
        """`url` may be empty: then by the stream that the app has opened. Besides the kinds that all have: `image`, a
        picture whose media id is `value`, and `check`, the first push of events.
        """
        if inbound.kind != "check" and inbound.user not in PEOPLE:
            raise ValueError(f"there is nobody {inbound.user!r}")
        match inbound.kind:
            case "text" | "image":
                return await self._tell_message(inbound, url)
            case "action":
                return await self._tell_action(inbound, url)
            case "read":
                shown = self._shown(inbound.on)
                if inbound.user not in shown.read_by:
                    shown.read_by.append(inbound.user)
                    self.board.changed(shown)
                return Told(200, "DingTalk tells the app nothing of this: it asks.")
            case "added":
                return await self._tell_event(
                    "chat_add_member", {"ChatId": inbound.chat, "UserId": [inbound.user]}, url
                )
            case "check":
                return await self._tell_event("check_url", {}, url)
            case _:
                raise ValueError(f"DingTalk tells an app nothing of {inbound.kind!r}")

    async def _tell_message(self, inbound: Inbound, url: str) -> Told:
        person, group = PEOPLE[inbound.user], GROUPS.get(inbound.chat)
        if inbound.chat and group is None:
            raise ValueError(f"there is no group {inbound.chat!r}")
        session = secrets.token_hex(16)
        chat = group.id if group else person.id
        self._sessions[session] = (chat, self.now() + SESSION_LIFE)
        message: dict[str, Any] = {
            "conversationId": group.id if group else f"cidDirect0{person.id}==",
            "conversationType": "2" if group else "1",
            **({"conversationTitle": group.title, "isInAtList": True} if group else {}),
            "atUsers": [{"dingtalkId": "$:LWCP_v1:$robot"}] if group else [],
            "chatbotCorpId": CORP_ID,
            "chatbotUserId": "$:LWCP_v1:$robot",
            "msgId": f"msg{self.board.new_id()}sandbox==",
            "senderNick": person.name,
            "isAdmin": False,
            "senderStaffId": person.id,
            "senderId": f"$:LWCP_v1:${person.id}",
            "senderCorpId": CORP_ID,
            "sessionWebhookExpiredTime": int((self.now() + SESSION_LIFE) * 1000),
            "createAt": int(self.now() * 1000),
            "sessionWebhook": f"{self.origin}/robot/sendBySession?session={session}",
            "robotCode": APP_KEY,
        }
        if inbound.kind == "image":
            message |= {"msgtype": "picture", "content": {"downloadCode": inbound.value}}
        else:
            message |= {"msgtype": "text", "text": {"content": inbound.text}}
        if not url:
            return Told(*await self.streams.push("CALLBACK", "/v1.0/im/bot/messages/get", message))
        stamp = str(int(self.now() * 1000))
        told = await _post(url, message, {"timestamp": stamp, "sign": sign(APP_SECRET, stamp)})
        answer = _object(told.body.encode())
        if told.status == 200 and answer and answer.get("msgtype") in ROBOT_TYPES:
            self._show_answer(chat, answer)
        return told

    async def _tell_action(self, inbound: Inbound, url: str) -> Told:
        shown = self._shown(inbound.on)
        card = self._cards.get(str(shown.extra.get("card")))
        if card is None:
            raise ValueError("only interactive cards tell the app what is pressed")
        params = {"action": inbound.action, "value": inbound.value, **inbound.inputs}
        content = {"cardPrivateData": {"actionIds": [inbound.action], "params": params}}
        callback = {
            "type": "actionCallback",
            "outTrackId": shown.extra["card"],
            "corpId": CORP_ID,
            "userId": inbound.user,
            "spaceId": shown.to[0],
            "spaceType": "im",
            "extension": "{}",
            "content": json.dumps(content, ensure_ascii=False),
        }
        if card.callback == "STREAM":
            status, body = await self.streams.push("CALLBACK", "/v1.0/card/instances/callback", callback)
            told = Told(status, body)
        else:
            known, secret = self.routes_of_cards.get(card.route, ("", CARD_SECRET))
            stamp = str(int(self.now() * 1000))
            signed = {"x-ddpaas-signature-timestamp": stamp, "x-ddpaas-signature": card_sign(secret, stamp)}
            told = await _post(known or url, callback, signed)
        self._card_answered(str(shown.extra["card"]), _object(told.body.encode()))
        return told

    def _card_answered(self, card_id: str, answer: dict[str, Any] | None) -> None:
        """The answer to a callback may change the card."""
        data = (answer or {}).get("cardData")
        params = data.get("cardParamMap") if isinstance(data, dict) else None
        if isinstance(params, dict):
            self._card_changed(card_id, params, whole=False)

    async def _tell_event(self, name: str, data: dict[str, Any], url: str) -> Told:
        now = str(int(self.now() * 1000))
        event = {"EventType": name, "TimeStamp": now, "CorpId": CORP_ID, **data}
        if not url:
            headers = {"eventType": name, "eventId": secrets.token_hex(8), "eventCorpId": CORP_ID, "eventBornTime": now}
            return Told(*await self.streams.push("EVENT", "*", event, headers))
        query, body = self.envelope.wrap(json.dumps(event, ensure_ascii=False), now)
        told = await _post(f"{url}{'&' if '?' in url else '?'}{query}", body, {})
        answer = _object(told.body.encode())
        try:
            return Told(told.status, self.envelope.unwrap(answer or {}))
        except ValueError as error:
            return Told(told.status, f"{error}: {told.body}")

    def _shown(self, on: str) -> Shown:
        shown = self.board.get(on)
        if shown is None or shown.platform != self.platform:
            raise ValueError(f"there is no message {on!r}")
        return shown


def _answering(handler: Any) -> Any:
    """A refusal within is the answer."""

    async def answering(request: web.Request) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except Refusal as refusal:
            return refusal.answer
        return answer

    return answering


async def _post(url: str, value: object, headers: Mapping[str, str]) -> Told:
    if not url.startswith(("http://", "https://")):
        raise ValueError("there is no address to tell it to")
    try:
        async with (
            ClientSession(timeout=ClientTimeout(10)) as session,
            session.post(url, json=value, headers=headers) as answer,
        ):
            return Told(answer.status, await answer.text(errors="replace"))
    except (ClientError, TimeoutError, OSError) as error:
        raise ValueError(f"the app does not answer: {error or type(error).__name__}") from None


def _robot_type(body: dict[str, Any]) -> str:
    """The type of a message to a webhook, whose content is complete."""
    kind = str(body.get("msgtype"))
    if kind not in ROBOT_TYPES:
        raise Refusal(_legacy(400105, "不支持的消息类型"))
    content = body.get(kind)
    missing = [each for each in ROBOT_TYPES[kind] if not isinstance(content, dict) or not content.get(each)]
    if isinstance(content, dict) and not missing:
        for part, names in _parts(kind, content):
            missing += [each for each in names if not part.get(each)]
    if missing:
        raise Refusal(_legacy(40035, f"缺少参数 {missing[0]}"))
    return kind


def _parts(kind: str, content: dict[str, Any]) -> list[tuple[dict[str, Any], Sequence[str]]]:
    """The parts of a card, and what they must have."""
    if kind == "actionCard" and "btns" in content:
        return [(each, ("title", "actionURL")) for each in content["btns"] or [{}]]
    if kind == "actionCard":
        return [(content, ("singleTitle", "singleURL"))]
    return [(each, ("title", "messageURL", "picURL")) for each in content.get("links", [])]


def _visible(content: dict[str, Any]) -> str:
    """What of a message counts for keywords."""
    parts = [content, *content.get("links", [])]
    return "\n".join(str(part.get(name, "")) for part in parts for name in ("title", "text", "content"))


def _work_type(message: object) -> str:
    kind = str(message.get("msgtype")) if isinstance(message, dict) else ""
    if not isinstance(message, dict) or kind not in WORK_TYPES:
        raise Refusal(_legacy(40008, "不合法的消息类型"))
    content = message.get(kind)
    if not isinstance(content, dict) or any(each not in content for each in WORK_TYPES[kind]):
        raise Refusal(_legacy(40035, f"不合法的参数 {kind}"))
    if kind == "action_card" and not (
        (content.get("single_title") and content.get("single_url"))
        or all(each.get("title") and each.get("action_url") for each in content.get("btn_json_list") or [{}])
    ):
        raise Refusal(_legacy(40035, "不合法的参数 action_card"))
    if len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()) > WORK_MAX:
        raise Refusal(_legacy(40035, "消息体超过2048字节"))
    return kind


async def _fields(request: web.Request) -> dict[str, Any]:
    """What was sent, as JSON or as a form."""
    if request.content_type == "application/x-www-form-urlencoded":
        return dict(await request.post())
    found = _object(await request.read())
    if found is None:
        v1 = request.path.startswith("/v1.0/")
        raise Refusal(
            _error(400, "invalidParameter.param.json", "请求不是JSON") if v1 else _legacy(40035, "缺少参数 json")
        )
    return found


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _json(value: object, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


def _legacy(code: int, message: str, **more: object) -> web.Response:
    """The older interfaces say everything with status 200."""
    return _json({"errcode": code, "errmsg": message, **more})


def _described(description: str, solution: str) -> web.Response:
    return _legacy(310000, f"description:{description};solution:{solution};link:请参考本接口对应文档;")


def _error(status: int, code: str, message: str) -> web.Response:
    return _json({"code": code, "message": message, "requestid": secrets.token_hex(8).upper()}, status)


def _query_key() -> str:
    return base64.b64encode(secrets.token_bytes(15)).decode()
