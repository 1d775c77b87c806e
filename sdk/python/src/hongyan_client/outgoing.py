"""Messages on their way: written in order, and again after a reconnect, until they are acknowledged."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from hongyan_client.connection import Connection, accepted
from hongyan_client.errors import ConnectionLost, HongyanError, RequestTimeout
from hongyan_client.messages2_pb2 import AckCommand, GenericCommand


@dataclass(eq=False, slots=True)
class Sending:
    """A message and the future of its acknowledgement."""

    command: GenericCommand
    acknowledged: asyncio.Future[AckCommand] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def conversation_id(self) -> str:
        return self.command.directMessage.cid


class Outgoing:
    """`sent` is called at once with (conversation, message id, time) when a message is acknowledged.

    A message carries a token of its own, `dt`: the server stores it once however often it arrives.
    """

    def __init__(self, sent: Callable[[str, str, int], None]) -> None:
        self._sent = sent
        self._connection: Connection | None = None
        self._sendings: dict[Sending, None] = {}

    def connected(self, connection: Connection) -> None:
        """Writes everything that is not acknowledged, in the order in which it was sent."""
        self._connection = connection
        for sending in self._sendings:
            self._write(connection, sending)

    def disconnected(self) -> None:
        self._connection = None

    async def send(self, command: GenericCommand, timeout: float) -> AckCommand:
        """Sends a message. Raises HongyanError and RequestTimeout; ConnectionLost for a transient message only."""
        command.directMessage.dt = uuid.uuid4().hex
        sending = Sending(command)
        self._sendings[sending] = None
        if self._connection is not None:
            self._write(self._connection, sending)
        elif command.directMessage.transient:
            sending.acknowledged.set_exception(ConnectionLost(0, "NOT_CONNECTED", "a transient message is not kept"))
        try:
            async with asyncio.timeout(timeout):
                return await sending.acknowledged
        except TimeoutError:
            raise RequestTimeout(f"the message was not acknowledged within {timeout:g} s") from None
        finally:
            del self._sendings[sending]

    async def settled(self, conversation_id: str) -> None:
        """Waits for the messages that are on their way to the conversation now."""
        waited = [sending.acknowledged for sending in self._sendings if sending.conversation_id == conversation_id]
        if waited:
            await asyncio.wait(waited)

    def fail(self, error: HongyanError) -> None:
        """Gives up everything: there will be no other connection."""
        for sending in self._sendings:
            if not sending.acknowledged.done():
                sending.acknowledged.set_exception(error)

    def _write(self, connection: Connection, sending: Sending) -> None:
        def answered(outcome: GenericCommand | ConnectionLost) -> None:
            self._answered(sending, outcome)

        copy = GenericCommand()
        copy.CopyFrom(sending.command)
        connection.request(copy, answered)

    def _answered(self, sending: Sending, outcome: GenericCommand | ConnectionLost) -> None:
        if isinstance(outcome, ConnectionLost) and not sending.command.directMessage.transient:
            return
        try:
            ack = accepted(outcome).ackMessage
        except HongyanError as error:
            if not sending.acknowledged.done():
                sending.acknowledged.set_exception(error)
            return
        if not sending.command.directMessage.transient:
            self._sent(sending.conversation_id, ack.uid, ack.t)
        if not sending.acknowledged.done():
            sending.acknowledged.set_result(ack)
