"""A TCP proxy between a client and a server, to cut, stall and refuse their connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

HOST = "127.0.0.1"
CHUNK = 65_536


class Link:
    """Forwards bytes both ways between its own port and `target_port`; see `linked`."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = False
        self._requests, self._answers = asyncio.Event(), asyncio.Event()
        self.resume()

    @property
    def url(self) -> str:
        return f"ws://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listens; the first time on any free port, later on the same one."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Drops all connections, like a network that is gone; new ones are forwarded."""
        for writer in list(self._writers):
            writer.transport.abort()

    def refuse(self) -> None:
        """Drops all connections, and new ones at once, until `resume`."""
        self._refusing = True
        self.cut()

    def stall(self) -> None:
        """Forwards nothing until `resume`; the connections stay."""
        self._requests.clear()
        self._answers.clear()

    def stall_answers(self) -> None:
        """Forwards what the client sends, but nothing that comes back, until `resume`."""
        self._answers.clear()

    def resume(self) -> None:
        """Forwards again, what was stalled too, and takes new connections."""
        self._refusing = False
        self._requests.set()
        self._answers.set()

    async def close(self) -> None:
        """Ends everything."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        self.connections += 1
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        ways = ((reader, server_writer, self._requests), (server_reader, writer, self._answers))
        for start, end, flowing in ways:
            task = asyncio.create_task(self._forward(start, end, flowing))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._writers |= {writer, server_writer}

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await flowing.wait()
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
        self._writers.discard(writer)


@contextlib.asynccontextmanager
async def linked(target_port: int) -> AsyncIterator[Link]:
    """A link to a port of this machine."""
    link = Link(target_port)
    await link.start()
    try:
        yield link
    finally:
        await link.close()
