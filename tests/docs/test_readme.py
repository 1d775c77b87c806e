"""The chat of the README runs as printed."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from tests.docs.tree import ROOT, markdown
from tests.support.server import Server

SDK = ROOT / "tests" / "journeys" / "js" / "node_modules" / "leancloud-realtime-5"


def test_the_chat_runs_as_printed(server: Server, tmp_path: Path) -> None:
    server.hongyan(*app_create_arguments())
    script = tmp_path / "chat.mjs"
    script.write_text(block("js").replace("http://127.0.0.1:8000", server.http_url), encoding="utf-8")
    install_sdk(tmp_path)
    done = subprocess.run([node(), script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "Tom: The goose has landed.\n"), done.stderr


def app_create_arguments() -> list[str]:
    """The arguments of the README's `hongyan app create`."""
    return shlex.split(block("sh", containing="app create").splitlines()[0])[1:]


def block(language: str, containing: str = "") -> str:
    """The README's first code block in a language with the words."""
    fences = [token for token in markdown(ROOT / "README.md") if token.type == "fence"]
    return next(f.content for f in fences if f.info == language and containing in f.content)


def install_sdk(folder: Path) -> None:
    """Put the SDK where a script in the folder finds it, in the version that the README names."""
    assert f'"version": "{readme_sdk_version()}"' in (SDK / "package.json").read_text(encoding="utf-8")
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "leancloud-realtime").symlink_to(SDK)


def readme_sdk_version() -> str:
    """The SDK version that the README installs."""
    installed = re.search(r"leancloud-realtime@(\S+)", block("sh", containing="npm install"))
    assert installed
    return installed[1]


def node() -> str:
    """Node, as `make setup` found or installed it."""
    program = shutil.which("node", path=f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert program
    return program
