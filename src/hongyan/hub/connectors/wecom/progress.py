"""Which parts of a message have arrived: one that takes several calls goes on where it stopped, at the next try."""

from collections import OrderedDict

from hongyan.hub.connector import Receipt, Target

#: Messages to targets that are remembered while they are on their way.
KEPT = 20_000


class Progress:
    """Of the messages of one channel; `key` is a message's."""

    def __init__(self) -> None:
        self._got: OrderedDict[tuple[str, Target], list[Receipt]] = OrderedDict()

    def got(self, key: str, target: Target) -> int:
        """How many parts it has."""
        return len(self._got.get((key, target), ()))

    def add(self, key: str, target: Target, receipt: Receipt) -> None:
        """Another part has arrived."""
        self._got.setdefault((key, target), []).append(receipt)
        while len(self._got) > KEPT:
            self._got.popitem(last=False)

    def done(self, key: str, target: Target) -> dict[str, str]:
        """All have arrived: the receipt of the whole. Ids of several parts stand with commas between them."""
        receipts = self._got.pop((key, target), [])
        whole: dict[str, str] = {}
        for name in dict.fromkeys(name for receipt in receipts for name in receipt):
            whole[name] = ",".join(receipt[name] for receipt in receipts if receipt.get(name))
        return whole
