"""The messages of the app: sent, answered, changed, recalled, and read."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.feishu.answers import Refusal, answer, asked_of
from hongyan.sandbox.feishu.checks import ContentChecker
from hongyan.sandbox.feishu.files import Files
from hongyan.sandbox.feishu.rates import Rates
from hongyan.sandbox.feishu.world import APP_ID, APP_NAME, GROUPS, PEOPLE, TENANT, find_person

#: Edits of a text; days in which a card may be changed, and in which it is told who has read a message.
EDITS, CARD_DAYS, READ_DAYS, DAY = 20, 14, 7, 86_400
#: How long a sender's own id keeps a message from being sent again (s); people who are urged at once.
UUID_LIFE, IDS_MAX = 3600, 200
_ID_TYPES = frozenset({"open_id", "user_id", "union_id", "email", "chat_id"})


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


class Messages:
    """A message that is sent again with the same `uuid` is the same, for an hour."""

    def __init__(
        self, board: Board, files: Files, content: ContentChecker, rates: Rates, now: Callable[[], float]
    ) -> None:
        self._board = board
        self._files = files
        self._content = content
        self._rates = rates
        self._now = now
        self._messages: dict[str, Message] = {}
        self._uuids: dict[str, tuple[float, Message]] = {}

    def find(self, id: str) -> Message | None:
        return self._messages.get(id)

    async def create(self, request: web.Request) -> web.Response:
        asked, size = await asked_of(request)
        id_type = request.query.get("receive_id_type", "")
        if id_type not in _ID_TYPES:
            raise Refusal(99992402, "field validation failed: receive_id_type")
        chat = _chat_of(id_type, asked.get("receive_id"))
        return self._send(asked, size, chat, "create")

    async def reply(self, request: web.Request) -> web.Response:
        asked, size = await asked_of(request)
        parent = self._of(request)
        in_thread = asked.get("reply_in_thread") is True or bool(parent.thread)
        group = GROUPS.get(parent.chat)
        if in_thread and group is not None and not group.threads:
            raise Refusal(230071, "The group to which the message belongs does not support reply in thread.")
        if in_thread and not parent.thread:
            parent.thread = f"omt_{self._board.new_id()}sandbox"
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
        if sent is not None and self._now() - sent[0] < UUID_LIFE:
            return answer(_shape(sent[1]))
        content = self._content.packed(asked.get("msg_type"), asked.get("content"), size)
        self._rates.pace(method, chat)
        message = self.add(chat, str(asked["msg_type"]), content, parent, thread)
        if uuid:
            self._uuids[uuid] = (self._now(), message)
        return answer(_shape(message))

    def add(
        self, chat: str, type_: str, content: dict[str, Any], parent: Message | None, thread: str, sender: str = ""
    ) -> Message:
        """To a chat, by the app or by the person of this name; `thread` is empty, or that of a group with threads."""
        group = GROUPS.get(chat)
        person = next((each for each in PEOPLE.values() if each.chat == chat), None)
        to = [group.title] if group else [person.name] if person and not sender else [APP_NAME]
        id = f"om_{self._board.new_id()}sandbox"
        root = (parent.root or parent.id) if parent else ""
        extra = {
            **self._files.extra(content),
            "chat": chat,
            "direct": group is None,
            **({"sender": sender} if sender else {}),
        }
        shown = self._board.add(
            "feishu", "app", sender or APP_NAME, to, type_, content, id=id, thread=root, extra=extra
        )
        parent_id = parent.id if parent else ""
        message = Message(id, chat, type_, content, self._now(), shown, not sender, root, parent_id, thread)
        self._messages[id] = message
        return message

    def _of(self, request: web.Request) -> Message:
        """The message that a request is about. Raises Refusal."""
        found = self._messages.get(request.match_info["id"])
        if found is None:
            raise Refusal(230001, "Your request contains an invalid request parameter, ext=invalid message_id.")
        if found.deleted:
            raise Refusal(230011, "The message is recalled.")
        return found

    def _own(self, request: web.Request, code: int, words: str) -> Message:
        """Raises Refusal for messages that somebody else has sent."""
        found = self._of(request)
        if not found.app:
            raise Refusal(code, words)
        return found

    async def get(self, request: web.Request) -> web.Response:
        return answer({"items": [_shape(self._of(request))]})

    async def patch(self, request: web.Request) -> web.Response:
        asked, size = await asked_of(request)
        message = self._own(request, 230012, "Bot is NOT the sender of the message.")
        if message.type != "interactive":
            raise Refusal(230054, "This operation is not supported for this message type.")
        if self._now() - message.created > CARD_DAYS * DAY:
            raise Refusal(230031, "The message has exceeded the time that can be updated.")
        content = self._content.packed("interactive", asked.get("content"), size)
        for card in (message.content, content):
            if card.get("schema") != "2.0" and card.get("config", {}).get("update_multi") is not True:
                raise Refusal(230099, "Failed to create card content, ext=ErrCode: 200621; ErrMsg: not a shared card; ")
        self._rates.pace("patch", f"patch {message.id}")
        self._change(message, content)
        return answer()

    async def put(self, request: web.Request) -> web.Response:
        asked, size = await asked_of(request)
        message = self._own(request, 230071, "The operator is not the sender of the message.")
        if message.type not in ("text", "post") or asked.get("msg_type") not in ("text", "post"):
            raise Refusal(230054, "This operation is not supported for this message type.")
        if message.edits >= EDITS:
            raise Refusal(230072, "The message has reached the number of times it can be edited.")
        content = self._content.packed(asked["msg_type"], asked.get("content"), size)
        self._rates.pace("put")
        message.type = message.shown.kind = asked["msg_type"]
        message.edits += 1
        self._change(message, content)
        return answer(_shape(message))

    def _change(self, message: Message, content: dict[str, Any]) -> None:
        message.content = message.shown.payload = content
        message.shown.extra = {**message.shown.extra, **self._files.extra(content)}
        message.shown.state = "changed"
        self._board.changed(message.shown)

    async def delete(self, request: web.Request) -> web.Response:
        message = self._own(request, 230026, "No permission to recall this message.")
        message.deleted = True
        message.shown.state = "recalled"
        self._board.changed(message.shown)
        return answer()

    async def read_users(self, request: web.Request) -> web.Response:
        message = self._own(request, 230012, "Bot is NOT the sender of the message.")
        if self._now() - message.created > READ_DAYS * DAY:
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

    async def urgent(self, request: web.Request) -> web.Response:
        asked, _ = await asked_of(request)
        message = self._own(request, 230012, "Bot is NOT the sender of the message.")
        ids = asked.get("user_id_list")
        if not isinstance(ids, list) or not 0 < len(ids) <= IDS_MAX:
            raise Refusal(230001, "Your request contains an invalid request parameter, ext=user_id_list.")
        invalid = [id for id in ids if find_person(str(id)) is None]
        if len(invalid) == len(ids):
            raise Refusal(230001, "Your request contains an invalid request parameter, ext=user_id_list.")
        urgent = request.match_info["urgent"].removeprefix("urgent_")
        message.shown.extra = {**message.shown.extra, "urgent": urgent}
        self._board.changed(message.shown)
        return answer({"invalid_user_id_list": invalid})

    async def resource(self, request: web.Request) -> web.Response:
        message, key = self._of(request), request.match_info["key"]
        if request.query.get("type") not in ("image", "file"):
            raise Refusal(234001, "Invalid request param.")
        if message.type == "interactive":
            raise Refusal(234043, "Unsupported message type.")
        if key not in json.dumps(message.content):
            raise Refusal(234003, "File not in message.")
        return self._files.served(key)


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
