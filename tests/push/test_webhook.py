from collections.abc import Callable
from typing import Any

import pytest

from hongyan.engine.pushing import Pusher, Refused, RetryLater, Sent
from hongyan.push.webhook import WebhookCredentials, key, signatures
from tests.push.pushes import push
from tests.support.push.emulator import Emulator, Reply
from tests.support.push.webhook import KEY, OLD_KEY, Webhook, secret


@pytest.fixture
async def receiver(start: Callable[[type[Emulator]], Any]) -> Webhook:
    service: Webhook = await start(Webhook)
    return service


def test_the_example_of_standard_webhooks() -> None:
    """From its libraries' tests."""
    found = signatures(
        [key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        b'{"test": 2432232314}',
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_the_receiver_is_told_all(receiver: Webhook, connect: Callable[..., Pusher]) -> None:
    sent = push({"alert": "Hi", "order": {"id": 7}}, collapse="c1")
    assert await connect(receiver).send(sent, receiver.device) == Sent()
    (body,) = receiver.delivered
    assert body["data"] == {
        "push": sent.id,
        "token": "device-one",
        "app": "",
        "environment": "prod",
        "expires_at": sent.expires_at,
        "collapse": "c1",
        "content": {"alert": "Hi", "order": {"id": 7}},
    }


async def test_all_attempts_have_one_id(receiver: Webhook, connect: Callable[..., Pusher]) -> None:
    pusher, sent = connect(receiver), push()
    for _ in range(2):
        await pusher.send(sent, receiver.device)
    assert receiver.ids == [sent.id, sent.id]


async def test_while_the_secret_changes_both_sign(receiver: Webhook, connect: Callable[..., Pusher]) -> None:
    receiver.keys = [OLD_KEY]
    assert isinstance(await connect(receiver).send(push(), receiver.device), Refused)
    assert isinstance(await connect(receiver, old_secret=secret(OLD_KEY)).send(push(), receiver.device), Sent)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, Sent()), (202, Sent()), (410, Refused), (404, Refused), (408, RetryLater), (502, RetryLater)],
)
async def test_each_status_is_what_it_is(
    status: int, expected: Any, receiver: Webhook, connect: Callable[..., Pusher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "deliver", lambda _request: Reply(status))
    outcome = await connect(receiver).send(push(), receiver.device)
    assert outcome == expected if isinstance(expected, Sent) else isinstance(outcome, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://x"},
        {"url": "https://"},
        {"url": "https://x:99999"},
        {"secret": "whsec_AAAA"},
        {"secret": secret(KEY)[6:]},
        {"secret": secret(KEY * 3)},
        {"old_secret": "whsec_?"},
    ],
)
def test_credentials_that_can_not_be_right_are_refused(change: dict[str, str]) -> None:
    good = {"url": "https://x", "secret": secret(KEY)}
    WebhookCredentials.parse(good)
    with pytest.raises(ValueError, match=f"^`{next(iter(change))}` must be "):
        WebhookCredentials.parse({**good, **change})
