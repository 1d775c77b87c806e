"""Tokens of a service that many senders share: one of them fetches it, and all wait for that."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Token:
    text: str = field(repr=False)
    until: float
    """A new one is fetched from then on (s)."""


class Tokens:
    """`fetch` raises Failed; then all who wait have failed, and the next who comes tries again."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]], now: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now = now
        self._token: Token | None = None
        self._fetching: asyncio.Task[Token] | None = None

    async def get(self) -> str:
        if self._token is not None and self._now() < self._token.until:
            return self._token.text
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._renew())
            self._fetching.add_done_callback(_heard)
        # of those who wait any may be cancelled, and the others still get it
        return (await asyncio.shield(self._fetching)).text

    def void(self, text: str) -> None:
        """The service takes this one no more; who hears it late does not void its successor."""
        if self._token is not None and self._token.text == text:
            self._token = None

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _renew(self) -> Token:
        try:
            self._token = await self._fetch()
            return self._token
        finally:
            self._fetching = None


def _heard(task: asyncio.Task[Token]) -> None:
    """A failure for which nobody waits any more is none to report."""
    if not task.cancelled():
        task.exception()
