"""Messages to all sessions of an app, in slices, so that the event loop is never held for long.

One after another: who is told a later one has been told those before.
"""

import logging
from collections import deque
from collections.abc import Callable

from hongyan.engine.events import BroadcastSent
from hongyan.engine.limits import DeliveryBudget
from hongyan.gateway.pushes import direct_command
from hongyan.gateway.registry import Registry, Session
from hongyan.wire.frames import SharedFrame

log = logging.getLogger(__name__)

#: Sessions told in one turn of the loop.
SLICE = 256


class _Telling:
    """A message on its way to those who were online when it was sent; `place` is how many have been told."""

    def __init__(self, event: BroadcastSent, sessions: list[Session]) -> None:
        self.app_key = event.conversation.app_key
        self.message_id = event.message.id
        self.key = event.key
        self.shared = SharedFrame(direct_command(event.conversation.id, int(event.conversation.kind), event.message))
        self.sessions = sessions
        self.place = 0

    def to(self, session: Session) -> bool:
        """Tell a session that is still there and does not know it; whether it was told."""
        if not session.is_open or 0 < self.key <= session.broadcast:
            return False
        session.broadcast = max(session.broadcast, self.key)
        text = session.connection.subprotocol.text
        frame = self.shared.text(session.tail) if text else self.shared.binary(session.tail)
        if session.held is None:
            session.connection.push(frame)
        else:
            session.hold(self.message_id, 0, frame)
        return True


class Everyone:
    """`call_soon` calls a function in the next turn of the event loop."""

    def __init__(
        self, registry: Registry, budget: DeliveryBudget, call_soon: Callable[[Callable[[], None]], object]
    ) -> None:
        self._registry = registry
        self._budget = budget
        self._call_soon = call_soon
        self._waiting: deque[_Telling] = deque()
        self.deliveries = 0

    @property
    def is_busy(self) -> bool:
        return bool(self._waiting)

    def tell(self, event: BroadcastSent) -> None:
        self._waiting.append(_Telling(event, self._registry.of_app(event.conversation.app_key)))
        if len(self._waiting) == 1:
            self._turn()

    def _turn(self) -> None:
        """The next slice of the first of them."""
        telling = self._waiting[0]
        sessions = telling.sessions[telling.place : telling.place + SLICE]
        telling.place += SLICE
        try:
            told = sum(telling.to(session) for session in sessions)
            self.deliveries += told
            self._budget.charge(telling.app_key, told)
        except Exception:  # one slice's trouble is not the next one's
            log.exception("a slice of all clients could not be told")
        if telling.place >= len(telling.sessions):
            self._waiting.popleft()
        if self._waiting:
            self._call_soon(self._turn)
