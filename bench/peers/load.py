"""The roles of the load in XMPP: rooms in which one talks, and pairs. Counting and checking are those of Hongyan's."""

import asyncio
import time
from typing import Any
from xml.etree import ElementTree

from bench.peers.xmpp import ACK, ASK_FOR_ACK, END, SERIAL, Client, Counter, Message, Splitter, sent_at
from hongyan.bench import talk, talk_load
from hongyan.bench.frames import FIRST_SERIAL
from hongyan.bench.talk import NEVER, Patched, Talker, TalkResult
from hongyan.bench.talk_load import ENTER_AT_ONCE, Group, TalkPlan
from hongyan.bench.workers import Link, Window

#: A server that falls behind may catch up so long (s): everything must arrive, however late.
DRAIN_TIMEOUT = 90.0


class Listener(Client):
    """Somebody who only counts."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer)
        self.frames = 0
        self.bytes = 0
        self.reads = 0
        self._counter = Counter()

    def count(self, data: bytes) -> None:
        """What one read brought; no look inside."""
        self.frames += self._counter.feed(data)
        self.bytes += len(data)
        self.reads += 1

    async def catch_up(self, frames: int) -> None:
        """Wait, but not for ever, until `frames` messages are here, and for an answer that comes behind them."""
        self.on_data = self._count_and_gather
        deadline = time.monotonic() + talk.CATCH_UP_TIMEOUT
        while not self.lost:
            answer = await self.ping()  # meanwhile messages are counted
            self.bytes -= len(answer)
            if self.frames >= frames or time.monotonic() > deadline:
                return

    def _count_and_gather(self, data: bytes) -> None:
        self.count(data)
        self._gather(data)


class Probe(Listener):
    """A listener that parses every message for order, repetition and delay."""

    def __init__(self, peer: str, result: TalkResult, *, acknowledges: bool = False) -> None:
        super().__init__(peer)
        self.result = result
        self.window = NEVER
        self.latest = 0
        self._splitter = Splitter(END)

    def count(self, data: bytes) -> None:
        """What one read brought, looked at."""
        super().count(data)
        now = time.monotonic_ns()
        for stanza in self._splitter.feed(data):
            self._read(stanza, now)

    def _read(self, stanza: bytes, now: int) -> None:
        body = ElementTree.fromstring(stanza).findtext("body")
        if body is None:
            self.result.faults.append(f"{self.peer} received something else: {stanza.decode(errors='replace'):.200}")
            return
        sent = sent_at(body)
        if sent <= self.latest:
            self.result.faults.append(f"{self.peer} received a message twice or out of order")
        self.latest = sent
        if self.window.contains(now):
            self.result.delivery_ms.append((now - sent) / 1e6)


class Speaker(Client, Talker):
    """Somebody who talks."""

    def __init__(self, peer: str, result: TalkResult) -> None:
        Client.__init__(self, peer)
        Talker.__init__(self, result)

    def prepare(self, message: Patched, window: Window) -> None:
        """What to say, and when."""
        super().prepare(message, window)
        self.on_data = self.on_reply

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio; nothing more can be acknowledged."""
        super().connection_lost(error)
        self.done.set()

    def on_reply(self, data: bytes) -> None:
        """What one read brought."""
        raise NotImplementedError


class RoomSpeaker(Speaker):
    """One whose messages count as acknowledged when the room sends them back."""

    def __init__(self, peer: str, result: TalkResult) -> None:
        super().__init__(peer, result)
        self._splitter = Splitter(END)

    def on_reply(self, data: bytes) -> None:
        """What one read brought: messages of its own."""
        for stanza in self._splitter.feed(data):
            found = SERIAL.search(stanza)
            if found is None or b"type='error'" in stanza:
                self.refuse(stanza)
            else:
                self.acknowledge(int(found[1], 16), stanza)


class PairSpeaker(Speaker):
    """One who asks for an acknowledgement of each message (XEP-0198); nobody talks to it."""

    def __init__(self, peer: str, result: TalkResult) -> None:
        super().__init__(peer, result)
        self._splitter = Splitter(b">")

    def on_reply(self, data: bytes) -> None:
        """What one read brought: how many stanzas of this connection the server has handled."""
        for element in self._splitter.feed(data):
            found = ACK.fullmatch(element)
            if found is None:
                self.refuse(element)
            else:
                self.acknowledge(FIRST_SERIAL + int(found[1]) - 1, element)


class XmppGroup(Group):
    """People who are in one conversation."""

    speaker: Any
    listeners: list[Any]
    listener_role: Any = Listener
    probe_role: Any = Probe
    drain_timeout = DRAIN_TIMEOUT

    def listen(self) -> None:
        """From now on everything that arrives is counted."""
        for listener in self.listeners:
            listener.on_data = listener.count


class RoomGroup(XmppGroup):
    """A room of mod_muc."""

    speaker_role: Any = RoomSpeaker

    async def start(self, size: int) -> None:
        """The speaker makes the room, the others enter."""
        room = f"{self.speaker.peer}@conference.localhost"
        await self.speaker.join(room)
        for start in range(0, len(self.listeners), ENTER_AT_ONCE):
            await asyncio.gather(*(each.join(room) for each in self.listeners[start : start + ENTER_AT_ONCE]))
        self.message = Message(room, "groupchat", size)
        self.listen()


class PairGroup(XmppGroup):
    """One writes to another."""

    speaker_role: Any = PairSpeaker

    async def start(self, size: int) -> None:
        """Nothing needs to be made but acknowledgements."""
        await self.speaker.enable_acks()
        (listener,) = self.listeners
        self.message = Message(listener.jid, "chat", size, suffix=ASK_FOR_ACK)
        self.listen()


async def room_load(plan: TalkPlan, link: Link) -> TalkResult:
    """`talk_load` in rooms."""
    return await talk_load.talk_load(plan, link, RoomGroup)


async def pair_load(plan: TalkPlan, link: Link) -> TalkResult:
    """`talk_load` between pairs."""
    return await talk_load.talk_load(plan, link, PairGroup)
