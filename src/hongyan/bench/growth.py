"""`hongyan bench growth`: what a delivery and a message cost the server as groups, conversations and history grow."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from hongyan.bench import machine, servers
from hongyan.bench.chat import PAIR, parts, run
from hongyan.bench.run import Figures, Options, Place, Screen, check_files, place
from hongyan.bench.seed import Conversation, Seed, exhaust, old_messages, seeding
from hongyan.bench.servers import Server
from hongyan.bench.talk_load import TalkPlan, client_id, existing_id
from hongyan.bench.talk_run import ratio

WHAT = "server CPU per message with the longest history, beside none"
MEMBERS = (2, 10, 50, 100, 200, 500)
CONVERSATIONS = (100, 1_000, 10_000, 100_000)
HISTORY = (0, 100_000, 1_000_000, 10_000_000)
#: As many connections as this makes with the number of pairs are in groups, as far as whole groups make it.
IN_GROUPS = 5
IN_FLIGHT = 4
PLAN = "a"
#: What the first use of each conversation takes before the measured part, a good deal (s), and at most for all.
FIRST_USE = 0.002
FIRST_USE_MAX = 60.0
DAY = 86_400_000


@dataclass(frozen=True)
class GrowthParameters:
    """How far each of the three grows; `pairs` that chat where it is not groups, messages of `size` bytes."""

    members: int = MEMBERS[-1]
    conversations: int = CONVERSATIONS[-1]
    history: int = HISTORY[-1]
    pairs: int = 100
    size: int = 200


def growth(parameters: GrowthParameters, options: Options, screen: Screen) -> Figures:
    """A run for each point of each of the three."""
    check_files(max(IN_GROUPS * parameters.pairs, parameters.members))
    with place(options) as here:
        runs = [
            *_members(here, parameters, options, screen),
            *_conversations(here, parameters, options, screen),
            *_history(here, parameters, options, screen),
        ]
        file_system = machine.file_system(here.data_dir)
    cost = [done["server_us_per_message"] for done in runs if done["grows"] == "history"]
    return {
        "parameters": asdict(parameters),
        "file_system": file_system,
        "runs": runs,
        "ceiling": {"what": WHAT},
        "ratio": ratio(cost[-1], cost[0]) if len(cost) > 1 and cost[0] and cost[-1] else None,
    }


def points(usual: tuple[int, ...], most: int) -> list[int]:
    """The usual points below `most`, and `most`."""
    return [*(point for point in usual if point < most), most]


def _members(here: Place, parameters: GrowthParameters, options: Options, screen: Screen) -> Iterator[Figures]:
    with _server(here, "members") as server:
        for members in points(MEMBERS, parameters.members):
            groups = max(1, IN_GROUPS * parameters.pairs // members)
            plan = TalkPlan(server.target, f"m{members}", groups, members, parameters.size, IN_FLIGHT)
            yield _point("members", members, f"groups of {members:,}", server, plan, options, screen)


def _conversations(here: Place, parameters: GrowthParameters, options: Options, screen: Screen) -> Iterator[Figures]:
    """All are used in turn; what is measured begins, as far as time allows, after the first use of each."""
    for count in points(CONVERSATIONS, parameters.conversations):
        pairs = min(parameters.pairs, count)
        each, name = count // pairs, f"{count:,} conversations"
        writer = _conversation_writer(parts(PLAN, pairs, options.processes), each, screen, name)
        with _server(here, f"conversations-{count}", writer) as server:
            plan = replace(_pairs(server, parameters), groups=pairs, existing=each)
            first_use = max(options.warm_up, min(count * FIRST_USE, FIRST_USE_MAX))
            yield _point("conversations", count, name, server, plan, replace(options, warm_up=first_use), screen)


def _history(here: Place, parameters: GrowthParameters, options: Options, screen: Screen) -> Iterator[Figures]:
    there = 0
    for rows in points(HISTORY, parameters.history):
        name = f"{rows:,} old messages"
        with _server(here, "history", _message_writer(rows - there, parameters.size, screen, name)) as server:
            yield _point("history", rows, name, server, _pairs(server, parameters), options, screen)
        there = rows


def _pairs(server: Server, parameters: GrowthParameters) -> TalkPlan:
    """Pairs that chat, one message at a time: with more ahead, what comes from memory overtakes what is read first."""
    return TalkPlan(server.target, PLAN, parameters.pairs, PAIR, parameters.size)


def _point(
    grows: str, size: int, name: str, server: Server, plan: TalkPlan, options: Options, screen: Screen
) -> Figures:
    return {"grows": grows, "size": size, **run(name, server, plan, options, screen)}


Write = Callable[[Seed], None]


@contextmanager
def _server(here: Place, folder: str, write: Write = lambda seed: None) -> Iterator[Server]:
    data_dir = here.data_dir / folder
    data_dir.mkdir(mode=0o700, exist_ok=True)

    def prepare(app_id: str) -> None:
        with seeding(data_dir, app_id) as seed:
            write(seed)

    with servers.hongyan(data_dir, here.certificate, prepare) as server:
        yield server


def _message_writer(count: int, size: int, screen: Screen, name: str) -> Write:
    def write(seed: Seed) -> None:
        line = screen.line(f"writing {name}")
        for written in old_messages(seed, count, size, _now() - 10 * DAY) if count else ():
            line.show("writing", written, count)
        line.show("done", 1, 1)

    return write


def _conversation_writer(pairs: list[tuple[str, int]], each: int, screen: Screen, name: str) -> Write:
    def write(seed: Seed) -> None:
        line, now = screen.line(f"writing {name}"), _now()
        line.show("writing", 0, 1)
        new = (
            Conversation(existing_id(plan, pair, number), _members_of_pair(plan, pair), 0, now - 10 * DAY, None)
            for number in range(each)
            for plan, share in pairs
            for pair in range(share)
        )
        exhaust(seed.conversations(new))
        line.show("done", 1, 1)

    return write


def _members_of_pair(plan: str, pair: int) -> dict[str, int]:
    return {client_id(plan, pair, member): 0 for member in range(PAIR)}


def _now() -> int:
    return int(time.time() * 1000)
