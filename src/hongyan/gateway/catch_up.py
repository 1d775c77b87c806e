"""What a client missed, told after its login, once and exactly (reference 3.4, 3.19, 3.21, 4.2).

Deliveries wait meanwhile. What was told here is not delivered again on top: clients add one to their counts for each
message they receive.
"""

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from hongyan.engine.values import TEMPORARY_PREFIX, Broadcast, ConversationKind
from hongyan.errors import Refused
from hongyan.gateway.pushes import direct_command, offline_commands, patch_command, unread_command
from hongyan.gateway.registry import PATCHES, TEMPORARY, Held, Session
from hongyan.wire.messages2_pb2 import SessionCommand

log = logging.getLogger(__name__)

#: Edits pushed before the peer must have taken them; the longest messages of so many fit into an outbox.
EDITS_AT_ONCE = 10


@dataclass(slots=True)
class _Told:
    """What a session has been told: edits up to a time, counts that cover conversations up to a seq, and messages.

    `broadcast` is the key of the last message to all clients; `broadcasts`: whether those it missed were all told.
    """

    edits: int = 0
    seqs: dict[str, int] = field(default_factory=dict)
    messages: set[tuple[str, int]] = field(default_factory=set)
    broadcast: int = 0
    broadcasts: bool = False

    def covers(self, held: Held) -> bool:
        conversation_id, seq, _, patched_at = held
        counted = 0 < seq <= self.seqs.get(conversation_id, 0)
        return counted or 0 < patched_at <= self.edits or (conversation_id, seq) in self.messages


def begin(session: Session, wish: SessionCommand) -> None:
    """Fetch and push edits, for clients that want them; then counts, or for clients of the older mode the messages."""
    session.held = held = list(session.held or ())  # a second open goes on where the first one was
    session.connection.gateway.engine.broadcasts.begin(session.app, session.client)
    edited_since = _edited_since(session, wish)
    session.connection.spawn(_tell(session, held, edited_since, wish.lastUnreadNotifTime or None))


def edits_told_until(session: Session, wish: SessionCommand) -> int:
    """`serverTs` of `opened`, which JS takes for its `lastPatchTime`: edits up to it must not get lost any more.

    Hence not the time of day, which an edit on its way to the disk may be earlier than. Who comes back to edits it has
    missed keeps the time it came with, or it would lose them if the line is cut before they have arrived: as they
    arrive, JS moves on by itself.
    """
    told = session.connection.gateway.engine.edits.told_until()
    edited_since = _edited_since(session, wish)
    return told if edited_since is None or not wish.r else min(told, edited_since)


def _edited_since(session: Session, wish: SessionCommand) -> int | None:
    """The time after which edits are to be told; None: there are none, or the client doesn't want them."""
    since = wish.lastPatchTime
    wanted = since > 0 and session.can(PATCHES) and session.connection.gateway.engine.edits.missed(since)
    return since if wanted else None


async def _tell(session: Session, held: list[Held], edited_since: int | None, unread_since: int | None) -> None:
    told = _Told()
    try:
        await _attempt("subscriptions", session.connection.gateway.subscriptions.begin(session))
        if edited_since is not None:
            await _attempt("edits", _tell_edits(session, held, edited_since, told))
        if session.connection.subprotocol.unread:
            await _attempt("unread counts", _tell_unread(session, held, unread_since, told))
        else:
            await _attempt("missed messages", _tell_messages(session, held, told))
        await _attempt("broadcasts", _tell_broadcasts(session, held, told))
    finally:
        # one that was held back stands for those before it only where they were told
        heard = told.broadcasts and _is_waiting(session, held)
        if session.held is held:
            _release(session, told)
        key = session.broadcast if heard else told.broadcast
        broadcasts = session.connection.gateway.engine.broadcasts
        await _attempt("broadcasts", broadcasts.end(session.app, session.client, key))


async def _attempt(what: str, work: Awaitable[None]) -> None:
    """What can't be read keeps nothing else from being told."""
    try:
        await work
    except Refused as refusal:
        log.warning("the %s of a session could not be read: %s", what, refusal)
    except Exception:
        log.exception("the %s of a session could not be read", what)


async def _tell_edits(session: Session, held: list[Held], since: int, told: _Told) -> None:
    """Page by page, as fast as the peer takes them."""
    connection = session.connection
    pages = connection.gateway.engine.edits.since(session.app, session.client, since)
    while True:
        async with connection.reads:
            page = await anext(pages, None)
        if page is None:
            return
        for start in range(0, len(page), EDITS_AT_ONCE):
            if not _is_waiting(session, held):
                return
            for conversation_id, message in page[start : start + EDITS_AT_ONCE]:
                if conversation_id.startswith(TEMPORARY_PREFIX) and not session.can(TEMPORARY):
                    continue
                connection.tell(patch_command(conversation_id, message), session.client)
                told.edits = message.patched_at or 0
            if not await connection.drained():
                return


async def _tell_unread(session: Session, held: list[Held], since: int | None, told: _Told) -> None:
    """Who asks for all is answered even if there is nothing: only so it can ask for changes the next time.

    An SDK that goes on counting from what it had would never hear that another device has read it.
    """
    async with session.connection.reads:
        unread, at = await session.connection.gateway.engine.unread.since(
            session.app, session.client, since, temporary=session.can(TEMPORARY)
        )
    told.seqs = {place: seq for item in unread for place, seq in item.places.items()}
    if (unread or since is None) and _is_waiting(session, held):
        session.connection.tell(unread_command(unread, at, session.app.settings.unread_max), session.client)


async def _tell_messages(session: Session, held: list[Held], told: _Told) -> None:
    """A conversation at a time, as fast as the peer takes them; the most recently active comes last.

    Until they are taken the next client of the connection waits: what each missed takes megabytes.
    """
    connection = session.connection
    async with connection.reads:
        missed = await connection.gateway.engine.receipts.missed(
            session.app, session.client, temporary=session.can(TEMPORARY)
        )
        for conversation in reversed(missed):
            if not _is_waiting(session, held):
                return
            for command in offline_commands(conversation):
                connection.tell(command, session.client)
            told.messages |= conversation.places
            if not await connection.drained():
                return


async def _tell_broadcasts(session: Session, held: list[Held], told: _Told) -> None:
    """Messages to all clients that this one has not been told; those that wait to be delivered are left to that."""
    connection, broadcasts = session.connection, session.connection.gateway.engine.broadcasts
    pending: Sequence[Broadcast] = ()
    if broadcasts.valid(session.app.key):
        async with connection.reads:
            pending = await broadcasts.pending(session.app, session.client)
    waiting = {place for place, *_ in held}
    for count, broadcast in enumerate(pending, 1):
        if not _is_waiting(session, held):
            return
        if broadcast.message.id not in waiting:
            kind = int(ConversationKind.SERVICE)
            command = direct_command(broadcast.conversation_id, kind, broadcast.message)
            if not connection.subprotocol.unread:
                command.directMessage.offline = True
            connection.tell(command, session.client)
            told.broadcast = broadcast.key
        session.broadcast = max(session.broadcast, broadcast.key)
        if count % EDITS_AT_ONCE == 0 and not await connection.drained():
            return
    told.broadcasts = True


def _release(session: Session, told: _Told) -> None:
    delivery = session.connection.gateway.delivery
    delivery.gathering.tell()  # what has been counted must not come on top
    if session.audiences:
        delivery.fanout.hurry(session)
    held = session.release()
    for each in held if session.is_open else ():
        if not told.covers(each):
            session.connection.push(each[2])


def _is_waiting(session: Session, held: list[Held]) -> bool:
    """Whether the client has neither logged out nor opened again meanwhile."""
    return session.held is held and session.is_open
