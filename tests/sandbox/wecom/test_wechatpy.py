"""The emulator as wechatpy 1.8.18 sees it, the library that Python programs use with WeCom.

It warns when it is imported, so that it runs in a process of its own.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.wecom import WeCom
from hongyan.sandbox.wecom.callback import seal, sign, xml
from hongyan.sandbox.wecom.world import AGENTS, CORP

DRIVER = Path(__file__).with_name("wechatpy_driver.py")


async def drive(sandbox: Sandbox, *steps: tuple[str, Any]) -> list[Any]:
    """What each call gave: its result, or `{"error": code}`."""
    asked = {"origin": sandbox.origin, "corp": CORP, "secret": AGENTS[0].secret, "steps": steps}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        str(DRIVER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(json.dumps(asked).encode())
    assert process.returncode == 0, err.decode()
    results: list[Any] = json.loads(out)
    return results


@pytest.fixture
def platforms() -> list[str]:
    return ["wecom"]


@pytest.fixture
def wecom(sandbox: Sandbox) -> WeCom:
    emulator = sandbox.emulators["wecom"]
    assert isinstance(emulator, WeCom)
    return emulator


async def test_messages_of_all_its_types(sandbox: Sandbox, wecom: WeCom) -> None:
    agent = AGENTS[0].id
    article = {"title": "题", "description": "说明", "url": "https://a.example", "image": "https://a.example/p.png"}
    uploaded = await drive(
        sandbox,
        ("media.upload", ["image", {"file": "a.png", "content": "89504e470d0a1a0a0000"}]),
        ("media.upload", ["voice", {"file": "a.amr", "content": b"#!AMR\n....".hex()}]),
        ("media.upload", ["video", {"file": "a.mp4", "content": b"\0\0\0\x18ftypmp42".hex()}]),
        ("media.upload", ["file", {"file": "a.txt", "content": b"some text".hex()}]),
    )
    image, voice, video, file = (each["media_id"] for each in uploaded)
    results = await drive(
        sandbox,
        ("message.send_text", [agent, ["ZhangSan", "lisi"], "你好"]),
        ("message.send_text_card", [agent, "lisi", "题", "说明", "https://a.example"]),
        ("message.send_image", [agent, "lisi", image]),
        ("message.send_voice", [agent, "lisi", voice]),
        ("message.send_video", [agent, "lisi", video, "题", "说明"]),
        ("message.send_file", [agent, "lisi", file]),
        ("message.send_articles", [agent, "lisi", [article]]),
        ("message.send_markdown", [agent, "lisi", "**x**", "2", "1"]),
    )
    assert [result["errcode"] for result in results] == [0] * 8
    assert len({result["msgid"] for result in results}) == 8
    shown = wecom.board.all()
    kinds = ["text", "textcard", "image", "voice", "video", "file", "news", "markdown"]
    assert [each.kind for each in shown] == kinds
    assert shown[0].to == ["ZhangSan", "lisi"]
    assert shown[-1].to == ["lisi", "ZhangSan", "wangwu"]
    assert wecom.tokens.requests == 2  # one for each process


async def test_who_is_not_reached(sandbox: Sandbox) -> None:
    agent = AGENTS[0].id
    partly, nobody, other = await drive(
        sandbox,
        ("message.send_text", [agent, ["LISI", "NoBody"], "x", "99"]),
        ("message.send_text", [agent, "NoBody", "x"]),
        ("message.send_text", [agent + 1, "lisi", "x"]),
    )
    assert (partly["errcode"], partly["invaliduser"], partly["invalidparty"]) == (0, "nobody", "99")
    assert (nobody, other) == ({"error": 81013}, {"error": 301002})


async def test_groups(sandbox: Sandbox, wecom: WeCom) -> None:
    made, sent, _, found, missing, again = await drive(
        sandbox,
        ("appchat.create", ["dev1", "研发", "lisi", ["lisi", "zhaoliu"]]),
        ("appchat.send_text", ["dev1", "大家好"]),
        ("appchat.update", ["dev1", None, None, ["wangwu"], ["zhaoliu"]]),
        ("appchat.get", ["dev1"]),
        ("appchat.send_text", ["none", "x"]),
        ("appchat.create", ["dev1", "研发", "lisi", ["lisi", "zhaoliu"]]),
    )
    assert (made["chatid"], sent["errcode"]) == ("dev1", 0)
    assert found == {"chatid": "dev1", "name": "研发", "owner": "lisi", "userlist": ["lisi", "wangwu"]}
    assert (missing, again) == ({"error": 86001}, {"error": 86216})
    assert [(each.to, each.extra["group"]) for each in wecom.board.all()] == [(["dev1"], "研发")]


async def test_people_and_pictures(sandbox: Sandbox) -> None:
    user, unknown, agent, picture = await drive(
        sandbox,
        ("user.get", ["lisi"]),
        ("user.get", ["nobody"]),
        ("agent.get", [AGENTS[0].id]),
        ("media.upload_img", [{"file": "a.png", "content": "89504e470d0a1a0a0000"}]),
    )
    assert (user["name"], unknown, agent["name"]) == ("李四", {"error": 60111}, "鸿雁通知")
    assert picture["url"].startswith(f"{sandbox.origin}/sandbox/media/")


async def test_it_takes_a_new_token_when_one_has_expired(sandbox: Sandbox, wecom: WeCom) -> None:
    sandbox.faults.add("wecom", "token_expired", 1, "/cgi-bin/message/send")
    [result] = await drive(sandbox, ("message.send_text", [AGENTS[0].id, "lisi", "x"]))
    assert result["errcode"] == 0
    assert wecom.tokens.requests == 2


async def test_it_decrypts_and_reads_callbacks(sandbox: Sandbox) -> None:
    agent = AGENTS[0]
    fields = {"ToUserName": CORP, "FromUserName": "lisi", "CreateTime": 1_700_000_000, "AgentID": agent.id}
    told = {**fields, "MsgType": "text", "Content": "重启 ]]> <b>", "MsgId": 42}
    event = {**fields, "MsgType": "event", "Event": "enter_agent", "EventKey": ""}
    keys = [agent.token, agent.aes_key]
    steps: list[tuple[str, Any]] = []
    for each in (told, event):
        sealed = seal(agent, xml(each))
        body = xml({"ToUserName": CORP, "AgentID": str(agent.id), "Encrypt": sealed}).decode()
        steps.append(("callback", [*keys, body, sign(agent, "1700000000", "n", sealed), "1700000000", "n"]))
    echo = seal(agent, b"4455667788")
    steps.append(("echo", [*keys, sign(agent, "1700000000", "n", echo), "1700000000", "n", echo]))
    assert await drive(sandbox, *steps) == [
        {"type": "text", "source": "lisi", "content": "重启 ]]> <b>", "id": 42, "agent": agent.id},
        {"type": "event", "source": "lisi", "event": "enter_agent", "agent": agent.id},
        "4455667788",
    ]
