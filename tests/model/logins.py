"""What a login is told, compared with the model."""

import itertools
from collections.abc import Mapping, Sequence

from hongyan.wire.messages2_pb2 import DirectCommand
from tests.model.actor import Device, told
from tests.model.compare import difference
from tests.model.model import MISSED_MAX, TRACKED, Conversation, Event, Missed, Unread


def check_counts(client: str, found: Mapping[str, Unread], unread: Mapping[str, Unread], told_all: bool) -> None:
    """Who asks for all is told of what is unread; others may be told of conversations that they have read."""
    if told_all:
        assert found == unread, f"{client} is told {found} instead of {unread}"
    for conversation, count in found.items():
        nothing = Unread(0, False, count.last_id)
        wanted = unread.get(conversation, nothing)
        assert count == wanted, f"{client} is told {count} instead of {wanted}"


def check_missed(client: str, directs: Sequence[DirectCommand], missed: Sequence[Missed]) -> None:
    """In order, the latest conversation last, and `hasMore` in all but the last message of one that is told whole."""
    found: dict[str, list[Event]] = {}
    for direct in directs:
        found.setdefault(direct.cid, []).append((*told(direct), direct.hasMore))
    assert [id for id, _ in itertools.groupby(directs, lambda direct: direct.cid)] == list(found), "told in pieces"
    ends = {each.conversation.id: each.conversation.messages[-1].timestamp for each in missed}
    assert found.keys() == ends.keys(), f"{client} is told of {list(found)} instead of {list(ends)}"
    latest = [ends[id] for id in found]
    assert latest == sorted(latest), f"{client} is told of conversations in another order than that of their ends"
    for each in missed:
        places = enumerate(each.messages, 1)
        expected = [(*message.told(), each.more or place < len(each.messages)) for place, message in places]
        told_of = found[each.conversation.id]
        assert told_of == expected, f"{client} is told of what was missed {difference(told_of, expected)}"


class Arrival:
    """A login while messages are written: each is told once and in order, as missed or as new."""

    def __init__(self, device: Device, conversations: Sequence[Conversation], missed: Sequence[Missed]) -> None:
        self._device = device
        self._starts = {conversation.id: len(conversation.messages) for conversation in conversations}
        self._missed = {each.conversation.id: [message.told() for message in each.messages] for each in missed}

    def check(self, conversations: Sequence[Conversation]) -> None:
        """Afterwards, in the conversations of its client. Counts are compared as with everybody who is online."""
        heard, offline, _ = self._device.arrived()
        for conversation in conversations:
            new = [message.told() for message in conversation.messages[self._starts[conversation.id] :]]
            live = [event for event in heard.events.get(conversation.id, []) if event[0] == "direct"]
            assert live == new[len(new) - len(live) :], f"{self._device} got {difference(live, new)}"
            if not self._device.counts_unread and len(conversation.messages) <= TRACKED:
                as_missed = [told(direct) for direct in offline if direct.cid == conversation.id]
                self._check_messages(self._missed.get(conversation.id, []) + new, as_missed, live)

    def _check_messages(self, everything: list[Event], as_missed: list[Event], live: list[Event]) -> None:
        others = [event for event in everything if event[3] != self._device.client]
        as_new = [event for event in live if event[3] != self._device.client]
        assert as_missed == others[: len(as_missed)], f"{self._device} was told {difference(as_missed, others)}"
        if len(as_missed) < MISSED_MAX:
            both = as_missed + as_new
            assert both == others, f"{self._device} was told {difference(both, others)}"
