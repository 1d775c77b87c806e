"""Temporary conversations: a fixed few talk for a while (reference 3.8).

Who is in one never changes, and when its time is over it is as if it had never been. It is found by its id alone, and
by its members alone.
"""

from collections.abc import Callable, Sequence

from hongyan import errors
from hongyan.engine.access import Access
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.conversations import check_client_ids, parse_attributes, said
from hongyan.engine.events import ConversationCreated, Event, MembersJoined
from hongyan.engine.hooks import Hooks
from hongyan.engine.ports import Bus, TemporaryStore
from hongyan.engine.query import TemporaryQuery
from hongyan.engine.questions import Starting
from hongyan.engine.values import App, Conversation, ConversationDraft, ConversationKind, ConversationRow
from hongyan.errors import Refused

MEMBERS_MAX = 10
#: What one lives if nothing is said (s).
TTL_DEFAULT = 86_400


class TemporaryConversations:
    def __init__(self, store: TemporaryStore, access: Access, bus: Bus, aftermath: Aftermath, hooks: Hooks) -> None:
        self._store = store
        self._access = access
        self._bus = bus
        self._aftermath = aftermath
        self._hooks = hooks

    async def start(
        self,
        app: App,
        creator: str,
        members: Sequence[str],
        attributes: str,
        *,
        ttl: int,
        reply: Callable[[ConversationRow, bool], None],
    ) -> None:
        """Make one, or find the one of the same members that has not ended; `reply(row, existing)` at the commit.

        `ttl` in seconds; 0 or less stands for the default, and nobody gets more than the app allows.
        """
        everyone = check_client_ids([creator, *members])
        if len(everyone) > MEMBERS_MAX:
            raise Refused(errors.CONVERSATION_FULL, f"at most {MEMBERS_MAX} members")
        name, attr, columns = parse_attributes(attributes)
        await self._hooks.ask(app, Starting(creator, everyone, said(name, attr, columns)))
        lifetime = min(ttl if ttl > 0 else TTL_DEFAULT, app.settings.temporary_ttl_max) * 1000
        kind = ConversationKind.TEMPORARY
        draft = ConversationDraft(kind, creator, everyone, name, attr, columns, lifetime=lifetime)

        def committed(row: ConversationRow, conversation: Conversation, existing: bool) -> None:
            conversation = self._access.known(conversation)
            reply(row, existing)
            if not existing:
                self._bus.publish(MembersJoined(conversation, row.members, creator, row.updated_at))

        following = self._aftermath.after(app.key, _told, ConversationCreated, MembersJoined)
        await self._store.start(app.key, draft, committed, following)

    async def find(self, app: App, caller: str, query: TemporaryQuery) -> list[ConversationRow]:
        """Those that the caller is a member of; unknown and ended ones are missing."""
        return await self._store.find(app.key, caller, query) if query.ids else []


def _told(made: tuple[ConversationRow, Conversation, bool]) -> list[Event]:
    """What followers hear; that it was made is not published, as queries know nothing of it."""
    row, conversation, existing = made
    if existing:
        return []
    return [
        ConversationCreated(conversation),
        MembersJoined(conversation, row.members, row.creator, row.updated_at),
    ]
