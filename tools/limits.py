"""Write docs/reference/limits.md, in English and Chinese: the defaults of an app beside LeanCloud's."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hongyan.api.leancloud import batch, clients, messages, pushes, sending, service_conversations
from hongyan.engine import (
    blacklist,
    chatrooms,
    history,
    live_subscriptions,
    objects,
    push_calls,
    push_plans,
    query,
    signatures,
    silence,
    temporary,
    users,
    webhooks,
    word_list,
)
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.broadcasts import VALIDITY
from hongyan.engine.pushes import CHECK_AFTER
from hongyan.engine.values import CLIENT_ID_MAX, DAY, REJOIN_WINDOW
from hongyan.gateway.handlers import session
from hongyan.webhooks import callback, payloads

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
PAGES = {"en": FOLDER / "limits.md", "zh": FOLDER / "limits.zh-CN.md"}

HEADS = {
    "en": """\
# Limits

[中文](limits.zh-CN.md)

What an app allows by default, beside LeanCloud's. Who sends over a rate is told so: `4116` for a message, `4318` for
everything else; LeanCloud does not answer. `hongyan app set APP limits=off` lifts all rates, `preset=leancloud` sets
LeanCloud's lifetimes. What one connection may do is a [setting of the server](configuration.md).

## Settings of an app

`hongyan app set APP KEY=VALUE` changes them; [more about each](configuration.md#settings-of-an-app).

| Setting | Here | LeanCloud |
|---|---|---|
""",
    "zh": """\
# 限制

[English](limits.md)

应用的默认限制与 LeanCloud 的对照。超出频率时会收到错误：消息为 `4116`，其他操作为 `4318`；LeanCloud 则不予应答。
`hongyan app set 应用 limits=off` 取消全部频率限制，`preset=leancloud` 采用 LeanCloud 的保存时间。
单个连接的限制见[服务器设置](configuration.zh-CN.md)。

## 应用设置

用 `hongyan app set 应用 键=值` 修改；各项含义见[配置](configuration.zh-CN.md#应用设置)。

| 设置 | 默认值 | LeanCloud |
|---|---|---|
""",
}
FIXED = {
    "en": "\n## Fixed\n\n| What | Here | LeanCloud |\n|---|---|---|\n",
    "zh": "\n## 固定限制\n\n| 项目 | 鸿雁 | LeanCloud |\n|---|---|---|\n",
}

NOT_DOCUMENTED = {"en": "not documented", "zh": "未公开"}
NO_LIMIT = {"en": "no limit", "zh": "不限"}
FOR_EVER = {"en": "0: for ever", "zh": "0：永久"}
ANY = {"en": "any", "zh": "任意"}
NONE = {"en": "none", "zh": "无"}
ANY_NUMBER = {"en": "0: any number", "zh": "0：不限"}
#: Defaults that need a word.
HERE: dict[str, object] = {
    "message_days": FOR_EVER,
    "conversation_days": FOR_EVER,
    "file_types": ANY,
    "file_link_ttl": FOR_EVER,
    "rest_send_rate": ANY_NUMBER,
    "rest_subscription_rate": ANY_NUMBER,
    "rest_subscriptions_daily": ANY_NUMBER,
    "rest_broadcast_rate": ANY_NUMBER,
    "hook_url": {"en": "none", "zh": "无"},
    "web_domains": {"en": "any site", "zh": "不限"},
    "android_key": {"en": "none", "zh": "无"},
    "url_rewrites": NONE,
    "callback_url": {"en": "none", "zh": "无"},
    "push_content": {"en": "empty: nothing", "zh": "空：不推送"},
    "push_rate": ANY_NUMBER,
    "rest_push_rate": ANY_NUMBER,
}
#: What LeanCloud has for a setting; a setting that is not here has nothing like it there.
LEANCLOUD = {
    "limits": {"en": "always", "zh": "始终启用"},
    "session_ttl": NOT_DOCUMENTED,
    "members_max": "500",
    "message_max": "5 KB",
    "send_rate": "60",
    "read_rate": "120",
    "other_rate": "30",
    "delivery_rate": "160000",
    "unread_conversations": "50",
    "unread_max": "100",
    "temporary_ttl_max": {"en": "86400 in SDKs, 30 days otherwise", "zh": "SDK 为 86400，其他为 30 天"},
    "message_days": {"en": "6 months", "zh": "6 个月"},
    "conversation_days": {"en": "6 months", "zh": "6 个月"},
    "edit": "off",
    "recall": "off",
    "roles": "off",
    "managers_max": NOT_DOCUMENTED,
    "blacklist": "off",
    "sign_login": "off",
    "sign_conversation": "off",
    "sign_history": "off",
    "sign_blacklist": "off",
    "signature_once": NOT_DOCUMENTED,
    "conversation_read": {"en": "off: the class is closed", "zh": "off（class 权限关闭）"},
    "conversation_write": {"en": "off: the class is closed", "zh": "off（class 权限关闭）"},
    "filter": "replace",
    "filter_direct": "off",
    "subscriptions_max": NOT_DOCUMENTED,
    "hook_url": {"en": "the app's LeanEngine", "zh": "应用的云引擎"},
    "hook_timeout": NOT_DOCUMENTED,
    "hook_failure": "ignore",
    "hook_rest": NOT_DOCUMENTED,
    "user_sign_up": "on",
    "user_read": "on",
    "web_domains": {"en": "any site", "zh": "不限"},
    "android_key": {"en": "one for each app", "zh": "每个应用一个"},
    "callback_url": {"en": "none", "zh": "无"},
    "file_max": NOT_DOCUMENTED,
    "file_types": ANY,
    "file_upload": "key",
    "file_rate": {"en": "REST: 30 per app", "zh": "REST：每个应用 30"},
    "file_link_ttl": FOR_EVER,
    "rest_send_rate": "1800",
    "rest_subscription_rate": "30",
    "rest_subscriptions_daily": "1000",
    "rest_broadcast_rate": "10",
    "rest_broadcasts_daily": "30",
    "push_content": {"en": "empty", "zh": "空"},
    "push_rate": NOT_DOCUMENTED,
    "push_by_clients": "off",
    "rest_push_rate": "600",
}


def _each(limits: Mapping[Any, int]) -> str:
    return ", ".join(map(str, limits.values()))


#: What, here, and there, for limits that are no settings.
ROWS = [
    ({"en": "Characters of a client id", "zh": "client id 的字符数"}, CLIENT_ID_MAX, 64),
    ({"en": "Client ids of one online query", "zh": "一次在线查询的 client id 数"}, session.QUERY_MAX, 20),
    ({"en": "Messages of a history page, default", "zh": "历史消息每页条数，默认"}, history.LIMIT_DEFAULT, 20),
    ({"en": "Messages of a history page, at most", "zh": "历史消息每页条数，上限"}, history.LIMIT_MAX, 100),
    ({"en": "Conversations of a query, default", "zh": "对话查询条数，默认"}, query.LIMIT_DEFAULT, 10),
    ({"en": "Conversations of a query, at most", "zh": "对话查询条数，上限"}, query.LIMIT_MAX, 1000),
    (
        {"en": "Messages of a history page over HTTP, default", "zh": "HTTP 历史消息每页条数，默认"},
        messages.PAGE,
        100,
    ),
    (
        {"en": "Messages of a history page over HTTP, at most", "zh": "HTTP 历史消息每页条数，上限"},
        messages.PAGE_MAX,
        1000,
    ),
    ({"en": "Members of a temporary conversation", "zh": "临时对话的成员数"}, temporary.MEMBERS_MAX, 10),
    (
        {"en": "Lifetime of a temporary conversation, default (s)", "zh": "临时对话的默认有效期（秒）"},
        temporary.TTL_DEFAULT,
        86_400,
    ),
    (
        {"en": "Clients in a chat room", "zh": "聊天室人数"},
        NO_LIMIT,
        {"en": "no limit, 5000 advised", "zh": "不限，建议 5000 以内"},
    ),
    ({"en": "Chat rooms of a device at a time", "zh": "一台设备同时所在的聊天室数"}, 1, 1),
    (
        {"en": "Minutes in which a lost device is back in its chat room", "zh": "断线后自动回到聊天室的时限（分钟）"},
        REJOIN_WINDOW // 60_000,
        30,
    ),
    ({"en": "Clients of a chat room that are listed", "zh": "聊天室成员列表返回的人数"}, chatrooms.SAMPLE_MAX, 50),
    ({"en": "Subscribers of a service conversation", "zh": "服务号的订阅人数"}, NO_LIMIT, NO_LIMIT),
    (
        {"en": "Subscribers of a page over HTTP", "zh": "HTTP 订阅者列表每页人数"},
        service_conversations.SUBSCRIBERS_MAX,
        50,
    ),
    (
        {"en": "Clients that one message of a service conversation names", "zh": "服务号一次可指定的接收者数"},
        sending.CLIENTS_MAX,
        20,
    ),
    (
        {"en": "Days that a broadcast to all clients is told, at most", "zh": "全员广播的最长有效期（天）"},
        VALIDITY // DAY,
        30,
    ),
    ({"en": "Characters of the reason for logging a client out", "zh": "强制下线原因的字符数"}, clients.REASON_MAX, 20),
    (
        {"en": "Silenced clients of a conversation, of a chat room", "zh": "禁言人数：普通对话、聊天室"},
        _each(silence.SILENCED_MAX),
        "500, 10000",
    ),
    ({"en": "Longest silence for a time (s)", "zh": "临时禁言的最长时间（秒）"}, silence.SECONDS_MAX, 86_400),
    (
        {
            "en": "Blocked clients of a conversation, of a chat room, of a service conversation",
            "zh": "黑名单人数：普通对话、聊天室、服务号",
        },
        _each(blacklist.BLOCKED_MAX),
        "500, 10000, 10000",
    ),
    (
        {"en": "Conversations that a client refuses", "zh": "一个 client 可拒绝加入的对话数"},
        blacklist.REFUSED_MAX,
        NOT_DOCUMENTED,
    ),
    ({"en": "Hours that a signature is good", "zh": "签名有效期（小时）"}, signatures.VALIDITY // 3_600_000, 6),
    (
        {"en": "Wrong passwords in 15 minutes, until a user is locked", "zh": "15 分钟内密码错误次数，超过则锁定用户"},
        users.FAILURES_MAX,
        6,
    ),
    ({"en": "Calls of a batch", "zh": "一次批量请求的操作数"}, batch.REQUESTS_MAX, 100),
    ({"en": "Bytes of a batch", "zh": "一次批量请求的字节数"}, batch.BODY_MAX, "20 MB"),
    (
        {
            "en": "Bytes of a batch's answers, then no more is done",
            "zh": "一次批量请求的应答字节数，超出后不再执行其余请求",
        },
        batch.ANSWERS_MAX,
        NOT_DOCUMENTED,
    ),
    (
        {"en": "Characters of path and parameters in a batch", "zh": "批量请求中一个请求的路径与参数的字符数"},
        batch.TARGET_MAX,
        NOT_DOCUMENTED,
    ),
    ({"en": "Bytes of a user or an installation", "zh": "单个用户或设备对象的字节数"}, objects.SIZE_MAX, "16 MB"),
    (
        {"en": "Days after which a push is not delivered any more", "zh": "推送的有效期（天）"},
        push_plans.LIFETIME // DAY,
        7,
    ),
    (
        {"en": "Days after which a device that was not saved again gets no pushes", "zh": "设备多少天未更新后不再推送"},
        push_plans.SEEN_WITHIN // DAY,
        {"en": "3 months", "zh": "3 个月"},
    ),
    (
        {"en": "Devices of a client to which one message is pushed", "zh": "一条消息推送到一个 client 的设备数"},
        push_plans.DEVICES_MAX,
        NOT_DOCUMENTED,
    ),
    (
        {
            "en": "Seconds in which a client that is online must acknowledge a message, or its device gets a push",
            "zh": "在线 client 须在多少秒内确认收到消息，否则向其设备推送",
        },
        CHECK_AFTER // 1000,
        NOT_DOCUMENTED,
    ),
    ({"en": "Bytes of a push over HTTP, less than", "zh": "HTTP 推送请求的字节数（须小于）"}, pushes.BODY_MAX, 4096),
    ({"en": "Devices that one push over HTTP names", "zh": "一次 HTTP 推送可指定的设备数"}, push_calls.NAMED_MAX, 500),
    ({"en": "Pushes over HTTP that wait for their time", "zh": "等待定时发送的推送数"}, push_calls.WAITING_MAX, 1000),
    (
        {"en": "Minutes in which the same `req_id` is the same push", "zh": "相同 `req_id` 视为同一推送的时间（分钟）"},
        push_calls.SAME_FOR // 60_000,
        5,
    ),
    ({"en": "Days that pushes over HTTP are listed", "zh": "HTTP 推送记录的保存天数"}, push_plans.LIFETIME // DAY, 7),
    ({"en": "Words of a word list", "zh": "敏感词数"}, word_list.WORDS_MAX, NOT_DOCUMENTED),
    (
        {"en": "LiveQuery subscriptions of a client", "zh": "一个 client 的 LiveQuery 订阅数"},
        live_subscriptions.OF_CLIENT_MAX,
        NOT_DOCUMENTED,
    ),
    ({"en": "Webhooks of an app", "zh": "一个应用的 webhook 数"}, webhooks.WEBHOOKS_MAX, {"en": "none", "zh": "无"}),
    (
        {"en": "Deliveries that may wait for a webhook", "zh": "一个 webhook 等待中的投递数"},
        webhooks.WAITING_MAX,
        {"en": "none", "zh": "无"},
    ),
    (
        {"en": "Bytes of what a webhook is told", "zh": "webhook 请求体的字节数"},
        payloads.BYTES_MAX,
        {"en": "none", "zh": "无"},
    ),
    (
        {"en": "Messages of one call of the callback", "zh": "服务号回调一次包含的消息数"},
        callback.ITEMS_MAX,
        NOT_DOCUMENTED,
    ),
    ({"en": "Retries of the callback", "zh": "服务号回调的重试次数"}, len(callback.WAITS), 3),
]


def render(language: str) -> str:
    """The whole page in `en` or `zh`."""
    settings = [
        _row(f"`{field.name}`", HERE.get(field.name, _value(field.default)), LEANCLOUD.get(field.name, "–"), language)
        for field in fields(AppSettings)
    ]
    fixed = [_row(what[language], here, there, language) for what, here, there in ROWS]
    return "".join([HEADS[language], *settings, FIXED[language], *fixed])


def _row(what: str, here: object, there: object, language: str) -> str:
    return f"| {what} | {_said(here, language)} | {_said(there, language)} |\n"


def _value(default: object) -> str:
    return ("on" if default else "off") if isinstance(default, bool) else str(default)


def _said(text: object, language: str) -> str:
    return str(text[language]) if isinstance(text, dict) else str(text)


if __name__ == "__main__":
    for language, page in PAGES.items():
        page.write_text(render(language), encoding="utf-8")
