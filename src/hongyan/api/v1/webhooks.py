"""Webhooks of an app: addresses that are told what happens."""

from typing import Any

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath
from msgspec import UNSET, Struct, UnsetType

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
from hongyan.engine.values import Attempt, Webhook, WebhookSecret, iso_time
from hongyan.engine.webhooks import OVERLAP, Counts, Health, type_of
from hongyan.engine.work import Job
from hongyan.errors import INVALID_VALUE, Refused

ALL = "/webhooks"
ONE = "/webhooks/{webhook:str}"
WAITING, DEAD = "waiting", "dead"
Id = FromPath[str]
#: Secrets stay in no cache.
_NO_STORE = {"Cache-Control": "no-store"}


class NewWebhook(Struct, forbid_unknown_fields=True):
    """`events` are the types that it is told; empty: all."""

    url: str
    events: list[str] = []
    description: str = ""
    enabled: bool = True


class WebhookChange(Struct, forbid_unknown_fields=True):
    """What is left out stays."""

    url: str | UnsetType = UNSET
    events: list[str] | UnsetType = UNSET
    description: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class Rotation(Struct, forbid_unknown_fields=True):
    """How long the secrets before the new one still sign."""

    overlap_seconds: int = OVERLAP


class Replay(Struct, forbid_unknown_fields=True):
    """Which dead deliveries; without, the oldest."""

    ids: list[str] | None = None


class AttemptShown(Struct):
    """One try. `error` is null if the receiver answered 2xx."""

    id: str
    type: str
    attempt: int
    at: str
    status: int | None
    error: str | None
    milliseconds: int


class HealthShown(Struct):
    """How a webhook fares. `left_out` events were not told, as too many waited; that and `recent` since the start."""

    waiting: int
    dead: int
    left_out: int
    failing_since: str | None
    last_success_at: str | None
    recent: list[AttemptShown]


class Disabled(Struct):
    """When and why the server has disabled it."""

    at: str
    reason: str


class WebhookShown(Struct):
    id: str
    url: str
    events: list[str]
    description: str
    enabled: bool
    disabled: Disabled | None
    created_at: str
    updated_at: str
    health: HealthShown


class WebhookMade(WebhookShown):
    """The secret is shown here, and where it is asked for."""

    secret: str


class SecretShown(Struct):
    secret: str
    created_at: str
    expires_at: str | None


class Secrets(Struct):
    """Those that sign now, the newest first."""

    items: list[SecretShown]


class DeliveryShown(Struct):
    """`due_at` is null of a dead one, `dead_at` of one that waits."""

    id: str
    type: str
    state: str
    attempts: int
    last_error: str | None
    created_at: str
    due_at: str | None
    dead_at: str | None


class Tested(Struct):
    """What became of a test."""

    delivered: bool
    id: str
    status: int | None
    error: str | None
    milliseconds: int


class Replayed(Struct):
    """How many are tried again, and how many are dead still."""

    replayed: int
    dead: int


@get(ALL, opt={QUERY: PAGES})
async def find(request: AnyRequest, site: CurrentSite) -> Page[WebhookShown]:
    """List the webhooks of the app, the oldest first."""
    found, cursor = part_of(request, site.engine.webhooks.of_app(app_of(request, site)))
    return Page(await _shown(site, found), cursor)


@post(ALL, opt={BODY: NewWebhook})
async def create(request: AnyRequest, site: CurrentSite) -> Response[WebhookMade]:
    """Make a webhook. Its secret is in the answer."""
    app = app_of(request, site)
    asked = await body_of(request, NewWebhook)
    webhook = await site.engine.webhooks.create(app, asked.url, asked.events, asked.description, enabled=asked.enabled)
    secret = webhook.secrets[0].value
    made = WebhookMade(**_values(webhook, site.engine.webhooks.health(webhook), Counts(0, 0)), secret=secret)
    return Response(made, status_code=201, headers={**_NO_STORE, "Location": f"{calls.PREFIX}{ALL}/{webhook.id}"})


@get(ONE)
async def read(request: AnyRequest, site: CurrentSite, webhook: Id) -> WebhookShown:
    """Read a webhook, and how it fares."""
    return await _one(site, site.engine.webhooks.get(app_of(request, site), webhook))


@patch(ONE, opt={BODY: WebhookChange})
async def change(request: AnyRequest, site: CurrentSite, webhook: Id) -> WebhookShown:
    """Change a webhook; what is left out stays. Enable one that was disabled."""
    app = app_of(request, site)
    asked = await body_of(request, WebhookChange)
    changed = await site.engine.webhooks.change(
        app, webhook, _given(asked.url), _given(asked.events), _given(asked.description), _given(asked.enabled)
    )
    return await _one(site, changed)


@delete(ONE, status_code=200)
async def erase(request: AnyRequest, site: CurrentSite, webhook: Id) -> dict[str, Any]:
    """Delete a webhook, and what waits for it."""
    await site.engine.webhooks.delete(app_of(request, site), webhook)
    return {}


@get(f"{ONE}/secrets")
async def secrets(request: AnyRequest, site: CurrentSite, webhook: Id) -> Response[Secrets]:
    """Read the secrets of a webhook that sign now."""
    return _secrets(site.engine.webhooks.secrets(app_of(request, site), webhook))


@post(f"{ONE}/secrets", opt={BODY: Rotation})
async def rotate(request: AnyRequest, site: CurrentSite, webhook: Id) -> Response[Secrets]:
    """Give a webhook a new secret. For a while deliveries are signed with both."""
    app = app_of(request, site)
    asked = await body_of(request, Rotation)
    await site.engine.webhooks.rotate(app, webhook, asked.overlap_seconds)
    return _secrets(site.engine.webhooks.secrets(app, webhook), status=201)


@post(f"{ONE}/test", status_code=200)
async def test(request: AnyRequest, site: CurrentSite, webhook: Id) -> Tested:
    """Deliver a `webhook.test` at once, and tell what became of it."""
    attempt = await site.engine.webhooks.test(app_of(request, site), webhook)
    return Tested(not attempt.error, attempt.id, attempt.status, attempt.error or None, attempt.milliseconds)


@get(f"{ONE}/deliveries", opt={QUERY: ("state", *PAGES)})
async def deliveries(request: AnyRequest, site: CurrentSite, webhook: Id) -> Page[DeliveryShown]:
    """List deliveries that wait (`state=waiting`), or that are tried no more (`state=dead`)."""
    app, limit = app_of(request, site), limit_of(request)
    state = request.query_params.get("state", WAITING)
    if state == WAITING:
        due_at, key = cursor_of(request, 2)
        found = await site.engine.webhooks.waiting(app, webhook, (due_at, key), limit + 1)
    elif state == DEAD:
        (key,) = cursor_of(request, 1)
        found = await site.engine.webhooks.dead(app, webhook, key, limit + 1)
    else:
        raise Refused(INVALID_VALUE, f"state is {WAITING} or {DEAD}")
    last = found[limit - 1] if len(found) > limit else None
    cursor = None if last is None else f"{last.due_at}.{last.key}" if state == WAITING else str(last.key)
    return Page([_delivery(job) for job in found[:limit]], cursor)


@post(f"{ONE}/replay", status_code=200, opt={BODY: Replay})
async def replay(request: AnyRequest, site: CurrentSite, webhook: Id) -> Replayed:
    """Try dead deliveries again: these, or the oldest 1,000."""
    app = app_of(request, site)
    asked = await body_of(request, Replay)
    webhooks = site.engine.webhooks
    replayed = await webhooks.replay(app, webhook, asked.ids)
    found = webhooks.get(app, webhook)
    return Replayed(replayed, (await webhooks.counts([found]))[found.id].dead)


router = calls.router(find, create, read, change, erase, secrets, rotate, test, deliveries, replay)


def _given(value: Any) -> Any:
    """None for what was left out."""
    return None if value is UNSET else value


async def _one(site: Site, webhook: Webhook) -> WebhookShown:
    return (await _shown(site, [webhook]))[0]


async def _shown(site: Site, found: list[Webhook]) -> list[WebhookShown]:
    webhooks = site.engine.webhooks
    counts = await webhooks.counts(found)
    return [WebhookShown(**_values(each, webhooks.health(each), counts[each.id])) for each in found]


def _values(webhook: Webhook, health: Health, counts: Counts) -> dict[str, Any]:
    disabled = webhook.disabled_at
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.types),
        "description": webhook.description,
        "enabled": webhook.enabled,
        "disabled": None if disabled is None else Disabled(iso_time(disabled), webhook.disabled_reason),
        "created_at": iso_time(webhook.created_at),
        "updated_at": iso_time(webhook.updated_at),
        "health": HealthShown(
            counts.waiting,
            counts.dead,
            health.left_out,
            time_of(health.failing_since),
            time_of(health.succeeded_at),
            [_attempt(attempt) for attempt in reversed(health.recent)],
        ),
    }


def _attempt(made: Attempt) -> AttemptShown:
    at, error = iso_time(made.at), made.error or None
    return AttemptShown(made.id, made.type, made.number, at, made.status, error, made.milliseconds)


def _secrets(found: list[WebhookSecret], status: int = 200) -> Response[Secrets]:
    items = [SecretShown(each.value, iso_time(each.created_at), time_of(each.expires_at)) for each in found]
    return Response(Secrets(items), status_code=status, headers=_NO_STORE)


def _delivery(job: Job) -> DeliveryShown:
    is_dead = job.dead_at is not None
    return DeliveryShown(
        job.id,
        type_of(job.body),
        DEAD if is_dead else WAITING,
        job.attempts,
        job.error or None,
        iso_time(job.created_at),
        None if is_dead else iso_time(job.due_at),
        time_of(job.dead_at),
    )
