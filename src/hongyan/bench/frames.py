"""The commands of the load generator. What differs between two messages is patched into serialised bytes."""

import json

from hongyan.wire import messages2_pb2 as pb

FIRST_SERIAL = 1 << 21
"""Serials from here to 2**28 all take four bytes, so that they can be patched in place."""

SUBPROTOCOL = "lc.protobuf2.3"
IM_SERVICE = 2
CAPABILITIES = 0xBB
BODY_HEAD = '{"_lctype":-1,"_lctext":"'
TIME_DIGITS = 19
Place = tuple[int, str]
"""Where a message stands in its conversation: its time and id."""
BEGINNING: Place = (0, "")
SMALLEST_BODY = len(BODY_HEAD) + TIME_DIGITS + 2


def open_session(app_id: str, peer: str, serial: int, token: str = "", unread_since: int = 0) -> bytes:
    """`session/open` of `peer`; with the `token` of an earlier session as SDKs open it again after a lost connection.

    They then say up to when they know what is unread.
    """
    command = pb.GenericCommand(cmd=pb.session, op=pb.open, appId=app_id, peerId=peer, i=serial)
    command.sessionMessage.ua = "hongyan-bench/1"
    command.sessionMessage.configBitmap = CAPABILITIES
    if token:
        command.sessionMessage.r = True
        command.sessionMessage.st = token
        command.sessionMessage.lastUnreadNotifTime = unread_since
    return command.SerializeToString()


def start_conversation(peer: str, members: list[str], serial: int) -> bytes:
    """`conv/start` of a normal conversation between `members`."""
    command = pb.GenericCommand(cmd=pb.conv, op=pb.start, peerId=peer, i=serial)
    command.convMessage.m.extend(members)
    command.convMessage.attr.data = json.dumps({"name": "bench"})
    return command.SerializeToString()


def start_room(peer: str, serial: int) -> bytes:
    """`conv/start` of a chat room."""
    command = pb.GenericCommand(cmd=pb.conv, op=pb.start, peerId=peer, i=serial)
    command.convMessage.transient = True
    return command.SerializeToString()


def add(peer: str, cid: str, member: str, serial: int) -> bytes:
    """`conv/add` of a member, by `peer`, who may be the same."""
    return _change_members(pb.add, peer, cid, member, serial)


def remove(peer: str, cid: str, member: str, serial: int) -> bytes:
    """`conv/remove`, as `add`."""
    return _change_members(pb.remove, peer, cid, member, serial)


def _change_members(operation: pb.OpType, peer: str, cid: str, member: str, serial: int) -> bytes:
    command = pb.GenericCommand(cmd=pb.conv, op=operation, peerId=peer, i=serial)
    command.convMessage.cid = cid
    command.convMessage.m.append(member)
    return command.SerializeToString()


def newest(peer: str, cid: str, limit: int, serial: int) -> bytes:
    """`logs`: the newest messages of a conversation."""
    command = pb.GenericCommand(cmd=pb.logs, peerId=peer, i=serial)
    command.logsMessage.cid = cid
    command.logsMessage.limit = limit
    return command.SerializeToString()


def after(peer: str, cid: str, place: Place, limit: int, serial: int) -> bytes:
    """`logs`: the messages that follow a place in a conversation."""
    command = pb.GenericCommand(cmd=pb.logs, peerId=peer, i=serial)
    command.logsMessage.cid = cid
    command.logsMessage.t, command.logsMessage.mid = place
    command.logsMessage.direction = pb.LogsCommand.NEW
    command.logsMessage.limit = limit
    return command.SerializeToString()


def echo(serial: int) -> bytes:
    """The keep-alive command, which the server answers with its like."""
    return pb.GenericCommand(cmd=pb.echo, i=serial).SerializeToString()


def receipt(peer: str, cid: str, message_id: str) -> bytes:
    """`ack` of one message by its receiver; the server sends no reply."""
    command = pb.GenericCommand(cmd=pb.ack, peerId=peer)
    command.ackMessage.cid = cid
    command.ackMessage.mid = message_id
    return command.SerializeToString()


def logs(peer: str, cid: str, before: int, limit: int, serial: int) -> bytes:
    """The `limit` messages of a conversation before a time (ms), oldest first."""
    command = pb.GenericCommand(cmd=pb.logs, peerId=peer, i=serial)
    command.logsMessage.cid = cid
    command.logsMessage.t = before
    command.logsMessage.l = limit
    return command.SerializeToString()


def direct(peer: str, cid: str, size: int, serial: int) -> bytes:
    """One message of `size` bytes; for many see `Message`."""
    command = pb.GenericCommand(cmd=pb.direct, peerId=peer, i=serial)
    command.directMessage.cid = cid
    command.directMessage.msg = timed_body(size)
    return command.SerializeToString()


def sent_at(body: str) -> int:
    """The monotonic time in ns, or whatever number `Message.at` wrote in its stead into a body."""
    return int(body[len(BODY_HEAD) : len(BODY_HEAD) + TIME_DIGITS])


def timed_body(size: int) -> str:
    """The body of a message of `size` bytes, with a place for the time."""
    text = BODY_HEAD + "T" * TIME_DIGITS
    return text + "x" * (size - len(text) - 2) + '"}'


class Message:
    """A `direct` command of one sender to one conversation with a body of `size` bytes."""

    def __init__(self, peer: str, cid: str, size: int) -> None:
        body = timed_body(size)
        command = pb.GenericCommand(cmd=pb.direct, peerId=peer, i=FIRST_SERIAL)
        command.directMessage.cid = cid
        command.directMessage.msg = body
        command.directMessage.dt = "D" * 16
        self._bytes = bytearray(command.SerializeToString())
        self._serial = self._bytes.index(b"\x28" + _varint(FIRST_SERIAL)) + 1
        self._time = self._bytes.index(body.encode()) + len(BODY_HEAD)
        self._token = self._bytes.rindex(b"D" * 16)

    def at(self, serial: int, now: int) -> bytearray:
        """The command with this serial (also its deduplication token), sent at `now` (monotonic ns).

        The same buffer is returned by every call: send it before the next.
        """
        data = self._bytes
        data[self._serial : self._serial + 4] = _varint(serial)
        data[self._time : self._time + TIME_DIGITS] = b"%0*d" % (TIME_DIGITS, now)
        data[self._token : self._token + 16] = b"%016x" % serial
        return data


def _varint(serial: int) -> bytes:
    return bytes((serial & 127 | 128, serial >> 7 & 127 | 128, serial >> 14 & 127 | 128, serial >> 21))
