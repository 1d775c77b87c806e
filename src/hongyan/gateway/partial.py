"""Answers that name the clients for whom a wish was fulfilled, and those for whom it was not (reference 3.7)."""

from collections.abc import Iterable

from hongyan.engine.values import Failure
from hongyan.gateway.registry import PARTIAL_FAILURE, Session
from hongyan.wire.messages2_pb2 import BlacklistCommand, ConvCommand, ErrorCommand


def fill(
    answer: ConvCommand | BlacklistCommand, session: Session, allowed: Iterable[str], failed: Iterable[Failure]
) -> None:
    """For sessions that know of partial results; the engine refuses partial failures of the others as a whole."""
    if session.can(PARTIAL_FAILURE):
        answer.allowedPids.extend(allowed)
        answer.failedPids.extend(
            ErrorCommand(code=failure.kind.code, reason=failure.kind.name, pids=failure.clients) for failure in failed
        )
