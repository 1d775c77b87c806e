"""Who is logged out: by a login elsewhere, as of some kinds of devices there is one, or by the application.

Reference 3.5, 3.6.
"""

import logging
from typing import TYPE_CHECKING

from hongyan import errors
from hongyan.engine.events import ClientKicked
from hongyan.engine.sessions import Ticket, conflict
from hongyan.engine.values import App, Departure
from hongyan.errors import Refused
from hongyan.gateway.connection import Connection
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType, SessionCommand

if TYPE_CHECKING:
    from hongyan.gateway.server import Gateway

log = logging.getLogger(__name__)


def rivals(connection: Connection, app: App, ticket: Ticket) -> list[Session]:
    """The sessions that may not stay open beside a login with this ticket; one on its own connection is renewed."""
    return [
        session
        for session in connection.gateway.registry.of_client(app.key, ticket.client)
        if session.connection is not connection and conflict(session.ticket, ticket)
    ]


def expel(
    gateway: "Gateway", sessions: list[Session], told: GenericCommand, why: Departure = Departure.EXPELLED
) -> None:
    """End sessions of one client: they are told why, and their tokens are void at once.

    Their connections stay open.
    """
    if not sessions:
        return
    tokens = gateway.engine.sessions
    voided = [tokens.revoke(session.ticket) for session in sessions]
    for session in sessions:
        session.connection.end_session(session, why)
        session.connection.tell(told, session.client)

    async def keep() -> None:
        for each in voided:
            try:
                await each
            except Refused as refusal:
                log.error("a void token could not be written down, it is valid again after a restart: %s", refusal)

    gateway.spawn(keep())


def kicked(gateway: "Gateway", event: ClientKicked) -> None:
    """The application's own words are the reason, if it has given any."""
    told = closed(Refused(errors.KICKED_BY_APP, "logged out by the application"), event.reason)
    expel(gateway, list(gateway.registry.of_client(event.app_key, event.client)), told)


def closed(refusal: Refused, reason: str = "") -> GenericCommand:
    """`session/closed` with a reason: a session was not the client's to keep."""
    message = SessionCommand(code=refusal.kind.code, reason=reason or refusal.kind.name, detail=refusal.detail)
    return GenericCommand(cmd=CommandType.session, op=OpType.closed, sessionMessage=message)


def check_rivals(found: list[Session], wish: SessionCommand) -> None:
    """Raises Refused for a reopen while another device of the kind is logged in: that one stays."""
    if found and wish.r:
        raise Refused(errors.SESSION_CONFLICT, "another device of this kind is logged in")
