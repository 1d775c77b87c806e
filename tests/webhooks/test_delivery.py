"""Deliveries to webhooks: made with what happens, tried as the schedule says, given up where it is of no use."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from hongyan.engine.events import ClientOffline, ClientOnline, Event, MessageSent
from hongyan.engine.values import DAY, Departure, Webhook
from hongyan.engine.webhooks import GIVE_UP_FAILURES, lane
from hongyan.engine.work import Job
from hongyan.errors import Refused
from hongyan.jobs import Failed, Hopeless
from hongyan.outbound import Answer, OutboundError
from hongyan.store import Store
from hongyan.webhooks import delivery
from hongyan.webhooks.delivery import REST_MAX, RETRY_AFTER_MAX, WAITS, pause, retry_after
from tests.webhooks.conftest import Place, said, until

Restart = Callable[[Place], Awaitable[Place]]


def online(place: Place, client: str = "Tom") -> ClientOnline:
    return ClientOnline(place.app.key, client, place.wall.at)


async def happen(place: Place, event: Event) -> None:
    """What follows from an event is kept."""
    if place.follower.wants(place.app.key, type(event)):
        await place.store.jobs.add(list(place.follower.jobs(place.app.key, event, None)))


async def one_job(place: Place, webhook: Webhook) -> Job:
    await happen(place, online(place))
    return (await place.waiting(webhook))[-1]


async def test_each_webhook_that_listens_has_its_own_delivery(place: Place) -> None:
    all_, some = await place.webhook(), await place.webhook("https://b.example/", "client.online", "message.sent")
    off = await place.webhook("https://c.example/", enabled=False)
    await happen(place, online(place))
    await happen(place, ClientOffline(place.app.key, "Tom", Departure.LOST, place.wall.at))
    assert len(await place.waiting(all_)) == 2
    assert [json.loads(job.body)["type"] for job in await place.waiting(some)] == ["client.online"]
    assert await place.waiting(off) == []


async def test_only_what_somebody_listens_to_is_looked_at(place: Place) -> None:
    assert not place.follower.wants(place.app.key, ClientOnline)
    webhook = await place.webhook("https://b.example/", "client.online")
    assert place.follower.wants(place.app.key, ClientOnline)
    assert not place.follower.wants(place.app.key, MessageSent)
    assert not place.follower.wants(place.app.key + 1, ClientOnline)
    await place.engine.webhooks.change(place.app, webhook.id, types=["message.sent"])
    assert place.follower.wants(place.app.key, MessageSent)
    await place.engine.webhooks.delete(place.app, webhook.id)
    assert not place.follower.wants(place.app.key, MessageSent)


async def test_a_delivery_is_signed_and_its_id_is_that_of_the_job(place: Place) -> None:
    webhook = await place.webhook()
    job = await one_job(place, webhook)
    place.receiver.answers = [said(500)]
    with pytest.raises(Failed):
        await place.delivery.do(job)
    place.wall.at += 5_000
    await place.delivery.do(replace(job, attempts=1))
    first, second = place.receiver.calls
    assert (first.url, first.body) == (webhook.url, job.body)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == job.id
    times = [int(call.headers["webhook-timestamp"]) for call in (first, second)]
    assert times == [(place.wall.at - 5_000) // 1000, place.wall.at // 1000]  # of the attempt
    at = datetime.fromtimestamp(place.wall.at // 1000, UTC)
    signature = Verifier(webhook.secrets[0].value).sign(job.id, at, job.body.decode())
    assert second.headers["webhook-signature"] == signature


async def test_during_a_rotation_deliveries_are_signed_twice(place: Place) -> None:
    webhook = await place.webhook()
    rotated = await place.engine.webhooks.rotate(place.app, webhook.id, 60)
    assert rotated.secrets[0].value != webhook.secrets[0].value
    await place.delivery.do(await one_job(place, webhook))
    place.wall.at += 60_000
    await place.delivery.do(await one_job(place, webhook))
    assert [len(call.headers["webhook-signature"].split()) for call in place.receiver.calls] == [2, 1]


async def test_a_secret_lives_no_longer_because_another_came(place: Place) -> None:
    webhook = await place.webhook()
    await place.engine.webhooks.rotate(place.app, webhook.id, 10)
    place.wall.at += 5_000
    await place.engine.webhooks.rotate(place.app, webhook.id, 100)
    place.wall.at += 5_000
    assert len(place.engine.webhooks.secrets(place.app, webhook.id)) == 2
    await place.engine.webhooks.rotate(place.app, webhook.id, 0)
    assert len(place.engine.webhooks.secrets(place.app, webhook.id)) == 1
    for _ in range(5):
        await place.engine.webhooks.rotate(place.app, webhook.id, 100)
    assert len(place.engine.webhooks.secrets(place.app, webhook.id)) == 3


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_a_success(place: Place, status: int) -> None:
    place.receiver.answers = [said(status)]
    await place.delivery.do(await one_job(place, await place.webhook()))


@pytest.mark.parametrize(
    "answer",
    [*(said(status) for status in (301, 302, 307, 400, 401, 404, 422, 500)), OutboundError("no answer in time")],
    ids=str,
)
async def test_everything_else_is_tried_again(place: Place, answer: Answer | OutboundError) -> None:
    webhook = await place.webhook()
    place.receiver.answers = [answer]
    with pytest.raises(Failed) as failed:
        await place.delivery.do(await one_job(place, webhook))
    reason = str(answer) if isinstance(answer, OutboundError) else f"HTTP {answer.status}"
    assert (str(failed.value), failed.value.after, failed.value.pause) == (reason, 0.0, 0.0)
    assert len(place.receiver.calls) == 1
    assert place.engine.webhooks.health(webhook).failing_since == place.wall.at
    await place.delivery.do(await one_job(place, webhook))
    assert place.engine.webhooks.health(webhook).failing_since is None
    assert place.engine.webhooks.health(webhook).succeeded_at == place.wall.at


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_receiver_rests_as_long_as_it_says(place: Place, status: int) -> None:
    place.receiver.answers = [said(status, retry_after="120")]
    with pytest.raises(Failed) as failed:
        await place.delivery.do(await one_job(place, await place.webhook()))
    assert (failed.value.after, failed.value.pause) == (120.0, 120.0)


async def test_one_that_is_gone_is_disabled(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    webhook = await place.webhook()
    job = await one_job(place, webhook)
    place.receiver.answers = [said(410)]
    with pytest.raises(Hopeless):
        await place.delivery.do(job)
    now = place.current(webhook)
    assert (now.enabled, now.disabled_at, now.disabled_reason) == (False, place.wall.at, "it answered HTTP 410: gone")
    assert f"the webhook {webhook.id} is disabled" in caplog.text
    assert not place.follower.wants(place.app.key, ClientOnline)
    with pytest.raises(Hopeless):
        await place.delivery.do(job)
    assert len(place.receiver.calls) == 1


async def test_one_that_has_failed_for_five_days_is_disabled(
    place: Place, again: Restart, caplog: pytest.LogCaptureFixture
) -> None:
    webhook = await place.webhook()
    job = await one_job(place, webhook)

    async def fail(count: int) -> None:
        place.receiver.answers = [said(500)] * count
        for _ in range(count):
            with pytest.raises(Failed):
                await place.delivery.do(job)

    await fail(1)
    place.wall.at += 5 * DAY - 1
    await fail(GIVE_UP_FAILURES)
    assert place.current(webhook).enabled
    place = await again(place)  # since when it fails is known after a restart, too
    place.wall.at += 1
    await fail(GIVE_UP_FAILURES - 1)
    assert place.current(webhook).enabled
    await fail(1)
    now = place.current(webhook)
    assert not now.enabled
    assert now.disabled_reason == "it has failed for 5 days, last with: HTTP 500"
    assert f"the webhook {webhook.id} is disabled" in caplog.text

    await place.engine.webhooks.change(place.app, webhook.id, enabled=True)
    await fail(GIVE_UP_FAILURES)  # it begins anew
    now = place.current(webhook)
    assert (now.enabled, now.disabled_at, now.disabled_reason) == (True, None, "")


async def test_what_waits_for_one_that_was_deleted_is_dropped(place: Place) -> None:
    webhook = await place.webhook()
    job = await one_job(place, webhook)
    await place.engine.webhooks.delete(place.app, webhook.id)
    await place.delivery.do(job)
    assert place.receiver.calls == []


async def test_all_that_waits_goes_with_a_webhook_that_is_deleted_and_is_dead_with_one_that_is_disabled(
    place: Place,
) -> None:
    deleted, off, other = [await place.webhook() for _ in range(3)]
    for _ in range(450):  # in several steps
        await place.store.jobs.add(list(place.follower.jobs(place.app.key, online(place), None)))
    await place.engine.webhooks.delete(place.app, deleted.id)
    await place.engine.webhooks.change(place.app, off.id, enabled=False)
    counts = await place.engine.webhooks.counts([deleted, off, other])
    assert [tuple(counts[each.id]) for each in (deleted, off, other)] == [(0, 0), (0, 450), (450, 0)]
    (dead,) = await place.engine.webhooks.dead(place.app, off.id, 0, 1)
    assert dead.error == "the webhook is disabled"


async def test_everything_is_there_after_a_restart(place: Place, again: Restart) -> None:
    webhook = await place.webhook("https://b.example/?a=b", "client.online", description="雁")
    await place.engine.webhooks.rotate(place.app, webhook.id, 60)
    job = await one_job(place, webhook)
    before = place.current(webhook)
    assert webhook.secrets[0].value not in repr(before)
    place = await again(place)
    assert place.current(webhook) == before
    assert await place.waiting(webhook) == [job]
    assert place.follower.wants(place.app.key, ClientOnline)


async def test_with_too_many_that_wait_nothing_more_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hongyan.engine.webhooks.WAITING_MAX", 2)
    webhook, other = await place.webhook(), await place.webhook()
    await happen(place, online(place))
    assert await place.engine.webhooks.count() == frozenset()
    await place.store.jobs.add(list(place.follower.jobs(place.app.key, online(place), None))[:1])
    assert await place.engine.webhooks.count() == {webhook.id}
    await happen(place, online(place))
    assert [len(await place.waiting(each)) for each in (webhook, other)] == [2, 2]
    assert place.engine.webhooks.health(webhook).left_out == 1
    for job in await place.waiting(webhook):
        await place.store.jobs.settle([job.key])
    assert await place.engine.webhooks.count() == {other.id}
    await happen(place, online(place))
    assert len(await place.waiting(webhook)) == 1


async def test_a_test_is_delivered_at_once_also_to_one_that_is_disabled(place: Place) -> None:
    webhook = await place.webhook(enabled=False)
    attempt = await place.engine.webhooks.test(place.app, webhook.id)
    assert (attempt.status, attempt.error, attempt.type) == (204, "", "webhook.test")
    (call,) = place.receiver.calls
    assert json.loads(call.body)["data"] == {"webhook": webhook.id}
    place.receiver.answers = [OutboundError("not an address that may be called")]
    assert (await place.engine.webhooks.test(place.app, webhook.id)).error == "not an address that may be called"


async def test_one_test_at_a_time(place: Place) -> None:
    webhook = await place.webhook()
    place.receiver.hang = asyncio.Event()
    first = asyncio.create_task(place.engine.webhooks.test(place.app, webhook.id))
    await until(lambda: _is(bool(place.receiver.calls)))
    with pytest.raises(Refused, match="SERVER_BUSY"):
        await place.engine.webhooks.test(place.app, webhook.id)
    place.receiver.hang.set()
    assert (await first).status == 204


async def _is(value: bool) -> bool:
    return value


async def test_a_receiver_that_fails_is_probed_and_has_everything_in_the_end(place: Place) -> None:
    """Deliveries that wait meanwhile are not used up."""
    webhook = await place.webhook()
    for number in range(200):
        await happen(place, online(place, str(number)))
    place.receiver.answers = [said(503)] * 200
    jobs = await place.jobs()

    async def is_over() -> bool:
        place.wall.at += 30_000
        jobs.look({lane(webhook.id)})
        return not await place.waiting(webhook)

    await until(is_over)
    await jobs.stop(1)
    delivered = {json.loads(call.body)["data"]["client"] for call in place.receiver.calls[200:]}
    assert delivered == {str(number) for number in range(200)}
    assert (await place.engine.webhooks.counts([webhook]))[webhook.id] == (0, 0)


async def test_the_dead_are_listed_and_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "WAITS", ())
    webhook, other = await place.webhook(), await place.webhook(enabled=False)
    place.receiver.answers = [said(500)] * 3
    jobs = await place.jobs()
    for client in ("a", "b", "c"):
        await happen(place, online(place, client))

    async def all_dead() -> bool:
        return (await place.engine.webhooks.counts([webhook]))[webhook.id] == (0, 3)

    await until(all_dead)
    dead = await place.engine.webhooks.dead(place.app, webhook.id, 0, 2)
    assert [(job.attempts, job.error) for job in dead] == [(1, "HTTP 500")] * 2
    assert len(await place.engine.webhooks.dead(place.app, webhook.id, dead[-1].key, 2)) == 1
    assert await place.engine.webhooks.dead(place.app, other.id, 0, 9) == []
    with pytest.raises(Refused, match="enable it first"):
        await place.engine.webhooks.replay(place.app, other.id, [dead[0].id])
    await place.engine.webhooks.change(place.app, other.id, enabled=True)
    assert await place.engine.webhooks.replay(place.app, other.id, [dead[0].id]) == 0
    assert await place.engine.webhooks.replay(place.app, webhook.id, [dead[0].id]) == 1
    assert await place.engine.webhooks.replay(place.app, webhook.id, None) == 2

    async def all_done() -> bool:
        return (await place.engine.webhooks.counts([webhook]))[webhook.id] == (0, 0)

    await until(all_done)
    await jobs.stop(1)
    assert len(place.receiver.calls) == 6
    assert {call.headers["webhook-id"] for call in place.receiver.calls[3:]} == {
        call.headers["webhook-id"] for call in place.receiver.calls[:3]
    }


def test_the_schedule_is_that_of_the_specification() -> None:
    assert (5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24))) == WAITS


@pytest.mark.parametrize(
    ("status", "failures", "after", "seconds"),
    [
        (500, 1, 0.0, 0.0),
        (500, 4, 0.0, 0.0),
        (500, 5, 0.0, 1.0),
        (None, 8, 0.0, 8.0),
        (404, 5_000, 0.0, REST_MAX),
        (500, 5, 60.0, 1.0),
        (503, 1, 0.0, 1.0),
        (429, 3, 0.0, 4.0),
        (429, 1, 60.0, 60.0),
        (429, 5_000, 3_600.0, 3_600.0),
    ],
)
def test_how_long_a_webhook_rests(status: int | None, failures: int, after: float, seconds: float) -> None:
    assert pause(status, failures, after) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("-7", 0.0),
        ("soon", 0.0),
        ("9" * 400, RETRY_AFTER_MAX),
        (formatdate(1_000_030, usegmt=True), 30.0),
        (formatdate(999_000, usegmt=True), 0.0),
        (formatdate(9_000_000, usegmt=True), RETRY_AFTER_MAX),
        ("Mon, 99 Foo 2026 00:00:00", 0.0),
    ],
)
def test_what_retry_after_means(text: str | None, seconds: float) -> None:
    assert retry_after(text, 1_000_000.0) == seconds


async def test_secrets_cannot_be_read_in_the_file(place: Place, store: Store) -> None:
    webhook = await place.webhook()
    rows = await store._reader.run(lambda driver: driver.execute("SELECT secrets FROM webhook").fetchall())
    assert webhook.secrets[0].value.encode() not in rows[0][0]
    assert webhook.secrets[0].value[6:].encode() not in rows[0][0]
