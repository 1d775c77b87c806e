"""The HTTP application: every resource, and what all of them share."""

import secrets
from typing import Any

import structlog
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from hongyan.api import acts, errors, files, health, metrics, pages
from hongyan.api.answer import Answer
from hongyan.api.compression import compressed
from hongyan.api.leancloud import (
    archive,
    batch,
    blacklists,
    broadcasts,
    chatrooms,
    clients,
    conversation_class,
    conversations,
    installations,
    legacy_messages,
    livequery,
    member_infos,
    messages,
    notifications,
    pushes,
    route,
    service_conversations,
    service_messages,
    silenceds,
    storage,
    uploads,
    users,
)
from hongyan.api.site import Site
from hongyan.api.tunnel import REQUEST_MAX, tunnelled
from hongyan.api.v1 import bridges, channels, templates, webhooks

TRACE_HEADER = "X-Trace-Id"
_TRACE = TRACE_HEADER.lower().encode()
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_CORS_PREFIX = b"access-control-"

# LeanCloud REST 1.4: browsers on any site call this API. Nothing else is for pages of other sites to read.
SDK_PATHS = ("/v1/", "/1/", "/2/", "/1.1/", "/1.2/", "/files/")
CORS = CORSConfig(
    allow_origins=["*"],
    allow_methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"],
    expose_headers=[TRACE_HEADER, "Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Location"],
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
            archive.router,
            broadcasts.router,
            clients.router,
            legacy_messages.router,
            livequery.router,
            member_infos.router,
            silenceds.router,
            blacklists.router,
            conversations.router,
            conversation_class.router,
            chatrooms.router,
            service_conversations.router,
            service_messages.router,
            uploads.router,
            files.router,
            users.router,
            installations.router,
            pushes.router,
            storage.router,
            batch.router,
            webhooks.router,
            channels.router,
            bridges.router,
            templates.router,
            acts.router,
            pages.router,
        ],
        dependencies={"site": Provide(lambda: site, sync_to_thread=False)},
        response_class=Answer,
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
                headers = [*message["headers"], (_TRACE, trace_id.encode()), _NO_SNIFFING]
                if not scope["path"].startswith(SDK_PATHS):
                    headers = [header for header in headers if not header[0].lower().startswith(_CORS_PREFIX)]
                message["headers"] = headers
            await send(message)

        # the server runs each call in a task, whose context ends with it
        structlog.contextvars.bind_contextvars(trace_id=trace_id)
        await app(_head_as_get(scope), receive, send_traced)

    return call


def _head_as_get(scope: Any) -> Any:
    """The server leaves the body out: it looks at the scope it made."""
    return {**scope, "method": "GET", files.HEAD: True} if scope["method"] == "HEAD" else scope
