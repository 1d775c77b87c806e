"""Webhooks: addresses of an app's own servers that are told what happens, and how they fare.

They are few, and all in memory. Who makes the deliveries, and who carries them out, is the room `webhooks`.
"""

import asyncio
import contextlib
import logging
import secrets
from base64 import b64encode
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.ports import Courier, JobStore, WebhookStore
from hongyan.engine.urls import URL_MAX, is_web_url
from hongyan.engine.values import DAY, App, Attempt, Webhook, WebhookSecret, new_object_id
from hongyan.engine.work import Job
from hongyan.errors import Refused

#: What webhooks can be told, by name.
TYPES = (
    "message.sent",
    "message.received",
    "message.updated",
    "message.recalled",
    "conversation.created",
    "conversation.updated",
    "conversation.members_added",
    "conversation.members_removed",
    "client.online",
    "client.offline",
    "channel.message",
    "channel.action",
    "channel.event",
)
#: What `Webhooks.test` sends; nobody can ask for it.
TEST = "webhook.test"
WEBHOOKS_MAX, DESCRIPTION_MAX = 50, 256
#: How long a secret that was replaced still signs (s), and how many sign at once.
OVERLAP, OVERLAP_MAX, SECRETS_MAX = 86_400, 604_800, 3
#: After so long without a success (ms), and so many failures one after another, a webhook is disabled.
GIVE_UP, GIVE_UP_FAILURES = 5 * DAY, 5
#: With so many deliveries that wait, a webhook is told nothing more; and how often they are counted (s).
WAITING_MAX, COUNT_EVERY = 1_000_000, 30.0
#: Dead deliveries that are revived at once, and items of a page.
REPLAY_MAX, PAGE, PAGE_MAX = 1_000, 50, 500
#: Why what waits for a webhook is given up when it is disabled.
DISABLED = "the webhook is disabled"
#: Attempts that are remembered of each webhook.
RECENT = 20
#: How often what became of a webhook's attempts is kept, if not more has changed (ms).
KEEP_EVERY = 60_000
ID_MAX = 64
_SECRET_BYTES = 32
_LANE = "webhook:"

log = logging.getLogger(__name__)


def lane(webhook_id: str) -> str:
    """Where the jobs of a webhook wait."""
    return _LANE + webhook_id


#: What every payload begins with.
_START = b'{"type":"'


def type_of(body: bytes) -> str:
    """What a delivery tells of; the rest of it may be long."""
    return body[len(_START) : body.index(b'"', len(_START))].decode()


@dataclass(slots=True)
class Health:
    """How a webhook fares: since when it fails, when it succeeded last, and its last attempts since the start.

    `failures` stand one after another, the last counted at `counted_at`: attempts that were under way together are one.
    `left_out` events were not told, as too many waited.
    """

    failing_since: int | None = None
    succeeded_at: int | None = None
    failures: int = 0
    counted_at: int = 0
    left_out: int = 0
    recent: deque[Attempt] = field(default_factory=lambda: deque(maxlen=RECENT))
    kept_at: int = 0


class Counts(NamedTuple):
    """Deliveries that wait, and that are tried no more; `WAITING_MAX` stands for it and more."""

    waiting: int
    dead: int


class Webhooks:
    """`courier` carries out a single delivery; the running server sets it."""

    def __init__(self, store: WebhookStore, jobs: JobStore, clock: Clock) -> None:
        self._store = store
        self._jobs = jobs
        self._clock = clock
        self._all: dict[str, Webhook] = {}
        self._health: dict[str, Health] = {}
        # by app and type the webhooks that are told; never changed but replaced, as the writer's thread reads it
        self._listening: Mapping[int, Mapping[str, tuple[str, ...]]] = {}
        self._full: frozenset[str] = frozenset()
        self._changing = asyncio.Lock()
        self._testing: set[str] = set()
        self.courier: Courier | None = None

    async def load(self) -> None:
        self._all = {webhook.id: webhook for webhook in await self._store.all()}
        self._health = {
            webhook.id: Health(webhook.failing_since, webhook.succeeded_at) for webhook in self._all.values()
        }
        with contextlib.suppress(Refused):  # many wait: they are counted before long
            await self.count()
        self._listen()

    # for those who tell

    def listening(self, app_key: int) -> Mapping[str, tuple[str, ...]]:
        """By type the webhooks of an app (ids) that are told; may be asked in any thread."""
        return self._listening.get(app_key, {})

    def find(self, webhook_id: str) -> Webhook | None:
        return self._all.get(webhook_id)

    def may_wait(self, webhook_id: str) -> bool:
        """Whether one more delivery may wait for it; otherwise that is noted. May be asked in any thread."""
        if webhook_id not in self._full:
            return True
        health = self._health.get(webhook_id)
        if health is not None:
            health.left_out += 1
        return False

    async def count(self) -> frozenset[str]:
        """Look for which too many deliveries wait; these."""
        counts = await self._jobs.counts([lane(webhook_id) for webhook_id in self._all], WAITING_MAX)
        self._full = frozenset(
            name.removeprefix(_LANE) for name, (waiting, _) in counts.items() if waiting >= WAITING_MAX
        )
        return self._full

    def signers(self, webhook: Webhook) -> list[str]:
        """The secrets that sign now, the newest first."""
        return [secret.value for secret in _valid(webhook.secrets, self._clock.now())]

    # for those who deliver

    async def succeeded(self, webhook: Webhook, attempt: Attempt) -> None:
        """An attempt was answered as it should be."""
        health = self._health.get(webhook.id) or Health()
        health.recent.append(attempt)
        recovered = health.failing_since is not None
        health.failing_since, health.failures, health.succeeded_at = None, 0, attempt.at
        await self._keep(webhook, health, at_once=recovered)

    async def failed(self, webhook: Webhook, attempt: Attempt, *, gone: bool = False) -> int:
        """An attempt has failed; how many have, one after another.

        A webhook that is `gone`, or has failed for too long, is disabled.
        """
        health = self._health.get(webhook.id) or Health()
        health.recent.append(attempt)
        begins = health.failing_since is None
        since = health.failing_since = health.failing_since or attempt.at
        if attempt.at >= health.counted_at:
            health.failures, health.counted_at = health.failures + 1, self._clock.now()
        if gone:
            await self._disable(webhook, "it answered HTTP 410: gone")
        elif attempt.at - since >= GIVE_UP and health.failures >= GIVE_UP_FAILURES:
            await self._disable(webhook, f"it has failed for 5 days, last with: {attempt.error}")
        else:
            await self._keep(webhook, health, at_once=begins)
        return health.failures

    async def _disable(self, webhook: Webhook, reason: str) -> None:
        async with self._changing:
            now = self._all.get(webhook.id)
            if now is not None and now.enabled:
                log.warning("the webhook %s is disabled: %s", webhook.id, reason)
                at = self._clock.now()
                await self._replace(replace(now, enabled=False, disabled_at=at, disabled_reason=reason, updated_at=at))
        await self._jobs.bury(lane(webhook.id), DISABLED)

    async def _keep(self, webhook: Webhook, health: Health, *, at_once: bool) -> None:
        """Keep since when it fails and when it succeeded last, but not with each attempt."""
        now = self._clock.now()
        if (at_once or now - health.kept_at >= KEEP_EVERY) and webhook.id in self._all:
            health.kept_at = now
            with contextlib.suppress(Refused):  # a full disk passes; the attempt was made all the same
                await self._store.note(webhook.id, health.failing_since, health.succeeded_at)

    # for the application

    def of_app(self, app: App) -> list[Webhook]:
        """The oldest first."""
        return [webhook for webhook in self._all.values() if webhook.app_key == app.key]

    def get(self, app: App, webhook_id: str) -> Webhook:
        """Raises Refused(OBJECT_NOT_FOUND), also for one of another app."""
        found = self._all.get(webhook_id)
        if found is None or found.app_key != app.key:
            raise Refused(errors.OBJECT_NOT_FOUND, "no webhook has this id")
        return found

    def health(self, webhook: Webhook) -> Health:
        return self._health.get(webhook.id, Health())

    async def counts(self, webhooks: Sequence[Webhook]) -> Mapping[str, Counts]:
        """By id how many deliveries wait, and how many are dead."""
        found = await self._jobs.counts([lane(webhook.id) for webhook in webhooks], WAITING_MAX)
        return {webhook.id: Counts(*found.get(lane(webhook.id), (0, 0))) for webhook in webhooks}

    async def create(self, app: App, url: str, types: Sequence[str], description: str, *, enabled: bool) -> Webhook:
        """Raises Refused: INVALID_VALUE, WEBHOOKS_FULL."""
        now = self._clock.now()
        async with self._changing:
            if sum(webhook.app_key == app.key for webhook in self._all.values()) >= WEBHOOKS_MAX:
                raise Refused(errors.WEBHOOKS_FULL, f"an app has at most {WEBHOOKS_MAX} webhooks")
            webhook = Webhook(
                new_object_id(),
                app.key,
                _checked_url(url),
                _checked_types(types),
                _checked_description(description),
                enabled=enabled,
                secrets=(_new_secret(now),),
                created_at=now,
                updated_at=now,
            )
            await self._store.insert(webhook)
            self._all[webhook.id] = webhook
            self._health[webhook.id] = Health()
            self._listen()
        return webhook

    async def change(
        self,
        app: App,
        webhook_id: str,
        url: str | None = None,
        types: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """What is None stays. One that is enabled, or gets another address, begins anew. Raises as `create`."""
        async with self._changing:
            before = self.get(app, webhook_id)
            after = replace(
                before,
                url=before.url if url is None else _checked_url(url),
                types=before.types if types is None else _checked_types(types),
                description=before.description if description is None else _checked_description(description),
                enabled=before.enabled if enabled is None else enabled,
                updated_at=self._clock.now(),
            )
            if enabled is not None:
                after = replace(after, disabled_at=None, disabled_reason="")
            if enabled or after.url != before.url:
                after = replace(after, failing_since=None)
                health = self._health[webhook_id]
                health.failing_since, health.failures = None, 0
            await self._replace(after)
        if before.enabled and not after.enabled:
            await self._jobs.bury(lane(webhook_id), DISABLED)
        return after

    async def rotate(self, app: App, webhook_id: str, overlap: int = OVERLAP) -> Webhook:
        """A new secret; those before it sign beside it for so many seconds more, at most."""
        if not 0 <= overlap <= OVERLAP_MAX:
            raise Refused(errors.INVALID_VALUE, f"overlap_seconds is a whole number from 0 to {OVERLAP_MAX}")
        now = self._clock.now()
        end = now + overlap * 1000
        async with self._changing:
            before = self.get(app, webhook_id)
            older = [
                secret._replace(expires_at=min(end, secret.expires_at or end)) for secret in _valid(before.secrets, now)
            ]
            kept = _valid((_new_secret(now), *older), now)[:SECRETS_MAX]
            after = replace(before, secrets=tuple(kept), updated_at=now)
            await self._replace(after)
        return after

    def secrets(self, app: App, webhook_id: str) -> list[WebhookSecret]:
        """Those that sign now, the newest first."""
        return _valid(self.get(app, webhook_id).secrets, self._clock.now())

    async def delete(self, app: App, webhook_id: str) -> None:
        """What waits for it is dropped."""
        async with self._changing:
            webhook = self.get(app, webhook_id)
            await self._store.delete(webhook.id)
            del self._all[webhook.id]
            self._health.pop(webhook.id, None)
            self._listen()
        await self._jobs.drop(lane(webhook.id))

    async def test(self, app: App, webhook_id: str) -> Attempt:
        """Deliver an event of the type `TEST` at once, enabled or not. Raises Refused(SERVER_BUSY)."""
        webhook = self.get(app, webhook_id)
        if webhook.id in self._testing or self.courier is None:
            raise Refused(errors.SERVER_BUSY, "this webhook is being tested")
        self._testing.add(webhook.id)
        try:
            return await self.courier.test(webhook)
        finally:
            self._testing.discard(webhook.id)

    async def waiting(self, app: App, webhook_id: str, after: tuple[int, int], limit: int) -> Sequence[Job]:
        """Deliveries that wait, in the order in which they are due, after (when due, key)."""
        return await self._jobs.waiting(lane(self.get(app, webhook_id).id), after, limit)

    async def dead(self, app: App, webhook_id: str, after: int, limit: int) -> Sequence[Job]:
        """Deliveries that are tried no more, the oldest first, after a key."""
        return await self._jobs.dead(app.key, after, limit, lane(self.get(app, webhook_id).id))

    async def replay(self, app: App, webhook_id: str, ids: Sequence[str] | None) -> int:
        """Let dead deliveries be tried again, these or the oldest; how many there were.

        Raises Refused(INVALID_VALUE) if the webhook is disabled.
        """
        webhook = self.get(app, webhook_id)
        if not webhook.enabled:
            raise Refused(errors.INVALID_VALUE, "the webhook is disabled: enable it first")
        if ids is not None and not (
            1 <= len(ids) <= PAGE_MAX and all(len(each) <= ID_MAX and each.isascii() for each in ids)
        ):
            raise Refused(errors.INVALID_VALUE, f"ids is a list of 1 to {PAGE_MAX} ids of deliveries")
        return await self._jobs.revive(app.key, ids, REPLAY_MAX, lane(webhook.id))

    async def _replace(self, webhook: Webhook) -> None:
        await self._store.update(webhook)
        self._all[webhook.id] = webhook
        self._listen()

    def _listen(self) -> None:
        listening: dict[int, dict[str, tuple[str, ...]]] = {}
        for webhook in self._all.values():
            if webhook.enabled:
                of_app = listening.setdefault(webhook.app_key, {})
                for name in webhook.types or TYPES:
                    of_app[name] = (*of_app.get(name, ()), webhook.id)
        self._listening = listening


def _valid(all_: Sequence[WebhookSecret], now: int) -> list[WebhookSecret]:
    return [secret for secret in all_ if secret.expires_at is None or secret.expires_at > now]


def _new_secret(now: int) -> WebhookSecret:
    return WebhookSecret("whsec_" + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode(), now, None)


def _checked_url(url: str) -> str:
    """Which addresses may be called is looked at with each call: names change what they mean."""
    if not is_web_url(url):
        raise Refused(errors.INVALID_VALUE, f"url is none such as https://example.com/hook, of {URL_MAX} characters")
    return url


def _checked_types(types: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in types if name not in TYPES]
    if unknown:
        raise Refused(
            errors.INVALID_VALUE, f"events has the unknown type {unknown[0][:64]!r}; known: {', '.join(TYPES)}"
        )
    return tuple(dict.fromkeys(types))


def _checked_description(text: str) -> str:
    if len(text) > DESCRIPTION_MAX or not text.isprintable():
        raise Refused(errors.INVALID_VALUE, f"description has at most {DESCRIPTION_MAX} printable characters")
    return text
