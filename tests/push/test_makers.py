"""What is particular to the services of makers of Android devices."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from hongyan.engine.pushing import InvalidToken, Outcome, Pusher, Refused, RetryLater
from hongyan.push.meizu import sign
from tests.push.pushes import push
from tests.support.push.emulator import Emulator, Reply
from tests.support.push.makers import Meizu, Oppo, Vivo, Xiaomi
from tests.support.push.push_kits import Honor, Huawei

Start, Connect = Callable[[type[Emulator]], Any], Callable[..., Pusher]
MAKERS = [Huawei, Honor, Xiaomi, Oppo, Vivo, Meizu]


async def answered(start: Start, connect: Connect, kind: type[Emulator], reply: Reply) -> Outcome:
    """What becomes of a push that is answered so."""
    service: Emulator = await start(kind)
    service.deliver = lambda _request: reply  # type: ignore[method-assign]
    return await connect(service).send(push(), service.device)


def test_the_example_of_a_sign_that_meizu_gives() -> None:
    """Meizu's text has spaces where its form has none; the sign is of the form without."""
    form = {
        "appId": "10000",
        "pushIds": "RA50c6348036344485d01776773577c64740465480a6b",
        "messageJson": '{"title":"title","content":"content","pushTimeInfo":{"offLine":1,"validTime":24}}',
    }
    assert sign(form, "<APP_SECRET>") == "ac076ff25d9900015a681cb5172aa53b"


@pytest.mark.parametrize("kind", MAKERS)
async def test_a_push_without_a_title_has_that_of_the_app(kind: type[Emulator], start: Start, connect: Connect) -> None:
    service = await start(kind)
    await connect(service).send(push({"alert": "Hi"}), service.device)
    await connect(service, title="新消息").send(push({"alert": "Hi"}), service.device)
    assert service.shown == [("New message", "Hi"), ("新消息", "Hi")]


@pytest.mark.parametrize(
    ("code", "text", "status", "expected"),
    [
        ("80300007", "all", 200, InvalidToken("all")),
        ("80100000", None, 200, InvalidToken),
        ("80100000", '{"illegal_tokens":["another"]}', 200, Refused),
        ("80100000", "not JSON", 200, Refused),
        ("80300002", "no right", 200, Refused("80300002", "no right")),
        ("80300008", "too long", 200, Refused("80300008", "too long")),
        ("81000001", "inner", 200, RetryLater(None, "81000001 inner")),
        ("80600003", "oauth", 200, RetryLater(None, "80600003 oauth")),
        ("80300010", "slow", 503, RetryLater(None, "80300010 slow")),
    ],
)
async def test_huaweis_codes(
    code: str, text: str | None, status: int, expected: Any, start: Start, connect: Connect
) -> None:
    if text is None:
        text = json.dumps({"success": 0, "failure": 1, "illegal_tokens": [Huawei.device.token]})
    reply = Reply(status, {"code": code, "msg": text, "requestId": "1"})
    outcome = await answered(start, connect, Huawei, reply)
    assert outcome == expected if not isinstance(expected, type) else isinstance(outcome, expected)
    assert Huawei.device.token not in repr(outcome)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": 200, "data": {"sendResult": True, "expireTokens": [Honor.device.token]}}, InvalidToken("expired")),
        ({"code": 200, "data": {"sendResult": False}}, Refused("200", "")),
        ({"code": 200, "data": {"sendResult": True, "failTokens": [Honor.device.token]}}, Refused("200", "")),
        ({"code": 80300005, "message": "no"}, Refused("80300005", "no")),
        ({"code": 503, "message": "later"}, RetryLater(None, "503 later")),
    ],
)
async def test_honors_codes(body: Any, expected: Any, start: Start, connect: Connect) -> None:
    assert await answered(start, connect, Honor, Reply(200, body)) == expected


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (20301, "Invalid regId", InvalidToken("Invalid regId")),
        (20301, "nobody to send to", Refused("20301", "nobody to send to")),
        (200001, "quota", RetryLater(None, "200001 quota")),
        (10022, "slow", RetryLater(None, "10022 slow")),
        (21301, "auth", Refused("21301", "auth")),
        (0, "but no result", Refused("0", "but no result")),
    ],
)
async def test_xiaomis_codes(code: int, reason: str, expected: Any, start: Start, connect: Connect) -> None:
    reply = Reply(200, {"result": "error", "code": code, "reason": reason})
    assert await answered(start, connect, Xiaomi, reply) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (10000, InvalidToken("text")),
        (-1, RetryLater(None, "-1 text")),
        (33, RetryLater(None, "33 text")),
        (55, RetryLater(None, "55 text")),
        (30, Refused("30", "text")),
    ],
)
async def test_oppos_codes(code: int, expected: Any, start: Start, connect: Connect) -> None:
    assert await answered(start, connect, Oppo, Reply(200, {"code": code, "message": "text"})) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"result": 10302, "desc": "text"}, InvalidToken("text")),
        ({"result": 0, "desc": "", "invalidUser": {"userid": "1", "status": 2}}, InvalidToken("")),
        ({"result": 10070, "desc": "text"}, RetryLater(3_600, "10070 text")),
        ({"result": 10071, "desc": "text"}, RetryLater(None, "10071 text")),
        ({"result": 10104, "desc": "text"}, Refused("10104", "text")),
    ],
)
async def test_vivos_codes(body: Any, expected: Any, start: Start, connect: Connect) -> None:
    assert await answered(start, connect, Vivo, Reply(200, body)) == expected


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("200", {"110003": [Meizu.device.token]}, InvalidToken("110003")),
        ("200", {"110010": [Meizu.device.token]}, InvalidToken("110010")),
        ("200", {"519": [Meizu.device.token]}, RetryLater(None, "519")),
        ("200", {"201": [Meizu.device.token]}, Refused("201", "not sent to this device")),
        ("110010", "", RetryLater(None, "110010 text")),
        ("110009", "", Refused("110009", "text")),
    ],
)
async def test_meizus_codes(code: str, value: Any, expected: Any, start: Start, connect: Connect) -> None:
    reply = Reply(200, {"code": code, "message": "text", "value": value})
    assert await answered(start, connect, Meizu, reply) == expected


async def test_what_goes_wrong_with_the_token_is_no_fault_of_the_device(start: Start, connect: Connect) -> None:
    """OPPO's and vivo's codes of one number mean different things there."""
    for kind, body in ((Oppo, {"code": 10000, "message": "x"}), (Vivo, {"result": 10302, "desc": "x"})):
        service: Emulator = await start(kind)
        service.authenticate = lambda _request, body=body: Reply(200, body)  # type: ignore[method-assign]
        outcome = await connect(service).send(push(), service.device)
        assert isinstance(outcome, Refused)


async def test_repeats_can_be_told(start: Start, connect: Connect) -> None:
    """The service is told the same id each time, and another for another push."""
    names = {Xiaomi: "extra.jobkey", Oppo: "app_message_id", Vivo: "requestId"}
    for kind, name in names.items():
        service = await start(kind)
        pusher, one = connect(service), push()
        for each in (one, one, push()):
            await pusher.send(each, service.device)
        first, again, other = (message[name] for message in service.delivered)
        assert first == again != other
