"""The one writer: a thread that owns the only connection that writes, and commits what has gathered as one group.

While a commit is on its way to the disk, further units gather and form the next batch. A batch is planned here, in
the thread, because a message's place (seq, timestamp) follows from what was written before it. Nothing is told to
anybody before the commit.
"""

import asyncio
import contextlib
import logging
import math
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import Conversation, Draft, Stored, new_message_id
from hongyan.errors import Refused
from hongyan.store import hot

log = logging.getLogger(__name__)

BATCH_MAX = 512
#: A conversation whose clock runs further ahead of the wall takes no more messages for now (ms).
AHEAD_MAX = 2_000
HEADS_MAX = 100_000
#: How often refused batches are logged (s).
LOG_EVERY = 1.0


@dataclass(slots=True, eq=False)
class Append:
    """A message to be written. `done` gets its place or why not.

    `version` is the membership the sender was checked against, fixed here: the conversation moves on with each commit.
    """

    conversation: Conversation
    sender: str
    draft: Draft
    done: Callable[[Stored | Refused], None]
    version: int


@dataclass(slots=True, eq=False)
class Call:
    """A change made by statements of its own: `change(connection)` runs inside the batch, in a savepoint.

    `touches` are the keys of the conversations whose messages it reads or whose rows it writes.
    """

    change: Callable[[sa.Connection], Any]
    done: Callable[[Any], None]
    touches: tuple[int, ...] = ()


Unit = Append | Call


class Head(NamedTuple):
    """The end of a conversation, as the writer knows it."""

    version: int
    seq: int
    timestamp: int


class Batch(NamedTuple):
    """The figures of a commit, for metrics and tests."""

    units: int
    messages: int


class Writer:
    def __init__(self, connection: sa.Connection, clock: Clock, on_fatal: Callable[[BaseException], None]) -> None:
        self._bound = connection
        self._driver: Any = connection.connection.driver_connection
        self._clock = clock
        self._on_fatal = on_fatal
        self._queue: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._heads: OrderedDict[int, Head] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._planned_at: int | None = None
        self._unlogged = 0
        self._logged_at = -math.inf
        self.on_batch: Callable[[Batch], None] = lambda batch: None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, unit: Unit) -> None:
        self._queue.put(unit)

    def call(self, change: Callable[[sa.Connection], Any], *touches: int) -> asyncio.Future[Any]:
        """Run `change` and return its result, or raise what it was refused with."""
        return self.call_then(change, lambda result: None, *touches)

    def call_then(
        self,
        change: Callable[[sa.Connection], Any],
        committed: Callable[[Any], None],
        *touches: int,
    ) -> asyncio.Future[Any]:
        """`call`, with `committed(result)` run in commit order before the awaiting task goes on."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(outcome: Any) -> None:
            if isinstance(outcome, BaseException):
                if not future.done():
                    future.set_exception(outcome)
                return
            try:
                committed(outcome)
            finally:
                if not future.done():
                    future.set_result(outcome)

        self.submit(Call(change, done, touches))
        return future

    def horizon(self) -> int:
        """A time before which everything that was ever given that time is visible to readers (ms)."""
        now = self._clock.now()  # first: a batch planned after this has a later time
        planned_at = self._planned_at
        return (now if planned_at is None else min(now, planned_at)) - 1

    async def close(self) -> None:
        """Write what is waiting, then end."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    # in the thread

    def _run(self) -> None:
        try:
            while (batch := self._take()) is not None:
                self._commit(batch)
        except BaseException as error:
            self._on_fatal(error)

    def _take(self) -> list[Unit] | None:
        """Everything that has gathered, at least one; None at the end."""
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        with contextlib.suppress(queue.Empty):
            while len(batch) < BATCH_MAX:
                unit = self._queue.get_nowait()
                if unit is None:
                    self._queue.put(None)
                    break
                batch.append(unit)
        return batch

    def _commit(self, batch: list[Unit]) -> None:
        """Write a batch. If it fails as a whole it is split, until the bad unit alone is refused."""
        self._planned_at = self._clock.now()
        committed = False
        try:
            outcomes = self._write(batch)
            committed = True
        except Exception as error:
            self._roll_back()
            if _is_fatal(error):
                raise
            refusal = _refusal_of_all(error)
            if refusal is not None:
                self._log_refusal(refusal, len(batch))
                outcomes = [refusal] * len(batch)
            elif len(batch) > 1:
                middle = len(batch) // 2
                self._commit(batch[:middle])
                self._commit(batch[middle:])
                return
            else:
                log.exception("a write failed")
                outcomes = [Refused(errors.INTERNAL_ERROR, "the write failed")]
        finally:
            self._planned_at = None
        self._tell(batch, outcomes, committed)

    def _log_refusal(self, refusal: Refused, count: int) -> None:
        """A full disk must not be filled further by saying so."""
        self._unlogged += count
        now = time.monotonic()
        if now - self._logged_at >= LOG_EVERY:
            log.error("%d writes refused: %s", self._unlogged, refusal.detail)
            self._unlogged, self._logged_at = 0, now

    def _tell(self, batch: list[Unit], outcomes: list[Any], committed: bool) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(self._deliver, batch, outcomes, committed)

    def _deliver(self, batch: list[Unit], outcomes: list[Any], committed: bool) -> None:
        if committed:
            self.on_batch(Batch(len(batch), sum(type(o) is Stored and not o.repeated for o in outcomes)))
        for unit, outcome in zip(batch, outcomes, strict=True):
            try:
                unit.done(outcome)
            except Exception:
                log.exception("telling a committed write failed")

    def _roll_back(self) -> None:
        if self._driver.in_transaction:
            self._driver.execute("ROLLBACK")

    def _write(self, batch: list[Unit]) -> list[Any]:
        """The outcomes of a batch, committed."""
        plan = _Plan(self._driver, self._bound, self._heads, self._clock.now())
        self._driver.execute("BEGIN IMMEDIATE")
        for unit in batch:
            if isinstance(unit, Append):
                plan.add(unit)
            else:
                plan.call(unit)
        plan.flush()
        self._driver.execute("COMMIT")
        plan.keep_heads()
        return [plan.outcomes[id(unit)] for unit in batch]


class _Plan:
    """One batch in the making. Appends gather into multi-row statements; a call that could see them flushes them."""

    def __init__(self, driver: Any, bound: sa.Connection, heads: OrderedDict[int, Head], now: int) -> None:
        self._driver = driver
        self._bound = bound
        self._kept = heads
        self._now = now
        self._heads: dict[int, Head | None] = {}
        self._appends: list[Append] = []
        self._touched: set[int] = set()
        self.outcomes: dict[int, Any] = {}

    def add(self, unit: Append) -> None:
        self._appends.append(unit)
        self._touched.add(unit.conversation.key)

    def call(self, unit: Call) -> None:
        if not self._touched.isdisjoint(unit.touches):
            self.flush()
        self.outcomes[id(unit)] = self._in_savepoint(unit)
        self._heads.update(dict.fromkeys(unit.touches))

    def _in_savepoint(self, unit: Call) -> Any:
        self._driver.execute("SAVEPOINT unit")
        try:
            outcome = unit.change(self._bound)
        except Refused as refusal:
            outcome = refusal
        except Exception as error:
            cause = _driver_error(error)
            if isinstance(cause, sqlite.OperationalError) or _is_fatal(cause):
                raise cause from error
            log.exception("a write failed")
            outcome = Refused(errors.INTERNAL_ERROR, "the write failed")
        if isinstance(outcome, Refused):
            self._driver.execute("ROLLBACK TO unit")
        self._driver.execute("RELEASE unit")
        return outcome

    def flush(self) -> None:
        """Write the gathered appends: one statement per table."""
        if not self._appends:
            return
        known = self._repeated()
        self._load_heads()
        placed: list[tuple[Append, Stored]] = []
        for unit in self._appends:
            outcome = self._place(unit, known)
            self.outcomes[id(unit)] = outcome
            if isinstance(outcome, Stored) and not outcome.repeated:
                placed.append((unit, outcome))
        if placed:
            self._insert(placed)
        self._appends = []
        self._touched = set()

    def _repeated(self) -> dict[tuple[int, str, str], Stored]:
        """What client-supplied ids of this batch got before."""
        tokens = [(u.conversation.key, u.sender, u.draft.token) for u in self._appends if u.draft.token]
        rows = hot.FIND_TOKENS.run(self._driver, tokens) if tokens else []
        return {row[:3]: Stored(row[3], row[4], row[5], repeated=True) for row in rows}

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
        key = unit.conversation.key
        token = (key, unit.sender, unit.draft.token)
        if unit.draft.token and token in known:
            return known[token]
        head = self._head(key)
        if head is None:
            return Refused(errors.INVALID_MESSAGING_TARGET, "the conversation is gone")
        if head.version != unit.version and not self._is_member(key, unit.sender):
            return Refused(errors.INVALID_MESSAGING_TARGET, "not a member")
        timestamp = max(self._now, head.timestamp + 1)
        if timestamp - self._now > AHEAD_MAX:
            return Refused(errors.MESSAGE_SENT_QUOTA_EXCEEDED, "too many messages in this conversation")
        stored = Stored(new_message_id(timestamp), head.seq + 1, timestamp)
        self._heads[key] = Head(head.version, stored.seq, timestamp)
        if unit.draft.token:
            known[token] = Stored(stored.id, stored.seq, timestamp, repeated=True)
        return stored

    def _is_member(self, key: int, client: str) -> bool:
        return self._driver.execute(hot.IS_MEMBER, (key, client)).fetchone() is not None

    def _insert(self, placed: list[tuple[Append, Stored]]) -> None:
        messages, tokens = [], []
        sent: dict[tuple[int, str], int] = {}
        for unit, stored in placed:
            key, draft = unit.conversation.key, unit.draft
            messages.append(hot.message_row(key, unit.sender, draft, stored))
            if draft.token:
                tokens.append((key, unit.sender, draft.token, stored.id, stored.seq, stored.timestamp))
            sent[key, unit.sender] = sent.get((key, unit.sender), 0) + 1
        hot.INSERT_MESSAGES.run(self._driver, messages)
        heads = [(key, self._head(key)) for key in {unit.conversation.key for unit, _ in placed}]
        hot.MOVE_HEADS.run(self._driver, [(key, head.seq, head.timestamp) for key, head in heads if head])
        hot.COUNT_OWN.run(self._driver, [(*who, count) for who, count in sent.items()])
        if tokens:
            hot.INSERT_TOKENS.run(self._driver, tokens)
        self._mark_mentions(placed)

    def _mark_mentions(self, placed: list[tuple[Append, Stored]]) -> None:
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

    def keep_heads(self) -> None:
        """After the commit: what was planned is now true."""
        for key, head in self._heads.items():
            if head is None:
                self._kept.pop(key, None)
            else:
                self._kept[key] = head
                self._kept.move_to_end(key)
        while len(self._kept) > HEADS_MAX:
            self._kept.popitem(last=False)


def _driver_error(error: Exception) -> BaseException:
    """What the driver raised, if SQLAlchemy has wrapped it."""
    wrapped = error.orig if isinstance(error, sa.exc.DBAPIError) else None
    return error if wrapped is None else wrapped


def _refusal_of_all(error: BaseException) -> Refused | None:
    """What no unit is to blame for, so that splitting the batch would not help."""
    code = _primary_code(error)
    if code == sqlite.SQLITE_FULL:
        return Refused(errors.STORAGE_FULL, "the server's disk is full")
    if code == sqlite.SQLITE_BUSY:
        return Refused(errors.INTERNAL_ERROR, "another program holds the database")
    return None


def _is_fatal(error: BaseException) -> bool:
    """The file can't be trusted any more: an I/O error or a damaged file."""
    return _primary_code(error) in (sqlite.SQLITE_IOERR, sqlite.SQLITE_CORRUPT, sqlite.SQLITE_NOTADB)


def _primary_code(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
