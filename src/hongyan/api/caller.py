"""Who calls, and by which name they reached us: what may be believed of it.

Anybody can write any `Host` or `X-Forwarded-*` header. The latter are believed from trusted proxies only, and
`Host` from this machine only, where nobody is deceived but oneself.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from litestar import Request

from hongyan import addresses
from hongyan.addresses import Address
from hongyan.config import Settings

WILDCARDS = {"0.0.0.0", "::", ""}

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}))(:(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Caller:
    """`address` is None if unknown; `secure` tells whether they came by TLS.

    `host` is the name by which they reached us, with its port if they gave one; None if not to be believed.
    """

    address: Address | None
    host: str | None
    secure: bool

    @property
    def origin(self) -> str:
        """What calls are counted by: of IPv6 the network, since everybody there has any number of addresses."""
        if isinstance(self.address, IPv6Address):
            return str(IPv6Network((self.address, 64), strict=False))
        return str(self.address)

    @property
    def is_local(self) -> bool:
        return self.address is not None and self.address.is_loopback

    @property
    def names_loopback(self) -> bool:
        """Whether the name by which they reached us means this machine."""
        name = split_host(self.host)[0].strip("[]") if self.host else ""
        address = addresses.parse(name)
        return name.lower() == "localhost" or (address is not None and address.is_loopback)


def caller_of(request: Request[Any, Any, Any], settings: Settings) -> Caller:
    """The caller of a request, seen through the trusted proxies."""
    peer = addresses.parse(request.client.host if request.client else "")
    headers = request.headers
    secure = request.scope["scheme"] == "https"
    forwarded = any(name.startswith("x-forwarded-") or name == "forwarded" for name in headers)
    lines = headers.getall("x-forwarded-for", [])
    address = addresses.source(peer, lines, forwarded, settings.trusted_proxies)
    if peer is not None and addresses.within(peer, settings.trusted_proxies):
        secure = headers.get("x-forwarded-proto", "https" if secure else "http").strip() == "https"
        return Caller(address, _valid_host(headers.get("x-forwarded-host")), secure)
    is_local = address is not None and address.is_loopback
    return Caller(address, _valid_host(headers.get("host")) if is_local else None, secure)


def reached_host(request: Request[Any, Any, Any], caller: Caller, settings: Settings) -> str:
    """The name or address, without port, by which the caller can reach this machine again."""
    if caller.host is not None:
        return split_host(caller.host)[0]
    if settings.host not in WILDCARDS:
        return bracketed(settings.host)
    server = request.scope["server"]  # the address of ours that the connection came to
    return bracketed(server[0] if server else "127.0.0.1")


def split_host(host: str) -> tuple[str, str | None]:
    """Name and port of a believed host."""
    found = _HOST.fullmatch(host)
    assert found is not None
    return found["name"], found["port"]


def bracketed(host: str) -> str:
    """A host as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _valid_host(host: str | None) -> str | None:
    return host if host is not None and _HOST.fullmatch(host) else None
