"""Rows of LeanCloud's exports, made up."""

import hashlib
import itertools
import json
import random
from pathlib import Path
from typing import Any

NOW = 1_760_000_000_000
"""When the last of it was written (ms): in the past."""

KEY, BYTES = "Gpj8DL3UCyIaAlMvYTxJIJH1PXRbbYVU.png", b"\x89PNG and more"
"""The key of a file, and its bytes."""

PASSWORD = "h7oRIIN7MfHNUMljp0QzMDM2nubKXavtCxOOcOVHesqa5pxCf081T2E+9FblM9NqID76yVglxOKDQVauhURCgg=="
"""That of the reference, `open sesame` with the salt `s4lt`, hashed (REST reference 8.5)."""

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


def user(name: str, **more: Any) -> dict[str, Any]:
    """A row of `_User`."""
    return {**_row(), "username": name, "emailVerified": False} | more


def users() -> list[dict[str, Any]]:
    """Rows of all kinds."""
    return [
        user("alice", password=PASSWORD, salt="s4lt", email="a@example.com", sessionToken="abcdefghijklmnopqrstuvwxy"),
        user(
            "bob", authData={"weixin": {"openid": "o1"}}, ACL={"*": {"read": True}}, mobilePhoneNumber="+8613800000000"
        ),
    ]


def installation(channels: list[str], **more: Any) -> dict[str, Any]:
    """A row of `_Installation`."""
    row = _row()
    return row | {"deviceType": "ios", "deviceToken": row["objectId"] * 2, "valid": True, "channels": channels} | more


def file(key: str | None, **more: Any) -> dict[str, Any]:
    """A row of `_File`, which is a link as long as its bytes are not here."""
    row = {**_row(), "name": "a.png", "mime_type": "image/png", "metaData": {"size": len(BYTES)}}
    if key is not None:
        row |= {"key": key, "url": f"https://old.example.com/{key}"}
    return row | more


def sys_message(conversation_id: str, at: int, sender: str) -> dict[str, Any]:
    """A row of `_SysMessage`."""
    conversation = {"__type": "Pointer", "className": "_Conversation", "objectId": conversation_id}
    row = {**_row(), "msgId": f"s{next(_numbers)}", "from": sender, "data": "to the service", "bin": False}
    return row | {"conv": conversation, "timestamp": at, "ackAt": at + 3}


def _row() -> dict[str, Any]:
    return {"objectId": object_id(), "createdAt": date(NOW), "updatedAt": date(NOW + 5)}


def bytes_of_files(folder: Path) -> Path:
    """A folder with the bytes of the files of `everything`."""
    folder.mkdir()
    (folder / KEY).write_bytes(BYTES)
    return folder


def everything(folder: Path, messages: int = 300, seed: int = 1) -> dict[str, int]:
    """An export with something of all that there is; how many rows of each class are told to be read."""
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
    said = [sys_message(news["objectId"], NOW + n, chance.choice(clients)) for n in range(1, 4)]
    target = normal[0]["objectId"]
    files: dict[str, list[dict[str, Any]]] = {
        "_User": users(),
        "_Installation": [installation(["alice"]), installation(["bob", "小明"])],
        "_File": [file(KEY), file(None, url="https://elsewhere.example/x.png")],
        "_Conversation": [*normal, room, news],
        "_ConversationMemberInfo": [{"objectId": object_id(), "cid": target, "clientId": "alice", "role": "Manager"}],
        "subscribers": [{"timestamp": NOW, "subscriber": c, "conv_id": news["objectId"]} for c in clients],
        "permanent-silenceds": [{"conv_id": target, "client_ids": ["eve", "bob"]}],
        "blacklists": [{"conv_id": target, "client_ids": ["mallory"]}],
        "client-blacklists": [{"client_id": "bob", "conv_ids": [places[1], places[2]]}],
        "_SysMessage": said,
        "messages": records,
    }
    for name, rows in files.items():
        jsonl(folder / f"{name}.jsonl", *rows)
    counts = {name: len(rows) for name, rows in files.items()}
    counts["messages"] += counts.pop("_SysMessage")
    return counts
