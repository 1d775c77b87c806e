"""A client: one login, kept alive over as many connections as it takes."""

import asyncio
import contextlib
import inspect
import json
import logging
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from hongyan_client import notifications
from hongyan_client.acks import Acks
from hongyan_client.backoff import Backoff
from hongyan_client.connection import CLOSE_TIMEOUT, Connection
from hongyan_client.conversation import Conversation
from hongyan_client.errors import ClientClosed, ConnectionLost, HongyanError, RequestTimeout
from hongyan_client.events import Closed, Conflict, Disconnected, Event, MessageReceived, Reconnected
from hongyan_client.inbox import Inbox
from hongyan_client.message import Message, from_history
from hongyan_client.messages2_pb2 import AckCommand, GenericCommand, LogsCommand
from hongyan_client.outgoing import Outgoing
from hongyan_client.pushes import Pushes
from hongyan_client.query import Query
from hongyan_client.router import Router
from hongyan_client.signing import SignatureRequest, Signer
from hongyan_client.timeline import Timelines
from hongyan_client.version import __version__
from hongyan_client.wire import Subprotocol, command

log = logging.getLogger(__name__)

#: Capability bits (protocol reference 4.1): edits, temporary conversations, acks of transient messages, notifications,
#: partial failures, receipts in groups.
CAPABILITIES = 0x01 | 0x02 | 0x08 | 0x10 | 0x20 | 0x40
TOKEN_EXPIRED = 4112
CONFLICT = 4111
#: Errors and close codes after which connecting again is of no use.
FATAL = frozenset({4100, 4102, 4103, 4106, 4110, CONFLICT, 4115})

_Event = TypeVar("_Event", bound=Event)
Callback = Callable[[Any], Awaitable[None] | None]


class State(Enum):
    """Where a client is in its life."""

    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class Client:
    """Made by `Client.open`. One task may iterate over `events()`, or functions are called that `on` registered."""

    def __init__(
        self,
        router: Router,
        app_id: str,
        client_id: str | None,
        *,
        tag: str | None,
        device_id: str | None,
        sign: Signer | None,
        tls: ssl.SSLContext | None,
        protocol: Subprotocol,
        request_timeout: float,
        send_timeout: float,
        keep_alive: float,
        backoff: Backoff,
        max_events: int,
        catch_up: bool,
    ) -> None:
        self.client_id = client_id or ""
        self.state = State.RECONNECTING
        self._router = router
        self._app_id = app_id
        self._tag = tag
        self._device_id = device_id or uuid.uuid4().hex
        self._sign = sign
        self._tls = tls
        self._protocol = protocol
        self._request_timeout = request_timeout
        self._send_timeout = send_timeout
        self._keep_alive = keep_alive
        self._backoff = backoff
        self._inbox = Inbox(max_events)
        self._timelines = Timelines(self, self._inbox, catch_up=catch_up)
        self._outgoing = Outgoing(self._timelines.sent)
        self._acks = Acks(self._post)
        self._pushes = Pushes(self, self._inbox, self._timelines)
        self._conversations: WeakValueDictionary[str, Conversation] = WeakValueDictionary()
        self._callbacks: list[tuple[type[Event], Callback]] = []
        self._caller: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._ready = asyncio.Event()
        self._end: ClientClosed | None = None
        self._ended = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._notifier: asyncio.Task[None] | None = None
        self._token = ""
        self._read_marks: dict[str, dict[str, Any]] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        server: str,
        *,
        app_id: str,
        app_key: str = "",
        client_id: str | None = None,
        tag: str | None = None,
        device_id: str | None = None,
        sign: Signer | None = None,
        tls: ssl.SSLContext | None = None,
        binary: bool = True,
        offline_messages: bool = False,
        request_timeout: float = 20.0,
        send_timeout: float = 60.0,
        keep_alive: float = 30.0,
        backoff: Backoff | None = None,
        max_events: int = 1000,
        catch_up: bool = True,
    ) -> "AsyncIterator[Client]":
        """Logs a client in, and out at the end.

        `server` is the address of the server's HTTP port, which knows the gateway; or the gateway's own, with `ws://`
        or `wss://`. Without a `client_id` the server gives one. Another login with the same `tag` on another device
        ends this one; `device_id` says which device it is. `sign` signs what the app's settings demand. `tls` is for
        servers whose certificate the system does not trust.

        `binary=False` sends text frames. With `offline_messages` the server sends what arrived while the client was
        logged out as messages, otherwise it sends counts. Every `keep_alive` seconds the connection is tested.
        At most `max_events` events wait for the application. `catch_up` reads from history what was missed.

        Raises HongyanError if the server refuses and ConnectionLost if it can't be reached.
        """
        client = cls(
            Router(server, app_id, app_key, tls),
            app_id,
            client_id,
            tag=tag,
            device_id=device_id,
            sign=sign,
            tls=tls,
            protocol=Subprotocol(text=not binary, unread=not offline_messages),
            request_timeout=request_timeout,
            send_timeout=send_timeout,
            keep_alive=keep_alive,
            backoff=backoff or Backoff(),
            max_events=max_events,
            catch_up=catch_up,
        )
        await client._start()
        try:
            yield client
        finally:
            await client.close()

    async def close(self) -> None:
        """Logs out and disconnects. What still waits in `events()` is yielded; then it ends."""
        if self._end is None:
            connection = self._connection
            self._acks.flush()
            self._finish(ClientClosed(1000, "CLOSE_NORMAL", "the client was closed"), None)
            if connection is not None:
                with contextlib.suppress(HongyanError):
                    await connection.ask(self._command("session", "close"), CLOSE_TIMEOUT)
                await connection.close()
        tasks = [task for task in (self._keeper, self._notifier, self._caller) if task is not None]
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not asyncio.current_task()), return_exceptions=True)
        await self._timelines.stop()

    async def closed(self) -> ClientClosed:
        """Waits until the client is closed, by `close` or by the server; returns why."""
        await self._ended.wait()
        return self._end or ClientClosed(1000, "CLOSE_NORMAL")

    # events

    def events(self) -> AsyncIterator[Event]:
        """What happens, in order, until the client is closed.

        A loop that ended goes on where it was when a new one begins. One task may wait for events at a time.
        """
        if self._caller is not None:
            raise RuntimeError("the events of this client go to callbacks")
        return Events(self._take)

    def on(self, kind: type[_Event]) -> Callable[[Callable[[_Event], Any]], Callable[[_Event], Any]]:
        """Calls the decorated function, plain or asynchronous, with every event of this type.

        Functions are called one event at a time, in order; an exception is logged, and the next event follows.
        """
        if self._inbox.taken:
            raise RuntimeError("the events of this client go to `events()`")

        def register(function: Callable[[_Event], Any]) -> Callable[[_Event], Any]:
            self._callbacks.append((kind, function))
            if self._caller is None:
                self._caller = asyncio.create_task(self._call())
            return function

        return register

    async def _call(self) -> None:
        while (event := await self._take()) is not None:
            for kind, function in list(self._callbacks):
                if isinstance(event, kind):
                    await _called(function, event)

    async def _take(self) -> Event | None:
        event = await self._inbox.take()
        if type(event) is MessageReceived and self._is_acknowledged(event.message):
            self._acks.note(event.message)
        return event

    def _is_acknowledged(self, message: Message) -> bool:
        return not message.transient and message.sender != self.client_id and self._pushes.is_acknowledged(message)

    # conversations

    def conversation(self, conversation_id: str) -> Conversation:
        """The conversation with this id; nothing is asked of the server."""
        known = self._conversations.get(conversation_id)
        if known is None:
            known = self._conversations[conversation_id] = Conversation(self, conversation_id)
        return known

    async def create_conversation(
        self,
        *members: str,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        unique: bool = True,
        chat_room: bool = False,
        temporary: bool = False,
        ttl: int | None = None,
        **columns: Any,
    ) -> Conversation:
        """Starts a conversation with the members; unless `unique` is false, the one that exists already.

        A `chat_room` has no members; a `temporary` conversation ends after `ttl` seconds. `columns` are the
        application's own. Raises HongyanError.
        """
        everyone = sorted({*members, self.client_id})
        row = {**columns, "name": name, "attr": None if attributes is None else dict(attributes)}
        asked = {key: value for key, value in row.items() if value is not None}
        is_unique = unique and not chat_room and not temporary
        answer = await self.request(
            "conv",
            "start",
            idempotent=is_unique,
            m=[] if chat_room else everyone,
            attr={"data": json.dumps(asked, ensure_ascii=False)} if asked else None,
            unique=is_unique or None,
            transient=chat_room or None,
            tempConv=temporary or None,
            tempConvTTL=ttl,
            **(await self.signature("start", "", everyone)),
        )
        started = answer.convMessage
        made = self.conversation(started.cid)
        made.chat_room = chat_room
        if chat_room:
            self.entered(made.id, answer.serverTs)
        else:
            made._joined(everyone)
        if not started.existing:
            made.name, made.attributes, made.columns = name, dict(attributes or {}), dict(columns)
            made.creator = self.client_id
        made.created_at = datetime.fromisoformat(started.cdate) if started.cdate else made.created_at
        return made

    async def get_conversation(self, conversation_id: str) -> Conversation:
        """The conversation with what the server knows about it. Raises HongyanError."""
        return await self.conversation(conversation_id).fetch()

    def query(self) -> Query:
        """A query for conversations."""
        return Query(self)

    async def online(self, *clients: str) -> list[str]:
        """Those of the clients who are online; 20 are asked about at once."""
        found: list[str] = []
        for first in range(0, len(clients), 20):
            asked = clients[first : first + 20]
            answer = await self.request("session", "query", idempotent=True, sessionPeerIds=asked)
            found += answer.sessionMessage.onlineSessionPeerIds
        return found

    def entered(self, conversation_id: str, at: int) -> None:
        """This client came in itself; the server announces that in conversations with members only."""
        self._timelines.joined(conversation_id, at, listed=False)

    def gone(self, conversation_id: str) -> None:
        """This client left itself."""
        self._timelines.left(conversation_id)

    def unread(self, conversation_id: str) -> int:
        """Messages of a conversation that are not read."""
        return self._timelines.line(conversation_id).unread

    async def mark_read(self, conversation_id: str, up_to: Message | None) -> None:
        """Marks messages as read, now or when there is a connection."""
        if self._end is not None:
            raise self._end
        mark: dict[str, Any] = {"cid": conversation_id}
        if up_to is not None:
            mark |= {"mid": up_to.id, "timestamp": up_to.timestamp}
        elif (last := self._timelines.last_told(conversation_id)) is not None:
            mark |= {"mid": last[0] or None, "timestamp": last[1]}
        self._read_marks.pop(conversation_id, None)
        self._read_marks[conversation_id] = {key: value for key, value in mark.items() if value is not None}
        self._post_read_mark(conversation_id)

    # requests

    async def request(
        self, cmd: str, op: str | None = None, *, idempotent: bool = False, **fields: Any
    ) -> GenericCommand:
        """Sends a command of the protocol by its names and returns the answer; waits for a connection if there is none.

        If the connection ends before the answer comes, an idempotent command is sent again on the next one.
        Raises HongyanError, ConnectionLost and RequestTimeout.
        """
        asked = self._command(cmd, op, **fields)
        until = time.monotonic() + self._request_timeout
        while True:
            connection = await self._connected(until)
            try:
                return await connection.ask(asked, max(0.0, until - time.monotonic()))
            except ConnectionLost:
                if self._end is not None:
                    raise self._end from None
                if not idempotent:
                    raise

    async def http_get(self, path: str, parameters: dict[str, str | int]) -> Any:
        """What the HTTP port answers this client. Raises HongyanError and ConnectionLost."""
        if self._router.base is None:
            raise HongyanError(0, "NO_HTTP", "open the client with the address of the HTTP port")
        headers = {"X-LC-IM-Session-Token": self._token}
        return await self._router.get(path, {"client_id": self.client_id, **parameters}, headers)

    async def send(self, timeout: float | None, priority: int | None, **fields: Any) -> AckCommand:
        """Sends a `direct` command; `Conversation.send` is more convenient."""
        if self._end is not None:
            raise self._end
        asked = self._command("direct", **fields)
        if priority is not None:
            asked.priority = priority
        return await self._outgoing.send(asked, self._send_timeout if timeout is None else timeout)

    async def signature(self, action: str, conversation_id: str = "", members: Iterable[str] = ()) -> dict[str, Any]:
        """The fields of a signature; none if the application does not sign."""
        if self._sign is None:
            return {}
        signed = await self._sign(SignatureRequest(action, self.client_id, conversation_id, tuple(members)))
        return {"s": signed.signature, "t": signed.timestamp, "n": signed.nonce}

    # what the timelines read

    async def newer(self, conversation_id: str, at: int, message_id: str, limit: int) -> list[Message]:
        """The messages after a place, ascending."""
        answer = await self.request(
            "logs",
            idempotent=True,
            cid=conversation_id,
            l=limit,
            t=at,
            mid=message_id or None,
            direction=LogsCommand.NEW,
        )
        return [from_history(conversation_id, item) for item in answer.logsMessage.logs]

    async def recent(self, skip: int, limit: int) -> list[tuple[str, int]]:
        """This client's conversations and the times of their last messages, latest first."""
        rows = await self.query().sort("-lm").skip(skip).limit(limit).compact().rows()
        return [(row["objectId"], _milliseconds(row.get("lm"))) for row in rows]

    async def sends_settled(self, conversation_id: str) -> None:
        """Waits until every message on its way to the conversation is acknowledged or given up."""
        await self._outgoing.settled(conversation_id)

    def received(self, message: Message) -> MessageReceived:
        """The event of a message."""
        return MessageReceived(self.conversation(message.conversation_id), message)

    # the connection

    async def _start(self) -> None:
        connection = await self._connect()
        self._connected_to(connection)
        connection.watch(self._disconnected)
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """Connects again, for ever, until the client is closed or the server does not want it any more."""
        connection = self._connection
        while connection is not None:
            lost = await connection.wait_lost()
            if self._end is not None:
                return
            if lost.code in FATAL:
                self._finish(ClientClosed(lost.code, lost.reason, lost.detail), Closed(lost.code, lost.reason))
                return
            connection = await self._reconnect(at_once=self._pushes.take_goaway())
            if connection is None:
                return
            self._connected_to(connection)
            self._inbox.offer_state(Reconnected())
            self._timelines.reconnected()
            self._fetch_notifications()
            connection.watch(self._disconnected)

    async def _reconnect(self, at_once: bool) -> Connection | None:
        attempt = 0
        while True:
            if not at_once:
                await asyncio.sleep(self._backoff.delay(attempt))
                attempt += 1
            at_once = False
            try:
                return await self._connect()
            except (ConnectionLost, RequestTimeout) as error:
                log.info("connecting again failed: %s", error)
            except HongyanError as error:
                if error.code in FATAL:
                    kind = Conflict if error.code == CONFLICT else Closed
                    end = ClientClosed(error.code, error.reason, error.detail)
                    self._finish(end, kind(error.code, error.reason, error.detail))
                    return None
                log.warning("connecting again failed: %s", error)

    async def _connect(self) -> Connection:
        """A connection with an open session. Raises HongyanError."""
        address = await self._router.next()
        connection = await Connection.open(address, self._protocol, self._tls, self._keep_alive, self._pushes.take)
        try:
            await self._log_in(connection)
        except BaseException:
            connection.end()
            raise
        self._router.connected()
        return connection

    async def _log_in(self, connection: Connection) -> None:
        again = self._keeper is not None
        try:
            await connection.ask(await self._login(again), self._request_timeout, self._opened)
        except HongyanError as error:
            if error.code != TOKEN_EXPIRED or not self._token:
                raise
            self._token = ""
            await connection.ask(await self._login(again), self._request_timeout, self._opened)

    def _opened(self, opened: GenericCommand) -> None:
        """The session is open; what is pushed for it follows."""
        self.client_id = opened.peerId or self.client_id
        self._token = opened.sessionMessage.st
        self._pushes.opened(opened)
        if self._keeper is None:
            self._timelines.start(opened.serverTs)

    async def _login(self, again: bool) -> GenericCommand:
        """A `session/open`. A token stands for tag, device and signature, which are needed without one."""
        if self._token:
            fields: dict[str, Any] = {"st": self._token}
        else:
            fields = {"tag": self._tag, "deviceId": self._device_id, **(await self.signature("open"))}
        built = self._command(
            "session",
            "open",
            ua=f"hongyan-python/{__version__}",
            r=again,
            configBitmap=CAPABILITIES,
            lastUnreadNotifTime=self._pushes.unread_time or None,
            lastPatchTime=self._pushes.patch_time or None,
            **fields,
        )
        built.appId = self._app_id
        return built

    def _connected_to(self, connection: Connection) -> None:
        self._connection = connection
        self.state = State.CONNECTED
        self._outgoing.connected(connection)
        for conversation_id in list(self._read_marks):
            self._post_read_mark(conversation_id)
        self._acks.flush()
        self._ready.set()

    def _disconnected(self, lost: ConnectionLost) -> None:
        if self._end is not None:
            return
        self._connection = None
        self.state = State.RECONNECTING
        self._ready.clear()
        self._outgoing.disconnected()
        self._timelines.disconnected(self._pushes.server_time)
        if self._notifier is not None:
            self._notifier.cancel()
        self._inbox.offer_state(Disconnected(lost.code, lost.reason))

    async def _connected(self, until: float) -> Connection:
        """The connection, waited for. Raises ClientClosed and RequestTimeout."""
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await self._ready.wait()
        except TimeoutError:
            raise RequestTimeout("there was no connection to the server in time") from None
        if self._end is not None or self._connection is None:
            raise self._end or ClientClosed(1000, "CLOSE_NORMAL")
        return self._connection

    def _finish(self, end: ClientClosed, event: Event | None) -> None:
        """Nothing goes on after this."""
        if self._end is not None:
            return
        self._end = end
        self.state = State.CLOSED
        if event is not None:
            self._inbox.offer_state(event)
        self._connection = None
        self._outgoing.fail(end)
        self._inbox.close()
        self._ready.set()
        self._ended.set()

    # for the handling of pushes

    def ended(self, event: Closed) -> None:
        """The server closed the session."""
        connection = self._connection
        self._finish(ClientClosed(event.code, event.reason, event.detail), event)
        if connection is not None:
            connection.end()

    def moving(self) -> None:
        """The server asks to connect elsewhere."""
        self._router.forget()
        if self._connection is not None:
            self._connection.end()

    def told_unread(self, conversation_id: str) -> None:
        """The server has taken a mark."""
        self._read_marks.pop(conversation_id, None)

    def _post(self, built: GenericCommand) -> bool:
        """Sends a command that wants no answer, if there is a connection."""
        if self._connection is None or self._connection.lost is not None:
            return False
        built.peerId = self.client_id
        self._connection.post(built)
        return True

    def _post_read_mark(self, conversation_id: str) -> None:
        """A mark is kept until the server tells the new count; where it tells none, until it was sent."""
        mark = self._read_marks[conversation_id]
        if self._post(command("read", convs=[mark])) and not self._protocol.unread:
            del self._read_marks[conversation_id]

    def _command(self, cmd: str, op: str | None = None, **fields: Any) -> GenericCommand:
        built = command(cmd, op, **fields)
        if self.client_id:
            built.peerId = self.client_id
        return built

    def _fetch_notifications(self) -> None:
        if self._router.base is not None and self._token:
            fetch = notifications.fetch(self._router, self.client_id, self._token, self._pushes)
            self._notifier = asyncio.create_task(fetch)


class Events:
    """An iterator over what a function yields until it yields None."""

    def __init__(self, take: Callable[[], Awaitable[Event | None]]) -> None:
        self._take = take

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> Event:
        event = await self._take()
        if event is None:
            raise StopAsyncIteration
        return event


async def _called(function: Callback, event: Event) -> None:
    try:
        result = function(event)
        if inspect.isawaitable(result):
            await result
    except Exception:
        log.exception("a callback for %s failed", type(event).__name__)


def _milliseconds(date: Any) -> int:
    """The time of a `{"__type": "Date"}` value; 0 if there is none."""
    if not isinstance(date, dict):
        return 0
    return round(datetime.fromisoformat(date["iso"]).timestamp() * 1000)
