"""A conversation as `results.data` shows it (reference 6.1)."""

import base64
from typing import Any

from hongyan.engine.values import ConversationKind, ConversationRow, Message, iso_time, seconds_left


def to_json(row: ConversationRow, caller: str, now: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        **row.columns,
        "objectId": row.id,
        "c": row.creator,
        "conv_type": int(row.kind),
        "createdAt": iso_time(row.created_at),
        "updatedAt": iso_time(row.updated_at),
    }
    if row.kind == ConversationKind.NORMAL:
        answer["m"] = list(row.members)
        answer["mu"] = [caller] if row.muted else []
    if row.kind == ConversationKind.SERVICE:
        answer |= _service(row)
    if row.kind == ConversationKind.CHATROOM:
        answer["tr"] = True
    if row.kind == ConversationKind.TEMPORARY and row.expires_at is not None:
        ttl = seconds_left(row.expires_at, now)
        answer |= {"m": list(row.members), "temp": True, "ttl": ttl, "tempConv": True, "tempConvTTL": ttl}
    if row.name is not None:
        answer["name"] = row.name
    if row.attr is not None:
        answer["attr"] = row.attr
    if row.unique_id:
        answer |= {"unique": True, "uniqueId": row.unique_id}
    if row.last_message_at is not None and row.kind != ConversationKind.SERVICE:
        answer["lm"] = {"__type": "Date", "iso": iso_time(row.last_message_at)}
    if row.last_message is not None:
        answer |= _last_message(row.last_message)
    return answer


def _service(row: ConversationRow) -> dict[str, Any]:
    """What its last message is to `lm` elsewhere is to `updatedAt` here (REST reference 2.1)."""
    latest = max(row.updated_at, row.last_message_at or 0)
    answer = {"sys": True, "updatedAt": iso_time(latest), "joined": row.joined_at is not None}
    if row.joined_at is None:
        return answer
    return {**answer, "joinedAt": row.joined_at, "muted": row.muted}


def _last_message(message: Message) -> dict[str, Any]:
    is_binary = isinstance(message.content, bytes)
    answer: dict[str, Any] = {
        "msg": base64.b64encode(message.content).decode("ascii")
        if isinstance(message.content, bytes)
        else message.content,
        "bin": is_binary,
        "msg_mid": message.id,
        "msg_from": message.sender,
        "msg_timestamp": message.timestamp,
    }
    if message.patched_at:
        answer["patch_timestamp"] = message.patched_at
    if message.mention_all:
        answer["mention_all"] = True
    if message.mentions:
        answer["mention_pids"] = list(message.mentions)
    return answer
