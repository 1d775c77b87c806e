"""The package: its generated module, its documentation, its example and its metadata."""

import asyncio
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import hongyan_client
import pytest
from hongyan_client import Client, Text

from tests.docs.tree import ROOT, headings, markdown
from tests.sdk.take import Events
from tests.support.server import App, Server

SDK = ROOT / "sdk" / "python"
WIRE = ROOT / "src" / "hongyan" / "wire"
EXAMPLES = [token.content for token in markdown(SDK / "README.md") if token.info == "python"]
OUTPUTS = [
    "Tom: The goose has landed.\n",
    "Anybody there?\n",
    "Tom Recalled\nTom Location\nTom Text\nLake blue 4\n",
    "",
    "['Spike', 'Tom']\nSILIENCED\n['Tom']\n",
]
ENVIRONMENT = {"PYTHONPATH": str(SDK / "src")}
DEMO = App(id="demo", key="demo-key", master_key="demo-master-key")


@pytest.fixture(scope="module")
def demo(shared: Server) -> Server:
    """A server with the app of the documentation."""
    shared.create_app(DEMO, limits="off")
    return shared


@pytest.mark.parametrize("module", ["messages2_pb2.py", "messages2_pb2.pyi"])
def test_the_protobuf_modules_follow_the_schema(module: str, tmp_path: Path) -> None:
    options = ["-I", WIRE, f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", WIRE / "messages2.proto"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options], check=True)
    made = (tmp_path / module).read_text()
    assert (SDK / "src" / "hongyan_client" / module).read_text() == made, "run `make proto`"
    assert (WIRE / module).read_text() == made, "run `make proto`"


@pytest.mark.parametrize(("code", "output"), list(zip(EXAMPLES, OUTPUTS, strict=True)))
def test_the_examples_of_the_readme_run(code: str, output: str, demo: Server) -> None:
    done = python("-c", code.replace("http://127.0.0.1:8000", demo.http_url))
    assert (done.returncode, done.stdout) == (0, output), done.stderr


async def test_the_bot_answers(demo: Server) -> None:
    bot = await asyncio.create_subprocess_exec(
        sys.executable, SDK / "examples" / "echo_bot.py", demo.http_url, env=ENVIRONMENT
    )
    try:
        async with Client.open(demo.http_url, app_id=DEMO.id, app_key=DEMO.key, client_id="tom") as tom:
            heard = Events(tom)
            conversation = await tom.create_conversation("echo")
            while not await tom.online("echo"):
                pass
            await conversation.send("Hello?")
            assert (await heard.message()).content == Text("Hello?")
    finally:
        bot.terminate()
        await bot.wait()


def test_both_readmes_have_the_same_sections_and_examples() -> None:
    english, chinese = SDK / "README.md", SDK / "README.zh-CN.md"
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(chinese)]
    code = [[token.content for token in markdown(page) if token.type == "fence"] for page in (english, chinese)]
    assert code[0] == code[1]


def test_the_package_needs_nothing_of_the_server() -> None:
    code = "import sys, hongyan_client; print([name for name in sys.modules if name.split('.')[0] == 'hongyan'])"
    assert python("-c", code).stdout == "[]\n"


def test_the_server_does_not_need_the_package() -> None:
    files = (ROOT / "src" / "hongyan").rglob("*.py")
    assert [path for path in files if re.search(r"\bhongyan_client\b", path.read_text(encoding="utf-8"))] == []


def test_everything_public_is_documented_and_sorted() -> None:
    assert sorted(hongyan_client.__all__) == hongyan_client.__all__
    things = {name: getattr(hongyan_client, name) for name in hongyan_client.__all__}
    undocumented = [name for name, thing in things.items() if isinstance(thing, type) and not thing.__doc__]
    assert undocumented == []


def test_the_licence_is_that_of_the_project() -> None:
    assert (SDK / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    project = tomllib.loads((SDK / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs Python with the package on its path."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        env=ENVIRONMENT,
    )
