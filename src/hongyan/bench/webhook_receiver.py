"""A receiver of webhooks that answers as the path says: `ok`, a status, `garbage`, or never (`hang`)."""

import asyncio
import urllib.request
from collections import Counter
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import uvloop

HOST = "127.0.0.1"


def serve(link: Connection, _cert: str | None, _key: str | None) -> None:
    """Run until the other end of `link` closes; sends the port first."""
    uvloop.run(_serve(link))


def calls(url: str) -> int:
    """How often this address was called so far."""
    parts = urlsplit(url)
    with urllib.request.urlopen(f"http://{parts.netloc}/calls{parts.path}", timeout=10) as answer:
        return int(answer.read())


async def _serve(link: Connection) -> None:
    counts: Counter[str] = Counter()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await _answer(reader, writer, counts):
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    link.send(server.sockets[0].getsockname()[1])
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(link.fileno(), closed.set)
    await closed.wait()
    server.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: Counter[str]) -> bool:
    """Answer one call; whether the connection goes on."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    sizes = [int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")]
    await reader.readexactly(sum(sizes))
    how = first.split()[1].removeprefix("/")
    if how.startswith("calls/"):
        said = str(counts[how.removeprefix("calls/")]).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))
        return True
    counts[how] += 1
    if how == "hang":
        await asyncio.Event().wait()
    if how == "garbage":
        writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        return False
    writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % (204 if how == "ok" else int(how)))
    return True
