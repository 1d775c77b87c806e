"""`reconnect` starts a server again on its ports; everybody comes back and is told exactly what is unread."""

from pathlib import Path
from typing import Any

import pytest

from hongyan.bench import reconnect_load
from hongyan.bench.client import Target
from hongyan.bench.reconnect_load import Guest, ReturnPlan, ReturnResult, Timed, client_id, conversation_id
from tests.bench.test_cli import PATIENT, bench

pytestmark = PATIENT

PLAN = ReturnPlan(Target("ws://127.0.0.1:1/", "app"), first=0, clients=20, group=10, conversations=2, unread=3)


class OpenGate:
    """Takes the place of the pipe to the parent."""

    def progress(self, count: int) -> None:
        self.count = count


@pytest.mark.parametrize(
    ("told", "faults"),
    [
        ({2: 3, 3: 3}, 0),
        ({2: 3, 3: 4}, 1),
        ({2: 3}, 1),
        ({2: 3, 3: 3, 4: 3}, 1),
    ],
)
async def test_who_is_told_of_anything_else_than_is_unread_is_a_fault(
    told: dict[int, int], faults: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ReturnResult()
    guest = Guest(PLAN, 10, None, result)

    async def opened(self: Guest) -> str:
        self.client = Timed(client_id(10))
        for number, unread in told.items():
            self.client.unread.convs.add(cid=conversation_id(number), unread=unread)
        self.client.told_unread.set()
        return "token"

    monkeypatch.setattr(Guest, "_open", opened)
    await guest.come_back(0.0, OpenGate())  # type: ignore[arg-type]
    assert len(result.faults) == faults
    assert len(result.session_ms) == len(result.unread_ms) == 1


async def test_who_cannot_come_back_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect_load, "RETRY", 0.0)
    result = ReturnResult()
    await Guest(PLAN, 0, None, result).come_back(0.0, OpenGate())  # type: ignore[arg-type]
    assert result.faults == ["client-000000 could not open its session again"]
    assert result.retries == reconnect_load.TRIES


@pytest.mark.long
def test_reconnect(tmp_path: Path) -> None:
    arguments = ("--clients", "25", "--conversations", "3", "--unread", "2", "--processes", "2", "--tls")
    report: dict[str, Any] = bench("reconnect", *arguments, output=tmp_path)
    (run,) = report["runs"]
    assert run["faults"] == []
    assert run["returned"] == 25
    assert 0 < run["session_first_ms"] <= run["session_all_ms"] <= run["unread_all_ms"]
    assert report["ceiling"] is None
