"""LeanCloud's engines for Python and Node, as published, with every hook; and its SDK, which sees what they want."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.clock import Clock
from hongyan.engine.questions import Offline, ReceiversOffline
from hongyan.engine.values import App, Conversation, ConversationKind
from hongyan.hooks import Engines, catalogue
from hongyan.outbound import Outbound
from tests.journeys.python_sdk import PYTHON
from tests.journeys.sdk import JS, needs_tls, walk
from tests.support.server import Certificate, Server

RUNTIMES = ["python", "node"]
NEWEST_PYTHON = (3, 11)
"""LeanCloud's runtime for Python needs a library of which there are no wheels for later ones (tools/prepare.py)."""


class Runtime:
    """A running engine; `calls` are those that it has printed."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def calls(self) -> dict[str, list[dict[str, Any]]]:
        """What each hook was given, when the engine has ended."""
        self.process.terminate()
        assert self.process.stdout is not None
        found: dict[str, list[dict[str, Any]]] = {}
        for line in self.process.stdout:
            call = json.loads(line)
            found.setdefault(call["hook"], []).append(call["params"])
        return found


@contextmanager
def runtime(name: str, app: dict[str, str], port: int = 0) -> Iterator[Runtime]:
    """An engine of this runtime, which belongs to an app as `hongyan app list` prints it."""
    environment = {
        **os.environ,
        "LEANCLOUD_APP_ID": app["id"],
        "LEANCLOUD_APP_KEY": app["key"],
        "LEANCLOUD_APP_MASTER_KEY": app["master_key"],
        "LEANCLOUD_APP_HOOK_KEY": app["hook_key"],
    }
    environment.pop("PYTHONPATH", None)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    node = shutil.which("node", path=path)
    assert node, "no Node: run `make setup`"
    programs: dict[str, list[str | Path]] = {
        "python": [PYTHON, Path(__file__).parent / "py" / "hooks.py", str(port)],
        "node": [node, "hooks-engine.js", str(port)],
    }
    with subprocess.Popen(
        programs[name], cwd=JS, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Runtime(process, f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


def runs_here(name: str) -> bool:
    return name == "node" or sys.version_info[:2] <= NEWEST_PYTHON


def app_of(server: Server) -> dict[str, str]:
    """The server's app, with its secrets."""
    found: list[dict[str, str]] = json.loads(server.hongyan("app", "list"))
    return next(app for app in found if app["id"] == server.app.id)


@pytest.mark.parametrize("name", [name for name in RUNTIMES if runs_here(name)])
@pytest.mark.parametrize("sdk", ["4", "5"])
def test_every_hook(name: str, sdk: str, server_factory: Callable[..., Server], certificate: Certificate) -> None:
    server = server_factory(
        certificate=certificate if needs_tls(sdk) else None, environment={"HONGYAN_ALLOWED_PRIVATE": "127.0.0.1"}
    )
    server.start()
    with runtime(name, app_of(server)) as engine:
        server.hongyan("app", "set", server.app.id, f"hook_url={engine.url}")
        found = json.loads(server.hongyan("hooks", "check", server.app.id))
        assert found["hooks"] == sorted(catalogue.ALL)
        walk("hooks", sdk, server)
        sign_in(server)
        asyncio.run(ask_about_a_push(server, engine.url))
        server.stop()  # which waits until everything was told
        calls = engine.calls()
    assert calls.keys() == set(catalogue.ALL)
    texts = [json.loads(params["content"])["_lctext"] for params in calls["_messageReceived"]]
    asked = ["drop it", "please change", "hide it", "crash", "1", "2", "3", "helo"]
    assert sorted(texts) == sorted(asked), "those of one moment come in any order"
    kept = [text.replace("change", "changed") for text in texts if text != "drop it"]
    assert sorted(json.loads(params["content"])["_lctext"] for params in calls["_messageSent"]) == sorted(kept)
    assert all(params["sourceIP"] == "127.0.0.1" for params in calls["_messageReceived"] + calls["_messageSent"])
    hidden = next(params for params in calls["_messageSent"] if "hide" in params["content"])
    assert hidden["onlinePeers"] == hidden["offlinePeers"] == []
    assert {len(params["onlinePeers"]) for params in calls["_messageSent"] if params is not hidden} == {2}
    assert len(calls["_clientOnline"]) == len(calls["_clientOffline"]) == 3
    assert sorted(params["closeCode"] for params in calls["_clientOffline"]) == [1, 2, 2]
    assert [params["mute"] for params in calls["_conversationUpdate"] if "mute" in params] == [True]
    assert len(calls["_conversationAdded"]) == 2
    assert len(calls["_conversationRemoved"]) == 2


def sign_in(server: Server) -> None:
    """Two users ask for a signature; one of them gets it."""
    headers = {"X-LC-Id": server.app.id, "X-LC-Key": server.app.key}
    verify: Any = server.ssl_context or True
    with httpx.Client(base_url=server.http_url, headers=headers, verify=verify) as http:
        for name, status in (("tom", 200), ("banned-tom", 401)):
            user = http.post("/1.1/users", json={"username": name, "password": "secret"}).json()
            answer = http.post("/1.1/rtm/sign", json={"session_token": user["sessionToken"]})
            assert answer.status_code == status, answer.text
    assert answer.json()["code"] == 4102
    assert "banned" in answer.json()["error"]


async def ask_about_a_push(server: Server, url: str) -> None:
    """As it is asked when a message is pushed."""
    keys = app_of(server)
    settings = AppSettings(hook_url=url)
    app = App(1, keys["id"], "test", keys["key"], keys["master_key"], keys["hook_key"], settings, 0)
    outbound = Outbound(("127.0.0.1",))
    engines = Engines(outbound, Clock())
    talk = Conversation(1, 1, "c1", ConversationKind.NORMAL, 1, {"tom", "jerry", "spike"})
    answer = await engines.ask(app, ReceiversOffline(talk, "tom", ["jerry", "spike"], "hi", 5))
    assert json.loads(answer.offline.push_message) == {"alert": "hi"}
    assert replace(answer.offline, push_message="") == Offline(clients=["jerry"], force=True)
    await engines.stop()
    await outbound.close()
