"""The OpenAPI document of the HTTP door, generated from its handlers."""

from functools import cache
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig

import hongyan
from hongyan.api.application import SDK_PATHS, framework
from hongyan.api.v1.calls import BODY, PREFIX, QUERY

_FAILURE = {
    "description": "The call failed.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["code", "error"],
                "properties": {"code": {"type": "integer"}, "error": {"type": "string"}},
            }
        }
    },
}
_BODY = {"content": {"application/json": {"schema": {"type": "object"}}}}
_KEYS = {
    "AppId": {"type": "apiKey", "in": "header", "name": "X-LC-Id", "description": "The app's id."},
    "Key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-LC-Key",
        "description": "The app key, or the master key followed by `,master`.",
    },
    "Session": {"type": "apiKey", "in": "header", "name": "X-LC-Session", "description": "A user's session token."},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "App id, a colon, the app's master key."},
}
_WITH_KEY: dict[str, list[str]] = {"AppId": [], "Key": []}
_COMPONENT = "#/components/schemas/{name}"


@cache
def document() -> dict[str, Any]:
    """The calls of SDKs and of an app's own server, told of once: do not change it.

    Bodies of LeanCloud's calls are told of in words only.
    """
    config = OpenAPIConfig(
        title="Hongyan",
        version=hongyan.__version__,
        description="The HTTP interface for LeanCloud's SDKs and REST callers, and Hongyan's own.",
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
    )
    app = framework(None, config)
    made: dict[str, Any] = app.openapi_schema.to_schema()
    paths = {path: calls for path, calls in made["paths"].items() if path.startswith((*SDK_PATHS, PREFIX))}
    for calls in paths.values():
        for method, call in calls.items():
            _complete(method, call)
    schemas = made.get("components", {}).get("schemas", {}) | _describe_own(app, paths)
    return {
        "openapi": made["openapi"],
        "info": made["info"],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas, "securitySchemes": _KEYS},
        "security": [_WITH_KEY],
    }


def _operation_id(_handler: Any, method: Any, path: list[Any]) -> str:
    """`get 1.1 users user_id`: the framework's own leave out the dots, so that two versions are one."""
    return " ".join([method.value.lower(), *(part if isinstance(part, str) else part.name for part in path)])


def _complete(method: str, call: dict[str, Any]) -> None:
    """What the framework can't know: the first sentence is what the call is for, and how a failure looks."""
    call["summary"] = call.get("description") or call["summary"]
    call["responses"] = {status: told for status, told in call["responses"].items() if status < "400"}
    call["responses"]["default"] = _FAILURE
    if method in ("post", "put", "delete"):
        call["requestBody"] = _BODY


def _describe_own(app: Litestar, paths: dict[str, Any]) -> dict[str, Any]:
    """Bodies and queries of our own calls, whose handlers say what they are; the schemas of the bodies."""
    schemas: dict[str, Any] = {}
    for path, method, handler in _own(app):
        call = paths.get(path, {}).get(method)
        if call is None:  # a platform's own door
            continue
        call["security"] = [_WITH_KEY, {"Bearer": []}]
        call.pop("requestBody", None)
        if BODY in handler.opt:
            (schema,), more = msgspec.json.schema_components([handler.opt[BODY]], ref_template=_COMPONENT)
            schemas |= more
            call["requestBody"] = {"content": {"application/json": {"schema": schema}}}
        query = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in handler.opt.get(QUERY, ())]
        call["parameters"] = [*call.get("parameters", []), *query]
    return schemas


def _own(app: Litestar) -> list[tuple[str, str, HTTPRouteHandler]]:
    """Path, method and handler of each."""
    found = []
    for route in app.routes:
        if route.path.startswith(PREFIX):
            for handler in getattr(route, "route_handlers", ()):
                path = "/" + "/".join(
                    part if isinstance(part, str) else f"{{{part.name}}}" for part in route.path_components
                )
                found += [(path, method.lower(), handler) for method in handler.http_methods if method != "OPTIONS"]
    return found
