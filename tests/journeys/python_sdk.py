"""LeanCloud's SDK for servers, in a process of its own environment."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.server import App, Server

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "leancloud" / "bin" / "python"
RUN = Path(__file__).parent / "py" / "run.py"


class LeanCloudError(Exception):
    """What the SDK raised."""

    def __init__(self, code: int, error: str) -> None:
        super().__init__(f"{code}: {error}")
        self.code = code


class PythonSdk:
    """Its functions, as `py/run.py` has them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, action: str, *arguments: Any, **options: Any) -> Any:
        """What an action answers. Raises LeanCloudError."""
        assert self._process.stdin
        assert self._process.stdout
        asked = {"do": action, "arguments": arguments, "options": options}
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, "the SDK's process has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise LeanCloudError(answer["code"], answer["error"])
        return answer["answer"]


@contextmanager
def python_sdk(server: Server, app: App, *, master: bool = True) -> Iterator[PythonSdk]:
    """The SDK, which uses an app of a server, with its master key or without."""
    assert PYTHON.exists(), "no SDK: run `make setup`"
    environment = {**os.environ, "LC_API_SERVER": server.http_url}
    environment.pop("PYTHONPATH", None)
    with subprocess.Popen(
        [PYTHON, RUN], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        sdk = PythonSdk(process)
        sdk.do("sign_in", app.id, app.key, app.master_key if master else None)
        yield sdk
