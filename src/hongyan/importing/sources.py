"""The files of an export, wherever they are: in folders, tar and zip archives, packed or not."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from hongyan.errors import StartupError

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
#: A tar archive has this at this place of its first block.
_TAR, _TAR_AT = b"ustar", 257
_LOOK = 512
_BUFFER = 1 << 18
#: What systems and `mongodump` leave beside the data.
_ASIDE = (".metadata.json", "prelude.json", "oplog.bson", "Thumbs.db")


class Source(NamedTuple):
    """A file with rows: where it is, as people name it, and its unpacked bytes."""

    label: str
    stream: BinaryIO


def check(paths: Sequence[Path]) -> None:
    """Raises StartupError for what is not there."""
    for path in paths:
        if not path.exists():
            raise StartupError(f"There is nothing at {path}.")


def sources(paths: Sequence[Path]) -> Iterator[Source]:
    """Each file in turn; its stream is of use until the next one. Raises StartupError for what can't be read."""
    for path in paths:
        base = path if path.is_dir() else path.parent
        for file in _files(path):
            label = str(file.relative_to(base)) if file != path else file.name
            try:
                with file.open("rb") as stream:
                    yield from _of(label, stream)
            except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
                raise StartupError(f"{file} can't be read: {error}.") from None


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for each in sorted(path.iterdir()):
        is_folder = each.is_dir() and not each.name.startswith((".", "__MACOSX"))
        if is_folder or (each.is_file() and is_data(each.name)):
            yield from _files(each)


def is_data(name: str) -> bool:
    """Whether a file, by the last part of its name, may hold rows."""
    return not name.startswith(".") and not name.endswith(_ASIDE) and not name.startswith("system.")


def _of(label: str, stream: Any, *, seekable: bool = True) -> Iterator[Source]:
    """What a file is, by how it begins."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream, _BUFFER)
    head = buffered.peek(_LOOK)[:_LOOK]
    if head.startswith(_GZIP):
        yield from _of(label.removesuffix(".gz"), gzip.GzipFile(fileobj=buffered), seekable=False)
    elif head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        yield from _of_tar(label, buffered)
    elif head.startswith(_ZIP) and seekable:
        yield from _of_zip(label, buffered)
    else:
        yield Source(label, buffered)


def _of_tar(label: str, stream: BinaryIO) -> Iterator[Source]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.isfile() and is_data(Path(member.name).name):
                content = archive.extractfile(member)
                assert content is not None
                yield from _of(f"{label}/{member.name}", content, seekable=False)


def _of_zip(label: str, stream: BinaryIO) -> Iterator[Source]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            folders = Path(info.filename).parts[:-1]
            if info.is_dir() or "__MACOSX" in folders or not is_data(Path(info.filename).name):
                continue
            with archive.open(info) as content:
                yield from _of(f"{label}/{info.filename}", content, seekable=False)
