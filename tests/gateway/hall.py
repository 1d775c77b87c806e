"""Delivery without sockets: sessions that keep what they are told, and turns of the event loop taken by hand."""

from collections.abc import Callable
from typing import Any

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.congestion import Congestion
from hongyan.engine.events import ChatRoomEntered, ChatRoomLeft, MessageSent
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.sessions import Ticket
from hongyan.engine.values import App, Conversation, ConversationKind, Message, Priority
from hongyan.gateway.delivery import Delivery
from hongyan.gateway.live_queries import Listeners
from hongyan.gateway.registry import PATCHES, Registry, Session
from hongyan.wire import frames
from hongyan.wire.messages2_pb2 import GenericCommand
from hongyan.wire.subprotocol import SUPPORTED

APP = App(1, "app", "", "", "", "", AppSettings(), 0)
BINARY, TEXT = SUPPORTED["lc.protobuf2.3"], SUPPORTED["lc.proto2base64.3"]


class Peer:
    """The connection of one session, which takes everything, or nothing of lower priority than `takes`."""

    def __init__(self, subprotocol: Any = BINARY) -> None:
        self.subprotocol = subprotocol
        self.sessions: dict[str, Session] = {}
        self.writes: list[bytes] = []
        self.congested = False
        self.takes = Priority.LOW
        self.held_bytes = 0

    def push(self, frame: bytes) -> None:
        self.writes.append(frame)

    def push_many(self, joined: bytes, count: int) -> None:
        self.writes.append(joined)

    def offer(self, frame: bytes, priority: int) -> bool:
        if priority <= self.takes:
            self.push(frame)
        return priority <= self.takes


def frames_of(data: bytes) -> list[bytes]:
    """The payloads of unmasked frames."""
    found = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        found.append(data[start : start + size])
        data = data[start + size :]
    return found


class Hall:
    """Delivery to sessions that the test lets in and out; turns of the event loop are taken when it says so."""

    def __init__(self) -> None:
        self.turns: list[Callable[[], None]] = []
        self.is_awake = False
        self.congestion = Congestion()
        self.registry = Registry()
        nobody: Any = None
        budget = DeliveryBudget(lambda: 0.0)
        budgets = budget, DeliveryBudget()
        self.delivery = Delivery(
            self.registry, *budgets, Listeners(nobody), nobody, self.congestion, self.turns.append, self.wake
        )
        self.fanout = self.delivery.fanout
        self.said = 0

    def room(self, key: int = 1, kind: ConversationKind = ConversationKind.CHATROOM) -> Conversation:
        return Conversation(key, APP.key, f"room-{key}", kind, 1, set())

    def session(self, client: str, bitmap: int = PATCHES, subprotocol: Any = BINARY) -> Session:
        peer: Any = Peer(subprotocol)
        session = peer.sessions[client] = Session(peer, APP, client, Ticket("id", client, "", "", bitmap))
        self.registry.add(session)
        return session

    def enter(self, session: Session, room: Conversation) -> None:
        self.delivery.on_event(ChatRoomEntered(room.key, session))

    def leave(self, session: Session, room: Conversation) -> None:
        self.delivery.on_event(ChatRoomLeft(room.key, room.id, session))

    def crowd(self, room: Conversation, count: int) -> list[Session]:
        sessions = [self.session(f"{room.id}-{number:05d}") for number in range(count)]
        for session in sessions:
            self.enter(session, room)
        return sessions

    def say(
        self, room: Conversation, origin: object = None, priority: int = Priority.NORMAL, text: str | None = None
    ) -> str:
        self.said += 1
        text = f"{self.said}" if text is None else text
        message = Message(f"m{self.said}", self.said, self.said, "ann", text, priority=priority)
        self.delivery.on_event(MessageSent(room, message, origin))
        return text

    def wake(self) -> None:
        self.is_awake = True

    def tick(self) -> None:
        """The end of this tick, before outboxes are written."""
        if self.is_awake:
            self.is_awake = False
            self.delivery.tell_gathered()

    def turn(self) -> None:
        """One turn of the loop, in which there must be something to do."""
        self.tick()
        (call,) = self.turns
        self.turns.clear()
        call()

    def settle(self) -> int:
        """As many turns as it takes."""
        self.tick()
        taken = 0
        while self.turns:
            self.turn()
            taken += 1
        return taken


def commands(session: Session) -> list[GenericCommand]:
    peer: Any = session.connection
    payloads = [frame for write in peer.writes for frame in frames_of(write)]
    return [frames.decode_text(each) if peer.subprotocol.text else frames.decode(each) for each in payloads]


def heard(session: Session) -> list[str]:
    told = commands(session)
    assert {command.peerId for command in told} <= {session.client}
    return [command.directMessage.msg for command in told]


def writes(session: Session) -> int:
    peer: Any = session.connection
    return len(peer.writes)
