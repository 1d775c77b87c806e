"""`hongyan app …`: the messaging spaces of this server."""

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from hongyan import admin
from hongyan.cli.options import Config, Database, DataDirectory, settings_for
from hongyan.cli.output import print_json
from hongyan.config import Settings
from hongyan.datadir import DataDir, InUse
from hongyan.errors import StartupError

#: Time for a server that is just starting or stopping, or for another command, to be done (s).
PATIENCE = 15.0

tree = typer.Typer(help="Create, list and change apps: the messaging spaces of this server.", no_args_is_help=True)

Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the app; may be repeated."),
]


@tree.command()
def create(
    name: Annotated[str, typer.Argument(help="Name for people.")],
    id: Annotated[str | None, typer.Option("--id", help="Id that clients send; generated if not given.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="App key; generated if not given.")] = None,
    master_key: Annotated[str | None, typer.Option("--master-key", help="Master key; generated if not given.")] = None,
    set: Changes = None,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Create an app and print it, with its keys, as JSON."""
    command = admin.CreateApp(name, id, key, master_key, parse_changes(set or []))
    print_json(perform(settings_for(config, data_dir, database), command))


@tree.command("list")
def list_apps(config: Config = None, data_dir: DataDirectory = None, database: Database = None) -> None:
    """Print all apps, with their keys, as a JSON array; the first one is the home app."""
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(perform(settings, admin.ListApps()))


@tree.command("set")
def set_app(
    app: Annotated[str, typer.Argument(help="Id or name of the app.")],
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="Settings of the app.")],
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Change settings of an app, such as `limits=off`, and print it as JSON."""
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(perform(settings, admin.SetApp(app, parse_changes(changes))))


def parse_changes(texts: list[str]) -> dict[str, str]:
    """`["limits=off"]` as `{"limits": "off"}`. Raises StartupError."""
    changes = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise StartupError(f"`{text}` is no setting: write KEY=VALUE.")
        changes[key] = value
    return changes


def check_exists(data_dir: Path) -> None:
    """Refuse to make an empty data directory just to look into it."""
    if not data_dir.is_dir():
        raise StartupError(f"The data directory {data_dir} does not exist.")


def perform(settings: Settings, command: admin.Command) -> Any:
    """Have the running server carry a command out, or do it here if none runs. Raises StartupError."""
    data = DataDir(settings.data_dir)
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return _perform_here_or_there(settings, data, command)
        except InUse:
            if time.monotonic() > give_up:
                raise
            # Either the lock is released or the socket appears: no one event tells of both.
            time.sleep(0.05)
        except admin.Failed as error:
            raise StartupError(str(error)) from None


def _perform_here_or_there(settings: Settings, data: DataDir, command: admin.Command) -> Any:
    from hongyan import app

    try:
        with data.held(settings.database_path):
            return asyncio.run(app.perform_offline(settings, data, command))
    except InUse:
        try:
            return admin.call(data.admin_socket, command)
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        raise
