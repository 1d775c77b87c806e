"""The server's figures, from the parts that count them, under the names that `/metrics` shows."""

from hongyan.gateway.server import Gateway
from hongyan.store import Store
from hongyan.store.writer import Batch

#: What goes up and down; everything else only grows.
_LEVELS = {"connections", "sessions"}


class Figures:
    """Called, it tells every figure. Commits are counted from the moment it is made."""

    def __init__(self, gateway: Gateway, store: Store) -> None:
        self._gateway = gateway
        self._commits = self._units = self._messages = 0
        store.writer.on_batch = self._count

    def __call__(self) -> dict[str, float]:
        figures: dict[str, float] = {
            name if name in _LEVELS else f"{name}_total": value for name, value in self._gateway.stats().items()
        }
        return figures | {
            "commits_total": self._commits,
            "committed_units_total": self._units,
            "messages_total": self._messages,
        }

    def _count(self, batch: Batch) -> None:
        self._commits += 1
        self._units += batch.units
        self._messages += batch.messages
