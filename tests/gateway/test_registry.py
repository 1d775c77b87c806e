"""What is kept back for a session while its unread counts are read."""

from typing import Any

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.sessions import Ticket
from hongyan.engine.values import App
from hongyan.gateway.registry import HELD_BYTES_MAX, HELD_MAX, Session


class Peer:
    """The connection of a session, as far as `hold` needs one."""

    def __init__(self) -> None:
        self.cut: list[str] = []
        self.held_bytes = 0

    def cut_off(self, why: str) -> None:
        self.cut.append(why)


def holding(peer: Any) -> Session:
    session = Session(peer, App(1, "app", "", "", "", "", AppSettings(), 0), "tom", Ticket("id", "tom", "", "", 0))
    session.held = []
    return session


def test_what_is_kept_back_is_bounded() -> None:
    peer = Peer()
    session = holding(peer)
    assert session.held is not None
    for seq in range(HELD_MAX):
        session.hold("talk", seq, b"frame")
    assert (peer.cut, len(session.held)) == ([], HELD_MAX)
    session.hold("talk", HELD_MAX, b"frame")
    assert (len(peer.cut), session.held) == (1, [])


def test_the_bytes_kept_back_for_all_sessions_of_a_connection_are_bounded() -> None:
    peer = Peer()
    one, other = holding(peer), holding(peer)
    frame = bytes(HELD_BYTES_MAX // 8)
    for seq in range(4):
        one.hold("talk", seq, frame)
        other.hold("talk", seq, frame)
    assert one.release() == [("talk", seq, frame, 0) for seq in range(4)]
    assert (peer.cut, one.held, peer.held_bytes) == ([], None, HELD_BYTES_MAX // 2)
    for seq in range(4, 9):
        other.hold("talk", seq, frame)
    assert (len(peer.cut), other.held) == (1, [])
