"""`hongyan sandbox`: emulators of the outside platforms, and a page that shows what arrives there."""

import asyncio
import json
import shlex
import signal
import socket
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hongyan import addresses
from hongyan.errors import StartupError

if TYPE_CHECKING:
    from hongyan.rehearsal import Account
    from hongyan.sandbox.server import Sandbox

HOST, PORT = "127.0.0.1", 8025


def sandbox(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen at.")] = HOST,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65_535, help="Port; 0: any that is free.")
    ] = PORT,
    url: Annotated[
        str,
        typer.Option("--url", metavar="URL", help="How others reach it, if not by that address.", show_default=False),
    ] = "",
) -> None:
    """Try channels without an account anywhere: DingTalk, WeCom, Feishu and Slack in miniature.

    A page shows each message as its platform would. Nothing is kept, and nothing
    goes out. Whoever reaches the address may see and do everything.
    """
    if url and not url.startswith(("http://", "https://")):
        raise StartupError("--url begins with http:// or https://.")
    asyncio.run(_run(host, port, url))


async def _run(host: str, port: int, url: str) -> None:
    # Imported when needed: they would slow down `hongyan --help`.
    from hongyan.rehearsal import accounts
    from hongyan.sandbox import emulators
    from hongyan.sandbox.server import Sandbox

    made = Sandbox(emulators())
    try:
        await made.start(host, port, origin=url)
    except (OSError, UnicodeError) as error:
        raise StartupError(f"The sandbox can't listen at {host}, port {port}: {_why(error)}.") from None
    stopped = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stopped.set)
    try:
        worlds = {name: emulator.world() for name, emulator in made.emulators.items()}
        _welcome(made, accounts(worlds, made.origin), host)
        await stopped.wait()
    finally:
        await made.stop()


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "there is no such address"
    return (getattr(error, "strerror", None) or str(error)).rpartition(": ")[2].rstrip(".").lower()


def _welcome(made: "Sandbox", found: "list[Account]", host: str) -> None:
    """Where it is, and how to send something to it. Long lines stay whole, so that they can be copied."""
    console = Console(soft_wrap=True, highlight=False, emoji=False)
    console.print(f"The sandbox runs. See what arrives at [bold]{made.origin}/[/]\n")
    address = addresses.parse(host)
    if address is None or not address.is_loopback:
        console.print(f"[bold red]Whoever reaches {host} may see and do everything here: there are no passwords.[/]\n")
    console.print("[dim]# To let a server on this machine call it, and find the name of an app:[/]")
    console.print("hongyan serve --allowed-private 127.0.0.0/8\nhongyan app list\n")
    for account in found:
        credentials = shlex.quote(json.dumps(dict(account.credentials), ensure_ascii=False))
        target = account.targets[0]
        to = "" if target.kind == "here" else f" --to {shlex.quote(str(target))}"
        console.print(f"[dim]# {account.kind}[/]")
        console.print(
            f"echo {credentials} | hongyan channel create APP {account.kind} {account.kind} --file -", markup=False
        )
        console.print(f"hongyan notify --app APP --channel {account.kind}{to} 'Hello from Hongyan'\n", markup=False)
    console.print("The page has more accounts, people and groups, and sends what they say. Ctrl+C ends it.")
