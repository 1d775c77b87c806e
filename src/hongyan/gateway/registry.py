"""Who is connected here: the sessions of every client of every app, on this node."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hongyan.engine import sessions
from hongyan.engine.values import App
from hongyan.wire import frames

if TYPE_CHECKING:
    from hongyan.engine.sessions import Ticket
    from hongyan.gateway.connection import Connection

#: A delivery kept back while the session is told what it missed: (conversation id, seq, frame, patched_at). Counts that
#: cover the conversation up to that seq make it superfluous, and edits up to that time; 0: it is never superfluous.
Held = tuple[str, int, bytes, int]

#: Deliveries that may be kept back; a session for which more come before its counts is too slow for them.
HELD_MAX = 4_096
#: Bytes of all that is kept back for the sessions of one connection: a peer that reads nothing can draw this out.
HELD_BYTES_MAX = 4_194_304


class Session:
    """One opened client on one connection.

    `broadcast` is the key of the last message to all clients that it was told. `tail` is its part of every shared
    frame. While `held` is a list, deliveries gather there instead of going out. `reported` is the device's address for
    pushes if it has told another one since the login.
    """

    __slots__ = ("app", "audiences", "broadcast", "client", "connection", "held", "reported", "tail", "ticket")

    def __init__(self, connection: "Connection", app: App, client: str, ticket: "Ticket") -> None:
        self.connection = connection
        self.app = app
        self.client = client
        self.ticket = ticket
        self.tail = frames.peer_tail(client)
        self.held: list[Held] | None = None
        self.audiences: tuple[int, ...] = ()
        self.broadcast = 0
        self.reported = ""

    def hold(self, conversation_id: str, seq: int, frame: bytes, patched_at: int = 0) -> None:
        """Keep a delivery back, while `held` is a list."""
        assert self.held is not None
        self.held.append((conversation_id, seq, frame, patched_at))
        self.connection.held_bytes += len(frame)
        if len(self.held) > HELD_MAX or self.connection.held_bytes > HELD_BYTES_MAX:
            self.connection.cut_off("too many deliveries wait for what it missed")
            self.held.clear()

    def drop_held(self, conversation_id: str) -> None:
        """It has left a chat room: what was kept back would come after the answer to that."""
        if self.held:
            dropped = [each for each in self.held if each[0] == conversation_id]
            self.held[:] = [each for each in self.held if each[0] != conversation_id]
            self.connection.held_bytes -= sum(len(frame) for _, _, frame, _ in dropped)

    def release(self) -> list[Held]:
        """What was kept back; deliveries go out from now on."""
        held, self.held = self.held or [], None
        self.connection.held_bytes -= sum(len(frame) for _, _, frame, _ in held)
        return held

    @property
    def device(self) -> str:
        """What tells it from the client's sessions on other devices; one that says nothing of itself is its own."""
        return self.ticket.device or self.ticket.id

    @property
    def source(self) -> str:
        """The address it comes from; empty if it is unknown."""
        return self.connection.source

    @property
    def tag(self) -> str:
        """The kind of device, of which only one is logged in at a time; empty if there may be any number."""
        return self.ticket.tag

    @property
    def is_open(self) -> bool:
        """Whether the client has not logged out or been ended meanwhile."""
        return self.connection.sessions.get(self.client) is self

    def can(self, capability: int) -> bool:
        """Whether a bit of `configBitmap` is set (reference 4.1)."""
        return bool(self.ticket.bitmap & capability)

    def can_all(self, capabilities: int) -> bool:
        """Whether all of these bits are set."""
        return self.ticket.bitmap & capabilities == capabilities


PATCHES = 0x01
TEMPORARY = sessions.TEMPORARY
BIND_INSTALLATION = 0x04
ACK_TRANSIENT = 0x08
PARTIAL_FAILURE = 0x20
GROUP_RECEIPTS = 0x40

Clients = dict[str, list[Session]]


#: The sessions that hear a conversation without its having a list of members, in order; and the number of the last
#: thing that they need not be told any more: it was told, or it happened before they came (see `fanout`).
Audience = dict[Session, int]


class Registry:
    def __init__(self) -> None:
        self._apps: dict[int, Clients] = {}
        self._audiences: dict[int, Audience] = {}
        self.sessions = 0
        self.moment = 0

    def add(self, session: Session) -> None:
        self._apps.setdefault(session.app.key, {}).setdefault(session.client, []).append(session)
        self.sessions += 1

    def audience(self, conversation_key: int) -> Audience:
        """Who hears a chat room or a service conversation; not to be kept while it may change.

        `moment` is the number of the latest thing that large audiences are told.
        """
        return self._audiences.get(conversation_key, {})

    def listen(self, session: Session, conversation_key: int) -> None:
        """Let an open session hear a conversation, until `unlisten` or its end."""
        if session.is_open and conversation_key not in session.audiences:
            session.audiences = (*session.audiences, conversation_key)
            self._audiences.setdefault(conversation_key, {})[session] = self.moment

    def listen_to_all(self, session: Session, conversation_keys: Iterable[int]) -> None:
        """`listen` to any number."""
        if session.is_open:
            known = set(session.audiences)
            new = [key for key in dict.fromkeys(conversation_keys) if key not in known]
            session.audiences = (*session.audiences, *new)
            for key in new:
                self._audiences.setdefault(key, {})[session] = self.moment

    def unlisten(self, session: Session, conversation_key: int) -> None:
        if conversation_key in session.audiences:
            session.audiences = tuple(key for key in session.audiences if key != conversation_key)
            self._leave(session, conversation_key)

    def _leave(self, session: Session, conversation_key: int) -> None:
        audience = self._audiences[conversation_key]
        del audience[session]
        if not audience:
            del self._audiences[conversation_key]

    def remove(self, session: Session) -> None:
        for key in session.audiences:
            self._leave(session, key)
        session.audiences = ()
        clients = self._apps.get(session.app.key, {})
        sessions = clients.get(session.client, [])
        if session in sessions:
            sessions.remove(session)
            self.sessions -= 1
        if not sessions:
            clients.pop(session.client, None)

    def of_client(self, app_key: int, client: str) -> list[Session]:
        return self._apps.get(app_key, {}).get(client, [])

    def of_app(self, app_key: int) -> list[Session]:
        """All sessions of an app, as they are now."""
        return [session for sessions in self._apps.get(app_key, {}).values() for session in sessions]

    def of_clients(self, app_key: int, wanted: set[str]) -> Iterator[list[Session]]:
        """The sessions of each of these clients that is online; walks the smaller of the two sets."""
        clients = self._apps.get(app_key)
        if not clients:
            return
        if len(wanted) <= len(clients):
            for client in wanted:
                sessions = clients.get(client)
                if sessions:
                    yield sessions
        else:
            for client, sessions in clients.items():
                if client in wanted:
                    yield sessions
