"""What the driver's errors mean: whom they concern, and whether the file can still be trusted."""

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite

from hongyan import errors
from hongyan.errors import Refused


def driver_error(error: Exception) -> BaseException:
    """What the driver raised, if SQLAlchemy has wrapped it."""
    wrapped = error.orig if isinstance(error, sa.exc.DBAPIError) else None
    return error if wrapped is None else wrapped


def refusal_of_all(error: BaseException) -> Refused | None:
    """What no unit is to blame for, so that splitting the batch would not help."""
    code = _primary_code(error)
    if code == sqlite.SQLITE_FULL:
        return Refused(errors.STORAGE_FULL, "the server's disk is full")
    if code == sqlite.SQLITE_BUSY:
        return Refused(errors.INTERNAL_ERROR, "another program holds the database")
    return None


def is_fatal(error: BaseException) -> bool:
    """The file can't be trusted any more: an I/O error or a damaged file."""
    return _primary_code(error) in (sqlite.SQLITE_IOERR, sqlite.SQLITE_CORRUPT, sqlite.SQLITE_NOTADB)


def _primary_code(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
