"""The websocket subprotocols a client may offer (reference 1.4)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subprotocol:
    """`text`: frames are base64 text instead of bytes. `unread`: clients get unread counts after login
    (version 3); otherwise offline messages are pushed (version 1)."""

    name: str
    text: bool
    unread: bool


SUPPORTED = {
    protocol.name: protocol
    for protocol in (
        Subprotocol("lc.protobuf2.3", text=False, unread=True),
        Subprotocol("lc.protobuf2.1", text=False, unread=False),
        Subprotocol("lc.proto2base64.3", text=True, unread=True),
        Subprotocol("lc.proto2base64.1", text=True, unread=False),
    )
}


def choose(offered: str) -> Subprotocol | None:
    """The first supported name of a `Sec-WebSocket-Protocol` header."""
    names = (name.strip() for name in offered.split(","))
    return next((SUPPORTED[name] for name in names if name in SUPPORTED), None)
