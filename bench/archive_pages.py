"""Times the pages of all messages of an app: `python bench/archive_pages.py URL APP MASTER_KEY [SECONDS]`.

First pages from the newest message on, as a walk over the API asks for them, then pages that begin at random times,
with the limits 1,000 and 100. Pages of a walk must be in order, and none may be empty.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

PATH = "/1.2/rtm/messages"
LIMITS = (1_000, 100)

Record = dict[str, Any]
Page = list[Record]


def pages(http: httpx.Client, limit: int) -> Iterator[tuple[float, Page]]:
    """Page after page, with the time that each took (ms)."""
    bound: dict[str, Any] = {}
    while True:
        took, page = timed(http, limit, bound)
        if not page:
            return
        places = [(record["timestamp"], record["msg-id"]) for record in page]
        assert places == sorted(places, reverse=True), "a page is out of order"
        yield took, page
        bound = {"timestamp": page[-1]["timestamp"], "msgid": page[-1]["msg-id"]}


def anywhere(http: httpx.Client, limit: int, first: int, last: int) -> Iterator[tuple[float, Page]]:
    """Pages from random times on."""
    chance = random.Random(1)
    while True:
        took, page = timed(http, limit, {"timestamp": chance.randint(first, last)})
        assert len(page) == limit, f"a page has {len(page)} messages"
        yield took, page


def timed(http: httpx.Client, limit: int, bound: dict[str, Any]) -> tuple[float, Page]:
    """A page, and how long it took until it was there and read (ms)."""
    began = time.perf_counter()
    answer = http.get(PATH, params={"limit": limit, **bound})
    took = (time.perf_counter() - began) * 1_000
    answer.raise_for_status()
    return took, answer.json()


def measure(what: str, found: Callable[[], Iterator[tuple[float, Page]]], seconds: float) -> None:
    """Print p50 and p99 of the pages of so many seconds."""
    times, end = [], time.monotonic() + seconds
    for took, _ in found():
        times.append(took)
        if time.monotonic() > end:
            break
    times.sort()
    p50, p99 = (times[min(len(times) - 1, len(times) * percent // 100)] for percent in (50, 99))
    print(f"{what}: {len(times):,} pages, p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)


def main(url: str, app: str, master_key: str, seconds: float) -> None:
    headers = {"X-LC-Id": app, "X-LC-Key": f"{master_key},master"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as http:
        newest = http.get(PATH, params={"limit": 1}).json()[0]["timestamp"]
        oldest = http.get(PATH, params={"limit": 1_000, "reversed": "true"}).json()[-1]["timestamp"]
        for limit in LIMITS:
            measure(f"walk, {limit}", lambda limit=limit: pages(http, limit), seconds)  # type: ignore[misc]
            measure(f"anywhere, {limit}", lambda limit=limit: anywhere(http, limit, oldest, newest), seconds)  # type: ignore[misc]


if __name__ == "__main__":
    main(*sys.argv[1:4], float(sys.argv[4]) if len(sys.argv) > 4 else 20.0)
