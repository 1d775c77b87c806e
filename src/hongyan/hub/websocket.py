"""Connections that a connector opens to hear by, where the platform can reach no address of ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from picows import WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.http import dial
from hongyan.outbound import Outbound

TEXT, BINARY = WSMsgType.TEXT, WSMsgType.BINARY
#: Waits between tries (s); silence after which a connection is tried; bytes of a message, and messages that may wait.
WAIT_MIN, WAIT_MAX, IDLE, MESSAGE_MAX, WAITING = 1.0, 60.0, 60.0, 1_048_576, 1000
#: Bytes of all messages that wait.
BYTES_WAITING = 4 * MESSAGE_MAX


def backoff(tries: int) -> float:
    """How long to wait (s) after so many tries in a row that did not last."""
    return min(WAIT_MIN * 2.0 ** min(tries, 32), WAIT_MAX)


async def keep_listening(
    listen: Callable[[], Awaitable[None]], steady: Callable[[], float], wait: Callable[[int], float] = backoff
) -> None:
    """`listen` is one connection from its beginning to its end; one follows another until this is cancelled.

    Raises Problem if the credentials are bad.
    """
    tries = 0
    while True:
        began, after = steady(), None
        try:
            await listen()
        except Problem as problem:
            if problem.outcome is Outcome.BAD_CREDENTIAL:
                raise
            after = problem.after
        if steady() - began >= WAIT_MAX:  # it was good: the next try is not one of many
            tries = 0
        await asyncio.sleep(after or wait(tries))
        tries += 1


class Refused(Problem):
    """The other side takes no connection, and says why in `headers`, whose names are in lower case."""

    def __init__(self, reason: str, headers: dict[str, str]) -> None:
        super().__init__(Outcome.TRANSIENT, reason)
        self.headers = headers


@asynccontextmanager
async def connected(outbound: Outbound, url: str, kind: WSMsgType = TEXT) -> "AsyncIterator[Websocket]":
    """A connection by which messages of one kind come. Raises Problem, in which no path or query of the URL stands."""
    try:
        target = urlsplit(url)
        port = target.port or (443 if target.scheme == "wss" else 80)
    except ValueError:
        target, port = urlsplit(""), 0
    if target.scheme not in ("ws", "wss") or not target.hostname:
        raise Problem(Outcome.TRANSIENT, "what is given as the address of a connection is none")
    trusted = await outbound.tls() if target.scheme == "wss" else None
    sock = await dial(outbound, target.hostname, port)
    made = Websocket(kind)
    try:
        await ws_connect(
            lambda: made,
            url,
            ssl_context=trusted,
            max_redirects=0,
            max_frame_size=MESSAGE_MAX,
            enable_auto_ping=True,
            auto_ping_idle_timeout=IDLE,
            socket_factory=lambda _: sock,
        )
    except (WSError, OSError, TimeoutError, ValueError) as error:
        sock.close()
        raise Refused(f"no connection could be opened: {type(error).__name__}", _headers(error)) from None
    except asyncio.CancelledError:
        made.close()
        raise
    try:
        yield made
    finally:
        await made.closed()


class Websocket(WSListener):
    """Hands out whole messages. Whoever sends too much, or another kind of them, is left."""

    def __init__(self, kind: WSMsgType) -> None:
        super().__init__()
        self._kinds = (kind, WSMsgType.CONTINUATION)
        self._kind = kind
        self._transport: WSTransport | None = None
        self._closing = False
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._parts = bytearray()
        self._waiting = 0

    async def receive(self) -> bytes | None:
        """The next message, or None when the connection has closed."""
        message = await self._messages.get()
        self._waiting -= len(message or b"")
        return message

    def send(self, message: bytes) -> None:
        """Nothing happens if the connection has closed: what is not acknowledged is told again."""
        if self._transport is not None:
            self._transport.send(self._kind, message)

    def close(self) -> None:
        """Now, or as soon as it is open."""
        self._closing = True
        if self._transport is not None:
            self._transport.disconnect()

    async def closed(self) -> None:
        """Close it, and wait for that."""
        self.close()
        if self._transport is not None:
            with suppress(WSError):  # it tells here what the other side has done against the protocol
                await self._transport.wait_disconnected()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self._closing:  # nobody waits for it any more
            transport.disconnect()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in self._kinds:
            self._parts += frame.get_payload_as_memoryview()
            waiting = self._waiting + len(self._parts)
            if len(self._parts) > MESSAGE_MAX or self._messages.qsize() > WAITING or waiting > BYTES_WAITING:
                transport.disconnect()
            elif frame.fin:
                self._waiting = waiting
                self._messages.put_nowait(bytes(self._parts))
                self._parts.clear()
        elif frame.msg_type not in (WSMsgType.PING, WSMsgType.PONG):
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._messages.put_nowait(None)


def _headers(error: Exception) -> dict[str, str]:
    """Those of the answer that is no connection."""
    response = error.response if isinstance(error, WSHandshakeError) else None
    return {} if response is None else {name.lower(): value for name, value in response.headers.items()}
