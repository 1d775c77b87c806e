"""Commands as bytes and text; what an answer says went wrong."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, EncodeError

from hongyan_client.errors import HongyanError
from hongyan_client.messages2_pb2 import CommandType, GenericCommand, OpType


@dataclass(frozen=True, slots=True)
class Subprotocol:
    """`text`: frames are base64. `unread`: counts after login; otherwise the offline messages themselves."""

    text: bool
    unread: bool

    @property
    def name(self) -> str:
        return f"lc.{'proto2base64' if self.text else 'protobuf2'}.{3 if self.unread else 1}"

    def encode(self, command: GenericCommand) -> bytes | str:
        data = command.SerializeToString()
        return base64.b64encode(data).decode("ascii") if self.text else data

    def decode(self, data: bytes | str) -> GenericCommand:
        """Raises ValueError if the frame is not a command."""
        try:
            return GenericCommand.FromString(base64.b64decode(data, validate=True) if isinstance(data, str) else data)
        except (DecodeError, binascii.Error) as error:
            raise ValueError("not a command of the protocol") from error


def command(cmd: str, op: str | None = None, **fields: Any) -> GenericCommand:
    """A command by the schema's names; `fields` are those of its sub-message, without those that are None.

    Raises ValueError for values that the protocol cannot carry.
    """
    part: dict[str, Any] = {f"{cmd}Message": {name: value for name, value in fields.items() if value is not None}}
    try:
        built = GenericCommand(cmd=cmd, op=op, **part)
        built.SerializeToString()
    except (TypeError, ValueError, EncodeError) as error:
        raise ValueError(f"{cmd}: {error}") from error
    return built


def named(received: GenericCommand) -> str:
    """A command's name as the protocol's reference writes it: `direct`, `conv/started`."""
    name = CommandType.Name(received.cmd)
    return f"{name}/{OpType.Name(received.op)}" if received.HasField("op") else name


def refusal(answer: GenericCommand) -> HongyanError | None:
    """The error that an answer carries, in an `error` command or in a failing `ack`."""
    if answer.HasField("errorMessage"):
        error = answer.errorMessage
        detail = error.appMsg or error.detail
        return HongyanError(error.code, error.reason, detail, error.appCode if error.HasField("appCode") else None)
    ack = answer.ackMessage
    if ack.HasField("code") or ack.HasField("appCode"):
        return HongyanError(ack.code, ack.reason, ack.appMsg, ack.appCode if ack.HasField("appCode") else None)
    session = answer.sessionMessage
    if session.HasField("code"):
        return HongyanError(session.code, session.reason, session.detail)
    return None
