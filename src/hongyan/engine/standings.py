"""Who may act on whom in a conversation (reference 3.14): rules shared by roles, silence, blacklists and removal."""

from collections.abc import Mapping

from hongyan import errors
from hongyan.engine.values import NO_STANDING, Conversation, Role, Standing
from hongyan.errors import Refused


def rank(conversation: Conversation, client: str, standings: Mapping[str, Standing] | None = None) -> Role:
    """The role of a client: the one set, or the creator's; nobody else has one (reference 3.14).

    `standings`: those inside a write, which may be newer than the conversation's.
    """
    standing = (conversation.standings if standings is None else standings).get(client, NO_STANDING)
    if client == conversation.creator:
        return Role.OWNER
    return standing.role or Role.MEMBER


def check_operator(
    conversation: Conversation,
    operator: str | None,
    targets: tuple[str, ...],
    standings: Mapping[str, Standing] | None = None,
) -> None:
    """Raises Refused unless the operator, at least a manager, ranks above each target; the system (None) does.

    The whole request is refused: what the operator lacks is no partial failure (reference 3.7).
    """
    if operator is None:
        return
    own = rank(conversation, operator, standings)
    if own < Role.MANAGER or any(rank(conversation, target, standings) >= own for target in targets):
        raise Refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, "this needs a role above those it is done to")


def is_blocked(conversation: Conversation, client: str) -> bool:
    """Whether a client may not join the conversation, or be added to it."""
    return conversation.standings.get(client, NO_STANDING).blocked_at is not None
