"""Which sessions hear which service conversations: from a login on, and as their clients subscribe and unsubscribe."""

from hongyan.engine.events import MembersJoined, MembersLeft
from hongyan.engine.services import Services
from hongyan.gateway.registry import Registry, Session


class Subscriptions:
    def __init__(self, registry: Registry, services: Services) -> None:
        self._registry = registry
        self._services = services
        # logins that are reading what their client has subscribed to, and whether it has unsubscribed meanwhile
        self._reading: dict[Session, bool] = {}

    async def begin(self, session: Session) -> None:
        """Let a session that just logged in hear what its client has subscribed to.

        Before its unread counts are read, so that each broadcast is counted there or delivered. Costs nothing in an app
        without service conversations.
        """
        if not self._services.any(session.app):
            return
        subscribed: list[int] = []
        overtaken = True
        while overtaken:
            self._reading[session] = False
            try:
                subscribed = await self._services.subscriptions(session.app, session.client)
            finally:
                overtaken = self._reading.pop(session, False)
        for key in subscribed:
            self._registry.listen(session, key)

    def joined(self, event: MembersJoined) -> None:
        for session in self._sessions(event, event.joined):
            self._registry.listen(session, event.conversation.key)

    def left(self, event: MembersLeft) -> None:
        for session in self._sessions(event, event.left):
            self._registry.unlisten(session, event.conversation.key)
            if session in self._reading:
                self._reading[session] = True

    def _sessions(self, event: MembersJoined | MembersLeft, clients: tuple[str, ...]) -> list[Session]:
        found = self._registry.of_clients(event.conversation.app_key, set(clients))
        return [session for sessions in found for session in sessions]
