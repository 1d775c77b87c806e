"""The emulator of Feishu as Feishu's own SDKs see it, and its words for what it refuses."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError, web

from hongyan.sandbox.board import Shown
from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.feishu import Feishu
from hongyan.sandbox.feishu.world import APP_ID, APP_SECRET, ENCRYPT_KEY, VERIFICATION_TOKEN
from hongyan.sandbox.server import Sandbox
from tests.support.hub import PNG

NODE_MODULES = Path(__file__).parents[2] / "journeys" / "js" / "node_modules"
BUTTON = {
    "tag": "button",
    "text": {"tag": "plain_text", "content": "Go"},
    "behaviors": [{"type": "callback", "value": {"action": "go"}}],
}


@pytest.fixture
def platforms() -> list[str]:
    return ["feishu"]


@pytest.fixture
def feishu(sandbox: Sandbox) -> Feishu:
    found = sandbox.emulators["feishu"]
    assert isinstance(found, Feishu)
    return found


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    return path


class Ear:
    """An app's address that keeps what it was told as it came."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: list[dict[str, Any]] = []

    async def serve(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        self.heard.append({"headers": dict(request.headers), "body": body})
        return web.json_response({})


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    made = Ear()
    served = web.Application()
    served.router.add_post("/", made.serve)
    runner = web.AppRunner(served, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield made
    await runner.cleanup()


async def _call(sandbox: Sandbox, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        ClientSession() as session,
        session.request(method, sandbox.origin + path, json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json(), answer.headers


async def _token(sandbox: Sandbox) -> str:
    given = {"app_id": APP_ID, "app_secret": APP_SECRET}
    _, answer, _ = await _call(sandbox, "POST", "/open-apis/auth/v3/tenant_access_token/internal", given)
    return str(answer["tenant_access_token"])


async def test_lark_oapi(sandbox: Sandbox, feishu: Feishu, png: Path, ear: Ear) -> None:
    script = Path(__file__).with_name("python_sdk.py")
    arguments = [sandbox.origin, APP_ID, APP_SECRET, str(png), VERIFICATION_TOKEN, ENCRYPT_KEY]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert await _said(process) == {
        "text": [0, "oc_sandbox_ops", "app"],
        "same": True,
        "answer": [0, True, "omt_"],
        "card": [0, 0],
        "put": [0, '{"text": "changed"}'],
        "fetched": [0, PNG.hex()],
        "wrong_type": 230055,
        "urgent": ["ou_nobody"],
        "read": [0, [], False],
        "deleted": 0,
        "found": ["ou_sandbox_lisi", None],
        "chats": ["运维值班群", "研发交流群"],
        "batch": ["ou_nobody"],
        "nobody": [99992351, True, 400],
        "bad_card": [230099, True],
    }
    for each in await _requests(feishu, ear):
        process.stdin.write(json.dumps(each).encode() + b"\n")
    heard, answers = await _said(process)
    assert heard == ['{"text": "hi"}', {"action": "go"}]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert json.loads(answers[0][1]).keys() == {"challenge"}
    await feishu.connections.opened.wait()
    told = await feishu.tell(Inbound("text", "ou_sandbox_zhangsan", text="by the long connection"), "")
    assert told.status == 200
    assert await _said(process) == ["heard", '{"text": "by the long connection"}']
    feishu.connections.part_max = 100
    told = await feishu.tell(Inbound("text", "ou_sandbox_zhangsan", text="in many parts"), "")
    assert told.status == 200
    assert await _said(process) == ["heard", '{"text": "in many parts"}']
    told = await feishu.tell(Inbound("action", "ou_sandbox_zhangsan", on=_card_of(feishu).id, action="go"), "")
    assert (told.status, json.loads(told.body)["toast"]["content"]) == (200, "done")
    assert await _said(process) == ["pressed", {"action": "go"}]
    await process.communicate()


async def _said(process: asyncio.subprocess.Process) -> Any:
    """What it says next."""
    assert process.stdout
    async for line in process.stdout:
        if line.startswith(b'{"say"'):
            return json.loads(line)["say"]
    raise AssertionError((await process.communicate())[1].decode())


def _card_of(feishu: Feishu) -> Shown:
    """One with a button."""
    content = {"schema": "2.0", "body": {"elements": [BUTTON]}}
    return feishu.board.add("feishu", "app", "x", [], "interactive", content)


async def _requests(feishu: Feishu, ear: Ear) -> list[dict[str, Any]]:
    """The verification of an address, a text, and a press."""
    card = _card_of(feishu)
    await feishu.tell(Inbound("check", ""), ear.url)
    await feishu.tell(Inbound("text", "ou_sandbox_zhangsan", text="hi"), ear.url)
    await feishu.tell(Inbound("action", "ou_sandbox_zhangsan", on=card.id, action="go"), ear.url)
    return ear.heard


async def test_the_sdk_for_node(sandbox: Sandbox, feishu: Feishu, png: Path, ear: Ear) -> None:
    node = shutil.which("node")
    assert node, "no Node: run `make setup`"
    await feishu.tell(Inbound("text", "ou_sandbox_zhangsan", text="hi"), ear.url)
    headers = {name.lower(): value for name, value in ear.heard[0]["headers"].items()}
    given = json.dumps({"headers": headers, "body": ear.heard[0]["body"]})
    arguments = [sandbox.origin, APP_ID, APP_SECRET, str(png), ENCRYPT_KEY, VERIFICATION_TOKEN, given]
    process = await asyncio.create_subprocess_exec(
        node,
        str(Path(__file__).with_name("node_sdk.mjs")),
        f"{NODE_MODULES}/",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert json.loads(printed.decode().splitlines()[-1]) == {
        "text": 0,
        "chat": "oc_sandbox_ops",
        "card": 0,
        "wrong": 230001,
        "heard": ['{"text": "hi"}'],
    }


# its words


async def test_tokens_are_given_again_until_half_an_hour_is_left(sandbox: Sandbox, clock: Any) -> None:
    first = await _token(sandbox)
    clock.advance(5400)
    assert await _token(sandbox) == first
    clock.advance(1)
    second = await _token(sandbox)
    assert second != first
    for token in (first, second):  # both are good for a while
        assert (await _call(sandbox, "GET", "/open-apis/bot/v3/info", token=token))[1]["code"] == 0
    clock.advance(1799)
    assert (await _call(sandbox, "GET", "/open-apis/bot/v3/info", token=first))[1]["code"] == 99991677


async def test_a_token_is_asked_for_without_a_content_type(sandbox: Sandbox) -> None:
    async with (
        ClientSession(skip_auto_headers=("Content-Type",)) as session,
        session.post(
            f"{sandbox.origin}/open-apis/auth/v3/tenant_access_token/internal",
            data=json.dumps({"app_id": APP_ID, "app_secret": APP_SECRET}).encode(),
        ) as answer,
    ):
        assert (await answer.json())["code"] == 0


@pytest.mark.parametrize(
    ("given", "code"),
    [({}, 10003), ({"app_id": "x", "app_secret": "x"}, 10014), ({"app_id": APP_ID, "app_secret": "x"}, 10015)],
)
async def test_tokens_are_refused(sandbox: Sandbox, given: dict[str, str], code: int) -> None:
    _, answer, _ = await _call(sandbox, "POST", "/open-apis/auth/v3/tenant_access_token/internal", given)
    assert answer["code"] == code


@pytest.mark.parametrize(("token", "code"), [("", 99991661), ("t-nobody", 99991663)])
async def test_calls_without_a_good_token(sandbox: Sandbox, token: str, code: int) -> None:
    status, answer, headers = await _call(sandbox, "GET", "/open-apis/bot/v3/info", token=token)
    assert (status, answer["code"]) == (400, code)
    assert answer["error"]["log_id"] == headers["X-Tt-Logid"]


async def test_too_many_messages_to_one_group(sandbox: Sandbox, clock: Any) -> None:
    token = await _token(sandbox)
    path = "/open-apis/im/v1/messages?receive_id_type=chat_id"
    body = {"receive_id": "oc_sandbox_ops", "msg_type": "text", "content": '{"text":"x"}'}
    answers = [await _call(sandbox, "POST", path, body, token) for _ in range(6)]
    assert [answer["code"] for _, answer, _ in answers] == [0] * 5 + [230020]
    for number in range(44):
        await _call(
            sandbox, "POST", path, {**body, "receive_id": f"oc_sandbox_with_{('lisi', 'wangwu')[number % 2]}"}, token
        )
    status, answer, headers = await _call(sandbox, "POST", path, body, token)
    assert (status, answer["code"], headers["x-ogw-ratelimit-reset"]) == (429, 99991400, "1")
    clock.advance(2)
    assert (await _call(sandbox, "POST", path, body, token))[1]["code"] == 0


async def test_too_many_messages_of_a_robot(sandbox: Sandbox, clock: Any) -> None:
    path = "/open-apis/bot/v2/hook/sandbox-open"
    body = {"msg_type": "text", "content": {"text": "x"}}
    codes = []
    for _ in range(102):
        clock.advance(0.25)
        codes.append((await _call(sandbox, "POST", path, body))[1]["code"])
    assert codes == [0] * 100 + [11232] * 2
    clock.advance(60)
    answers = [await _call(sandbox, "POST", path, body) for _ in range(6)]
    assert [(status, answer["code"]) for status, answer, _ in answers[4:]] == [(200, 0), (400, 9499)]


@pytest.mark.parametrize("path", ["sandbox-open", "sandbox-open/"])
async def test_a_robot_answers_in_both_spellings(sandbox: Sandbox, path: str) -> None:
    body = {"msg_type": "share_chat", "content": {"share_chat_id": "oc_sandbox_dev"}}
    assert (await _call(sandbox, "POST", f"/open-apis/bot/v2/hook/{path}", body))[1] == {
        "StatusCode": 0,
        "StatusMessage": "success",
        "code": 0,
        "data": {},
        "msg": "success",
    }


@pytest.mark.parametrize(
    ("robot", "body", "status", "code"),
    [
        ("nobody", {"msg_type": "text", "content": {"text": "x"}}, 400, 19001),
        ("sandbox-signed", {"msg_type": "text", "content": {"text": "x"}}, 200, 19021),
        ("sandbox-elsewhere", {"msg_type": "text", "content": {"text": "x"}}, 200, 19022),
        ("sandbox-keyword", {"msg_type": "text", "content": {"text": "x"}}, 200, 19024),
        ("sandbox-open", {"msg_type": "other"}, 200, 19002),
        ("sandbox-open", {"msg_type": "text"}, 400, 9499),
        ("sandbox-open", {"msg_type": "text", "content": {"text": "x" * 21_000}}, 400, 9499),
        ("sandbox-open", [], 400, 9499),
    ],
)
async def test_what_a_robot_refuses(sandbox: Sandbox, robot: str, body: Any, status: int, code: int) -> None:
    given = await _call(sandbox, "POST", f"/open-apis/bot/v2/hook/{robot}", body)
    assert (given[0], given[1]["code"]) == (status, code)
    assert sandbox.board.all() == []


def _card(*elements: Any, **more: Any) -> dict[str, Any]:
    return {"schema": "2.0", "body": {"elements": list(elements)}, **more}


INPUT = {"tag": "input", "name": "a"}
SUBMIT = {**BUTTON, "name": "b", "form_action_type": "submit"}
TABLE = {"tag": "table", "columns": [{"name": "a"}], "rows": []}


@pytest.mark.parametrize(
    ("card", "inner"),
    [
        (_card({"tag": "note", "elements": []}), 200861),
        (_card({"tag": "action", "actions": []}), 200861),
        (_card({"tag": "markdown", "content": "x", "colour": "red"}), 200621),
        (_card({"tag": "markdown"}), 200621),
        (_card(*[{"tag": "hr"}] * 201), 11310),
        (_card(*[TABLE] * 6), 11310),
        (_card({"tag": "img", "img_key": "nobody", "alt": {}}), 200570),
        (_card({"tag": "markdown", "content": "![x](nobody)"}), 200570),
        (_card({"tag": "markdown", "content": "<at id=ou_nobody></at>"}), 100290),
        (_card({**TABLE, "rows": [{"b": "x"}]}), 200915),
        (_card({**TABLE, "rows": ["x"]}), 200914),
        (_card({**TABLE, "page_size": 11}), 200621),
        (_card({"tag": "form", "name": "f", "elements": [INPUT]}), 200621),
        (_card({"tag": "form", "name": "f", "elements": [{"tag": "input"}, SUBMIT]}), 200621),
        (_card({"tag": "form", "name": "f", "elements": [INPUT, INPUT, SUBMIT]}), 200621),
        (_card({"tag": "form", "name": "f", "elements": [TABLE, SUBMIT]}), 200621),
        (_card({"tag": "multi_select_static", "name": "m", "options": []}), 200621),
        (_card({**BUTTON, "text": {"tag": "plain_text", "content": "x" * 101}}), 200621),
        (_card(header={"template": "red"}), 200621),
        (_card(header={"title": {"tag": "plain_text", "content": "x"}, "template": "pink"}), 200621),
        (_card(config={"update_multi": False}), 200621),
        ({"schema": "2.0", "elements": []}, 200621),
        ({"type": "template", "data": {"template_id": "x"}}, 200380),
    ],
)
async def test_what_is_refused_in_a_card(sandbox: Sandbox, card: Any, inner: int) -> None:
    body = {"receive_id": "oc_sandbox_ops", "msg_type": "interactive", "content": json.dumps(card)}
    path = "/open-apis/im/v1/messages?receive_id_type=chat_id"
    status, answer, _ = await _call(sandbox, "POST", path, body, await _token(sandbox))
    assert (status, answer["code"]) == (400, 230099)
    assert f"ErrCode: {inner};" in answer["msg"]


@pytest.mark.parametrize(
    ("type_", "content", "code"),
    [
        ("text", "not json", 230001),
        ("text", {"text": " "}, 230001),
        ("text", {"text": "x" * 160_000}, 230025),
        ("post", {"post": {"zh_cn": {}}}, 230001),
        ("post", {"zh_cn": {"title": "", "content": [[{"tag": "other"}]]}}, 230001),
        ("post", {"zh_cn": {"title": "", "content": [[{"tag": "a", "text": "x", "href": "javascript:x"}]]}}, 230001),
        ("post", {"zh_cn": {"title": "", "content": [[{"tag": "img", "image_key": "nobody"}]]}}, 230001),
        ("image", {"image_key": "nobody"}, 230001),
        ("file", {"file_key": "nobody"}, 230001),
        ("interactive", {"elements": [{"tag": "markdown", "content": "x" * 31_000}]}, 230025),
        ("other", {}, 230001),
    ],
)
async def test_what_is_refused_in_a_message(sandbox: Sandbox, type_: str, content: Any, code: int) -> None:
    packed = content if isinstance(content, str) else json.dumps(content)
    body = {"receive_id": "oc_sandbox_ops", "msg_type": type_, "content": packed}
    path = "/open-apis/im/v1/messages?receive_id_type=chat_id"
    status, answer, _ = await _call(sandbox, "POST", path, body, await _token(sandbox))
    assert (status, answer["code"]) == (400, code)


async def test_cards_of_the_first_schema_are_shown(sandbox: Sandbox) -> None:
    card = {
        "elements": [{"tag": "div", "text": {"tag": "lark_md", "content": "**x**"}}, {"tag": "note", "elements": []}]
    }
    body = {"receive_id": "oc_sandbox_ops", "msg_type": "interactive", "content": json.dumps(card)}
    token = await _token(sandbox)
    _, answer, _ = await _call(sandbox, "POST", "/open-apis/im/v1/messages?receive_id_type=chat_id", body, token)
    assert answer["code"] == 0
    path = f"/open-apis/im/v1/messages/{answer['data']['message_id']}"
    _, changed, _ = await _call(sandbox, "PATCH", path, {"content": json.dumps(card)}, token)
    assert changed["code"] == 230099  # it is not shared: update_multi is missing


@pytest.mark.parametrize(
    ("inbound", "says"),
    [
        (Inbound("text", "nobody", text="x"), "nobody"),
        (Inbound("text", "ou_sandbox_lisi", chat="oc_nobody", text="x"), "group"),
        (Inbound("action", "ou_sandbox_lisi", on="om_nobody", action="x"), "card"),
        (Inbound("recalled", "ou_sandbox_lisi", on="om_nobody"), "message"),
        (Inbound("image", "ou_sandbox_lisi", value="img_nobody"), "picture"),
        (Inbound("other", "ou_sandbox_lisi"), "other"),
        (Inbound("text", "ou_sandbox_lisi", text="x"), "long connection"),
    ],
)
async def test_what_cannot_be_told(feishu: Feishu, inbound: Inbound, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        await feishu.tell(inbound, "")


async def test_the_long_connection_wants_the_apps_secret(sandbox: Sandbox) -> None:
    _, answer, _ = await _call(sandbox, "POST", "/callback/ws/endpoint", {"AppID": APP_ID, "AppSecret": "x"})
    assert answer["code"] == 1000040344


async def test_an_address_of_the_long_connection_is_good_once(sandbox: Sandbox, feishu: Feishu) -> None:
    asked = {"AppID": APP_ID, "AppSecret": APP_SECRET}
    _, answer, _ = await _call(sandbox, "POST", "/callback/ws/endpoint", asked)
    async with ClientSession() as session:
        async with session.ws_connect(answer["data"]["URL"]):
            await feishu.connections.connected()
        with pytest.raises(WSServerHandshakeError) as caught:
            await session.ws_connect(answer["data"]["URL"])
    assert caught.value.headers is not None
    assert caught.value.headers["handshake-status"] == "514"
