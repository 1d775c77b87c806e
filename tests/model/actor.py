"""One device of a client: what it hears, what it should have heard, and what its SDK would count."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hongyan.wire.messages2_pb2 import DirectCommand, GenericCommand, PatchItem, RcpCommand, UnreadTuple
from tests.model.compare import difference
from tests.model.model import COUNT_MAX, Content, Event, Message, Unread
from tests.support.client import CAPABILITIES, Connection, Gateway, Refused, Session, named

GROUP_RECEIPTS = 0x40
TOKEN_EXPIRED = 4112


class Device:
    """A place where a client logs in. `seen` and `expected` are compared and emptied at each quiet point."""

    def __init__(self, name: str, client: str, subprotocol: str, group_receipts: bool) -> None:
        self.name = name
        self.client = client
        self.subprotocol = subprotocol
        self.counts_unread = subprotocol.endswith(".3")
        self.wants_group_receipts = group_receipts
        self.online = False
        self.home = ""
        """A conversation of its own, for messages that show that it has heard everything."""
        self.beacon = ""
        """A second session on the same connection, by which others see when the server has noticed its end."""
        self.token = ""
        self.token_is_void = False
        self.notified_at = 0
        self.patched_at = 0
        """The time from which edits are asked for at the next login."""
        self.counts: dict[str, int] = {}
        self.offline: list[DirectCommand] = []
        self.told: dict[str, Unread] = {}
        self._connection: Connection | None = None
        self._session: Session | None = None
        self._expected = Heard()
        self._seen = Heard()

    def __repr__(self) -> str:
        return self.name

    @property
    def connection(self) -> Connection:
        assert self._connection is not None, f"{self} is offline"
        return self._connection

    @property
    def session(self) -> Session:
        assert self._session is not None, f"{self} is offline"
        return self._session

    # what the model says

    def must_hear(self, conversation_id: str, event: Event) -> None:
        self._expected.hear(conversation_id, event)

    def must_get_receipt(self, event: Event) -> None:
        self._expected.receipts[event] += 1

    def must_get(self, conversation_id: str, message: Message) -> None:
        self._expected.get(conversation_id, message.content, message.source)
        if not message.transient:
            self._expected.hear(conversation_id, message.told())

    def forget(self, conversation_id: str) -> None:
        """An SDK drops the counts of a conversation that its client left."""
        self.counts.pop(conversation_id, None)

    # connecting

    async def dial(self, server: Gateway, beacon: str) -> None:
        """Open the websocket."""
        self._connection = await Connection.connect(server, self.subprotocol)
        await self._connection.open(beacon)
        self.beacon = beacon

    async def log_in(self, with_token: bool, resume: bool) -> None:
        """With `resume` as an SDK that goes on where it was, else as one that has just been started."""
        if not resume:
            self.counts, self.notified_at, self.patched_at = {}, 0, 0
        wish: dict[str, Any] = {"configBitmap": CAPABILITIES | GROUP_RECEIPTS * self.wants_group_receipts}
        if self.notified_at and self.counts_unread:
            wish["lastUnreadNotifTime"] = self.notified_at
        if self.patched_at:
            wish["lastPatchTime"] = self.patched_at
        if with_token and self.token:
            wish |= {"r": True, "st": self.token}
        try:
            self._session = await self.connection.open(self.client, **wish)
            assert "st" not in wish or not self.token_is_void, f"{self} got in with the token of a logout"
        except Refused as refusal:
            if refusal.code != TOKEN_EXPIRED or "st" not in wish or not self.token_is_void:
                raise
            self._session = await self.connection.open(self.client, **{**wish, "r": False, "st": ""})
        self.token, self.token_is_void = self._session.token, False
        self.patched_at = self._session.opened.serverTs

    async def logout(self) -> None:
        await self.session.close()
        self.token_is_void = True
        await self.connection.close()
        self.is_cut()

    async def leave(self) -> None:
        """Close the websocket, not the session."""
        await self.close()

    async def drop(self) -> None:
        """Vanish without a word. What had arrived meanwhile nobody has seen."""
        self.connection.abort()
        await self.connection.closed()
        self.is_cut()

    async def close(self) -> None:
        """Close the websocket, if there is one."""
        if self._connection is not None:
            await self._connection.close()
        self.is_cut()

    def is_cut(self) -> None:
        """The connection has ended: nothing more will be told."""
        self.online = False
        self._connection = self._session = None
        self._expected, self._seen = Heard(), Heard()
        self.offline, self.told = [], {}

    # what it hears

    def take(self) -> None:
        """Sort what has come since the last call."""
        for push in self.connection.pushes:
            if push.peerId == self.beacon:
                continue
            assert push.peerId == self.client, f"{self} was sent {named(push)} for {push.peerId}"
            assert push.service == 2
            _TAKE[named(push)](self, push)
        self.connection.pushes.clear()

    def check(self) -> None:
        """Everything was told once, in order, and nothing else."""
        self._seen.compare(self, self._expected)
        assert not self.offline, f"{self} is told as missed what it was told before"
        self._expected, self._seen = Heard(), Heard()

    def arrived(self) -> tuple["Heard", list[DirectCommand], dict[str, Unread]]:
        """What a login that has just ended has told: live, as missed, as counts."""
        heard = self._seen, self.offline, self.told
        self._expected, self._seen, self.offline, self.told = Heard(), Heard(), [], {}
        return heard

    def _direct(self, push: GenericCommand) -> None:
        direct = push.directMessage
        if direct.cid == self.home:
            return
        if direct.offline:
            self.offline.append(direct)
            return
        self._seen.get(direct.cid, content(direct), "")
        if not direct.transient:
            self._seen.hear(direct.cid, told(direct))
            if direct.fromPeerId != self.client:
                self.counts[direct.cid] = self.counts.get(direct.cid, 0) + 1

    def _unread(self, push: GenericCommand) -> None:
        assert self.counts_unread, f"{self} wants no counts"
        self.notified_at = push.unreadMessage.notifTime
        for item in push.unreadMessage.convs:
            self.counts[item.cid] = item.unread
            self.told[item.cid] = unread_of(item)
            self._seen.hear(item.cid, ("unread", *unread_of(item)))

    def _receipt(self, push: GenericCommand) -> None:
        self._seen.receipts[receipt_of(push.rcpMessage)] += 1

    def _modified(self, push: GenericCommand) -> None:
        (item,) = push.patchMessage.patches
        self.patched_at = item.patchTimestamp
        self._seen.hear(item.cid, modified(item))

    def _updated(self, push: GenericCommand) -> None:
        conv = push.convMessage
        color = json.loads(conv.attrModified.data)["color"]
        assert json.loads(conv.attr.data) == {"color": color}
        self._seen.hear(conv.cid, ("updated", conv.initBy, color))

    def _conversation(self, push: GenericCommand) -> None:
        conv = push.convMessage
        self._seen.hear(conv.cid, (named(push).removeprefix("conv/"), conv.initBy, *sorted(conv.m)))

    def _role(self, push: GenericCommand) -> None:
        conv = push.convMessage
        self._seen.hear(conv.cid, (named(push).removeprefix("conv/"), conv.initBy, conv.info.pid, conv.info.role))


_TAKE = {
    "direct": Device._direct,
    "unread": Device._unread,
    "rcp": Device._receipt,
    "patch/modify": Device._modified,
    "conv/updated": Device._updated,
    "conv/joined": Device._conversation,
    "conv/members_joined": Device._conversation,
    "conv/left": Device._conversation,
    "conv/members_left": Device._conversation,
    "conv/blocked": Device._conversation,
    "conv/members_blocked": Device._conversation,
    "conv/unblocked": Device._conversation,
    "conv/members_unblocked": Device._conversation,
    "conv/shutuped": Device._conversation,
    "conv/members_shutuped": Device._conversation,
    "conv/unshutuped": Device._conversation,
    "conv/members_unshutuped": Device._conversation,
    "conv/member_info_changed": Device._role,
}


class Heard:
    """What a device was told, or should have been."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {}
        """Of each conversation in their order, besides transient messages and receipts."""
        self.receipts: Counter[Event] = Counter()
        self.flow: dict[str, list[tuple[Content, str]]] = {}
        """All messages of a conversation, transient or not, and where each comes from."""

    def hear(self, conversation_id: str, event: Event) -> None:
        self.events.setdefault(conversation_id, []).append(event)

    def get(self, conversation_id: str, content: Content, source: str) -> None:
        self.flow.setdefault(conversation_id, []).append((content, source))

    def compare(self, who: Device, expected: "Heard") -> None:
        """Messages of one source never overtake each other, be they transient or not."""
        for conversation in self.events.keys() | expected.events.keys():
            seen, wanted = self.events.get(conversation, []), expected.events.get(conversation, [])
            assert seen == wanted, f"{who} was told {difference(seen, wanted)}"
        assert self.receipts == expected.receipts, f"{who} got receipts {self.receipts} instead of {expected.receipts}"
        for conversation in self.flow.keys() | expected.flow.keys():
            seen_contents = [content for content, _ in self.flow.get(conversation, [])]
            flow = expected.flow.get(conversation, [])
            missing = Counter(content for content, _ in flow)
            missing.subtract(seen_contents)
            assert not any(missing.values()), f"{who} did not get, or got as new, {+missing} and {-missing}"
            for source in {source for _, source in flow}:
                sent = [content for content, of in flow if of == source]
                seen_of = [content for content in seen_contents if content in sent]
                assert seen_of == sent, f"{who} got {seen_of} in another order than {source} sent"


def content(direct: DirectCommand) -> Content:
    return direct.binaryMsg if direct.HasField("binaryMsg") else direct.msg


def told(direct: DirectCommand) -> Event:
    """As `Message.told`."""
    mentions = frozenset(direct.mentionPids)
    return (
        "direct",
        direct.id,
        direct.timestamp,
        direct.fromPeerId,
        content(direct),
        mentions,
        direct.mentionAll,
    )


def modified(item: PatchItem) -> Event:
    """As `Message.modified`."""
    said = item.binaryMsg if item.HasField("binaryMsg") else item.data
    return (
        "modified",
        item.patchTimestamp,
        item.mid,
        item.timestamp,
        getattr(item, "from"),
        said,
        frozenset(item.mentionPids),
        item.mentionAll,
        item.recall,
    )


def unread_of(item: UnreadTuple) -> Unread:
    return Unread(item.unread, item.mentioned, item.mid)


def receipt_of(rcp: RcpCommand) -> Event:
    return ("read" if rcp.read else "delivered", rcp.cid, rcp.id, getattr(rcp, "from"))


def capped(counts: Mapping[str, int]) -> dict[str, int]:
    """What an SDK shows: the conversations with something unread."""
    return {conversation: min(count, COUNT_MAX) for conversation, count in counts.items() if count}
