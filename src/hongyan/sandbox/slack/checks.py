"""What Slack refuses in messages."""

from collections.abc import Iterator
from typing import Any

from hongyan.sandbox.slack import blocks as block_checks
from hongyan.sandbox.slack.answers import Arguments, Refusal

#: Characters of a text.
TEXT_MAX = 40_000
#: What of the arguments belongs to a message.
_PARTS = ("text", "blocks", "attachments", "markdown_text", "mrkdwn", "username", "icon_url", "icon_emoji")


def payload(given: Arguments, numbers: Iterator[int]) -> dict[str, Any]:
    """What a message shows, with an id for each block. Raises Refusal for what Slack would not take."""
    found = {key: given[key] for key in _PARTS if given.get(key) not in (None, "", [])}
    text, blocks, attachments = found.get("text"), found.get("blocks"), found.get("attachments")
    if "markdown_text" in found and (text or blocks):
        raise Refusal("markdown_text_conflict")
    if not (text or blocks or attachments or found.get("markdown_text")):
        raise Refusal("no_text")
    if (isinstance(text, str) and len(text) > TEXT_MAX) or len(str(found.get("markdown_text", ""))) > 12_000:
        raise Refusal("msg_too_long")
    if blocks is not None:
        check_blocks(blocks)
    if attachments is not None:
        _check_attachments(attachments)
    for block in (blocks or []) + [b for each in attachments or [] for b in each.get("blocks", ())]:
        block.setdefault("block_id", f"b{next(numbers)}")
    return found


def check_blocks(blocks: Any) -> None:
    """Raises Refusal."""
    wrong = block_checks.of_message(blocks)
    if wrong:
        raise Refusal("invalid_blocks", errors=wrong, response_metadata={"messages": [f"[ERROR] {w}" for w in wrong]})
    if block_checks.length(blocks) > block_checks.ALL_TEXTS:
        raise Refusal("msg_blocks_too_long")


def _check_attachments(attachments: Any) -> None:
    if not isinstance(attachments, list) or not all(isinstance(each, dict) for each in attachments):
        raise Refusal("invalid_arguments")
    if len(attachments) > 100:
        raise Refusal("too_many_attachments")
    if block_checks.size(attachments) > 100_000:
        raise Refusal("attachment_payload_limit_exceeded")
    for each in attachments:
        if "blocks" in each:
            check_blocks(each["blocks"])
