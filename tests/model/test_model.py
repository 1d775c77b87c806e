"""Random operations by several clients against a simple model: the whole server, with drops, kills and restarts.

What must hold stands in `world.py` and `look.py`. After each step what everybody online has heard is compared.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from inspect import getcoroutinelocals
from types import CoroutineType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.model.actor import Device
from tests.model.look import look
from tests.model.model import Conversation
from tests.model.world import CLIENTS, DEVICES, Draft, Ending, Sending, World
from tests.support.server import Server

EXPLORE = float(os.environ.get("MODEL_SECONDS", "0"))
"""Seconds of random examples instead of the fixed ones."""
EXAMPLES, STEPS = 11, 40
CONVERSATIONS_MAX = 5

pytestmark = [pytest.mark.timeout(EXPLORE + 600), pytest.mark.long]


def _machine() -> st.SearchStrategy["Chats"]:
    return st.runner()


def _online() -> st.SearchStrategy[str]:
    return _machine().flatmap(lambda chats: st.sampled_from([device.name for device in chats.world.online]))


def _offline() -> st.SearchStrategy[str]:
    return _machine().flatmap(lambda chats: st.sampled_from(chats.offline))


def _place() -> st.SearchStrategy[int]:
    """A number of a conversation. How many there are may depend on a moment of the server, what is drawn may not."""
    return st.integers(0, CONVERSATIONS_MAX - 1)


DEVICE = st.sampled_from(sorted(DEVICES))
SOME = st.sets(st.sampled_from(CLIENTS), min_size=1, max_size=3).map(lambda some: tuple(sorted(some)))
DRAFT = st.builds(
    Draft,
    kind=st.sampled_from(["text", "text", "binary", "transient"]),
    token=st.booleans(),
    receipt=st.booleans(),
    mentions=st.sets(st.sampled_from(CLIENTS), max_size=1).map(tuple),
    to_all=st.integers(0, 5).map(lambda n: n == 5),
)
KEPT_DRAFT = st.builds(
    Draft,
    kind=st.sampled_from(["text", "binary"]),
    receipt=st.booleans(),
    mentions=st.sets(st.sampled_from(CLIENTS), max_size=1).map(tuple),
)
DRAFTS = st.lists(DRAFT, min_size=1, max_size=4)
CLIENT = st.sampled_from(CLIENTS)
MOSTLY = st.sampled_from([True, True, False])
NUMBER = st.integers(0, 30)
ENDING: st.SearchStrategy[Ending] = st.sampled_from(["drop", "kill", "stop"])

some_online = precondition(lambda chats: chats.world.online)
some_offline = precondition(lambda chats: chats.offline)
few_restarts = precondition(lambda chats: chats.restarts_left)
may_start = precondition(lambda chats: chats.world.online and chats.starts < CONVERSATIONS_MAX)


class Chats(RuleBasedStateMachine):
    """A step is a rule; arguments name devices, and conversations by number."""

    def __init__(self, server: Server, runner: asyncio.Runner, failed: list[str]) -> None:
        """`failed` gets the steps of an example that failed: hypothesis tells them only if it fails each time."""
        super().__init__()
        self._runner = runner
        self._steps: list[str] = []
        self._failed = failed
        self._is_broken = False
        self.world = World(server)
        self.restarts_left = 0
        self.starts = 0
        self.run(self.world.begin())

    def run(self, work: "CoroutineType[Any, Any, None]") -> None:
        arguments = {name: value for name, value in getcoroutinelocals(work).items() if name not in ("self", "world")}
        if arguments:
            self._steps.append(f"{work.__name__} {arguments}")
        try:
            self._runner.run(work)
        except BaseException as error:
            self._failed[:] = [*self._steps, f"{type(error).__name__}: {error}"]
            self._is_broken = True
            raise

    def teardown(self) -> None:
        """One more look, unless something has been found."""
        try:
            if not self._is_broken:
                self.run(look(self.world, page=7))
                self.run(self.world.check_devices())
        finally:
            self._runner.run(self.world.end())

    @property
    def offline(self) -> list[str]:
        return [device.name for device in self.world.devices.values() if not device.online]

    def device(self, name: str) -> Device:
        return self.world.devices[name]

    def conversation(self, number: int) -> Conversation:
        return self.world.conversations[number % len(self.world.conversations)]

    @initialize(first=DEVICE, others=st.sets(DEVICE, min_size=2, max_size=6), restarts=st.sampled_from([0, 0, 0, 1, 2]))
    def begin(self, first: str, others: set[str], restarts: int) -> None:
        self.restarts_left, self.starts = restarts, 2
        for name in sorted({first, *others}):
            self.run(self.world.connect(self.device(name), with_token=False, resume=False))
        self.run(self.world.start(self.device(first), CLIENTS, unique=False))
        self.run(self.world.start(self.device(first), ["bob"], unique=True))
        self.run(self.world.send(*((self.device(first), where, [Draft()] * 3) for where in self.world.conversations)))

    # connections

    @some_offline
    @rule(device=_offline(), with_token=st.booleans(), resume=st.booleans())
    def connect(self, device: str, with_token: bool, resume: bool) -> None:
        self.run(self.world.connect(self.device(device), with_token, resume))

    @some_online
    @rule(device=_online(), how=st.sampled_from(["drop", "leave", "logout"]))
    def disconnect(self, device: str, how: str) -> None:
        self.run(self.world.disconnect(self.device(device), how))

    @some_online
    @rule(device=_online(), how=st.sampled_from(["drop", "leave"]), conversation=_place(), count=st.integers(0, 3))
    def be_away(self, device: str, how: str, conversation: int, count: int) -> None:
        """Meanwhile others write and edit, and the other devices of its client read something."""
        away, target = self.device(device), self.conversation(conversation)
        self.run(self.world.disconnect(away, how))
        for other in self.world.online:
            if other.client == away.client:
                self.run(self.world.read(other, target, None))
            else:
                self.run(self.world.send((other, target, [Draft(receipt=True)] * count)))
                for message in [message for message in target.messages if message.sender == other.client][-count:-1]:
                    self.run(self.world.edit(other, target, message, recall=False))
        self.run(self.world.connect(away, with_token=True, resume=True))

    @few_restarts
    @rule(how=st.sampled_from(["kill", "stop"]))
    def restart(self, how: Ending) -> None:
        self.restarts_left -= 1
        self.run(self.world.restart(how))

    # members

    @may_start
    @rule(device=_online(), clients=SOME, unique=st.booleans())
    def start(self, device: str, clients: tuple[str, ...], unique: bool) -> None:
        self.starts += 1
        self.run(self.world.start(self.device(device), clients, unique))

    @some_online
    @rule(device=_online(), conversation=_place(), clients=SOME)
    def add(self, device: str, conversation: int, clients: tuple[str, ...]) -> None:
        self.run(self.world.add(self.device(device), self.conversation(conversation), clients))

    @some_online
    @rule(device=_online(), conversation=_place(), clients=SOME)
    def remove(self, device: str, conversation: int, clients: tuple[str, ...]) -> None:
        self.run(self.world.remove(self.device(device), self.conversation(conversation), clients))

    @some_online
    @rule(device=_online(), conversation=_place())
    def join(self, device: str, conversation: int) -> None:
        self.run(self.world.add(self.device(device), self.conversation(conversation), [DEVICES[device][0]]))

    @some_online
    @rule(device=_online(), conversation=_place())
    def quit(self, device: str, conversation: int) -> None:
        self.run(self.world.remove(self.device(device), self.conversation(conversation), [DEVICES[device][0]]))

    @some_online
    @rule(device=_online(), conversation=_place(), op=st.sampled_from(["add", "remove"]), clients=SOME, ending=ENDING)
    def change_members_and_cut(
        self, device: str, conversation: int, op: str, clients: tuple[str, ...], ending: Ending
    ) -> None:
        target = self.conversation(conversation)
        self.run(self.world.change_cut(self.device(device), target, clients, op, self._limited(ending)))

    @may_start
    @rule(device=_online(), clients=SOME, unique=st.booleans(), ending=ENDING)
    def start_and_cut(self, device: str, clients: tuple[str, ...], unique: bool, ending: Ending) -> None:
        self.starts += 1
        self.run(self.world.start_cut(self.device(device), clients, unique, self._limited(ending)))

    def _limited(self, ending: Ending) -> Ending:
        """After some restarts of the server only connections break: a restart takes a second."""
        if ending == "drop" or not self.restarts_left:
            return "drop"
        self.restarts_left -= 1
        return ending

    # roles, silence, blocks

    @some_online
    @rule(device=_online(), conversation=_place(), by_owner=st.booleans(), client=CLIENT, manager=MOSTLY)
    def give_role(self, device: str, conversation: int, by_owner: bool, client: str, manager: bool) -> None:
        target = self.conversation(conversation)
        self.run(self.world.give_role(self._operator(device, target, by_owner), target, client, manager))

    @some_online
    @rule(device=_online(), conversation=_place(), by_owner=st.booleans(), clients=SOME, on=MOSTLY)
    def silence(self, device: str, conversation: int, by_owner: bool, clients: tuple[str, ...], on: bool) -> None:
        target = self.conversation(conversation)
        self.run(self.world.silence(self._operator(device, target, by_owner), target, clients, on))

    @some_online
    @rule(device=_online(), conversation=_place(), by_owner=st.booleans(), clients=SOME, on=MOSTLY)
    def block(self, device: str, conversation: int, by_owner: bool, clients: tuple[str, ...], on: bool) -> None:
        target = self.conversation(conversation)
        self.run(self.world.block(self._operator(device, target, by_owner), target, clients, on))

    def _operator(self, device: str, conversation: Conversation, by_owner: bool) -> Device:
        """A device of the owner, if that is wanted and one is online."""
        of_owner = [each for each in self.world.online if each.client == conversation.creator]
        return of_owner[0] if by_owner and of_owner else self.device(device)

    # messages

    @some_online
    @rule(device=_online(), conversation=_place(), drafts=DRAFTS)
    def send(self, device: str, conversation: int, drafts: list[Draft]) -> None:
        self.run(self.world.send((self.device(device), self.conversation(conversation), drafts)))

    @some_online
    @rule(device=_online(), conversation=_place(), count=st.sampled_from([25, 110]))
    def send_many(self, device: str, conversation: int, count: int) -> None:
        drafts = [Draft(token=False)] * count
        self.run(self.world.send((self.device(device), self.conversation(conversation), drafts)))

    @some_online
    @rule(
        batches=st.lists(st.tuples(_online(), _place(), DRAFTS), min_size=2, max_size=6),
        arriving=_machine().flatmap(lambda chats: st.sets(st.sampled_from(chats.offline or ["nobody"]), max_size=2)),
    )
    def send_at_once(self, batches: list[tuple[str, int, list[Draft]]], arriving: set[str]) -> None:
        """Several devices, while others log in."""
        everything = [(self.device(device), self.conversation(number), drafts) for device, number, drafts in batches]
        newcomers = [self.device(name) for name in sorted(arriving - {"nobody"})]
        self.run(self.world.send(*everything, arriving=newcomers))

    @some_online
    @rule(
        device=_online(),
        batches=st.lists(st.tuples(_place(), st.lists(KEPT_DRAFT, min_size=1, max_size=8)), min_size=1, max_size=3),
        answers=st.sampled_from([0, 0, 1, 3]),
        ending=ENDING,
    )
    def send_and_cut(self, device: str, batches: list[tuple[int, list[Draft]]], answers: int, ending: Ending) -> None:
        targets = [(self.conversation(number), drafts) for number, drafts in batches]
        self.run(self.world.send_cut(self.device(device), targets, answers, self._limited(ending)))

    @precondition(lambda chats: chats.repeatable)
    @rule(choice=NUMBER)
    def send_again(self, choice: int) -> None:
        device, sending = self.repeatable[choice % len(self.repeatable)]
        self.run(self.world.send_again(device, sending))

    @property
    def repeatable(self) -> list[tuple[Device, Sending]]:
        """The newest first, each from every device of its sender that is online."""
        return [
            (device, sending)
            for sending in reversed(self.world.sent)
            for device in self.world.online
            if device.client == sending.message.sender
        ]

    # edits and attributes

    @some_online
    @rule(device=_online(), conversation=_place(), back=NUMBER, own=st.booleans(), recall=st.booleans())
    def edit(self, device: str, conversation: int, back: int, own: bool, recall: bool) -> None:
        target = self.conversation(conversation)
        client = self.device(device).client
        messages = [message for message in target.messages if message.sender == client or not own]
        if messages:
            message = messages[-1 - back % len(messages)]
            self.run(self.world.edit(self.device(device), target, message, recall))

    @some_online
    @rule(device=_online(), conversation=_place())
    def update(self, device: str, conversation: int) -> None:
        self.run(self.world.update(self.device(device), self.conversation(conversation)))

    # marks

    @some_online
    @rule(device=_online(), conversation=_place())
    def read_all(self, device: str, conversation: int) -> None:
        self.run(self.world.read(self.device(device), self.conversation(conversation), None))

    @some_online
    @rule(device=_online(), conversation=_place(), back=NUMBER)
    def read_some(self, device: str, conversation: int, back: int) -> None:
        target = self.conversation(conversation)
        if target.messages:
            upto = len(target.messages) - back % len(target.messages)
            self.run(self.world.read(self.device(device), target, upto))

    @some_online
    @rule(device=_online(), conversation=_place(), back=NUMBER)
    def acknowledge_one(self, device: str, conversation: int, back: int) -> None:
        target = self.conversation(conversation)
        if target.messages:
            message = target.messages[-1 - back % len(target.messages)]
            self.run(self.world.acknowledge_one(self.device(device), target, message))

    @some_online
    @rule(device=_online(), conversation=_place(), back=NUMBER, length=st.integers(1, 30))
    def acknowledge_range(self, device: str, conversation: int, back: int, length: int) -> None:
        target = self.conversation(conversation)
        if target.messages:
            last = len(target.messages) - 1 - back % len(target.messages)
            first = max(0, last + 1 - length)
            self.run(self.world.acknowledge_range(self.device(device), target, first, last))

    @some_online
    @rule(device=_online(), conversation=_place(), back=NUMBER)
    def acknowledge_upto(self, device: str, conversation: int, back: int) -> None:
        target = self.conversation(conversation)
        if target.messages:
            last = len(target.messages) - 1 - back % len(target.messages)
            self.run(self.world.acknowledge_upto(self.device(device), target, last))

    # checks

    @rule(page=st.sampled_from([3, 10, 30]))
    def look_at_everything(self, page: int) -> None:
        self.run(look(self.world, page))

    @invariant()
    def everybody_has_heard_everything(self) -> None:
        self.run(self.world.check_devices())


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


def test_server_behaves_as_the_model(server: Server, runner: asyncio.Runner, pytestconfig: pytest.Config) -> None:
    def play(**options: Any) -> None:
        chosen = settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            **options,
        )
        run_state_machine_as_test(machine, settings=chosen)

    failed: list[str] = []

    def machine() -> Chats:
        if not server.running:  # an example may have failed between a kill and the start
            server.start()
        return Chats(server, runner, failed)

    try:
        if EXPLORE:
            _explore(lambda: play(derandomize=False))
        elif pytestconfig.getoption("hypothesis_seed") is not None:
            play(derandomize=False)
        else:
            play(derandomize=True, database=None)
    finally:
        print("\n".join(failed))
    assert "Traceback" not in server.log


def _explore(play: Callable[[], None]) -> None:
    end = time.monotonic() + EXPLORE
    while time.monotonic() < end:
        play()
