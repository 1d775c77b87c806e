"""What Feishu's errors mean (connectors reference 4.4), by code and, where a code is a bucket, by text."""

import re
from collections.abc import Iterable

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.http import Answer

#: Characters of the platform's words that are kept.
REASON_MAX = 400
#: Seconds until it is worth another try, where the platform does not say: with a robot, and if that was not enough;
#: with one person or group.
ROBOT_AFTER, ROBOT_LONG, SAME_ONE_AFTER = 5.0, 60.0, 1.0
#: Too often for one person or group, while others still get theirs.
SAME_ONE = 230020

_CLOCK = "Check the robot's secret and this server's clock: the signature is good for an hour."
_TOKEN = "Copy the robot's webhook address again: it may have been removed or reset."
_IP = "Add this server's address to the robot's IP allow list."
_KEYWORD = "Add one of the robot's keywords to the channel's `keywords`."
_SECRET = "Check app_id and app_secret on the app's page “Credentials”."
_SCOPE = "Grant the app the permission that the message names, and release a version of it."
_BOT = "Turn on the app's bot ability, and release a version of it."
_SPEAK = "Let the bot speak in this group, or ask the person to unblock it."
_JOIN = "Add the app's bot to the group."
_RANGE = "Add the person to the app's availability range, and release a version of it."
_OFTEN = "Send less often: Feishu allows five messages a second to one person or group."
_TENANT = "Ask the tenant's administrator: Feishu can't encrypt or find the tenant's data."

#: The free edition's calls of a month are used up. It comes with HTTP 429, but no wait of seconds helps.
QUOTA = 99991403
_QUOTA = "The tenant's monthly number of calls is used up: wait for the next month, or take a larger edition of Feishu."

#: A new token helps against these.
EXPIRED = frozenset({99991661, 99991663, 99991664, 99991668, 99991671, 99991677, 20005, 20006, 20013})

_BY_CODE: dict[int, tuple[Outcome, str]] = {
    **dict.fromkeys((99991400, 99991402, 11020, 11021, 11233, 11247, 2200), (Outcome.THROTTLED, "")),
    230020: (Outcome.THROTTLED, _OFTEN),
    11232: (Outcome.THROTTLED, "Send less often, and not exactly on the hour or half hour."),
    **dict.fromkeys((10500, 10101, 10105, 1500, 5000, 230049, 18121), (Outcome.TRANSIENT, "")),
    **dict.fromkeys((10003, 10012, 10013, 10014, 10015, 20002), (Outcome.BAD_CREDENTIAL, _SECRET)),
    **dict.fromkeys((99991672, 99991679, 230027, 11223), (Outcome.BAD_CREDENTIAL, _SCOPE)),
    **dict.fromkeys((230006, 234007, 11205, 11240), (Outcome.BAD_CREDENTIAL, _BOT)),
    **dict.fromkeys((11207, 11209, 11210, 20009), (Outcome.BAD_CREDENTIAL, "Install the app in the tenant.")),
    **dict.fromkeys((230036, 10005), (Outcome.BAD_CREDENTIAL, _TENANT)),
    **dict.fromkeys((19001, 19007), (Outcome.BAD_CREDENTIAL, _TOKEN)),
    19021: (Outcome.BAD_CREDENTIAL, _CLOCK),
    19022: (Outcome.BAD_CREDENTIAL, _IP),
    19024: (Outcome.BAD_CONTENT, _KEYWORD),
    **dict.fromkeys((19002, 19036), (Outcome.BAD_CONTENT, "")),
    **dict.fromkeys((230002, 10002, 10030), (Outcome.BAD_RECIPIENT, _JOIN)),
    **dict.fromkeys((230013, 11225, 20010), (Outcome.BAD_RECIPIENT, _RANGE)),
    **dict.fromkeys((230018, 230035, 230053, 18120), (Outcome.BAD_RECIPIENT, _SPEAK)),
    **dict.fromkeys(
        (230019, 230029, 230034, 230038, 232009, 99992351, 99992352, 99992353, 10004, 10010, 10029, 11231, 11236),
        (Outcome.BAD_RECIPIENT, ""),
    ),
    **dict.fromkeys(
        (
            *(230009, 230011, 230012, 230015, 230017, 230022, 230025, 230026, 230028, 230030, 230033, 230050, 230054),
            *(230055, 230071, 230072, 230073, 230074, 230075, 230099, 230110, 230111, 234001, 234003, 234006, 234011),
            *(11246, 11248, 11312, 4000, 10001, 234004, 234037, 234038, 234043),
        ),
        (Outcome.BAD_CONTENT, ""),
    ),
}
#: Why there is no long connection.
_OF_CONNECTIONS: dict[int, tuple[Outcome, str]] = {
    **dict.fromkeys((1, 1000040343), (Outcome.TRANSIENT, "")),
    **dict.fromkeys((403, 514, 1000040344), (Outcome.BAD_CREDENTIAL, _SECRET)),
    1000040350: (
        Outcome.BAD_CREDENTIAL,
        "End other programs that hold long connections of this app: there are too many.",
    ),
}
#: What is wrong within a card (230099).
_IN_CARDS = {
    "100290": "Check the ids of those who are mentioned: they must belong to this app.",
    "11310": "The card has too many elements.",
    "200570": "A picture of the card was not uploaded by this app.",
    "200380": "Publish the card's template.",
    "200381": "Let the app use the card's template.",
}
_INNER = re.compile(r"ErrCode: (\d+)")


def code_of(answer: Answer) -> int | None:
    """The platform's code; None if there is none that can be read. Robots have an older name for it, too."""
    found = (answer.json or {}).get("code", (answer.json or {}).get("StatusCode"))
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def is_expired(answer: Answer) -> bool:
    """Whether another token may help."""
    return code_of(answer) in EXPIRED


def check(answer: Answer, secrets: Iterable[str] = (), *, once: bool = False) -> None:
    """Raises Problem unless it is a success. `once`: what was asked is done once, even if it is asked again."""
    code = code_of(answer)
    if code == 0 and answer.status < 400:
        return
    raise _problem(answer, code, words(answer, secrets), once)


def check_connection(code: int, reason: str) -> None:
    """Raises Problem for a code that keeps the long connection from being opened."""
    if code in _OF_CONNECTIONS:
        outcome, advice = _OF_CONNECTIONS[code]
        everybody = outcome is Outcome.BAD_CREDENTIAL
        raise Problem(outcome, reason[:REASON_MAX], code=str(code), advice=advice, everybody=everybody)


def _problem(answer: Answer, code: int | None, reason: str, once: bool) -> Problem:
    after = _after(answer)
    if code == QUOTA:
        return Problem(Outcome.BAD_CREDENTIAL, reason, code=str(code), advice=_QUOTA, everybody=True)
    if answer.status == 429 or after is not None:
        return Problem(Outcome.THROTTLED, reason, code=str(code or ""), after=after, everybody=True)
    if code is None or code == 0:
        outcome = Outcome.TRANSIENT if once and answer.status >= 500 else Outcome.UNKNOWN
        return Problem(outcome, f"HTTP {answer.status}, and no answer that can be read")
    outcome, advice = _judge(code, answer.status, reason)
    if outcome is Outcome.THROTTLED:
        after = ROBOT_AFTER if code in (9499, 11232) else SAME_ONE_AFTER if code == SAME_ONE else None
    everybody = outcome is Outcome.BAD_CREDENTIAL or (outcome is Outcome.THROTTLED and code != SAME_ONE)
    return Problem(outcome, reason, code=str(code), advice=advice, after=after, everybody=everybody)


def _judge(code: int, status: int, reason: str) -> tuple[Outcome, str]:
    text = reason.lower()
    if code in EXPIRED:
        return Outcome.BAD_CREDENTIAL, _SECRET
    if code == 9499:
        return (Outcome.THROTTLED, "Send less often.") if "too many" in text else (Outcome.BAD_CONTENT, "")
    if code == 230001:
        return (Outcome.BAD_RECIPIENT if "receive_id" in text else Outcome.BAD_CONTENT), ""
    if code == 230099 and (inner := _INNER.search(reason)):
        return Outcome.BAD_CONTENT, _IN_CARDS.get(inner[1], "")
    if code in _BY_CODE:
        return _BY_CODE[code]
    return (Outcome.TRANSIENT if status >= 500 else Outcome.UNKNOWN), ""


def _after(answer: Answer) -> float | None:
    """The seconds of the header that stands beside a limit of frequency."""
    text = answer.headers.get("x-ogw-ratelimit-reset", "")
    failed = answer.status >= 400
    return float(text) if failed and text.isdecimal() and text.isascii() else answer.retry_after if failed else None


def words(answer: Answer, secrets: Iterable[str]) -> str:
    """The platform's words, in which no secret stands."""
    found = answer.json or {}
    words = found.get("msg") or found.get("StatusMessage") or f"HTTP {answer.status}"
    reason = words if isinstance(words, str) else f"HTTP {answer.status}"
    for secret in filter(None, secrets):
        reason = reason.replace(secret, "…")
    return reason[:REASON_MAX]
