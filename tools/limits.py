"""Write docs/reference/limits.md, in English and Chinese: the defaults of an app beside LeanCloud's."""

from dataclasses import fields
from pathlib import Path

from hongyan.engine import history, query
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.values import CLIENT_ID_MAX
from hongyan.gateway.handlers import session

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
PAGES = {"en": FOLDER / "limits.md", "zh": FOLDER / "limits.zh-CN.md"}

HEADS = {
    "en": """\
# Limits

[中文](limits.zh-CN.md)

What an app allows by default, beside LeanCloud's. Who sends over a rate is told so: `4116` for a message, `4318` for
everything else; LeanCloud does not answer. `hongyan app set APP limits=off` lifts all rates. What one connection may
do is a [setting of the server](configuration.md).

## Settings of an app

`hongyan app set APP KEY=VALUE` changes them; [more about each](configuration.md#settings-of-an-app).

| Setting | Here | LeanCloud |
|---|---|---|
""",
    "zh": """\
# 限制

[English](limits.md)

应用的默认限制与 LeanCloud 的对照。超出频率时会收到错误：消息为 `4116`，其他操作为 `4318`；LeanCloud 则不予应答。
`hongyan app set 应用 limits=off` 取消全部频率限制。单个连接的限制见[服务器设置](configuration.zh-CN.md)。

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

#: What LeanCloud has for a setting; a setting that is not here has nothing like it there.
LEANCLOUD = {
    "limits": {"en": "always", "zh": "始终启用"},
    "session_ttl": {"en": "not documented", "zh": "未公开"},
    "members_max": "500",
    "message_max": "5 KB",
    "send_rate": "60",
    "read_rate": "120",
    "other_rate": "30",
    "delivery_rate": "160000",
    "unread_conversations": "50",
    "unread_max": "100",
    "filter": "replace",
    "filter_direct": "off",
}
#: What, here, and there, for limits that are no settings.
ROWS = [
    ({"en": "Characters of a client id", "zh": "client id 的字符数"}, CLIENT_ID_MAX, 64),
    ({"en": "Client ids of one online query", "zh": "一次在线查询的 client id 数"}, session.QUERY_MAX, 20),
    ({"en": "Messages of a history page, default", "zh": "历史消息每页条数，默认"}, history.LIMIT_DEFAULT, 20),
    ({"en": "Messages of a history page, at most", "zh": "历史消息每页条数，上限"}, history.LIMIT_MAX, 100),
    ({"en": "Conversations of a query, default", "zh": "对话查询条数，默认"}, query.LIMIT_DEFAULT, 10),
    (
        {"en": "Conversations of a query, at most", "zh": "对话查询条数，上限"},
        query.LIMIT_MAX,
        {"en": "not documented", "zh": "未公开"},
    ),
    (
        {"en": "How long messages are kept", "zh": "消息保留时间"},
        {"en": "no limit", "zh": "不限"},
        {"en": "6 months", "zh": "6 个月"},
    ),
]


def render(language: str) -> str:
    """The whole page in `en` or `zh`."""
    settings = [
        f"| `{field.name}` | {_value(field.default)} | {_said(LEANCLOUD.get(field.name, '–'), language)} |\n"
        for field in fields(AppSettings)
    ]
    fixed = [
        f"| {what[language]} | {_said(here, language)} | {_said(there, language)} |\n" for what, here, there in ROWS
    ]
    return "".join([HEADS[language], *settings, FIXED[language], *fixed])


def _value(default: object) -> str:
    return ("on" if default else "off") if isinstance(default, bool) else str(default)


def _said(text: object, language: str) -> str:
    return str(text[language]) if isinstance(text, dict) else str(text)


if __name__ == "__main__":
    for language, page in PAGES.items():
        page.write_text(render(language), encoding="utf-8")
