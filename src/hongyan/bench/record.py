"""What a client has of a conversation, message by message, and what history has; both must be equal in the end."""

from collections import Counter
from collections.abc import Iterable

from hongyan.bench.frames import BEGINNING, Place, sent_at
from hongyan.wire import messages2_pb2 as pb

Heard = tuple[str, int, Place]
"""Who said it, the how manieth message of his in this conversation it is, and its place there."""


def heard_in_history(item: pb.LogItem) -> Heard:
    """A message as history tells it."""
    return getattr(item, "from"), sent_at(item.data), (item.timestamp, item.msgId)


class Record:
    """What one client has received of what others say in a conversation, in order.

    Each sender numbers its messages from 1. Who comes `late` begins with any number. The digest is that of all
    messages in their order: equal digests, equal conversations.
    """

    __slots__ = ("_known", "_late", "_peer", "_read", "_waiting", "cid", "digest", "faults", "place", "pushed", "read")

    def __init__(self, peer: str, cid: str, faults: list[str], *, late: bool = False) -> None:
        self.cid = cid
        self.faults = faults
        self.pushed = self.read = 0
        self.digest = 0
        self.place = BEGINNING
        self._peer = peer
        self._late = late
        self._known: dict[str, int] = {}
        self._read: set[tuple[str, int]] = set()
        self._waiting: list[Heard] | None = None

    def hear(self, sender: str, number: int, place: Place) -> None:
        """A message was delivered. What was just read in history may still come once by this way too."""
        if self._waiting is not None:
            self._waiting.append((sender, number, place))
        elif sender == self._peer:
            return  # sent over a connection that was lost, and told to the one that took its place
        elif (sender, number) in self._read:
            self._read.discard((sender, number))
        else:
            self.pushed += 1
            self._take(sender, number, place)

    def wait(self) -> None:
        """From now on keep what is delivered until what was missed before it is here."""
        self._waiting = []
        self._read = set()

    def fill(self, page: Iterable[Heard]) -> None:
        """Take what was missed, from history."""
        for sender, number, place in page:
            self.place = place
            if sender != self._peer:
                self.read += 1
                self._read.add((sender, number))
                self._take(sender, number, place)

    def go_on(self) -> None:
        """Everything missed is here: take what was delivered meanwhile."""
        waiting, self._waiting = self._waiting or [], None
        for heard in waiting:
            self.hear(*heard)

    def _take(self, sender: str, number: int, place: Place) -> None:
        known = self._known.get(sender)
        if known is None:
            known = number - 1 if self._late else 0
        if number != known + 1:
            self.faults.append(f"{self._peer} received message {number} of {sender} after {known} in {self.cid}")
        self._known[sender] = number
        self.digest = hash((self.digest, sender, number))
        self.place = place


class Told:
    """What history tells of a conversation: how many messages of each sender, and the digest of what each receives."""

    def __init__(self, cid: str, senders: Iterable[str], faults: list[str]) -> None:
        self.place = BEGINNING
        self.stored: Counter[str] = Counter()
        self._cid = cid
        self._faults = faults
        self._of_all = 0
        self._of_others = dict.fromkeys(senders, 0)

    def read(self, page: Iterable[Heard]) -> None:
        """Go through the next page."""
        for sender, number, place in page:
            self.stored[sender] += 1
            if number != self.stored[sender]:
                self._faults.append(f"history of {self._cid} has {number} of {sender} as its {self.stored[sender]}.")
            self._of_all = hash((self._of_all, sender, number))
            for other, digest in self._of_others.items():
                if other != sender:
                    self._of_others[other] = hash((digest, sender, number))
            self.place = place

    def digest(self, receiver: str) -> int:
        """That of all messages but the receiver's own."""
        return self._of_others.get(receiver, self._of_all)
