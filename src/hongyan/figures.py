"""The server's figures, from the parts that count them, under the names and with the help that `/metrics` shows."""

from collections.abc import Iterator

from hongyan.api.site import Figure
from hongyan.gateway.server import Gateway
from hongyan.hub.hub import Hub
from hongyan.store import Store
from hongyan.store.writer import Batch

#: The gateway's own names: what `/metrics` calls them, and what they count.
GATEWAY = {
    "connections": ("connections", "Websocket connections that are open now."),
    "sessions": ("sessions", "Sessions that are open now: one for each client on each of its connections."),
    "commands_in": ("commands_received_total", "Commands that clients have sent."),
    "deliveries": ("deliveries_total", "Messages handed to receivers, counted once for each receiving session."),
    "left_out": (
        "chat_room_deliveries_left_out_total",
        "Messages of chat rooms left out for single receivers that read too slowly, counted once for each of them.",
    ),
    "shed": (
        "chat_room_messages_shed_total",
        "Messages of chat rooms told to nobody, as too much waited to be told there.",
    ),
    "frames_out": ("frames_sent_total", "Websocket frames written to connections."),
    "writes_out": ("socket_writes_total", "Writes to sockets; one write carries the frames of one moment."),
    "slow_peers": ("slow_connections_closed_total", "Connections closed because they read too slowly."),
    "refused_connections": (
        "connections_refused_total",
        "Connections refused before they opened: too many, or not of the protocol.",
    ),
}
COMMITS = ("commits_total", "Transactions committed to disk; one carries the changes that waited for it.")
CHANGES = ("changes_total", "Changes committed to disk: messages, conversations, members, read positions and others.")
MESSAGES = ("messages_total", "Messages committed to disk.")
#: How pushes have ended, for each service: in the order of `Pushed`.
PUSHES = (
    ("pushes_sent_total", "Pushes that a service took over."),
    ("pushes_failed_total", "Pushes that a service refused, or that nobody was to see any more before it took them."),
    ("pushes_invalid_total", "Pushes for devices that were gone, as their service said."),
)
IMPORTED = ("imported_rows_total", "Rows of other servers that imports have brought in, or found to be here.")


CHANNEL_MESSAGES = (
    "channel_messages_total",
    "Messages of channels that came to their end, counted once for each target, by kind of channel and outcome.",
)
CHANNELS_FAILING = ("channels_failing", "Channels whose credentials do not work: `hongyan channel list` says why.")


class Figures:
    """Called, it tells every figure. Commits are counted from the moment it is made."""

    def __init__(self, gateway: Gateway, store: Store, hub: Hub) -> None:
        self._gateway = gateway
        self._hub = hub
        self._commits = self._changes = self._messages = 0
        store.writer.on_batch = self._count

    def __call__(self) -> Iterator[Figure]:
        for name, value in self._gateway.stats().items():
            yield Figure(*GATEWAY[name], value)
        yield Figure(*COMMITS, self._commits)
        yield Figure(*CHANGES, self._changes)
        yield Figure(*MESSAGES, self._messages)
        yield Figure(*IMPORTED, self._gateway.engine.imports.rows)
        totals = sorted(self._gateway.engine.push_sending.totals.items())
        for place, explained in enumerate(PUSHES):
            for service, pushed in totals:
                yield Figure(*explained, pushed[place], {"service": service})
        for (kind, outcome), count in sorted(self._hub.tries.counts.items()):
            yield Figure(*CHANNEL_MESSAGES, count, {"kind": kind, "outcome": outcome})
        yield Figure(*CHANNELS_FAILING, len(self._hub.channels.failing()))

    def _count(self, batch: Batch) -> None:
        self._commits += 1
        self._changes += batch.units
        self._messages += batch.messages
