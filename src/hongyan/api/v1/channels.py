"""Channels of an app to other platforms, the messages that go by them, and the door by which platforms answer."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from litestar import MediaType, Response, delete, get, patch, post, put, route
from litestar.params import FromPath
from msgspec import UNSET, Struct, UnsetType

from hongyan.api.errors import HttpError
from hongyan.api.leancloud.credentials import check_ready
from hongyan.api.site import CurrentSite, Site
from hongyan.api.v1 import calls
from hongyan.api.v1.calls import (
    BODY,
    PAGES,
    QUERY,
    AnyRequest,
    Page,
    app_of,
    body_of,
    cursor_of,
    limit_of,
    part_of,
    time_of,
)
from hongyan.engine.values import App, iso_time
from hongyan.errors import INVALID_VALUE, Refused
from hongyan.hub import content, inbound
from hongyan.hub.afterwards import Done
from hongyan.hub.channel_credentials import shown
from hongyan.hub.connector import Feature, Forged, Incoming, Problem
from hongyan.hub.content import Message, Text
from hongyan.hub.hub import Hub
from hongyan.hub.records import Channel, Delivery, Posted, State

ALL = "/channels"
ONE = "/channels/{channel:str}"
MESSAGES = f"{ONE}/messages"
MESSAGE = f"{MESSAGES}/{{message:str}}"
DOOR = "/channels/inbound/{token:str}"
#: How long a call waits at most for what becomes of a message, and how long a test does (s).
WAIT_MAX, TEST_WAIT = 30, 20
#: Bytes of a call with a message: that of the message in JSON as callers write it.
BODY_MAX = 4 * content.BYTES_MAX
#: Targets from which on an answer is made in a thread: fifty messages to a thousand each take a second.
LARGE = 50
TEST_TEXT = "This is a test of Hongyan. 这是一条鸿雁测试消息。"
Id = FromPath[str]
T = TypeVar("T")
#: Credentials of a kind by the names of their fields.
Credentials = dict[str, Any]


class NewChannel(Struct, forbid_unknown_fields=True):
    """`kind` is one that `/channels/kinds` lists, with the fields of its `credentials`."""

    name: str
    kind: str
    credentials: Credentials = {}
    description: str = ""
    enabled: bool = True


class ChannelChange(Struct, forbid_unknown_fields=True):
    """What is left out stays, also of the credentials."""

    name: str | UnsetType = UNSET
    credentials: Credentials | UnsetType = UNSET
    description: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class NewMessage(Struct, forbid_unknown_fields=True):
    """`to` are targets such as `user:ID`, `group:ID` or `email:ADDRESS`; a robot needs none.

    Instead of a message, there may be the name of a template, with its variables, a language and a version.
    The call waits up to `wait` seconds for what becomes of it. The same `idempotency_key` is sent once.
    """

    message: Message | None = None
    template: str | None = None
    variables: dict[str, Any] = {}
    language: str = ""
    version: int | None = None
    to: list[str] = []
    wait: float = 0.0
    idempotency_key: str | None = None


class TestMessage(Struct, forbid_unknown_fields=True):
    """Without a message, a line of text is sent."""

    to: list[str] = []
    message: Message | None = None


class MessageChange(Struct, forbid_unknown_fields=True):
    message: Message


class FieldShown(Struct):
    """A field of credentials; a secret one is never shown again."""

    name: str
    type: str
    required: bool
    secret: bool
    default: Any


class KindShown(Struct):
    """`targets` are what stands before the colon of a target; `here` is the group of a robot."""

    name: str
    platform: str
    credentials: list[FieldShown]
    targets: list[str]
    features: list[str]


class Kinds(Struct):
    items: list[KindShown]


class HealthShown(Struct):
    """`failing_since` is null while the credentials work; `advice` says what to do."""

    failing_since: str | None
    failure: str | None
    advice: str | None
    last_success_at: str | None


class ChannelShown(Struct):
    """Secret credentials are shown as `***`. `inbound_url` is what the platform is told; it is a secret, too."""

    id: str
    name: str
    kind: str
    credentials: Credentials
    description: str
    enabled: bool
    health: HealthShown
    inbound_url: str | None
    created_at: str
    updated_at: str


class NoteShown(Struct):
    """What was rewritten as the platform can't show it."""

    rule: str
    detail: str


class TargetShown(Struct):
    """What became of a message for one target: `state` is `waiting`, `sent`, `failed` or `recalled`."""

    to: str
    state: str
    outcome: str | None
    reason: str | None
    code: str | None
    advice: str | None
    tries: int
    receipt: dict[str, str] | None
    updated_at: str


class MessageShown(Struct):
    """`state` is that of all targets: `waiting` while one waits, `partial` if some were not reached."""

    id: str
    channel: str
    state: str
    message: Any
    targets: list[TargetShown]
    notes: list[NoteShown]
    created_at: str
    updated_at: str


class Failure(Struct):
    """Why a target could not be dealt with."""

    to: str
    outcome: str
    reason: str
    code: str | None
    advice: str | None


class Changed(Struct):
    """The message as it is now, and what could not be done."""

    message: MessageShown
    failures: list[Failure]


class StatusShown(Struct):
    """What the platform tells; null where it does not."""

    to: str
    delivered: bool | None
    read: list[str] | None
    unread: list[str] | None
    read_count: int | None
    failed: dict[str, str]


class Statuses(Struct):
    items: list[StatusShown]
    failures: list[Failure]


class Checked(Struct):
    """`account` is what the credentials are of; else why they do not work."""

    ok: bool
    account: str | None
    outcome: str | None
    reason: str | None
    advice: str | None


@get(f"{ALL}/kinds")
async def kinds(request: AnyRequest, site: CurrentSite) -> Kinds:
    """List the kinds of channels, what each needs, whom it reaches and what it can do."""
    app_of(request, site)
    found = await site.hub.channels.kinds()
    return Kinds(
        [
            KindShown(
                kind.name,
                kind.platform,
                _fields(kind.credentials, kind.secret),
                sorted(kind.targets) or ["here"],
                sorted(kind.features),
            )
            for kind in found.values()
        ]
    )


@get(ALL, opt={QUERY: PAGES})
async def find(request: AnyRequest, site: CurrentSite) -> Page[ChannelShown]:
    """List the channels of the app, the oldest first."""
    found, cursor = part_of(request, site.hub.channels.of_app(app_of(request, site)))
    return Page([await _channel(site.hub, channel) for channel in found], cursor)


@post(ALL, opt={BODY: NewChannel})
async def create(request: AnyRequest, site: CurrentSite) -> Response[ChannelShown]:
    """Make a channel."""
    app = app_of(request, site)
    asked = await body_of(request, NewChannel)
    made = await site.hub.channels.create(
        app, asked.name, asked.kind, asked.credentials, asked.description, enabled=asked.enabled
    )
    headers = {"Location": f"{calls.PREFIX}{ALL}/{made.id}", "Cache-Control": "no-store"}
    return Response(await _channel(site.hub, made), status_code=201, headers=headers)


@get(ONE)
async def read(request: AnyRequest, site: CurrentSite, channel: Id) -> ChannelShown:
    """Read a channel, and how it fares."""
    return await _channel(site.hub, site.hub.channels.get(app_of(request, site), channel))


@patch(ONE, opt={BODY: ChannelChange})
async def change(request: AnyRequest, site: CurrentSite, channel: Id) -> ChannelShown:
    """Change a channel; what is left out stays. Messages that wait are then tried at once."""
    app = app_of(request, site)
    asked = await body_of(request, ChannelChange)
    changed = await site.hub.channels.change(
        app, channel, _given(asked.name), _given(asked.credentials), _given(asked.description), _given(asked.enabled)
    )
    return await _channel(site.hub, changed)


@delete(ONE, status_code=200)
async def erase(request: AnyRequest, site: CurrentSite, channel: Id) -> dict[str, Any]:
    """Delete a channel with its messages, also those that wait, and its bridges."""
    await site.hub.delete_channel(app_of(request, site), channel)
    return {}


@post(f"{ONE}/check", status_code=200)
async def check(request: AnyRequest, site: CurrentSite, channel: Id) -> Checked:
    """Tell whether the credentials of a channel work; nothing is sent."""
    found = site.hub.channels.get(app_of(request, site), channel)
    try:
        return Checked(True, await site.hub.channels.check(found), None, None, None)
    except Problem as problem:
        return Checked(False, None, problem.outcome.value, problem.reason, problem.advice or None)


@post(f"{ONE}/test", status_code=200, opt={BODY: TestMessage})
async def test(request: AnyRequest, site: CurrentSite, channel: Id) -> Response[MessageShown]:
    """Send a message, and tell what became of it within 20 seconds."""
    app = app_of(request, site)
    found = site.hub.channels.get(app, channel)
    asked = await body_of(request, TestMessage)
    message = asked.message or Message(Text(TEST_TEXT))
    content.check(message)
    posted = await site.hub.sending.post(app, found, asked.to, message, None, TEST_WAIT)
    return await _answer([posted], lambda: _message(posted))


@get(MESSAGES, opt={QUERY: PAGES})
async def messages(request: AnyRequest, site: CurrentSite, channel: Id) -> Response[Page[MessageShown]]:
    """List the messages of a channel, the newest first."""
    found, limit = site.hub.channels.get(app_of(request, site), channel), limit_of(request)
    (before,) = cursor_of(request, 1)
    page = await site.hub.sending.page(found, before, limit + 1)
    cursor = str(page[limit - 1].key) if len(page) > limit else None
    return await _answer(page[:limit], lambda: Page([_message(each) for each in page[:limit]], cursor))


@post(MESSAGES, status_code=202, opt={BODY: NewMessage}, request_max_body_size=BODY_MAX)
async def send(request: AnyRequest, site: CurrentSite, channel: Id) -> Response[MessageShown]:
    """Send a message. It is on disk when this answers: 202 while it waits, 200 when all has come to its end."""
    app = app_of(request, site)
    found = site.hub.channels.get(app, channel)
    asked = await body_of(request, NewMessage)
    message = await _asked(site, app, found, asked)
    content.check(message)
    if not 0 <= asked.wait <= WAIT_MAX:
        raise Refused(INVALID_VALUE, f"wait is a number of seconds from 0 to {WAIT_MAX}")
    posted = await site.hub.sending.post(app, found, asked.to, message, asked.idempotency_key, asked.wait)
    location = f"{calls.PREFIX}{ALL}/{found.id}/messages/{posted.id}"
    status = 202 if posted.waits else 200
    return await _answer([posted], lambda: _message(posted), status, {"Location": location})


@get(MESSAGE)
async def message(request: AnyRequest, site: CurrentSite, channel: Id, message: Id) -> Response[MessageShown]:
    """Read a message, and what became of it for each target."""
    found = site.hub.channels.get(app_of(request, site), channel)
    posted = await site.hub.sending.get(found, message)
    return await _answer([posted], lambda: _message(posted))


@put(MESSAGE, opt={BODY: MessageChange}, request_max_body_size=BODY_MAX)
async def update(request: AnyRequest, site: CurrentSite, channel: Id, message: Id) -> Response[Changed]:
    """Say a message differently, where the platform can."""
    found = site.hub.channels.get(app_of(request, site), channel)
    asked = await body_of(request, MessageChange)
    content.check(asked.message)
    posted, done = await site.hub.afterwards.update(found, message, asked.message)
    return await _answer([posted], lambda: _changed(posted, done))


@delete(MESSAGE, status_code=200)
async def recall(request: AnyRequest, site: CurrentSite, channel: Id, message: Id) -> Response[Changed]:
    """Take a message back: what waits is not sent, what was sent is recalled, where the platform can."""
    found = site.hub.channels.get(app_of(request, site), channel)
    posted, done = await site.hub.afterwards.recall(found, message)
    return await _answer([posted], lambda: _changed(posted, done))


@get(f"{MESSAGE}/status")
async def status(request: AnyRequest, site: CurrentSite, channel: Id, message: Id) -> Statuses:
    """Ask the platform who has received and read a message."""
    found = site.hub.channels.get(app_of(request, site), channel)
    done = await site.hub.afterwards.status(found, message)
    items = [
        StatusShown(
            str(each.target),
            each.status.delivered,
            None if each.status.read is None else list(each.status.read),
            None if each.status.unread is None else list(each.status.unread),
            each.status.read_count,
            dict(each.status.failed),
        )
        for each in done
        if each.status is not None
    ]
    return Statuses(items, _failures(done))


@route(DOOR, http_method=["GET", "POST"], request_max_body_size=inbound.BODY_MAX, include_in_schema=False)
async def door(request: AnyRequest, site: CurrentSite, token: Id) -> Response[bytes]:
    """What a platform tells a channel of. Whoever knows the address may speak; the connector looks at the rest."""
    check_ready(site)
    site.hub.inbound.listening(token)  # strangers fill no memory with bodies
    body = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    incoming = Incoming(request.method, dict(request.query_params.items()), headers, body)
    try:
        reply = await site.hub.inbound.receive(token, incoming)
    except Forged as forged:
        raise HttpError(401, f"{str(forged).rstrip('.') or 'This is not from the platform'}.") from None
    except Problem as problem:
        raise Refused(INVALID_VALUE, problem.reason.rstrip(".")) from None
    return Response(reply.body, status_code=reply.status, media_type=reply.type, headers=dict(reply.headers))


router = calls.router(
    kinds,
    find,
    create,
    read,
    change,
    erase,
    check,
    test,
    messages,
    send,
    message,
    update,
    recall,
    status,
    door,
)


async def _asked(site: Site, app: App, channel: Channel, asked: NewMessage) -> Message:
    """The message itself, or the one that a template makes. Raises Refused."""
    if (asked.message is None) == (asked.template is None):
        raise Refused(INVALID_VALUE, "either a message or a template is sent")
    if asked.message is not None:
        return asked.message
    platform = (await site.hub.channels.kind(channel.kind)).platform
    return await site.hub.library.render(
        app, asked.template or "", asked.variables, asked.language, platform, asked.version
    )


def _given(value: Any) -> Any:
    """None for what was left out."""
    return None if value is UNSET else value


def _fields(credentials: type[Struct], secret: frozenset[str]) -> list[FieldShown]:
    schema = msgspec.json.schema(credentials)
    known = schema["$defs"][credentials.__name__]
    needed = known.get("required", [])
    return [
        FieldShown(name, _type(told), name in needed, name in secret, told.get("default"))
        for name, told in known["properties"].items()
    ]


def _type(told: dict[str, Any]) -> str:
    if "anyOf" in told:
        return " or ".join(_type(each) for each in told["anyOf"])
    if "enum" in told:
        return "one of " + ", ".join(map(str, told["enum"]))
    return str(told.get("type", "any"))


async def _channel(hub: Hub, channel: Channel) -> ChannelShown:
    kind = await hub.channels.kind(channel.kind)
    health = HealthShown(
        time_of(channel.failing_since), channel.failure or None, channel.advice or None, time_of(channel.succeeded_at)
    )
    return ChannelShown(
        channel.id,
        channel.name,
        channel.kind,
        shown(kind, channel.credentials),
        channel.description,
        channel.enabled,
        health,
        hub.inbound_url(channel) if Feature.RECEIVE in await hub.channels.features(channel) else None,
        iso_time(channel.created_at),
        iso_time(channel.updated_at),
    )


async def _answer(
    about: Sequence[Posted], make: Callable[[], T], status: int = 200, headers: dict[str, str] | None = None
) -> Response[T]:
    """What `make` makes of these messages, as JSON."""
    targets = sum(len(each.deliveries) for each in about)
    body: Any = await asyncio.to_thread(lambda: msgspec.json.encode(make())) if targets > LARGE else make()
    return Response(body, status_code=status, headers=headers, media_type=MediaType.JSON)


def _message(posted: Posted) -> MessageShown:
    return MessageShown(
        posted.id,
        posted.channel_id,
        state_of(posted),
        msgspec.Raw(posted.body),
        [_target(each) for each in posted.deliveries],
        [NoteShown(*note) for note in posted.notes],
        iso_time(posted.created_at),
        iso_time(posted.updated_at),
    )


def state_of(posted: Posted) -> str:
    """One word for all targets."""
    states = {each.state for each in posted.deliveries}
    if State.WAITING in states:
        return State.WAITING.value
    return next(iter(states)).value if len(states) == 1 else "partial"


def _target(each: Delivery) -> TargetShown:
    return TargetShown(
        str(each.target),
        each.state.value,
        each.outcome or None,
        each.reason or None,
        each.code or None,
        each.advice or None,
        each.tries,
        None if each.receipt is None else dict(each.receipt),
        iso_time(each.updated_at),
    )


def _changed(posted: Posted, done: list[Done]) -> Changed:
    return Changed(_message(posted), _failures(done))


def _failures(done: list[Done]) -> list[Failure]:
    return [
        Failure(
            str(each.target),
            each.problem.outcome.value,
            each.problem.reason,
            each.problem.code or None,
            each.problem.advice or None,
        )
        for each in done
        if each.problem is not None
    ]
