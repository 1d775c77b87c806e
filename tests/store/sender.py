"""Writes messages to a store without pause and prints each place it was told: run, and killed, by a test."""

import asyncio
import itertools
import sys
from pathlib import Path

from hongyan.store import Store
from tests.store.steps import load, send


async def main(path: Path, conversation_id: str) -> None:
    store = Store.open(path, bytes(32))
    store.start(asyncio.get_running_loop())
    conversation = await load(store, conversation_id)
    for number in itertools.count():
        place = await send(store, conversation, "ann", str(number), token=str(number))
        print(place.id, place.seq, place.timestamp, flush=True)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
