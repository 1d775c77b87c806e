"""`hongyan bench rest`: messages sent by the REST API per second, beside Litestar and uvicorn alone."""

from dataclasses import asdict, dataclass, replace

from hongyan.bench import bare_http, machine, servers
from hongyan.bench.rest_load import SERVICES, RestPlan, receiver, rest_load
from hongyan.bench.run import Figures, Options, Screen, check_files, place, split
from hongyan.bench.servers import Server
from hongyan.bench.talk_run import measure, ratio

CEILING = "bare HTTP: Litestar and uvicorn run in the same way, the same requests and answers, no storage"
#: Where the bare server takes the messages.
NOWHERE = f"{SERVICES}/bench/messages"


@dataclass(frozen=True)
class RestParameters:
    """`connections` with `in_flight` requests each, to `receivers` who are online; messages of `size` bytes."""

    connections: int = 32
    in_flight: int = 1
    receivers: int = 100
    size: int = 200


def rest(parameters: RestParameters, options: Options, screen: Screen) -> Figures:
    """Hongyan, then the bare server with the same requests."""
    parameters = replace(parameters, receivers=max(parameters.receivers, parameters.connections))
    check_files(parameters.receivers + parameters.connections)
    with place(options) as here:
        with servers.hongyan(here.data_dir, here.certificate) as server:
            ours = _run("hongyan", _plans(server, parameters, options), server, options, screen)
            # what the application says is not among the messages that the server counts
            messages = ours["messages_per_second"] * options.seconds
            ours["messages_per_commit"] = ratio(messages, ours["commits"])
        with servers.bare(here.certificate, bare_http.serve, "http") as server:
            plan = RestPlan(server.target, None, NOWHERE, "key", "bare", **asdict(parameters))
            bare = _run("bare", _shared(plan, options), server, options, screen)
        return {
            "parameters": asdict(parameters),
            "file_system": machine.file_system(here.data_dir),
            "runs": [ours],
            "ceiling": {"what": CEILING, "runs": [bare]},
            "ratio": ratio(ours["messages_per_second"], bare["messages_per_second"]),
        }


def _plans(server: Server, parameters: RestParameters, options: Options) -> list[RestPlan]:
    """What to send to the subscribers of a new service conversation."""
    assert server.http_url is not None
    service = server.call("POST", SERVICES, {"name": "bench"})["objectId"]
    api = replace(server.target, url=server.http_url)
    path = f"{SERVICES}/{service}/messages"
    plans = _shared(RestPlan(api, server.target, path, server.master_key, "r", **asdict(parameters)), options)
    for plan in plans:
        for number in range(plan.receivers):
            client = receiver(plan.name, number)
            server.call("POST", f"{SERVICES}/{service}/subscribers", {"client_id": client})
    return plans


def _shared(plan: RestPlan, options: Options) -> list[RestPlan]:
    """The plan, shared by the processes; each has receivers of its own."""
    parts, first = [], 0
    for part, connections in enumerate(split(plan.connections, options.processes)):
        receivers = max(connections, plan.receivers * connections // plan.connections)
        name = f"{plan.name}{part:02d}"
        parts.append(replace(plan, name=name, connections=connections, receivers=receivers, first_connection=first))
        first += receivers
    return parts


def _run(name: str, plans: list[RestPlan], server: Server, options: Options, screen: Screen) -> Figures:
    receivers = sum(plan.receivers for plan in plans if plan.gateway)
    return {"name": name, **measure(server, rest_load, plans, receivers, options, screen.line(name))}
