"""Rows of `_Conversation` (REST reference 2.1, 8.2, 8.8)."""

from collections.abc import Callable
from typing import Any

from hongyan.engine.conversations import RESERVED
from hongyan.engine.imported import ImportedConversation
from hongyan.engine.values import ConversationKind
from hongyan.importing.plain import Mistake, moment, plain, text

#: Members of a normal conversation to whom messages are delivered; the others are kept aside.
MEMBERS_MAX = 500
#: Columns that Hongyan has itself.
_OURS = frozenset(
    [
        "objectId",
        "_id",
        "createdAt",
        "updatedAt",
        "name",
        "c",
        "m",
        "mu",
        "lm",
        "tr",
        "sys",
        "unique",
        "uniqueId",
        "attr",
    ]
)
#: Of these nothing is kept: they are what a backup needs for itself.
_DROPPED = frozenset(["_created_at", "_updated_at", "__v"])

Note = Callable[[str], None]


def conversation(row: dict[str, Any], note: Note) -> ImportedConversation:
    """The row; `note` is told what of it is left out. Raises Mistake."""
    values = {name: plain(value) for name, value in row.items()}
    conversation_id = text(values.get("objectId", values.get("_id")), "objectId")
    kept: dict[str, Any] = {}
    kind = _kind(values)
    members, muted = _members(values, kind, kept, note)
    name, attr = values.get("name"), values.get("attr")
    if not isinstance(name, str | None):
        kept["name"], name = name, None
    if not isinstance(attr, dict | None):
        kept["attr"], attr = attr, None
    created_at, updated_at = times(values)
    creator = values.get("c")
    custom = {name: value for name, value in values.items() if name not in _OURS | _DROPPED}
    aside = {name for name in custom if name in RESERVED or name == "ACL" or name.startswith("_")}
    return ImportedConversation(
        id=conversation_id,
        kind=int(kind),
        created_at=created_at,
        updated_at=updated_at,
        creator=creator if isinstance(creator, str) and len(creator) <= 64 else "",
        members=members,
        muted=muted,
        name=name,
        attr=attr,
        columns={name: value for name, value in custom.items() if name not in aside},
        unique_id=_unique_id(values, kind, kept),
        last_message_at=_time(values, "lm"),
        kept=kept | {name: custom[name] for name in aside},
    )


def _kind(values: dict[str, Any]) -> ConversationKind:
    if values.get("sys") is True:
        return ConversationKind.SERVICE
    return ConversationKind.CHATROOM if values.get("tr") is True else ConversationKind.NORMAL


def _members(
    values: dict[str, Any], kind: ConversationKind, kept: dict[str, Any], note: Note
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who is a member, and who of them has muted; all others are kept aside."""
    members = _clients(values, "m", note)
    muted = _clients(values, "mu", note)
    taken = members[:MEMBERS_MAX] if kind is ConversationKind.NORMAL else []
    if kind is ConversationKind.NORMAL and len(members) > MEMBERS_MAX:
        note(f"{len(members)} members: the first {MEMBERS_MAX} are members, the others are kept aside")
    beyond = members[len(taken) :]
    ours = set(taken)
    others = [client for client in muted if client not in ours]
    kept.update({name: clients for name, clients in (("m", beyond), ("mu", others)) if clients})
    return tuple(taken), tuple(client for client in muted if client in ours)


def _clients(values: dict[str, Any], name: str, note: Note) -> list[str]:
    given = values.get(name)
    if given is None:
        return []
    if not isinstance(given, list):
        raise Mistake(f"{name} is not a list")
    clients: dict[str, None] = {}
    for each in given:
        try:
            clients[text(each, f"a client id in {name}")] = None
        except Mistake as mistake:
            note(f"{mistake}: it is left out")
    return list(clients)


def _unique_id(values: dict[str, Any], kind: ConversationKind, kept: dict[str, Any]) -> str | None:
    """None: not unique; empty: it follows from the members."""
    given = values.get("uniqueId")
    if values.get("unique") is True and kind is ConversationKind.NORMAL:
        return given if isinstance(given, str) else ""
    if given is not None:
        kept["uniqueId"] = given
    return None


def times(values: dict[str, Any]) -> tuple[int, int]:
    """When a row was made and changed, one of which may be missing. Raises Mistake."""
    created_at = _time(values, "createdAt", "_created_at")
    updated_at = _time(values, "updatedAt", "_updated_at")
    if created_at is None and updated_at is None:
        raise Mistake("there is neither createdAt nor updatedAt")
    return (
        created_at if created_at is not None else updated_at or 0,
        updated_at if updated_at is not None else created_at or 0,
    )


def _time(values: dict[str, Any], *names: str) -> int | None:
    for name in names:
        if values.get(name) is not None:
            return moment(values[name])
    return None
