"""The flame graph shows what the server did, and says of itself what it is."""

import os
from pathlib import Path

import pytest

from bench import flame
from hongyan.bench.workers import BenchError


@pytest.mark.parametrize(
    ("load", "size", "function"),
    [("chat", (10, 2, 2), "Writer._commit"), ("fanout", (10, 5, 2), "Connection._flush")],
)
def test_the_server_under_load(load: str, size: tuple[int, int, int], function: str, tmp_path: Path) -> None:
    output = tmp_path / "flame.svg"
    try:
        figures = flame.draw(load, 1, output, size)
    except BenchError as error:  # some systems let only root look into a process
        if os.geteuid() == 0 or "ermission" not in str(error):
            raise
        return
    assert figures["faults"] == []
    assert figures["sent"] > 0
    drawing = output.read_text(encoding="utf-8")
    assert f"The server under `hongyan bench {load}`" in drawing
    assert {name for name in ("MainThread", "store-writer", function) if name not in drawing} == set()
    assert str(tmp_path) not in drawing
