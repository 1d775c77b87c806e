from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hongyan.engine.pushing import Device, InvalidToken, Pusher, Sent
from hongyan.push import http, web_push
from hongyan.push.web_push import WebPushCredentials, decoded, encrypt, private_key
from tests.push.pushes import push
from tests.support.push.emulator import Emulator
from tests.support.push.web_push import Browser, WebPush

#: RFC 8291, section 5 and appendix A.
PLAIN = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SECRET, SALT = "BTBZMqHH6r4Tts7J_aSIgg", "DGv6ra1nlYgDCS1FRnbzlw"
MESSAGE = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_y"
    "l95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


@pytest.fixture
async def maker(start: Callable[[type[Emulator]], Any]) -> WebPush:
    service: WebPush = await start(WebPush)
    return service


def test_the_example_of_rfc_8291() -> None:
    sender = private_key(SENDER)
    assert encrypt(PLAIN, decoded(RECEIVER), decoded(SECRET), decoded(SALT), sender) == decoded(MESSAGE)


def test_no_two_messages_are_encrypted_alike() -> None:
    browser = Browser()
    keys = [decoded(browser.keys[name]) for name in ("p256dh", "auth")]
    bodies = [encrypt(PLAIN, *keys) for _ in range(2)]
    assert [browser.decrypt(body) for body in bodies] == [PLAIN, PLAIN]
    salts_and_senders = [(body[:16], body[21:86]) for body in bodies]
    assert salts_and_senders[0][0] != salts_and_senders[1][0]
    assert salts_and_senders[0][1] != salts_and_senders[1][1]


async def test_the_page_is_told_all_it_shows(maker: WebPush, connect: Callable[..., Pusher]) -> None:
    content = {"title": "Ada", "alert": "Hi", "badge": 3, "order": {"id": 7}}
    await connect(maker).send(push(content, collapse="c1"), maker.device)
    shown = {"title": "Ada", "body": "Hi", "badge": 3, "tag": "c1", "data": {"order": {"id": 7}}}
    assert maker.delivered == [{**shown, "topic": "c1"}]


async def test_a_topic_is_such_as_services_take(maker: WebPush, connect: Callable[..., Pusher]) -> None:
    pusher = connect(maker)
    for collapse in ("a b", "x" * 33, "ü"):
        assert isinstance(await pusher.send(push(collapse=collapse), maker.device), Sent)
    topics = [each["topic"] for each in maker.delivered]
    assert len(set(topics)) == 3
    assert all(topics)


async def test_the_longest_payload_fits_into_one_record(maker: WebPush, connect: Callable[..., Pusher]) -> None:
    await connect(maker).send(push({"alert": "x" * 9_000}), maker.device)
    made = web_push.payload(push({"alert": "x" * 9_000}), maker.device)
    assert web_push.PAYLOAD_MAX - 2 <= len(made) <= web_push.PAYLOAD_MAX == 3_993
    assert maker.shown[0][1].endswith("x…")


async def test_one_signature_serves_a_push_service_for_a_while(maker: WebPush, connect: Callable[..., Pusher]) -> None:
    pusher = connect(maker)
    for _ in range(3):
        await pusher.send(push(), maker.device)
    assert len(maker.signatures) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://fcm.googleapis.com/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://evilfcm.googleapis.com/x",
        "https://fcm.googleapis.com.example.com/x",
        "https://fcm.googleapis.com@127.0.0.1/x",
        "https://user@fcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com:x/",
        "https://notify.windows.com.evil.com/x",
        "https://[::1]/x",
        "https://fcm.googleapis.com/a b\n",
        "https://fcm.googleapis.com/" + "x" * 5_000,
        "file:///etc/passwd",
        "",
    ],
)
async def test_only_push_services_of_makers_are_called(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address comes from the browser, which could name any."""
    asked: list[str] = []

    async def post(_self: Any, url: str, *_: Any) -> http.Answer:
        asked.append(url)
        return http.Answer(201, {}, b"")

    monkeypatch.setattr(http.Http, "post", post)
    pusher = web_push.WebPush(WebPushCredentials.parse({**WebPush().credentials, "base_url": None}))
    keys = Browser().keys
    assert isinstance(await pusher.send(push(), Device("web", url, keys=keys)), InvalidToken)
    assert asked == []
    for good in (
        "https://fcm.googleapis.com/fcm/send/x",
        "https://updates.push.services.mozilla.com/wpush/v2/x",
        "https://wns2-par02p.notify.windows.com/w/?token=x",
        "https://web.push.apple.com/x",
    ):
        assert isinstance(await pusher.send(push(), Device("web", good, keys=keys)), Sent)
    assert len(asked) == 4
    await pusher.close()


@pytest.mark.parametrize(
    "keys", [{}, {"p256dh": "x", "auth": "x"}, {"p256dh": RECEIVER, "auth": "AAAA"}, {"auth": SECRET}]
)
async def test_without_keys_nothing_is_sent(
    keys: dict[str, str], maker: WebPush, connect: Callable[..., Pusher]
) -> None:
    outcome = await connect(maker).send(push(), Device("web", maker.device.token, keys=keys))
    assert isinstance(outcome, InvalidToken)
    assert maker.signatures == set()


@pytest.mark.parametrize(
    "change",
    [
        {"private_key": "AAAA"},
        {"private_key": "?" * 43},
        {"private_key": "A" * 43},
        {"subject": "me"},
        {"subject": "mailto:ü@x"},
    ],
)
def test_credentials_that_can_not_be_right_are_refused(change: dict[str, str]) -> None:
    good = {"private_key": SENDER, "subject": "mailto:push@example.com"}
    WebPushCredentials.parse(good)
    with pytest.raises(ValueError, match=f"^`{next(iter(change))}` must "):
        WebPushCredentials.parse({**good, **change})


def test_a_key_is_on_the_curve_of_web_push() -> None:
    assert isinstance(private_key(SENDER).curve, ec.SECP256R1)
