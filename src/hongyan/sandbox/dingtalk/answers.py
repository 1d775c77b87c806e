"""Reading requests and answering them as DingTalk's two kinds of interfaces do."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from hongyan.sandbox.emulator import Told


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, answer: web.Response) -> None:
        self.answer = answer


def answering(handler: Any) -> Any:
    """A refusal within is the answer; and what has another shape than is documented is refused."""

    async def answering(request: web.Request) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except Refusal as refusal:
            return refusal.answer
        except (AttributeError, KeyError, TypeError, ValueError) as wrong:
            reason = f"参数格式不正确: {wrong}"
            if request.path.startswith("/v1.0/"):
                return v1_error(400, "invalidParameter.param.type", reason)
            return legacy(40035, reason)
        return answer

    return answering


async def fields(request: web.Request) -> dict[str, Any]:
    """What was sent, as JSON or as a form."""
    if request.content_type == "application/x-www-form-urlencoded":
        return dict(await request.post())
    found = json_object(await request.read())
    if found is None:
        v1 = request.path.startswith("/v1.0/")
        raise Refusal(
            v1_error(400, "invalidParameter.param.json", "请求不是JSON") if v1 else legacy(40035, "缺少参数 json")
        )
    return found


def json_object(body: bytes) -> dict[str, Any] | None:
    """None for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def reply(value: object, status: int = 200) -> web.Response:
    """JSON."""
    return web.json_response(value, status=status)


def legacy(code: int, message: str, **more: object) -> web.Response:
    """The older interfaces say everything with status 200."""
    return reply({"errcode": code, "errmsg": message, **more})


def described(description: str, solution: str) -> web.Response:
    """How robots say that a protection was not met, and how to meet it."""
    return legacy(310000, f"description:{description};solution:{solution};link:请参考本接口对应文档;")


def v1_error(status: int, code: str, message: str) -> web.Response:
    """As the interfaces of v1.0 refuse."""
    return reply({"code": code, "message": message, "requestid": secrets.token_hex(8).upper()}, status)


async def post(url: str, value: object, headers: Mapping[str, str]) -> Told:
    """Tell the app. Raises ValueError with a sentence if it does not answer."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("there is no address to tell it to")
    try:
        async with (
            ClientSession(timeout=ClientTimeout(10)) as session,
            session.post(url, json=value, headers=headers) as answer,
        ):
            return Told(answer.status, await answer.text(errors="replace"))
    except (ClientError, TimeoutError, OSError) as error:
        raise ValueError(f"the app does not answer: {error or type(error).__name__}") from None
