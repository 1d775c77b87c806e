"""Where SDKs ask for the gateway's address (reference 1.2 and 1.3).

Parameters other than `appId` (`secure`, `features`, `server`, `installationId`, `_t`) change nothing: the
answer says `wss` where this server speaks TLS and `ws` where it does not, whatever was asked for.
"""

from typing import Annotated, Any
from urllib.parse import urlsplit

from litestar import Request, Router, get
from litestar.params import QueryParameter

from hongyan.api.caller import bracketed, caller_of, reached_host
from hongyan.api.errors import HttpError
from hongyan.api.leancloud.credentials import check_ready
from hongyan.api.site import CurrentSite, Site
from hongyan.config import Settings
from hongyan.errors import APP_NOT_AVAILABLE, Refused

TTL = 3600
GROUP = "g0"

AppId = Annotated[str | None, QueryParameter(name="appId")]


@get("/v1/route")
async def route(request: Request[Any, Any, Any], site: CurrentSite, app_id: AppId = None) -> dict[str, str | int]:
    """The gateway's address."""
    check_app(site, app_id)
    url = gateway_url(request, site)
    return {"server": url, "secondary": url, "ttl": TTL, "groupId": GROUP, "groupUrl": url}


@get(["/1/route", "/2/route"])
async def app_route(request: Request[Any, Any, Any], site: CurrentSite, app_id: AppId = None) -> dict[str, str | int]:
    """The hosts of an app's services: all are this one. SDKs put `https://` before each."""
    check_app(site, app_id)
    host = http_host(request, site.settings)
    names = ("api", "engine", "push", "stats", "rtm_router", "push_router")
    return {**{f"{name}_server": host for name in names}, "ttl": TTL}


router = Router("/", route_handlers=[route, app_route])


def check_app(site: Site, app_id: str | None) -> None:
    check_ready(site)
    if not app_id:
        raise HttpError(400, "The parameter `appId` is missing.")
    if site.apps.get(app_id) is None:
        raise Refused(APP_NOT_AVAILABLE, "no app has this id")


def gateway_url(request: Request[Any, Any, Any], site: Site) -> str:
    """The gateway's address for this caller."""
    settings = site.settings
    if settings.public_gateway_url is not None:
        return settings.public_gateway_url
    caller = caller_of(request, settings)
    scheme = "wss" if caller.secure or settings.tls_cert else "ws"
    return f"{scheme}://{reached_host(request, caller, settings)}:{site.gateway_port}"


def http_host(request: Request[Any, Any, Any], settings: Settings) -> str:
    """This server's host, with its port, for this caller."""
    if settings.public_url is not None:
        return urlsplit(settings.public_url).netloc
    caller = caller_of(request, settings)
    if caller.host is not None:
        return caller.host
    server = request.scope["server"]
    port = server[1] if server else settings.http_port
    return f"{bracketed(reached_host(request, caller, settings))}:{port}"
