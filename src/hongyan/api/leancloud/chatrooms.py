"""Who is in a chat room (REST reference 3.6: R5, R6, and their older names of 3.11)."""

from typing import Any

from litestar import get

from hongyan.api.leancloud import parameters, rest
from hongyan.api.leancloud.credentials import AnyRequest, app_of, require_key
from hongyan.api.leancloud.rest import ConversationId, call_on
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.chatrooms import SAMPLE_MAX
from hongyan.engine.values import App, ConversationKind
from hongyan.errors import TRANSIENT_CONVERSATION_REQUIRED, Refused

ROOM = "/1.2/rtm/chatrooms/{conversation_id:str}/members"


@get(ROOM)
async def members(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    """R5: some of those who are there, drawn by lot."""
    app, _ = await call_on(request, site, conversation_id)
    return {"result": await site.engine.info.online_members(app, conversation_id, SAMPLE_MAX)}


@get(f"{ROOM}/online-count")
async def online_count(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    """R6: how many are there."""
    app, _ = await call_on(request, site, conversation_id)
    return {"result": await _count(site, app, conversation_id)}


@get("/1.1/rtm/transient_group/members")
async def group_members(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """R5 of old, for whoever has the app's key."""
    app = _app(request, site)
    room = parameters.text(parameters.query_of(request), "gid")
    return {"result": await site.engine.info.online_members(app, room, SAMPLE_MAX)}


@get("/1.1/rtm/transient_group/onlines")
async def group_onlines(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """R6 of old, for whoever has the app's key."""
    app = _app(request, site)
    return {"result": await _count(site, app, parameters.text(parameters.query_of(request), "gid"))}


router = rest.router(members, online_count, group_members, group_onlines)


def _app(request: AnyRequest, site: Site) -> App:
    """The app that calls with a key. Raises HttpError and Refused(APP_NOT_AVAILABLE)."""
    app = app_of(request, site)
    require_key(request, app)
    return app


async def _count(site: Site, app: App, room: str) -> int:
    conversation = await site.engine.access.conversation(app, room)
    if conversation.kind is not ConversationKind.CHATROOM:
        raise Refused(TRANSIENT_CONVERSATION_REQUIRED, "only chat rooms tell who is online")
    return site.engine.chatrooms.count(conversation)
