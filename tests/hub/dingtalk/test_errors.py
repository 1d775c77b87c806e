"""Every row of the tables of errors (connectors reference 2.5), by code and by text."""

import json
from typing import Any

import pytest

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.connectors.dingtalk.errors import Expired, legacy_answer, robot_answer, v1_answer
from hongyan.hub.http import Answer

THROTTLED, TRANSIENT, UNKNOWN = Outcome.THROTTLED, Outcome.TRANSIENT, Outcome.UNKNOWN
BAD_CREDENTIAL, BAD_RECIPIENT, BAD_CONTENT = Outcome.BAD_CREDENTIAL, Outcome.BAD_RECIPIENT, Outcome.BAD_CONTENT
LINK = "link:请参考本接口对应文档获得具体要求;"


def answer(body: dict[str, Any] | None, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, b"" if body is None else json.dumps(body).encode(), body)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"errcode": -1, "errmsg": "系统繁忙"}, TRANSIENT),
        ({"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}, THROTTLED),
        ({"errcode": 410100, "errmsg": "发送速度太快而限流"}, THROTTLED),
        ({"errcode": 999, "errmsg": "发送速度太快而限流"}, THROTTLED),
        ({"errcode": 310000, "errmsg": "send too fast"}, THROTTLED),
        ({"status": 1111, "punish": "deny", "wait": 5, "source": "x5", "uuid": "u"}, THROTTLED),
        ({"errcode": 310000, "errmsg": "keywords not in content, more: [https://ding-doc.example]"}, BAD_CONTENT),
        ({"errcode": 310000, "errmsg": f"description:关键词不匹配;solution:请联系群管理员;{LINK}"}, BAD_CONTENT),
        ({"errcode": 310000, "errmsg": "sign not match, more: [https://ding-doc.example]"}, BAD_CREDENTIAL),
        ({"errcode": 310000, "errmsg": f"description:机器人发送签名不匹配;solution:时间戳;{LINK}"}, BAD_CREDENTIAL),
        ({"errcode": 310000, "errmsg": "invalid timestamp, more: [https://ding-doc.example]"}, BAD_CREDENTIAL),
        ({"errcode": 310000, "errmsg": f"description:机器人发送签名过期;solution:时间;{LINK}"}, BAD_CREDENTIAL),
        ({"errcode": 310000, "errmsg": "ip 203.0.113.9 not in whitelist"}, BAD_CREDENTIAL),
        ({"errcode": 310000, "errmsg": "something new"}, BAD_CREDENTIAL),
        ({"errcode": 300001, "errmsg": "token is not exist"}, BAD_CREDENTIAL),
        ({"errcode": 300005, "errmsg": "token is not exist"}, BAD_CREDENTIAL),
        ({"errcode": 400101, "errmsg": "access_token不存在"}, BAD_CREDENTIAL),
        ({"errcode": 400102, "errmsg": "机器人已停用"}, BAD_CREDENTIAL),
        ({"errcode": 400013, "errmsg": "群已被解散"}, BAD_RECIPIENT),
        ({"errcode": 400106, "errmsg": "机器人不存在"}, BAD_RECIPIENT),
        ({"errcode": 400105, "errmsg": "不支持的消息类型"}, BAD_CONTENT),
        ({"errcode": 430101, "errmsg": "含有不合适链接"}, BAD_CONTENT),
        ({"errcode": 430102, "errmsg": "含有不合适文本"}, BAD_CONTENT),
        ({"errcode": 430103, "errmsg": "含有不合适图片"}, BAD_CONTENT),
        ({"errcode": 430104, "errmsg": "含有不合适内容"}, BAD_CONTENT),
        ({"errcode": 460101, "errmsg": "message too long, exceed 20000 bytes"}, BAD_CONTENT),
        ({"errcode": 40035, "errmsg": "缺少参数 json"}, BAD_CONTENT),
        ({"errcode": 40035, "errmsg": "缺少参数 access_token"}, BAD_CREDENTIAL),
        ({"errcode": 43002, "errmsg": "require POST http method"}, BAD_CONTENT),
        ({"errcode": 43004, "errmsg": "无效的HTTP HEADER Content-Type"}, BAD_CONTENT),
        ({"errcode": "400105", "errmsg": "不支持的消息类型"}, BAD_CONTENT),
        ({"errcode": 777777, "errmsg": "?"}, UNKNOWN),
        ({"errcode": None}, UNKNOWN),
        ({"errmsg": "ok"}, UNKNOWN),
        ({"ok": True}, UNKNOWN),
        (None, UNKNOWN),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_robot(body: dict[str, Any] | None, outcome: Outcome) -> None:
    problem = raised(robot_answer, answer(body))
    assert problem.outcome is outcome
    if outcome in (THROTTLED, TRANSIENT, BAD_CREDENTIAL):
        assert problem.everybody


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("keywords not in content", "keywords"),
        ("sign not match", "secret"),
        ("invalid timestamp", "clock"),
        ("ip 1.2.3.4 not in whitelist", "address"),
        ("description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中;", "secret"),
    ],
)
def test_what_310000_means_is_told(text: str, word: str) -> None:
    assert word in raised(robot_answer, answer({"errcode": 310000, "errmsg": text})).advice


@pytest.mark.parametrize("code", [302033, 90030])
def test_a_robot_throttled_unverified(code: int) -> None:
    assert raised(robot_answer, answer({"errcode": code, "errmsg": "?"})).outcome is THROTTLED


@pytest.mark.parametrize("body", [{"errcode": 0, "errmsg": "ok"}, {"errcode": "0", "errmsg": "too fast? no"}])
def test_a_robot_is_content(body: dict[str, Any]) -> None:
    robot_answer(answer(body))


@pytest.mark.parametrize(
    ("wait", "after"), [(5, 5.0), (0, 60.0), ("x", 60.0), (10**9, 600.0)], ids=["some", "none", "text", "far"]
)
def test_the_page_of_the_gateway_says_how_long_inferred(wait: object, after: float) -> None:
    assert raised(robot_answer, answer({"status": 1111, "punish": "deny", "wait": wait})).after == after


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"errcode": -1, "errmsg": "系统繁忙"}, TRANSIENT),
        ({"errcode": 88, "sub_code": "60011", "sub_msg": "没有调用该接口的权限"}, BAD_CREDENTIAL),
        ({"errcode": 88, "errmsg": "ding talk error[subcode=60011,submsg=没有权限]"}, BAD_CREDENTIAL),
        ({"errcode": 88, "sub_code": "isv.60011"}, BAD_CREDENTIAL),
        ({"errcode": 90002, "errmsg": "调用频率"}, THROTTLED),
        ({"errcode": 4242, "errmsg": "您的调用过于频繁"}, THROTTLED),
        ({"errcode": 90020, "errmsg": "本月配额已用完"}, BAD_CREDENTIAL),
        ({"errcode": 33001, "errmsg": "无效的企业ID"}, BAD_CREDENTIAL),
        ({"errcode": 33012, "errmsg": "无效的任务"}, BAD_RECIPIENT),
        ({"errcode": 22, "errmsg": "不存在的方法名"}, BAD_CONTENT),
        ({"errcode": 4243, "errmsg": "?"}, UNKNOWN),
        ({}, UNKNOWN),
        (None, UNKNOWN),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_older_interfaces(body: dict[str, Any] | None, outcome: Outcome) -> None:
    problem = raised(legacy_answer, answer(body))
    assert (problem.outcome, isinstance(problem, Expired)) == (outcome, False)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (40001, BAD_CREDENTIAL),
        (40089, BAD_CREDENTIAL),
        (40078, BAD_CREDENTIAL),
        (60020, BAD_CREDENTIAL),
        (90006, THROTTLED),
        (90018, THROTTLED),
        (60121, BAD_RECIPIENT),
    ],
)
def test_the_older_interfaces_unverified(code: int, outcome: Outcome) -> None:
    assert raised(legacy_answer, answer({"errcode": code, "errmsg": "?"})).outcome is outcome


@pytest.mark.parametrize(
    "body",
    [
        {"errcode": 33, "errmsg": "access_token已过期"},
        {"errcode": 42001, "errmsg": "access_token超时"},
        {"errcode": 40014, "errmsg": "不合法的access_token"},
        {"errcode": 88, "sub_code": "40014", "sub_msg": "不合法的access_token"},
    ],
)
def test_an_old_token_of_the_older_interfaces(body: dict[str, Any]) -> None:
    assert isinstance(raised(legacy_answer, answer(body)), Expired)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, "invalidParameter.robotCode.empty", BAD_CREDENTIAL),
        (400, "invalidParameter.robotCode.auth", BAD_CREDENTIAL),
        (400, "invalidParameter.robotCode.coolApp", BAD_CREDENTIAL),
        (400, "invalidParameter.userIds.empty", BAD_RECIPIENT),
        (400, "invalidParameter.userIds.overMax", BAD_RECIPIENT),
        (400, "resource.not.found", BAD_RECIPIENT),
        (400, "invalidParameter.msgKey.invalid", BAD_CONTENT),
        (400, "invalidParameter.msgParam.invalid", BAD_CONTENT),
        (400, "invalidParameter.param.x", BAD_CONTENT),
        (400, "msg.unsupported.type", BAD_CONTENT),
        (403, "Forbidden.AccessDenied.QpsLimitForApi", THROTTLED),
        (403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", THROTTLED),
        (403, "Forbidden.AccessDenied.ApiCountLimitForOrg", BAD_CREDENTIAL),
        (500, "system.error", TRANSIENT),
        (503, "ServiceUnavailable", TRANSIENT),
        (400, "invalidClientIdOrSecret", BAD_CREDENTIAL),
        (400, "something.else", UNKNOWN),
        (500, "something.else", TRANSIENT),
        (429, "something.else", THROTTLED),
        (200, "something.else", UNKNOWN),
    ],
)
def test_v1(status: int, code: str, outcome: Outcome) -> None:
    problem = raised(v1_answer, answer({"code": code, "message": "m", "requestid": "r"}, status))
    assert problem.outcome is outcome
    assert problem.code in (code, str(status))


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [(403, "Forbidden.AccessDenied.AccessTokenPermissionDenied", BAD_CREDENTIAL), (403, "Forbidden", BAD_CREDENTIAL)],
)
def test_v1_unverified(status: int, code: str, outcome: Outcome) -> None:
    assert raised(v1_answer, answer({"code": code}, status)).outcome is outcome


@pytest.mark.parametrize(
    ("status", "code"), [(401, "InvalidAuthentication"), (403, "InvalidAuthentication"), (401, "x")]
)
def test_an_old_token_of_v1_unverified(status: int, code: str) -> None:
    assert isinstance(raised(v1_answer, answer({"code": code, "message": "m"}, status)), Expired)


@pytest.mark.parametrize("call", [robot_answer, legacy_answer, v1_answer])
def test_what_the_status_says(call: Any) -> None:
    assert raised(call, answer(None, 500)).outcome is TRANSIENT
    assert raised(call, answer(None, 503, **{"retry-after": "7"})).after == 7
    throttled = raised(call, answer(None, 429, **{"retry-after": "9"}))
    assert (throttled.outcome, throttled.after) == (THROTTLED, 9)
    assert raised(call, answer(None, 404)).outcome is UNKNOWN
    assert raised(call, answer(None, 302)).outcome is UNKNOWN


def raised(call: Any, given: Answer) -> Problem:
    with pytest.raises(Problem) as caught:
        call(given)
    return caught.value


@pytest.mark.parametrize("body", [{"errcode": "9" * 5000}, {"errcode": 88, "sub_code": "9" * 5000}])
def test_a_code_that_is_longer_than_numbers_are_is_a_problem(body: dict[str, Any]) -> None:
    assert isinstance(raised(legacy_answer, answer(body)), Problem)
