"""Messages of channels: kept with the job that sends them, sent at least once, and what became of them.

A try is given all targets for which nothing is final, some after others: what became of some is written before the
next are sent to. What failed is tried again by what its outcome says
(connectors reference 1.2); what is final for a target stays so.
"""

import asyncio
import heapq
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
from msgspec import Struct

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.ports import JobStore
from hongyan.engine.turns import Turns
from hongyan.engine.values import DAY, App, new_object_id
from hongyan.engine.work import Job, NewJob
from hongyan.errors import Refused
from hongyan.hub import content
from hongyan.hub.channels import Channels, require, targets_of
from hongyan.hub.connector import (
    Connector,
    Feature,
    Note,
    Outcome,
    Problem,
    Receipt,
    Result,
    Sent,
    Status,
    Target,
    failed,
)
from hongyan.hub.content import Message
from hongyan.hub.media import for_strangers
from hongyan.hub.ports import HeardStore, PostStore
from hongyan.hub.records import BRIDGED, Channel, Delivery, Posted, State, channel_of, lane
from hongyan.jobs import Kind, NotYet

log = logging.getLogger(__name__)

KIND = "channel"
#: Messages of a channel that are under way at once.
AT_ONCE = 8
#: After which waits (s) a target is tried again that was not reached, until a day is over.
WAITS = (5.0, 15.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0)
#: How often one is tried again of which nobody knows whether it was reached, and after how long (s).
UNKNOWN_MAX, UNKNOWN_WAIT = 2, 10.0
#: How long a channel rests whose credentials do not work, or that is disabled (s).
MENDING = 300.0
#: How long the platform takes nothing, if it does not say (s), and what is believed of what it says.
THROTTLED, THROTTLED_MAX = 5.0, 3_600.0
#: Targets that are sent to before it is written what became of them, unless one call of the platform reaches more.
SEND_STEP = 200
#: How long a step of a try may take, and after how long no other is begun (s).
TRY_MAX = 600.0
#: Outcomes of which nothing was sent: if they concern everybody, nobody else is tried.
_STOPPING = frozenset({Outcome.THROTTLED, Outcome.TRANSIENT, Outcome.BAD_CREDENTIAL})
#: So many tries in a row that the whole platform has failed, later messages do not pass.
PATIENT = 4
#: How long a message is waited for that is due and goes first, and after how long it is looked again (ms).
HELD_MAX, LOOK_AGAIN = 15_000, 250
#: Messages that are read at once of those that waited before a start.
HELD_STEP = 200
BEHIND = "an earlier message to the same target waits"
#: Characters of a caller's own key.
REQUEST_KEY_MAX = 64
#: After which waits (s) it is tried again if we have failed ourselves; and how long what is full is left alone.
TROUBLE, FULL = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200), 1.0
#: Jobs among which one is looked for that is done without a server.
BY_HAND = 1_000
#: Messages that are swept in one step, and how often it is looked (s).
SWEEP_STEP, SWEEP_EVERY = 200, 3_600.0


class _Work(Struct, frozen=True):
    """The body of a job. The targets stand in it so that messages take their turns in the order they were posted."""

    message: str
    to: list[str]


class Done(NamedTuple):
    """What became of a call about a message that was sent, for one target."""

    target: Target
    problem: Problem | None = None
    status: Status | None = None


@dataclass(slots=True)
class _Try:
    """What one try has brought."""

    results: list[tuple[int, Result]]
    notes: list[Note]


class _Stopped(NamedTuple):
    """A message that waits before others to the same target: until when (ms), and whether the whole channel does."""

    until: int
    everybody: bool


class _Held:
    """The messages to one target that a rate has stopped, and those behind them, by their jobs."""

    def __init__(self) -> None:
        # a heap of jobs; None stands for one that waits no more, until it is the first
        self._jobs: list[int] = []
        self._stopped: dict[int, _Stopped | None] = {}

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def add(self, job: int, stopped: _Stopped) -> None:
        if job not in self._stopped:
            heapq.heappush(self._jobs, job)
        self._stopped[job] = stopped

    def release(self, job: int) -> None:
        if job in self._stopped:
            self._stopped[job] = None
        while self._jobs and self._stopped[self._jobs[0]] is None:
            self._pop()

    def before(self, job: int, now: int) -> _Stopped | None:
        """What goes first, if there is anything; what does not come to its turn is forgotten after a while."""
        while self._jobs:
            first = self._stopped[self._jobs[0]]
            if first is not None and now < first.until + HELD_MAX:
                return first if self._jobs[0] < job else None
            self._pop()
        return None

    def _pop(self) -> None:
        del self._stopped[heapq.heappop(self._jobs)]


class Sending:
    """`keep` is how long messages are kept once nothing of them waits (ms)."""

    def __init__(
        self,
        channels: Channels,
        posts: PostStore,
        heard: HeardStore,
        jobs: JobStore,
        clock: Clock,
        keep: int = 30 * DAY,
    ) -> None:
        self._channels = channels
        self._posts = posts
        self._heard = heard
        self._jobs = jobs
        self._clock = clock
        self._keeping = keep
        self._turns = Turns()
        self._held: defaultdict[tuple[str, Target], _Held] = defaultdict(_Held)
        self._recollected: set[str] = set()
        self._recollecting = asyncio.Lock()
        self._watching: dict[str, list[asyncio.Future[None]]] = {}
        #: How many targets ended how, by kind of channel and outcome.
        self.counts: Counter[tuple[str, str]] = Counter()

    @property
    def kind(self) -> Kind:
        return Kind(self.do, TROUBLE, AT_ONCE)

    # posting

    async def post(
        self,
        app: App,
        channel: Channel,
        to: Sequence[str],
        message: Message,
        request_key: str | None = None,
        wait: float = 0.0,
    ) -> Posted:
        """Keep a message to be sent, and `wait` so many seconds for what becomes of it. Raises Refused."""
        targets = targets_of(await self._channels.kind(channel.kind), to)
        return await self.post_to(app, channel, targets, message, request_key, wait)

    async def post_to(
        self,
        app: App,
        channel: Channel,
        targets: Sequence[Target],
        message: Message,
        request_key: str | None = None,
        wait: float = 0.0,
    ) -> Posted:
        if not channel.enabled:
            raise Refused(errors.INVALID_VALUE, "the channel is disabled: enable it first")
        if request_key is not None and not 1 <= len(request_key) <= REQUEST_KEY_MAX:
            raise Refused(errors.INVALID_VALUE, f"idempotency_key has 1 to {REQUEST_KEY_MAX} characters")
        if message.thread:
            await self._thread(channel, message.thread)
        now = self._clock.now()
        deliveries = tuple(Delivery(target, updated_at=now) for target in targets)
        body = content.encode(message)
        posted = Posted(0, new_object_id(), app.key, channel.id, body, request_key, now, now, deliveries)
        work = _Work(posted.id, [str(target) for target in targets])
        job = NewJob(app.key, lane(channel.id), KIND, msgspec.json.encode(work))
        with _Watch(self._watching, posted.id) as watch:
            kept = await self._posts.insert(posted, job)
            if kept.id == posted.id:
                await watch.ended(wait)
        if kept.id != posted.id:
            if kept.body != body or [each.target for each in kept.deliveries] != list(targets):
                raise Refused(errors.INVALID_VALUE, "this idempotency_key was given with another message")
            await self.ended(kept, wait)
        return await self._posts.get(channel.id, kept.id) or kept

    async def ended(self, posted: Posted, wait: float) -> None:
        """Return when nothing of it waits, or so many seconds are over."""
        with _Watch(self._watching, posted.id) as watch:
            now = await self._posts.get(posted.channel_id, posted.id)
            if now is not None and now.waits:
                await watch.ended(wait)

    async def get(self, channel: Channel, message_id: str) -> Posted:
        """Raises Refused(OBJECT_NOT_FOUND), also for one of another channel."""
        found = await self._posts.get(channel.id, message_id)
        if found is None:
            raise Refused(errors.OBJECT_NOT_FOUND, "no message has this id")
        return found

    async def find(self, message_id: str) -> Posted | None:
        """Of whatever channel."""
        return await self._posts.find(message_id)

    async def page(self, channel: Channel, before: int, limit: int) -> list[Posted]:
        """The newest first."""
        return await self._posts.page(channel.id, before, limit)

    async def of_request(self, channel: Channel, prefix: str) -> list[Posted]:
        """Those whose caller's own key begins so."""
        return await self._posts.of_request(channel.id, prefix)

    # trying

    async def do(self, job: Job) -> None:
        """Try once. Raises NotYet if something waits after it."""
        work = msgspec.json.decode(job.body, type=_Work)
        channel_id = channel_of(job.lane)
        await self._recollect(channel_id)
        turn = self._turns.take([work.message, *((channel_id, each) for each in work.to)])
        try:
            await turn.comes()
            channel = self._channels.find(channel_id)
            posted = await self._posts.get(channel_id, work.message)
            if posted is not None:
                self._release(job, posted)
            if channel is not None and posted is not None and posted.waits:
                await self._do(channel, posted, job)
        finally:
            turn.end()

    async def _do(self, channel: Channel, posted: Posted, job: Job) -> None:
        waiting = [(number, each) for number, each in enumerate(posted.deliveries) if each.state is State.WAITING]
        before = {number: self._before(channel, each.target, job) for number, each in waiting}
        behind = {waiting_for.target: held for number, waiting_for in waiting if (held := before[number]) is not None}
        waiting = [(number, each) for number, each in waiting if before[number] is None]
        if not waiting:
            self._go_on(channel, posted, job, [], behind)
            return
        open_: list[tuple[Delivery, Result]] = []
        began, stop, notes = asyncio.get_running_loop().time(), None, posted.notes
        if not channel.enabled:
            stop = Problem(Outcome.BAD_CREDENTIAL, "the channel is disabled", everybody=True)
        for number, some in enumerate(_steps(waiting, await self._batch(channel))):
            found = self._channels.find(channel.id)
            if number and (found is None or found.updated_at != channel.updated_at):
                raise NotYet("the channel was changed meanwhile")
            if number and stop is None and asyncio.get_running_loop().time() - began >= TRY_MAX:
                stop = Problem(Outcome.TRANSIENT, "it was not tried: the platform is slow with those before it")
            if stop is None:
                tried, once = await self._try(channel, posted, some)
            else:
                tried, once = _all_failed(some, stop), False
            notes = tuple(dict.fromkeys((*notes, *map(_pair, tried.notes))))
            judged = await self._keep_step(channel, posted, some, tried, once, notes)
            stop = stop or _stop([result for _, result in judged])
            open_ += [each for each in judged if each[0].state is State.WAITING]
        self._go_on(channel, posted, job, open_, behind)

    async def _batch(self, channel: Channel) -> int:
        """How many targets one call of the platform reaches."""
        try:
            return (await self._channels.kind(channel.kind)).batch
        except Refused:  # there is no such kind any more
            return 1

    async def _keep_step(
        self,
        channel: Channel,
        posted: Posted,
        some: Sequence[tuple[int, Delivery]],
        tried: _Try,
        once: bool,
        notes: Sequence[tuple[str, str]],
    ) -> list[tuple[Delivery, Result]]:
        """Write what became of some targets, and tell it."""
        before, now = dict(some), self._clock.now()
        age = now - posted.created_at
        judged = [(number, _judged(before[number], result, once, age, now)) for number, result in tried.results]
        await self._keep_all(posted, judged, notes if tried.notes else None)
        if channel.enabled:
            await self._note_health(channel, [result for _, result in tried.results])
        for _, delivery in judged:
            if delivery.state is not State.WAITING:
                self.counts[channel.kind, delivery.outcome] += 1
        return [(delivery, result) for (_, delivery), (_, result) in zip(judged, tried.results, strict=True)]

    async def _recollect(self, channel_id: str) -> None:
        """What waited before others when the server ended does so again."""
        if channel_id in self._recollected:
            return
        async with self._recollecting:
            place = self._clock.now(), 0
            while channel_id not in self._recollected:
                found = await self._jobs.waiting(lane(channel_id), place, HELD_STEP)
                for job in found:
                    place = job.due_at, job.key
                    await self._hold(channel_id, job)
                if len(found) < HELD_STEP:
                    self._recollected.add(channel_id)

    async def _hold(self, channel_id: str, job: Job) -> None:
        posted = await self._posts.get(channel_id, msgspec.json.decode(job.body, type=_Work).message)
        for each in posted.deliveries if posted is not None else ():
            # what was not tried stands behind one that a rate has stopped
            if each.state is State.WAITING and each.outcome in ("", Outcome.THROTTLED):
                self._held[channel_id, each.target].add(job.key, _Stopped(job.due_at, everybody=False))

    def _release(self, job: Job, posted: Posted) -> None:
        """Others need not wait for it any more, unless it is stopped again."""
        for each in posted.deliveries:
            place = posted.channel_id, each.target
            if place in self._held:
                self._held[place].release(job.key)
                if not self._held[place]:
                    del self._held[place]

    def _before(self, channel: Channel, target: Target, job: Job) -> _Stopped | None:
        place = channel.id, target
        return self._held[place].before(job.key, self._clock.now()) if place in self._held else None

    async def _keep_all(
        self, posted: Posted, judged: Sequence[tuple[int, Delivery]], notes: Sequence[tuple[str, str]] | None
    ) -> None:
        """A full disk passes; until then what was sent must not be sent again."""
        while True:
            try:
                await self._posts.keep(posted, judged, notes)
                return
            except Refused as refusal:
                log.warning("what became of a message can't be written for now: %s", refusal.detail)
                await asyncio.sleep(FULL)

    def _go_on(
        self,
        channel: Channel,
        posted: Posted,
        job: Job,
        open_: Sequence[tuple[Delivery, Result]],
        behind: Mapping[Target, _Stopped],
    ) -> None:
        """Raises NotYet if something waits. Messages to one target keep their order while a rate stops them."""
        if not open_ and not behind:
            self._tell(posted.id)
            return
        found = self._channels.find(channel.id)
        if found is not None and found.updated_at != channel.updated_at:
            raise NotYet("the channel was changed meanwhile")
        now, stopped = self._clock.now(), dict(behind)
        for delivery, result in open_:
            if _keeps_place(delivery, result):
                until = now + math.ceil(_wait(delivery, result) * 1000)
                stopped[delivery.target] = _Stopped(until, result.everybody)
        for target, each in stopped.items():
            self._held[channel.id, target].add(job.key, each)
        first = min(stopped.values(), default=None)
        if first is not None and len(stopped) == len(open_) + len(behind):
            at = first.until if first.until > now else now + LOOK_AGAIN
            everybody = first.until > now and any(each.everybody for each in stopped.values())
            reason = open_[0][0].reason if open_ else BEHIND
            raise NotYet(reason, (at - now) / 1000, everybody=everybody, at=at, in_place=True)
        waits = [*(_wait(*each) for each in open_), *((each.until - now) / 1000 for each in behind.values())]
        everybody = any(result.everybody or result.outcome is Outcome.BAD_CREDENTIAL for _, result in open_)
        raise NotYet(open_[0][0].reason, max(min(waits), 0.0), everybody=everybody)

    def _tell(self, message_id: str) -> None:
        for future in self._watching.get(message_id, ()):
            if not future.done():
                future.set_result(None)

    async def _try(
        self, channel: Channel, posted: Posted, waiting: Sequence[tuple[int, Delivery]]
    ) -> tuple[_Try, bool]:
        """One try, and whether a second one of the same is harmless."""
        message = msgspec.json.decode(posted.body, type=Message)
        tried = _Try([], [])
        try:
            strangers = (posted.request_key or "").startswith(BRIDGED)
            async with self._channels.opened(channel) as connector:
                for thread, some in await self._by_thread(channel, message, waiting):
                    with for_strangers(strangers):
                        sent = await _sent(connector, message, [each.target for _, each in some], posted.id, thread)
                    tried.results += [(number, result) for (number, _), result in zip(some, sent.results, strict=True)]
                    tried.notes += sent.notes
                return tried, Feature.ONCE in connector.features
        except (ValueError, Refused) as mistake:  # there is no such kind any more, or its credentials are none
            problem = Problem(Outcome.BAD_CREDENTIAL, str(mistake), everybody=True)
            return _all_failed(waiting, problem), False

    async def _by_thread(
        self, channel: Channel, message: Message, waiting: Sequence[tuple[int, Delivery]]
    ) -> list[tuple[Receipt | None, list[tuple[int, Delivery]]]]:
        """Targets by the message that they hear an answer to: each its own, if it was sent to several."""
        if not message.thread:
            return [(None, list(waiting))]
        try:
            receipts = await self._thread(channel, message.thread)
        except Refused:  # it is kept no more
            receipts = {}
        only = next(iter(receipts.values())) if len(receipts) == 1 else None
        found: dict[str, tuple[Receipt | None, list[tuple[int, Delivery]]]] = {}
        for number, each in waiting:
            receipt = receipts.get(each.target, only)
            found.setdefault(repr(receipt), (receipt, []))[1].append((number, each))
        return list(found.values())

    async def _thread(self, channel: Channel, message_id: str) -> Mapping[Target | None, Receipt]:
        """The receipts of a message of the channel by target, or of one that came in. Raises Refused."""
        posted = await self._posts.get(channel.id, message_id)
        if posted is not None:
            return {each.target: each.receipt for each in posted.deliveries if each.receipt is not None}
        heard = await self._heard.receipt(channel.id, message_id)
        if heard is None:
            raise Refused(errors.INVALID_VALUE, "thread is the id of no message of this channel")
        return {None: dict(line.split("=", 1) for line in heard.split("\n"))} if heard else {}

    async def _note_health(self, channel: Channel, results: Iterable[Result]) -> None:
        for result in results:
            if result.outcome is Outcome.OK:
                await self._channels.worked(channel)
                return
            if result.outcome is Outcome.BAD_CREDENTIAL:
                problem = Problem(result.outcome, result.reason, code=result.code, advice=result.advice)
                await self._channels.fails(channel, problem)
                return

    # afterwards

    async def recall(self, channel: Channel, message_id: str) -> tuple[Posted, list[Done]]:
        """Take a message back: what waits is not sent, what was sent is recalled. Raises Refused."""

        async def recall(connector: Connector, receipt: Receipt) -> None:
            await connector.recall(receipt)

        turn = self._turns.take([message_id])
        try:
            await turn.comes()
            posted = await self.get(channel, message_id)
            now = self._clock.now()
            stopped = [
                (number, replace(each, state=State.RECALLED, updated_at=now))
                for number, each in enumerate(posted.deliveries)
                if each.state is State.WAITING
            ]
            if stopped:
                await self._posts.keep(posted, stopped)
                self._tell(posted.id)
            done: list[Done] = []
            if any(each.state is State.SENT for each in posted.deliveries):
                done = await self._each(channel, posted, Feature.RECALL, "recall messages", recall)
                gone = {each.target for each in done if each.problem is None}
                recalled = [
                    (number, replace(each, state=State.RECALLED, updated_at=now))
                    for number, each in enumerate(posted.deliveries)
                    if each.state is State.SENT and each.target in gone
                ]
                await self._posts.keep(posted, recalled)
            return await self.get(channel, message_id), done
        finally:
            turn.end()

    async def update(self, channel: Channel, message_id: str, message: Message) -> tuple[Posted, list[Done]]:
        """Say it differently: also what waits is then sent so. Raises Refused."""
        notes: list[Note] = []

        async def update(connector: Connector, receipt: Receipt) -> None:
            from hongyan.hub import degrade  # here: the connector has loaded it

            await degrade.prepare(message.content)
            notes.extend(await connector.update(receipt, message))

        turn = self._turns.take([message_id])
        try:
            await turn.comes()
            posted = await self.get(channel, message_id)
            done: list[Done] = []
            if any(each.state is State.SENT for each in posted.deliveries):
                done = await self._each(channel, posted, Feature.UPDATE, "change messages", update)
            if posted.waits or any(each.problem is None for each in done):
                pairs = tuple(dict.fromkeys(map(_pair, notes)))
                await self._posts.keep(posted, [], pairs, content.encode(message))
            return await self.get(channel, message_id), done
        finally:
            turn.end()

    async def status(self, channel: Channel, message_id: str) -> list[Done]:
        """What the platform tells of it. Raises Refused."""

        async def status(connector: Connector, receipt: Receipt) -> Status:
            return await connector.status(receipt)

        posted = await self.get(channel, message_id)
        return await self._each(channel, posted, Feature.STATUS, "tell whether messages were read", status)

    async def check(self, channel: Channel) -> str:
        """What account it is. Raises Problem."""
        try:
            async with self._channels.opened(channel) as connector:
                account = await connector.check()
        except Problem as problem:
            if problem.outcome is Outcome.BAD_CREDENTIAL:
                await self._channels.fails(channel, problem)
            raise
        except (ValueError, Refused) as mistake:
            raise Problem(Outcome.BAD_CREDENTIAL, str(mistake)) from None
        await self._channels.worked(channel)
        return account

    async def _each(
        self,
        channel: Channel,
        posted: Posted,
        feature: Feature,
        what: str,
        call: Callable[[Connector, Receipt], Awaitable[Status | None]],
    ) -> list[Done]:
        """Call for each target that has the message. Raises Refused if the kind can't do that."""
        done = []
        async with self._channels.opened(channel) as connector:
            require(connector, feature, what)
            for each in posted.deliveries:
                if each.state is not State.SENT:
                    continue
                if each.receipt is None:
                    problem = Problem(Outcome.BAD_CONTENT, "the platform has given no id by which it finds the message")
                    done.append(Done(each.target, problem))
                    continue
                try:
                    done.append(Done(each.target, None, await call(connector, each.receipt)))
                except Problem as problem:
                    done.append(Done(each.target, problem))
        return done

    # without a server

    async def by_hand(self, posted: Posted, jobs: JobStore, wait: float) -> None:
        """Send a message here and now; what still waits after so many seconds is done by the next start of a server."""
        until = self._clock.now() / 1000 + wait
        while (job := await self._job_of(posted, jobs)) is not None:
            try:
                await self.do(job)
            except NotYet as later:
                after = later.after or 0.0
                if self._clock.now() / 1000 + after > until:
                    return
                await asyncio.sleep(after)
            else:
                await jobs.settle([job.key])

    async def _job_of(self, posted: Posted, jobs: JobStore) -> Job | None:
        for job in await jobs.next(lane(posted.channel_id), BY_HAND):
            if job.kind == KIND and msgspec.json.decode(job.body, type=_Work).message == posted.id:
                return job
        return None

    # sweeping

    async def run(self) -> None:
        """Forget, again and again until cancelled, messages that are kept no longer."""
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                await self.sweep()
            except Refused as refusal:  # a full disk passes
                log.warning("old messages of channels could not be deleted: %s", refusal.detail)

    async def sweep(self) -> int:
        """How many are gone, besides those of channels that are deleted."""
        await self._channels.sweep()
        count, before = 0, self._clock.now() - self._keeping
        while gone := await self._posts.sweep(before, SWEEP_STEP):
            count += gone
        return count


class _Watch:
    """Hears when a message has come to its end."""

    def __init__(self, watching: dict[str, list[asyncio.Future[None]]], message_id: str) -> None:
        self._watching = watching
        self._id = message_id
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> "_Watch":
        self._watching.setdefault(self._id, []).append(self._future)
        return self

    def __exit__(self, *_: object) -> None:
        self._watching[self._id].remove(self._future)
        if not self._watching[self._id]:
            del self._watching[self._id]

    async def ended(self, wait: float) -> None:
        if wait > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._future), wait)


async def _sent(
    connector: Connector, message: Message, targets: Sequence[Target], key: str, thread: Receipt | None
) -> Sent:
    """One try; whatever goes wrong is in the results."""
    from hongyan.hub import degrade  # here: the connector has loaded it

    try:
        async with asyncio.timeout(TRY_MAX):
            await degrade.prepare(message.content)
            sent = await connector.send(message, targets, key=key, thread=thread)
        by_target = {result.target: result for result in sent.results}
        lost = Problem(Outcome.UNKNOWN, "the connector has told nothing of this target")
        return Sent(tuple(by_target.get(target) or failed(target, lost) for target in targets), sent.notes)
    except Problem as error:
        problem = error
    except TimeoutError:
        problem = Problem(Outcome.UNKNOWN, f"it took longer than {TRY_MAX:g} s")
    except Exception as error:
        log.exception("a connector failed")
        problem = Problem(Outcome.UNKNOWN, f"the connector failed: {type(error).__name__}")
    return Sent(tuple(failed(target, problem) for target in targets))


def _steps(waiting: Sequence[tuple[int, Delivery]], batch: int) -> Iterator[Sequence[tuple[int, Delivery]]]:
    """Those that are sent to together; groups are never reached several by one call."""
    groups = [each for each in waiting if each[1].target.kind == "group"] if batch > SEND_STEP else waiting
    others = [each for each in waiting if each[1].target.kind != "group"] if batch > SEND_STEP else []
    for some, most in ((others, batch), (groups, SEND_STEP)):
        for first in range(0, len(some), most):
            yield some[first : first + most]


def _all_failed(some: Sequence[tuple[int, Delivery]], problem: Problem) -> _Try:
    return _Try([(number, failed(each.target, problem)) for number, each in some], [])


def _stop(results: Iterable[Result]) -> Problem | None:
    """The problem for which nobody else is tried."""
    for each in results:
        if each.everybody and each.outcome in _STOPPING:
            return Problem(
                each.outcome, each.reason, code=each.code, advice=each.advice, after=each.after, everybody=True
            )
    return None


def _judged(before: Delivery, result: Result, once: bool, age: int, now: int) -> Delivery:
    """What a target is after a try; a message that could not be sent for a day is given up."""
    after = replace(
        before,
        outcome=result.outcome.value,
        receipt=result.receipt or before.receipt,
        reason=result.reason,
        code=result.code,
        advice=result.advice,
        updated_at=now,
    )
    late = age >= DAY
    match result.outcome:
        case Outcome.OK:
            return replace(after, state=State.SENT)
        case Outcome.THROTTLED:
            again = not late
        case Outcome.TRANSIENT | Outcome.BAD_CREDENTIAL:
            again, after = not late, replace(after, tries=before.tries + 1)
        case Outcome.UNKNOWN:
            after = replace(after, tries=before.tries + 1, unknown=before.unknown + 1)
            again = once and result.once and not late and after.unknown <= UNKNOWN_MAX
        case _:
            again, after = False, replace(after, tries=before.tries + 1)
    return after if again else replace(after, state=State.FAILED)


def _keeps_place(delivery: Delivery, result: Result) -> bool:
    """Whether later messages are not to pass: while a rate stops them, or the platform as a whole fails for a while."""
    if result.outcome is Outcome.TRANSIENT:
        return result.everybody and delivery.tries <= PATIENT
    return result.outcome is Outcome.THROTTLED


def _wait(delivery: Delivery, result: Result) -> float:
    """Until it is tried again (s)."""
    after = min(result.after or 0.0, THROTTLED_MAX)
    match result.outcome:
        case Outcome.THROTTLED:
            return after or THROTTLED
        case Outcome.BAD_CREDENTIAL:
            return max(after, MENDING)
        case Outcome.UNKNOWN:
            return max(after, UNKNOWN_WAIT * delivery.unknown)
        case _:
            return max(after, WAITS[min(delivery.tries, len(WAITS)) - 1])


def _pair(note: Note) -> tuple[str, str]:
    return note.rule, note.detail
