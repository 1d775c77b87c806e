"""The classes that an import knows: how their files are called and how their rows are read."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hongyan.engine.imported import (
    ImportedBlock,
    ImportedConversation,
    ImportedFile,
    ImportedInstallation,
    ImportedRefusal,
    ImportedRole,
    ImportedSilence,
    ImportedSubscription,
    ImportedUser,
)
from hongyan.importing import files, lists, users
from hongyan.importing.conversations import Note, conversation

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RowClass:
    """A class of rows that are staged one by one: `read(row, label of the file, note)` says what each brings in."""

    name: str
    type: type
    read: Callable[[Row, str, Note], Iterable[Any]]


#: In the order in which they are written, with the messages at `MESSAGES`: a role needs its conversation; of a service
#: conversation, nobody is a subscriber yet whose marks would move with each message.
MESSAGES, SYS_MESSAGES = "messages", "_SysMessage"
BEFORE = (
    RowClass("_User", ImportedUser, lambda row, label, note: [users.user(row, note)]),
    RowClass("_Installation", ImportedInstallation, lambda row, label, note: users.installations(row, note)),
    RowClass("_File", ImportedFile, lambda row, label, note: [files.file(row)]),
    RowClass("_Conversation", ImportedConversation, lambda row, label, note: [conversation(row, note)]),
    RowClass("_ConversationMemberInfo", ImportedRole, lambda row, label, note: [lists.role(row)]),
)
AFTER = (
    RowClass("subscribers", ImportedSubscription, lambda row, label, note: [lists.subscription(row)]),
    RowClass("permanent-silenceds", ImportedSilence, lambda row, label, note: lists.silences(row, label)),
    RowClass("blacklists", ImportedBlock, lambda row, label, note: lists.blocks(row, label)),
    RowClass("client-blacklists", ImportedRefusal, lambda row, label, note: lists.refusals(row, label)),
)
BY_NAME: Mapping[str, RowClass] = {each.name: each for each in (*BEFORE, *AFTER)}
NAMES = (*(each.name for each in BEFORE), MESSAGES, SYS_MESSAGES, *(each.name for each in AFTER))

#: Other names that files have.
_ALIASES = {
    "conversation": "_Conversation",
    "conversations": "_Conversation",
    "all-conversations": "_Conversation",
    "chatrooms": "_Conversation",
    "service-conversations": "_Conversation",
    "_conversationmemberinfo": "_ConversationMemberInfo",
    "member-infos": "_ConversationMemberInfo",
    "message": MESSAGES,
    "history": MESSAGES,
    "logs": MESSAGES,
    "sysmessage": SYS_MESSAGES,
    "subscriptions": "subscribers",
    "file": "_File",
    "files": "_File",
    "user": "_User",
    "users": "_User",
    "installation": "_Installation",
    "installations": "_Installation",
}
_BY_WORD = {name.lower(): name for name in NAMES} | _ALIASES
#: A file's name up to its endings, without the number of a part.
_STEM = re.compile(r"([^./]*?)(?:[-_.]?\d+)?(?:\.[^/]*)?")
#: A class by keys that no other has.
_BY_KEYS = (
    (frozenset(["msg-id", "timestamp"]), MESSAGES),
    (frozenset(["subscriber", "conv_id"]), "subscribers"),
    (frozenset(["msgId", "conv"]), SYS_MESSAGES),
    (frozenset(["clientId", "role"]), "_ConversationMemberInfo"),
    (frozenset(["conv_ids"]), "client-blacklists"),
)


def of_file(label: str) -> str | None:
    """The class that the name of a file, or of a folder around it, says; the name itself if it is another class's."""
    *folders, name = label.split("/")
    found = _STEM.fullmatch(name)
    stem = found[1] if found else name
    for word in (stem, *reversed(folders)):
        if word.lower() in _BY_WORD:
            return _BY_WORD[word.lower()]
    return stem if stem.startswith("_") else None


def of_row(row: Row) -> str | None:
    """The class of a row in a file whose name says nothing."""
    return next((name for keys, name in _BY_KEYS if keys <= row.keys()), None)
