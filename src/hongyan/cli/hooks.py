"""`hongyan hooks …`: what the engines of apps have, and what they could not be told."""

from typing import Annotated, Any

import typer

from hongyan import admin
from hongyan.cli.app import check_exists
from hongyan.cli.options import Config, Database, DataDirectory, settings_for
from hongyan.cli.output import print_json
from hongyan.config import Settings

tree = typer.Typer(help="Look after the hooks of apps: see docs/howto/hooks.md.", no_args_is_help=True)

AppName = Annotated[str, typer.Argument(metavar="APP", help="Id or name of the app.")]


@tree.command()
def check(app: AppName, config: Config = None, data_dir: DataDirectory = None, database: Database = None) -> None:
    """Ask the app's engine for its functions, and print the hooks among them.

    The app setting `hook_url` says where the engine is. An engine in a private
    network must be allowed by the server's setting `allowed_private`.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.CheckHooks(app)))


@tree.command("list")
def list_hooks(app: AppName, config: Config = None, data_dir: DataDirectory = None, database: Database = None) -> None:
    """Print what the app's engine could not be told as it was out of reach, as a JSON array, oldest first.

    It is kept for 30 days.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.ListHooks(app)))


@tree.command()
def replay(
    app: AppName,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="What is told again; everything if none is named.")
    ] = None,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Have the app's engine told again what it could not be told, and print how much that is.

    The running server does it; without one, the next start does.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.ReplayHooks(app, ids or [])))


def _perform(settings: Settings, command: admin.Command) -> Any:
    # Imported when needed: the database's libraries would slow down `hongyan --help`.
    from hongyan.cli.perform import perform

    return perform(settings, command)
