"""Write docs/decisions/README.md, the index of the decision records, from the records themselves."""

import re
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "decisions"
INDEX = FOLDER / "README.md"

INTRODUCTION = """\
# Decisions

One short record for each choice that a newcomer might question: what was chosen, why, and what it costs. A
record is not rewritten when a choice changes; a new one takes its place and both say so in their status. To
add one, copy [the template](template.md) under the next number and run `make docs`, which writes this page.

| number | decision | status |
|---|---|---|
"""


class Record(NamedTuple):
    """One decision record: its file name, number, title and status."""

    file: str
    number: str
    title: str
    status: str


def read_record(path: Path) -> Record:
    """Read a record's heading and status line.

    Raises ValueError if the file lacks one of them.
    """
    text = path.read_text(encoding="utf-8")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    status = re.search(r"^Status: (.+)$", text, re.MULTILINE)
    if not title or not status:
        raise ValueError(f"{path.name} needs a line `# Title` and a line `Status: …`")
    return Record(path.name, path.name[:4], title[1], status[1])


def render_index() -> str:
    """The whole text of the index page."""
    records = [read_record(path) for path in sorted(FOLDER.glob("[0-9]*.md"))]
    return INTRODUCTION + "".join(f"| {r.number} | [{r.title}]({r.file}) | {r.status} |\n" for r in records)


if __name__ == "__main__":
    INDEX.write_text(render_index(), encoding="utf-8")
