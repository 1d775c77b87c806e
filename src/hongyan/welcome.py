"""What a starting server tells the person who started it."""

import shlex
import sys

from rich.console import Console
from rich.text import Text

import hongyan
from hongyan.config import FIELDS, Settings
from hongyan.engine.values import App


def print_welcome(url: str, home: App, settings: Settings) -> None:
    """Where to go, for a person at a terminal."""
    console = Console(highlight=False)
    console.print(f"[bold]Hongyan 鸿雁 {hongyan.__version__}[/bold] is running; Ctrl+C stops it.")
    for label, value in (
        ("Open", url),
        ("App", f"{home.name}, id {home.id}"),
        ("Data", str(settings.data_dir.resolve())),
    ):
        console.print(Text(f"  {label:<6}"), Text(value, style="cyan"), sep="", soft_wrap=True)


def print_secrets(app: App, settings: Settings) -> None:
    """The keys of the app that the first start made, for a person at a terminal; the log never has them."""
    print(f"The first start made the app {app.name!r}. Its keys:")
    for label, value in (
        ("app id", app.id),
        ("app key", app.app_key),
        ("master key", app.master_key),
        ("hook key", app.hook_key),
    ):
        print(f"  {label:<11} {value}")
    default = settings.data_dir == FIELDS["data_dir"].default
    print(f"This prints them again: {list_command(settings, with_data_dir=not default)}", flush=True)


def list_command(settings: Settings, *, with_data_dir: bool = True) -> str:
    """The command that prints all apps with their keys, for a shell, with the program as it was called."""
    called = sys.argv[0]
    words = [sys.executable, "-m", "hongyan"] if called.endswith(".py") else [called]
    words += ["app", "list"]
    if with_data_dir:
        words += ["--data-dir", str(settings.data_dir.resolve())]
    if settings.database is not None:
        words += ["--database", f"sqlite:///{settings.database_path.resolve()}"]
    return shlex.join(words)
