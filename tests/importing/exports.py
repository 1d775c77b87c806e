"""Rows of LeanCloud's exports, made up."""

import hashlib
import itertools
import json
import random
from pathlib import Path
from typing import Any

NOW = 1_760_000_000_000
"""When the last of it was written (ms): in the past."""

_numbers = itertools.count(1)


def object_id(number: int | None = None) -> str:
    """An id of 24 hex digits."""
    return f"{next(_numbers) if number is None else number:024x}"


def date(at: int) -> str:
    """A time in 2025, as a row has it."""
    seconds, milliseconds = divmod(at - NOW, 1000)
    minutes, seconds = divmod(seconds + 3600, 60)
    return f"2025-10-09T08:{minutes % 60:02d}:{seconds:02d}.{milliseconds:03d}Z"


def conversation(*members: str, **more: Any) -> dict[str, Any]:
    """A row of `_Conversation`."""
    row: dict[str, Any] = {"objectId": object_id(), "createdAt": date(NOW), "updatedAt": date(NOW + 5), "m": [*members]}
    return row | more


def message(conversation_id: str, at: int = NOW, sender: str = "alice", **more: Any) -> dict[str, Any]:
    """A record of a history call."""
    record: dict[str, Any] = {
        "msg-id": f"id{next(_numbers):020d}",
        "timestamp": at,
        "from": sender,
        "to": conversation_id,
        "conv-id": conversation_id + "00000000",
        "data": '{"_lctype":-1,"_lctext":"hello"}',
        "bin": False,
        "is-conv": True,
        "is-room": False,
        "from-ip": "10.0.0.1",
    }
    return record | more


def stream(service_id: str, client: str) -> str:
    """The key of what a service conversation is to one client."""
    return hashlib.md5(f"{service_id}:{client}".encode()).hexdigest()


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def everything(folder: Path, messages: int = 300, seed: int = 1) -> dict[str, int]:
    """An export with something of all that there is; how many rows each file has."""
    chance = random.Random(seed)
    clients = ["alice", "bob", "24f00000000000000000000a", "小明", "x" * 64]
    normal = [
        conversation(*chance.sample(clients, 2), c="alice", mu=["bob"], name="n", attr={"a": 1}) for _ in range(9)
    ]
    normal.append(
        conversation("alice", "bob", unique=True, lm={"__type": "Date", "iso": date(NOW)}, own=[1, {"k": None}])
    )
    room, news = conversation(tr=True), conversation(sys=True)
    places = [row["objectId"] for row in [*normal, room]] + [object_id()]
    records = [
        message(chance.choice(places), NOW - chance.randrange(9_999), chance.choice(clients)) for _ in range(messages)
    ]
    records += [message(news["objectId"], NOW + n, "news") for n in range(3)]
    own = {"conv-id": stream(news["objectId"], "bob")}
    records += [message(news["objectId"], NOW - n, "news", **own) for n in range(1, 4)]
    records += [message(news["objectId"], NOW, "nobody", **{"conv-id": "0123456789abcdef" * 2, "to": None})]
    chance.shuffle(records)
    target = normal[0]["objectId"]
    files: dict[str, list[dict[str, Any]]] = {
        "_Conversation": [*normal, room, news],
        "_ConversationMemberInfo": [{"objectId": object_id(), "cid": target, "clientId": "alice", "role": "Manager"}],
        "subscribers": [{"timestamp": NOW, "subscriber": c, "conv_id": news["objectId"]} for c in clients],
        "permanent-silenceds": [{"conv_id": target, "client_ids": ["eve", "bob"]}],
        "blacklists": [{"conv_id": target, "client_ids": ["mallory"]}],
        "client-blacklists": [{"client_id": "bob", "conv_ids": [places[1], places[2]]}],
        "messages": records,
    }
    for name, rows in files.items():
        jsonl(folder / f"{name}.jsonl", *rows)
    return {name: len(rows) for name, rows in files.items()}
