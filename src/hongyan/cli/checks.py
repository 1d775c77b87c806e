"""What `hongyan doctor` looks at. Each check reads, changes nothing, and answers one finding."""

import asyncio
import os
import platform
import resource
import shlex
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2 as sqlite_driver

from hongyan import listen, tls
from hongyan.cli import inspection
from hongyan.config import FREE_SPACE_MIN, Settings
from hongyan.datadir import SECRET_BYTES, SECRET_NAME, holds_data, read_secret
from hongyan.errors import Refused, StartupError
from hongyan.store import database

DESCRIPTORS_MIN = 4_096
EXPIRY_WARNING = timedelta(days=14)
CLOCK_TOLERANCE = 2.0
EARLIEST_NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


class Level(Enum):
    """How bad a finding is; only FAILED makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: the settings, and what the server that uses the data directory says, if one runs."""

    settings: Settings
    running: Mapping[str, Any] | None


def ok(text: str) -> Finding:
    return Finding(Level.OK, text)


def warning(text: str) -> Finding:
    return Finding(Level.WARNING, text)


def failed(text: str) -> Finding:
    return Finding(Level.FAILED, text)


def python(_subject: Subject) -> Finding:
    return ok(platform.python_version())


def sqlite(_subject: Subject) -> Finding:
    database.check_sqlite()
    return ok(sqlite_driver.sqlite_version)


def data_directory(subject: Subject) -> Finding:
    path = subject.settings.data_dir
    if not path.exists():
        parent = _nearest(path)
        if parent.is_dir() and os.access(parent, os.W_OK):
            return ok(f"{path} does not exist yet: the first start makes it")
        return failed(f"{path} does not exist and can't be made in {parent}")
    if not path.is_dir() or not os.access(path, os.W_OK):
        return failed(f"{path} is no directory that this user may write to")
    if path.stat().st_mode & 0o077:
        command = shlex.join(["chmod", "700", str(path.resolve())])
        return warning(f"{path.resolve()} is open to other users: run `{command}`")
    user = f", used by process {subject.running['pid']}" if subject.running else ""
    return ok(f"{path.resolve()}{user}")


def secret_key(subject: Subject) -> Finding:
    settings = subject.settings
    file, database_file = settings.data_dir / SECRET_NAME, settings.database_path
    if not file.exists() and not holds_data(database_file):
        return ok("none yet: the first start makes it")
    secret = read_secret(file, database_file)
    if not holds_data(database_file):
        return ok(f"{SECRET_BYTES} bytes; no database yet")
    inspection.check_secret(database_file, secret)
    return ok("the one of the database")


def files(subject: Subject) -> Finding:
    settings = subject.settings
    if settings.files.s3_bucket is not None:
        return _bucket(settings, settings.files.s3_bucket)
    path = settings.files_path
    if not path.exists():
        return ok(f"{path} does not exist yet: the first start makes it")
    if not path.is_dir() or not os.access(path, os.W_OK):
        return failed(f"{path} is no directory that this user may write to")
    return ok(str(path.resolve()))


def _bucket(settings: Settings, name: str) -> Finding:
    """Asked for what no app has, so that the answer is short."""
    from hongyan import blobs

    try:
        asyncio.run(blobs.place(settings).measure("0"))
    except Refused as refusal:
        why = str(refusal.__cause__).partition("\n")[0]
        return failed(f"the bucket {name}: {refusal.detail} ({why})")
    return ok(f"the bucket {name}")


def free_space(subject: Subject) -> Finding:
    free = shutil.disk_usage(_nearest(subject.settings.data_dir)).free
    text = f"{free / 2**30:.1f} GiB"
    return ok(text) if free >= FREE_SPACE_MIN else failed(f"{text}: less than {FREE_SPACE_MIN >> 20} MiB")


def ports(subject: Subject) -> Finding:
    if subject.running:
        return ok(f"{subject.running['http_port']} and {subject.running['gateway_port']}, used by the server")
    settings = subject.settings
    for name, port in (("http_port", settings.http_port), ("gateway_port", settings.gateway_port)):
        listen.bind(settings.host, port, name).close()
    fixed = [str(port) for port in (settings.http_port, settings.gateway_port) if port]
    if len(fixed) == 2:
        return ok(f"{' and '.join(fixed)} on {settings.host} are free")
    return ok("".join(f"{port} is free; " for port in fixed) + "the start chooses a free port where the setting is 0")


def file_descriptors(_subject: Subject) -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    text = f"{hard:,}, about as many connections at once" if hard != resource.RLIM_INFINITY else "unlimited"
    few = 0 <= hard < DESCRIPTORS_MIN
    return warning(f"{text}: few; raise the hard limit (`ulimit -Hn`)") if few else ok(text)


def tls_files(subject: Subject) -> Finding:
    cert, key = subject.settings.tls_cert, subject.settings.tls_key
    if cert is None or key is None:
        if subject.running and subject.running["tls"]:
            return ok("not set here, but the server was started with them")
        return ok("not set: both ports speak plain text")
    end = tls.check(cert, key)
    left = end - datetime.now(UTC)
    if left < timedelta(0):
        return failed(f"the certificate {cert} was valid until {end:%Y-%m-%d}")
    text = f"the certificate is valid for {left.days} more days"
    return ok(text) if left > EXPIRY_WARNING else warning(text)


def schema(subject: Subject) -> Finding:
    path = subject.settings.database_path
    if not path.exists():
        return ok("no database yet: the first start makes it")
    return ok(inspection.schema_state(path))


def integrity(subject: Subject) -> Finding:
    path = subject.settings.database_path
    if not path.exists():
        return ok("no database yet")
    damage = inspection.damage(path)
    return failed(f"{path} is damaged: {damage[0]}") if damage else ok(f"{path.stat().st_size:,} bytes, sound")


def clock(subject: Subject) -> Finding:
    now = time.time()
    if now < EARLIEST_NOW:
        return failed(f"the system clock says {datetime.fromtimestamp(now, UTC):%Y-%m-%d}")
    behind = max((file.stat().st_mtime for file in _database_files(subject.settings)), default=now) - now
    if behind > CLOCK_TOLERANCE:
        return failed(f"the system clock is {behind:.0f} s behind the last change of the database")
    return ok(datetime.now(UTC).isoformat(timespec="seconds"))


def sweep(subject: Subject) -> Finding:
    path = subject.settings.database_path
    waiting = inspection.waiting_sweeps(path) if path.exists() else {}
    if not waiting:
        return ok("nothing waits")
    told = (f"{_sweepable(count)} of {app}" for app, count in waiting.items())
    return warning(f"waits for a yes to delete {'; '.join(told)}: run `hongyan sweep`")


def _sweepable(count: tuple[int, int] | None) -> str:
    if count is None:
        return "what may be too old"
    messages, conversations = count
    return f"{messages:,} messages and {conversations:,} conversations"


def channels(subject: Subject) -> Finding:
    path = subject.settings.database_path
    failing = inspection.failing_channels(path) if path.exists() else []
    if not failing:
        return ok("none fails")
    return warning("; ".join(f"{name} fails: {why}" for name, why in failing))


CHECKS: dict[str, Callable[[Subject], Finding]] = {
    "Python": python,
    "SQLite": sqlite,
    "Data directory": data_directory,
    "Secret key": secret_key,
    "Files": files,
    "Free space": free_space,
    "Ports": ports,
    "File descriptors": file_descriptors,
    "TLS files": tls_files,
    "Database schema": schema,
    "Database integrity": integrity,
    "Sweep": sweep,
    "Channels": channels,
    "Clock": clock,
}


def look(check: Callable[[Subject], Finding], subject: Subject) -> Finding:
    """Make a check; what stops it is its finding."""
    try:
        return check(subject)
    except StartupError as error:
        return failed(str(error))
    except OSError as error:
        return failed(f"can't be checked: {error.strerror}")


def _nearest(path: Path) -> Path:
    """The path, or the first of its parents that exists."""
    path = path.absolute()
    return next(one for one in (path, *path.parents) if one.exists())


def _database_files(settings: Settings) -> list[Path]:
    path = settings.database_path
    return [file for file in (path, path.with_name(path.name + "-wal")) if file.exists()]
