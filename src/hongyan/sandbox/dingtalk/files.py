"""Files that are uploaded, and those that people have sent."""

import secrets
from collections.abc import Callable

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.dingtalk.answers import fields, legacy, reply, v1_error

#: Bytes of each type.
UPLOADS = {"image": 20 << 20, "voice": 2 << 20, "video": 20 << 20, "file": 20 << 20}


class Files:
    """They are known by media ids; `origin` is where the sandbox is."""

    def __init__(self, board: Board, now: Callable[[], float], origin: Callable[[], str]) -> None:
        self._board = board
        self._now = now
        self._origin = origin

    async def upload(self, request: web.Request) -> web.Response:
        if not request.content_type.startswith("multipart/"):
            return legacy(43004, "无效的HTTP HEADER Content-Type")
        form = await request.post()
        kind = request.query.get("type") or str(form.get("type", ""))
        media = form.get("media")
        if kind not in UPLOADS:
            return legacy(40004, "不合法的媒体文件类型")
        if not isinstance(media, web.FileField):
            return legacy(40035, "缺少参数 media")
        content = media.file.read()
        if not 0 < len(content) <= UPLOADS[kind]:
            return legacy(40006, "不合法的文件大小")
        media_id = "@sandbox" + secrets.token_hex(8)
        self._board.keep(media_id, media.filename, media.content_type, content)
        return legacy(0, "ok", media_id=media_id, type=kind, created_at=int(self._now() * 1000))

    async def download(self, request: web.Request) -> web.Response:
        code = (await fields(request)).get("downloadCode")
        if not isinstance(code, str) or self._board.media(code) is None:
            return v1_error(400, "resource.not.found", "downloadCode不存在")
        return reply({"downloadUrl": f"{self._origin()}/sandbox/media/{code}"})
