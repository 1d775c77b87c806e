"""Rows of `_File`, and the bytes of files (REST reference 8.6).

Bytes come from a folder, in which a file lies under its key, or from the app's file domain; then the file is one of
ours. It keeps its key if nobody can guess it and no other file has it, so that its URL differs in the domain only.
Without bytes it stays a link to where it was.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from hongyan.engine.file_types import of_bytes
from hongyan.engine.files import kept_key, new_key, original
from hongyan.engine.imported import ImportedFile
from hongyan.engine.ports import Blobs
from hongyan.engine.values import File
from hongyan.errors import Refused
from hongyan.importing.conversations import times
from hongyan.importing.plain import Mistake, plain, text

_CHUNK = 1 << 18
_TIMEOUT = 60.0
_NAME_MAX, _KEY_MAX = 255, 1_024
_DEFAULT_TYPE = "application/octet-stream"


def file(row: dict[str, Any]) -> ImportedFile:
    """The row, with the key that it had there. Raises Mistake."""
    values = {name: plain(value) for name, value in row.items()}
    created_at, updated_at = times(values)
    name, kind, url = values.get("name"), values.get("mime_type"), values.get("url")
    meta, acl, key = values.get("metaData"), values.get("ACL"), values.get("key")
    if key is None and not _is_url(url):
        raise Mistake("there is neither key nor url")
    return ImportedFile(
        id=text(values.get("objectId", values.get("_id")), "objectId"),
        created_at=created_at,
        updated_at=updated_at,
        name=name[:_NAME_MAX] if isinstance(name, str) and name else "file",
        mime_type=kind if isinstance(kind, str) and kind else _DEFAULT_TYPE,
        meta=meta if isinstance(meta, dict) else {},
        acl=acl if isinstance(acl, dict) else None,
        url=url if _is_url(url) else None,
        key=None if key is None else text(key, "key", _KEY_MAX).lstrip("/"),
    )


def _is_url(given: Any) -> bool:
    return isinstance(given, str) and given.startswith(("http://", "https://")) and len(given) <= 2_048


class Bytes:
    """Where the bytes of files are: a folder, the URL of the file domain, or neither.

    Nothing is fetched from anywhere else: anybody who may write a row could name any address.
    """

    def __init__(self, blobs: Blobs, folder: Path | None, domain: str | None) -> None:
        self._blobs = blobs
        self._folder = folder
        self._domain = domain

    def placed(self, row: ImportedFile, app_key: int, is_taken: Callable[[str], bool]) -> ImportedFile:
        """The row, its bytes being here now; or if they can't be had, as a link.

        `is_taken` says of a key whether another file may have the place of its bytes.
        """
        assert row.key is not None
        with (
            contextlib.suppress(OSError, ValueError, httpx.HTTPError, Refused),
            contextlib.closing(self._pieces(row.key)) as found,
        ):
            for pieces in found:
                key = row.key if kept_key(row.key) and not is_taken(row.key) else new_key(row.name, False)
                return self._keep(row, app_key, key, pieces)
        return self.linked(row)

    def linked(self, row: ImportedFile) -> ImportedFile:
        """The row as a link to where it is."""
        url = self._url(row.key) if row.key is not None and self._domain else None
        return replace(row, key=None, url=row.url or url)

    def _pieces(self, key: str) -> Generator[Iterator[bytes], None, None]:
        """The bytes, if they can be had."""
        if self._folder is not None:
            path = (self._folder / key).resolve()
            if path.is_relative_to(self._folder.resolve()) and path.is_file():
                with path.open("rb") as content:
                    yield iter(lambda: content.read(_CHUNK), b"")
        if self._domain is not None:
            with httpx.stream("GET", self._url(key), timeout=_TIMEOUT) as answer:
                if answer.status_code == 200:
                    yield answer.iter_bytes(_CHUNK)

    def _keep(self, row: ImportedFile, app_key: int, key: str, pieces: Iterator[bytes]) -> ImportedFile:
        digest, size, head = hashlib.md5(usedforsecurity=False), 0, b""

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size, head
            for piece in pieces:
                head = head or piece
                digest.update(piece)
                size += len(piece)
                yield piece

        place = original(File(app_key, row.id, row.name, row.mime_type, row.created_at, key))
        asyncio.run(self._blobs.put(place, counted()))
        return replace(row, key=key, url=None, size=size, md5=digest.hexdigest(), detected=of_bytes(head))

    def _url(self, key: str) -> str:
        return f"{(self._domain or '').rstrip('/')}/{quote(key)}"
