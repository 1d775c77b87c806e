"""The calls of WeCom. Every answer is HTTP 200; errors are told by `errcode` (its documentation, 全局错误码)."""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from hongyan.sandbox.board import Shown
from hongyan.sandbox.emulator import Emulator, Inbound, Told
from hongyan.sandbox.faults import What
from hongyan.sandbox.wecom import callback, checks
from hongyan.sandbox.wecom.checks import Refusal
from hongyan.sandbox.wecom.rates import Windows
from hongyan.sandbox.wecom.world import AGENTS, CORP, DEPARTMENTS, MEMBERS, ROBOTS, TAGS, Agent, Chat, Company, Member

#: How long tokens, media ids, codes of cards and recalls are good (s).
TOKEN, MEDIA, CODE, RECALL = 7200, 3 * 86_400, 72 * 3600, 24 * 3600
#: Messages of a robot in a minute; to a member in a minute and an hour; of groups to a member; calls in a minute.
ROBOT_RATE, MEMBER_MINUTE, MEMBER_HOUR, CHAT_MINUTE, CALLS = 20, 30, 1000, 200, 10_000
#: Bytes of files by type, and of a picture for good.
SIZES = {"image": 10 * 2**20, "voice": 2 * 2**20, "video": 10 * 2**20, "file": 20 * 2**20}
IMAGE_URL_MAX = 2 * 2**20
_TYPES = {"voice": "audio/amr", "video": "video/mp4", "file": "application/octet-stream"}
_CHAT_ID = re.compile(r"[0-9A-Za-z]{1,32}")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class _Token:
    text: str
    agent: Agent
    until: float


@dataclass(slots=True)
class _Code:
    """By which a card is changed, once."""

    shown: str
    agent: int
    until: float
    used: bool = False


@dataclass(slots=True)
class _Message:
    agent: int
    at: float
    shown: str


class WeCom(Emulator):
    platform = "wecom"
    prefixes = ("/cgi-bin/",)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.company = Company()
        self._windows = Windows(self.now)
        self._tokens: dict[str, _Token] = {}
        self._media: dict[str, tuple[str, str, float]] = {}
        self._codes: dict[str, _Code] = {}
        self._messages: dict[str, _Message] = {}
        self._tasks: set[tuple[int, str]] = set()
        self._said: dict[str, tuple[float, dict[str, Any]]] = {}
        self._counts: dict[tuple[int, int], int] = {}
        #: How many tokens were asked for.
        self.fetched = 0

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        calls: dict[str, tuple[str, Callable[[web.Request], Awaitable[Any]]]] = {
            "gettoken": ("*", self._gettoken),
            "webhook/send": ("*", self._robot_send),
            "webhook/upload_media": ("POST", self._robot_upload),
            "message/send": ("POST", self._send),
            "message/recall": ("POST", self._recall),
            "message/update_template_card": ("POST", self._update_card),
            "message/get_statistics": ("POST", self._statistics),
            "appchat/create": ("POST", self._chat_create),
            "appchat/update": ("POST", self._chat_update),
            "appchat/get": ("GET", self._chat_get),
            "appchat/send": ("POST", self._chat_send),
            "media/upload": ("POST", self._upload),
            "media/uploadimg": ("POST", self._upload_image),
            "media/get": ("GET", self._media_get),
            "user/get": ("GET", self._user_get),
            "user/getuserid": ("POST", self._by_mobile),
            "user/get_userid_by_email": ("POST", self._by_email),
            "agent/get": ("GET", self._agent_get),
        }
        return [web.route(method, f"/cgi-bin/{path}", _answering(call)) for path, (method, call) in calls.items()]

    def failure(self, what: What, request: web.Request) -> web.Response:
        match what:
            case "throttled":
                return _error(request, 45009, "api freq out of limit")
            case "token_expired":
                self._tokens.pop(request.query.get("access_token", ""), None)
                return _error(request, 42001, "access_token expired")
            case _:
                return _error(request, 40058, "invalid Request Parameter")

    def world(self) -> Mapping[str, Any]:
        return {
            "corp_id": CORP,
            "agents": [
                {
                    "agent_id": each.id,
                    "name": each.name,
                    "secret": each.secret,
                    "token": each.token,
                    "aes_key": each.aes_key,
                }
                for each in AGENTS
            ],
            "robots": [
                {"key": key, "name": name, "url": f"{self.origin}/cgi-bin/webhook/send?key={key}"}
                for key, name in ROBOTS.items()
            ],
            "users": [
                {
                    "id": each.id,
                    "name": each.name,
                    "mobile": each.mobile,
                    "email": each.email,
                    "department": each.department,
                    "licensed": each.licensed,
                    "visible": each.visible,
                }
                for each in MEMBERS
            ],
            "departments": [{"id": number, "name": name} for number, name in DEPARTMENTS.items()],
            "tags": [{"id": number, "name": name, "users": users} for number, (name, users) in TAGS.items()],
            "groups": [
                {"id": each.id, "name": each.name, "members": each.members, "agent": each.agent}
                for each in self.company.chats.values()
            ],
        }

    def revoke(self) -> None:
        """All tokens are good no more."""
        self._tokens.clear()

    # tokens

    async def _gettoken(self, request: web.Request) -> dict[str, Any]:
        self.fetched += 1
        asked: Mapping[str, Any] = request.query
        if "corpid" not in asked and request.can_read_body:
            asked = await _body(request)
        if not asked.get("corpid"):
            raise Refusal(41002, "corpid missing")
        if not asked.get("corpsecret"):
            raise Refusal(41004, "corpsecret missing")
        if asked["corpid"] != CORP:
            raise Refusal(40013, "invalid corpid")
        agent = next((each for each in AGENTS if each.secret == asked["corpsecret"]), None)
        if agent is None:
            raise Refusal(40001, "invalid credential")
        self._call_window("gettoken")
        token = next((each for each in self._tokens.values() if each.agent is agent and self.now() < each.until), None)
        if token is None:
            token = _Token(secrets.token_urlsafe(96), agent, self.now() + TOKEN)
            self._tokens[token.text] = token
        return {"access_token": token.text, "expires_in": int(token.until - self.now())}

    def _agent(self, request: web.Request) -> Agent:
        """Whose token it is."""
        text = request.query.get("access_token", "")
        if not text:
            raise Refusal(41001, "access_token missing")
        token = self._tokens.get(text)
        if token is None:
            raise Refusal(40014, "invalid access_token")
        if self.now() >= token.until:
            raise Refusal(42001, "access_token expired")
        self._call_window(request.path)
        return token.agent

    def _call_window(self, interface: str) -> None:
        if not self._windows.take(("call", interface), CALLS, 60.0):
            raise Refusal(45009, "api freq out of limit")

    # robots

    def _robot(self, request: web.Request) -> str:
        key = request.query.get("key", "")
        if key not in ROBOTS:
            raise Refusal(93000, "invalid webhook url")
        return key

    async def _robot_send(self, request: web.Request) -> dict[str, Any]:
        key = self._robot(request)
        if request.method != "POST":
            raise Refusal(43002, "require POST method")
        if not self._windows.take(("robot", key), ROBOT_RATE, 60.0):
            raise Refusal(45009, "api freq out of limit")
        type_, value = checks.message(await _body(request), "robot", lambda kind, id_: self._has(kind, id_, key))
        extra: dict[str, Any] = {"names": _names(), **self._files(value)}
        if type_ == "image":
            extra["media"] = self._keep_picture(value)
        self.board.add(self.platform, "robot", f"{ROBOTS[key]}机器人", [ROBOTS[key]], type_, value, extra=extra)
        return {}

    def _keep_picture(self, value: dict[str, Any]) -> str:
        """The page gets the picture by an address, not within each change."""
        content = base64.b64decode(value["base64"])
        media_id = f"wecom-{secrets.token_hex(12)}"
        self.board.keep(media_id, "image", checks.picture_type(content) or "", content)
        value["base64"] = f"({len(content)} bytes)"
        return media_id

    async def _robot_upload(self, request: web.Request) -> dict[str, Any]:
        key = self._robot(request)
        return await self._keep(request, key, ("file", "voice"))

    # messages of applications

    async def _send(self, request: web.Request) -> dict[str, Any]:
        agent = self._agent(request)
        body = await _body(request)
        _same_agent(body, agent)
        type_, value = checks.message(body, "app", lambda kind, id_: self._has(kind, id_, CORP))
        reached, missed = self._recipients(body)
        before = self._said_before(agent, body)
        if before is not None:
            return before
        if type_ == "template_card":
            self._task(agent, value)
        got = [each for each in reached if self._passes(agent, each)]
        extra = {
            "names": _names(),
            **self._files(value),
            "agent": agent.id,
            "safe": str(body.get("safe") or 0),
            "dropped": [each.id for each in reached if each not in got],
        }
        shown = self._show(agent.name, [each.id for each in got], type_, value, extra)
        msgid = secrets.token_urlsafe(40)
        self._messages[msgid] = _Message(agent.id, self.now(), shown.id)
        self._count(agent)
        answer = {**missed, "msgid": msgid}
        if type_ == "template_card" and checks.updatable(value):
            answer["response_code"] = self._code(shown, agent)
        self._said[self._digest(agent, body)] = (self.now(), answer)
        return answer

    def _recipients(self, body: Mapping[str, Any]) -> tuple[list[Member], dict[str, str]]:
        """Whom it reaches, and the fields of the answer that name the others."""
        if str(body.get("touser") or "") == "@all":
            return [each for each in self.company.visible() if each.licensed], {"invaliduser": ""}
        users, parties, tags = (_ids(body.get(name)) for name in ("touser", "toparty", "totag"))
        if not (users or parties or tags):
            raise Refusal(82001, "touser, toparty and totag are all empty")
        if len(users) > 1000:
            raise Refusal(40032, "invalid userlist size")
        if len(parties) > 100 or len(tags) > 100:
            raise Refusal(40066 if len(parties) > 100 else 40068, "invalid party or tag list")
        found: list[Member] = []
        missed: dict[str, list[str]] = {"invaliduser": [], "invalidparty": [], "invalidtag": [], "unlicenseduser": []}
        for each in users:
            member = self.company.member(each)
            if member is None or not member.visible:
                missed["invaliduser"].append(each.lower())
            elif not member.licensed:
                missed["unlicenseduser"].append(each.lower())
            else:
                found.append(member)
        for each in parties:
            if not each.isdecimal() or int(each) not in DEPARTMENTS:
                missed["invalidparty"].append(each)
            else:
                found += self.company.of_department(int(each))
        for each in tags:
            if not each.isdecimal() or int(each) not in TAGS:
                missed["invalidtag"].append(each)
            else:
                found += [member for id_ in TAGS[int(each)][1] if (member := self.company.member(id_)) is not None]
        fields = {name: "|".join(ids) for name, ids in missed.items()}
        if not found:
            raise Refusal(81013, "user & party & tag all invalid", **fields)
        return list(dict.fromkeys(each for each in found if each.licensed)), fields

    def _passes(self, agent: Agent, member: Member) -> bool:
        """What is above a member's rate is dropped without a word."""
        return self._windows.take((agent.id, member.id), MEMBER_MINUTE, 60.0) and self._windows.take(
            (agent.id, member.id), MEMBER_HOUR, 3600.0
        )

    def _digest(self, agent: Agent, body: Mapping[str, Any]) -> str:
        type_ = body.get("msgtype")
        said = [agent.id, *(body.get(name) for name in ("touser", "toparty", "totag")), type_, body.get(str(type_))]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def _said_before(self, agent: Agent, body: Mapping[str, Any]) -> dict[str, Any] | None:
        if str(body.get("enable_duplicate_check") or 0) != "1":
            return None
        interval = min(int(body.get("duplicate_check_interval") or 1800), 14_400)
        at, answer = self._said.get(self._digest(agent, body), (float("-inf"), {}))
        return answer if self.now() - at < interval else None

    def _task(self, agent: Agent, card: Mapping[str, Any]) -> None:
        task = card.get("task_id")
        if task and (agent.id, task) in self._tasks:
            raise Refusal(40058, "invalid Request Parameter, template_card.task_id already exists")
        if task:
            self._tasks.add((agent.id, task))

    def _show(self, name: str, to: list[str], type_: str, value: dict[str, Any], extra: dict[str, Any]) -> Shown:
        return self.board.add(self.platform, "app", name, to, type_, value, extra=extra)

    def _code(self, shown: Shown, agent: Agent) -> str:
        code = secrets.token_urlsafe(48)
        self._codes[code] = _Code(shown.id, agent.id, self.now() + CODE)
        return code

    async def _recall(self, request: web.Request) -> dict[str, Any]:
        agent = self._agent(request)
        message = self._messages.get(str((await _body(request)).get("msgid", "")))
        if message is None or message.agent != agent.id:
            raise Refusal(40058, "invalid Request Parameter, msgid is not of this agent")
        if self.now() - message.at > RECALL:
            raise Refusal(40058, "invalid Request Parameter, msgid exceeds 24 hours")
        shown = self.board.get(message.shown)
        if shown is not None:
            shown.state = "recalled"
            self.board.changed(shown)
        return {}

    async def _update_card(self, request: web.Request) -> dict[str, Any]:
        agent = self._agent(request)
        body = await _body(request)
        _same_agent(body, agent)
        code = self._codes.get(str(body.get("response_code", "")))
        if code is None or self.now() >= code.until:
            raise Refusal(42014, "response_code is invalid or expired")
        if code.agent != agent.id:
            raise Refusal(42015, "response_code is not of this agent")
        if code.used:
            raise Refusal(42017, "response_code has been used")
        if not (body.get("atall") or body.get("userids") or body.get("partyids") or body.get("tagids")):
            raise Refusal(40058, "invalid Request Parameter, no receiver")
        card: Any = body.get("template_card")
        button: Any = body.get("button")
        if isinstance(card, dict):
            checks.template_card(card, "app", changed=True)
        elif not isinstance(button, dict) or not button.get("replace_name"):
            raise Refusal(40058, "invalid Request Parameter, button or template_card")
        code.used = True
        shown = self.board.get(code.shown)
        if shown is not None:
            if isinstance(card, dict):
                shown.payload = {"task_id": shown.payload.get("task_id"), **card}
            else:
                shown.payload = {**shown.payload, "replace_text": button["replace_name"]}
            shown.state = "changed"
            self.board.changed(shown)
        return {"invaliduser": ""}

    def _count(self, agent: Agent) -> None:
        day = int((self.now() + 8 * 3600) // 86_400)
        self._counts[agent.id, day] = self._counts.get((agent.id, day), 0) + 1

    async def _statistics(self, request: web.Request) -> dict[str, Any]:
        self._agent(request)
        day = int((self.now() + 8 * 3600) // 86_400) - int((await _body(request)).get("time_type") or 0)
        return {
            "statistics": [
                {"agentid": each.id, "app_name": each.name, "count": self._counts[each.id, day]}
                for each in AGENTS
                if (each.id, day) in self._counts
            ]
        }

    # groups

    async def _chat_create(self, request: web.Request) -> dict[str, Any]:
        agent = self._agent(request)
        body = await _body(request)
        members = self._members(body.get("userlist"))
        if not 2 <= len(members) <= 2000:
            raise Refusal(86006, "invalid chat member list size")
        id_ = str(body.get("chatid") or secrets.token_hex(16))
        if not _CHAT_ID.fullmatch(id_):
            raise Refusal(86001, "invalid chat id")
        if id_ in self.company.chats:
            raise Refusal(86216, "chatid already exists")
        owner = str(body.get("owner") or members[0])
        self.company.chats[id_] = Chat(id_, str(body.get("name") or "")[:50], owner, members, agent.id)
        return {"chatid": id_}

    async def _chat_update(self, request: web.Request) -> dict[str, Any]:
        agent = self._agent(request)
        body = await _body(request)
        chat = self._chat(agent, body.get("chatid"))
        added = self._members(body.get("add_user_list", []))
        left = [each.lower() for each in body.get("del_user_list", [])]
        chat.members = list(dict.fromkeys([each for each in chat.members if each.lower() not in left] + added))
        chat.name = str(body.get("name") or chat.name)[:50]
        chat.owner = str(body.get("owner") or chat.owner)
        return {}

    async def _chat_get(self, request: web.Request) -> dict[str, Any]:
        chat = self._chat(self._agent(request), request.query.get("chatid"))
        return {"chat_info": {"chatid": chat.id, "name": chat.name, "owner": chat.owner, "userlist": chat.members}}

    async def _chat_send(self, request: web.Request) -> dict[str, Any]:
        agent = self._agent(request)
        body = await _body(request)
        chat = self._chat(agent, body.get("chatid"))
        type_, value = checks.message(body, "chat", lambda kind, id_: self._has(kind, id_, CORP))
        dropped = [each for each in chat.members if not self._windows.take(("chat", each), CHAT_MINUTE, 60.0)]
        extra = {"names": _names(), **self._files(value), "agent": agent.id, "group": chat.name, "dropped": dropped}
        self._show(agent.name, [chat.id], type_, value, extra)
        return {}

    def _chat(self, agent: Agent, chat_id: Any) -> Chat:
        chat = self.company.chats.get(str(chat_id))
        if chat is None:
            raise Refusal(86001, "invalid chat id")
        if chat.agent != agent.id:
            raise Refusal(86003, "chat is not created by this agent")
        return chat

    def _members(self, ids: Any) -> list[str]:
        found = [self.company.member(str(each)) for each in ids or []]
        if any(each is None or not each.visible for each in found):
            raise Refusal(40031, "invalid userid list")
        return list(dict.fromkeys(each.id for each in found if each is not None))

    # files

    async def _upload(self, request: web.Request) -> dict[str, Any]:
        self._agent(request)
        return await self._keep(request, CORP, tuple(SIZES))

    async def _keep(self, request: web.Request, owner: str, types: Sequence[str]) -> dict[str, Any]:
        type_ = request.query.get("type", "")
        if type_ not in types:
            raise Refusal(40004, "invalid media type")
        name, content = await _file(request)
        if len(content) <= 5:
            raise Refusal(40006, "invalid media size")
        if len(content) > SIZES[type_]:
            raise Refusal(45001, "media size out of limit")
        mime = checks.picture_type(content) if type_ == "image" else _TYPES[type_]
        if mime is None or (type_ == "voice" and not content.startswith(b"#!AMR")):
            raise Refusal(40005, "invalid file type")
        media_id = f"3{secrets.token_urlsafe(40)}"
        self._media[media_id] = (type_, owner, self.now() + MEDIA)
        self.board.keep(media_id, name, mime, content)
        return {"type": type_, "media_id": media_id, "created_at": str(int(self.now()))}

    def _has(self, type_: str, media_id: str, owner: str) -> bool:
        kept, whose, until = self._media.get(media_id, ("", "", 0.0))
        return kept == type_ and whose == owner and self.now() < until

    def _files(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The name and size of a file that is sent, for the page."""
        media_id = str(value.get("media_id", ""))
        kept = self.board.media(media_id)
        return {"files": {media_id: (kept[0], len(kept[2]))}} if kept is not None else {}

    async def _upload_image(self, request: web.Request) -> dict[str, Any]:
        self._agent(request)
        name, content = await _file(request)
        type_ = checks.picture_type(content)
        if type_ is None or len(content) > IMAGE_URL_MAX:
            raise Refusal(40009 if type_ else 40005, "invalid image")
        id_ = f"wecom-{secrets.token_hex(12)}"
        self.board.keep(id_, name, type_, content)
        return {"url": f"{self.origin}/sandbox/media/{id_}"}

    async def _media_get(self, request: web.Request) -> web.Response:
        self._agent(request)
        media_id = request.query.get("media_id", "")
        kept = self.board.media(media_id)
        if kept is None or self._media.get(media_id, ("", "", 0.0))[2] <= self.now():
            raise Refusal(40007, "invalid media_id")
        name, type_, content = kept
        quoted = name.replace("\\", "").replace('"', "")
        headers = {"Content-Type": type_, "Content-Disposition": f'attachment; filename="{quoted}"'}
        return web.Response(body=content, headers=headers)

    # people

    async def _user_get(self, request: web.Request) -> dict[str, Any]:
        self._agent(request)
        member = self.company.member(request.query.get("userid", ""))
        if member is None:
            raise Refusal(60111, "userid not found")
        return {
            "userid": member.id,
            "name": member.name,
            "mobile": member.mobile,
            "email": member.email,
            "department": [member.department],
        }

    async def _by_mobile(self, request: web.Request) -> dict[str, Any]:
        self._agent(request)
        mobile = (await _body(request)).get("mobile")
        return {"userid": _only(each for each in MEMBERS if each.mobile == mobile and each.visible)}

    async def _by_email(self, request: web.Request) -> dict[str, Any]:
        self._agent(request)
        body = await _body(request)
        if body.get("email_type", 1) != 1:
            raise Refusal(46004, "user not exist")
        email = str(body.get("email", "")).lower()
        return {"userid": _only(each for each in MEMBERS if each.email == email and each.visible)}

    async def _agent_get(self, request: web.Request) -> dict[str, Any]:
        agent = self._agent(request)
        if request.query.get("agentid") != str(agent.id):
            raise Refusal(301002, "not allow operate another agent with this accesstoken")
        return {"agentid": agent.id, "name": agent.name, "description": "", "close": 0}

    # what members do

    async def tell(self, inbound: Inbound, url: str) -> Told:
        """Besides what all platforms have: `verify` asks the address as WeCom does when it is saved; `image`, `voice`,
        `video` and `file` have a media id as their `value`; any other kind is the name of an event."""
        shown = self.board.get(inbound.on) if inbound.on else None
        agent = self._agent_of(inbound, shown)
        if inbound.kind == "verify":
            return await callback.verify(agent, url, self.now())
        if inbound.kind in ("read", "recalled") or inbound.chat in self.company.chats:
            raise ValueError("WeCom does not tell an application of that")
        member = self.company.member(inbound.user)
        if member is None:
            raise ValueError(f"there is no member {inbound.user}")
        common = {"ToUserName": CORP, "FromUserName": member.id, "CreateTime": int(self.now())}
        if inbound.kind == "action":
            if shown is None or shown.kind != "template_card" or shown.address != "app":
                raise ValueError("only template cards of an application have buttons that tell it")
            fields = self._pressed(inbound, shown, agent)
        else:
            fields = self._said_by(inbound)
        return await callback.tell(agent, url, {**common, **fields, "AgentID": agent.id}, self.now())

    def _agent_of(self, inbound: Inbound, shown: Shown | None) -> Agent:
        named = inbound.chat if inbound.chat not in self.company.chats else ""
        wanted = str(shown.extra.get("agent") if shown is not None else named or AGENTS[0].id)
        agent = next((each for each in AGENTS if str(each.id) == wanted), None)
        if agent is None:
            raise ValueError(f"there is no application {wanted}")
        return agent

    def _said_by(self, inbound: Inbound) -> dict[str, Any]:
        msg_id = secrets.randbelow(2**62)
        match inbound.kind:
            case "text":
                return {"MsgType": "text", "Content": inbound.text, "MsgId": msg_id}
            case "image":
                picture = f"{self.origin}/sandbox/media/{inbound.value}"
                return {"MsgType": "image", "PicUrl": picture, "MediaId": inbound.value, "MsgId": msg_id}
            case "voice" | "video" | "file":
                return {"MsgType": inbound.kind, "MediaId": inbound.value, "MsgId": msg_id}
            case "location":
                where = {"Location_X": 23.134, "Location_Y": 113.359, "Scale": 20, "Label": inbound.text}
                return {"MsgType": "location", **where, "MsgId": msg_id}
            case "link":
                said = {"Title": inbound.text, "Description": "", "Url": inbound.value, "PicUrl": ""}
                return {"MsgType": "link", **said, "MsgId": msg_id}
            case "added":
                return {"MsgType": "event", "Event": "subscribe", "EventKey": ""}
            case name:
                return {"MsgType": "event", "Event": name, "EventKey": inbound.value}

    def _pressed(self, inbound: Inbound, shown: Shown, agent: Agent) -> dict[str, Any]:
        card = shown.payload
        buttons = [*card.get("button_list", ()), *([card["submit_button"]] if card.get("submit_button") else [])]
        if inbound.action not in [each.get("key") for each in buttons] or card.get("replace_text"):
            raise ValueError("the card has no such button")
        items = [
            {"QuestionKey": key, "OptionIds": {"OptionId": chosen if isinstance(chosen, list) else [chosen]}}
            for key, chosen in inbound.inputs.items()
        ]
        return {
            "MsgType": "event",
            "Event": "template_card_event",
            "EventKey": inbound.action,
            "TaskId": card.get("task_id", ""),
            "CardType": card["card_type"],
            "ResponseCode": self._code(shown, agent),
            **({"SelectedItems": {"SelectedItem": items}} if items else {}),
        }


def _answering(call: Callable[[web.Request], Awaitable[Any]]) -> _Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            answer = await call(request)
        except Refusal as refusal:
            return _error(request, refusal.code, refusal.text, **refusal.fields)
        except (AttributeError, TypeError, ValueError):  # a value of another type than it should be
            return _error(request, 40058, "invalid Request Parameter")
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.json_response({"errcode": 0, "errmsg": "ok", **answer})

    return handler


def _error(request: web.Request, code: int, text: str, **fields: Any) -> web.Response:
    """With the hint, the caller's address and the link that WeCom adds."""
    hint = f"{secrets.randbelow(10**19)}_{secrets.randbelow(1000)}_{secrets.token_hex(16)}"
    message = (
        f"{text}, hint: [{hint}], from ip: {request.remote},"
        f" more info at https://open.work.weixin.qq.com/devtool/query?e={code}"
    )
    return web.json_response({"errcode": code, "errmsg": message, **fields})


async def _body(request: web.Request) -> dict[str, Any]:
    """JSON, whatever type it says it has."""
    try:
        value = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(40058, "invalid Request Parameter, wrong json format") from None
    if not isinstance(value, dict):
        raise Refusal(40058, "invalid Request Parameter, wrong json format")
    return value


async def _file(request: web.Request) -> tuple[str, bytes]:
    if not request.content_type.startswith("multipart/"):
        raise Refusal(41033, "media data missing")
    form = await request.post()
    media = form.get("media")
    if not isinstance(media, web.FileField):
        raise Refusal(41033, "media data missing")
    return media.filename, media.file.read()


def _same_agent(body: Mapping[str, Any], agent: Agent) -> None:
    """Some senders write the number as a text."""
    if "agentid" not in body:
        raise Refusal(41011, "missing agentid")
    if str(body["agentid"]) != str(agent.id):
        raise Refusal(301002, "not allow operate another agent with this accesstoken")


def _ids(text: Any) -> list[str]:
    return [each.strip() for each in str(text or "").split("|") if each.strip()]


def _only(members: Any) -> str:
    for each in members:
        return str(each.id)
    raise Refusal(46004, "user not exist")


def _names() -> dict[str, str]:
    """How the page shows those who are mentioned: by id, and by mobile."""
    return {**{each.id: each.name for each in MEMBERS}, **{each.mobile: each.name for each in MEMBERS}}
