"""Rows of another server, written as bulk work: one step in one transaction."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan.engine.clock import Clock
from hongyan.engine.imported import (
    Imported,
    ImportedBlock,
    ImportedConversation,
    ImportedFile,
    ImportedHistory,
    ImportedInstallation,
    ImportedRefusal,
    ImportedRole,
    ImportedRow,
    ImportedSilence,
    ImportedSubscription,
    ImportedUser,
)
from hongyan.engine.values import stream_id
from hongyan.store import deletion, import_conversations, import_histories, import_lists, import_objects, sweep_gate
from hongyan.store.edits import Edits
from hongyan.store.import_step import Step, Unforeseen, keys_of
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

Committed = Callable[[Sequence[str], Sequence[int]], None]

#: What writes rows of a type.
WRITERS: dict[type, Callable[[Step, Sequence[Any]], Imported]] = {
    ImportedConversation: import_conversations.write,
    ImportedUser: import_objects.write_users,
    ImportedInstallation: import_objects.write_installations,
    ImportedFile: import_objects.write_files,
    ImportedRole: import_lists.write_roles,
    ImportedSubscription: import_lists.write_subscriptions,
    ImportedSilence: import_lists.write_silences,
    ImportedBlock: import_lists.write_blocks,
    ImportedRefusal: import_lists.write_refusals,
    ImportedHistory: import_histories.write,
}


class Imports:
    """`held`: for how long (s) the last step held the writer."""

    def __init__(self, reader: Reader, writer: Writer, clock: Clock, edits: Edits) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._edits = edits
        self.held = 0.0

    def write(
        self, app_key: int, rows: Sequence[ImportedRow], committed: Committed, *, dry: bool = False
    ) -> Awaitable[Imported]:
        return self._write(app_key, rows, committed, dry)

    async def _write(self, app_key: int, rows: Sequence[ImportedRow], committed: Committed, dry: bool) -> Imported:
        """Again, if a conversation was made between the look at which there are and the write."""
        ids = [each for row in rows for each in _ids(row)]
        while True:
            keys = await self._reader.run(lambda driver: set(keys_of(driver, app_key, ids).values()))
            done = await self._try(app_key, rows, committed, dry, keys)
            if done is not None:
                return done

    async def _try(
        self, app_key: int, rows: Sequence[ImportedRow], committed: Committed, dry: bool, keys: set[int]
    ) -> Imported | None:
        def change(bound: sa.Connection) -> tuple[Imported, Step] | None:
            step = Step(bound.connection.driver_connection, app_key, self._clock.now(), keys)
            began = time.perf_counter()
            step.driver.execute("SAVEPOINT import")
            try:
                done = WRITERS[type(rows[0])](step, rows)
            except Unforeseen:
                step.driver.execute("ROLLBACK TO import")
                return None
            else:
                if dry:
                    step.driver.execute("ROLLBACK TO import")
                elif done.new or done.changed:
                    self._note(bound, step)
                return done, step
            finally:
                step.driver.execute("RELEASE import")
                self.held = time.perf_counter() - began

        def told(result: tuple[Imported, Step] | None) -> None:
            if result is not None and not dry:
                committed(result[1].changed, result[1].services)

        result = await self._writer.call_in_bulk(change, told, *keys)
        return None if result is None else result[0]

    def _note(self, bound: sa.Connection, step: Step) -> None:
        """What is old by now is deleted only after a yes; times of edits and of the server stay ahead of all there is.

        The last row of messages may be an old one from now on, which tells a start nothing (`hot.LAST_ARRIVAL`).
        """
        sweep_gate.ask(bound, step.app_key)
        deletion.note_time(step.driver, step.now)
        if step.edited_at:
            self._edits.note(step.driver, step.edited_at)


def _ids(row: ImportedRow) -> list[str]:
    """The conversations and streams that a row is about."""
    if isinstance(row, ImportedConversation):
        return [row.id]
    if isinstance(row, ImportedUser | ImportedInstallation | ImportedFile):
        return []
    if isinstance(row, ImportedHistory) and row.client is not None:
        return [row.conversation_id, stream_id(row.conversation_id, row.client)]
    return [row.conversation_id]
