"""What the REST calls of an app's own server share: the kind in the path, and how they say what the engine refuses."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, Router
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hongyan import errors
from hongyan.api.errors import failure
from hongyan.api.leancloud.credentials import AnyRequest, app_of_class, app_of_master
from hongyan.api.leancloud.parameters import BODY_MAX, body_or_query
from hongyan.api.site import Site
from hongyan.engine.values import App, Conversation, ConversationKind
from hongyan.errors import APP_NOT_AVAILABLE, Refused

ConversationId = FromPath[str]

#: What paths call the kinds of conversations, and what answers to one of another kind.
KINDS = {
    "conversations": (ConversationKind.NORMAL, errors.NORMAL_CONVERSATION_REQUIRED),
    "chatrooms": (ConversationKind.CHATROOM, errors.TRANSIENT_CONVERSATION_REQUIRED),
    "service-conversations": (ConversationKind.SERVICE, errors.SYSTEM_CONVERSATION_REQUIRED),
}
#: Those in which clients are silenced and have roles.
WITH_STANDINGS = ("conversations", "chatrooms")
_KIND_PART = 3
#: Statuses that callers act on by themselves (REST reference 1.5).
_TELLING = frozenset({401, 429, 500, 507})


def paths(rest: str, kinds: Sequence[str] = tuple(KINDS)) -> list[str]:
    """The paths of a call that all these kinds know."""
    return [f"/1.2/rtm/{kind}/{{conversation_id:str}}/{rest}" for kind in kinds]


def kind_of(request: AnyRequest) -> tuple[ConversationKind, errors.Kind]:
    """The kind of conversations in the path, and what answers to one of another kind."""
    return KINDS[request.scope["path"].split("/")[_KIND_PART]]


def check_kind(request: AnyRequest, conversation: Conversation) -> Conversation:
    """For calls on messages, where a temporary conversation counts as a normal one. Raises Refused."""
    wanted, otherwise = kind_of(request)
    is_alike = (wanted, conversation.kind) == (ConversationKind.NORMAL, ConversationKind.TEMPORARY)
    if conversation.kind != wanted and not is_alike:
        raise Refused(otherwise, "a conversation of another kind")
    return conversation


async def call_on(request: AnyRequest, site: Site, conversation_id: str) -> tuple[App, dict[str, Any]]:
    """The app that calls with its master key, and what it says, about a conversation of the kind in the path.

    Raises HttpError and Refused: CONVERSATION_NOT_FOUND, or for one of another kind.
    """
    app = app_of_master(request, site)
    given = await body_or_query(request)
    await of_kind(request, site, app, conversation_id)
    return app, given


async def write_on(request: AnyRequest, site: Site, conversation_id: str) -> tuple[App, Conversation]:
    """The app that may write conversations, and one of the kind in the path. Raises HttpError and Refused.

    What all subscribers have is the application's own.
    """
    app = writer_of(request, site, kind_of(request)[0])
    return app, await of_kind(request, site, app, conversation_id)


def writer_of(request: AnyRequest, site: Site, kind: ConversationKind) -> App:
    """The app that may write conversations of this kind. Raises HttpError and Refused."""
    is_service = kind is ConversationKind.SERVICE
    return app_of_master(request, site) if is_service else app_of_class(request, site, writes=True)[0]


async def of_kind(request: AnyRequest, site: Site, app: App, conversation_id: str) -> Conversation:
    """A conversation of the kind in the path. Raises Refused: CONVERSATION_NOT_FOUND, or for one of another kind."""
    wanted, otherwise = kind_of(request)
    conversation = await site.engine.access.conversation(app, conversation_id)
    if conversation.kind != wanted:
        raise Refused(otherwise, "a conversation of another kind")
    return conversation


def router(*handlers: HTTPRouteHandler) -> Router:
    """Of calls that answer HTTP 400 to what the engine refuses, unless another status says more."""
    return Router("/", route_handlers=handlers, exception_handlers={Refused: _refused}, request_max_body_size=BODY_MAX)


def _refused(_request: AnyRequest, error: Refused) -> Response[Any]:
    kept = error.kind.status in _TELLING or error.kind is APP_NOT_AVAILABLE
    status = error.kind.status if kept else 400
    sentence = str(error).rstrip(".")
    return failure(status, error.kind.code, f"{sentence}. {error.kind.advice_en}")
