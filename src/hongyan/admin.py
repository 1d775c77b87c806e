"""The operator's commands: one JSON line each way on a Unix socket, or by themselves when no server runs.

A running server holds the apps in memory, so a command that changes them goes through it. The socket is open
only to the user who runs the server.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import structlog
from msgspec import Meta, Struct

from hongyan.engine.imported import ROW_TYPES, ImportedRow
from hongyan.engine.values import App, iso_time
from hongyan.errors import Refused

if TYPE_CHECKING:  # who only asks the server loads none of what it has
    from hongyan.engine.apps import Apps
    from hongyan.engine.imports import Imports
    from hongyan.engine.push_services import PushServices
    from hongyan.engine.sweeps import Sweeps
    from hongyan.engine.words import WordFilter
    from hongyan.hooks import Desk
    from hongyan.hub.desk import Desk as ChannelDesk

log = structlog.get_logger(__name__)

MAX_LINE = 1 << 23  # the longest word list has 4.4 MB
ADDRESS_MAX = 100  # Linux takes 107 bytes, others 103
CLIENT_TIMEOUT = 30.0
GOAWAY_MAX = 86_400.0


class _Command(Struct, frozen=True, tag_field="command", forbid_unknown_fields=True):
    pass


class CreateApp(_Command, frozen=True, tag="app.create"):
    """Make an app; keys that are not given are generated. Answers `describe(app)`."""

    name: str
    id: str | None = None
    key: str | None = None
    master_key: str | None = None
    hook_key: str | None = None
    settings: dict[str, str] = {}


class ListApps(_Command, frozen=True, tag="app.list"):
    """Answers a list of `describe(app)`, oldest first."""


class SetApp(_Command, frozen=True, tag="app.set"):
    """Change an app, named by its id, or by its name if only one has it. Answers `describe(app)`."""

    app: str
    settings: dict[str, str]


class FindApp(_Command, frozen=True, tag="app.find"):
    """Answers the id of an app, named as for `SetApp`."""

    app: str


class SetWords(_Command, frozen=True, tag="app.words.set"):
    """Make this the word list of an app, named as for `SetApp`; none: it has no list. Answers how many there are."""

    app: str
    words: list[str]


class ListWords(_Command, frozen=True, tag="app.words"):
    """Answers the word list of an app."""

    app: str


class SetPush(_Command, frozen=True, tag="app.push.set"):
    """Push by this service with these credentials, for an app named as for `SetApp`. Answers as `ListPush`."""

    app: str
    service: str
    credentials: dict[str, Any]


class RemovePush(_Command, frozen=True, tag="app.push.remove"):
    """Push by this service no more. Answers as `ListPush`."""

    app: str
    service: str


class ListPush(_Command, frozen=True, tag="app.push"):
    """Answers a list of `{service, updated_at}`, without the credentials."""

    app: str


class GoAway(_Command, frozen=True, tag="goaway"):
    """Ask all connected clients to look up the router again and reconnect, spread over so many seconds.

    Answers how many are asked.
    """

    over: Annotated[float, Meta(ge=0, le=GOAWAY_MAX)]


class PreviewSweep(_Command, frozen=True, tag="sweep.preview"):
    """What the sweep would delete now, of each app that does not keep all for ever.

    Answers a list of `{app, name, messages, conversations, asked}`; `asked` is null unless the sweep waits for a yes.
    """


class Sweep(_Command, frozen=True, tag="sweep"):
    """Say yes to the questions of apps (id: `asked`) and have everything swept.

    Answers `{running: true}`, or without a server, when it is done, how many `{messages, conversations}` are gone.
    """

    agreed: dict[str, str]


class Import(_Command, frozen=True, tag="import"):
    """Bring rows of another server into an app, named by its id; `dry`: only say what would become of them.

    `type` is the name of theirs in `engine.imported`. Answers an `Imported`.
    """

    app: str
    type: str
    rows: list[Any]
    dry: bool = False

    def typed(self) -> list[ImportedRow]:
        """The rows as what they are. Raises ValueError with a sentence."""
        kind = ROW_TYPES.get(self.type)
        if kind is None:
            raise ValueError(f"There are no rows of the type {self.type!r}.")
        try:
            return [msgspec.convert(row, kind) for row in self.rows]
        except msgspec.ValidationError as error:
            raise ValueError(f"A row is not of the type {self.type}: {error}.") from None


class CheckHooks(_Command, frozen=True, tag="hooks.check"):
    """Ask the engine of an app for its functions. Answers `{url, hooks, other_functions}`."""

    app: str


class ListHooks(_Command, frozen=True, tag="hooks.dead"):
    """What the engine of an app could not be told: a list of `{id, hook, happened_at, attempts, error}`."""

    app: str


class ReplayHooks(_Command, frozen=True, tag="hooks.replay"):
    """Have these told again, by their ids, or all. Answers `{replayed}`."""

    app: str
    ids: list[str] = []


class CreateChannel(_Command, frozen=True, tag="channel.create"):
    """Make a channel of an app, named as for `SetApp`. Answers it, without what is secret."""

    app: str
    name: str
    kind: str
    credentials: dict[str, Any] = {}
    description: str = ""


class ListChannels(_Command, frozen=True, tag="channel.list"):
    """Answers the channels of an app."""

    app: str


class DeleteChannel(_Command, frozen=True, tag="channel.delete"):
    """Delete a channel, named by its name or id, with its messages. Answers `{deleted}`."""

    app: str
    channel: str


class CheckChannel(_Command, frozen=True, tag="channel.check"):
    """Whether the credentials of a channel work. Answers `{ok, account}` or `{ok, outcome, reason, advice}`."""

    app: str
    channel: str


class Notify(_Command, frozen=True, tag="notify"):
    """Send by a channel, and wait for a while. `file` is `{name, content}`, in base64.

    Answers a list of `{id, targets, notes}`: one for each message.
    """

    app: str
    channel: str
    to: list[str]
    text: str = ""
    title: str = ""
    markdown: bool = False
    message: dict[str, Any] | None = None
    file: dict[str, str] | None = None


class Status(_Command, frozen=True, tag="status"):
    """What the running server says about itself."""


Command = (
    CreateApp
    | ListApps
    | SetApp
    | FindApp
    | SetWords
    | ListWords
    | SetPush
    | RemovePush
    | ListPush
    | GoAway
    | PreviewSweep
    | Sweep
    | Import
    | CheckHooks
    | ListHooks
    | ReplayHooks
    | CreateChannel
    | ListChannels
    | DeleteChannel
    | CheckChannel
    | Notify
    | Status
)
#: Those that need the hub, and those of them that may take long and keep no other waiting.
OfChannels = CreateChannel | ListChannels | DeleteChannel | CheckChannel | Notify
Patient = CheckChannel | Notify


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Who deletes what is kept no longer: by itself in the background if a server is `running`."""

    sweeps: "Sweeps"
    running: bool

    async def preview(self) -> list[dict[str, Any]]:
        return [
            {"app": waiting.app.id, "name": waiting.app.name, **waiting.swept._asdict(), "asked": waiting.asked}
            for waiting in await self.sweeps.preview()
        ]

    async def sweep(self, agreed: Mapping[str, str]) -> dict[str, Any]:
        await self.sweeps.agree(agreed)
        if not self.running:
            return (await self.sweeps.sweep())._asdict()
        self.sweeps.wake()
        return {"running": True}


class Failed(Exception):
    """A command was refused; the text is one sentence."""


def describe(app: App) -> dict[str, Any]:
    """An app as the command line prints it, with its secrets."""
    return {
        "id": app.id,
        "name": app.name,
        "key": app.app_key,
        "master_key": app.master_key,
        "hook_key": app.hook_key,
        "settings": asdict(app.settings),
    }


async def perform(
    command: Command,
    apps: "Apps",
    words: "WordFilter",
    status: Mapping[str, Any],
    sweeper: Sweeper,
    imports: "Imports",
    push: "PushServices",
    hooks: "Desk",
    channels: "ChannelDesk | None",
    go_away: Callable[[float], int] = lambda over: 0,
) -> Any:
    """Carry a command out. Raises Failed. Without a server there is nobody to send away.

    `channels` is needed for those of channels alone.
    """
    try:
        if isinstance(command, OfChannels):
            assert channels is not None
            return await _perform_of_channels(command, _app(apps, command.app), channels)
        match command:
            case CreateApp():
                return describe(
                    await apps.create(
                        command.name,
                        command.id,
                        command.key,
                        command.master_key,
                        command.settings,
                        command.hook_key,
                    )
                )
            case ListApps():
                return [describe(app) for app in apps.list()]
            case SetApp():
                return describe(await apps.change(_app_id(apps, command.app), command.settings))
            case FindApp():
                return _app_id(apps, command.app)
            case SetWords():
                return {"words": await words.replace(_app(apps, command.app), command.words)}
            case ListWords():
                return await words.words(_app(apps, command.app))
            case SetPush():
                await push.set(_app(apps, command.app), command.service, command.credentials)
                return _services(push, _app(apps, command.app))
            case RemovePush():
                await push.remove(_app(apps, command.app), command.service)
                return _services(push, _app(apps, command.app))
            case ListPush():
                return _services(push, _app(apps, command.app))
            case GoAway():
                return {"asked": go_away(command.over), "over": command.over}
            case PreviewSweep():
                return await sweeper.preview()
            case Sweep():
                return await sweeper.sweep(command.agreed)
            case Import():
                return await imports.write(_app(apps, command.app), command.typed(), dry=command.dry)
            case CheckHooks():
                return await hooks.check(_app(apps, command.app))
            case ListHooks():
                return await hooks.dead(_app(apps, command.app))
            case ReplayHooks():
                return {"replayed": await hooks.replay(_app(apps, command.app), command.ids)}
            case Status():
                return dict(status)
    except (ValueError, Refused) as error:
        raise Failed(str(error)) from error


async def _perform_of_channels(command: OfChannels, app: App, channels: "ChannelDesk") -> Any:
    match command:
        case CreateChannel():
            return await channels.create(app, command.name, command.kind, command.credentials, command.description)
        case ListChannels():
            return await channels.of_app(app)
        case DeleteChannel():
            return await channels.delete(app, command.channel)
        case CheckChannel():
            return await channels.check(app, command.channel)
        case Notify():
            return await channels.notify(
                app,
                command.channel,
                command.to,
                command.text,
                command.title,
                command.markdown,
                command.message,
                command.file,
            )


def _services(push: "PushServices", app: App) -> list[dict[str, Any]]:
    return [{"service": kept.service, "updated_at": iso_time(kept.updated_at)} for kept in push.list(app)]


def _app(apps: "Apps", name: str) -> App:
    app = apps.get(_app_id(apps, name))
    assert app is not None
    return app


def _app_id(apps: "Apps", name: str) -> str:
    if apps.get(name) is not None:
        return name
    named: list[str] = [app.id for app in apps.list() if app.name == name]
    if len(named) == 1:
        return named[0]
    if not named:
        raise ValueError(f"No app has the id or name {name!r}.")
    ids = f"{', '.join(named[:-1])} or {named[-1]}"
    raise ValueError(f"{len(named)} apps have the name {name!r}: use the id, {ids}.")


class AdminServer:
    """Takes commands on a socket file until it is stopped."""

    def __init__(self, path: Path, answer: Callable[[Command], Awaitable[Any]]) -> None:
        self._path = path
        self._answer = answer
        self._writers: set[asyncio.StreamWriter] = set()
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        # This process holds the data directory: a socket file in it is left from a server that was killed.
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        with short(self._path) as address:
            listener.bind(address)
        self._path.chmod(0o600)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE)

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._reply(line)) + b"\n")
                await writer.drain()
        except (OSError, ValueError):  # the client went away, or sent a line without end
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            command = msgspec.json.decode(line, type=Command)
            if isinstance(command, Patient):
                return {"result": await self._answer(command)}
            async with self._one_at_a_time:
                return {"result": await self._answer(command)}
        except (Failed, msgspec.DecodeError) as error:
            return {"error": str(error)}
        except Exception:
            log.exception("an operator's command failed")
            return {"error": "The server failed at this; its log says why."}


def call(path: Path, command: Command) -> Any:
    """Have the server behind the socket file carry a command out.

    Raises Failed with the server's sentence, and OSError if no server listens there.
    """
    with socket.socket(socket.AF_UNIX) as connection, short(path) as address:
        connection.settimeout(None if isinstance(command, PreviewSweep) else CLIENT_TIMEOUT)  # it counts all there is
        connection.connect(address)
        connection.sendall(msgspec.json.encode(command) + b"\n")
        with connection.makefile("rb") as stream:
            line = stream.readline()
    if not line:
        raise ConnectionResetError("The server ended before it answered.")
    reply = msgspec.json.decode(line)
    if "error" in reply:
        raise Failed(reply["error"])
    return reply["result"]


@contextmanager
def short(path: Path) -> Iterator[str]:
    """A name for a path that fits a socket address, however long the path is."""
    if len(os.fsencode(path)) <= ADDRESS_MAX:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
