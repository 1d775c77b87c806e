"""Files: uploaded, sent by their media ids, and fetched again."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.wecom import checks
from hongyan.sandbox.wecom.answers import Refusal, file_of
from hongyan.sandbox.wecom.tokens import Tokens
from hongyan.sandbox.wecom.world import CORP

#: How long media ids are good (s).
MEDIA = 3 * 86_400
#: Bytes of files by type, and of a picture for good.
SIZES = {"image": 10 * 2**20, "voice": 2 * 2**20, "video": 10 * 2**20, "file": 20 * 2**20}
IMAGE_URL_MAX = 2 * 2**20
_TYPES = {"voice": "audio/amr", "video": "video/mp4", "file": "application/octet-stream"}


class Files:
    """`kept`: the type of each, whose it is (the corp's, or a robot's), and until when (s)."""

    def __init__(self, board: Board, tokens: Tokens, now: Callable[[], float], origin: Callable[[], str]) -> None:
        self._board = board
        self._tokens = tokens
        self._now = now
        self._origin = origin
        self.kept: dict[str, tuple[str, str, float]] = {}

    async def upload(self, request: web.Request) -> dict[str, Any]:
        self._tokens.agent(request)
        return await self.keep(request, CORP, tuple(SIZES))

    async def keep(self, request: web.Request, owner: str, types: Sequence[str]) -> dict[str, Any]:
        """What the request brings, for its owner. Raises Refusal."""
        type_ = request.query.get("type", "")
        if type_ not in types:
            raise Refusal(40004, "invalid media type")
        name, content = await file_of(request)
        if len(content) <= 5:
            raise Refusal(40006, "invalid media size")
        if len(content) > SIZES[type_]:
            raise Refusal(45001, "media size out of limit")
        mime = checks.picture_type(content) if type_ == "image" else _TYPES[type_]
        if mime is None or (type_ == "voice" and not content.startswith(b"#!AMR")):
            raise Refusal(40005, "invalid file type")
        media_id = f"3{secrets.token_urlsafe(40)}"
        self.kept[media_id] = (type_, owner, self._now() + MEDIA)
        self._board.keep(media_id, name, mime, content)
        return {"type": type_, "media_id": media_id, "created_at": str(int(self._now()))}

    def has(self, type_: str, media_id: str, owner: str) -> bool:
        """Whether an owner has one of a type that is still good."""
        kept, whose, until = self.kept.get(media_id, ("", "", 0.0))
        return kept == type_ and whose == owner and self._now() < until

    def named(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The name and size of a file that is sent, for the page."""
        media_id = str(value.get("media_id", ""))
        kept = self._board.media(media_id)
        return {"files": {media_id: (kept[0], len(kept[2]))}} if kept is not None else {}

    async def upload_image(self, request: web.Request) -> dict[str, Any]:
        self._tokens.agent(request)
        name, content = await file_of(request)
        type_ = checks.picture_type(content)
        if type_ is None or len(content) > IMAGE_URL_MAX:
            raise Refusal(40009 if type_ else 40005, "invalid image")
        id_ = f"wecom-{secrets.token_hex(12)}"
        self._board.keep(id_, name, type_, content)
        return {"url": f"{self._origin()}/sandbox/media/{id_}"}

    async def get(self, request: web.Request) -> web.Response:
        self._tokens.agent(request)
        media_id = request.query.get("media_id", "")
        kept = self._board.media(media_id)
        if kept is None or self.kept.get(media_id, ("", "", 0.0))[2] <= self._now():
            raise Refusal(40007, "invalid media_id")
        name, type_, content = kept
        quoted = name.replace("\\", "").replace('"', "")
        headers = {"Content-Type": type_, "Content-Disposition": f'attachment; filename="{quoted}"'}
        return web.Response(body=content, headers=headers)
