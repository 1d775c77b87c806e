"""What comes in the body of a request, piece by piece: never all of it in memory, and not for ever."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import multipart
from litestar import Request

from hongyan.api.errors import HttpError

#: Seconds without anything, and bytes a second that a sender must reach on average after `GRACE` seconds.
SILENCE, SLOWEST, GRACE = 30.0, 2_048, 60.0
#: Bytes of what stands in a form beside the file, and its fields.
FIELD_MAX, FIELDS_MAX = 65_536, 50

AnyRequest = Request[Any, Any, Any]


async def pieces(request: AnyRequest) -> AsyncIterator[bytes]:
    """The body as it comes. Raises HttpError if it comes too slowly, or the connection is lost."""
    began, received, more = time.monotonic(), 0, True
    while more:
        left = began + GRACE + received / SLOWEST - time.monotonic()
        event = await _next(request, min(left, SILENCE))
        if event["type"] == "http.disconnect":
            raise HttpError(400, "The connection was lost before the body was complete.")
        more = event.get("more_body", False)
        if event["body"]:
            received += len(event["body"])
            yield event["body"]


async def _next(request: AnyRequest, seconds: float) -> Any:
    try:
        if seconds > 0:
            async with asyncio.timeout(seconds):
                return await request.receive()
    except TimeoutError:
        pass
    raise HttpError(408, "The body of the request comes too slowly.")


async def file_of_form(request: AnyRequest, names: frozenset[str]) -> AsyncIterator[bytes]:
    """The file in a form, whichever of the names it has there. Raises HttpError also if there is none."""
    is_found = False
    try:
        parser = multipart.PushMultipartParser(_boundary(request), max_segment_count=FIELDS_MAX)
        is_in_file, field = False, 0
        async for piece in pieces(request):
            for event in parser.parse(piece):
                if isinstance(event, multipart.MultipartSegment):
                    is_in_file = not is_found and event.name in names and event.filename is not None
                    is_found, field = is_found or is_in_file, 0
                elif event and is_in_file:
                    yield bytes(event)
                elif event:
                    field += len(event)
                    _check_field(field)
        parser.close()
    except multipart.MultipartError as error:
        raise HttpError(400, f"The form can't be read: {error}.") from None
    if not is_found:
        raise HttpError(400, f"There is no file in the form: its field is {' or '.join(sorted(names))}.")


def _check_field(length: int) -> None:
    if length > FIELD_MAX:
        raise HttpError(413, f"A field of the form has at most {FIELD_MAX} bytes.")


def _boundary(request: AnyRequest) -> str:
    kind, options = multipart.parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise HttpError(400, "The body must be a form: `multipart/form-data` with a boundary.")
    return str(options["boundary"])
