"""What an import leaves in the store: marks, edits, sweeps, streams, deletion."""

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Any

from hongyan.engine.clock import Clock
from hongyan.engine.imported import (
    Imported,
    ImportedConversation,
    ImportedHistory,
    ImportedMessage,
    ImportedRole,
    ImportedRow,
    ImportedSubscription,
)
from hongyan.engine.values import ConversationKind, Cutoffs, Edit, HistoryRange, Role, stream_id
from hongyan.store import Store, database, sweep_gate
from tests.store.steps import APP, NOON, Wall, load, on_driver, rows, send, service, start

PLACE = "0" * 24


async def bring_in(store: Store, *brought: ImportedRow, dry: bool = False) -> Imported:
    return await store.imports.write(APP, brought, lambda changed, services: None, dry=dry)


def history(*places: tuple[int, str], where: str = PLACE, client: str | None = None, **more: Any) -> ImportedHistory:
    """Messages at these times and ids."""
    return ImportedHistory(where, [ImportedMessage(name, at, "old", b"was", **more) for at, name in places], client)


def row(where: str = PLACE, **more: Any) -> ImportedConversation:
    values: dict[str, Any] = {"kind": 1, "created_at": 5, "updated_at": 9, "members": ("ann", "bob")} | more
    return ImportedConversation(where, **values)


async def unread(store: Store, client: str) -> int:
    found, _ = await store.messages.unread(APP, client, None, 10)
    return found[0].count if found else 0


async def test_a_sweep_of_imported_messages_leaves_the_counts_right(store: Store, wall: Wall) -> None:
    talk = await start(store, "ann", "bob")
    await send(store, talk, "ann")
    wall.at += 10
    await send(store, talk, "ann")
    await bring_in(store, history((NOON - 9, "a"), (NOON + 1, "b"), (NOON + 2, "c"), where=talk.id))
    assert await unread(store, "bob") == 2
    await store.writer.call(lambda bound: sweep_gate.agree(bound, APP, sweep_gate.asking(bound)[APP]))
    expired, _ = await store.sweep.look(0, {APP: Cutoffs(NOON + 2, None)})
    deleted, _ = await store.sweep.delete_messages(expired)
    assert deleted == 3
    assert await unread(store, "bob") == 1
    await store.messages.mark_read(talk, "bob", None, lambda *told: None)
    assert await unread(store, "bob") == 0


async def test_what_is_old_by_now_is_swept_only_after_a_yes(store: Store) -> None:
    await bring_in(store, row())
    await bring_in(store, history((5, "a")))
    assert list(await store.sweep.asking()) == [APP]
    first = (await store.sweep.asking())[APP]
    await bring_in(store, history((6, "b")))
    assert (await store.sweep.asking())[APP] != first
    before = await store.sweep.asking()
    await bring_in(store, history((6, "b")))
    assert await store.sweep.asking() == before


async def test_an_imported_conversation_counts_as_used_when_it_came(store: Store, wall: Wall) -> None:
    await bring_in(store, row())
    assert (await store.sweep.look(0, {APP: Cutoffs(None, wall.at)}))[0] == []
    assert len((await store.sweep.look(0, {APP: Cutoffs(None, wall.at + 1)}))[0]) == 1


async def test_edits_made_here_are_later_than_imported_ones_and_stay(store: Store, wall: Wall) -> None:
    await bring_in(store, row())
    await bring_in(store, history((5, "a"), patched_at=NOON + 500))
    assert store.edits.newest == NOON + 500
    talk = await load(store, PLACE)
    times: list[int | None] = []
    edit = Edit(PLACE, "a", 5, None)
    await store.edits.apply(
        [(talk, edit)], "old", lambda results: times.append(results[0].message.patched_at), checked=False
    )
    assert times == [NOON + 501]
    assert await bring_in(store, history((5, "a"))) == Imported(same=1)


async def test_the_clock_of_the_next_start_is_not_before_what_is_there(store: Store, path: Path, wall: Wall) -> None:
    talk = await start(store, "ann")
    await send(store, talk, "ann")
    await bring_in(store, history((5, "a")))
    assert rows(path, "SELECT value FROM meta WHERE name = 'swept_at'") == [(str(wall.at),)]


async def test_a_stream_of_which_nobody_knew_whose_it_is_becomes_its_clients(store: Store) -> None:
    news = await service(store)
    key = stream_id(news.id, "bob")
    await bring_in(store, ImportedHistory(key, [ImportedMessage("a", 5, "news", b"was")], stream=True))
    assert await store.conversations.load(APP, key) is None
    stream = await store.services.stream(news, "bob")
    wanted = await store.services.page(news, "bob", HistoryRange(limit=9))
    assert (stream.stream, [message.id for message in wanted]) == (key, ["a"])


async def test_a_conversation_that_is_deleted_takes_what_was_kept_of_it_along(store: Store, path: Path) -> None:
    await bring_in(store, row(kind=int(ConversationKind.SERVICE), members=(), kept={"ACL": {}}))
    news = await load(store, PLACE)
    await store.conversations.erase(news, lambda: None)
    while await store.sweep.clean():
        pass
    assert rows(path, "SELECT * FROM imported_column") == []


async def test_roles_note_the_owner(store: Store) -> None:
    await bring_in(store, row(creator="ann"))
    await bring_in(store, ImportedRole(PLACE, "bob", int(Role.MANAGER), "r1"))
    found = (await load(store, PLACE)).standings
    assert (found["ann"].role, found["bob"].role, found["bob"].role_id) == (Role.OWNER, Role.MANAGER, "r1")


async def test_subscribers_are_counted_once(store: Store, path: Path) -> None:
    news = await service(store)
    subscriptions = [ImportedSubscription(news.id, client, 7) for client in ("ann", "bob")]
    assert await bring_in(store, *subscriptions) == Imported(new=2)
    assert await bring_in(store, *subscriptions) == Imported(same=2)
    assert await store.services.count(news) == 2


async def test_nobody_is_told_of_what_comes_in(store: Store, path: Path) -> None:
    await bring_in(store, row())
    assert rows(path, "SELECT * FROM notification") == []


async def test_who_wrote_what_was_brought_in_is_found(store: Store) -> None:
    await bring_in(store, history((5, "a"), (6, "b")))
    assert await on_driver(store, lambda driver: driver.execute("SELECT client FROM author").fetchall()) == [("old",)]


async def test_the_app_of_a_message_is_known(store: Store, path: Path) -> None:
    await bring_in(store, history((5, "a")))
    assert rows(path, "SELECT app FROM message") == [(APP,)]


async def test_a_dry_run_leaves_nothing(store: Store, path: Path) -> None:
    assert await bring_in(store, row(), dry=True) == Imported(new=1)
    assert await bring_in(store, history((5, "a")), dry=True) == Imported(new=1)
    assert rows(path, "SELECT * FROM conversation") == []
    assert await store.sweep.asking() == {}


async def test_what_is_told_at_the_commit_is_what_memory_must_read_again(store: Store) -> None:
    told: list[tuple[list[str], int]] = []

    def committed(changed: Any, services: Any) -> None:
        told.append((list(changed), len(services)))

    await store.imports.write(APP, [row(), row("1" * 24, kind=3, members=())], committed)
    await store.imports.write(APP, [row(updated_at=99)], committed)
    assert told == [([], 1), ([PLACE], 0)]


async def test_who_writes_much_alone_leaves_all_of_it_in_the_file(path: Path, empty_database: Path, wall: Wall) -> None:
    shutil.copy(empty_database, path)
    store = Store.open(path, bytes(32), Clock(wall, lambda: 0))
    store.write_much()
    store.start(asyncio.get_running_loop())
    await bring_in(store, row())
    log = path.with_name(path.name + "-wal")
    assert log.stat().st_size > 0
    with contextlib.closing(database.connect(path, read_only=True)) as other:  # who looks would keep the log there
        other.execute("SELECT 1 FROM app").fetchall()
        await store.close()
        assert log.stat().st_size == 0
