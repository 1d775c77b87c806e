"""A bounded coverage-guided run of each target; `make fuzz` runs longer ones."""

import re
from pathlib import Path

import pytest

from tests.fuzz.run import TARGETS as NAMES
from tests.fuzz.run import fuzz, main
from tests.fuzz.targets import TARGETS

RUNS = {"parsers": 10_000, "commands": 500}


@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
def test_no_input_does_harm(tmp_path: Path, name: str) -> None:
    ended = fuzz(name, tmp_path, f"-runs={RUNS[name]}", "-seed=1", quiet=True)
    assert ended.returncode == 0, ended.stderr[-5_000:]
    tried = re.search(r"number_of_executed_units: (\d+)", ended.stderr)
    assert tried
    assert int(tried[1]) >= RUNS[name]


@pytest.mark.long
def test_harm_is_told_and_its_input_kept(tmp_path: Path) -> None:
    ended = fuzz("failing", tmp_path, "-runs=100000", "-seed=1", quiet=True)
    assert ended.returncode != 0
    assert "Harmed: by an asterisk" in ended.stderr + ended.stdout
    assert [file.read_bytes()[:1] for file in tmp_path.glob("harmed-by-*")] == [b"*"]


def test_every_target_is_run() -> None:
    assert set(NAMES) == set(TARGETS) == set(RUNS)


def test_an_unknown_target_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["parsers", "nothing"])
    assert "there is no target nothing" in capsys.readouterr().err
