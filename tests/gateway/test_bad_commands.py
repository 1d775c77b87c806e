"""Commands as they should not be: a clear error, or silence where no answer is asked, and nothing else happens."""

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType
from tests.gateway.random_commands import commands
from tests.gateway.raw import DATA, websocket
from tests.gateway.talk import clients, numbered, push_names, pushes, replies
from tests.support.client import ConnectionLost, Session, command, connect, frame, named
from tests.support.server import Server

SERVED = {
    "session": {"open", "close", "query", "refresh"},
    "conv": {"start", "add", "remove", "query", "max_read"}
    | {"update", "mute", "unmute", "count", "members", "is_member"}
    | {"member_info_update", "add_shutup", "remove_shutup", "query_shutup", "check_shutup"},
    "direct": set(),
    "ack": set(),
    "read": set(),
    "logs": set(),
    "echo": set(),
    "login": set(),
    "logout": set(),
}
"""Commands and ops of this version. Those without ops don't look at one."""

UNPARSEABLE = 4114


async def answers(session: Session, requests: list[GenericCommand]) -> list[GenericCommand]:
    """The replies in the order of the requests; each must come once, and nothing else."""
    await pushes(session)
    came = {answer.i: answer for answer in await replies(session.connection, requests)}
    assert len(came) == len(requests)
    assert not [push for push in await pushes(session) if push.HasField("i")]
    return [came[-place] for place in range(1, len(requests) + 1)]


# unknown


@pytest.mark.parametrize("cmd", sorted(set(CommandType.keys()) - SERVED.keys()))
async def test_commands_that_are_not_served_inferred(server: Server, cmd: str) -> None:
    async with clients(server, "tom") as (tom,):
        asked = [GenericCommand(cmd=cmd, op=op, peerId=peer) for op in (None, "open") for peer in (None, tom.peer)]
        for answer in await answers(tom, asked):
            assert (named(answer), answer.errorMessage.code) == ("error", UNPARSEABLE)
        for request in asked:
            request.ClearField("i")
            await tom.connection.send(request)
        assert await push_names(tom) == []


@pytest.mark.parametrize("cmd", ["session", "conv"])
@pytest.mark.covers("error", "ErrorCommand.code", "ErrorCommand.reason", "ErrorCommand.detail")
async def test_operations_that_are_not_served_inferred(server: Server, cmd: str) -> None:
    async with clients(server, "tom") as (tom,):
        others: list[str | None] = [None, *sorted(set(OpType.keys()) - SERVED[cmd])]
        for answer in await answers(tom, [command(cmd, op, tom.peer) for op in others]):
            assert (named(answer), answer.peerId) == ("error", tom.peer)
            assert (answer.errorMessage.code, answer.errorMessage.reason) == (UNPARSEABLE, "UNPARSEABLE_RAW_MESSAGE")
            assert "operation" in answer.errorMessage.detail


async def test_numbers_nobody_knows_inferred(server: Server) -> None:
    """Newer SDKs may send commands and operations that don't exist yet."""
    unknown = [
        b"\x08\x63\x28\x01",
        b"\x08\x00\x10\x63\x28\x02",
        b"\x08\x01\x10\x63\x28\x03",
        b"\x08\xff\xff\xff\xff\x07\x28\x04",
        b"\x28\x05",
    ]
    async with clients(server, "tom") as (tom,):
        for serial, data in enumerate(unknown, 1):
            await tom.connection.send_raw(data)
            answer = await tom.connection.expect("error")
            assert (answer.i, answer.errorMessage.code) == (serial, UNPARSEABLE)
        await tom.connection.send_raw(b"\x08\x63")
        await tom.connection.send_raw(b"")
        assert await push_names(tom) == []


async def test_fields_nobody_knows_are_ignored(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        request = numbered(-7, command("conv", "start", tom.peer)).SerializeToString()
        await tom.connection.send_raw(request + b"\xf8\x7f\x07\x82\x7d\x03new\x8d\x7d\x01\x02\x03\x04")
        assert (await tom.expect("conv/started")).i == -7


# missing


@pytest.mark.parametrize(
    ("cmd", "op", "answer"),
    [
        ("session", "query", "session/query_result"),
        ("session", "refresh", "session/refreshed"),
        ("session", "close", "session/closed"),
        ("session", "open", "session/opened"),
        ("conv", "start", "conv/started"),
        ("conv", "query", "conv/results"),
        ("conv", "add", 4303),
        ("conv", "remove", 4303),
        ("conv", "update", 4303),
        ("conv", "mute", 4303),
        ("conv", "unmute", 4303),
        ("conv", "count", 4303),
        ("conv", "members", 4303),
        ("conv", "max_read", 4303),
        ("conv", "is_member", "conv/is_member"),
        ("direct", None, UNPARSEABLE),
        ("logs", None, 4303),
        ("echo", None, "echo"),
    ],
)
async def test_a_command_without_its_sub_message(server: Server, cmd: str, op: str | None, answer: str | int) -> None:
    async with clients(server, "tom") as (tom,):
        bare, empty = GenericCommand(cmd=cmd, op=op), command(cmd, op)
        for got in await answers(tom, [bare, empty] if op != "close" else [bare]):
            assert (got.errorMessage.code or named(got)) == answer
            part = f"{CommandType.Name(got.cmd)}Message"
            assert part == "echoMessage" or got.HasField(part)


async def test_sub_messages_without_what_they_require(server: Server) -> None:
    """`ReadTuple.cid` and `JsonObjectMessage.data` are required, yet a peer may leave them out."""
    read_tuple, json_message = b"\xda\x06\x02\x1a\x00", b"\xf2\x06\x03\xaa\x06\x00"
    async with clients(server, "tom") as (tom,):
        await pushes(tom)
        await tom.connection.send_raw(b"\x08\x0b\x28\x01" + read_tuple)
        assert (await tom.expect("error")).errorMessage.code == 4303
        await tom.connection.send_raw(b"\x08\x01\x10\x07\x28\x02" + json_message)
        assert (await tom.expect("conv/results")).i == 2


async def test_the_first_command_of_a_connection_may_be_anything(server: Server) -> None:
    async with connect(server) as connection:
        every = [GenericCommand(cmd=cmd, op=op) for cmd in CommandType.values() for op in (None, *OpType.values())]
        asked = [request for request in every if named(request) != "session/open"]
        for answer in await replies(connection, asked):
            assert answer.errorMessage.code in (4100, 4105, UNPARSEABLE) or named(answer) == "echo"


# wrong types

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
VALUES = {VARINT: b"\x05", FIXED64: bytes(8), BYTES: b"\x01x", FIXED32: bytes(4)}
WIRE_TYPES = {FieldDescriptor.CPPTYPE_STRING: BYTES, FieldDescriptor.CPPTYPE_MESSAGE: BYTES}


def varint(number: int) -> bytes:
    head = bytes([number & 0x7F | 0x80]) if number > 0x7F else b""
    return head + varint(number >> 7) if head else bytes([number])


def field(number: int, wire_type: int, value: bytes) -> bytes:
    return varint(number << 3 | wire_type) + value


def wrongly_typed(fields: list[FieldDescriptor]) -> Iterator[bytes]:
    """Each field in each encoding that is not its own."""
    for descriptor in fields:
        right = WIRE_TYPES.get(descriptor.cpp_type, VARINT)
        for wire_type in VALUES.keys() - {right}:
            yield field(descriptor.number, wire_type, VALUES[wire_type])


@pytest.mark.parametrize(
    ("cmd", "op"),
    [(cmd, op) for cmd, ops in SERVED.items() if cmd not in ("ack", "read") for op in sorted(ops) or [None]],
)
async def test_fields_of_a_wrong_type_are_as_if_absent(server: Server, cmd: str, op: str | None) -> None:
    envelope = GenericCommand.DESCRIPTOR
    part = envelope.fields_by_name.get(f"{cmd}Message")
    parts = list(wrongly_typed(part.message_type.fields)) if part else []
    bodies = [field(part.number, BYTES, varint(len(body)) + body) for body in parts if part]
    bodies += list(wrongly_typed([each for each in envelope.fields if each.name not in ("cmd", "op", "i")]))
    async with clients(server, "tom") as (tom,):
        await pushes(tom)
        for serial, body in enumerate(bodies, 1):
            request = GenericCommand(cmd=cmd, op=op, i=-serial).SerializeToString()
            await tom.connection.send_raw(request + body)
        serials = {(await tom.connection.expect(lambda push: push.HasField("i"))).i for _ in bodies}
        assert serials == {-serial for serial in range(1, len(bodies) + 1)}


@pytest.mark.parametrize(
    "part", [each for each in GenericCommand.DESCRIPTOR.fields if each.message_type], ids=lambda part: part.name
)
async def test_a_sub_message_that_is_none_ends_the_connection(server: Server, part: FieldDescriptor) -> None:
    async with websocket(server) as peer:
        await peer.send(frame(DATA, b"\x08\x0e\x28\x01" + field(part.number, BYTES, b"\x02\xff\xff")))
        assert await peer.close_code() == UNPARSEABLE


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xed\xa0\xbd", b"\xc0\x80", b"\xf4\x90\x80\x80"])
@pytest.mark.parametrize("name", ["peerId", "appId", "directMessage.msg", "directMessage.cid", "convMessage.m"])
async def test_text_that_is_not_utf8_ends_the_connection(server: Server, name: str, value: bytes) -> None:
    """Half of a surrogate pair, too, as JavaScript can make one."""
    *outer, inner = name.split(".")
    descriptor = GenericCommand.DESCRIPTOR
    if outer:
        descriptor = descriptor.fields_by_name[outer[0]].message_type
    data = field(descriptor.fields_by_name[inner].number, BYTES, varint(len(value)) + value)
    if outer:
        data = field(GenericCommand.DESCRIPTOR.fields_by_name[outer[0]].number, BYTES, varint(len(data)) + data)
    async with clients(server, "tom") as (tom,):
        for op in ("start", "add"):
            async with connect(server) as connection:
                await connection.open(tom.peer)
                await connection.send_raw(GenericCommand(cmd="conv", op=op, i=1).SerializeToString() + data)
                assert (await connection.closed()).code == UNPARSEABLE
        assert len(await tom.query({})) == 1


# anything

OPEN = 0
DOCUMENTED = {OPEN, 4100}
"""How a connection may end by a well-formed command: not at all, or for an unknown app."""


def wants_answer(request: GenericCommand) -> bool:
    silent = request.cmd in (CommandType.ack, CommandType.read)
    return not silent and not (request.cmd == CommandType.direct and request.directMessage.transient)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_random_commands_cost_their_connection_at_most(server: Server, data: st.DataObject) -> None:
    """Each request with a serial gets one answer, or the connection ends with a code that is written down."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        words = [conversation, tom.peer, jerry.peer, tom.token, server.app.id]
        requests = data.draw(st.lists(commands(words), min_size=1, max_size=20))
        answered: list[int] = []
        code = OPEN
        try:
            for serial, request in enumerate(requests, 1):
                await tom.connection.send(numbered(-serial, request))
            for _ in filter(wants_answer, requests):
                answered.append((await tom.connection.expect(lambda push: push.HasField("i"))).i)
            await tom.connection.echo()
            answered += [push.i for push in tom.connection.pushes if push.HasField("i")]
        except ConnectionLost as lost:
            code = lost.code
        assert code in DOCUMENTED
        assert len(answered) == len(set(answered))
        assert await jerry.send(await jerry.start(), "unharmed")
