"""Clients that send without pause through any number of crashes, and what must be true afterwards."""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from hongyan.wire.messages2_pb2 import GenericCommand, LogItem
from tests.support.client import ConnectionLost, Session, login, named
from tests.support.server import Server

IN_FLIGHT = 6
"""Messages that one sender has on their way at once."""
REPEATED = 20
"""Acknowledged messages that a sender sends again after each crash."""


class Acknowledged(NamedTuple):
    """What an ack said of a message."""

    id: str
    timestamp: int


class Sender:
    """One client that numbers its messages and sends them in turn to the conversations.

    The client-supplied id follows from the number, so that a message sent again is the same message.
    """

    def __init__(self, peer: str, conversations: Sequence[str]) -> None:
        self.peer = peer
        self.conversations = conversations
        self.acknowledged: dict[int, Acknowledged] = {}
        self.pushed: list[GenericCommand] = []
        self.fresh_ack = asyncio.Event()
        self._sent = 0
        self._again: deque[int] = deque()

    def text(self, number: int) -> str:
        return f"{self.peer} {number}"

    def conversation(self, number: int) -> str:
        return self.conversations[number % len(self.conversations)]

    async def send_until_lost(self, server: Server) -> None:
        """Sends again what matters from before, then new messages, until the connection is lost."""
        self._again = deque(self._unsettled())
        async with login(server, self.peer) as session:
            await asyncio.gather(*(self._send_on(session) for _ in range(IN_FLIGHT)))
        self.fresh_ack.clear()
        self._keep_pushes(session)

    async def settle(self, server: Server) -> None:
        """Sends again until every message is acknowledged."""
        async with login(server, self.peer) as session:
            for number in self._unsettled():
                await self._send(session, number)
        self._keep_pushes(session)

    def _unsettled(self) -> list[int]:
        """Numbers without an ack, and some with: these must get the same ack again."""
        return [n for n in range(self._sent) if n not in self.acknowledged or n >= self._sent - REPEATED]

    async def _send_on(self, session: Session) -> None:
        with contextlib.suppress(ConnectionLost):
            while self._again:
                await self._send(session, self._again.popleft())
            while True:
                self._sent += 1
                await self._send(session, self._sent - 1)
                self.fresh_ack.set()

    async def _send(self, session: Session, number: int) -> None:
        ack = await session.send(self.conversation(number), self.text(number), dt=self.text(number))
        answer = Acknowledged(ack.uid, ack.t)
        first = self.acknowledged.setdefault(number, answer)
        assert answer == first, f"{self.text(number)} was {first}, and is {answer} when sent again"

    def _keep_pushes(self, session: Session) -> None:
        directs = [push for push in session.connection.pushes if named(push) == "direct"]
        for conversation in self.conversations:
            times = [p.directMessage.timestamp for p in directs if p.directMessage.cid == conversation]
            assert times == sorted(set(times)), "pushed twice, or out of order"
        self.pushed += directs


async def check_histories(server: Server, senders: Sequence[Sender]) -> None:
    """Every acknowledged message is there once, as acknowledged and in order; so is what was pushed."""
    async with login(server, senders[0].peer) as reader:
        histories = {cid: await reader.history(cid) for cid in senders[0].conversations}
    for conversation, history in histories.items():
        check_history(conversation, history, senders)
    kept = {item.msgId: (item.data, item.timestamp) for history in histories.values() for item in history}
    for push in itertools.chain.from_iterable(sender.pushed for sender in senders):
        direct = push.directMessage
        assert kept.get(direct.id) == (direct.msg, direct.timestamp), "pushed, but not in the history"


def check_history(conversation: str, history: Sequence[LogItem], senders: Sequence[Sender]) -> None:
    """The history holds exactly what the senders had acknowledged; each sender's messages are in order."""
    times = [item.timestamp for item in history]
    assert times == sorted(set(times))
    for sender in senders:
        numbers = [n for n in sorted(sender.acknowledged) if sender.conversation(n) == conversation]
        expected = [(sender.text(n), *sender.acknowledged[n]) for n in numbers]
        found = [(item.data, item.msgId, item.timestamp) for item in history if _sender(item) == sender.peer]
        assert found == expected
    assert {_sender(item) for item in history} <= {sender.peer for sender in senders}


def _sender(item: LogItem) -> str:
    peer: str = getattr(item, "from")
    return peer
