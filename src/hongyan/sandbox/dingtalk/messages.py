"""What the robot of the app says to people and groups, and what became of it."""

import base64
import secrets
from collections.abc import Callable
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.dingtalk.answers import Refusal, fields, json_object, legacy, reply, v1_error
from hongyan.sandbox.dingtalk.checks import PARAM_MAX, SAMPLES, robot_type
from hongyan.sandbox.dingtalk.world import APP_KEY, APP_NAME, GROUPS, PEOPLE

#: How long it may be answered to what somebody has said, and how long it is told who has read a message (s).
SESSION_LIFE, READ_LIFE = 5400, 86_400


class Messages:
    """They are known by keys (`processQueryKey`), and chats that were opened by sessions."""

    def __init__(self, board: Board, now: Callable[[], float]) -> None:
        self._board = board
        self._now = now
        self._sent: dict[str, tuple[Shown, float]] = {}
        self._sessions: dict[str, tuple[str, float]] = {}

    def session(self, chat: str) -> str:
        """A new one, by which the app may answer in a chat."""
        session = secrets.token_hex(16)
        self._sessions[session] = (chat, self._now() + SESSION_LIFE)
        return session

    async def send_session(self, request: web.Request) -> web.Response:
        """An answer to what somebody has said, to the address that came with it."""
        chat, until = self._sessions.get(request.query.get("session", ""), ("", 0.0))
        if not chat or self._now() >= until:
            return legacy(300001, "session 不存在或已过期")
        body = json_object(await request.read())
        if not body:
            return legacy(40035, "缺少参数 json")
        self.show_answer(chat, body)
        return legacy(0, "ok")

    def show_answer(self, chat: str, body: dict[str, Any]) -> None:
        """Of the shape that robots of groups send. Raises Refusal."""
        kind = robot_type(body)
        self.show(chat, kind, body, {})

    def show(self, chat: str, kind: str, payload: Any, extra: dict[str, Any], id: str = "") -> Shown:
        """In a group, or to a person."""
        group = GROUPS.get(chat)
        return self._board.add(
            "dingtalk",
            "app",
            APP_NAME,
            [chat],
            kind,
            payload,
            id=id,
            extra={"title": group.title if group else PEOPLE[chat].name, "direct": group is None, **extra},
        )

    def _sample(self, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Kind and parameter of a message, checked as all of it is. Raises Refusal."""
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
        if any(self._board.media(each) is None for each in media):
            raise Refusal(v1_error(400, "invalidParameter.msgParam.mediaId", "mediaId无效"))
        assert isinstance(text, str)
        if len(text.encode()) > PARAM_MAX:
            raise Refusal(v1_error(400, "invalidParameter.msgParam.tooLong", "msgParam过长"))
        return kind, param

    async def send_users(self, request: web.Request) -> web.Response:
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
            shown = self._board.add(
                "dingtalk",
                "app",
                APP_NAME,
                known,
                kind,
                {"msgKey": kind, "msgParam": param},
                extra={"title": "、".join(PEOPLE[each].name for each in known), "direct": True},
            )
            self._sent[key] = (shown, self._now())
        return reply(
            {
                "processQueryKey": key,
                "invalidStaffIdList": [each for each in users if each not in PEOPLE],
                "flowControlledStaffIdList": [],
                "filteredStaffIdList": [],
            }
        )

    async def send_group(self, request: web.Request) -> web.Response:
        body = await fields(request)
        chat = body.get("openConversationId")
        kind, param = self._sample(body)
        if chat not in GROUPS:
            return v1_error(400, "resource.not.found", "群不存在")
        key = _query_key()
        shown = self.show(chat, kind, {"msgKey": kind, "msgParam": param}, {})
        self._sent[key] = (shown, self._now())
        return reply({"processQueryKey": key})

    async def read_users(self, request: web.Request) -> web.Response:
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

    async def read_group(self, request: web.Request) -> web.Response:
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
        """Raises Refusal."""
        shown, at = self._sent.get(str(key), (None, 0.0))
        if shown is None or self._now() - at > READ_LIFE:
            raise Refusal(v1_error(400, "resource.not.found", "processQueryKey不存在或已过期"))
        return shown

    async def recall(self, request: web.Request) -> web.Response:
        body = await fields(request)
        done, failed = [], {}
        for key in body.get("processQueryKeys") or []:
            shown, _ = self._sent.get(key, (None, 0.0))
            if shown is None:
                failed[key] = "resource.not.found"
            elif shown.state == "recalled":
                failed[key] = "message.already.recalled"
            else:
                shown.state = "recalled"
                self._board.changed(shown)
                done.append(key)
        return reply({"successResult": done, "failedResult": failed})


def _query_key() -> str:
    return base64.b64encode(secrets.token_bytes(15)).decode()
