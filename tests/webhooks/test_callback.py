"""LeanCloud's callback: what clients say in service conversations, as an array to one address."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from hongyan import signing
from hongyan.engine.events import MessageSent, UpstreamReceived
from hongyan.engine.values import Conversation, ConversationKind, Message
from hongyan.engine.work import Job
from hongyan.jobs import Failed
from hongyan.outbound import Answer, OutboundError
from hongyan.webhooks import callback
from tests.webhooks.conftest import Place, said, until

URL = "https://shop.example/messages"
LANE = "callback:1"


@pytest.fixture
async def listening(place: Place) -> Place:
    """A place whose app has a callback."""
    await place.engine.apps.change("home", {"callback_url": URL})
    return place


def heard(text: str | bytes, at: int = 1_795_639_511_852, **more: bool) -> UpstreamReceived:
    stream = Conversation(1, 1, "65f000000000000000000001", ConversationKind.SERVICE, 1, {"Tom"}, stream="x")
    return UpstreamReceived(stream, Message("AaIUdIssGTlVyO30HJ6s-Q", 1, at, "Tom", text, **more), None)


async def say(place: Place, *texts: str | bytes) -> list[Job]:
    for text in texts:
        await place.store.jobs.add(list(place.callback.jobs(place.app.key, heard(text), None)))
    return await place.store.jobs.next(LANE, 1_000)


async def test_the_address_is_kept_as_it_is(place: Place) -> None:
    await place.engine.apps.change("home", {"callback_url": f"{URL}/?token=a"})
    assert place.app.settings.callback_url == f"{URL}/?token=a"


async def test_only_an_app_with_an_address_is_called(place: Place) -> None:
    assert not place.callback.wants(place.app.key, UpstreamReceived)
    await place.engine.apps.change("home", {"callback_url": URL})
    assert place.callback.wants(place.app.key, UpstreamReceived)
    assert not place.callback.wants(place.app.key, MessageSent)
    assert not place.callback.wants(place.app.key + 1, UpstreamReceived)


async def test_the_items_are_rows_of_sys_message(listening: Place) -> None:
    await listening.callback.do(await say(listening, '{"_lctype":-1,"_lctext":"雁"}', b"\x00\xff"))
    (call,) = listening.receiver.calls
    assert (call.url, call.seconds) == (URL, 5.0)
    at = {"__type": "Date", "iso": "2026-11-25T20:45:11.852Z"}
    first = {
        "msgId": "AaIUdIssGTlVyO30HJ6s-Q",
        "from": "Tom",
        "fromIp": None,
        "conv": {"__type": "Pointer", "className": "_Conversation", "objectId": "65f000000000000000000001"},
        "bin": False,
        "data": '{"_lctype":-1,"_lctext":"雁"}',
        "timestamp": 1_795_639_511_852,
        "createdAt": at,
        "updatedAt": at,
    }
    assert json.loads(call.body) == [first, {**first, "bin": True, "data": "AP8="}]


async def test_it_is_signed_with_the_hook_key(listening: Place) -> None:
    jobs = await say(listening, "a", "b")
    await listening.callback.do(jobs)
    await listening.callback.do(jobs)
    await listening.callback.do(jobs[:1])
    first, again, other = listening.receiver.calls
    verifier = Verifier(signing.secret_of(listening.app.hook_key))
    at = datetime.fromtimestamp(listening.wall.at // 1000, UTC)
    assert first.headers["webhook-signature"] == verifier.sign(first.headers["webhook-id"], at, first.body.decode())
    assert first.headers["webhook-id"] == again.headers["webhook-id"] != other.headers["webhook-id"]


@pytest.mark.parametrize("answer", [said(302), said(404), said(500), OutboundError("refused")], ids=str)
async def test_all_but_2xx_is_a_failure_of_all(listening: Place, answer: Answer | OutboundError) -> None:
    listening.receiver.answers = [answer]
    with pytest.raises(Failed) as failed:
        await listening.callback.do(await say(listening, "a", "b"))
    assert failed.value.everybody


async def test_what_waits_goes_together_in_order(listening: Place) -> None:
    count = callback.ITEMS_MAX * 2 + 50
    for number in range(count):
        await listening.store.jobs.add(list(listening.callback.jobs(1, heard(str(number)), None)))
    jobs = await listening.jobs()

    async def all_called() -> bool:
        return sum(len(json.loads(call.body)) for call in listening.receiver.calls) == count

    await until(all_called)
    await jobs.stop(1)
    bodies = [json.loads(call.body) for call in listening.receiver.calls]
    assert [item["data"] for body in bodies for item in body] == [str(number) for number in range(count)]
    assert max(map(len, bodies)) <= callback.ITEMS_MAX
    assert len(bodies) < 10


async def test_after_three_retries_it_is_given_up(listening: Place) -> None:
    listening.receiver.answers = [said(500)] * 9
    jobs = await listening.jobs()
    await say(listening, "a")

    async def attempts(count: int) -> bool:
        return [job.attempts for job in await listening.store.jobs.next(LANE, 9)] == [count]

    async def given_up() -> bool:
        return len(await listening.store.jobs.dead(1, 0, 9)) == 1

    for count in (1, 2, 3):
        await until(lambda count=count: attempts(count))  # type: ignore[misc]
        listening.wall.at += 200_000
        jobs.look({LANE})
    await until(given_up)
    await jobs.stop(1)
    assert len(listening.receiver.calls) == 4


async def test_who_wants_no_callback_any_more_is_not_called(listening: Place) -> None:
    jobs = await say(listening, "a")
    await listening.engine.apps.change("home", {"callback_url": ""})
    await listening.callback.do(jobs)
    await listening.callback.do([replace(jobs[0], app_key=99)])
    assert listening.receiver.calls == []


async def test_transient_messages_are_not_told(listening: Place) -> None:
    assert list(listening.callback.jobs(1, heard("typing", transient=True), None)) == []


@pytest.mark.parametrize("text", ["shop.example/hook", "ftp://shop.example/", "https://u:p@shop.example/", "https://"])
async def test_what_is_no_address_is_refused(place: Place, text: str) -> None:
    with pytest.raises(ValueError, match="The app setting callback_url is a URL"):
        await place.engine.apps.change("home", {"callback_url": text})
    assert place.app.settings.callback_url == ""
