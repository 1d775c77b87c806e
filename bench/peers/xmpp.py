"""As much of an XMPP client (RFC 6120) as a load generator needs: stanzas are counted and patched, seldom parsed."""

import asyncio
import base64
import re
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from hongyan.bench.client import REPLY_TIMEOUT, Target
from hongyan.bench.frames import TIME_DIGITS

RESOURCE = "b"
PASSWORD = "secret"
END = b"</message>"
BODY = b"<body>"
SERIAL_DIGITS = 16

HEADER = "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' " + (
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)
REGISTER = "<iq type='set' id='register'><query xmlns='jabber:iq:register'>" + (
    "<username>{peer}</username><password>{password}</password></query></iq>"
)
PLAIN = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>"
BIND = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>" + (
    "<resource>{resource}</resource></bind></iq>"
)
PING = "<iq type='get' id='ping' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
JOIN = "<presence to='{room}/{peer}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
ENABLE = "<enable xmlns='urn:xmpp:sm:3'/>"
ASK_FOR_ACK = b"<r xmlns='urn:xmpp:sm:3'/>"

REGISTERED = re.compile(rb"<iq [^>]*id='register'[^>]*/>")
SUCCESS = re.compile(rb"<success [^>]*/>")
BOUND = re.compile(rb"<iq [^>]*id='bind'.*</iq>")
PONG = re.compile(rb"<iq [^>]*id='ping'[^>]*/>")
SUBJECT = re.compile(rb"<subject/></message>")
ENABLED = re.compile(rb"<enabled [^>]*/>")
REFUSAL = re.compile(rb"(<stream:error|<failure|type='error').*")
SERIAL = re.compile(rb"<message [^>]*id='([0-9a-f]{16})'")
ACK = re.compile(rb"<a [^>]*h='(\d+)'[^>]*/>")


class Message:
    """A `<message/>` with a body of `size` bytes; `suffix` follows it in the same write."""

    def __init__(self, to: str, kind: str, size: int, suffix: bytes = b"") -> None:
        head = f"<message to='{to}' type='{kind}' id='".encode()
        middle = b"'>" + BODY
        body = b"0" * TIME_DIGITS + b"x" * (size - TIME_DIGITS)
        self._bytes = bytearray(head + b"0" * SERIAL_DIGITS + middle + body + b"</body>" + END + suffix)
        self._serial = len(head)
        self._time = len(head) + SERIAL_DIGITS + len(middle)

    def at(self, serial: int, now: int) -> bytearray:
        """The stanza with this serial as its id, sent at `now` (monotonic ns); the same buffer by every call."""
        data = self._bytes
        data[self._serial : self._serial + SERIAL_DIGITS] = b"%0*x" % (SERIAL_DIGITS, serial)
        data[self._time : self._time + TIME_DIGITS] = b"%0*d" % (TIME_DIGITS, now)
        return data


def sent_at(body: str) -> int:
    """The monotonic time in ns that `Message.at` wrote into a body."""
    return int(body[:TIME_DIGITS])


class Splitter:
    """Cuts what arrives into whole pieces that end with `end`."""

    def __init__(self, end: bytes) -> None:
        self._end = end
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces that `data` completes."""
        *pieces, self._rest = (self._rest + data).split(self._end)
        return [piece + self._end for piece in pieces]


class Counter:
    """Counts the messages in what arrives, wherever the reads cut it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> int:
        """How many messages `data` completes."""
        if self._rest:
            data = self._rest + data
        self._rest = b"" if data.endswith(b">") else data[1 - len(END) :]
        return data.count(END)


class Client(asyncio.Protocol):
    """One connection. It looks for the answers it asks for; then `on_data` is a cheaper function."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.lost: str | None = None
        self.on_data: Callable[[bytes], None] = self._gather
        self._transport: asyncio.Transport | None = None
        self._heard = b""
        self._wanted: re.Pattern[bytes] | None = None
        self._answer: asyncio.Future[bytes] | None = None

    @property
    def jid(self) -> str:
        """Its full address."""
        return f"{self.peer}@{self._domain}/{RESOURCE}"

    async def connect(self, target: Target, tls: ssl.SSLContext | None, index: int = 0, buffer: int = 4096) -> None:
        """Connect to `target`, whose `app_id` is the domain. The rest is for other kinds of clients."""
        address = urlsplit(target.url)
        assert address.hostname
        assert address.port
        await asyncio.get_running_loop().create_connection(lambda: self, address.hostname, address.port)

    async def open(self, domain: str) -> None:
        """Register in band (XEP-0077), log in and bind a resource: what can be sent at once is sent at once."""
        self._domain = domain
        header = HEADER.format(domain=domain)
        secret = base64.b64encode(f"\0{self.peer}\0{PASSWORD}".encode()).decode()
        await self.ask(header + REGISTER.format(peer=self.peer, password=PASSWORD), REGISTERED)
        await self.ask(PLAIN.format(secret=secret), SUCCESS)
        await self.ask(header + BIND.format(resource=RESOURCE), BOUND)

    async def join(self, room: str) -> None:
        """Enter a room (XEP-0045); its subject is the last that a newcomer is told."""
        await self.ask(JOIN.format(room=room, peer=self.peer), SUBJECT)

    async def enable_acks(self) -> None:
        """Switch on stream management (XEP-0198)."""
        await self.ask(ENABLE, ENABLED)

    async def ping(self) -> bytes:
        """One ping (XEP-0199) to the server and back; returns the answer."""
        return await self.ask(PING.format(domain=self._domain), PONG)

    async def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()

    def send(self, stanza: bytes | bytearray) -> None:
        """Send bytes; the loop writes them later, so they are copied."""
        assert self._transport is not None
        self._transport.write(bytes(stanza))

    async def ask(self, request: str, wanted: re.Pattern[bytes]) -> bytes:
        """Send a request and return the bytes that match what is wanted. ConnectionError if refused or not answered."""
        if self.lost:
            raise ConnectionError(self.lost)
        self._heard, self._wanted = b"", wanted
        self._answer = asyncio.get_running_loop().create_future()
        self.send(request.encode())
        try:
            return await asyncio.wait_for(self._answer, REPLY_TIMEOUT)
        except TimeoutError:
            raise ConnectionError(f"{self.peer} got no answer within {REPLY_TIMEOUT:.0f} s") from None
        finally:
            self._wanted = self._answer = None

    def connection_made(self, transport: Any) -> None:
        """Called by asyncio."""
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio."""
        self.lost = f"the connection of {self.peer} was closed" + (f": {error}" if error else "")
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionError(self.lost))

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self.on_data(data)

    def _gather(self, data: bytes) -> None:
        self._heard += data
        if not self._answer or not self._wanted or self._answer.done():
            return
        if found := self._wanted.search(self._heard):
            self._answer.set_result(found[0])
        elif refusal := REFUSAL.search(self._heard):
            text = refusal[0].decode(errors="replace")
            self._answer.set_exception(ConnectionError(f"the server refused {self.peer}: {text:.200}"))
