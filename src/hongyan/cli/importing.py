"""`hongyan import leancloud` and `hongyan export leancloud`: moving in, and out."""

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hongyan import admin
from hongyan.cli.app import check_exists
from hongyan.cli.options import Config, Database, DataDirectory, settings_for
from hongyan.cli.output import print_json
from hongyan.config import Settings
from hongyan.errors import StartupError

if TYPE_CHECKING:
    from hongyan.importing.files import Bytes
    from hongyan.importing.live import Api
    from hongyan.importing.report import Report
    from hongyan.store.exporting import Reading

import_tree = typer.Typer(help="Bring the data of another server in.", no_args_is_help=True)
export_tree = typer.Typer(help="Write data out in the shapes of another server.", no_args_is_help=True)

#: The variable with the master key for `--live`: a command line can be read by others.
MASTER_KEY = "LEANCLOUD_MASTER_KEY"
DAY = 86_400_000

Say = Callable[[str, int, int | None], None]
Counts = Mapping[str, Mapping[str, int | None]]
App = Annotated[str, typer.Option("--app", metavar="ID", help="Id or name of the app.")]


@import_tree.callback()
@export_tree.callback()
def _group() -> None:
    """Keeps the name of the other server a word of its own, also while there is only one."""


@import_tree.command("leancloud")
def import_leancloud(
    app: App,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH…", help="Files, folders and archives of an export.", show_default=False),
    ] = None,
    class_name: Annotated[
        str | None,
        typer.Option("--class", metavar="CLASS", help="Class of all rows, for files whose names don't say it."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Where rows that are left out are listed.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Only say what would happen; nothing is changed.")
    ] = False,
    files: Annotated[
        Path | None,
        typer.Option("--files", metavar="DIR", help="Folder with the bytes of files, each under its key."),
    ] = None,
    download_files: Annotated[
        str | None,
        typer.Option("--download-files", metavar="URL", help="Address of the file domain, to fetch the bytes from."),
    ] = None,
    live: Annotated[
        str | None,
        typer.Option("--live", metavar="URL", help="Fetch it from this REST API instead, or what is new there."),
    ] = None,
    live_app: Annotated[
        str | None, typer.Option("--live-app", metavar="ID", help="The app's id there; default: as here.")
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", metavar="N", min=0.01, max=1000, help="Requests a second, at most.")
    ] = 10.0,
    lists: Annotated[
        bool, typer.Option("--lists/--no-lists", metavar="", help="Ask each conversation for its lists.")
    ] = True,
    client_lists: Annotated[
        bool | None,
        typer.Option(
            "--client-lists/--no-client-lists",
            metavar="",
            help="Ask each client for its blacklist; default: of up to 10,000 clients.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        int | None,
        typer.Option(
            "--again",
            metavar="DAYS",
            min=1,
            max=3650,
            help="Fetch messages of the last days again, edited or recalled since.",
            show_default=False,
        ),
    ] = None,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Bring an export of LeanCloud into an app.

    PATH may be a .jsonl, .json, .csv or .bson file, a .tar.gz, .zip or .gz of them,
    or a folder. The name of a file says its class, such as `_Conversation.jsonl`;
    messages are known by their keys.

    The server may run meanwhile. Nobody is told of what comes in, and nothing
    of it is unread. To do it again changes nothing: rows that are there stay,
    and those that were changed on LeanCloud since are brought up to date.

    With --live it is fetched from LeanCloud itself. The master key comes from
    the variable LEANCLOUD_MASTER_KEY, or is asked for. What is broken off goes
    on where it was, and later the same command brings what is new; --again 7
    also what was edited or recalled in the last seven days.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    if bool(paths) == (live is not None):
        raise StartupError("Say either which files are to be brought in, or --live with the URL of the API.")
    if again is not None and live is None:
        raise StartupError("--again goes with --live: what is in files is brought in anyway.")
    folder = settings.data_dir / "imports"
    folder.mkdir(mode=0o700, exist_ok=True)
    began, wanted = time.monotonic(), _Wanted(class_name, report, dry_run, files, download_files)
    with _alone(folder), contextlib.ExitStack() as stack:
        app_id = _id_of(settings, app)
        if live is None:
            found, fetched = _import(settings, app_id, paths or [], wanted), None
        else:
            there = live_app or app_id
            api = stack.enter_context(contextlib.closing(_api(live, there, rate)))
            which = _Live(there, lists, client_lists if lists or client_lists else False, again)
            found, fetched = _import_live(settings, app_id, api, which, wanted)
    _tell(found, time.monotonic() - began, dry_run, fetched)


@export_tree.command("leancloud")
def export_leancloud(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder for the files.")],
    app: App,
    files: Annotated[
        bool, typer.Option("--files", metavar="", help="Also write the bytes of files, each under its key.")
    ] = False,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Write all data of an app as LeanCloud exports it: JSON Lines, a file for each class.

    The server may run meanwhile: what is changed during the export may be in it
    or not. Everything can be brought in again with `hongyan import leancloud`.

    With --files the bytes of files lie in the folder DIR/_File.bytes, which the
    option --files of the import takes.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    # Imported when needed: the database's libraries would slow down `hongyan --help`.
    from hongyan.blobs import place
    from hongyan.importing.export import export, export_bytes
    from hongyan.store.exporting import reading

    with reading(settings.database_path, _id_of(settings, app)) as found, _progress() as say:
        told: dict[str, Any] = {"folder": str(folder)}
        told["rows"] = export(found, folder, lambda name, count: say(f"Writing {name}", count, None))
        if files:
            copied = export_bytes(found, place(settings), folder, lambda count: say("Writing files", count, None))
            told["files"] = asdict(copied)
    print_json(told)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an import is asked for, by the names of the options."""

    class_name: str | None
    report: Path | None
    dry_run: bool
    files: Path | None
    download_files: str | None


@dataclass(frozen=True, slots=True)
class _Live:
    """What is to be fetched from an API: of the app `there`, and the other options by their names."""

    there: str
    lists: bool
    client_lists: bool | None
    again: int | None


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Rows of each class there and here; how many clients were not asked for their blacklists, as they are many."""

    counts: Counts
    unasked: int


def _import(settings: Settings, app_id: str, paths: Sequence[Path], wanted: _Wanted) -> "Report":
    """What came of the rows in these files."""
    from hongyan.blobs import place
    from hongyan.cli.perform import performing
    from hongyan.importing import classes
    from hongyan.importing.files import Bytes
    from hongyan.importing.report import Report
    from hongyan.importing.run import run
    from hongyan.importing.staging import Staging
    from hongyan.store.exporting import reading

    if wanted.class_name is not None and wanted.class_name not in classes.NAMES:
        raise StartupError(f"There is no class {wanted.class_name!r}; the classes are {', '.join(classes.NAMES)}.")
    folder = settings.data_dir / "imports"
    report = Report(wanted.report or folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.report.jsonl")
    with performing(settings) as answer, reading(settings.database_path, app_id) as here, _progress() as say:
        staging = Staging(folder / "staging.db")
        target = _Target(answer, app_id, here, Bytes(place(settings), wanted.files, wanted.download_files), wanted)
        try:
            run(paths, target, staging, report, _Watcher(say), wanted.class_name)
        finally:
            staging.close()
            report.close()
    return report


def _import_live(
    settings: Settings, app_id: str, api: "Api", which: _Live, wanted: _Wanted
) -> tuple["Report", _Fetched]:
    """The same of what an API has."""
    from hongyan.engine.clock import wall_ms
    from hongyan.importing import live
    from hongyan.store.exporting import COUNTS, reading

    folder = settings.data_dir / "imports" / f"live-{re.sub('[^A-Za-z0-9_-]', '_', which.there)}"
    folder.mkdir(mode=0o700, exist_ok=True)
    again = None if which.again is None else wall_ms() - which.again * DAY
    with _progress() as say:
        fetch = live.Fetch(
            api,
            folder,
            lambda name, rows: say(f"Fetching {name}", rows, None),
            lists=which.lists,
            client_lists=which.client_lists,
            again=again,
        )
        fetch.run()
    report = _import(settings, app_id, sorted(folder.glob("*.jsonl")), wanted)
    if not wanted.dry_run:
        live.forget(folder)
    with reading(settings.database_path, app_id) as here:
        counts = {name: {"there": live.count(api, name), "here": here.count(name)} for name in COUNTS}
    return report, _Fetched(counts, fetch.unasked)


def _api(url: str, app_id: str, rate: float) -> "Api":
    """LeanCloud's API, with the master key. Raises StartupError."""
    from hongyan.importing.live import Api

    key = os.environ.get(MASTER_KEY)
    if not key and not sys.stdin.isatty():
        raise StartupError(f"The variable {MASTER_KEY} must hold the master key of the app on LeanCloud.")
    return Api(url, app_id, key or typer.prompt("Master key on LeanCloud", hide_input=True), rate)


class _Target:
    """An app of this server: `importing.run.Target`."""

    def __init__(
        self,
        answer: Callable[[admin.Command], Any],
        app_id: str,
        here: "Reading",
        files: "Bytes",
        wanted: _Wanted,
    ) -> None:
        self._answer = answer
        self._app_id = app_id
        self._here = here
        self._files = files
        self._dry = wanted.dry_run

    def write(self, rows: Sequence[Any]) -> Any:
        import msgspec

        from hongyan.engine.imported import Imported, ImportedFile

        if isinstance(rows[0], ImportedFile):
            rows = self._with_bytes(rows)
        command = admin.Import(self._app_id, type(rows[0]).__name__, list(rows), self._dry)
        return msgspec.convert(self._answer(command), Imported)

    def subscribers(self) -> Iterator[tuple[str, str]]:
        return self._here.all_subscribers()

    def _with_bytes(self, rows: Sequence[Any]) -> list[Any]:
        """Files with their bytes, which come here first. No two of them may lie in one place."""
        from hongyan.engine.files import same_place

        places: set[str] = set()

        def is_taken(key: str) -> bool:
            first, end = same_place(key)
            return first in places or self._here.has_key(first, end)

        made = []
        for row in rows:
            if row.key is None or self._dry or self._here.has_file(row.id):
                made.append(self._files.linked(row))
                continue
            made.append(self._files.placed(row, self._here.app_key, is_taken))
            if made[-1].key is not None:
                places.add(same_place(made[-1].key)[0])
        return made


class _Watcher:
    """Shows how far an import is: `importing.run.Watcher`."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def reading(self, rows: int) -> None:
        self._say("Reading", rows, None)

    def writing(self, done: int, total: int) -> None:
        self._say("Writing", done, total)


@contextlib.contextmanager
def _progress() -> Iterator[Say]:
    """A bar on the terminal; nothing elsewhere."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        tasks: dict[str, Any] = {}

        def say(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield say


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One import at a time: two would move the same messages. Raises StartupError."""
    import fcntl

    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartupError("Another import is under way.") from None
        yield


def _id_of(settings: Settings, app: str) -> str:
    """The id of the app with this id or name. Raises StartupError."""
    from hongyan.cli.perform import perform

    return str(perform(settings, admin.FindApp(app)))


def _tell(report: "Report", seconds: float, dry: bool, fetched: _Fetched | None) -> None:
    """What came of it: a table for people, JSON for programs."""
    written = str(report.path) if report.written else None
    if sys.stdout.isatty():
        _show(report, seconds, dry, written, fetched)
        return
    tallies = {name: asdict(tally) for name, tally in report.tallies.items()}
    told: dict[str, Any] = {
        "dry_run": dry,
        "classes": tallies,
        "files_left_out": list(report.skipped),
        "report": written,
    }
    if fetched is not None:
        told |= {"counts": fetched.counts, "clients_not_asked": fetched.unasked}
    print_json(told)


def _show(report: "Report", seconds: float, dry: bool, written: str | None, fetched: _Fetched | None) -> None:
    console = Console(highlight=False)
    headings = ["Class", "Rows read", "New", "Changed", "There already", "Twice", "Left out"]
    table = Table(headings[0], box=None, pad_edge=False)
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for name, tally in report.tallies.items():
        numbers = (tally.read, tally.new, tally.changed, tally.same, tally.doubles, tally.bad)
        table.add_row(name, *(f"{number:,}" for number in numbers))
    console.print(table)
    for name, count in fetched.counts.items() if fetched else ():
        console.print(f"{name}: {count['there']} rows on LeanCloud, {count['here']} here")
    if fetched and fetched.unasked:
        console.print(f"{fetched.unasked:,} clients were not asked for their blacklists: --client-lists asks them.")
    for label in report.skipped:
        console.print(f"Left out: {label}")
    if written:
        console.print(f"What is left out, and why: {written}")
    rows = sum(tally.read for tally in report.tallies.values())
    console.print(f"{rows:,} rows in {seconds:,.1f} s." + (" Nothing was changed (--dry-run)." if dry else ""))
