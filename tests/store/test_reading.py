"""Readers: they can't write, and none of them takes for ever."""

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite

from hongyan import errors
from hongyan.errors import Refused
from hongyan.store import Store, schema
from hongyan.store.database import connect
from hongyan.store.reading import Reader
from tests.store.steps import held, rows, start, submit

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
async def reader(store: Store, path: Path) -> AsyncIterator[Reader]:
    reader = Reader(path)
    yield reader
    await asyncio.to_thread(reader.close)


async def test_readers_cannot_write(reader: Reader) -> None:
    with pytest.raises(sqlite.OperationalError, match="readonly"):
        await reader.run(lambda driver: driver.execute("DELETE FROM message"))
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        await reader.run_bound(lambda bound: bound.execute(sa.delete(schema.message)))


async def test_readers_see_only_what_is_committed(store: Store, reader: Reader) -> None:
    def count(driver: Any) -> object:
        return driver.execute("SELECT count(*) FROM message").fetchone()[0]

    conversation = await start(store, "ann", "bob")
    async with held(store):
        sent = submit(store, conversation, "ann")
        assert await reader.run(count) == 0
    await sent
    assert await reader.run(count) == 1


async def test_an_answer_that_takes_too_long_is_refused(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hongyan.store.reading._PATIENCE", 0.0)
    with pytest.raises(Refused) as refusal:
        await reader.run(lambda driver: driver.execute(ENDLESS).fetchall(), errors.CONVERSATION_LOG_FAILED)
    assert refusal.value.kind is errors.CONVERSATION_LOG_FAILED
    with pytest.raises(Refused) as refusal:
        await reader.run_bound(lambda bound: bound.exec_driver_sql(ENDLESS).all(), errors.CONVERSATION_QUERY_FAILED)
    assert refusal.value.kind is errors.CONVERSATION_QUERY_FAILED
    monkeypatch.undo()
    assert await reader.run(lambda driver: driver.execute("SELECT 1").fetchall()) == [(1,)]


async def test_a_reader_that_has_given_up_sees_what_is_written_later(
    reader: Reader, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if rows were left over: a cursor that lives on would show the past, and keep the log from ending."""
    writer = connect(path)
    writer.execute("CREATE TABLE t AS SELECT 1 AS n UNION ALL SELECT 2")
    monkeypatch.setattr("hongyan.store.reading._PATIENCE", 0.0)

    def read(driver: Any) -> object:
        return [driver.execute(f"{ENDLESS} WHERE i > ?", row).fetchall() for row in driver.execute("SELECT n FROM t")]

    with pytest.raises(Refused):
        await reader.run(read)
    monkeypatch.undo()
    writer.execute("UPDATE t SET n = 7")
    found = [await reader.run(lambda driver: driver.execute("SELECT n FROM t").fetchall()) for _ in range(4)]
    assert found == [[(7,), (7,)]] * 4
    writer.close()


async def test_readers_run_side_by_side(reader: Reader, path: Path) -> None:
    answers = await asyncio.gather(*(reader.run(lambda driver, n=n: (n, driver)) for n in range(50)))
    assert [number for number, _ in answers] == list(range(50))
    assert len({id(driver) for _, driver in answers}) <= 4
    assert rows(path, "SELECT 1") == [(1,)]


@pytest.fixture
def endless_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hongyan.store.reading._PATIENCE", math.inf)


@pytest.mark.usefixtures("endless_patience")
async def test_closing_gives_up_what_is_read_and_what_waits(path: Path, store: Store) -> None:
    reader, began = Reader(path), asyncio.Event()
    loop = asyncio.get_running_loop()

    def read(driver: Any) -> object:
        loop.call_soon_threadsafe(began.set)
        return driver.execute(ENDLESS).fetchall()

    reads = [asyncio.ensure_future(reader.run(read)) for _ in range(20)]
    await began.wait()
    await asyncio.to_thread(reader.close)
    outcomes = await asyncio.gather(*reads, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    waiting = [outcome for outcome in outcomes if isinstance(outcome, asyncio.CancelledError)]
    assert 1 <= len(refused) <= 4
    assert len(waiting) == 20 - len(refused)
