"""The data directory: who may use it, who holds it, and the server's secret.

`lock` names the one process that uses the database and is held by it; `secret.key` is what tokens are made
from; `admin.sock` is where a running server takes the commands of `hongyan app …`.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from hongyan.errors import StartupError

SECRET_NAME = "secret.key"
SECRET_BYTES = 32
_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600


class InUse(StartupError):
    """Another process holds the data directory."""


class DataDir:
    """A data directory that exists and can be written to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise StartupError(f"The data directory {path} can't be made: a file stands in its place.") from None
        except OSError as error:
            raise StartupError(f"The data directory {path} can't be made: {error.strerror}.") from None

    @property
    def admin_socket(self) -> Path:
        return self.path / "admin.sock"

    @contextmanager
    def held(self, database: Path) -> Iterator[None]:
        """Take the directory, and the database where it stands elsewhere. Raises InUse or StartupError."""
        with ExitStack() as holds:
            holds.enter_context(_Hold(self.path / "lock", f"The data directory {self.path}"))
            if database.parent.resolve() != self.path.resolve():
                lock = database.with_name(database.name + ".lock")
                holds.enter_context(_Hold(lock, f"The database {database}"))
            yield

    def secret(self, database: Path) -> bytes:
        """The 32 random bytes that seal the apps' keys and make tokens; made together with the database only.

        Raises StartupError if the file is missing beside a database, or damaged: another secret would not fit.
        """
        file = self.path / SECRET_NAME
        if not file.exists() and not holds_data(database):
            try:
                _write_whole(file, secrets.token_bytes(SECRET_BYTES))
            except OSError as error:
                raise StartupError(f"The file {file} can't be written: {error.strerror}.") from None
        return read_secret(file, database)


def holds_data(database: Path) -> bool:
    """Whether the database has been made."""
    return database.exists() and database.stat().st_size > 0


def read_secret(file: Path, database: Path) -> bytes:
    """The secret of a database. Raises StartupError with a sentence; changes nothing."""
    try:
        secret = file.read_bytes()
    except FileNotFoundError:
        raise StartupError(
            f"The file {file} is missing, and the database {database} is of no use without it: "
            "restore it from a backup."
        ) from None
    except OSError as error:
        raise StartupError(f"The file {file} can't be read: {error.strerror}.") from None
    if len(secret) != SECRET_BYTES:
        raise StartupError(f"The file {file} is damaged: it must have {SECRET_BYTES} bytes.")
    return secret


class _Hold:
    """A file with the id of the process that has it locked. The kernel frees it when the process ends."""

    def __init__(self, file: Path, what: str) -> None:
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        except OSError as error:
            raise StartupError(f"{what} can't be written to: {error.strerror}.") from None
        try:
            self._lock(what)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _lock(self, what: str) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            raise InUse(f"{what} is in use by process {holder or 'of another user'}.") from None
        except OSError as error:
            raise StartupError(f"{what} can't be locked: {error.strerror}.") from None
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise StartupError(f"{what} can't be written to: {error.strerror}.") from None

    def release(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _write_whole(file: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all, also when the power fails."""
    temporary = file.with_name(file.name + ".new")
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    with open(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    temporary.rename(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
