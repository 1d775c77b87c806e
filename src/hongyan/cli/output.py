"""What sub-commands print: JSON for programs, with colours for people."""

import sys
from collections.abc import Iterable
from typing import Any

import msgspec
from rich.console import Console


def print_json(value: Any) -> None:
    """One JSON text on standard output: a single line, or indented on a terminal."""
    text = msgspec.json.encode(value).decode()
    if sys.stdout.isatty():
        Console().print_json(text, ensure_ascii=False)
    else:
        print(text)


def print_lines(lines: Iterable[str]) -> None:
    """Each on a line, in UTF-8 whatever the terminal has."""
    sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode())
    sys.stdout.buffer.flush()
