"""Writing an app as LeanCloud would have exported it: a file of JSON Lines for each class, and one for the messages.

The bytes of files lie in a folder beside them, each under its key.

What an import of these files brings in is what was there, but for marks of reading and what is of the moment.
"""

import asyncio
import errno
import functools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from hongyan.api.leancloud.message_record import message_record
from hongyan.engine import passwords
from hongyan.engine.files import original
from hongyan.engine.ports import Blobs
from hongyan.engine.values import OF_MEMBERS, ConversationKind, File, Message, Role, iso_time
from hongyan.errors import FILE_NOT_FOUND, Refused, StartupError
from hongyan.importing.sources import BYTES
from hongyan.store.exporting import Exported, Reading

Rows = Iterator[dict[str, Any]]

#: Of so many files whose bytes are missing the keys are told.
MISSING_MAX = 10
_ROLES = {Role.OWNER: "Owner", Role.MANAGER: "Manager", Role.MEMBER: "Member"}


def export(reading: Reading, folder: Path, tell: Callable[[str, int], None]) -> dict[str, int]:
    """Write all files; how many rows each has. `tell(class, rows)` hears how far it is. Raises StartupError."""
    counts = {}
    with _writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StartupError(f"The folder {folder} is not empty.")
        for name, rows in FILES.items():
            counts[name] = _write(folder / f"{name}.jsonl", rows(reading), functools.partial(tell, name))
    return counts


@dataclass(slots=True)
class Copied:
    """Files of which the bytes were written; `missing` are the keys of the first few of which they could not be."""

    written: int = 0
    missed: int = 0
    missing: list[str] = field(default_factory=list)


def export_bytes(reading: Reading, blobs: Blobs, folder: Path, tell: Callable[[int], None]) -> Copied:
    """Write the bytes of all files that are here into `BYTES` in the folder. Raises StartupError."""
    copied, place = Copied(), folder / BYTES
    with _writing(place), asyncio.Runner() as runner:
        place.mkdir(mode=0o700)
        for file_id, name, mime_type, key, _, _, _, created_at, _, size in reading.files():
            if key is None:
                continue
            source = original(File(reading.app_key, file_id, name, mime_type, created_at, key))
            if runner.run(_copy(blobs.get(source) if size else _nothing(), place, key)):
                copied.written += 1
                tell(copied.written)
            else:
                copied.missed += 1
                copied.missing += [key] if copied.missed <= MISSING_MAX else []
    return copied


async def _nothing() -> AsyncIterator[bytes]:
    """The bytes of an empty file."""
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece


async def _copy(content: AsyncIterator[bytes], place: Path, key: str) -> bool:
    """Whether the bytes are there now; not if they are lost, or the name is too long for a file here."""
    part, path = place / ".part", place / key
    try:
        with part.open("wb") as file:
            async for piece in content:
                file.write(piece)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        part.rename(path)
    except (Refused, OSError) as error:
        part.unlink(missing_ok=True)
        lost = error.kind is FILE_NOT_FOUND if isinstance(error, Refused) else error.errno == errno.ENAMETOOLONG
        if not lost:
            raise
        return False
    return True


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turns what the disk refuses into a StartupError with a sentence."""
    try:
        yield
    except OSError as error:
        raise StartupError(f"{error.filename or folder} can't be written: {error.strerror}.") from None
    except Refused as refusal:
        raise StartupError(f"The bytes of files can't be read: {refusal.detail}.") from None


def _write(path: Path, rows: Rows, tell: Callable[[int], None]) -> int:
    """A file that has its name only when it is whole."""
    part, count = path.with_name(path.name + ".part"), 0
    encode = msgspec.json.Encoder().encode
    with part.open("wb") as file:
        for row in rows:
            file.write(encode(row))
            file.write(b"\n")
            count += 1
            if not count % 1_000:
                tell(count)
    part.rename(path)
    tell(count)
    return count


def _conversations(reading: Reading) -> Rows:
    for each in reading.conversations():
        if each.parent is None and not reading.is_unknown(each.key):
            yield _conversation(reading, each)


def _conversation(reading: Reading, each: Exported) -> dict[str, Any]:
    kept = reading.kept(each.key)
    members = reading.members(each.key) if each.kind in OF_MEMBERS else []
    row: dict[str, Any] = {
        "objectId": each.id,
        "createdAt": iso_time(each.created_at),
        "updatedAt": iso_time(each.updated_at),
        **each.columns,
        **kept,
    }
    if each.creator:
        row["c"] = each.creator
    if each.name is not None:
        row["name"] = each.name
    if each.attr is not None:
        row["attr"] = each.attr
    if each.kind is ConversationKind.NORMAL or "m" in kept:
        row["m"] = [client for client, _ in members] + kept.get("m", [])
    if muted := [client for client, is_muted in members if is_muted] + kept.get("mu", []):
        row["mu"] = muted
    if each.unique_id is not None:
        row |= {"unique": True, "uniqueId": each.unique_id}
    if each.last_message_at is not None and each.kind is not ConversationKind.SERVICE:
        row["lm"] = {"__type": "Date", "iso": iso_time(each.last_message_at)}
    if each.kind is not ConversationKind.NORMAL:
        row["tr" if each.kind is ConversationKind.CHATROOM else "sys"] = True
    return row


def _users(reading: Reading) -> Rows:
    """A password that was hashed here is of use to Hongyan only."""
    for user_id, values, password, created_at, updated_at in reading.users():
        row = {"objectId": user_id, "createdAt": iso_time(created_at), "updatedAt": iso_time(updated_at), **values}
        yield row | passwords.exported(password)


def _installations(reading: Reading) -> Rows:
    for own_id, values, created_at, updated_at in reading.installations():
        yield {"objectId": own_id, "createdAt": iso_time(created_at), "updatedAt": iso_time(updated_at), **values}


def _files(reading: Reading) -> Rows:
    for file_id, name, mime_type, key, url, meta, acl, created_at, updated_at, _ in reading.files():
        row = {"objectId": file_id, "createdAt": iso_time(created_at), "updatedAt": iso_time(updated_at)}
        row |= {"name": name, "mime_type": mime_type, "metaData": json.loads(meta)}
        optional = {"key": key, "url": url, "ACL": json.loads(acl) if acl else None}
        yield row | {name: value for name, value in optional.items() if value is not None}


def _roles(reading: Reading) -> Rows:
    for each in reading.conversations():
        for role_id, client, role in reading.roles(each.key):
            yield {"objectId": role_id, "cid": each.id, "clientId": client, "role": _ROLES[Role(role)]}


def _subscribers(reading: Reading) -> Rows:
    for each in reading.conversations():
        if each.kind is ConversationKind.SERVICE and each.parent is None:
            for client, since in reading.subscribers(each.key):
                yield {"timestamp": since, "subscriber": client, "conv_id": each.id}


def _silenced(reading: Reading) -> Rows:
    for each in reading.conversations():
        if clients := reading.silenced(each.key):
            yield {"conv_id": each.id, "client_ids": clients}


def _blocked(reading: Reading) -> Rows:
    for each in reading.conversations():
        if clients := reading.blocked(each.key):
            yield {"conv_id": each.id, "client_ids": clients}


def _refused(reading: Reading) -> Rows:
    for client, conversation_id in reading.refusals():
        yield {"client_id": client, "conv_ids": [conversation_id]}


def _messages(reading: Reading) -> Rows:
    for each in reading.conversations():
        service, client = (None, None) if each.parent is None else reading.owner(each.key)
        for message in reading.messages(each.key):
            if each.parent is None:
                yield _record(each.id, message)
            elif service is not None and client is not None:
                yield {**_record(service, message, client), "peer": client}
            else:  # nobody knows whose stream it is
                record = {**_record(each.id, message), "conv-id": each.id}
                del record["to"]
                yield record


def _record(conversation_id: str, message: Message, client: str | None = None) -> dict[str, Any]:
    """A record with what it has no keys for, so that nothing is lost."""
    record = message_record(conversation_id, message, client)
    if message.receipt:
        record["receipt"] = True
    if message.read_at is not None:
        record["read-at"] = message.read_at
    return record


#: The files by the names of their classes.
FILES: Mapping[str, Callable[[Reading], Rows]] = {
    "_User": _users,
    "_Installation": _installations,
    "_File": _files,
    "_Conversation": _conversations,
    "_ConversationMemberInfo": _roles,
    "subscribers": _subscribers,
    "permanent-silenceds": _silenced,
    "blacklists": _blocked,
    "client-blacklists": _refused,
    "messages": _messages,
}
