"""Work that must be done after a write: kept with it, in one transaction, until it is done.

Who writes says what follows; `hongyan.jobs` does it, again and again if need be, also after a restart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class NewJob(NamedTuple):
    """`body` is JSON. Jobs of one `lane` wait for each other's failures, those of other lanes never do."""

    app_key: int
    lane: str
    kind: str
    body: bytes
    #: How long after the write it is to be done (ms).
    after: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """`id` stays the same at each attempt; `attempts` have failed, the last one with `error`. Times in ms."""

    key: int
    id: str
    app_key: int
    lane: str
    kind: str
    body: bytes
    due_at: int
    attempts: int
    error: str
    created_at: int
    dead_at: int | None


class Postponed(NamedTuple):
    """A job that has failed: it is due again at `due_at`, or kept as dead if that is None."""

    key: int
    due_at: int | None
    attempts: int
    error: str


#: What follows from a write, made of its outcome. It runs in the writer's thread: pure, and quick.
Following = Callable[[T], Sequence[NewJob]]
