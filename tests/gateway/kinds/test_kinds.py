"""Every command × kind of conversation is tried: what is allowed, what is forbidden, and what is no request.

The commands are those that the schema's enums and the protocol's table have and clients send.
"""

import json

import pytest

from hongyan.engine.values import ConversationKind
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType
from tests.gateway.kinds.cases import CASES, Case
from tests.gateway.kinds.stage import Stage, stage
from tests.gateway.talk import numbered
from tests.support.client import named
from tests.support.server import Server
from tools import protocol

ABOUT_NO_CONVERSATION = {
    "session/open",
    "session/close",
    "session/query",
    "session/refresh",
    "login",
    "logout",
    "report/upload",
    "echo",
    "patch/modified",
}
"""They name none: see the tests of their handlers."""
TRIED = [
    pytest.param(name, kind, case, id=f"{name}-{kind.name.lower()}-{case}")
    for name, kinds in CASES.items()
    for kind in kinds
    for case in ("allowed", "forbidden", "malformed")
]
SERIAL = -77


def test_no_command_for_no_kind_is_left_out() -> None:
    """A walk over the schema's enums: a new command or kind fails here until it has its cases."""
    kinds_of_command, operations = CommandType.keys(), OpType.keys()
    commands = {
        name
        for command in kinds_of_command
        for name in [command, *(f"{command}/{op}" for op in operations)]
        if "C" in protocol.commands().get(name, "")
    }
    assert commands == CASES.keys() | ABOUT_NO_CONVERSATION
    assert {name: set(kinds) for name, kinds in CASES.items()} == {name: set(ConversationKind) for name in CASES}


@pytest.mark.parametrize(("name", "kind", "case"), TRIED)
async def test_each_kind_answers_each_command(server: Server, name: str, kind: ConversationKind, case: str) -> None:
    tried = CASES[name][kind].each()[case]
    async with stage(server, kind) as made:
        before = await made.state() if tried.refused or case != "allowed" else None
        request = made.request(name, tried.fields, tried.by)
        if tried.reply:
            assert await answer(made, tried, request) == tried.reply
        else:
            await made.connection(tried.by).send(request)
        for who, push in tried.told.items():
            await made.sessions[who].expect(push)
        if not tried.reply:
            await made.connection(tried.by).echo()
            told = await made.told()
            assert [named(push) for pushed in told.values() for push in pushed] == []
        if before is not None:
            assert await made.state() == before


async def answer(made: Stage, tried: Case, request: GenericCommand) -> str:
    """The answer's name, or that of the error; it repeats serial and client, and says which conversation."""
    connection = made.connection(tried.by)
    await connection.send(numbered(SERIAL, request))
    reply = await connection.expect(lambda push: push.HasField("i") and push.i == SERIAL)
    assert reply.peerId == request.peerId
    assert reply.HasField("serverTs")
    if reply.HasField("errorMessage"):
        return reply.errorMessage.reason
    if reply.ackMessage.HasField("code"):
        return reply.ackMessage.reason
    asked = json.dumps([request.convMessage.cid, request.blacklistMessage.srcCid, request.logsMessage.cid])
    told = json.dumps([reply.convMessage.cid, reply.blacklistMessage.srcCid, reply.logsMessage.cid])
    started = named(reply) in ("conv/started", "conv/results")
    assert started or asked == told
    return named(reply)
