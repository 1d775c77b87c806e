"""`hongyan channel …` and `hongyan notify`: channels to other platforms, and messages from a shell."""

import base64
import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hongyan import admin
from hongyan.cli.app import check_exists
from hongyan.cli.options import Config, Database, DataDirectory, settings_for
from hongyan.cli.output import print_json, print_lines
from hongyan.config import Settings
from hongyan.errors import StartupError

#: Where credentials are if no file is named: what stands on a command line others can read.
VARIABLE = "CHANNEL_CREDENTIALS"
#: Bytes of a file with JSON, and of one that is sent.
JSON_MAX, FILE_MAX = 262_144, 5_242_880

tree = typer.Typer(help="Channels to other platforms: see docs/howto/channels.md.", no_args_is_help=True)

AppName = Annotated[str, typer.Argument(metavar="APP", help="Id or name of the app.")]
ChannelName = Annotated[str, typer.Argument(metavar="CHANNEL", help="Name or id of the channel.")]


@tree.command()
def create(
    app: AppName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the channel is to be called.")],
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Kind of channel, such as dingtalk_robot.")],
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help=f"JSON file with the credentials, `-` for standard input; else those in the variable {VARIABLE}.",
            show_default=False,
        ),
    ] = None,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="For people.")] = "",
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Make a channel, and print it; what is secret is shown to nobody."""
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.CreateChannel(app, name, kind, _credentials(file), description)))


@tree.command("list")
def list_channels(
    app: AppName, config: Config = None, data_dir: DataDirectory = None, database: Database = None
) -> None:
    """Print the channels of an app, and which of them fail and why, as a JSON array."""
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.ListChannels(app)))


@tree.command()
def delete(
    app: AppName,
    channel: ChannelName,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Delete a channel with its messages, also those that wait, and its bridges."""
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    print_json(_perform(settings, admin.DeleteChannel(app, channel)))


@tree.command()
def check(
    app: AppName,
    channel: ChannelName,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Ask the platform whether the credentials of a channel work; the exit status is 1 if they do not."""
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    found = _perform(settings, admin.CheckChannel(app, channel))
    print_json(found)
    if not found["ok"]:
        raise typer.Exit(1)


def notify(
    app: Annotated[str, typer.Option("--app", metavar="APP", help="Id or name of the app.")],
    channel: Annotated[str, typer.Option("--channel", metavar="NAME", help="Name or id of the channel.")],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What is said; `-` reads it from standard input.", show_default=False)
    ] = "",
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="TARGET",
            help="Whom, such as user:ID, group:ID or email:ADDRESS; again for more. A robot needs none.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="Title of the message.")] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="TEXT is Markdown.")] = False,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="File or picture to send.", show_default=False)
    ] = None,
    message: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="JSON file with a whole message.", show_default=False),
    ] = None,
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
) -> None:
    """Send a message by a channel, and print what became of it.

    It waits for up to 24 seconds. What waits longer is sent later, by the
    server. The exit status is 1 if a target was not reached for good.
    """
    settings = settings_for(config, data_dir, database)
    check_exists(settings.data_dir)
    command = admin.Notify(
        app,
        channel,
        to or [],
        sys.stdin.read().rstrip("\n") if text == "-" else text,
        title,
        markdown,
        None if message is None else _object(str(message)),
        None if file is None else _file(file),
    )
    became = _perform(settings, command)
    print_lines(_lines(became))
    if any(target["state"] == "failed" for each in became for target in each["targets"]):
        raise typer.Exit(1)


#: What commands a terminal, turns the writing around or begins another line: a platform's words are in what is printed.
_COMMANDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def _lines(became: list[dict[str, Any]]) -> list[str]:
    lines = []
    for each in became:
        for target in each["targets"]:
            why = " ".join(f"{text.rstrip('.')}." for text in (target["reason"], target["advice"]) if text)
            lines.append(f"{target['to']}: {target['state']}" + (f": {why}" if why else ""))
        lines += [f"note: {note['rule']}" + (f": {note['detail']}" if note["detail"] else "") for note in each["notes"]]
    return [_COMMANDS.sub("\N{REPLACEMENT CHARACTER}", line) for line in lines]


def _credentials(file: str | None) -> dict[str, Any]:
    if file is not None:
        return _object(file)
    text = os.environ.get(VARIABLE)
    return {} if text is None else _parsed(text, f"The variable {VARIABLE}")


def _object(path: str) -> dict[str, Any]:
    """The JSON object in a file; `-` is standard input. Raises StartupError, in which nothing of it stands."""
    if path == "-":
        return _parsed(sys.stdin.read(JSON_MAX + 1), "Standard input")
    return _parsed(_read(Path(path), JSON_MAX).decode("utf-8", "replace"), f"The file {path}")


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise StartupError(f"{where} is no JSON object.")
    return given


def _file(path: Path) -> dict[str, str]:
    return {"name": path.name, "content": base64.b64encode(_read(path, FILE_MAX)).decode()}


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise StartupError(f"The file {path} can't be read: {error.strerror}.") from None
    if len(content) > most:
        raise StartupError(f"The file {path} has more than {most:,} bytes.")
    return content


def _perform(settings: Settings, command: admin.Command) -> Any:
    # Imported when needed: the database's libraries would slow down `hongyan --help`.
    from hongyan.cli.perform import perform

    return perform(settings, command)
