"""Network addresses: reading them, and who is behind trusted proxies."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def parse(text: str) -> Address | None:
    """The address that a text is, if it is one; an IPv4 address stays one in the form that IPv6 has for it."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def within(address: Address, networks: Iterable[str]) -> bool:
    """Whether an address is one of the addresses or in one of the networks."""
    return any(address in ip_network(network) for network in networks)


def source(
    peer: Address | None, forwarded_for: Iterable[str], forwarded: bool, trusted: Sequence[str]
) -> Address | None:
    """Whom a connection comes from, with these `X-Forwarded-For` headers; `forwarded`: some header tells of a proxy.

    They are believed from trusted proxies only. None if it is unknown: a proxy on this machine that nobody declared may
    say so of any caller.
    """
    if peer is None:
        return None
    if within(peer, trusted):
        return _behind_proxy(peer, forwarded_for, trusted)
    return None if forwarded and peer.is_loopback else peer


def _behind_proxy(peer: Address, forwarded_for: Iterable[str], trusted: Sequence[str]) -> Address | None:
    """Proxies append: the caller is the last address that is not a trusted proxy's own."""
    # some append a line of their own instead of a part, so the first line may be the caller's invention
    lines = ",".join(forwarded_for)
    chain = [parse(part) for part in lines.split(",") if part.strip()]
    outside = [one for one in chain if one is None or not within(one, trusted)]
    return outside[-1] if outside else (chain[0] if chain else peer)


#: Addresses of the internet that only machines of a cloud reach, where these are told about themselves.
_OF_CLOUDS = frozenset({ip_address("168.63.129.16")})
_NAT64 = IPv6Network("64:ff9b::/96")
#: Of one network only (RFC 8215), or of one machine (RFC 2765): the machine behind may be any.
_TRANSLATED = (IPv6Network("64:ff9b:1::/48"), IPv6Network("::ffff:0:0:0/96"))
_COMPATIBLE = IPv6Network("::/96")


def is_public(address: Address) -> bool:
    """Whether it is an address of one machine on the internet, and stands for no other in a form of IPv6."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None and not is_public(inner):
            return False
        if address.is_site_local or any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and address not in _OF_CLOUDS


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that is meant by an IPv6 address of some kinds."""
    if address.ipv4_mapped is not None or address.sixtofour is not None:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
