"""The flame graph shows what the server did, and says of itself what it is."""

from pathlib import Path

import pytest

from bench import flame
from hongyan.bench.workers import BenchError


@pytest.mark.long
@pytest.mark.parametrize(("load", "size"), [("chat", (10, 2, 2)), ("fanout", (10, 5, 2))])
def test_the_server_under_load(load: str, size: tuple[int, int, int], tmp_path: Path) -> None:
    output = tmp_path / "flame.svg"
    try:
        figures = flame.draw(load, 1, output, size)
    except BenchError as error:  # some systems let nobody, or only root, look into a process
        if "ermission" not in str(error):
            raise
        return
    assert figures["faults"] == []
    assert figures["sent"] > 0
    drawing = output.read_text(encoding="utf-8")
    assert f"The server under `hongyan bench {load}`" in drawing
    assert "MainThread" in drawing
    assert str(tmp_path) not in drawing
