"""The websocket server: takes connections, dispatches commands, watches time, leaves in good order."""

import asyncio
import json
import logging
import random
import resource
import ssl
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from hongyan import errors
from hongyan.config import GatewayOptions
from hongyan.engine.engine import Engine
from hongyan.engine.events import BroadcastSent, ClientKicked
from hongyan.engine.ports import Bus
from hongyan.errors import Refused
from hongyan.gateway import conflicts, handlers
from hongyan.gateway.connection import Connection, Forwarded
from hongyan.gateway.delivery import Delivery
from hongyan.gateway.everyone import Everyone
from hongyan.gateway.listener import Listener
from hongyan.gateway.live_queries import Listeners
from hongyan.gateway.outbox import Flusher
from hongyan.gateway.registry import Registry
from hongyan.gateway.subscriptions import Subscriptions
from hongyan.wire import subprotocol
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand

log = logging.getLogger(__name__)

#: Larger buffers cost memory on every idle connection.
READ_BUFFER = 2048
#: Descriptors kept for files, HTTP and the database; half of them also for connections that are not yet websockets.
DESCRIPTORS_KEPT = 128
#: How long a peer may take to agree on TLS (s); for the upgrade picows gives it 5 s more.
TLS_PATIENCE = 10.0
_SWEEP_EVERY = 1.0
_SWEEP_SLICE = 5_000
#: Shortest pause between asking some connections and some more to go away (s).
_ASK_EVERY = 0.02
_GOING_AWAY = 1001
_VERSION = "13"
_ORIGIN_MAX = 512


class _PicowsLog(logging.LoggerAdapter[logging.Logger]):
    """What picows calls an error is a peer's broken frame: it costs the peer its connection, the operator nothing."""

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.info(msg, *args, **kwargs)


class Gateway:
    def __init__(
        self, engine: Engine, bus: Bus, options: GatewayOptions, trusted_proxies: tuple[str, ...] = ()
    ) -> None:
        self.engine = engine
        self.options = options
        self.trusted_proxies = trusted_proxies
        self.loop = asyncio.get_running_loop()
        self.registry = Registry()
        self.live_queries = Listeners(engine.live_queries)
        self.subscriptions = Subscriptions(self.registry, engine.services)
        self.delivery = Delivery(
            self.registry,
            engine.deliveries,
            engine.changes,
            self.live_queries,
            self.subscriptions,
            engine.congestion,
            self.loop.call_soon,
            lambda: self.flusher.wake(),
        )
        self.everyone = Everyone(self.registry, engine.deliveries, self.loop.call_soon)
        self.delivery.on(BroadcastSent, self.everyone.tell)
        self.delivery.on(ClientKicked, lambda event: conflicts.kicked(self, event))
        self.flusher = Flusher(self.loop, self.delivery.tell_gathered)
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.commands_in = self.frames_out = self.writes_out = self.slow_peers = self.refused = 0
        self.left_out = 0
        self.stopping = False
        self._moving: asyncio.Task[None] | None = None
        self._server: Any = None
        self._sweeping: asyncio.Task[None] | None = None
        self._most = options.max_connections or max(1, _descriptors() - DESCRIPTORS_KEPT)
        bus.subscribe(self.delivery.on_event)

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Take connections. Raises OSError if the port is taken."""
        highest = _descriptors() - DESCRIPTORS_KEPT // 2
        self._server = await ws_create_server(
            self._accept,
            sock=Listener(host, port, self.options.backlog, highest),
            ssl=tls,
            ssl_handshake_timeout=TLS_PATIENCE if tls else None,
            backlog=self.options.backlog,
            use_aiofastnet=True,  # it takes connections through `Listener.accept`; uvloop would not
            enable_auto_pong=False,
            max_frame_size=2 * self.options.max_frame,
            read_buffer_init_size=READ_BUFFER,
            logger_name=_PicowsLog(logging.getLogger("picows")),
        )
        self._sweeping = self.loop.create_task(self._sweep())

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    def stats(self) -> dict[str, int]:
        """Figures for metrics; counters only grow."""
        return {
            "connections": len(self.connections),
            "sessions": self.registry.sessions,
            "commands_in": self.commands_in,
            "deliveries": sum(
                each.deliveries for each in (self.delivery.gathering, self.delivery.fanout, self.everyone)
            ),
            "left_out": self.left_out,
            "shed": self.delivery.fanout.shed,
            "frames_out": self.frames_out,
            "writes_out": self.writes_out,
            "slow_peers": self.slow_peers,
            "refused_connections": self.refused,
        }

    async def drain(self, seconds: float) -> None:
        """Stop taking connections, answer what is under way, close with 1001: SDKs then reconnect by themselves.

        No `goaway`: it makes JS clients ask the router at once, and with one node that is gone in the same moment
        (docs/decisions/0004).
        """
        self.stopping = True
        if self._moving is not None:
            self._moving.cancel()
        if self._server is not None:
            self._server.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in self.connections:
            connection.take_no_more()
        await self._wait_while(self._is_answering, seconds)
        self.delivery.tell_gathered()
        for connection in list(self.connections):
            connection.leave(_GOING_AWAY, "the server is stopping")
        await self._wait_while(lambda: bool(self.connections), seconds)

    def go_away(self, over: float) -> int:
        """Ask all who are connected now to look up the router again and reconnect; answers how many that are.

        They are asked evenly over so many seconds, in no order, so that they don't all come back at once.
        """
        if self._moving is not None:
            self._moving.cancel()
        connections = list(self.connections)
        random.shuffle(connections)
        self._moving = self.loop.create_task(_logged(self._go_away(connections, over)))
        return len(connections)

    async def _go_away(self, connections: list[Connection], over: float) -> None:
        start = self.loop.time()
        for index, connection in enumerate(connections):
            early = start + over * index / len(connections) - self.loop.time()
            if early > 0 or index % _SWEEP_SLICE == _SWEEP_SLICE - 1:
                await asyncio.sleep(max(early, _ASK_EVERY))
            connection.tell(GenericCommand(cmd=CommandType.goaway), "")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work in a task that a stop waits for; what it fails with is logged."""
        task = self.loop.create_task(_logged(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _is_answering(self) -> bool:
        return (
            bool(self.tasks)
            or self.delivery.fanout.is_busy
            or self.everyone.is_busy
            or any(connection.is_answering for connection in self.connections)
        )

    async def _wait_while(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = self.loop.time() + seconds
        while condition() and self.loop.time() < deadline:
            await asyncio.sleep(0.02)

    # for connections

    def connected(self, connection: Connection) -> None:
        self.connections.add(connection)

    def disconnected(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.live_queries.lost(connection)

    def dispatch(self, connection: Connection, command: GenericCommand) -> None:
        """Do what a command asks, or answer why not. Nothing a peer sends may raise out of here."""
        self.commands_in += 1
        try:
            self._dispatch(connection, command)
        except Refused as refusal:
            connection.reply_error(command, refusal)
        except Exception:
            log.exception("a %s command failed", CommandType.Name(command.cmd))
            connection.reply_error(command, Refused(errors.INTERNAL_ERROR, "the server failed"))

    def _dispatch(self, connection: Connection, command: GenericCommand) -> None:
        if not command.HasField("cmd"):
            raise Refused(errors.UNPARSEABLE_RAW_MESSAGE, "unknown command")
        with_session = handlers.WITH_SESSION.get(command.cmd)
        if with_session is not None:
            session = connection.session(command.peerId)
            if session is None:
                raise Refused(errors.SESSION_REQUIRED, "open a session first")
            command.peerId = session.client
            with_session(connection, session, command)
            return
        without_session = handlers.WITHOUT_SESSION.get(command.cmd)
        if without_session is None:
            raise Refused(errors.UNPARSEABLE_RAW_MESSAGE, "unknown command")
        without_session(connection, command)

    # its own

    def _accept(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        chosen = subprotocol.choose(offered)
        if chosen is None:
            self.refused += 1
            names = ", ".join(subprotocol.SUPPORTED)
            return _refuse_upgrade(400, f"Offer one of the subprotocols {names}.")
        if request.headers.get("Sec-WebSocket-Version") != _VERSION:
            self.refused += 1
            return _refuse_upgrade(426, f"Speak version {_VERSION} of the websocket protocol.")
        if len(self.connections) >= self._most:
            self.refused += 1
            return _refuse_upgrade(503, "The server has as many connections as it can take.")
        if "upgrade" in ", ".join(request.headers.getall("Connection", [])).lower():
            request.headers["Connection"] = "Upgrade"  # picows takes no lists, which Firefox sends
        response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": chosen.name})
        return WSUpgradeResponseWithListener(response, Connection(self, chosen, _origin(request), _forwarded(request)))

    async def _sweep(self) -> None:
        """End connections that never logged in or have fallen silent."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY)
            for index, connection in enumerate(list(self.connections)):
                if index % _SWEEP_SLICE == _SWEEP_SLICE - 1:
                    await asyncio.sleep(0)
                self._check_time(connection, self.loop.time())

    def _check_time(self, connection: Connection, now: float) -> None:
        if now - connection.seen_at > self.options.read_timeout:
            connection.refuse(errors.READ_TIMEOUT, "nothing received for too long")
        elif not connection.logged_in and now - connection.connected_at > self.options.login_timeout:
            connection.refuse(errors.LOGIN_TIMEOUT, "no login after connecting")


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        log.exception("work of the gateway failed")


def _origin(request: WSUpgradeRequest) -> str | None:
    """As the browser says it. One copy for all connections from one site; no site has a name of that length."""
    origin = request.headers.get("Origin")
    return None if origin is None else sys.intern(str(origin)[:_ORIGIN_MAX])


def _forwarded(request: WSUpgradeRequest) -> Forwarded | None:
    """What proxies say of the peer; nearly always nothing."""
    names = [name.lower() for name in request.headers]
    if not any(name.startswith("x-forwarded-") or name == "forwarded" for name in names):
        return None
    return tuple(map(str, request.headers.getall("X-Forwarded-For", []))), True


def _descriptors() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _refuse_upgrade(status: int, reason: str) -> WSUpgradeResponseWithListener:
    body = json.dumps({"code": status, "error": reason}).encode()
    headers = {"Content-Type": "application/json", "Sec-WebSocket-Version": _VERSION}
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, body, headers), None)
