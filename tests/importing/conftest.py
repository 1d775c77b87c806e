"""An app in a data directory of its own, and the commands that import and export."""

import json
from pathlib import Path
from typing import Any

import pytest

from hongyan import cli
from tests.importing.exports import jsonl
from tests.store.steps import rows
from tests.support.server import TEST_APP, Server


class Home:
    """A data directory with the app of the tests; no server runs."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._capsys = capsys
        Server(folder).create_app(TEST_APP, limits="off")

    def command(self, *arguments: object) -> Any:
        """What a command prints, as it ends well."""
        self._capsys.readouterr()
        status = cli.run([*map(str, arguments), "--data-dir", str(self.data)])
        out, error = self._capsys.readouterr()
        assert (status, error) == (0, "")
        return json.loads(out)

    def refused(self, *arguments: object) -> str:
        """The sentence with which a command is refused."""
        self._capsys.readouterr()
        assert cli.run([*map(str, arguments), "--data-dir", str(self.data)]) == 2
        return self._capsys.readouterr().err

    def bring_in(self, *arguments: object) -> dict[str, Any]:
        """The tallies of an import, by class, without those that are nothing."""
        done = self.command("import", "leancloud", *arguments, "--app", TEST_APP.id)
        self.report = done["report"]
        self.left_out = done["files_left_out"]
        self.counts = done.get("counts")
        self.not_asked = done.get("clients_not_asked")
        return {name: {key: count for key, count in tally.items() if count} for name, tally in done["classes"].items()}

    def reported(self) -> list[dict[str, Any]]:
        """What the report of the last import lists."""
        return [json.loads(line) for line in Path(self.report).read_text().splitlines()] if self.report else []

    def export(self, name: str = "out") -> dict[str, list[dict[str, Any]]]:
        """The rows of each file of an export."""
        folder = self.folder / name
        self.command("export", "leancloud", folder, "--app", TEST_APP.id)
        return {file.stem: [json.loads(line) for line in file.read_bytes().splitlines()] for file in folder.iterdir()}

    def write(self, name: str, *values: dict[str, Any]) -> Path:
        """A file with a row a line."""
        return jsonl(self.folder / name, *values)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return rows(self.data / "hongyan.db", query, *values)


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Home:
    """A data directory with an app."""
    return Home(tmp_path, capsys)


@pytest.fixture
def other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Home:
    """Another one."""
    folder = tmp_path / "other"
    folder.mkdir()
    return Home(folder, capsys)
