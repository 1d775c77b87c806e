"""Message records (REST reference 2.5, 8.7) and rows of `_SysMessage` (2.4)."""

import base64
import binascii
import json
import re
from typing import Any, NamedTuple

from hongyan.engine.imported import ImportedMessage
from hongyan.engine.values import RECALLED_BODY, stream_id
from hongyan.importing.plain import Mistake, number, target, text

#: What makes the id of a conversation the key of its messages.
_PADDING = "00000000"
_STREAM = re.compile(r"[0-9a-f]{32}")
#: A message from a clock that is ahead of ours by more can't be there yet (ms): nobody could write after it.
AHEAD_MAX = 1_000


class Record(NamedTuple):
    """A message and where it belongs: a conversation or, with a `stream`, what a service conversation is to one client.

    `conversation_id` is empty where only the stream is known. `client` is who has the stream, if the record says so.
    """

    conversation_id: str
    stream: str
    client: str
    message: ImportedMessage


def record(row: dict[str, Any], now: int) -> Record:
    """A message record of a history call. Raises Mistake."""
    conversation_id, stream = _place(row)
    message = _message(row, row.get("msg-id"), row.get("ack-at"), now)
    client = row.get("peer")
    return Record(conversation_id, stream, client if isinstance(client, str) else "", message)


def sys_message(row: dict[str, Any], now: int) -> Record:
    """A row of `_SysMessage`: what a client said to a service conversation. Raises Mistake."""
    message = _message(row, row.get("msgId"), row.get("ackAt"), now)
    conversation_id = target(row.get("conv"), "conv")
    return Record(conversation_id, stream_id(conversation_id, message.sender), message.sender, message)


def _place(row: dict[str, Any]) -> tuple[str, str]:
    to, key = row.get("to"), row.get("conv-id")
    if key is not None:
        key = text(key, "conv-id")
    if to is not None and to != "":
        to = text(to, "to")
        if key is None or key in (to, to + _PADDING) or not _STREAM.fullmatch(key):
            return to, ""
        return to, key
    if key is None:
        raise Mistake("there is neither to nor conv-id")
    if len(key) == 32 and key.endswith(_PADDING):
        return key[:24], ""
    return ("", key) if _STREAM.fullmatch(key) else (key, "")


def _message(row: dict[str, Any], message_id: Any, acked_at: Any, now: int) -> ImportedMessage:
    timestamp = number(row.get("timestamp"), "timestamp")
    if not 0 < timestamp <= now + AHEAD_MAX:
        raise Mistake(f"the timestamp {timestamp} is not between 1970 and this machine's time")
    data, binary = row.get("data"), row.get("bin") is True
    recalled = row.get("recall") is True or ("data" in row and data is None)
    patched_at = _optional(row.get("patch-timestamp"), "patch-timestamp")
    if patched_at is not None and patched_at > now + AHEAD_MAX:
        raise Mistake(f"the patch-timestamp {patched_at} is later than this machine's time")
    if "data" not in row and not recalled:
        raise Mistake("there is no data")
    mentions = row.get("mention-client-ids")
    return ImportedMessage(
        id=text(message_id, "msg-id"),
        timestamp=timestamp,
        sender=text(row.get("from"), "from"),
        content=_content(RECALLED_BODY if data is None else data, binary and data is not None),
        binary=binary and data is not None,
        recalled=recalled,
        receipt=row.get("receipt") is True,
        mention_all=row.get("mention-all") is True,
        mentions=tuple(text(each, "a mentioned id") for each in mentions) if isinstance(mentions, list) else (),
        patched_at=patched_at,
        acked_at=_optional(acked_at, "ack-at"),
        read_at=_optional(row.get("read-at"), "read-at"),
    )


def _content(data: Any, binary: bool) -> bytes:
    if isinstance(data, dict | list):  # a tool has decoded the body
        data = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if not isinstance(data, str):
        raise Mistake("data is neither a text nor an object")
    if not binary:
        return data.encode("utf-8", "replace")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise Mistake("data is not base64, but bin is true") from None


def _optional(given: Any, what: str) -> int | None:
    """A time, if there is one."""
    return number(given, what) or None if given is not None else None
