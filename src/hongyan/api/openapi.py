"""The OpenAPI document of the HTTP door, generated from its handlers."""

from functools import cache
from typing import Any

from litestar.openapi import OpenAPIConfig

import hongyan
from hongyan.api.application import SDK_PATHS, framework

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
}


@cache
def document() -> dict[str, Any]:
    """The calls of SDKs and of an app's own server. Bodies are told of in words only. Do not change what you get."""
    config = OpenAPIConfig(
        title="Hongyan",
        version=hongyan.__version__,
        description="The HTTP interface for LeanCloud's SDKs and REST callers.",
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
    )
    made: dict[str, Any] = framework(None, config).openapi_schema.to_schema()
    paths = {path: calls for path, calls in made["paths"].items() if path.startswith(SDK_PATHS)}
    for calls in paths.values():
        for method, call in calls.items():
            _complete(method, call)
    return {
        "openapi": made["openapi"],
        "info": made["info"],
        "paths": dict(sorted(paths.items())),
        "components": {**made.get("components", {}), "securitySchemes": _KEYS},
        "security": [{"AppId": [], "Key": []}],
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
