"""The log: one event a line on standard error, as JSON or for people; secrets are left out.

Our own code logs with `structlog.get_logger()`; what libraries write to `logging` takes the same way.
"""

import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

HIDDEN = "(hidden)"
_SECRET_NAME = re.compile(r"(^|_)(key|secret|password|passphrase|token|authorization|cookie|signature)s?$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# Libraries that tell at "info" what only their own developers want to know, or what nobody should: httpx each URL, in
# which the address of a device may stand.
_QUIET = ("uvicorn", "picows", "litestar", "asyncio", "alembic", "httpx", "httpcore", "hpack")


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set the log up. `form` is `json`, `console`, or `auto`: console if the stream is a terminal."""
    stream = stream or sys.stderr
    pretty = form == "console" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(pretty, stream),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def flush() -> None:
    """Write out what the log still holds; for a process that ends at once."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values whose names say that they are secret, at any depth."""
    return {name: _without_secrets(name, value) for name, value in event.items()}


def one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters, so that a value that came from outside can't look like another line."""
    return {name: _escaped(value) if isinstance(value, str) else value for name, value in event.items()}


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]


def _rendering(pretty: bool, stream: TextIO) -> list[Processor]:
    if pretty:
        # A traceback with the values of variables would show secrets.
        plain = structlog.dev.plain_traceback
        return [one_line, structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]


def _without_secrets(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name.lower().replace("-", "_")):
        return HIDDEN
    if isinstance(value, dict):
        return {key: _without_secrets(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets("", inner) for inner in value]
    return value


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda match: repr(match.group())[1:-1], text)
