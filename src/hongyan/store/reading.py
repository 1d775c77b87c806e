"""Reads: a few threads, each with a connection of its own that can't write."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from hongyan.store import database

T = TypeVar("T")

_THREADS = 4


class Reader:
    """Runs functions on reading connections, away from the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._opened: list[Any] = []
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store-reader")
        self._engine = database.engine(self._connect, sa.pool.QueuePool)

    async def run(self, read: Callable[[Any], T]) -> T:
        """`read(driver connection)`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: read(self._connection()))

    async def run_bound(self, read: Callable[[sa.Connection], T]) -> T:
        """`read(SQLAlchemy connection)`."""

        def work() -> T:
            with self._engine.connect() as bound:
                return read(bound)

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        self._threads.shutdown()
        self._engine.dispose()
        for connection in self._opened:
            connection.close()

    def _connect(self) -> Any:
        return database.connect(self._path, read_only=True)

    def _connection(self) -> Any:
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
            self._opened.append(self._local.connection)
        return self._local.connection
