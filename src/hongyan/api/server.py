"""The HTTP server: uvicorn, on the event loop and the sockets it is given."""

import asyncio
import logging
import resource
import socket
import ssl
from typing import Any

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

IDLE_LIMIT = 30.0
#: The part of the file descriptors that HTTP connections may take.
SHARE = 4
#: Bytes of a request's head, and of what may stand between the parts of its body.
HEAD_MAX = 65_536
#: Descriptors that HTTP connections leave for files and the database.
DESCRIPTORS_KEPT = 32


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


class PatientProtocol(HttpToolsProtocol):
    """Closes a connection on which no call has begun for a while, one too many at once, and one with too long a head.

    uvicorn waits for a first call for ever, takes connections until nothing else can open a file, and keeps a head of
    any length.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._last_scope: object = None
        self._undecided = 0  # bytes since the last head was complete, or the last part of a body
        self._watch()
        if self._is_one_too_many(transport):
            transport.abort()

    def _is_one_too_many(self, transport: Any) -> bool:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        number = transport.get_extra_info("socket").fileno()
        return len(self.connections) > descriptors // SHARE or number >= descriptors - DESCRIPTORS_KEPT

    def data_received(self, data: bytes) -> None:
        self._undecided += len(data)
        super().data_received(data)
        if self._undecided > HEAD_MAX and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            raise ValueError("this version of HTTP has no headers")
        super().on_headers_complete()
        self._undecided = 0

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._undecided = 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._watching.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        self._watching = asyncio.get_running_loop().call_later(IDLE_LIMIT, self._check)

    def _check(self) -> None:
        in_progress = self.cycle is not None and not self.cycle.response_complete
        if not in_progress and self.scope is self._last_scope:
            self.transport.close()
            return
        self._last_scope = self.scope
        self._watch()
