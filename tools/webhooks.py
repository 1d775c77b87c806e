"""Write docs/reference/webhooks.md, in English and Chinese: what webhooks are told, with an example of each type.

The examples are what the server makes of real events.
"""

import json
from pathlib import Path

from hongyan.engine.events import (
    ClientOffline,
    ClientOnline,
    ConversationCreated,
    ConversationUpdated,
    Event,
    MembersJoined,
    MembersLeft,
    MessagePatched,
    MessageSent,
    UpstreamReceived,
)
from hongyan.engine.values import Conversation, ConversationKind, Departure, Message
from hongyan.engine.webhooks import TYPES
from hongyan.hub.connector import Acted, Chat, Happened, Person, Said, Target
from hongyan.hub.content import Message as ChannelMessage
from hongyan.hub.content import Text
from hongyan.hub.inbound import payload
from hongyan.hub.records import Channel, Heard
from hongyan.webhooks import payloads

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
PAGES = {"en": FOLDER / "webhooks.md", "zh": FOLDER / "webhooks.zh-CN.md"}

AT = 1_795_639_511_852
GROUP = Conversation(1, 1, "65f000000000000000000001", ConversationKind.NORMAL, 1, {"Tom", "Jerry"}, creator="Tom")
STREAM = Conversation(2, 1, "65f000000000000000000002", ConversationKind.SERVICE, 1, {"Tom"}, stream="0e36f5ef")
TEXT = '{"_lctype":-1,"_lctext":"Hello"}'


def _message(content: str = TEXT, **more: object) -> Message:
    return Message("AaIUdIssGTlVyO30HJ6s-Q", 12, AT, "Tom", content, **more)  # type: ignore[arg-type]


CHANNEL = Channel("65f000000000000000000003", 1, "ops", "feishu", {}, "", True, "", AT, AT)
CHAT = Chat(Target("group", "oc_84983ff6516d731e5b5f68d4ea2e1da5"), "Operations")
SAID = Said(
    "f7984f25108f8137722bb63cee927e66",
    CHAT,
    Person("ou_7d8a6e6df7621556ce0d21922b676706", "Wang Lei"),
    ChannelMessage(Text("Is the gateway back?")),
    AT,
    {"message_id": "om_dc13264520392913993dd051dba21dcf"},
    mentioned=True,
)
ACTED = Acted(
    "36d5a9ea7f8bd2dd8c1fd4c8ad4bd5a5",
    SAID.sender,
    "approve",
    AT,
    "order-7",
    {"reason": "Looks good"},
    CHAT,
    SAID.receipt,
)
HAPPENED = Happened(
    "5e3702a84e847582be8db7fb73283c02",
    "im.chat.member.bot.added_v1",
    AT,
    {"chat_id": "oc_84983ff6516d731e5b5f68d4ea2e1da5"},
)

EDITED = _message('{"_lctype":-1,"_lctext":"Hello, Jerry"}', mentions=("Jerry",), patched_at=AT + 4_000)
#: An event of each type.
EVENTS: dict[str, Event] = {
    "message.sent": MessageSent(GROUP, _message(), None),
    "message.received": UpstreamReceived(STREAM, _message(), None),
    "message.updated": MessagePatched(GROUP, EDITED, None),
    "message.recalled": MessagePatched(GROUP, _message(patched_at=AT + 9_000, recalled=True), None),
    "conversation.created": ConversationCreated(GROUP),
    "conversation.updated": ConversationUpdated(
        GROUP,
        '{"name":"Geese","attr.color":"grey"}',
        '{"name":"Geese","attr":{"color":"grey"}}',
        "Tom",
        AT,
        None,
        ("name", "attr"),
    ),
    "conversation.members_added": MembersJoined(GROUP, ("Jerry",), "Tom", AT),
    "conversation.members_removed": MembersLeft(GROUP, ("Jerry",), "Jerry", AT),
    "client.online": ClientOnline(1, "Tom", AT),
    "client.offline": ClientOffline(1, "Tom", Departure.LOST, AT),
    "channel.message": payload(CHANNEL, SAID, Heard(SAID.id, AT)),
    "channel.action": payload(CHANNEL, ACTED, Heard(ACTED.id, AT)),
    "channel.event": payload(CHANNEL, HAPPENED, Heard(HAPPENED.id, AT)),
}

HEADS = {
    "en": """\
# Events of webhooks

[中文](webhooks.zh-CN.md)

What a [webhook](../howto/webhooks.md) is told, type by type. `timestamp` is when it happened. `data.conversation.kind`
is `normal`, `chatroom`, `service` or `temporary`; `by` is the client that did it, null if it was the application.
Transient messages are told of to nobody. A payload has less than 20,000 bytes: what would be too long is null, and
`data.cut` names it. New keys may come at any time.
""",
    "zh": """\
# Webhook 事件

[English](webhooks.md)

[Webhook](../howto/webhooks.zh-CN.md) 的各种事件。`timestamp` 为事件发生的时间；`data.conversation.kind` 为
`normal`、`chatroom`、`service` 或 `temporary`；`by` 为执行操作的 client，由应用执行时为 null。暂态消息不会产生事件。
请求体不超过 20000 字节：
过长的内容为 null，并列在 `data.cut` 中。以后可能增加新的字段。
""",
}
MEANINGS = {
    "message.sent": {
        "en": "A message was sent, by a client or by the application. `message.timestamp` is the one that REST calls"
        " want. Binary content is base64. Of a service conversation: to all subscribers, to `conversation.client`"
        " alone, or (`conversation.broadcast`) to all clients of the app.",
        "zh": "client 或应用发送了一条消息。`message.timestamp` 即 REST 调用所用的时间戳；二进制内容为 base64。"
        "服务号的消息可发给全体订阅者、仅 `conversation.client` 一人，或（`conversation.broadcast`）应用的全体用户。",
    },
    "message.received": {
        "en": "A client sent a message to a service conversation.",
        "zh": "client 向服务号发送了一条消息。",
    },
    "message.updated": {"en": "A message was edited.", "zh": "消息被修改。"},
    "message.recalled": {"en": "A message was recalled.", "zh": "消息被撤回。"},
    "conversation.created": {
        "en": "A conversation was made. That its members joined is told besides.",
        "zh": "创建了一个对话；其成员加入另有事件。",
    },
    "conversation.updated": {
        "en": "Attributes were changed; `values` are the new ones of the top-level `keys` that were touched.",
        "zh": "对话属性被修改；`values` 为所涉及的顶层字段 `keys` 的新值。",
    },
    "conversation.members_added": {
        "en": "Clients became members, subscribers, or came into a chat room.",
        "zh": "client 成为成员、订阅者，或进入聊天室。",
    },
    "conversation.members_removed": {
        "en": "Clients are no longer members, subscribers, or in the chat room.",
        "zh": "client 不再是成员、订阅者，或离开了聊天室。",
    },
    "client.online": {"en": "A client opened its first session.", "zh": "client 打开了第一个会话。"},
    "client.offline": {
        "en": "The last session of a client has ended: `logged_out`, `lost`, `expelled`, or `stopped` with the server.",
        "zh": "client 的最后一个会话结束：`logged_out`（退出）、`lost`（断线）、`expelled`（被踢下线）"
        "或 `stopped`（服务器停止）。",
    },
    "channel.message": {
        "en": "Somebody wrote to a [channel](../howto/channels.md) on another platform. A message to `chat.to` answers"
        " there; `id` may be the `thread` of one. `mentioned`: the channel's own account is. `files` came with it.",
        "zh": "有人在其他平台上向[渠道](../howto/channels.zh-CN.md)发言。向 `chat.to` 发送消息即可回复；"
        "`id` 可作为消息的 `thread`。`mentioned` 表示提到了渠道自己的账号；`files` 为随附文件数。",
    },
    "channel.action": {
        "en": "Somebody pressed a button of a card, or sent its form: `action` is its id. `from` is null if that was"
        " on a page of the server, where nobody says who he is.",
        "zh": "有人点击了卡片的按钮或提交了表单，`action` 为其 id。"
        "若在服务器的页面上操作，则无法得知操作人，`from` 为 null。",
    },
    "channel.event": {
        "en": "Anything else that a platform tells; `name` is its own word. `recalled` is the receipt of a message"
        " that was taken back, `edited` the receipt of one that was changed, and what it says now.",
        "zh": "平台的其他事件，`name` 为平台自己的名称；`recalled` 为被撤回消息的回执，"
        "`edited` 为被修改消息的回执及其现在的内容。",
    },
}


def example(type_: str) -> str:
    """The payload of the example, as a page shows it."""
    event = EVENTS[type_]
    (told,) = payloads.TELLERS[type(event)].tell(event)
    return json.dumps(json.loads(payloads.body(told, AT)), ensure_ascii=False, indent=2)


def render(language: str) -> str:
    """The whole page in `en` or `zh`."""
    parts = (f"\n## {name}\n\n{MEANINGS[name][language]}\n\n```json\n{example(name)}\n```\n" for name in TYPES)
    return HEADS[language] + "".join(parts)


if __name__ == "__main__":
    for language, page in PAGES.items():
        page.write_text(render(language), encoding="utf-8")
