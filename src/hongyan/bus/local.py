"""The bus of a single node: the same path as a cluster's, without the network."""

import logging
from collections.abc import Callable

from hongyan.engine.events import Event

log = logging.getLogger(__name__)


class LocalBus:
    def __init__(self) -> None:
        self._subscribers: list[Callable[[Event], None]] = []

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        self._subscribers.append(subscriber)

    def publish(self, event: Event) -> None:
        """Tell every subscriber, synchronously. A subscriber that fails keeps nobody else from hearing."""
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:
                log.exception("a subscriber failed on %s", type(event).__name__)
