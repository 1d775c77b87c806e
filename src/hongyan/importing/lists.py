"""Roles, subscriptions, silences and blacklists (REST reference 2.3, 3.7, 3.8): a row, or a page of ids."""

import re
from collections.abc import Iterator
from typing import Any

from hongyan.engine.imported import (
    ImportedBlock,
    ImportedRefusal,
    ImportedRole,
    ImportedSilence,
    ImportedSubscription,
)
from hongyan.engine.values import Role
from hongyan.importing.plain import Mistake, number, target, text

_ROLES = {"Owner": Role.OWNER, "Manager": Role.MANAGER, "Member": Role.MEMBER}
#: The parts of a file's name before its endings: one of them is the id that a page does not say.
_PARTS = re.compile(r"[^/]+")


def role(row: dict[str, Any]) -> ImportedRole:
    """A row of `_ConversationMemberInfo`. Raises Mistake."""
    found = _ROLES.get(row.get("role", ""))
    if found is None:
        raise Mistake(f"role is not one of {', '.join(_ROLES)}")
    client = text(row.get("clientId"), "clientId")
    return ImportedRole(
        target(row.get("cid"), "cid"), client, int(found), text(row.get("objectId", row.get("_id")), "objectId")
    )


def subscription(row: dict[str, Any]) -> ImportedSubscription:
    """An entry of the subscribers of a service conversation. Raises Mistake."""
    since = number(row.get("timestamp"), "timestamp")
    return ImportedSubscription(text(row.get("conv_id"), "conv_id"), text(row.get("subscriber"), "subscriber"), since)


def silences(row: dict[str, Any], label: str) -> Iterator[ImportedSilence]:
    """A page of those who are silenced for ever. Raises Mistake."""
    conversation_id = _owner(row, "conv_id", label)
    return (ImportedSilence(conversation_id, client) for client in _page(row, "client_ids"))


def blocks(row: dict[str, Any], label: str) -> Iterator[ImportedBlock]:
    """A page of the blacklist of a conversation. Raises Mistake."""
    conversation_id = _owner(row, "conv_id", label)
    return (ImportedBlock(conversation_id, client) for client in _page(row, "client_ids"))


def refusals(row: dict[str, Any], label: str) -> Iterator[ImportedRefusal]:
    """A page of the blacklist of a client. Raises Mistake."""
    client = _owner(row, "client_id", label)
    return (ImportedRefusal(conversation_id, client) for conversation_id in _page(row, "conv_ids"))


def _page(row: dict[str, Any], name: str) -> list[str]:
    given = row.get(name)
    if not isinstance(given, list):
        raise Mistake(f"{name} is not a list")
    return [text(each, f"an id in {name}") for each in given]


def _owner(row: dict[str, Any], name: str, label: str) -> str:
    """Whose list it is; a page as LeanCloud answers it does not say, then the file is in a folder of this name."""
    if name in row:
        return text(row[name], name)
    parts = _PARTS.findall(label)
    if len(parts) < 2:
        raise Mistake(f"there is no {name}, and the file is in no folder that has its name")
    return text(parts[-2], name)
