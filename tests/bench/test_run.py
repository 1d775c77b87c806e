"""Shares, percentiles, limits, and what is read from /proc."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from hongyan.bench import machine
from hongyan.bench.run import Options, check_files, percentile, place, split
from hongyan.bench.workers import BenchError


@pytest.mark.parametrize(("total", "parts", "shares"), [(10, 3, [4, 3, 3]), (2, 4, [1, 1]), (5, 1, [5])])
def test_split_leaves_nothing_out(total: int, parts: int, shares: list[int]) -> None:
    assert split(total, parts) == shares


def test_percentiles() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, percent) for percent in (1, 50, 99, 100)] == [2, 51, 100, 100]
    assert percentile([], 50) is None


def test_more_connections_than_open_files_is_refused() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(BenchError, match="need 1000000200 open files, and the limit is"):
        check_files(1_000_000_000)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits


def test_the_folders_of_a_run_are_temporary(tmp_path: Path) -> None:
    with place(Options(tmp_path)) as here:
        assert here.data_dir.is_dir()
        assert here.certificate is None
    assert not here.scratch.exists()


def test_a_data_directory_that_was_given_is_kept(tmp_path: Path) -> None:
    with place(Options(tmp_path, data_dir=tmp_path / "data", tls=True)) as here:
        assert here.certificate is not None
        assert here.certificate.key.exists()
    assert here.data_dir == tmp_path / "data"
    assert list(here.data_dir.iterdir()) == []


def test_proc_tells_what_a_process_uses() -> None:
    work = "sum(range(10**7)); print('x', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert machine.cpu_seconds(process.pid) > 0
        assert machine.rss(process.pid) > 1_000_000
        process.communicate(b"\n")
    assert machine.cpu_seconds_of_all() > machine.cpu_seconds(os.getpid())


def test_the_file_system_is_that_of_the_longest_mount_point() -> None:
    assert machine.file_system(Path("/proc/self")) == "proc"
    assert machine.facts()["cores"] >= 1  # type: ignore[operator]
