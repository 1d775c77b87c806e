"""Making an emulator fail, to see what the sender does."""

import asyncio
from dataclasses import dataclass
from typing import Literal, get_args

from aiohttp import web

#: too many requests, in the platform's own way; HTTP 500; a page that is no JSON; no answer; a connection that is
#: closed; success of HTTP with an error inside; a token that has expired.
What = Literal["throttled", "error", "garbage", "silence", "closed", "refused", "token_expired"]
WHATS: tuple[str, ...] = get_args(What)
#: How long silence lasts (s).
SILENCE = 60.0


@dataclass(slots=True)
class Fault:
    """The next so many calls of a platform below a path fail."""

    platform: str
    path: str
    what: What
    times: int


class Faults:
    """`path` is the beginning of the paths that fail; an empty one: all of the platform."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def all(self) -> list[Fault]:
        return list(self._faults)

    def add(self, platform: str, what: What, times: int = 1, path: str = "") -> None:
        self._faults.append(Fault(platform, path, what, times))

    def clear(self) -> None:
        self._faults.clear()

    def take(self, platform: str, path: str) -> What | None:
        for fault in self._faults:
            if fault.platform == platform and path.startswith(fault.path):
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault.what
        return None


async def common(what: What, request: web.Request) -> web.StreamResponse | None:
    """The answer to faults that are the same everywhere; None for those that each platform has of its own."""
    match what:
        case "error":
            return web.Response(status=500, text="Internal Server Error")
        case "garbage":
            return web.Response(text="<html><body>gateway</body></html>", content_type="text/html")
        case "silence":
            await asyncio.sleep(SILENCE)
            return web.Response(status=504)
        case "closed":
            if request.transport is not None:
                request.transport.close()
            return web.Response()
        case _:
            return None
