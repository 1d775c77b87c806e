"""Pushes that follow from messages: who is not there to hear one is told by its devices (REST reference 6.2).

A message leaves a job in its own write, if its app pushes and there is something to push. The job finds out who is
away, page by page, asks the app's hook, and leaves jobs that send, with its own end. Of those who are here, some may
hear nothing any more: who has a device and has not acknowledged the message after a while is pushed to as well.
"""

import asyncio
import base64
import heapq
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hongyan import errors
from hongyan.engine import push_content, push_plans
from hongyan.engine.access import Access
from hongyan.engine.apps import Apps
from hongyan.engine.clock import Clock
from hongyan.engine.events import Event, MessageSent
from hongyan.engine.hooks import Hooks
from hongyan.engine.ports import InstallationStore, PushStore
from hongyan.engine.presence import Presence
from hongyan.engine.push_content import PushContent
from hongyan.engine.push_devices import platform_of
from hongyan.engine.push_plans import CHECK, DEVICES_MAX, LIFETIME, PLAN, SEEN_WITHIN, Sending, encode, lane
from hongyan.engine.push_services import PushServices
from hongyan.engine.questions import Offline, ReceiversOffline
from hongyan.engine.receipts import ReceiptMarks
from hongyan.engine.services import Services
from hongyan.engine.values import OF_MEMBERS, App, Conversation, ConversationKind, Draft, ObjectRow
from hongyan.engine.work import Job, NewJob
from hongyan.errors import Refused

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Receivers that are looked at together, as many as a usual conversation has members.
PAGE = 500
#: Devices above which they are planned in a thread: some 10 µs each.
MANY = 500
#: How long a client that is here has to acknowledge a message (ms).
CHECK_AFTER = 15_000


@dataclass(frozen=True, slots=True)
class Said:
    """A message as a job knows it. `key` is of the conversation in which it stands, for a stream that of the stream.

    `clients` are its receivers if it is not for all of the conversation; `after`: those before this one are done.
    `content` is what was said if somebody must be told; base64 if `binary`.
    """

    conversation: str
    key: int
    id: str
    at: int
    seq: int
    sender: str
    push: str = ""
    content: str = ""
    binary: bool = False
    mention_all: bool = False
    mentions: tuple[str, ...] = ()
    clients: tuple[str, ...] | None = None
    after: str = ""

    @classmethod
    def parse(cls, body: bytes) -> "Said":
        values = json.loads(body)
        clients = values.pop("clients", None)
        mentions = tuple(values.pop("mentions", ()))
        return cls(**values, mentions=mentions, clients=None if clients is None else tuple(clients))

    def job(self, app_key: int, kind: str = PLAN, wait: int = 0, **changed: Any) -> NewJob:
        values = {name: getattr(self, name) for name in self.__slots__} | changed
        said = {name: value for name, value in values.items() if value not in ("", False, None, ())}
        return NewJob(app_key, lane(app_key), kind, encode(said), wait)


class Pushes:
    """A follower of messages, and what its jobs do."""

    def __init__(
        self,
        store: PushStore,
        installations: InstallationStore,
        services: PushServices,
        apps: Apps,
        access: Access,
        subscribers: Services,
        presence: Presence,
        receipts: ReceiptMarks,
        clock: Clock,
        hooks: Hooks,
    ) -> None:
        self._store = store
        self._installations = installations
        self._services = services
        self._apps = apps
        self._access = access
        self._subscribers = subscribers
        self._presence = presence
        self._receipts = receipts
        self._clock = clock
        self._hooks = hooks

    # the follower

    def wants(self, app_key: int, kind: type[Event]) -> bool:
        if kind is not MessageSent:
            return False
        app = self._apps.of_key(app_key)
        return self._services.any(app_key) or (app is not None and self._hooks.concern(app, ReceiversOffline))

    def jobs(self, app_key: int, event: Event, draft: Draft | None) -> Iterable[NewJob]:
        """A job for a message that may be pushed: never for transient ones, which wills are too, and chat rooms."""
        app = self._apps.of_key(app_key)
        if app is None or draft is None or not isinstance(event, MessageSent):
            return ()
        message, conversation = event.message, event.conversation
        if message.transient or conversation.kind is ConversationKind.CHATROOM:
            return ()
        asks = self._hooks.concern(app, ReceiversOffline)
        if not (asks or draft.push_data or app.settings.push_content):
            return ()
        of_members = conversation.kind in OF_MEMBERS
        only_some = bool(conversation.stream) or (of_members and draft.receivers is not None)
        if (only_some or of_members) and not conversation.members - {message.sender}:
            return ()
        binary = isinstance(message.content, bytes)
        said = Said(
            conversation.id,
            conversation.key,
            message.id,
            message.timestamp,
            message.seq,
            message.sender,
            push=draft.push_data,
            content=_text(message.content) if asks else "",
            binary=binary and asks,
            mention_all=message.mention_all,
            mentions=message.mentions,
            clients=tuple(sorted(conversation.members)) if only_some else None,
        )
        return (said.job(app_key),)

    # its jobs

    async def plan(self, job: Job) -> list[NewJob]:
        """Push to the next receivers that are away; the rest is another job."""
        said = Said.parse(job.body)
        found = await self._found(job, said)
        if found is None:
            return []
        app, conversation = found
        page, cursor = await self._page(conversation, said)
        here = set(self._presence.online(app, page))
        away = [client for client in page if client not in here]
        following = [] if cursor is None else [said.job(app.key, after=cursor)]
        return await self._push(job, app, conversation, said, away, here, following)

    async def check(self, job: Job) -> list[NewJob]:
        """Push to those who were here and seem not to have heard the message."""
        said = Said.parse(job.body)
        found = await self._found(job, said)
        if found is None or said.clients is None:
            return []
        app, conversation = found
        clients = _still(conversation, said.clients)
        unheard = await self._store.unheard(said.key, said.seq, clients)
        here = set(self._presence.online(app, unheard))
        # who never acknowledges anything has not lost this message in particular
        acknowledging = await self._store.acknowledging(app.key, sorted(unheard - here))
        acknowledging |= {client for client in here if self._receipts.is_acknowledging(app, client)}
        lost = [client for client in clients if client in unheard & acknowledging]
        return await self._push(job, app, conversation, said, lost, set(), [])

    async def _found(self, job: Job, said: Said) -> tuple[App, Conversation] | None:
        """The app, and where the message is; None if it is not to be pushed any more."""
        app = self._apps.of_key(job.app_key)
        if app is None or said.at + LIFETIME <= self._clock.now():
            return None
        if not await self._store.is_said(said.key, said.at, said.seq):
            return None
        try:
            return app, await self._access.conversation(app, said.conversation)
        except Refused as refusal:
            if refusal.kind is errors.CONVERSATION_NOT_FOUND:
                return None
            raise

    async def _page(self, conversation: Conversation, said: Said) -> tuple[list[str], str | None]:
        """The next receivers, in order of their ids, and after whom it goes on, unless they are the last."""
        if said.clients is not None or conversation.kind in OF_MEMBERS:
            everybody = conversation.members if said.clients is None else _still(conversation, said.clients)
            clients = heapq.nsmallest(PAGE, (client for client in everybody if client > said.after))
        else:
            subscribers = await self._subscribers.subscribers(conversation, said.after, PAGE)
            clients = [each.client for each in subscribers]
        cursor = clients[-1] if len(clients) == PAGE else None
        return [client for client in clients if client != said.sender], cursor

    async def _push(
        self,
        job: Job,
        app: App,
        conversation: Conversation,
        said: Said,
        away: Sequence[str],
        here: set[str],
        following: list[NewJob],
    ) -> list[NewJob]:
        """Jobs that push to those `away`, and one that looks again at those who are `here`."""
        answer = await self._hooks.receivers_offline(app, _question(conversation, said, away)) if away else Offline()
        content = None if answer.skip else _content(app, said, answer)
        peers = [] if content is None else _those(away, answer.clients)
        if peers and not answer.force:
            muting = await self._store.muting(conversation.key, peers)
            peers = [client for client in peers if client not in muting]
        rows = await self._devices(app, [*peers, *here])
        reachable = [client for client in here if self._reaches(app, rows.get(client, ()))]
        if reachable and self._has_content(app, said):
            clients = tuple(sorted(reachable))
            following.append(said.job(app.key, CHECK, CHECK_AFTER, clients=clients))
        devices = [row for client in peers for row in rows.get(client, ())]
        if content is None or not devices:
            return following
        sending = Sending(
            said.id,
            content,
            said.at + LIFETIME,
            content.environment,
            message=(said.key, said.at, said.seq),
            team=content.team,
            clients=frozenset(peers),
        )
        many = len(devices) > MANY
        plan = await _done(many, push_plans.plan, self._services, app.key, sending, devices)
        if not any(plan.badges):
            return [*following, *await _done(many, plan.jobs, {})]
        await self._store.end_plan(job.key, plan.badges, lambda numbers: [*following, *plan.jobs(numbers)])
        return []

    async def _devices(self, app: App, clients: Sequence[str]) -> Mapping[str, Sequence[ObjectRow]]:
        if not clients or not self._services.any(app.key):
            return {}
        since = self._clock.now() - SEEN_WITHIN
        return await self._installations.listening(app.key, clients, since, DEVICES_MAX)

    def _reaches(self, app: App, rows: Iterable[ObjectRow]) -> bool:
        return any(self._services.route(app.key, platform_of(row.values)) is not None for row in rows)

    def _has_content(self, app: App, said: Said) -> bool:
        """Whether there would be something to push."""
        return bool(said.push or app.settings.push_content or self._hooks.concern(app, ReceiversOffline))


async def _done(many: bool, work: Callable[..., T], *arguments: Any) -> T:
    """The result of some work, in a thread if there is much of it."""
    return await asyncio.to_thread(work, *arguments) if many else work(*arguments)


def _still(conversation: Conversation, clients: Sequence[str]) -> list[str]:
    """Those of the clients that have not left meanwhile; a service conversation speaks to anybody."""
    is_open = conversation.kind not in OF_MEMBERS
    return [client for client in clients if is_open or client in conversation.members]


def _question(conversation: Conversation, said: Said, away: Sequence[str]) -> ReceiversOffline:
    content = base64.b64decode(said.content) if said.binary else said.content
    named = set(said.mentions)
    mentions = [client for client in away if client in named]
    return ReceiversOffline(conversation, said.sender, away, content, said.at, said.mention_all, mentions)


def _those(away: Sequence[str], chosen: Sequence[str] | None) -> list[str]:
    """The hook may leave some out; it names nobody who was not asked about."""
    wanted = away if chosen is None else set(chosen)
    return [client for client in away if client in wanted]


def _content(app: App, said: Said, answer: Offline) -> PushContent | None:
    """The first that there is: the hook's, the message's, the app's. None if there is none, or if it is no content."""
    try:
        if answer.push_message:
            return push_content.parse(answer.push_message)
        if said.push:
            return push_content.parse(said.push)
        if app.settings.push_content:
            return push_content.parse_static(app.settings.push_content, said.conversation, said.at, said.sender)
    except ValueError as mistake:
        log.debug("a message of the app %s is not pushed: %s", app.id, mistake)
    return None


def _text(content: str | bytes) -> str:
    return base64.b64encode(content).decode() if isinstance(content, bytes) else content
