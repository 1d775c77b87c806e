"""`history` knows what it has written, asks for it, and takes only that for an answer."""

from collections import Counter
from pathlib import Path

import pytest

from hongyan.bench.history_layout import Layout, client_id
from tests.bench.test_cli import PATIENT, SHORT, bench, check_counts

pytestmark = PATIENT

#: 3 busy conversations and 297 quiet ones.
LAYOUT = Layout(messages=7_001, conversations=300, unread=4, readers=2, first=1_000_000)


def test_what_is_written_is_what_is_counted() -> None:
    layout, keys = LAYOUT, list(range(LAYOUT.conversations))
    seqs: dict[int, list[int]] = {key: [] for key in keys}
    latest = 0
    for key, seq, at in layout.places(keys):
        seqs[key].append(seq)
        assert at == layout.time(key, seq)
        assert at >= latest
        latest = at
    assert all(seqs[key] == list(range(1, layout.count(key) + 1)) for key in keys)
    assert sum(map(len, seqs.values())) == layout.messages // 2 * 2
    assert min(len(seqs[key]) for key in range(layout.clients)) > 1_000


def test_every_client_has_as_many_unread_conversations_as_it_should() -> None:
    rows = list(LAYOUT.rows())
    of_client = Counter(member for row in rows for member, read in row.members.items() if read < row.messages)
    assert of_client == {client_id(number): 4 for number in range(LAYOUT.clients)}
    for number in range(LAYOUT.clients):
        found = {
            row.id: row.messages - row.members[client_id(number)] for row in rows if client_id(number) in row.members
        }
        assert LAYOUT.unread_of(number) == {place: unread for place, unread in found.items() if unread}


@pytest.mark.long
def test_history(tmp_path: Path) -> None:
    arguments = ("--messages", "6000", "--conversations", "250", "--clients", "2", "--unread", "3", "--starts", "1")
    report = bench("history", *arguments, *SHORT, output=tmp_path)
    *asked, start = report["runs"]
    assert [run["name"] for run in report["runs"]] == ["page of 20", "page of 100", "3 unread", "start"]
    for run, each in zip(asked, (20, 100, 3), strict=True):
        check_counts(run)
        assert run["expected"] == each * run["acknowledged"]
    assert start["p50_ms"] > 0
    assert report["ceiling"] is None
