"""Events from the bus to the sessions here: encoded once, left in each connection's outbox."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hongyan.engine.congestion import Congestion
from hongyan.engine.events import (
    BlocksChanged,
    ChatRoomEntered,
    ChatRoomLeft,
    ConversationUpdated,
    Event,
    LiveQueriesMatched,
    MembersJoined,
    MembersLeft,
    MessagePatched,
    MessageReplaced,
    MessageSent,
    MessageSynced,
    ReceiptsGiven,
    RoleChanged,
    SilenceChanged,
    UnreadChanged,
)
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.values import OF_MEMBERS, Conversation, ConversationKind, iso_time
from hongyan.gateway.connection import IM_SERVICE
from hongyan.gateway.fanout import Fanout, Told
from hongyan.gateway.gathering import Gathering
from hongyan.gateway.live_queries import Listeners
from hongyan.gateway.pushes import (
    DROPPABLE,
    PERMANENT,
    conv_command,
    direct_command,
    kind_fields,
    member_info,
    patch_command,
    rcp_command,
    unread_command,
)
from hongyan.gateway.registry import GROUP_RECEIPTS, PATCHES, TEMPORARY, Registry, Session
from hongyan.gateway.subscriptions import Subscriptions
from hongyan.wire.frames import SharedFrame
from hongyan.wire.messages2_pb2 import ConvCommand, GenericCommand, JsonObjectMessage, OpType

#: Whether silenced or not: what the client itself is told, and what all are.
_SILENCE_OPS = {
    True: (OpType.shutuped, OpType.members_shutuped),
    False: (OpType.unshutuped, OpType.members_unshutuped),
}
#: Bytes that take as long to deliver as one message more.
MESSAGE_WORTH = 512
#: What the clients concerned are told, and the others, by whether they are blocked now.
_BLOCKS = {
    True: (OpType.blocked, OpType.members_blocked),
    False: (OpType.unblocked, OpType.members_unblocked),
}


class Delivery:
    def __init__(
        self,
        registry: Registry,
        budget: DeliveryBudget,
        changes: DeliveryBudget,
        live_queries: Listeners,
        subscriptions: Subscriptions,
        congestion: Congestion,
        call_soon: Callable[[Callable[[], None]], object],
        wake: Callable[[], None],
    ) -> None:
        """`budget` is charged for messages, `changes` for changes of attributes.

        `wake` has `tell_gathered` called at the end of this tick.
        """
        self._registry = registry
        self._subscriptions = subscriptions
        self._changes = changes
        self.gathering = Gathering(registry, budget, wake)
        self.fanout = Fanout(registry, budget, congestion, call_soon, wake)
        self._tellers: dict[type[Any], Callable[[Any], None]] = {
            MessageSynced: self._synced,
            MembersJoined: self._members_joined,
            MembersLeft: self._members_left,
            UnreadChanged: self._unread,
            ReceiptsGiven: self._receipts,
            MessagePatched: self._patched,
            MessageReplaced: self._replaced,
            ConversationUpdated: self._updated,
            LiveQueriesMatched: live_queries.tell,
            RoleChanged: self._role_changed,
            SilenceChanged: self._silence_changed,
            BlocksChanged: self._blocks,
            ChatRoomEntered: self._entered,
            ChatRoomLeft: self._left,
        }

    def on(self, kind: type[Event], teller: Callable[[Any], None]) -> None:
        """Have others tell of events of this kind."""
        self._tellers[kind] = teller

    def on_event(self, event: Event) -> None:
        if type(event) is MessageSent:
            self._message(event)
            return
        teller = self._tellers.get(type(event))  # some are for others than clients
        if teller is not None:
            self.tell_gathered()
            teller(event)

    def tell_gathered(self) -> None:
        """Tell all that has gathered in this tick: at its end, and before anything else happens."""
        self.gathering.tell()
        self.fanout.tell_small()

    def _message(self, event: MessageSent) -> None:
        conversation, message, origin = event.conversation, event.message, event.origin
        if not _has_audience(conversation):
            self.gathering.add(event)
            return
        shared = SharedFrame(direct_command(conversation.id, int(conversation.kind), message))
        priority = message.priority if conversation.kind == ConversationKind.CHATROOM else 0
        told = Told(
            shared,
            conversation.id,
            origin,
            seq=message.seq,
            priority=priority,
            is_message=True,
            passed_over=None if event.to_sender else message.sender,
        )
        self.fanout.tell(conversation, told)

    def _tell_all(self, conversation: Conversation, command: GenericCommand, origin: object | None = None) -> int:
        """Tell all who hear a conversation, except the session `origin`; how many that are."""
        shared, count = SharedFrame(command), 0
        if _has_audience(conversation):
            self.fanout.tell(conversation, Told(shared, conversation.id, origin))
            return len(self._registry.audience(conversation.key))
        for sessions in self._of_clients(conversation, conversation.members):
            for session in sessions:
                if session is not origin:
                    _leave(session, shared)
                    count += 1
        return count

    def _of_clients(self, conversation: Conversation, clients: set[str]) -> Iterable[list[Session]]:
        """The sessions of these clients that hear of such conversations."""
        found = self._registry.of_clients(conversation.app_key, clients)
        if conversation.kind is not ConversationKind.TEMPORARY:
            return found
        return [[session for session in sessions if session.can(TEMPORARY)] for sessions in found]

    def _entered(self, event: ChatRoomEntered) -> None:
        assert isinstance(event.login, Session)
        self._registry.listen(event.login, event.conversation_key)

    def _left(self, event: ChatRoomLeft) -> None:
        assert isinstance(event.login, Session)
        self._registry.unlisten(event.login, event.conversation_key)
        event.login.drop_held(event.conversation_id)

    def _synced(self, event: MessageSynced) -> None:
        conversation = event.conversation
        command = direct_command(conversation.id, int(conversation.kind), event.message)
        self._tell(conversation, conversation.members, command)

    def _members_joined(self, event: MembersJoined) -> None:
        if event.conversation.kind is ConversationKind.SERVICE:
            self._subscriptions.joined(event)
        cid, by, udate = event.conversation.id, event.by, iso_time(event.at)
        kind, where = kind_fields(event.conversation, event.at), event.conversation
        joined = ConvCommand(cid=cid, initBy=by, udate=udate, **kind)
        everyone = ConvCommand(cid=cid, initBy=by, udate=udate, m=event.joined, **kind)
        self._tell(where, event.joined, conv_command(OpType.joined, joined, event.at, PERMANENT))
        self._tell(where, where.members, conv_command(OpType.members_joined, everyone, event.at, DROPPABLE))

    def _members_left(self, event: MembersLeft) -> None:
        if event.conversation.kind is ConversationKind.SERVICE:
            self._subscriptions.left(event)
        cid, by, udate = event.conversation.id, event.by, iso_time(event.at)
        left = ConvCommand(cid=cid, initBy=by, udate=udate)
        everyone = ConvCommand(cid=cid, initBy=by, udate=udate, m=event.left)
        where = event.conversation
        self._tell(where, event.left, conv_command(OpType.left, left, event.at, PERMANENT))
        self._tell(where, where.members, conv_command(OpType.members_left, everyone, event.at, DROPPABLE))

    def _blocks(self, event: BlocksChanged) -> None:
        """Tell the clients concerned, and the members of a group or the audience of a chat room.

        Who is blocked hears no more; subscribers of a service conversation are not told of each other.
        """
        conversation, at = event.conversation, event.at
        kind = kind_fields(conversation, at)
        own, others = _BLOCKS[event.blocked]
        told = ConvCommand(cid=conversation.id, initBy=event.by, **kind)
        self._tell(conversation, event.clients, conv_command(own, told, at, DROPPABLE))
        if conversation.kind is not ConversationKind.SERVICE:
            everyone = ConvCommand(cid=conversation.id, initBy=event.by, m=event.clients, **kind)
            self._tell_all(conversation, conv_command(others, everyone, at, DROPPABLE))

    def _updated(self, event: ConversationUpdated) -> None:
        updated = ConvCommand(
            cid=event.conversation.id,
            initBy=event.by,
            udate=iso_time(event.at),
            attr=JsonObjectMessage(data=event.attr),
            attrModified=JsonObjectMessage(data=event.modified),
            **kind_fields(event.conversation, event.at),
        )
        command = conv_command(OpType.updated, updated, event.at, DROPPABLE)
        count = self._tell_all(event.conversation, command, event.origin)
        self._changes.charge(event.conversation.app_key, count * (1 + command.ByteSize() // MESSAGE_WORTH))

    def _role_changed(self, event: RoleChanged) -> None:
        changed = ConvCommand(cid=event.conversation.id, initBy=event.by or None, info=member_info(event.info))
        self._tell_all(event.conversation, conv_command(OpType.member_info_changed, changed, event.at, DROPPABLE))

    def _silence_changed(self, event: SilenceChanged) -> None:
        """Only who is there hears of it, be it silenced itself: nobody can be reached by naming him."""
        of_own, of_all = _SILENCE_OPS[event.silenced]
        cid, by, kind = event.conversation.id, event.by or None, kind_fields(event.conversation, event.at)
        own = ConvCommand(cid=cid, initBy=by, **kind)
        everyone = ConvCommand(cid=cid, initBy=by, m=event.clients, **kind)
        concerned = SharedFrame(conv_command(of_own, own, event.at, DROPPABLE))
        for session in self._there(event.conversation, event.clients):
            _leave(session, concerned)
        if event.conversation.kind is not ConversationKind.SERVICE:  # subscribers are not told of each other
            self._tell_all(event.conversation, conv_command(of_all, everyone, event.at, DROPPABLE))

    def _there(self, conversation: Conversation, clients: Iterable[str]) -> Iterator[Session]:
        """The sessions of these clients that hear a conversation."""
        audience = self._registry.audience(conversation.key) if _has_audience(conversation) else None
        for client in clients:
            for session in self._registry.of_client(conversation.app_key, client):
                if client in conversation.members if audience is None else session in audience:
                    yield session

    def _unread(self, event: UnreadChanged) -> None:
        """Counts that are newer than this state make it superfluous, those of the same state don't: hence + 1."""
        sessions = self._registry.of_client(event.app_key, event.client)
        if not sessions:
            return
        command = unread_command([event.unread], event.at, sessions[0].app.settings.unread_max)
        command.service, command.serverTs = IM_SERVICE, event.at
        shared = SharedFrame(command)
        place, seq = event.unread.state
        is_temporary = event.unread.kind is ConversationKind.TEMPORARY
        for session in sessions:
            if session.connection.subprotocol.unread and (not is_temporary or session.can(TEMPORARY)):
                _leave(session, shared, place, seq + 1)

    def _receipts(self, event: ReceiptsGiven) -> None:
        """In conversations of more than two only those hear that asked for group receipts (reference 3.18)."""
        conversation, receipts = event.conversation, event.receipts
        needed = 0 if len(conversation.members) <= 2 else GROUP_RECEIPTS
        if conversation.kind is ConversationKind.TEMPORARY:
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
        passed_over = None if event.to_author else message.sender
        if _has_audience(conversation):
            at = message.patched_at or 0
            told = Told(shared, conversation.id, event.origin, patched_at=at, wanted=PATCHES, passed_over=passed_over)
            self.fanout.tell(conversation, told)
            return
        for sessions in self._of_clients(conversation, conversation.members):
            for session in sessions:
                if session is not event.origin and session.client != passed_over and session.can(PATCHES):
                    _leave(session, shared, patched_at=message.patched_at or 0)

    def _replaced(self, event: MessageReplaced) -> None:
        conversation, message = event.conversation, event.message
        shared = SharedFrame(patch_command(conversation.id, message, event.replaced))
        needed = PATCHES | (TEMPORARY if conversation.kind is ConversationKind.TEMPORARY else 0)
        for session in self._registry.of_client(conversation.app_key, message.sender):
            if session.can_all(needed):
                _leave(session, shared)

    def _tell(self, where: Conversation, clients: Iterable[str], command: GenericCommand) -> None:
        """One copy to each session of each client."""
        shared = SharedFrame(command)
        for sessions in self._of_clients(where, set(clients)):
            for session in sessions:
                _leave(session, shared)


def _has_audience(conversation: Conversation) -> bool:
    """Whether those who hear it are its audience. What a service conversation is to one client alone has a member."""
    return conversation.kind not in OF_MEMBERS and not conversation.stream


def _leave(session: Session, shared: SharedFrame, conversation_id: str = "", seq: int = 0, patched_at: int = 0) -> None:
    text = session.connection.subprotocol.text
    frame = shared.text(session.tail) if text else shared.binary(session.tail)
    if session.held is None:
        session.connection.push(frame)
    else:
        session.hold(conversation_id, seq, frame, patched_at)
