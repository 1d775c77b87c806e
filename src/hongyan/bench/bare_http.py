"""The ceiling of `rest`: Litestar on the project's own HTTP server with the same answer, and nothing behind it."""

import asyncio
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop
from litestar import Litestar, Request, post
from litestar.params import FromPath

from hongyan import listen, tls
from hongyan.api.server import HttpServer
from hongyan.bench.rest_load import SERVICES
from hongyan.engine.values import new_message_id

STOP_TIMEOUT = 1.0


def serve(link: Connection, cert: str | None, key: str | None) -> None:
    """Run until the other end of `link` closes; sends the port first."""
    uvloop.run(_serve(link, tls.server_context(_path(cert), _path(key))))


def _path(file: str | None) -> Path | None:
    return Path(file) if file else None


async def _serve(link: Connection, context: Any) -> None:
    app = Litestar([send], logging_config=None, openapi_config=None)
    server = HttpServer(app, listen.bind("127.0.0.1", 0, "http_port"), context, STOP_TIMEOUT)
    await server.start()
    link.send(server.port)
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(link.fileno(), closed.set)
    await closed.wait()
    await server.stop()


@post(f"{SERVICES}/{{conversation_id:str}}/messages", status_code=200)
async def send(request: Request[Any, Any, Any], conversation_id: FromPath[str]) -> dict[str, Any]:
    """What Hongyan answers to a message."""
    await request.json()
    now = time.time_ns() // 1_000_000
    answer = {"msg-id": new_message_id(now), "timestamp": now}
    return {**answer, "result": answer}
