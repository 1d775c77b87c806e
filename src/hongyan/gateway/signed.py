"""The signature of a command."""

from hongyan.engine.signatures import Signature
from hongyan.wire.messages2_pb2 import BlacklistCommand, ConvCommand, SessionCommand


def signature(asked: SessionCommand | ConvCommand | BlacklistCommand) -> Signature:
    """What was given as `s`, `t` and `n`, maybe nothing."""
    return Signature(asked.s, str(asked.t) if asked.HasField("t") else "", asked.n)
