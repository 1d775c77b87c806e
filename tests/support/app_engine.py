"""An app's own engine on a loopback port, which answers as a test says and notes what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
FUNCTIONS = "/1.1/functions/"
METADATAS = "_ops/metadatas"
TIMEOUT = 60.0
"""Seconds after which a call that does not come is an error."""

Hook = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Call:
    """One call of a function, with all its headers in lower case."""

    name: str
    params: dict[str, Any]
    headers: Mapping[str, str]
    path: str


@dataclass(frozen=True)
class Raw:
    """An answer as it is: its status, and its body or all of its bytes."""

    status: int = 200
    body: bytes = b""
    headers: str = ""
    everything: bytes | None = None


class AppEngine:
    """`hooks` are the functions: what they return is the result, or `Raw`; they may be coroutines.

    `names` are those that it says it has: those of `hooks` unless it is said; None: it does not tell them.
    """

    def __init__(self, **hooks: Hook) -> None:
        self.hooks = {f"_{name}": hook for name, hook in hooks.items()}
        self.names: list[str] | None = list(self.hooks)
        self.calls: list[Call] = []
        self._given: dict[str, list[dict[str, Any]]] = {}
        self.others: Hook | None = None
        self.port = 0
        self._news = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def of(self, name: str) -> list[dict[str, Any]]:
        """What a hook was given, in the order of the calls."""
        return list(self._given.get(f"_{name}", ()))

    async def expect(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until a hook has been called so often; what it was given."""
        async with asyncio.timeout(TIMEOUT), self._news:
            await self._news.wait_for(lambda: len(self._given.get(f"_{name}", ())) >= count)
        return self.of(name)

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, port, limit=1 << 24)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                call = await _read(reader)
                if call.name != METADATAS:
                    async with self._news:
                        self.calls.append(call)
                        self._given.setdefault(call.name, []).append(call.params)
                        self._news.notify_all()
                answer = await self._answer(call)
                writer.write(answer.everything if answer.everything is not None else _bytes(answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, call: Call) -> Raw:
        if call.name == METADATAS and self.names is not None:
            return _result(self.names)
        hook = self.hooks.get(call.name, self.others)
        if hook is None:
            return Raw(404, b'{"code": 404, "error": "cloud func not found."}')
        result = hook(call.params)
        if isinstance(result, Awaitable):
            result = await result
        return result if isinstance(result, Raw) else _result(result)


@asynccontextmanager
async def app_engine(**hooks: Hook) -> AsyncIterator[AppEngine]:
    """A running engine."""
    engine = AppEngine(**hooks)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def _read(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path = first.split(" ")[1]
    return Call(path.removeprefix(FUNCTIONS), json.loads(body or b"{}"), headers, path)


def _result(value: Any) -> Raw:
    return Raw(200, json.dumps({"result": value}).encode())


def _bytes(answer: Raw) -> bytes:
    head = f"HTTP/1.1 {answer.status} X\r\nContent-Length: {len(answer.body)}\r\n{answer.headers}\r\n"
    return head.encode() + answer.body
