"""Signatures, for apps whose server demands them: made where the master key is, never here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignatureRequest:
    """What to sign. `action` is `open`, `start`, `invite`, `kick`, or `conversation-block-clients` and `…-unblock-…`.

    An `open` has no conversation and no members.
    """

    action: str
    client_id: str
    conversation_id: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """`timestamp` in milliseconds."""

    signature: str
    timestamp: int
    nonce: str


Signer = Callable[[SignatureRequest], Awaitable[Signature]]
