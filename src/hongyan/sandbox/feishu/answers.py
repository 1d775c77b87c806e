"""Reading requests and answering them as Feishu does."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from aiohttp import BodyPartReader, web


def answer(data: Mapping[str, Any] | None = None, **more: Any) -> web.Response:
    """All is well: `data` is what was asked for."""
    return _json({"code": 0, "msg": "success", "data": data or {}, **more}, 200, _log_id())


def refuse(code: int, message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> web.Response:
    """By a code and a sentence, with the id under which Feishu logs it."""
    log_id = _log_id()
    body = {
        "code": code,
        "msg": message,
        "error": {
            "log_id": log_id,
            "troubleshooter": f"排查建议查看(Troubleshooting suggestions): https://open.feishu.cn/search?log_id={log_id}",
        },
    }
    return _json(body, status, log_id, headers)


class Refusal(Exception):
    """Refused by this code and sentence."""

    def __init__(self, code: int, message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.response = refuse(code, message, status, headers)


def _json(body: Mapping[str, Any], status: int, log_id: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        text=json.dumps(body, ensure_ascii=False),
        status=status,
        content_type="application/json",
        headers={"X-Tt-Logid": log_id, **(headers or {})},
    )


def _log_id() -> str:
    return secrets.token_hex(17).upper()


def bearer(request: web.Request) -> str:
    """The token of a request; empty if there is none."""
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


def json_object(body: bytes) -> dict[str, Any] | None:
    """None for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


async def asked_of(request: web.Request) -> tuple[dict[str, Any], int]:
    """The object, and its bytes. Raises Refusal."""
    raw = await request.read()
    found = json_object(raw)
    if found is None:
        raise Refusal(9499, "Bad Request")
    return found, len(raw)


async def form_of(request: web.Request) -> dict[str, tuple[str, bytes]]:
    """The parts by their names, each with its file name; clients give files with and without one. Raises Refusal."""
    if not request.content_type.startswith("multipart/"):
        raise Refusal(234001, "Invalid request param.")
    parts: dict[str, tuple[str, bytes]] = {}
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name:
            parts[part.name] = (part.filename or "", bytes(await part.read(decode=True)))
    return parts
