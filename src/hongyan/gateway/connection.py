"""One websocket: frames in, commands dispatched; frames out, gathered and bounded."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from hongyan import addresses, errors
from hongyan.engine.limits import Bucket
from hongyan.engine.sessions import Ticket
from hongyan.engine.values import App, Departure, Priority
from hongyan.errors import Kind, Refused
from hongyan.gateway import order, sockets
from hongyan.gateway.fragments import Fragments
from hongyan.gateway.frame_rate import FrameRate
from hongyan.gateway.registry import Session
from hongyan.wire import frames
from hongyan.wire.messages2_pb2 import CommandType, ErrorCommand, GenericCommand
from hongyan.wire.subprotocol import Subprotocol

if TYPE_CHECKING:
    from hongyan.gateway.server import Gateway

log = logging.getLogger(__name__)

#: How long a peer may take to answer our close before the socket is cut (s).
CLOSE_PATIENCE = 3.0
#: Large reads (queries, history, unread counts) of one connection at a time.
READS_AT_ONCE = 2
#: Bytes that may wait for a peer when something of a chat room is to be added, by its priority.
OUTBOX_FOR: dict[int, int] = {Priority.HIGH: 262_144, Priority.NORMAL: 131_072, Priority.LOW: 65_536}
#: Commands that wait for a change, of up to a frame each; with so many nothing more is read.
HELD_MAX = 16
IM_SERVICE = 2

_BINARY, _TEXT, _CONTINUATION = WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.CONTINUATION
_PING, _CLOSE = WSMsgType.PING, WSMsgType.CLOSE
_DATA = (_BINARY, _TEXT, _CONTINUATION)

#: The `X-Forwarded-For` headers of an upgrade, and that it has headers of proxies at all.
Forwarded = tuple[tuple[str, ...], bool]


class Connection(WSListener):
    def __init__(
        self,
        gateway: "Gateway",
        subprotocol: Subprotocol,
        origin: str | None = None,
        forwarded: Forwarded | None = None,
    ) -> None:
        self.gateway = gateway
        self.subprotocol = subprotocol
        self.origin = origin  # the page that a browser says it comes from
        self._forwarded = forwarded
        self._source: str | None = None
        self._error: Kind | None = None
        self.sessions: dict[str, Session] = {}
        self.connected_at = self.seen_at = gateway.loop.time()
        self.logged_in = False
        self._transport: WSTransport | None = None
        self._closing = False
        self._fragments: Fragments | None = None
        self._out: list[bytes] = []
        self._offered = 0
        self._in_flight = 0
        self.held_bytes = 0
        self.logins: Bucket | None = None
        self.live_queries: dict[str, App] | None = None  # ids of LiveQuery that logged in here
        self.changes: order.Changes = {}
        self._held: list[GenericCommand] = []  # an empty deque takes 600 bytes of every connection
        self._rate = FrameRate(gateway.options.max_rate, self.connected_at)
        self._draining = False
        self._reading = True
        self.congested = False
        self._room: asyncio.Future[None] | None = None
        self._reads: asyncio.Semaphore | None = None

    # the socket's side

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        sockets.notice_vanished_peers(transport, self.gateway.options.tcp_user_timeout)
        self.gateway.connected(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._closing = True
        why = Departure.STOPPED if self.gateway.stopping else Departure.LOST
        for session in list(self.sessions.values()):
            self.end_session(session, why)
        self._held.clear()
        self._wake_drained()
        self.gateway.disconnected(self)

    def pause_writing(self) -> None:
        """The kernel takes no more for now: `_flush` begins to look at how much waits."""
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = False
        self._wake_drained()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._closing:
            if frame.msg_type == _CLOSE:
                transport.disconnect()
            return
        now, rate = self.gateway.loop.time(), self._rate
        self.seen_at = now
        rate.left -= 1
        if rate.left < 0 and not rate.is_paused and rate.is_exceeded(now):
            self._stop_reading()
            self.gateway.loop.call_soon(self._catch_breath)
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(WSCloseCode.PROTOCOL_ERROR.value, "reserved bits are set")
            return
        kind = frame.msg_type
        if kind in _DATA:
            self._on_data(frame, kind)
        elif kind == _PING:
            self.push(frames.pong_frame(frame.get_payload_as_bytes()))
        elif kind == _CLOSE:
            self._on_close(transport, frame)

    def _catch_breath(self) -> None:
        self.gateway.loop.call_later(self._rate.pause, self._go_on)

    def _go_on(self) -> None:
        self._rate.is_paused = False
        self._resume_reading()

    def _on_close(self, transport: WSTransport, frame: WSFrame) -> None:
        """Send what is ready, then the peer's own close back."""
        self._flush()
        self._closing = True
        sockets.send_close(transport, sockets.close_code_to_answer(frame))
        transport.disconnect()

    def _on_data(self, frame: WSFrame, kind: WSMsgType) -> None:
        limit = self.gateway.options.max_frame
        gathered = 0 if self._fragments is None else len(self._fragments.gathered)
        if gathered + frame.payload_size > limit:
            self.refuse(errors.FRAME_TOO_LONG, f"a frame has at most {limit} bytes")
            return
        payload = frame.get_payload_as_bytes()
        if frame.fin and kind != _CONTINUATION and self._fragments is None:
            self._on_payload(payload, kind == _TEXT)
            return
        self._on_fragment(payload, kind, frame.fin)

    def _on_fragment(self, payload: bytes, kind: WSMsgType, last: bool) -> None:
        if (kind == _CONTINUATION) == (self._fragments is None):
            self.close(WSCloseCode.PROTOCOL_ERROR.value, "fragments out of order")
            return
        fragments = self._fragments = self._fragments or Fragments(is_text=kind == _TEXT)
        fragments.gathered += payload
        if last:
            self._fragments = None
            self._on_payload(bytes(fragments.gathered), fragments.is_text)

    def _on_payload(self, payload: bytes, is_text: bool) -> None:
        try:
            command = frames.decode_text(payload) if is_text else frames.decode(payload)
        except frames.UndecodableError:
            if is_text and not _is_utf8(payload):
                self.close(WSCloseCode.INVALID_TEXT.value, "not UTF-8")
            else:
                self.refuse(errors.UNPARSEABLE_RAW_MESSAGE, "not a command")
            return
        if self.changes or self._held:
            self._held.append(command)
            self._take_held()
        else:
            self.gateway.dispatch(self, command)

    def _take_held(self) -> None:
        """Go on with the commands that must not wait for a change, nor for an earlier one that does."""
        passed: order.Changes = {}  # what commands that go on waiting are about
        place = 0
        while place < len(self._held) and not self._closing:
            command = self._held[place]
            session = self.session(command.peerId)
            if order.must_wait(self.changes, command, session) or order.must_wait(passed, command, session):
                if order.holds_up_all(command):
                    break
                passed |= order.concerned(command, session)
                place += 1
            else:
                self._held.pop(place)
                self.gateway.dispatch(self, command)
        if len(self._held) >= HELD_MAX:
            self._stop_reading()

    @property
    def is_closing(self) -> bool:
        """Whether it has ended or is about to: nobody is logged in any more."""
        return self._closing

    @property
    def source(self) -> str:
        """The address that the peer comes from, as far as proxies are to be believed; empty if it is unknown."""
        if self._source is None:
            address = sockets.peer_address(self._transport)
            lines, forwarded = self._forwarded or ((), False)
            found = addresses.source(address, lines, forwarded, self.gateway.trusted_proxies)
            self._source = "" if found is None else str(found)
        return self._source

    # sessions

    def session(self, client: str) -> Session | None:
        """The session a command means: without a client id, the oldest that is open (reference 1.8)."""
        if client:
            return self.sessions.get(client)
        return next(iter(self.sessions.values()), None)

    def begin_session(self, app: App, client: str, ticket: Ticket, *, returned: bool = False) -> Session:
        """A session for this client; one that is open here is renewed (reference 1.8)."""
        session = self.sessions.get(client)
        if session is None:
            session = self.sessions[client] = Session(self, app, client, ticket)
            self.gateway.registry.add(session)
            self.gateway.engine.presence.session_opened(app, client, session, returned=returned)
        session.ticket = ticket
        self.logged_in = True
        return session

    def end_session(self, session: Session, why: Departure) -> None:
        if not session.is_open:
            return
        registry, engine, key = self.gateway.registry, self.gateway.engine, session.app.key
        registry.remove(session)
        del self.sessions[session.client]
        last = not registry.of_client(key, session.client)
        clean = why is not Departure.LOST
        if not self.gateway.stopping:  # who is here when the server stops keeps its place
            engine.chatrooms.ended(session, clean=clean)
        engine.wills.session_ended(session.app, session.client, session, clean=clean, last=last)
        engine.presence.session_ended(session.app, session.client, why, session, self._error)

    # requests and replies

    def run(self, command: GenericCommand, work: Coroutine[Any, Any, None]) -> None:
        """Do a request's work in a task; what it is refused with becomes its error reply.

        Commands that must not overtake a change wait until it is done.
        """
        change = order.change(command)
        if change is None:
            self.spawn(self._run(command, work))
        else:
            self.spawn_change(change, self._run(command, work))

    def spawn_change(self, change: order.Change, work: Coroutine[Any, Any, None]) -> None:
        """`spawn` what must not be overtaken."""
        order.begin(self.changes, change)
        self.spawn(self._in_order(change, work))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work in a task; until it is done it counts as an unanswered request."""
        self.begin_request()
        task = self.gateway.loop.create_task(work)
        self.gateway.tasks.add(task)
        task.add_done_callback(self._spawned)

    def _spawned(self, task: asyncio.Task[None]) -> None:
        self.gateway.tasks.discard(task)
        self.end_request()
        if not self._in_flight:
            self._reads = None  # an idle connection costs no more than it must

    @property
    def reads(self) -> asyncio.Semaphore:
        """To be held by a task for a large read, so that one connection does not take all readers."""
        if self._reads is None:
            self._reads = asyncio.Semaphore(READS_AT_ONCE)
        return self._reads

    async def _run(self, command: GenericCommand, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Refused as refusal:
            self.reply_error(command, refusal)
        except Exception:
            log.exception("a %s command failed", CommandType.Name(command.cmd))
            self.reply_error(command, Refused(errors.INTERNAL_ERROR, "the server failed"))

    async def _in_order(self, change: order.Change, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            order.done(self.changes, change)
            self._take_held()

    def begin_request(self) -> None:
        """Count a request as unanswered; with too many the socket is not read until some are answered."""
        self._in_flight += 1
        if self._in_flight >= self.gateway.options.max_inflight and self._reading:
            self._stop_reading()

    def end_request(self) -> None:
        self._in_flight -= 1
        if not self._reading:
            self._resume_reading()

    @property
    def is_answering(self) -> bool:
        """Whether requests wait for an answer."""
        return self._in_flight > 0 or bool(self._held)

    def take_no_more(self) -> None:
        """Read no more requests; `leave` follows."""
        self._draining = True
        self._stop_reading()
        self._wake_drained()

    def leave(self, code: int, reason: str) -> None:
        """Close after `take_no_more`, and read on for the peer's own close."""
        self.close(code, reason)
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.underlying_transport.resume_reading()

    def _stop_reading(self) -> None:
        if self._reading and self._transport is not None:
            self._reading = False
            self._transport.underlying_transport.pause_reading()

    def _resume_reading(self) -> None:
        """Read on, unless there is another reason not to."""
        busy = self._in_flight > self.gateway.options.max_inflight // 2
        paused = busy or self._rate.is_paused or self._draining or len(self._held) >= HELD_MAX
        if self._reading or paused or self._closing or self._transport is None:
            return
        self._reading = True
        self._transport.underlying_transport.resume_reading()

    def reply(self, request: GenericCommand, answer: GenericCommand) -> None:
        """Answer a request: its serial, its client, our clock. A request without a serial wants no answer.

        `dispatch` has filled in the client that a request without `peerId` means.
        """
        if not request.HasField("i"):
            return
        answer.i = request.i
        self.tell(answer, request.peerId)

    def reply_error(self, request: GenericCommand, refusal: Refused) -> None:
        """An `error` command with the request's serial; without a serial nothing, as it would end a JS client."""
        if request.HasField("i"):
            self.reply(request, error_command(refusal))

    def reply_to_open(self, request: GenericCommand, answer: GenericCommand) -> None:
        """`opened`, which Java wants even though its reopen has no serial."""
        if request.HasField("i"):
            answer.i = request.i
        self.tell(answer, request.peerId)

    def tell_error(self, refusal: Refused, client: str) -> None:
        """An `error` without a serial: only for a reopen that has none (reference 3.2)."""
        self.tell(error_command(refusal), client)

    def tell(self, command: GenericCommand, client: str) -> None:
        """Send a command meant for one client."""
        if client and not command.HasField("peerId"):
            command.peerId = client
        command.service = IM_SERVICE
        self.send(command)

    def send(self, command: GenericCommand) -> None:
        """Send a command of any service."""
        if not command.HasField("serverTs"):
            command.serverTs = self.gateway.engine.clock.now()
        payload = command.SerializeToString()
        self.push(frames.text_frame(payload) if self.subprotocol.text else frames.binary_frame(payload))

    # the outbox

    def push(self, frame: bytes) -> None:
        """Leave a frame in the outbox; it goes out with the rest at the end of this tick."""
        if self._closing:
            return
        if not self._out:
            self.gateway.flusher.add(self._flush)
        self._out.append(frame)

    def push_many(self, joined: bytes, count: int) -> None:
        """`push` for frames that have been put together."""
        self.gateway.frames_out += count - 1
        self.push(joined)

    def offer(self, frame: bytes, priority: int) -> bool:
        """`push` for what may be left out while the peer reads too slowly; whether it was not.

        What may not be left out ends the connection in time, as the peer would never catch up.
        """
        if self.congested:
            assert self._transport is not None
            waiting = self._transport.underlying_transport.get_write_buffer_size() + self._offered
            if waiting > OUTBOX_FOR[priority]:
                if priority == Priority.HIGH:
                    self.cut_off(f"more than {OUTBOX_FOR[priority]} bytes of a chat room unread")
                self.gateway.left_out += 1
                return False
            self._offered += len(frame)
        self.push(frame)
        return True

    async def drained(self) -> bool:
        """Wait until the peer has taken most of what was pushed; false if the connection ends instead.

        For who has much to tell: what is pushed without it must fit into the outbox.
        """
        await asyncio.sleep(0)  # the outbox is written at the end of the tick
        while self.congested and not self._closing and not self._draining:
            if self._room is None:
                self._room = self.gateway.loop.create_future()
            await self._room
        return not self._closing and not self._draining

    def _wake_drained(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def _flush(self) -> None:
        out, self._out = self._out, []
        self._offered = 0
        transport = self._transport
        if not out or transport is None or transport.is_disconnected or transport.is_close_frame_sent:
            return
        socket_side = transport.underlying_transport
        if self.congested and socket_side.get_write_buffer_size() > self.gateway.options.max_outbox:
            self.cut_off(f"more than {self.gateway.options.max_outbox} bytes unread")
            return
        socket_side.write(b"".join(out))
        self.gateway.frames_out += len(out)
        self.gateway.writes_out += 1

    # the end

    def refuse(self, kind: Kind, detail: str) -> None:
        """End the connection with a code of the protocol as its close code."""
        self._error = kind
        self.close(kind.code, f"{kind.name}: {detail}")

    def close(self, code: int, reason: str) -> None:
        """Send what is ready and say why, then wait a moment for the peer's answer.

        Closing at once could overtake the reason.
        """
        self._flush()
        self._end(code, reason)

    def cut_off(self, why: str) -> None:
        """A peer that doesn't read: what waits for it is dropped with its connection, nobody else notices.

        It is not read from any more either: a close that it has not seen it will not answer.
        """
        if self._closing or self._transport is None:
            return
        log.info("a slow peer was cut off: %s", why)
        self.gateway.slow_peers += 1
        self._transport.underlying_transport.pause_reading()
        self._end(WSCloseCode.POLICY_VIOLATION.value, "SLOW_READER")

    def _end(self, code: int, reason: str) -> None:
        if self._closing or self._transport is None:
            return
        self._closing = True
        sockets.send_close(self._transport, code, reason)
        self.gateway.loop.call_later(CLOSE_PATIENCE, self._cut)

    def _cut(self) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.disconnect(False)


def error_command(refusal: Refused) -> GenericCommand:
    error = ErrorCommand(code=refusal.kind.code, reason=refusal.kind.name)
    if refusal.detail:
        error.detail = refusal.detail
        if refusal.kind in errors.OF_APPS:
            error.appMsg = refusal.detail
    if refusal.app_code is not None:
        error.appCode = refusal.app_code
    return GenericCommand(cmd=CommandType.error, errorMessage=error)


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
