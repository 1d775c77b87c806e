"""Reads: a few threads, each with a connection of its own that can't write."""

import asyncio
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite

from hongyan import errors
from hongyan.errors import Kind, Refused
from hongyan.store import database, sqlite_json

T = TypeVar("T")

_THREADS = 4
#: A read that takes longer is given up, so that one caller's question can't keep the threads from others (s).
_PATIENCE = 3.0
_CHECK_EVERY = 20_000  # steps of SQLite's virtual machine, about a millisecond


class Reader:
    """Runs functions on reading connections, away from the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._opened: list[Any] = []
        self._closing = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store-reader")
        self._engine = database.engine(self._connect, sa.pool.QueuePool)

    async def run(self, read: Callable[[Any], T], too_slow: Kind = errors.INTERNAL_ERROR) -> T:
        """`read(driver connection)`. Raises Refused(too_slow) if it takes too long."""
        return await self._in_thread(lambda: read(self._connection()), too_slow)

    async def run_bound(self, read: Callable[[sa.Connection], T], too_slow: Kind = errors.INTERNAL_ERROR) -> T:
        """`read(SQLAlchemy connection)`. Raises Refused(too_slow) if it takes too long."""

        def work() -> T:
            with self._engine.connect() as bound:
                return read(bound)

        return await self._in_thread(work, too_slow)

    async def _in_thread(self, work: Callable[[], T], too_slow: Kind) -> T:
        def limited() -> T:
            self._local.deadline = time.monotonic() + _PATIENCE
            try:
                return work()
            except Exception as error:
                # who was reading rows one by one holds a cursor, which would keep the connection in the past
                traceback.clear_frames(error.__traceback__)
                raise

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, limited)
        except (sqlite.OperationalError, sa.exc.OperationalError) as error:
            cause = error.orig if isinstance(error, sa.exc.OperationalError) else error
            if getattr(cause, "sqlite_errorcode", None) != sqlite.SQLITE_INTERRUPT:
                raise
            raise Refused(too_slow, "the answer took too long") from None

    def close(self) -> None:
        """Give up what is being read and what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)  # first, or what waits would begin
        self._closing = True
        self._threads.shutdown()
        self._engine.dispose()
        for connection in self._opened:
            connection.set_progress_handler(
                None, 0
            )  # what they call holds them, and Python's collector does not see it
            connection.close()
        self._opened.clear()

    def _connect(self) -> Any:
        connection = database.connect(self._path, read_only=True)
        connection.set_progress_handler(self._is_over, _CHECK_EVERY)
        sqlite_json.install(connection, self._is_over)
        return connection

    def _is_over(self) -> bool:
        return self._closing or time.monotonic() > self._local.deadline

    def _connection(self) -> Any:
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
            self._opened.append(self._local.connection)
        return self._local.connection
