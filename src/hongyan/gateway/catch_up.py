"""What a client missed, told after its login, once and exactly (reference 3.19, 4.2).

Deliveries wait meanwhile. What was told here is not delivered again on top: clients add one to their counts for each
message they receive.
"""

import logging
from collections.abc import Callable

from hongyan.engine.values import Missed
from hongyan.errors import Refused
from hongyan.gateway.pushes import offline_commands, unread_command
from hongyan.gateway.registry import Held, Session
from hongyan.wire.messages2_pb2 import SessionCommand

log = logging.getLogger(__name__)

CONVERSATIONS_MAX = 50
#: The last messages of a conversation in which those that were missed are looked for.
TRACKED = 100

#: Whether a delivery that was held, of (conversation id, seq), has been told already.
Told = Callable[[str, int], bool]


def begin(session: Session, wish: SessionCommand) -> None:
    """Fetch and push what was missed: counts, or for clients of the older mode the messages."""
    session.held = held = list(session.held or ())  # a second open goes on where the first one was
    session.connection.spawn(_catch_up(session, held, wish.lastUnreadNotifTime or None))


async def _catch_up(session: Session, held: list[Held], since: int | None) -> None:
    told: Told = _nothing
    try:
        if session.connection.subprotocol.unread:
            told = await _tell_unread(session, held, since)
        else:
            told = await _tell_messages(session, held)
    except Refused as refusal:
        log.warning("what a session missed could not be read: %s", refusal)
    except Exception:
        log.exception("what a session missed could not be read")
    finally:
        if session.held is held:
            _release(session, held, told)


def _nothing(conversation_id: str, seq: int) -> bool:
    return False


async def _tell_unread(session: Session, held: list[Held], since: int | None) -> Told:
    """Who asks for all is answered even if there is nothing: only so it can ask for changes the next time.

    An SDK that goes on counting from what it had would never hear that another device has read it.
    """
    async with session.connection.reads:
        unread, at = await session.connection.gateway.engine.unread.since(session.app, session.client, since)
    if (unread or since is None) and _is_current(session, held):
        session.connection.tell(unread_command(unread, at), session.client)
    covered = {item.conversation_id: item.last_seq for item in unread}
    return lambda conversation_id, seq: 0 < seq <= covered.get(conversation_id, 0)


async def _tell_messages(session: Session, held: list[Held]) -> Told:
    """A conversation at a time, as fast as the peer takes them; the most recently active comes last."""
    told: set[tuple[str, int]] = set()
    async with session.connection.reads:
        missed = await session.connection.gateway.engine.receipts.missed(
            session.app, session.client, CONVERSATIONS_MAX, TRACKED
        )
        for conversation in reversed(missed):
            if not _is_current(session, held):
                break
            _tell_conversation(session, conversation)
            told |= {(conversation.conversation_id, message.seq) for message in conversation.messages}
            await session.connection.taken()
    return lambda conversation_id, seq: (conversation_id, seq) in told


def _tell_conversation(session: Session, missed: Missed) -> None:
    for command in offline_commands(missed):
        session.connection.tell(command, session.client)


def _release(session: Session, held: list[Held], told: Told) -> None:
    session.held = None
    for conversation_id, seq, frame in held if _is_open(session) else ():
        if not told(conversation_id, seq):
            session.connection.push(frame)


def _is_current(session: Session, held: list[Held]) -> bool:
    """Whether the client has neither logged out nor in again meanwhile."""
    return _is_open(session) and session.held is held


def _is_open(session: Session) -> bool:
    return session.connection.sessions.get(session.client) is session
