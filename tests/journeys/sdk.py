"""Walks a journey of `js/journeys` with an official SDK, in a Node process of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from tests.support.server import App, Server

JS = Path(__file__).parent / "js"
NO_RESULT: dict[str, Any] = {"ok": False, "error": "Node ended without a result"}
JOURNEYS = sorted(path.stem for path in (JS / "journeys").glob("*.js"))
WORD = "Voldemort"
"""The only word of the word list that the app of the journeys has."""

USED: dict[tuple[str, str], set[str]] = {}
"""What each journey that was walked has used of the interface of each SDK."""


def needs_tls(sdk: str) -> bool:
    """SDK 4 reaches the router over https only."""
    return sdk == "4"


def walk(
    journey: str,
    sdk: str,
    server: Server,
    answers: Mapping[str, Callable[[], object]] | None = None,
    app: App | None = None,
) -> Any:
    """Walks the journey to its end and returns what it answers; `answers` are the actions that it may ask for.

    It uses the app, or the usual one of the server.

    Raises AssertionError with the journey's error and what the SDK printed.
    """
    app = app or server.app
    config = {
        "sdk": sdk,
        "appId": app.id,
        "appKey": app.key,
        "masterKey": app.master_key,
        "server": _address(sdk, server),
        "gateway": server.gateway_url,
        "word": WORD,
        "http": server.http_url,
    }
    result = NO_RESULT
    with tempfile.TemporaryFile("w+") as printed, _node(journey, config, server, printed) as process:
        assert process.stdin
        assert process.stdout
        for line in process.stdout:
            result = json.loads(line)
            if "ask" in result:
                (answers or {})[result["ask"]]()
                _reply(process.stdin)
                result = NO_RESULT
        process.wait()
        printed.seek(0)
        assert result["ok"], f"{result['error']}\n\nThe SDK printed:\n{printed.read()}"
    USED.setdefault((journey, sdk), set()).update(result["used"])
    return result.get("answer")


def _reply(journey: IO[str]) -> None:
    # A journey that has ended meanwhile is reported by what it left, not by the broken pipe.
    with suppress(BrokenPipeError):
        journey.write("done\n")
        journey.flush()


def _address(sdk: str, server: Server) -> str:
    """The server as this SDK's `server` option wants it: SDK 4 a bare host, SDK 5 a URL."""
    return server.http_url.removeprefix("https://") if sdk == "4" else server.http_url


def _node(journey: str, config: object, server: Server, printed: IO[str]) -> subprocess.Popen[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    node = shutil.which("node", path=path)
    assert node, "no Node: run `make setup`"
    environment = dict(os.environ)
    if server.certificate:
        environment["NODE_EXTRA_CA_CERTS"] = str(server.certificate.authority)
    return subprocess.Popen(
        [node, "run.js", journey, json.dumps(config)],
        cwd=JS,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=printed,
        text=True,
    )
