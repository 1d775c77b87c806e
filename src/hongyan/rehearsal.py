"""Rehearsals: what a message would look like on each kind of channel, without anything going out.

It is sent by the real connectors to the emulators of the sandbox, which serve on a socket of their own for so long.
Thereby a preview also says what a platform would refuse.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from hongyan.engine import file_types
from hongyan.errors import Refused
from hongyan.hub import connectors, degrade
from hongyan.hub.connector import HERE, Connector, Note, Outcome, Problem, Target
from hongyan.hub.content import Media, Message
from hongyan.hub.library import Part, Preview
from hongyan.hub.rates import Rates
from hongyan.hub.surroundings import Bytes, MediaSource, Surroundings
from hongyan.outbound import ANSWER_MAX, Answer, Forbidden, Outbound
from hongyan.sandbox import emulators
from hongyan.sandbox.board import Shown
from hongyan.sandbox.server import Sandbox

#: Where the sandbox of a rehearsal is, for whoever asks by its socket.
ORIGIN = "http://sandbox.invalid"
World = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the sandbox for a kind of channel, and somebody of each kind it sends to."""

    kind: str
    credentials: Mapping[str, Any] = field(repr=False)
    targets: Sequence[Target]


@dataclass(frozen=True, slots=True)
class Scene:
    """What became of a message for one target: `shown` is what the platform has taken."""

    kind: str
    target: Target
    outcome: Outcome
    reason: str
    shown: Sequence[Shown]
    notes: Sequence[Note]


def accounts(worlds: Mapping[str, World], origin: str) -> list[Account]:
    """One for each kind of channel whose platform is in the sandbox."""
    makers = {"dingtalk": _dingtalk, "wecom": _wecom, "feishu": _feishu, "slack": _slack}
    return [account for platform, world in worlds.items() for account in makers[platform](world, origin)]


def _dingtalk(world: World, origin: str) -> Iterable[Account]:
    robot = next(each for each in world["robots"] if each["secret"])
    signed = {"base_url": origin, "access_token": robot["access_token"], "secret": robot["secret"]}
    yield Account("dingtalk_robot", signed, [HERE])
    names = ("app_key", "app_secret", "robot_code", "agent_id", "callback_token", "callback_aes_key")
    cards = ("card_template_id", "card_route_key", "card_secret")
    app = {"base_url": origin, **{name: world["app"][name] for name in names + cards}}
    yield Account("dingtalk", app, [_group(world), _user(world), _department(world)])


def _wecom(world: World, origin: str) -> Iterable[Account]:
    yield Account("wecom_robot", {"base_url": origin, "key": world["robots"][0]["key"]}, [HERE])
    agent = world["agents"][0]
    app = {name: agent[name] for name in ("secret", "agent_id", "token", "aes_key")}
    yield Account(
        "wecom",
        {"base_url": origin, "corp_id": world["corp_id"], **app},
        [_group(world), _user(world), _department(world)],
    )


def _feishu(world: World, origin: str) -> Iterable[Account]:
    robot = next(each for each in world["robots"] if each["secret"])
    signed = {"base_url": origin, "token": robot["token"], "secret": robot["secret"]}
    yield Account("feishu_robot", signed, [HERE])
    names = ("app_id", "app_secret", "encrypt_key", "verification_token")
    app = {"base_url": origin, **{name: world["app"][name] for name in names}}
    yield Account("feishu", app, [_group(world), _user(world), _department(world)])


def _slack(world: World, origin: str) -> Iterable[Account]:
    given = world["credentials"]
    yield Account("slack_webhook", {"base_url": origin, **given["slack_webhook"]}, [HERE])
    group = next(each["id"] for each in world["groups"] if each["with_bot"] and not each["archived"])
    yield Account("slack", {**given["slack"], "base_url": origin}, [Target("group", group), _user(world)])


def _group(world: World) -> Target:
    return Target("group", str(world["groups"][0]["id"]))


def _user(world: World) -> Target:
    return Target("user", str(world.get("people", world.get("users"))[0]["id"]))


def _department(world: World) -> Target:
    return Target("department", str(world["departments"][-1]["id"]))


class Stage:
    """Channels of all accounts, for some messages one after another."""

    def __init__(self, sandbox: Sandbox, around: Surroundings) -> None:
        self.sandbox = sandbox
        worlds = {name: emulator.world() for name, emulator in sandbox.emulators.items()}
        self.accounts = accounts(worlds, sandbox.origin)
        self._around = around
        self._open: dict[str, Connector] = {}
        self._count = 0

    def connector(self, account: Account) -> Connector:
        kind = connectors.kind(account.kind)
        assert kind is not None
        if account.kind not in self._open:
            credentials = msgspec.convert(dict(account.credentials), kind.credentials)
            self._open[account.kind] = kind.open(credentials, self._around)
        return self._open[account.kind]

    async def show(self, account: Account, target: Target, message: Message) -> Scene:
        """Send it, and see what arrives."""
        before = {shown.id for shown in self.sandbox.board.all()}
        self._count += 1
        await degrade.prepare(message.content)
        try:
            sent = await self.connector(account).send(message, [target], key=f"rehearsal{self._count}")
            outcome, reason, notes = sent.results[0].outcome, sent.results[0].reason, sent.notes
        except Problem as problem:
            outcome, reason, notes = problem.outcome, problem.reason, ()
        arrived = [shown for shown in self.sandbox.board.all() if shown.id not in before]
        return Scene(account.kind, target, outcome, reason, arrived, notes)

    async def close(self) -> None:
        for each in self._open.values():
            await each.close()


@asynccontextmanager
async def stage(
    media: MediaSource, act_url: Callable[[str, str], str | None] = lambda key, id: None
) -> AsyncIterator[Stage]:
    """A sandbox that nobody else sees, for as long as this lasts."""
    with tempfile.TemporaryDirectory(prefix="hongyan-") as folder:
        sandbox = Sandbox(await asyncio.to_thread(emulators))  # the first time, much is imported
        path = Path(folder) / "sandbox"
        await sandbox.start(path=str(path), origin=ORIGIN)
        inside = _Inside(path)
        around = Surroundings(inside, media, Rates(time.monotonic), _wall, time.monotonic, act_url)
        made = Stage(sandbox, around)
        try:
            yield made
        finally:
            await made.close()
            await inside.close()
            await sandbox.stop()


def _wall() -> int:
    return time.time_ns() // 1_000_000


async def preview(message: Callable[[str], Message], link: Callable[[Media], Awaitable[str]]) -> list[Preview]:
    """What becomes of a message on each kind of channel, asked for by its platform. It is the port `Rehearse`."""
    shown = []
    await asyncio.to_thread(connectors.kinds)
    async with stage(Props(link)) as made:
        for account in made.accounts:
            kind = connectors.kind(account.kind)
            assert kind is not None
            try:
                asked = await asyncio.to_thread(message, kind.platform)
            except Refused as refused:
                no = partial(Preview, account.kind, outcome=Outcome.BAD_CONTENT, reason=refused.detail)
                shown += [no(each.kind, notes=(), messages=[]) for each in account.targets]
            else:
                shown += [_preview(await made.show(account, each, asked)) for each in account.targets]
    return shown


def _preview(scene: Scene) -> Preview:
    parts = [Part(each.kind, each.payload) for each in scene.shown]
    return Preview(scene.kind, scene.target.kind, scene.outcome, scene.reason, tuple(scene.notes), parts)


class _Inside(Outbound):
    """Calls nobody but the sandbox."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._inside = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), auto_decompress=False)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout: float,
        answer_max: int = ANSWER_MAX,
        public_only: bool = False,
    ) -> Answer:
        if not url.startswith(f"{ORIGIN}/"):
            raise Forbidden("nothing goes out")
        limit = aiohttp.ClientTimeout(total=timeout)
        async with self._inside.request(
            method, URL(url, encoded=True), headers=headers, data=body or None, timeout=limit
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def close(self) -> None:
        await self._inside.close()
        await super().close()


class Props:
    """Stands for files: nothing is fetched, and the bytes are the least of their type, or of their name's."""

    def __init__(self, link: Callable[[Media], Awaitable[str]] | None = None) -> None:
        self._link = link

    async def read(self, media: Media, most: int) -> Bytes:
        name = media.name or urlsplit(media.url).path.rpartition("/")[2]
        type_ = media.type or file_types.of_name(name)
        begin = next((start for types, start in _BEGINNINGS if type_.startswith(types)), b"")
        return Bytes(name or "file", type_, (begin + b"rehearsal")[:most])

    async def link(self, media: Media) -> str:
        if self._link is not None:
            return await self._link(media)
        return media.url or f"https://hongyan.example/files/{media.file}"


#: By what files of a type begin.
_BEGINNINGS = (
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff\xe0"),
    ("image/gif", b"GIF89a"),
    ("audio/amr", b"#!AMR\n"),
    ("audio/ogg", b"OggS"),
    ("audio/opus", b"OggS"),
    ("video/mp4", b"\0\0\0\x18ftypmp42"),
    ("application/pdf", b"%PDF-1.4\n"),
)
