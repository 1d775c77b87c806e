"""What a client missed, told after its login, once and exactly (reference 3.19, 4.2)."""

import logging

from hongyan.errors import Refused
from hongyan.gateway.pushes import unread_command
from hongyan.gateway.registry import Held, Session
from hongyan.wire.messages2_pb2 import SessionCommand

log = logging.getLogger(__name__)


def begin(session: Session, wish: SessionCommand) -> None:
    """Fetch and push what is unread, for clients that want counts.

    Deliveries wait meanwhile. A message that the counts already cover is not delivered again on top, or the client
    would count it twice: clients add one for each message they receive.
    """
    if not session.connection.subprotocol.unread:
        return
    session.held = held = list(session.held or ())  # a second open goes on where the first one was
    session.connection.spawn(_push(session, held, wish.lastUnreadNotifTime or None))


async def _push(session: Session, held: list[Held], since: int | None) -> None:
    covered: dict[str, int] = {}
    try:
        async with session.connection.reads:
            unread, at = await session.connection.gateway.engine.unread.since(session.app, session.client, since)
        covered = {item.conversation_id: item.last_seq for item in unread}
        if unread and session.is_open and session.held is held:
            session.connection.tell(unread_command(unread, at, session.app.settings.unread_max), session.client)
    except Refused as refusal:
        log.warning("the unread counts of a session could not be read: %s", refusal)
    except Exception:
        log.exception("the unread counts of a session could not be read")
    finally:
        if session.held is held:
            _release(session, held, covered)


def _release(session: Session, held: list[Held], covered: dict[str, int]) -> None:
    session.held = None
    for conversation_id, seq, frame in held if session.is_open else ():
        if not 0 < seq <= covered.get(conversation_id, 0):
            session.connection.push(frame)
