"""The places that blobs can be in."""

import asyncio
import contextlib
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import LocalStore, S3Store

from hongyan import errors
from hongyan.blobs.objects import ObjectBlobs
from hongyan.config import FREE_SPACE_MIN, FilesOptions, Settings
from hongyan.errors import Refused, StartupError

if TYPE_CHECKING:
    from obstore.store import S3Config

#: Bytes of a part: S3 takes none under 5 MiB but the last, and at most 10,000 of them.
LOCAL_PART, S3_PART = 1_048_576, 8_388_608
#: How long a bucket may say nothing.
SILENCE = timedelta(seconds=60)
_DIRECTORY_MODE = 0o700
#: What `LocalStore` calls a file that it has not finished.
_HALF_WRITTEN = re.compile(r".+#[0-9]+")


def place(settings: Settings) -> ObjectBlobs:
    """Where the settings say. Raises StartupError."""
    return local(settings.files_path) if settings.files.s3_bucket is None else s3(settings.files)


def local(directory: Path) -> ObjectBlobs:
    """A directory of this machine, made if there is none. Raises StartupError."""
    try:
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"The directory {directory} for files can't be made: {error.strerror}.") from None
    return LocalBlobs(directory)


class LocalBlobs(ObjectBlobs):
    """Blobs that outlive a power failure, and leave no empty directories."""

    def __init__(self, directory: Path) -> None:
        super().__init__(LocalStore(directory, automatic_cleanup=True), LOCAL_PART)
        self._directory = directory
        self._since = time.time()

    async def put(self, name: str, content: AsyncIterator[bytes]) -> None:
        await super().put(name, self._while_there_is_room(content))
        await asyncio.to_thread(_sync, self._directory, name)

    async def _while_there_is_room(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Files end before the disk is full, since the database needs some of it as well."""
        unchecked = LOCAL_PART
        async for piece in content:
            unchecked += len(piece)
            if unchecked >= LOCAL_PART:
                unchecked = 0
                if shutil.disk_usage(self._directory).free < FREE_SPACE_MIN:
                    raise Refused(errors.STORAGE_FULL, "the server's disk is nearly full")
            yield piece

    async def delete(self, folder: str) -> None:
        await super().delete(folder)
        await asyncio.to_thread(_remove_if_empty, self._directory / folder)

    async def clean(self) -> None:
        await asyncio.to_thread(_clean, self._directory, self._since)


def s3(options: FilesOptions) -> ObjectBlobs:
    """A bucket of an S3-compatible store. What is not set comes from the environment, as AWS' own tools have it."""
    config: S3Config = {}
    if options.s3_endpoint is not None:
        config["endpoint"] = options.s3_endpoint
    if options.s3_region is not None:
        config["region"] = options.s3_region
    if options.s3_access_key is not None and options.s3_secret_key is not None:
        config["access_key_id"] = options.s3_access_key
        config["secret_access_key"] = options.s3_secret_key
    http = (options.s3_endpoint or "").startswith("http://")
    store = S3Store(
        options.s3_bucket,
        config=config,
        prefix=options.s3_prefix,
        client_options={"allow_http": http, "timeout": "1h", "read_timeout": SILENCE, "connect_timeout": "10s"},
        retry_config={"max_retries": 3},
    )
    return ObjectBlobs(store, S3_PART)


def _sync(directory: Path, name: str) -> None:
    """Make a new file and its directories last, also when the power fails."""
    path = directory / name
    while True:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path == directory:
            return
        path = path.parent


def _remove_if_empty(folder: Path) -> None:
    """What began to arrive and never did leaves a directory."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _clean(directory: Path, before: float) -> None:
    """Delete what was half-written before this time: what is newer may still be arriving."""
    for folder, _, names in os.walk(directory):
        for path in (Path(folder, name) for name in names if _HALF_WRITTEN.fullmatch(name)):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()
