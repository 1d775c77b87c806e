"""What an import tells: how many rows of each class came to what, and which could not be brought in."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(slots=True)
class Tally:
    """Rows of a class. `doubles` were read more than once; `bad` could not be brought in."""

    read: int = 0
    doubles: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    bad: int = 0


class Report:
    """A file with a JSON object for each row that is not there as it was; made with the first one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self.skipped: dict[str, None] = {}
        self.notes = 0
        self._file: IO[str] | None = None

    def bad(self, class_name: str, label: str, line: int, reason: str) -> None:
        """A row that is left out."""
        self.tallies[class_name].bad += 1
        self._write({"class": class_name, "file": label, "line": line, "left out": reason})

    def note(self, class_name: str, label: str, line: int, what: str) -> None:
        """A row that is brought in, but for something."""
        self.notes += 1
        self._write({"class": class_name, "file": label, "line": line, "note": what})

    def skip(self, label: str, why: str) -> None:
        """A file that is left out."""
        if label not in self.skipped:
            self.skipped[label] = None
            self._write({"file": label, "left out": why})

    @property
    def written(self) -> bool:
        return self._file is not None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, entry: dict[str, Any]) -> None:
        if self._file is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8", errors="backslashreplace")
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
