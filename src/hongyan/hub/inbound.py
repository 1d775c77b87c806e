"""The inbound door: what platforms tell of, checked by the connector, told once to webhooks and bridges."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from hongyan import errors
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.clock import Clock
from hongyan.engine.events import ChannelHeard
from hongyan.engine.values import DAY
from hongyan.engine.work import NewJob
from hongyan.errors import Refused
from hongyan.hub.channels import Channels
from hongyan.hub.connector import (
    MISSHAPEN,
    Acted,
    Connector,
    Event,
    Happened,
    Incoming,
    Outcome,
    Problem,
    Reception,
    Reply,
    Said,
)
from hongyan.hub.ports import HeardStore
from hongyan.hub.rates import Limit, Rates
from hongyan.hub.records import Channel, Heard, canonical

log = logging.getLogger(__name__)

#: Bytes of a body, and how long a connector may take for it (s): platforms wait for one to five seconds.
BODY_MAX, PATIENCE = 1_048_576, 2.5
#: Requests of its platform that one channel takes.
MOST, SECONDS = 200, 1.0
#: How often the buttons of one message may be pressed on pages: a group of people may do it at once.
PRESSES, PRESSES_SECONDS = 60, 60.0
_ID_MAX = 200

#: The jobs of bridges that follow from an event of a channel.
Bridging = Callable[[Channel, Event], Sequence[NewJob]]


class _Told(NamedTuple):
    heard: Heard
    event: Event
    following: Sequence[NewJob]


class Inbound:
    def __init__(
        self,
        channels: Channels,
        heard: HeardStore,
        aftermath: Aftermath,
        rates: Rates,
        clock: Clock,
        bridging: Bridging,
    ) -> None:
        self._channels = channels
        self._heard = heard
        self._aftermath = aftermath
        self._rates = rates
        self._clock = clock
        self._bridging = bridging

    def listening(self, token: str) -> Channel:
        """The channel whose door this is. Raises Refused(OBJECT_NOT_FOUND)."""
        channel = self._channels.of_token(token)
        if channel is None or not channel.enabled:
            raise Refused(errors.OBJECT_NOT_FOUND, "nobody listens here")
        return channel

    async def receive(self, token: str, request: Incoming) -> Reply:
        """What the platform is answered; what it tells of is on disk then.

        Raises Forged, Problem with BAD_CONTENT, and Refused: OBJECT_NOT_FOUND, SERVER_BUSY.
        """
        channel = self.listening(token)
        try:
            async with asyncio.timeout(PATIENCE), self._channels.opened(channel) as connector:
                reception = await _received(connector, request)
        except TimeoutError:
            raise Refused(errors.SERVER_BUSY, "this takes too long for now") from None
        except Problem as problem:
            if problem.outcome is Outcome.BAD_CONTENT:
                raise
            raise Refused(errors.SERVER_BUSY, "this can't be taken for now") from None
        self.take(channel)  # only now: whoever forges requests keeps the platform from nothing
        if reception.events:
            await self.hear(channel, reception.events)
        return reception.reply

    def take(self, channel: Channel) -> None:
        """Raises Refused(SERVER_BUSY) if more comes than is taken."""
        try:
            self._rates.take(Limit(("inbound", channel.id), MOST, SECONDS))
        except Problem:
            raise Refused(errors.SERVER_BUSY, f"a channel takes {MOST} requests per second") from None

    def take_press(self, message_id: str) -> None:
        """The same of the pages of a message: whoever has a link keeps neither the platform nor others from speaking.

        Raises Refused(SERVER_BUSY).
        """
        try:
            self._rates.take(Limit(("act", message_id), PRESSES, PRESSES_SECONDS))
        except Problem:
            raise Refused(errors.SERVER_BUSY, "the buttons of this message are pressed too often") from None

    async def hear(self, channel: Channel, events: Sequence[Event]) -> int:
        """Tell those that are new to webhooks and bridges; how many are."""
        told = {each.heard.id: each for each in (self._told(channel, event) for event in events)}
        heard = [each.heard for each in told.values()]

        def following(one: Heard) -> list[NewJob]:
            """In the writer's thread."""
            each = told[one.id]
            jobs = list(each.following)
            if self._aftermath.wants(channel.app_key, ChannelHeard):
                jobs += self._aftermath.jobs(channel.app_key, payload(channel, each.event, one))
            return jobs

        new = await self._heard.add(channel.app_key, channel.id, heard, following)
        for event in events:
            if new and isinstance(event, Happened) and event.alarm is not None:
                reason, advice = event.alarm
                await self._channels.fails(channel, Problem(Outcome.BAD_CREDENTIAL, reason, advice=advice))
        return new

    def _told(self, channel: Channel, event: Event) -> _Told:
        now = self._clock.now()
        at = event.at if now - 30 * DAY <= event.at <= now + DAY else now
        id_ = event.id if len(event.id) <= _ID_MAX else hashlib.sha256(event.id.encode()).hexdigest()
        receipt = event.receipt if isinstance(event, Said | Acted) else {}
        return _Told(Heard(id_, at, canonical(receipt)), event, self._bridging(channel, event))


async def _received(connector: Connector, request: Incoming) -> Reception:
    """What has the platform's seal, and still another shape than its requests have, is no request either."""
    try:
        return await connector.receive(request)
    except MISSHAPEN as error:
        log.warning("a request could not be read: %s", type(error).__name__, exc_info=True)
        raise Problem(Outcome.BAD_CONTENT, "this is no request that the platform makes") from None


def payload(channel: Channel, event: Event, heard: Heard) -> ChannelHeard:
    """What webhooks are told of an event."""
    data: dict[str, Any] = {
        "channel": {"id": channel.id, "name": channel.name, "kind": channel.kind},
        "id": heard.id,
    }
    match event:
        case Said():
            data |= {
                "chat": _chat(event),
                "from": {"id": event.sender.id, "name": event.sender.name},
                "message": msgspec.to_builtins(event.message),
                "mentioned": event.mentioned,
                "files": len(event.media),
                "receipt": dict(event.receipt),
            }
            return ChannelHeard(channel.app_key, "channel.message", heard.at, data)
        case Acted():
            data |= {
                "chat": _chat(event),
                "from": {"id": event.sender.id, "name": event.sender.name} if event.sender.id else None,
                "action": event.action,
                "value": event.value,
                "inputs": event.inputs,
                "receipt": dict(event.receipt),
            }
            return ChannelHeard(channel.app_key, "channel.action", heard.at, data)
        case _:
            edited = event.edited
            now = {"receipt": edited.receipt, "message": msgspec.to_builtins(edited.message)} if edited else None
            data |= {"name": event.name, "recalled": event.recalled or None, "edited": now, "data": event.data}
            return ChannelHeard(channel.app_key, "channel.event", heard.at, data)


def _chat(event: Said | Acted) -> dict[str, Any] | None:
    chat = event.chat
    return None if chat is None else {"to": str(chat.target), "title": chat.title, "direct": chat.direct}
