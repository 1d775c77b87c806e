"""What the how-to pages show works as printed."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields

from hongyan.hub import connectors
from tests.docs.howto import Reader
from tests.docs.test_pages import commands
from tests.docs.test_readme import node
from tests.docs.tree import ROOT, headings, markdown
from tests.support.programs import PROGRAM
from tests.support.server import Server

HOWTO = ROOT / "docs" / "howto"
PAGES = sorted(HOWTO.glob("*.md"))
SIGNATURES = [HOWTO / "signatures.md", HOWTO / "signatures.zh-CN.md"]
KEY = ("demo-app", "demo-master-key", "tom")
CID = "65f000000000000000000001"
SANDBOX = "http://127.0.0.1:8025"
"""The sandbox of the pages."""
VECTORS: list[tuple[str, list[Any]]] = [
    ("login", []),
    ("start", [["tom", "jerry"]]),
    ("members", [CID, ["spike", "jerry"], "invite"]),
    ("members", [CID, ["jerry"], "kick"]),
    ("members", [CID, ["jerry"], "conversation-block-clients"]),
]
"""What the last table of the page is about, in its order: which function signs it, with which arguments."""


@pytest.mark.parametrize(
    "page", [page for page in PAGES if not page.stem.endswith(".zh-CN")], ids=lambda page: page.stem
)
def test_both_languages_have_the_same_sections_and_examples(page: Path) -> None:
    chinese = page.with_name(f"{page.stem}.zh-CN.md")
    assert [level for level, _ in headings(page)] == [level for level, _ in headings(chinese)]
    names = [str(each.relative_to(ROOT)) for each in (page, chinese)]
    assert without_comments(commands(names[0])) == without_comments(commands(names[1]))


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"(howto/{page.name})" not in index] == []


@pytest.mark.parametrize("language", ["", ".zh-CN"], ids=["en", "zh"])
def test_every_credential_of_a_platform_is_on_its_page(language: str) -> None:
    pages = {"email": "mail-and-http", "webhook": "mail-and-http", "hongyan": "channels"}
    for kind in connectors.kinds().values():
        page = HOWTO / f"{pages.get(kind.platform, kind.platform)}{language}.md"
        words = re.findall(r"\w+", page.read_text(encoding="utf-8"))
        assert {each.encode_name for each in fields(kind.credentials)} <= {*words}, kind.name


@pytest.mark.parametrize("page", SIGNATURES, ids=lambda page: page.name)
def test_the_python_of_signatures_makes_the_vectors(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    exec(block(page, "python"), names)
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    monkeypatch.setattr("secrets.token_hex", lambda size: "n0nce")
    signers: dict[str, Callable[..., dict[str, Any]]] = {name: names[f"sign_{name}"] for name, _ in VECTORS}
    made = [signers[name](*KEY, *arguments) for name, arguments in VECTORS]
    assert [each["signature"] for each in made] == vectors(page)
    assert {(each["timestamp"], each["nonce"]) for each in made} == {(1_700_000_000_000, "n0nce")}


@pytest.mark.parametrize("page", SIGNATURES, ids=lambda page: page.name)
def test_the_javascript_of_signatures_makes_the_vectors(page: Path, tmp_path: Path) -> None:
    script = block(page, "js").replace("import { createHmac, randomUUID }", "import { createHmac }")
    assert script != block(page, "js")
    lines = ["const randomUUID = () => 'n0nce';", "Date.now = () => 1700000000000;", script]
    for name, arguments in VECTORS:
        call = ", ".join(json.dumps(argument) for argument in [*KEY, *arguments])
        lines.append(f"console.log(sign{name.capitalize()}({call}).signature);")
    path = tmp_path / "sign.mjs"
    path.write_text("\n".join(lines), encoding="utf-8")
    done = subprocess.run([node(), path], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == vectors(page), done.stderr


@pytest.mark.parametrize("page", ["service-accounts.md", "moderation.md"])
def test_the_examples_answer_what_the_page_shows(page: str, server: Server, tmp_path: Path) -> None:
    """Those of the other language are the same, as another test says."""
    Reader(HOWTO / page, server, tmp_path / "reader").read()


def test_the_examples_of_webhooks_answer_what_the_page_shows(
    server_factory: Callable[..., Server], tmp_path: Path
) -> None:
    server = server_factory(environment={"HONGYAN_ALLOWED_PRIVATE": "127.0.0.1"})
    server.start()
    Reader(HOWTO / "webhooks.md", server, tmp_path / "reader").read()


def test_the_examples_of_channels_and_templates_answer_what_the_pages_show(server: Server, tmp_path: Path) -> None:
    """But for a bridge, which needs a platform."""
    reader = Reader(HOWTO / "channels.md", server, tmp_path / "reader", without=["/bridges"])
    reader.read(HOWTO / "templates.md")


def test_the_examples_of_the_sandbox_answer_what_the_page_shows(
    server_factory: Callable[..., Server], sandbox: str, tmp_path: Path
) -> None:
    server = server_factory(environment={"HONGYAN_ALLOWED_PRIVATE": "127.0.0.0/8"})
    server.start()
    started = ["hongyan sandbox\n", "hongyan serve "]
    page = HOWTO / "sandbox.md"
    Reader(page, server, tmp_path / "reader", without=started, replaced={SANDBOX: sandbox}).read()


@pytest.fixture
def sandbox() -> Iterator[str]:
    """Where `hongyan sandbox` serves: its first line says so."""
    process = subprocess.Popen([PROGRAM, "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1].rstrip("/")
    finally:
        process.kill()
        process.communicate()


def block(page: Path, language: str) -> str:
    """The page's first code block in a language."""
    return next(token.content for token in markdown(page) if token.type == "fence" and token.info == language)


def vectors(page: Path) -> list[str]:
    """The signatures of the page's last table."""
    codes = [child.content for token in markdown(page) for child in token.children or [] if child.type == "code_inline"]
    return [code for code in codes if len(code) == 40]


def without_comments(blocks: list[str]) -> list[str]:
    """Code blocks without their docstrings, which are in the page's language."""
    return ["\n".join(line for line in each.splitlines() if '"""' not in line) for each in blocks]
