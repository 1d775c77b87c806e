"""`idle` over several servers: no session is lost, every echo is answered."""

from pathlib import Path

import pytest

from hongyan.bench import idle_load
from hongyan.bench.idle_load import IdleResult, KeepAlive, Sleeper
from hongyan.bench.workers import Window
from tests.bench.test_cli import PATIENT, bench

pytestmark = PATIENT


@pytest.mark.long
def test_several_servers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    arguments = ("--sessions", "31", "--servers", "2", "--echo-every", "0.1", "--seconds", "0.3")
    report = bench("idle", *arguments, "--processes", "2", "--data-dir", str(data), output=tmp_path)
    for run in report["runs"] + report["ceiling"]["runs"]:
        assert run["faults"] == []
        assert run["alive"] == 31
        assert run["echoes"] > 0
        assert run["bytes_per_session"] > 0
        assert [phase for phase, count, _ in run["samples"] if count == 31] == ["connecting", "opening", "idle"]
    assert (data / "hongyan.db").exists()
    assert (data / "server-1" / "hongyan.db").exists()
    assert report["parameters"]["servers"] == 2


class Asleep(Sleeper):
    """Hears itself, or nothing."""

    def __init__(self, peer: str, *, answers: bool) -> None:
        super().__init__(peer)
        self.answers = answers
        self.sent = 0

    def send(self, command: bytes | bytearray) -> None:
        self.sent += 1
        if self.answers:
            self.on_frame(command)  # type: ignore[arg-type]


async def test_echoes_are_spread_evenly_and_what_is_not_answered_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_load, "ECHO_TIMEOUT", 0.1)
    sleepers = [Asleep(f"s-{number}", answers=number != 2) for number in range(4)]
    result = IdleResult()
    window = Window.after(-0.1, 0.4)  # some are due at once, however slow the machine is
    await KeepAlive(result).send(list(sleepers), 0.05, window)
    counts = [sleeper.sent for sleeper in sleepers]
    assert max(counts) - min(counts) <= 1
    assert result.echoes == sum(counts) > 0
    assert result.answered == result.echoes - counts[2]
