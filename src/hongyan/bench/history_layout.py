"""What lies in the database of `hongyan bench history`: everything follows from numbers, so answers can be checked."""

from collections.abc import Iterator
from dataclasses import dataclass

from hongyan.bench.seed import Conversation

#: Conversations of a client, one of which is busy.
EACH = 100
#: A client has 1 to so many unread messages in a conversation.
UNREAD_MESSAGES = 5


@dataclass(frozen=True)
class Layout:
    """`messages` in `conversations`: every other one in a busy conversation, else in a quiet one, in turns.

    Conversation `n` has the client `n % clients`, each client's first is busy. In the next `unread` of them it has not
    read the last messages. `readers` are members of all busy ones. Messages come from the time `first` (ms) on, two
    each millisecond.
    """

    messages: int
    conversations: int
    unread: int
    readers: int
    first: int

    @property
    def clients(self) -> int:
        """Clients, and busy conversations."""
        return self.conversations // EACH

    def count(self, number: int) -> int:
        """Messages of a conversation."""
        place, turns = self._turn(number)
        pairs = self.messages // 2
        return pairs // turns + (place < pairs % turns)

    def time(self, number: int, seq: int) -> int:
        """When a message came."""
        place, turns = self._turn(number)
        return self.first + (seq - 1) * turns + place

    def unread_in(self, number: int) -> int:
        """Messages that the client of a conversation has not read there."""
        of_client = number // self.clients
        return 1 + of_client % UNREAD_MESSAGES if 1 <= of_client <= self.unread else 0

    def unread_of(self, client: int) -> dict[str, int]:
        """Conversation ids and counts that a client must be told."""
        numbers = range(client, self.conversations, self.clients)
        return {conversation_id(number): self.unread_in(number) for number in numbers if self.unread_in(number)}

    def rows(self) -> Iterator[Conversation]:
        """The conversations."""
        for number in range(self.conversations):
            count = self.count(number)
            members = {client_id(number % self.clients): count - self.unread_in(number)}
            if number < self.clients:
                members |= {reader_id(reader): count for reader in range(self.readers)}
            yield Conversation(conversation_id(number), members, count, self.first, self.time(number, count))

    def places(self, keys: list[int]) -> Iterator[tuple[int, int, int]]:
        """Key, seq and time of every message, in order of time."""
        busy, quiet = self.clients, self.conversations - self.clients
        for pair in range(self.messages // 2):
            yield keys[pair % busy], pair // busy + 1, self.first + pair
            yield keys[busy + pair % quiet], pair // quiet + 1, self.first + pair

    def _turn(self, number: int) -> tuple[int, int]:
        """The place of a conversation among those of its sort, and how many these are."""
        busy = self.clients
        return (number, busy) if number < busy else (number - busy, self.conversations - busy)


def client_id(number: int) -> str:
    """A client with unread messages."""
    return f"client-{number:06d}"


def reader_id(number: int) -> str:
    """A client that reads old pages."""
    return f"reader-{number:03d}"


def conversation_id(number: int) -> str:
    """The id of a conversation."""
    return f"{number:024x}"
