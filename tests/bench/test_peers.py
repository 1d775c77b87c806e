"""The load for ejabberd counts, patches and checks what it says; with ejabberd installed, the whole runs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.peers.load import PairSpeaker, Probe, RoomSpeaker, Speaker
from bench.peers.processes import installed
from bench.peers.xmpp import Counter, Message, sent_at
from hongyan.bench.frames import FIRST_SERIAL
from hongyan.bench.talk import TalkResult
from hongyan.bench.workers import BenchError, Window

ROOT = Path(__file__).parent.parent.parent
RECORDED = (
    b"<message xml:lang='en' to='a-0001@localhost/b' from='room@conference.localhost/a-0000' type='groupchat' "
    b"id='%016x'><body>%019dxxxx</body></message>"
)
REFUSED = b"<message from='room@conference.localhost' type='error' id='0000000000200000'><body>0x</body></message>"
ACK = b"<a h='%d' xmlns='urn:xmpp:sm:3'/>"
PACKAGES = "ejabberd, erlang-base, erlang-p1-pgsql and postgresql"


def recorded(*numbers: int) -> bytes:
    """What ejabberd writes when a room has these messages."""
    return b"".join(RECORDED % (FIRST_SERIAL + number, number + 1) for number in numbers)


@pytest.mark.parametrize("step", [1, 7, 10, 200, 1000])
def test_messages_are_counted_wherever_reads_cut_them(step: int) -> None:
    data, counter = recorded(*range(5)), Counter()
    assert sum(counter.feed(data[start : start + step]) for start in range(0, len(data), step)) == 5


def test_every_cut_in_two_counts_the_same() -> None:
    data = recorded(0, 1)
    for cut in range(len(data)):
        counter = Counter()
        assert counter.feed(data[:cut]) + counter.feed(data[cut:]) == 2


def test_a_message_is_patched() -> None:
    message = Message("room@conference.localhost", "groupchat", 200)
    for serial, now in ((FIRST_SERIAL, 12345), (FIRST_SERIAL + 1, 10**18)):
        element = ElementTree.fromstring(bytes(message.at(serial, now)))
        body = element.findtext("body") or ""
        assert element.attrib == {"to": "room@conference.localhost", "type": "groupchat", "id": f"{serial:016x}"}
        assert len(body) == 200
        assert sent_at(body) == now


@pytest.mark.parametrize(
    ("numbers", "faults"), [((0, 1, 2), 0), ((0, 1, 1, 2), 1), ((1, 0), 1)], ids=["once", "twice", "out of order"]
)
async def test_a_probe_reads_what_it_receives(numbers: tuple[int, ...], faults: int) -> None:
    probe = Probe("tom", TalkResult())
    data = recorded(*numbers)
    for start in range(0, len(data), 100):
        probe.count(data[start : start + 100])
    assert (probe.frames, probe.bytes) == (len(numbers), len(data))
    assert len(probe.result.faults) == faults


class Silent:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


def talking(speaker: Speaker, in_flight: int) -> Silent:
    """The speaker has begun, in a window that is over."""
    transport = Silent()
    speaker.connection_made(transport)
    speaker.prepare(Message("jerry@localhost/b", "chat", 50), Window(0, 0))
    speaker.begin(in_flight)
    assert len(transport.written) == speaker.sent == in_flight
    return transport


async def test_a_message_that_the_room_sends_back_is_acknowledged() -> None:
    speaker = RoomSpeaker("tom", TalkResult())
    talking(speaker, 3)
    data = recorded(0, 1, 2)
    speaker.data_received(data[:250])
    speaker.data_received(data[250:])
    assert (speaker.acked, speaker.result.faults) == (3, [])
    assert speaker.done.is_set()


async def test_a_message_of_a_pair_is_acknowledged_by_the_server() -> None:
    speaker = PairSpeaker("tom", TalkResult())
    talking(speaker, 2)
    for part in (ACK % 1, (ACK % 2)[:5], (ACK % 2)[5:]):
        speaker.data_received(part)
    assert (speaker.acked, speaker.result.faults) == (2, [])
    assert speaker.done.is_set()


@pytest.mark.parametrize(
    ("role", "answer"),
    [(RoomSpeaker, REFUSED), (RoomSpeaker, recorded(7)), (PairSpeaker, REFUSED), (PairSpeaker, ACK % 9)],
)
async def test_another_answer_is_a_fault(role: type[Speaker], answer: bytes) -> None:
    speaker = role("tom", TalkResult())
    talking(speaker, 1)
    speaker.data_received(answer)
    assert "tom expected an acknowledgement" in speaker.result.faults[0]
    assert speaker.acked == 0
    assert speaker.done.is_set()


def peers(*arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [sys.executable, "-m", "bench.peers", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=200, check=False
    )


def test_what_is_not_installed_is_said_in_one_sentence(tmp_path: Path) -> None:
    done = peers("--output", str(tmp_path), path=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == f"bench.peers: Debian's {PACKAGES} are needed and not installed\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [("--members", "1", "--members must be at least 2"), ("--large", "20001", "--large must be at most 20000")],
)
def test_a_size_that_cannot_be_is_refused(option: str, value: str, sentence: str) -> None:
    done = peers(option, value)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_one_absent_package_is_named() -> None:
    with pytest.raises(BenchError, match=r"Debian's no-such-package is needed and not installed"):
        installed(["no-such-package"])


@pytest.mark.services
@pytest.mark.timeout(240)
def test_both_servers_get_the_same_load(tmp_path: Path) -> None:
    sizes = ("--rooms", "2", "--members", "5", "--large", "60", "--pairs", "3", "--processes", "2")
    done = peers(*sizes, "--seconds", "0.5", "--warm-up", "0.2", "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads((tmp_path / "ejabberd.json").read_text(encoding="utf-8"))
    assert {"hongyan", "ejabberd", "erlang-base", "postgresql"} <= report["versions"].keys()
    assert [load["name"] for load in report["loads"]] == ["fanout", "room", "chat"]
    for load, receivers in zip(report["loads"], (4, 59, 1), strict=True):
        assert report["ratio"][load["name"]]["delivery_p99_ms"] > 0
        assert list(load["runs"]) == ["Hongyan", "ejabberd"]
        for run in load["runs"].values():
            assert run["faults"] == []
            assert run["sent"] == run["acknowledged"] > 0
            assert run["delivered"] == run["expected"] == receivers * run["sent"]
            assert run["server_cores"] > 0
    chat = report["loads"][2]["runs"]["ejabberd"]
    assert chat["archived"] == 2 * chat["sent"]
