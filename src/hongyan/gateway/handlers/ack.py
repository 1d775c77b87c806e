"""`ack`: a client's word that messages arrived (reference 3.17). No reply."""

from hongyan.engine.receipts import arrived
from hongyan.gateway.connection import Connection
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import GenericCommand


def handle(connection: Connection, session: Session, command: GenericCommand) -> None:
    """What can't be understood is ignored: nobody waits for an answer."""
    said = command.ackMessage
    what = arrived(
        said.mid, said.fromts if said.HasField("fromts") else None, said.tots if said.HasField("tots") else None
    )
    if what is None or not said.cid:
        return
    connection.begin_request()
    connection.gateway.engine.receipts.received(session.app, session.client, said.cid, what, connection.end_request)
