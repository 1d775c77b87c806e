"""Pushes over HTTP (REST reference 6.2): asking for them, and what became of them.

All with the master key, but asking, for which the app may let its clients use the app's key (`push_by_clients`).
"""

import json
import re
from datetime import UTC, datetime
from typing import Any

from litestar import Request, Router, delete, get, post
from litestar.params import FromPath

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import objects, parameters, sending
from hongyan.api.leancloud.credentials import app_of, app_of_master, has_master_key, require_key
from hongyan.api.leancloud.parameters import Values, wrong
from hongyan.api.site import CurrentSite, Site
from hongyan.engine import push_calls
from hongyan.engine.budgets import Budget
from hongyan.engine.push_calls import Wanted
from hongyan.engine.push_devices import ANDROID, IOS, WEB, vendor_of
from hongyan.engine.pushing import Environment
from hongyan.engine.values import App, PushRow, iso_time

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]
Row = dict[str, Any]

#: Bytes that a body must stay under, so that it fits what the services take.
BODY_MAX = 4_096
#: The same with the addresses of devices in it, which are not sent.
DEVICES_BODY_MAX = 131_072
#: Pushes of a page.
PAGE, PAGE_MAX = 100, 1_000
#: Devices a second of the slowest `flow_control`, and the longest times (s).
FLOW_MIN, FLOW_MAX, SECONDS_MAX = 1_000, 1_000_000, 10**9
#: REST reference 1.7.
_UNKNOWN = 101
_ID = re.compile(r"[A-Za-z0-9]{1,16}")


@post("/1.1/push", status_code=200, summary="Push to devices that meet a condition, or listen to channels")
async def push(request: AnyRequest, site: CurrentSite) -> Row:
    """At once or at `push_time`; a call with the same `req_id` within five minutes is the same push."""
    app, values = await _asked(request, site)
    given = values.get("channels")
    channels = None if given is None else _channels(values)
    return await _ask(site, app, _wanted(request, values, where=_where(values), channels=channels))


@post("/1.1/push/devices", status_code=200, summary="Push to devices by their addresses")
async def push_to_devices(request: AnyRequest, site: CurrentSite) -> Row:
    """Of iOS by `deviceToken`, of Android by `installationId`, or with `vendor` by the address that its maker gave."""
    app, values = await _asked(request, site, DEVICES_BODY_MAX)
    ids = parameters.texts(values, "device_ids")
    if not 1 <= len(ids) <= push_calls.NAMED_MAX or not all(1 <= len(each) <= BODY_MAX for each in ids):
        raise wrong("device_ids", f"an array of 1 to {push_calls.NAMED_MAX} strings")
    return await _ask(site, app, _wanted(request, values, devices=ids, platform=_platform(values)))


@get("/1.1/push/vapid", summary="What a browser needs to subscribe to the app's pushes")
async def vapid(request: AnyRequest, site: CurrentSite) -> Row:
    """The public key, for `applicationServerKey` of the browser's `PushManager.subscribe`."""
    app = app_of(request, site)
    require_key(request, app)
    key = site.engine.push_services.public_key(app, WEB)
    if key is None:
        raise HttpError(404, "The app does not push to browsers.", _UNKNOWN)
    return {"publicKey": key}


@get(["/1.1/notifications", "/1.1/tables/Notifications"], summary="Pushes that were asked for in the last days")
async def pushes(request: AnyRequest, site: CurrentSite) -> Row:
    """The newest first; those of messages are not among them."""
    app, asked = app_of_master(request, site), parameters.query_of(request)
    limit, skip = parameters.size(asked, PAGE, PAGE_MAX), parameters.number(asked, "skip", 0)
    now = site.engine.clock.now()
    return {"results": [_shown(row, now) for row in await site.engine.push_calls.page(app, limit, skip)]}


@get(
    ["/1.1/notifications/{push_id:str}", "/1.1/tables/Notifications/{push_id:str}"],
    summary="What became of a push",
)
async def one(request: AnyRequest, site: CurrentSite, push_id: Id) -> Row:
    app = app_of_master(request, site)
    return _shown(await site.engine.push_calls.get(app, push_id), site.engine.clock.now())


@get("/1.1/scheduledPushMessages", summary="Pushes that wait for their time")
async def scheduled(request: AnyRequest, site: CurrentSite) -> Row:
    app, asked = app_of_master(request, site), parameters.query_of(request)
    limit, skip = parameters.size(asked, PAGE, PAGE_MAX), parameters.number(asked, "skip", 0)
    return {"results": [_scheduled(row, app) for row in await site.engine.push_calls.waiting(app, limit, skip)]}


@get("/1.1/scheduledPushMessages/{push_id:str}", summary="A push that waits for its time")
async def one_scheduled(request: AnyRequest, site: CurrentSite, push_id: Id) -> Row:
    app = app_of_master(request, site)
    row = await site.engine.push_calls.get(app, push_id)
    if row.begun or row.push_at <= site.engine.clock.now():
        raise HttpError(404, "No push that waits has this id.", _UNKNOWN)
    return _scheduled(row, app)


@delete("/1.1/scheduledPushMessages/{push_id:str}", status_code=200, summary="Take back a push that waits")
async def cancel(request: AnyRequest, site: CurrentSite, push_id: Id) -> Row:
    await site.engine.push_calls.cancel(app_of_master(request, site), push_id)
    return {}


router = Router(
    "/",
    route_handlers=[push, push_to_devices, vapid, pushes, one, scheduled, one_scheduled, cancel],
    request_max_body_size=objects.BODY_MAX,
)


async def _asked(request: AnyRequest, site: Site, body_max: int = BODY_MAX) -> tuple[App, Values]:
    """The app that may ask for a push, and what it says. Raises HttpError."""
    app = app_of(request, site)
    if not has_master_key(request):
        if not app.settings.push_by_clients:
            raise HttpError(403, "This call needs the master key. The app setting `push_by_clients` lets clients push.")
        require_key(request, app)
    # the framework stops reading a body that is far longer
    if len(await request.body()) >= body_max:
        raise HttpError(413, f"The body of a push has less than {body_max:,} bytes.", parameters.WRONG)
    return app, await parameters.body_of(request)


async def _ask(site: Site, app: App, wanted: Wanted) -> Row:
    sending.spend(site, app, Budget.PUSH)
    push_id, created_at = await site.engine.push_calls.ask(app, wanted)
    return {"objectId": push_id, "createdAt": iso_time(created_at)}


def _wanted(request: AnyRequest, values: Values, **which: Any) -> Wanted:
    """Raises HttpError."""
    data = values.get("data")
    if not isinstance(data, dict):
        raise wrong("data", "an object")
    expires_at = _time(values, "expiration_time")
    lifetime = None if values.get("expiration_interval") is None else _seconds(values, "expiration_interval")
    if expires_at is not None and lifetime is not None:
        raise wrong("expiration_interval", "left out beside `expiration_time`")
    rate = _flow(values)
    kept = {name: _id(values, name) for name in ("notification_id", "req_id") if values.get(name) is not None}
    return Wanted(
        data,
        push_at=_time(values, "push_time") or 0,
        expires_at=expires_at,
        lifetime=lifetime,
        environment=_environment(request, values),
        topic=_text(values, "topic"),
        team=_text(values, "apns_team_id"),
        rate=rate,
        req_id=kept.get("req_id"),
        more=kept,
        **which,
    )


def _where(values: Values) -> str:
    """An object, or its JSON. Raises HttpError."""
    given = values.get("where")
    if given is None:
        return ""
    if not isinstance(given, dict | str):
        raise wrong("where", "an object")
    return given if isinstance(given, str) else json.dumps(given)


def _channels(values: Values) -> list[str]:
    channels = parameters.texts(values, "channels")
    if not 1 <= len(channels) <= push_calls.CHANNELS_MAX:
        raise wrong("channels", f"an array of 1 to {push_calls.CHANNELS_MAX} strings")
    return channels


def _platform(values: Values) -> str:
    """Raises HttpError."""
    kind = parameters.text(values, "device_type").lower()
    if kind not in (IOS, ANDROID):
        raise wrong("device_type", f"{IOS} or {ANDROID}")
    if values.get("vendor") is None:
        return kind
    vendor = vendor_of(values["vendor"])
    if kind != ANDROID or vendor is None:
        raise wrong("vendor", "the maker of an Android device, such as mi, hms or fcm")
    return vendor


def _environment(request: AnyRequest, values: Values) -> Environment:
    """Any value of the header but 1 is for development, if the body says nothing (REST reference 1.2)."""
    given = values.get("prod")
    if given is None:
        return "prod" if request.headers.get("X-LC-Prod", "1") == "1" else "dev"
    if given not in ("prod", "dev"):
        raise wrong("prod", "prod or dev")
    return "prod" if given == "prod" else "dev"


def _flow(values: Values) -> int:
    """More slowly than the slowest is as slow as that."""
    if values.get("flow_control") is None:
        return 0
    given = parameters.number(values, "flow_control")
    return min(max(given, FLOW_MIN), FLOW_MAX) if given else 0


def _time(values: Values, name: str) -> int | None:
    """A time in ISO 8601, as text or as a Date. Raises HttpError."""
    given = values.get(name)
    if isinstance(given, dict) and given.get("__type") == "Date":
        given = given.get("iso")
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise wrong(name, "a time such as 2026-01-31T08:00:00.000Z") from None
    at = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    if not 0 <= at <= SECONDS_MAX * 10_000:
        raise wrong(name, "a time such as 2026-01-31T08:00:00.000Z")
    return at


def _seconds(values: Values, name: str) -> int:
    given = parameters.number(values, name)
    if not 1 <= given <= SECONDS_MAX:
        raise wrong(name, "a number of seconds")
    return given * 1000


def _id(values: Values, name: str) -> str:
    given = values[name]
    if not isinstance(given, str) or not _ID.fullmatch(given):
        raise wrong(name, "a string of 1 to 16 letters and digits")
    return given


def _text(values: Values, name: str) -> str:
    given = values.get(name)
    if given is not None and not isinstance(given, str):
        raise wrong(name, "a string")
    return given or ""


def _shown(row: PushRow, now: int) -> Row:
    """As LeanCloud's console has it; which keys it has there besides is not documented (inferred)."""
    over = row.successes + row.failures + row.invalid_tokens
    if not row.begun and row.push_at > now:
        status = "scheduled"
    else:
        status = "done" if row.planned and over >= row.devices else "in-queue"
    asked = row.request
    shown = {
        "objectId": row.id,
        "createdAt": iso_time(row.created_at),
        "status": status,
        "data": asked["data"],
        "where": asked.get("where"),
        "channels": asked.get("channels"),
        "prod": asked["environment"],
        "pushTime": iso_time(row.push_at),
        "expirationTime": iso_time(row.expires_at),
        "devices": row.devices,
        "successes": row.successes,
        "failures": row.failures,
        "invalidTokens": row.invalid_tokens,
        **asked.get("more", {}),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _scheduled(row: PushRow, app: App) -> Row:
    """As LeanCloud answers it (inferred from its documentation's example)."""
    asked = row.request
    message = {
        "app-id": app.id,
        "data": asked["data"],
        "where": asked.get("where"),
        "channels": asked.get("channels"),
        "prod": asked["environment"],
        "push-time": iso_time(row.push_at),
    }
    shown = {name: value for name, value in message.items() if value is not None}
    return {"id": row.id, "expire_time": row.expires_at, "push_msg": shown}
