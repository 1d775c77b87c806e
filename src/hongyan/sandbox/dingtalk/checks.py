"""What messages must have."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hongyan.sandbox.dingtalk.answers import Refusal, legacy

#: Bytes of a message of a robot, of the parameter of a message in a group, and of a work notification.
ROBOT_MAX, PARAM_MAX, WORK_MAX = 20_000, 15_000, 2048

#: What the parameter of each kind of message must have.
SAMPLES: Mapping[str, Sequence[str]] = {
    "sampleText": ("content",),
    "sampleMarkdown": ("title", "text"),
    "sampleImageMsg": ("photoURL",),
    "sampleLink": ("title", "text", "messageUrl"),
    "sampleActionCard": ("title", "text", "singleTitle", "singleURL"),
    **{
        f"sampleActionCard{n}": ("title", "text", *(f"action{w}{i}" for i in range(1, n + 1) for w in ("Title", "URL")))
        for n in range(2, 6)
    },
    "sampleActionCard6": ("title", "text", "buttonTitle1", "buttonUrl1", "buttonTitle2", "buttonUrl2"),
    "sampleAudio": ("mediaId", "duration"),
    "sampleFile": ("mediaId", "fileName", "fileType"),
    "sampleVideo": ("videoMediaId", "videoType", "picMediaId", "duration"),
}
ROBOT_TYPES: Mapping[str, Sequence[str]] = {
    "text": ("content",),
    "markdown": ("title", "text"),
    "link": ("title", "text", "messageUrl"),
    "actionCard": ("title", "text"),
    "feedCard": ("links",),
}
WORK_TYPES: Mapping[str, Sequence[str]] = {
    "text": ("content",),
    "image": ("media_id",),
    "voice": ("media_id", "duration"),
    "file": ("media_id",),
    "link": ("messageUrl", "picUrl", "title", "text"),
    "oa": ("message_url", "head", "body"),
    "markdown": ("title", "text"),
    "action_card": ("title", "markdown"),
}


def robot_type(body: dict[str, Any]) -> str:
    """The type of a message to a webhook, whose content is complete."""
    kind = str(body.get("msgtype"))
    if kind not in ROBOT_TYPES:
        raise Refusal(legacy(400105, "不支持的消息类型"))
    content = body.get(kind)
    missing = [each for each in ROBOT_TYPES[kind] if not isinstance(content, dict) or not content.get(each)]
    if isinstance(content, dict) and not missing:
        for part, names in _parts(kind, content):
            missing += [each for each in names if not part.get(each)]
    if missing:
        raise Refusal(legacy(40035, f"缺少参数 {missing[0]}"))
    return kind


def _parts(kind: str, content: dict[str, Any]) -> list[tuple[dict[str, Any], Sequence[str]]]:
    """The parts of a card, and what they must have."""
    if kind == "actionCard" and "btns" in content:
        return [(each, ("title", "actionURL")) for each in content["btns"] or [{}]]
    if kind == "actionCard":
        return [(content, ("singleTitle", "singleURL"))]
    return [(each, ("title", "messageURL", "picURL")) for each in content.get("links", [])]


def visible(content: dict[str, Any]) -> str:
    """What of a message counts for keywords."""
    parts = [content, *content.get("links", [])]
    return "\n".join(str(part.get(name, "")) for part in parts for name in ("title", "text", "content"))


def work_type(message: object) -> str:
    """The type of a work notification whose content is complete. Raises Refusal."""
    kind = str(message.get("msgtype")) if isinstance(message, dict) else ""
    if not isinstance(message, dict) or kind not in WORK_TYPES:
        raise Refusal(legacy(40008, "不合法的消息类型"))
    content = message.get(kind)
    if not isinstance(content, dict) or any(each not in content for each in WORK_TYPES[kind]):
        raise Refusal(legacy(40035, f"不合法的参数 {kind}"))
    duration = str(content.get("duration"))
    if kind == "voice" and not (duration.isdecimal() and 0 < int(duration) < 60):
        raise Refusal(legacy(40035, "不合法的参数 duration"))
    if kind == "action_card" and not (
        (content.get("single_title") and content.get("single_url"))
        or all(each.get("title") and each.get("action_url") for each in content.get("btn_json_list") or [{}])
    ):
        raise Refusal(legacy(40035, "不合法的参数 action_card"))
    if len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()) > WORK_MAX:
        raise Refusal(legacy(40035, "消息体超过2048字节"))
    return kind
