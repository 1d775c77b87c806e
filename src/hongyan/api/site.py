"""What the HTTP door knows of the running server."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from litestar.di import NamedDependency

from hongyan.config import Settings
from hongyan.engine.apps import Apps
from hongyan.engine.engine import Engine
from hongyan.engine.files import Files
from hongyan.hub.hub import Hub
from hongyan.hub.library import Rehearse


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of `/metrics`; those whose names end in `_total` only ever grow.

    Several of one name, one after another, have other values of the same labels.
    """

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Site:
    """Handed to every handler that asks for `site`.

    `gateway_port` is the port in use, which differs from the setting where that is 0. `ready` is true while
    every part is up. `stats` tells the figures for `/metrics`.
    """

    settings: Settings
    engine: Engine
    files: Files
    gateway_port: int = 0
    ready: bool = False
    stats: Callable[[], Iterable[Figure]] = field(default=list)
    hub_: Hub | None = None
    rehearse_: Rehearse | None = None

    @property
    def hub(self) -> Hub:
        assert self.hub_ is not None
        return self.hub_

    @property
    def rehearse(self) -> Rehearse:
        assert self.rehearse_ is not None
        return self.rehearse_

    @property
    def apps(self) -> Apps:
        return self.engine.apps


CurrentSite = NamedDependency[Site]
"""The annotation by which a handler asks for `site`."""
