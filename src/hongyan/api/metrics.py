"""Figures for Prometheus, for callers on this machine or from the networks in `metrics_from`."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from litestar import Request, Response, get
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from hongyan.addresses import within
from hongyan.api.caller import caller_of
from hongyan.api.errors import HttpError
from hongyan.api.site import CurrentSite, Figure, Site

PREFIX = "hongyan_"


class StatsCollector:
    """Turns the server's figures into metrics at the moment they are asked for."""

    def __init__(self, stats: Callable[[], Iterable[Figure]]) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        for name, figures in itertools.groupby(self._stats(), lambda figure: figure.name):
            first, *others = figures
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = kind(PREFIX + name, first.help, labels=list(first.labels))
            for figure in (first, *others):
                family.add_metric(list(figure.labels.values()), figure.value)
            yield family


@get("/metrics")
async def metrics(request: Request[Any, Any, Any], site: CurrentSite) -> Response[bytes]:
    """All figures in Prometheus' text form."""
    check_reader(request, site)
    registry = CollectorRegistry()
    registry.register(StatsCollector(site.stats))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def check_reader(request: Request[Any, Any, Any], site: Site) -> None:
    """Refuse strangers, and pages of other sites in a browser on this machine.

    Such a page may have its own name lead to this machine (DNS rebinding), but can't hide that name.
    """
    caller = caller_of(request, site.settings)
    is_near = caller.is_local and caller.names_loopback
    allowed = is_near or (caller.address is not None and within(caller.address, site.settings.metrics_from))
    if not allowed or "origin" in request.headers:
        raise HttpError(403, "Metrics are read from this machine or from the networks in `metrics_from`.")
