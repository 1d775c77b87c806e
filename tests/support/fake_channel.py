"""A kind of channel whose platform is the test: it says what becomes of each try."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest

from hongyan.hub import connectors
from hongyan.hub.connector import (
    Event,
    Feature,
    Forged,
    Incoming,
    Note,
    Outcome,
    Problem,
    Receipt,
    Reception,
    Reply,
    Result,
    Sent,
    Status,
    Target,
)
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.content import Message
from hongyan.hub.surroundings import Surroundings

SECRET = "s3cr3t-of-the-platform"
#: What becomes of one target at one try.
Judge = Callable[[Target], Result]


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    region: str = "cn"
    base_url: str = "https://platform.example"


@dataclass
class Call:
    key: str
    message: Message
    to: tuple[Target, ...]
    thread: Receipt | None


def ok(target: Target) -> Result:
    return Result(target, Outcome.OK, {"id": f"m-{target}"})


@dataclass
class Platform:
    """`judges` are used one after another, the last for all that come; `go_on` holds tries up while it is not set."""

    features: frozenset[Feature] = frozenset(Feature) - {Feature.ONCE}
    judges: list[Judge] = field(default_factory=lambda: [ok])
    calls: list[Call] = field(default_factory=list)
    #: How many calls a message takes, and those that have arrived: of which message, to whom, and the number.
    parts: int = 1
    arrived: list[tuple[str, Target, int]] = field(default_factory=list)
    recalled: list[Mapping[str, str]] = field(default_factory=list)
    updated: list[tuple[Mapping[str, str], Message]] = field(default_factory=list)
    problem: Problem | None = None
    account: str = "Robot 7"
    reception: Reception | Exception = field(default_factory=lambda: Reception(Reply(200, b'{"fine":1}')))
    incoming: list[Incoming] = field(default_factory=list)
    media: dict[str, bytes] = field(default_factory=dict)
    opened: list[Credentials] = field(default_factory=list)
    closed: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    around: Surroundings | None = None
    #: What is heard by the connector's own connection, if it has one.
    stream: asyncio.Queue[Event] | None = None

    def __post_init__(self) -> None:
        self.go_on.set()

    def says(self, outcome: Outcome, **more: object) -> Judge:
        return lambda target: Result(target, outcome, **more)  # type: ignore[arg-type]

    def hears(self, *events: Event) -> None:
        self.reception = Reception(Reply(200, b"{}"), events)

    def check_problem(self) -> None:
        if self.problem is not None:
            raise self.problem


class Fake:
    def __init__(self, platform: Platform, credentials: Credentials, around: Surroundings) -> None:
        if credentials.region == "nowhere":
            raise ValueError("region is one of cn, us")
        self._platform = platform
        self.features = platform.features
        platform.opened.append(credentials)
        platform.around = around
        if platform.stream is not None:
            self.listen = self._listen

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        platform = self._platform
        platform.calls.append(Call(key, message, tuple(to), thread))
        await platform.go_on.wait()
        judge = platform.judges.pop(0) if len(platform.judges) > 1 else platform.judges[0]
        return Sent(tuple(self._in_parts(key, target, judge) for target in to), (Note("level_to_sign"),))

    def _in_parts(self, key: str, target: Target, judge: Judge) -> Result:
        platform = self._platform
        assert platform.around is not None
        progress = platform.around.progress
        for number in range(progress.count(key, target), platform.parts):
            result = judge(target)
            if result.outcome is not Outcome.OK:
                return result
            platform.arrived.append((key, target, number))
            progress.add(key, target, {"id": str(number)})
        ids = [part["id"] for part in progress.done(key, target)]
        return result if platform.parts == 1 else Result(target, Outcome.OK, {"id": ",".join(ids)})

    async def _listen(self, tell: Callable[[Event], Awaitable[None]]) -> None:
        assert self._platform.stream is not None
        while True:
            await tell(await self._platform.stream.get())

    async def recall(self, receipt: Receipt) -> None:
        self._platform.check_problem()
        self._platform.recalled.append(dict(receipt))

    async def update(self, receipt: Receipt, message: Message) -> Sequence[Note]:
        self._platform.check_problem()
        self._platform.updated.append((dict(receipt), message))
        return [Note("text_cut")]

    async def status(self, receipt: Receipt) -> Status:
        self._platform.check_problem()
        return Status(delivered=True, read=("u1",), unread=("u2",))

    async def look_up(self, target: Target) -> Target:
        return Target("user", target.id)

    async def check(self) -> str:
        self._platform.check_problem()
        return self._platform.account

    async def receive(self, request: Incoming) -> Reception:
        self._platform.incoming.append(request)
        if request.headers.get("x-signature") != "good":
            raise Forged("the signature is wrong")
        if request.body and not request.body.startswith(b"{"):
            raise Problem(Outcome.BAD_CONTENT, "this is none of the platform's bodies")
        if isinstance(self._platform.reception, Exception):
            raise self._platform.reception
        return self._platform.reception

    async def fetch(self, media: Mapping[str, str]) -> bytes:
        self._platform.check_problem()
        return self._platform.media[media["key"]]

    async def close(self) -> None:
        self._platform.closed += 1


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    """There are the kinds `fake`, an application with persons and groups, `fake_robot` with a group, and `hongyan`."""
    made = Platform()

    def open_(credentials: Credentials, around: Surroundings) -> Fake:
        return Fake(made, credentials, around)

    targets = frozenset({"user", "group", "all"})
    secret = frozenset({"key"})
    kinds = {
        "fake": ChannelKind("fake", "fake", Credentials, secret, targets, open_, frozenset(Feature)),  # type: ignore[arg-type]
        "fake_robot": ChannelKind("fake_robot", "fake", Credentials, secret, frozenset(), open_),
        "hongyan": connectors.kind("hongyan"),
    }
    monkeypatch.setattr(connectors, "kinds", lambda: kinds)
    monkeypatch.setattr(connectors, "kind", kinds.get)
    return made
