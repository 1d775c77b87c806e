"""The server, the devices and the model together: each operation is done to both and compared.

After an operation everything it caused has happened: what has no reply is followed by a request that waits for it.
What was cut short is looked up afterwards, and the model follows the server: either outcome is right, half of one is
not.
"""

import asyncio
import itertools
import json
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hongyan.wire.messages2_pb2 import GenericCommand, LogItem
from tests.model import rights
from tests.model.actor import Device, capped
from tests.model.history import item_content
from tests.model.logins import Arrival, check_counts, check_missed
from tests.model.model import Conversation, Message, Model
from tests.support.client import BINARY, Connection, ConnectionLost, Refused, Session, connect, named
from tests.support.server import Server

CLIENTS = ("ann", "bob", "cem", "dan")
DEVICES = {
    "ann-phone": ("ann", "lc.protobuf2.3", False),
    "ann-web": ("ann", "lc.proto2base64.3", True),
    "bob-phone": ("bob", "lc.protobuf2.3", True),
    "bob-old": ("bob", "lc.protobuf2.1", False),
    "cem-old": ("cem", "lc.protobuf2.1", True),
    "cem-phone": ("cem", "lc.protobuf2.3", False),
    "dan-web": ("dan", "lc.proto2base64.1", False),
}
"""Name: client, subprotocol, whether it wants receipts of groups."""

NO_MEMBER_UPDATES = 4309

_examples = itertools.count(1)

Ending = Literal["drop", "kill", "stop"]
"""The connection breaks; the server is killed; the server is stopped. The server is started again."""


@dataclass(frozen=True)
class Draft:
    """A message to be written. `kind` may be text, binary or transient."""

    kind: str = "text"
    token: bool = True
    receipt: bool = False
    mentions: tuple[str, ...] = ()
    to_all: bool = False


@dataclass(eq=False)
class Sending:
    """A message on its way, neither acknowledged nor refused while, or if, nobody knows."""

    device: Device
    conversation: Conversation
    message: Message
    acked: bool = False
    refused: bool = False

    def __repr__(self) -> str:
        return f"<{self.message.content!r} in {self.conversation!r}>"

    @property
    def is_uncertain(self) -> bool:
        return not self.acked and not self.refused


class World:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.number = next(_examples)
        self._clients = {name: f"{name}-{self.number}" for name in CLIENTS}
        self.devices = {
            name: Device(name, self.id_of(client), subprotocol, group_receipts)
            for name, (client, subprotocol, group_receipts) in DEVICES.items()
        }
        self.model = Model(list(self.devices.values()))
        self.sent: list[Sending] = []
        """Every message with a token of its own, which may be sent again; the order is that of the steps."""
        self._homes: dict[str, str] = {}
        self._serial = itertools.count(1)
        self._watching: Connection | None = None
        self._watch: Session | None = None

    async def begin(self) -> None:
        await self._start_watch()
        self._homes = {client: await self.watch.start(client) for client in [self.watch.peer, *self._clients.values()]}
        for device in self.devices.values():
            device.home = self._homes[device.client]

    async def end(self) -> None:
        for device in self.devices.values():
            await device.close()
        if self._watching is not None:
            await self._watching.close()

    # who and what there is

    def id_of(self, client: str) -> str:
        return self._clients[client]

    def ids_of(self, clients: Collection[str]) -> list[str]:
        return sorted(map(self.id_of, clients))

    @property
    def clients(self) -> list[str]:
        return list(self._clients.values())

    @property
    def online(self) -> list[Device]:
        return [device for device in self.devices.values() if device.online]

    @property
    def conversations(self) -> list[Conversation]:
        return list(self.model.conversations.values())

    @property
    def watch(self) -> Session:
        """A client that is no member of any conversation: it sees to it that all has happened, and looks."""
        assert self._watch is not None
        return self._watch

    # connections

    async def connect(self, device: Device, with_token: bool, resume: bool) -> None:
        """What was missed is told at once, and once."""
        missed = self.model.missed(device.client)
        edited = self.model.edited(device.client, device.patched_at) if resume and device.patched_at else []
        told_all = not resume or not device.notified_at
        await self._dial(device)
        await self._log_in(device, with_token, resume)
        device.online = True
        heard, offline, unread = device.arrived()
        assert not heard.flow, f"{device} gets as new what it missed"
        edits = [event for events in heard.events.values() for event in events if event[0] == "modified"]
        assert sorted(edits) == edited, f"{device} is told the edits {edits} instead of {edited}"
        if device.counts_unread:
            check_counts(device.name, unread, self.model.unread(device.client), told_all)
        else:
            check_missed(device.name, offline, missed)

    async def _dial(self, device: Device) -> None:
        await device.dial(self.server, f"beacon-{self.number}-{next(self._serial)}")

    async def _log_in(self, device: Device, with_token: bool, resume: bool) -> None:
        await device.log_in(with_token, resume)
        await self.reach(device.session)
        device.take()

    async def reach(self, session: Session) -> None:
        """All that a login tells has been told when this message, which waits behind it, has come."""
        mark = f"mark {next(self._serial)}"
        await self.watch.send(self._homes[session.peer], mark, transient=True)
        await session.connection.expect(lambda push: push.peerId == session.peer and push.directMessage.msg == mark)

    async def disconnect(self, device: Device, how: str) -> None:
        beacon = device.beacon
        await {"drop": device.drop, "leave": device.leave, "logout": device.logout}[how]()
        await self._gone(beacon)

    async def _gone(self, beacon: str) -> None:
        """The server has noticed the end of this connection, and done what it read from it."""
        online = True
        while online:
            answer = await self.watch.request("session", "query", sessionPeerIds=[beacon])
            online = bool(answer.sessionMessage.onlineSessionPeerIds)

    async def _start_watch(self) -> None:
        self._watching = await Connection.connect(self.server, BINARY)
        self._watch = await self._watching.open(f"watch-{self.number}")

    # members

    async def start(self, device: Device, clients: Collection[str], unique: bool) -> None:
        members = frozenset({device.client, *self.ids_of(clients)})
        reply = await device.session.request("conv", "start", m=sorted(members), unique=unique)
        self._started(reply.convMessage.cid, reply.convMessage.existing, device.client, members, unique)

    def _started(self, id: str, existing: bool, by: str, members: frozenset[str], unique: bool) -> None:
        known = self.model.unique(members) if unique else set()
        assert existing == bool(known), f"existing: {existing}, but there is {known}"
        if existing:
            assert id in known
        else:
            self.model.start(id, by, members, unique)

    async def add(self, device: Device, conversation: Conversation, clients: Collection[str]) -> None:
        """With itself alone it joins, otherwise it must be a member."""
        await self._change(device, conversation, clients, "add")

    async def remove(self, device: Device, conversation: Conversation, clients: Collection[str]) -> None:
        """With itself alone it quits, otherwise it must be a member."""
        await self._change(device, conversation, clients, "remove")

    async def _change(self, device: Device, conversation: Conversation, clients: Collection[str], op: str) -> None:
        wanted = self.ids_of(clients)
        wrong = rights.to_change_members(conversation, device.client, wanted, op)
        reply = await self._expect(wrong, device.session.request("conv", op, cid=conversation.id, m=wanted))
        if reply is not None:
            done = rights.who_changes(conversation, wanted, op)
            answer = reply.convMessage
            assert set(answer.allowedPids) == done
            assert {client for failed in answer.failedPids for client in failed.pids} == set(wanted) - done
            self._changed(device, conversation, done, op)

    async def _expect(self, wrong: int, request: Coroutine[Any, Any, GenericCommand]) -> GenericCommand | None:
        """The answer, or none if it is refused with this code; 0: it must not be refused."""
        try:
            reply = await request
        except Refused as refusal:
            if refusal.code != wrong:
                raise
            return None
        assert not wrong, f"{named(reply)} instead of a refusal with {wrong}"
        return reply

    def _changed(self, device: Device, conversation: Conversation, clients: Collection[str], op: str) -> None:
        change = self.model.join if op == "add" else self.model.leave
        change(conversation, device.client, clients)

    async def change_cut(
        self, device: Device, conversation: Conversation, clients: Collection[str], op: str, ending: Ending
    ) -> None:
        """A change of members that nobody hears the answer of: it happened for all of them, or for none."""
        wanted, before = self.ids_of(clients), set(conversation.members)
        refused = rights.to_change_members(conversation, device.client, wanted, op)
        done = set() if refused else rights.who_changes(conversation, wanted, op)
        after = before | done if op == "add" else before - done
        request = device.session.request("conv", op, cid=conversation.id, m=wanted)
        await self._cut_short(device, [request], 0, ending, [conversation])
        members = (await self.members_there())[conversation.id]
        assert members in (before, after), f"{members} instead of {before} or {after}"
        if members == after:
            self._changed(device, conversation, done, op)

    async def start_cut(self, device: Device, clients: Collection[str], unique: bool, ending: Ending) -> None:
        """A start that nobody hears the answer of: started again it is found, or made."""
        members = frozenset({device.client, *self.ids_of(clients)})
        name = f"name {self.number} {next(self._serial)}"
        fields = {"m": sorted(members), "unique": unique, "attr": {"data": f'{{"name": "{name}"}}'}}
        await self._cut_short(device, [device.session.request("conv", "start", **fields)], 0, ending, [])
        known = self.model.unique(members) if unique else set()
        rows = await self.watch.query({"name": name})
        assert len(rows) <= (0 if known else 1)
        for row in rows:
            assert set(row["m"]) == members
            self.model.start(row["objectId"], device.client, members, unique)

    # roles, silence, blocks

    async def give_role(self, device: Device, conversation: Conversation, name: str, manager: bool) -> None:
        client = self.id_of(name)
        wrong = rights.to_give_role(conversation, device.client, client)
        role = {"pid": client, "role": "Manager" if manager else "Member"}
        fields = {"cid": conversation.id, "targetClientId": client, "info": role}
        if await self._expect(wrong, device.session.request("conv", "member_info_update", **fields)):
            self.model.give_role(conversation, device.client, client, manager)

    async def silence(self, device: Device, conversation: Conversation, clients: Collection[str], on: bool) -> None:
        wanted = self.ids_of(clients)
        wrong = rights.to_silence(conversation, device.client, wanted)
        op = "add_shutup" if on else "remove_shutup"
        if await self._expect(wrong, device.session.request("conv", op, cid=conversation.id, m=wanted)):
            self.model.silence(conversation, device.client, wanted, on)

    async def block(self, device: Device, conversation: Conversation, clients: Collection[str], on: bool) -> None:
        wanted = self.ids_of(clients)
        wrong = rights.to_block(conversation, device.client, wanted)
        op = "block" if on else "unblock"
        if await self._expect(wrong, device.session.request("blacklist", op, srcCid=conversation.id, toPids=wanted)):
            self.model.block(conversation, device.client, wanted, on)

    # messages

    def _message(self, device: Device, draft: Draft) -> Message:
        number = next(self._serial)
        text = f"{device.name} {number}"
        return Message(
            sender=device.client,
            source=device.name,
            content=b"\xff\0" + text.encode() if draft.kind == "binary" else text,
            token=f"token {number}" if draft.token else "",
            receipt=draft.receipt,
            transient=draft.kind == "transient",
            mentions=tuple(self.ids_of(draft.mentions)),
            to_all=draft.to_all,
        )

    async def _send(self, sending: Sending) -> None:
        """One message and its answer; raises ConnectionLost when there is none."""
        message, conversation = sending.message, sending.conversation
        fields: dict[str, Any] = {"mentionPids": message.mentions}
        fields["binaryMsg" if isinstance(message.content, bytes) else "msg"] = message.content
        fields |= {"dt": message.token} if message.token else {}
        flags = {"r": message.receipt, "transient": message.transient, "mentionAll": message.to_all}
        fields |= {name: True for name, wanted in flags.items() if wanted}
        wrong = rights.to_send(conversation, message.sender)
        reply = await self._expect(wrong, sending.device.session.request("direct", cid=conversation.id, **fields))
        if reply is None:
            sending.refused = True
            return
        ack = reply.ackMessage
        if message.id:
            assert (ack.uid, ack.t) == (message.id, message.timestamp), "sent again, a message got another place"
        message.id, message.timestamp = ack.uid, ack.t
        sending.acked = True

    def _sendings(self, device: Device, conversation: Conversation, drafts: Sequence[Draft]) -> list[Sending]:
        return [Sending(device, conversation, self._message(device, draft)) for draft in drafts]

    async def send(
        self, *batches: tuple[Device, Conversation, Sequence[Draft]], arriving: Sequence[Device] = ()
    ) -> None:
        """All at once, without waiting for answers, while others log in."""
        sendings = [sending for batch in batches for sending in self._sendings(*batch)]
        arrivals = {d: Arrival(d, self.conversations, self.model.missed(d.client)) for d in arriving}
        for device in arriving:
            await self._dial(device)
        requests = [self._send(sending) for sending in sendings]
        third = -(-len(requests) // 3)
        early = asyncio.gather(*requests[:third])
        logins = [self._log_in(device, with_token=False, resume=False) for device in arriving]

        async def send_late() -> None:
            await early
            await asyncio.gather(*requests[2 * third :])

        await asyncio.gather(*logins, *requests[third : 2 * third], send_late())
        self._commit(sendings)
        for device, arrival in arrivals.items():
            await self.reach(device.session)
            device.take()
            device.online = True
            arrival.check(self.model.of(device.client))

    def _commit(self, sendings: Sequence[Sending]) -> None:
        """Those that were acknowledged, in the order of their places; transient ones come between, anywhere."""
        done = [sending for sending in sendings if sending.acked]
        self._remember(sendings)
        by_place = sorted(done, key=lambda sending: sending.message.timestamp)
        flows: dict[tuple[str, str], list[Sending]] = {}
        for sending in done:
            flows.setdefault((sending.conversation.id, sending.device.name), []).append(sending)
        for flow in flows.values():
            kept = [s.message.timestamp for s in flow if not s.message.transient]
            assert kept == sorted(kept), "messages of one device overtook each other"
        for sending in _merged(by_place, flows.values()):
            self.model.commit(sending.conversation, sending.message)

    def _remember(self, sendings: Sequence[Sending]) -> None:
        self.sent += [s for s in sendings if s.message.token and not s.message.transient and s not in self.sent]

    async def send_again(self, device: Device, sending: Sending) -> None:
        """From any device of the sender: with its place known it gets that again, otherwise it gets one now."""
        again = Sending(device, sending.conversation, sending.message)
        known = bool(sending.message.id)
        await self._send(again)
        if again.acked and not known:
            sending.message.source = device.name
            self.model.commit(sending.conversation, sending.message)

    async def send_cut(
        self, device: Device, batches: Sequence[tuple[Conversation, Sequence[Draft]]], answers: int, ending: Ending
    ) -> None:
        """Messages of which the device hears some answers at most; the rest is there or not, in order and once."""
        sendings = [sending for batch in batches for sending in self._sendings(device, *batch)]
        touched = [conversation for conversation, _ in batches]
        await self._cut_short(device, [self._send(sending) for sending in sendings], answers, ending, touched)
        await self._find(sendings)
        self._commit(sendings)

    async def _find(self, sendings: Sequence[Sending]) -> None:
        """Gives those their places that were written though nobody heard so."""
        for conversation in {sending.conversation.id: sending.conversation for sending in sendings}.values():
            mine = [sending for sending in sendings if sending.conversation is conversation]
            if not conversation.members:
                assert not any(sending.acked for sending in mine)
                continue
            items = {item_content(item): item for item in await self._history(conversation)}
            there = [sending.message.content in items for sending in mine]
            assert there == sorted(there, reverse=True), "a message is lost, one that was sent later is not"
            for sending in mine:
                item = items.get(sending.message.content)
                if sending.is_uncertain and item is not None:
                    sending.message.id, sending.message.timestamp = item.msgId, item.timestamp
                    sending.acked = True

    async def _history(self, conversation: Conversation) -> list[LogItem]:
        member = min(conversation.members)
        async with connect(self.server) as connection:
            return await (await connection.open(member)).history(conversation.id)

    async def _cut_short(
        self,
        device: Device,
        requests: Sequence[Coroutine[Any, Any, object]],
        answers: int,
        ending: Ending,
        touched: Sequence[Conversation],
    ) -> None:
        """Send all, wait for some answers, then cut the connection or end the server."""
        tasks = [asyncio.ensure_future(request) for request in requests]
        for task in tasks[:answers]:
            await task
        await asyncio.sleep(0)  # the tasks that have not begun send now
        beacon = device.beacon
        if ending == "drop":
            await device.drop()
        else:
            await self._restart(ending)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, ConnectionLost | Refused):
                raise outcome
        if ending == "drop":
            await self._gone(beacon)
            for conversation in touched:
                await self._wait_for_writes(self.watch, conversation.id, is_member=False)
            await self._wait_for_writes(self.watch, self._homes[self.watch.peer], is_member=True)

    async def _restart(self, ending: Ending) -> None:
        """End the server, with everybody online losing the connection, and start it again."""
        if ending == "kill":
            self.server.kill()
        else:
            assert await asyncio.to_thread(self.server.stop) == 0
        for device in self.online:
            await device.connection.closed()
            device.is_cut()
        assert self._watching is not None
        await self._watching.closed()
        await asyncio.to_thread(self.server.start)
        await self._start_watch()

    async def restart(self, ending: Ending) -> None:
        await self._restart(ending)

    # edits and attributes

    async def edit(self, device: Device, conversation: Conversation, message: Message, recall: bool) -> None:
        """By its author, who is a member still; a recalled message can be recalled again and no more."""
        content = None if recall else f"{device.name} edits {next(self._serial)}"
        item: dict[str, Any] = {"cid": conversation.id, "mid": message.id, "timestamp": message.timestamp}
        item |= {"recall": True} if recall else {"data": content}
        if not recall:
            item |= {"mentionPids": message.mentions, "mentionAll": message.to_all}
        wrong = self._wrong_edit(device, conversation, message, recall)
        reply = await self._expect(wrong, device.session.request("patch", "modify", patches=[item]))
        if reply is not None and not message.recalled:
            self.model.edit(conversation, message, device.name, content, reply.patchMessage.lastPatchTime)

    def _wrong_edit(self, device: Device, conversation: Conversation, message: Message, recall: bool) -> int:
        barred = rights.to_send(conversation, device.client)
        if barred:
            return barred
        if message.sender != device.client:
            return rights.NOT_THE_AUTHOR
        return rights.RECALLED_OR_UNKNOWN if message.recalled and not recall else 0

    async def update(self, device: Device, conversation: Conversation) -> None:
        color = f"color {next(self._serial)}"
        text = json.dumps({"color": color})
        wrong = 0 if device.client in conversation.members else NO_MEMBER_UPDATES
        request = device.session.request("conv", "update", cid=conversation.id, attr={"data": text})
        if await self._expect(wrong, request):
            self.model.update(conversation, device.name, device.client, color)

    # marks

    async def read(self, device: Device, conversation: Conversation, upto: int | None) -> None:
        """`upto`: a number of messages, the last of which is named; None: all."""
        place: dict[str, Any] = {}
        if upto is not None:
            message = conversation.messages[upto - 1]
            place = {"mid": message.id, "timestamp": message.timestamp}
        await device.session.read(conversation.id, **place)
        await self._took_effect(device, conversation)
        self.model.read(conversation, device.client, upto)

    async def acknowledge_one(self, device: Device, conversation: Conversation, message: Message) -> None:
        await device.session.post("ack", cid=conversation.id, mid=message.id)
        await self._acknowledged(device, conversation, [message])

    async def acknowledge_range(self, device: Device, conversation: Conversation, first: int, last: int) -> None:
        """Both ends included."""
        messages = conversation.messages[first : last + 1]
        span: dict[str, Any] = (
            {"fromts": messages[0].timestamp, "tots": messages[-1].timestamp} if messages else {"tots": 1}
        )
        await device.session.post("ack", cid=conversation.id, **span)
        await self._acknowledged(device, conversation, messages)

    async def acknowledge_upto(self, device: Device, conversation: Conversation, last: int) -> None:
        messages = conversation.messages[: last + 1]
        await device.session.post("ack", cid=conversation.id, tots=messages[-1].timestamp)
        await self._acknowledged(device, conversation, messages)

    async def _acknowledged(self, device: Device, conversation: Conversation, messages: Sequence[Message]) -> None:
        await self._took_effect(device, conversation)
        self.model.acknowledge(conversation, device.client, messages)

    async def _took_effect(self, device: Device, conversation: Conversation) -> None:
        await self._wait_for_writes(device.session, conversation.id, device.client in conversation.members)

    async def _wait_for_writes(self, session: Session, conversation: str, is_member: bool) -> None:
        """Changes nothing, but is answered after all that was asked of the conversation before."""
        await session.request("conv", "add" if is_member else "remove", cid=conversation, m=[session.peer])

    # checks

    async def check_devices(self) -> None:
        """Everybody online has heard everything, and counts as the server does."""
        await asyncio.gather(*(device.connection.echo() for device in self.online))
        for device in self.online:
            device.take()
            device.check()
            if device.counts_unread:
                counts = {id: unread.number for id, unread in self.model.unread(device.client).items()}
                assert capped(device.counts) == counts, f"{device} counts {capped(device.counts)} instead of {counts}"

    async def members_there(self) -> dict[str, set[str]]:
        return {id: set(row["m"]) for id, row in (await self.rows_there()).items()}

    async def rows_there(self) -> dict[str, dict[str, Any]]:
        rows = await self.watch.query({"objectId": {"$in": list(self.model.conversations)}}, limit=100)
        return {row["objectId"]: row for row in rows}


def _merged(by_place: Sequence[Sending], flows: Collection[Sequence[Sending]]) -> list[Sending]:
    """In order of their places, transient ones where their device sent them."""
    merged: list[Sending] = []
    waiting = {id(sending): flow for flow in flows for sending in flow}
    for sending in by_place:
        if sending.message.transient:
            continue
        for earlier in waiting[id(sending)]:
            if earlier is sending:
                break
            if earlier not in merged:
                merged.append(earlier)
        merged.append(sending)
    return merged + [s for flow in flows for s in flow if s not in merged]
