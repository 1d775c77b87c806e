"""What WeCom's errors mean, and what becomes of a try that gets no good answer."""

from typing import Any

import pytest

from hongyan.hub.connector import Outcome, Problem, Target
from hongyan.hub.connectors.wecom import api as calls
from hongyan.hub.connectors.wecom.app import App
from hongyan.hub.connectors.wecom.errors import judge
from hongyan.hub.connectors.wecom.robot import Robot
from hongyan.hub.content import Image, Message, Text
from hongyan.hub.http import Answer
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.wecom import WeCom, tokens
from tests.hub.wecom.sending import GROUP, ZHANG, arrived, say, tell
from tests.support.hub import Clock, Files

#: Connectors reference 3.5, row by row.
CODES = {
    Outcome.TRANSIENT: [-1, 6000],
    Outcome.THROTTLED: [45009, 45033],
    Outcome.BAD_CREDENTIAL: [
        *[40014, 42001, 41001, 42009],
        *[40001, 40013, 40091, 41002, 41004, 41011, 40056, 301002, 48002, 50003, 301007],
        *[60020, 301042, 93000, 93004, 93008, 42015, 40057],
    ],
    Outcome.BAD_RECIPIENT: [
        *[40003, 40031, 40032, 40050, 40066, 40068, 46004, 50002, 60011, 60111, 81012, 81013, 82001, 82002, 82003],
        *[86001, 86003, 86006, 86007, 86008, 86216, 86217, 86220],
    ],
    Outcome.BAD_CONTENT: [
        *[40004, 40005, 40006, 40007, 40008, 40009, 40011, 40033, 40039, 40058, 40063, 40123, 41006, 41016, 41033],
        *[44001, 44004, 45001, 45002, 45007, 45008, 45032, 85002, 90200, 90204, 90208, 42014, 42017],
    ],
    Outcome.UNKNOWN: [1, 47001, 99999],
}


def answer(json: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, b"", json)


@pytest.mark.parametrize(("outcome", "code"), [(outcome, code) for outcome, codes in CODES.items() for code in codes])
def test_each_code(outcome: Outcome, code: int) -> None:
    text = (
        "no good, hint: [160_22_ab], from ip: 10.1.2.3, more info at https://open.work.weixin.qq.com/devtool/query?e=1"
    )
    with pytest.raises(Problem) as caught:
        judge(answer({"errcode": code, "errmsg": text}))
    assert (caught.value.outcome, caught.value.code) == (outcome, str(code))
    assert caught.value.reason == f"no good, hint: [160_22_ab], from ip: 10.1.2.3 ({code})"
    assert caught.value.everybody == (outcome in (Outcome.BAD_CREDENTIAL, Outcome.THROTTLED))


def test_a_warning_is_a_success() -> None:
    assert judge(answer({"errcode": 0, "errmsg": "Warning: wrong json format. ok"}))["errcode"] == 0


def test_a_secret_in_an_error_is_hidden() -> None:
    with pytest.raises(Problem, match=r"^invalid … \(40001\)$"):
        judge(answer({"errcode": 40001, "errmsg": "invalid S3CRET"}), ("S3CRET", ""))


@pytest.mark.parametrize("body", [None, {}, {"code": 0}, {"errcode": "0"}, {"errmsg": "ok"}])
def test_an_answer_that_can_not_be_read_is_no_success(body: Any) -> None:
    with pytest.raises(Problem) as caught:
        judge(answer(body))
    assert caught.value.outcome is Outcome.UNKNOWN


def test_statuses_that_wecom_does_not_use() -> None:
    for status, outcome, after in ((429, Outcome.THROTTLED, 7.0), (502, Outcome.TRANSIENT, None)):
        with pytest.raises(Problem) as caught:
            judge(answer(None, status, **{"retry-after": "7"}))
        assert (caught.value.outcome, caught.value.after) == (outcome, after)


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("throttled", Outcome.THROTTLED),
        ("error", Outcome.TRANSIENT),
        ("garbage", Outcome.UNKNOWN),
        ("closed", Outcome.UNKNOWN),
        ("refused", Outcome.BAD_CONTENT),
    ],
)
async def test_faults(robot: Robot, app: App, sandbox: Sandbox, wecom: WeCom, what: Any, outcome: Outcome) -> None:
    sandbox.faults.add("wecom", what, 1, "/cgi-bin/webhook/send")
    with pytest.raises(Problem) as caught:
        await say(robot, Text("x"))
    assert caught.value.outcome is outcome
    sandbox.faults.add("wecom", what, 1, "/cgi-bin/message/send")
    sent = await app.send(Message(Text("x")), [ZHANG], key="k")
    assert sent.results[0].outcome is outcome
    assert sent.results[0].once
    assert arrived(wecom) == []


async def test_what_wecom_does_not_take_once_is_said_to_be_so(app: App, sandbox: Sandbox) -> None:
    """It has nothing against doubles in groups, nor where another message has just said the same."""
    sandbox.faults.add("wecom", "closed", 1, "/cgi-bin/appchat/send")
    [result] = (await app.send(Message(Text("x")), [GROUP], key="k")).results
    assert (result.outcome, result.once) == (Outcome.UNKNOWN, False)
    await app.send(Message(Text("same")), [ZHANG], key="k1")
    sandbox.faults.add("wecom", "closed", 1, "/cgi-bin/message/send")
    [result] = (await app.send(Message(Text("same")), [ZHANG], key="k2")).results
    assert (result.outcome, result.once) == (Outcome.UNKNOWN, False)


@pytest.mark.parametrize("path", ["/cgi-bin/media/upload", "/cgi-bin/user/getuserid"])
async def test_what_tells_nobody_anything_may_be_tried_again(
    app: App, sandbox: Sandbox, files: Files, path: str
) -> None:
    sandbox.faults.add("wecom", "closed", 1, path)
    to = Target("mobile", "13800000001") if path.endswith("getuserid") else GROUP
    try:
        outcome = (await app.send(Message(Image(files.add())), [to], key="k")).results[0].outcome
    except Problem as problem:
        outcome = problem.outcome
    assert outcome is Outcome.TRANSIENT


async def test_no_answer_is_unknown(robot: Robot, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.faults.add("wecom", "silence", 1)
    call = robot._http.call

    async def impatient(*given: Any, **options: Any) -> Answer:
        return await call(*given, **{**options, "timeout": 0.05})

    monkeypatch.setattr(robot._http, "call", impatient)
    with pytest.raises(Problem) as caught:
        await say(robot, Text("x"))
    assert caught.value.outcome is Outcome.UNKNOWN


async def test_a_throttled_robot_waits_for_the_window(
    robot: Robot, sandbox: Sandbox, wecom: WeCom, clock: Clock
) -> None:
    sandbox.faults.add("wecom", "throttled", 1)
    for _ in range(2):
        with pytest.raises(Problem) as caught:
            await say(robot, Text("x"))
        assert (caught.value.outcome, caught.value.after) == (Outcome.THROTTLED, 60)
    assert sandbox.faults.all() == []
    clock.advance(60)
    await say(robot, Text("x"))
    assert len(arrived(wecom)) == 1


async def test_calls_of_an_interface_are_paced_unverified(
    app: App, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand a minute is what people report."""
    assert (calls.CALLS_MINUTE, tokens.CALLS) == (9000, 10_000)
    monkeypatch.setattr(calls, "CALLS_MINUTE", 2)
    for number in range(2):
        await tell(app, Text(str(number)), key=str(number))
    result = (await app.send(Message(Text("2")), [ZHANG], key="2")).results[0]
    assert (result.outcome, result.after, result.everybody) == (Outcome.THROTTLED, 60, True)
    await app.look_up(Target("mobile", "13800000001"))  # another interface
    clock.advance(60)
    await tell(app, Text("2"), key="2")


async def test_an_interface_that_stays_blocked_is_left_alone_for_an_hour(
    app: App, sandbox: Sandbox, clock: Clock
) -> None:
    sandbox.faults.add("wecom", "throttled", 2, "/cgi-bin/message/send")
    waits = []
    for _ in range(2):
        sent = await app.send(Message(Text("x")), [ZHANG], key="k")
        waits.append(sent.results[0].after)
        clock.advance(61)
    assert waits == [60, 3600]
    assert (await app.send(Message(Text("x")), [ZHANG], key="k")).results[0].outcome is Outcome.THROTTLED
