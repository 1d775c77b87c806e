"""Blobs in an object store of `obstore`, of which the local disk is one."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from hongyan import errors
from hongyan.errors import Refused

if TYPE_CHECKING:
    from obstore import ObjectMeta

_NAME = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
#: Bytes that are read at once.
READ = 65_536
#: No space left on the device, over the quota, file too large for the file system: all that obstore gives is a text.
_FULL = re.compile(r"os error (28|122|27)\b")

_OUT_OF_REACH = "the store of the files can't be reached"
#: How S3 says that all of it is missing, where obstore speaks of the object.
_NO_BUCKET = "NoSuchBucket"


class ObjectBlobs:
    """`part`: bytes that are gathered before they are written; an upload holds about three such parts in memory."""

    def __init__(self, store: ObjectStore, part: int) -> None:
        self._store = store
        self._part = part

    async def put(self, name: str, content: AsyncIterator[bytes]) -> None:
        """The store gives the name when all is there; whatever ends it before leaves nothing."""
        with _told(name):
            await obstore.put_async(
                self._store, name, content, use_multipart=True, chunk_size=self._part, max_concurrency=2
            )

    async def get(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        with _told(name):
            found = await obstore.get_async(
                self._store, name, options={"range": (start, end) if end is not None else {"offset": start}}
            )
            stream = found.stream(READ)
            try:
                async for part in stream:
                    yield bytes(part)
            finally:
                del found, stream  # the traceback of a cancellation would keep the file open

    async def delete(self, folder: str) -> None:
        with _told(folder):
            for each in await self._all(folder):
                await obstore.delete_async(self._store, each["path"])

    async def measure(self, folder: str) -> tuple[int, int]:
        with _told(folder):
            sizes = [each["size"] for each in await self._all(folder)]
            return len(sizes), sum(sizes)

    async def clean(self) -> None:
        """A bucket shows nothing that is half-written."""

    async def _all(self, folder: str) -> "list[ObjectMeta]":
        """Few: a file, its thumbnails, its parts."""
        return [each async for found in obstore.list(self._store, folder) for each in found]


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Say in our own words what a store raises. What the content itself raises passes as it is."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a blob")
    try:
        yield
    except FileNotFoundError as error:
        if _NO_BUCKET in str(error):
            raise Refused(errors.INTERNAL_ERROR, _OUT_OF_REACH) from error
        raise Refused(errors.FILE_NOT_FOUND, "the bytes of this file are not there") from None
    except (BaseError, OSError) as error:
        if _FULL.search(str(error)):
            raise Refused(errors.STORAGE_FULL, "the server's disk is full") from error
        raise Refused(errors.INTERNAL_ERROR, _OUT_OF_REACH) from error
