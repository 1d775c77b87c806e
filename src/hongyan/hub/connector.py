"""The port of connectors: one kind of address on one platform, in both directions.

A connector takes one try at a time and says what became of it; who waits, tries again and remembers is `hub.channels`.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct

from hongyan.hub.content import Message


class Outcome(StrEnum):
    """What became of one try (connectors reference 1.2)."""

    OK = "ok"
    THROTTLED = "throttled"
    """The platform, or our own pacing of it, takes no more for now."""
    TRANSIENT = "transient"
    """Nothing was done, and it may work next time."""
    UNKNOWN = "unknown"
    """Nobody knows whether it was done: no answer, or none that can be read. Tried again a few times at most."""
    BAD_CREDENTIAL = "bad_credential"
    """The channel does not work until somebody mends it."""
    BAD_RECIPIENT = "bad_recipient"
    BAD_CONTENT = "bad_content"


#: What is tried again.
AGAIN = frozenset({Outcome.THROTTLED, Outcome.TRANSIENT, Outcome.UNKNOWN})


class Problem(Exception):
    """A try failed. `code` and `reason` are the platform's words without secrets; `advice` is ours, for the operator.

    `after`: seconds until it is worth another try, if that is known. `everybody`: it concerns the whole channel, not
    one recipient. `once` is False if the platform would take this message twice, although it takes others once
    (`Feature.ONCE`).
    """

    def __init__(
        self,
        outcome: Outcome,
        reason: str,
        *,
        code: str = "",
        advice: str = "",
        after: float | None = None,
        everybody: bool = False,
        once: bool = True,
    ) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason
        self.code = code
        self.advice = advice
        self.after = after
        self.everybody = everybody
        self.once = once


TargetKind = Literal["user", "group", "department", "tag", "email", "mobile", "all"]


class Target(NamedTuple):
    """Whom a message goes to, as the platform knows them. A robot has none but its own group: `HERE`."""

    kind: TargetKind | Literal["here"]
    id: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


HERE = Target("here")

#: What a platform needs to find a message again: ids, as it spells them.
Receipt = Mapping[str, str]


class Note(Struct, frozen=True):
    """What was rewritten, by which rule of `hub.degrade`."""

    rule: str
    detail: str = ""


class Result(Struct, frozen=True, omit_defaults=True):
    """What became of a message for one target. `receipt` is there if the platform has given an id."""

    target: Target
    outcome: Outcome
    receipt: dict[str, str] | None = None
    reason: str = ""
    code: str = ""
    advice: str = ""
    after: float | None = None
    everybody: bool = False
    once: bool = True


class Sent(Struct, frozen=True):
    """One result for each target, in their order; and what was rewritten."""

    results: tuple[Result, ...]
    notes: tuple[Note, ...] = ()


class Status(Struct, frozen=True, omit_defaults=True):
    """What a platform tells of a message it has taken: users by their ids. None where it does not tell.

    `failed` are those who did not get it, and why.
    """

    delivered: bool | None = None
    read: tuple[str, ...] | None = None
    unread: tuple[str, ...] | None = None
    read_count: int | None = None
    failed: dict[str, str] = {}


class Feature(StrEnum):
    """What a connector can do besides sending."""

    RECALL = "recall"
    UPDATE = "update"
    STATUS = "status"
    RECEIVE = "receive"
    LOOK_UP = "look_up"
    ONCE = "once"
    """The platform takes a message once that comes again with the same `key`."""


class Incoming(NamedTuple):
    """A request of the platform. Names of headers are in lower case; `query` as it came, decoded."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """What the platform is answered, at once."""

    status: int = 200
    body: bytes = b""
    type: str = "application/json"
    headers: Mapping[str, str] = {}


class Chat(Struct, frozen=True, omit_defaults=True):
    """Where it was said. `target` answers there."""

    target: Target
    title: str = ""
    direct: bool = False


class Person(Struct, frozen=True, omit_defaults=True):
    """`id` is what a `user` target takes."""

    id: str
    name: str = ""


class Said(Struct, frozen=True, tag="said", omit_defaults=True):
    """Somebody has written. `receipt` finds the message again; `at` in ms; `mentioned`: the connector's own account.

    `media`: what to fetch with `Connector.fetch`, if bytes belong to it. `automatic`: a program has written.
    """

    id: str
    chat: Chat
    sender: Person
    message: Message
    at: int
    receipt: dict[str, str] = {}
    mentioned: bool = False
    media: tuple[dict[str, str], ...] = ()
    automatic: bool = False


class Acted(Struct, frozen=True, tag="acted", omit_defaults=True):
    """Somebody has pressed a button, or sent a form: `action` is its id, `inputs` by their ids.

    `receipt` is that of the card, also good for `update`.
    """

    id: str
    sender: Person
    action: str
    at: int
    value: str = ""
    inputs: dict[str, str | list[str]] = {}
    chat: Chat | None = None
    receipt: dict[str, str] = {}


class Happened(Struct, frozen=True, tag="happened", omit_defaults=True):
    """Anything else, such as a message read or recalled, or the account added to a group.

    `name` is the platform's word for it, `data` what came with it. `recalled` is the receipt of a message that was
    taken back, or as much of it as is told, if that is what happened. `edited` is what a message says now that was
    changed, with the id and receipt of the message. `alarm` is why the channel will stop to work, and what to do.
    """

    id: str
    name: str
    at: int
    data: dict[str, Any] = {}
    recalled: dict[str, str] = {}
    edited: Said | None = None
    alarm: tuple[str, str] | None = None


Event = Said | Acted | Happened


class Reception(NamedTuple):
    """What is answered at once, and what has happened. The `id` of an event is the same if it comes again."""

    reply: Reply
    events: tuple[Event, ...] = ()


#: What reading raises that finds another shape than a platform's requests have.
MISSHAPEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Forged(Exception):
    """A request is not from the platform, or too old. The text has no secret."""


class Connector(Protocol):
    """`close` gives up what it holds. Everything that goes out raises nothing but Problem."""

    @property
    def features(self) -> frozenset[Feature]: ...

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        """One try. `key` is the same at each try, for platforms that then take a message once.

        A problem of one target is in its result; one that concerns all may be raised.
        """

    async def recall(self, receipt: Receipt) -> None: ...

    async def update(self, receipt: Receipt, message: Message) -> Sequence[Note]: ...

    async def status(self, receipt: Receipt) -> Status: ...

    async def look_up(self, target: Target) -> Target:
        """The user with a mail address or mobile number."""

    async def check(self) -> str:
        """Whether the credentials are good, without sending anything; what account it is, in a few words."""

    async def receive(self, request: Incoming) -> Reception:
        """Raises Forged, or Problem with BAD_CONTENT for a body that is none of this platform's."""

    async def fetch(self, media: Mapping[str, str]) -> bytes:
        """The bytes of what was received."""

    async def close(self) -> None: ...


class Listening(Protocol):
    """A connector that hears by a connection of its own, where the platform can reach no address of ours."""

    async def listen(self, tell: Callable[[Event], Awaitable[None]]) -> None:
        """Until it is cancelled. `tell` is awaited before the platform is told that it was heard. Raises Problem if
        it is of no use to try again.
        """


class Unable:
    """For connectors that lack a feature: each refuses with one sentence."""

    features: frozenset[Feature] = frozenset()

    async def recall(self, receipt: Receipt) -> None:
        raise _cannot("recall messages")

    async def update(self, receipt: Receipt, message: Message) -> Sequence[Note]:
        raise _cannot("change messages")

    async def status(self, receipt: Receipt) -> Status:
        raise _cannot("tell whether messages were read")

    async def look_up(self, target: Target) -> Target:
        raise _cannot("look up people")

    async def receive(self, request: Incoming) -> Reception:
        raise _cannot("receive anything")

    async def fetch(self, media: Mapping[str, str]) -> bytes:
        raise _cannot("receive anything")

    async def close(self) -> None:
        return


def _cannot(what: str) -> Problem:
    return Problem(Outcome.BAD_CONTENT, f"This kind of channel cannot {what}.")


@contextmanager
def nothing_said() -> Iterator[None]:
    """Around calls that tell nobody anything: with no answer, or none that can be read, it may be tried again."""
    try:
        yield
    except Problem as problem:
        if problem.outcome is Outcome.UNKNOWN:
            problem.outcome = Outcome.TRANSIENT
        raise


@contextmanager
def said_twice() -> Iterator[None]:
    """Around a call that says a message once more each time it is made."""
    try:
        yield
    except Problem as problem:
        problem.once = False
        raise


def failed(target: Target, problem: Problem) -> Result:
    """The result of a target that had this problem."""
    return Result(
        target,
        problem.outcome,
        reason=problem.reason,
        code=problem.code,
        advice=problem.advice,
        after=problem.after,
        everybody=problem.everybody,
        once=problem.once,
    )
