"""The project's own files, as the documentation tests see them."""

from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ROOT / "src" / "hongyan"
MADE = {".git", ".venv", "node_modules", "__pycache__", "build", "dist", "data", "bench-results", "web_dist"}


def project_files() -> Iterator[Path]:
    """Every file that belongs to the project; nothing that a tool made."""
    yield from _walk(ROOT)


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in MADE or path.name.endswith("_cache") or path.name == ".hypothesis":
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.is_file():
            yield path


def rooms() -> set[str]:
    """The names of the room folders under src/hongyan."""
    return {path.parent.name for path in ROOMS.glob("*/__init__.py")}


def markdown(path: Path) -> list[Token]:
    """A Markdown file's block tokens."""
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def headings(path: Path) -> list[tuple[str, str]]:
    """A Markdown file's headings in order, as (`h1` … `h6`, text)."""
    tokens = markdown(path)
    return [(token.tag, tokens[i + 1].content) for i, token in enumerate(tokens) if token.type == "heading_open"]
