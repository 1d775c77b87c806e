"""A message as history over HTTP shows it (REST reference 2.5)."""

import base64
from typing import Any

from hongyan.engine.values import Message


def record(message: Message, conversation_id: str, stored_as: str) -> dict[str, Any]:
    """`stored_as` is the `conv-id`, which is not the plain id of the conversation."""
    is_binary = isinstance(message.content, bytes)
    body = message.content
    answer: dict[str, Any] = {
        "msg-id": message.id,
        "timestamp": message.timestamp,
        "from": message.sender,
        "to": conversation_id,
        "conv-id": stored_as,
        "data": base64.b64encode(body).decode("ascii") if isinstance(body, bytes) else body,
        "bin": is_binary,
        "is-conv": True,
        "is-room": False,
        "from-ip": None,
    }
    if message.acked_at is not None:
        answer["ack-at"] = message.acked_at
    if message.patched_at is not None:
        answer["patch-timestamp"] = message.patched_at
    if message.recalled:
        answer["recall"] = True
    if message.mention_all:
        answer["mention-all"] = True
    if message.mentions:
        answer["mention-client-ids"] = list(message.mentions)
    return answer
