"""What DingTalk's answers mean (connectors reference 2.5), by code and by text."""

import re
from collections.abc import Mapping
from typing import Any

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.http import Answer

THROTTLED, TRANSIENT, UNKNOWN = Outcome.THROTTLED, Outcome.TRANSIENT, Outcome.UNKNOWN
BAD_CREDENTIAL, BAD_RECIPIENT, BAD_CONTENT = Outcome.BAD_CREDENTIAL, Outcome.BAD_RECIPIENT, Outcome.BAD_CONTENT
#: Seconds of the gateway's page that are believed.
WAIT_MAX = 600.0

_KEYWORD = "Add the robot's keywords to the channel's `keywords`: each message needs one of them."
_SECRET = "Copy the robot's secret (SEC…) into the channel's `secret` again."
_CLOCK = "Check the clock of this server: signatures are good for one hour."
_ADDRESS = "Add the address of this server to the addresses that the robot or app allows."
_TOKEN = "Copy the `access_token` of the robot's webhook again, or make a new robot: this one is gone."
_GONE = "Make a robot in another group: this one is in none any more."
_SCOPE = "Give the app the permission that the message names, in DingTalk's developer console."
_APP = "Copy the `app_key` and `app_secret` of the app again."
_ROBOT_CODE = "Check `robot_code`, and that the app has a robot and may send with it."
_QUOTA = "The company's monthly number of calls is used up: wait for the next month, or buy more."

Rule = tuple[Outcome, str]
_ROBOT: Mapping[int, Rule] = {
    -1: (TRANSIENT, ""),
    300001: (BAD_CREDENTIAL, _TOKEN),
    300005: (BAD_CREDENTIAL, _TOKEN),
    400101: (BAD_CREDENTIAL, _TOKEN),
    400102: (BAD_CREDENTIAL, "Enable the robot in its group again."),
    400013: (BAD_RECIPIENT, _GONE),
    400106: (BAD_RECIPIENT, _GONE),
    400105: (BAD_CONTENT, ""),
    430101: (BAD_CONTENT, "DingTalk takes a link of the message for unsafe."),
    430102: (BAD_CONTENT, "DingTalk takes the text for unsafe."),
    430103: (BAD_CONTENT, "DingTalk takes a picture for unsafe."),
    430104: (BAD_CONTENT, "DingTalk takes the message for unsafe."),
    460101: (BAD_CONTENT, "The message is too long."),
    40035: (BAD_CONTENT, ""),
    43002: (BAD_CONTENT, ""),
    43004: (BAD_CONTENT, ""),
}
_ROBOT_THROTTLED = {130101, 410100, 302033, 90030}
_TOO_FAST = re.compile(
    r"too fast|too many|too frequent|throttl|rate.?limit|slow down|限流|频繁|速度太快|exceed \d+ times", re.I
)
#: The meanings of 310000, the first that is found in the description.
_SECURITY: tuple[tuple[re.Pattern[str], Outcome, str], ...] = (
    (re.compile(r"keyword|关键词", re.I), BAD_CONTENT, _KEYWORD),
    (re.compile(r"timestamp|时间戳|签名过期|expired", re.I), BAD_CREDENTIAL, _CLOCK),
    (re.compile(r"sign|签名", re.I), BAD_CREDENTIAL, _SECRET),
    (re.compile(r"\bip\b|whitelist|白名单", re.I), BAD_CREDENTIAL, _ADDRESS),
    (re.compile(r"机器人IP", re.I), BAD_CREDENTIAL, _ADDRESS),
)

_LEGACY: Mapping[int, Rule] = {
    -1: (TRANSIENT, ""),
    40001: (BAD_CREDENTIAL, _APP),
    40089: (BAD_CREDENTIAL, _APP),
    40078: (BAD_CREDENTIAL, _APP),
    60011: (BAD_CREDENTIAL, _SCOPE),
    60020: (BAD_CREDENTIAL, _ADDRESS),
    90002: (THROTTLED, ""),
    90006: (THROTTLED, ""),
    90018: (THROTTLED, ""),
    90020: (BAD_CREDENTIAL, _QUOTA),
    60121: (BAD_RECIPIENT, ""),
    33012: (BAD_RECIPIENT, ""),
    33001: (BAD_CREDENTIAL, "Check `agent_id`: it is that of the app."),
    22: (BAD_CONTENT, ""),
}
_LEGACY_EXPIRED = {33, 42001, 40014}

#: Beginnings of the codes of v1.0, the first that fits.
_V1: tuple[tuple[str, Outcome, str], ...] = (
    ("forbidden.accessdenied.qpslimit", THROTTLED, ""),
    ("forbidden.accessdenied.apicountlimit", BAD_CREDENTIAL, _QUOTA),
    ("forbidden.accessdenied.ip", BAD_CREDENTIAL, _ADDRESS),
    ("forbidden", BAD_CREDENTIAL, _SCOPE),
    ("throttling", THROTTLED, ""),
    ("send.too.fast", THROTTLED, ""),
    ("invalidclientidorsecret", BAD_CREDENTIAL, _APP),
    ("authfailed", BAD_CREDENTIAL, _APP),
    ("invalidparameter.robotcode", BAD_CREDENTIAL, _ROBOT_CODE),
    ("invalidparameter.userids", BAD_RECIPIENT, ""),
    ("resource.not.found", BAD_RECIPIENT, ""),
    ("invalidparameter", BAD_CONTENT, ""),
    ("param.", BAD_CONTENT, ""),
    ("msg.unsupported", BAD_CONTENT, ""),
    ("system.error", TRANSIENT, ""),
    ("serviceunavailable", TRANSIENT, ""),
)
_V1_EXPIRED = ("invalidauthentication", "unauthorized")

#: Why a work notification did not reach somebody, though it was accepted (2.3).
FORBIDDEN: Mapping[str, str] = {
    "143103": "too many people were told within a minute by the app",
    "143104": "too many people were told within a minute by the company",
    "143105": "this person has had all work notifications that the app may send in a day",
    "143106": "this person has had the same work notification today",
    "143203": "too many people were told within a minute by the app",
    "143204": "too many people were told within a minute by the company",
    "143205": "this person has had all work notifications that the app may send in a day",
    "143206": "this person has had the same work notification today",
    "1430000": "there is nobody to tell",
    "1430001": "the kind of permission is unknown",
    "1430002": "DingTalk takes the content for banned",
    "1430003": "DingTalk protects itself from too many messages",
    "1430004": "this person is protected from such messages",
}


class Expired(Problem):
    """The token is good no more: with a new one it may work. If that is so again, the credentials are bad."""

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(BAD_CREDENTIAL, reason, code=code, advice=_APP, everybody=True)


def robot_answer(answer: Answer) -> None:
    """Raises the problem that an answer of a robot's webhook tells."""
    body = _body(answer)
    code, text = _code(body), _text(body)
    if code == 0:
        return
    if body.get("status") == 1111 or body.get("punish"):
        raise Problem(THROTTLED, "DingTalk's gateway takes no more", code="1111", after=_wait(body), everybody=True)
    if code in _ROBOT_THROTTLED or _TOO_FAST.search(text):
        raise Problem(THROTTLED, text or "sent too fast", code=_shown(code), everybody=True)
    if code is None:
        raise _unreadable(answer)
    if code == 310000:
        outcome, advice = _security(text)
    elif code == 40035 and "access_token" in text:
        outcome, advice = BAD_CREDENTIAL, _TOKEN
    else:
        outcome, advice = _ROBOT.get(code, (UNKNOWN, ""))
    # a robot has one recipient: what it can't reach, the channel can't
    everybody = outcome is not BAD_CONTENT
    raise Problem(outcome, text or "refused", code=_shown(code), advice=advice, everybody=everybody)


def legacy_answer(answer: Answer) -> dict[str, Any]:
    """The body of a success of the older interfaces. Raises Problem."""
    body = _body(answer)
    code, text = _code(body), _text(body)
    if code == 0:
        return body
    if code is None:
        raise _unreadable(answer)
    sub = _sub_code(body, text) if code == 88 else None
    if code in _LEGACY_EXPIRED or sub in _LEGACY_EXPIRED:
        raise Expired(text, _shown(code))
    outcome, advice = _LEGACY.get(code if sub is None else sub, (UNKNOWN, ""))
    if outcome is UNKNOWN and _TOO_FAST.search(text):
        outcome = THROTTLED
    everybody = outcome in (THROTTLED, TRANSIENT, BAD_CREDENTIAL)
    shown = _shown(code) if sub is None else f"{code}/{sub}"
    raise Problem(outcome, text or "refused", code=shown, advice=advice, everybody=everybody)


def v1_answer(answer: Answer) -> dict[str, Any]:
    """The body of a success of v1.0. Raises Problem."""
    if 200 <= answer.status < 300 and answer.json is not None and "code" not in answer.json:
        return answer.json
    body = answer.json or {}
    code, text = str(body.get("code", "")), str(body.get("message", ""))
    lower = code.lower()
    if lower.startswith(_V1_EXPIRED) or (answer.status == 401 and not lower.startswith("authfailed")):
        raise Expired(text or "the token is refused", code or "401")
    for beginning, outcome, advice in _V1:
        if lower.startswith(beginning):
            everybody = outcome in (THROTTLED, TRANSIENT, BAD_CREDENTIAL)
            raise Problem(outcome, text or code, code=code, advice=advice, everybody=everybody)
    _body(answer)  # 429 and 5xx mean the same whatever stands in them
    if not code:
        raise _unreadable(answer)
    raise Problem(UNKNOWN, text or code, code=code)


def _body(answer: Answer) -> dict[str, Any]:
    """Raises the problem that the status tells, or that there is nothing to read."""
    if answer.status == 429:
        wait = answer.retry_after
        raise Problem(THROTTLED, "DingTalk takes no more (HTTP 429)", code="429", after=wait, everybody=True)
    if answer.status >= 500:
        reason = f"DingTalk fails (HTTP {answer.status})"
        raise Problem(TRANSIENT, reason, code=str(answer.status), after=answer.retry_after, everybody=True)
    if answer.json is None:
        raise _unreadable(answer)
    return answer.json


def _unreadable(answer: Answer) -> Problem:
    """Nothing that is no clear success counts as one."""
    reason = f"DingTalk's answer (HTTP {answer.status}) can't be read; whether it has taken the message is unknown"
    return Problem(UNKNOWN, reason, code=str(answer.status))


def _code(body: Mapping[str, Any]) -> int | None:
    code = body.get("errcode")
    if isinstance(code, str) and re.fullmatch(r"-?\d{1,15}", code):
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _text(body: Mapping[str, Any]) -> str:
    """The description alone, where there are hints and links behind it that name everything that could be wrong."""
    text = str(body.get("errmsg") or body.get("sub_msg") or "")
    found = re.match(r"description:(.*?)[;；]", text)
    return found[1].strip() if found else text


def _sub_code(body: Mapping[str, Any], text: str) -> int | None:
    found = re.search(r"\d{1,15}", str(body.get("sub_code", ""))) or re.search(r"(?<=subcode=)\d{1,15}", text)
    return int(found[0]) if found else None


def _security(text: str) -> Rule:
    for pattern, outcome, advice in _SECURITY:
        if pattern.search(text):
            return outcome, advice
    return BAD_CREDENTIAL, "Look at the protections of the robot in its group: one of them refuses the message."


def _wait(body: Mapping[str, Any]) -> float:
    wait = body.get("wait")
    return float(min(wait, WAIT_MAX)) if isinstance(wait, int | float) and wait > 0 else 60.0


def _shown(code: int | None) -> str:
    return "" if code is None else str(code)
