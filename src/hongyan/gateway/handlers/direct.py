"""`direct`: a message in (reference 3.16)."""

from hongyan import errors
from hongyan.engine.limits import Operation, rate
from hongyan.engine.values import Draft, Priority, Stored
from hongyan.errors import Refused
from hongyan.gateway.connection import IM_SERVICE, Connection
from hongyan.gateway.registry import ACK_TRANSIENT, Session
from hongyan.wire.messages2_pb2 import AckCommand, CommandType, DirectCommand, GenericCommand

_PRIORITIES = frozenset(map(int, Priority))
_ACK = CommandType.ack  # looking a name up in a protobuf enum takes a microsecond


def handle(connection: Connection, session: Session, command: GenericCommand) -> None:
    engine, message = connection.gateway.engine, command.directMessage
    if not engine.limits.allow(session.app, session.client, Operation.SEND):
        most = rate(session.app, Operation.SEND)
        refusal = Refused(errors.MESSAGE_SENT_QUOTA_EXCEEDED, f"at most {most} messages per minute")
        connection.reply(command, _failed(connection, refusal))
        return
    conversation_id = message.cid
    if not conversation_id:
        raise Refused(errors.UNPARSEABLE_RAW_MESSAGE, "direct without a conversation")
    draft, is_will = _draft(connection, command, message), message.will
    wants_ack = command.HasField("i") and (not draft.transient or is_will or session.can(ACK_TRANSIENT))
    gathering = connection.gateway.delivery.gathering
    connection.begin_request()

    def acknowledge(outcome: Stored | Refused) -> None:
        connection.end_request()
        if isinstance(outcome, Refused):
            connection.reply(command, _failed(connection, outcome))
        elif wants_ack:  # `reply`, written out: set one by one, the fields take twice as long
            ack = AckCommand(uid=outcome.id, t=outcome.timestamp, cid=conversation_id)
            now = engine.clock.now()
            gathering.tell_speaker(session, conversation_id)
            connection.send(
                GenericCommand(
                    cmd=_ACK, i=command.i, peerId=session.client, service=IM_SERVICE, serverTs=now, ackMessage=ack
                )
            )

    if is_will:
        engine.wills.set(
            session.app, session.client, conversation_id, draft, acknowledge, session, lambda: session.is_open
        )
        return
    engine.messages.send(session.app, session.client, conversation_id, draft, acknowledge, session)


def _failed(connection: Connection, refusal: Refused) -> GenericCommand:
    """The `ack` that says a message was not sent; Swift and Objective-C read `uid` and `t` even then.

    It has no field for texts but that of the app's own.
    """
    now = connection.gateway.engine.clock.now()
    ack = AckCommand(code=refusal.kind.code, reason=refusal.kind.name, uid="", t=now)
    if refusal.kind in errors.OF_APPS and refusal.detail:
        ack.appMsg = refusal.detail
    if refusal.app_code is not None:
        ack.appCode = refusal.app_code
    return GenericCommand(cmd=_ACK, ackMessage=ack)


def _draft(connection: Connection, command: GenericCommand, message: DirectCommand) -> Draft:
    mentions, priority = message.mentionPids, command.priority
    return Draft(
        content=message.binaryMsg if message.HasField("binaryMsg") else message.msg,
        token=message.dt,
        receipt=message.r,
        transient=message.transient,
        mention_all=message.mentionAll,
        mentions=tuple(mentions) if mentions else (),
        push_data=message.pushData,
        priority=priority if priority in _PRIORITIES else Priority.NORMAL,
        source=connection.source,
    )
