"""The rate of each client, and the logins of each connection, at the door."""

from hongyan import errors
from hongyan.engine import web_domains
from hongyan.engine.limits import Bucket, Operation, rate
from hongyan.engine.values import App
from hongyan.errors import Refused
from hongyan.gateway.connection import Connection

_KINDS = {
    Operation.SEND: errors.MESSAGE_SENT_QUOTA_EXCEEDED,
    Operation.READ: errors.CONVERSATION_API_QUOTA_EXCEEDED,
    Operation.OTHER: errors.CONVERSATION_API_QUOTA_EXCEEDED,
}

#: Logins and logouts of one connection per minute: client ids cost nothing, so their rates alone bound nobody.
LOGINS = 60


def check_limit(connection: Connection, app: App, client: str, operation: Operation) -> None:
    """Raises Refused if the client has used up its minute."""
    if not connection.gateway.engine.limits.allow(app, client, operation):
        raise Refused(_KINDS[operation], f"at most {rate(app, operation)} such commands per minute")


def check_logins(connection: Connection, app: App) -> None:
    """Raises Refused if the connection has used up its logins of this minute."""
    if not count_login(connection, app):
        raise Refused(
            errors.CONVERSATION_API_QUOTA_EXCEEDED, f"at most {LOGINS} logins and logouts of a connection per minute"
        )


def count_login(connection: Connection, app: App) -> bool:
    """Count a login or logout; whether there was one left."""
    if not app.settings.limits:
        return True
    now = connection.gateway.loop.time()
    if connection.logins is None:
        connection.logins = Bucket(LOGINS, now)
    return connection.logins.take(now)


def check_origin(connection: Connection, app: App) -> None:
    """Raises Refused(INVALID_ORIGIN) for a page of a site that may not use the app."""
    if not web_domains.allows(app.settings.web_domains, connection.origin):
        raise Refused(errors.INVALID_ORIGIN, "pages of this site may not use the app")
