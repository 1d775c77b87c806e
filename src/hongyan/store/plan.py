"""What can be written, and how the units of one batch become few statements.

A batch is planned in the writer's thread, because a message's place (seq, timestamp) follows from what was written
before it.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite

from hongyan import errors
from hongyan.engine.values import (
    OF_MEMBERS,
    Conversation,
    ConversationKind,
    Draft,
    Standing,
    Stored,
    new_message_id,
)
from hongyan.engine.work import Following, NewJob
from hongyan.errors import Refused
from hongyan.store import hot
from hongyan.store.failures import driver_error, is_fatal
from hongyan.store.receipts import Received, in_streams, write_received

log = logging.getLogger(__name__)

#: A conversation whose clock runs further ahead of the wall takes no more messages for now (ms).
AHEAD_MAX = 2_000
HEADS_MAX = 100_000
#: Who is known to have written where, some 200 bytes each.
AUTHORS_MAX = 100_000

#: (app, client, conversation)
Author = tuple[int, str, int]


@dataclass(slots=True, eq=False)
class Entry:
    """A message for one conversation."""

    conversation: Conversation
    sender: str
    draft: Draft


@dataclass(slots=True, eq=False)
class Append(Entry):
    """A message to be written. `done` gets its place or why not.

    `version` is the membership the sender was checked against, fixed here: the conversation moves on with each commit.
    None: it was not checked and need not be.
    """

    done: Callable[[Stored | Refused], None]
    version: int | None


@dataclass(slots=True, eq=False)
class Spread:
    """One message for several conversations, in each of them or in none, with one id and one time.

    Nothing is asked of the sender. `done` gets its places or why not.
    """

    entries: Sequence[Entry]
    done: Callable[[Sequence[Stored] | Refused], None]


@dataclass(slots=True, eq=False)
class Call:
    """A change made by statements of its own: `change(connection)` runs inside the batch, in a savepoint.

    `touches` are the keys of the conversations whose messages it reads or whose rows it writes; `touches_all` if
    nobody knows them all. `following` says which jobs follow from its result.
    """

    change: Callable[[sa.Connection], Any]
    done: Callable[[Any], None]
    touches: tuple[int, ...] = ()
    touches_all: bool = False
    following: Following[Any] | None = None


Unit = Append | Spread | Call | Received


class Head(NamedTuple):
    """The end of a conversation, as the writer knows it."""

    version: int
    seq: int
    timestamp: int


class Plan:
    """One batch in the making. Messages gather into multi-row statements; a call that could see them flushes them."""

    def __init__(
        self,
        driver: Any,
        bound: sa.Connection,
        heads: OrderedDict[int, Head],
        authors: OrderedDict[Author, None],
        now: int,
    ) -> None:
        self._driver = driver
        self._bound = bound
        self._kept = heads
        self._authors = authors
        self._new_authors: dict[Author, None] = {}
        self._now = now
        self._heads: dict[int, Head | None] = {}
        self._messages: list[Append | Spread] = []
        self._touched: set[int] = set()
        self.received: list[Received] = []
        self.outcomes: dict[int, Any] = {}
        self.jobs: list[NewJob] = []
        self._done_jobs: list[int] = []

    def add(self, unit: Append) -> None:
        self._messages.append(unit)
        self._touched.add(unit.conversation.key)

    def spread(self, unit: Spread) -> None:
        self._messages.append(unit)
        self._touched.update(entry.conversation.key for entry in unit.entries)

    def call(self, unit: Call) -> None:
        if unit.touches_all or not self._touched.isdisjoint(unit.touches):
            self.flush()
        self.outcomes[id(unit)] = self._in_savepoint(unit)
        self._heads.update(dict.fromkeys([*self._kept, *self._heads] if unit.touches_all else unit.touches))

    def _in_savepoint(self, unit: Call) -> Any:
        self._driver.execute("SAVEPOINT unit")
        try:
            outcome = unit.change(self._bound)
            if unit.following is not None and not isinstance(outcome, Refused):
                self.jobs += unit.following(outcome)
        except Refused as refusal:
            outcome = refusal
        except Exception as error:
            cause = driver_error(error)
            if isinstance(cause, sqlite.OperationalError) or is_fatal(cause):
                raise cause from error
            log.exception("a write failed")
            outcome = Refused(errors.INTERNAL_ERROR, "the write failed")
        if isinstance(outcome, Refused):
            self._driver.execute("ROLLBACK TO unit")
        self._driver.execute("RELEASE unit")
        return outcome

    def flush(self) -> None:
        """Write the gathered messages: one statement per table."""
        if not self._messages:
            return
        known = self._repeated()
        self._load_heads()
        placed: list[tuple[Entry, Stored]] = []
        for unit in self._messages:
            if isinstance(unit, Spread):
                places = self.outcomes[id(unit)] = self._place_all(unit.entries)
                if not isinstance(places, Refused):
                    placed += zip(unit.entries, places, strict=True)
                continue
            outcome = self._place(unit, known)
            self.outcomes[id(unit)] = outcome
            if isinstance(outcome, Stored) and not outcome.repeated:
                placed.append((unit, outcome))
        if placed:
            self._insert(placed)
        self._messages = []
        self._touched = set()

    def write_jobs(self) -> None:
        """What follows from this batch, and what is done with it. All else must have been written."""
        if self._done_jobs:
            hot.JOBS_DONE.run(self._driver, [(key,) for key in self._done_jobs])
        if self.jobs:
            now = self._now
            rows = [
                (new_message_id(now), job.app_key, job.lane, job.kind, job.body, now + job.after, now)
                for job in self.jobs
            ]
            hot.INSERT_JOBS.run(self._driver, rows)

    def write_received(self) -> None:
        """What clients have received was committed before this batch: these go together, after all else."""
        if self.received:
            units = [*self.received, *in_streams(self._driver, self.received)]
            answers = write_received(self._driver, units, self._now)[: len(self.received)]
            self.outcomes |= {id(unit): answer for unit, answer in zip(self.received, answers, strict=True)}

    def _repeated(self) -> dict[tuple[int, str, str], Stored]:
        """What client-supplied ids of this batch got before it."""
        appends = [unit for unit in self._messages if isinstance(unit, Append)]
        tokens = [(u.conversation.key, u.sender, u.draft.token) for u in appends if u.draft.token]
        rows = hot.FIND_TOKENS.run(self._driver, tokens) if tokens else []
        return {row[:3]: Stored(row[3], row[4], row[5]) for row in rows}

    def _load_heads(self) -> None:
        missing = [key for key in self._touched if self._head(key) is None]
        if not missing:
            return
        for key, version, seq, timestamp in hot.FIND_HEADS.run(self._driver, [(key,) for key in missing]):
            self._heads[key] = Head(version, seq, timestamp or 0)

    def _head(self, key: int) -> Head | None:
        if key in self._heads:
            return self._heads[key]
        return self._kept.get(key)

    def _place(self, unit: Append, known: dict[tuple[int, str, str], Stored]) -> Stored | Refused:
        if unit.conversation.expires_at is not None and unit.conversation.has_ended(self._now):
            return Refused(errors.CONVERSATION_NOT_FOUND, "the conversation has ended")
        key = unit.conversation.key
        token = (key, unit.sender, unit.draft.token)
        if unit.draft.token and token in known:
            return known[token]._replace(repeated=True)
        head = self._head(key)
        if head is None:
            return Refused(errors.INVALID_MESSAGING_TARGET, "the conversation is gone")
        if unit.version is not None and (head.version != unit.version or unit.conversation.stream):
            refusal = barred(self._driver, unit.conversation, unit.sender, self._now)
            if refusal is not None:
                return refusal
        timestamp = max(self._now, head.timestamp + 1)
        if timestamp - self._now > AHEAD_MAX:
            return Refused(errors.MESSAGE_SENT_QUOTA_EXCEEDED, "too many messages in this conversation")
        stored = Stored(new_message_id(timestamp), head.seq + 1, timestamp)
        self._heads[key] = Head(head.version, stored.seq, timestamp)
        if unit.draft.token:
            known[token] = stored
        return stored

    def _place_all(self, entries: Sequence[Entry]) -> list[Stored] | Refused:
        """The places of one message in several conversations: as late as the latest of them wants."""
        heads = {entry.conversation.key: self._head(entry.conversation.key) for entry in entries}
        timestamp = self._now
        for head in heads.values():
            if head is None:
                return Refused(errors.INVALID_MESSAGING_TARGET, "the conversation is gone")
            timestamp = max(timestamp, head.timestamp + 1)
        if timestamp - self._now > AHEAD_MAX:
            return Refused(errors.MESSAGE_SENT_QUOTA_EXCEEDED, "too many messages to one of these clients")
        moved = {key: Head(head.version, head.seq + 1, timestamp) for key, head in heads.items() if head}
        self._heads |= moved
        message_id = new_message_id(timestamp)
        return [Stored(message_id, moved[entry.conversation.key].seq, timestamp) for entry in entries]

    def _insert(self, placed: list[tuple[Entry, Stored]]) -> None:
        messages, tokens = [], []
        sent: dict[tuple[int, str], list[Stored]] = {}
        for unit, stored in placed:
            key, draft = unit.conversation.key, unit.draft
            if draft.job is not None:
                self._done_jobs.append(draft.job)
            if draft.following is not None:
                self.jobs += draft.following(unit.conversation, stored)
            messages.append(hot.message_row(unit.conversation, unit.sender, draft, stored))
            if draft.token:
                tokens.append((key, unit.sender, draft.token, stored.id, stored.seq, stored.timestamp))
            own = sent.setdefault((key, unit.sender), [])
            if not own and unit.conversation.kind is not ConversationKind.SERVICE:
                self._new_authors[unit.conversation.app_key, unit.sender, key] = None
            own.append(stored)
        hot.INSERT_MESSAGES.run(self._driver, messages)
        heads = [(key, self._head(key)) for key in {unit.conversation.key for unit, _ in placed}]
        hot.MOVE_HEADS.run(self._driver, [(key, head.seq, head.timestamp) for key, head in heads if head])
        hot.COUNT_OWN.run(self._driver, [(*who, len(own), *_first_run(own)) for who, own in sent.items()])
        if tokens:
            hot.INSERT_TOKENS.run(self._driver, tokens)
        self._note_authors()
        self._mark_mentions(placed)

    def _note_authors(self) -> None:
        """Who has written for the first time here. It is asked per message, so most of it is in memory."""
        unknown = [author for author in self._new_authors if author not in self._authors]
        if unknown:
            hot.NOTE_AUTHORS.run(self._driver, list(unknown))

    def _mark_mentions(self, placed: list[tuple[Entry, Stored]]) -> None:
        """Who is mentioned, up to which message. Nobody is mentioned by his own."""
        mentions: dict[tuple[int, str], int] = {}
        for unit, stored in placed:
            if unit.draft.mention_all:
                self._driver.execute(hot.MENTION_ALL_BY, (stored.seq, unit.sender, unit.conversation.key))
            for client in unit.draft.mentions:
                if client != unit.sender:
                    mentions[unit.conversation.key, client] = stored.seq
        if mentions:
            hot.MARK_MENTIONS.run(self._driver, [(*who, seq) for who, seq in mentions.items()])

    def keep(self) -> None:
        """After the commit: what was planned is now true."""
        self._authors.update(self._new_authors)
        while len(self._authors) > AUTHORS_MAX:
            self._authors.popitem(last=False)
        for key, head in self._heads.items():
            if head is None:
                self._kept.pop(key, None)
            else:
                self._kept[key] = head
                self._kept.move_to_end(key)
        while len(self._kept) > HEADS_MAX:
            self._kept.popitem(last=False)


def barred(driver: Any, conversation: Conversation, client: str, now: int) -> Refused | None:
    """Why a client may not write after all: something may have changed since it was checked.

    What changes a service conversation leaves the versions of its streams alone.
    """
    who = (conversation.key, client)
    if conversation.kind in OF_MEMBERS and driver.execute(hot.IS_MEMBER, who).fetchone() is None:
        return Refused(errors.INVALID_MESSAGING_TARGET, "not a member")
    row = driver.execute(hot.STANDING_OF_STREAM if conversation.stream else hot.STANDING, who).fetchone()
    if row is None:
        return Refused(errors.INVALID_MESSAGING_TARGET, "the conversation is gone") if conversation.stream else None
    kind = Standing(None, None, *row).bars(now)
    return Refused(kind, "the client may not write here") if kind else None


def _first_run(own: list[Stored]) -> tuple[int, int, int]:
    """The first seq of these messages, and the last with its time up to which no other message lies between."""
    last = own[0]
    for stored in own[1:]:
        if stored.seq != last.seq + 1:
            break
        last = stored
    return own[0].seq, last.seq, last.timestamp
