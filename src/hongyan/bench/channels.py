"""`hongyan bench channels`: how long chat takes while messages go out by a channel, which works or fails."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from hongyan.bench import machine, servers, webhook_receiver
from hongyan.bench.chat import PAIR, run
from hongyan.bench.run import Figures, Options, Screen, check_files, place
from hongyan.bench.servers import Server
from hongyan.bench.talk_load import TalkPlan
from hongyan.bench.talk_run import ratio
from hongyan.bench.webhook_receiver import calls

WHAT = "p99 from send to acknowledgement of chat: beside the channel that is worst, and without any"
#: What each run is called, and how the platform answers.
WAYS = (("without", None), ("works", "ok"), ("HTTP 500", "500"), ("never answers", "hang"))
#: Calls of the API that are under way at once.
AT_ONCE = 8


@dataclass(frozen=True)
class ChannelParameters:
    """`posts` messages per second go out by a channel, beside `rate` chat messages per second of `senders` pairs."""

    posts: float = 100.0
    rate: float = 500.0
    senders: int = 100
    size: int = 200


def channels(parameters: ChannelParameters, options: Options, screen: Screen) -> Figures:
    """The same chat without a channel, and beside one of each way."""
    check_files(parameters.senders * PAIR)
    with place(options) as here, servers.bare(None, webhook_receiver.serve, "http") as receiver:
        runs = []
        for number, (name, how) in enumerate(WAYS):  # each with a server of its own: nothing is left over
            with servers.hongyan(here.data_dir / str(number), here.certificate) as server:
                url = None if how is None else f"{receiver.target.url}/{how}"
                runs.append(_beside(name, url, server, parameters, options, screen))
        without, *others = runs
        return {
            "parameters": asdict(parameters),
            "file_system": machine.file_system(here.data_dir),
            "runs": runs,
            "ceiling": {"what": WHAT},
            "ratio": ratio(max(done["ack_p99_ms"] or 0.0 for done in others), without["ack_p99_ms"]),
        }


def _beside(
    name: str, url: str | None, server: Server, parameters: ChannelParameters, options: Options, screen: Screen
) -> Figures:
    """The load while messages are posted to a channel that calls this address, if there is one."""
    plan = TalkPlan(server.target, "a", parameters.senders, PAIR, parameters.size, rate=parameters.rate)
    if url is None:
        return {**run(name, server, plan, options, screen), "calls_per_second": None}
    began = time.monotonic()
    with _posting(server, url, parameters):
        figures = run(name, server, plan, options, screen)
    return {**figures, "calls_per_second": ratio(calls(url), time.monotonic() - began)}


@contextmanager
def _posting(server: Server, url: str, parameters: ChannelParameters) -> Iterator[None]:
    """Post by the clock, whatever becomes of it."""
    made = server.call("POST", "/api/v1/channels", {"name": "ops", "kind": "webhook", "credentials": {"url": url}})
    message = {"message": {"content": {"type": "text", "text": "x" * parameters.size}}, "wait": 0}
    path = f"/api/v1/channels/{made['id']}/messages"
    over = threading.Event()

    def post(first: int) -> None:
        due = time.monotonic() + first / parameters.posts
        while not over.wait(max(due - time.monotonic(), 0.0)):
            server.call("POST", path, message)
            due += AT_ONCE / parameters.posts

    with ThreadPoolExecutor(AT_ONCE) as pool:
        posting = [pool.submit(post, number) for number in range(AT_ONCE)]
        try:
            yield
        finally:
            over.set()
        for each in posting:
            each.result()
