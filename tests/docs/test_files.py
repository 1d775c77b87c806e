"""No file names one machine or one registry, and the lock files pin everything."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.docs.tree import ROOT, project_files

# Written in pieces, so that this file does not name them itself.
FOLDERS = "|".join(["home/" + r"\w", "root/", "work/", "tmp/", "Users/" + r"\w"])
MACHINE_PATH = re.compile(r"(?<![\w.}>)/*~-])/(?:" + FOLDERS + ")")
REGISTRY_HOST = re.compile(
    "|".join([r"pypi\." + "org", "python" + r"hosted\.", r"registry\." + "npm", "npm" + "mirror"])
)

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
NPM_LOCKS = [path for path in project_files() if path.name == "package-lock.json"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name(path: Path) -> str:
    """A path as the project names it."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOST], ids=["machine path", "registry host"])
def test_no_file_contains(pattern: re.Pattern[str]) -> None:
    found = {name(path): match[0] for path in project_files() if (match := pattern.search(text_of(path)))}
    assert found == {}


@pytest.mark.parametrize("lock", LOCKS, ids=name)
def test_a_lock_pins_every_package_with_a_hash_and_names_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    assert entries
    assert [entry for entry in entries if not re.match(r"[\w.-]+==\S+ .*\\\n +--hash=sha256:", entry)] == []
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize("lock", NPM_LOCKS, ids=name)
def test_an_npm_lock_has_a_digest_for_every_package_and_names_no_address(lock: Path) -> None:
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    packages.pop("")
    assert [path for path, entry in packages.items() if "integrity" not in entry] == []
    assert [path for path, entry in packages.items() if "resolved" in entry] == []


@pytest.mark.parametrize("line", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["bench"])
def test_the_lock_follows_the_project_file(line: str) -> None:
    wanted = Requirement(line)
    locked = re.findall(rf"^{wanted.name}==(\S+)", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)
    assert locked
    assert all(wanted.specifier.contains(version) for version in locked)


def test_the_development_lock_contains_the_server_lock() -> None:
    serve, dev = (pins((ROOT / "requirements" / f"{lock}.txt").read_text()) for lock in ("serve", "dev"))
    assert serve <= dev


def pins(text: str) -> set[str]:
    """The pinned packages of a lock file."""
    return set(re.findall(r"^\S+==\S+", text, re.MULTILINE))


def text_of(path: Path) -> str:
    """A file's text; empty for a picture or other data."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
