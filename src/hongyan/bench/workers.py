"""Processes of the load generator: started together, stopped at gates, heard through pipes."""

import asyncio
import logging
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Self

import uvloop

SPAWN = multiprocessing.get_context("spawn")
TICK = 0.1
PATIENCE = 120.0


class BenchError(Exception):
    """A run that cannot be used; one sentence that says why."""


@dataclass(frozen=True)
class Window:
    """The measured part of a run, in seconds of the machine's monotonic clock."""

    start: float
    end: float

    @classmethod
    def after(cls, warm_up: float, seconds: float) -> Self:
        """The window that starts `warm_up` seconds from now and lasts `seconds`."""
        start = time.monotonic() + warm_up
        return cls(start, start + seconds)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start

    def contains(self, now: int) -> bool:
        """Whether a monotonic time in ns falls into it."""
        return self.start <= now / 1e9 < self.end


class Link:
    """A worker's end of its pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    async def gate(self) -> Any:
        """Say that this worker is here; returns what the parent sends when all workers are."""
        self._pipe.send(("gate", None))
        return await asyncio.get_running_loop().run_in_executor(None, self._pipe.recv)

    def progress(self, count: int) -> None:
        """Tell the parent how far this worker has come."""
        self._pipe.send(("progress", count))


class Team:
    """The workers of one run; a context manager that leaves no process behind."""

    def __init__(self, load: Callable[[Any, Link], Awaitable[Any]], plans: Sequence[Any]) -> None:
        self.count = 0
        self._pipes: list[Connection] = []
        self._processes = []
        self._progress = dict.fromkeys(range(len(plans)), 0)
        for plan in plans:
            ours, theirs = SPAWN.Pipe()
            process = SPAWN.Process(target=_main, args=(load, plan, theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            process.terminate()
            process.join()

    def at_gate(self, on_tick: Callable[[], None] = lambda: None) -> None:
        """Wait until every worker stands at its gate; `on_tick` runs ten times a second meanwhile."""
        self._gather("gate", on_tick)

    def go(self, value: Any = None) -> None:
        """Open the gate: every worker goes on with `value`."""
        for pipe in self._pipes:
            pipe.send(value)

    def until(self, moment: float, on_tick: Callable[[], None] = lambda: None) -> None:
        """Let the workers work until `moment` (monotonic seconds)."""
        while (left := moment - time.monotonic()) > 0:
            for pipe in wait(self._pipes, min(TICK, left)):
                self._hear(self._pipes.index(pipe), "progress")  # type: ignore[arg-type]
            on_tick()

    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [process.pid for process in self._processes if process.pid is not None]

    def results(self, on_tick: Callable[[], None] = lambda: None) -> list[Any]:
        """Wait for what every worker returns; `on_tick` as above."""
        return self._gather("result", on_tick)

    def _gather(self, kind: str, on_tick: Callable[[], None]) -> list[Any]:
        values: dict[int, Any] = {}
        deadline = time.monotonic() + PATIENCE
        while len(values) < len(self._pipes):  # whoever tells of progress gets as long again
            if time.monotonic() > deadline:
                raise BenchError(f"the load generator did not reach its next step within {PATIENCE:.0f} s")
            waiting = [pipe for worker, pipe in enumerate(self._pipes) if worker not in values]
            for pipe in wait(waiting, TICK):
                worker = self._pipes.index(pipe)  # type: ignore[arg-type]
                values |= self._hear(worker, kind)
                deadline = time.monotonic() + PATIENCE
            on_tick()
        return [values[worker] for worker in sorted(values)]

    def _hear(self, worker: int, kind: str) -> dict[int, Any]:
        try:
            said, value = self._pipes[worker].recv()
        except EOFError:
            raise BenchError("a process of the load generator ended early") from None
        if said == "error":
            raise BenchError(value)
        if said == "progress":
            self._progress[worker] = value
            self.count = sum(self._progress.values())
        return {worker: value} if said == kind else {}


def _main(load: Callable[[Any, Link], Awaitable[Any]], plan: Any, pipe: Connection) -> None:
    logging.getLogger("picows").setLevel(logging.CRITICAL)  # a lost connection is reported by who lost it
    try:
        pipe.send(("result", uvloop.run(_await(load, plan, Link(pipe)))))
    except Exception as error:
        pipe.send(("error", f"{type(error).__name__}: {error}"))


async def _await(load: Callable[[Any, Link], Awaitable[Any]], plan: Any, link: Link) -> Any:
    return await load(plan, link)
