"""What a login is told first, at every interleaving: the reads go on when the test says so."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.sessions import Ticket
from hongyan.engine.values import App, Broadcast, ConversationKind, Message, Missed, Unread, stream_id
from hongyan.errors import Refused
from hongyan.gateway import catch_up
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import GenericCommand, SessionCommand

APP = App(1, "test", "", "", "", "", AppSettings(), 0)
SINCE = SessionCommand(lastPatchTime=100)

Page = Sequence[tuple[str, Message]]


def edited(at: int) -> tuple[str, Message]:
    return "talk", Message("m", 1, 1, "ann", f"edit {at}", patched_at=at)


def missed_of(conversation: str, *messages: Message) -> Missed:
    places = frozenset((conversation, message.seq) for message in messages)
    return Missed(conversation, ConversationKind.NORMAL, messages, False, places)


class Reads:
    """What the engine answers, in the order it is asked: the test gives it, or an error, when it likes."""

    def __init__(self) -> None:
        self.pages: asyncio.Queue[Page | Exception | None] = asyncio.Queue()
        self.counts: asyncio.Queue[list[Unread] | Exception] = asyncio.Queue()
        self.messages: asyncio.Queue[list[Missed] | Exception] = asyncio.Queue()
        self.newest = 1_000
        self.gathered: list[Callable[[], None]] = []
        self.broadcasts: asyncio.Queue[list[Broadcast] | Exception] = asyncio.Queue()
        self.noted: list[int] = []

    async def subscribe(self, session: Session) -> None:
        """The app has no service conversations."""

    def tell_gathered(self) -> None:
        """What gathers until the end of the tick is told now."""
        while self.gathered:
            self.gathered.pop(0)()

    def missed(self, since: int) -> bool:
        return since < self.newest

    def told_until(self) -> int:
        return 5_000

    async def edits_since(self, app: App, client: str, since: int) -> AsyncIterator[Page]:
        assert since == SINCE.lastPatchTime
        while (page := _given(await self.pages.get())) is not None:
            yield page

    async def unread_since(
        self, app: App, client: str, since: int | None, *, temporary: bool
    ) -> tuple[list[Unread], int]:
        return _given(await self.counts.get()), 4_000

    async def messages_missed(self, app: App, client: str, *, temporary: bool) -> list[Missed]:
        missed: list[Missed] = _given(await self.messages.get())
        return missed

    def begin(self, app: App, client: str) -> None:
        """A session begins to be told what it missed."""

    def valid(self, app_key: int) -> bool:
        """Whether there is anything to be told to all clients: only where the test gives it."""
        return not self.broadcasts.empty()

    async def pending(self, app: App, client: str) -> list[Broadcast]:
        return _given(await self.broadcasts.get())

    async def end(self, app: App, client: str, key: int) -> None:
        self.noted.append(key)


def _given(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


class Line:
    """A connection that writes down what it is told, in words."""

    def __init__(self, reads: Reads, counts: bool) -> None:
        self.told: list[str] = []
        self.takes: bool | asyncio.Future[bool] = True
        self.sessions: dict[str, Session] = {}
        self.subprotocol = SimpleNamespace(unread=counts)
        self.reads = asyncio.Semaphore(2)
        self.held_bytes = 0
        edits = SimpleNamespace(missed=reads.missed, since=reads.edits_since, told_until=reads.told_until)
        unread = SimpleNamespace(since=reads.unread_since)
        receipts = SimpleNamespace(missed=reads.messages_missed)
        self.gateway = SimpleNamespace(
            engine=SimpleNamespace(edits=edits, unread=unread, receipts=receipts, broadcasts=reads),
            subscriptions=SimpleNamespace(begin=reads.subscribe),
            delivery=SimpleNamespace(gathering=SimpleNamespace(tell=reads.tell_gathered)),
        )
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    def tell(self, command: GenericCommand, client: str) -> None:
        self.told += [item.data for item in command.patchMessage.patches]
        self.told += [f"{item.unread} unread" for item in command.unreadMessage.convs]
        if command.HasField("directMessage"):
            self.told.append(command.directMessage.msg)

    def push(self, frame: bytes) -> None:
        self.told.append(frame.decode())

    async def drained(self) -> bool:
        await asyncio.sleep(0)
        return self.takes if isinstance(self.takes, bool) else await self.takes

    async def over(self) -> list[str]:
        """What was told when everything is over."""
        await asyncio.gather(*self.tasks)
        return self.told


@pytest.fixture
def reads() -> Reads:
    return Reads()


@pytest.fixture
def line(reads: Reads) -> Line:
    return Line(reads, counts=True)


def login(line: Line, bitmap: int = 0x01, client: str = "bob") -> Session:
    connection: Any = line
    session = line.sessions[client] = Session(
        connection, APP, client, Ticket(id="t", client=client, tag="", device="", bitmap=bitmap)
    )
    return session


async def settle() -> None:
    """Lets every task that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


def hold_edit(session: Session, at: int) -> None:
    session.hold("", 0, f"live edit {at}".encode(), at)


COUNTS = [Unread("talk", ConversationKind.NORMAL, 7, 2, False, None)]


async def test_edits_then_counts_then_what_came_meanwhile_inferred(reads: Reads, line: Line) -> None:
    session = login(line)
    catch_up.begin(session, SINCE)
    session.hold("talk", 7, b"counted message")
    session.hold("talk", 8, b"new message")
    for at in (103, 104, 105):
        hold_edit(session, at)
    for page in ([edited(101), edited(103)], [], [edited(104)], None):
        reads.pages.put_nowait(page)
    reads.counts.put_nowait(COUNTS)
    assert await line.over() == ["edit 101", "edit 103", "edit 104", "2 unread", "new message", "live edit 105"]
    assert session.held is None


async def test_counts_wait_for_the_edits(reads: Reads, line: Line) -> None:
    session = login(line)
    catch_up.begin(session, SINCE)
    reads.counts.put_nowait(COUNTS)
    reads.pages.put_nowait([edited(101)])
    await settle()
    assert line.told == ["edit 101"]
    reads.pages.put_nowait(None)
    assert await line.over() == ["edit 101", "2 unread"]


async def test_clients_without_counts_are_told_edits_and_messages(reads: Reads) -> None:
    line = Line(reads, counts=False)
    session = login(line)
    catch_up.begin(session, SINCE)
    hold_edit(session, 101)
    hold_edit(session, 102)
    for seq in (7, 8):
        session.hold("talk", seq, f"live message {seq}".encode())
    for page in ([edited(101)], None):
        reads.pages.put_nowait(page)
    messages = tuple(Message(str(seq), seq, seq, "ann", f"message {seq}") for seq in (5, 7))
    reads.messages.put_nowait([missed_of("talk", *messages)])
    assert await line.over() == ["edit 101", "message 5", "message 7", "live edit 102", "live message 8"]


async def test_what_a_peer_does_not_take_is_not_read_for_all_its_clients(reads: Reads) -> None:
    line = Line(reads, counts=False)
    line.takes = asyncio.get_running_loop().create_future()
    for number in range(5):
        catch_up.begin(login(line, client=f"client-{number}"), SessionCommand())
        message = Message("5", 5, 5, "ann", "message")
        reads.messages.put_nowait([missed_of("talk", message)])
    await settle()
    assert (line.told, reads.messages.qsize()) == (["message"] * 2, 3)
    line.takes.set_result(True)
    assert (len(await line.over()), reads.messages.qsize()) == (5, 0)


async def test_what_is_counted_while_it_gathers_does_not_come_on_top(reads: Reads, line: Line) -> None:
    session = login(line)
    catch_up.begin(session, SessionCommand())
    reads.gathered.append(lambda: session.hold("talk", 7, b"counted message"))
    reads.counts.put_nowait(COUNTS)
    assert await line.over() == ["2 unread"]
    assert reads.gathered == []


async def test_counts_of_a_service_conversation_cover_its_stream_and_its_broadcasts(reads: Reads, line: Line) -> None:
    session = login(line)
    catch_up.begin(session, SessionCommand())
    stream = stream_id("news", "bob")
    state = Unread("news", ConversationKind.SERVICE, 5, 2, False, None, (stream, 3))
    for place, seq in (("news", 5), ("news", 6), (stream, 3), (stream, 4), state.state, (state.state[0], 9)):
        session.hold(place, seq, f"{place} {seq}".encode())
    reads.counts.put_nowait([state])
    assert state.state[1] == 8
    assert await line.over() == ["2 unread", "news 6", f"{stream} 4", f"{state.state[0]} 9"]


@pytest.mark.parametrize("wish", [{}, {"lastPatchTime": 1_000}, {"lastPatchTime": -1}])
async def test_no_edits_are_read_where_none_were_missed(reads: Reads, wish: dict[str, int]) -> None:
    line = Line(reads, counts=False)
    catch_up.begin(login(line), SessionCommand(**wish))
    reads.messages.put_nowait([])
    assert await line.over() == []


async def test_no_edits_are_read_for_who_wants_none(reads: Reads) -> None:
    line = Line(reads, counts=False)
    catch_up.begin(login(line, bitmap=~0x01), SINCE)
    reads.messages.put_nowait([])
    assert await line.over() == []


@pytest.mark.parametrize("error", [Refused(errors.INTERNAL_ERROR, "too slow"), ValueError("broken")])
async def test_what_can_not_be_read_keeps_nothing_else_back(
    reads: Reads, line: Line, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    session = login(line)
    catch_up.begin(session, SINCE)
    hold_edit(session, 102)
    reads.pages.put_nowait([edited(101)])
    reads.pages.put_nowait(error)
    reads.counts.put_nowait(COUNTS)
    assert await line.over() == ["edit 101", "2 unread", "live edit 102"]
    assert "the edits of a session could not be read" in caplog.text


async def test_a_second_open_takes_over(reads: Reads, line: Line) -> None:
    session = login(line)
    catch_up.begin(session, SINCE)
    hold_edit(session, 102)
    reads.pages.put_nowait([edited(101)])
    await settle()
    catch_up.begin(session, SINCE)
    await settle()
    assert line.told == ["edit 101"]
    reads.pages.put_nowait([edited(101)])  # for the first, which tells it no more
    reads.counts.put_nowait(COUNTS)
    await settle()
    for page in ([edited(101), edited(102)], None):
        reads.pages.put_nowait(page)
    reads.counts.put_nowait(COUNTS)
    assert await line.over() == ["edit 101", "edit 101", "edit 102", "2 unread"]


@pytest.mark.parametrize(("end", "rest"), [("logout", []), ("server", ["2 unread", "live edit 900"])])
async def test_no_more_edits_are_told_at_an_end(reads: Reads, line: Line, end: str, rest: list[str]) -> None:
    session = login(line)
    catch_up.begin(session, SINCE)
    hold_edit(session, 900)
    reads.pages.put_nowait([edited(at) for at in range(101, 101 + 3 * catch_up.EDITS_AT_ONCE)])
    reads.counts.put_nowait(COUNTS)
    while not line.told:
        await asyncio.sleep(0)
    if end == "logout":
        line.sessions.clear()
    else:
        line.takes = False
    first = [f"edit {at}" for at in range(101, 101 + catch_up.EDITS_AT_ONCE)]
    assert await line.over() == first + rest


def broadcast(key: int) -> Broadcast:
    return Broadcast(key, 1, "news", 9_000, Message(f"id{key}", 0, key, "app", f"broadcast {key}"))


def hold_broadcast(session: Session, key: int) -> None:
    session.broadcast = key
    session.hold(f"id{key}", 0, f"live broadcast {key}".encode())


async def test_broadcasts_that_were_missed_and_then_what_came_meanwhile(reads: Reads, line: Line) -> None:
    session = login(line)
    reads.broadcasts.put_nowait([broadcast(1), broadcast(2), broadcast(3)])
    catch_up.begin(session, SessionCommand())
    hold_broadcast(session, 3)
    reads.counts.put_nowait([])
    told = ["broadcast 1", "broadcast 2", "live broadcast 3"]
    assert [each for each in await line.over() if "broadcast" in each] == told
    assert reads.noted == [3]


@pytest.mark.parametrize("cut", ["before", "among"])
async def test_broadcasts_that_a_lost_session_was_not_told_are_still_to_be_told(
    reads: Reads, line: Line, cut: str
) -> None:
    """One that came meanwhile does not stand for those before it."""
    session = login(line)
    reads.broadcasts.put_nowait([broadcast(key) for key in range(1, 3 * catch_up.EDITS_AT_ONCE)])
    catch_up.begin(session, SessionCommand())
    hold_broadcast(session, 900)
    if cut == "before":
        line.sessions.clear()
    else:
        line.takes = False
    reads.counts.put_nowait([])
    while "broadcast" not in "".join(line.told) and cut == "among":
        await asyncio.sleep(0)
    line.sessions.clear()
    await line.over()
    assert reads.noted == [0 if cut == "before" else catch_up.EDITS_AT_ONCE]


async def test_broadcasts_that_can_not_be_read_are_still_to_be_told(reads: Reads, line: Line) -> None:
    session = login(line)
    reads.broadcasts.put_nowait(Refused(errors.INTERNAL_ERROR, "too slow"))
    catch_up.begin(session, SessionCommand())
    hold_broadcast(session, 900)
    reads.counts.put_nowait([])
    assert "live broadcast 900" in await line.over()
    assert reads.noted == [0]
