"""What follows from what happens: jobs for whoever wants to hear of it afterwards.

An event is asked about inside the write it tells of, so that its jobs are kept with it or not at all; those of events
that write nothing are kept on their own.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from hongyan.engine.events import Event
from hongyan.engine.values import Draft
from hongyan.engine.work import NewJob


class Follower(Protocol):
    """Somebody for whom jobs are made: hooks, webhooks, push."""

    def wants(self, app_key: int, kind: type[Event]) -> bool:
        """Whether it makes jobs of such events of an app; asked on the event loop for each of them."""

    def jobs(self, app_key: int, event: Event, draft: Draft | None) -> Iterable[NewJob]:
        """The jobs that follow, in the writer's thread: quick, of what is at hand. `draft` is that of a message."""


class Aftermath:
    def __init__(self) -> None:
        self._followers: tuple[Follower, ...] = ()

    def add(self, follower: Follower) -> None:
        self._followers += (follower,)

    def wants(self, app_key: int, kind: type[Event]) -> bool:
        """Whether anything follows from such events of an app."""
        return any(follower.wants(app_key, kind) for follower in self._followers)

    def jobs(self, app_key: int, event: Event, draft: Draft | None = None) -> Sequence[NewJob]:
        """The jobs that follow from an event that somebody `wants`."""
        kind = type(event)
        found: list[NewJob] = []
        for follower in self._followers:
            if follower.wants(app_key, kind):
                found += follower.jobs(app_key, event, draft)
        return found
