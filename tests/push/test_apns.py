import asyncio
import dataclasses
import json
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey

from hongyan.engine.pushing import Device, InvalidToken, Push, Pusher, Refused, RetryLater, Sent
from hongyan.push import apns, http
from hongyan.push.apns import ApnsCredentials, payload
from tests.push.pushes import push
from tests.support.push.apns import KEY_ID, TEAM, Apns
from tests.support.push.emulator import Emulator, Reply
from tests.support.server import Certificate

DEVICE = Apns.device


@pytest.fixture
async def apple(start: Callable[[type[Emulator]], Any]) -> Apns:
    service: Apns = await start(Apns)
    return service


class Time:
    """Seconds that go on when the test wants it."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def timed(apple: Apns) -> Any:
    """An adapter and its service with a clock that both look at."""
    clock = Time(1_700_000_000.5)
    apple.now = clock
    pusher = apns.Apns(ApnsCredentials.parse(apple.credentials), clock)
    yield pusher, clock
    await pusher.close()


def at(clock: Time, content: dict[str, Any] | None = None) -> Push:
    return Push("one", content or {"alert": "Hi"}, int((clock() + 60) * 1000))


def sent(given: dict[str, Any], device: Device = DEVICE) -> Any:
    return json.loads(payload(push(given), device))


def test_the_keys_of_the_reference_become_apples() -> None:
    assert sent(
        {
            "alert": "Hi",
            "title": "Ada",
            "badge": 3,
            "sound": {"name": "a.wav", "critical": 1, "volume": 0.5},
            "category": "CHAT",
            "thread-id": "c1",
            "mutable-content": 1,
            "url-args": ["a"],
            "target-content-id": "w",
            "collapse-id": "c",
            "apns-priority": 5,
            "apns-push-type": "alert",
            "silent": False,
            "order": {"id": 7},
        }
    ) == {
        "aps": {
            "alert": {"title": "Ada", "body": "Hi"},
            "badge": 3,
            "sound": {"name": "a.wav", "critical": 1, "volume": 0.5},
            "category": "CHAT",
            "thread-id": "c1",
            "mutable-content": 1,
            "url-args": ["a"],
            "target-content-id": "w",
        },
        "order": {"id": 7},
    }


def test_an_alert_that_is_an_object_is_sent_as_it_is() -> None:
    alert = {"loc-key": "MESSAGE", "loc-args": ["Ada"], "launch-image": "x", "summary-arg": "Ada"}
    assert sent({"alert": alert}) == {"aps": {"alert": alert}}
    assert sent({"alert": alert, "title": "Ada"}) == {"aps": {"alert": {"title": "Ada", **alert}}}


def test_in_the_native_form_what_stands_beside_aps_is_data() -> None:
    aps = {"alert": {"title": "Ada", "body": "Hi"}, "badge": "Increment", "interruption-level": "active"}
    assert sent({"aps": aps, "title": "mine", "order": 7}, dataclasses.replace(DEVICE, badge=4)) == {
        "aps": {**aps, "badge": 4},
        "title": "mine",
        "order": 7,
    }


def test_too_long_a_payload_is_shortened_to_the_last_byte() -> None:
    for text in ("x" * 5_000, "é" * 5_000, '"\\' * 5_000):
        made = payload(push({"alert": text, "order": 7}), DEVICE)
        assert 4_085 < len(made) <= 4_096


async def test_headers_say_what_it_is(apple: Apns, connect: Callable[..., Pusher]) -> None:
    pusher = connect(apple)
    given = push({"alert": "Hi", "collapse-id": "c1"})
    await pusher.send(given, DEVICE)
    await pusher.send(given, DEVICE)
    await pusher.send(push({"content-available": 1, "order": 7}), DEVICE)
    await pusher.send(push({"alert": "Hi", "apns-priority": 5, "apns-push-type": "alert"}, collapse="ü" * 90), DEVICE)
    first, again, background, chosen = (request.headers for request in apple.requests)
    assert (first["apns-push-type"], first["apns-priority"], first["apns-collapse-id"]) == ("alert", "10", "c1")
    assert first["apns-expiration"] == str(given.expires_at // 1000)
    assert first["apns-id"] == again["apns-id"] != background["apns-id"]
    assert (background["apns-push-type"], background["apns-priority"]) == ("background", "5")
    assert (chosen["apns-priority"], len(chosen["apns-collapse-id"]) <= 64) == ("5", True)


async def test_the_device_says_its_topic_before_the_credentials(apple: Apns, connect: Callable[..., Pusher]) -> None:
    device = dataclasses.replace(DEVICE, app="com.example.other")
    assert await connect(apple).send(push(), device) == Refused("DeviceTokenNotForTopic", "HTTP 400")
    assert apple.requests[-1].headers["apns-topic"] == "com.example.other"
    none = await connect(apple, topic="").send(push(), DEVICE)
    assert isinstance(none, Refused)
    assert none.code == "MissingTopic"


async def test_a_device_of_another_team_is_refused(apple: Apns, connect: Callable[..., Pusher]) -> None:
    outcome = await connect(apple).send(push(), dataclasses.replace(DEVICE, team="OTHER"))
    assert isinstance(outcome, Refused)
    assert outcome.code == "WrongTeam"
    assert isinstance(await connect(apple).send(push(), dataclasses.replace(DEVICE, team=TEAM)), Sent)


@pytest.mark.parametrize("token", ["", "../../x", "zz" * 32, "00 ff"])
async def test_what_can_be_no_token_is_not_sent(token: str, apple: Apns, connect: Callable[..., Pusher]) -> None:
    assert isinstance(await connect(apple).send(push(), Device("ios", token)), InvalidToken)
    assert apple.requests == []


async def test_one_token_serves_for_forty_minutes(apple: Apns, timed: Any) -> None:
    pusher, clock = timed
    for minutes in (0, 39, 2, 39, 2):
        clock.at += minutes * 60
        assert isinstance(await pusher.send(at(clock), DEVICE), Sent)
    tokens = [request.headers["authorization"] for request in apple.requests]
    assert tokens[0] == tokens[1] != tokens[2] == tokens[3] != tokens[4]


async def test_a_token_that_apple_holds_for_expired_is_renewed_once_there_may_be_a_new_one(
    apple: Apns, timed: Any
) -> None:
    """Apple's clock goes ahead by more than the token has left."""
    pusher, clock = timed
    assert isinstance(await pusher.send(at(clock), DEVICE), Sent)
    ahead = Time(clock.at)
    apple.now = ahead
    clock.at += 25 * 60
    ahead.at += 61 * 60
    outcomes = await asyncio.gather(*(pusher.send(at(clock), DEVICE) for _ in range(5)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert len({request.headers["authorization"] for request in apple.requests}) == 2


async def test_too_soon_for_a_new_token_is_later(apple: Apns, timed: Any) -> None:
    pusher, clock = timed
    apple.now = Time(clock.at + 7_200)
    outcome = await pusher.send(at(clock), DEVICE)
    assert isinstance(outcome, RetryLater)
    assert outcome.after == 1_200
    assert len(apple.requests) == 1


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (400, "BadDeviceToken", InvalidToken("BadDeviceToken")),
        (410, "Unregistered", InvalidToken("Unregistered")),
        (410, "ExpiredToken", InvalidToken("ExpiredToken")),
        (400, "DeviceTokenNotForTopic", Refused("DeviceTokenNotForTopic", "HTTP 400")),
        (403, "InvalidProviderToken", Refused("InvalidProviderToken", "HTTP 403")),
        (403, "BadEnvironmentKeyIdInToken", Refused("BadEnvironmentKeyIdInToken", "HTTP 403")),
        (413, "PayloadTooLarge", Refused("PayloadTooLarge", "HTTP 413")),
        (429, "TooManyRequests", RetryLater(None, "TooManyRequests")),
        (429, "TooManyProviderTokenUpdates", RetryLater(1_200, "TooManyProviderTokenUpdates")),
        (500, "InternalServerError", RetryLater(None, "InternalServerError")),
        (503, "Shutdown", RetryLater(None, "Shutdown")),
    ],
)
async def test_each_reason_is_what_it_is(
    status: int, reason: str, expected: Any, apple: Apns, connect: Callable[..., Pusher], monkeypatch: Any
) -> None:
    monkeypatch.setattr(apple, "deliver", lambda _request: Reply(status, {"reason": reason}))
    assert await connect(apple).send(push(), DEVICE) == expected


async def test_many_pushes_share_one_connection(apple: Apns, connect: Callable[..., Pusher]) -> None:
    pusher = connect(apple)
    await pusher.send(push(), DEVICE)
    outcomes = await asyncio.gather(*(pusher.send(push(), DEVICE) for _ in range(50)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert apple.connections == 1


async def test_a_connection_that_has_died_is_not_used_again(
    apple: Apns, connect: Callable[..., Pusher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SILENCE", 1.0)
    pusher = connect(apple)
    assert isinstance(await pusher.send(push(), DEVICE), Sent)
    apple.mood = "silence"
    assert isinstance(await pusher.send(push(), DEVICE), RetryLater)
    apple.mood = "fine"
    assert isinstance(await pusher.send(push(), DEVICE), Sent)
    assert apple.connections == 2


async def test_over_tls_too(
    connect: Callable[..., Pusher], certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server speaks HTTP/2 only, as Apple's does."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    http.tls.cache_clear()
    apple = Apns()
    apple.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    apple.tls.load_cert_chain(certificate.certificate, certificate.key)
    apple.tls.set_alpn_protocols(["h2"])
    await apple.start()
    try:
        assert isinstance(await connect(apple).send(push(), DEVICE), Sent)
        monkeypatch.delenv("SSL_CERT_FILE")
        http.tls.cache_clear()
        assert isinstance(await connect(apple).send(push(), DEVICE), RetryLater)  # nobody known has signed for it
    finally:
        http.tls.cache_clear()
        await apple.stop()


async def test_the_environment_decides_about_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def post(_self: Any, url: str, *_: Any) -> http.Answer:
        asked.append(url)
        return http.Answer(200, {}, b"")

    monkeypatch.setattr(http.Http, "post", post)
    given = Apns().credentials
    pusher = apns.Apns(ApnsCredentials.parse({**given, "base_url": None}))
    await pusher.send(push(), DEVICE)
    await pusher.send(push(), dataclasses.replace(DEVICE, environment="dev"))
    await pusher.close()
    assert asked == [f"{host}/3/device/{DEVICE.token}" for host in (apns.PRODUCTION, apns.DEVELOPMENT)]


@pytest.mark.parametrize(
    "change",
    [{"key": "no key"}, {"key": ""}, {"team_id": ""}, {"key_id": "a\nb"}, {"topic": "a b"}, {"key": "p384"}],
)
def test_credentials_that_can_not_be_right_are_refused(change: dict[str, str]) -> None:
    if change.get("key") == "p384":
        change = {"key": ECKey.generate_key("P-384", private=True).as_pem(private=True).decode()}
    key = ECKey.generate_key("P-256", private=True).as_pem(private=True).decode()
    good = {"team_id": TEAM, "key_id": KEY_ID, "key": key}
    ApnsCredentials.parse(good)
    with pytest.raises(ValueError, match=f"^`{next(iter(change))}` must be "):
        ApnsCredentials.parse({**good, **change})
