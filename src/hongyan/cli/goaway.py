"""`hongyan goaway`: have the clients reconnect."""

from typing import Annotated, Any

import typer

from hongyan import admin
from hongyan.cli.app import check_exists
from hongyan.cli.options import Config, Database, DataDirectory, settings_for
from hongyan.cli.output import print_json
from hongyan.config import Settings
from hongyan.datadir import DataDir
from hongyan.errors import StartupError


def goaway(
    over: Annotated[
        float,
        typer.Option("--over", metavar="SECONDS", min=0, max=admin.GOAWAY_MAX, help="Time to spread them over."),
    ] = 30.0,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Ask all connected clients to look up the server's address again and reconnect; print how many.

    For use after `public_gateway_url` has changed, or before the server moves. Nobody is logged out.

    They are asked one after the other, evenly over the time, and this command does not wait for it.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_have_server(settings, admin.GoAway(over)))


def _have_server(settings: Settings, command: admin.Command) -> Any:
    try:
        return admin.call(DataDir(settings.data_dir).admin_socket, command)
    except (ConnectionRefusedError, FileNotFoundError):
        raise StartupError(f"No server runs on the data directory {settings.data_dir}.") from None
    except admin.Failed as error:
        raise StartupError(str(error)) from None
