"""A conversation: what can be said and done in it."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hongyan_client.content import Content, Recalled, Text, Typed, encode
from hongyan_client.errors import HongyanError
from hongyan_client.message import Message, edited, from_history
from hongyan_client.messages2_pb2 import BlacklistCommand, ConvCommand, LogsCommand
from hongyan_client.roles import Role

if TYPE_CHECKING:
    from hongyan_client.client import Client

#: Messages of one page of history; the most that the protocol allows.
PAGE_MAX = 100
#: The columns of a conversation that are not its application's.
_KNOWN = frozenset(
    {
        *("objectId", "name", "attr", "c", "m", "mu", "lm", "createdAt", "updatedAt", "tr", "sys", "temp", "unique"),
        *("uniqueId", "conv_type", "ttl", "tempConv", "tempConvTTL", "joined", "joinedAt", "muted", "msg", "bin"),
        *("msg_mid", "msg_from", "msg_timestamp", "patch_timestamp", "mention_all", "mention_pids"),
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Clients for whom an operation failed, and why."""

    code: int
    reason: str
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """Which clients an operation was done for. Doing what is done already counts as done."""

    done: tuple[str, ...]
    failed: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Marks:
    """Times (ms) up to which messages were delivered to and read by somebody; 0 if none was."""

    delivered: int
    read: int


class Conversation:
    """A handle: it can be used at once by its id; `fetch` fills in what the server knows about it.

    `name`, `attributes`, `columns` (of the application's own), `creator`, `members`, `muted`, `created_at`,
    `updated_at` and `last_message_at` are those of the last fetch, kept up to date by events. A `chat_room` tells no
    members.
    """

    def __init__(self, client: "Client", conversation_id: str) -> None:
        self.client = client
        self.id = conversation_id
        self.name: str | None = None
        self.attributes: dict[str, Any] = {}
        self.columns: dict[str, Any] = {}
        self.creator: str | None = None
        self.members: tuple[str, ...] = ()
        self.muted = False
        self.chat_room = False
        self.created_at: datetime | None = None
        self.updated_at: datetime | None = None
        self.last_message_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Conversation({self.id!r})"

    @property
    def unread(self) -> int:
        """Messages not read: the server's last count, and those that arrived since."""
        return self.client.unread(self.id)

    async def fetch(self) -> "Conversation":
        """Fills in what the server knows. Raises HongyanError."""
        if self.id.startswith("_tmp:"):
            answer = await self.client.request("conv", "query", idempotent=True, tempConvIds=[self.id])
            rows = json.loads(answer.convMessage.results.data)
        else:
            rows = await self.client.query().where("objectId", self.id).limit(1).rows()
        if not rows:
            raise HongyanError(4303, "CONVERSATION_NOT_FOUND", f"no conversation has the id {self.id}")
        return self._load(rows[0])

    # messages

    async def send(
        self,
        content: Content | str,
        *,
        receipt: bool = False,
        mentions: Iterable[str] = (),
        mention_all: bool = False,
        transient: bool = False,
        will: bool = False,
        push_data: Mapping[str, Any] | None = None,
        priority: int | None = None,
        timeout: float | None = None,
    ) -> Message:
        """Sends a message (a `str` is short for `Text`) and returns it once it is safe on the server.

        Across reconnects it is sent again, and stored once, until `timeout` seconds (60 unless said otherwise) have
        passed. `receipt` asks for `Delivered` and `Read` events. A `transient` message reaches those online and is kept
        nowhere; without a connection it fails at once. A `will` is delivered when this client vanishes. `push_data`
        goes into the notification of phones. `priority` (1 high to 3 low) is for chat rooms.

        Raises HongyanError, RequestTimeout and, for transient messages, ConnectionLost.
        """
        said = Text(content) if isinstance(content, str) else content
        body = encode(said)
        named = tuple(mentions)
        ack = await self.client.send(
            timeout,
            priority,
            cid=self.id,
            msg=body if isinstance(body, str) else None,
            binaryMsg=body if isinstance(body, bytes) else None,
            r=receipt or None,
            transient=transient or None,
            will=will or None,
            mentionPids=named,
            mentionAll=mention_all or None,
            pushData=None if push_data is None else json.dumps(push_data, ensure_ascii=False),
        )
        return Message(ack.uid, self.id, self.client.client_id, ack.t, said, transient, named, mention_all)

    async def edit(
        self, message: Message, content: Content | str, *, mentions: Iterable[str] = (), mention_all: bool = False
    ) -> Message:
        """Replaces the content of an own message; returns it as it is now. Raises HongyanError."""
        said = Text(content) if isinstance(content, str) else content
        body = encode(said)
        key = "data" if isinstance(body, str) else "binaryMsg"
        item = {key: body, "mentionPids": list(mentions), "mentionAll": mention_all}
        return await self._patch(message, said, item)

    async def recall(self, message: Message) -> Message:
        """Takes an own message back; returns what is left of it. Raises HongyanError."""
        return await self._patch(message, Recalled(), {"recall": True, "data": encode(Recalled())})

    async def read(self, up_to: Message | None = None) -> None:
        """Marks messages as read: up to this one, or all that this client was told of."""
        await self.client.mark_read(self.id, up_to)

    async def history(
        self,
        *,
        newest_first: bool = True,
        start: Message | None = None,
        limit: int | None = None,
        type: type[Typed] | None = None,
    ) -> AsyncIterator[Message]:
        """What was said, from the latest message back, or from the first one on; `start` itself is left out.

        Pages are fetched as they are needed. `limit` is the number of messages, `type` the only type wanted.
        """
        place, left = start, limit
        while left is None or left > 0:
            size = PAGE_MAX if left is None else min(left, PAGE_MAX)
            page = await self._page(size, place, newest_first, type)
            for message in page:
                yield message
            if len(page) < size:
                return
            place = page[-1]
            left = None if left is None else left - len(page)

    async def receipts(self) -> Marks:
        """Up to when the latest of the other members received and read."""
        answer = await self._ask("max_read", cid=self.id)
        return Marks(answer.maxAckTimestamp, answer.maxReadTimestamp)

    async def receipts_by_member(self) -> dict[str, Marks]:
        """The same for each of the other members who received or read anything."""
        answer = await self._ask("max_read", cid=self.id, queryAllMembers=True)
        return {mark.pid: Marks(mark.maxAckTimestamp, mark.maxReadTimestamp) for mark in answer.maxReadTuples}

    # members

    async def join(self) -> None:
        """Enters the conversation. Raises HongyanError."""
        self.client.entered(self.id, (await self._change("add", "invite", [self.client.client_id]))[1])

    async def quit(self) -> None:
        """Leaves the conversation. Raises HongyanError."""
        await self._change("remove", "kick", [self.client.client_id])
        self.client.gone(self.id)

    async def add(self, *clients: str) -> Changed:
        """Adds members. Raises HongyanError if it failed for all."""
        return (await self._change("add", "invite", clients))[0]

    async def remove(self, *clients: str) -> Changed:
        """Removes members. Raises HongyanError if it failed for all."""
        return (await self._change("remove", "kick", clients))[0]

    async def count(self) -> int:
        """The number of members; of a chat room, of those who are online."""
        return (await self._ask("count", cid=self.id)).count

    async def online_members(self, limit: int = 50) -> list[str]:
        """Some of those who are in a chat room now."""
        return list((await self._ask("members", cid=self.id, limit=limit)).m)

    async def is_member(self) -> bool:
        """Whether this client is in the conversation."""
        answer = await self._ask("is_member", cids=[self.id])
        return bool(json.loads(answer.results.data).get(self.id))

    # roles and silence

    async def roles(self) -> dict[str, Role]:
        """The roles that were given, by client; who is not named is a plain member, or the creator, who is the owner.

        Asked over HTTP: needs a client that was opened with the address of the HTTP port. Raises HongyanError.
        """
        where = json.dumps({"cid": self.id})
        found: dict[str, Role] = {}
        while True:
            parameters: dict[str, str | int] = {"where": where, "limit": PAGE_MAX, "skip": len(found)}
            page = (await self.client.http_get("/1.1/classes/_ConversationMemberInfo", parameters)).get("results") or []
            before = len(found)
            found |= {info["clientId"]: Role(info["role"]) for info in page}
            if len(page) < PAGE_MAX or len(found) == before:
                return found

    async def set_role(self, client: str, role: Role) -> None:
        """Makes a member a manager, or a plain member again. Raises HongyanError."""
        info = {"pid": client, "role": Role(role).value}
        await self._ask("member_info_update", cid=self.id, targetClientId=client, info=info)

    async def silence(self, *clients: str) -> Changed:
        """Lets clients read and no longer write. Raises HongyanError."""
        return await self._change_silence("add_shutup", clients)

    async def unsilence(self, *clients: str) -> Changed:
        """Lets clients write again. Raises HongyanError."""
        return await self._change_silence("remove_shutup", clients)

    async def silenced(self) -> AsyncIterator[str]:
        """The clients that may not write. Pages are fetched as they are needed."""
        place: str | None = None
        while True:
            answer = await self._ask("query_shutup", cid=self.id, limit=PAGE_MAX, next=place)
            for client in answer.m:
                yield client
            if not answer.next:
                return
            place = answer.next

    async def is_silenced(self, client: str) -> bool:
        """Whether a client may not write."""
        return client in (await self._ask("check_shutup", cid=self.id, m=[client])).m

    # the blacklist

    async def block(self, *clients: str) -> Changed:
        """Removes clients, if they are members, and keeps them out until they are unblocked. Raises HongyanError."""
        return await self._change_blocks("block", clients)

    async def unblock(self, *clients: str) -> Changed:
        """Lets clients join, and be added, again. Raises HongyanError."""
        return await self._change_blocks("unblock", clients)

    async def blocked(self) -> AsyncIterator[str]:
        """The clients that are blocked. Pages are fetched as they are needed."""
        place: str | None = None
        while True:
            answer = await self._ask_blacklist("query", limit=PAGE_MAX, next=place)
            for client in answer.blockedPids:
                yield client
            if not answer.next:
                return
            place = answer.next

    async def is_blocked(self, client: str) -> bool:
        """Whether a client is blocked."""
        return client in (await self._ask_blacklist("check_block", toPids=[client])).blockedPids

    # settings

    async def update(self, **changes: Any) -> None:
        """Changes the name, attributes and own columns: `update(name="Geese", attr={…})`. None deletes.

        A dictionary whose keys are paths is given as one: `update(**{"attr.color": "grey"})`. Raises HongyanError.
        """
        asked = {key: {"__op": "Delete"} if value is None else value for key, value in changes.items()}
        attr = {"data": json.dumps(asked, ensure_ascii=False)}
        answer = await self.client.request("conv", "update", cid=self.id, attr=attr)
        told = answer.convMessage
        self._apply(asked, json.loads(told.attrModified.data or "{}"), told.udate)

    async def mute(self) -> None:
        """Stops notifications of phones for this client; messages arrive as before."""
        await self._ask("mute", cid=self.id)
        self.muted = True

    async def unmute(self) -> None:
        """Allows notifications again."""
        await self._ask("unmute", cid=self.id)
        self.muted = False

    # how the client keeps it up to date

    def _load(self, row: Mapping[str, Any]) -> "Conversation":
        self.name = row.get("name")
        self.attributes = row.get("attr") or {}
        self.columns = {key: value for key, value in row.items() if key not in _KNOWN}
        self.creator = row.get("c")
        self.members = tuple(row.get("m") or self.members)
        self.muted = bool(row.get("muted")) or self.client.client_id in (row.get("mu") or ())
        self.chat_room = bool(row.get("tr"))
        self.created_at = _time(row.get("createdAt"))
        self.updated_at = _time(row.get("updatedAt"))
        self.last_message_at = _time((row.get("lm") or {}).get("iso"))
        return self

    def _joined(self, clients: Iterable[str]) -> None:
        self.members = tuple(dict.fromkeys((*self.members, *clients)))

    def _left(self, clients: Iterable[str]) -> None:
        gone = set(clients)
        self.members = tuple(member for member in self.members if member not in gone)

    def _apply(self, changes: Mapping[str, Any], values: Mapping[str, Any], updated_at: str) -> None:
        """Takes over the new values of the columns touched; a touched column without a value is gone."""
        for key in {path.split(".")[0] for path in changes} | values.keys():
            value = values.get(key)
            if key == "name":
                self.name = value
            elif key == "attr":
                self.attributes = value or {}
            elif value is None:
                self.columns.pop(key, None)
            elif key not in _KNOWN:
                self.columns[key] = value
        self.updated_at = _time(updated_at) or self.updated_at

    async def _ask(self, op: str, **fields: Any) -> ConvCommand:
        return (await self.client.request("conv", op, idempotent=True, **fields)).convMessage

    async def _change(self, op: str, action: str, clients: Iterable[str]) -> tuple[Changed, int]:
        """What was done, and the server's time then."""
        members = sorted(set(clients))
        signed = await self.client.signature(action, self.id, members)
        told = await self.client.request("conv", op, idempotent=True, cid=self.id, m=members, **signed)
        changed = _changed(members, told.convMessage)
        if not self.chat_room:
            (self._joined if op == "add" else self._left)(changed.done)
        return changed, told.serverTs

    async def _change_silence(self, op: str, clients: Iterable[str]) -> Changed:
        targets = sorted(set(clients))
        return _changed(targets, await self._ask(op, cid=self.id, m=targets))

    async def _change_blocks(self, op: str, clients: Iterable[str]) -> Changed:
        targets = sorted(set(clients))
        signed = await self.client.signature(f"conversation-{op}-clients", self.id, targets)
        changed = _changed(targets, await self._ask_blacklist(op, toPids=targets, **signed))
        if op == "block":
            self._left(changed.done)
        return changed

    async def _ask_blacklist(self, op: str, **fields: Any) -> BlacklistCommand:
        answer = await self.client.request("blacklist", op, idempotent=True, srcCid=self.id, **fields)
        return answer.blacklistMessage

    async def _patch(self, message: Message, content: Content, item: dict[str, Any]) -> Message:
        item |= {"cid": self.id, "mid": message.id, "timestamp": message.timestamp}
        answer = await self.client.request("patch", "modify", idempotent="recall" in item, patches=[item])
        return edited(message, content, answer.patchMessage.lastPatchTime or None)

    async def _page(
        self, size: int, place: Message | None, newest_first: bool, kind: type[Typed] | None
    ) -> list[Message]:
        answer = await self.client.request(
            "logs",
            idempotent=True,
            cid=self.id,
            l=size,
            t=place.timestamp if place else None,
            mid=place.id if place else None,
            direction=LogsCommand.OLD if newest_first else LogsCommand.NEW,
            lctype=kind.lctype if kind else None,
        )
        page = [from_history(self.id, item) for item in answer.logsMessage.logs]
        return page[::-1] if newest_first else page


def _changed(asked: Iterable[str], answer: ConvCommand | BlacklistCommand) -> Changed:
    """For whom it was done. Raises HongyanError if for nobody."""
    failed = tuple(Failure(error.code, error.reason, tuple(error.pids)) for error in answer.failedPids)
    refused = {client for failure in failed for client in failure.clients}
    done = tuple(answer.allowedPids or (client for client in asked if client not in refused))
    if failed and not done:
        raise HongyanError(failed[0].code, failed[0].reason, ", ".join(sorted(refused)))
    return Changed(done, failed)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
