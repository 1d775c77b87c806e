"""Every link in the documentation leads somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.tree import ROOT, headings, markdown, project_files

PAGES = [path for path in project_files() if path.suffix == ".md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    broken = [link for link in local_links(page) if not resolves(page, link)]
    assert broken == []


def local_links(page: Path) -> Iterator[str]:
    """The targets of a page's links and pictures, without those on other hosts."""
    for block in markdown(page):
        for token in block.children or []:
            target = token.attrGet("href") or token.attrGet("src")
            if target and not re.match(r"[a-z][a-z0-9+.-]*:", str(target)):
                yield unquote(str(target))


def resolves(page: Path, link: str) -> bool:
    """Whether the file that a link names exists, with the heading after `#` if there is one."""
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in headings(page)}
