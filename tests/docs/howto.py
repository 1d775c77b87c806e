"""Runs the examples of a how-to page in their order, and compares what they answer with what the page shows."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.docs.test_readme import install_sdk, node
from tests.docs.tree import markdown
from tests.support.programs import PROGRAM
from tests.support.server import Server, free_ports

RECEIVER_PORT = "9000"
"""Where the receiver of the pages listens."""
SERVER = "http://127.0.0.1:8000"
"""The server of the pages."""
MADE = frozenset({"objectId", "createdAt", "updatedAt", "msg-id", "timestamp", "id", "secret"})
"""Answers that are others each time; later examples use those of the page."""
ID = re.compile(r"[0-9a-f]{24}")
DONE = "::done"


class Reader:
    """Does what a page says: `sh` in one shell, each `js` or `python` as a program that goes on beside it.

    `json` shows the last that the `sh` before it answers, a block of no language the last lines of it, `text` what the
    last program prints. An `sh` with one of the words `without` is left out, as is what it answers; of what else pages
    name, `replaced` says what is there instead.
    """

    def __init__(
        self,
        page: Path,
        server: Server,
        folder: Path,
        *,
        without: Collection[str] = (),
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        self._page = page
        self._folder = folder
        self._without = without
        self._left_out = False
        self._replaced = {SERVER: server.http_url, RECEIVER_PORT: str(free_ports(1)[0]), **(replaced or {})}
        self._answer = ""
        self._first = ""
        self._programs: list[subprocess.Popen[str]] = []
        folder.mkdir()
        install_sdk(folder)
        self._shell = self._start(["sh"], _environment(server, folder))

    def read(self, *more: Path) -> None:
        """The page, and `more` that go on from it. Raises AssertionError where they do not show what happens."""
        try:
            for token in (token for page in (self._page, *more) for token in markdown(page)):
                if token.type == "fence":
                    {
                        "sh": self._run,
                        "json": self._compare,
                        "": self._compare_lines,
                        "js": self._begin,
                        "python": self._begin_python,
                        "text": self._print,
                    }[token.info](token.content)
        finally:
            for process in [*self._programs, self._shell]:
                process.kill()
                process.communicate()

    def _run(self, block: str) -> None:
        self._left_out = any(word in block for word in self._without)
        if self._left_out:
            return
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{self._adapted(block)}\necho {DONE}\n")
        self._shell.stdin.flush()
        self._answer = "".join(iter(lambda: _line(self._shell), f"{DONE}\n"))

    def _compare_lines(self, block: str) -> None:
        shown = self._adapted(block).splitlines()
        if not self._left_out:
            assert self._answer.splitlines()[-len(shown) :] == shown

    def _compare(self, block: str) -> None:
        if self._left_out:
            return
        shown, given = list(_objects(block.replace("{…}", "{}").replace(",…", ""))), list(_objects(self._answer))
        for one, other in zip(shown, given[-len(shown) :], strict=True):
            self._match(one, other)

    def _begin(self, block: str) -> None:
        """Waits for the first line that it prints: then it has begun."""
        script = self._folder / "example.mjs"
        script.write_text(self._adapted(block), encoding="utf-8")
        self._programs.append(self._start([node(), str(script)]))
        self._first = _line(self._programs[-1])

    def _begin_python(self, block: str) -> None:
        script = self._folder / "example.py"
        script.write_text(self._adapted(block), encoding="utf-8")
        self._programs.append(self._start([sys.executable, str(script)]))
        self._first = _line(self._programs[-1])

    def _print(self, block: str) -> None:
        for shown in block.splitlines(keepends=True):
            line = self._first or _line(self._programs[-1])
            self._first = ""
            if ID.fullmatch(shown.strip()):
                self._replaced[shown.strip()] = line.strip()
            else:
                assert line == shown

    def _match(self, shown: Any, given: Any, key: str = "") -> None:
        assert type(given) is type(shown), given
        if isinstance(shown, dict):
            assert shown.keys() <= given.keys()
            for name, value in shown.items():
                self._match(value, given[name], name)
        elif isinstance(shown, list):
            assert len(given) == len(shown)
            for one, other in zip(shown, given, strict=True):
                self._match(one, other, key)
        elif key in MADE:
            self._replaced[str(shown)] = str(given)
        else:
            assert given == (self._adapted(shown) if isinstance(shown, str) else shown)

    def _adapted(self, block: str) -> str:
        for shown, given in self._replaced.items():
            block = block.replace(shown, given)
        return block

    def _start(self, command: list[str], environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=self._folder, env=environment)


def _environment(server: Server, folder: Path) -> dict[str, str]:
    """Where `hongyan` is this server's, and `curl` is there on every machine."""
    programs = folder / "bin"
    programs.mkdir()
    curl = programs / "curl"
    curl.write_text(f"#!{sys.executable}\n{Path(__file__).with_name('curl.py').read_text(encoding='utf-8')}")
    curl.chmod(curl.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join([str(programs), str(PROGRAM.parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "HONGYAN_DATA_DIR": str(server.data_dir)}


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the program has ended"
    return line


def _objects(text: str) -> Iterator[Any]:
    """The JSON values of a text, one after another."""
    decoder, text = json.JSONDecoder(), text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].lstrip()
