"""Sweeping: what the settings of an app say, who must say yes before, and what everybody meets afterwards."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable

import pytest

from hongyan import errors
from hongyan.engine import sweeps
from hongyan.engine.engine import Engine
from hongyan.engine.values import App, HistoryRange, Stored, Swept
from hongyan.errors import Kind, Refused
from hongyan.store import Store, sweep_gate
from tests.engine.test_conversations import add, start
from tests.engine.test_info import mute, refusal, update
from tests.engine.test_messages import refused_with, send
from tests.engine.test_temporary import start as start_temporary
from tests.store.steps import NOON, Wall, held, rows

DAY = sweeps.DAY


def keep(app: App, messages: int = 0, conversations: int = 0) -> None:
    """The days that an app keeps things; nobody is asked."""
    app.settings = dataclasses.replace(app.settings, message_days=messages, conversation_days=conversations)


@pytest.fixture
async def talk(engine: Engine, app: App) -> str:
    """The id of a conversation of ann and bob, in which ann has said something."""
    row = await start(engine, app, "ann", "bob")
    await send(engine, app, "ann", row.id, "old")
    return row.id


async def texts(engine: Engine, app: App, talk: str) -> list[str | bytes]:
    _, messages = await engine.history.page(app, "bob", talk, HistoryRange(100))
    return [message.content for message in messages]


async def test_by_default_nothing_is_deleted(engine: Engine, app: App, talk: str, wall: Wall) -> None:
    wall.at += 36_500 * DAY
    assert (app.settings.message_days, app.settings.conversation_days) == (0, 0)
    assert await engine.sweeps.sweep() == Swept()
    assert await texts(engine, app, talk) == ["old"]


async def test_messages_are_kept_for_so_many_days(engine: Engine, app: App, talk: str, wall: Wall) -> None:
    keep(app, messages=180)
    wall.at += DAY
    await send(engine, app, "bob", talk, "later")
    wall.at = NOON + 180 * DAY
    assert await engine.sweeps.sweep() == Swept()
    wall.at += 1
    assert await engine.sweeps.sweep() == Swept(messages=1)
    assert await texts(engine, app, talk) == ["later"]
    place = await send(engine, app, "ann", talk)
    assert isinstance(place, Stored)
    assert place.seq == 3


async def test_each_app_keeps_its_own(engine: Engine, app: App, talk: str, wall: Wall) -> None:
    other = await engine.apps.create("other", id="other")
    elsewhere = await start(engine, other, "ann", "bob")
    await send(engine, other, "ann", elsewhere.id, "old")
    keep(app, messages=1)
    wall.at += 2 * DAY
    assert await engine.sweeps.sweep() == Swept(messages=1)
    assert await texts(engine, other, elsewhere.id) == ["old"]


CONVERSATION_GONE: dict[str, Callable[[Engine, App, str], object]] = {
    "history": lambda engine, app, talk: engine.history.page(app, "ann", talk, HistoryRange(1)),
    "read": lambda engine, app, talk: engine.unread.mark_read(app, "bob", talk, "", None),
    "max_read": lambda engine, app, talk: engine.receipts.of_others(app, "ann", talk),
    "add": lambda engine, app, talk: add(engine, app, "ann", talk, "cem"),
    "join": lambda engine, app, talk: add(engine, app, "cem", talk, "cem"),
    "update": lambda engine, app, talk: update(engine, app, "ann", talk, {"name": "n"}),
    "mute": lambda engine, app, talk: mute(engine, app, "ann", talk),
    "count": lambda engine, app, talk: engine.info.count(app, "ann", talk),
}


@pytest.mark.parametrize("cached", [True, False])
async def test_a_conversation_nobody_uses_is_gone(
    make_engine: Callable[[], Engine], engine: Engine, app: App, talk: str, wall: Wall, cached: bool
) -> None:
    used = await start(engine, app, "ann", "bob", unique=True)
    keep(app, conversations=180)
    wall.at += 180 * DAY
    await send(engine, app, "ann", used.id)
    wall.at += 1
    assert await engine.sweeps.sweep() == Swept(conversations=1)
    if not cached:
        engine = make_engine()
        await engine.start()
    assert await refused_with(send(engine, app, "ann", talk)) is errors.INVALID_MESSAGING_TARGET
    assert await refused_with(send(engine, app, "ann", talk, transient=True)) is errors.INVALID_MESSAGING_TARGET
    for ask in CONVERSATION_GONE.values():
        assert await refusal(ask(engine, app, talk)) is errors.CONVERSATION_NOT_FOUND
    assert await engine.info.memberships(app, "ann", [talk, used.id]) == {talk: False, used.id: True}
    assert [each.conversation_id for each in (await engine.unread.since(app, "bob", None))[0]] == [used.id]
    told = await engine.notifications.missed(app, "bob", NOON - 1)
    assert {n.conversation_id for n in [*told.permanent, *told.droppable]} == {used.id}


async def test_a_change_or_a_message_keeps_a_conversation(engine: Engine, app: App, talk: str, wall: Wall) -> None:
    keep(app, conversations=1)
    wall.at += DAY
    await mute(engine, app, "ann", talk)
    wall.at += DAY
    assert await engine.sweeps.sweep() == Swept()
    await send(engine, app, "ann", talk)
    wall.at += DAY
    assert await engine.sweeps.sweep() == Swept()
    await engine.history.page(app, "ann", talk, HistoryRange(1))  # reading is no use
    wall.at += 1
    assert await engine.sweeps.sweep() == Swept(conversations=1)


async def test_who_sends_meanwhile_is_refused_or_keeps_it(
    engine: Engine, app: App, store: Store, talk: str, wall: Wall
) -> None:
    keep(app, conversations=1)
    wall.at += 2 * DAY
    sweeping = asyncio.create_task(engine.sweeps.sweep())
    refused: Kind | None = None
    kept = 0
    while not sweeping.done():
        outcome = await send(engine, app, "ann", talk)
        if isinstance(outcome, Refused):
            refused = outcome.kind
            break
        kept += 1
    swept = await sweeping
    if refused is None:
        assert swept == Swept()
        assert len(await texts(engine, app, talk)) == 1 + kept
    else:
        assert (refused, kept, swept) == (errors.INVALID_MESSAGING_TARGET, 0, Swept(conversations=1))


async def test_a_load_that_a_sweep_overtakes_finds_nothing(
    make_engine: Callable[[], Engine], engine: Engine, app: App, store: Store, talk: str, wall: Wall
) -> None:
    keep(app, conversations=1)
    wall.at += 2 * DAY
    fresh = make_engine()
    await fresh.start()
    (fresh_app,) = fresh.apps.list()
    keep(fresh_app, conversations=1)
    loading = send(fresh, fresh_app, "ann", talk)
    await fresh.sweeps.sweep()
    outcome = await loading
    later = await send(fresh, fresh_app, "ann", talk)
    assert isinstance(outcome, Stored) == isinstance(later, Stored)


async def test_ended_temporary_conversations_go_without_a_yes(
    engine: Engine, app: App, store: Store, wall: Wall
) -> None:
    row, _ = await start_temporary(engine, app, "ann", "bob", ttl=1)
    await send(engine, app, "ann", row.id)
    await store.writer.call(lambda bound: sweep_gate.ask(bound, app.key))
    wall.at += 1_000
    await engine.sweeps.drop_ended()
    path = (await store.writer.call(lambda bound: bound.exec_driver_sql("PRAGMA database_list").one()))[2]
    for table in ("conversation", "member", "message", "deleted_conversation"):
        assert rows(path, f"SELECT count(*) FROM {table}") == [(0,)]
    assert await refused_with(send(engine, app, "ann", row.id)) is errors.CONVERSATION_NOT_FOUND


# who is asked


async def change(engine: Engine, app: App, **settings: str) -> None:
    await engine.apps.change(app.id, settings)


async def asked(store: Store) -> set[int]:
    return set(await store.sweep.asking())


async def test_old_content_waits_for_a_yes(
    engine: Engine, app: App, store: Store, talk: str, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    wall.at += 200 * DAY
    await send(engine, app, "ann", talk, "new")
    await change(engine, app, preset="leancloud")
    assert (app.settings.message_days, app.settings.conversation_days) == (180, 180)
    for _ in range(2):
        assert await engine.sweeps.sweep() == Swept()
    assert await texts(engine, app, talk) == ["old", "new"]
    assert "the app test has 1 messages and 0 conversations to delete: `hongyan sweep` asks for a yes" in caplog.text
    assert await store.writer.call(sweep_gate.waiting) == {app.key: (1, 0)}
    (waiting,) = await engine.sweeps.preview()
    assert (waiting.app, waiting.swept) == (app, Swept(1, 0))
    assert waiting.asked is not None
    await engine.sweeps.agree({app.id: "what somebody else was asked", "unknown app": waiting.asked})
    assert await engine.sweeps.sweep() == Swept()
    await engine.sweeps.agree({app.id: waiting.asked})
    assert await engine.sweeps.sweep() == Swept(messages=1)
    assert await texts(engine, app, talk) == ["new"]
    # from now on it goes by itself
    wall.at += 181 * DAY
    assert await engine.sweeps.sweep() == Swept(conversations=1)


async def test_an_app_without_old_content_needs_no_yes(
    engine: Engine, app: App, store: Store, talk: str, wall: Wall
) -> None:
    await change(engine, app, message_days="1")
    assert await asked(store) == {app.key}
    assert await engine.sweeps.sweep() == Swept()
    assert await asked(store) == set()
    wall.at += 2 * DAY
    assert await engine.sweeps.sweep() == Swept(messages=1)


async def test_a_new_app_needs_no_yes(engine: Engine, store: Store) -> None:
    made = await engine.apps.create("new", settings={"preset": "leancloud", "message_days": "30"})
    assert (made.settings.message_days, made.settings.conversation_days) == (30, 180)
    assert await asked(store) == set()


@pytest.mark.parametrize(
    ("before", "after", "asks"),
    [
        ({}, {"message_days": "1"}, True),
        ({}, {"conversation_days": "36500"}, True),
        ({"message_days": "30"}, {"message_days": "29"}, True),
        ({"message_days": "30"}, {"message_days": "31"}, False),
        ({"message_days": "30"}, {"message_days": "30"}, False),
        ({"message_days": "30"}, {"message_days": "0"}, False),
        ({"message_days": "30"}, {"limits": "off"}, False),
        ({}, {"message_days": "0"}, False),
    ],
)
async def test_who_deletes_more_is_asked(
    engine: Engine, store: Store, before: dict[str, str], after: dict[str, str], asks: bool
) -> None:
    made = await engine.apps.create("new", settings=before)
    await change(engine, made, **after)
    assert await asked(store) == ({made.key} if asks else set())


@pytest.mark.parametrize("changes", [{"preset": "other"}, {"message_days": "36501"}, {"message_days": "-1"}])
async def test_what_is_no_lifetime_is_refused(engine: Engine, app: App, store: Store, changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no preset|whole number"):
        await engine.apps.change(app.id, changes)
    assert (app.settings.message_days, await asked(store)) == (0, set())


async def test_content_that_is_brought_in_waits_for_a_yes(
    engine: Engine, app: App, store: Store, talk: str, wall: Wall
) -> None:
    """What an import does."""
    keep(app, messages=1)
    wall.at += 2 * DAY
    await store.writer.call(lambda bound: sweep_gate.ask(bound, app.key))
    assert await engine.sweeps.sweep() == Swept()
    assert await texts(engine, app, talk) == ["old"]


async def test_an_app_that_keeps_all_is_not_shown(engine: Engine, app: App, talk: str, wall: Wall) -> None:
    wall.at += 2 * DAY
    assert await engine.sweeps.preview() == []
    keep(app, messages=1, conversations=1)
    (waiting,) = await engine.sweeps.preview()
    assert (waiting.swept, waiting.asked) == (Swept(1, 1), None)


async def test_one_app_that_asks_keeps_no_other_from_sweeping(
    engine: Engine, app: App, store: Store, talk: str, wall: Wall
) -> None:
    other = await engine.apps.create("other", id="other", settings={"message_days": "1"})
    elsewhere = await start(engine, other, "ann", "bob")
    await send(engine, other, "ann", elsewhere.id, "old")
    wall.at += 2 * DAY
    await change(engine, app, message_days="1")
    assert await engine.sweeps.sweep() == Swept(messages=1)
    assert await texts(engine, app, talk) == ["old"]


# in the background


async def test_it_runs_when_it_is_told_to(
    engine: Engine, app: App, talk: str, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: asyncio.Queue[Swept] = asyncio.Queue()
    sweep = engine.sweeps.sweep

    async def watched() -> Swept:
        result = await sweep()
        swept.put_nowait(result)
        return result

    monkeypatch.setattr(engine.sweeps, "sweep", watched)
    keep(app, messages=1)
    wall.at += 2 * DAY
    running = asyncio.create_task(engine.sweeps.run())
    engine.sweeps.wake()
    assert await swept.get() == Swept(messages=1)
    engine.sweeps.wake()
    assert await swept.get() == Swept()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_it_runs_by_itself(engine: Engine, app: App, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    """First what has ended, then all."""
    monkeypatch.setattr(sweeps, "ENDED_EVERY", 0.01)
    monkeypatch.setattr(sweeps, "EVERY", 0.02)
    order: list[str] = []
    done = asyncio.Event()

    async def sweep() -> Swept:
        order.append("all")
        if order.count("all") == 2:
            done.set()
        if order.count("all") == 1:
            raise Refused(errors.STORAGE_FULL, "the server's disk is full")
        return Swept()

    monkeypatch.setattr(engine.sweeps, "sweep", sweep)
    running = asyncio.create_task(engine.sweeps.run())
    await done.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_sweep_that_is_cut_off_goes_on_the_next_time(
    engine: Engine, app: App, store: Store, wall: Wall
) -> None:
    ids = [(await start(engine, app, "ann", "bob")).id for _ in range(5)]
    for talk in ids:
        await send(engine, app, "ann", talk, "old")
    keep(app, conversations=1)
    wall.at += 2 * DAY
    async with held(store):
        sweeping = asyncio.create_task(engine.sweeps.sweep())
        await asyncio.sleep(0)
        sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeping
    await engine.sweeps.sweep()
    path = (await store.writer.call(lambda bound: bound.exec_driver_sql("PRAGMA database_list").one()))[2]
    for table in ("conversation", "member", "message", "deleted_conversation"):
        assert rows(path, f"SELECT count(*) FROM {table}") == [(0,)]
