"""A whole server in this process but for its sockets, clients that must not be harmed, and what is looked at then."""

import asyncio
import itertools
import logging
import secrets
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hongyan.bus.local import LocalBus
from hongyan.config import GatewayOptions
from hongyan.engine.clock import Clock, wall_ms
from hongyan.engine.engine import Engine
from hongyan.engine.values import App
from hongyan.gateway.server import Gateway
from hongyan.store import Store
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType
from tests.fuzz.peers import Peer, turns
from tests.support.client import BASE64, BINARY, CAPABILITIES, command, named

T = TypeVar("T")

HOME, ABROAD, LIMITED = "fuzz-app", "away-app", "slow-app"
#: How a connection may end: by the standard (RFC 6455 section 7.4), or with a code of the protocol (reference 9).
CLOSE_CODES = frozenset(range(1000, 1016)) | frozenset(range(4100, 4200))
#: Stand-ins of the same length for what is random, so that an input is the same in every run: they are replaced by
#: what they stand for when the input is sent.
CONVERSATION, FOREIGN_CONVERSATION = "0123456789abcdef00000001", "0123456789abcdef00000002"
ROOM, SERVICE, TEMPORARY = "0123456789abcdef00000003", "0123456789abcdef00000004", "_tmp:0123456789abcdef00000005"
MESSAGE, FOREIGN_MESSAGE = "known-message-id-00001", "known-message-id-00002"
TOKEN_SIZE = 245
TOKEN, FOREIGN_TOKEN = "T" * TOKEN_SIZE, "U" * TOKEN_SIZE


class Harmed(AssertionError):
    """An input did what no input may do."""


class LogWatch(logging.Handler):
    """Keeps what an operator would be alarmed by."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.alarms.append(logging.Formatter().format(record))

    def unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the event loop would log."""
        self.alarms.append(f"{context.get('message')}: {context.get('exception')!r}")


class Pair:
    """Two clients with a conversation of their own."""

    def __init__(self, harness: "Harness", app: str, names: tuple[str, str]) -> None:
        self.harness = harness
        self.app = app
        self.names = names
        self.secret = f"between us {secrets.token_hex(8)}"
        self.peers = (Peer(harness.gateway), Peer(harness.gateway, BASE64))
        self.conversation = self.message = self.token = ""
        self._serials = itertools.count(1)

    async def meet(self) -> None:
        """Open both sessions, start the conversation and say something."""
        for peer, name in zip(self.peers, self.names, strict=True):
            opened = await self._ask(peer, open_command(self.app, name))
            self.token = self.token or opened.sessionMessage.st
        started = await self._ask(self.peers[0], command("conv", "start", m=list(self.names)))
        self.conversation = started.convMessage.cid
        await self.harness.settle()
        self.forget()
        await self.talk()

    async def start_others(self) -> tuple[str, str]:
        """A chat room and a temporary conversation."""
        owner = self.peers[0]
        room = await self._ask(owner, command("conv", "start", transient=True))
        temporary = await self._ask(owner, command("conv", "start", tempConv=True, m=list(self.names)))
        self.forget()
        return room.convMessage.cid, temporary.convMessage.cid

    async def talk(self) -> None:
        """A message goes from one to the other, and nothing else comes to either."""
        sender, receiver = self.peers
        self.say_something()
        await self.harness.settle()
        acks, pushes = sender.taken(), receiver.taken()
        if [named(ack) for ack in acks] != ["ack"] or acks[0].ackMessage.HasField("code"):
            raise Harmed(f"the sender got {acks} instead of an ack")
        if [(named(push), push.peerId, push.directMessage.msg) for push in pushes] != [
            ("direct", self.names[1], self.secret)
        ]:
            raise Harmed(f"the receiver got {pushes} instead of the message")
        self.message = acks[0].ackMessage.uid

    def say_something(self) -> None:
        """Send a message; nothing is looked at."""
        self.peers[0].say(numbered(next(self._serials), command("direct", cid=self.conversation, msg=self.secret)))

    async def still_there(self) -> None:
        """For clients whose ids and conversation anybody may know: they are told things, but only their own."""
        for peer, name in zip(self.peers, self.names, strict=True):
            if [got for got in peer.taken() if got.peerId != name]:
                raise Harmed(f"{name} got what is for others")
            await self._ask(peer, command("echo", peer=name))

    async def _ask(self, peer: Peer, request: GenericCommand) -> GenericCommand:
        serial = next(self._serials)
        peer.say(numbered(serial, request))
        await self.harness.settle()
        answers = [got for got in peer.commands() if got.HasField("i") and got.i == serial]
        if len(answers) != 1 or answers[0].HasField("errorMessage"):
            raise Harmed(f"{named(request)} of a neighbour was answered with {answers}")
        return answers[0]

    def forget(self) -> None:
        """Look no more at what came so far."""
        for peer in self.peers:
            peer.forget()

    def leave(self) -> None:
        """Cut both connections."""
        for peer in self.peers:
            peer.leave()


class Harness:
    """A server; `guests` are the connections whose inputs are tried."""

    def __init__(self, path: Path, options: GatewayOptions) -> None:
        self.log = LogWatch()
        self.ahead = 0  # ms by which the clock is ahead of the machine's
        clock, bus, secret = Clock(lambda: wall_ms() + self.ahead), LocalBus(), bytes(32)
        self.store = Store.open(path / "hongyan.db", secret, clock)
        self.engine = Engine(self.store, bus, clock, secret)
        self.gateway = Gateway(self.engine, bus, options)
        self.guests: list[Peer] = []
        self.replacements: dict[bytes, bytes] = {}

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self.log.unhandled)
        logging.getLogger().addHandler(self.log)
        self.store.on_fatal = lambda error: self.log.alarms.append(repr(error))
        self.store.start(loop)
        await self.engine.start()
        for app, limits in ((HOME, "off"), (ABROAD, "off"), (LIMITED, "on")):
            await self.engine.apps.create(app, id=app, settings={"limits": limits, "members_max": "6"})
        await self.meet()

    async def meet(self) -> None:
        """New neighbours: `secret` is unknown to the guests, `foreign` is another app's, `known` they know all of."""
        self.secret = Pair(self, HOME, (secrets.token_hex(8), secrets.token_hex(8)))
        self.foreign = Pair(self, ABROAD, ("alien-1", "alien-2"))
        self.known = Pair(self, HOME, ("known-1", "known-2"))
        self.pairs = (self.secret, self.foreign, self.known)
        for pair in self.pairs:
            await pair.meet()
            pair.forget()
        known, foreign = self.known, self.foreign
        room, temporary = await known.start_others()
        service = await self.engine.services.create(app_of(self, HOME), {"name": "news"})
        self.replacements = {
            CONVERSATION.encode(): known.conversation.encode(),
            FOREIGN_CONVERSATION.encode(): foreign.conversation.encode(),
            ROOM.encode(): room.encode(),
            SERVICE.encode(): service.id.encode(),
            TEMPORARY.encode(): temporary.encode(),
            MESSAGE.encode(): known.message.encode(),
            FOREIGN_MESSAGE.encode(): foreign.message.encode(),
            TOKEN.encode(): known.token.encode(),
            FOREIGN_TOKEN.encode(): foreign.token.encode(),
        }
        assert all(len(stand_in) == len(real) for stand_in, real in self.replacements.items()), (
            f"tokens have {len(known.token)} characters now: change TOKEN_SIZE"
        )

    async def close(self) -> None:
        for peer in (*self.guests, *(peer for pair in self.pairs for peer in pair.peers)):
            peer.leave()
        await self.settle()
        await self.store.close()
        logging.getLogger().removeHandler(self.log)

    # inputs

    def connect(self, subprotocol: str = BINARY, client: str | None = None, app: str = HOME) -> Peer:
        """A guest, with a session if a client is named."""
        guest = Peer(self.gateway, subprotocol)
        self.guests.append(guest)
        if client is not None:
            guest.say(numbered(-1, open_command(app, client)))
        return guest

    def real(self, payload: bytes) -> bytes:
        """An input with what its stand-ins stand for."""
        for stand_in, meant in self.replacements.items():
            payload = payload.replace(stand_in, meant)
        return payload

    # and then

    async def settle(self) -> None:
        """Wait until everything that was asked is answered and told."""
        peers = [*self.guests, *(peer for pair in getattr(self, "pairs", ()) for peer in pair.peers)]
        await turns()
        while self._is_busy(peers):
            under_way = {*self.gateway.tasks, *self.engine.access._tasks, *self.engine.streams._tasks}
            if under_way:
                await asyncio.wait(under_way)
            await self.store.writer.call(lambda bound: None)  # done when all that was asked before is
            await turns()
        await turns()  # what was left in an outbox in this moment leaves it

    def _is_busy(self, peers: list[Peer]) -> bool:
        return (
            bool(self.gateway.tasks or self.engine.access._tasks or self.engine.streams._tasks)
            or any(connection.is_answering for connection in self.gateway.connections)
            or any(peer.waits_to_send for peer in peers)
        )

    async def check(self) -> None:
        """Raises Harmed, or AssertionError, if what the guests sent did more than it may."""
        for guest in self.guests:
            guest.go_on_reading()
        await self.settle()
        self.check_log()
        for guest in self.guests:
            self._check_guest(guest)
        await self.secret.talk()
        await self.foreign.talk()
        await self.known.still_there()
        self.check_log()
        if not all(peer.is_open for pair in self.pairs for peer in pair.peers):
            raise Harmed("a neighbour lost its connection")

    def check_log(self) -> None:
        """Raises Harmed if the log has an alarm."""
        if self.log.alarms:
            raise Harmed("in the log: " + "\n".join(self.log.alarms))

    async def dismiss(self) -> None:
        """Cut the guests' connections; nothing of them may be left."""
        for guest in self.guests:
            guest.leave()
        await self.settle()
        self.guests.clear()
        neighbours = {peer.connection for pair in self.pairs for peer in pair.peers}
        if self.gateway.connections != neighbours or self.gateway.registry.sessions != len(neighbours):
            raise Harmed("connections or sessions are left behind")
        engine = self.engine
        if engine.messages._pending or engine.access._loading or engine.streams._loading or engine.chatrooms._entering:
            raise Harmed("requests are left behind")

    async def attempt(self, inputs: Coroutine[Any, Any, None]) -> None:
        """Try inputs and look at what they did; a harmed server gets new neighbours, for the next attempt."""
        try:
            await inputs
            await self.check()
            await self.dismiss()
        except BaseException:
            await self._recover()
            raise

    async def _recover(self) -> None:
        for peer in (*self.guests, *(peer for pair in self.pairs for peer in pair.peers)):
            peer.leave()
        self.guests.clear()
        self.pairs = ()
        await self.settle()
        self.log.alarms.clear()
        await self.meet()

    def _check_guest(self, guest: Peer) -> None:
        got = guest.commands()
        contents = guest.contents()
        for pair in (self.secret, self.foreign):
            if pair.secret.encode() in contents:
                raise Harmed("a guest got what was said in a conversation of others")
        opened = {answer.peerId for answer in got if answer.cmd == CommandType.session and answer.op == OpType.opened}
        strange = {answer.peerId for answer in got} - opened - guest.peers_named - {""}
        if strange:
            raise Harmed(f"a guest got what is for {strange}")
        answers = Counter(answer.i for answer in got if answer.HasField("i"))
        if answers - guest.may:
            raise Harmed(f"answered too often: {answers - guest.may}")
        if guest.is_open and guest.must - answers:
            raise Harmed(f"never answered: {guest.must - answers}")
        if set(guest.close_codes) - CLOSE_CODES - {guest.close_asked}:
            raise Harmed(f"closed with {guest.close_codes}")


class Running:
    """A harness on an event loop of its own, for tests that hypothesis calls many times."""

    def __init__(self, path: Path, options: GatewayOptions | None = None) -> None:
        self._runner = asyncio.Runner()
        options = options or GatewayOptions(max_rate=1_000_000)
        self.harness = self.run(_made(path, options))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def close(self) -> None:
        self.run(self.harness.close())
        self._runner.close()


@contextmanager
def running(path: Path, options: GatewayOptions | None = None) -> Iterator[Running]:
    """A harness that is closed at the end."""
    made = Running(path, options)
    try:
        yield made
    finally:
        made.close()


async def _made(path: Path, options: GatewayOptions) -> Harness:
    harness = Harness(path, options)
    await harness.start()
    return harness


def app_of(harness: Harness, app: str) -> App:
    found = harness.engine.apps.get(app)
    assert found is not None
    return found


def numbered(serial: int, request: GenericCommand) -> GenericCommand:
    request.i = serial
    return request


def open_command(app: str, client: str) -> GenericCommand:
    """A login as the JavaScript SDK makes it."""
    request = command("session", "open", client, ua="js/5.0.0-rc.8", r=False, configBitmap=CAPABILITIES)
    request.appId = app
    return request
