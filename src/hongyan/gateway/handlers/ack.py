"""`ack`: a client's word that messages arrived (reference 3.17). No reply."""

from hongyan.engine.limits import Operation
from hongyan.engine.receipts import arrived
from hongyan.gateway.connection import Connection
from hongyan.gateway.limits import check_limit
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import GenericCommand


def handle(connection: Connection, session: Session, command: GenericCommand) -> None:
    """What can't be understood is ignored: nobody waits for an answer.

    As many come as messages, so they have no rate; only what costs a look into the database has.
    """
    said = command.ackMessage
    what = arrived(
        said.mid, said.fromts if said.HasField("fromts") else None, said.tots if said.HasField("tots") else None
    )
    if what is None or not said.cid:
        return
    engine = connection.gateway.engine
    if not engine.access.knows(session.app, said.cid):
        check_limit(connection, session.app, session.client, Operation.READ)
    connection.begin_request()
    engine.receipts.received(session.app, session.client, said.cid, what, connection.end_request)
