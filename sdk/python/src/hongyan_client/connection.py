"""One websocket: commands out in order, answers by serial, everything else to a callback."""

import asyncio
import contextlib
import itertools
import logging
import ssl
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol as Name

from hongyan_client.errors import ABNORMAL, ConnectionLost, RequestTimeout
from hongyan_client.messages2_pb2 import GenericCommand
from hongyan_client.wire import Subprotocol, named, refusal

log = logging.getLogger(__name__)

#: Called once with the answer, or with the error that the connection ended with.
OnReply = Callable[[GenericCommand | ConnectionLost], None]
#: Bytes of one frame from the server; a page of history is the largest.
FRAME_MAX = 64 * 1024 * 1024
#: Seconds for the TCP connection and the handshake.
CONNECT_TIMEOUT = 20.0
#: Seconds for the closing handshake.
CLOSE_TIMEOUT = 5.0
UNPARSEABLE = 4114


class Connection:
    """Made by `open`; `on_push` is called for every command that answers no request."""

    def __init__(
        self, socket: ClientConnection, protocol: Subprotocol, on_push: Callable[[GenericCommand], None]
    ) -> None:
        self._socket = socket
        self._protocol = protocol
        self._on_push = on_push
        self._serials = itertools.count(1)
        self._replies: dict[int, OnReply] = {}
        self._outgoing: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._lost: ConnectionLost | None = None
        self._on_lost: Callable[[ConnectionLost], None] | None = None
        self._writer = asyncio.create_task(self._write())
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls,
        address: str,
        protocol: Subprotocol,
        tls: ssl.SSLContext | None,
        keep_alive: float,
        on_push: Callable[[GenericCommand], None],
    ) -> "Connection":
        """Raises ConnectionLost."""
        options: dict[str, Any] = {"ssl": tls} if tls and address.startswith("wss:") else {}
        try:
            socket = await connect(
                address,
                subprotocols=[Name(protocol.name)],
                compression=None,
                max_size=FRAME_MAX,
                open_timeout=CONNECT_TIMEOUT,
                close_timeout=CLOSE_TIMEOUT,
                ping_interval=keep_alive,
                ping_timeout=keep_alive,
                **options,
            )
        except InvalidStatus as error:
            detail = f"{address} answered {error.response.status_code} to the websocket handshake"
            raise ConnectionLost(ABNORMAL, "CLOSE_ABNORMAL", detail) from error
        except (OSError, InvalidHandshake, EOFError, ConnectionClosed) as error:
            raise ConnectionLost(ABNORMAL, "CLOSE_ABNORMAL", f"{address}: {error or type(error).__name__}") from error
        return cls(socket, protocol, on_push)

    @property
    def lost(self) -> ConnectionLost | None:
        """How the connection ended, if it did."""
        return self._lost

    def watch(self, on_lost: Callable[[ConnectionLost], None]) -> None:
        """Calls the function when the connection ends, before any request fails by it; at once if it has ended."""
        self._on_lost = on_lost
        if self._lost is not None:
            on_lost(self._lost)

    def post(self, command: GenericCommand) -> None:
        """Sends a command that wants no answer. Commands leave in the order of the calls."""
        if self._lost is None:
            self._outgoing.put_nowait(self._protocol.encode(command))

    def request(self, command: GenericCommand, on_reply: OnReply) -> int:
        """Sends a command; `on_reply` is called at once when the answer is read. Returns the serial."""
        serial = command.i = next(self._serials)
        if self._lost is not None:
            on_reply(self._lost)
        else:
            self._replies[serial] = on_reply
            self.post(command)
        return serial

    async def ask(
        self, command: GenericCommand, timeout: float, on_answer: Callable[[GenericCommand], None] | None = None
    ) -> GenericCommand:
        """Sends a command and returns its answer. Raises HongyanError, ConnectionLost and RequestTimeout.

        `on_answer` is called with a good answer before anything is read that the server sent after it.
        """
        reply: asyncio.Future[GenericCommand | ConnectionLost] = asyncio.get_running_loop().create_future()

        def answered(outcome: GenericCommand | ConnectionLost) -> None:
            if on_answer and isinstance(outcome, GenericCommand) and refusal(outcome) is None:
                on_answer(outcome)
            if not reply.done():
                reply.set_result(outcome)

        serial = self.request(command, answered)
        try:
            async with asyncio.timeout(timeout):
                outcome = await reply
        except TimeoutError:
            raise RequestTimeout(f"no answer to {named(command)} within {timeout:g} s") from None
        finally:
            self._replies.pop(serial, None)
        return accepted(outcome)

    async def wait_lost(self) -> ConnectionLost:
        """Waits for the end of the connection."""
        await asyncio.shield(self._reader)
        return self._lost or ConnectionLost(ABNORMAL, "CLOSE_ABNORMAL")

    def end(self) -> None:
        """Lets the connection end soon; `wait_lost` returns then."""
        self._writer.cancel()
        self._socket.transport.abort()

    async def close(self) -> None:
        """Sends what waits, closes the websocket and waits for its end."""
        if self._lost is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._outgoing.join()
        self._writer.cancel()
        await self._socket.close()
        await self.wait_lost()

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._socket.send(await self._outgoing.get())
                self._outgoing.task_done()

    async def _read(self) -> None:
        try:
            async for data in self._socket:
                self._receive(self._protocol.decode(data))
        except ConnectionClosed:
            pass
        except ValueError:
            log.warning("the server sent a frame that is not a command; connecting again")
            await self._socket.close(UNPARSEABLE, "UNPARSEABLE_RAW_MESSAGE")
        finally:
            self._writer.cancel()
            self._fail(ConnectionLost(self._socket.close_code or ABNORMAL, self._socket.close_reason or "CLOSED"))

    def _receive(self, received: GenericCommand) -> None:
        on_reply = self._replies.pop(received.i, None) if received.HasField("i") else None
        try:
            if on_reply is not None:
                on_reply(received)
            elif not received.HasField("i"):  # else an answer nobody waits for any more
                self._on_push(received)
        except Exception:
            log.exception("a command of the server could not be taken: %s", named(received))

    def _fail(self, lost: ConnectionLost) -> None:
        self._lost = lost
        if self._on_lost is not None:
            self._on_lost(lost)
        replies, self._replies = self._replies, {}
        for on_reply in replies.values():
            on_reply(lost)


def accepted(outcome: GenericCommand | ConnectionLost) -> GenericCommand:
    """The answer. Raises what it, or the end of the connection, says went wrong."""
    if isinstance(outcome, ConnectionLost):
        raise outcome
    error = refusal(outcome)
    if error is not None:
        raise error
    return outcome
