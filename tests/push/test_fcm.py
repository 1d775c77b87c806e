import json
from collections.abc import Callable
from typing import Any

import pytest

from hongyan.engine.pushing import InvalidToken, Pusher, Refused, RetryLater
from hongyan.push.fcm import FcmCredentials, strings
from tests.push.pushes import push
from tests.support.push.emulator import Emulator, Reply
from tests.support.push.fcm import OTHER_KEY, Fcm, error, invalid

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


@pytest.fixture
async def google(start: Callable[[type[Emulator]], Any]) -> Fcm:
    service: Fcm = await start(Fcm)
    return service


async def test_a_notification(google: Fcm, connect: Callable[..., Pusher]) -> None:
    content = {"title": "Ada", "alert": "Hi", "order": {"id": 7}}
    await connect(google, channel="chats").send(push(content, collapse="c1"), google.device)
    (message,) = google.delivered
    ttl = message["android"].pop("ttl")
    assert 3_500 < int(ttl[:-1]) <= 3_600
    assert message == {
        "token": google.device.token,
        "notification": {"title": "Ada", "body": "Hi"},
        "data": {"order": '{"id":7}'},
        "android": {"priority": "HIGH", "notification": {"tag": "c1", "channel_id": "chats"}},
    }


async def test_a_silent_push_is_data_alone(google: Fcm, connect: Callable[..., Pusher]) -> None:
    await connect(google).send(push({"alert": "Hi", "silent": True, "order": "7"}), google.device)
    assert "notification" not in google.delivered[0]
    assert "notification" not in google.delivered[0]["android"]
    assert google.delivered[0]["data"] == {"order": "7"}


def test_data_are_texts_and_keep_away_from_names_of_google() -> None:
    given = {"from": "tom", "google.x": 1, "gcm": None, "a": [1], "b": "x", "message_type": "m", "fromage": "brie"}
    assert strings(given) == {
        "_from": "tom",
        "_google.x": "1",
        "_gcm": "null",
        "a": "[1]",
        "b": "x",
        "_message_type": "m",
        "fromage": "brie",
    }


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (error(404, "NOT_FOUND", "gone", {"@type": FCM_ERROR, "errorCode": "UNREGISTERED"}), InvalidToken("gone")),
        (invalid("message.token", "no token"), InvalidToken("no token")),
        (invalid("message.data", "no data"), Refused("INVALID_ARGUMENT", "no data")),
        (
            error(403, "PERMISSION_DENIED", "other", {"@type": FCM_ERROR, "errorCode": "SENDER_ID_MISMATCH"}),
            Refused("SENDER_ID_MISMATCH", "other"),
        ),
        (error(404, "NOT_FOUND", "no such project"), Refused("404", "HTTP 404")),
        (error(429, "RESOURCE_EXHAUSTED", "quota"), RetryLater(60, "quota")),
        (error(503, "UNAVAILABLE", "busy", Retry_After="30"), RetryLater(30, "HTTP 503")),
        (error(500, "INTERNAL", "oh"), RetryLater(None, "HTTP 500")),
        (Reply(400, {"error": {"details": [7, {"fieldViolations": 7}, {"errorCode": "INVALID_ARGUMENT"}]}}), None),
    ],
)
async def test_each_error_is_what_it_is(
    reply: Reply, expected: Any, google: Fcm, connect: Callable[..., Pusher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google, "deliver", lambda _request: reply)
    outcome = await connect(google).send(push(), google.device)
    assert outcome == (expected or Refused("INVALID_ARGUMENT", ""))


async def test_a_token_that_is_refused_twice_is_not_asked_for_again(
    google: Fcm, connect: Callable[..., Pusher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google, "deliver", lambda _request: error(401, "UNAUTHENTICATED", "no"))
    assert await connect(google).send(push(), google.device) == Refused("401", "HTTP 401")
    assert google.auths == 2


async def test_what_google_says_of_the_key_is_told(google: Fcm, connect: Callable[..., Pusher]) -> None:
    outcome = await connect(google, **google.wrong_credentials).send(push(), google.device)
    assert outcome == Refused("400", "HTTP 400: invalid_grant: Invalid JWT Signature.")


async def test_the_file_of_a_service_account_is_taken_as_it_is(google: Fcm) -> None:
    given = json.loads(json.dumps(google.credentials))
    FcmCredentials.parse(given)
    for field, value in [
        ("type", "authorized_user"),
        ("private_key", "no key"),
        ("private_key", OTHER_KEY.as_pem(private=False).decode()),
        ("token_uri", "ftp://x"),
        ("project_id", "../x"),
        ("client_email", ""),
    ]:
        with pytest.raises(ValueError, match=f"^`{field}` (must be|is none) "):
            FcmCredentials.parse({**given, field: value})
