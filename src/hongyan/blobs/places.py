"""The places that blobs can be in."""

import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import LocalStore, S3Store

from hongyan.blobs.objects import ObjectBlobs
from hongyan.config import FilesOptions
from hongyan.errors import StartupError

if TYPE_CHECKING:
    from obstore.store import S3Config

#: Bytes of a part: S3 takes none under 5 MiB but the last, and at most 10,000 of them.
LOCAL_PART, S3_PART = 1_048_576, 8_388_608
_DIRECTORY_MODE = 0o700
#: What `LocalStore` calls a file that it has not finished.
_HALF_WRITTEN = re.compile(r".+#[0-9]+")


def local(directory: Path) -> ObjectBlobs:
    """A directory of this machine, made if there is none. Raises StartupError."""
    try:
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"The directory {directory} for files can't be made: {error.strerror}.") from None
    store = LocalStore(directory, automatic_cleanup=True)

    async def settle(name: str) -> None:
        await asyncio.to_thread(_sync, directory, name)

    async def clean() -> None:
        await asyncio.to_thread(_clean, directory)

    return ObjectBlobs(store, LOCAL_PART, settle, clean)


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
        client_options={"allow_http": http, "timeout": "1h", "connect_timeout": "10s"},
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


def _clean(directory: Path) -> None:
    for folder, _, names in os.walk(directory):
        for name in filter(_HALF_WRITTEN.fullmatch, names):
            Path(folder, name).unlink(missing_ok=True)
