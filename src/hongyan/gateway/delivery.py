"""Events from the bus to the sessions here: encoded once, left in each connection's outbox."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hongyan.engine.events import (
    ConversationUpdated,
    Event,
    MembersJoined,
    MembersLeft,
    MessagePatched,
    MessageSent,
    ReceiptsGiven,
    UnreadChanged,
)
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.values import OF_MEMBERS, Conversation, ConversationKind, iso_time
from hongyan.gateway.connection import IM_SERVICE
from hongyan.gateway.pushes import (
    DROPPABLE,
    PERMANENT,
    conv_command,
    direct_command,
    kind_fields,
    patch_command,
    rcp_command,
    unread_command,
)
from hongyan.gateway.registry import GROUP_RECEIPTS, PATCHES, TEMPORARY, Registry, Session
from hongyan.wire.frames import SharedFrame
from hongyan.wire.messages2_pb2 import ConvCommand, GenericCommand, JsonObjectMessage, OpType


class Delivery:
    def __init__(self, registry: Registry, budget: DeliveryBudget) -> None:
        self._registry = registry
        self._budget = budget
        self.deliveries = 0
        self._tellers: Mapping[type[Any], Callable[[Any], None]] = {
            MessageSent: self._message,
            MembersJoined: self._members_joined,
            MembersLeft: self._members_left,
            UnreadChanged: self._unread,
            ReceiptsGiven: self._receipts,
            MessagePatched: self._patched,
            ConversationUpdated: self._updated,
        }

    def on_event(self, event: Event) -> None:
        self._tellers[type(event)](event)

    def _message(self, event: MessageSent) -> None:
        conversation, message, origin = event.conversation, event.message, event.origin
        shared = SharedFrame(direct_command(conversation.id, int(conversation.kind), message))
        count = 0
        for sessions in self._hearing(conversation):
            for session in sessions:
                if session is origin:
                    continue
                connection = session.connection
                tail = session.tail
                frame = shared.text(tail) if connection.subprotocol.text else shared.binary(tail)
                if session.held is None:  # `_leave`, written out: this loop is the cost of a busy room
                    connection.push(frame)
                else:
                    session.hold(conversation.id, message.seq, frame)
                count += 1
        self.deliveries += count
        self._budget.charge(conversation.app_key, count)

    def _hearing(self, conversation: Conversation) -> Iterable[Iterable[Session]]:
        """The sessions of the members, or the audience of a conversation that has no list of them."""
        if conversation.kind in OF_MEMBERS:
            return self._of_clients(conversation, conversation.members)
        return [self._registry.audience(conversation.key)]

    def _of_clients(self, conversation: Conversation, clients: set[str]) -> Iterable[list[Session]]:
        """The sessions of these clients that hear of such conversations."""
        found = self._registry.of_clients(conversation.app_key, clients)
        if conversation.kind != ConversationKind.TEMPORARY:
            return found
        return [[session for session in sessions if session.can(TEMPORARY)] for sessions in found]

    def _members_joined(self, event: MembersJoined) -> None:
        cid, by, udate = event.conversation.id, event.by, iso_time(event.at)
        kind = kind_fields(event.conversation, event.at)
        joined = ConvCommand(cid=cid, initBy=by, udate=udate, **kind)
        everyone = ConvCommand(cid=cid, initBy=by, udate=udate, m=event.joined, **kind)
        where = event.conversation
        self._tell(where, event.joined, conv_command(OpType.joined, joined, event.at, PERMANENT))
        self._tell(where, where.members, conv_command(OpType.members_joined, everyone, event.at, DROPPABLE))

    def _members_left(self, event: MembersLeft) -> None:
        cid, by, udate = event.conversation.id, event.by, iso_time(event.at)
        left = ConvCommand(cid=cid, initBy=by, udate=udate)
        everyone = ConvCommand(cid=cid, initBy=by, udate=udate, m=event.left)
        where = event.conversation
        self._tell(where, event.left, conv_command(OpType.left, left, event.at, PERMANENT))
        self._tell(where, where.members, conv_command(OpType.members_left, everyone, event.at, DROPPABLE))

    def _updated(self, event: ConversationUpdated) -> None:
        updated = ConvCommand(
            cid=event.conversation.id,
            initBy=event.by,
            udate=iso_time(event.at),
            attr=JsonObjectMessage(data=event.attr),
            attrModified=JsonObjectMessage(data=event.modified),
        )
        command = conv_command(OpType.updated, updated, event.at, DROPPABLE)
        self._tell(event.conversation, event.conversation.members, command, event.origin)

    def _unread(self, event: UnreadChanged) -> None:
        """Counts that are newer than this state make it superfluous, those of the same state don't: hence + 1."""
        sessions = self._registry.of_client(event.app_key, event.client)
        if not sessions:
            return
        command = unread_command([event.unread], event.at, sessions[0].app.settings.unread_max)
        command.service, command.serverTs = IM_SERVICE, event.at
        shared = SharedFrame(command)
        is_temporary = event.unread.kind == ConversationKind.TEMPORARY
        for session in sessions:
            if session.connection.subprotocol.unread and (not is_temporary or session.can(TEMPORARY)):
                _leave(session, shared, event.unread.conversation_id, event.unread.last_seq + 1)

    def _receipts(self, event: ReceiptsGiven) -> None:
        """In conversations of more than two only those hear that asked for group receipts (reference 3.18)."""
        conversation, receipts = event.conversation, event.receipts
        needed = 0 if len(conversation.members) <= 2 else GROUP_RECEIPTS
        if conversation.kind == ConversationKind.TEMPORARY:
            needed |= TEMPORARY
        for receipt in receipts.given:
            sessions = self._registry.of_client(conversation.app_key, receipt.sender)
            wanting = [session for session in sessions if session.can_all(needed)]
            if wanting:
                shared = SharedFrame(rcp_command(conversation.id, receipt, event.reader, receipts.at, read=event.read))
                for session in wanting:
                    _leave(session, shared)

    def _patched(self, event: MessagePatched) -> None:
        conversation, message = event.conversation, event.message
        shared = SharedFrame(patch_command(conversation.id, message))
        for sessions in self._hearing(conversation):
            for session in sessions:
                if session is not event.origin and session.can(PATCHES):
                    _leave(session, shared, patched_at=message.patched_at or 0)

    def _tell(
        self, where: Conversation, clients: Iterable[str], command: GenericCommand, origin: object | None = None
    ) -> None:
        """One copy to each session of each client, except `origin`."""
        shared = SharedFrame(command)
        for sessions in self._of_clients(where, set(clients)):
            for session in sessions:
                if session is not origin:
                    _leave(session, shared)


def _leave(session: Session, shared: SharedFrame, conversation_id: str = "", seq: int = 0, patched_at: int = 0) -> None:
    text = session.connection.subprotocol.text
    frame = shared.text(session.tail) if text else shared.binary(session.tail)
    if session.held is None:
        session.connection.push(frame)
    else:
        session.hold(conversation_id, seq, frame, patched_at)
