"""`report`: the device has another address for pushes (reference 3.5)."""

from hongyan import errors
from hongyan.engine.limits import Operation
from hongyan.errors import Refused
from hongyan.gateway.connection import Connection
from hongyan.gateway.handlers.session import DEVICE_MAX, bind
from hongyan.gateway.limits import check_limit
from hongyan.gateway.registry import BIND_INSTALLATION, Session
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType, ReportCommand

TOKEN = "token"


def handle(connection: Connection, session: Session, command: GenericCommand) -> None:
    """The SDK saves the token to its installation by itself; here it is only bound, as at a login (inferred).

    The logout unbinds it, as it does what was said at the login; an address that was told before it is one no more.
    """
    said = command.reportMessage
    if command.op != OpType.upload or said.type != TOKEN or not 1 <= len(said.data) <= DEVICE_MAX:
        raise Refused(errors.UNPARSEABLE_RAW_MESSAGE, "not a report of a device's token")
    check_limit(connection, session.app, session.client, Operation.OTHER)
    connection.run(command, _report(connection, session, command, said.data))


async def _report(connection: Connection, session: Session, command: GenericCommand, token: str) -> None:
    if session.can(BIND_INSTALLATION):
        installations = connection.gateway.engine.installations
        former, session.reported = session.reported, token
        if former not in ("", token):
            await bind(session, former, installations.unbind)
        await bind(session, token, installations.bind)
    answer = GenericCommand(cmd=CommandType.report, op=OpType.uploaded, reportMessage=ReportCommand())
    connection.reply(command, answer)
