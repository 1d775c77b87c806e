"""Durable truth. One SQLite file, one writer; see docs/rooms/store.md."""

from hongyan.store.store import Store

__all__ = ["Store"]
