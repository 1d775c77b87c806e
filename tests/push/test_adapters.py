"""What `engine.pushing.Pusher` promises, on each adapter, against an emulator of its service."""

import asyncio
import dataclasses
import io
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from rich.console import Console

from hongyan import log
from hongyan.engine.pushing import Device, InvalidToken, Pusher, Refused, RetryLater, Sent
from hongyan.push import ADAPTERS, http
from tests.push.pushes import push
from tests.support.push.emulator import Emulator, Mood

#: Services for which a status alone is an answer: Apple's 200 comes over HTTP/2 from nobody else.
BY_STATUS = {"apns", "webhook"}
WITH_TOKENS = {"fcm", "huawei", "honor", "oppo", "vivo"}


def stranger(service: Emulator) -> Device:
    """A device of the right form that the service does not know."""
    token = service.device.token
    other = token[:-1] + ("1" if token[-1] != "1" else "2")
    return dataclasses.replace(service.device, token=other)


async def test_a_push_is_delivered(service: Emulator, pusher: Pusher) -> None:
    outcome = await pusher.send(push(), service.device)
    assert isinstance(outcome, Sent), outcome
    assert service.shown == [("Ada", "Lunch at noon?")]


async def test_data_of_the_app_come_along(service: Emulator, pusher: Pusher) -> None:
    await pusher.send(push({"alert": "Hi", "order": {"id": 70_712}, "from": "tom"}), service.device)
    assert "70712" in repr(service.delivered)
    assert "tom" in repr(service.delivered)


async def test_one_push_takes_the_place_of_another(service: Emulator, pusher: Pusher) -> None:
    for text in ("1 new message", "2 new messages"):
        sent = push({"alert": text}, collapse="conversation 5f/ü")
        assert isinstance(await pusher.send(sent, service.device), Sent)
    assert [body for _, body in service.shown] == ["1 new message", "2 new messages"]


async def test_a_silent_push_shows_nothing_or_is_refused(service: Emulator, pusher: Pusher) -> None:
    silent = {"silent": True, "content-available": 1, "order": 7}
    outcome = await pusher.send(push(silent), service.device)
    if service.silent:
        assert isinstance(outcome, Sent), outcome
        assert service.shown == [("", "")]
    else:
        assert isinstance(outcome, Refused)
        assert outcome.code == "NothingToShow"


async def test_of_a_device_that_is_gone_the_token_is_invalid(service: Emulator, pusher: Pusher) -> None:
    device = stranger(service)
    outcome = await pusher.send(push(), device)
    expected = Refused if service.adapter == "webhook" else InvalidToken  # a server of the app's own knows no tokens
    assert isinstance(outcome, expected), outcome
    assert device.token not in repr(outcome)


async def test_who_is_too_fast_is_told_to_wait(service: Emulator, pusher: Pusher) -> None:
    service.mood = "limited"
    outcome = await pusher.send(push(), service.device)
    assert isinstance(outcome, RetryLater), outcome
    assert outcome.after == service.wait
    service.mood = "fine"
    assert isinstance(await pusher.send(push(), service.device), Sent)


async def test_a_service_that_is_down_is_tried_again_later(service: Emulator, pusher: Pusher) -> None:
    service.mood = "down"
    assert isinstance(await pusher.send(push(), service.device), RetryLater)


async def test_what_is_no_answer_of_the_service_is_no_success(service: Emulator, pusher: Pusher) -> None:
    service.mood = "garbage"
    outcome = await pusher.send(push(), service.device)
    assert isinstance(outcome, Sent if service.adapter in BY_STATUS else RetryLater), outcome
    assert service.shown == []


async def test_too_long_an_answer_is_not_read(service: Emulator, pusher: Pusher) -> None:
    """However good it were: an answer that has no end must not fill the memory."""
    service.mood = "huge"
    outcome = await pusher.send(push(), service.device)
    by_status = service.adapter in {*BY_STATUS, "web_push"}
    assert isinstance(outcome, Sent if by_status else RetryLater), outcome
    assert len(service.shown) == (0 if service.adapter in WITH_TOKENS else 1)


async def test_who_gives_no_answer_is_given_up(
    service: Emulator, pusher: Pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "WHOLE", 0.2)
    service.mood = "silence"
    outcome = await pusher.send(push(), service.device)
    assert isinstance(outcome, RetryLater), outcome
    assert outcome.reason.startswith("127.0.0.1 gives no answer")


async def test_who_is_not_there_is_tried_again_later(service: Emulator, pusher: Pusher) -> None:
    device = service.device
    await service.stop()
    assert isinstance(await pusher.send(push(), device), RetryLater)
    await service.start()  # for the fixture to stop


async def test_a_redirect_is_not_followed(service: Emulator, pusher: Pusher) -> None:
    service.mood = "redirect"
    outcome = await pusher.send(push(), service.device)
    assert isinstance(outcome, Refused | RetryLater)
    assert service.elsewhere == 0


async def test_too_long_an_alert_is_shortened(service: Emulator, pusher: Pusher) -> None:
    text = "好👨‍👩‍👧‍👦e\u0301" * 4_000
    outcome = await pusher.send(push({"title": "Ada", "alert": text}), service.device)
    assert isinstance(outcome, Sent), outcome
    ((title, body),) = service.shown
    assert title == "Ada"
    assert body.endswith("…")
    assert text.startswith(body[:-1])
    assert len(body) > 40
    assert not text[len(body) - 1 :].startswith(("\u200d", "\u0301"))  # nothing is parted


async def test_too_long_a_title_is_shortened(service: Emulator, pusher: Pusher) -> None:
    outcome = await pusher.send(push({"title": "t" * 30_000, "alert": "Hi"}), service.device)
    if service.adapter == "webhook":  # it gets what the app gave
        assert isinstance(outcome, Refused)
        return
    assert isinstance(outcome, Sent), outcome
    ((title, _),) = service.shown
    assert title.endswith("t…")


async def test_too_much_data_are_refused_and_nothing_is_sent(service: Emulator, pusher: Pusher) -> None:
    outcome = await pusher.send(push({"alert": "Hi", "order": "x" * 30_000}), service.device)
    if service.adapter == "meizu":  # no limit is known
        assert isinstance(outcome, Sent)
        return
    assert isinstance(outcome, Refused)
    assert outcome.code == "PayloadTooLarge"
    assert service.shown == []


async def test_a_push_that_is_late_is_not_sent(service: Emulator, pusher: Pusher) -> None:
    outcome = await pusher.send(push(seconds=-1), service.device)
    assert outcome == Refused("Expired", "the push was not sent in time")
    assert (service.shown, service.auths) == ([], 0)


async def test_wrong_credentials_are_refused(service: Emulator, connect: Callable[..., Pusher]) -> None:
    outcome = await connect(service, **service.wrong_credentials).send(push(), service.device)
    assert isinstance(outcome, Refused), outcome
    assert service.shown == []


async def test_many_who_find_the_token_expired_fetch_one_new_one(service: Emulator, pusher: Pusher) -> None:
    if service.adapter not in WITH_TOKENS:
        assert isinstance(await pusher.send(push(), service.device), Sent)
        assert service.auths == 0
        return
    first = await asyncio.gather(*(pusher.send(push(), service.device) for _ in range(20)))
    assert service.auths == 1
    service.expire_tokens()
    again = await asyncio.gather(*(pusher.send(push(), service.device) for _ in range(20)))
    assert service.auths == 2
    assert {type(outcome) for outcome in [*first, *again]} == {Sent}, [*first, *again]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged at the most talkative level; what was set up before is put back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure("debug", "json", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


async def test_secrets_are_not_shown(service: Emulator, pusher: Pusher, written: io.StringIO) -> None:
    """Neither what is logged nor what is printed of the values has a secret in it."""
    moods: tuple[Mood, ...] = ("fine", "limited", "down")
    for mood in moods:
        service.mood = mood
        written.write(repr(await pusher.send(push(), service.device)))
    assert "127.0.0.1" not in written.getvalue()
    credentials = ADAPTERS[service.adapter].credentials.parse(service.credentials)
    Console(file=written, width=10_000).print(credentials, service.device, pusher)
    written.write(repr((credentials, service.device, pusher)))
    for secret in [*service.secrets, service.device.token]:
        assert secret not in written.getvalue()


async def test_who_is_cancelled_leaves_the_others_alone(service: Emulator, pusher: Pusher) -> None:
    await pusher.send(push(), service.device)
    one, other = (asyncio.create_task(pusher.send(push(), service.device)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    assert isinstance(await other, Sent)
    with pytest.raises(asyncio.CancelledError):
        await one


def test_the_platforms_of_the_adapters_are_different() -> None:
    platforms = [adapter.platform for adapter in ADAPTERS.values()]
    assert len(set(platforms)) == len(platforms)
