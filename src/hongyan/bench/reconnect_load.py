"""What one process of the load generator does in `reconnect`: clients who log in, and all come back at once."""

import asyncio
import ssl
import time
from dataclasses import dataclass, field

from picows import WSFrame

from hongyan.bench.client import Client, Target
from hongyan.bench.idle_load import READ_BUFFER, REPORT_EVERY, each
from hongyan.bench.workers import Link

#: A client that could not connect, or was not answered, tries again after so long (s), and so often.
RETRY, TRIES = 1.0, 5
UNREAD_TIMEOUT = 30.0


@dataclass(frozen=True)
class ReturnPlan:
    """Clients number `first` to `first + clients`, in turn of groups of `group` with `conversations` each.

    When they come back they must be told of `unread` messages in each conversation.
    """

    target: Target
    first: int
    clients: int
    group: int
    conversations: int
    unread: int


@dataclass
class ReturnResult:
    """When each client had its session again and its unread counts, in ms after all began."""

    session_ms: list[float] = field(default_factory=list)
    unread_ms: list[float] = field(default_factory=list)
    retries: int = 0
    faults: list[str] = field(default_factory=list)


def client_id(number: int) -> str:
    """The id of a client."""
    return f"client-{number:06d}"


def conversation_id(number: int) -> str:
    """The id of a conversation; group `g` has those from `g * conversations` on."""
    return f"{number:024x}"


async def reconnect_load(plan: ReturnPlan, link: Link) -> ReturnResult:
    """Log in, pass the gate, come back when it opens (its value: monotonic seconds), check what was told."""
    result = ReturnResult()
    tls = plan.target.tls()
    guests = [Guest(plan, plan.first + number, tls, result) for number in range(plan.clients)]

    async def log_in(number: int) -> None:
        await guests[number].log_in()

    await each(plan.clients, log_in, link)
    began: float = await link.gate()
    await asyncio.gather(*(guest.come_back(began, link) for guest in guests))
    await asyncio.gather(*(guest.client.close() for guest in guests))
    return result


class Timed(Client):
    """Notes when its session was open and when it was told what is unread: whoever waits for that runs later."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer)
        self.opened_at = self.told_at = 0.0

    def _decode(self, frame: WSFrame) -> None:
        now = time.monotonic()
        super()._decode(frame)
        self.opened_at = self.opened_at or now
        if self.told_unread.is_set():
            self.told_at = self.told_at or now


class Guest:
    """One client, with one connection after another."""

    def __init__(self, plan: ReturnPlan, number: int, tls: ssl.SSLContext | None, result: ReturnResult) -> None:
        self._plan, self._number, self._tls, self._result = plan, number, tls, result
        self._token, self._told_until = "", 0

    async def log_in(self) -> None:
        """The first login, which leaves a token and the time up to which it knows what is unread."""
        self._token = await self._open()
        await self.client.told_unread.wait()
        self._told_until = self.client.unread.notifTime

    async def come_back(self, began: float, link: Link) -> None:
        """Connect and open the session again, as often as it takes; then wait for what is unread."""
        result = self._result
        for _ in range(TRIES):
            try:
                await self._open()
                break
            except (ConnectionError, OSError, TimeoutError):
                result.retries += 1
                await asyncio.sleep(RETRY)
        else:
            result.faults.append(f"{client_id(self._number)} could not open its session again")
            return
        result.session_ms.append((self.client.opened_at - began) * 1e3)
        try:
            await asyncio.wait_for(self.client.told_unread.wait(), UNREAD_TIMEOUT)
        except TimeoutError:
            result.faults.append(f"{self.client.peer} was not told what is unread")
            return
        result.unread_ms.append((self.client.told_at - began) * 1e3)
        if len(result.unread_ms) % REPORT_EVERY == 0:
            link.progress(len(result.unread_ms))
        self._check()

    async def _open(self) -> str:
        plan = self._plan
        self.client = Timed(client_id(self._number))
        await self.client.connect(plan.target, self._tls, self._number, READ_BUFFER)
        return await self.client.open(plan.target.app_id, self._token, self._told_until)

    def _check(self) -> None:
        plan, group = self._plan, self._number // self._plan.group
        first = group * plan.conversations
        due = {conversation_id(number): plan.unread for number in range(first, first + plan.conversations)}
        told = {place.cid: place.unread for place in self.client.unread.convs}
        if told != due:
            self._result.faults.append(f"{self.client.peer} was told of other unread messages than there are")
