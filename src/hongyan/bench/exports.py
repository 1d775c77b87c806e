"""Makes an export as LeanCloud has them, of any size: `python -m hongyan.bench.exports DIR CONVERSATIONS MESSAGES`.

Conversations of two; messages from the newest to the oldest in one JSON array, as a walk over its API gives them.
"""

import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: When the oldest message was sent, about (ms).
BEGAN = 1_760_000_000_000
BODY = json.dumps({"_lctype": -1, "_lctext": "hello " * 30})


def iso(at: int) -> str:
    """A time as rows have it."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"


def conversation(number: int, members: list[str]) -> dict[str, Any]:
    """A row of `_Conversation`."""
    times = {"createdAt": iso(BEGAN), "updatedAt": iso(BEGAN + 5)}
    return {"objectId": f"{number:024x}", **times, "c": members[0], "m": members, "mu": [], "attr": {"topic": 1}}


def messages(chance: random.Random, talks: list[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    """Records of a history call, the newest first."""
    at = BEGAN + 1_000 * count
    for _ in range(count):
        at -= chance.choice([0, 1, 1_000])
        talk = chance.choice(talks)
        yield {
            "msg-id": f"{chance.getrandbits(88):022x}",
            "timestamp": at,
            "from": chance.choice(talk["m"]),
            "to": talk["objectId"],
            "conv-id": f"{talk['objectId']}00000000",
            "data": BODY,
            "bin": False,
            "is-conv": True,
            "is-room": False,
            "from-ip": None,
            "ack-at": at + 5,
        }


def write(folder: Path, conversations: int, count: int) -> None:
    """Make the folder with the files of an export."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(1)
    clients = [f"c{number}" for number in range(conversations)]
    talks = [conversation(number + 1, chance.sample(clients, 2)) for number in range(conversations)]
    with (folder / "_Conversation.jsonl").open("w") as file:
        file.writelines(json.dumps(talk) + "\n" for talk in talks)
    with (folder / "messages.json").open("w") as file:
        file.write("[")
        for number, message in enumerate(messages(chance, talks, count)):
            file.write((",\n" if number else "") + json.dumps(message))
        file.write("]")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
