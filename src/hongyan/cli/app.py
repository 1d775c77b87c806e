"""`hongyan app …`: the messaging spaces of this server."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hongyan import admin
from hongyan.cli.options import Config, Database, DataDirectory, settings_for
from hongyan.cli.output import print_json, print_lines
from hongyan.config import Settings
from hongyan.errors import StartupError

#: Bytes of the longest file with a word list; a list that is allowed has fewer, even with empty lines.
FILE_MAX = 1 << 24
#: Bytes of a file with credentials.
CREDENTIALS_MAX = 65_536

tree = typer.Typer(help="Create, list and change apps: the messaging spaces of this server.", no_args_is_help=True)

Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the app; may be repeated."),
]


@tree.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name for people.")],
    id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Id that clients send; generated if not given.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help="App key; generated if not given.")] = None,
    master_key: Annotated[
        str | None, typer.Option("--master-key", metavar="KEY", help="Master key; generated if not given.")
    ] = None,
    hook_key: Annotated[
        str | None, typer.Option("--hook-key", metavar="KEY", help="Hook key; generated if not given.")
    ] = None,
    set: Changes = None,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Create an app and print it, with its keys, as JSON.

    Clients sign in with `id` and `key`. `master_key` is for your own server,
    which calls the REST API and signs with it; give it to nobody else.
    `hook_key` proves to your own cloud engine that a hook is called by this server.
    """
    command = admin.CreateApp(name, id, key, master_key, hook_key, parse_changes(set or []))
    print_json(_perform(settings_for(config, data_dir, database), command))


@tree.command("list")
def list_apps(config: Config = None, data_dir: DataDirectory = None, database: Database = None) -> None:
    """Print all apps, with their keys, as a JSON array; the first one is the home app."""
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.ListApps()))


@tree.command("set")
def set_app(
    app: Annotated[str, typer.Argument(metavar="APP", help="Id or name of the app.")],
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="Settings of the app.")],
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Change settings of an app, such as `limits=off`, and print it as JSON.

    All settings stand in docs/reference/configuration.md.

    `preset=leancloud` deletes messages, and conversations that nobody uses,
    after 180 days as LeanCloud does; all other defaults are LeanCloud's already,
    or allow more. What is old by now waits for a yes to `hongyan sweep`.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.SetApp(app, parse_changes(changes))))


@tree.command()
def words(
    app: Annotated[str, typer.Argument(metavar="APP", help="Id or name of the app.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The new list, UTF-8, one word a line.", show_default=False)
    ] = None,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Give an app a list of words that its messages may not contain, or print the list.

    FILE becomes the list, and how many words it has is printed; an empty FILE
    takes the list away. Without FILE the list is printed, one word a line.

    The words become `***` where more than two talk. With the app's setting
    `filter=refuse` the message is refused instead; with `filter_direct=on`
    talks of two are looked at, too. Case and full or half width of letters do
    not matter.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    if file is None:
        print_lines(_perform(settings, admin.ListWords(app)))
    else:
        print_json(_perform(settings, admin.SetWords(app, read_words(file))))


push = typer.Typer(
    help="The services by which an app pushes to devices: docs/howto/push.md has the file of each.",
    no_args_is_help=True,
)
tree.add_typer(push, name="push")

AppName = Annotated[str, typer.Argument(metavar="APP", help="Id or name of the app.")]
ServiceName = Annotated[str, typer.Argument(metavar="SERVICE", help="Name of the service, such as apns.")]


@push.command("list")
def list_push(app: AppName, config: Config = None, data_dir: DataDirectory = None, database: Database = None) -> None:
    """Print by which services an app pushes, as a JSON array; their credentials are shown to nobody."""
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.ListPush(app)))


@push.command("set")
def set_push(
    app: AppName,
    service: ServiceName,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="JSON file with the credentials.")],
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Let an app push by a service, with the credentials in FILE, from now on.

    They are kept sealed and take the place of those before. Services: apns,
    fcm, huawei, honor, xiaomi, oppo, vivo, meizu, web_push, and webhook for
    all devices that have no service of their own.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.SetPush(app, service, read_credentials(file))))


@push.command("remove")
def remove_push(
    app: AppName,
    service: ServiceName,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Let an app push by a service no more, and forget the credentials."""
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.RemovePush(app, service)))


def read_credentials(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises StartupError, in which nothing of it stands."""
    try:
        with path.open("rb") as file:
            text = file.read(CREDENTIALS_MAX + 1)
    except OSError as error:
        raise StartupError(f"The file {path} can't be read: {error.strerror}.") from None
    if len(text) > CREDENTIALS_MAX:
        raise StartupError(f"The file {path} has more than {CREDENTIALS_MAX:,} bytes.")
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise StartupError(f"The file {path} is no JSON object.")
    return given


def read_words(path: Path) -> list[str]:
    """The words of a file. Raises StartupError."""
    from hongyan.engine import word_list  # which loads what only this command needs

    try:
        with path.open("rb") as file:
            text = file.read(FILE_MAX + 1).decode("utf-8-sig")
    except OSError as error:
        raise StartupError(f"The word list {path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise StartupError(f"The word list {path} is not UTF-8, as byte {error.start + 1:,} shows.") from None
    if len(text.encode()) > FILE_MAX:
        raise StartupError(f"The word list {path} has more than {FILE_MAX:,} bytes.")
    try:
        return word_list.parse(text.splitlines())
    except ValueError as mistake:
        raise StartupError(str(mistake)) from None


def parse_changes(texts: list[str]) -> dict[str, str]:
    """`["limits=off"]` as `{"limits": "off"}`. Raises StartupError."""
    changes = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise StartupError(f"`{text}` is no setting: write KEY=VALUE.")
        if key in changes:
            raise StartupError(f"The app setting {key} is given twice.")
        changes[key] = value
    return changes


def check_exists(data_dir: Path) -> None:
    """Refuse to make an empty data directory just to look into it."""
    if not data_dir.is_dir():
        raise StartupError(f"The data directory {data_dir} does not exist.")


def _perform(settings: Settings, command: admin.Command) -> Any:
    # Imported when needed: the database's libraries would slow down `hongyan --help`.
    from hongyan.cli.perform import perform

    return perform(settings, command)
