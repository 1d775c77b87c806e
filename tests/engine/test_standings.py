"""Who may act on whom."""

import pytest

from hongyan.engine.standings import check_operator, rank
from hongyan.engine.values import Conversation, ConversationKind, Role, Standing
from hongyan.errors import Refused


@pytest.fixture
def conversation() -> Conversation:
    standings = {name: Standing(Role.MANAGER) for name in ("max", "moe")} | {"sid": Standing(silenced_until=1)}
    members = {"ann", "bob", "max", "moe", "sid"}
    return Conversation(1, 1, "c", ConversationKind.NORMAL, 1, members, "ann", None, standings)


def test_the_creator_owns_and_others_are_members_unless_set(conversation: Conversation) -> None:
    ranks = [rank(conversation, client) for client in ("ann", "max", "bob", "sid", "stranger")]
    assert ranks == [Role.OWNER, Role.MANAGER, Role.MEMBER, Role.MEMBER, Role.MEMBER]


@pytest.mark.parametrize(
    ("operator", "target", "may"),
    [
        ("ann", "max", True),
        ("max", "bob", True),
        ("max", "stranger", True),
        (None, "ann", True),
        ("ann", "ann", False),
        ("max", "ann", False),
        ("max", "moe", False),
        ("max", "max", False),
        ("bob", "sid", False),
        ("stranger", "bob", False),
    ],
)
def test_only_managers_and_owners_act_and_only_on_those_below_them(
    conversation: Conversation, operator: str | None, target: str, may: bool
) -> None:
    if may:
        check_operator(conversation, operator, (target,))
        return
    with pytest.raises(Refused, match="CONVERSATION_OPERATION_UNAUTHORIZED"):
        check_operator(conversation, operator, (target,))


def test_what_is_so_inside_the_write_counts(conversation: Conversation) -> None:
    with pytest.raises(Refused):
        check_operator(conversation, "max", ("bob",), {})
