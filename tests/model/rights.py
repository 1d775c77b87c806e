"""Who may do what in a conversation: the code of the refusal, 0 for none."""

from collections.abc import Collection

from tests.model.model import Conversation

INVALID_TARGET = 4401
NO_MEMBER = 4317
NOT_THE_AUTHOR = 4403
RECALLED_OR_UNKNOWN = 4404
SILENCED = 4563
UNAUTHORIZED = 4320
OWNER_STAYS = 4324

PLAIN, MANAGER, OWNER = 1, 2, 3


def rank(conversation: Conversation, client: str) -> int:
    if client == conversation.creator:
        return OWNER
    return MANAGER if client in conversation.standings.managers else PLAIN


def to_act_on(conversation: Conversation, by: str, clients: Collection[str]) -> int:
    """At least a manager acts on those below."""
    own = rank(conversation, by)
    below = all(rank(conversation, client) < own for client in clients)
    return 0 if own >= MANAGER and below else UNAUTHORIZED


def to_send(conversation: Conversation, by: str) -> int:
    if by not in conversation.members:
        return INVALID_TARGET
    return SILENCED if by in conversation.standings.silenced else 0


def to_silence(conversation: Conversation, by: str, clients: Collection[str]) -> int:
    return to_act_on(conversation, by, clients) if by in conversation.members else NO_MEMBER


def to_block(conversation: Conversation, by: str, clients: Collection[str]) -> int:
    return to_act_on(conversation, by, clients) if by in conversation.members else UNAUTHORIZED


def to_give_role(conversation: Conversation, by: str, client: str) -> int:
    if by not in conversation.members:
        return NO_MEMBER
    return to_act_on(conversation, by, [client]) or (0 if client in conversation.members else NO_MEMBER)


def to_change_members(conversation: Conversation, by: str, clients: Collection[str], op: str) -> int:
    """`op`: add or remove. Everybody joins and quits, but for the owner where there are roles."""
    if set(clients) != {by} and by not in conversation.members:
        return NO_MEMBER
    if op == "add" or not conversation.standings.has_roles:
        return 0
    present = conversation.members.keys() & set(clients)
    others = present - {by, conversation.creator}
    refusal = 0
    if others or (conversation.creator in present and conversation.creator != by):
        refusal = to_act_on(conversation, by, others)
    if not refusal and present and set(clients) == {conversation.creator}:
        refusal = OWNER_STAYS
    return refusal


def who_changes(conversation: Conversation, clients: Collection[str], op: str) -> set[str]:
    """Those for whom the wish holds afterwards, if it is not refused; the others fail."""
    if op == "add":
        return set(clients) - conversation.standings.blocked
    owner = {conversation.creator} & conversation.members.keys() if conversation.standings.has_roles else set()
    return set(clients) - owner
