"""What a connection's commands must not overtake, sent without waiting for answers.

Some changes are done by a task, as they wait for the disk. Until one is answered, later commands of the same client
that concern the same conversation wait, and so does a login after a logout; with the latter, all that the connection
sends after it. A logout also waits until its device is bound, which it undoes. Everything waits for a login.
What concerns other conversations goes on: a change whose hook takes long holds up nothing else. All else starts in the
order it came anyway.
"""

from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType

#: A client and a conversation; without a conversation: the client's logout, or what its device is bound to.
Change = tuple[str, str]
#: Changes under way, each with how many.
Changes = dict[Change, int]
#: The change of a login that waits for the disk: what comes after it may be of the client it logs in.
LOGIN: Change = ("", "")

_READS = frozenset(
    {
        OpType.query,
        OpType.count,
        OpType.members,
        OpType.max_read,
        OpType.is_member,
        OpType.query_shutup,
        OpType.check_shutup,
        OpType.check_block,
    }
)


def begin(changes: Changes, change: Change) -> None:
    changes[change] = changes.get(change, 0) + 1


def done(changes: Changes, change: Change) -> None:
    changes[change] -= 1
    if not changes[change]:
        del changes[change]


def device(client: str) -> Change:
    """The change of who is pushed to by the device that a client is logged in on."""
    return client, ""


def change(command: GenericCommand) -> Change | None:
    """What a command changes that others must not overtake; its `peerId` has been filled in."""
    if command.cmd == CommandType.session:
        if command.op == OpType.open:
            return LOGIN
        return (command.peerId, "") if command.op == OpType.close else None
    if command.cmd == CommandType.report:
        return device(command.peerId)
    if command.cmd in (CommandType.conv, CommandType.blacklist) and command.op not in _READS:
        conversations = _conversations(command)
        return (command.peerId, conversations[0]) if conversations else None
    return None


def must_wait(changes: Changes, command: GenericCommand, session: Session | None) -> bool:
    """Whether a command would overtake a change; `session` is the one it means."""
    if LOGIN in changes:
        return True
    if command.cmd == CommandType.session and command.op == OpType.open:
        return (command.peerId, "") in changes
    if session is None:
        return False
    if command.cmd == CommandType.session:  # a logout waits for what its client has said before
        return command.op == OpType.close and any(client == session.client for client, _ in changes)
    if command.cmd == CommandType.report:
        return device(session.client) in changes
    return any((session.client, conversation) in changes for conversation in _conversations(command))


def holds_up_all(command: GenericCommand) -> bool:
    """Whether all that comes after a command that waits must wait as well: it logs somebody in or out."""
    return command.cmd == CommandType.session


def concerned(command: GenericCommand, session: Session | None) -> Changes:
    """What a command is about, for those that must not overtake it."""
    if session is None:
        return {}
    return dict.fromkeys(((session.client, conversation) for conversation in _conversations(command)), 1)


def _conversations(command: GenericCommand) -> list[str]:
    """The conversations a command is about."""
    return [conversation for conversation in _named(command) if conversation]


def _named(command: GenericCommand) -> list[str]:
    match command.cmd:
        case CommandType.direct:
            return [command.directMessage.cid]
        case CommandType.conv:
            return [command.convMessage.cid, *command.convMessage.cids]
        case CommandType.logs:
            return [command.logsMessage.cid]
        case CommandType.blacklist:
            asked = command.blacklistMessage
            return [asked.srcCid, *asked.toCids]
        case CommandType.patch:
            return [patch.cid for patch in command.patchMessage.patches]
        case CommandType.read:
            read = command.readMessage
            return [*(item.cid for item in read.convs), *read.cids, read.cid]
    return []
