"""`hongyan bench webhooks`: how long messages take beside webhooks that work, and that fail in several ways."""

from dataclasses import asdict, dataclass

from hongyan.bench import machine, servers, webhook_receiver
from hongyan.bench.chat import PAIR, run
from hongyan.bench.run import Figures, Options, Screen, check_files, place
from hongyan.bench.servers import Server
from hongyan.bench.talk_load import TalkPlan
from hongyan.bench.talk_run import ratio
from hongyan.bench.webhook_receiver import calls

WHAT = "p99 from send to acknowledgement: beside the webhook that is worst of those that fail, and without any"
#: What each run is called, and how the receiver answers.
WAYS = (
    ("without", None),
    ("works", "ok"),
    ("HTTP 500", "500"),
    ("no HTTP", "garbage"),
    ("never answers", "hang"),
    ("refuses connections", ""),
)
#: Where nobody listens.
NOBODY = "http://127.0.0.1:1/"


@dataclass(frozen=True)
class WebhookParameters:
    """`rate` messages per second of `senders` pairs, each of which a webhook is told."""

    rate: float = 500.0
    senders: int = 100
    size: int = 200


def webhooks(parameters: WebhookParameters, options: Options, screen: Screen) -> Figures:
    """The same rate without a webhook, and beside one of each way."""
    check_files(parameters.senders * PAIR)
    with place(options) as here, servers.bare(None, webhook_receiver.serve, "http") as receiver:
        runs = []
        for number, (name, how) in enumerate(WAYS):  # each with a server of its own: nothing is left over
            with servers.hongyan(here.data_dir / str(number), here.certificate) as server:
                url = None if how is None else f"{receiver.target.url}/{how}" if how else NOBODY
                runs.append(_beside(name, url, server, parameters, options, screen))
        without, _, *failing = runs
        return {
            "parameters": asdict(parameters),
            "file_system": machine.file_system(here.data_dir),
            "runs": runs,
            "ceiling": {"what": WHAT},
            "ratio": ratio(max(done["ack_p99_ms"] or 0.0 for done in failing), without["ack_p99_ms"]),
        }


def _beside(
    name: str, url: str | None, server: Server, parameters: WebhookParameters, options: Options, screen: Screen
) -> Figures:
    """The load while every message is told to this address, if there is one."""
    plan = TalkPlan(server.target, "a", parameters.senders, PAIR, parameters.size, rate=parameters.rate)
    if url is not None:
        server.call("POST", "/api/v1/webhooks", {"url": url, "events": ["message.sent"]})
    figures = run(name, server, plan, options, screen)
    counted = None if url is None or url == NOBODY else calls(url)
    return {**figures, "calls_per_second": counted and ratio(counted, options.warm_up + options.seconds)}
