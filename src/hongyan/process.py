"""The operating system's process: its limits, and how it ends when nothing else helps."""

import asyncio
import gc
import os
import resource
import sys
from collections import Counter
from contextlib import suppress
from typing import Any, NoReturn

import structlog

from hongyan import log

logger = structlog.get_logger(__name__)

STORAGE_FAILED = 70
# The default of 5 ms lets a busy event loop starve the writer's thread (measured: a fifth of the rows).
SWITCH_INTERVAL = 0.0005
REPEAT_INTERVAL = 1.0
# Messages in flight are many young objects without cycles: looking for cycles after every 700 took a fifth of the CPU.
GC_THRESHOLDS = (100_000, 20, 100)


def tune() -> None:
    """Allow as many connections as this user may have, and let the writer's thread run beside a busy loop."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*GC_THRESHOLDS)


def settle() -> None:
    """After the start: what lives as long as the process is not looked through for garbage again."""
    gc.collect()
    gc.freeze()


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel a task that runs as long as the process, and wait until it has ended."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def end_at_once(status: int) -> NoReturn:
    """End the process from any thread, with the log written out and nothing else."""
    log.flush()
    os._exit(status)


def storage_failed(error: BaseException) -> NoReturn:
    """End the process: after a failed write to disk nothing that is in memory can be trusted."""
    logger.critical("the database can't be written any more, so the server ends", reason=str(error))
    end_at_once(STORAGE_FAILED)


class UnhandledLog:
    """The event loop's exception handler: logs, but a failure that repeats itself only once a second."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        kind = type(error).__name__
        if loop.time() < self._quiet_until.get(kind, 0.0):
            self._left_out[kind] += 1
            return
        self._quiet_until[kind] = loop.time() + REPEAT_INTERVAL
        left_out = self._left_out.pop(kind, 0)
        logger.error("unhandled", what=context.get("message"), left_out=left_out, exc_info=error)
