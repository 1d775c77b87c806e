"""Pictures and files that are uploaded, and fetched again."""

import json
import secrets
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.feishu.answers import Refusal, answer, form_of
from hongyan.sandbox.feishu.world import PEOPLE

#: Bytes of a picture, and of a file.
IMAGE_BYTES, FILE_BYTES = 10 * 1024 * 1024, 30 * 1024 * 1024
_FILE_TYPES = frozenset({"opus", "mp4", "pdf", "doc", "xls", "ppt", "stream"})
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\x00", b"MM\x00*", b"\x00\x00\x01\x00")


class Files:
    """They are known by keys, each with its type."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._types: dict[str, str] = {}

    def type_of(self, key: str) -> str | None:
        """`image`, or the type of a file that was uploaded; None if there is none with this key."""
        return self._types.get(key)

    def extra(self, content: object) -> dict[str, Any]:
        """Names of people and files whose ids stand in it, for the page."""
        text = json.dumps(content, ensure_ascii=False)
        names = {
            id: each.name
            for each in PEOPLE.values()
            for id in (each.open_id, each.union_id, each.user_id, each.email)
            if id in text
        }
        files = {key: found[0] for key in self._types if key in text and (found := self._board.media(key))}
        return {"names": names, "files": files}

    async def upload_image(self, request: web.Request) -> web.Response:
        form = await form_of(request)
        filename, content = form.get("image", ("", None))
        if form.get("image_type", ("", b""))[1] not in (b"message", b"avatar") or content is None:
            raise Refusal(234001, "Invalid request param.")
        if not content or len(content) > IMAGE_BYTES:
            raise Refusal(234006, "The file size exceed the max value.")
        if not content.startswith(_IMAGES) and b"ftypheic" not in content[:16]:
            raise Refusal(234011, "Can't recognize the image format.")
        key = f"img_v3_{self._board.new_id()}_{secrets.token_hex(12)}"
        self._types[key] = "image"
        self._board.keep(key, filename, _image_type(content), content)
        return answer({"image_key": key})

    async def upload_file(self, request: web.Request) -> web.Response:
        form = await form_of(request)
        type_, name = (form.get(each, ("", b""))[1].decode(errors="replace") for each in ("file_type", "file_name"))
        _, content = form.get("file", ("", None))
        if type_ not in _FILE_TYPES or not name or content is None:
            raise Refusal(234001, "Invalid request param.")
        if not content or len(content) > FILE_BYTES:
            raise Refusal(234010 if not content else 234006, "The file size exceed the max value.")
        key = f"file_v3_{self._board.new_id()}_{secrets.token_hex(12)}"
        self._types[key] = type_
        types = {"opus": "audio/ogg", "mp4": "video/mp4", "pdf": "application/pdf"}
        self._board.keep(key, name, types.get(type_, "application/octet-stream"), content)
        return answer({"file_key": key})

    async def download(self, request: web.Request) -> web.Response:
        return self.served(request.match_info["key"])

    def served(self, key: str) -> web.Response:
        """Raises Refusal."""
        found = self._board.media(key)
        if found is None:
            raise Refusal(234003, "File not in message.")
        return web.Response(body=found[2], headers={"Content-Type": found[1]})


def _image_type(content: bytes) -> str:
    for start, type_ in ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp")):
        if content.startswith(start):
            return f"image/{type_}"
    return "application/octet-stream"
