"""`session`: open, close, query, refresh (reference 3.4, 3.5)."""

import dataclasses
import logging
import uuid
from collections.abc import Awaitable, Callable

from hongyan import errors
from hongyan.engine.limits import Operation
from hongyan.engine.sessions import BITMAP_DEFAULT, Ticket, check_client_id
from hongyan.engine.signatures import Use
from hongyan.engine.values import App, Departure
from hongyan.errors import Refused
from hongyan.gateway import catch_up, conflicts, order
from hongyan.gateway.connection import Connection
from hongyan.gateway.limits import check_limit, check_logins, check_origin, count_login
from hongyan.gateway.registry import BIND_INSTALLATION, Session
from hongyan.gateway.signed import signature
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType, SessionCommand

log = logging.getLogger(__name__)

#: Ids looked at in one `query`; the rest is ignored (reference 4.4).
QUERY_MAX = 20
#: Characters of a tag or device identity: they travel in the session token.
DEVICE_MAX = 256
#: Errors of a login that Java understands without a serial: SIGNATURE_FAILED, SESSION_TOKEN_EXPIRED.
_TOLD_WITHOUT_SERIAL = frozenset({4102, 4112})


def handle(connection: Connection, command: GenericCommand) -> None:
    if command.HasField("op") and command.op == OpType.open:  # the default of an absent `op`
        open_session(connection, command)
        return
    operation = _OPERATIONS.get(command.op)
    if operation is None:
        raise Refused(errors.UNPARSEABLE_RAW_MESSAGE, "unknown session operation")
    session = connection.session(command.peerId)
    if session is None:
        raise Refused(errors.SESSION_REQUIRED, "open a session first")
    command.peerId = session.client
    operation(connection, session, command)


def open_session(connection: Connection, command: GenericCommand) -> None:
    """Log a client in, anew or with the token of an earlier login."""
    try:
        app = _app(connection, command)
        client = command.peerId or uuid.uuid4().hex
        check_client_id(client)
        ticket = _ticket(connection, app, client, command.sessionMessage)
        use = _check_signature(connection, app, client, command.sessionMessage)
        rivals = _rivals(connection, app, ticket, command.sessionMessage)
    except Refused as refusal:
        _reply_refused_open(connection, command, refusal)
        return
    check_limit(connection, app, client, Operation.OTHER)
    check_logins(connection, app)
    if use is None:
        _log_in(connection, command, app, ticket, rivals)
    else:
        connection.run(command, _log_in_once(connection, command, app, ticket, use))


async def _log_in_once(connection: Connection, command: GenericCommand, app: App, ticket: Ticket, use: Use) -> None:
    """Log in by a signature that is not good for another login. Meanwhile the connection may end, rivals come."""
    try:
        await connection.gateway.engine.signatures.use(use)
        _check_signature(connection, app, ticket.client, command.sessionMessage)  # or it was expelled meanwhile
        rivals = _rivals(connection, app, ticket, command.sessionMessage)
    except Refused as refusal:
        _reply_refused_open(connection, command, refusal)
        return
    if not connection.is_closing:
        _log_in(connection, command, app, ticket, rivals)


def _log_in(connection: Connection, command: GenericCommand, app: App, ticket: Ticket, rivals: list[Session]) -> None:
    command.peerId = ticket.client
    connection.gateway.delivery.tell_gathered()  # to who is logged out by this, and not to who comes after it
    session = connection.begin_session(app, ticket.client, ticket, returned=command.sessionMessage.r)
    conflict = Refused(errors.SESSION_CONFLICT, "logged in on another device of this kind")
    conflicts.expel(connection.gateway, rivals, conflicts.closed(conflict), Departure.REPLACED)
    connection.gateway.engine.chatrooms.came_back(session)
    opened = _opened(session, OpType.opened)
    opened.serverTs = catch_up.edits_told_until(session, command.sessionMessage)
    connection.reply_to_open(command, opened)
    catch_up.begin(session, command.sessionMessage)
    if session.can(BIND_INSTALLATION) and ticket.device:
        binding = bind(session, ticket.device, connection.gateway.engine.installations.bind)
        connection.spawn_change(order.device(ticket.client), binding)


async def bind(session: Session, device: str, change: Callable[[App, str, str], Awaitable[None]]) -> None:
    """Have the device hear of its client by pushes, or no more. That it fails keeps nobody from logging in or out."""
    try:
        await change(session.app, session.client, device)
    except Refused as refusal:
        log.warning("a device could not be bound to its client: %s", refusal)


def _app(connection: Connection, command: GenericCommand) -> App:
    """The app named, or that of the sessions already open here; a connection serves one app."""
    earlier = connection.session("")
    app_id = command.appId or (earlier.app.id if earlier else "")
    app = connection.gateway.engine.apps.get(app_id)
    if app is None:
        raise Refused(errors.APP_NOT_AVAILABLE, "unknown app")
    check_origin(connection, app)
    if earlier is not None and earlier.app.id != app_id:
        raise Refused(errors.APP_NOT_AVAILABLE, "this connection serves another app")
    return app


def _ticket(connection: Connection, app: App, client: str, wish: SessionCommand) -> Ticket:
    """On a reopen the token brings tag, device and capabilities, unless the client says them again."""
    sessions = connection.gateway.engine.sessions
    if max(len(wish.tag), len(wish.deviceId), len(wish.deviceToken)) > DEVICE_MAX:
        raise Refused(errors.INVALID_LOGIN, f"tag and device have at most {DEVICE_MAX} characters")
    if not wish.st:
        bitmap = wish.configBitmap if wish.HasField("configBitmap") else (BITMAP_DEFAULT if wish.r else 0)
        return sessions.new_ticket(client, wish.tag, wish.deviceId or wish.deviceToken, bitmap)
    known = sessions.redeem(app, client, wish.st)
    return dataclasses.replace(
        known,
        tag=wish.tag or known.tag,
        device=wish.deviceId or wish.deviceToken or known.device,
        bitmap=wish.configBitmap if wish.HasField("configBitmap") else known.bitmap,
    )


def _check_signature(connection: Connection, app: App, client: str, wish: SessionCommand) -> Use | None:
    """A token that was redeemed replaces the signature (reference 5.3)."""
    return None if wish.st else connection.gateway.engine.signatures.login(app, client, signature(wish))


def _rivals(connection: Connection, app: App, ticket: Ticket, wish: SessionCommand) -> list[Session]:
    """Whom this login logs out. Raises Refused if it must not, or if the connection has no room for it."""
    _check_room(connection, ticket.client)
    rivals = conflicts.rivals(connection, app, ticket)
    conflicts.check_rivals(rivals, wish)
    return rivals


def _check_room(connection: Connection, client: str) -> None:
    limit = connection.gateway.options.max_sessions
    if len(connection.sessions) >= limit and client not in connection.sessions:
        raise Refused(errors.CONVERSATION_API_QUOTA_EXCEEDED, f"a connection carries at most {limit} sessions")


def _reply_refused_open(connection: Connection, command: GenericCommand, refusal: Refused) -> None:
    """An `error` with the serial; Java reopens without one and then needs the client id instead (reference 3.2)."""
    if command.HasField("i"):
        connection.reply_error(command, refusal)
    elif refusal.kind is errors.SESSION_CONFLICT:
        connection.tell(conflicts.closed(refusal), command.peerId)
    elif refusal.kind.code in _TOLD_WITHOUT_SERIAL:
        connection.tell_error(refusal, command.peerId)
    if refusal.kind in (errors.APP_NOT_AVAILABLE, errors.INVALID_ORIGIN):
        connection.refuse(refusal.kind, refusal.detail)


def _opened(session: Session, op: int) -> GenericCommand:
    """A reply with a new token of the session's ticket."""
    token, session.ticket = session.connection.gateway.engine.sessions.issue(session.app, session.ticket)
    message = SessionCommand(st=token, stTtl=session.app.settings.session_ttl)
    return GenericCommand(cmd=CommandType.session, op=op, sessionMessage=message)  # type: ignore[arg-type]


def close_session(connection: Connection, session: Session, command: GenericCommand) -> None:
    """Log out: the client is offline at once, and its token is void before the answer."""
    connection.gateway.delivery.tell_gathered()  # it was said while the client was here
    connection.end_session(session, Departure.LOGGED_OUT)
    voided = connection.gateway.engine.sessions.revoke(session.ticket)
    count_login(connection, session.app)
    answer = GenericCommand(cmd=CommandType.session, op=OpType.closed, sessionMessage=SessionCommand())

    async def work() -> None:
        await voided
        if session.can(BIND_INSTALLATION):
            for device in {session.ticket.device, session.reported} - {""}:
                await bind(session, device, connection.gateway.engine.installations.unbind)
        connection.reply(command, answer)

    connection.run(command, work())


def query(connection: Connection, session: Session, command: GenericCommand) -> None:
    check_limit(connection, session.app, session.client, Operation.OTHER)
    asked = list(command.sessionMessage.sessionPeerIds)[:QUERY_MAX]
    online = connection.gateway.engine.presence.online(session.app, asked)
    message = SessionCommand(onlineSessionPeerIds=online)
    connection.reply(command, GenericCommand(cmd=CommandType.session, op=OpType.query_result, sessionMessage=message))


def refresh(connection: Connection, session: Session, command: GenericCommand) -> None:
    """A new token for what is open here. An expired one will do (reference 1.9, inferred).

    So will none, unless logins must be signed: then a signature must take its place.
    """
    check_limit(connection, session.app, session.client, Operation.OTHER)
    engine, wish = connection.gateway.engine, command.sessionMessage
    if wish.st:
        engine.sessions.redeem(session.app, session.client, wish.st, expired_too=True)
    given = signature(wish)
    use = None if wish.st and not given.is_given else engine.signatures.login(session.app, session.client, given)
    if use is None or wish.st:
        connection.reply(command, _opened(session, OpType.refreshed))
    else:
        connection.run(command, _refresh_once(connection, session, command, use))


async def _refresh_once(connection: Connection, session: Session, command: GenericCommand, use: Use) -> None:
    await connection.gateway.engine.signatures.use(use)
    if not session.is_open:
        raise Refused(errors.SESSION_REQUIRED, "the session was closed meanwhile")
    connection.reply(command, _opened(session, OpType.refreshed))


_OPERATIONS: dict[int, Callable[[Connection, Session, GenericCommand], None]] = {
    OpType.close: close_session,
    OpType.query: query,
    OpType.refresh: refresh,
}
