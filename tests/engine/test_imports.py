"""How an import is cut into steps, and its pace beside those who chat."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from hongyan.engine import imports
from hongyan.engine.imported import Imported, ImportedHistory, ImportedMessage, ImportedRow, ImportedSilence
from hongyan.engine.imports import Imports, Pace
from tests.gateway.hall import APP


class Kept:
    """A store that notes its steps; each row holds it for so long (s)."""

    def __init__(self, each: float = 0.0) -> None:
        self.steps: list[Sequence[ImportedRow]] = []
        self.held = 0.0
        self._each = each

    def write(
        self,
        app_key: int,
        rows: Sequence[ImportedRow],
        committed: Callable[[Sequence[str], Sequence[int]], None],
        *,
        dry: bool = False,
    ) -> Awaitable[Imported]:
        return self._write(rows)

    async def _write(self, rows: Sequence[ImportedRow]) -> Imported:
        self.steps.append(rows)
        count = sum(weights(rows))
        self.held = count * self._each
        return Imported(new=count, refused=((0, "bad"),))


def weights(rows: Sequence[ImportedRow]) -> list[int]:
    return [len(row.messages) if isinstance(row, ImportedHistory) else 1 for row in rows]


def history(place: str, count: int) -> ImportedHistory:
    return ImportedHistory(place, [ImportedMessage(f"{place}{n}", n, "ann", b"x") for n in range(count)], "c", True)


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "REST", 0)


async def test_each_message_is_written_once_and_in_order_however_steps_are_cut() -> None:
    kept, rows = Kept(1e-3), [history("a", 7), history("b", 130), history("c", 1), history("d", 64)]
    done = await Imports(kept, None, None).write(APP, rows)  # type: ignore[arg-type]
    found: dict[str, list[ImportedMessage]] = {}
    for step in kept.steps:
        for row in step:
            assert isinstance(row, ImportedHistory)
            assert (row.client, row.stream) == ("c", True)
            found.setdefault(row.conversation_id, []).extend(row.messages)
    assert found == {row.conversation_id: row.messages for row in rows}
    assert (done.new, len(done.refused)) == (202, len(kept.steps))


async def test_refused_rows_are_told_by_their_place_among_all() -> None:
    kept = Kept(1e-3)
    rows = [ImportedSilence("c", f"x{n}") for n in range(60)]
    done = await Imports(kept, None, None).write(APP, rows)  # type: ignore[arg-type]
    starts = [rows.index(step[0]) for step in kept.steps]  # type: ignore[arg-type]
    assert len(starts) > 2
    assert [place for place, _ in done.refused] == starts


async def test_rows_that_cost_much_come_in_small_steps_and_others_in_large_ones() -> None:
    sizes = {}
    for each in (1e-6, 1e-4, 1e-2):
        kept = Kept(each)
        await Imports(kept, None, None).write(APP, [history("a", 5_000)])  # type: ignore[arg-type]
        sizes[each] = max(map(len, map(lambda step: step[0].messages, kept.steps[10:-1])))  # type: ignore[union-attr]
    assert sizes[1e-6] == imports.STEP_MAX
    assert sizes[1e-4] == round(imports.HOLD / 1e-4)
    assert sizes[1e-2] == imports.STEP_MIN


async def test_rows_are_counted_over_all_calls() -> None:
    bringing = Imports(Kept(), None, None, alone=True)  # type: ignore[arg-type]
    await bringing.write(APP, [history("a", 3), history("b", 2)])
    await bringing.write(APP, [ImportedSilence("c", "x")])
    assert bringing.rows == 6


def test_the_writer_is_left_alone_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    pace = Pace()
    assert pace.rest(20, 0.002) == imports.REST * 0.002
    assert pace.rest(20, 100.0) == imports.REST_MAX
    assert pace.rest(20, 0.0) == 0
