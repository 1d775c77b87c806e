"""The files of an export, wherever they are: in folders, tar and zip archives, packed or not."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from hongyan.errors import StartupError

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
#: A tar archive has this at this place of its first block.
_TAR, _TAR_AT = b"ustar", 257
_LOOK = 512
_BUFFER = 1 << 18
#: A folder of this name holds the bytes of files, whatever those are called.
BYTES = "_File.bytes"
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
        if (each.is_dir() and _is_folder(each.name)) or (each.is_file() and _is_data(each.name)):
            yield from _files(each)


def _is_data(path: str) -> bool:
    """Whether a file, by its name and those of its folders, may hold rows."""
    *folders, name = PurePosixPath(path).parts or (".",)
    aside = name.startswith((".", "system.")) or name.endswith(_ASIDE)
    return not aside and all(map(_is_folder, folders))


def _is_folder(name: str) -> bool:
    return not name.startswith((".", "__MACOSX")) and name != BYTES


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
            if member.isfile() and _is_data(member.name):
                content = archive.extractfile(member)
                assert content is not None
                yield from _of(f"{label}/{member.name}", content, seekable=False)


def _of_zip(label: str, stream: BinaryIO) -> Iterator[Source]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if info.is_dir() or not _is_data(info.filename):
                continue
            with archive.open(info) as content:
                yield from _of(f"{label}/{info.filename}", content, seekable=False)
