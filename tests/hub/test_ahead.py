"""Long texts are parsed in a thread, whatever kind of channel they go by: everybody else would wait meanwhile."""

import threading
from typing import Any

import pytest

from hongyan.hub import connectors, markdown
from hongyan.hub.connector import HERE, Target
from hongyan.hub.content import Button, Card, Content, Field, Markdown, Message, Table
from hongyan.hub.tries import send
from hongyan.sandbox.server import Sandbox
from tests.support.hub import Around

LONG = "a *b*\n\n" * 400
#: Whatever is needed to open one of each kind: what becomes of the message does not matter.
CREDENTIALS: dict[str, dict[str, Any]] = {
    "dingtalk_robot": {"access_token": "t"},
    "dingtalk": {"app_key": "k", "app_secret": "s"},
    "wecom_robot": {"key": "12345678"},
    "wecom": {"corp_id": "c", "secret": "s", "agent_id": 1},
    "feishu_robot": {"token": "t"},
    "feishu": {"app_id": "a", "app_secret": "s"},
    "slack_webhook": {"url": "https://hooks.slack.com/services/x"},
    "slack": {"bot_token": "xoxb-1"},
    "webhook": {"url": "https://hook.example/x", "template": "{{ text }}{{ markdown }}", "body": "text"},
    "email": {"host": "mail.example", "sender": "a@b.example", "base_url": "smtp://127.0.0.1:9"},
}
CONTENTS = {
    "markdown": Markdown(LONG, "T"),
    "card": Card(
        "T", LONG, fields=(Field("n", LONG),), buttons=(Button("b", id="b"), Button("o", "https://a.example"))
    ),
    "table": Table(("a", "b"), (("*1*", "2" * 200),) * 20, "T"),
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("kind", CREDENTIALS)
async def test_long_texts_are_parsed_in_threads(
    sandbox: Sandbox, around: Around, monkeypatch: pytest.MonkeyPatch, kind: str, content: Content
) -> None:
    here: list[int] = []
    parse, loop = markdown._parsed, threading.get_ident()

    def parsed(text: str) -> Any:
        if threading.get_ident() == loop:
            here.append(len(text))
        return parse(text)

    markdown._kept.cache_clear()
    monkeypatch.setattr(markdown, "_parsed", parsed)
    found = connectors.kind(kind)
    assert found is not None
    connector = found.open(found.credentials(**{"base_url": sandbox.origin, **CREDENTIALS[kind]}), around())
    target = Target("email", "b@b.example") if kind == "email" else Target("group", "g") if found.targets else HERE
    await send(connector, Message(content), [target], "k", None)
    await connector.close()
    assert max(here, default=0) <= markdown.LONG
