"""Audiences for which more waits than can be told soon, as the gateway finds: nothing more is taken for them."""

from hongyan import errors
from hongyan.engine.values import OF_MEMBERS, Conversation
from hongyan.errors import Refused


class Congestion:
    """Only conversations without a list of members have such audiences; `everywhere`: all of these."""

    def __init__(self) -> None:
        self.everywhere = False
        self._conversations: set[int] = set()

    def set(self, conversation_key: int, *, congested: bool) -> None:
        if congested:
            self._conversations.add(conversation_key)
        else:
            self._conversations.discard(conversation_key)

    def bars(self, conversation: Conversation) -> bool:
        """Whether nothing more may be said there for now. Asked for every message."""
        if not self._conversations and not self.everywhere:
            return False
        return conversation.key in self._conversations or (self.everywhere and conversation.kind not in OF_MEMBERS)

    def check(self, conversation: Conversation) -> None:
        """Raises Refused(MESSAGE_SENT_QUOTA_EXCEEDED)."""
        if self.bars(conversation):
            raise congested()


def congested() -> Refused:
    return Refused(errors.MESSAGE_SENT_QUOTA_EXCEEDED, "more waits for this conversation than can be told soon")
