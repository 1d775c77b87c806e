"""What DingTalk's interfaces answer, and what DingTalk tells an app."""

import base64
import hmac
import ipaddress
import json
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.dingtalk.answers import (
    Refusal,
    answering,
    described,
    fields,
    json_object,
    legacy,
    post,
    reply,
    v1_error,
)
from hongyan.sandbox.dingtalk.cards import Cards
from hongyan.sandbox.dingtalk.checks import PARAM_MAX, ROBOT_MAX, ROBOT_TYPES, SAMPLES, robot_type, visible
from hongyan.sandbox.dingtalk.crypto import Envelope, card_sign, sign
from hongyan.sandbox.dingtalk.stream import Streams
from hongyan.sandbox.dingtalk.work import Work
from hongyan.sandbox.dingtalk.world import (
    AES_KEY,
    AGENT_ID,
    APP_KEY,
    APP_NAME,
    APP_SECRET,
    CALLBACK_TOKEN,
    CARD_SECRET,
    CORP_ID,
    DEPARTMENTS,
    GROUPS,
    PEOPLE,
    ROBOTS,
    ROUTE_KEY,
)
from hongyan.sandbox.emulator import Emulator, Inbound, Robot, Told
from hongyan.sandbox.faults import Faults, What

#: Messages of a robot in a minute, and how long it is blocked for more (s).
ROBOT_RATE, ROBOT_BLOCK = 20, 600.0
TOKEN_LIFE, SESSION_LIFE, READ_LIFE = 7200, 5400, 86_400
UPLOADS = {"image": 20 << 20, "voice": 2 << 20, "video": 20 << 20, "file": 20 << 20}


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
        self.work = Work(board, now)
        self.cards = Cards(board, self._show_app)
        self._tokens: dict[str, float] = {}
        self._robot_calls: dict[str, deque[float]] = {}
        self._blocked: dict[str, float] = {}
        self._uuids: set[tuple[str, str]] = set()
        self._calls: dict[str, deque[float]] = {}
        self._sent: dict[str, tuple[Shown, float]] = {}
        self._sessions: dict[str, tuple[str, float]] = {}

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        older: dict[str, Any] = {
            "/topapi/message/corpconversation/asyncsend_v2": self.work.send,
            "/topapi/message/corpconversation/getsendprogress": self.work.progress,
            "/topapi/message/corpconversation/getsendresult": self.work.result,
            "/topapi/message/corpconversation/recall": self.work.recall,
            "/topapi/message/corpconversation/status_bar/update": self.work.update,
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
            ("POST", "/v1.0/card/instances", self.cards.create),
            ("POST", "/v1.0/card/instances/deliver", self.cards.deliver),
            ("POST", "/v1.0/card/instances/createAndDeliver", self.cards.create_and_deliver),
            ("PUT", "/v1.0/card/instances", self.cards.update),
            ("PUT", "/v1.0/card/streaming", self.cards.streaming),
            ("POST", "/v1.0/card/callbacks/register", self.cards.register),
        ]
        return [
            web.route("*", "/robot/send", answering(self._robot_send)),
            web.post("/robot/sendBySession", answering(self._session_send)),
            web.get("/gettoken", answering(self._legacy_token)),
            web.post("/gettoken", answering(self._legacy_token)),
            web.post("/v1.0/oauth2/accessToken", answering(self._new_token)),
            *(web.post(path, answering(self._with_token(handler, v1=False))) for path, handler in older.items()),
            *(web.route(way, path, answering(self._with_token(handler, v1=True))) for way, path, handler in v1),
            web.post("/v1.0/gateway/connections/open", answering(self._stream_open)),
            web.get("/dingtalk/stream", self.streams.serve),
        ]

    def failure(self, what: What, request: web.Request) -> web.Response:
        v1 = request.path.startswith("/v1.0/")
        match what:
            case "throttled" if request.path == "/robot/send":  # the page of the gateway, which has no errcode
                return reply(
                    {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": secrets.token_hex(8)}
                )
            case "throttled":
                if v1:
                    return v1_error(403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "qps limit")
                return legacy(90002, "您的服务器调用钉钉开放平台所有接口的请求都被暂时禁用了")
            case "token_expired":
                if request.path == "/robot/send":
                    return legacy(300005, "token is not exist")
                if v1:
                    return v1_error(401, "InvalidAuthentication", "不合法的access_token")
                return legacy(42001, "access_token超时")
            case _:
                if request.path == "/robot/send":
                    return legacy(430104, "内容不合适")
                if v1:
                    return v1_error(400, "invalidParameter.msgParam.invalid", "msgParam is invalid")
                return legacy(40035, "不合法的参数")

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
            "robots": [{"access_token": token, **asdict(robot)} for token, robot in ROBOTS.items()],
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
        given = {**request.query, **(await fields(request) if request.method == "POST" else {})}
        token = self._token(given.get("appkey"), given.get("appsecret"))
        if token is None:
            return legacy(40089, "不合法的appkey或appsecret")
        return legacy(0, "ok", access_token=token, expires_in=TOKEN_LIFE)

    async def _new_token(self, request: web.Request) -> web.Response:
        given = await fields(request)
        token = self._token(given.get("appKey"), given.get("appSecret"))
        if token is None:
            return v1_error(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
        return reply({"accessToken": token, "expireIn": TOKEN_LIFE})

    def _with_token(self, handler: Any, *, v1: bool) -> Any:
        async def checked(request: web.Request) -> web.Response:
            token = request.headers.get("x-acs-dingtalk-access-token") if v1 else request.query.get("access_token")
            until = self._tokens.get(token or "")
            if until is None or self.now() >= until:
                if v1:
                    return v1_error(401, "InvalidAuthentication", "不合法的access_token")
                return legacy(40014, "不合法的access_token") if until is None else legacy(42001, "access_token超时")
            if v1 and not self._may_call(f"{request.method} {request.path}"):
                return v1_error(403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "应用对接口的调用超过了QPS限制")
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
            return legacy(43002, "require POST http method")
        token = request.query.get("access_token", "")
        if not token:
            return legacy(40035, "缺少参数 access_token")
        robot = ROBOTS.get(token)
        if robot is None:
            return legacy(300005, "token is not exist")
        if request.content_type != "application/json":
            return legacy(43004, "无效的HTTP HEADER Content-Type")
        raw = await request.read()
        refused = self._robot_paced(token)
        if refused is not None:
            return refused
        body = json_object(raw)
        if not body:
            return legacy(40035, "缺少参数 json")
        if len(raw) > ROBOT_MAX:
            return legacy(460101, "message too long, exceed 20000 bytes")
        kind = robot_type(body)
        self._robot_secured(robot, request, body[kind])
        uuid = body.get("msgUuid")
        if uuid and (token, uuid) in self._uuids:
            return legacy(0, "ok")
        if uuid:
            self._uuids.add((token, str(uuid)))
        self._show_robot(robot, kind, body)
        return legacy(0, "ok")

    def _robot_paced(self, token: str) -> web.Response | None:
        now = self.now()
        if now < self._blocked.get(token, 0.0):
            return legacy(410100, "发送速度太快而限流")
        calls = self._robot_calls.setdefault(token, deque())
        while calls and calls[0] <= now - 60:
            calls.popleft()
        calls.append(now)
        if len(calls) > ROBOT_RATE:
            self._blocked[token] = now + ROBOT_BLOCK
            calls.clear()
            return legacy(130101, "send too fast, exceed 20 times per minute")
        return None

    def _robot_secured(self, robot: Robot, request: web.Request, content: dict[str, Any]) -> None:
        """All the protections that were chosen for the robot."""
        if robot.secret:
            stamp = request.query.get("timestamp", "")
            if not hmac.compare_digest(request.query.get("sign", ""), sign(robot.secret, stamp)):
                raise Refusal(described("机器人发送签名不匹配", "请确认签名和生成签名的时间戳必须都放在调用的网址中"))
            if not stamp.isdecimal() or abs(int(stamp) / 1000 - self.now()) > 3600:
                raise Refusal(described("机器人发送签名过期", "签名生成时间和发送时间请保持在3600秒以内"))
        if robot.networks:
            address = ipaddress.ip_address(request.remote or "0.0.0.0")
            if not any(address in ipaddress.ip_network(each) for each in robot.networks):
                raise Refusal(legacy(310000, f"ip {address} not in whitelist"))
        if robot.keywords and not any(word in visible(content) for word in robot.keywords):
            raise Refusal(described("关键词不匹配", "请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词"))

    def _show_robot(self, robot: Robot, kind: str, body: dict[str, Any]) -> None:
        group = GROUPS[robot.group]
        at = body.get("at") or {}
        text = visible(body[kind])
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
            return legacy(300001, "session 不存在或已过期")
        body = json_object(await request.read())
        if not body:
            return legacy(40035, "缺少参数 json")
        self._show_answer(chat, body)
        return legacy(0, "ok")

    def _show_answer(self, chat: str, body: dict[str, Any]) -> None:
        kind = robot_type(body)
        self._show_app(chat, kind, body, {})

    # the robot of the app

    def _show_app(self, chat: str, kind: str, payload: Any, extra: dict[str, Any], id: str = "") -> Shown:
        group = GROUPS.get(chat)
        return self.board.add(
            self.platform,
            "app",
            APP_NAME,
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
            raise Refusal(v1_error(400, "invalidParameter.robotCode.empty", "robotCode不能为空"))
        if code != APP_KEY:
            raise Refusal(v1_error(400, "invalidParameter.robotCode.auth", "robotCode没有权限"))
        kind, text = str(body.get("msgKey")), body.get("msgParam")
        if kind not in SAMPLES:
            raise Refusal(v1_error(400, "invalidParameter.msgKey.invalid", "msgKey无效"))
        param = json_object(text.encode()) if isinstance(text, str) else None
        if not param or not all(isinstance(each, str) for each in param.values()):
            raise Refusal(v1_error(400, "invalidParameter.msgParam.invalid", "msgParam无效"))
        missing = [each for each in SAMPLES[kind] if not param.get(each)]
        if missing:
            raise Refusal(v1_error(400, "invalidParameter.msgParam.invalid", f"msgParam缺少{missing[0]}"))
        media = [param[each] for each in ("mediaId", "videoMediaId", "picMediaId") if each in param]
        media += [param["photoURL"]] if param.get("photoURL", "").startswith("@") else []
        if any(self.board.media(each) is None for each in media):
            raise Refusal(v1_error(400, "invalidParameter.msgParam.mediaId", "mediaId无效"))
        assert isinstance(text, str)
        if len(text.encode()) > PARAM_MAX:
            raise Refusal(v1_error(400, "invalidParameter.msgParam.tooLong", "msgParam过长"))
        return kind, param

    async def _send_users(self, request: web.Request) -> web.Response:
        body = await fields(request)
        users = body.get("userIds")
        if not isinstance(users, list) or not users:
            return v1_error(400, "invalidParameter.userIds.empty", "userIds不能为空")
        if len(users) > 20:
            return v1_error(400, "invalidParameter.userIds.overMax", "userIds超过20个")
        kind, param = self._sample(body)
        known = [each for each in users if each in PEOPLE]
        key = _query_key()
        if known:
            shown = self.board.add(
                self.platform,
                "app",
                APP_NAME,
                known,
                kind,
                {"msgKey": kind, "msgParam": param},
                extra={"title": "、".join(PEOPLE[each].name for each in known), "direct": True},
            )
            self._sent[key] = (shown, self.now())
        return reply(
            {
                "processQueryKey": key,
                "invalidStaffIdList": [each for each in users if each not in PEOPLE],
                "flowControlledStaffIdList": [],
                "filteredStaffIdList": [],
            }
        )

    async def _send_group(self, request: web.Request) -> web.Response:
        body = await fields(request)
        chat = body.get("openConversationId")
        kind, param = self._sample(body)
        if chat not in GROUPS:
            return v1_error(400, "resource.not.found", "群不存在")
        key = _query_key()
        shown = self._show_app(chat, kind, {"msgKey": kind, "msgParam": param}, {})
        self._sent[key] = (shown, self.now())
        return reply({"processQueryKey": key})

    async def _read_users(self, request: web.Request) -> web.Response:
        shown = self._of_key(request.query.get("processQueryKey"))
        return reply(
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
        body = await fields(request)
        shown = self._of_key(body.get("processQueryKey"))
        count = min(int(body.get("maxResults") or 200), 200)
        start = int(body.get("nextToken") or 0)
        read = shown.read_by[start : start + count]
        more = start + count < len(shown.read_by)
        return reply(
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
            raise Refusal(v1_error(400, "resource.not.found", "processQueryKey不存在或已过期"))
        return shown

    async def _recall(self, request: web.Request) -> web.Response:
        body = await fields(request)
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
        return reply({"successResult": done, "failedResult": failed})

    def _change(self, shown: Shown, *, recalled: bool = False) -> None:
        shown.state = "recalled" if recalled else "changed"
        self.board.changed(shown)

    async def _download(self, request: web.Request) -> web.Response:
        code = (await fields(request)).get("downloadCode")
        if not isinstance(code, str) or self.board.media(code) is None:
            return v1_error(400, "resource.not.found", "downloadCode不存在")
        return reply({"downloadUrl": f"{self.origin}/sandbox/media/{code}"})

    # people and files

    async def _by_mobile(self, request: web.Request) -> web.Response:
        mobile = str((await fields(request)).get("mobile"))
        for person in PEOPLE.values():
            if person.mobile == mobile:
                return legacy(0, "ok", result={"userid": person.id, "exclusive_account_userid_list": []})
        return legacy(60121, "找不到该用户")

    async def _upload(self, request: web.Request) -> web.Response:
        if not request.content_type.startswith("multipart/"):
            return legacy(43004, "无效的HTTP HEADER Content-Type")
        form = await request.post()
        kind = request.query.get("type") or str(form.get("type", ""))
        media = form.get("media")
        if kind not in UPLOADS:
            return legacy(40004, "不合法的媒体文件类型")
        if not isinstance(media, web.FileField):
            return legacy(40035, "缺少参数 media")
        content = media.file.read()
        if not 0 < len(content) <= UPLOADS[kind]:
            return legacy(40006, "不合法的文件大小")
        media_id = "@sandbox" + secrets.token_hex(8)
        self.board.keep(media_id, media.filename, media.content_type, content)
        return legacy(0, "ok", media_id=media_id, type=kind, created_at=int(self.now() * 1000))

    # telling the app

    async def _stream_open(self, request: web.Request) -> web.Response:
        body = await fields(request)
        if (body.get("clientId"), body.get("clientSecret")) != (APP_KEY, APP_SECRET):
            return v1_error(401, "authFailed", "clientId或clientSecret无效")
        subscriptions = body.get("subscriptions")
        if not isinstance(subscriptions, list) or not subscriptions:
            return v1_error(400, "param.error", "subscriptions不能为空")
        ticket = self.streams.ticket({(each.get("type"), each.get("topic")) for each in subscriptions})
        return reply({"endpoint": f"{self.origin.replace('http', 'ws', 1)}/dingtalk/stream", "ticket": ticket})

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
        told = await post(url, message, {"timestamp": stamp, "sign": sign(APP_SECRET, stamp)})
        answer = json_object(told.body.encode())
        if told.status == 200 and answer and answer.get("msgtype") in ROBOT_TYPES:
            self._show_answer(chat, answer)
        return told

    async def _tell_action(self, inbound: Inbound, url: str) -> Told:
        shown = self._shown(inbound.on)
        card = self.cards.get(str(shown.extra.get("card")))
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
            known, secret = self.cards.routes.get(card.route, ("", CARD_SECRET))
            stamp = str(int(self.now() * 1000))
            signed = {"x-ddpaas-signature-timestamp": stamp, "x-ddpaas-signature": card_sign(secret, stamp)}
            told = await post(known or url, callback, signed)
        self._card_answered(str(shown.extra["card"]), json_object(told.body.encode()))
        return told

    def _card_answered(self, card_id: str, answer: dict[str, Any] | None) -> None:
        """The answer to a callback may change the card."""
        data = (answer or {}).get("cardData")
        params = data.get("cardParamMap") if isinstance(data, dict) else None
        if isinstance(params, dict):
            self.cards.changed(card_id, params, whole=False)

    async def _tell_event(self, name: str, data: dict[str, Any], url: str) -> Told:
        now = str(int(self.now() * 1000))
        event = {"EventType": name, "TimeStamp": now, "CorpId": CORP_ID, **data}
        if not url:
            headers = {"eventType": name, "eventId": secrets.token_hex(8), "eventCorpId": CORP_ID, "eventBornTime": now}
            return Told(*await self.streams.push("EVENT", "*", event, headers))
        query, body = self.envelope.wrap(json.dumps(event, ensure_ascii=False), now)
        told = await post(f"{url}{'&' if '?' in url else '?'}{query}", body, {})
        answer = json_object(told.body.encode())
        try:
            return Told(told.status, self.envelope.unwrap(answer or {}))
        except ValueError as error:
            return Told(told.status, f"{error}: {told.body}")

    def _shown(self, on: str) -> Shown:
        shown = self.board.get(on)
        if shown is None or shown.platform != self.platform:
            raise ValueError(f"there is no message {on!r}")
        return shown


def _query_key() -> str:
    return base64.b64encode(secrets.token_bytes(15)).decode()
