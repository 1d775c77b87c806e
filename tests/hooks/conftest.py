"""The engine over a real store, as the other tests of it have it."""

from tests.engine.conftest import app, bus, engine, events, make_engine, store, wall

__all__ = ["app", "bus", "engine", "events", "make_engine", "store", "wall"]
