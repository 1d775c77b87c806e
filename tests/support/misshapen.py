"""Bodies that have the shape of a platform's, but for one place."""

import copy
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

from hongyan.hub.connector import MISSHAPEN, Forged, Outcome, Problem

WRONG: tuple[Any, ...] = (None, True, -5, 10**30, 1e300, "x", "", [], [None], {}, {"a": [5]})


def misshapen(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each place of the body with each of the wrong values, and without it."""
    for place in list(_places(body)):
        for wrong in WRONG:
            yield _changed(body, place, lambda holder, key, wrong=wrong: holder.__setitem__(key, wrong))
        yield _changed(body, place, lambda holder, key: holder.__delitem__(key))


async def check_all(body: dict[str, Any], take: Callable[[dict[str, Any]], Awaitable[object]]) -> None:
    """Each is taken, or refused in one of the ways that the door and the connections expect."""
    for each in misshapen(body):
        with suppress(Forged, *MISSHAPEN):
            try:
                await take(each)
            except Problem as problem:
                if problem.outcome is not Outcome.BAD_CONTENT:
                    raise


def _places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*before, key)
        yield from _places(each, (*before, key))


def _changed(body: dict[str, Any], place: tuple[Any, ...], change: Callable[[Any, Any], None]) -> dict[str, Any]:
    made = holder = copy.deepcopy(body)
    for key in place[:-1]:
        holder = holder[key]
    change(holder, place[-1])
    return made
