"""What one process of the load generator does in `rest`: keep-alive connections that post messages to subscribers.

A request is serialised once and patched. Of an answer only the status and the length are read.
"""

import asyncio
import json
import ssl
import time
from collections import deque
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hongyan.bench.client import Target
from hongyan.bench.frames import TIME_DIGITS, timed_body
from hongyan.bench.talk import CATCH_UP_TIMEOUT, Probe, TalkResult
from hongyan.bench.workers import Link, Window

SERVICES = "/1.2/rtm/service-conversations"
READ_BUFFER = 4096
RECEIVER_DIGITS = 6
OK = b"200"
LENGTH = b"content-length:"
END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True)
class RestPlan:
    """`connections` that post to `path` of `api`, each to its share of `receivers`, who are online at `gateway`.

    Each connection sends `in_flight` requests ahead. Without a gateway nobody receives.
    """

    api: Target
    gateway: Target | None
    path: str
    master_key: str
    name: str
    connections: int
    receivers: int
    in_flight: int
    size: int
    first_connection: int = 0


def receiver(name: str, number: int) -> str:
    """The client id of a receiver; all of them have the same length."""
    return f"{name}-{number:0{RECEIVER_DIGITS}d}"


class Request:
    """A serialised request; receiver and time are patched."""

    def __init__(self, plan: RestPlan) -> None:
        self._name = plan.name
        client, text = receiver(plan.name, 0), timed_body(plan.size)
        body = json.dumps({"from_client": "bench", "to_clients": [client], "message": text}).encode()
        head = (
            f"POST {plan.path} HTTP/1.1\r\nHost: {urlsplit(plan.api.url).netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"X-LC-Id: {plan.api.app_id}\r\nX-LC-Key: {plan.master_key},master\r\n\r\n"
        )
        self._bytes = bytearray(head.encode() + body)
        self._number = self._bytes.index(client.encode(), len(head)) + len(client) - RECEIVER_DIGITS
        self._time = self._bytes.index(b"T" * TIME_DIGITS, len(head))

    def at(self, number: int, now: int) -> bytes:
        """The request for this receiver, sent at `now` (monotonic ns)."""
        data = self._bytes
        data[self._number : self._number + RECEIVER_DIGITS] = b"%0*d" % (RECEIVER_DIGITS, number)
        data[self._time : self._time + TIME_DIGITS] = b"%0*d" % (TIME_DIGITS, now)
        return bytes(data)


class Poster(asyncio.Protocol):
    """One HTTP connection. `done` is set when the window is over and every request is answered."""

    def __init__(self, request: Request, receivers: range, result: TalkResult) -> None:
        self._request, self._receivers, self._result = request, receivers, result
        self.acked = dict.fromkeys(receivers, 0)
        self.done = asyncio.Event()
        self._pending: deque[tuple[int, int]] = deque()
        self._buffer = b""
        self._sent = 0
        self._window: Window

    def connection_made(self, transport: Any) -> None:
        """Called by asyncio."""
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio."""
        if not self.done.is_set():
            self._fail("a connection was closed by the server")

    def begin(self, in_flight: int, window: Window) -> None:
        """Start with so many requests; each answer brings the next until the window ends."""
        self._window = window
        for _ in range(in_flight):
            self._post(time.monotonic_ns())

    def close(self) -> None:
        """End the connection."""
        self.done.set()
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._buffer += data
        while (end := self._buffer.find(END_OF_HEAD)) >= 0:
            head = self._buffer[:end].lower()
            _, _, rest = head.partition(LENGTH)
            whole = end + len(END_OF_HEAD) + int(rest.partition(b"\r\n")[0])
            if len(self._buffer) < whole:
                return
            answer, self._buffer = self._buffer[:whole], self._buffer[whole:]
            self._answered(head.split(b" ", 2)[1], answer[end:])

    def _answered(self, status: bytes, body: bytes) -> None:
        now = time.monotonic_ns()
        if status != OK or not self._pending:
            self._fail(f"a request was answered {status.decode()} {body.strip().decode(errors='replace'):.200}")
            return
        number, sent = self._pending.popleft()
        self.acked[number] += 1
        self._result.acked += 1
        if self._window.contains(now):
            self._result.ack_ms.append((now - sent) / 1e6)
        if now < self._window.end * 1e9:
            self._post(now)
        elif not self._pending:
            self.done.set()

    def _post(self, now: int) -> None:
        number = self._receivers[self._sent % len(self._receivers)]
        self._sent += 1
        self._result.sent += 1
        self._pending.append((number, now))
        self._transport.write(self._request.at(number, now))

    def _fail(self, fault: str) -> None:
        self._result.faults.append(fault)
        self.done.set()


async def rest_load(plan: RestPlan, link: Link) -> TalkResult:
    """Connect both sides, pass the gate, post until the window ends, check the counts."""
    result = TalkResult()
    probes = await _log_in(plan, result, link)
    posters = await _connect(plan, result)
    try:
        window: Window = await link.gate()
        for probe in probes:
            probe.window, probe.on_frame = window, probe.count
        for poster in posters:
            poster.begin(plan.in_flight, window)
        await _drain(posters, window, result)
        acked = {number: count for poster in posters for number, count in poster.acked.items()}
        await asyncio.gather(*(probe.catch_up(acked[number]) for number, probe in enumerate(probes)))
        _check(probes, acked, result)
    finally:
        for poster in posters:
            poster.close()
        await asyncio.gather(*(probe.close() for probe in probes))
    return result


async def _log_in(plan: RestPlan, result: TalkResult, link: Link) -> list[Probe]:
    """The receivers, who have heard what they are told at a login."""
    if plan.gateway is None:
        return []
    tls = plan.gateway.tls()
    probes = [Probe(receiver(plan.name, number), result) for number in range(plan.receivers)]
    for number, probe in enumerate(probes):
        await probe.connect(plan.gateway, tls, plan.first_connection + number, READ_BUFFER)
        await probe.open(plan.gateway.app_id)
        await probe.told_unread.wait()
        link.progress(number + 1)
    return probes


async def _connect(plan: RestPlan, result: TalkResult) -> list[Poster]:
    """Each receiver is written to by one connection only, so that the order of its messages is known."""
    place, tls = urlsplit(plan.api.url), plan.api.tls()
    request = Request(plan)
    posters = []
    for number in range(plan.connections):
        poster = Poster(request, range(number, plan.receivers, plan.connections), result)
        await _dial(poster, str(place.hostname), place.port or 80, tls)
        posters.append(poster)
    return posters


async def _dial(poster: Poster, host: str, port: int, tls: ssl.SSLContext | None) -> None:
    await asyncio.get_running_loop().create_connection(lambda: poster, host, port, ssl=tls)


async def _drain(posters: list[Poster], window: Window, result: TalkResult) -> None:
    try:
        async with asyncio.timeout(window.end - time.monotonic() + CATCH_UP_TIMEOUT):
            for poster in posters:
                await poster.done.wait()
    except TimeoutError:
        result.faults.append(f"not every request was answered {CATCH_UP_TIMEOUT:.0f} s after the last was sent")


def _check(probes: list[Probe], acked: dict[int, int], result: TalkResult) -> None:
    """Every receiver must have received what was acknowledged; each looked at order and repetition itself."""
    for number, probe in enumerate(probes):
        result.expected += acked[number]
        result.delivered += probe.frames
        result.frame_bytes = max(result.frame_bytes, probe.bytes // max(probe.frames, 1))
        if probe.lost:
            result.faults.append(probe.lost)
    result.deliveries = len(result.delivery_ms)
    result.reads = sum(probe.reads for probe in probes)
