"""What a starting server tells the person who started it."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

import hongyan
from hongyan.engine.values import App


def print_welcome(url: str, home: App, data_dir: Path) -> None:
    """Where to go, for a person at a terminal."""
    console = Console(highlight=False)
    console.print(f"[bold]Hongyan 鸿雁 {hongyan.__version__}[/bold] is running; Ctrl+C stops it.")
    for label, value in (
        ("Open", url),
        ("App", f"{home.name}, id {home.id}"),
        ("Data", str(data_dir.resolve())),
    ):
        console.print(Text(f"  {label:<6}"), Text(value, style="cyan"), sep="", soft_wrap=True)


def print_secrets(app: App) -> None:
    """The keys of the app that the first start made; the log never has them, and they are printed once."""
    print(f"The first start made the app {app.name!r}. Its keys are printed this once:")
    for label, value in (
        ("app id", app.id),
        ("app key", app.app_key),
        ("master key", app.master_key),
        ("hook key", app.hook_key),
    ):
        print(f"  {label:<11} {value}")
    print("Later, `hongyan app list` prints them for whoever owns the data directory.", flush=True)
