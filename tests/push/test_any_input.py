"""Whatever an app puts into a push, and whatever a service answers: there is an outcome, and nothing is raised."""

import asyncio
import functools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hongyan.engine.pushing import InvalidToken, Refused, RetryLater, Sent
from hongyan.push import ADAPTERS, Adapter, http
from hongyan.push.credentials import Credentials
from hongyan.push.http import Answer
from tests.push.pushes import push
from tests.push.services import SERVICES
from tests.support.push.emulator import Emulator

OUTCOMES = (Sent, InvalidToken, RetryLater, Refused)
_SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    _SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
KEYS = st.sampled_from(
    ["alert", "title", "badge", "sound", "silent", "aps", "content-available", "collapse-id", "apns-priority"]
)
ALERTS = st.fixed_dictionaries({"body": JSON, "title": JSON})
CONTENTS = st.dictionaries(KEYS | st.text(max_size=9), JSON | ALERTS, max_size=6)
#: Names that the adapters look for in answers.
NAMES = st.sampled_from(
    [
        *("code", "msg", "message", "data", "result", "desc", "value", "reason", "error", "details", "errorCode"),
        *("invalidUser", "expireTokens", "failTokens", "access_token", "expires_in", "auth_token", "authToken", "name"),
    ]
)
CODES = st.sampled_from([0, 200, "200", "0", "80000000", "80100000", 20301, "110010", True, 10302, -1, "token"])
ANSWERS = st.recursive(
    JSON | CODES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4)
)
STATUSES = st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 410, 413, 429, 500, 503])
WAITS = st.sampled_from([{}, {"Retry-After": "7"}, {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}]) | st.builds(
    lambda text: {"Retry-After": text}, st.text(max_size=30)
)


@functools.cache
def opened(kind: type[Emulator]) -> tuple[Emulator, Adapter, Credentials]:
    service = kind()
    service.url = "http://127.0.0.1:9"
    adapter = ADAPTERS[service.adapter]
    return service, adapter, adapter.credentials.parse(service.credentials)


def outcome(kind: type[Emulator], content: dict[str, Any], answer: Answer) -> Any:
    """Of a push to a service that answers so, whatever it is asked."""

    async def post(*_: Any) -> Answer:
        return answer

    async def send() -> Any:
        service, adapter, credentials = opened(kind)
        pusher = adapter.pusher(credentials)
        try:
            return await pusher.send(push(content), service.device)
        finally:
            await pusher.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http.Http, "post", post)
        return asyncio.run(send())


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.adapter)
@settings(max_examples=25)
@given(content=CONTENTS)
def test_any_content(kind: type[Emulator], content: dict[str, Any]) -> None:
    assert isinstance(outcome(kind, content, Answer(200, {}, b"{}")), OUTCOMES)


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.adapter)
@settings(max_examples=25)
@given(
    status=STATUSES, headers=WAITS, body=st.binary(max_size=50) | ANSWERS.map(lambda value: json.dumps(value).encode())
)
def test_any_answer(kind: type[Emulator], status: int, headers: dict[str, str], body: bytes) -> None:
    found = outcome(kind, {"alert": "Hi"}, Answer(status, headers, body))
    assert isinstance(found, OUTCOMES)
    if isinstance(found, RetryLater):
        assert found.after is None or 0 <= found.after <= 86_400
