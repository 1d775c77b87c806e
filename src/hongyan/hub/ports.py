"""What the hub asks of the store. Promises of a write are those of `engine.ports`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from hongyan.engine.work import NewJob
from hongyan.hub.records import Bridge, Channel, Delivery, Heard, KeptTemplate, Linked, Posted


class ChannelStore(Protocol):
    """Channels; few, all kept in memory by the hub."""

    async def all(self) -> list[Channel]:
        """The oldest first."""

    async def insert(self, channel: Channel) -> None: ...

    async def update(self, channel: Channel) -> None: ...

    async def delete(self, channel_id: str) -> None:
        """The channel and its bridges, in one write; its messages and events are left for `forget`."""

    async def forget(self, channel_id: str) -> None:
        """The messages and events of a channel that is gone, in writes of bounded size."""

    async def orphans(self) -> list[str]:
        """Channels that are gone, of which messages or events are left."""


class PostStore(Protocol):
    """Messages of channels, and what became of them."""

    async def insert(self, posted: Posted, job: NewJob) -> Posted:
        """Keep a message and the job that sends it; or answer the one with the same `request_key`, if there is one.

        The answer has its key.
        """

    async def get(self, channel_id: str, message_id: str) -> Posted | None: ...

    async def of_request(self, channel_id: str, prefix: str) -> list[Posted]:
        """Those whose `request_key` begins so."""

    async def find(self, message_id: str) -> Posted | None:
        """Of whatever channel."""

    async def page(self, channel_id: str, before: int, limit: int) -> list[Posted]:
        """The newest first, those before a key."""

    async def keep(
        self,
        posted: Posted,
        deliveries: Sequence[tuple[int, Delivery]],
        notes: Sequence[tuple[str, str]] | None = None,
        body: bytes | None = None,
    ) -> None:
        """What became of some targets, by their numbers; None stays."""

    async def sweep(self, before: int, limit: int) -> int:
        """Forget messages that were posted before a time, of which none waits; how many."""


class HeardStore(Protocol):
    """Events that came in."""

    async def add(
        self, app_key: int, channel_id: str, heard: Sequence[Heard], following: Callable[[Heard], Sequence[NewJob]]
    ) -> int:
        """Keep the events that are new, each with the jobs that follow; how many are. All in one write."""

    async def receipt(self, channel_id: str, event_id: str) -> str | None:
        """The receipt of the message that an event told of, as canonical JSON."""


class BridgeStore(Protocol):
    """Bridges; few, all kept in memory by the hub. And which message is which."""

    async def all(self) -> list[Bridge]: ...

    async def insert(self, bridge: Bridge) -> None: ...

    async def update(self, bridge: Bridge) -> None: ...

    async def delete(self, bridge_id: str) -> None: ...

    async def link(self, linked: Linked) -> None: ...

    async def linked(self, channel_id: str, receipt: str) -> list[Linked]:
        """Messages whose receipt has all parts of this one."""


class TemplateStore(Protocol):
    """Templates of messages."""

    async def all(self, app_key: int) -> list[KeptTemplate]:
        """The newest version of each, by name."""

    async def versions(self, app_key: int, name: str) -> list[KeptTemplate]:
        """The newest first."""

    async def get(self, app_key: int, name: str, version: int | None = None) -> KeptTemplate | None:
        """The newest, if no version is said."""

    async def add(self, app_key: int, name: str, body: bytes, now: int, keep: int, names_max: int) -> int | None:
        """The number of a new version, after which so many are kept; None if there are too many names already."""

    async def delete(self, app_key: int, name: str) -> bool:
        """All versions; whether there was one."""


class HubStore(Protocol):
    @property
    def channels(self) -> ChannelStore: ...

    @property
    def posts(self) -> PostStore: ...

    @property
    def heard(self) -> HeardStore: ...

    @property
    def bridges(self) -> BridgeStore: ...

    @property
    def templates(self) -> TemplateStore: ...
