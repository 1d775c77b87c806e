"""What WeCom's answers mean (connectors reference 3.5). All come with HTTP 200; the code counts, never the text."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.http import Answer

#: A token was refused: a new one may be taken.
TOKEN_CODES = frozenset({40014, 42001, 41001, 42009})
THROTTLED_CODES = frozenset({45009, 45033})
#: None of those it goes to can be reached.
NOBODY = 81013
#: How long a robot or interface takes nothing after 45009 (s); and if it still does not take anything then.
WINDOW, LONG_WINDOW = 60.0, 3600.0

_OUTCOMES: Mapping[Outcome, Iterable[int]] = {
    Outcome.TRANSIENT: (-1, 6000),
    Outcome.THROTTLED: THROTTLED_CODES,
    Outcome.BAD_CREDENTIAL: (
        *TOKEN_CODES,
        *(40001, 40013, 40091, 41002, 41004, 41011, 40056, 301002, 48002, 50003, 301007),
        *(60020, 301042, 93000, 93004, 93008, 42015, 40057),
    ),
    Outcome.BAD_RECIPIENT: (
        *(40003, 40031, 40032, 40050, 40066, 40068, 46004, 50002, 60011, 60111),
        *(81012, NOBODY, 82001, 82002, 82003, 86001, 86003, 86006, 86007, 86008, 86216, 86217, 86220),
    ),
    Outcome.BAD_CONTENT: (
        *range(40004, 40010),
        *(40011, 40033, 40039, 40058, 40063, 40123, 41006, 41016, 41033, 44001, 44004, 45001, 45002, 45007, 45008),
        *(45032, 85002, *range(90200, 90209), 42014, 42017),
    ),
}
OUTCOMES = {code: outcome for outcome, codes in _OUTCOMES.items() for code in codes}

_ADVICE = {
    40001: "Check the application's secret in the WeCom administration.",
    40013: "Check the corp id: it stands under 我的企业 in the WeCom administration.",
    40056: "Check the application's agent id.",
    40057: "The callback address failed WeCom's check; save it again in the application's 接收消息 settings.",
    40091: "Check the application's secret in the WeCom administration.",
    42014: "A card can be changed once for each time it is sent or pressed, and for 72 hours.",
    42015: "This card was sent by another application.",
    42017: "A card can be changed once for each time it is sent or pressed, and for 72 hours.",
    45009: "Send less, or spread the messages over several robots or applications.",
    45033: "Send less at once.",
    48002: "The secret does not belong to the application with this agent id, or it may not use this interface.",
    50003: "The application is switched off in the WeCom administration.",
    60011: "Widen the application's visible range (可见范围) in the WeCom administration.",
    60020: "Add the server's address to the application's trusted IPs (企业可信IP).",
    81013: "Check the ids and the application's visible range (可见范围).",
    86001: "Check the id of the group; only groups that the application has made can be sent to.",
    86003: "Only groups that the application has made can be sent to.",
    93000: "The robot's key is wrong, or it was removed from the group: add a robot and take its new key.",
    93004: "The robot was switched off; switch it on in the group.",
    93008: "The robot is no longer in the group: add it again.",
    301002: "The secret does not belong to the application with this agent id.",
    301007: "The application is not in use any more.",
    301042: "Add the server's address to the application's trusted IPs (企业可信IP).",
}
_TOKEN_ADVICE = "A new token is refused, too: check the corp id and the secret."
#: A link to a page of WeCom's that stands at the end of every error.
_LINK = re.compile(r",?\s*more info at https?://\S+", re.IGNORECASE)


def judge(answer: Answer, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """What it says, if all is well: nothing if it is a file. Raises Problem; its reason has none of the secrets."""
    if answer.status == 429:
        after = WINDOW if answer.retry_after is None else answer.retry_after
        raise Problem(Outcome.THROTTLED, "WeCom answers HTTP 429", code="429", after=after, everybody=True)
    if answer.status >= 500:
        raise Problem(Outcome.TRANSIENT, f"WeCom answers HTTP {answer.status}", code=str(answer.status))
    if answer.status == 200 and "content-disposition" in answer.headers:
        return {}
    code = (answer.json or {}).get("errcode")
    if answer.json is None or not isinstance(code, int):
        raise Problem(
            Outcome.UNKNOWN,
            f"the answer is not WeCom's (HTTP {answer.status})",
            code=str(answer.status),
            advice="Check `base_url`, and proxies on the way to it.",
        )
    if code == 0:  # `errmsg` may hold a warning all the same
        return answer.json
    raise problem(code, str(answer.json.get("errmsg", "")), secrets)


def problem(code: int, text: str, secrets: Iterable[str] = ()) -> Problem:
    outcome = OUTCOMES.get(code, Outcome.UNKNOWN)
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    return Problem(
        outcome,
        f"{_LINK.sub('', text).strip()[:300] or 'no reason given'} ({code})",
        code=str(code),
        advice=_TOKEN_ADVICE if code in TOKEN_CODES else _ADVICE.get(code, ""),
        after=WINDOW if code == 45009 else None,
        everybody=outcome in (Outcome.BAD_CREDENTIAL, Outcome.THROTTLED),
    )
