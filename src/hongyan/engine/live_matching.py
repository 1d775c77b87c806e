"""What a change of a conversation means to those who asked to hear of it by LiveQuery (reference 10.4).

Whether a conversation met a condition before is remembered by its key, except where there is no condition: then the
change itself says it. What a subscription may see is looked at anew with each change.
"""

import logging
from collections.abc import Sequence

from hongyan import errors
from hongyan.engine.events import Match
from hongyan.engine.live_subscriptions import Authority, Mark, OfApp, Subscription
from hongyan.engine.ports import LiveQueryStore, Seen
from hongyan.engine.values import ConversationRow
from hongyan.errors import Refused

log = logging.getLogger(__name__)

#: A conversation that changes while it is looked at is looked at again, so that what is told fits together.
TRIES_MAX = 5
#: Conditions tried in one read.
AT_ONCE = 100


class OvertakenError(Exception):
    """The conversation has changed while it was looked at."""


class Matching:
    def __init__(self, store: LiveQueryStore) -> None:
        self._store = store

    async def look(
        self, of_app: OfApp, conversation: int, mark: Mark, only: Subscription | None
    ) -> tuple[ConversationRow | None, list[Match]]:
        """The conversation as it is, and what is to be told to whom. Raises OvertakenError and Refused."""
        seen = await self._store.look(of_app.key, conversation, list(of_app.by_client))
        members = set(seen.row.members) if seen else set()
        subscriptions = [only] if only else _concerned(of_app, conversation, mark, members, gone=seen is None)
        updated_at = seen.row.updated_at if seen and mark.tries < TRIES_MAX else None
        met = await self._met(of_app, conversation, updated_at, subscriptions, members) if seen else set()
        matches = [
            match
            for each in subscriptions
            if of_app.has(each) and (match := _match(of_app, each, conversation, mark, seen, members, each in met))
        ]
        return seen.row if seen else None, matches

    async def _met(
        self,
        of_app: OfApp,
        conversation: int,
        updated_at: int | None,
        subscriptions: Sequence[Subscription],
        members: set[str],
    ) -> set[Subscription]:
        """Those that may see the conversation and whose condition it meets. Raises OvertakenError."""
        visible = [each for each in subscriptions if each.reader.sees(members)]
        met = {each for each in visible if each.matched is None}
        asking = [each for each in visible if each.matched is not None]
        for start in range(0, len(asking), AT_ONCE):
            met |= await self._try(of_app, conversation, updated_at, asking[start : start + AT_ONCE])
        return met

    async def _try(
        self, of_app: OfApp, conversation: int, updated_at: int | None, asking: Sequence[Subscription]
    ) -> set[Subscription]:
        """A condition that takes too long ends its subscription; nobody else loses anything by it."""
        try:
            results = await self._store.matches(conversation, updated_at, [each.prepared for each in asking])
        except Refused as refusal:
            if refusal.kind is not errors.CONVERSATION_QUERY_FAILED:
                raise
            if len(asking) == 1:
                log.info("a live query was ended: %s", refusal)
                of_app.remove(asking[0])
                return set()
            middle = len(asking) // 2
            first = await self._try(of_app, conversation, updated_at, asking[:middle])
            return first | await self._try(of_app, conversation, updated_at, asking[middle:])
        if results is None:
            raise OvertakenError
        return {each for each, result in zip(asking, results, strict=True) if result}


def _concerned(of_app: OfApp, conversation: int, mark: Mark, members: set[str], *, gone: bool) -> list[Subscription]:
    """Who may have to be told; those that are not ready are told later."""
    if gone:
        found = of_app.all()
    else:
        clients = (of_app.by_client.keys() & members) | mark.members_before.keys()
        found = [*of_app.by_everybody, *(each for client in clients for each in of_app.by_client.get(client, ()))]
    ready = []
    for subscription in found:
        if mark.number < subscription.number:
            continue
        if not subscription.is_ready:
            subscription.note_late(conversation, mark)
        elif subscription.reader.authority is Authority.KEY and not subscription.app.settings.conversation_read:
            of_app.remove(subscription)
        else:
            ready.append(subscription)
    return ready


def _match(
    of_app: OfApp,
    subscription: Subscription,
    conversation: int,
    mark: Mark,
    seen: Seen | None,
    members: set[str],
    is_match: bool,
) -> Match | None:
    """What to tell a subscription, if anything; it remembers it."""
    was_match = _was_match(subscription, conversation, mark, members)
    of_app.remember(subscription, conversation, is_match)
    if not (was_match or is_match):
        return None
    if is_match:
        op = "update" if was_match else "create" if mark.is_new else "enter"
    else:
        op = "delete" if seen is None else "leave"
    client = subscription.client
    return Match(
        subscription.id,
        subscription.query_id,
        op,
        subscription.wish.keys,
        client,
        muted=seen is not None and client in seen.muted_by,
        hidden=seen is None or not subscription.reader.sees(members),
    )


def _was_match(subscription: Subscription, conversation: int, mark: Mark, members: set[str]) -> bool:
    if subscription.matched is not None:
        return conversation in subscription.matched
    if mark.is_new:
        return False
    client = subscription.client
    return not client or mark.members_before.get(client, client in members)
