"""How the REST API for messaging says what the engine refuses: HTTP 400 unless another status says more."""

from typing import Any

from litestar import Request, Response
from litestar.types import ExceptionHandlersMap

from hongyan.api.errors import failure
from hongyan.errors import APP_NOT_AVAILABLE, Refused

#: Statuses that callers act on by themselves (REST reference 1.5).
TELLING = frozenset({429, 500, 507})


def _refused(_request: Request[Any, Any, Any], error: Refused) -> Response[Any]:
    kept = error.kind.status in TELLING or error.kind is APP_NOT_AVAILABLE
    status = error.kind.status if kept else 400
    sentence = str(error).rstrip(".")
    return failure(status, error.kind.code, f"{sentence}. {error.kind.advice_en}")


HANDLERS: ExceptionHandlersMap = {Refused: _refused}
