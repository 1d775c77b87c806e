"""The loads that both servers get, and which of their figures stand side by side."""

from dataclasses import dataclass, replace

from bench.peers.load import pair_load, room_load
from hongyan.bench import report
from hongyan.bench.client import Target
from hongyan.bench.run import Figures
from hongyan.bench.talk_load import TalkPlan
from hongyan.bench.talk_run import Load

COSTS = ("cores: server", "cores: load generator", "cores: other programs")
DELIVERIES = (
    "deliveries/s",
    "send to delivery, p50 ms",
    "send to delivery, p99 ms",
    "server CPU, µs/delivery",
    *COSTS,
)
MESSAGES = (
    "acknowledged messages/s",
    "send to ack, p50 ms",
    "send to ack, p99 ms",
    "send to delivery, p99 ms",
    "server CPU, µs/message",
    *COSTS,
)
NOWHERE = Target("", "")


@dataclass(frozen=True)
class Parameters:
    """`rooms` of `members` with `in_flight` messages each; a room of `large` in which one says `rate` a second.

    Then `pairs` with `ahead` messages each, kept by `sql_pool` connections of ejabberd to its database. All messages
    have `size` bytes.
    """

    rooms: int = 10
    members: int = 100
    in_flight: int = 8
    large: int = 5_000
    rate: float = 20.0
    pairs: int = 100
    ahead: int = 4
    sql_pool: int = 10
    size: int = 200


@dataclass(frozen=True)
class Common:
    """A load: Hongyan gets `plan`, the other gets it by `load`; `durable` if the messages are to be kept."""

    name: str
    title: str
    plan: TalkPlan
    load: Load
    rows: tuple[report.Row, ...]
    durable: bool = False

    @property
    def connections(self) -> int:
        """How many it needs."""
        return self.plan.groups * self.plan.members

    def at(self, target: Target) -> TalkPlan:
        """The plan for one server."""
        return replace(self.plan, target=target)


def loads(given: Parameters) -> list[Common]:
    """All of them."""
    rooms = TalkPlan(NOWHERE, "rooms", given.rooms, given.members, given.size, in_flight=given.in_flight)
    large = TalkPlan(NOWHERE, "large", 1, given.large, given.size, rate=given.rate, room=True)
    pairs = TalkPlan(NOWHERE, "pairs", given.pairs, 2, given.size, in_flight=given.ahead)
    deliveries, messages = _rows(report.FANOUT, DELIVERIES), _rows(report.CHAT, MESSAGES)
    return [
        Common(
            "fanout",
            f"{given.rooms:,} groups of {given.members:,}, {given.in_flight} in flight",
            rooms,
            room_load,
            deliveries,
        ),
        Common("room", f"a room of {given.large:,}, {given.rate:g} messages/s", large, room_load, deliveries),
        Common("chat", f"{given.pairs:,} pairs, {given.ahead} ahead, kept on disk", pairs, pair_load, messages, True),
    ]


def ratios(rows: tuple[report.Row, ...], ours: Figures, theirs: Figures) -> dict[str, float | None]:
    """Each of our figures as a multiple of theirs; None where there is nothing to divide."""
    keys = [key for name, key, *_ in rows if name not in COSTS]
    return {key: round(ours[key] / theirs[key], 3) if ours[key] and theirs[key] else None for key in keys}


def _rows(rows: tuple[report.Row, ...], names: tuple[str, ...]) -> tuple[report.Row, ...]:
    return tuple(row for row in rows if row[0] in names)
