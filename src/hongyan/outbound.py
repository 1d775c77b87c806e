"""Calling addresses that somebody has given to the server, such as engines of apps and webhooks.

Whoever may set such an address must not reach through the server what only the server can: a name is resolved here, the
addresses are looked at, and the connection goes to the one that was looked at. No redirect is followed; time, bytes and
connections are bounded. A certificate must be that of the name.
"""

import asyncio
import functools
import os
import select
import socket
import ssl
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import cast

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

from hongyan import addresses
from hongyan.addresses import Address

#: Time for one address to take a connection (s), and how many addresses of a name are tried.
CONNECT, ADDRESSES = 5.0, 3
#: Bytes of an answer that are read, unless it is said.
ANSWER_MAX = 1_048_576
#: Bytes of a line of an answer's head, and how many lines.
LINE_MAX, LINES_MAX = 8_190, 128
#: Answers that only say that one is to come (RFC 9110, 15.2), and bytes that are read at once: each costs more than its
#: bytes, and a peer may send thousands in what one look at the connection brings.
INTERIM_MAX, PIECE = 16, 4_096
#: Bytes that may come besides those of a body and half as many: of chunks that hold hardly anything a megabyte takes a
#: second. What waits to be taken counts, too.
BESIDE_MAX = 524_288
#: Connections to one origin, and how long one is kept without use (s): Node closes them after five.
CONNECTIONS, KEPT = 256, 4.0
#: For how long the addresses of a name are good (s), names that are remembered, and that are looked up at once.
RESOLVED, NAMES, RESOLVERS = 10.0, 256, 16
#: What aiohttp would add to a request by itself.
_NOT_ADDED = ("Accept", "Content-Type", "User-Agent")


class OutboundError(Exception):
    """There is no answer, or none that can be used. The text says why, without the path and query of the URL."""


class Forbidden(OutboundError):
    """The address may not be called: it is no good next time either."""


class Unreachable(OutboundError):
    """There is nobody, or the connection was lost."""


class Lost(Unreachable):
    """The connection was lost after something was sent: whether the other side has done it is unknown."""


class TooSlow(OutboundError):
    """It took too long. Whether the other side has done what was asked is unknown."""


class Unreadable(OutboundError):
    """An answer came that is too long, packed, or not HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


#: The addresses of a name. Raises OSError.
Resolve = Callable[[str], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL in parts: `host` without brackets, `authority` is host and port as they stand in the URL."""

    scheme: str
    host: str
    port: int | None
    authority: str
    path: str
    query: str


@dataclass(slots=True, eq=False)
class _Name:
    """What is known of a name: the addresses that may be called."""

    found: Sequence[Address] = ()
    good_until: float = 0.0
    looking: asyncio.Future[Sequence[str]] | None = None


class Outbound:
    """`allowed_private`: networks that may be called although they are not of the internet."""

    def __init__(
        self,
        allowed_private: Sequence[str] = (),
        resolve: Resolve | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = tuple(allowed_private)
        self._resolve = resolve or self._look_up
        self._context = context
        self._first = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._names: OrderedDict[str, _Name] = OrderedDict()
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout: float,
        answer_max: int = ANSWER_MAX,
        public_only: bool = False,
    ) -> Answer:
        """Ask, and read the whole answer; all together in so many seconds. Raises OutboundError.

        `public_only`: the networks that are allowed besides are not, as whoever gave the address is not trusted so far.
        """
        target = _parse(url)
        try:
            async with asyncio.timeout(timeout):
                return await self._request(method, target, headers, body, answer_max, public_only)
        except TimeoutError:
            raise TooSlow(f"{target.authority} did not answer within {timeout:g} s") from None

    async def reach(self, host: str) -> Sequence[Address]:
        """The addresses of a host that may be called, for who speaks something else than HTTP. Raises OutboundError."""
        target = _parse(f"http://[{host}]" if ":" in host else f"http://{host}")
        return await self._addresses(self._name(target.host), target.host)

    async def dial(self, host: str, port: int) -> socket.socket:
        """A connection for who speaks something else than HTTP and closes it. Raises OutboundError."""
        reason = "it has no address"
        for address in await self.reach(host):
            made = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
            made.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT):
                    await asyncio.get_running_loop().sock_connect(made, (str(address), port))
                return made
            except (OSError, TimeoutError) as error:
                made.close()
                reason = str(error) or f"it took no connection within {CONNECT:g} s"
            except BaseException:
                made.close()
                raise
        raise Unreachable(f"{host}:{port} can't be reached: {reason}")

    async def tls(self) -> ssl.SSLContext:
        """Which certificates are trusted; they are read when the first asks, as it takes long to read so many."""
        if self._context is None:
            async with self._first:
                if self._context is None:
                    self._context = await asyncio.to_thread(httpx.create_ssl_context)
        return self._context

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _request(
        self,
        method: str,
        target: _Target,
        headers: Mapping[str, str],
        body: bytes,
        answer_max: int,
        public_only: bool,
    ) -> Answer:
        session = await self._opened()
        name = self._name(target.host)
        found = await self._addresses(name, target.host)
        if public_only and not (found := [address for address in found if addresses.is_public(address)]):
            raise Forbidden(f"{target.host} is no address of the internet")
        # an answer that comes packed could be any size when it is unpacked
        sent = {"Accept-Encoding": "identity", **headers, "Host": target.authority}
        try:
            for tries_left in reversed(range(len(found))):
                url = _url_at(found[len(found) - 1 - tries_left], target)
                try:
                    response = await session.request(
                        method,
                        url,
                        headers=sent,
                        data=body or None,
                        allow_redirects=False,
                        server_hostname=target.host,  # of the certificate; also keeps the connections of names apart
                    )
                except (aiohttp.ClientConnectorError, aiohttp.ClientSSLError, aiohttp.ConnectionTimeoutError) as error:
                    name.good_until = 0.0
                    if not tries_left:
                        raise Unreachable(f"{target.authority} can't be reached: {_why(error)}") from None
                else:
                    return await _read(response, target, answer_max)
            raise Unreachable(f"{target.authority} has no address")
        except aiohttp.ServerDisconnectedError as error:
            if isinstance(error.message, str):
                raise Lost(f"{target.authority} closed the connection without an answer") from None
            raise Unreadable(f"{target.authority} closed the connection before the end of its answer") from None
        except aiohttp.ClientPayloadError:
            raise Unreadable(f"{target.authority} closed the connection before the end of its answer") from None
        except aiohttp.ClientResponseError:
            raise Unreadable(f"{target.authority} does not answer in HTTP") from None
        except aiohttp.ClientError as error:
            raise Lost(f"the connection to {target.authority} was lost: {_why(error)}") from None
        except ValueError:  # such as the end of a line within a token, which would begin another header
            raise Forbidden(f"a header for {target.authority} has characters that none may have") from None

    async def _opened(self) -> aiohttp.ClientSession:
        """The session, which is opened at the first request."""
        if self._closed:
            raise Unreachable("the server is about to stop")
        context = await self.tls()
        if self._session is None:
            self._session = _session(context)
        return self._session

    def _name(self, host: str) -> _Name:
        name = self._names.get(host)
        if name is None:
            name = self._names[host] = _Name()
            if len(self._names) > NAMES:
                self._names.popitem(last=False)
        self._names.move_to_end(host)
        return name

    async def _addresses(self, name: _Name, host: str) -> Sequence[Address]:
        """Those that may be called. Raises Forbidden if there are others only."""
        now = asyncio.get_running_loop().time()
        if now < name.good_until:
            return name.found
        try:
            if name.looking is None:  # a name that nobody answers for takes one thread, however many ask
                name.looking = asyncio.ensure_future(self._resolve(host))
                name.looking.add_done_callback(lambda done: _looked(name, done))
            texts = await asyncio.shield(name.looking)
        except (OSError, UnicodeError) as error:
            raise Unreachable(
                f"the name {host} can't be resolved: {getattr(error, 'strerror', None) or error}"
            ) from None
        found = [address for address in map(addresses.parse, dict.fromkeys(texts)) if address is not None]
        name.found = [address for address in found if self._may_call(address)][:ADDRESSES]
        if found and not name.found:
            raise Forbidden(
                f"{host} is {found[0]}, which is no address of the internet; the server's setting `allowed_private`"
                " says which others may be called"
            )
        name.good_until = now + RESOLVED
        return name.found

    def _may_call(self, address: Address) -> bool:
        return addresses.is_public(address) or addresses.within(address, self._allowed)

    async def _look_up(self, host: str) -> Sequence[str]:
        """In threads of our own: names that nobody answers for must keep nothing else from running."""
        if addresses.parse(host) is not None:
            return [host]
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
        return [str(address[0]) for *_, address in found]


class _Connector(aiohttp.TCPConnector):
    """Gives out a kept connection only if the other side has neither closed it nor said anything since.

    Of what has just come the event loop may not know yet. A request that is sent then would fail, and could not be
    sent again, as nobody knows whether it was taken.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(
            ssl=context, resolver=_NoResolver(), limit=0, limit_per_host=CONNECTIONS, keepalive_timeout=KEPT
        )
        loop = asyncio.get_running_loop()
        self._factory = cast("functools.partial[ResponseHandler]", functools.partial(_Protocol, loop=loop))
        self._used = weakref.WeakSet[ResponseHandler]()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[aiohttp.tracing.Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            assert protocol is not None
            if protocol not in self._used:
                self._used.add(protocol)
                return connection
            if not protocol.should_close and not _readable(connection):
                return connection
            connection.close()


class _Protocol(ResponseHandler):
    """Reads no further if there are ever more answers that are none, or chunks with hardly anything in them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._interim = 0
        self._body: StreamReader | None = None
        self._came = 0

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data) or 1, PIECE):
            piece = data[start : start + PIECE]
            self._came += len(piece)
            super().data_received(piece)
            taken = self._body.total_bytes if self._body is not None else 0
            if self._interim > INTERIM_MAX or self._came > BESIDE_MAX + taken * 3 // 2:
                failure = HttpProcessingError(message="more and more comes, and hardly anything of an answer")
                if self._body is not None and not self._body.is_eof():
                    self._body.set_exception(aiohttp.ClientPayloadError(failure.message))
                self.set_exception(failure)
                if self.transport is not None:
                    self.transport.close()
                return

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        self._interim = self._interim + 1 if data[0].code < 200 else 0
        self._body, self._came = data[1], 0
        super().feed_data(data, size)


class _NoResolver(aiohttp.abc.AbstractResolver):
    """Nothing gets to a name past the look at its addresses."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        raise OSError("names are not resolved here")

    async def close(self) -> None:
        pass


def _session(context: ssl.SSLContext) -> aiohttp.ClientSession:
    context.set_alpn_protocols(["http/1.1"])
    return aiohttp.ClientSession(
        connector=_Connector(context),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
        auto_decompress=False,
        skip_auto_headers=_NOT_ADDED,
        trust_env=False,
        max_line_size=LINE_MAX,
        max_field_size=LINE_MAX,
        max_headers=LINES_MAX,
    )


def _readable(connection: Connection) -> bool:
    """Whether bytes, or the end, wait in the socket of a connection."""
    assert connection.transport is not None
    look = select.poll()
    look.register(connection.transport.get_extra_info("socket"), select.POLLIN)
    return bool(look.poll(0))


def _looked(name: _Name, done: asyncio.Future[Sequence[str]]) -> None:
    name.looking = None
    if not done.cancelled():
        done.exception()  # whoever asked has gone


@functools.lru_cache(maxsize=NAMES)
def _parse(url: str) -> _Target:
    """Raises Forbidden."""
    try:
        parts = httpx.URL(url)  # leaves a path and query that need no quoting as they are
    except (httpx.InvalidURL, ValueError, TypeError):
        raise Forbidden("it is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.host or parts.userinfo:
        raise Forbidden("it is no URL that begins with http:// or https:// and a host")
    if not 0 < (parts.port or 80) < 65_536:
        raise Forbidden("it is no URL: there is no such port")
    path, _, query = parts.raw_path.decode("ascii").partition("?")
    host, authority = parts.raw_host.decode("ascii"), parts.netloc.decode("ascii")
    return _Target(parts.scheme, host, parts.port, authority, path, query)


@functools.lru_cache(maxsize=NAMES)
def _url_at(address: Address, target: _Target) -> URL:
    """Where a request goes; name and certificate stay those of the host."""
    return URL.build(
        scheme=target.scheme,
        host=str(address),
        port=target.port,
        path=target.path,
        query_string=target.query,
        encoded=True,
    )


async def _read(response: aiohttp.ClientResponse, target: _Target, answer_max: int) -> Answer:
    try:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Unreadable(f"{target.authority} answers packed, which it was not asked to")
        body = bytearray()
        while piece := await response.content.readany():
            body += piece
            if len(body) > answer_max:
                raise Unreadable(f"{target.authority} answers more than {answer_max:,} bytes")
        return Answer(response.status, response.headers, bytes(body))
    finally:
        response.close()  # one that was read to its end has given its connection back already


def _why(error: Exception) -> str:
    """Never the text of an error that may tell the path."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error.__cause__ or error
    if isinstance(cause, ssl.SSLError):
        return str(cause)
    if isinstance(cause, TimeoutError):
        return f"it took no connection within {CONNECT:g} s"
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno)
    return type(cause).__name__
