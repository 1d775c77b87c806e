"""What a message is an answer to: the receipts by which the platform knows the other message."""

from collections.abc import Mapping, Sequence

from hongyan import errors
from hongyan.errors import Refused
from hongyan.hub.connector import Receipt, Target
from hongyan.hub.ports import HeardStore, PostStore
from hongyan.hub.records import Channel, Delivery


class Threads:
    """Reads what is kept of messages that were sent, and of those that came in."""

    def __init__(self, posts: PostStore, heard: HeardStore) -> None:
        self._posts = posts
        self._heard = heard

    async def receipts(self, channel: Channel, message_id: str) -> Mapping[Target | None, Receipt]:
        """Of a message of the channel, by target; of one that came in there is one, by None.

        Raises Refused(INVALID_VALUE) if the channel has no such message.
        """
        posted = await self._posts.get(channel.id, message_id)
        if posted is not None:
            return {each.target: each.receipt for each in posted.deliveries if each.receipt is not None}
        heard = await self._heard.receipt(channel.id, message_id)
        if heard is None:
            raise Refused(errors.INVALID_VALUE, "thread is the id of no message of this channel")
        return {None: dict(line.split("=", 1) for line in heard.split("\n"))} if heard else {}

    async def split(
        self, channel: Channel, message_id: str, waiting: Sequence[tuple[int, Delivery]]
    ) -> list[tuple[Receipt | None, list[tuple[int, Delivery]]]]:
        """Targets by the message that they hear an answer to: each its own, if it was sent to several."""
        if not message_id:
            return [(None, list(waiting))]
        try:
            receipts = await self.receipts(channel, message_id)
        except Refused:  # it is kept no more
            receipts = {}
        only = next(iter(receipts.values())) if len(receipts) == 1 else None
        found: dict[str, tuple[Receipt | None, list[tuple[int, Delivery]]]] = {}
        for number, each in waiting:
            receipt = receipts.get(each.target, only)
            found.setdefault(repr(receipt), (receipt, []))[1].append((number, each))
        return list(found.values())
