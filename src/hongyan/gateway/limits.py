"""The rate of each client, at the door."""

from hongyan import errors
from hongyan.engine.limits import Operation
from hongyan.engine.values import App
from hongyan.errors import Refused
from hongyan.gateway.connection import Connection

_KINDS = {
    Operation.SEND: errors.MESSAGE_SENT_QUOTA_EXCEEDED,
    Operation.READ: errors.CONVERSATION_API_QUOTA_EXCEEDED,
    Operation.OTHER: errors.CONVERSATION_API_QUOTA_EXCEEDED,
}


def check_limit(connection: Connection, app: App, client: str, operation: Operation) -> None:
    """Raises Refused if the client has used up its minute."""
    if not connection.gateway.engine.limits.allow(app, client, operation):
        raise Refused(_KINDS[operation], f"at most {operation.value} such commands per minute")
