"""The fixtures for connectors."""

from tests.support.hub import around, clock, files, sandbox

__all__ = ["around", "clock", "files", "sandbox"]
