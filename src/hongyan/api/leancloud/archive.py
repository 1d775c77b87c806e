"""All messages of an app, and all that one client has sent (REST reference 3.4: G6, U5). With the master key."""

from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from hongyan.api.leancloud import rest
from hongyan.api.leancloud.credentials import app_of_master
from hongyan.api.leancloud.messages import PAGE, PAGE_MAX, page
from hongyan.api.leancloud.parameters import history_range, identity, query_of
from hongyan.api.site import CurrentSite
from hongyan.engine.values import Archived

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]


@get("/1.2/rtm/messages", summary="All messages of the app")
async def of_app(request: AnyRequest, site: CurrentSite) -> Response[bytes]:
    """G6: the way to export all history. Service conversations with what they are to each client."""
    app = app_of_master(request, site)
    wanted = history_range(query_of(request), PAGE, PAGE_MAX)
    return await archived_page(await site.engine.archive.of_app(app, wanted))


@get("/1.2/rtm/clients/{client:str}/messages", summary="All messages that a client has sent")
async def of_author(request: AnyRequest, site: CurrentSite, client: Id) -> Response[bytes]:
    """U5: to conversations and chat rooms."""
    app = app_of_master(request, site)
    identity({"client": client}, "client")
    wanted = history_range(query_of(request), PAGE, PAGE_MAX)
    return await archived_page(await site.engine.archive.of_author(app, client, wanted))


router = rest.router(of_app, of_author)


async def archived_page(found: list[Archived]) -> Response[bytes]:
    """Messages of many conversations as an answer."""
    return await page([(each.message, each.conversation_id, each.stream) for each in found])
