"""Telling large audiences in slices: who hears what, in which order, and how much work one turn of the loop does."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hongyan.engine.events import ConversationUpdated, MessagePatched
from hongyan.engine.values import Conversation, ConversationKind, Message, Priority
from hongyan.gateway import fanout
from hongyan.gateway.registry import Session
from tests.gateway.hall import APP, TEXT, Hall, commands, heard, writes

LARGE = 600


@pytest.fixture
def hall() -> Hall:
    return Hall()


# slices


@pytest.mark.parametrize("count", [0, 1, fanout.SMALL])
def test_a_small_audience_is_told_in_the_same_tick_in_one_piece(hall: Hall, count: int) -> None:
    room = hall.room()
    crowd = hall.crowd(room, count)
    texts = [hall.say(room) for _ in range(100)]
    assert [heard(session) for session in crowd] == [[]] * count
    hall.tick()
    assert [heard(session) for session in crowd] == [texts] * count
    assert all(writes(session) <= 2 for session in crowd)
    assert (hall.turns, hall.fanout.is_busy, hall.fanout.deliveries) == ([], False, 100 * count)


def test_a_large_audience_is_told_in_slices(hall: Hall) -> None:
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    text = hall.say(room)
    assert all(heard(session) == [] for session in crowd)
    for told in (fanout.SLICE, 2 * fanout.SLICE, LARGE):
        hall.turn()
        assert [heard(session) for session in crowd] == [[text]] * told + [[]] * (LARGE - told)
        assert hall.fanout.deliveries == told
    assert (hall.turns, hall.fanout.is_busy) == ([], False)


def test_a_turn_does_a_bounded_amount_of_work(hall: Hall) -> None:
    """However much is said, and however long it is."""
    room = hall.room()
    crowd = hall.crowd(room, 2_000)
    for number in range(200):
        hall.say(room, priority=Priority.HIGH, text="x" * (5_000 if number % 2 else 10))
    counts = Counter[Session]()
    while hall.turns:
        hall.turn()
        told = {session: taken(session) for session in crowd if writes(session)}
        assert len(told) <= fanout.SLICE
        assert sum(size for _, size in told.values()) <= fanout.SLICE_WORK * 1_200
        counts.update({session: count for session, (count, _) in told.items()})
    assert [counts[session] for session in crowd] == [200] * 2_000


def taken(session: Session) -> tuple[int, int]:
    """Messages and bytes that the session was told since the last time; they are not kept."""
    peer: Any = session.connection
    found = len(heard(session)), sum(map(len, peer.writes))
    peer.writes.clear()
    return found


def test_what_is_said_elsewhere_does_not_wait(hall: Hall) -> None:
    """With a room of thousands behind by hundreds of messages, a message between two takes no turn at all."""
    room = hall.room()
    hall.crowd(room, 5_000)
    for _ in range(150):
        hall.say(room)
    bob = hall.session("bob")
    pair = Conversation(9, APP.key, "pair", ConversationKind.NORMAL, 1, {"ann", "bob"})
    for _ in range(3):
        hall.turn()
        text = hall.say(pair)
        hall.tick()
        assert heard(bob)[-1] == text
    assert hall.fanout.is_busy


def test_what_gathers_during_a_walk_goes_out_together(hall: Hall) -> None:
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    first = [hall.say(room)]
    hall.turn()
    later = [hall.say(room) for _ in range(20)]
    hall.settle()
    assert all(heard(session) == first + later for session in crowd)
    assert {writes(session) for session in crowd} == {2}


def test_rooms_take_turns(hall: Hall) -> None:
    """One with much to hear keeps no other waiting for more than its own slices."""
    rooms = [hall.room(1), hall.room(2)]
    big, small = hall.crowd(rooms[0], 5_000), hall.crowd(rooms[1], 300)
    for _ in range(50):
        hall.say(rooms[0])
    hall.turn()
    text = hall.say(rooms[1])
    turns = 0
    while any(heard(session) == [] for session in small):
        hall.turn()
        turns += 1
    assert turns <= 2 * 2
    assert {heard(session)[0] for session in small} == {text}
    assert sum(bool(writes(session)) for session in big) < 5_000
    hall.settle()
    assert all(len(heard(session)) == 50 for session in big)


def test_a_slice_that_fails_keeps_nobody_else_from_hearing(hall: Hall) -> None:
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    broken: Any = crowd[fanout.SLICE]
    broken.connection.push_many = None
    text = hall.say(room)
    hall.settle()
    told = [session for session in crowd if heard(session) == [text]]
    assert told == crowd[: fanout.SLICE] + crowd[2 * fanout.SLICE :]
    assert not hall.fanout.is_busy


# who hears what


def test_the_sending_session_hears_all_but_its_own(hall: Hall) -> None:
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    said = [hall.say(room, crowd[0]), hall.say(room, crowd[1]), hall.say(room)]
    hall.settle()
    assert heard(crowd[0]) == said[1:]
    assert heard(crowd[1]) == [said[0], said[2]]
    assert heard(crowd[2]) == said
    assert hall.fanout.deliveries == 3 * LARGE - 2


def test_who_enters_during_a_walk_hears_what_is_said_afterwards(hall: Hall) -> None:
    room = hall.room()
    hall.crowd(room, LARGE)
    hall.say(room)
    hall.say(room)
    hall.turn()
    hall.say(room)
    late = hall.session("late")
    hall.enter(late, room)
    after = hall.say(room)
    hall.settle()
    assert heard(late) == [after]


def test_who_leaves_during_a_walk_hears_nothing_more(hall: Hall) -> None:
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    first = hall.say(room)
    hall.turn()
    second = hall.say(room)
    told, waiting = crowd[0], crowd[-1]
    for session in (told, waiting):
        hall.leave(session, room)
    hall.settle()
    assert (heard(told), heard(waiting)) == ([first], [])
    assert heard(crowd[1]) == [first, second]


def test_who_leaves_and_comes_back_during_a_walk_hears_what_is_said_then(hall: Hall) -> None:
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    first = hall.say(room)
    hall.turn()
    told, waiting = crowd[0], crowd[-1]
    for session in (told, waiting):
        hall.leave(session, room)
        hall.enter(session, room)
    second = hall.say(room)
    hall.settle()
    assert (heard(told), heard(waiting)) == ([first, second], [second])


def test_a_room_that_empties_during_a_walk_is_forgotten(hall: Hall) -> None:
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    hall.say(room)
    hall.turn()
    for session in crowd:
        hall.registry.remove(session)
    hall.settle()
    assert not hall.fanout.is_busy
    assert {writes(session) for session in crowd[fanout.SLICE :]} == {0}


def test_a_room_that_becomes_small_is_told_in_order(hall: Hall) -> None:
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    said = [hall.say(room)]
    for session in crowd[10:]:
        hall.leave(session, room)
    said.append(hall.say(room))
    hall.settle()
    said.append(hall.say(room))
    hall.tick()
    assert hall.turns == []
    assert all(heard(session) == said for session in crowd[:10])


def test_edits_and_changes_stand_in_their_place(hall: Hall) -> None:
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    old = hall.session("old", bitmap=0)
    hall.enter(old, room)
    hall.say(room)
    edited = Message("m1", 1, 1, "ann", "edited", patched_at=5)
    hall.delivery.on_event(MessagePatched(room, edited, crowd[0]))
    hall.delivery.on_event(ConversationUpdated(room, "{}", "{}", "ann", 6, crowd[1]))
    hall.say(room)
    hall.settle()

    def kinds(session: Session) -> list[str]:
        fields = [command.ListFields()[-1][0].name for command in commands(session)]
        return [field.removesuffix("Message") for field in fields]

    assert kinds(crowd[2]) == ["direct", "patch", "conv", "direct"]
    assert kinds(crowd[0]) == ["direct", "conv", "direct"]
    assert kinds(crowd[1]) == ["direct", "patch", "direct"]
    assert kinds(old) == ["direct", "conv", "direct"]
    assert hall.fanout.deliveries == 2 * (LARGE + 1)


@pytest.mark.parametrize("size", [2, LARGE])
def test_an_edit_that_its_author_is_told_otherwise_passes_over_all_of_the_author_s_sessions(
    hall: Hall, size: int
) -> None:
    room = hall.room()
    crowd = hall.crowd(room, size)
    authors = [hall.session("ann") for _ in range(2)]
    for session in authors:
        hall.enter(session, room)
    edited = Message("m1", 1, 1, "ann", "edited", patched_at=5)
    hall.delivery.on_event(MessagePatched(room, edited, authors[0], to_author=False))
    hall.settle()
    assert [commands(session) for session in authors] == [[], []]
    assert [len(commands(session)) for session in crowd] == [1] * size


def test_text_sessions_hear_the_same(hall: Hall) -> None:

    room = hall.room()
    hall.crowd(room, LARGE)
    text = hall.session("text", subprotocol=TEXT)
    hall.enter(text, room)
    said = [hall.say(room), hall.say(room)]
    hall.settle()
    assert heard(text) == said


def test_deliveries_to_sessions_that_catch_up_are_kept_back(hall: Hall) -> None:
    service = hall.room(kind=ConversationKind.SERVICE)
    crowd = hall.crowd(service, LARGE)
    busy = crowd[-1]
    busy.held = []
    hall.say(service)
    hall.settle()
    assert (writes(busy), [(held[0], held[1]) for held in busy.held]) == (0, [(service.id, 1)])


def test_what_was_kept_back_is_not_told_after_the_answer_to_leaving(hall: Hall) -> None:
    """The client would take it for something new: what it knew of the room it has forgotten."""
    room, other = hall.room(1), hall.room(2)
    busy = hall.session("busy")
    busy.held = []
    for each in (room, other):
        hall.enter(busy, each)
        hall.say(each)
    hall.tick()
    hall.leave(busy, room)
    assert [held[0] for held in busy.held] == [other.id]
    hall.enter(busy, room)
    hall.say(room)
    hall.tick()
    assert [(held[0], held[1]) for held in busy.release()] == [(other.id, 2), (room.id, 3)]
    assert busy.connection.held_bytes == 0


def test_who_is_told_out_of_turn_is_not_told_again(hall: Hall) -> None:
    """At the end of its catching up a session has all that was published before, and is told none of it later."""
    service = hall.room(kind=ConversationKind.SERVICE)
    crowd = hall.crowd(service, LARGE)
    first, last = crowd[0], crowd[-1]
    said = [hall.say(service)]
    hall.turn()
    said.append(hall.say(service))
    for session in (first, last):
        session.held = []
        hall.fanout.hurry(session)
        assert [held[1] for held in session.held] == ([2] if session is first else [1, 2])
        session.release()
    said.append(hall.say(service))
    hall.settle()
    assert heard(first) == [said[0], said[2]]
    assert heard(last) == said[2:]
    assert heard(crowd[1]) == said


# too much


def test_slow_readers_lose_what_matters_least(hall: Hall) -> None:
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    slow: Any = crowd[3]
    slow.connection.congested, slow.connection.takes = True, Priority.HIGH
    said = [hall.say(room, priority=priority) for priority in Priority]
    hall.settle()
    assert (heard(slow), heard(crowd[4])) == (said[:1], said)
    assert hall.fanout.deliveries == 3 * LARGE - 2


def test_a_conversation_without_priorities_leaves_nothing_out(hall: Hall) -> None:
    service = hall.room(kind=ConversationKind.SERVICE)
    crowd = hall.crowd(service, LARGE)
    slow: Any = crowd[3]
    slow.connection.congested, slow.connection.takes = True, Priority.HIGH
    said = hall.say(service, priority=Priority.LOW)
    hall.settle()
    assert heard(slow) == [said]


@pytest.mark.parametrize("bound", ["AUDIENCE_WORK", "TOTAL_WORK"])
def test_low_then_normal_messages_are_shed_then_none_are_taken(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(fanout, bound, 8 * LARGE)
    room, other, pair = hall.room(1), hall.room(2), Conversation(9, APP.key, "p", ConversationKind.NORMAL, 1, {"a"})
    crowd = hall.crowd(room, LARGE)
    expected = []

    def taken(priority: int) -> bool:
        before = hall.fanout.shed
        text = hall.say(room, priority=priority)
        if hall.fanout.shed == before:
            expected.append(text)
        return hall.fanout.shed == before

    assert [taken(Priority.LOW) for _ in range(4)] == [True, True, False, False]
    assert [taken(Priority.NORMAL) for _ in range(4)] == [True, True, False, False]
    assert not taken(Priority.LOW)
    assert not hall.congestion.bars(room)
    assert [taken(Priority.HIGH) for _ in range(4)] == [True] * 4
    assert hall.congestion.bars(room)
    assert hall.congestion.bars(other) is (bound == "TOTAL_WORK")
    assert not hall.congestion.bars(pair)
    assert taken(Priority.HIGH)  # it was on its way to the disk, and is acknowledged
    hall.settle()
    assert not hall.congestion.bars(room)
    assert taken(Priority.LOW)
    hall.settle()
    assert all(heard(session) == expected for session in crowd)


def test_changes_are_never_shed(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "AUDIENCE_WORK", 1)
    room = hall.room()
    crowd = hall.crowd(room, LARGE)
    for at in range(3):
        hall.delivery.on_event(ConversationUpdated(room, "{}", "{}", "ann", at, None))
    hall.settle()
    assert (len(commands(crowd[0])), hall.fanout.shed) == (3, 0)


def test_work_is_counted_by_receivers_and_bytes(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "AUDIENCE_WORK", 8 * LARGE)
    room = hall.room()
    hall.crowd(room, LARGE)
    hall.say(room, text="x" * 5_000)
    hall.say(room, priority=Priority.NORMAL)
    assert hall.fanout.shed == 1


# all together

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["enter", "leave", "hurry"]), st.integers(0, 11)),
        st.tuples(st.sampled_from(["say", "turn"]), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(_STEPS)
def test_everybody_hears_once_and_in_order_what_is_said_while_there(steps: list[tuple[str, int]]) -> None:
    """Against a model: who is there at the end has heard all since it came, and before that only what was its due."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fanout, "SMALL", 2)
        patched.setattr(fanout, "SLICE", 2)
        patched.setattr(fanout, "WALK_WORK", 3)
        hall = Hall()
        room = hall.room()
        sessions = [hall.session(str(number)) for number in range(12)]
        since: dict[Session, list[str]] = {}
        due: dict[Session, list[str]] = {session: [] for session in sessions}
        at_leaving: dict[Session, int] = {}
        for step, number in steps:
            session = sessions[number]
            if step == "enter" and session not in since:
                hall.enter(session, room)
                since[session] = []
                assert len(heard(session)) == at_leaving.get(session, 0)
            elif step == "leave" and session in since:
                hall.leave(session, room)
                del since[session]
                at_leaving[session] = len(heard(session))
            elif step == "hurry" and session in since:
                hall.fanout.hurry(session)
                assert heard(session)[at_leaving.get(session, 0) :] == since[session]
            elif step == "say":
                text = hall.say(room, priority=Priority.HIGH)
                for there in since:
                    since[there].append(text)
                    due[there].append(text)
            elif hall.turns:
                hall.turn()
        hall.settle()
        for session in sessions:
            told = heard(session)
            rest = iter(due[session])
            assert all(text in rest for text in told), "twice, or out of order, or not its due"
            if session in since:
                assert told[at_leaving.get(session, 0) :] == since[session]
            else:
                assert len(told) == at_leaving.get(session, 0)
