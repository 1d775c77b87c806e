"""Signatures, verified by the official library."""

from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from hongyan import signing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_plJ3nmyCDGBKInavdOK15jsl"
BODY = b'{"type":"client.online","data":{"client":"\xe9\x9b\x81"}}'


def now() -> int:
    return round(datetime.now(UTC).timestamp() * 1000)


def test_the_vector_of_the_specification() -> None:
    made = signing.headers([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000, b'{"test": 2432232314}')
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("known", [SECRET, OTHER])
def test_during_a_rotation_both_secrets_verify(known: str) -> None:
    made = signing.headers([OTHER, SECRET], "one", now(), BODY)
    assert Webhook(known).verify(BODY, made)["type"] == "client.online"


def test_another_body_does_not_verify() -> None:
    made = signing.headers([SECRET], "one", now(), BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY.replace(b"online", b"offline"), made)


def test_a_key_of_an_app_signs() -> None:
    secret = signing.secret_of("hook-key")
    assert Webhook(secret).verify(BODY, signing.headers([secret], "one", now(), BODY))
