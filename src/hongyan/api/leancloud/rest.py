"""What the REST calls of an app's own server share: the master key, parameters in bodies, the kind in the path."""

from typing import Any, NamedTuple

import msgspec
from litestar.params import FromPath

from hongyan import errors
from hongyan.api.errors import HttpError
from hongyan.api.leancloud.credentials import AnyRequest, app_of_master
from hongyan.api.site import Site
from hongyan.engine.values import App, ConversationKind
from hongyan.errors import Refused

ConversationId = FromPath[str]

#: What paths call the kinds of conversations, and what answers to one of another kind.
KINDS = {
    "conversations": (ConversationKind.NORMAL, errors.NORMAL_CONVERSATION_REQUIRED),
    "chatrooms": (ConversationKind.CHATROOM, errors.TRANSIENT_CONVERSATION_REQUIRED),
}
_KIND_PART = 3
_DIGITS_MAX = 9


def paths(rest: str) -> list[str]:
    """The paths of a call that all these kinds know."""
    return [f"/1.2/rtm/{kind}/{{conversation_id:str}}/{rest}" for kind in KINDS]


class Call(NamedTuple):
    """A call with the master key, on a conversation of the kind in its path."""

    app: App
    site: Site
    conversation_id: str
    given: dict[str, Any]


async def call_on(request: AnyRequest, site: Site, conversation_id: str) -> Call:
    """Raises HttpError and Refused: CONVERSATION_NOT_FOUND, or for one of another kind."""
    if not site.ready:
        raise HttpError(503, "The server is starting or stopping.")
    app = app_of_master(request, site)
    given = await parameters(request)
    wanted, otherwise = KINDS[request.url.path.split("/")[_KIND_PART]]
    conversation = await site.engine.access.conversation(app, conversation_id)
    if conversation.kind != wanted:
        raise Refused(otherwise, "a conversation of another kind")
    return Call(app, site, conversation.id, given)


async def parameters(request: AnyRequest) -> dict[str, Any]:
    """Those of the body, which is a JSON object, and those of the query, which are texts."""
    body = await request.body()
    try:
        given = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HttpError(400, "The body is not JSON.", 107) from None
    if not isinstance(given, dict):
        raise HttpError(400, "The body is not a JSON object.", 107)
    return {**dict(request.query_params), **given}


def text(given: dict[str, Any], name: str) -> str:
    """A parameter that must be there."""
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise HttpError(400, f"The parameter `{name}` must be a text.")
    return value


def texts(given: dict[str, Any], name: str) -> list[str]:
    """A parameter that must be a list."""
    value = given.get(name)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise HttpError(400, f"The parameter `{name}` must be a list of texts.")
    return value


def number(given: dict[str, Any], name: str, otherwise: int | None = None) -> int:
    """A parameter that is a number, not below zero; texts of the query are taken, too."""
    value = given.get(name, otherwise)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX:
        value = int(value)
    if type(value) is not int or not 0 <= value < 10**_DIGITS_MAX:
        raise HttpError(400, f"The parameter `{name}` must be a number, not below zero.")
    return value
