"""The parameters of calls of the REST API: JSON bodies and queries, looked at one by one (REST reference 1.1, 3.3)."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from litestar import Request

from hongyan.api.errors import HttpError
from hongyan.engine import json_text
from hongyan.engine.values import HistoryRange, Priority

#: Codes of the storage service: something is wrong with a parameter; the body is not JSON (REST reference 1.7).
WRONG, NOT_JSON = 1, 107
#: Bytes of a body, and above which it is parsed in a thread.
BODY_MAX, LARGE = 1_048_576, 4_096
ID_MAX = 64
#: The list that a `DELETE` may name.
CLIENTS = "client_ids"
#: Digits of a whole number in a query.
DIGITS = 15

AnyRequest = Request[Any, Any, Any]
Values = Mapping[str, Any]


def wrong(name: str, what: str) -> HttpError:
    return HttpError(400, f"The parameter `{name}` must be {what}.", WRONG)


async def body_of(request: AnyRequest) -> dict[str, Any]:
    """The JSON object in the body; an empty body is an empty one. Raises HttpError."""
    body = await request.body()
    if not body.strip():
        return {}
    try:
        text = body.decode("utf-8")
        given = await asyncio.to_thread(json_text.parse, text) if len(text) > LARGE else json_text.parse(text)
    except ValueError:
        raise HttpError(400, "The body is not JSON, or nested too deeply.", NOT_JSON) from None
    if not isinstance(given, dict):
        raise HttpError(400, "The body must be a JSON object.", NOT_JSON)
    return given


async def body_or_query(request: AnyRequest) -> dict[str, Any]:
    """What a `DELETE` says, wherever (REST reference 1.1); a list in a query is JSON, or has commas in between."""
    asked = query_of(request)
    if CLIENTS in asked:
        asked[CLIENTS] = _list(asked[CLIENTS])
    return {**asked, **await body_of(request)}


def query_of(request: AnyRequest) -> dict[str, Any]:
    """All are texts; of one that is there twice the last counts."""
    return dict(request.query_params.items())


def text(values: Values, name: str) -> str:
    """A text that must be there. Raises HttpError."""
    given = values.get(name)
    if not isinstance(given, str) or not given:
        raise wrong(name, "a string")
    return given


def texts(values: Values, name: str) -> list[str]:
    """A list that must be there. Raises HttpError."""
    given = values.get(name)
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise wrong(name, "an array of strings")
    return given


def _list(given: str) -> list[Any]:
    try:
        items = json_text.parse(given)
    except ValueError:
        items = None
    return items if isinstance(items, list) else given.split(",")


def identity(values: Values, name: str) -> str:
    """The id of a client or a message. Raises HttpError."""
    given = text(values, name)
    if len(given) > ID_MAX:
        raise wrong(name, f"a string of 1 to {ID_MAX} characters")
    return given


def named(values: Values, *names: str) -> str:
    """The first of these names of one parameter that is there, otherwise the first."""
    return next((name for name in names if name in values), names[0])


def flag(values: Values, name: str, *, default: bool = False) -> bool:
    """A truth value, in a query a word. Raises HttpError."""
    given = values.get(name, default)
    given = {"true": True, "false": False}.get(given.lower(), given) if isinstance(given, str) else given
    if not isinstance(given, bool):
        raise wrong(name, "true or false")
    return given


def number(values: Values, name: str, default: int | None = None) -> int:
    """A whole number that is not negative, in a query its digits; it must be there if there is no default.

    Raises HttpError.
    """
    given = values.get(name, default)
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= DIGITS:
        return int(given)
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 10**DIGITS:
        return given
    raise wrong(name, "a whole number that is not negative")


def size(values: Values, default: int, most: int) -> int:
    """How many items of a list one answer has, at most: more are not given. Raises HttpError."""
    return min(number(values, "limit", default), most) or default


def history_range(values: Values, default: int, most: int) -> HistoryRange:
    """What a history call asks for. Raises HttpError."""
    start, start_id = _anchor(values, named(values, "timestamp", "max_ts"), "msgid")
    end, end_id = _anchor(values, "till_timestamp", "till_msgid")
    return HistoryRange(
        limit=min(number(values, "limit", default), most),
        newer=flag(values, "reversed"),
        start=start,
        start_id=start_id,
        start_included=flag(values, "include_start"),
        end=end,
        end_id=end_id,
        end_included=flag(values, "include_stop"),
    )


def clients(values: Values, name: str, most: int) -> list[str]:
    """Client ids, at least one, each once. Raises HttpError."""
    given = texts(values, name)
    if not 1 <= len(given) <= most or not all(1 <= len(client) <= ID_MAX for client in given):
        raise wrong(name, f"an array of 1 to {most} client ids, which have 1 to {ID_MAX} characters")
    return list(dict.fromkeys(given))


def content(values: Values, name: str = "message") -> str:
    """The body of a message: text, or an object, which is sent as its JSON. Raises HttpError."""
    given = values.get(name)
    if isinstance(given, dict):
        return json.dumps(given, ensure_ascii=False, separators=(",", ":"))
    if not isinstance(given, str):
        raise wrong(name, "a string or an object")
    return given


def text_or_object(values: Values, name: str) -> str:
    """What is kept as text if it is there. Raises HttpError."""
    return "" if values.get(name) is None else content(values, name)


def priority(values: Values, default: Priority = Priority.NORMAL) -> Priority:
    """`high`, `normal` or `low`, in any case. Raises HttpError."""
    given = values.get("priority")
    if given is None:
        return default
    found = Priority.__members__.get(given.upper()) if isinstance(given, str) else None
    if found is None:
        raise wrong("priority", "high, normal or low")
    return found


def _anchor(values: Values, time: str, message_id: str) -> tuple[int | None, str]:
    if time in values:
        return number(values, time), values.get(message_id, "")
    if message_id in values:
        raise wrong(time, f"there beside `{message_id}`")
    return None, ""
