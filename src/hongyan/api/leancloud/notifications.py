"""What a client missed while it was away (reference 8.4). One answer has what each SDK looks for."""

from collections.abc import Callable
from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.params import QueryParameter
from msgspec import Raw

from hongyan.api.errors import HttpError
from hongyan.api.leancloud.credentials import app_of, client_of
from hongyan.api.site import CurrentSite
from hongyan.engine.limits import Operation, rate
from hongyan.engine.notifications import Missed
from hongyan.engine.sessions import TEMPORARY
from hongyan.engine.values import Notification, iso_time, seconds_left
from hongyan.errors import CONVERSATION_API_QUOTA_EXCEEDED, Refused

#: `notificationType`, and the words for it in the query (reference 3.15).
PERMANENT, DROPPABLE = 1, 2
KINDS = {"permanent": {PERMANENT}, "droppable": {DROPPABLE}, None: {PERMANENT, DROPPABLE}}
#: Notifications that are receipts.
RECEIPTS = frozenset({"received", "read"})
TIME_DIGITS = 15

Text = str | None
ClientId = Annotated[Text, QueryParameter(name="client_id")]
Since = Annotated[Text, QueryParameter(name="start_ts")]
Kind = Annotated[Text, QueryParameter(name="notification_type")]


@get("/1.1/rtm/notifications")
async def missed(
    request: Request[Any, Any, Any],
    site: CurrentSite,
    client_id: ClientId = None,
    start_ts: Since = None,
    notification_type: Kind = None,
) -> Response[dict[str, Any]]:
    """Notifications of later times than `start_ts`."""
    app = app_of(request, site)
    if not client_id:
        raise HttpError(400, "The parameter `client_id` is missing.")
    ticket = client_of(request, site, app, client_id)
    client = ticket.client
    since, kinds = _time(start_ts), _kinds(notification_type)
    if not site.engine.limits.allow(app, client, Operation.READ):
        raise Refused(CONVERSATION_API_QUOTA_EXCEEDED, f"at most {rate(app, Operation.READ)} such calls per minute")
    found = await site.engine.notifications.missed(
        app,
        client,
        since,
        permanent=PERMANENT in kinds,
        droppable=DROPPABLE in kinds,
        temporary=bool(ticket.bitmap & TEMPORARY),
    )
    return Response(_answer(found, site.engine.clock.now()), headers={"Cache-Control": "no-store"})


router = Router("/", route_handlers=[missed])


def _time(text: str | None) -> int:
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= TIME_DIGITS):
        raise HttpError(400, "The parameter `start_ts` must be a time in milliseconds.")
    return int(text)


def _kinds(text: str | None) -> set[int]:
    if text not in KINDS:
        raise HttpError(400, "The parameter `notification_type` is `permanent`, `droppable` or absent.")
    return KINDS[text]


def _answer(found: Missed, now: int) -> dict[str, Any]:
    permanent = [_item(notification, PERMANENT, now) for notification in found.permanent]
    droppable = [_item(notification, DROPPABLE, now) for notification in found.droppable]
    return {
        "notifications": permanent,
        "hasMore": found.has_more,
        "permanent": {"notifications": permanent, "hasMore": found.has_more},
        "droppable": {"notifications": droppable, "invalidLocalConvCache": not found.complete},
    }


def _item(notification: Notification, kind: int, now: int) -> dict[str, Any]:
    if notification.op in RECEIPTS:
        return _receipt(notification)
    item, ends = _change(notification, kind), notification.expires_at
    return item if ends is None else {**item, "tempConv": True, "tempConvTTL": seconds_left(ends, now)}


def _receipt(notification: Notification) -> dict[str, Any]:
    """`read` is left out of a delivery receipt, as on the websocket."""
    item = {
        "cmd": "rcp",
        "cid": notification.conversation_id,
        "serverTs": notification.at,
        "notificationType": DROPPABLE,
        "id": notification.details["id"],
        "t": notification.at,
        "from": notification.by,
    }
    return {**item, "read": True} if notification.op == "read" else item


def _change(notification: Notification, kind: int) -> dict[str, Any]:
    return {
        "cmd": "conv",
        "op": notification.op.replace("_", "-"),
        "cid": notification.conversation_id,
        "serverTs": notification.at,
        "notificationType": kind,
        "initBy": notification.by,
        "udate": iso_time(notification.at),
        **_DETAILS.get(notification.op, _nothing)(notification),
    }


def _nothing(_: Notification) -> dict[str, Any]:
    return {}


def _members(notification: Notification) -> dict[str, Any]:
    return {"m": list(notification.details["clients"])}


def _attributes(notification: Notification) -> dict[str, Any]:
    """Both are JSON already."""
    details = notification.details
    return {"attr": Raw(details["attr"].encode()), "attrModified": Raw(details["modified"].encode())}


def _member_info(notification: Notification) -> dict[str, Any]:
    details = notification.details
    return {"info": {"pid": details["client"], "role": details["role"], "infoId": details["info_id"]}}


_DETAILS: dict[str, Callable[[Notification], dict[str, Any]]] = {
    "members_joined": _members,
    "members_left": _members,
    "members_blocked": _members,
    "members_unblocked": _members,
    "updated": _attributes,
    "member_info_changed": _member_info,
    "members_shutuped": _members,
    "members_unshutuped": _members,
}
