"""What is set and said below the protocol: keep-alive, and closing."""

import socket

from picows import WSCloseCode, WSFrame, WSTransport

from hongyan import addresses
from hongyan.addresses import Address


def send_close(transport: WSTransport, code: int, reason: str = "") -> None:
    """picows types the code as an enum of the standard ones, but takes any number."""
    transport.send_close(code, reason.encode()[:123])  # type: ignore[arg-type]


def close_code_to_answer(frame: WSFrame) -> int:
    code = int.from_bytes(frame.get_payload_as_bytes()[:2], "big")
    return code if 1000 <= code < 5000 and code not in (1004, 1005, 1006, 1015) else WSCloseCode.OK.value


def notice_vanished_peers(transport: WSTransport, timeout: int) -> None:
    """Unacknowledged data ends the connection after `timeout` seconds, an idle peer's silence in about a minute."""
    raw = transport.underlying_transport.get_extra_info("socket")
    if raw is None:
        return
    for level, option, value in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout * 1000),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 45),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    ):
        raw.setsockopt(level, option, value)


def peer_address(transport: WSTransport | None) -> Address | None:
    """The address at the other end, if it is known (still)."""
    name = transport and transport.underlying_transport.get_extra_info("peername")
    return addresses.parse(name[0]) if isinstance(name, tuple) else None
