"""`blacklist`: whom conversations block, and which conversations clients refuse (reference 3.22).

A request with `srcPid` or `toCids` is about the conversations that the client itself refuses; no SDK sends one.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from hongyan import errors
from hongyan.engine.blacklist import Page
from hongyan.engine.conversations import Members
from hongyan.engine.limits import Operation
from hongyan.errors import Refused
from hongyan.gateway import partial
from hongyan.gateway.connection import Connection
from hongyan.gateway.limits import check_limit
from hongyan.gateway.registry import PARTIAL_FAILURE, Session
from hongyan.gateway.signed import signature
from hongyan.wire.messages2_pb2 import BlacklistCommand, CommandType, GenericCommand, OpType

#: Items of one page of a list (reference 3.22).
LIMIT_DEFAULT, LIMIT_MAX = 50, 100
#: Digits of a place in a list.
_PLACE_DIGITS = 9


def handle(connection: Connection, session: Session, command: GenericCommand) -> None:
    operation = _OPERATIONS.get(command.op)
    if operation is None:
        raise Refused(errors.UNPARSEABLE_RAW_MESSAGE, "unknown blacklist operation")
    check_limit(connection, session.app, session.client, Operation.OTHER)
    of_conversation, of_client = operation
    own = _is_of_client(session, command.blacklistMessage)
    connection.run(command, (of_client if own else of_conversation)(connection, session, command))


# whom a conversation blocks


async def change(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked, blacklists = command.blacklistMessage, connection.gateway.engine.blacklists
    block = command.op == OpType.block

    def reply(members: Members) -> None:
        answer = BlacklistCommand(srcCid=members.conversation_id)
        partial.fill(answer, session, members.allowed, members.failed)
        _reply(connection, command, OpType.blocked if block else OpType.unblocked, answer)

    await connection.gateway.engine.signatures.check_block(
        session.app, session.client, asked.srcCid, asked.toPids, signature(asked), unblock=not block
    )
    who = (session.app, session.client, asked.srcCid, list(asked.toPids), reply)
    if block:
        await blacklists.block(*who, partial=session.can(PARTIAL_FAILURE))
    else:
        await blacklists.unblock(*who)


async def query(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked = command.blacklistMessage
    start, limit = _place(asked.next), _limit(asked.limit)
    async with connection.reads:
        page = await connection.gateway.engine.blacklists.blocked(
            session.app, session.client, asked.srcCid, start, limit
        )
    answer = BlacklistCommand(srcCid=asked.srcCid, blockedPids=page.items, next=_next(page))
    _reply(connection, command, OpType.query_result, answer)


async def check(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked = command.blacklistMessage
    blocked = await connection.gateway.engine.blacklists.which_blocked(
        session.app, session.client, asked.srcCid, list(asked.toPids)
    )
    _reply(connection, command, OpType.check_result, BlacklistCommand(srcCid=asked.srcCid, blockedPids=blocked))


# what a client refuses


async def change_own(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked, blacklists = command.blacklistMessage, connection.gateway.engine.blacklists
    refuse = command.op == OpType.block

    def reply() -> None:
        answer = BlacklistCommand(srcPid=session.client, toCids=asked.toCids)
        _reply(connection, command, OpType.blocked if refuse else OpType.unblocked, answer)

    signed_ids = ":".join(sorted(asked.toCids))  # of one conversation, its id (reference 5.2)
    await connection.gateway.engine.signatures.check_client_block(
        session.app, session.client, signed_ids, signature(asked), unblock=not refuse
    )
    work = blacklists.refuse if refuse else blacklists.accept
    await work(session.app, session.client, list(asked.toCids), reply, by_system=False)


async def query_own(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked = command.blacklistMessage
    start, limit = _place(asked.next), _limit(asked.limit)
    async with connection.reads:
        page = await connection.gateway.engine.blacklists.refused(
            session.app, session.client, start, limit, by_system=False
        )
    answer = BlacklistCommand(srcPid=session.client, blockedCids=page.items, next=_next(page))
    _reply(connection, command, OpType.query_result, answer)


async def check_own(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked = command.blacklistMessage
    async with connection.reads:
        refused = await connection.gateway.engine.blacklists.which_refused(
            session.app, session.client, list(asked.toCids), by_system=False
        )
    _reply(connection, command, OpType.check_result, BlacklistCommand(srcPid=session.client, blockedCids=refused))


def _is_of_client(session: Session, asked: BlacklistCommand) -> bool:
    """Whether the client speaks of itself. Raises Refused if it speaks of another one, or of a conversation too."""
    if not asked.srcPid and not asked.toCids:
        return False
    if asked.srcCid or asked.toPids:
        raise Refused(errors.CONVERSATION_API_FAILED, "name `srcCid` and `toPids`, or `srcPid` and `toCids`")
    if asked.srcPid not in ("", session.client):
        raise Refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, "a client refuses conversations for itself only")
    return True


def _place(text: str) -> int:
    """Where a page begins, from the `next` of the page before, or as Java counts it."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= _PLACE_DIGITS):
        raise Refused(errors.CONVERSATION_API_FAILED, "next is not the place of a page")
    return int(text)


def _limit(asked: int) -> int:
    """SDKs mean the default by 0."""
    if asked < 0:
        raise Refused(errors.CONVERSATION_API_FAILED, "limit is negative")
    return min(asked or LIMIT_DEFAULT, LIMIT_MAX)


def _next(page: Page) -> str | None:
    """Absent at the end: Swift tests for that."""
    return None if page.next is None else str(page.next)


def _reply(connection: Connection, command: GenericCommand, op: int, message: BlacklistCommand) -> None:
    answer = GenericCommand(cmd=CommandType.blacklist, op=op, blacklistMessage=message)  # type: ignore[arg-type]
    connection.reply(command, answer)


Work = Callable[[Connection, Session, GenericCommand], Coroutine[Any, Any, None]]

#: What each operation does for a conversation, and for a client.
_OPERATIONS: dict[int, tuple[Work, Work]] = {
    OpType.block: (change, change_own),
    OpType.unblock: (change, change_own),
    OpType.query: (query, query_own),
    OpType.check_block: (check, check_own),
}
