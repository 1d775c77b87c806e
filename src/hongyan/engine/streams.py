"""What a service conversation is to one client alone: the messages it sent there, and those only it was sent.

Each client has a stream of its own, made with its first message. Nobody can ask for a stream: it is reached only
through its service conversation, by its client.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence

from hongyan import errors
from hongyan.engine.ports import ServiceStore
from hongyan.engine.values import Conversation, stream_id
from hongyan.errors import Refused

log = logging.getLogger(__name__)

STREAMS_MAX = 50_000

#: The key of a service conversation, and a client.
Key = tuple[int, str]
Use = Callable[[Conversation | Refused], None]


class Streams:
    """Streams in memory, as many as fit. What is in one never changes but for its messages."""

    def __init__(self, store: ServiceStore) -> None:
        self._store = store
        self._cache: OrderedDict[Key, Conversation] = OrderedDict()
        self._loading: dict[Key, list[Use]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def with_stream(self, service: Conversation, client: str, use: Use) -> None:
        """Call `use(stream)`, at once if it is in memory, else when it was found or made; or `use(why not)`.

        Callers for one stream are served in the order they came.
        """
        key = (service.key, client)
        waiting = self._loading.get(key)
        found = self._cache.get(key) if waiting is None else None
        if found is not None:
            self._cache.move_to_end(key)
            use(found)
            return
        if waiting is None:
            waiting = self._loading[key] = []
            task = asyncio.get_running_loop().create_task(self._load(key, service))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.append(use)

    async def stream(self, service: Conversation, client: str) -> Conversation:
        """The stream, made if there is none. Raises Refused."""
        future: asyncio.Future[Conversation | Refused] = asyncio.get_running_loop().create_future()

        def use(found: Conversation | Refused) -> None:
            if not future.done():
                future.set_result(found)

        self.with_stream(service, client, use)
        found = await future
        if isinstance(found, Refused):
            raise found
        return found

    async def of_clients(self, service: Conversation, clients: Sequence[str]) -> list[Conversation]:
        """The streams of these clients. Raises Refused(MESSAGE_NOT_FOUND) if one has none: nothing is in it."""
        found = await self._store.streams(service, clients)
        if len(found) < len(clients):
            raise Refused(errors.MESSAGE_NOT_FOUND, "not all of these clients have this message")
        return found

    def known(self, service: Conversation, client: str) -> Conversation | None:
        """The stream, if it is in memory."""
        return self._cache.get((service.key, client))

    async def _load(self, key: Key, service: Conversation) -> None:
        found: Conversation | Refused
        try:
            found = await self._store.stream(service, key[1])
            self._keep(key, found)
        except Refused as refusal:
            found = refusal
        except Exception:
            log.exception("a stream could not be read")
            found = Refused(errors.INTERNAL_ERROR, "the stream could not be read")
        for use in self._loading.pop(key):
            try:
                use(found)
            except Exception:
                log.exception("a use of a stream failed")

    def _keep(self, key: Key, stream: Conversation) -> None:
        self._cache[key] = stream
        while len(self._cache) > STREAMS_MAX:
            self._cache.popitem(last=False)


def alone(service: Conversation, client: str) -> Conversation:
    """A service conversation as this client alone hears it, for what is kept nowhere."""
    return Conversation(
        service.key,
        service.app_key,
        service.id,
        service.kind,
        service.version,
        {client},
        stream=stream_id(service.id, client),
    )
