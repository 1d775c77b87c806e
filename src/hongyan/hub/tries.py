"""Sending messages of channels by jobs, at least once, and what became of each target.

A try is given all targets for which nothing is final, some after others: what became of some is written before the
next are sent to. What failed is tried again as `judging` says; what is final for a target stays so.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
from msgspec import Struct

from hongyan.engine.clock import Clock
from hongyan.engine.ports import JobStore
from hongyan.engine.turns import Turn, Turns
from hongyan.engine.work import Job
from hongyan.errors import Refused
from hongyan.hub import judging
from hongyan.hub.channels import Channels
from hongyan.hub.connector import Connector, Feature, Outcome, Problem, Receipt, Result, Sent, Target, failed
from hongyan.hub.content import Message
from hongyan.hub.media import for_strangers
from hongyan.hub.order import Order, Stopped
from hongyan.hub.ports import PostStore
from hongyan.hub.progress import Progress
from hongyan.hub.records import BRIDGED, Channel, Delivery, Posted, State, channel_of, lane
from hongyan.hub.threads import Threads
from hongyan.hub.watching import Watching
from hongyan.jobs import Kind, NotYet

log = logging.getLogger(__name__)

KIND = "channel"
#: Messages of a channel that are under way at once.
AT_ONCE = 8
#: Targets that are sent to before it is written what became of them, unless one call of the platform reaches more.
SEND_STEP = 200
#: How long a step of a try may take, and after how long no other is begun (s).
TRY_MAX = 600.0
#: After how long it is looked again whether one that is due and goes first has come to its turn (ms).
LOOK_AGAIN = 250
#: The line of who waits until what became of a message is written.
WRITTEN = "written"
CHANGED, BEHIND = "the channel was changed meanwhile", "an earlier message to the same target waits"
#: After which waits (s) it is tried again if we have failed ourselves; and how long what is full is left alone.
TROUBLE, FULL = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200), 1.0
#: Messages that are read at once of those that waited before a start.
RECOLLECTED = 200
#: Jobs among which one is looked for that is done without a server.
BY_HAND = 1_000
#: A delivery of a message, with its number there.
Numbered = tuple[int, Delivery]
#: What a target is after a try, and what the connector has said of it.
Tried = tuple[Delivery, Result]


class Work(Struct, frozen=True):
    """The body of a job. The targets, and the message it is an answer to, stand in it so that messages take their turns
    in the order they were posted.
    """

    message: str
    to: list[str]
    thread: str = ""


@dataclass(slots=True)
class _Step:
    """What the try of some targets has brought. `once`: a second call with the same key would tell nobody.

    `parts` have arrived of a message that takes several calls.
    """

    results: list[tuple[int, Result]]
    notes: list[tuple[str, str]]
    once: bool = False
    parts: dict[Target, tuple[Receipt, ...]] = field(default_factory=dict)


class Tries:
    """`turns` are those of messages and of targets: what is tried is not recalled meanwhile.

    The line of a target is left when it was sent to, before this is written. Answers to a message wait until it is, in
    a line of its own that they leave at once: what else they wait for keeps nobody from the message.
    """

    def __init__(
        self,
        channels: Channels,
        posts: PostStore,
        jobs: JobStore,
        threads: Threads,
        clock: Clock,
        turns: Turns,
        watching: Watching,
    ) -> None:
        self._channels = channels
        self._posts = posts
        self._jobs = jobs
        self._threads = threads
        self._clock = clock
        self._turns = turns
        self._watching = watching
        self._order = Order()
        self._recollected: set[str] = set()
        self._recollecting = asyncio.Lock()
        #: What has arrived of messages that are under way, for the connectors.
        self.progress = Progress()
        #: How many targets ended how, by kind of channel and outcome.
        self.counts: Counter[tuple[str, str]] = Counter()

    @property
    def kind(self) -> Kind:
        return Kind(self.do, TROUBLE, AT_ONCE)

    async def do(self, job: Job) -> None:
        """Try once. Raises NotYet if something waits after it."""
        work = msgspec.json.decode(job.body, type=Work)
        channel_id = channel_of(job.lane)
        answered = self._turns.take([(WRITTEN, work.thread)] if work.thread else ())
        targets = ((channel_id, each) for each in work.to)
        turn = self._turns.take([work.message, (WRITTEN, work.message), *targets])
        try:
            try:
                await self._recollect(channel_id)
                await answered.comes()
            finally:
                answered.end()
            await turn.comes()
            channel = self._channels.find(channel_id)
            posted = await self._posts.get(channel_id, work.message)
            if posted is not None:
                self._order.release(job.key, posted)
            if channel is not None and posted is not None and posted.waits:
                await self._do(channel, posted, job, turn)
        finally:
            turn.end()

    async def _recollect(self, channel_id: str) -> None:
        """What waited before others when the server ended does so again."""
        if channel_id in self._recollected:
            return
        async with self._recollecting:
            place = self._clock.now(), 0
            while channel_id not in self._recollected:
                found = await self._jobs.waiting(lane(channel_id), place, RECOLLECTED)
                for job in found:
                    place = job.due_at, job.key
                    await self._stop_again(channel_id, job)
                if len(found) < RECOLLECTED:
                    self._recollected.add(channel_id)

    async def _stop_again(self, channel_id: str, job: Job) -> None:
        posted = await self._posts.get(channel_id, msgspec.json.decode(job.body, type=Work).message)
        # what was not tried stands behind one that a rate has stopped
        held = ("", Outcome.THROTTLED)
        found = posted.deliveries if posted is not None else ()
        targets = [each.target for each in found if each.state is State.WAITING and each.outcome in held]
        self._order.stop(channel_id, job.key, dict.fromkeys(targets, Stopped(job.due_at, everybody=False)))

    async def _do(self, channel: Channel, posted: Posted, job: Job, turn: Turn) -> None:
        """Try those whose turn it is, and wait for what goes before the others."""
        now, waiting, behind = self._clock.now(), list[Numbered](), dict[Target, Stopped]()
        for number, each in enumerate(posted.deliveries):
            if each.state is State.WAITING:
                before = self._order.before(channel.id, each.target, job.key, now)
                if before is None:
                    waiting.append((number, each))
                else:
                    behind[each.target] = before
        open_ = await self._try_all(channel, posted, waiting, turn) if waiting else []
        self._go_on(channel, posted, job, open_, behind)

    async def _try_all(self, channel: Channel, posted: Posted, waiting: Sequence[Numbered], turn: Turn) -> list[Tried]:
        """Step by step; return what is to be tried again. Raises NotYet if the channel is changed between steps."""
        open_: list[Tried] = []
        began, stop, notes = asyncio.get_running_loop().time(), None, posted.notes
        if not channel.enabled:
            stop = Problem(Outcome.BAD_CREDENTIAL, "the channel is disabled", everybody=True)
        for number, some in enumerate(_steps(waiting, await self._batch(channel))):
            found = self._channels.find(channel.id)
            if number and (found is None or found.updated_at != channel.updated_at):
                raise NotYet(CHANGED)
            if number and stop is None and asyncio.get_running_loop().time() - began >= TRY_MAX:
                stop = Problem(Outcome.TRANSIENT, "it was not tried: the platform is slow with those before it")
            step = await self._try(channel, posted, some) if stop is None else _all_failed(some, stop)
            notes = tuple(dict.fromkeys((*notes, *step.notes)))
            tried = await self._keep_step(channel, posted, some, step, notes, turn)
            stop = stop or judging.stop(result for _, result in tried)
            open_ += [each for each in tried if each[0].state is State.WAITING]
        return open_

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
        some: Sequence[Numbered],
        step: _Step,
        notes: Sequence[tuple[str, str]],
        turn: Turn,
    ) -> list[Tried]:
        """Write what became of some targets, and tell it."""
        before, now = dict(some), self._clock.now()
        age = now - posted.created_at
        judged = []
        for number, result in step.results:
            after = judging.judged(before[number], result, once=step.once, age=age, now=now)
            waits = after.state is State.WAITING
            parts = step.parts.get(after.target, after.parts) if waits else ()
            judged.append((number, replace(after, parts=parts)))
        turn.leave((channel.id, str(after.target)) for _, after in judged if after.state is not State.WAITING)
        await self._keep_all(posted, judged, notes if step.notes else None)
        if channel.enabled:
            await self._note_health(channel, [result for _, result in step.results])
        for _, delivery in judged:
            if delivery.state is not State.WAITING:
                self.counts[channel.kind, delivery.outcome] += 1
        return [(delivery, result) for (_, delivery), (_, result) in zip(judged, step.results, strict=True)]

    async def _keep_all(
        self, posted: Posted, judged: Sequence[Numbered], notes: Sequence[tuple[str, str]] | None
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
        self, channel: Channel, posted: Posted, job: Job, open_: Sequence[Tried], behind: Mapping[Target, Stopped]
    ) -> None:
        """Raises NotYet if something waits. Messages to one target keep their order while a rate stops them."""
        if not open_ and not behind:
            self._watching.tell(posted.id)
            return
        found = self._channels.find(channel.id)
        if found is not None and found.updated_at != channel.updated_at:
            raise NotYet(CHANGED)
        now, stopped = self._clock.now(), dict(behind)
        for delivery, result in open_:
            if judging.keeps_place(delivery, result):
                until = now + math.ceil(judging.wait(delivery, result) * 1000)
                stopped[delivery.target] = Stopped(until, result.everybody)
        self._order.stop(channel.id, job.key, stopped)
        raise _later(open_, behind, stopped, now)

    async def _try(self, channel: Channel, posted: Posted, waiting: Sequence[Numbered]) -> _Step:
        message = msgspec.json.decode(posted.body, type=Message)
        strangers = (posted.request_key or "").startswith(BRIDGED)
        try:
            async with self._channels.opened(channel) as connector:
                step = _Step([], [], Feature.ONCE in connector.features)
                for thread, some in await self._threads.split(channel, message.thread, waiting):
                    for _, each in some:
                        self.progress.begin(posted.id, each.target, each.parts)
                    with for_strangers(strangers):
                        sent = await send(connector, message, [each.target for _, each in some], posted.id, thread)
                    step.results += [(number, result) for (number, _), result in zip(some, sent.results, strict=True)]
                    step.parts |= {each.target: self.progress.end(posted.id, each.target) for _, each in some}
                    step.notes += [(each.rule, each.detail) for each in sent.notes]
                return step
        except (ValueError, Refused) as mistake:  # there is no such kind any more, or its credentials are none
            return _all_failed(waiting, Problem(Outcome.BAD_CREDENTIAL, str(mistake), everybody=True))

    async def _note_health(self, channel: Channel, results: Iterable[Result]) -> None:
        for result in results:
            if result.outcome is Outcome.OK:
                await self._channels.worked(channel)
                return
            if result.outcome is Outcome.BAD_CREDENTIAL:
                problem = Problem(result.outcome, result.reason, code=result.code, advice=result.advice)
                await self._channels.fails(channel, problem)
                return

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
            if job.kind == KIND and msgspec.json.decode(job.body, type=Work).message == posted.id:
                return job
        return None


async def send(
    connector: Connector, message: Message, targets: Sequence[Target], key: str, thread: Receipt | None
) -> Sent:
    """One call of the connector; whatever goes wrong is in the results, one for each target in their order."""
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


def _steps(waiting: Sequence[Numbered], batch: int) -> Iterator[Sequence[Numbered]]:
    """Those that are sent to together; groups are never reached several by one call."""
    groups = [each for each in waiting if each[1].target.kind == "group"] if batch > SEND_STEP else waiting
    others = [each for each in waiting if each[1].target.kind != "group"] if batch > SEND_STEP else []
    for some, most in ((others, batch), (groups, SEND_STEP)):
        for first in range(0, len(some), most):
            yield some[first : first + most]


def _all_failed(some: Sequence[Numbered], problem: Problem) -> _Step:
    return _Step([(number, failed(each.target, problem)) for number, each in some], [])


def _later(
    open_: Sequence[Tried], behind: Mapping[Target, Stopped], stopped: Mapping[Target, Stopped], now: int
) -> NotYet:
    """When the job comes again: in its place, if all that waits keeps its order, and else behind others."""
    first = min(stopped.values(), default=None)
    if first is not None and len(stopped) == len(open_) + len(behind):
        at = first.until if first.until > now else now + LOOK_AGAIN
        everybody = first.until > now and any(each.everybody for each in stopped.values())
        reason = open_[0][0].reason if open_ else BEHIND
        return NotYet(reason, (at - now) / 1000, everybody=everybody, at=at, in_place=True)
    waits = [*(judging.wait(*each) for each in open_), *((each.until - now) / 1000 for each in behind.values())]
    everybody = any(result.everybody or result.outcome is Outcome.BAD_CREDENTIAL for _, result in open_)
    return NotYet(open_[0][0].reason, max(min(waits), 0.0), everybody=everybody)
