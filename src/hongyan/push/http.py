"""HTTP to the services: bounded in time, connections and bytes; no redirect is followed."""

import asyncio
import contextlib
import functools
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from hongyan.engine.pushing import Refused, RetryLater
from hongyan.push.failed import Failed

#: Seconds until there is a connection, for which nothing may come, and for all of a request. After silence a connection
#: is given up; one that has died without a word would otherwise be used again.
CONNECT, SILENCE, WHOLE = 5.0, 10.0, 15.0
#: Seconds for which a connection that nobody uses is kept: Apple asks not to connect often.
IDLE, IDLE_HTTP2 = 30.0, 600.0
#: Bytes of an answer that are read.
ANSWER_MAX = 65_536
#: Connections to one service; with HTTP/2 each carries many requests.
CONNECTIONS = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is None if it was longer than is read, or packed."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The object that was answered; an empty one for anything else."""
        try:
            value = msgspec.json.decode(self.body or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


class Http:
    """A pool of connections. `http2`: nothing else is spoken, without TLS by prior knowledge."""

    def __init__(self, *, http2: bool = False) -> None:
        self._client = httpx.AsyncClient(
            verify=tls(http2),
            http1=not http2,
            http2=http2,
            follow_redirects=False,
            timeout=httpx.Timeout(SILENCE, connect=CONNECT),
            limits=httpx.Limits(
                max_connections=CONNECTIONS,
                max_keepalive_connections=CONNECTIONS,
                keepalive_expiry=IDLE_HTTP2 if http2 else IDLE,
            ),
        )
        # an answer that comes packed could be any size when it is unpacked
        self._client.headers["Accept-Encoding"] = "identity"

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises Failed if there is no answer in time."""
        try:
            async with (
                asyncio.timeout(WHOLE),
                self._client.stream("POST", url, content=content, headers=headers) as answer,
            ):
                return Answer(answer.status_code, answer.headers, await _body(answer))
        except httpx.InvalidURL:
            raise Failed(Refused("InvalidUrl", "the address is no URL")) from None
        except (TimeoutError, httpx.TransportError) as error:
            raise Failed(
                RetryLater(None, f"{urlsplit(url).hostname} gives no answer: {type(error).__name__}")
            ) from None

    async def close(self) -> None:
        await self._client.aclose()


async def _body(answer: httpx.Response) -> bytes | None:
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > ANSWER_MAX:
            return None
    return None if "Content-Encoding" in answer.headers else bytes(body)


def load() -> None:
    """Read and import what the first requests would: by some to a port where nobody is. For a thread of its own."""

    async def ask(http2: bool) -> None:
        http = Http(http2=http2)
        with contextlib.suppress(Failed):
            await http.post("http://127.0.0.1:0/", b"", {})
        await http.close()

    for http2 in (False, True):
        asyncio.run(ask(http2))


@functools.cache
def tls(http2: bool) -> ssl.SSLContext:
    """To read all the certificates takes long; each kind has its own, since it holds which protocol is offered."""
    return httpx.create_ssl_context()
