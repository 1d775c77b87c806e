"""What one process of the load generator does in `broadcast`: subscribers who are online, and note when they hear."""

import time
from dataclasses import dataclass, field

from picows import WSFrame, WSMsgType

from hongyan.bench.client import Client, Target
from hongyan.bench.idle_load import READ_BUFFER, each
from hongyan.bench.workers import Link
from hongyan.wire import messages2_pb2 as pb


@dataclass(frozen=True)
class HearingPlan:
    """Subscribers number `first` to `first + sessions`, each on a connection of its own."""

    target: Target
    first: int
    sessions: int


@dataclass
class HearingResult:
    """When each broadcast came (monotonic ns), by its text, one time for each session that heard it."""

    heard: dict[str, list[int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def subscriber(number: int) -> str:
    """The client id of a subscriber."""
    return f"subscriber-{number:07d}"


class Hearer(Client):
    """A subscriber that is online."""

    def __init__(self, peer: str, result: HearingResult) -> None:
        super().__init__(peer)
        self._result = result
        self.on_frame = self._hear

    def _hear(self, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.BINARY:
            return
        now = time.monotonic_ns()
        command = pb.GenericCommand.FromString(frame.get_payload_as_bytes())
        if command.cmd == pb.direct:
            self._result.heard.setdefault(command.directMessage.msg, []).append(now)
        else:
            self._decode(frame)


async def hearing_load(plan: HearingPlan, link: Link) -> HearingResult:
    """Connect and log in, pass the gate, hear until the next one, and tell what was heard."""
    result = HearingResult()
    tls = plan.target.tls()
    hearers = [Hearer(subscriber(plan.first + number), result) for number in range(plan.sessions)]

    async def log_in(number: int) -> None:
        await hearers[number].connect(plan.target, tls, plan.first + number, READ_BUFFER)
        await hearers[number].open(plan.target.app_id)
        await hearers[number].echo()

    async def check(number: int) -> None:
        await hearers[number].echo()

    await each(plan.sessions, log_in, link)
    await link.gate()
    await link.gate()
    await each(plan.sessions, check, link)
    result.faults += [hearer.lost for hearer in hearers if hearer.lost]
    return result
