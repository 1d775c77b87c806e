"""The kinds of channels by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import msgspec

from hongyan.hub.connector import Connector, Feature, TargetKind
from hongyan.hub.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """`credentials` is a frozen msgspec Struct that forbids unknown fields, whose fields named in `secret` are never
    shown; every one of an outside platform has `base_url`, where that is. `targets` are the kinds it sends to; none:
    its own group. `features` are those of its connectors. `place` are the fields that say where secrets go: whoever
    changes one of them gives the secrets again, as otherwise they could be had by leading them elsewhere. `batch` is
    how many targets, groups aside, one call of the platform reaches, if that is many.
    """

    name: str
    platform: str
    credentials: type[msgspec.Struct]
    secret: frozenset[str]
    targets: frozenset[TargetKind]
    open: Callable[[Any, Surroundings], Connector]
    features: frozenset[Feature] = frozenset()
    place: frozenset[str] = frozenset({"base_url"})
    batch: int = 1

    def __post_init__(self) -> None:
        """Where the connector's class opens, its features are known."""
        if not self.features:
            object.__setattr__(self, "features", _features_of(self.open))


#: Where each kind is: a module with a value KIND. They are imported when the first is asked for.
_MODULES = {
    "dingtalk_robot": "dingtalk.robot",
    "dingtalk": "dingtalk.app",
    "wecom_robot": "wecom.robot",
    "wecom": "wecom.app",
    "feishu_robot": "feishu.robot",
    "feishu": "feishu.app",
    "slack_webhook": "slack.webhook",
    "slack": "slack.app",
    "webhook": "webhook",
    "email": "email",
    "hongyan": "own",
}


def _features_of(open_: object) -> frozenset[Feature]:
    found = getattr(open_, "features", None)  # a property is known of an open one only
    return found if isinstance(found, frozenset) else frozenset()


@cache
def kind(name: str) -> ChannelKind | None:
    """The kind of this name; its module alone is imported."""
    module = _MODULES.get(name)
    found: ChannelKind | None = None if module is None else import_module(f"{__name__}.{module}").KIND
    return found


def kinds() -> Mapping[str, ChannelKind]:
    """All of them."""
    return {name: found for name in _MODULES if (found := kind(name)) is not None}
