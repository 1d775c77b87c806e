"""What has arrived in the sandbox, in the order of arrival, and who looks on."""

import asyncio
import itertools
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from msgspec import Struct

#: Messages that are kept; the oldest go first. And changes that an onlooker may be behind.
KEPT, BEHIND = 500, 1000
State = Literal["sent", "changed", "recalled"]


class Quiet:
    """That there was nothing for a while."""


class Shown(Struct):
    """A message that a platform has taken.

    `account` is who sent it (name of a robot or app), `to` whom it reached, `kind` the platform's word for its type,
    `payload` its content as it came, `extra` what the page needs besides (such as names of those who are mentioned).
    `at` in ms.
    """

    id: str
    platform: str
    address: Literal["robot", "app"]
    account: str
    to: list[str]
    kind: str
    payload: Any
    at: int
    state: State = "sent"
    read_by: list[str] = []
    thread: str = ""
    extra: dict[str, Any] = {}


#: None: everything was cleared.
Change = Shown | None | type[Quiet]


class Board:
    """Messages and files by their ids; those who listen hear of each change."""

    def __init__(self) -> None:
        self._shown: OrderedDict[str, Shown] = OrderedDict()
        self._media: OrderedDict[str, tuple[str, str, bytes]] = OrderedDict()
        self._numbers = itertools.count(1)
        self._listeners: set[_Queue] = set()

    def all(self) -> list[Shown]:
        return list(self._shown.values())

    def get(self, message_id: str) -> Shown | None:
        return self._shown.get(message_id)

    def new_id(self) -> str:
        """A number as text; platforms make their own kinds of ids of it."""
        return str(next(self._numbers))

    def add(
        self,
        platform: str,
        address: Literal["robot", "app"],
        account: str,
        to: list[str],
        kind: str,
        payload: Any,
        *,
        id: str = "",
        thread: str = "",
        extra: dict[str, Any] | None = None,
    ) -> Shown:
        shown = Shown(
            id or f"{platform}-{self.new_id()}",
            platform,
            address,
            account,
            to,
            kind,
            payload,
            time.time_ns() // 1_000_000,
            thread=thread,
            extra=extra or {},
        )
        self._shown[shown.id] = shown
        while len(self._shown) > KEPT:
            self._shown.popitem(last=False)
        self.changed(shown)
        return shown

    def changed(self, shown: Shown) -> None:
        """Tell the onlookers."""
        self._tell(shown)

    def clear(self) -> None:
        self._shown.clear()
        self._media.clear()
        self._tell(None)

    # files that were uploaded

    def keep(self, media_id: str, name: str, type_: str, content: bytes) -> None:
        self._media[media_id] = (name, type_, content)
        while sum(len(each[2]) for each in self._media.values()) > 100_000_000:
            self._media.popitem(last=False)

    def media(self, media_id: str) -> tuple[str, str, bytes] | None:
        """Name, MIME type and bytes."""
        return self._media.get(media_id)

    # onlookers

    @contextmanager
    def listening(self) -> Iterator[Callable[[float], AsyncIterator[Change]]]:
        """What comes and changes from now on, in an iterator that is given how long to wait for news (s).

        It ends for whoever is too far behind: he looks at everything when he comes again.
        """
        queue = _Queue()
        self._listeners.add(queue)
        try:
            yield queue.changes
        finally:
            self._listeners.discard(queue)

    def _tell(self, shown: Shown | None) -> None:
        for queue in self._listeners:
            queue.put(shown)


class _Queue:
    def __init__(self) -> None:
        self._changes: deque[Shown | None] = deque()
        self._news = asyncio.Event()
        self._lost = False

    def put(self, shown: Shown | None) -> None:
        self._lost = self._lost or len(self._changes) >= BEHIND
        if not self._lost:
            self._changes.append(shown)
        self._news.set()

    async def changes(self, patience: float) -> AsyncIterator[Change]:
        while self._changes or not self._lost:
            if self._changes:
                yield self._changes.popleft()
                continue
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), patience)
            except TimeoutError:
                yield Quiet
