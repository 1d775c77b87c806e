"""Which sessions hear which service conversations: from a login on, and as their clients subscribe and unsubscribe."""

from dataclasses import dataclass

from hongyan.engine.events import MembersJoined, MembersLeft
from hongyan.engine.services import Services
from hongyan.gateway.registry import Registry, Session


@dataclass(slots=True, eq=False)
class _Reading:
    """What a client has subscribed to is being read; `overtaken`: it has unsubscribed from something meanwhile."""

    overtaken: bool = True


class Subscriptions:
    def __init__(self, registry: Registry, services: Services) -> None:
        self._registry = registry
        self._services = services
        self._reading: dict[Session, list[_Reading]] = {}

    async def begin(self, session: Session) -> None:
        """Let a session that just logged in hear what its client has subscribed to.

        Before its unread counts are read, so that each broadcast is counted there or delivered. Costs nothing in an app
        without service conversations.
        """
        if self._services.any(session.app):
            self._registry.listen_to_all(session, await self._read(session))

    async def _read(self, session: Session) -> list[int]:
        reading, subscribed = _Reading(), list[int]()
        readings = self._reading.setdefault(session, [])
        readings.append(reading)
        try:
            while reading.overtaken:
                reading.overtaken = False
                async with session.connection.reads:
                    subscribed = await self._services.subscriptions(session.app, session.client)
        finally:
            readings.remove(reading)
            if not readings:
                del self._reading[session]
        return subscribed

    def joined(self, event: MembersJoined) -> None:
        for session in self._sessions(event, event.joined):
            self._registry.listen(session, event.conversation.key)

    def left(self, event: MembersLeft) -> None:
        for session in self._sessions(event, event.left):
            self._registry.unlisten(session, event.conversation.key)
            for reading in self._reading.get(session, ()):
                reading.overtaken = True

    def _sessions(self, event: MembersJoined | MembersLeft, clients: tuple[str, ...]) -> list[Session]:
        found = self._registry.of_clients(event.conversation.app_key, set(clients))
        return [session for sessions in found for session in sessions]
