"""Write docs/reference/channels.md, in English and Chinese: what each kind of channel makes of each content.

Every content is sent by the real connectors to the emulators of the sandbox; what stands in the tables is what arrived.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hongyan import rehearsal
from hongyan.hub.connector import Feature, Outcome, Target
from hongyan.hub.connectors import ChannelKind, kind, kinds
from hongyan.hub.content import (
    Article,
    Articles,
    Audio,
    Button,
    Card,
    Content,
    Field,
    File,
    Form,
    Image,
    Input,
    Link,
    Location,
    Markdown,
    Media,
    Mention,
    Message,
    Option,
    Table,
    Text,
    Video,
)
from hongyan.hub.degrade import RULES
from hongyan.rehearsal import Account, Props, Scene, Stage

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
PAGES = {"en": FOLDER / "channels.md", "zh": FOLDER / "channels.zh-CN.md"}

X = "https://www.example.com/"
PICTURE = Media(file="f1", name="chart.png", type="image/png")
EVERYTHING = """\
# Deploy
**bold** *italic* ~~strike~~ `code` [link](https://www.example.com/)

> quote

- one
- two

```python
print("hello")
```

| host | load |
|---|---|
| db-1 | 0.7 |

---
"""
BUTTONS = (Button("Open", url=X), Button("Approve", id="approve", style="primary"))


class Case(NamedTuple):
    """A row of the tables: its names in English and Chinese, and a message."""

    en: str
    zh: str
    message: Message


def case(en: str, zh: str, content: Content, **more: object) -> Case:
    return Case(en, zh, Message(content, **more))  # type: ignore[arg-type]


CASES = (
    case("text", "文本", Text("The disk of db-1 is full.")),
    case("text, 30,000 characters", "文本，3 万字", Text("A line of thirty characters.\n\n" * 1000)),
    case("text with a mention", "文本并提醒某人", Text("Please look."), mentions=(Mention(user="USER", name="Tom"),)),
    case("text in a thread", "话题内的文本", Text("It is back."), thread="THREAD"),
    case("Markdown with all its marks", "Markdown，含全部标记", Markdown(EVERYTHING, "Deploy", "warning")),
    case(
        "Markdown, 20,000 characters",
        "Markdown，2 万字",
        Markdown("**Line** of some forty characters in all.\n\n" * 490),
    ),
    case("picture without words, uploaded", "上传的图片，不带文字", Image(PICTURE)),
    case("picture with words, uploaded", "上传的图片，带文字", Image(PICTURE, "load")),
    case(
        "picture with words, at an address",
        "网址图片，带文字",
        Image(Media(url=X + "chart.png", type="image/png"), "load"),
    ),
    case("file", "文件", File(Media(file="f2", name="report.pdf", type="application/pdf"))),
    case("sound (AMR)", "语音（AMR）", Audio(Media(file="f3", name="voice.amr", type="audio/amr", seconds=5))),
    case("sound (Opus)", "语音（Opus）", Audio(Media(file="f4", name="voice.opus", type="audio/ogg", seconds=5))),
    case(
        "video",
        "视频",
        Video(Media(file="f5", name="demo.mp4", type="video/mp4", seconds=9), "Demo", "How it works", PICTURE),
    ),
    case("link", "链接", Link("Release notes", X, "What is new", Media(url=X + "cover.png"))),
    case("location", "位置", Location(39.9163, 116.3972, "故宫博物院", "北京市东城区景山前街4号")),
    case(
        "list of articles",
        "图文列表",
        Articles(tuple(Article(f"News {n}", f"{X}{n}", "Read on", Media(url=X + "cover.png")) for n in range(1, 4))),
    ),
    case("10 articles", "10 条图文", Articles(tuple(Article(f"News {n}", f"{X}{n}") for n in range(1, 11)))),
    case("table", "表格", Table(("host", "load"), (("db-1", "0.7"), ("db-2", "0.4")), "Load")),
    case(
        "card with fields",
        "卡片，含字段",
        Card(
            "Disk full",
            "The disk of **db-1** is full.",
            "error",
            fields=(Field("Host", "db-1", True), Field("Use", "97 %", True)),
            url=X,
            footer="watcher",
        ),
    ),
    case("card that opens an address", "卡片，含跳转按钮", Card("Approve?", "By Tom", buttons=BUTTONS[:1])),
    case("card with buttons that tell the app", "卡片，含回调按钮", Card("Approve?", "By Tom", buttons=BUTTONS)),
    case(
        "card with 10 buttons",
        "卡片，含 10 个按钮",
        Card("Choose", buttons=tuple(Button(f"No. {n}", url=f"{X}{n}") for n in range(1, 11))),
    ),
    case(
        "card with a form",
        "卡片，含表单",
        Card(
            "Leave",
            form=Form(
                "ask",
                (
                    Input("why", "Why?", "lines"),
                    Input("kind", "Kind", "select", (Option("a", "A"), Option("b", "B"))),
                    Input("from", "From", "date"),
                ),
                "Ask",
            ),
        ),
    ),
)

PLATFORMS = {
    "dingtalk": ("DingTalk", "钉钉"),
    "wecom": ("WeCom", "企业微信"),
    "feishu": ("Feishu / Lark", "飞书"),
    "slack": ("Slack", "Slack"),
}
WHOM = {
    "here": ("its group", "所在的群"),
    "group": ("group", "群"),
    "user": ("person", "个人"),
    "department": ("department", "部门"),
}
FEATURES = {
    Feature.RECALL: ("recall", "撤回"),
    Feature.UPDATE: ("change", "修改"),
    Feature.STATUS: ("status", "状态"),
    Feature.RECEIVE: ("receives", "接收"),
    Feature.LOOK_UP: ("finds people", "查找用户"),
    Feature.ONCE: ("once", "去重"),
}
TEXTS = {
    "en": {
        "head": """\
# What channels make of messages

[中文](channels.zh-CN.md)

A message says the same everywhere; what a platform cannot show is rewritten, and the result of the message notes by
which [rules](#rules). `make docs` writes this page: each message was sent by the real connectors to the
[sandbox](../howto/sandbox.md), and a cell names the platform's own type of what arrived there (× how many messages),
with a plus between types, then the rules. No rule: the platform shows all of it.
""",
        "kinds": "## Kinds of channels\n\nRobots and webhooks have no other target than their own group or server.\n",
        "kind": "kind",
        "targets": "sends to",
        "own": "its own",
        "message": "message",
        "refused": "refused",
        "rules": "## Rules\n\n| rule | what it does |\n|---|---|\n",
        "once": """
*change*: what was sent can be said differently. *status*: the platform tells who has received or read it. *receives*:
what people write and press there is heard. *finds people*: by mail address or mobile number. *once*: the platform takes
a message that comes again by a retry only once. What `webhook` and `email` send is said
[elsewhere](../howto/mail-and-http.md); `hongyan` writes to the app's own clients.
""",
    },
    "zh": {
        "head": """\
# 各类渠道如何呈现消息

[English](channels.md)

同一条消息在各平台表达同样的内容；平台无法呈现的部分会被改写，消息结果会注明所用的[规则](#规则)。本页由
`make docs` 生成：每条消息都由真实的连接器发送到[沙箱](../howto/sandbox.zh-CN.md)，单元格中为平台收到的消息类型
（× 条数，多种类型以加号相连）及所用规则。没有规则表示平台完整呈现。
""",
        "kinds": "## 渠道类型\n\n机器人和 webhook 只能发送到自己的群或服务器。\n",
        "kind": "类型",
        "targets": "可发送给",
        "own": "自己的",
        "message": "消息",
        "refused": "拒绝",
        "rules": "## 规则\n\n| 规则 | 含义 |\n|---|---|\n",
        "once": """
*修改*：可以修改已发送的内容。*状态*：平台告知谁已收到或已读。*接收*：能收到用户在那边的发言和点击。*查找用户*：按邮箱或手机号
查找。*去重*：重试时平台只接收一次。`webhook` 和 `email` 发送的内容见[另一页](../howto/mail-and-http.zh-CN.md)；
`hongyan` 发给应用自己的 client。
""",
    },
}


class Column(NamedTuple):
    account: Account
    target: Target


class Found(NamedTuple):
    """What the tables are made of."""

    columns: Mapping[str, Sequence[Column]]
    cells: Mapping[tuple[str, str, str], Scene]
    features: Mapping[str, frozenset[Feature]]


async def find() -> Found:
    """Send everything to everybody. Each row has a sandbox of its own, as rates are tried there, too."""
    columns: dict[str, list[Column]] = {name: [] for name in PLATFORMS}
    cells: dict[tuple[str, str, str], Scene] = {}
    features: dict[str, frozenset[Feature]] = {}
    for row in CASES:
        async with rehearsal.stage(Props(), lambda key, id: f"{X}act/{key}/{id}") as stage:
            for account in stage.accounts:
                features[account.kind] = stage.connector(account).features
                for target in account.targets:
                    column = Column(account, target)
                    if row is CASES[0]:
                        columns[_kind(account.kind).platform].append(column)
                    cells[row.en, account.kind, target.kind] = await _scene(stage, column, row.message)
    return Found(columns, cells, features)


def _kind(name: str) -> ChannelKind:
    found = kind(name)
    assert found is not None
    return found


async def _scene(stage: Stage, column: Column, message: Message) -> Scene:
    """With a real person mentioned, and a real message to answer."""
    account, target = column
    if message.mentions:
        people = [each.id for each in account.targets if each.kind == "user"] or ["zhangsan"]
        message = Message(message.content, (Mention(user=people[0], name="Tom"),))
    if message.thread:
        connector = stage.connector(account)
        first = await connector.send(Message(Text("It is gone.")), [target], key="first")
        seen = len(stage.sandbox.board.all())
        thread = first.results[0].receipt
        sent = await connector.send(message, [target], key="second", thread=thread)
        result = sent.results[0]
        return Scene(account.kind, target, result.outcome, result.reason, stage.sandbox.board.all()[seen:], sent.notes)
    return await stage.show(account, target, message)


def _cell(scene: Scene, language: str) -> str:
    if scene.outcome is not Outcome.OK:
        return f"{TEXTS[language]['refused']}: {scene.reason}".replace("|", "\\|")
    types = [shown.kind for shown in scene.shown]
    counted = [
        f"`{type_}`" + (f" ×{types.count(type_)}" if types.count(type_) > 1 else "") for type_ in dict.fromkeys(types)
    ]
    rules = list(dict.fromkeys(note.rule for note in scene.notes))
    return "<br>".join([" + ".join(counted), *rules])


def render(found: Found, language: str) -> str:
    """The whole page in `en` or `zh`."""
    place, texts = ("en", "zh").index(language), TEXTS[language]
    parts = [texts["head"], _kinds(found, language), texts["once"]]
    for platform, columns in found.columns.items():
        if not columns:
            continue
        heads = [f"`{column.account.kind}`<br>→ {WHOM[column.target.kind][place]}" for column in columns]
        rows = [
            [row[place]]
            + [_cell(found.cells[row.en, account.kind, target.kind], language) for account, target in columns]
            for row in CASES
        ]
        parts.append(f"\n## {PLATFORMS[platform][place]}\n\n{_table([texts['message'], *heads], rows)}")
    rules = "".join(f"| `{rule}` | {words[place]} |\n" for rule, words in sorted(RULES.items()))
    return "".join([*parts, "\n" + texts["rules"], rules])


def _kinds(found: Found, language: str) -> str:
    place, texts = ("en", "zh").index(language), TEXTS[language]
    rows = []
    for name, known in kinds().items():
        features = found.features.get(name, known.features)
        targets = ", ".join(sorted(f"`{each}`" for each in known.targets)) or texts["own"]
        rows.append([f"`{name}`", targets, *("✓" if each in features else "" for each in FEATURES)])
    heads = [texts["kind"], texts["targets"], *(words[place] for words in FEATURES.values())]
    return f"\n{texts['kinds']}\n{_table(heads, rows)}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(re.sub(r"\s+", " ", cell) for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    everything = asyncio.run(find())
    for language, page in PAGES.items():
        page.write_text(render(everything, language), encoding="utf-8")
