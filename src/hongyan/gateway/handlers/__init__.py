"""Wire command to handler: a file per command."""

from collections.abc import Callable

from hongyan.gateway.connection import Connection
from hongyan.gateway.handlers import ack, blacklist, conv, direct, echo, live_query, logs, patch, read, report, session
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand

#: Commands that need no open session.
WITHOUT_SESSION: dict[int, Callable[[Connection, GenericCommand], None]] = {
    CommandType.echo: echo.handle,
    CommandType.session: session.handle,
    CommandType.login: live_query.login,
    CommandType.logout: live_query.logout,
}

WITH_SESSION: dict[int, Callable[[Connection, Session, GenericCommand], None]] = {
    CommandType.direct: direct.handle,
    CommandType.ack: ack.handle,
    CommandType.conv: conv.handle,
    CommandType.logs: logs.handle,
    CommandType.read: read.handle,
    CommandType.patch: patch.handle,
    CommandType.blacklist: blacklist.handle,
    CommandType.report: report.handle,
}
