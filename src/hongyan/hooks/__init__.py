"""LeanCloud's hooks: functions of an app's own engine that are asked before something happens, or told afterwards."""

from hongyan.hooks.desk import Desk
from hongyan.hooks.engines import Engines
from hongyan.hooks.told import KIND, Told

__all__ = ["KIND", "Desk", "Engines", "Told"]
