"""What one process of the load generator does in `soak`: people who chat, and what happens to them meanwhile."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Self

from picows import WSFrame, WSMsgType

from hongyan.bench import frames
from hongyan.bench.client import REPLY_TIMEOUT, Client, Target
from hongyan.bench.frames import FIRST_SERIAL, Message, sent_at
from hongyan.bench.idle_load import each
from hongyan.bench.record import Record, Told, heard_in_history
from hongyan.bench.talk import NEVER, pace
from hongyan.bench.workers import Link, Window
from hongyan.wire import messages2_pb2 as pb

READ_BUFFER = 16384
#: Members of each group, and of the chat room, who talk.
SPEAKERS = 4
#: Every so manieth client is cut off from time to time; every so manieth pair acknowledges what it receives.
CUT_EVERY = 3
RECEIPTS_EVERY = 4
#: Pause between two things of a kind that happen (s), and how long who is cut off stays away, at most.
PAUSE = 0.25
AWAY = 0.5
GUESTS = 4
PAGE = 20
PAGE_MAX = 100
DRAIN_TIMEOUT = 20.0
FAULTS_MAX = 100
MS_PARTS = 10
"""Latencies are counted in tenths of a millisecond."""


@dataclass(frozen=True)
class SoakPlan:
    """`pairs` of two who talk to each other; `groups` of `members` of these people, and a chat room of `room` of them.

    `rate` is the messages per second of all; without it each sends the next when the last is acknowledged. Latencies
    are told for each `step` seconds.
    """

    target: Target
    name: str
    pairs: int
    groups: int
    members: int
    room: int
    size: int
    step: float
    rate: float | None = None
    first_connection: int = 0

    @property
    def voices(self) -> int:
        """How many talk: those of each conversation."""
        return 2 * self.pairs + SPEAKERS * (self.groups + bool(self.room))

    @property
    def connections(self) -> int:
        """How many connections it takes."""
        return 2 * self.pairs + 2 * GUESTS


@dataclass
class SoakResult:
    """What happened. `ack` has the latencies of each step in tenths of a ms, `page` those of history pages."""

    sent: int = 0
    acked: int = 0
    stored: int = 0
    due_throughout: int = 0
    received_throughout: int = 0
    due_cut: int = 0
    received_cut: int = 0
    read_cut: int = 0
    cuts: int = 0
    group_stays: int = 0
    room_stays: int = 0
    received_guests: int = 0
    ack: dict[int, Counter[int]] = field(default_factory=dict)
    page: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, other: Self) -> None:
        """Sum the counts, join the lists."""
        for step, counts in other.ack.items():
            self.ack.setdefault(step, Counter()).update(counts)
        for name, value in vars(other).items():
            if name != "ack":
                setattr(self, name, getattr(self, name) + value)


class Voice:
    """A client that talks in one conversation."""

    def __init__(self, client: "Person", cid: str, size: int) -> None:
        self._client = client
        self._message = Message(client.peer, cid, size)
        self.sent = 0
        self.acked = 0

    def talk_once(self, due: int) -> None:
        """As `Paced` says; while the client is cut off it keeps what it has to say."""
        self.sent += 1
        self._client.speak(self, self.sent, due)

    def finish(self) -> None:
        """As `Paced` says."""

    def at(self, serial: int, number: int) -> bytearray:
        """The command for one message; what stands in the place of a time is its number."""
        return self._message.at(serial, number)


class Person(Client):
    """A client that may talk in several conversations, and records what it receives in each."""

    def __init__(self, peer: str, result: SoakResult, step: float, *, receipts: bool = False) -> None:
        super().__init__(peer)
        self.records: dict[str, Record] = {}
        self.window = NEVER
        self.goes_on = False
        self.stays = True
        self.was_cut = False
        self._result = result
        self._step = step
        self._receipts = receipts
        self._online = True
        self._next = itertools.count(FIRST_SERIAL)
        self._pending: dict[int, tuple[Voice, int, int]] = {}
        self.on_frame = self._hear

    @property
    def waits(self) -> bool:
        """Whether something it said is not acknowledged yet."""
        return bool(self._pending)

    def record(self, cid: str, *, late: bool = False) -> Record:
        """Begin to record a conversation."""
        found = self.records[cid] = Record(self.peer, cid, self._result.faults, late=late)
        return found

    def speak(self, voice: Voice, number: int, due: int) -> None:
        """Send a message of a voice, now or when the client is back."""
        serial = next(self._next)
        self._pending[serial] = (voice, number, due)
        if self._online:
            self.send(voice.at(serial, number))

    def cut(self) -> None:
        """End the connection as a dead battery does: nothing more is sent, nothing that comes is read."""
        assert self.transport is not None
        self._online, self.was_cut = False, True
        self.transport.disconnect(graceful=False)

    async def come_back(self, plan: SoakPlan, index: int) -> None:
        """Reopen the session by its token, send again what is not acknowledged, read what was missed."""
        assert self.transport is not None
        await self.transport.wait_disconnected()
        for record in self.records.values():
            record.wait()
        self.lost = None
        self.told_unread.clear()
        await self.connect(plan.target, plan.target.tls(), index, READ_BUFFER)
        await self.open(plan.target.app_id, self.token)
        await asyncio.wait_for(self.told_unread.wait(), REPLY_TIMEOUT)
        self._send_again()
        await asyncio.gather(*map(self._catch_up, self.records.values()))

    def _send_again(self) -> None:
        """In the old order, with the old tokens: the server may have them already."""
        self._online, now = True, time.monotonic_ns()
        for serial, (voice, number, _) in self._pending.items():
            self._pending[serial] = (voice, number, now)
            self.send(voice.at(serial, number))

    async def _catch_up(self, record: Record) -> None:
        """Page by page until there is no more; then goes on what comes by itself."""
        while page := await self.after(record.cid, record.place, PAGE_MAX):
            record.fill(map(heard_in_history, page))
            if len(page) < PAGE_MAX:
                break
        record.go_on()

    def _hear(self, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.BINARY:
            return
        command = pb.GenericCommand.FromString(frame.get_payload_as_bytes())
        if command.cmd == pb.direct:
            self._receive(command.directMessage)
        elif command.cmd == pb.ack:
            self._acknowledged(command)
        elif command.cmd == pb.conv and not command.HasField("i"):
            self._changed(command)
        else:
            self._decode(frame)

    def _receive(self, message: pb.DirectCommand) -> None:
        record = self.records.get(message.cid)
        if record is None:
            self._result.faults.append(f"{self.peer} received a message of {message.cid}, where it is not")
            return
        record.hear(message.fromPeerId, sent_at(message.msg), (message.timestamp, message.id))
        if self._receipts:
            self.send(frames.receipt(self.peer, message.cid, message.id))

    def _acknowledged(self, command: pb.GenericCommand) -> None:
        now = time.monotonic_ns()
        if command.ackMessage.HasField("code") or command.i not in self._pending:
            self._result.faults.append(f"{self.peer} expected an acknowledgement and got: {command!s:.200}")
            return
        voice, _, due = self._pending.pop(command.i)
        voice.acked += 1
        if self.window.contains(now):
            step = int((now / 1e9 - self.window.start) / self._step)
            self._result.ack.setdefault(step, Counter())[(now - due) * MS_PARTS // 1_000_000] += 1
        if self.goes_on and now < self.window.end * 1e9:
            voice.talk_once(now)

    def _changed(self, command: pb.GenericCommand) -> None:
        """Somebody was added or removed; a guest is told so of itself."""
        if command.op == pb.members_joined:
            self.joined.set()


class Guest(Person):
    """A client that comes into groups and goes; it hears what is said while it is there, without a gap."""

    def _changed(self, command: pb.GenericCommand) -> None:
        cid = command.convMessage.cid
        if command.op == pb.joined:
            self.record(cid, late=True)
        elif command.op == pb.left:
            self.leave(cid)

    def leave(self, cid: str) -> None:
        """It hears no more of a conversation."""
        self._result.received_guests += self.records.pop(cid).pushed


class Talk:
    """One conversation. The first of its people is never cut off, and does what others must rely on."""

    def __init__(self, cid: str, people: list[Person], speakers: list[Person], size: int) -> None:
        self.cid = cid
        self.people = people
        self.host = people[0]
        self.voices = {person.peer: Voice(person, cid, size) for person in speakers}
        for person in people:
            person.record(cid)

    def due(self, person: Person) -> int:
        """How many messages a member must have received."""
        return sum(voice.acked for peer, voice in self.voices.items() if peer != person.peer)


class Town:
    """All people of a process, and their conversations."""

    def __init__(self, plan: SoakPlan, result: SoakResult) -> None:
        self.plan = plan
        self.result = result
        self.lot = random.Random(plan.name)
        self.people = [self._person(number) for number in range(2 * plan.pairs)]
        self.guests = [Guest(f"{plan.name}-guest-{n}", result, plan.step) for n in range(GUESTS)]
        self.visitors = [Guest(f"{plan.name}-visitor-{n}", result, plan.step) for n in range(GUESTS)]
        self.everybody: list[Person] = [*self.people, *self.guests, *self.visitors]
        self.talks: list[Talk] = []
        self.groups: list[Talk] = []
        self.room: Talk | None = None

    def _person(self, number: int) -> Person:
        receipts = number // 2 % RECEIPTS_EVERY == 0
        person = Person(f"{self.plan.name}-{number:05d}", self.result, self.plan.step, receipts=receipts)
        person.stays = number % CUT_EVERY != 0
        return person

    async def build(self, link: Link) -> None:
        """Everybody logs in; every conversation is made."""
        tls = self.plan.target.tls()

        async def log_in(number: int) -> None:
            person = self.everybody[number]
            await person.connect(self.plan.target, tls, self.plan.first_connection + number, READ_BUFFER)
            await person.open(self.plan.target.app_id, person.token)

        await each(len(self.everybody), log_in, link)
        for first in range(0, len(self.people), 2):
            pair = sorted(self.people[first : first + 2], key=lambda person: not person.stays)
            await self._converse(pair, pair)
        for _ in range(self.plan.groups):
            members = self._some(self.plan.members)
            self.groups.append(await self._converse(members, members[:SPEAKERS]))
        if self.plan.room:
            members = self._some(self.plan.room)
            cid = await members[0].start_room()
            for member in members[1:]:
                await member.join(cid)
            self.room = self._talk(cid, members, members[:SPEAKERS])
        link.progress(len(self.everybody))

    def _some(self, count: int) -> list[Person]:
        host = self.lot.choice([person for person in self.people if person.stays])
        others = [person for person in self.people if person is not host]
        return [host, *self.lot.sample(others, min(count - 1, len(others)))]

    async def _converse(self, people: list[Person], speakers: list[Person]) -> Talk:
        for person in people:
            person.joined.clear()
        cid = await people[0].start([person.peer for person in people])
        async with asyncio.timeout(REPLY_TIMEOUT):
            for person in people:
                await person.joined.wait()
        return self._talk(cid, people, speakers)

    def _talk(self, cid: str, people: list[Person], speakers: list[Person]) -> Talk:
        talk = Talk(cid, people, speakers, self.plan.size)
        self.talks.append(talk)
        return talk

    @property
    def voices(self) -> list[Voice]:
        """Everybody who talks, once for each conversation he talks in."""
        return [voice for talk in self.talks for voice in talk.voices.values()]

    # what happens

    async def live(self, window: Window) -> None:
        """Talk until the window ends, while connections are cut, people come and go, and history is read."""
        for person in self.people:
            person.window, person.goes_on = window, self.plan.rate is None
        happening = [self._cut(window), self._stay_in_groups(window), self._visit(window), self._read(window)]
        await asyncio.gather(self._talk_all(window), *happening)

    def _talk_all(self, window: Window) -> Coroutine[Any, Any, None]:
        if self.plan.rate is not None:
            return pace(self.voices, self.plan.rate, window)
        now = time.monotonic_ns()
        for voice in self.voices:
            voice.talk_once(now)
        return asyncio.sleep(window.end - time.monotonic())

    async def _cut(self, window: Window) -> None:
        numbers = itertools.cycle(number for number, person in enumerate(self.people) if not person.stays)
        while await _before_the_end(window):
            number = next(numbers)
            person = self.people[number]
            person.cut()
            await asyncio.sleep(self.lot.uniform(0, AWAY))
            await person.come_back(self.plan, self.plan.first_connection + number)
            self.result.cuts += 1

    async def _stay_in_groups(self, window: Window) -> None:
        """One after the other is added to a group by a member, and removed; or leaves by itself."""
        guests = itertools.cycle(self.guests)
        while self.groups and await _before_the_end(window):
            guest, group = next(guests), self.lot.choice(self.groups)
            host = group.host
            await host.add(group.cid, guest.peer)
            await asyncio.sleep(PAUSE)
            await guest.echo()
            await (guest if self.lot.random() < 0.5 else host).remove(group.cid, guest.peer)
            await guest.echo()
            self.result.group_stays += 1

    async def _visit(self, window: Window) -> None:
        """One after the other enters the chat room, and leaves."""
        visitors = itertools.cycle(self.visitors)
        while self.room is not None and await _before_the_end(window):
            visitor, cid = next(visitors), self.room.cid
            visitor.record(cid, late=True)
            await visitor.join(cid)
            await asyncio.sleep(PAUSE)
            await visitor.remove(cid, visitor.peer)
            visitor.leave(cid)
            self.result.room_stays += 1

    async def _read(self, window: Window) -> None:
        """Somebody looks at the newest page of a conversation."""
        while await _before_the_end(window):
            talk = self.lot.choice(self.talks)
            start = time.monotonic_ns()
            page = await talk.host.newest(talk.cid, PAGE)
            self.result.page[(time.monotonic_ns() - start) * MS_PARTS // 1_000_000] += 1
            record = Record("", talk.cid, self.result.faults, late=True)
            record.fill(map(heard_in_history, page))

    # what came of it

    async def settle(self) -> None:
        """Wait, but not for ever, until everything is acknowledged and received."""
        deadline = time.monotonic() + DRAIN_TIMEOUT
        while time.monotonic() < deadline and not self._is_settled():
            await asyncio.gather(*(person.echo() for person in self.people))

    def _is_settled(self) -> bool:
        if any(person.waits for person in self.people):
            return False
        return all(
            person.records[talk.cid].pushed + person.records[talk.cid].read >= talk.due(person)
            for talk in self.talks
            for person in talk.people
        )

    async def check(self, link: Link) -> None:
        """Read all of history, and compare what was sent, acknowledged, stored and received."""
        await each(len(self.talks), lambda number: self._check(self.talks[number]), link)
        self.result.faults += [person.lost for person in self.everybody if person.lost]
        del self.result.faults[FAULTS_MAX:]

    async def _check(self, talk: Talk) -> None:
        told = Told(talk.cid, talk.voices, self.result.faults)
        while page := await talk.host.after(talk.cid, told.place, PAGE_MAX):
            told.read(map(heard_in_history, page))
        for peer, voice in talk.voices.items():
            self.result.sent += voice.sent
            self.result.acked += voice.acked
            if not voice.sent == voice.acked == told.stored[peer]:
                self.result.faults.append(
                    f"of {peer} in {talk.cid} {voice.sent} were sent, {voice.acked} acknowledged,"
                    f" {told.stored[peer]} are stored"
                )
        self.result.stored += told.stored.total()
        for person in talk.people:
            self._compare(person, person.records[talk.cid], talk.due(person), told.digest(person.peer))

    def _compare(self, person: Person, record: Record, due: int, digest: int) -> None:
        received = record.pushed + record.read
        if person.was_cut:
            self.result.due_cut += due
            self.result.received_cut += received
            self.result.read_cut += record.read
        else:
            self.result.due_throughout += due
            self.result.received_throughout += received
        if received != due or record.digest != digest:
            self.result.faults.append(
                f"{person.peer} received {received} of {due} messages of {record.cid}, or in another order than stored"
            )

    async def close(self) -> None:
        """Everybody goes."""
        await asyncio.gather(*(person.close() for person in self.everybody))


async def soak_load(plan: SoakPlan, link: Link) -> SoakResult:
    """Log in, make the conversations, pass the gate, live until the window ends, check what came of it."""
    result = SoakResult()
    town = Town(plan, result)
    try:
        await town.build(link)
        window: Window = await link.gate()
        await town.live(window)
        await town.settle()
        await town.check(link)
    finally:
        await town.close()
    return result


async def _before_the_end(window: Window) -> bool:
    """Wait for the next thing to happen; whether there is time for it."""
    await asyncio.sleep(PAUSE)
    return time.monotonic() < window.end - PAUSE
