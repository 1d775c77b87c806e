"""`hongyan bench room`: one large chat room in which somebody talks at a steady rate, beside a bare server."""

from dataclasses import asdict, dataclass

from hongyan.bench import machine, servers
from hongyan.bench.fanout import CEILING
from hongyan.bench.run import Figures, Options, Screen, check_files, place
from hongyan.bench.servers import Server
from hongyan.bench.talk_load import TalkPlan
from hongyan.bench.talk_run import talk


@dataclass(frozen=True)
class RoomParameters:
    """`members` in the room, `rate` messages of `size` bytes per second."""

    members: int = 5_000
    rate: float = 20.0
    size: int = 200


def room(parameters: RoomParameters, options: Options, screen: Screen) -> Figures:
    """Hongyan, then the bare server, with the same load."""
    check_files(parameters.members)
    name = f"{parameters.rate:g} messages/s"
    with place(options) as here:
        with servers.hongyan(here.data_dir, here.certificate) as server:
            ours = _run(name, server, parameters, options, screen)
        with servers.bare(here.certificate) as server:
            bare = _run(f"bare: {name}", server, parameters, options, screen)
        return {
            "parameters": asdict(parameters),
            "file_system": machine.file_system(here.data_dir),
            "runs": [ours],
            "ceiling": {"what": CEILING, "runs": [bare]},
            "ratio": _ratio(ours["server_us_per_delivery"], bare["server_us_per_delivery"]),
        }


def _run(name: str, server: Server, parameters: RoomParameters, options: Options, screen: Screen) -> Figures:
    plan = TalkPlan(server.target, "room", 1, parameters.members, parameters.size, rate=parameters.rate, room=True)
    return {"name": name, **talk(server, [plan], options, screen.line(name))}


def _ratio(ours: float | None, bare: float | None) -> float | None:
    """The CPU of a delivery beside the bare server's: at a given rate nothing else differs."""
    return round(ours / bare, 3) if ours and bare else None
