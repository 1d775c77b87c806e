"""The HTTP server: uvicorn, on the event loop and the sockets it is given."""

import asyncio
import logging
import resource
import socket
import ssl
import sys
from typing import Any, cast

import httptools
import msgspec
import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: How long a first call, or the rest of one, is waited for, and a next one (s). Proxies and clients keep connections
#: for up to a minute; if we closed one first, the call that is sent at that moment would be lost.
IDLE_LIMIT, KEPT = 30.0, 75
#: The part of the file descriptors that HTTP connections may take.
SHARE = 4
#: Bytes of a request's head, and of what may stand between the parts of its body.
HEAD_MAX = 65_536
#: Calls of one connection that wait for the one in progress.
WAITING_MAX = 16
#: Descriptors that HTTP connections leave for files and the database.
DESCRIPTORS_KEPT = 32
#: Bytes a second that a reader takes of an answer at least, as many as a body has to come with.
READ_RATE_MIN = 2_048
#: Where the bytes that a peer has acknowledged stand in what Linux tells of a connection (`tcpi_bytes_acked`).
_ACKED = slice(120, 128)


class HttpServer:
    """Serves the application between `start` and `stop`. Signals are the caller's business."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, context: ssl.SSLContext | None, stop_timeout: float
    ) -> None:
        self._listener = listener
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level=logging.ERROR,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEPT,
                timeout_graceful_shutdown=max(1, round(stop_timeout)),
                ssl_context_factory=(lambda *_: context) if context else None,
            )
        )

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    async def start(self) -> None:
        # The steps of uvicorn's own `serve`, but for its signal handlers and its log lines.
        self._server.config.load()
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup(sockets=[self._listener])
        self._loop = asyncio.create_task(self._server.main_loop())

    async def stop(self) -> None:
        """Stop to listen, let the calls in progress end within the time limit, close the connections."""
        self._server.should_exit = True
        await self._loop
        await self._server.shutdown(sockets=[self._listener])


class NotTakenError(Exception):
    """A call that HTTP would allow, or what it forbids and the parser does not see; the parser passes it on."""


class OnePiece:
    """The transport as the answer to one call writes to it: the head leaves with the first part of the body.

    uvicorn writes them one by one, and each write is a system call at once.
    """

    __slots__ = ("_head", "_is_begun", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._is_begun = False

    def write(self, data: bytes) -> None:
        if self._head:
            self._transport.writelines((self._head, data) if data else (self._head,))
            self._head = b""
        elif self._is_begun:
            self._transport.write(data)
        else:
            self._head, self._is_begun = data, True

    def close(self) -> None:
        if self._head and not self._transport.is_closing():
            self._transport.write(self._head)
            self._head = b""
        self._transport.close()


class PatientProtocol(HttpToolsProtocol):
    """Closes a connection on which no call has begun for a while, one too many at once, and one with too long a head.

    And one that sends nothing more of a body, or takes hardly anything of an answer. uvicorn waits for a first call,
    for bodies and for readers for ever, takes connections until nothing else can open a file, keeps a head of any
    length and any number of calls, takes calls to no host or to two, and drops the body of a call that offers another
    protocol.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._last_scope: object = None
        self._undecided = 0  # bytes since the last head was complete, or the last part of a body
        self._is_over = False  # nothing more is read
        self._is_silent = False  # nothing has come since the last look
        self._acked: int | None = None  # by a reader that kept us waiting at the last look
        self._watch()
        if self._is_one_too_many(transport):
            transport.abort()

    def _is_one_too_many(self, transport: Any) -> bool:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        number = transport.get_extra_info("socket").fileno()
        return len(self.connections) > descriptors // SHARE or number >= descriptors - DESCRIPTORS_KEPT

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._is_silent = False
        self._undecided += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            why = error.__context__
            self.send_400_response(str(why) if isinstance(why, NotTakenError) else "This is no call of HTTP.")
        if self._undecided > HEAD_MAX and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def _parse(self, data: bytes) -> None:
        """The parser reads no body after the offer of another protocol: another one reads all without the offer."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = self._head_without_offer() + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        first = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)
        fields = [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        return b"".join([first, *fields, b"\r\n"])

    def send_400_response(self, msg: str) -> None:
        """A call that has come whole is answered before the connection ends: it may have been done already."""
        self._is_over = True
        if self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
            self.transport.write(_refusal(msg))
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            raise NotTakenError("This version of HTTP has no headers.")
        if self.parser.get_method() == b"CONNECT":
            raise NotTakenError("This server is no proxy.")
        hosts = sum(1 for field in self.headers if field[0] == b"host")
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):  # RFC 9112, 3.2
            raise NotTakenError("A call names one host, in the header `Host`.")
        if len(self.pipeline) >= WAITING_MAX:
            raise NotTakenError("Too many calls wait for their answers.")
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self._undecided = 0
            if self.scope["method"] != "HEAD" and not self.expect_100_continue:
                self.cycle.transport = cast(asyncio.Transport, OnePiece(self.transport))

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._undecided = 0

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watching.cancel()
        super().connection_lost(exc)
        self.pipeline.clear()  # calls that waited hold this: it would live on until cycles are looked for
        self.cycle = None  # type: ignore[assignment]  # as before the first call

    def _watch(self) -> None:
        self._watching = asyncio.get_running_loop().call_later(IDLE_LIMIT, self._check)

    def _check(self) -> None:
        in_progress = self.cycle is not None and not self.cycle.response_complete
        if self._reads_too_slowly() or (in_progress and self.cycle.more_body and self._is_silent):
            self.transport.abort()
            return
        if not in_progress and self.scope is self._last_scope and not self._is_kept():
            self.transport.close()  # what has been written is still read, or the reader is too slow
        self._last_scope = self.scope
        self._is_silent = True
        self._watch()

    def _is_kept(self) -> bool:
        """Whether a call has been answered, and nothing has come of the next; uvicorn closes it then after a while."""
        answered = self.cycle is not None and self.cycle.scope is self.scope
        return answered and self.timeout_keep_alive_task is not None

    def _reads_too_slowly(self) -> bool:
        """Whether the reader has kept us waiting since the last look, and taken too little meanwhile.

        What its machine has acknowledged counts: our own kernel holds much, and takes more by fits and starts.
        """
        before, self._acked = self._acked, None
        if self.flow.write_paused or self.transport.get_write_buffer_size():
            connection = self.transport.get_extra_info("socket")
            told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.stop)
            self._acked = int.from_bytes(told[_ACKED], sys.byteorder)
        return before is not None and self._acked is not None and self._acked - before < READ_RATE_MIN * IDLE_LIMIT


def _refusal(sentence: str) -> bytes:
    """The answer to what is no call; it never comes to the application."""
    body = msgspec.json.encode({"code": 400, "error": sentence})
    head = (
        b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    )
    return head % len(body) + body
