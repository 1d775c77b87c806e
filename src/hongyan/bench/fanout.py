"""`hongyan bench fanout`: deliveries per second in busy groups, beside a server that does nothing else."""

from dataclasses import asdict, dataclass, replace

from hongyan.bench import machine, servers
from hongyan.bench.run import Figures, Options, Screen, check_files, place, split
from hongyan.bench.servers import Server
from hongyan.bench.talk_load import TalkPlan
from hongyan.bench.talk_run import talk

CEILING = "bare server: picows and uvloop, the same frames gathered per connection and loop tick, no logic"


@dataclass(frozen=True)
class FanoutParameters:
    """`groups` of `members`, messages of `size` bytes, and `in_flight` of them on their way in each group."""

    groups: int = 10
    members: int = 100
    in_flight: int = 8
    size: int = 200


def fanout(parameters: FanoutParameters, options: Options, screen: Screen) -> Figures:
    """Hongyan one message at a time and with several in flight, then the bare server with the same load."""
    check_files(parameters.groups * parameters.members)
    with place(options) as here:
        with servers.hongyan(here.data_dir, here.certificate) as server:
            runs = _runs(server, parameters, options, screen, "")
        with servers.bare(here.certificate) as server:
            bare = _runs(server, parameters, options, screen, "bare: ")
        return {
            "parameters": asdict(parameters),
            "file_system": machine.file_system(here.data_dir),
            "runs": runs,
            "ceiling": {"what": CEILING, "runs": bare},
            "ratio": _ratio(runs[-1], bare[-1], "deliveries_per_second"),
            "cpu_ratio": _ratio(runs[-1], bare[-1], "server_us_per_delivery"),
        }


def _runs(server: Server, parameters: FanoutParameters, options: Options, screen: Screen, prefix: str) -> list[Figures]:
    plan = TalkPlan(server.target, "a", parameters.groups, parameters.members, parameters.size)
    several = replace(plan, name="b", in_flight=parameters.in_flight)
    return [
        _run(f"{prefix}one at a time", server, plan, options, screen),
        _run(f"{prefix}{parameters.in_flight} in flight", server, several, options, screen),
    ]


def _run(name: str, server: Server, plan: TalkPlan, options: Options, screen: Screen) -> Figures:
    plans = [
        replace(plan, name=f"{plan.name}{part}", groups=groups)
        for part, groups in enumerate(split(plan.groups, options.processes))
    ]
    return {"name": name, **talk(server, plans, options, screen.line(name))}


def _ratio(ours: Figures, bare: Figures, figure: str) -> float | None:
    return round(ours[figure] / bare[figure], 3) if ours[figure] and bare[figure] else None
