"""What one process of the load generator does in `chat` and `fanout`: groups in which one member talks."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hongyan.bench.client import Client, Target
from hongyan.bench.frames import Message
from hongyan.bench.talk import Listener, Patched, Probe, Speaker, TalkResult, pace
from hongyan.bench.workers import Link, Window

READ_BUFFER = 65536
ENTER_AT_ONCE = 100
SETUP_TIMEOUT = 30.0
DRAIN_TIMEOUT = 20.0
#: Of so many members of a chat room one reads what it receives: they are told at different times.
ROOM_PROBES = 50


@dataclass(frozen=True)
class TalkPlan:
    """`groups` conversations of `members` connections each, with messages of `size` bytes.

    Each speaker keeps `in_flight` messages unacknowledged, unless `rate` sets the messages per second of all
    groups. With `receipts` every listener acks every message. With `room` the conversations are chat rooms. With
    `existing` each group has so many conversations already, called as `existing_id` says, and uses them in turn. Runs
    on one server need different names.
    """

    target: Target
    name: str
    groups: int
    members: int
    size: int
    in_flight: int = 1
    rate: float | None = None
    receipts: bool = False
    room: bool = False
    existing: int = 0
    first_connection: int = 0


def client_id(plan: str, group: int, member: int) -> str:
    """What a member of a group of a plan is called."""
    return f"{plan}-{group:05d}-{member:04d}"


def existing_id(plan: str, group: int, number: int) -> str:
    """What a conversation that a group of a plan has already is called."""
    return f"{plan}-{group:05d}-{number:06d}"


class InTurn:
    """Messages to several conversations, one after the other and again from the start."""

    def __init__(self, messages: Sequence[Patched]) -> None:
        self._messages = messages

    def at(self, serial: int, now: int) -> bytearray:
        """As `Patched` says; serials are consecutive."""
        return self._messages[serial % len(self._messages)].at(serial, now)


class Group:
    """One conversation: a speaker, probes, and the other listeners.

    The load of another protocol names its own roles, and how a conversation starts.
    """

    speaker_role: type[Speaker] = Speaker
    listener_role: type[Listener] = Listener
    probe_role: type[Probe] = Probe
    drain_timeout = DRAIN_TIMEOUT
    message: Patched

    def __init__(self, plan: TalkPlan, number: int, result: TalkResult) -> None:
        peers = [client_id(plan.name, number, member) for member in range(plan.members)]
        self.speaker = self.speaker_role(peers[0], result)
        every = 1 if plan.receipts else ROOM_PROBES if plan.room else plan.members
        self.listeners: list[Listener] = [
            self.probe_role(peer, result, acknowledges=plan.receipts)
            if place % every == 0
            else self.listener_role(peer)
            for place, peer in enumerate(peers[1:])
        ]
        self.probes = [listener for listener in self.listeners if isinstance(listener, self.probe_role)]
        self.room = plan.room
        self.existing = [existing_id(plan.name, number, place) for place in range(plan.existing)]
        self.everybody: list[Client] = [self.speaker, *self.listeners]

    async def start(self, size: int) -> None:
        """Create the conversation and wait until every member knows it, unless there are some."""
        cids = await self._wait_for_counts() if self.existing else [await self._begin()]
        self.message = InTurn([Message(self.speaker.peer, cid, size) for cid in cids])
        for listener in self.listeners:
            listener.on_frame = listener.count

    async def _wait_for_counts(self) -> list[str]:
        """Until everybody has been told what is unread: then nothing but messages comes."""
        async with asyncio.timeout(SETUP_TIMEOUT):
            for member in self.everybody:
                await member.told_unread.wait()
        return self.existing

    async def _begin(self) -> str:
        return await (self._enter() if self.room else self._invite())

    async def _invite(self) -> str:
        cid = await self.speaker.start([member.peer for member in self.everybody])
        async with asyncio.timeout(SETUP_TIMEOUT):
            for member in self.everybody:
                await member.joined.wait()
        return cid

    async def _enter(self) -> str:
        cid = await self.speaker.start_room()
        for start in range(0, len(self.listeners), ENTER_AT_ONCE):
            await asyncio.gather(*(each.join(cid) for each in self.listeners[start : start + ENTER_AT_ONCE]))
        return cid

    def prepare(self, window: Window) -> None:
        """Tell everybody when to measure."""
        self.speaker.prepare(self.message, window)
        for probe in self.probes:
            probe.window = window

    async def catch_up(self) -> None:
        """Wait for what is still on its way."""
        await asyncio.gather(*(listener.catch_up(self.speaker.acked) for listener in self.listeners))

    def check(self, result: TalkResult) -> None:
        """Every listener must have received what was acknowledged, with as many bytes as the probe."""
        result.sent += self.speaker.sent
        result.acked += self.speaker.acked
        result.expected += self.speaker.acked * len(self.listeners)
        result.delivered += sum(listener.frames for listener in self.listeners)
        probe = self.probes[0]
        result.frame_bytes = probe.bytes // max(probe.frames, 1)
        result.faults += [member.lost for member in self.everybody if member.lost]
        due = (self.speaker.acked, probe.bytes)
        odd = sum((listener.frames, listener.bytes) != due for listener in self.listeners)
        if odd:
            result.faults.append(f"{odd} listeners of {self.speaker.peer} received other than what was acknowledged")


async def talk_load(plan: TalkPlan, link: Link, group_type: type[Group] = Group) -> TalkResult:
    """Connect, create the groups, pass the gate, talk until the window ends, check the counts."""
    result = TalkResult()
    groups = [group_type(plan, number, result) for number in range(plan.groups)]
    try:
        await _set_up(plan, groups, link)
        window: Window = await link.gate()
        for group in groups:
            group.prepare(window)
        await asyncio.gather(_measure(groups, window, result), _talk(groups, plan, window))
        await _drain(groups, result)
        for group in groups:
            group.check(result)
    finally:
        await asyncio.gather(*(member.close() for group in groups for member in group.everybody))
    return result


async def _set_up(plan: TalkPlan, groups: list[Group], link: Link) -> None:
    tls = plan.target.tls()
    connections = 0
    for group in groups:
        for member in group.everybody:
            await member.connect(plan.target, tls, plan.first_connection + connections, READ_BUFFER)
            await member.open(plan.target.app_id)
            connections += 1
        await group.start(plan.size)
        link.progress(connections)


async def _talk(groups: list[Group], plan: TalkPlan, window: Window) -> None:
    if plan.rate is not None:
        await pace([group.speaker for group in groups], plan.rate, window)
        return
    for group in groups:
        group.speaker.begin(plan.in_flight)


async def _measure(groups: list[Group], window: Window, result: TalkResult) -> None:
    listeners = [listener for group in groups for listener in group.listeners]
    await asyncio.sleep(window.start - time.monotonic())
    frames, reads = _sum(listeners)
    await asyncio.sleep(window.end - time.monotonic())
    frames_after, reads_after = _sum(listeners)
    result.deliveries, result.reads = frames_after - frames, reads_after - reads


def _sum(listeners: list[Listener]) -> tuple[int, int]:
    return sum(listener.frames for listener in listeners), sum(listener.reads for listener in listeners)


async def _drain(groups: list[Group], result: TalkResult) -> None:
    timeout = max(group.drain_timeout for group in groups)
    try:
        async with asyncio.timeout(timeout):
            for group in groups:
                await group.speaker.done.wait()
    except TimeoutError:
        result.faults.append(f"not every message was acknowledged {timeout:.0f} s after the last was sent")
    for group in groups:
        await group.catch_up()
