"""Who is told of a block where there is no list of members, and who hears no more."""

from typing import Any

import pytest

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.congestion import Congestion
from hongyan.engine.events import BlocksChanged
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.sessions import Ticket
from hongyan.engine.values import App, Conversation, ConversationKind
from hongyan.gateway.delivery import Delivery
from hongyan.gateway.live_queries import Listeners
from hongyan.gateway.registry import Registry, Session
from hongyan.gateway.subscriptions import Subscriptions
from hongyan.wire import frames, subprotocol
from tests.support.client import BINARY, named

APP = App(1, "app", "", "", "", "", AppSettings(), 0)


class Peer:
    """The connection of one session, which keeps what it is pushed."""

    def __init__(self, registry: Registry, client: str) -> None:
        chosen = subprotocol.choose(BINARY)
        assert chosen is not None
        self.subprotocol = chosen
        self.sessions: dict[str, Session] = {}
        self.pushed: list[bytes] = []
        self.congested = False
        made: Any = self
        self.session = self.sessions[client] = Session(made, APP, client, Ticket("id", client, "", "", 0))
        registry.add(self.session)

    def push(self, frame: bytes) -> None:
        self.pushed.append(frame)

    def push_many(self, joined: bytes, count: int) -> None:
        self.pushed += [joined] if count == 1 else []

    def told(self) -> list[tuple[str, list[str], bool]]:
        """Of each push since the last call: its name, whom it names, whether it is marked as a chat room's."""
        commands = [frames.decode(_payload(frame)) for frame in self.pushed]
        self.pushed.clear()
        return [(named(command), list(command.convMessage.m), command.convMessage.transient) for command in commands]


def _payload(frame: bytes) -> bytes:
    """What a short frame without a mask carries (RFC 6455, 5.2)."""
    head = {126: 4}.get(frame[1], 2)
    return frame[head:]


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def delivery(registry: Registry) -> Delivery:
    nobody: Any = None
    budgets = DeliveryBudget(), DeliveryBudget()
    subscriptions = Subscriptions(registry, nobody)
    return Delivery(registry, *budgets, Listeners(nobody), subscriptions, Congestion(), nobody, lambda: None)


def conversation(kind: ConversationKind) -> Conversation:
    return Conversation(7, APP.key, "c", kind, 1, set(), "ann")


def test_a_chat_room_tells_those_who_hear_it_and_the_blocked_hear_no_more(
    registry: Registry, delivery: Delivery
) -> None:
    room = conversation(ConversationKind.CHATROOM)
    ann, bob, eve, away = (Peer(registry, name) for name in ("ann", "bob", "eve", "away"))
    for peer in (ann, bob, eve):
        registry.listen(peer.session, room.key)
    registry.unlisten(eve.session, room.key)  # as the engine has it put out, before
    delivery.on_event(BlocksChanged(room, ("eve", "nobody"), "ann", 1, blocked=True))
    delivery.tell_gathered()
    assert ann.told() == bob.told() == [("conv/members_blocked", ["eve", "nobody"], True)]
    assert eve.told() == [("conv/blocked", [], True)]
    assert list(registry.audience(room.key)) == [ann.session, bob.session]
    delivery.on_event(BlocksChanged(room, ("eve",), "ann", 2, blocked=False))
    delivery.tell_gathered()
    assert ann.told() == bob.told() == [("conv/members_unblocked", ["eve"], True)]
    assert eve.told() == [("conv/unblocked", [], True)]
    assert list(registry.audience(room.key)) == [ann.session, bob.session]
    assert away.told() == []


def test_subscribers_are_told_of_themselves_alone_inferred(registry: Registry, delivery: Delivery) -> None:
    service = conversation(ConversationKind.SERVICE)
    bob, eve = (Peer(registry, name) for name in ("bob", "eve"))
    for peer in (bob, eve):
        registry.listen(peer.session, service.key)
    registry.unlisten(eve.session, service.key)
    for blocked, op in ((True, "conv/blocked"), (False, "conv/unblocked")):
        delivery.on_event(BlocksChanged(service, ("eve",), "", 1, blocked))
        delivery.tell_gathered()
        assert eve.told() == [(op, [], False)]
        assert bob.told() == []
        assert list(registry.audience(service.key)) == [bob.session]
