"""Calling a platform: JSON and files over HTTP; answers are read whole, and judged by the connector."""

import asyncio
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec

import hongyan
from hongyan.addresses import Address
from hongyan.hub.connector import Outcome, Problem
from hongyan.outbound import Forbidden, Lost, Outbound, OutboundError, Unreachable

#: Time for a call, and for one that carries a file (s).
TIMEOUT, FILE_TIMEOUT = 15.0, 120.0
#: What is believed of `Retry-After`, and of how long a token is good (s).
WAIT_MAX, LIFE_MAX = 86_400.0, 365 * 86_400.0
AGENT = f"Hongyan/{hongyan.__version__}"


@dataclass(frozen=True, slots=True)
class Answer:
    """`json` is None if the body is no JSON object. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    json: dict[str, Any] | None = field(repr=False)

    @property
    def retry_after(self) -> float | None:
        """Seconds of the header `Retry-After`, if it says seconds."""
        text = self.headers.get("retry-after", "")
        return min(float(text), WAIT_MAX) if text.isdecimal() else None


class Http:
    """`base` is where the platform is, without a final slash; another one leads to the sandbox."""

    def __init__(self, outbound: Outbound, base: str) -> None:
        self._outbound = outbound
        self.base = base.rstrip("/")

    async def get(self, path: str, query: Mapping[str, str] | None = None, **options: Any) -> Answer:
        return await self.call("GET", path, query, **options)

    async def post(self, path: str, value: object, query: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """`value` as JSON."""
        return await self.call("POST", path, query, body=msgspec.json.encode(value), **options)

    async def upload(
        self,
        path: str,
        file: tuple[str, str, str, bytes],
        fields: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`file` is the name of its field, its own name, its MIME type and bytes (RFC 7578)."""
        type_, body = multipart(file, fields or {})
        return await self.call("POST", path, query, body=body, type_=type_, headers=headers or {}, timeout=FILE_TIMEOUT)

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        type_: str = "application/json; charset=utf-8",
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
        answer_max: int = 1_048_576,
    ) -> Answer:
        """`path` begins with a slash, or is a whole address. Raises Problem if there is no answer."""
        url = (path if path.startswith(("http://", "https://")) else self.base + path) + (
            f"?{urlencode(query)}" if query else ""
        )
        sent = {"User-Agent": AGENT, **({"Content-Type": type_} if body else {}), **(headers or {})}
        with problems():
            answer = await self._outbound.request(
                method, url, headers=sent, body=body, timeout=timeout, answer_max=answer_max
            )
        lower = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, lower, answer.body, json_object(answer.body))


async def reach(outbound: Outbound, host: str) -> Sequence[Address]:
    """The addresses of a host that may be called. Raises Problem."""
    try:
        with problems():
            async with asyncio.timeout(TIMEOUT):
                return await outbound.reach(host)
    except TimeoutError:
        raise Problem(Outcome.TRANSIENT, f"the name {host} can't be resolved in time", everybody=True) from None


async def dial(outbound: Outbound, host: str, port: int) -> socket.socket:
    """A connection for something else than HTTP. Raises Problem."""
    try:
        with problems():
            async with asyncio.timeout(TIMEOUT):
                return await outbound.dial(host, port)
    except TimeoutError:
        raise Problem(Outcome.TRANSIENT, f"{host}:{port} takes no connection in time", everybody=True) from None


@contextmanager
def problems() -> Iterator[None]:
    """Makes a Problem of what keeps an address from being called."""
    try:
        yield
    except Forbidden as error:
        raise Problem(Outcome.BAD_CREDENTIAL, str(error), everybody=True) from None
    except Lost as error:  # it may have been done
        raise Problem(Outcome.UNKNOWN, str(error)) from None
    except Unreachable as error:
        raise Problem(Outcome.TRANSIENT, str(error), everybody=True) from None
    except OutboundError as error:
        raise Problem(Outcome.UNKNOWN, str(error)) from None


def multipart(file: tuple[str, str, str, bytes], fields: Mapping[str, str]) -> tuple[str, bytes]:
    """The type and bytes of a form with a file (RFC 7578)."""
    boundary = secrets.token_hex(16)
    field_name, name, type_, content = file
    quoted = name.translate({ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"})
    if not type_.isprintable():  # it would begin another header
        type_ = "application/octet-stream"
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field_name}"; filename="{quoted}"\r\n'
        f"Content-Type: {type_}\r\n\r\n"
    )
    return f"multipart/form-data; boundary={boundary}", head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


def lifetime(value: object, otherwise: float) -> float:
    """How long a token is good by an answer (s): JSON has numbers that are larger than any time."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= LIFE_MAX else otherwise


def json_object(body: bytes | str) -> dict[str, Any] | None:
    """The object in a text; None if it is no JSON, or another value."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
