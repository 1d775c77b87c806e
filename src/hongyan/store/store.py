"""The store as the rest of the program sees it."""

import asyncio
import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from hongyan.engine.clock import Clock
from hongyan.engine.values import REJOIN_WINDOW
from hongyan.errors import Refused
from hongyan.store import database, hot, hub_bridges, jobs, kicks, pushes, versions
from hongyan.store.apps import Apps
from hongyan.store.archive import Archive
from hongyan.store.blacklists import Blacklists
from hongyan.store.broadcasts import Broadcasts
from hongyan.store.conversations import Conversations
from hongyan.store.deletion import last_deletion
from hongyan.store.edits import Edits, newest_edit
from hongyan.store.files import Files
from hongyan.store.hub_bridges import HubBridges, HubEvents
from hongyan.store.hub_channels import HubChannels
from hongyan.store.hub_messages import HubMessages
from hongyan.store.hub_templates import HubTemplates
from hongyan.store.imports import Imports
from hongyan.store.info import Info
from hongyan.store.installations import Installations
from hongyan.store.live_queries import LiveQueries
from hongyan.store.messages import Messages
from hongyan.store.notifications import Notifications
from hongyan.store.pushes import PUSH_WINDOW, Pushes
from hongyan.store.reading import Reader
from hongyan.store.rows import Rows
from hongyan.store.seats import Seats
from hongyan.store.services import Services
from hongyan.store.signatures import Signatures
from hongyan.store.standing_lists import StandingLists
from hongyan.store.standings import Standings
from hongyan.store.sweep import Sweep
from hongyan.store.temporary import Temporary
from hongyan.store.tokens import Tokens
from hongyan.store.users import Users
from hongyan.store.visitors import Visitors
from hongyan.store.webhooks import Webhooks
from hongyan.store.words import Words
from hongyan.store.writer import Writer

#: How long a client-supplied id makes a resend harmless (ms).
IDEMPOTENCE_WINDOW = 10 * 60 * 1000
#: How long a client may be away and still be told that it joined or left conversations (ms).
NOTIFICATION_WINDOW = 7 * 24 * 60 * 60 * 1000
#: How long a job that is tried no more can be looked at and revived (ms).
DEAD_JOB_WINDOW = 30 * 24 * 60 * 60 * 1000
PRUNE_EVERY = 5.0
_PRUNE_STEP = 500


def _no_fatal_handler(error: BaseException) -> None:
    raise error


class Hub:
    """The ports of `hub.ports.HubStore`."""

    def __init__(self, reader: Reader, writer: Writer, clock: Clock, secret: bytes) -> None:
        self.channels = HubChannels(reader, writer, secret)
        self.posts = HubMessages(reader, writer, clock)
        self.heard = HubEvents(reader, writer, clock)
        self.bridges = HubBridges(reader, writer)
        self.templates = HubTemplates(reader, writer)


class Store:
    """The ports of `engine.ports.Store`, over one database file."""

    def __init__(self, path: Path, secret: bytes, clock: Clock | None = None) -> None:
        clock = clock or Clock()
        self.on_fatal: Callable[[BaseException], None] = _no_fatal_handler
        self._clock = clock
        self._engine = database.engine(lambda: database.connect(path), sa.pool.StaticPool)
        self._bound = self._engine.connect()
        edited_at = newest_edit(self._bound)
        arrived_at = self._bound.exec_driver_sql(hot.LAST_ARRIVAL).scalar() or 0
        clock.not_before(max(arrived_at, edited_at, last_deletion(self._bound)))
        self._reader = Reader(path)
        self.writer = Writer(self._bound, clock, lambda error: self.on_fatal(error))
        self.apps = Apps(self._reader, self.writer, secret)
        self.conversations = Conversations(self._reader, self.writer, clock)
        self.files = Files(self._reader, self.writer)
        self.info = Info(self._reader, self.writer, clock)
        self.messages = Messages(self._reader, self.writer, clock)
        self.signatures = Signatures(self.writer)
        self.services = Services(self._reader, self.writer, clock)
        self.notifications = Notifications(self._reader, clock)
        self.standings = Standings(self.writer, clock)
        self.standing_lists = StandingLists(self._reader)
        self.blacklists = Blacklists(self._reader, self.writer)
        self.rows = Rows(self._reader, self.writer, clock)
        self.seats = Seats(self.writer, clock)
        self.sweep = Sweep(self._reader, self.writer, clock)
        self.temporary = Temporary(self._reader, self.writer, clock)
        self.tokens = Tokens(self._reader, self.writer)
        self.edits = Edits(self._reader, self.writer, clock, edited_at)
        self.imports = Imports(self._reader, self.writer, clock, self.edits)
        self.live_queries = LiveQueries(self._reader)
        self.words = Words(self._reader, self.writer)
        self.users = Users(self._reader, self.writer, clock)
        self.installations = Installations(self._reader, self.writer, clock)
        self.archive = Archive(self._reader, clock)
        self.broadcasts = Broadcasts(self._reader, self.writer, clock)
        self.kicks = kicks.Kicks(self._reader, self.writer)
        self.visitors = Visitors(self._reader, self.writer)
        self.jobs = jobs.Jobs(self._reader, self.writer, clock)
        self.webhooks = Webhooks(self._reader, self.writer, secret)
        self.pushes = Pushes(self._reader, self.writer, clock, secret)
        self.hub = Hub(self._reader, self.writer, clock, secret)
        self._pruning: asyncio.Task[None] | None = None
        self._writes_much = False

    @classmethod
    def open(cls, path: Path, secret: bytes, clock: Clock | None = None) -> "Store":
        """Open the file, bring its schema up to date. Raises StartupError with one sentence."""
        versions.migrate(path)
        with database.opening(path):
            store = cls(path, secret, clock)
            store._prove_disk()
            return store

    def _prove_disk(self) -> None:
        """Commit something, so that a disk that can't keep it is told at the start and not by the first message."""
        self._bound.exec_driver_sql(hot.NOTE_OPENED, (str(self._clock.now()),))

    def write_much(self) -> None:
        """Before the start, by who alone writes much that can be written again: all is on disk once it is closed."""
        self._writes_much = True
        database.write_much(self._bound.connection.driver_connection)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to write. `on_fatal` is called, in the writer's thread, when the file can't be trusted any more."""
        self.writer.start(loop)
        self._pruning = loop.create_task(self._keep_pruning())

    async def close(self) -> None:
        """Write what waits, then close the file."""
        if self._pruning is not None:
            self._pruning.cancel()
        await self.writer.close()
        await asyncio.to_thread(self._reader.close)
        if self._writes_much:
            await asyncio.to_thread(database.keep_all, self._bound.connection.driver_connection)
        self._bound.close()
        self._engine.dispose()

    async def prune(self) -> None:
        """Forget old client-supplied ids, notifications, lost seats, signatures, voided tokens, dead jobs, pushes, and
        what came in by channels.

        In small steps: each is one write among others.
        """
        for statement, window in (
            (hot.PRUNE_TOKENS, IDEMPOTENCE_WINDOW),
            (hot.PRUNE_NOTIFICATIONS, NOTIFICATION_WINDOW),
            (hot.PRUNE_SIGNATURES, 0),
            (hot.PRUNE_SEATS, REJOIN_WINDOW),
            (kicks.PRUNE, 0),
            (jobs.PRUNE_DEAD, DEAD_JOB_WINDOW),
            (pushes.PRUNE, PUSH_WINDOW),
            (hub_bridges.PRUNE_EVENTS, hub_bridges.EVENT_WINDOW),
            (hub_bridges.PRUNE_LINKS, hub_bridges.LINK_WINDOW),
        ):
            step = functools.partial(_prune_step, statement=statement, before=self._clock.now() - window)
            while await self.writer.call(step) == _PRUNE_STEP:
                pass
        await self.tokens.forget_expired(self._clock.now())

    async def _keep_pruning(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY)
            with contextlib.suppress(Refused):  # a full disk passes: what is left over goes next time
                await self.prune()


def _prune_step(bound: sa.Connection, statement: str, before: int) -> int:
    return bound.exec_driver_sql(statement, (before, _PRUNE_STEP)).rowcount
