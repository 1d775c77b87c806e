"""One websocket of the load generator with one session on it."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from hongyan.bench import frames
from hongyan.wire import messages2_pb2 as pb

REPLY_TIMEOUT = 30.0
#: An address has 28,000 ports. The more are taken, and those of a run before are for a minute, the longer the kernel
#: looks for a free one.
CONNECTIONS_PER_ADDRESS = 5_000


@dataclass(frozen=True)
class Target:
    """Where the load goes: a websocket address, an app, and the CA that signed the server's certificate."""

    url: str
    app_id: str
    ca_file: str | None = None

    def tls(self) -> ssl.SSLContext | None:
        """The client's side of TLS, or None for plain sockets."""
        return ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None


class Client(WSListener):
    """Decodes every frame while it sets up; then `on_frame` is a cheaper function, for the measured part."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.transport: WSTransport | None = None
        self.lost: str | None = None
        self.joined = asyncio.Event()
        self.told_unread = asyncio.Event()
        self.unread = pb.UnreadCommand()
        self.token = ""
        self.on_frame: Callable[[WSFrame], None] = self._decode
        self._serial = 0
        self._replies: dict[int, asyncio.Future[pb.GenericCommand]] = {}

    async def connect(self, target: Target, tls: ssl.SSLContext | None, index: int = 0, buffer: int = 4096) -> None:
        """Connect to `target`; `index` counts the connections of the machine, to choose a loopback address.

        `buffer` is the read buffer in bytes.
        """
        await ws_connect(
            lambda: self,
            target.url,
            ssl_context=tls,
            extra_headers={"Sec-WebSocket-Protocol": frames.SUBPROTOCOL},
            read_buffer_init_size=buffer,
            websocket_handshake_timeout=REPLY_TIMEOUT,
            local_addr=(f"127.0.0.{1 + index // CONNECTIONS_PER_ADDRESS}", 0),
        )

    async def open(self, app_id: str, token: str = "", unread_since: int = 0) -> str:
        """Open the session, or again that of a token; returns its token.

        What is unread comes afterwards: then `told_unread` is set. A session opened again hears only of changes.
        """
        reply = await self._ask(lambda serial: frames.open_session(app_id, self.peer, serial, token, unread_since))
        self.token = str(reply.sessionMessage.st)
        return self.token

    async def start(self, members: list[str]) -> str:
        """Start a conversation with `members` and return its id."""
        reply = await self._ask(lambda serial: frames.start_conversation(self.peer, members, serial))
        return str(reply.convMessage.cid)

    async def start_room(self) -> str:
        """Start a chat room and return its id."""
        reply = await self._ask(lambda serial: frames.start_room(self.peer, serial))
        return str(reply.convMessage.cid)

    async def join(self, cid: str) -> None:
        """Enter a chat room."""
        await self.add(cid, self.peer)

    async def add(self, cid: str, member: str) -> None:
        """Add a member to a conversation."""
        await self._ask(lambda serial: frames.add(self.peer, cid, member, serial))

    async def remove(self, cid: str, member: str) -> None:
        """Remove a member, or leave."""
        await self._ask(lambda serial: frames.remove(self.peer, cid, member, serial))

    async def newest(self, cid: str, limit: int) -> list[pb.LogItem]:
        """The newest page of a conversation's history, in order."""
        return await self._logs(lambda serial: frames.newest(self.peer, cid, limit, serial))

    async def after(self, cid: str, place: frames.Place, limit: int) -> list[pb.LogItem]:
        """The page of history that follows a place, in order."""
        return await self._logs(lambda serial: frames.after(self.peer, cid, place, limit, serial))

    async def _logs(self, request: Callable[[int], bytes]) -> list[pb.LogItem]:
        return list((await self._ask(request)).logsMessage.logs)

    async def page(self, cid: str, before: int, limit: int) -> list[int]:
        """The times of the `limit` messages of a conversation before that time (ms)."""
        reply = await self._ask(lambda serial: frames.logs(self.peer, cid, before, limit, serial))
        return [message.timestamp for message in reply.logsMessage.logs]

    async def say(self, cid: str, size: int) -> None:
        """One message, which is stored when this returns."""
        await self._ask(lambda serial: frames.direct(self.peer, cid, size, serial))

    async def echo(self) -> None:
        """One keep-alive, there and back."""
        await self._ask(frames.echo)

    async def close(self) -> None:
        """End the connection, if there is one; why it ended before is in `lost`."""
        if self.transport is not None:
            self.transport.disconnect()
            with contextlib.suppress(Exception):
                await self.transport.wait_disconnected()

    def send(self, command: bytes | bytearray) -> None:
        """Send a serialised command."""
        assert self.transport is not None
        self.transport.send(WSMsgType.BINARY, command)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Called by picows."""
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Called by picows."""
        closed = transport.close_handshake and transport.close_handshake.recv
        self.lost = f"the connection of {self.peer} was closed" + (f" with {closed.code}" if closed else "")
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ConnectionError(self.lost))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Called by picows."""
        self.on_frame(frame)

    async def _ask(self, request: Callable[[int], bytes]) -> pb.GenericCommand:
        if self.lost:
            raise ConnectionError(self.lost)
        self._serial += 1
        reply = self._replies[self._serial] = asyncio.get_running_loop().create_future()
        self.send(request(self._serial))
        try:
            answer: pb.GenericCommand = await asyncio.wait_for(reply, REPLY_TIMEOUT)
        except TimeoutError:
            raise ConnectionError(f"{self.peer} got no answer within {REPLY_TIMEOUT:.0f} s") from None
        if answer.HasField("errorMessage"):
            error = answer.errorMessage
            raise ConnectionError(f"the server refused {self.peer}: {error.code} {error.reason} {error.detail}")
        return answer

    def _decode(self, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.BINARY:
            return
        command = pb.GenericCommand.FromString(frame.get_payload_as_bytes())
        if command.HasField("i"):
            reply = self._replies.pop(command.i)
            if not reply.done():
                reply.set_result(command)
        elif command.op == pb.members_joined:
            self.joined.set()
        elif command.cmd == pb.unread:
            self.unread = command.unreadMessage
            self.told_unread.set()
