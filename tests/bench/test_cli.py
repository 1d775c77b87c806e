"""The commands run against a real server and write what they promise. Figures are not judged."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hongyan.bench.report import warnings

BENCH = (sys.executable, "-m", "hongyan", "bench")
SHORT = ("--seconds", "0.3", "--warm-up", "0.1")
#: Some measure with several servers, one after another: a busy machine takes minutes (s).
PATIENCE = 280
PATIENT = pytestmark = pytest.mark.timeout(PATIENCE + 20)
PNG = b"\x89PNG\r\n"


def bench(*arguments: str, output: Path) -> dict[str, Any]:
    """Run a command and return the content of its JSON file."""
    done = subprocess.run(
        [*BENCH, *arguments, "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        umask=0o027,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    suffix = "-tls" if "--tls" in arguments else ""
    picture, data = (output / f"{arguments[0]}{suffix}.{ending}" for ending in ("png", "json"))
    assert f"written: {data} and {picture}" in done.stdout
    assert stat.S_IMODE(data.stat().st_mode) == stat.S_IMODE(picture.stat().st_mode) == 0o640
    assert picture.read_bytes().startswith(PNG)
    report: dict[str, Any] = json.loads(data.read_text(encoding="utf-8"))
    assert report["benchmark"] == arguments[0]
    assert {"machine", "versions", "parameters", "runs", "ceiling", "ratio", "time"} <= report.keys()
    return report


def check_counts(run: dict[str, Any]) -> None:
    """Nothing was lost or doubled."""
    assert run["faults"] == []
    assert 0 < run["acknowledged"] == run["sent"]
    assert run["delivered"] == run["expected"] > 0


@pytest.mark.long
def test_chat(tmp_path: Path) -> None:
    report = bench("chat", "--senders", "3", "--in-flight", "2", *SHORT, output=tmp_path)
    assert [run["name"] for run in report["runs"]] == [
        "one at a time",
        "2 ahead",
        "half the rate",
        "2 ahead, receivers ack",
    ]
    for run in report["runs"]:
        check_counts(run)
        assert run["messages_per_commit"] > 0
    assert report["ceiling"]["batch"] >= 1
    assert report["ceiling"]["messages_per_second"] > 0
    assert report["versions"]["sqlite"]


@pytest.mark.long
def test_fanout_with_tls_and_two_processes(tmp_path: Path) -> None:
    arguments = ("--groups", "2", "--members", "5", "--in-flight", "2", "--processes", "2", "--tls")
    report = bench("fanout", *arguments, *SHORT, output=tmp_path)
    runs = report["runs"] + report["ceiling"]["runs"]
    assert len(runs) == 4
    for run in runs:
        check_counts(run)
        assert run["expected"] == 4 * run["acknowledged"]
        assert run["frames_per_read"] >= 1
    assert report["tls"] is True


@pytest.mark.long
def test_room(tmp_path: Path) -> None:
    report = bench("room", "--members", "300", "--rate", "50", *SHORT, output=tmp_path)
    for run in report["runs"] + report["ceiling"]["runs"]:
        check_counts(run)
        assert run["expected"] == 299 * run["acknowledged"]
    assert report["runs"][0]["frames_per_write"] >= 1


@pytest.mark.long
def test_idle_in_a_data_directory_that_was_given(tmp_path: Path) -> None:
    data = tmp_path / "data"
    arguments = ("--sessions", "20", "--seconds", "0.2", "--data-dir", str(data))
    report = bench("idle", *arguments, output=tmp_path)
    for run in report["runs"] + report["ceiling"]["runs"]:
        assert run["faults"] == []
        assert run["alive"] == 20
        assert run["connections_per_second"] > 0
    assert any(data.iterdir())
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


@pytest.mark.long
def test_broadcast(tmp_path: Path) -> None:
    arguments = ("--subscribers", "50", "--online", "10", "--every", "0.1", "--rate", "50", "--processes", "2")
    report = bench("broadcast", *arguments, *SHORT, output=tmp_path)
    (run,), (alone,) = report["runs"], report["ceiling"]["runs"]
    assert run["faults"] == alone["faults"] == []
    assert run["broadcasts"] > 0
    assert run["heard"] == run["expected"] == 10 * run["broadcasts"]
    assert run["rows_per_broadcast"] == 1
    assert run["to_all_max_ms"] > 0


@pytest.mark.parametrize(("cores", "sentences"), [(0.2, 0), (0.21, 1)])
def test_busy_other_programs_are_a_warning(cores: float, sentences: int) -> None:
    runs = [{"name": "one", "other_cores": 0.0}, {"name": "two", "other_cores": cores}]
    found = warnings({"runs": runs[:1], "ceiling": {"runs": runs[1:]}})
    assert len(found) == sentences
    assert all(f"{cores} cores" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("setup", "arguments", "sentence"),
    [
        ("import sys; sys.modules['matplotlib'] = None; ", "['chat']", "`pip install 'hongyan[bench]'`"),
        ("", "['idle', '--sessions', '1000000']", "open files"),
    ],
)
def test_what_cannot_be_measured_ends_with_one_sentence(
    setup: str, arguments: str, sentence: str, tmp_path: Path
) -> None:
    code = f"{setup}from hongyan.bench.cli import bench; bench({arguments} + ['--output', {str(tmp_path)!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_sweep(tmp_path: Path) -> None:
    arguments = ("--expired", "20000", "--senders", "3", "--in-flight", "2")
    report = bench("sweep", *arguments, *SHORT, output=tmp_path)
    highest, before, during = report["runs"]
    assert [run["name"] for run in report["runs"]] == ["2 ahead", "half the rate", "half the rate, sweeping"]
    for run in report["runs"]:
        check_counts(run)
    assert highest["expired_left"] == before["expired_left"] == 20_000
    assert during["expired_left"] < 20_000
    assert during["swept_per_second"] > 0
    assert report["ratio"] > 0


@pytest.mark.long
def test_import(tmp_path: Path) -> None:
    arguments = ("--messages", "30000", "--senders", "3", "--in-flight", "2")
    report = bench("import", *arguments, *SHORT, output=tmp_path)
    highest, before, during = report["runs"]
    assert [run["name"] for run in report["runs"]] == ["2 ahead", "half the rate", "half the rate, importing"]
    for run in report["runs"]:
        check_counts(run)
    assert highest["imported_per_second"] == before["imported_per_second"] == 0
    assert during["imported_per_second"] > 0
    assert during["importer_cores"] > 0
    assert report["ratio"] > 0


@pytest.mark.long
def test_channels(tmp_path: Path) -> None:
    report = bench("channels", "--posts", "20", "--rate", "50", "--senders", "3", *SHORT, output=tmp_path)
    without, *others = report["runs"]
    assert [run["name"] for run in report["runs"]] == ["without", "works", "HTTP 500", "never answers"]
    for run in report["runs"]:
        check_counts(run)
    assert without["calls_per_second"] is None
    assert all(run["calls_per_second"] > 0 for run in others)
    assert report["ratio"] > 0


@pytest.mark.long
def test_webhooks(tmp_path: Path) -> None:
    report = bench("webhooks", "--rate", "50", "--senders", "3", *SHORT, output=tmp_path)
    without, works, *failing = report["runs"]
    assert len(failing) == 4
    for run in report["runs"]:
        check_counts(run)
    assert without["calls_per_second"] is None
    assert works["calls_per_second"] > 0
    assert all(run["calls_per_second"] > 0 for run in failing[:-1])
    assert report["ratio"] > 0
