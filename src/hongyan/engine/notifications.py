"""What clients missed while they were away, told when they ask (reference 8.4).

That a client itself joined or left is kept in the database for days, written with the change. The rest is kept in
memory only, as much of it as fits: who asks for more is told that something is missing and looks the conversations up.
"""

import heapq
import sys
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hongyan.engine.clock import Clock
from hongyan.engine.events import (
    BlocksChanged,
    ConversationUpdated,
    Event,
    MembersJoined,
    MembersLeft,
    ReceiptsGiven,
    RoleChanged,
    SilenceChanged,
)
from hongyan.engine.ports import Bus, NotificationStore
from hongyan.engine.roles import NAMES
from hongyan.engine.values import App, ConversationKind, Notification

#: Permanent notifications of one answer. JavaScript SDKs may pass over a second one: whatever reaches them meanwhile
#: moves the time from which they ask on.
PAGE = 200
#: Droppable notifications of one answer, and the characters of what they tell.
DROPPABLE_MAX = 1_000
DROPPABLE_CHARACTERS_MAX = 1_048_576
#: Conversations of a client that are looked through.
MEMBERSHIPS_MAX = 10_000
#: Droppable notifications in memory, and about the bytes they take.
KEPT_MAX = 20_000
KEPT_BYTES_MAX = 16 * 1024 * 1024
#: Of one notification, without the texts in it (bytes).
_OVERHEAD = 500

#: Changes of which the members of a conversation are told.
Change = MembersJoined | MembersLeft | ConversationUpdated | RoleChanged | SilenceChanged | BlocksChanged
#: Those that concern clients, and what these are told besides.
TO_THEM = {"members_shutuped": "shutuped", "members_unshutuped": "unshutuped"}

#: Who is told: the members of a conversation (its key), or one client (app key, client id).
Audience = int | tuple[int, str]


@dataclass(frozen=True, slots=True)
class Missed:
    """Both lists are in ascending order of time. `complete` tells whether no droppable notification is missing."""

    permanent: list[Notification]
    has_more: bool
    droppable: list[Notification]
    complete: bool


class Recent:
    """The latest droppable notifications: each audience has its own, in order of time; the oldest of all go first."""

    def __init__(self, since: int, count_max: int = KEPT_MAX, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._order: deque[tuple[Audience, int]] = deque()
        self._by_audience: dict[Audience, list[Notification]] = {}
        self.since = since
        """All notifications of later times are here."""
        self.latest = since
        """No notification of a later time is here."""

    def add(self, audience: Audience, notification: Notification) -> None:
        size = _OVERHEAD + sum(map(_memory, notification.details.values()))
        insort(self._by_audience.setdefault(audience, []), notification, key=_time)
        self._order.append((audience, size))
        self._bytes += size
        self.latest = max(self.latest, notification.at)
        while len(self._order) > self._count_max or self._bytes > self._bytes_max:
            self._drop()

    def after(self, audience: Audience, time: int) -> list[Notification]:
        found = self._by_audience.get(audience)
        return found[bisect_right(found, time, key=_time) :] if found else []

    def _drop(self) -> None:
        audience, size = self._order.popleft()
        self._bytes -= size
        kept = self._by_audience[audience]
        self.since = max(self.since, kept.pop(0).at)
        if not kept:
            del self._by_audience[audience]


class Notifications:
    """Remembers what was told to everybody, whoever did it and whether it was received (reference 4.1, inferred)."""

    def __init__(self, store: NotificationStore, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._recent = Recent(clock.now())
        # what one client alone is told: it is much, and no reason to look conversations up
        self._personal = Recent(clock.now())
        self._keepers: Mapping[type[Any], Callable[[Any], None]] = {
            MembersJoined: self._keep_joined,
            MembersLeft: self._keep_left,
            ConversationUpdated: self._keep_updated,
            ReceiptsGiven: self._keep_receipts,
            RoleChanged: self._keep_role,
            SilenceChanged: self._keep_silence,
            BlocksChanged: self._keep_blocks,
        }
        self._clock = clock
        bus.subscribe(self._on_event)

    async def missed(
        self,
        app: App,
        client: str,
        since: int,
        *,
        permanent: bool = True,
        droppable: bool = True,
        temporary: bool = True,
    ) -> Missed:
        """What happened after the time `since`, of the kinds that are asked for.

        `temporary`: in temporary conversations, too. Of those that have ended nothing is told.
        """
        kept, has_more = await self._page(app.key, client, since, temporary) if permanent else ([], False)
        dropped, complete = await self._droppable(app.key, client, since, temporary) if droppable else ([], True)
        return Missed(kept, has_more, dropped, complete and since >= self._recent.since)

    async def _page(self, app_key: int, client: str, since: int, temporary: bool) -> tuple[list[Notification], bool]:
        """A page, and whether there is more after the time it ends with.

        Who asks on says that time, so those of one millisecond are not parted, unless they are more than a page.
        """
        found = await self._store.page(app_key, client, since, PAGE + 1, temporary=temporary)
        if len(found) <= PAGE:
            return found, False
        whole = [notification for notification in found if notification.at < found[PAGE].at]
        return whole or found[:PAGE], True

    async def _droppable(
        self, app_key: int, client: str, since: int, temporary: bool
    ) -> tuple[list[Notification], bool]:
        """The latest that fit into an answer, and whether that is all."""
        now = self._clock.now()

        def told(notifications: list[Notification]) -> list[Notification]:
            return [n for n in notifications if n.expires_at is None or (temporary and n.expires_at > now)]

        personal = told(self._personal.after((app_key, client), since))
        if self._recent.latest <= since:
            return personal[-DROPPABLE_MAX:], True
        memberships = await self._store.memberships(app_key, client, MEMBERSHIPS_MAX + 1)
        found = personal[-DROPPABLE_MAX:]
        for conversation, joined_at in memberships[:MEMBERSHIPS_MAX]:
            missed = self._recent.after(conversation, max(since, joined_at - 1))
            if missed:  # of ten thousand conversations hardly one
                found += _also_to(client, told(missed))
        latest = heapq.nlargest(DROPPABLE_MAX, reversed(found), key=_time)  # so those of one time keep their order
        room = DROPPABLE_CHARACTERS_MAX
        fitting: list[Notification] = []
        for notification in latest:
            room -= size_of(notification)
            if room < 0:
                break
            fitting.append(notification)
        return fitting[::-1], len(fitting) == len(found) and len(memberships) <= MEMBERSHIPS_MAX

    def _on_event(self, event: Event) -> None:
        keep = self._keepers.get(type(event))  # also asked for every message
        if keep is not None:
            keep(event)

    def _keep_joined(self, event: MembersJoined) -> None:
        self._keep("members_joined", event, {"clients": event.joined})

    def _keep_left(self, event: MembersLeft) -> None:
        self._keep("members_left", event, {"clients": event.left})

    def _keep_updated(self, event: ConversationUpdated) -> None:
        """Not those of chat rooms: nobody who is away belongs to one."""
        if event.conversation.kind == ConversationKind.CHATROOM:
            return
        self._keep("updated", event, {"attr": event.attr, "modified": event.modified})

    def _keep_role(self, event: RoleChanged) -> None:
        info = event.info
        self._keep("member_info_changed", event, {"client": info.client, "role": NAMES[info.role], "info_id": info.id})

    def _keep_silence(self, event: SilenceChanged) -> None:
        op = "members_shutuped" if event.silenced else "members_unshutuped"
        self._keep(op, event, {"clients": event.clients})

    def _keep_receipts(self, event: ReceiptsGiven) -> None:
        """Not those of larger groups, which no SDK asks for (reference 3.18): they would push out all others."""
        if len(event.conversation.members) > 2:
            return
        op, where, at = "read" if event.read else "received", event.conversation, event.receipts.at
        for receipt in event.receipts.given:
            told = Notification(op, where.id, event.reader, at, {"id": receipt.message_id}, where.expires_at)
            self._personal.add((where.app_key, receipt.sender), told)

    def _keep_blocks(self, event: BlocksChanged) -> None:
        """For the members of a group, and for each of the clients concerned."""
        done = "blocked" if event.blocked else "unblocked"
        if event.conversation.kind is ConversationKind.NORMAL:
            self._keep(f"members_{done}", event, {"clients": event.clients})
        told = Notification(done, event.conversation.id, event.by, event.at)
        for client in event.clients:
            self._personal.add((event.conversation.app_key, client), told)

    def _keep(self, op: str, event: Change, details: Mapping[str, Any]) -> None:
        """Not the event itself: it would keep all members of its conversation in memory.

        Nobody is told who else subscribes to a service conversation.
        """
        if event.conversation.kind is ConversationKind.SERVICE and op != "updated":
            return
        where = event.conversation
        self._recent.add(where.key, Notification(op, where.id, event.by, event.at, details, where.expires_at))


def _also_to(client: str, told: list[Notification]) -> Iterator[Notification]:
    """What all members are told, and before it what only the client is, since it is the one concerned."""
    for each in told:
        own = TO_THEM.get(each.op)
        if own is not None and client in each.details["clients"]:
            yield Notification(own, each.conversation_id, each.by, each.at)
        yield each


def size_of(notification: Notification) -> int:
    """The characters of what a notification tells."""
    return sum(map(_length, notification.details.values()))


def _length(detail: object) -> int:
    if isinstance(detail, str):
        return len(detail)
    return sum(map(_length, detail)) + len(detail) if isinstance(detail, tuple) else 0


def _memory(detail: object) -> int:
    """The bytes of a text or of several: short ones take far more than their characters."""
    return sum(map(sys.getsizeof, detail)) if isinstance(detail, tuple) else sys.getsizeof(detail)


def _time(notification: Notification) -> int:
    return notification.at
