"""`hongyan app words`: word lists of apps, with and without a running server."""

import re
from pathlib import Path

import pytest

from hongyan.cli.app import read_words
from hongyan.errors import StartupError
from tests.support.server import Server
from tests.test_cli import printed, run

WORDS = "\ufeffbad\r\n\n  坏蛋 \nbad\n"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A file with two words, as an editor on Windows writes it."""
    file = tmp_path / "words.txt"
    file.write_bytes(WORDS.encode())
    return file


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, Path]:
    """The option for a data directory with an app `shop`."""
    option = ("--data-dir", tmp_path / "data")
    printed("app", "create", "Shop", "--id", "shop", *option)
    return option


def listed(*data: object) -> str:
    done = run("app", "words", "shop", *data)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_list_is_set_shown_replaced_and_taken_away_without_a_server(words: Path, data: tuple[str, Path]) -> None:
    assert listed(*data) == ""
    assert printed("app", "words", "Shop", words, *data) == {"words": 2}
    assert listed(*data) == "bad\n坏蛋\n"
    words.write_text("worse\n")
    assert printed("app", "words", "shop", words, *data) == {"words": 1}
    assert listed(*data) == "worse\n"
    words.write_bytes(b"")
    assert printed("app", "words", "shop", words, *data) == {"words": 0}
    assert listed(*data) == ""


def test_the_longest_list_goes_through_a_running_server(server: Server, words: Path) -> None:
    lines = [f"{number:06}好好好好" for number in range(100_000)]
    words.write_text("\n".join(lines), encoding="utf-8")
    data = ("--data-dir", server.data_dir)
    printed("app", "create", "Shop", "--id", "shop", *data)
    assert printed("app", "words", "shop", words, *data) == {"words": 100_000}
    assert listed(*data).splitlines() == lines
    server.restart()
    assert listed(*data).splitlines() == lines


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"good\nb\xffd", "is not UTF-8, as byte 7 shows."),
        ("bad".encode("utf-16"), "is not UTF-8, as byte 1 shows."),
        (b"\n" * ((1 << 24) + 1), "has more than 16,777,216 bytes."),
        (b"good\n" + b"x" * 65, "Line 2 of the word list has 65 characters; a word has at most 64."),
        (b"\n".join(b"%d" % number for number in range(100_001)), "A word list has at most 100,000 words."),
        (b"good\n***", "Line 2 of the word list contains an asterisk, which stands for masked words."),
        (None, "can't be read: No such file or directory."),
    ],
)
def test_mistakes_in_files(words: Path, content: bytes | None, sentence: str) -> None:
    words.unlink()
    if content is not None:
        words.write_bytes(content)
    with pytest.raises(StartupError, match=f"{re.escape(sentence)}$"):
        read_words(words)


def test_a_mistake_is_one_sentence_and_changes_nothing(words: Path, data: tuple[str, Path]) -> None:
    printed("app", "words", "shop", words, *data)
    words.write_bytes("bad".encode("utf-16"))
    done = run("app", "words", "shop", words, *data)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"hongyan: The word list {words} is not UTF-8, as byte 1 shows.\n"
    assert listed(*data) == "bad\n坏蛋\n"


def test_an_unknown_app_has_no_words(words: Path, data: tuple[str, Path]) -> None:
    for arguments in (("nosuch",), ("nosuch", words)):
        done = run("app", "words", *arguments, *data)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "hongyan: No app has the id or name 'nosuch'.\n"
