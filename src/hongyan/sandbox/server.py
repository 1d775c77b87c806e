"""All emulators behind one origin, and the page."""

import ipaddress
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any

import msgspec
from aiohttp import web
from yarl import URL

from hongyan.sandbox.board import Board, Quiet, Shown
from hongyan.sandbox.emulator import Emulator, Inbound, Unheard
from hongyan.sandbox.faults import WHATS, Faults

PAGE = files("hongyan.sandbox") / "page"
#: Bytes of a request: files are uploaded.
REQUEST_MAX = 64 * 1024 * 1024
#: After how long without news an onlooker is sent a sign of life (s): it shows whether he is still there.
BEAT = 15.0
#: What the page may load: its own files, and pictures and sounds of messages from anywhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src * data:; media-src *;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Sandbox:
    """The emulators, their board and the page. `now` is the time of day (s)."""

    def __init__(self, emulators: Sequence[type[Emulator]], now: Callable[[], float] = time.time) -> None:
        self.board = Board()
        self.faults = Faults()
        self.emulators = {each.platform: each(self.board, self.faults, now) for each in emulators}
        self._app = web.Application(client_max_size=REQUEST_MAX, middlewares=[self._own_name, self._faulty])
        for emulator in self.emulators.values():
            self._app.add_routes(emulator.routes())
        self._app.add_routes(
            [
                web.get("/", self._index),
                web.get("/sandbox/page/{name}", self._file),
                web.get("/sandbox/world", self._world),
                web.get("/sandbox/messages", self._messages),
                web.get("/sandbox/changes", self._changes),
                web.get("/sandbox/media/{id:.+}", self._media),
                web.get("/sandbox/faults", self._all_faults),
                web.post("/sandbox/faults", self._add_fault),
                web.delete("/sandbox/faults", self._clear_faults),
                web.post("/sandbox/inbound/{platform}", self._inbound),
                web.post("/sandbox/clear", self._clear),
            ]
        )
        self._runner: web.AppRunner | None = None
        self.origin = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, path: str = "", origin: str = "") -> str:
        """Serve at an address, or a socket of the file system; return the origin.

        It is `origin` if others reach it there.
        """
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.UnixSite(self._runner, path) if path else web.TCPSite(self._runner, host, port)
        await site.start()
        self.origin = origin.rstrip("/") or _origin(*self._runner.addresses[0][:2])
        for emulator in self.emulators.values():
            emulator.origin = self.origin
        return self.origin

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _own_name(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Refuse to show anything to a page elsewhere whose name was made to lead here (DNS rebinding)."""
        if request.path == "/" or request.path.startswith("/sandbox/"):
            name = request.url.host or ""
            if name not in ("localhost", URL(self.origin).host) and not _is_address(name):
                raise web.HTTPForbidden(text=f"The sandbox is not called {name}; --url says how it is called.")
        answer: web.StreamResponse = await handler(request)
        return answer

    @web.middleware
    async def _faulty(self, request: web.Request, handler: Any) -> web.StreamResponse:
        for emulator in self.emulators.values():
            if request.path.startswith(tuple(emulator.prefixes)):
                failure = await emulator.fail(request)
                if failure is not None:
                    return failure
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _index(self, _: web.Request) -> web.Response:
        return _page_file("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        return _page_file(request.match_info["name"])

    async def _world(self, _: web.Request) -> web.Response:
        """`looks` are the platforms whose messages the page knows how to show."""
        platforms = {name: emulator.world() for name, emulator in self.emulators.items()}
        looks = [name for name in platforms if (PAGE / f"{name}.js").is_file()]
        return _json({"origin": self.origin, "faults": WHATS, "platforms": platforms, "looks": looks})

    async def _messages(self, _: web.Request) -> web.Response:
        return _json(self.board.all())

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events (HTML Standard 9.2)."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await answer.prepare(request)
        with self.board.listening() as changes:
            await answer.write(b": here\n\n")
            with suppress(ConnectionResetError):
                async for change in changes(BEAT):
                    data = b": beat" if change is Quiet else b"data: " + msgspec.json.encode(change)
                    await answer.write(data + b"\n\n")
        return answer

    async def _media(self, request: web.Request) -> web.Response:
        found = self.board.media(request.match_info["id"])
        if found is None:
            raise web.HTTPNotFound
        _, type_, content = found
        # what was uploaded must run nothing in the page's name
        return web.Response(
            body=content,
            headers={"Content-Type": type_, "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"},
        )

    async def _add_fault(self, request: web.Request) -> web.Response:
        asked = await _asked(request, _NewFault)
        if asked.platform not in self.emulators or asked.what not in WHATS or not 1 <= asked.times <= 1000:
            raise web.HTTPBadRequest(text=f"platform, what ({', '.join(WHATS)}) and times (1 to 1000)")
        self.faults.add(asked.platform, asked.what, asked.times, asked.path)
        return _json(self.faults.all())

    async def _all_faults(self, _: web.Request) -> web.Response:
        return _json(self.faults.all())

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self.faults.clear()
        return _json([])

    async def _inbound(self, request: web.Request) -> web.Response:
        emulator = self.emulators.get(request.match_info["platform"])
        if emulator is None:
            raise web.HTTPNotFound
        asked = await _asked(request, _Tell)
        try:
            return _json(await emulator.tell(asked.inbound, asked.url))
        except Unheard as error:
            return _json({"unheard": str(error)})
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None

    async def _clear(self, request: web.Request) -> web.Response:
        await _asked(request, dict[str, Any])
        self.board.clear()
        return _json({})


class _NewFault(msgspec.Struct):
    platform: str
    what: str
    times: int = 1
    path: str = ""


class _Tell(msgspec.Struct):
    url: str
    inbound: Inbound


async def _asked(request: web.Request, type_: type[Any]) -> Any:
    # a page of another origin can't send JSON unasked
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        return msgspec.json.decode(await request.read(), type=type_)
    except msgspec.MsgspecError as error:
        raise web.HTTPBadRequest(text=str(error)) from None


_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "png": "image/png"}


def _page_file(name: str) -> web.Response:
    known = {each.name: each for each in PAGE.iterdir() if each.is_file()}
    if name not in known:
        raise web.HTTPNotFound
    type_ = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    if type_.startswith("text/"):
        type_ += "; charset=utf-8"
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return web.Response(body=known[name].read_bytes(), headers={"Content-Type": type_, **headers})


def _origin(host: str, port: int) -> str:
    """Of an address that is listened at; of all of them, the loopback."""
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _json(value: Shown | Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
