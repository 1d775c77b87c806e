"""The fixtures for connectors."""

from tests.support.hub import around, clock, files, platforms, sandbox

__all__ = ["around", "clock", "files", "platforms", "sandbox"]
