"""The data directory: one holder at a time, and a secret that stays."""

import os
import stat
from pathlib import Path

import pytest

from hongyan.datadir import DataDir, InUse
from hongyan.errors import StartupError


def test_a_directory_is_made_for_its_user_only(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "below" / "data")
    assert stat.S_IMODE(data.path.stat().st_mode) == 0o700


def test_the_secret_is_random_private_and_stays(tmp_path: Path) -> None:
    first, other = DataDir(tmp_path / "first"), DataDir(tmp_path / "other")
    secret = first.secret(first.path / "hongyan.db")
    assert len(secret) == 32
    (first.path / "hongyan.db").write_text("some")
    assert DataDir(first.path).secret(first.path / "hongyan.db") == secret
    assert other.secret(other.path / "hongyan.db") != secret
    assert stat.S_IMODE((first.path / "secret.key").stat().st_mode) == 0o600


def test_a_secret_that_was_half_written_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "secret.key.new").write_bytes(b"half")
    assert len(DataDir(tmp_path).secret(tmp_path / "hongyan.db")) == 32
    assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]


def test_a_damaged_secret_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    file.write_bytes(b"short")
    with pytest.raises(StartupError, match="is damaged"):
        DataDir(tmp_path).secret(tmp_path / "hongyan.db")
    assert file.read_bytes() == b"short"


def test_a_lost_secret_is_not_replaced(tmp_path: Path) -> None:
    database = tmp_path / "hongyan.db"
    database.write_text("some")
    with pytest.raises(StartupError, match=r"secret.key is missing, .* restore it from a backup"):
        DataDir(tmp_path).secret(database)
    assert list(tmp_path.iterdir()) == [database]


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    data, database = DataDir(tmp_path), tmp_path / "hongyan.db"
    with data.held(database), pytest.raises(InUse, match=f"is in use by process {os.getpid()}"), data.held(database):
        pass
    with data.held(database):
        pass


def test_a_database_elsewhere_is_held_too(tmp_path: Path) -> None:
    one, other = DataDir(tmp_path / "one"), DataDir(tmp_path / "other")
    database = tmp_path / "chat.db"
    with one.held(database):
        with pytest.raises(InUse, match=r"The database .* is in use"), other.held(database):
            pass
        with other.held(other.path / "hongyan.db"):
            pass
