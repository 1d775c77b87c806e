"""Reads of many callers as one: each trip to a reading thread and back costs more than most of what is read there."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")

#: Questions that are read together.
BATCH_MAX = 32
#: So many of these reads are under way at a time; what is asked meanwhile gathers.
READS_AT_ONCE = 2


class GatheredReads(Generic[A, R]):
    """Gathers what is asked in one tick, and while earlier reads are under way. On the event loop.

    `read(questions)` answers each in turn.
    """

    def __init__(self, read: Callable[[Sequence[A]], Awaitable[Sequence[R]]]) -> None:
        self._read = read
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._reading: set[asyncio.Task[None]] = set()
        self._is_due = False

    def of(self, asked: A) -> asyncio.Future[R]:
        """The answer. Raises what `read` raises for this question alone."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append((asked, answer))
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._begin)
        return answer

    def _begin(self) -> None:
        self._is_due = False
        while self._waiting and len(self._reading) < READS_AT_ONCE:
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            task = asyncio.get_running_loop().create_task(self._answer(batch))
            self._reading.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._reading.discard(task)
        self._begin()

    async def _answer(self, batch: Sequence[tuple[A, asyncio.Future[R]]]) -> None:
        """Read for all. What fails is read for each alone: one's question fails no other's."""
        try:
            found = await self._read([asked for asked, _ in batch])
        except Exception as error:
            if len(batch) > 1:
                await asyncio.gather(*(self._answer([each]) for each in batch))
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
        else:
            for (_, answer), each in zip(batch, found, strict=True):
                if not answer.done():
                    answer.set_result(each)
        finally:
            for _, answer in batch:
                answer.cancel()  # if it is not done: the server stops
