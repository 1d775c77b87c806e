"""Feishu: robots of groups, an app with its bot, batches, and what it tells the app, also by its long connection.

Written from the documentation of open.feishu.cn; where that is silent, from what people report of the live service.
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import BodyPartReader, ClientError, ClientSession, ClientTimeout, web

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.emulator import Emulator, Inbound, Robot, Told
from hongyan.sandbox.faults import Faults, What
from hongyan.sandbox.feishu_cards import buttons, callback, elements
from hongyan.sandbox.feishu_content import ContentChecker
from hongyan.sandbox.feishu_frames import Connections
from hongyan.sandbox.feishu_world import (
    APP_ID,
    APP_NAME,
    APP_SECRET,
    BOT_ID,
    DEPARTMENTS,
    ENCRYPT_KEY,
    GROUPS,
    PEOPLE,
    ROBOTS,
    TENANT,
    VERIFICATION_TOKEN,
    Group,
    Person,
    Refusal,
    answer,
    encrypted,
    find_person,
    refuse,
    signed,
    signed_card,
)

#: A token's life, and how much of it is left when a new one is made (s).
TOKEN_LIFE, TOKEN_RENEW = 7200, 1800
ROBOT_BYTES, SIGNATURE_AGE = 20 * 1024, 3600
IMAGE_BYTES, FILE_BYTES = 10 * 1024 * 1024, 30 * 1024 * 1024
#: Edits of a text; days in which a card may be changed, and in which it is told who has read a message.
EDITS, CARD_DAYS, READ_DAYS, DAY = 20, 14, 7, 86_400
UUID_LIFE, IDS_MAX, TELL = 3600, 200, 3.0
_FILE_TYPES = frozenset({"opus", "mp4", "pdf", "doc", "xls", "ppt", "stream"})
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\x00", b"MM\x00*", b"\x00\x00\x01\x00")
_ID_TYPES = frozenset({"open_id", "user_id", "union_id", "email", "chat_id"})
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Message:
    """`chat` is a group's or that of a person with the bot; `app`: the app has sent it."""

    id: str
    chat: str
    type: str
    content: dict[str, Any]
    created: float
    shown: Shown
    app: bool = True
    root: str = ""
    parent: str = ""
    thread: str = ""
    edits: int = 0
    deleted: bool = False
    read: dict[str, float] = field(default_factory=dict)


@dataclass
class Batch:
    shown: Shown
    people: list[str]
    recalled: bool = False


class Feishu(Emulator):
    """`encrypt_key` may be set to nothing, as an app without one has it."""

    platform = "feishu"
    prefixes = ("/open-apis/", "/callback/ws/")

    def __init__(self, board: Board, faults: Faults, now: Callable[[], float]) -> None:
        super().__init__(board, faults, now)
        self.encrypt_key = ENCRYPT_KEY
        self.connections = Connections()
        self.token_requests = 0
        self._tokens: dict[str, float] = {}
        self._messages: dict[str, Message] = {}
        self._batches: dict[str, Batch] = {}
        self._files: dict[str, str] = {}
        self._uuids: dict[str, tuple[float, Message]] = {}
        self._calls: dict[str, deque[float]] = {}
        self._content = ContentChecker(self._files.get)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        api, im = "/open-apis", "/open-apis/im/v1"
        message = f"{im}/messages/{{id}}"
        return [
            web.post(f"{api}/bot/v2/hook/{{token}}", self._robot),
            web.post(f"{api}/bot/v2/hook/{{token}}/", self._robot),
            web.post(f"{api}/auth/v3/tenant_access_token/internal", self._token),
            web.post(f"{api}/auth/v3/app_access_token/internal", self._token),
            web.get(f"{api}/bot/v3/info", self._guarded(self._bot_info)),
            web.post(f"{im}/messages", self._guarded(self._create)),
            web.post(f"{message}/reply", self._guarded(self._reply)),
            web.get(f"{message}/read_users", self._guarded(self._read_users)),
            web.get(f"{message}/resources/{{key}}", self._guarded(self._resource)),
            web.patch(f"{message}/{{urgent:urgent_(app|sms|phone)}}", self._guarded(self._urgent)),
            web.get(message, self._guarded(self._get)),
            web.patch(message, self._guarded(self._patch)),
            web.put(message, self._guarded(self._put)),
            web.delete(message, self._guarded(self._delete)),
            web.post(f"{im}/images", self._guarded(self._upload_image)),
            web.get(f"{im}/images/{{key}}", self._guarded(self._download)),
            web.post(f"{im}/files", self._guarded(self._upload_file)),
            web.get(f"{im}/files/{{key}}", self._guarded(self._download)),
            web.post(f"{api}/message/v4/batch_send", self._guarded(self._batch_send)),
            web.post(f"{api}/message/v4/batch_send/", self._guarded(self._batch_send)),
            web.get(f"{im}/batch_messages/{{id}}/get_progress", self._guarded(self._batch_progress)),
            web.get(f"{im}/batch_messages/{{id}}/read_user", self._guarded(self._batch_read)),
            web.delete(f"{im}/batch_messages/{{id}}", self._guarded(self._batch_delete)),
            web.post(f"{api}/contact/v3/users/batch_get_id", self._guarded(self._batch_get_id)),
            web.get(f"{api}/contact/v3/users/{{id}}", self._guarded(self._user)),
            web.get(f"{im}/chats", self._guarded(self._chats)),
            web.get(f"{im}/chats/{{id}}", self._guarded(self._chat)),
            web.post("/callback/ws/endpoint", self._endpoint),
            web.get("/callback/ws/connect", self._connect),
        ]

    def failure(self, what: What, request: web.Request) -> web.Response:
        if "/bot/v2/hook/" in request.path:
            if what == "throttled":
                return _robot_says(11232, "frequency limited psm[lark.oapi.app_platform_runtime]")
            return _robot_says(19021, "sign match fail or timestamp is not within one hour from current time")
        match what:
            case "throttled":
                limits = {"x-ogw-ratelimit-limit": "100", "x-ogw-ratelimit-reset": "7"}
                return refuse(99991400, "request trigger frequency limit", 429, limits)
            case "token_expired":
                self._tokens.pop(_bearer(request), None)
                return refuse(99991663, "Invalid access token for authorization. Please make a test attempt again.")
            case _:
                return refuse(230027, "Lack of necessary permissions.", 200)

    def world(self) -> Mapping[str, Any]:
        return {
            "app": {
                "app_id": APP_ID,
                "app_secret": APP_SECRET,
                "name": APP_NAME,
                "encrypt_key": self.encrypt_key,
                "verification_token": VERIFICATION_TOKEN,
            },
            "robots": [{"token": token, **asdict(robot)} for token, robot in ROBOTS.items()],
            "people": [
                {**each.ids(), "id": each.open_id, "name": each.name, "email": each.email, "mobile": each.mobile}
                for each in PEOPLE.values()
            ],
            "departments": [{"id": id, "name": name} for id, name in DEPARTMENTS.items()],
            "groups": [{"id": each.id, "title": each.title, "members": each.members} for each in GROUPS.values()],
        }

    # tokens

    def expire_tokens(self) -> None:
        """All that were given are good no more."""
        self._tokens.clear()

    async def _token(self, request: web.Request) -> web.Response:
        """The same one is given again while it has half an hour left."""
        self.token_requests += 1
        asked = _object(await request.read())
        if asked is None or not isinstance(asked.get("app_id"), str) or not isinstance(asked.get("app_secret"), str):
            return refuse(10003, "invalid param")
        if asked["app_id"] != APP_ID:
            return refuse(10014, "app not found or app secret invalid", 200)
        if asked["app_secret"] != APP_SECRET:
            return refuse(10015, "app secret invalid", 200)
        now = self.now()
        good = [token for token, until in self._tokens.items() if until - now >= TOKEN_RENEW]
        token = good[-1] if good else f"t-{secrets.token_hex(20)}"
        until = self._tokens.setdefault(token, now + TOKEN_LIFE)
        body = {"code": 0, "msg": "ok", "expire": int(until - now)}
        return web.json_response({**body, "tenant_access_token": token, "app_access_token": token})

    def _guarded(self, handler: Handler) -> Handler:
        """With a token that is good."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            token = _bearer(request)
            if not token:
                return refuse(99991661, "Missing access token for authorization. Please make a test attempt again.")
            until = self._tokens.get(token)
            if until is None:
                return refuse(99991663, "Invalid access token for authorization. Please make a test attempt again.")
            if self.now() >= until:
                return refuse(99991677, "Authentication token expired. Please generate a new one.", 401)
            try:
                return await handler(request)
            except Refusal as refusal:
                return refusal.response

        return guarded

    # rates

    def _within(self, key: str, most: int, seconds: float) -> bool:
        """Count a call, and say whether it is within the rate."""
        now = self.now()
        calls = self._calls.setdefault(f"{key}/{seconds:g}", deque())
        while calls and calls[0] <= now - seconds:
            calls.popleft()
        calls.append(now)
        return len(calls) <= most

    def _pace(self, method: str, to: str = "") -> None:
        """Raises Refusal."""
        if not (self._within(method, 50, 1) and self._within(method, 1000, 60)):
            limits = {"x-ogw-ratelimit-limit": "50", "x-ogw-ratelimit-reset": "1"}
            raise Refusal(99991400, "request trigger frequency limit", 429, limits)
        if to and not self._within(to, 5, 1):
            raise Refusal(230020, "This operation triggers the frequency limit.")

    # robots

    async def _robot(self, request: web.Request) -> web.Response:
        token = request.match_info["token"]
        robot = ROBOTS.get(token)
        if robot is None:
            return _robot_says(19001, "param invalid: incoming webhook access token invalid", 400)
        if not self._within(f"robot {token}", 5, 1):
            return _robot_says(9499, "too many request", 400)
        if not self._within(f"robot {token}", 100, 60):
            return _robot_says(11232, "frequency limited psm[lark.oapi.app_platform_runtime]")
        raw = await request.read()
        asked = _object(raw)
        if asked is None or len(raw) > ROBOT_BYTES:
            return _robot_says(9499, "Bad Request", 400)
        if robot.networks and not _within_networks(request.remote or "", robot.networks):
            return _robot_says(19022, "Ip Not Allowed")
        if robot.secret and not self._is_signed(asked, robot.secret):
            return _robot_says(19021, "sign match fail or timestamp is not within one hour from current time")
        return self._robot_message(robot, asked)

    def _robot_message(self, robot: Robot, asked: Mapping[str, Any]) -> web.Response:
        type_ = asked.get("msg_type")
        if type_ not in ("text", "post", "image", "share_chat", "interactive"):
            return _robot_says(19002, "params error, msg_type need")
        content = asked.get("card") if type_ == "interactive" else asked.get("content")
        if type_ == "post" and isinstance(content, dict):
            content = content.get("post")
        if not isinstance(content, dict):
            return _robot_says(9499, "Bad Request", 400)
        if robot.keywords and not any(word in text for word in robot.keywords for text in _visible(content)):
            return _robot_says(19024, "Key Words Not Found")
        try:
            self._content.check(type_, content)
        except Refusal as refusal:
            refused = json.loads(refusal.response.text or "")
            return _robot_says(9499 if refused["code"] == 230001 else 11246, refused["msg"], 400)
        group = GROUPS[robot.group]
        self.board.add("feishu", "robot", robot.name, [group.title], type_, content, extra=self._extra(content))
        return web.json_response({"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"})

    def _is_signed(self, asked: Mapping[str, Any], secret: str) -> bool:
        timestamp, sign = str(asked.get("timestamp", "")), str(asked.get("sign", ""))
        if not timestamp.isdecimal() or abs(self.now() - int(timestamp)) > SIGNATURE_AGE:
            return False
        digest = hmac.new(f"{timestamp}\n{secret}".encode(), digestmod=hashlib.sha256).digest()
        return hmac.compare_digest(base64.b64encode(digest).decode(), sign)

    # messages

    async def _bot_info(self, _: web.Request) -> web.Response:
        bot = {"activate_status": 2, "app_name": APP_NAME, "avatar_url": "", "ip_white_list": [], "open_id": BOT_ID}
        return web.json_response({"code": 0, "msg": "ok", "bot": bot})

    async def _create(self, request: web.Request) -> web.Response:
        asked, size = await _asked(request)
        id_type = request.query.get("receive_id_type", "")
        if id_type not in _ID_TYPES:
            raise Refusal(99992402, "field validation failed: receive_id_type")
        chat = _chat_of(id_type, asked.get("receive_id"))
        return self._send(asked, size, chat, "create")

    async def _reply(self, request: web.Request) -> web.Response:
        asked, size = await _asked(request)
        parent = self._message(request)
        in_thread = asked.get("reply_in_thread") is True or bool(parent.thread)
        group = GROUPS.get(parent.chat)
        if in_thread and group is not None and not group.threads:
            raise Refusal(230071, "The group to which the message belongs does not support reply in thread.")
        if in_thread and not parent.thread:
            parent.thread = f"omt_{self.board.new_id()}sandbox"
        return self._send(asked, size, parent.chat, "reply", parent, parent.thread if in_thread else "")

    def _send(
        self,
        asked: Mapping[str, Any],
        size: int,
        chat: str,
        method: str,
        parent: Message | None = None,
        thread: str = "",
    ) -> web.Response:
        uuid = asked.get("uuid")
        if uuid is not None and (not isinstance(uuid, str) or len(uuid) > 50):
            raise Refusal(99992402, "field validation failed: uuid")
        sent = self._uuids.get(uuid) if uuid else None
        if sent is not None and self.now() - sent[0] < UUID_LIFE:
            return answer(_shape(sent[1]))
        content = self._content.packed(asked.get("msg_type"), asked.get("content"), size)
        self._pace(method, chat)
        message = self._add(chat, str(asked["msg_type"]), content, parent, thread)
        if uuid:
            self._uuids[uuid] = (self.now(), message)
        return answer(_shape(message))

    def _add(
        self, chat: str, type_: str, content: dict[str, Any], parent: Message | None, thread: str, sender: str = ""
    ) -> Message:
        group = GROUPS.get(chat)
        person = next((each for each in PEOPLE.values() if each.chat == chat), None)
        to = [group.title] if group else [person.name] if person and not sender else [APP_NAME]
        id = f"om_{self.board.new_id()}sandbox"
        root = (parent.root or parent.id) if parent else ""
        extra = {
            **self._extra(content),
            "chat": chat,
            "direct": group is None,
            **({"sender": sender} if sender else {}),
        }
        shown = self.board.add("feishu", "app", sender or APP_NAME, to, type_, content, id=id, thread=root, extra=extra)
        parent_id = parent.id if parent else ""
        message = Message(id, chat, type_, content, self.now(), shown, not sender, root, parent_id, thread)
        self._messages[id] = message
        return message

    def _message(self, request: web.Request) -> Message:
        """Raises Refusal."""
        found = self._messages.get(request.match_info["id"])
        if found is None:
            raise Refusal(230001, "Your request contains an invalid request parameter, ext=invalid message_id.")
        if found.deleted:
            raise Refusal(230011, "The message is recalled.")
        return found

    def _own(self, request: web.Request, code: int, words: str) -> Message:
        """Raises Refusal for messages that somebody else has sent."""
        found = self._message(request)
        if not found.app:
            raise Refusal(code, words)
        return found

    async def _get(self, request: web.Request) -> web.Response:
        return answer({"items": [_shape(self._message(request))]})

    async def _patch(self, request: web.Request) -> web.Response:
        asked, size = await _asked(request)
        message = self._own(request, 230012, "Bot is NOT the sender of the message.")
        if message.type != "interactive":
            raise Refusal(230054, "This operation is not supported for this message type.")
        if self.now() - message.created > CARD_DAYS * DAY:
            raise Refusal(230031, "The message has exceeded the time that can be updated.")
        content = self._content.packed("interactive", asked.get("content"), size)
        for card in (message.content, content):
            if card.get("schema") != "2.0" and card.get("config", {}).get("update_multi") is not True:
                raise Refusal(230099, "Failed to create card content, ext=ErrCode: 200621; ErrMsg: not a shared card; ")
        self._pace("patch", f"patch {message.id}")
        self._change(message, content)
        return answer()

    async def _put(self, request: web.Request) -> web.Response:
        asked, size = await _asked(request)
        message = self._own(request, 230071, "The operator is not the sender of the message.")
        if message.type not in ("text", "post") or asked.get("msg_type") not in ("text", "post"):
            raise Refusal(230054, "This operation is not supported for this message type.")
        if message.edits >= EDITS:
            raise Refusal(230072, "The message has reached the number of times it can be edited.")
        content = self._content.packed(asked["msg_type"], asked.get("content"), size)
        self._pace("put")
        message.type = message.shown.kind = asked["msg_type"]
        message.edits += 1
        self._change(message, content)
        return answer(_shape(message))

    def _change(self, message: Message, content: dict[str, Any]) -> None:
        message.content = message.shown.payload = content
        message.shown.extra = {**message.shown.extra, **self._extra(content)}
        message.shown.state = "changed"
        self.board.changed(message.shown)

    async def _delete(self, request: web.Request) -> web.Response:
        message = self._own(request, 230026, "No permission to recall this message.")
        message.deleted = True
        message.shown.state = "recalled"
        self.board.changed(message.shown)
        return answer()

    async def _read_users(self, request: web.Request) -> web.Response:
        message = self._own(request, 230012, "Bot is NOT the sender of the message.")
        if self.now() - message.created > READ_DAYS * DAY:
            raise Refusal(230033, "Get the reading status must be done within 7 days after the message is sent.")
        id_type = request.query.get("user_id_type", "open_id")
        size, start = int(request.query.get("page_size", "20")), int(request.query.get("page_token") or "0")
        if not 1 <= size <= 100:
            raise Refusal(99992402, "field validation failed: page_size")
        readers = list(message.read.items())
        items = [
            {
                "user_id_type": id_type,
                "user_id": PEOPLE[open_id].ids()[id_type] if open_id in PEOPLE else open_id,
                "timestamp": str(int(at * 1000)),
                "tenant_key": TENANT,
            }
            for open_id, at in readers[start : start + size]
        ]
        more = start + size < len(readers)
        return answer({"items": items, "has_more": more, **({"page_token": str(start + size)} if more else {})})

    async def _urgent(self, request: web.Request) -> web.Response:
        asked, _ = await _asked(request)
        message = self._own(request, 230012, "Bot is NOT the sender of the message.")
        ids = asked.get("user_id_list")
        if not isinstance(ids, list) or not 0 < len(ids) <= IDS_MAX:
            raise Refusal(230001, "Your request contains an invalid request parameter, ext=user_id_list.")
        invalid = [id for id in ids if find_person(str(id)) is None]
        if len(invalid) == len(ids):
            raise Refusal(230001, "Your request contains an invalid request parameter, ext=user_id_list.")
        urgent = request.match_info["urgent"].removeprefix("urgent_")
        message.shown.extra = {**message.shown.extra, "urgent": urgent}
        self.board.changed(message.shown)
        return answer({"invalid_user_id_list": invalid})

    # files

    async def _upload_image(self, request: web.Request) -> web.Response:
        form = await _form(request)
        filename, content = form.get("image", ("", None))
        if form.get("image_type", ("", b""))[1] not in (b"message", b"avatar") or content is None:
            raise Refusal(234001, "Invalid request param.")
        if not content or len(content) > IMAGE_BYTES:
            raise Refusal(234006, "The file size exceed the max value.")
        if not content.startswith(_IMAGES) and b"ftypheic" not in content[:16]:
            raise Refusal(234011, "Can't recognize the image format.")
        key = f"img_v3_{self.board.new_id()}_{secrets.token_hex(12)}"
        self._files[key] = "image"
        self.board.keep(key, filename, _image_type(content), content)
        return answer({"image_key": key})

    async def _upload_file(self, request: web.Request) -> web.Response:
        form = await _form(request)
        type_, name = (form.get(each, ("", b""))[1].decode(errors="replace") for each in ("file_type", "file_name"))
        _, content = form.get("file", ("", None))
        if type_ not in _FILE_TYPES or not name or content is None:
            raise Refusal(234001, "Invalid request param.")
        if not content or len(content) > FILE_BYTES:
            raise Refusal(234010 if not content else 234006, "The file size exceed the max value.")
        key = f"file_v3_{self.board.new_id()}_{secrets.token_hex(12)}"
        self._files[key] = type_
        types = {"opus": "audio/ogg", "mp4": "video/mp4", "pdf": "application/pdf"}
        self.board.keep(key, name, types.get(type_, "application/octet-stream"), content)
        return answer({"file_key": key})

    async def _resource(self, request: web.Request) -> web.Response:
        message, key = self._message(request), request.match_info["key"]
        if request.query.get("type") not in ("image", "file"):
            raise Refusal(234001, "Invalid request param.")
        if message.type == "interactive":
            raise Refusal(234043, "Unsupported message type.")
        if key not in json.dumps(message.content):
            raise Refusal(234003, "File not in message.")
        return self._bytes(key)

    async def _download(self, request: web.Request) -> web.Response:
        return self._bytes(request.match_info["key"])

    def _bytes(self, key: str) -> web.Response:
        found = self.board.media(key)
        if found is None:
            raise Refusal(234003, "File not in message.")
        return web.Response(body=found[2], headers={"Content-Type": found[1]})

    # batches

    async def _batch_send(self, request: web.Request) -> web.Response:
        asked, size = await _asked(request)
        type_ = asked.get("msg_type")
        content = asked.get("card") if type_ == "interactive" else asked.get("content")
        if type_ not in ("text", "image", "post", "share_chat", "interactive") or not isinstance(content, dict):
            raise Refusal(10003, "invalid msg_type or content")
        lists = {name: asked.get(f"{name}s") or [] for name in ("department_id", "open_id", "user_id", "union_id")}
        if not any(lists.values()) or any(len(ids) > IDS_MAX for ids in lists.values()):
            raise Refusal(10003, "open_ids, user_ids, union_ids, department_ids: 1 to 200")
        if size > 30 * 1024 * (5 if type_ == "text" else 1):
            raise Refusal(19036, "The message exceeds the size limit of 30KB")
        if type_ == "post":
            content = content.get("post")
        self._content.check(type_, content if isinstance(content, dict) else {})
        self._pace("batch")
        people, invalid = _batch_people(lists)
        names = [PEOPLE[each].name for each in people if PEOPLE[each].inside]
        id = f"bm-{self.board.new_id()}sandbox"
        shown = self.board.add(
            "feishu", "app", APP_NAME, names, str(type_), content, id=id, extra={**self._extra(content), "direct": True}
        )
        self._batches[id] = Batch(shown, people)
        return answer({"message_id": id, **{f"invalid_{name}s": ids for name, ids in invalid.items()}})

    def _batch(self, request: web.Request) -> Batch:
        found = self._batches.get(request.match_info["id"])
        if found is None:
            raise Refusal(230030, "The message id is invalid, record not found.")
        return found

    async def _batch_progress(self, request: web.Request) -> web.Response:
        batch = self._batch(request)
        sent = [each for each in batch.people if PEOPLE[each].inside]
        progress = {
            "valid_user_ids_count": len(batch.people),
            "success_user_ids_count": len(sent),
            "read_user_ids_count": len(batch.shown.read_by),
        }
        recalled = {"recall": batch.recalled, "recall_count": len(sent) if batch.recalled else 0}
        return answer({"batch_message_send_progress": progress, "batch_message_recall_progress": recalled})

    async def _batch_read(self, request: web.Request) -> web.Response:
        batch = self._batch(request)
        counts = {"read_count": str(len(batch.shown.read_by)), "total_count": str(len(batch.people))}
        return answer({"read_user": counts})

    async def _batch_delete(self, request: web.Request) -> web.Response:
        batch = self._batch(request)
        batch.recalled = True
        batch.shown.state = "recalled"
        self.board.changed(batch.shown)
        return answer()

    # people and groups

    async def _batch_get_id(self, request: web.Request) -> web.Response:
        asked, _ = await _asked(request)
        id_type = request.query.get("user_id_type", "open_id")
        emails, mobiles = asked.get("emails") or [], asked.get("mobiles") or []
        if len(emails) > 50 or len(mobiles) > 50 or not (emails or mobiles):
            raise Refusal(40001, "param error")
        found = []
        for kind, values in (("email", emails), ("mobile", mobiles)):
            for value in values:
                person = next((each for each in PEOPLE.values() if getattr(each, kind) == value), None)
                known = {"user_id": person.ids()[id_type]} if person and person.inside else {}
                found.append({kind: value, **known})
        return answer({"user_list": found})

    async def _user(self, request: web.Request) -> web.Response:
        person = find_person(request.match_info["id"])
        if person is None:
            raise Refusal(99992351, "The request you send is not a valid {open_id} or not exists, example value: ou_")
        if not person.inside:
            raise Refusal(41050, "no user authority error", 400)
        return answer({"user": {**person.ids(), "name": person.name, "email": person.email}})

    async def _chats(self, _: web.Request) -> web.Response:
        items = [
            {"chat_id": each.id, "name": each.title} for each in GROUPS.values() if each.bot and not each.dissolved
        ]
        return answer({"items": items, "has_more": False, "page_token": ""})

    async def _chat(self, request: web.Request) -> web.Response:
        group = GROUPS.get(request.match_info["id"])
        if group is None:
            raise Refusal(232006, "Your request specifies a chat_id which is invalid.")
        return answer({"name": group.title, "chat_mode": "group"})

    # what the app is told

    async def tell(self, inbound: Inbound, url: str) -> Told:
        """`url` may be empty: then by the long connection that the app holds.

        Besides the kinds that all have: `image`, a picture whose key is `value`; `action_v1`, a press in the older
        shape; and `check`, the verification of the address.
        """
        if inbound.kind == "check":
            challenge = {"challenge": secrets.token_hex(16), "token": VERIFICATION_TOKEN, "type": "url_verification"}
            return await self._post(url, _compact(challenge))
        person = find_person(inbound.user)
        if person is None:
            raise ValueError(f"there is nobody {inbound.user!r}")
        match inbound.kind:
            case "text" | "image":
                return await self._tell("im.message.receive_v1", self._said(inbound, person), url)
            case "action":
                return await self._tell("card.action.trigger", self._action(inbound, person), url)
            case "action_v1":
                return await self._tell_before(self._action(inbound, person), person, url)
            case "read":
                return await self._read(inbound, person, url)
            case "recalled":
                message = self._known(inbound.on)
                message.deleted, message.shown.state = True, "recalled"
                self.board.changed(message.shown)
                at = {"recall_time": self._ms(), "recall_type": "message_owner"}
                event = {"message_id": message.id, "chat_id": message.chat, **at}
                return await self._tell("im.message.recalled_v1", event, url)
            case "added":
                group = _group(inbound.chat)
                added = {"chat_id": group.id, "operator_id": person.ids(), "external": False, "name": group.title}
                return await self._tell("im.chat.member.bot.added_v1", added, url)
            case _:
                raise ValueError(f"Feishu tells an app nothing of {inbound.kind!r}")

    def _said(self, inbound: Inbound, person: Person) -> dict[str, Any]:
        group = _group(inbound.chat) if inbound.chat and inbound.chat != person.chat else None
        content: dict[str, Any]
        mentions: list[dict[str, Any]] = []
        parent = self._messages.get(inbound.on)
        if inbound.kind == "image":
            if self._files.get(inbound.value) != "image":
                raise ValueError(f"no picture {inbound.value!r} was uploaded")
            type_, content = "image", {"image_key": inbound.value}
        else:
            text, mentions = _with_numbers(inbound.text)
            type_, content = "text", {"text": text}
        shown = {"text": inbound.text} if type_ == "text" else content
        message = self._add(group.id if group else person.chat, type_, shown, parent, "", sender=person.name)
        message.content = content
        answered = {"root_id": message.root, "parent_id": message.parent} if parent else {}
        return {
            "sender": {"sender_id": person.ids(), "sender_type": "user", "tenant_key": TENANT},
            "message": {
                "message_id": message.id,
                **answered,
                "create_time": self._ms(),
                "update_time": self._ms(),
                "chat_id": message.chat,
                "chat_type": "group" if group else "p2p",
                "message_type": type_,
                "content": json.dumps(content, ensure_ascii=False),
                **({"mentions": mentions} if mentions else {}),
            },
        }

    def _action(self, inbound: Inbound, person: Person) -> dict[str, Any]:
        shown = self.board.get(inbound.on)
        if shown is None or shown.kind != "interactive" or shown.address != "app":
            raise ValueError(f"there is no card {inbound.on!r} of the app")
        button = _pressed(shown.payload, inbound)
        form = {"form_value": _form_values(shown.payload, inbound.inputs)} if button.get("form_action_type") else {}
        action = {"value": callback(button) or {}, "tag": "button", "timezone": "Asia/Shanghai", **form}
        if button.get("name"):
            action["name"] = button["name"]
        chat = str(shown.extra.get("chat") or person.chat)
        return {
            "operator": {"tenant_key": TENANT, **person.ids()},
            "token": f"c-{secrets.token_hex(20)}",
            "action": action,
            "host": "im_message",
            "context": {"open_message_id": shown.id, "open_chat_id": chat},
        }

    async def _read(self, inbound: Inbound, person: Person, url: str) -> Told:
        """Feishu tells this of direct messages; of those in groups the app has to ask."""
        shown = self.board.get(inbound.on)
        if shown is None:
            raise ValueError(f"there is no message {inbound.on!r}")
        if person.open_id not in shown.read_by:
            shown.read_by.append(person.open_id)
            self.board.changed(shown)
        message = self._messages.get(inbound.on)
        if message is not None:
            message.read.setdefault(person.open_id, self.now())
        if not shown.extra.get("direct") or message is None or (not url and not self.connections.any()):
            return Told(200, "Feishu tells the app nothing of this: it asks.")
        reader = {"reader_id": person.ids(), "read_time": self._ms(), "tenant_key": TENANT}
        return await self._tell("im.message.message_read_v1", {"reader": reader, "message_id_list": [shown.id]}, url)

    def _known(self, id: str) -> Message:
        found = self._messages.get(id)
        if found is None:
            raise ValueError(f"there is no message {id!r}")
        return found

    async def _tell(self, name: str, event: Mapping[str, Any], url: str) -> Told:
        at = self._ms() + ("000" if name == "card.action.trigger" else "")  # microseconds
        header = {
            "event_id": secrets.token_hex(16),
            "event_type": name,
            "create_time": at,
            "token": VERIFICATION_TOKEN,
            "app_id": APP_ID,
            "tenant_key": TENANT,
        }
        body = _compact({"schema": "2.0", "header": header, "event": event})
        if not url:
            return Told(*await self.connections.tell(body))
        return await self._post(url, body)

    async def _tell_before(self, action: Mapping[str, Any], person: Person, url: str) -> Told:
        """The older callback of cards: not encrypted, and signed with the token."""
        body = _compact(
            {
                "open_id": person.open_id,
                "user_id": person.user_id,
                "open_message_id": action["context"]["open_message_id"],
                "open_chat_id": action["context"]["open_chat_id"],
                "tenant_key": TENANT,
                "token": action["token"],
                "action": action["action"],
            }
        )
        timestamp, nonce = str(int(self.now())), secrets.token_hex(8)
        signature = signed_card(timestamp, nonce, VERIFICATION_TOKEN, body)
        refresh = {"X-Refresh-Token": secrets.token_hex(16)}
        return await _called(url, body, {**_headers(timestamp, nonce, signature), **refresh})

    async def _post(self, url: str, plain: bytes) -> Told:
        """Encrypted and signed, if the app has an Encrypt Key."""
        if not self.encrypt_key:
            return await _called(url, plain, {})
        body = _compact({"encrypt": encrypted(self.encrypt_key, plain)})
        timestamp, nonce = str(int(self.now())), secrets.token_hex(8)
        return await _called(url, body, _headers(timestamp, nonce, signed(timestamp, nonce, self.encrypt_key, body)))

    def _ms(self) -> str:
        return str(int(self.now() * 1000))

    def _extra(self, content: object) -> dict[str, Any]:
        """Names of those whose ids stand in it, for the page."""
        text = json.dumps(content, ensure_ascii=False)
        names = {
            id: each.name
            for each in PEOPLE.values()
            for id in (each.open_id, each.union_id, each.user_id, each.email)
            if id in text
        }
        files = {key: found[0] for key in self._files if key in text and (found := self.board.media(key))}
        return {"names": names, "files": files}

    # the long connection

    async def _endpoint(self, request: web.Request) -> web.Response:
        asked = _object(await request.read()) or {}
        if (asked.get("AppID"), asked.get("AppSecret")) != (APP_ID, APP_SECRET):
            return web.json_response({"code": 1000040344, "msg": "app_id or app_secret is invalid"})
        ticket = self.connections.ticket()
        origin = self.origin.replace("http", "ws", 1)
        url = f"{origin}/callback/ws/connect?device_id=1&service_id=7&ticket={ticket}"
        return web.json_response({"code": 0, "msg": "", "data": {"URL": url, "ClientConfig": self.connections.config}})

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        return await self.connections.serve(request)


def _compact(value: object) -> bytes:
    """JSON without white space: the SDK for Node checks signatures on what it has written again itself."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _robot_says(code: int, message: str, status: int = 200) -> web.Response:
    return web.json_response({"code": code, "data": {}, "msg": message}, status=status)


def _within_networks(remote: str, networks: Sequence[str]) -> bool:
    """An address, a network such as 10.0.0.1/24, or one with stars."""
    for network in networks:
        if "*" in network:
            if remote.startswith(network.partition("*")[0]):
                return True
        elif remote and ipaddress.ip_address(remote) in ipaddress.ip_network(network, strict=False):
            return True
    return False


def _visible(value: object) -> list[str]:
    """The texts in which keywords are looked for."""
    if isinstance(value, dict):
        own = [each for name, each in value.items() if name in ("text", "title", "content") and isinstance(each, str)]
        return own + [text for each in value.values() for text in _visible(each)]
    return [text for each in value for text in _visible(each)] if isinstance(value, list) else []


def _bearer(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


async def _asked(request: web.Request) -> tuple[dict[str, Any], int]:
    """The object, and its bytes. Raises Refusal."""
    raw = await request.read()
    found = _object(raw)
    if found is None:
        raise Refusal(9499, "Bad Request")
    return found, len(raw)


async def _form(request: web.Request) -> dict[str, tuple[str, bytes]]:
    """The parts by their names, each with its file name; clients give files with and without one. Raises Refusal."""
    if not request.content_type.startswith("multipart/"):
        raise Refusal(234001, "Invalid request param.")
    parts: dict[str, tuple[str, bytes]] = {}
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name:
            parts[part.name] = (part.filename or "", bytes(await part.read(decode=True)))
    return parts


def _chat_of(id_type: str, id: object) -> str:
    """The chat of a group, or of a person with the bot. Raises Refusal."""
    if not isinstance(id, str) or not id:
        raise Refusal(230001, "Your request contains an invalid request parameter, ext=receive_id is required.")
    if id_type == "chat_id":
        return _chat(id)
    person = find_person(id)
    matches = person is not None and (person.email if id_type == "email" else person.ids()[id_type]) == id
    if person is None or not matches:
        codes = {"open_id": 99992351, "user_id": 99992352, "union_id": 99992353}
        if id_type in codes:
            raise Refusal(codes[id_type], f"The request you send is not a valid {{{id_type}}} or not exists.")
        raise Refusal(230001, "Your request contains an invalid request parameter, ext=invalid receive_id.")
    if not person.inside:
        raise Refusal(230013, "Bot has NO availability to this user.")
    return person.chat


def _chat(id: str) -> str:
    group = GROUPS.get(id)
    if group is None:
        if any(each.chat == id for each in PEOPLE.values()):
            return id
        raise Refusal(230001, "Your request contains an invalid request parameter, ext=invalid receive_id.")
    if group.dissolved:
        raise Refusal(232009, "Your request specifies a chat which has already been dissolved.")
    if not group.bot:
        raise Refusal(230002, "The bot can not be outside the group.")
    if group.muted:
        raise Refusal(230018, "These operations are NOT allowed at current group settings.")
    return group.id


def _group(id: str) -> Group:
    if id not in GROUPS:
        raise ValueError(f"there is no group {id!r}")
    return GROUPS[id]


def _batch_people(lists: Mapping[str, Sequence[str]]) -> tuple[list[str], dict[str, list[str]]]:
    """The people by their open ids, and which ids are none."""
    people: dict[str, None] = {}
    invalid: dict[str, list[str]] = {}
    for name, ids in lists.items():
        invalid[name] = []
        for id in ids:
            if name == "department_id":
                found = [each.open_id for each in PEOPLE.values() if id in each.departments]
                known = id in DEPARTMENTS
            else:
                found = [each.open_id for each in PEOPLE.values() if each.ids()[name] == id]
                known = bool(found)
            people.update(dict.fromkeys(found))
            if not known:
                invalid[name].append(id)
    return list(people), invalid


def _shape(message: Message) -> dict[str, Any]:
    optional = {"root_id": message.root, "parent_id": message.parent, "thread_id": message.thread}
    at = str(int(message.created * 1000))
    sender = {"id": APP_ID, "id_type": "app_id", "sender_type": "app", "tenant_key": TENANT}
    return {
        "message_id": message.id,
        **{name: value for name, value in optional.items() if value},
        "msg_type": message.type,
        "create_time": at,
        "update_time": at,
        "deleted": message.deleted,
        "updated": message.edits > 0,
        "chat_id": message.chat,
        "sender": sender,
        "body": {"content": json.dumps(message.content, ensure_ascii=False)},
    }


def _with_numbers(text: str) -> tuple[str, list[dict[str, Any]]]:
    """`@name` as the number of who is mentioned."""
    known = [(APP_NAME, {"open_id": BOT_ID, "user_id": "", "union_id": ""})]
    known += [(each.name, each.ids()) for each in PEOPLE.values()]
    mentions: list[dict[str, Any]] = []
    for name, ids in known:
        if f"@{name}" in text:
            key = f"@_user_{len(mentions) + 1}"
            text = text.replace(f"@{name}", key)
            mentions.append({"key": key, "id": ids, "name": name, "tenant_key": TENANT})
    return text, mentions


def _pressed(card: object, inbound: Inbound) -> dict[str, Any]:
    """The button, by the action that it tells, by its name, or by its text."""
    for button in buttons(card):
        told = callback(button)
        action = told.get("action") if isinstance(told, dict) else told
        text = button.get("text", {}).get("content")
        if inbound.action and inbound.action in (action, button.get("name"), text):
            if told is None and not button.get("form_action_type"):
                raise ValueError(f"the button {inbound.action!r} opens an address and tells the app nothing")
            return button
    raise ValueError(f"the card has no button {inbound.action!r}")


def _form_values(card: object, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """As Feishu sends them: days with the zone. Raises ValueError if something that is required is missing."""
    values: dict[str, Any] = {}
    for each in elements(card):
        name = each.get("name")
        if not name or each["tag"] in ("form", "button"):
            continue
        value = inputs.get(str(name))
        if each.get("required") and value in (None, "", []):
            raise ValueError(f"{name!r} is required")
        if value not in (None, "", []):
            values[str(name)] = f"{value} +0800" if each["tag"] == "date_picker" else value
    return values


def _headers(timestamp: str, nonce: str, signature: str) -> dict[str, str]:
    return {
        "X-Lark-Request-Timestamp": timestamp,
        "X-Lark-Request-Nonce": nonce,
        "X-Lark-Signature": signature,
    }


async def _called(url: str, body: bytes, headers: Mapping[str, str]) -> Told:
    if not url.startswith(("http://", "https://")):
        raise ValueError("the app's address begins with http:// or https://")
    sent = {"Content-Type": "application/json; charset=utf-8", **headers}
    try:
        async with (
            ClientSession(timeout=ClientTimeout(TELL)) as session,
            session.post(url, data=body, headers=sent, allow_redirects=False) as told,
        ):
            return Told(told.status, (await told.content.read(65_536)).decode(errors="replace"))
    except (ClientError, TimeoutError) as error:
        raise ValueError(f"the app does not answer: {type(error).__name__}") from None


def _image_type(content: bytes) -> str:
    for start, type_ in ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp")):
        if content.startswith(start):
            return f"image/{type_}"
    return "application/octet-stream"
