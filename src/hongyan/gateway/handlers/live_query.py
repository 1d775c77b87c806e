"""`login` and `logout` of LiveQuery, and the push login of Java (reference 3.23, 10.4)."""

from collections.abc import Callable

from hongyan import errors
from hongyan.engine.live_subscriptions import ID_MAX
from hongyan.engine.values import App
from hongyan.errors import Refused
from hongyan.gateway.connection import Connection, error_command
from hongyan.gateway.limits import check_logins, check_origin, count_login
from hongyan.gateway.live_queries import LIVE_QUERY_SERVICE
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, LoggedinCommand

PUSH_SERVICE = 0
#: Ids of LiveQuery for which one connection listens.
IDS_MAX = 20


def login(connection: Connection, command: GenericCommand) -> None:
    _handle(connection, command, _listen if command.service == LIVE_QUERY_SERVICE else _push_login)


def logout(connection: Connection, command: GenericCommand) -> None:
    _handle(connection, command, _logout)


def _handle(
    connection: Connection, command: GenericCommand, work: Callable[[Connection, GenericCommand], None]
) -> None:
    """Without a serial there is no error: one would end a JS client."""
    try:
        work(connection, command)
    except Refused as refusal:
        if command.HasField("i"):
            _answer(connection, command, error_command(refusal))
        elif refusal.kind in (errors.APP_NOT_AVAILABLE, errors.INVALID_ORIGIN) and not connection.logged_in:
            connection.refuse(refusal.kind, refusal.detail)


def _listen(connection: Connection, command: GenericCommand) -> None:
    app, id = _app(connection, command), command.installationId
    if not 1 <= len(id) <= ID_MAX:
        raise Refused(errors.INVALID_LOGIN, f"installationId has 1 to {ID_MAX} characters")
    ids = connection.live_queries or {}
    if len(ids) >= IDS_MAX and id not in ids:
        raise Refused(errors.CONVERSATION_API_QUOTA_EXCEEDED, f"a connection listens for at most {IDS_MAX} ids")
    check_logins(connection, app)
    connection.gateway.live_queries.login(connection, app, id)
    connection.logged_in = True
    _answer(connection, command, GenericCommand(cmd=CommandType.loggedin))


def _push_login(connection: Connection, command: GenericCommand) -> None:
    """There is no push yet: Java need not keep the connection for it."""
    check_logins(connection, _app(connection, command))
    connection.logged_in = True
    message = LoggedinCommand(pushDisabled=True)
    _answer(connection, command, GenericCommand(cmd=CommandType.loggedin, loggedinMessage=message))


def _logout(connection: Connection, command: GenericCommand) -> None:
    app = (connection.live_queries or {}).get(command.installationId)
    if command.service != LIVE_QUERY_SERVICE or app is None:
        raise Refused(errors.SESSION_REQUIRED, "log in with this installationId first")
    count_login(connection, app)
    connection.gateway.live_queries.logout(connection, command.installationId)
    _answer(connection, command, GenericCommand(cmd=CommandType.loggedout))


def _app(connection: Connection, command: GenericCommand) -> App:
    """The app named, or that of the sessions open here."""
    session = connection.session("")
    app_id = command.appId or (session.app.id if session else "")
    app = connection.gateway.engine.apps.get(app_id)
    if app is None:
        raise Refused(errors.APP_NOT_AVAILABLE, "unknown app")
    check_origin(connection, app)
    if session is not None and session.app is not app:
        raise Refused(errors.APP_NOT_AVAILABLE, "this connection serves another app")
    return app


def _answer(connection: Connection, command: GenericCommand, answer: GenericCommand) -> None:
    """Of the request's service, to its id; Java's push login has no serial and is answered all the same."""
    if command.HasField("i"):
        answer.i = command.i
    answer.service = LIVE_QUERY_SERVICE if command.service == LIVE_QUERY_SERVICE else PUSH_SERVICE
    if command.installationId:
        answer.installationId = command.installationId
    connection.send(answer)
