"""What Feishu's errors mean, and what becomes of a message when Feishu fails."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partialmethod
from typing import Any

import pytest

from hongyan.hub.connector import HERE, Outcome, Problem, Target
from hongyan.hub.connectors.feishu import api, errors
from hongyan.hub.connectors.feishu.app import AppConnector
from hongyan.hub.connectors.feishu.credentials import AppCredentials, RobotCredentials
from hongyan.hub.connectors.feishu.robot import RobotConnector
from hongyan.hub.content import Message, Text
from hongyan.hub.http import Answer
from hongyan.outbound import Outbound
from hongyan.sandbox.faults import What
from hongyan.sandbox.feishu import Feishu
from hongyan.sandbox.server import Sandbox
from tests.support.hub import Around, Clock

GROUP = Target("group", "oc_sandbox_ops")
HELLO = Message(Text("hello"))


def answer(code: int | None, msg: str = "words", status: int = 400, **headers: str) -> Answer:
    body = {} if code is None else {"code": code, "msg": msg}
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"", body)


def problem(given: Answer, *, once: bool = False) -> Problem:
    with pytest.raises(Problem) as caught:
        errors.check(given, once=once)
    return caught.value


ROWS: list[tuple[Outcome, list[int]]] = [
    (Outcome.THROTTLED, [99991400, 99991402, 230020, 11232, 11020, 11021, 11233, 11247]),
    (Outcome.BAD_CREDENTIAL, [99991663, 99991664, 99991661, 99991671, 99991677, 99991668]),
    (
        Outcome.BAD_CREDENTIAL,
        [10003, 10014, 10015, 10012, 99991672, 99991679, 230006, 230027, 234007, 19001, 19021, 19022],
    ),
    (Outcome.BAD_CONTENT, [19024, 230011, 230050, 230111, 230015, 230017, 230054, 230055, 230071, 230072, 230075]),
    (Outcome.BAD_CONTENT, [230022, 230025, 230028, 230099, 234001, 234006, 230009, 230026, 230030, 230033, 230110]),
    (Outcome.BAD_RECIPIENT, [230002, 230013, 230018, 230019, 230035, 230038, 232009]),
    (Outcome.TRANSIENT, [10500, 10101, 230049]),
    (Outcome.UNKNOWN, [123456]),
]
UNVERIFIED = [
    *((Outcome.BAD_CREDENTIAL, code) for code in (20005, 20006, 20013)),
    *((Outcome.BAD_RECIPIENT, code) for code in (230029, 230034, 230053, 99992351, 99992352, 99992353)),
]


@pytest.mark.parametrize(("outcome", "code"), [(outcome, code) for outcome, codes in ROWS for code in codes])
def test_each_code(outcome: Outcome, code: int) -> None:
    found = problem(answer(code))
    assert (found.outcome, found.code, found.reason) == (outcome, str(code), "words")
    assert found.everybody == (outcome is Outcome.BAD_CREDENTIAL or (outcome is Outcome.THROTTLED and code != 230020))


@pytest.mark.parametrize(("outcome", "code"), UNVERIFIED)
def test_each_code_unverified(outcome: Outcome, code: int) -> None:
    test_each_code(outcome, code)


def test_no_wait_helps_when_the_calls_of_a_month_are_used_up() -> None:
    """It comes as HTTP 429: the channel must say what is wrong instead of trying again all day."""
    found = problem(answer(99991403, "This month's API call quota has been exceeded", 429))
    assert (found.outcome, found.everybody, found.after) == (Outcome.BAD_CREDENTIAL, True, None)
    assert "next month" in found.advice


@pytest.mark.parametrize(
    ("code", "msg", "outcome"),
    [
        (9499, "too many request", Outcome.THROTTLED),
        (9499, "Bad Request", Outcome.BAD_CONTENT),
        (230001, "… ext=invalid receive_id.", Outcome.BAD_RECIPIENT),
        (230001, "… ext=content is not a json string.", Outcome.BAD_CONTENT),
    ],
)
def test_codes_that_are_buckets_by_their_text(code: int, msg: str, outcome: Outcome) -> None:
    assert problem(answer(code, msg)).outcome is outcome


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (19021, "clock"),
        (19022, "allow list"),
        (19024, "keywords"),
        (19001, "webhook address"),
        (230002, "bot"),
        (230013, "availability"),
        (99991672, "permission"),
        (10015, "app_secret"),
    ],
)
def test_the_operator_is_told_what_to_do(code: int, says: str) -> None:
    assert says in problem(answer(code)).advice


@pytest.mark.parametrize("inner", ["100290", "11310", "200380", "200381", "200570"])
def test_what_is_wrong_within_a_card(inner: str) -> None:
    found = problem(answer(230099, f"Failed to create card content, ext=ErrCode: {inner}; ErrMsg: x"))
    assert (found.outcome, bool(found.advice)) == (Outcome.BAD_CONTENT, True)


def test_http_429_and_its_header_win_over_any_code() -> None:
    assert problem(answer(230001, status=429)).outcome is Outcome.THROTTLED
    found = problem(answer(230022, x_ogw_ratelimit_reset="52"))
    assert (found.outcome, found.after, found.everybody) == (Outcome.THROTTLED, 52.0, True)


@pytest.mark.parametrize(
    ("given", "once", "outcome"),
    [
        (Answer(200, {}, b"<html>", None), True, Outcome.UNKNOWN),
        (Answer(200, {}, b"{}", {}), True, Outcome.UNKNOWN),
        (Answer(200, {}, b"", {"code": "0"}), True, Outcome.UNKNOWN),
        (Answer(502, {}, b"<html>", None), True, Outcome.TRANSIENT),
        (Answer(502, {}, b"<html>", None), False, Outcome.UNKNOWN),
        (Answer(502, {}, b"", {"code": 0}), False, Outcome.UNKNOWN),
    ],
)
def test_what_cannot_be_read_is_no_success(given: Answer, once: bool, outcome: Outcome) -> None:
    assert problem(given, once=once).outcome is outcome


def test_success_in_both_spellings() -> None:
    errors.check(answer(0, status=200))
    errors.check(Answer(200, {}, b"", {"StatusCode": 0, "StatusMessage": "success"}))


# the sandbox fails


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("throttled", Outcome.THROTTLED),
        ("error", Outcome.TRANSIENT),
        ("garbage", Outcome.UNKNOWN),
        ("closed", Outcome.UNKNOWN),
        ("refused", Outcome.BAD_CREDENTIAL),
    ],
)
async def test_an_application_when_feishu_fails(
    app: AppConnector, sandbox: Sandbox, clock: Clock, what: What, outcome: Outcome
) -> None:
    sandbox.faults.add("feishu", what, path="/open-apis/im/v1/messages")
    sent = await app.send(HELLO, [GROUP], key="k")
    assert [each.outcome for each in sent.results] == [outcome]
    clock.advance(10)
    sent = await app.send(HELLO, [GROUP], key="k")
    assert [each.outcome for each in sent.results] == [Outcome.OK]


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("throttled", Outcome.THROTTLED),
        ("error", Outcome.UNKNOWN),
        ("garbage", Outcome.UNKNOWN),
        ("closed", Outcome.UNKNOWN),
        ("refused", Outcome.BAD_CREDENTIAL),
    ],
)
async def test_a_robot_when_feishu_fails(
    robot: RobotConnector, sandbox: Sandbox, clock: Clock, what: What, outcome: Outcome
) -> None:
    sandbox.faults.add("feishu", what)
    sent = await robot.send(HELLO, [HERE], key="k")
    assert [each.outcome for each in sent.results] == [outcome]
    clock.advance(10)
    assert (await robot.send(HELLO, [HERE], key="k")).results[0].outcome is Outcome.OK


async def test_a_batch_is_said_to_be_taken_twice(app: AppConnector, sandbox: Sandbox) -> None:
    sandbox.faults.add("feishu", "closed", path="/open-apis/message/v4/batch_send")
    found = (await app.send(HELLO, [Target("department", "od-sandbox-dev"), GROUP], key="k")).results
    assert [(each.outcome, each.once) for each in found] == [(Outcome.UNKNOWN, False), (Outcome.OK, True)]


async def test_a_token_that_does_not_come_may_be_asked_for_again(app: AppConnector, sandbox: Sandbox) -> None:
    sandbox.faults.add("feishu", "closed", path="/open-apis/auth")
    found = (await app.send(HELLO, [Target("department", "od-sandbox-dev")], key="k")).results
    assert [each.outcome for each in found] == [Outcome.TRANSIENT]


async def test_silence_is_unknown(
    app: AppConnector, robot: RobotConnector, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nobody waits a quarter of a minute in a test, the time is shorter in it."""
    await app.check()
    monkeypatch.setattr(Outbound, "request", partialmethod(_hasty, Outbound.request))
    sandbox.faults.add("feishu", "silence", times=2)
    assert (await robot.send(HELLO, [HERE], key="k")).results[0].outcome is Outcome.UNKNOWN
    assert (await app.send(HELLO, [GROUP], key="k")).results[0].outcome is Outcome.UNKNOWN


async def _hasty(self: Outbound, request: Callable[..., Any], *given: Any, **options: Any) -> Any:
    return await request(self, *given, **{**options, "timeout": 0.5})


async def test_a_limit_closes_the_app_for_as_long_as_it_says(app: AppConnector, sandbox: Sandbox, clock: Clock) -> None:
    sandbox.faults.add("feishu", "throttled", path="/open-apis/im/v1/messages")
    first = (await app.send(HELLO, [GROUP], key="k")).results[0]
    assert (first.after, first.everybody) == (7.0, True)
    clock.advance(6)
    second = (await app.send(HELLO, [GROUP], key="k")).results[0]
    assert (second.outcome, second.after, second.code) == (Outcome.THROTTLED, 1.0, "")
    clock.advance(1)
    assert (await app.send(HELLO, [GROUP], key="k")).results[0].outcome is Outcome.OK


async def test_pacing_stays_below_the_rates_of_a_robot(robot: RobotConnector, sandbox: Sandbox, clock: Clock) -> None:
    outcomes = []
    for _ in range(240):
        outcomes.append((await robot.send(HELLO, [HERE], key="k")).results[0].outcome)
        clock.advance(0.1)
    assert outcomes.count(Outcome.OK) == 90
    assert set(outcomes) == {Outcome.OK, Outcome.THROTTLED}
    assert len(sandbox.board.all()) == 90


async def test_a_robot_that_stays_throttled_is_left_alone_for_a_minute(
    robot: RobotConnector, sandbox: Sandbox, clock: Clock
) -> None:
    """As on the hour, when everybody sends."""
    sandbox.faults.add("feishu", "throttled", 2)
    waits = []
    for _ in range(2):
        waits.append((await robot.send(HELLO, [HERE], key="k")).results[0].after)
        clock.advance(waits[-1] or 0.0)
    assert waits == [5, 60]
    assert (await robot.send(HELLO, [HERE], key="k")).results[0].outcome is Outcome.OK
    clock.advance(200)
    sandbox.faults.add("feishu", "throttled")
    assert (await robot.send(HELLO, [HERE], key="l")).results[0].after == 5


async def test_pacing_of_all_that_the_app_sends(
    app: AppConnector, sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (api.APP_SECOND, api.APP_MINUTE) == (50 * 0.9, 1000 * 0.9)
    monkeypatch.setattr(api, "APP_SECOND", 2)
    to = [GROUP, Target("user", "ou_sandbox_lisi"), Target("user", "ou_sandbox_wangwu")]
    outcomes = Counter(each.outcome for each in (await app.send(HELLO, to, key="k")).results)
    assert outcomes == {Outcome.OK: 2, Outcome.THROTTLED: 1}
    clock.advance(1)
    assert {each.outcome for each in (await app.send(HELLO, to[:2], key="l")).results} == {Outcome.OK}


async def test_pacing_to_one_group_leaves_the_others(app: AppConnector, sandbox: Sandbox) -> None:
    outcomes = [(await app.send(HELLO, [GROUP], key=f"k{n}")).results[0] for n in range(6)]
    assert [each.outcome for each in outcomes] == [Outcome.OK] * 4 + [Outcome.THROTTLED] * 2
    assert not outcomes[-1].everybody
    other = await app.send(HELLO, [Target("group", "oc_sandbox_dev")], key="k")
    assert other.results[0].outcome is Outcome.OK


# tokens


async def test_an_expired_token_is_renewed_once_for_fifty_senders(
    app: AppConnector, feishu: Feishu, clock: Clock
) -> None:
    assert (await app.send(HELLO, [GROUP], key="first")).results[0].outcome is Outcome.OK
    assert feishu.tokens.requests == 1
    feishu.tokens.expire()
    clock.advance(61)
    sent = await asyncio.gather(
        *(app.look_up(Target("email", _mail(number))) for number in range(50)), return_exceptions=True
    )
    assert feishu.tokens.requests == 2
    assert {each.outcome for each in sent if isinstance(each, Problem)} == {Outcome.BAD_RECIPIENT}
    assert [each for each in sent if isinstance(each, Target)] == [Target("user", "ou_sandbox_lisi")]


def _mail(number: int) -> str:
    return "lisi@example.com" if not number else f"nobody{number}@example.com"


async def test_a_token_that_is_no_good_again_is_a_bad_credential(
    app: AppConnector, sandbox: Sandbox, feishu: Feishu
) -> None:
    sandbox.faults.add("feishu", "token_expired", times=2, path="/open-apis/im/v1/messages")
    result = (await app.send(HELLO, [GROUP], key="k")).results[0]
    assert (result.outcome, result.everybody, feishu.tokens.requests) == (Outcome.BAD_CREDENTIAL, True, 2)


async def test_a_token_is_renewed_before_its_end(app: AppConnector, feishu: Feishu, clock: Clock) -> None:
    for advance, requests in ((0, 1), (6500, 1), (200, 2), (6500, 2), (200, 3)):
        clock.advance(advance)
        assert (await app.send(HELLO, [GROUP], key=f"k{advance}")).results[0].outcome is Outcome.OK
        assert feishu.tokens.requests == requests


async def test_a_token_is_kept_by_the_time_that_is_left_of_it(
    app: AppConnector, credentials: AppCredentials, around: Around, feishu: Feishu, clock: Clock
) -> None:
    await app.check()
    clock.advance(5000)
    other = AppConnector(credentials, around())
    await other.check()  # the same token, of which 2200 s are left
    clock.advance(1500)
    await other.check()
    assert feishu.tokens.requests == 2
    clock.advance(200)
    await other.check()
    assert feishu.tokens.requests == 3
    await other.close()


async def test_a_wrong_secret(credentials: AppCredentials, around: Around) -> None:
    given = AppCredentials(app_id=credentials.app_id, app_secret="wrong", base_url=credentials.base_url)
    app = AppConnector(given, around())
    for problem_ in (await _problem(app.check()), (await app.send(HELLO, [GROUP], key="k")).results[0]):
        assert (problem_.outcome, problem_.code, problem_.everybody) == (Outcome.BAD_CREDENTIAL, "10015", True)
        assert "app_secret" in problem_.advice
    await app.close()


async def _problem(awaitable: Awaitable[str]) -> Problem:
    with pytest.raises(Problem) as caught:
        await awaitable
    return caught.value


# robots


@pytest.mark.parametrize(
    ("given", "code", "advice"),
    [
        (RobotCredentials(token="nobody"), "19001", "webhook address"),
        (RobotCredentials(token="sandbox-signed", secret="wrong"), "19021", "clock"),
        (RobotCredentials(token="sandbox-signed"), "19021", "clock"),
        (RobotCredentials(token="sandbox-elsewhere"), "19022", "allow list"),
    ],
    ids=["token", "secret", "no secret", "network"],
)
async def test_a_robots_bad_credentials(
    around: Around, sandbox: Sandbox, given: RobotCredentials, code: str, advice: str
) -> None:
    at = RobotCredentials(token=given.token, secret=given.secret, base_url=sandbox.origin)
    robot = RobotConnector(at, around())
    result = (await robot.send(HELLO, [HERE], key="k")).results[0]
    assert (result.outcome, result.code, result.everybody) == (Outcome.BAD_CREDENTIAL, code, True)
    assert advice in result.advice
    assert (await _problem(robot.check())).code == code


async def test_a_robots_keyword_that_the_channel_does_not_know(around: Around, sandbox: Sandbox) -> None:
    robot = RobotConnector(RobotCredentials(token="sandbox-keyword", base_url=sandbox.origin), around())
    result = (await robot.send(HELLO, [HERE], key="k")).results[0]
    assert (result.outcome, result.code) == (Outcome.BAD_CONTENT, "19024")
    assert "keyword" in result.advice


@pytest.mark.parametrize(("skew", "outcome"), [(3500, Outcome.OK), (-3500, Outcome.OK), (3700, Outcome.BAD_CREDENTIAL)])
async def test_a_clock_that_is_wrong(robot: RobotConnector, clock: Clock, skew: float, outcome: Outcome) -> None:
    clock.skew = skew
    assert (await robot.send(HELLO, [HERE], key="k")).results[0].outcome is outcome


@pytest.mark.parametrize("ending", ["", "/"])
async def test_a_robot_by_its_whole_address(around: Around, sandbox: Sandbox, ending: str) -> None:
    given = RobotCredentials(token=f"{sandbox.origin}/open-apis/bot/v2/hook/sandbox-open{ending}")
    robot = RobotConnector(given, around())
    assert (await robot.send(HELLO, [HERE], key="k")).results[0].outcome is Outcome.OK


# credentials


@pytest.mark.parametrize(
    ("type_", "given", "said"),
    [
        (RobotCredentials, {"token": ""}, "`token`"),
        (RobotCredentials, {"token": "a b"}, "`token`"),
        (RobotCredentials, {"token": "a", "base_url": "ftp://x"}, "`base_url`"),
        (RobotCredentials, {"token": "a", "keywords": ("",)}, "`keywords`"),
        (RobotCredentials, {"token": "a", "keywords": ("x",) * 11}, "`keywords`"),
        (AppCredentials, {"app_id": "", "app_secret": "x"}, "`app_id`"),
        (AppCredentials, {"app_id": "x", "app_secret": "geheim\n"}, "`app_secret`"),
    ],
)
def test_credentials_that_are_refused(type_: type, given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        type_(**given)
    assert "geheim" not in str(caught.value)


async def test_secrets_are_never_shown(around: Around, sandbox: Sandbox) -> None:
    robot_given = RobotCredentials(token="sandbox-nobody", secret="geheim", base_url=sandbox.origin)
    app_given = AppCredentials(
        app_id="cli_x", app_secret="geheim", encrypt_key="geheim", verification_token="geheim", base_url=sandbox.origin
    )
    robot, app = RobotConnector(robot_given, around()), AppConnector(app_given, around())
    results = [
        (await robot.send(HELLO, [HERE], key="k")).results[0],
        (await app.send(HELLO, [GROUP], key="k")).results[0],
    ]
    shown = " ".join(map(repr, (robot_given, app_given, robot, app, *results)))
    assert "geheim" not in shown
    assert "sandbox-nobody" not in shown
    await app.close()


def test_secrets_are_taken_out_of_the_platforms_words() -> None:
    given = Answer(400, {}, b"", json.loads('{"code": 10014, "msg": "geheim is wrong"}'))
    with pytest.raises(Problem) as caught:
        errors.check(given, ("geheim", ""))
    assert caught.value.reason == "… is wrong"
