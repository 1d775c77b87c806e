"""`rest` patches requests right, reads answers right, and counts what arrives."""

import json
from pathlib import Path
from typing import Any

import pytest

from hongyan.bench.client import Target
from hongyan.bench.frames import sent_at
from hongyan.bench.rest_load import Poster, Request, RestPlan, receiver
from hongyan.bench.talk import TalkResult
from hongyan.bench.workers import Window
from tests.bench.test_cli import PATIENT, SHORT, bench, check_counts

pytestmark = PATIENT

PLAN = RestPlan(Target("http://127.0.0.1:8000", "app"), None, "/messages", "secret", "r", 1, 2, 1, 200)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 7\r\n\r\nslower!"


class Wire:
    """Takes the place of a transport."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)


def poster(in_flight: int, seconds: float = 60) -> tuple[Poster, Wire, TalkResult]:
    result, wire = TalkResult(), Wire()
    one = Poster(Request(PLAN), range(2), result)
    one.connection_made(wire)
    one.begin(in_flight, Window.after(0, seconds))
    return one, wire, result


def content(request: bytes) -> dict[str, Any]:
    head, _, body = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    return dict(json.loads(body))


def test_every_request_names_its_receiver_and_time() -> None:
    request = Request(PLAN)
    for number, now in ((0, 1), (123456, 2**62), (7, 10**15)):
        sent = content(request.at(number, now))
        assert sent["to_clients"] == [receiver("r", number)]
        assert sent_at(sent["message"]) == now
        assert len(sent["message"]) == 200


def test_answers_may_come_in_pieces_or_together_and_each_brings_the_next_request() -> None:
    one, wire, result = poster(in_flight=2)
    for byte in ANSWER:
        one.data_received(bytes((byte,)))
    assert len(wire.sent) == 3
    one.data_received(ANSWER + ANSWER)
    assert [content(sent)["to_clients"] for sent in wire.sent] == [[receiver("r", number % 2)] for number in range(5)]
    assert (result.sent, result.acked, one.acked) == (5, 3, {0: 2, 1: 1})
    assert len(result.ack_ms) == 3
    assert not one.done.is_set()


def test_a_connection_is_done_when_all_is_answered_after_the_window() -> None:
    one, _, result = poster(in_flight=2, seconds=0)
    one.data_received(ANSWER)
    assert not one.done.is_set()
    one.data_received(ANSWER)
    assert one.done.is_set()
    assert (result.sent, result.acked, result.faults) == (2, 2, [])


def test_a_refusal_and_a_lost_connection_are_faults() -> None:
    one, wire, result = poster(in_flight=1)
    one.data_received(REFUSAL)
    assert result.faults == ["a request was answered 429 slower!"]
    assert one.done.is_set()
    assert len(wire.sent) == 1
    other, _, result = poster(in_flight=1)
    other.connection_lost(None)
    assert result.faults == ["a connection was closed by the server"]
    assert other.done.is_set()


@pytest.mark.long
def test_rest(tmp_path: Path) -> None:
    arguments = ("--connections", "3", "--receivers", "7", "--in-flight", "2", "--processes", "2")
    report = bench("rest", *arguments, *SHORT, output=tmp_path)
    (ours,), (bare,) = report["runs"], report["ceiling"]["runs"]
    check_counts(ours)
    assert ours["expected"] == ours["acknowledged"]
    assert ours["messages_per_commit"] > 0
    assert bare["faults"] == []
    assert 0 < bare["acknowledged"] == bare["sent"]
