"""Hearing Feishu without an address of our own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from aiohttp import web

from hongyan.hub.connector import Acted, Event, Happened, Outcome, Problem, Said
from hongyan.hub.connectors.feishu.app import AppConnector
from hongyan.hub.connectors.feishu.credentials import AppCredentials
from hongyan.hub.connectors.feishu.errors import check_connection
from hongyan.hub.connectors.feishu.long_connection import PARTLY_MAX, PARTS_MAX, PARTS_TIME, Config, Parts
from hongyan.hub.content import Button, Card, Message, Text
from hongyan.hub.websocket import MESSAGE_MAX
from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.feishu import Feishu
from hongyan.sandbox.feishu.connections import DATA, Frame, encode
from hongyan.sandbox.server import Sandbox
from tests.hub.feishu.test_receiving import GROUP, PERSON, event, request, said
from tests.support.hub import Around, Clock

#: Feishu's default waits are long.
SOON = {"ReconnectCount": -1, "ReconnectInterval": 1, "ReconnectNonce": 0, "PingInterval": 120}


class Hearing:
    """`failing`: how many events can't be kept."""

    def __init__(self, app: AppConnector) -> None:
        self.app = app
        self.events: list[Event] = []
        self.failing = 0
        self.task = asyncio.create_task(app.listen(self.tell))

    async def tell(self, event: Event) -> None:
        if self.failing:
            self.failing -= 1
            raise OSError("the disk is full")
        self.events.append(event)

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
def streaming(credentials: AppCredentials) -> AppCredentials:
    """As nothing is sealed, neither key nor token is needed."""
    return msgspec.structs.replace(credentials, stream=True, encrypt_key="", verification_token="")


@pytest.fixture
async def stream_app(streaming: AppCredentials, around: Around) -> AsyncIterator[AppConnector]:
    made = AppConnector(streaming, around())
    yield made
    await made.close()


@pytest.fixture
async def hearing(stream_app: AppConnector, feishu: Feishu) -> AsyncIterator[Hearing]:
    feishu.connections.config = SOON
    made = Hearing(stream_app)
    await feishu.connections.connected()
    yield made
    await made.stop()


def happened(id: str) -> bytes:
    return json.dumps(event("im.chat.updated_v1", {"chat_id": GROUP.id}, event_id=id)).encode()


async def test_everything_is_heard(hearing: Hearing, feishu: Feishu, sandbox: Sandbox) -> None:
    assert (await feishu.tell(Inbound("text", PERSON.id, GROUP.id, "status"), "")).status == 200
    await hearing.app.send(Message(Card("Disk", buttons=(Button("Mine", id="take", value="7"),))), [GROUP], key="k")
    shown = sandbox.board.all()[-1]
    assert (await feishu.tell(Inbound("action", PERSON.id, on=shown.id, action="take"), "")).status == 200
    assert (await feishu.tell(Inbound("recalled", PERSON.id, on=sandbox.board.all()[0].id), "")).status == 200
    spoken, acted, gone = hearing.events
    assert isinstance(spoken, Said)
    assert (spoken.chat.target, spoken.message.content, spoken.sender.name) == (GROUP, Text("status"), "张三")
    assert isinstance(acted, Acted)
    assert (acted.sender.id, acted.action, acted.value) == (PERSON.id, "take", "7")
    assert isinstance(gone, Happened)
    assert gone.recalled == {"message_id": sandbox.board.all()[0].id}


async def test_an_event_has_the_id_that_it_has_at_an_address(
    hearing: Hearing, app: AppConnector, feishu: Feishu, clock: Clock
) -> None:
    body = said("text", {"text": "x"})
    assert (await feishu.connections.tell(json.dumps(body).encode()))[0] == 200
    [at_address] = (await app.receive(request(body, clock))).events
    assert hearing.events == [at_address]


async def test_a_card_of_the_older_kind_is_answered(hearing: Hearing, feishu: Feishu) -> None:
    body = {
        "open_id": PERSON.id,
        "open_message_id": "om_1",
        "open_chat_id": GROUP.id,
        "action": {"value": {"action": "a"}},
    }
    assert await feishu.connections.tell(json.dumps(body).encode(), "card") == (200, "")
    [acted] = hearing.events
    assert isinstance(acted, Acted)
    assert (acted.action, acted.id) == ("a", "sandbox-1")


async def test_what_we_fail_at_is_told_again(hearing: Hearing, feishu: Feishu) -> None:
    hearing.failing = 1
    assert (await feishu.connections.tell(happened("e1")))[0] == 500
    assert hearing.events == []
    assert (await feishu.connections.tell(happened("e1")))[0] == 200
    assert [each.id for each in hearing.events] == ["e1"]


async def test_an_answer_has_all_that_the_frame_has(hearing: Hearing, feishu: Feishu) -> None:
    frame = feishu.connections.frames(happened("e1"))[0]
    frame.sequence, frame.log, frame.service = 5, 2**63, 7
    answer = await (await feishu.connections.push(frame))
    assert (answer.sequence, answer.log, answer.service, answer.method) == (5, 2**63, 7, DATA)
    assert answer.headers == {**frame.headers, "biz_rt": "0"}
    assert json.loads(answer.payload) == {"code": 200}


@pytest.mark.parametrize("payload", [b"", b"garbage", b"[]", b"{}", b"\xff", b"[" * 60_000])
async def test_what_can_not_be_read_is_said(hearing: Hearing, feishu: Feishu, payload: bytes) -> None:
    assert (await feishu.connections.tell(payload))[0] == 500
    assert (await feishu.connections.tell(happened("e1")))[0] == 200


async def test_frames_that_tell_nothing_are_passed_over(hearing: Hearing, feishu: Feishu) -> None:
    for frame in (
        Frame(0, {"type": "pong"}, b"garbage"),
        Frame(0, {"type": "pong"}, b'{"PingInterval": -1}'),
        Frame(0, {"type": "ping"}),
        Frame(7, {}),
        Frame(DATA, {"type": "tomorrow", "message_id": "x"}, happened("e2")),
        Frame(DATA, {}, happened("e3")),
    ):
        await feishu.connections.send(encode(frame))
    assert (await feishu.connections.tell(happened("e1")))[0] == 200
    assert [each.id for each in hearing.events] == ["e1"]


GARBAGE: list[bytes | str] = [
    b"\xff",
    b"\x0b" * 1000,
    b"\x2a\x04\x0a\x02\xff\xfe",
    b"\x42\xff\xff\xff\xff\x0f",
    b"x" * (MESSAGE_MAX + 1),
    "text",
    encode(Frame(DATA, {"type": "event", "message_id": "m", "sum": "2", "seq": "2"})),
    encode(Frame(DATA, {"type": "event", "message_id": "m", "sum": "-1", "seq": "0"})),
    encode(Frame(DATA, {"type": "event", "message_id": "m", "sum": "1", "seq": "x"})),
    encode(Frame(DATA, {"type": "event", "message_id": "m", "sum": str(PARTS_MAX + 1), "seq": "0"})),
    encode(Frame(DATA, {"type": "event", "message_id": "m", "sum": "0", "seq": "0"})),
    encode(Frame(DATA, {"type": "event", "message_id": "m", "sum": "9" * 5000, "seq": "0"})),
]


@pytest.mark.parametrize("raw", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_ends_the_connection(hearing: Hearing, feishu: Feishu, raw: bytes | str) -> None:
    await feishu.connections.send(raw)
    await feishu.connections.connected(2)
    assert (await feishu.connections.tell(happened("e1")))[0] == 200
    assert [each.id for each in hearing.events] == ["e1"]


# parts


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 1, 2, 0]])
async def test_parts_are_put_together(hearing: Hearing, feishu: Feishu, order: list[int]) -> None:
    payload = happened("e1")
    feishu.connections.part_max = len(payload) // 3 + 1
    frames = feishu.connections.frames(payload)
    assert len(frames) == 3
    answer = await (await feishu.connections.push(*[frames[number] for number in order]))
    assert json.loads(answer.payload) == {"code": 200}
    assert [each.id for each in hearing.events] == ["e1"]


async def test_what_is_missing_of_a_message_keeps_no_other_from_being_heard(hearing: Hearing, feishu: Feishu) -> None:
    feishu.connections.part_max = 100
    missing = await feishu.connections.push(*feishu.connections.frames(happened("e1"))[1:])
    assert (await feishu.connections.tell(happened("e2")))[0] == 200
    assert not missing.done()
    assert [each.id for each in hearing.events] == ["e2"]


def test_parts_are_kept_for_a_time() -> None:
    clock = Clock()
    parts = Parts(clock.steady)
    assert parts.add("m", 2, 0, b"a") is None
    clock.advance(PARTS_TIME / 2)
    assert parts.add("m", 2, 1, b"b") == b"ab"
    assert parts.add("m", 2, 1, b"b") is None
    clock.advance(PARTS_TIME)
    assert parts.add("m", 2, 0, b"a") is None
    assert parts.add("m", 2, 1, b"b") == b"ab"


def test_a_message_that_has_another_number_of_parts_is_another() -> None:
    parts = Parts(Clock().steady)
    assert parts.add("m", 2, 0, b"a") is None
    assert parts.add("m", 3, 1, b"b") is None
    assert parts.add("m", 3, 0, b"a") is None
    assert parts.add("m", 3, 2, b"c") == b"abc"


def test_messages_of_which_parts_are_kept_are_bounded() -> None:
    parts = Parts(Clock().steady)
    for number in range(PARTLY_MAX + 1):
        assert parts.add(f"m{number}", 2, 0, b"a") is None
    assert parts.add("m1", 2, 1, b"b") == b"ab"
    assert parts.add("m0", 2, 1, b"b") is None  # the oldest was forgotten


def test_parts_are_bounded_by_their_bytes() -> None:
    parts, part = Parts(Clock().steady), bytes(MESSAGE_MAX)
    assert parts.add("old", 2, 0, b"a") is None
    for _ in range(10):
        assert parts.add("large", 9, 0, part) is None  # the same part takes no more room
    for number in range(1, 4):
        assert parts.add("large", 9, number, part) is None
    assert parts.add("old", 2, 1, b"b") is None  # it was forgotten
    for number in range(4, 8):
        assert parts.add("large", 9, number, part) is None
    assert parts.add("large", 9, 8, part) is None  # what was there first of it was forgotten, too


# how it is held


async def test_pings_go_as_often_as_feishu_says(stream_app: AppConnector, feishu: Feishu) -> None:
    feishu.connections.config = {**SOON, "PingInterval": 1}
    hearing = Hearing(stream_app)
    await feishu.connections.pinged(2)
    await hearing.stop()


@pytest.mark.parametrize("told", [None, "x", [], {"PingInterval": 0}, {"ReconnectNonce": -1}, {"PingInterval": "1"}])
async def test_a_config_that_makes_no_sense_is_not_heeded(stream_app: AppConnector, feishu: Feishu, told: Any) -> None:
    feishu.connections.config = told
    hearing = Hearing(stream_app)
    await feishu.connections.connected()
    assert (await feishu.connections.tell(happened("e1")))[0] == 200
    await hearing.stop()


async def test_a_connection_that_ends_is_followed_by_another_when_feishu_says(
    hearing: Hearing, feishu: Feishu, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WAIT_MIN", "WAIT_MAX"):  # of our own
        monkeypatch.setattr(f"hongyan.hub.websocket.{name}", 10_000.0)
    await feishu.connections.close()
    await feishu.connections.connected(2)
    assert (await feishu.tell(Inbound("text", PERSON.id, GROUP.id, "again"), "")).status == 200
    assert len(hearing.events) == 1


def test_the_first_try_after_an_end_is_at_a_moment_of_its_own() -> None:
    config = Config(reconnect_interval=77, reconnect_nonce=30)
    waits = [config.wait(0) for _ in range(20)]
    assert all(0 <= each <= 30 for each in waits)
    assert len(set(waits)) > 1
    assert [config.wait(tries) for tries in (1, 2, 100)] == [77, 77, 77]


async def test_a_failure_is_tried_again(
    sandbox: Sandbox, stream_app: AppConnector, feishu: Feishu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.hub.websocket.WAIT_MIN", 0.01)
    feishu.connections.config = SOON
    for what in ("error", "garbage", "closed"):
        sandbox.faults.add("feishu", what, 1, "/callback/ws/endpoint")
    sandbox.faults.add("feishu", "error", 1, "/callback/ws/connect")
    hearing = Hearing(stream_app)
    await feishu.connections.connected()
    assert sandbox.faults.all() == []
    await hearing.stop()


async def test_whoever_stops_listening_leaves_no_connection(hearing: Hearing, feishu: Feishu) -> None:
    await hearing.stop()
    await feishu.connections.left()


async def _fails(app: AppConnector) -> Problem:
    with pytest.raises(Problem) as caught:
        await Hearing(app).task
    assert caught.value.outcome is Outcome.BAD_CREDENTIAL
    return caught.value


async def test_a_bad_secret_ends_it(streaming: AppCredentials, around: Around) -> None:
    app = AppConnector(msgspec.structs.replace(streaming, app_secret="wrong"), around())
    problem = await _fails(app)
    assert (problem.code, "app_secret" in problem.advice) == ("1000040344", True)
    await app.close()


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (1, Outcome.TRANSIENT),
        (403, Outcome.BAD_CREDENTIAL),
        (514, Outcome.BAD_CREDENTIAL),
        (1000040343, Outcome.TRANSIENT),
        (1000040344, Outcome.BAD_CREDENTIAL),
        (1000040350, Outcome.BAD_CREDENTIAL),
    ],
)
def test_codes_of_the_endpoint(code: int, outcome: Outcome) -> None:
    with pytest.raises(Problem, match="why") as caught:
        check_connection(code, "why")
    assert (caught.value.outcome, caught.value.code) == (outcome, str(code))
    assert bool(caught.value.advice) == (outcome is Outcome.BAD_CREDENTIAL)


async def test_too_many_connections_are_said_when_one_is_opened(
    stream_app: AppConnector, feishu: Feishu, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"handshake-status": "514", "handshake-msg": "too many", "handshake-autherrcode": "1000040350"}

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=401, headers=said)

    monkeypatch.setattr(feishu.connections, "serve", refuse)
    problem = await _fails(stream_app)
    assert (problem.reason, problem.code) == ("too many", "1000040350")
    assert "End other programs" in problem.advice


async def test_no_connection_leads_into_the_private_network(
    stream_app: AppConnector, feishu: Feishu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Feishu is allowed here, and names an address that is not."""
    monkeypatch.setattr(feishu, "origin", "http://10.1.2.3")
    problem = await _fails(stream_app)
    assert "no address of the internet" in problem.reason
    assert "ticket" not in problem.reason


async def test_an_app_that_is_told_at_an_address_opens_no_connection(app: AppConnector) -> None:
    assert not hasattr(app, "listen")
