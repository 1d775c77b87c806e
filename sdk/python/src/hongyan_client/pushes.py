"""What the server sends of itself: commands become events."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hongyan_client import events, message
from hongyan_client.inbox import Inbox
from hongyan_client.message import Message
from hongyan_client.messages2_pb2 import CommandType, ConvCommand, GenericCommand, OpType, PatchItem, UnreadTuple
from hongyan_client.roles import Role
from hongyan_client.timeline import Timelines

if TYPE_CHECKING:
    from hongyan_client.client import Client

CHAT_ROOM = 2
CONFLICT = 4111
#: Kinds of conversations that are found among a client's own: normal ones, and those of servers that don't say.
LISTED = frozenset({0, 1})
#: Notifications remembered, to tell those fetched from those pushed.
SEEN_MAX = 512


class Pushes:
    """Remembers the times that a login tells the server: of the last count, edit and notification.

    From `missed_since` on notifications are to be fetched; those that follow the login are later than that.
    """

    def __init__(self, client: "Client", inbox: Inbox, timelines: Timelines) -> None:
        self._client = client
        self._inbox = inbox
        self._timelines = timelines
        self._seen: dict[tuple[Any, ...], int] = {}
        self._chat_rooms: set[str] = set()
        self._goaway = False
        self.server_time = 0
        self.unread_time = 0
        self.patch_time = 0
        self.notified_at = 0
        self.missed_since = 0

    def opened(self, answer: GenericCommand) -> None:
        """A login; the first one is where everything begins."""
        self.server_time = max(self.server_time, answer.serverTs)
        self.patch_time = self.patch_time or answer.serverTs
        self.missed_since = self.missed_since or self.notified_at
        self.notified_at = self.notified_at or answer.serverTs

    def take_goaway(self) -> bool:
        """Whether the server asked to connect elsewhere since this was asked last."""
        asked, self._goaway = self._goaway, False
        return asked

    def is_acknowledged(self, received: Message) -> bool:
        """Whether the server wants to know that the message arrived: not in chat rooms."""
        return received.conversation_id not in self._chat_rooms

    def take(self, push: GenericCommand) -> None:
        """A command that answers no request."""
        self.server_time = max(self.server_time, push.serverTs)
        if push.HasField("peerId") and push.peerId != self._client.client_id:
            return
        take = _COMMANDS.get(push.cmd)
        if take is not None:
            take(self, push)

    def notified(self, command: GenericCommand) -> None:
        """A notification fetched after a reconnect, unless it was pushed."""
        if _identity(command) not in self._seen:
            self.take(command)

    def _session(self, push: GenericCommand) -> None:
        told = push.sessionMessage
        if push.op == OpType.closed:
            kind = events.Conflict if told.code == CONFLICT else events.Closed
            self._client.ended(kind(told.code, told.reason, told.detail))

    def _goes_away(self, push: GenericCommand) -> None:
        self._goaway = True
        self._client.moving()

    def _direct(self, push: GenericCommand) -> None:
        direct = push.directMessage
        if direct.convType == CHAT_ROOM:
            self._chat_rooms.add(direct.cid)
        received = message.from_push(direct)
        self._timelines.message(received, more=direct.offline and direct.hasMore, listed=direct.convType in LISTED)

    def _unread(self, push: GenericCommand) -> None:
        told = push.unreadMessage
        self.unread_time = max(self.unread_time, told.notifTime)
        for item in told.convs:
            self._count(item)

    def _count(self, item: UnreadTuple) -> None:
        line = self._timelines.line(item.cid)
        line.unread, line.unread_at, line.unread_id = item.unread, item.timestamp, item.mid
        self._client.told_unread(item.cid)
        conversation = self._client.conversation(item.cid)
        last = message.from_unread(item)
        self._timelines.event(item.cid, events.UnreadChanged(conversation, item.unread, item.mentioned, last))
        own = last is not None and last.id in line.own and not item.unread
        if item.timestamp and not own:
            self._timelines.missed(item.cid, item.timestamp)

    def _patch(self, push: GenericCommand) -> None:
        if push.op != OpType.modify:
            return
        for item in push.patchMessage.patches:
            self.patch_time = max(self.patch_time, item.patchTimestamp)
            self._timelines.event(item.cid, self._patched(item))

    def _patched(self, item: PatchItem) -> events.Event:
        conversation, changed = self._client.conversation(item.cid), message.from_patch(item)
        if item.recall or changed.recalled:
            return events.MessageRecalled(conversation, changed)
        code = item.patchCode if item.HasField("patchCode") else None
        return events.MessageEdited(conversation, changed, code, item.patchReason)

    def _receipt(self, push: GenericCommand) -> None:
        self._notice(push)
        told = push.rcpMessage
        kind = events.Read if told.read else events.Delivered
        by = getattr(told, "from")
        self._inbox.offer(kind(self._client.conversation(told.cid), told.id, by, told.t))

    def _conversation(self, push: GenericCommand) -> None:
        self._notice(push)
        take = _OPERATIONS.get(push.op)
        if take is not None:
            take(self, push.convMessage, push.serverTs)

    def _notice(self, push: GenericCommand) -> None:
        self._seen[_identity(push)] = push.serverTs
        if len(self._seen) > SEEN_MAX:
            forgotten = self._seen.pop(next(iter(self._seen)))
            if self.missed_since:  # what was told is not told again, even if some before it never is
                self.missed_since = max(self.missed_since, forgotten)
        self.notified_at = max(self.notified_at, push.serverTs)

    def _joined(self, told: ConvCommand, at: int) -> None:
        self._timelines.joined(told.cid, at)
        conversation = self._client.conversation(told.cid)
        conversation._joined([self._client.client_id])
        self._timelines.event(told.cid, events.Invited(conversation, told.initBy))

    def _left(self, told: ConvCommand, at: int) -> None:
        conversation = self._client.conversation(told.cid)
        conversation._left([self._client.client_id])
        self._timelines.left(told.cid)
        self._inbox.offer(events.Kicked(conversation, told.initBy))

    def _members_joined(self, told: ConvCommand, at: int) -> None:
        conversation = self._client.conversation(told.cid)
        conversation._joined(told.m)
        self._timelines.event(told.cid, events.MembersJoined(conversation, tuple(told.m), told.initBy))

    def _members_left(self, told: ConvCommand, at: int) -> None:
        conversation = self._client.conversation(told.cid)
        conversation._left(told.m)
        self._timelines.event(told.cid, events.MembersLeft(conversation, tuple(told.m), told.initBy))

    def _blocked(self, told: ConvCommand, at: int) -> None:
        self._inbox.offer(events.Blocked(self._client.conversation(told.cid), told.initBy))

    def _unblocked(self, told: ConvCommand, at: int) -> None:
        self._inbox.offer(events.Unblocked(self._client.conversation(told.cid), told.initBy))

    def _members_blocked(self, told: ConvCommand, at: int) -> None:
        conversation = self._client.conversation(told.cid)
        self._timelines.event(told.cid, events.MembersBlocked(conversation, tuple(told.m), told.initBy))

    def _members_unblocked(self, told: ConvCommand, at: int) -> None:
        conversation = self._client.conversation(told.cid)
        self._timelines.event(told.cid, events.MembersUnblocked(conversation, tuple(told.m), told.initBy))

    def _updated(self, told: ConvCommand, at: int) -> None:
        conversation = self._client.conversation(told.cid)
        changes, values = _json_object(told.attr.data), _json_object(told.attrModified.data)
        conversation._apply(changes, values, told.udate)
        self._timelines.event(told.cid, events.ConversationUpdated(conversation, changes, values, told.initBy))

    def _member_info_changed(self, told: ConvCommand, at: int) -> None:
        """A role that this version does not know is no news."""
        conversation, info = self._client.conversation(told.cid), told.info
        if info.role in set(Role):
            changed = events.RoleChanged(conversation, info.pid, Role(info.role), told.initBy)
            self._timelines.event(told.cid, changed)

    def _shutuped(self, told: ConvCommand, at: int) -> None:
        self._inbox.offer(events.Silenced(self._client.conversation(told.cid), told.initBy))

    def _unshutuped(self, told: ConvCommand, at: int) -> None:
        self._inbox.offer(events.Unsilenced(self._client.conversation(told.cid), told.initBy))

    def _members_shutuped(self, told: ConvCommand, at: int) -> None:
        conversation = self._client.conversation(told.cid)
        self._timelines.event(told.cid, events.MembersSilenced(conversation, tuple(told.m), told.initBy))

    def _members_unshutuped(self, told: ConvCommand, at: int) -> None:
        conversation = self._client.conversation(told.cid)
        self._timelines.event(told.cid, events.MembersUnsilenced(conversation, tuple(told.m), told.initBy))


_COMMANDS: dict[int, Callable[[Pushes, GenericCommand], None]] = {
    CommandType.session: Pushes._session,
    CommandType.goaway: Pushes._goes_away,
    CommandType.direct: Pushes._direct,
    CommandType.unread: Pushes._unread,
    CommandType.patch: Pushes._patch,
    CommandType.rcp: Pushes._receipt,
    CommandType.conv: Pushes._conversation,
}

_OPERATIONS: dict[int, Callable[[Pushes, ConvCommand, int], None]] = {
    OpType.joined: Pushes._joined,
    OpType.left: Pushes._left,
    OpType.members_joined: Pushes._members_joined,
    OpType.members_left: Pushes._members_left,
    OpType.updated: Pushes._updated,
    OpType.member_info_changed: Pushes._member_info_changed,
    OpType.shutuped: Pushes._shutuped,
    OpType.unshutuped: Pushes._unshutuped,
    OpType.members_shutuped: Pushes._members_shutuped,
    OpType.members_unshutuped: Pushes._members_unshutuped,
    OpType.blocked: Pushes._blocked,
    OpType.unblocked: Pushes._unblocked,
    OpType.members_blocked: Pushes._members_blocked,
    OpType.members_unblocked: Pushes._members_unblocked,
}


def _identity(push: GenericCommand) -> tuple[Any, ...]:
    """What tells one notification from another."""
    if push.cmd == CommandType.rcp:
        told = push.rcpMessage
        return push.cmd, told.cid, told.id, told.read, getattr(told, "from")
    return push.cmd, push.op, push.convMessage.cid, push.serverTs, tuple(push.convMessage.m)


def _json_object(text: str) -> dict[str, Any]:
    parsed = json.loads(text or "{}")
    return parsed if isinstance(parsed, dict) else {}
