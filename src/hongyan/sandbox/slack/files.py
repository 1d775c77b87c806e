"""Files: an address is asked for, the bytes are sent there, and then they are shown in channels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.slack.answers import Arguments, Refusal
from hongyan.sandbox.slack.checks import check_blocks
from hongyan.sandbox.slack.messages import Messages
from hongyan.sandbox.slack.rates import Bursts
from hongyan.sandbox.slack.tokens import Tokens
from hongyan.sandbox.slack.world import Workspace

_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "wav": "audio/wav",
    "pdf": "application/pdf",
    "txt": "text/plain",
}


@dataclass(slots=True)
class _File:
    id: str
    name: str
    length: int
    title: str = ""
    type: str = "application/octet-stream"
    there: bool = False
    alt: str = ""
    shown: list[str] = field(default_factory=list)


class Files:
    """A file that is deleted takes the messages with it that show it; `origin` is where the sandbox is."""

    def __init__(
        self,
        board: Board,
        workspace: Workspace,
        tokens: Tokens,
        bursts: Bursts,
        messages: Messages,
        origin: Callable[[], str],
    ) -> None:
        self._board = board
        self._workspace = workspace
        self._tokens = tokens
        self._bursts = bursts
        self._messages = messages
        self._origin = origin
        self._files: dict[str, _File] = {}

    def upload_url(self, given: Arguments) -> dict[str, Any]:
        name = str(given.get("filename") or "")
        try:
            length = int(given.get("length") or 0)
        except ValueError:
            length = 0
        if not name or length <= 0:
            raise Refusal("invalid_arguments")
        file = _File(f"F{next(self._workspace.numbers):09d}", name, length, alt=str(given.get("alt_txt") or ""))
        self._files[file.id] = file
        return {"upload_url": f"{self._origin()}/slack/upload/{file.id}", "file_id": file.id}

    async def upload(self, request: web.Request) -> web.Response:
        """Bare bytes, whatever their type is said to be, or a form with a file."""
        file = self._files.get(request.match_info["id"])
        if file is None:
            return web.Response(status=404, text="not found")
        if request.content_type == "multipart/form-data":
            form = await request.post()
            part = next((each for each in form.values() if isinstance(each, web.FileField)), None)
            content = part.file.read() if part is not None else b""
        else:
            content = await request.read()
        if len(content) != file.length:
            return web.Response(status=400, text=f"expected {file.length} bytes, not {len(content)}")
        file.type, file.there = _type_of(file.name), True
        self._board.keep(file.id, file.name, file.type, content)
        return web.Response(text=f"OK - {len(content)}")

    def complete(self, given: Arguments) -> dict[str, Any]:
        files = given.get("files")
        if not isinstance(files, list) or not files or not all(isinstance(each, dict) for each in files):
            raise Refusal("invalid_arguments")
        found = [self._file(each.get("id")) for each in files]
        if not all(each.there for each in found):
            raise Refusal("file_not_found")
        names = given.get("channel_id") or given.get("channels") or ""
        channels = [self._workspace.writable(each) for each in str(names).split(",") if each]
        for file, about in zip(found, files, strict=True):
            file.title = str(about.get("title") or file.name)
        for channel in channels:
            self._bursts.count(channel.id)
            payload: dict[str, Any] = {"files": [self._told(each) for each in found]}
            if given.get("initial_comment"):
                payload["text"] = given["initial_comment"]
            if given.get("blocks"):
                check_blocks(given["blocks"])
                payload["blocks"] = given["blocks"]
            shown = self._messages.show(channel, payload, str(given.get("thread_ts") or ""))
            for file in found:
                file.shown.append(shown.id)
        return {"files": [self._told(each) for each in found]}

    def info(self, given: Arguments) -> dict[str, Any]:
        return {"file": self._told(self._file(given.get("file")))}

    def _told(self, file: _File) -> dict[str, Any]:
        return {
            "id": file.id,
            "name": file.name,
            "title": file.title or file.name,
            "mimetype": file.type,
            "size": file.length,
            "alt_txt": file.alt,
            "url_private": f"{self._origin()}/slack/files/{file.id}/{file.name}",
            "url_private_download": f"{self._origin()}/slack/files/{file.id}/{file.name}",
            "media": f"/sandbox/media/{file.id}",
        }

    def _file(self, id: Any) -> _File:
        if not isinstance(id, str) or id not in self._files:
            raise Refusal("file_not_found")
        return self._files[id]

    def delete(self, given: Arguments) -> dict[str, Any]:
        file = self._file(given.get("file"))
        del self._files[file.id]
        for shown in filter(None, map(self._board.get, file.shown)):
            shown.state = "recalled"
            self._board.changed(shown)
        return {}

    async def download(self, request: web.Request) -> web.Response:
        found = self._board.media(request.match_info["id"])
        try:
            self._tokens.check(request, {})
        except Refusal:
            return web.Response(status=302, headers={"Location": "https://sandbox.slack.com/"})
        if found is None:
            return web.Response(status=404, text="not found")
        return web.Response(body=found[2], content_type="application/octet-stream")


def _type_of(name: str) -> str:
    return _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
