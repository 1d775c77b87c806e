"""What is kept back for a session while its unread counts are read."""

from typing import Any

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.sessions import Ticket
from hongyan.engine.values import App
from hongyan.gateway.registry import HELD_MAX, Session


class Peer:
    """The connection of a session, as far as `hold` needs one."""

    def __init__(self) -> None:
        self.cut: list[str] = []

    def cut_off(self, why: str) -> None:
        self.cut.append(why)


def test_what_is_kept_back_is_bounded() -> None:
    peer: Any = Peer()
    session = Session(peer, App(1, "app", "", "", "", "", AppSettings(), 0), "tom", Ticket("id", "tom", "", "", 0))
    session.held = []
    for seq in range(HELD_MAX):
        session.hold("talk", seq, b"frame")
    assert (peer.cut, len(session.held)) == ([], HELD_MAX)
    session.hold("talk", HELD_MAX, b"frame")
    assert (len(peer.cut), session.held) == (1, [])
