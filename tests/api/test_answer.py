"""What a handler returns is answered as the framework itself would answer it."""

from typing import Any

import httpx
import pytest
from litestar import Litestar, MediaType, Response, delete, get, post

from hongyan.api.answer import Answer


@get("/object")
async def an_object() -> dict[str, Any]:
    return {"a": [1, None, "雁"], "b": {}}


@get("/list")
async def a_list() -> list[int]:
    return []


@post("/made")
async def made() -> dict[str, str]:
    return {}


@delete("/gone")
async def gone() -> None:
    return None


@get("/text", media_type=MediaType.TEXT)
async def a_text() -> str:
    return "text"


@get("/own")
async def an_own() -> Response[dict[str, int]]:
    return Response({"a": 1}, headers={"X-Own": "1"}, status_code=202)


@get("/noted", response_headers={"X-Noted": "1"})
async def noted() -> dict[str, int]:
    return {"a": 1}


@get("/never")
async def never() -> dict[str, Any]:
    return {"a": object()}


HANDLERS: list[Any] = [an_object, a_list, made, gone, a_text, an_own, noted, never]


async def called(method: str, path: str, response_class: type[Response[Any]]) -> tuple[int, dict[str, str], bytes]:
    app = Litestar(HANDLERS, response_class=response_class, openapi_config=None, logging_config=None)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        answer = await client.request(method, path)
    return answer.status_code, dict(answer.headers), answer.content


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ("GET /object", 200),
        ("GET /list", 200),
        ("POST /made", 201),
        ("DELETE /gone", 204),
        ("GET /text", 200),
        ("GET /own", 202),
        ("GET /noted", 200),
        ("GET /never", 500),
    ],
)
async def test_it_is_what_the_framework_answers(call: str, status: int) -> None:
    method, path = call.split()
    answer = await called(method, path, Answer)
    assert answer == await called(method, path, Response)
    assert answer[0] == status
