"""One JSON shape for every failure of an HTTP call: `{"code": int, "error": str}` (LeanCloud REST 1.5)."""

from http import HTTPStatus
from typing import Any

import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from hongyan.errors import INTERNAL_ERROR, Refused

log = structlog.get_logger(__name__)

#: What the framework says when the caller has gone before the body was complete.
_GONE = "client disconnected prematurely"


class HttpError(Exception):
    """A refusal that only HTTP knows; its code is the status unless another one is given."""

    def __init__(self, status: int, sentence: str, code: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = status if code is None else code


def failure(status: int, code: int, sentence: str, headers: dict[str, str] | None = None) -> Response[Any]:
    """The answer to a failed call."""
    content = {"code": code, "error": sentence}
    return Response(content, status_code=status, media_type=MediaType.JSON, headers=headers)


def _http_error(_request: Request[Any, Any, Any], error: HttpError) -> Response[Any]:
    return failure(error.status, error.code, str(error))


def _refused(_request: Request[Any, Any, Any], error: Refused) -> Response[Any]:
    sentence = str(error).rstrip(".")
    return failure(error.kind.status, error.kind.code, f"{sentence}. {error.kind.advice_en}")


def _litestar_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What the framework refuses: unknown path, wrong method, malformed body or parameter."""
    if error.detail == _GONE:
        return failure(400, 400, "The connection was lost before the body was complete.")
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unexpected(_request, error)
    status = HTTPStatus(error.status_code)
    sentence = status.description if error.detail == status.phrase else error.detail
    return failure(status, status, sentence.rstrip(".") + ".", dict(error.headers or {}))


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    # whoever has the token of an inbound door or a page may speak there
    path = str(request.scope.get("path_template")) if "token" in request.path_params else request.url.path
    log.error("a call failed", method=request.method, path=path, exc_info=error)
    return failure(500, INTERNAL_ERROR.code, "The server failed at this call; its log says why.")


HANDLERS: ExceptionHandlersMap = {
    HttpError: _http_error,
    Refused: _refused,
    HTTPException: _litestar_error,
    Exception: _unexpected,
}
