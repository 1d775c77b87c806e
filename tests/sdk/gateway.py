"""A gateway in the test's own process, which answers what the test tells it to and keeps what it received."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from hongyan_client import Backoff, Client
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from hongyan.wire.messages2_pb2 import GenericCommand
from hongyan.wire.subprotocol import SUPPORTED
from tests.support.client import command, named

START = 1_700_000_000_000
#: Answers a request; None leaves it unanswered.
Answer = Callable[[GenericCommand], GenericCommand | None]


class Gateway:
    """Logs everybody in; `answers` holds what to say to requests, by name, and `then` what to do right after."""

    def __init__(self) -> None:
        self.received: list[GenericCommand] = []
        self.answers: dict[str, Answer] = {
            "session/open": lambda asked: command("session", "opened", st="token", stTtl=3600),
            "session/close": lambda asked: command("session", "closed"),
            "conv/query": lambda asked: command("conv", "results", results={"data": "[]"}),
            "logs": lambda asked: command("logs", cid=asked.logsMessage.cid),
            "echo": lambda asked: command("echo"),
        }
        self.then: dict[str, Callable[[], Awaitable[None]]] = {}
        self.sockets: list[ServerConnection] = []
        self.time = START
        self._server: Server | None = None
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    async def __aenter__(self) -> "Gateway":
        self._server = await serve(
            self._talk, "127.0.0.1", 0, subprotocols=[Subprotocol(name) for name in SUPPORTED], compression=None
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def open(self, client_id: str | None = "tom", **options: Any) -> AbstractAsyncContextManager[Client]:
        """A client of this gateway."""
        chosen = {"server": self.url, "backoff": Backoff(first=0.01, most=0.02), **options}
        return Client.open(chosen.pop("server"), app_id="app", client_id=client_id, **chosen)

    def answer(self, name: str, cmd: str, op: str | None = None, **fields: Any) -> None:
        """Answers all requests of a name with a command."""
        self.answers[name] = lambda asked: command(cmd, op, **fields)

    async def push(self, cmd: str, op: str | None = None, *, at: int | None = None, **fields: Any) -> None:
        """Sends a command to the client that connected last."""
        pushed = command(cmd, op, "tom", **fields)
        pushed.service, pushed.serverTs = 2, self.now() if at is None else at
        await self.sockets[-1].send(pushed.SerializeToString())

    async def message(self, number: int, cid: str = "c1", sender: str = "jerry", **fields: Any) -> None:
        """Pushes the message with this number."""
        fields = {"msg": f"m{number}", **fields}
        await self.push(
            "direct",
            at=START + number,
            cid=cid,
            id=f"id{number}",
            fromPeerId=sender,
            timestamp=START + number,
            **fields,
        )

    async def expect(self, name: str, count: int = 1) -> GenericCommand:
        """The command of this name that came as the one numbered `count`, waited for."""

        def found() -> list[GenericCommand]:
            return [one for one in self.received if named(one) == name]

        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: len(found()) >= count)
        return found()[count - 1]

    def names(self) -> list[str]:
        """The names of all commands received."""
        return [named(one) for one in self.received]

    def cut(self) -> None:
        """Drops the connection of the client that connected last."""
        self.sockets[-1].transport.abort()

    def now(self) -> int:
        self.time += 1
        return self.time

    async def _talk(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        with contextlib.suppress(ConnectionClosed):
            async for data in socket:
                await self._receive(socket, data)

    async def _receive(self, socket: ServerConnection, data: bytes | str) -> None:
        assert isinstance(data, bytes)
        asked = GenericCommand.FromString(data)
        answer = self.answers.get(named(asked), lambda _: None)(asked)
        async with self._news:
            self.received.append(asked)
            self._news.notify_all()
        if answer is not None and asked.HasField("i"):
            answer.i, answer.service = asked.i, 2
            answer.peerId = asked.peerId or "given"
            answer.serverTs = answer.serverTs or self.now()
            await socket.send(answer.SerializeToString())
        if named(asked) in self.then:
            await self.then[named(asked)]()


def rows(*found: dict[str, Any]) -> Answer:
    """The answer to a query."""
    return lambda asked: command("conv", "results", results={"data": json.dumps(found)})
