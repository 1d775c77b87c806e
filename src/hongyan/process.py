"""The operating system's process: its limits, and how it ends when nothing else helps."""

import asyncio
import os
import resource
import sys
from contextlib import suppress
from typing import Any, NoReturn

import structlog

from hongyan import log

logger = structlog.get_logger(__name__)

STORAGE_FAILED = 70
# The default of 5 ms lets a busy event loop starve the writer's thread (measured: a fifth of the rows).
SWITCH_INTERVAL = 0.0005


def tune() -> None:
    """Allow as many connections as this user may have, and let the writer's thread run beside a busy loop."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.setswitchinterval(SWITCH_INTERVAL)


def end_at_once(status: int) -> NoReturn:
    """End the process from any thread, with the log written out and nothing else."""
    log.flush()
    os._exit(status)


def storage_failed(error: BaseException) -> NoReturn:
    """End the process: after a failed write to disk nothing that is in memory can be trusted."""
    logger.critical("the database can't be written any more, so the server ends", reason=str(error))
    end_at_once(STORAGE_FAILED)


def log_unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Write what the event loop caught into the log."""
    logger.error("unhandled", what=context.get("message"), exc_info=context.get("exception"))
