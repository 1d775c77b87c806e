"""`patch`: the author edits or recalls a message (reference 3.21)."""

from hongyan import errors
from hongyan.engine.limits import Operation
from hongyan.engine.values import Draft, Edit
from hongyan.errors import Refused
from hongyan.gateway.connection import Connection
from hongyan.gateway.limits import check_limit
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType, PatchCommand, PatchItem

#: Messages changed by one command; each counts against the rate, or one command would be worth many.
MESSAGES_MAX = 30


def handle(connection: Connection, session: Session, command: GenericCommand) -> None:
    if command.op == OpType.modified and not command.HasField("i"):
        return  # a client says what it has received
    if command.op != OpType.modify:
        raise Refused(errors.UNPARSEABLE_RAW_MESSAGE, "unknown patch operation")
    edits = [_edit(item) for item in command.patchMessage.patches]
    if not edits:
        raise Refused(errors.UNPARSEABLE_RAW_MESSAGE, "patch without a message")
    if len(edits) > MESSAGES_MAX:
        raise Refused(errors.CONVERSATION_API_QUOTA_EXCEEDED, f"at most {MESSAGES_MAX} messages at once")
    for _ in edits:
        check_limit(connection, session.app, session.client, Operation.OTHER)
    connection.run(command, _apply(connection, session, command, edits))


async def _apply(connection: Connection, session: Session, command: GenericCommand, edits: list[Edit]) -> None:
    def reply(at: int) -> None:
        modified = PatchCommand(lastPatchTime=at)
        connection.reply(command, GenericCommand(cmd=CommandType.patch, op=OpType.modified, patchMessage=modified))

    source = connection.source
    await connection.gateway.engine.edits.apply(session.app, session.client, edits, reply, session, source)


def _edit(item: PatchItem) -> Edit:
    """A recall's own body and mentions count for nothing."""
    draft = (
        None if item.recall else Draft(_content(item), mention_all=item.mentionAll, mentions=tuple(item.mentionPids))
    )
    return Edit(item.cid, item.mid, item.timestamp, draft)


def _content(item: PatchItem) -> str | bytes:
    """Java puts the bytes of a binary message into `data`, which are bytes here unless they are UTF-8."""
    if item.HasField("binaryMsg"):
        return item.binaryMsg
    if item.HasField("data"):
        return item.data
    raise Refused(errors.UNPARSEABLE_RAW_MESSAGE, "patch without new content")
