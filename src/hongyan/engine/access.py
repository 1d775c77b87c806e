"""Who may do what in a conversation, answered from memory.

The cache is bounded. It changes only in commit order: by `changed`, called from the commit of a change of members or
standings, or by a load. A load that a commit overtook is done again, so that an older snapshot never replaces a newer
truth.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.ports import ConversationStore
from hongyan.engine.values import NO_STANDING, App, Conversation, Standing
from hongyan.errors import Kind, Refused

log = logging.getLogger(__name__)

CONVERSATIONS_MAX = 50_000
#: Members of all cached conversations together, and clients about whom something is set; 100 to 200 bytes each.
MEMBERS_MAX = 2_000_000

#: Standings of a conversation that are looked through at each change; more, at every so manieth.
FEW = 256

Key = tuple[int, str]
Found = Conversation | Refused | None
Waiter = Callable[[Found], None]


class _Loading:
    """Someone is fetching this conversation; whoever else needs it waits here, in order."""

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self.overtaken = False


def _tell(use: Waiter, found: Found) -> None:
    """One waiter that fails keeps no other from hearing."""
    try:
        use(found)
    except Exception:
        log.exception("a use of a conversation failed")


def _set_standings(conversation: Conversation, new: Mapping[str, Standing], left: set[str], now: int) -> None:
    """What is set now: who left has no role any more, and a silence that is over is forgotten some time."""
    known = conversation.standings
    known |= new
    changed = {client: known[client]._replace(role=None, role_id=None) for client in left & known.keys()}
    changed.pop(conversation.creator, None)
    known |= changed
    if new and (len(known) <= FEW or not conversation.version % FEW):
        over = [c for c, s in known.items() if s.silenced_until is not None and s.silenced_until <= now]
        known |= {client: known[client]._replace(silenced_until=None) for client in over}
        changed |= dict.fromkeys(over, NO_STANDING)
    changed |= new
    for client in changed:
        if known[client] == NO_STANDING:
            del known[client]


def _weight(conversation: Conversation) -> int:
    return len(conversation.members) + len(conversation.standings)


def check_member(conversation: Conversation, client: str, otherwise: Kind) -> None:
    """Raises Refused(otherwise) for who is none, and where no list of members is held."""
    if client not in conversation.members:
        raise Refused(otherwise, "not a member")


class Access:
    def __init__(self, store: ConversationStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cache: OrderedDict[Key, Conversation] = OrderedDict()
        self._members = 0
        self._loading: dict[Key, _Loading] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def with_conversation(self, app: App, conversation_id: str, use: Waiter) -> None:
        """Call `use(conversation)`: at once if it is in memory, else when it is.

        `use(None)` if there is none, `use(refusal)` if it can't be read. Callers for one conversation are served in
        the order they came, loaded or not.
        """
        key = (app.key, conversation_id)
        loading = self._loading.get(key)
        found = self._cache.get(key) if loading is None else None  # who waits already goes first
        if found is not None:
            self._cache.move_to_end(key)
            use(self._living(found))
            return
        if loading is None:
            loading = self._loading[key] = _Loading()
            task = asyncio.get_running_loop().create_task(self._load(key, loading))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        loading.waiters.append(use)

    def knows(self, app: App, conversation_id: str) -> bool:
        """Whether the conversation is in memory."""
        return (app.key, conversation_id) in self._cache

    async def conversation(self, app: App, conversation_id: str) -> Conversation:
        """The conversation, for operations anybody may do. Raises Refused(CONVERSATION_NOT_FOUND)."""
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()

        def use(found: Found) -> None:
            if not future.done():
                future.set_result(found)

        self.with_conversation(app, conversation_id, use)
        found = await future
        if found is None:
            raise Refused(errors.CONVERSATION_NOT_FOUND, "unknown conversation")
        if isinstance(found, Refused):
            raise found
        return found

    def known(self, conversation: Conversation) -> Conversation:
        """A conversation that was just made or read; the one to use from now on."""
        key = (conversation.app_key, conversation.id)
        cached = self._cache.get(key)
        if cached is not None and cached.version >= conversation.version:
            return cached
        self._keep(key, conversation)
        return conversation

    def changed(
        self,
        conversation: Conversation,
        version: int,
        joined: set[str],
        left: set[str],
        standings: Mapping[str, Standing] = MappingProxyType({}),
    ) -> None:
        """Apply a committed change of members, and of standings; `conversation` is what the change was asked with."""
        key = (conversation.app_key, conversation.id)
        if key in self._loading:
            self._loading[key].overtaken = True
        for known in {id(c): c for c in (conversation, self._cache.get(key, conversation))}.values():
            if known.version < version:
                before = _weight(known)
                known.members = (known.members | joined) - left  # whoever holds the old set tells the old members
                known.version = version
                _set_standings(known, standings, left, self._clock.now())
                if self._cache.get(key) is known:
                    self._members += _weight(known) - before

    def forget(self, app_key: int, conversation_id: str) -> None:
        """A conversation was deleted."""
        key = (app_key, conversation_id)
        if key in self._loading:
            self._loading[key].overtaken = True
        dropped = self._cache.pop(key, None)
        self._members -= _weight(dropped) if dropped else 0

    async def _load(self, key: Key, loading: _Loading) -> None:
        found: Found = None
        try:
            loading.overtaken = True
            while loading.overtaken:
                loading.overtaken = False
                found = await self._store.load(*key)
        except Exception:
            log.exception("a conversation could not be read")
            found = Refused(errors.INTERNAL_ERROR, "the conversation could not be read")
        del self._loading[key]
        if isinstance(found, Conversation):
            found = self.known(found)  # one that was made or found in a write meanwhile may be newer
        found = self._living(found) if isinstance(found, Conversation) else found
        for use in loading.waiters:
            _tell(use, found)

    def _living(self, conversation: Conversation) -> Conversation | None:
        """A temporary conversation that has ended is unknown."""
        if conversation.expires_at is None:  # nearly always
            return conversation
        return None if conversation.has_ended(self._clock.now()) else conversation

    def _keep(self, key: Key, conversation: Conversation) -> None:
        replaced = self._cache.pop(key, None)
        self._members -= _weight(replaced) if replaced else 0
        self._cache[key] = conversation
        self._members += _weight(conversation)
        while len(self._cache) > 1 and (len(self._cache) > CONVERSATIONS_MAX or self._members > MEMBERS_MAX):
            _, dropped = self._cache.popitem(last=False)
            self._members -= _weight(dropped)
