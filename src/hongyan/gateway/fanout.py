"""Telling large audiences in slices, so that the event loop is never held for long (docs/decisions/0008).

What an audience is to be told gathers; a walk takes what has gathered round the audience, a slice of sessions per turn
of the loop, each session getting all of it in one piece. Meanwhile more gathers for the next walk. Audiences take
turns. So the busier a room, the more goes out with each write, which is what makes it cheap.

Each session of an audience carries the number of the last thing it need not be told any more. Who comes during a walk
is told what happens after that, who leaves nothing more, and nobody anything twice.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence

from hongyan.engine.congestion import Congestion
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.values import Conversation, Priority
from hongyan.gateway.registry import Audience, Registry, Session
from hongyan.wire.frames import SharedFrame, SharedFrames

log = logging.getLogger(__name__)

#: Audiences up to this size are told in the same tick.
SMALL = 256
#: Sessions told in one turn of the loop, which all get a write of their own: some 2 ms.
SLICE = 256
#: Units of work in one turn: a unit is a frame, and each further KiB of it.
SLICE_WORK = 2_048
#: Units of work that one walk takes to each session.
WALK_WORK = 64
#: Units of work that may wait for one audience and for all together; some seconds' worth.
AUDIENCE_WORK = 2_000_000
TOTAL_WORK = 8_000_000
#: The part of these from which on nothing more of a priority is taken. When all is used, nobody may send any more.
SHED_FROM: dict[int, float] = {Priority.LOW: 0.25, Priority.NORMAL: 0.5}


class Told:
    """One thing for an audience, except the session `origin` and the sessions of the client `passed_over`.

    `priority` is 0 if it must not be left out. `wanted` is the capability that receivers must have, if any.
    """

    __slots__ = (
        *("conversation_id", "due", "is_message", "number", "origin", "passed_over", "patched_at"),
        *("priority", "seq", "shared", "size", "wanted"),
    )

    def __init__(
        self,
        shared: SharedFrame,
        conversation_id: str,
        origin: object | None,
        *,
        seq: int = 0,
        patched_at: int = 0,
        priority: int = 0,
        wanted: int = 0,
        is_message: bool = False,
        passed_over: str | None = None,
    ) -> None:
        self.shared = shared
        self.conversation_id = conversation_id
        self.origin = origin
        self.seq = seq
        self.patched_at = patched_at
        self.priority = priority
        self.wanted = wanted
        self.is_message = is_message
        self.passed_over = passed_over
        self.size = 1 + len(shared.shared) // 1_024
        self.number = self.due = 0

    def to(self, session: Session) -> int:
        """Tell one session, if it is for it; 1 if that is a delivery of a message."""
        if session is self.origin or (self.wanted and not session.can(self.wanted)):
            return 0
        if self.passed_over is not None and session.client == self.passed_over:
            return 0
        connection = session.connection
        frame = self.shared.text(session.tail) if connection.subprotocol.text else self.shared.binary(session.tail)
        if session.held is not None:
            session.hold(self.conversation_id, self.seq, frame, self.patched_at)
        elif not self.priority:
            connection.push(frame)
        elif not connection.offer(frame, self.priority):
            return 0
        return int(self.is_message)


class _Walk:
    """What is on its way to one audience: `batch` to those of `sessions` from `place` on, then `waiting` to all."""

    __slots__ = (
        *("app_key", "batch", "deliveries", "due", "frames", "key", "origins", "place"),
        *("same_for_all", "sessions", "step", "waiting"),
    )

    def __init__(self, conversation: Conversation) -> None:
        self.key = conversation.key
        self.app_key = conversation.app_key
        self.waiting: deque[Told] = deque()
        self.due = 0
        self.batch: list[Told] = []
        self.sessions: list[Session] = []
        self.place = 0

    def begin(self, audience: Audience) -> None:
        """Take up what waits, as much as one walk carries."""
        work = 0
        while self.waiting and (not work or work + self.waiting[0].size <= WALK_WORK):
            work += self.waiting[0].size
            self.batch.append(self.waiting.popleft())
        self.sessions, self.place = list(audience), 0
        self.step = max(1, min(SLICE, SLICE_WORK // work))
        self.frames = SharedFrames([told.shared for told in self.batch])
        self.origins = {told.origin for told in self.batch}
        self.same_for_all = not any(told.wanted or told.passed_over is not None for told in self.batch)
        self.deliveries = sum(told.is_message for told in self.batch)

    def slice(self, audience: Audience) -> int:
        """Tell the next sessions; how many deliveries of messages that made."""
        sessions = self.sessions[self.place : self.place + self.step]
        self.place += self.step
        first, last, count, made = self.batch[0].number, self.batch[-1].number, len(self.batch), 0
        for session in sessions:
            since = audience.get(session)
            if since is None or since >= last:
                continue  # it has left, or come back, or was told out of turn
            audience[session] = last
            connection = session.connection
            special = session.held is not None or connection.congested or session in self.origins
            if special or since >= first or not self.same_for_all:
                made += tell(self.batch, session, since)
                continue
            frames, tail = self.frames, session.tail
            connection.push_many(frames.text(tail) if connection.subprotocol.text else frames.binary(tail), count)
            made += self.deliveries
        return made

    @property
    def is_over(self) -> bool:
        return self.place >= len(self.sessions)


def tell(things: Sequence[Told], session: Session, since: int) -> int:
    """Tell a session those of these things that it does not know, one by one; how many deliveries that made."""
    return sum(told.to(session) for told in things if told.number > since)


class Fanout:
    """`call_soon` calls a function in the next turn of the event loop, `wake` has `tell_small` called before that."""

    def __init__(
        self,
        registry: Registry,
        budget: DeliveryBudget,
        congestion: Congestion,
        call_soon: Callable[[Callable[[], None]], object],
        wake: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._budget = budget
        self._congestion = congestion
        self._call_soon = call_soon
        self._wake = wake
        self._walks: dict[int, _Walk] = {}
        self._small: list[_Walk] = []
        self._turns: deque[_Walk] = deque()
        self._due = 0
        self.deliveries = self.shed = 0

    @property
    def is_busy(self) -> bool:
        return bool(self._walks)

    def tell(self, conversation: Conversation, told: Told) -> None:
        """Tell an audience something: by the end of this tick if it is small and waits for nothing."""
        audience = self._registry.audience(conversation.key)
        walk = self._walks.get(conversation.key) or _Walk(conversation)
        if self._fullness(walk) >= SHED_FROM.get(told.priority, math.inf):
            self.shed += 1
            return
        self._registry.moment += 1
        told.number, told.due = self._registry.moment, len(audience) * told.size
        walk.waiting.append(told)
        self._changed(walk, told.due)
        if walk.key not in self._walks:
            self._walks[walk.key] = walk
            self._begin(walk, len(audience))

    def _begin(self, walk: _Walk, size: int) -> None:
        if size <= SMALL:
            self._small.append(walk)
            self._wake()
            return
        self._turns.append(walk)
        if len(self._turns) == 1:
            self._call_soon(self._turn)

    def tell_small(self) -> None:
        """Tell small audiences all that has gathered for them."""
        small, self._small = self._small, []
        for walk in small:
            while self._goes_on(walk):
                pass

    def hurry(self, session: Session) -> None:
        """Tell a session out of turn what is on its way to it."""
        for key in session.audiences:
            walk = self._walks.get(key)
            if walk is not None:
                audience = self._registry.audience(key)
                since, audience[session] = audience[session], self._registry.moment
                self._made(walk.app_key, tell([*walk.batch, *walk.waiting], session, since))

    def _turn(self) -> None:
        """One slice of one walk; then it is the next one's turn."""
        walk = self._turns.popleft()
        if self._goes_on(walk):
            self._turns.append(walk)
        if self._turns:
            self._call_soon(self._turn)

    def _goes_on(self, walk: _Walk) -> bool:
        """Tell the next slice; whether there is more to tell."""
        try:
            self._go_on(walk)
        except Exception:  # one slice's trouble is not the next one's
            log.exception("a slice of an audience could not be told")
        if walk.batch or walk.waiting:
            return True
        del self._walks[walk.key]
        return False

    def _go_on(self, walk: _Walk) -> None:
        audience = self._registry.audience(walk.key)
        if not walk.batch:
            walk.begin(audience)
        try:
            self._made(walk.app_key, walk.slice(audience))
        finally:
            if walk.is_over:
                self._changed(walk, -sum(told.due for told in walk.batch))
                walk.batch = []

    def _made(self, app_key: int, deliveries: int) -> None:
        self.deliveries += deliveries
        self._budget.charge(app_key, deliveries)

    def _fullness(self, walk: _Walk) -> float:
        return max(walk.due / AUDIENCE_WORK, self._due / TOTAL_WORK)

    def _changed(self, walk: _Walk, due: int) -> None:
        """More work waits, or less."""
        walk.due += due
        self._due += due
        self._congestion.set(walk.key, congested=walk.due >= AUDIENCE_WORK)
        self._congestion.everywhere = self._due >= TOTAL_WORK
