"""Conversations that the application wants made, from the columns it names (REST reference 3.2, 3.6, 3.7)."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hongyan import errors
from hongyan.engine import attributes
from hongyan.engine.conversations import RESERVED, check_client_ids
from hongyan.engine.values import CLIENT_ID_MAX, App, Attributes, ConversationDraft, ConversationKind
from hongyan.errors import Refused

#: Keys that the rows of service conversations have for each caller.
OWN_KEYS = frozenset({"joined", "joinedAt", "muted"})
#: Permissions of single rows, of which nothing is known here: an app's settings say who may read and write.
PERMISSIONS = "ACL"
#: Longer attributes are parsed in a thread.
LARGE = 4_096


async def draft(
    app: App, kind: ConversationKind, values: Mapping[str, Any], *, as_row: bool = False
) -> ConversationDraft:
    """A conversation of this kind with these columns; those that the server owns are left out.

    Only normal conversations have members. `as_row`: as a row of a table is written, so that nobody is told, and of
    more members than a conversation may have the first count. Raises Refused.
    """
    creator = values.get("c", "")
    if not isinstance(creator, str) or len(creator) > CLIENT_ID_MAX:
        raise Refused(errors.CONVERSATION_UPDATE_FAILED, f"c is not a string of at most {CLIENT_ID_MAX} characters")
    members, unique = _members(app, values, cut=as_row) if kind is ConversationKind.NORMAL else ((), False)
    left_out = RESERVED | {PERMISSIONS} | (OWN_KEYS if kind is ConversationKind.SERVICE else set())
    text = json.dumps({key: value for key, value in values.items() if key not in left_out})
    made = await asyncio.to_thread(_attributes, text) if len(text) > LARGE else _attributes(text)
    return ConversationDraft(
        kind,
        creator,
        members,
        made.name,
        made.attr,
        made.columns,
        unique=unique,
        by_system=True,
        told=not as_row,
    )


def list_change(value: Any) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """What a new value, or an operator, makes of a list of clients: each stands there once. Raises Refused."""
    operator = attributes.operator(value)

    def change(before: Sequence[str]) -> tuple[str, ...]:
        after = operator(list(before))
        return _client_ids([] if after is attributes.ABSENT else after)

    change([])  # what is wrong with it anyway is said before the write
    return change


def _client_ids(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(client, str) for client in value):
        raise Refused(errors.CONVERSATION_API_FAILED, "not an array of client ids")
    return check_client_ids(value)


def _members(app: App, values: Mapping[str, Any], *, cut: bool) -> tuple[tuple[str, ...], bool]:
    unique = values.get("unique", False)
    if not isinstance(unique, bool):
        raise Refused(errors.CONVERSATION_API_FAILED, "unique is not true or false")
    members, most = list_change(values.get("m", []))([]), app.settings.members_max
    if len(members) > most and not cut:
        raise Refused(errors.CONVERSATION_FULL, f"at most {most} members")
    return members[:most], unique


def _attributes(text: str) -> Attributes:
    return attributes.apply(attributes.parse(text), Attributes(None, None, {}))[0]
