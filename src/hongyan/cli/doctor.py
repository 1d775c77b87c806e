"""`hongyan doctor`: is everything in place for the server?"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hongyan import admin
from hongyan.cli.options import Config, Database, DataDirectory, settings_for
from hongyan.config import Settings
from hongyan.datadir import DataDir

UNBROKEN = 1_000  # columns, so that a program reads one finding a line
_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(config: Config = None, data_dir: DataDirectory = None, database: Database = None) -> None:
    """Check this machine, the settings and the data; the exit status is 1 if a check fails."""
    from hongyan.cli import checks

    settings = settings_for(config, data_dir, database)
    subject = checks.Subject(settings, ask_server(settings))
    table = Table("Check", "Result", "Finding", box=None, pad_edge=False)
    fails = False
    for name, check in checks.CHECKS.items():
        finding = checks.look(check, subject)
        fails = fails or finding.level is checks.Level.FAILED
        table.add_row(name, Text(finding.level.value, _STYLES[finding.level.value]), Text(finding.text))
    Console(width=None if sys.stdout.isatty() else UNBROKEN).print(table)
    if fails:
        raise typer.Exit(1)


def ask_server(settings: Settings) -> Mapping[str, Any] | None:
    """What the server that uses the data directory says of itself; None if none runs."""
    if settings.data_dir.is_dir():
        with suppress(OSError, admin.Failed):
            answer: Mapping[str, Any] = admin.call(DataDir(settings.data_dir).admin_socket, admin.Status())
            return answer
    return None
