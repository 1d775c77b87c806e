"""What an app's engine is told after it has happened: jobs that are kept with their cause (REST reference 5.1, 5.2).

At least once each. What the engine answers counts for nothing; only while it is out of reach it is tried again.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from hongyan.engine.access import Access
from hongyan.engine.apps import Apps
from hongyan.engine.clock import Clock
from hongyan.engine.events import (
    ConversationCreated,
    Event,
    MembersJoined,
    MembersLeft,
    MessageSent,
    SessionEnded,
    SessionOpened,
    UpstreamReceived,
)
from hongyan.engine.presence import Presence
from hongyan.engine.questions import HookFailed
from hongyan.engine.values import DAY, OF_MEMBERS, App, Departure, Draft
from hongyan.engine.work import Job, NewJob
from hongyan.errors import Refused
from hongyan.hooks import catalogue
from hongyan.hooks.catalogue import Params
from hongyan.hooks.engines import Engines
from hongyan.jobs import Failed, Hopeless, Kind

log = logging.getLogger(__name__)

KIND = "hook"
#: Pauses between attempts while the engine is out of reach (s), and hooks that one app is told at once.
WAITS, AT_ONCE = (2.0, 10.0, 60.0, 180.0), 16
#: `closeCode` (REST reference 5.2).
CLOSE_CODES = {
    Departure.LOGGED_OUT: 1,
    Departure.LOST: 2,
    Departure.STOPPED: 2,
    Departure.REPLACED: 3,
    Departure.EXPELLED: 4,
}
CLOSE_MESSAGES = {
    1: "logged out",
    2: "connection lost",
    3: "logged in on another device of this kind",
    4: "logged out by the application",
}
#: What a peer may have done wrong, of which hooks are told.
ERRORS = frozenset({4107, 4108, 4109, 4114, 4200})


class Told:
    """The follower that makes the jobs, and who does them."""

    def __init__(self, apps: Apps, access: Access, presence: Presence, engines: Engines, clock: Clock) -> None:
        self._apps = apps
        self._access = access
        self._presence = presence
        self._engines = engines
        self._clock = clock
        self._logged: set[str] = set()

    @property
    def kind(self) -> Kind:
        return Kind(self.do, WAITS, AT_ONCE)

    # the follower

    def wants(self, app_key: int, kind: type[Event]) -> bool:
        app = self._apps.of_key(app_key)
        if app is None or not app.settings.hook_url or kind not in _HOOKS:
            return False
        return self._engines.has(app, _HOOKS[kind][0])

    def jobs(self, app_key: int, event: Event, draft: Draft | None) -> Iterable[NewJob]:
        app = self._apps.of_key(app_key)
        if app is None or (not app.settings.hook_rest and _is_by_app(event)):
            return
        name, make = _HOOKS[type(event)]
        body = msgspec.json.encode({"hook": name, **make(event, draft)})
        yield NewJob(app_key, lane(app_key), KIND, body)

    # doing them

    async def do(self, job: Job) -> None:
        """Raises Failed, Hopeless."""
        app = self._apps.of_key(job.app_key)
        if app is None or not app.settings.hook_url:
            return
        try:
            told = msgspec.json.decode(job.body)
            name, params = told["hook"], told["params"]
        except (msgspec.DecodeError, KeyError, TypeError):
            raise Hopeless("it is not what this version tells hooks") from None
        if self._clock.now() - job.created_at > DAY:
            raise Hopeless("it has waited too long")  # or what waits for an engine that is away would grow for ever
        if name == catalogue.MESSAGE_SENT:
            params = await self._with_peers(app, params, told.get("peers"))
        try:
            await self._engines.tell(app, name, params, job.id)
        except HookFailed as failure:
            if not failure.answered:
                raise Failed(str(failure), everybody=failure.away) from None
            log.warning("a hook of the app %s failed: %s", app.id, failure)

    async def _with_peers(self, app: App, params: Params, peers: Iterable[str] | None) -> Params:
        """Who is online now of those who were told; all members but the sender if it is not said who."""
        if peers is None:
            peers = await self._members(app, params["convId"])
        others = sorted(set(peers) - {params["fromPeer"]})
        online = self._presence.online(app, others)
        there = frozenset(online)
        offline = [client for client in others if client not in there]
        return {**params, "onlinePeers": online, "offlinePeers": offline}

    async def _members(self, app: App, conversation_id: str) -> Iterable[str]:
        try:
            return (await self._access.conversation(app, conversation_id)).members
        except Refused:  # it was deleted meanwhile
            return ()


def lane(app_key: int) -> str:
    """Where the jobs of an app's engine wait."""
    return f"hooks:{app_key}"


def _is_by_app(event: Event) -> bool:
    """Whether the app's own server has caused it."""
    match event:
        case MessageSent():
            return event.origin is None
        case MembersJoined() | MembersLeft():
            return not event.by
        case ConversationCreated():
            return event.by_system
        case _:
            return False


def _message(event: Any, draft: Draft | None) -> dict[str, Any]:
    conversation, message = event.conversation, event.message
    params = {
        "fromPeer": message.sender,
        "convId": conversation.id,
        "msgId": message.id,
        "transient": message.transient,
        "system": catalogue.system_of(conversation),
        **catalogue.content_of(message.content),
        "receipt": message.receipt,
        "timestamp": message.timestamp,
        "sourceIP": draft.source if draft is not None else "",
    }
    if conversation.kind in OF_MEMBERS and (draft is None or draft.receivers is None):
        return {"params": params}  # the members are looked up when it is told: there may be many
    if type(event) is UpstreamReceived:
        return {"params": params, "peers": []}
    return {"params": params, "peers": sorted(conversation.members)}


def _started(event: Any, _: Draft | None) -> dict[str, Any]:
    return {"params": {"convId": event.conversation.id}}


def _joined(event: Any, _: Draft | None) -> dict[str, Any]:
    return {"params": {"initBy": event.by, "convId": event.conversation.id, "members": event.joined}}


def _left(event: Any, _: Draft | None) -> dict[str, Any]:
    return {"params": {"initBy": event.by, "convId": event.conversation.id, "members": event.left}}


def _online(event: Any, _: Draft | None) -> dict[str, Any]:
    params = {"peerId": event.client, "sourceIP": event.source, "reconnect": int(event.returned)}
    return {"params": {**params, "tag": event.tag} if event.tag else params}


def _offline(event: Any, _: Draft | None) -> dict[str, Any]:
    code = CLOSE_CODES[event.why]
    params = {"peerId": event.client, "closeCode": code, "closeMsg": CLOSE_MESSAGES[code]}
    if event.tag:
        params["tag"] = event.tag
    if event.source and event.why is not Departure.LOST:
        params["sourceIP"] = event.source
    if event.error is not None and event.error.code in ERRORS:
        params |= {"errorCode": event.error.code, "errorMsg": event.error.name}
    return {"params": params}


#: Which hook is told of which events, and what of each.
_HOOKS: dict[type[Event], tuple[str, Callable[[Any, Draft | None], dict[str, Any]]]] = {
    MessageSent: (catalogue.MESSAGE_SENT, _message),
    UpstreamReceived: (catalogue.MESSAGE_SENT, _message),
    ConversationCreated: (catalogue.CONVERSATION_STARTED, _started),
    MembersJoined: (catalogue.CONVERSATION_ADDED, _joined),
    MembersLeft: (catalogue.CONVERSATION_REMOVED, _left),
    SessionOpened: (catalogue.CLIENT_ONLINE, _online),
    SessionEnded: (catalogue.CLIENT_OFFLINE, _offline),
}
