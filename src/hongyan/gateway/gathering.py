"""Messages to members, gathered until the outboxes are written.

One commit brings many messages; of those to one conversation each session gets all in one piece. So what a delivery
costs beside its bytes is shared by all messages of a commit (docs/performance.md).
"""

import logging
from collections.abc import Callable, Iterable

from hongyan.engine.events import MessageSent
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.values import Conversation, ConversationKind
from hongyan.gateway.pushes import direct_command
from hongyan.gateway.registry import TEMPORARY, Registry, Session
from hongyan.wire.frames import SharedFrame, SharedFrames

log = logging.getLogger(__name__)


class _Gathered:
    """Messages of one conversation, with who were its members when they were sent.

    `told` says of sessions that have been told some of them before the others are how many that were.
    """

    __slots__ = ("conversation", "early", "frames", "members", "origins", "seqs", "told")

    def __init__(self, conversation: Conversation, members: set[str]) -> None:
        self.conversation = conversation
        self.members = members
        self.frames: list[SharedFrame] = []
        self.origins: list[object | None] = []
        self.seqs: list[int] = []
        self.told: dict[object, int] = {}
        self.early = 0

    def tell(self, session: Session) -> int:
        """Tell a session what it has not been told, one by one; how many deliveries that made."""
        since, upto = self.told.get(session, 0), len(self.frames)
        self.told[session] = upto
        count = 0
        for place in range(since, upto):
            if self.origins[place] is not session:
                _leave(self, session, self.frames[place], self.seqs[place])
                count += 1
        return count


class Gathering:
    """`wake` has `tell` called at the end of this tick."""

    def __init__(self, registry: Registry, budget: DeliveryBudget, wake: Callable[[], None]) -> None:
        self._registry = registry
        self._budget = budget
        self._wake = wake
        self._waiting: dict[str, _Gathered] = {}  # by id, which is what a sender knows of a conversation
        self.deliveries = 0

    def add(self, event: MessageSent) -> None:
        conversation, message = event.conversation, event.message
        place = conversation.stream or conversation.id
        members = conversation.members if event.to_sender else conversation.members - {message.sender}
        gathered = self._waiting.get(place)
        if gathered is not None and gathered.members is not members:
            self.tell()
            gathered = None
        if gathered is None:
            if not self._waiting:
                self._wake()
            gathered = self._waiting[place] = _Gathered(conversation, members)
        gathered.frames.append(SharedFrame(direct_command(conversation.id, int(conversation.kind), message)))
        gathered.origins.append(event.origin)
        gathered.seqs.append(message.seq)

    def tell_speaker(self, session: Session, conversation_id: str) -> None:
        """Tell who is about to learn the place of its own message what stands before it."""
        gathered = self._waiting.get(conversation_id)
        if gathered is None or not session.is_open or session.client not in gathered.members:
            return
        if gathered.conversation.kind is not ConversationKind.TEMPORARY or session.can(TEMPORARY):
            gathered.early += gathered.tell(session)

    def tell(self) -> None:
        """Tell all that has gathered. To be called before anything else is told to members."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, {}
        for gathered in waiting.values():
            try:
                self._tell(gathered)
            except Exception:  # one conversation's trouble is not the next one's
                log.exception("messages could not be told")

    def _tell(self, gathered: _Gathered) -> None:
        app_key = gathered.conversation.app_key
        found = self._registry.of_clients(app_key, gathered.members)
        if gathered.conversation.kind is ConversationKind.TEMPORARY:
            found = ([session for session in sessions if session.can(TEMPORARY)] for sessions in found)
        is_one = len(gathered.frames) == 1 and not gathered.told
        count = gathered.early + (_alone(gathered, found) if is_one else _in_one_piece(gathered, found))
        self.deliveries += count
        self._budget.charge(app_key, count)


def _alone(gathered: _Gathered, found: Iterable[list[Session]]) -> int:
    """Tell one message; how many deliveries that made."""
    (shared,), (origin,), (seq,) = gathered.frames, gathered.origins, gathered.seqs
    count = 0
    for sessions in found:
        for session in sessions:
            if session is not origin:
                _leave(gathered, session, shared, seq)
                count += 1
    return count


def _leave(gathered: _Gathered, session: Session, shared: SharedFrame, seq: int) -> None:
    connection, tail = session.connection, session.tail
    frame = shared.text(tail) if connection.subprotocol.text else shared.binary(tail)
    if session.held is None:
        connection.push(frame)
    else:
        session.hold(gathered.conversation.stream or gathered.conversation.id, seq, frame)


def _in_one_piece(gathered: _Gathered, found: Iterable[list[Session]]) -> int:
    """Tell several messages; how many deliveries that made."""
    shared, number = SharedFrames(gathered.frames), len(gathered.frames)
    special = {*gathered.origins, *gathered.told}
    count = 0
    for sessions in found:
        for session in sessions:
            if session in special or session.held is not None:
                count += gathered.tell(session)
                continue
            connection, tail = session.connection, session.tail
            connection.push_many(shared.text(tail) if connection.subprotocol.text else shared.binary(tail), number)
            count += number
    return count
