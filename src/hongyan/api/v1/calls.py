"""What all calls of the API share: who calls, typed bodies, pages.

Who calls is asked before anything else: a stranger learns nothing from how a call is refused.
"""

from typing import Any, Generic, Protocol, TypeVar

import msgspec
from litestar import Request, Router
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from hongyan import errors
from hongyan.api.errors import HttpError
from hongyan.api.leancloud.credentials import app_by_keys, app_of_master, check_ready
from hongyan.api.site import Site
from hongyan.engine.values import App, iso_time
from hongyan.errors import INVALID_ORIGIN, INVALID_VALUE, Refused

AnyRequest = Request[Any, Any, Any]
T = TypeVar("T")

PREFIX = "/api/v1"
#: Bytes of a body.
BODY_MAX = 65_536
#: Items of a page, if nobody says, and at most.
PAGE, PAGE_MAX = 50, 500
_BEARER = "bearer "
#: Where handlers say what the OpenAPI document tells of them: the type of the body, the names of the query.
BODY, QUERY = "body", "query"
PAGES = ("limit", "cursor")


class HasId(Protocol):
    @property
    def id(self) -> str: ...


Identified = TypeVar("Identified", bound=HasId)


class Page(Struct, Generic[T]):
    """Some items, and the `cursor` of the page after them; null if this is the last."""

    items: list[T]
    next: str | None


def app_of(request: AnyRequest, site: Site) -> App:
    """The app that calls with its master key: in LeanCloud's headers, or as `Authorization: Bearer <app id>:<key>`.

    Raises HttpError: 401 whatever is wrong with them.
    """
    check_ready(site)
    given = request.headers.get("Authorization")
    try:
        if given is None:
            return app_of_master(request, site)
        app_id, _, key = given[len(_BEARER) :].strip().partition(":")
        if given[: len(_BEARER)].lower() == _BEARER and app_id and key:
            return app_by_keys(request, site, app_id, key)
    except (HttpError, Refused) as error:
        if isinstance(error, Refused) and error.kind is INVALID_ORIGIN:
            raise
    raise HttpError(401, "This call needs the app's id and its master key.")


async def body_of(request: AnyRequest, type_: type[T]) -> T:
    """The body as this type; an empty one is an empty object. Raises Refused(INVALID_VALUE)."""
    body = await request.body()
    try:
        return msgspec.json.decode(body or b"{}", type=type_)
    except msgspec.ValidationError as error:
        raise Refused(INVALID_VALUE, f"the body is wrong: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(INVALID_VALUE, "the body is not JSON, or nested too deeply") from None


def limit_of(request: AnyRequest) -> int:
    """How many items are asked for. Raises Refused(INVALID_VALUE)."""
    given = request.query_params.get("limit", str(PAGE))
    if not given.isascii() or not given.isdigit() or len(given) > 9 or not 1 <= int(given) <= PAGE_MAX:
        raise Refused(errors.INVALID_VALUE, f"limit is a whole number from 1 to {PAGE_MAX}")
    return int(given)


def cursor_of(request: AnyRequest, numbers: int) -> tuple[int, ...]:
    """A cursor of so many whole numbers; zeros if there is none. Raises Refused(INVALID_VALUE)."""
    given = request.query_params.get("cursor")
    if given is None:
        return (0,) * numbers
    parts = given.split(".")
    if len(parts) != numbers or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        raise Refused(errors.INVALID_VALUE, "the cursor is none that was given")
    return tuple(map(int, parts))


def part_of(request: AnyRequest, everything: list[Identified]) -> tuple[list[Identified], str | None]:
    """What is on the page that is asked for, of things in memory, and the cursor of the next: an id.

    Raises Refused(INVALID_VALUE).
    """
    limit, after = limit_of(request), request.query_params.get("cursor", "")
    ids = [each.id for each in everything]
    if after and after not in ids:
        raise Refused(errors.INVALID_VALUE, "the cursor is none of what is listed here")
    start = ids.index(after) + 1 if after else 0
    page = everything[start : start + limit]
    return page, page[-1].id if start + limit < len(ids) else None


def time_of(milliseconds: int | None) -> str | None:
    """A time as all answers have it."""
    return None if milliseconds is None else iso_time(milliseconds)


def router(*handlers: HTTPRouteHandler) -> Router:
    return Router(PREFIX, route_handlers=handlers, request_max_body_size=BODY_MAX)
