"""Emulators of the outside platforms, to try channels without an account anywhere; and a page that shows what arrives.

They are written from the platforms' own words and checked with the platforms' own SDKs, and share no code with the
connectors: the one is no mirror of the other's mistakes. All serve from one origin, as their paths differ.
"""

from importlib import import_module
from importlib.util import find_spec

from hongyan.sandbox.emulator import Emulator

#: The platforms in the order of the page; each has a module of its name with its emulator.
PLATFORMS = ("dingtalk", "wecom", "feishu", "slack")


def emulators() -> list[type[Emulator]]:
    """Those of all platforms."""
    return [_emulator(name) for name in PLATFORMS if find_spec(f"{__name__}.{name}") is not None]


def _emulator(platform: str) -> type[Emulator]:
    found = vars(import_module(f"{__name__}.{platform}")).values()
    return next(
        each
        for each in found
        if isinstance(each, type) and issubclass(each, Emulator) and each is not Emulator and each.platform == platform
    )
