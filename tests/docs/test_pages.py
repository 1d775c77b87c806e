"""The pages that must exist, exist; those that must agree, agree."""

import re
import tomllib

from tests.docs.tree import ROOT, headings, markdown, rooms
from tools import decisions

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_room_has_its_page_and_every_page_its_room() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "rooms").glob("*.md")} - {"README"}
    assert pages == rooms()


def test_the_index_of_rooms_links_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(rooms/(\w+)\.md\)", index)) == rooms()


def test_both_readmes_have_the_same_sections() -> None:
    assert levels("README.md") == levels("README.zh-CN.md")


def test_both_readmes_give_the_same_commands() -> None:
    assert commands("README.md") == commands("README.zh-CN.md")


def test_the_index_of_decisions_is_up_to_date() -> None:
    assert decisions.INDEX.read_text(encoding="utf-8") == decisions.render_index(), "run `make docs`"


def test_every_runtime_dependency_has_its_reason() -> None:
    record = (decisions.FOLDER / "0001-runtime-dependencies.md").read_text(encoding="utf-8")
    reasons = set(re.findall(r"^\| `([\w-]+)` \| \S", record, re.MULTILINE))
    assert reasons == {requirement_name(line) for line in PYPROJECT["project"]["dependencies"]}


def test_every_room_has_an_import_contract() -> None:
    contracts = {contract["room"] for contract in PYPROJECT["tool"]["importlinter"]["contracts"]}
    free = {"cli", "bench"}
    assert {f"hongyan.{room}" for room in rooms() - free} <= contracts


def levels(page: str) -> list[str]:
    """The levels of a page's headings in order."""
    return [level for level, _ in headings(ROOT / page)]


def commands(page: str) -> list[str]:
    """A page's code blocks without their comments, which are in the page's language."""
    blocks = [token.content for token in markdown(ROOT / page) if token.type == "fence"]
    return [re.sub(r"\s*(#|//) .*", "", block) for block in blocks]


def requirement_name(line: str) -> str:
    """The package that a requirement names."""
    return re.split(r"[^\w-]", line, maxsplit=1)[0]
