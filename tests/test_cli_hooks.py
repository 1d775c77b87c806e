"""`hongyan hooks`: what engines have and could not be told, with and without a running server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hongyan.engine.work import NewJob, Postponed
from hongyan.hooks import KIND
from hongyan.store import Store
from tests.support.app_engine import AppEngine, app_engine
from tests.support.server import Server
from tests.test_cli import printed, run

ALLOWED = {"HONGYAN_ALLOWED_PRIVATE": "127.0.0.1"}
BODY = b'{"hook":"_conversationStarted","params":{"convId":"c1"}}'


@pytest.fixture
async def engine() -> AsyncIterator[AppEngine]:
    async with app_engine(conversationStarted=lambda params: None) as made:
        made.names = ["_conversationStarted", "_messageReceived", "hello"]
        yield made


@pytest.fixture
def data(tmp_path: Path, engine: AppEngine) -> tuple[str, Path]:
    """The option for a data directory with an app `shop` that has an engine."""
    option = ("--data-dir", tmp_path / "data")
    printed("app", "create", "Shop", "--id", "shop", "--hook-key", "proof", "--set", f"hook_url={engine.url}", *option)
    return option


async def hooks(*arguments: object) -> Any:
    """What a command prints, beside the engine, which runs in this loop."""
    return await asyncio.to_thread(printed, "hooks", *arguments)


async def refused(*arguments: object) -> str:
    done = await asyncio.to_thread(run, "hooks", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    return str(done.stderr)


async def leave_dead(path: Path, lane: str, *kinds: str) -> list[str]:
    """Jobs of the first app that are tried no more; their ids."""
    store = Store.open(path, (path.parent / "secret.key").read_bytes())
    store.start(asyncio.get_running_loop())
    await store.jobs.add([NewJob(1, lane, kind, BODY) for kind in kinds])
    found = await store.jobs.next(lane, 10)
    await store.jobs.settle([], [Postponed(job.key, None, 5, "it was away") for job in found])
    await store.close()
    return [job.id for job in found]


async def test_what_an_engine_has(engine: AppEngine, data: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "allowed_private" in await refused("check", "shop", *data)
    monkeypatch.setenv("HONGYAN_ALLOWED_PRIVATE", "127.0.0.1")
    found = await hooks("check", "Shop", *data)
    assert found == {"url": engine.url, "hooks": ["_conversationStarted", "_messageReceived"], "other_functions": 1}
    engine.names = None
    assert "does not tell its functions" in await refused("check", "shop", *data)
    await engine.stop()
    assert "does not answer" in await refused("check", "shop", *data)
    printed("app", "set", "shop", "hook_url=", *data)
    assert "`hook_url` is empty" in await refused("check", "shop", *data)
    assert "No app has the id or name" in await refused("check", "nobody", *data)


async def test_what_could_not_be_told_without_a_server(data: tuple[str, Path]) -> None:
    ids = await leave_dead(data[1] / "hongyan.db", "hooks:1", KIND, "other", KIND)
    found = await hooks("list", "shop", *data)
    assert [each["id"] for each in found] == [ids[0], ids[2]]
    assert {key: found[0][key] for key in ("hook", "attempts", "error")} == {
        "hook": "_conversationStarted",
        "attempts": 5,
        "error": "it was away",
    }
    assert await hooks("replay", "shop", ids[0], "unknown", *data) == {"replayed": 1}
    assert [each["id"] for each in await hooks("list", "shop", *data)] == [ids[2]]
    assert await hooks("replay", "shop", *data) == {"replayed": 1}
    assert await hooks("list", "shop", *data) == []


async def test_what_could_not_be_told_is_told_by_the_server(server: Server, engine: AppEngine) -> None:
    server.stop()
    (job_id,) = await leave_dead(server.data_dir / "hongyan.db", "hooks:1", KIND)
    server.environment = ALLOWED
    await asyncio.to_thread(server.start)
    data = ("--data-dir", server.data_dir)
    printed("app", "set", server.app.id, f"hook_url={engine.url}", *data)
    assert (await hooks("check", server.app.id, *data))["other_functions"] == 1
    assert [each["id"] for each in await hooks("list", server.app.id, *data)] == [job_id]
    assert await hooks("replay", server.app.id, *data) == {"replayed": 1}
    assert await engine.expect("conversationStarted") == [{"convId": "c1"}]
    assert engine.calls[-1].headers["x-request-id"] == job_id
