"""Slack: the Web API of an app with a bot, incoming webhooks, uploads, and what Slack tells an app."""

import asyncio
import hashlib
import hmac
import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import BasicAuth, ClientError, ClientSession, ClientTimeout, web

from hongyan.sandbox import slack_blocks
from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.emulator import Emulator, Inbound, Told
from hongyan.sandbox.faults import Faults, What
from hongyan.sandbox.slack_socket import APP_TOKEN, Sockets

TEAM, TEAM_NAME, APP = "T0SANDBOX1", "Sandbox", "A0SANDBOX1"
BOT_USER, BOT, BOT_NAME = "U0HONGYAN1", "B0HONGYAN1", "hongyan"
TOKEN, SIGNING_SECRET = "xoxb-sandbox-token", "8f742231b10e8888abcd99yyyzzz85a5"
CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "1000.2000", "sandbox-client-secret", "xoxe-1-sandbox-refresh"
#: How long a token lasts that was made by rotation (s).
LASTS = 43_200
#: Messages to one channel, or by one webhook, in so many seconds: one a second, and bursts.
BURST, BURST_TIME = 15, 10.0
#: How long Slack waits for an app (s), how long a window may be asked for, and where answers may go.
PATIENCE, TRIGGER_TIME, RESPONSE_TIME, RESPONSE_USES = 3.0, 3.0, 1800.0, 5
#: How far ahead a message is scheduled (s).
AHEAD = 120 * 86_400
#: Characters of a text; of one that is changed.
TEXT_MAX, UPDATE_MAX = 40_000, 4000


@dataclass(slots=True)
class _User:
    id: str
    name: str
    real_name: str
    email: str
    deleted: bool = False
    bot: bool = False


@dataclass(slots=True)
class _Channel:
    id: str
    name: str
    members: list[str]
    private: bool = False
    archived: bool = False
    user: str = ""
    """Of a direct message: with whom."""


@dataclass(slots=True)
class _File:
    id: str
    name: str
    length: int
    title: str = ""
    type: str = "application/octet-stream"
    there: bool = False
    alt: str = ""
    shown: list[str] = field(default_factory=list)


class _Error(Exception):
    def __init__(self, word: str, **more: Any) -> None:
        self.word = word
        self.more = more


Arguments = Mapping[str, Any]


class Slack(Emulator):
    platform = "slack"
    prefixes = ("/api/", "/services/", "/slack/")

    def __init__(self, board: Board, faults: Faults, now: Callable[[], float]) -> None:
        super().__init__(board, faults, now)
        people = [
            _User("U0ALICE001", "alice", "Alice 王", "alice@sandbox.example"),
            _User("U0BOB00001", "bob", "Bob 李", "bob@sandbox.example"),
            _User("U0CAROL001", "carol", "Carol (gone)", "carol@sandbox.example", deleted=True),
            _User(BOT_USER, BOT_NAME, "Hongyan", "", bot=True),
        ]
        self.users = {each.id: each for each in people}
        everyone = ["U0ALICE001", "U0BOB00001", BOT_USER]
        channels = [
            _Channel("C0GENERAL1", "general", everyone),
            _Channel("C0ALERTS01", "alerts", list(everyone)),
            _Channel("C0OTHERS01", "others", ["U0ALICE001"]),
            _Channel("G0SECRET01", "secret", ["U0BOB00001"], private=True),
            _Channel("C0ARCHIVE1", "old", list(everyone), archived=True),
        ]
        self.channels = {each.id: each for each in channels}
        #: The channel of each webhook, by its path.
        self.hooks = {f"/services/{TEAM}/B0HOOK0001/{'sandbox' * 3}": "C0ALERTS01"}
        self.hooks[f"/services/{TEAM}/B0HOOK0002/{'sandbox' * 3}"] = "C0ARCHIVE1"
        #: When each token ends.
        self.tokens: dict[str, float] = {TOKEN: float("inf")}
        self.refresh_token = REFRESH_TOKEN
        self.refreshed = 0
        self.sockets = Sockets()
        self._numbers = itertools.count(1)
        self._sent: dict[str, deque[float]] = {}
        self._files: dict[str, _File] = {}
        self._triggers: dict[str, tuple[float, str]] = {}
        self._responses: dict[str, tuple[float, int, str, str]] = {}
        self._scheduled: dict[str, tuple[asyncio.TimerHandle, dict[str, Any]]] = {}
        self._methods: dict[str, Callable[[Arguments], dict[str, Any]]] = {
            "api.test": lambda given: {"args": dict(given)},
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "chat.getPermalink": self._permalink,
            "chat.scheduleMessage": self._schedule,
            "chat.scheduledMessages.list": self._list_scheduled,
            "chat.deleteScheduledMessage": self._unschedule,
            "conversations.list": self._list_channels,
            "conversations.info": lambda given: {"channel": self._told(self._channel(given))},
            "conversations.members": self._members,
            "conversations.open": self._open,
            "conversations.join": self._join,
            "users.list": lambda given: {"members": [_profile(each) for each in self.users.values()], **_PAGED},
            "users.info": lambda given: {"user": _profile(self._user(given.get("user")))},
            "users.lookupByEmail": self._by_email,
            "files.getUploadURLExternal": self._upload_url,
            "files.completeUploadExternal": self._complete_upload,
            "files.info": lambda given: {"file": self._told_file(self._file(given.get("file")))},
            "files.delete": self._delete_file,
            "views.open": self._open_view,
        }

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        return [
            web.route("*", "/api/{method}", self._api),
            web.post("/services/{path:.+}", self._hook),
            web.post("/slack/upload/{id}", self._upload),
            web.get("/slack/files/{id}/{name}", self._download),
            web.post("/slack/actions/{id}", self._respond),
            web.get("/slack/link/", self.sockets.serve),
        ]

    def failure(self, what: What, request: web.Request) -> web.Response:
        hook = not request.path.startswith("/api/")
        if what == "throttled":
            return _too_many(hook, 1)
        if hook:
            return web.Response(status=403, text="invalid_token" if what == "token_expired" else "action_prohibited")
        return web.json_response(
            {"ok": False, "error": "token_expired" if what == "token_expired" else "no_permission"}
        )

    def world(self) -> Mapping[str, Any]:
        return {
            "credentials": {
                "slack": {
                    "base_url": self.origin,
                    "bot_token": next(iter(self.tokens)),
                    "signing_secret": SIGNING_SECRET,
                },
                "slack_webhook": {"url": self.origin + next(iter(self.hooks))},
            },
            "rotation": {
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "refresh_token": self.refresh_token,
            },
            "socket_mode": {"app_token": APP_TOKEN},
            "team": TEAM_NAME,
            "bot": BOT_USER,
            "people": [
                {"id": each.id, "name": each.real_name, "mail": each.email, "gone": each.deleted, "bot": each.bot}
                for each in self.users.values()
            ],
            "groups": [
                {
                    "id": each.id,
                    "name": f"#{each.name}",
                    "archived": each.archived,
                    "with_bot": BOT_USER in each.members,
                }
                for each in self.channels.values()
                if not each.user
            ],
        }

    def expire(self) -> None:
        """All tokens have ended."""
        self.tokens = dict.fromkeys(self.tokens, 0.0)

    # the Web API

    async def _api(self, request: web.Request) -> web.Response:
        name = request.match_info["method"]
        try:
            given = await _arguments(request, name)
            if name == "oauth.v2.access":
                return web.json_response({"ok": True, **self._oauth(given, request)})
            if name == "apps.connections.open":
                return web.json_response(self.sockets.open(request, self.origin))
            self._check_token(request, given)
            method = self._methods.get(name)
            if method is None:
                raise _Error("unknown_method", req_method=name)
            return web.json_response({"ok": True, **method(given)})
        except _Limited as limited:
            return _too_many(False, limited.seconds)
        except _Error as error:
            return web.json_response({"ok": False, "error": error.word, **error.more})

    def _check_token(self, request: web.Request, given: Arguments) -> None:
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ").strip() if header else str(given.get("token", ""))
        if not token:
            raise _Error("not_authed")
        if token not in self.tokens:
            raise _Error("not_allowed_token_type" if token.startswith("xapp-") else "invalid_auth")
        if self.tokens[token] <= self.now():
            raise _Error("token_expired")

    def _oauth(self, given: Arguments, request: web.Request) -> dict[str, Any]:
        client, secret = given.get("client_id"), given.get("client_secret")
        if request.headers.get("Authorization", "").startswith("Basic "):
            try:
                client, secret = BasicAuth.decode(request.headers["Authorization"])[:2]
            except ValueError:
                raise _Error("invalid_client_id") from None
        if client != CLIENT_ID or secret != CLIENT_SECRET:
            raise _Error("invalid_client_id" if client != CLIENT_ID else "bad_client_secret")
        if given.get("grant_type") != "refresh_token":
            raise _Error("invalid_code")
        if given.get("refresh_token") != self.refresh_token:
            raise _Error("invalid_refresh_token")
        self.refreshed += 1
        token = f"xoxe.xoxb-1-sandbox-{self.refreshed}"
        self.refresh_token = f"xoxe-1-sandbox-refresh-{self.refreshed}"
        self.tokens[token] = self.now() + LASTS
        return {
            "access_token": token,
            "refresh_token": self.refresh_token,
            "expires_in": LASTS,
            "token_type": "bot",
            "scope": "chat:write,files:write,users:read.email",
            "bot_user_id": BOT_USER,
            "app_id": APP,
            "team": {"id": TEAM, "name": TEAM_NAME},
            "authed_user": {},
        }

    def _auth_test(self, given: Arguments) -> dict[str, Any]:
        return {
            "url": f"{self.origin}/",
            "team": TEAM_NAME,
            "user": BOT_NAME,
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT,
            "is_enterprise_install": False,
        }

    # messages

    def _post(self, given: Arguments) -> dict[str, Any]:
        channel = self._writable(given)
        payload = self._payload(given)
        self._count(channel.id)
        shown = self._show(channel, payload, str(given.get("thread_ts") or ""))
        return {"channel": channel.id, "ts": _ts(shown), "message": self._message(shown)}

    def _post_ephemeral(self, given: Arguments) -> dict[str, Any]:
        channel = self._writable(given)
        if given.get("user") not in channel.members:
            raise _Error("user_not_in_channel")
        payload = self._payload(given)
        self._count(channel.id)
        shown = self._show(channel, payload, "", extra={"only": self.users[given["user"]].real_name})
        return {"message_ts": _ts(shown)}

    def _update(self, given: Arguments) -> dict[str, Any]:
        shown = self._own(given, "cant_update_message")
        if isinstance(given.get("text"), str) and len(given["text"]) > UPDATE_MAX:
            raise _Error("msg_too_long")
        new = self._payload(given)
        if "files" in shown.payload:
            new["files"] = shown.payload["files"]
        shown.payload = new
        shown.state = "changed"
        self.board.changed(shown)
        channel = given["channel"]
        return {"channel": channel, "ts": _ts(shown), "text": new.get("text", ""), "message": self._message(shown)}

    def _delete(self, given: Arguments) -> dict[str, Any]:
        shown = self._own(given, "cant_delete_message")
        shown.state = "recalled"
        self.board.changed(shown)
        return {"channel": given["channel"], "ts": _ts(shown)}

    def _own(self, given: Arguments, refusal: str) -> Shown:
        """A message of the bot that is still there."""
        if given.get("channel") not in self.channels:  # a user's id is none here
            raise _Error("channel_not_found")
        shown = self.board.get(f"slack:{given['channel']}:{given.get('ts')}")
        if shown is None or shown.state == "recalled":
            raise _Error("message_not_found")
        if shown.address != "app":
            raise _Error(refusal)
        return shown

    def _permalink(self, given: Arguments) -> dict[str, Any]:
        channel = self._channel(given)
        stamp = str(given.get("message_ts", ""))
        if self.board.get(f"slack:{channel.id}:{stamp}") is None:
            raise _Error("message_not_found")
        link = f"https://sandbox.slack.com/archives/{channel.id}/p{stamp.replace('.', '')}"
        return {"channel": channel.id, "permalink": link}

    def _schedule(self, given: Arguments) -> dict[str, Any]:
        channel = self._writable(given)
        payload = self._payload(given)
        try:
            at = int(given["post_at"])
        except (KeyError, ValueError, TypeError):
            raise _Error("invalid_time") from None
        wait = at - self.now()
        if wait <= 0:
            raise _Error("time_in_past")
        if wait > AHEAD:
            raise _Error("time_too_far")
        number = f"Q{next(self._numbers):09d}"

        def post() -> None:
            del self._scheduled[number]
            self._show(channel, payload, str(given.get("thread_ts") or ""))

        timer = asyncio.get_running_loop().call_later(wait, post)
        about = {"id": number, "channel_id": channel.id, "post_at": at, "text": payload.get("text", "")}
        self._scheduled[number] = (timer, about)
        message = {"type": "message", "text": payload.get("text", ""), "bot_id": BOT}
        return {"channel": channel.id, "scheduled_message_id": number, "post_at": at, "message": message}

    def _list_scheduled(self, given: Arguments) -> dict[str, Any]:
        return {"scheduled_messages": [about for _, about in self._scheduled.values()], **_PAGED}

    def _unschedule(self, given: Arguments) -> dict[str, Any]:
        found = self._scheduled.pop(str(given.get("scheduled_message_id", "")), None)
        if found is None:
            raise _Error("invalid_scheduled_message_id")
        found[0].cancel()
        return {}

    def _payload(self, given: Arguments) -> dict[str, Any]:
        """What a message shows. Raises _Error for what Slack would not take."""
        payload = {
            key: given[key]
            for key in (
                "text",
                "blocks",
                "attachments",
                "markdown_text",
                "mrkdwn",
                "username",
                "icon_url",
                "icon_emoji",
            )
            if given.get(key) not in (None, "", [])
        }
        text, blocks, attachments = payload.get("text"), payload.get("blocks"), payload.get("attachments")
        if "markdown_text" in payload and (text or blocks):
            raise _Error("markdown_text_conflict")
        if not (text or blocks or attachments or payload.get("markdown_text")):
            raise _Error("no_text")
        if (isinstance(text, str) and len(text) > TEXT_MAX) or len(str(payload.get("markdown_text", ""))) > 12_000:
            raise _Error("msg_too_long")
        if blocks is not None:
            self._check_blocks(blocks)
        if attachments is not None:
            self._check_attachments(attachments)
        for block in (blocks or []) + [b for each in attachments or [] for b in each.get("blocks", ())]:
            block.setdefault("block_id", f"b{next(self._numbers)}")
        return payload

    def _check_blocks(self, blocks: Any) -> None:
        wrong = slack_blocks.of_message(blocks)
        if wrong:
            raise _Error(
                "invalid_blocks", errors=wrong, response_metadata={"messages": [f"[ERROR] {w}" for w in wrong]}
            )
        if slack_blocks.length(blocks) > slack_blocks.ALL_TEXTS:
            raise _Error("msg_blocks_too_long")

    def _check_attachments(self, attachments: Any) -> None:
        if not isinstance(attachments, list) or not all(isinstance(each, dict) for each in attachments):
            raise _Error("invalid_arguments")
        if len(attachments) > 100:
            raise _Error("too_many_attachments")
        if slack_blocks.size(attachments) > 100_000:
            raise _Error("attachment_payload_limit_exceeded")
        for each in attachments:
            if "blocks" in each:
                self._check_blocks(each["blocks"])

    def _count(self, bucket: str) -> None:
        times = self._sent.setdefault(bucket, deque())
        now = self.now()
        while times and times[0] <= now - BURST_TIME:
            times.popleft()
        if len(times) >= BURST:
            raise _Limited(max(1, round(times[0] + BURST_TIME - now)))
        times.append(now)

    def _show(
        self, channel: _Channel, payload: dict[str, Any], thread: str, *, hook: str = "", extra: Any = None
    ) -> Shown:
        stamp = f"{int(self.now())}.{next(self._numbers):06d}"
        to = self.users[channel.user].real_name if channel.user else f"#{channel.name}"
        kind = next((key for key in ("files", "attachments", "blocks", "markdown_text") if key in payload), "text")
        names = {each.id: each.real_name for each in self.users.values()}
        return self.board.add(
            "slack",
            "robot" if hook else "app",
            str(payload.get("username") or ("incoming-webhook" if hook else "Hongyan")),
            [to],
            kind,
            payload,
            id=f"slack:{channel.id}:{stamp}",
            thread=f"slack:{channel.id}:{thread}" if thread else "",
            extra={"names": names, "channels": {c.id: c.name for c in self.channels.values()}, **(extra or {})},
        )

    def _message(self, shown: Shown) -> dict[str, Any]:
        thread = {"thread_ts": shown.thread.rpartition(":")[2]} if shown.thread else {}
        return {
            "type": "message",
            "user": BOT_USER,
            "bot_id": BOT,
            "app_id": APP,
            "ts": _ts(shown),
            "text": "",
            "team": TEAM,
            **thread,
            **shown.payload,
        }

    # channels and people

    def _writable(self, given: Arguments) -> _Channel:
        channel = self._channel(given)
        if channel.archived:
            raise _Error("is_archived")
        if channel.user and self.users[channel.user].deleted:
            raise _Error("channel_not_found")
        if BOT_USER not in channel.members:
            raise _Error("channel_not_found" if channel.private else "not_in_channel")
        return channel

    def _channel(self, given: Arguments) -> _Channel:
        name = str(given.get("channel") or "")
        if name in self.users and not self.users[name].bot:
            return self._direct(self.users[name])
        found = self.channels.get(name)
        if found is None:
            named = name.removeprefix("#")
            found = next((each for each in self.channels.values() if each.name == named and not each.user), None)
        if found is None:
            raise _Error("channel_not_found")
        return found

    def _direct(self, user: _User) -> _Channel:
        return self.channels.setdefault(
            f"D{user.id[1:]}", _Channel(f"D{user.id[1:]}", user.name, [user.id, BOT_USER], private=True, user=user.id)
        )

    def _list_channels(self, given: Arguments) -> dict[str, Any]:
        types = str(given.get("types") or "public_channel").split(",")
        wanted = {"public_channel": "C", "private_channel": "G", "im": "D", "mpim": "M"}
        starts = tuple(wanted[each] for each in types if each in wanted)
        found = [self._told(each) for each in self.channels.values() if each.id.startswith(starts)]
        return {"channels": found, **_PAGED}

    def _told(self, channel: _Channel) -> dict[str, Any]:
        return {
            "id": channel.id,
            "name": channel.name,
            "is_channel": not channel.private,
            "is_im": bool(channel.user),
            "is_private": channel.private,
            "is_archived": channel.archived,
            "is_member": BOT_USER in channel.members,
            "num_members": len(channel.members),
            **({"user": channel.user} if channel.user else {}),
        }

    def _members(self, given: Arguments) -> dict[str, Any]:
        return {"members": self._channel(given).members, **_PAGED}

    def _open(self, given: Arguments) -> dict[str, Any]:
        named = given.get("users") or ""
        ids = named if isinstance(named, list) else [each for each in str(named).split(",") if each]
        if not ids:
            raise _Error("users_list_not_supplied" if not given.get("channel") else "channel_not_found")
        if len(ids) > 8:
            raise _Error("too_many_users")
        people = [self._user(each) for each in ids]
        if any(each.deleted for each in people):
            raise _Error("user_disabled")
        if any(each.bot for each in people):
            raise _Error("cannot_dm_bot")
        channel = self._direct(people[0])
        return {"channel": {"id": channel.id}, "no_op": False, "already_open": False}

    def _join(self, given: Arguments) -> dict[str, Any]:
        channel = self._channel(given)
        if channel.archived:
            raise _Error("is_archived")
        if BOT_USER not in channel.members:
            channel.members.append(BOT_USER)
        return {"channel": self._told(channel)}

    def _user(self, id: Any) -> _User:
        if not isinstance(id, str) or id not in self.users:
            raise _Error("user_not_found")
        return self.users[id]

    def _by_email(self, given: Arguments) -> dict[str, Any]:
        mail = str(given.get("email") or "").lower()
        found = next((each for each in self.users.values() if each.email and each.email == mail), None)
        if found is None or found.deleted:
            raise _Error("users_not_found")
        return {"user": _profile(found)}

    # files

    def _upload_url(self, given: Arguments) -> dict[str, Any]:
        name = str(given.get("filename") or "")
        try:
            length = int(given.get("length") or 0)
        except ValueError:
            length = 0
        if not name or length <= 0:
            raise _Error("invalid_arguments")
        file = _File(f"F{next(self._numbers):09d}", name, length, alt=str(given.get("alt_txt") or ""))
        self._files[file.id] = file
        return {"upload_url": f"{self.origin}/slack/upload/{file.id}", "file_id": file.id}

    async def _upload(self, request: web.Request) -> web.Response:
        """Bare bytes, whatever their type is said to be, or a form with a file."""
        file = self._files.get(request.match_info["id"])
        if file is None:
            return web.Response(status=404, text="not found")
        if request.content_type == "multipart/form-data":
            form = await request.post()
            part = next((each for each in form.values() if isinstance(each, web.FileField)), None)
            content = part.file.read() if part is not None else b""
        else:
            content = await request.read()
        if len(content) != file.length:
            return web.Response(status=400, text=f"expected {file.length} bytes, not {len(content)}")
        file.type, file.there = _type_of(file.name), True
        self.board.keep(file.id, file.name, file.type, content)
        return web.Response(text=f"OK - {len(content)}")

    def _complete_upload(self, given: Arguments) -> dict[str, Any]:
        files = given.get("files")
        if not isinstance(files, list) or not files or not all(isinstance(each, dict) for each in files):
            raise _Error("invalid_arguments")
        found = [self._file(each.get("id")) for each in files]
        if not all(each.there for each in found):
            raise _Error("file_not_found")
        names = given.get("channel_id") or given.get("channels") or ""
        channels = [self._writable({"channel": each}) for each in str(names).split(",") if each]
        for file, about in zip(found, files, strict=True):
            file.title = str(about.get("title") or file.name)
        for channel in channels:
            self._count(channel.id)
            payload: dict[str, Any] = {"files": [self._told_file(each) for each in found]}
            if given.get("initial_comment"):
                payload["text"] = given["initial_comment"]
            if given.get("blocks"):
                self._check_blocks(given["blocks"])
                payload["blocks"] = given["blocks"]
            shown = self._show(channel, payload, str(given.get("thread_ts") or ""))
            for file in found:
                file.shown.append(shown.id)
        return {"files": [self._told_file(each) for each in found]}

    def _told_file(self, file: _File) -> dict[str, Any]:
        return {
            "id": file.id,
            "name": file.name,
            "title": file.title or file.name,
            "mimetype": file.type,
            "size": file.length,
            "alt_txt": file.alt,
            "url_private": f"{self.origin}/slack/files/{file.id}/{file.name}",
            "url_private_download": f"{self.origin}/slack/files/{file.id}/{file.name}",
            "media": f"/sandbox/media/{file.id}",
        }

    def _file(self, id: Any) -> _File:
        if not isinstance(id, str) or id not in self._files:
            raise _Error("file_not_found")
        return self._files[id]

    def _delete_file(self, given: Arguments) -> dict[str, Any]:
        file = self._file(given.get("file"))
        del self._files[file.id]
        for shown in filter(None, map(self.board.get, file.shown)):
            shown.state = "recalled"
            self.board.changed(shown)
        return {}

    async def _download(self, request: web.Request) -> web.Response:
        found = self.board.media(request.match_info["id"])
        try:
            self._check_token(request, {})
        except _Error:
            return web.Response(status=302, headers={"Location": "https://sandbox.slack.com/"})
        if found is None:
            return web.Response(status=404, text="not found")
        return web.Response(body=found[2], content_type="application/octet-stream")

    # webhooks, and answers to what people do

    async def _hook(self, request: web.Request) -> web.Response:
        channel_id = self.hooks.get(request.path)
        if channel_id is None:
            known = any(each.rpartition("/")[0] == request.path.rpartition("/")[0] for each in self.hooks)
            return web.Response(status=403 if known else 404, text="invalid_token" if known else "no_service")
        given = await _hook_body(request)
        if given is None:
            return web.Response(status=400, text="invalid_payload")
        channel = self.channels[channel_id]
        if channel.archived:
            return web.Response(status=410, text="channel_is_archived")
        try:
            payload = self._payload(given)
            self._count(request.path)
        except _Limited as limited:
            return _too_many(True, limited.seconds)
        except _Error as error:
            known_words = ("no_text", "too_many_attachments", "invalid_blocks")
            return web.Response(status=400, text=error.word if error.word in known_words else "invalid_payload")
        self._show(channel, payload, str(given.get("thread_ts") or ""), hook=request.path)
        return web.Response(text="ok")

    async def _respond(self, request: web.Request) -> web.Response:
        """What an app answers to a press or a command, at the address that it was told."""
        name = request.match_info["id"]
        until, uses, channel_id, on = self._responses.get(name, (0.0, 0, "", ""))
        if uses <= 0 or until <= self.now():
            return web.json_response({"ok": False, "error": "used_url" if channel_id else "expired_url"}, status=404)
        given = await _hook_body(request)
        if given is None:
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        self._responses[name] = (until, uses - 1, channel_id, on)
        shown = self.board.get(on)
        if given.get("delete_original") and shown is not None:
            shown.state = "recalled"
            self.board.changed(shown)
            return web.Response(text="ok")
        try:
            payload = self._payload(given)
        except _Error as error:
            return web.json_response({"ok": False, "error": error.word}, status=400)
        if given.get("replace_original") and shown is not None:
            shown.payload, shown.state = payload, "changed"
            self.board.changed(shown)
        else:
            only = {} if given.get("response_type") == "in_channel" else {"only": "you"}
            self._show(self.channels[channel_id], payload, str(given.get("thread_ts") or ""), extra=only)
        return web.Response(text="ok")

    def _response_url(self, channel: str, on: str = "") -> str:
        name = f"R{next(self._numbers):09d}"
        self._responses[name] = (self.now() + RESPONSE_TIME, RESPONSE_USES, channel, on)
        return f"{self.origin}/slack/actions/{name}"

    def _trigger(self, user: str) -> str:
        name = f"{next(self._numbers)}.{TEAM}.{hashlib.sha256(user.encode()).hexdigest()[:16]}"
        self._triggers[name] = (self.now() + TRIGGER_TIME, user)
        return name

    def _open_view(self, given: Arguments) -> dict[str, Any]:
        until, user = self._triggers.pop(str(given.get("trigger_id", "")), (None, ""))
        if until is None:
            raise _Error("exchanged_trigger_id" if given.get("trigger_id") else "invalid_arguments")
        if until < self.now():
            raise _Error("trigger_expired")
        view = given.get("view")
        wrong = slack_blocks.of_view(view)
        if wrong or not isinstance(view, dict):
            raise _Error("invalid_arguments", response_metadata={"messages": [f"[ERROR] {each}" for each in wrong]})
        number = f"V{next(self._numbers):09d}"
        names = {each.id: each.real_name for each in self.users.values()}
        to = [self.users[user].real_name]
        self.board.add("slack", "app", "Hongyan", to, "view", view, id=f"slack:{number}", extra={"names": names})
        return {"view": {"id": number, "hash": f"{int(self.now())}.x", **view}}

    # telling the app

    async def tell(self, inbound: Inbound, url: str) -> Told:
        user = self.users.get(inbound.user)
        if user is None and inbound.kind != "verify":
            raise ValueError("there is no such person")
        match inbound.kind:
            case "text" if inbound.text.startswith("/"):
                return await self._tell_form(url, self._command(inbound))
            case "text":
                return await self._tell_text(inbound, url)
            case "action":
                return await self._tell_form(url, {"payload": json.dumps(self._interaction(inbound))})
            case "recalled":
                shown = self._shown(inbound.on)
                channel, stamp = shown.id.split(":")[1:]
                deleted = {"type": "message", "subtype": "message_deleted", "channel": channel, "deleted_ts": stamp}
                return await self._tell_event(url, {**deleted, "ts": self._now(), "event_ts": self._now()})
            case "added":
                joined = {"type": "member_joined_channel", "user": BOT_USER, "channel": inbound.chat}
                return await self._tell_event(url, {**joined, "team": TEAM, "event_ts": self._now()})
            case "reaction":
                channel, stamp = self._shown(inbound.on).id.split(":")[1:]
                item = {"type": "message", "channel": channel, "ts": stamp}
                reaction = {"type": "reaction_added", "user": inbound.user, "reaction": inbound.value or "+1"}
                return await self._tell_event(url, {**reaction, "item": item, "event_ts": self._now()})
            case "verify":
                body = {"type": "url_verification", "token": "sandbox", "challenge": f"challenge-{self.board.new_id()}"}
                return await self._request(url, json.dumps(body).encode(), "application/json")
            case _:
                raise ValueError(f"Slack tells nobody of this: {inbound.kind}")

    async def _tell_text(self, inbound: Inbound, url: str) -> Told:
        channel = self.channels.get(inbound.chat) if inbound.chat else self._direct(self.users[inbound.user])
        if channel is None:
            raise ValueError("there is no such channel")
        mention = re.compile(rf"@(?:{BOT_NAME}|Hongyan)\b", re.IGNORECASE)
        text = mention.sub(f"<@{BOT_USER}>", inbound.text)
        stamp = self._now()
        event = {
            "type": "message",
            "channel": channel.id,
            "channel_type": "im" if channel.user else "group" if channel.private else "channel",
            "user": inbound.user,
            "text": text.replace("&", "&amp;"),
            "ts": stamp,
            "event_ts": stamp,
            "team": TEAM,
            "client_msg_id": f"sandbox-{stamp}",
            "blocks": [{"type": "rich_text", "block_id": "r", "elements": [_typed(text)]}],
        }
        if inbound.on:
            event["thread_ts"] = self._shown(inbound.on).id.rpartition(":")[2]
        told = await self._tell_event(url, event)
        if f"<@{BOT_USER}>" in text and not channel.user:
            mentioned = {key: value for key, value in event.items() if key != "channel_type"}
            told = await self._tell_event(url, {**mentioned, "type": "app_mention"})
        return told

    async def _tell_event(self, url: str, event: Mapping[str, Any]) -> Told:
        """Told once more if it was not taken, as Slack does at once."""
        body = {
            "type": "event_callback",
            "token": "sandbox",
            "team_id": TEAM,
            "api_app_id": APP,
            "event": event,
            "event_id": f"Ev{next(self._numbers):09d}",
            "event_time": int(self.now()),
            "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True, "enterprise_id": None}],
        }
        if not url:
            return await self.sockets.tell_event(body)
        content = json.dumps(body).encode()
        told = await self._request(url, content, "application/json")
        if 200 <= told.status < 300:
            return told
        reason = "http_timeout" if not told.status else "http_error"
        again = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": reason}
        return await self._request(url, content, "application/json", again)

    async def _tell_form(self, url: str, form: Mapping[str, str]) -> Told:
        if not url:
            return await self.sockets.tell_form(form)
        return await self._request(url, urlencode(form).encode(), "application/x-www-form-urlencoded")

    async def _request(self, url: str, body: bytes, type_: str, more: Mapping[str, str] | None = None) -> Told:
        stamp = str(int(self.now()))
        base = b"v0:" + stamp.encode() + b":" + body
        headers = {
            "Content-Type": type_,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": "v0=" + hmac.new(SIGNING_SECRET.encode(), base, hashlib.sha256).hexdigest(),
            **(more or {}),
        }
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=PATIENCE)) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return Told(answer.status, await answer.text())
        except (ClientError, TimeoutError) as error:
            return Told(0, f"no answer within {PATIENCE:g} s: {error}")

    def _command(self, inbound: Inbound) -> dict[str, str]:
        command, _, text = inbound.text.partition(" ")
        user = self.users[inbound.user]
        channel = self.channels.get(inbound.chat) or self._direct(user)
        return {
            "token": "sandbox",
            "team_id": TEAM,
            "team_domain": "sandbox",
            "channel_id": channel.id,
            "channel_name": "directmessage" if channel.user else channel.name,
            "user_id": user.id,
            "user_name": user.name,
            "command": command,
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": "false",
            "response_url": self._response_url(channel.id),
            "trigger_id": self._trigger(user.id),
        }

    def _interaction(self, inbound: Inbound) -> dict[str, Any]:
        shown = self._shown(inbound.on)
        user = self.users[inbound.user]
        common = {
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM},
            "api_app_id": APP,
            "token": "sandbox",
            "team": {"id": TEAM, "domain": "sandbox"},
            "trigger_id": self._trigger(user.id),
        }
        if shown.kind == "view":
            number = shown.id.rpartition(":")[2]
            values = {
                block["block_id"]: {block["element"]["action_id"]: _filled(block["element"], inbound.inputs)}
                for block in shown.payload["blocks"]
                if block.get("type") == "input"
            }
            missing = [
                block["label"]["text"]
                for block in shown.payload["blocks"]
                if block.get("type") == "input"
                and not block.get("optional")
                and not inbound.inputs.get(block["element"]["action_id"])
            ]
            if missing:
                raise ValueError(f"please fill in: {', '.join(missing)}")
            shown.state = "recalled"  # a window that is sent is closed
            self.board.changed(shown)
            view = {**shown.payload, "id": number, "hash": number, "state": {"values": values}, "team_id": TEAM}
            return {**common, "type": "view_submission", "view": view, "response_urls": []}
        block, element = _pressed(shown.payload, inbound.action)
        channel, stamp = shown.id.split(":")[1:]
        action = {
            "action_id": inbound.action,
            "block_id": block.get("block_id", "b"),
            "type": element["type"],
            "action_ts": self._now(),
            **_filled(element, {inbound.action: inbound.inputs.get(inbound.action, inbound.value)}),
        }
        if element["type"] == "button":
            action |= {"text": element["text"], **({"value": element["value"]} if "value" in element else {})}
        return {
            **common,
            "type": "block_actions",
            "container": {"type": "message", "message_ts": stamp, "channel_id": channel, "is_ephemeral": False},
            "channel": {"id": channel, "name": self.channels[channel].name},
            "message": self._message(shown),
            "state": {"values": {}},
            "response_url": self._response_url(channel, shown.id),
            "actions": [action],
        }

    def _shown(self, id: str) -> Shown:
        shown = self.board.get(id)
        if shown is None or shown.platform != "slack":
            raise ValueError("there is no such message")
        return shown

    def _now(self) -> str:
        return f"{int(self.now())}.{next(self._numbers):06d}"


class _Limited(Exception):
    def __init__(self, seconds: int) -> None:
        self.seconds = seconds


_PAGED = {"response_metadata": {"next_cursor": ""}}
#: Arguments that are objects; in forms they are written as JSON.
_NESTED = {"blocks", "attachments", "metadata", "files", "view"}
#: Methods that take forms only: what comes as JSON is not seen.
_FORM_ONLY = frozenset(
    {
        "chat.getPermalink",
        "conversations.info",
        "conversations.list",
        "conversations.members",
        "files.getUploadURLExternal",
        "oauth.v2.access",
        "users.info",
        "users.list",
        "users.lookupByEmail",
    }
)


async def _arguments(request: web.Request, method: str) -> dict[str, Any]:
    """From the query, a form or JSON."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json" and method not in _FORM_ONLY:
        try:
            value = json.loads(await request.read() or b"{}")
        except (ValueError, RecursionError):
            raise _Error("invalid_json") from None
        if not isinstance(value, dict):
            raise _Error("json_not_object")
        return given | value
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        given |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    for name in _NESTED & given.keys():
        try:
            given[name] = json.loads(given[name])
        except ValueError:
            raise _Error("invalid_blocks_format" if name == "blocks" else "invalid_arguments") from None
    return given


async def _hook_body(request: web.Request) -> dict[str, Any] | None:
    """JSON, or a form with `payload`."""
    try:
        if request.content_type == "application/x-www-form-urlencoded":
            text = str((await request.post()).get("payload", ""))
        else:
            text = (await request.read()).decode()
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _too_many(hook: bool, seconds: int) -> web.Response:
    headers = {"Retry-After": str(seconds)}
    if hook:
        return web.Response(status=429, text="rate_limited", headers=headers)
    return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)


def _ts(shown: Shown) -> str:
    return shown.id.rpartition(":")[2]


def _profile(user: _User) -> dict[str, Any]:
    return {
        "id": user.id,
        "team_id": TEAM,
        "name": user.name,
        "deleted": user.deleted,
        "real_name": user.real_name,
        "is_bot": user.bot,
        "profile": {"real_name": user.real_name, "display_name": user.real_name, "email": user.email},
    }


def _typed(text: str) -> dict[str, Any]:
    """What somebody types as the rich text that Slack's clients make of it."""
    elements: list[dict[str, Any]] = []
    for piece in re.split(r"(<@[UW][A-Z0-9]+>|<!channel>|https?://\S+)", text):
        if piece.startswith("<@"):
            elements.append({"type": "user", "user_id": piece[2:-1]})
        elif piece == "<!channel>":
            elements.append({"type": "broadcast", "range": "channel"})
        elif piece.startswith("http"):
            elements.append({"type": "link", "url": piece})
        elif piece:
            elements.append({"type": "text", "text": piece})
    return {"type": "rich_text_section", "elements": elements}


def _pressed(payload: Mapping[str, Any], action: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The block and element with this id."""
    blocks = list(payload.get("blocks", ()))
    blocks += [block for each in payload.get("attachments", ()) for block in each.get("blocks", ())]
    for block in blocks:
        for element in [*block.get("elements", ()), *([block["accessory"]] if "accessory" in block else [])]:
            if element.get("action_id") == action:
                return block, element
    raise ValueError("there is no such button")


def _filled(element: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """An element of a window as it is when it is sent."""
    kind, value = element["type"], inputs.get(element.get("action_id", ""))
    options = {option["value"]: option for option in element.get("options", ())}
    match kind:
        case "static_select" | "radio_buttons":
            return {"type": kind, "selected_option": options.get(value)}
        case "multi_static_select" | "checkboxes":
            chosen = value if isinstance(value, list) else [value] if value else []
            return {"type": kind, "selected_options": [options[each] for each in chosen if each in options]}
        case "datepicker":
            return {"type": kind, "selected_date": value or None}
        case "button":
            return {}
        case _:
            return {"type": kind, "value": value or None}


_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "wav": "audio/wav",
    "pdf": "application/pdf",
    "txt": "text/plain",
}


def _type_of(name: str) -> str:
    return _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
