"""Carries deliveries to webhooks: one attempt after another, as Standard Webhooks 1.0.0 wants it."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol

import structlog

import hongyan
from hongyan import signing
from hongyan.engine.clock import Clock
from hongyan.engine.values import Attempt, Webhook, iso_time, new_message_id
from hongyan.engine.webhooks import COUNT_EVERY, DISABLED, TEST, WAITING_MAX, Webhooks, lane, type_of
from hongyan.engine.work import Job
from hongyan.errors import Refused
from hongyan.jobs import Failed, Hopeless, Kind
from hongyan.outbound import Answer, OutboundError
from hongyan.webhooks import payloads

logger = structlog.get_logger(__name__)

#: After which waits (s) a delivery that failed is tried again.
WAITS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: Deliveries of a webhook that are under way at once, and how long one may take (s).
AT_ONCE, TIMEOUT = 8, 15.0
#: The webhook is no more; it is asked too much for now.
GONE, BUSY = 410, frozenset({429, 502, 503, 504})
#: Failures one after another above which a webhook rests between attempts, and how long at most (s).
PATIENCE, REST_MAX = 5, 300.0
#: What is believed of `Retry-After` (s).
RETRY_AFTER_MAX = 3_600.0
HEADERS = {"content-type": "application/json", "user-agent": f"Hongyan/{hongyan.__version__}"}


class Caller(Protocol):
    """Calls other servers (`hongyan.outbound`)."""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout: float
    ) -> Answer:
        """Raises OutboundError."""


class Delivery:
    """Does the jobs of the follower, and the tests that people ask for."""

    def __init__(self, webhooks: Webhooks, caller: Caller, clock: Clock) -> None:
        self._webhooks = webhooks
        self._caller = caller
        self._clock = clock

    @property
    def kind(self) -> Kind:
        return Kind(self.do, WAITS, AT_ONCE)

    async def do(self, job: Job) -> None:
        webhook = self._webhooks.find(job.lane.removeprefix(lane("")))
        if webhook is None:
            return  # it was deleted, and what waited for it goes with it
        if not webhook.enabled:
            raise Hopeless(DISABLED)
        attempt, answer = await self._attempt(webhook, job.id, job.body, job.attempts + 1)
        if not attempt.error:
            await self._webhooks.succeeded(webhook, attempt)
            return
        gone = attempt.status == GONE
        failures = await self._webhooks.failed(webhook, attempt, gone=gone)
        if gone:
            raise Hopeless(attempt.error)
        after = retry_after(answer.headers.get("retry-after"), time.time()) if answer else 0.0
        raise Failed(attempt.error, after, pause=pause(attempt.status, failures, after))

    async def test(self, webhook: Webhook) -> Attempt:
        now = self._clock.now()
        body = payloads.encode({"type": TEST, "timestamp": iso_time(now), "data": {"webhook": webhook.id}})
        attempt, _ = await self._attempt(webhook, new_message_id(now), body, 1)
        return attempt

    async def _attempt(self, webhook: Webhook, job_id: str, body: bytes, number: int) -> tuple[Attempt, Answer | None]:
        at, began = self._clock.now(), time.monotonic()
        headers = {**HEADERS, **signing.headers(self._webhooks.signers(webhook), job_id, at, body)}
        answer: Answer | None = None
        try:
            answer = await self._caller.request("POST", webhook.url, headers=headers, body=body, timeout=TIMEOUT)
            error = "" if 200 <= answer.status < 300 else f"HTTP {answer.status}"
        except OutboundError as reason:
            error = str(reason)
        took = round((time.monotonic() - began) * 1000)
        status = answer.status if answer else None
        return Attempt(job_id, type_of(body), number, at, took, status, error), answer


async def count_waiting(webhooks: Webhooks) -> None:
    """Look again and again whether too many deliveries wait; runs until it is cancelled."""
    full: frozenset[str] = frozenset()
    while True:
        await asyncio.sleep(COUNT_EVERY)
        before = full
        with contextlib.suppress(Refused):  # the database is busy: next time
            full = await webhooks.count()
        for webhook_id in full - before:
            logger.warning("a webhook is told nothing more: too many deliveries wait", id=webhook_id, most=WAITING_MAX)


def pause(status: int | None, failures: int, after: float) -> float:
    """How long a webhook's other deliveries wait after a failure (s).

    One that says that it is busy rests at once, another after some failures in a row: until then it may be that a
    single event is not to its liking.
    """
    busy = status in BUSY
    if not busy and failures < PATIENCE:
        return 0.0
    rest = min(2.0 ** min(failures - (1 if busy else PATIENCE), 10), REST_MAX)
    return max(rest, after if busy else 0.0)


def retry_after(text: str | None, now: float) -> float:
    """Seconds from the header, which has these or a date; 0 if it says nothing of use."""
    if text is None:
        return 0.0
    if text.isascii() and text.strip().isdigit():
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return 0.0
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return min(max(seconds, 0.0), RETRY_AFTER_MAX)
