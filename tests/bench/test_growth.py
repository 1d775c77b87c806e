"""Every point of growth is measured, and nothing is lost on the way. Figures are not judged."""

from pathlib import Path

import pytest

from hongyan.bench.growth import MEMBERS, points
from tests.bench.test_cli import PATIENT, SHORT, bench, check_counts

pytestmark = PATIENT


@pytest.mark.long
def test_growth(tmp_path: Path) -> None:
    sizes = ("--members", "2", "--conversations", "40", "--history", "5000", "--pairs", "10", "--processes", "2")
    report = bench("growth", *sizes, *SHORT, output=tmp_path)
    assert [(run["grows"], run["size"]) for run in report["runs"]] == [
        ("members", 2),
        ("conversations", 40),
        ("history", 0),
        ("history", 5_000),
    ]
    for run in report["runs"]:
        check_counts(run)
        assert run["server_us_per_message"] > 0
        assert run["server_us_per_delivery"] > 0
    assert report["ratio"] > 0


def test_the_points_end_with_the_one_that_was_asked_for() -> None:
    assert points(MEMBERS, 500) == [2, 10, 50, 100, 200, 500]
    assert points(MEMBERS, 30) == [2, 10, 30]
    assert points(MEMBERS, 2) == [2]
