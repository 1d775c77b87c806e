"""The HTTP application: every resource, and what all of them share."""

import secrets
from typing import Any

import structlog
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from hongyan.api import errors, health, metrics, pages
from hongyan.api.compression import compressed
from hongyan.api.leancloud import (
    batch,
    blacklists,
    installations,
    livequery,
    member_infos,
    messages,
    notifications,
    route,
    service_conversations,
    service_messages,
    silenceds,
    storage,
    users,
)
from hongyan.api.site import Site
from hongyan.api.tunnel import REQUEST_MAX, tunnelled

TRACE_HEADER = "X-Trace-Id"

# LeanCloud REST 1.4: browsers on any site call this API. Nothing else is for pages of other sites to read.
SDK_PATHS = ("/v1/", "/1/", "/2/", "/1.1/", "/1.2/")
CORS = CORSConfig(
    allow_origins=["*"],
    allow_methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"],
    expose_headers=[TRACE_HEADER],
    max_age=86_400,
)


def application(site: Site) -> ASGIApp:
    """Build the application over a running server."""
    return traced(compressed(tunnelled(framework(site))))


def framework(site: Site | None, openapi: OpenAPIConfig | None = None) -> Litestar:
    """Every resource, without what is done before and after all calls; `site` is None if none will come."""
    return Litestar(
        route_handlers=[
            health.router,
            metrics.metrics,
            route.router,
            notifications.router,
            messages.router,
            livequery.router,
            member_infos.router,
            silenceds.router,
            blacklists.router,
            service_conversations.router,
            service_messages.router,
            users.router,
            installations.router,
            storage.router,
            batch.router,
            pages.router,
        ],
        dependencies={"site": Provide(lambda: site, sync_to_thread=False)},
        exception_handlers=errors.HANDLERS,
        cors_config=CORS,
        logging_config=None,
        openapi_config=openapi,
        request_max_body_size=REQUEST_MAX,
    )


def traced(app: Any) -> ASGIApp:
    """Give every call an id, which stands in its answer and in each line it logs; take HEAD for GET."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        trace_id = secrets.token_hex(8)

        async def send_traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                headers[TRACE_HEADER] = trace_id
                headers["X-Content-Type-Options"] = "nosniff"
                if not scope["path"].startswith(SDK_PATHS):
                    _keep_to_own_pages(headers)
            await send(message)

        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            await app(_head_as_get(scope), receive, send_traced)

    return call


def _keep_to_own_pages(headers: MutableScopeHeaders) -> None:
    for name in {name for name in headers if name.lower().startswith("access-control-")}:
        del headers[name]


def _head_as_get(scope: Any) -> Any:
    """The server leaves the body out: it looks at the scope it made."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
