"""`hongyan sweep`: see what the apps keep no longer, and have it deleted."""

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hongyan import admin
from hongyan.cli.app import check_exists
from hongyan.cli.options import Config, Database, DataDirectory, settings_for
from hongyan.config import Settings

UNBROKEN = 1_000  # columns, so that a program reads one app a line


def sweep(
    yes: Annotated[bool, typer.Option("--yes", metavar="", help="Delete without asking.")] = False,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Show what has expired, ask, and delete it for ever.

    The app settings `message_days` and `conversation_days` say what expires; by
    default nothing does.

    The server deletes it by itself every hour. Only when an app keeps less than
    before, it deletes nothing of that app until this command was answered with
    yes.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    console = Console(width=None if sys.stdout.isatty() else UNBROKEN, highlight=False)
    found = _perform(settings, admin.PreviewSweep())
    if not any(row["messages"] or row["conversations"] for row in found):
        console.print("Nothing has expired.")
        return
    _show(console, found)
    if not yes and not typer.confirm("Delete this for ever?"):
        console.print("Nothing is deleted.")
        return
    agreed = {row["app"]: row["asked"] for row in found if row["asked"] is not None}
    done = _perform(settings, admin.Sweep(agreed))
    if "running" in done:
        console.print("The server deletes it now, beside its other work.")
    else:
        console.print(f"Deleted: {done['messages']:,} messages, {done['conversations']:,} conversations with theirs.")


def _show(console: Console, found: list[dict[str, Any]]) -> None:
    table = Table("App", "Name", "Messages", "Conversations", "", box=None, pad_edge=False)
    for row in found:
        waits = "waits for a yes" if row["asked"] is not None else ""
        table.add_row(row["app"], row["name"], f"{row['messages']:,}", f"{row['conversations']:,}", waits)
    console.print(table)


def _perform(settings: Settings, command: admin.Command) -> Any:
    # Imported when needed: the database's libraries would slow down `hongyan --help`.
    from hongyan.cli.perform import perform

    return perform(settings, command)
