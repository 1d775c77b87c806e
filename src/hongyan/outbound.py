"""Calling addresses that somebody has given to the server, such as engines of apps and webhooks.

Whoever may set such an address must not reach through the server what only the server can: a name is resolved here, the
addresses are looked at, and the connection goes to the one that was looked at. No redirect is followed; time, bytes and
connections are bounded. A certificate must be that of the name.
"""

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from hongyan import addresses
from hongyan.addresses import Address

#: Time for one address to take a connection (s), and how many addresses of a name are tried.
CONNECT, ADDRESSES = 5.0, 3
#: Bytes of an answer that are read, unless it is said.
ANSWER_MAX = 1_048_576
#: Connections to one origin, and how long one is kept without use (s): Node closes them after five.
CONNECTIONS, KEPT = 256, 4.0
#: Origins whose connections are kept.
ORIGINS = 256
#: For how long the addresses of a name are good (s), and names that are looked up at once.
RESOLVED, RESOLVERS = 10.0, 16


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


@dataclass(slots=True, eq=False)
class _Origin:
    """A scheme, host and port, with connections of its own: one that was opened for a name serves no other."""

    transport: httpx.AsyncHTTPTransport
    users: int = 0
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
        self._origins: OrderedDict[tuple[str, str, int], _Origin] = OrderedDict()
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
    ) -> Answer:
        """Ask, and read the whole answer; all together in so many seconds. Raises OutboundError."""
        target = _parse(url)
        try:
            async with asyncio.timeout(timeout):
                return await self._request(method, target, headers, body, answer_max)
        except TimeoutError:
            raise TooSlow(f"{_name(target)} did not answer within {timeout:g} s") from None

    async def reach(self, host: str) -> Sequence[Address]:
        """The addresses of a host that may be called, for who speaks something else than HTTP. Raises OutboundError."""
        target = _parse(f"http://[{host}]" if ":" in host else f"http://{host}")
        return await self._addresses(await self._origin(target), target)

    async def close(self) -> None:
        origins = list(self._origins.values())
        self._origins.clear()
        for origin in origins:
            await origin.transport.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _request(
        self, method: str, target: httpx.URL, headers: Mapping[str, str], body: bytes, answer_max: int
    ) -> Answer:
        origin = await self._origin(target)
        origin.users += 1
        try:
            found = await self._addresses(origin, target)
            for tries_left in reversed(range(len(found))):
                request = _request_to(found[len(found) - 1 - tries_left], method, target, headers, body)
                try:
                    response = await origin.transport.handle_async_request(request)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    origin.good_until = 0.0
                    if not tries_left:
                        raise Unreachable(f"{_name(target)} can't be reached: {_why(error)}") from None
                else:
                    return await _read(response, target, answer_max)
            raise Unreachable(f"{_name(target)} has no address")
        except (httpx.RemoteProtocolError, httpx.LocalProtocolError) as error:
            if "without sending a response" in str(error):
                raise Lost(f"{_name(target)} closed the connection without an answer") from None
            raise Unreadable(f"{_name(target)} does not answer in HTTP") from None
        except httpx.TransportError as error:
            raise Lost(f"the connection to {_name(target)} was lost: {_why(error)}") from None
        finally:
            origin.users -= 1

    async def _origin(self, target: httpx.URL) -> _Origin:
        key = (target.scheme, target.host, target.port or 0)
        async with self._first:
            if self._context is None:
                self._context = await asyncio.to_thread(httpx.create_ssl_context)  # it reads many certificates
        origin = self._origins.get(key)
        if origin is None:
            limits = httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=KEPT)
            transport = httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, limits=limits)
            origin = self._origins[key] = _Origin(transport)
            await self._forget_some(origin)
        self._origins.move_to_end(key)
        return origin

    async def _forget_some(self, new: _Origin) -> None:
        """Close the connections of those that were not used for the longest time, if there are too many."""
        idle = [key for key, origin in self._origins.items() if not origin.users and origin is not new]
        closed = [self._origins.pop(key) for key in idle[: max(0, len(self._origins) - ORIGINS)]]
        for origin in closed:
            await origin.transport.aclose()

    async def _addresses(self, origin: _Origin, target: httpx.URL) -> Sequence[Address]:
        """Those that may be called. Raises Forbidden if there are others only."""
        now = asyncio.get_running_loop().time()
        if now < origin.good_until:
            return origin.found
        host = target.raw_host.decode("ascii")
        try:
            if origin.looking is None:  # a name that nobody answers for takes one thread, however many ask
                origin.looking = asyncio.ensure_future(self._resolve(host))
                origin.looking.add_done_callback(lambda done: _looked(origin, done))
            names = await asyncio.shield(origin.looking)
        except (OSError, UnicodeError) as error:
            raise Unreachable(
                f"the name {host} can't be resolved: {getattr(error, 'strerror', None) or error}"
            ) from None
        found = [address for address in map(addresses.parse, dict.fromkeys(names)) if address is not None]
        origin.found = [address for address in found if self._may_call(address)][:ADDRESSES]
        if found and not origin.found:
            raise Forbidden(
                f"{host} is {found[0]}, which is no address of the internet; the server's setting `allowed_private`"
                " says which others may be called"
            )
        origin.good_until = now + RESOLVED
        return origin.found

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


def _looked(origin: _Origin, done: asyncio.Future[Sequence[str]]) -> None:
    origin.looking = None
    if not done.cancelled():
        done.exception()  # whoever asked has gone


def _parse(url: str) -> httpx.URL:
    """Raises Forbidden."""
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise Forbidden("it is no URL") from None
    if target.scheme not in ("http", "https") or not target.host or target.userinfo:
        raise Forbidden("it is no URL that begins with http:// or https:// and a host")
    return target


def _request_to(
    address: Address, method: str, target: httpx.URL, headers: Mapping[str, str], body: bytes
) -> httpx.Request:
    """The request as it goes to an address; name and certificate stay those of the host."""
    host = target.raw_host.decode("ascii")
    return httpx.Request(
        method,
        target.copy_with(host=str(address)),
        # an answer that comes packed could be any size when it is unpacked
        headers={"Accept-Encoding": "identity", **headers, "Host": target.netloc.decode("ascii")},
        content=body,
        extensions={"sni_hostname": host, "timeout": {"connect": CONNECT, "read": None, "write": None, "pool": None}},
    )


async def _read(response: httpx.Response, target: httpx.URL, answer_max: int) -> Answer:
    try:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Unreadable(f"{_name(target)} answers packed, which it was not asked to")
        body = bytearray()
        assert isinstance(response.stream, httpx.AsyncByteStream)
        async for piece in response.stream:
            body += piece
            if len(body) > answer_max:
                raise Unreadable(f"{_name(target)} answers more than {answer_max:,} bytes")
        return Answer(response.status_code, response.headers, bytes(body))
    finally:
        await response.aclose()


def _name(target: httpx.URL) -> str:
    return target.netloc.decode("ascii")


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
