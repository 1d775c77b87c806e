"""An import of files: everything is read and staged first, then written class by class in batches."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from hongyan.engine.clock import wall_ms
from hongyan.engine.imported import Imported, ImportedRow, ImportedSubscription
from hongyan.importing import classes, decoding, messages
from hongyan.importing.plain import Mistake
from hongyan.importing.report import Report
from hongyan.importing.sources import Source, check, sources
from hongyan.importing.staging import Origin, Staged, Staging, histories

#: Rows of one batch, and bytes of the messages in it.
BATCH, BATCH_BYTES = 1_000, 1 << 20
#: Rows between two words about how far it is.
TELL_EVERY = 500

Item = TypeVar("Item")


class Target(Protocol):
    """Where the rows go."""

    def write(self, rows: Sequence[ImportedRow]) -> Imported:
        """Write rows of one type, all of one app."""

    def subscribers(self) -> Iterable[tuple[str, str]]:
        """Service conversations that are there already, each with one of its subscribers."""


class Watcher(Protocol):
    """Who wants to know how far it is."""

    def reading(self, rows: int) -> None: ...

    def writing(self, done: int, total: int) -> None: ...


def run(
    paths: Sequence[Path], target: Target, staging: Staging, report: Report, watcher: Watcher, given: str | None
) -> None:
    """Bring in what is in the files; `given` is the class of all of them, whatever their names. Raises StartupError."""
    check(paths)
    _Reading(staging, report, watcher, given).read(paths)
    _Writing(target, staging, report, watcher).write()


class _Reading:
    def __init__(self, staging: Staging, report: Report, watcher: Watcher, given: str | None) -> None:
        self._staging = staging
        self._report = report
        self._watcher = watcher
        self._given = given
        self._now = wall_ms()
        self._read = 0

    def read(self, paths: Sequence[Path]) -> None:
        for source in sources(paths):
            self._read_file(source)
        self._watcher.reading(self._read)

    def _read_file(self, source: Source) -> None:
        number = self._staging.begin_source(source.label)
        named = self._given or classes.of_file(source.label)
        if named is not None and named not in classes.NAMES:
            self._report.skip(source.label, f"rows of the class {named} have no place here")
            return
        for found in decoding.rows(source.stream, source.label):
            self._read += 1
            if not self._read % TELL_EVERY:
                self._watcher.reading(self._read)
            class_name = named or (classes.of_row(found.row) if found.row else None)
            if class_name is None:
                self._report.skip(source.label, "neither its name nor its rows say which class it has")
                return
            tallied = classes.MESSAGES if class_name == classes.SYS_MESSAGES else class_name  # as it is written
            self._report.tallies[tallied].read += 1
            if found.row is None:
                self._report.bad(tallied, source.label, found.line, found.mistake)
                continue
            try:
                self._stage(class_name, found.row, source.label, Origin(number, found.line))
            except Mistake as mistake:
                self._report.bad(tallied, source.label, found.line, str(mistake))

    def _stage(self, name: str, row: dict[str, Any], label: str, origin: Origin) -> None:
        if name == classes.MESSAGES:
            self._staging.put_message(messages.record(row, self._now), origin)
        elif name == classes.SYS_MESSAGES:
            self._staging.put_message(messages.sys_message(row, self._now), origin)
        else:

            def note(what: str) -> None:
                self._report.note(name, label, origin.line, what)

            for each in list(classes.BY_NAME[name].read(row, label, note)):
                self._staging.put(name, each, origin)


class _Writing:
    def __init__(self, target: Target, staging: Staging, report: Report, watcher: Watcher) -> None:
        self._target = target
        self._staging = staging
        self._report = report
        self._watcher = watcher
        self._done = 0
        self._total = 0

    def write(self) -> None:
        everything = (*classes.BEFORE, *classes.AFTER)
        self._total = sum(self._staging.count(each.name) for each in everything) + self._staging.count_messages()
        for each in classes.BEFORE:
            self._write_rows(each)
        self._write_messages()
        for each in classes.AFTER:
            self._write_rows(each)
        self._watcher.writing(self._done, self._total)

    def _write_rows(self, row_class: classes.RowClass) -> None:
        rows = self._staging.rows(row_class.name, row_class.type)
        for batch in _batches(rows, lambda item: 0):
            self._send(row_class.name, [row for row, _ in batch], [origin for _, origin in batch])

    def _write_messages(self) -> None:
        if self._staging.unresolved():
            staged = self._staging.rows("subscribers", ImportedSubscription)
            self._staging.resolve([(row.conversation_id, row.client) for row, _ in staged])
            self._staging.resolve(self._target.subscribers())
        written = 0
        for batch in _batches(self._staging.messages(), _size):
            self._send(classes.MESSAGES, histories(batch), [item.origin for item in batch])
            written += len(batch)
        doubles = self._staging.count_messages() - written
        if doubles:
            self._report.tallies[classes.MESSAGES].doubles += doubles
            self._done += doubles

    def _send(self, name: str, rows: Sequence[Any], origins: Sequence[Origin]) -> None:
        done = self._target.write(rows)
        tally = self._report.tallies[name]
        tally.new += done.new
        tally.changed += done.changed
        tally.same += done.same
        for place, reason in done.refused:
            source, line = origins[place]
            self._report.bad(name, self._staging.label(source), line, reason)
        self._done += len(origins)
        self._watcher.writing(self._done, self._total)


def _size(staged: Staged) -> int:
    return len(staged.message.content)


def _batches(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    weight = 0
    for item in items:
        batch.append(item)
        weight += size(item)
        if len(batch) == BATCH or weight >= BATCH_BYTES:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch
