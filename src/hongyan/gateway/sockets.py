"""What is set and said below the protocol: keep-alive, and closing."""

import socket

from picows import WSCloseCode, WSFrame, WSTransport


def send_close(transport: WSTransport, code: int, reason: str = "") -> None:
    """picows types the code as an enum of the standard ones, but takes any number."""
    transport.send_close(code, reason.encode()[:123])  # type: ignore[arg-type]


def close_code_to_answer(frame: WSFrame) -> int:
    code = int.from_bytes(frame.get_payload_as_bytes()[:2], "big")
    return code if 1000 <= code < 5000 and code not in (1004, 1005, 1006, 1015) else WSCloseCode.OK.value


def notice_vanished_peers(listening: socket.socket, timeout: int) -> None:
    """Of the connections it accepts, which inherit its options: set on each, they took a tenth of its CPU.

    Unacknowledged data ends a connection after `timeout` seconds, an idle peer's silence in about a minute.
    """
    for level, option, value in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout * 1000),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 45),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    ):
        listening.setsockopt(level, option, value)
