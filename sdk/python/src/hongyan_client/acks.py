"""Tells the server what reached the application, once a second at most."""

import asyncio
from collections.abc import Callable

from hongyan_client.message import Message
from hongyan_client.messages2_pb2 import GenericCommand
from hongyan_client.wire import command

#: Seconds that an acknowledgement may wait for others.
DELAY = 1.0


class Acks:
    """Ranges of message times by conversation; `post` sends a command and says whether it could."""

    def __init__(self, post: Callable[[GenericCommand], bool]) -> None:
        self._post = post
        self._ranges: dict[str, tuple[int, int]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, message: Message) -> None:
        """A message reached the application."""
        first, last = self._ranges.get(message.conversation_id, (message.timestamp, message.timestamp))
        self._ranges[message.conversation_id] = min(first, message.timestamp), max(last, message.timestamp)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self.flush)

    def flush(self) -> None:
        """Sends what waits; without a connection it waits on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._ranges:
            conversation_id, (first, last) = next(iter(self._ranges.items()))
            if not self._post(command("ack", cid=conversation_id, fromts=first, tots=last)):
                return
            del self._ranges[conversation_id]
