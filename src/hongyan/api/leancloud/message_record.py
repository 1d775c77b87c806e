"""A message as every history call answers it (REST reference 2.5)."""

import base64
import hashlib
from typing import Any

from hongyan.engine.values import Message

#: What makes a conversation's id 32 characters long.
PADDING = "00000000"


def partition(conversation_id: str, client: str | None = None) -> str:
    """`conv-id`: the conversation, or the stream of one client in a service conversation."""
    if client is None:
        return conversation_id + PADDING
    return hashlib.md5(f"{conversation_id}:{client}".encode(), usedforsecurity=False).hexdigest()


def message_record(
    conversation_id: str, message: Message, client: str | None = None, *, stream: str = ""
) -> dict[str, Any]:
    """`client` is whose stream of a service conversation the message stands in; None in other kinds.

    `stream` is the id of that stream, for who knows that instead.

    An edited message has its present body, a recalled one the body that was put in its place. Senders' addresses are
    not kept.
    """
    is_binary = isinstance(message.content, bytes)
    record = {
        "msg-id": message.id,
        "timestamp": message.timestamp,
        "from": message.sender,
        "to": conversation_id,
        "conv-id": stream or partition(conversation_id, client),
        "data": _text(message.content),
        "bin": is_binary,
        "is-conv": True,
        "is-room": False,
        "from-ip": None,
    }
    return record | _set(message)


def _set(message: Message) -> dict[str, Any]:
    """Keys of what is not so of every message; all but the first are not documented and do no harm (inferred)."""
    told: dict[str, Any] = {}
    if message.acked_at is not None:
        told["ack-at"] = message.acked_at
    if message.patched_at is not None:
        told["patch-timestamp"] = message.patched_at
    if message.recalled:
        told["recall"] = True
    if message.mention_all:
        told["mention-all"] = True
    if message.mentions:
        told["mention-client-ids"] = list(message.mentions)
    return told


def _text(content: str | bytes) -> str:
    return base64.b64encode(content).decode("ascii") if isinstance(content, bytes) else content
