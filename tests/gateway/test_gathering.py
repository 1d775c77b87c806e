"""Messages to members gather until the end of the tick: who hears what, in which order, in how many pieces."""

from typing import Any

import pytest

from hongyan.engine.events import ConversationUpdated, MembersLeft
from hongyan.engine.values import Conversation, ConversationKind
from hongyan.gateway.registry import Session
from tests.gateway.hall import APP, TEXT, Hall, commands, heard, writes


@pytest.fixture
def hall() -> Hall:
    return Hall()


def group(*members: str, key: int = 1, kind: ConversationKind = ConversationKind.NORMAL) -> Conversation:
    return Conversation(key, APP.key, f"group-{key}", kind, 1, set(members))


def names(session: Session) -> list[str]:
    """Of a group's messages their texts, of everything else its name."""
    return [command.directMessage.msg or command.convMessage.initBy for command in commands(session)]


def test_each_session_gets_all_of_a_tick_in_one_piece(hall: Hall) -> None:
    ann, bob, bobs_other, cem = (hall.session(client) for client in ("ann", "bob", "bob", "cem"))
    text = hall.session("tom", subprotocol=TEXT)
    talk = group("ann", "bob", "cem", "tom", "away")
    said = [hall.say(talk) for _ in range(20)]
    assert heard(bob) == []
    hall.tick()
    assert [heard(each) for each in (ann, bob, bobs_other, cem, text)] == [said] * 5
    assert [writes(each) for each in (ann, bob, bobs_other, cem, text)] == [1] * 5
    assert hall.delivery.gathering.deliveries == 100


def test_who_speaks_hears_the_others_only(hall: Hall) -> None:
    ann, bob, cem = (hall.session(client) for client in ("ann", "bob", "cem"))
    talk = group("ann", "bob", "cem")
    said = [hall.say(talk, origin=origin) for origin in (ann, bob, ann)]
    hall.tick()
    assert (heard(ann), heard(bob), heard(cem)) == ([said[1]], [said[0], said[2]], said)
    assert hall.delivery.gathering.deliveries == 6


def test_one_message_alone_goes_out_as_it_is(hall: Hall) -> None:
    ann, bob = hall.session("ann"), hall.session("bob")
    text = hall.say(group("ann", "bob"), origin=ann)
    hall.tick()
    assert (heard(ann), heard(bob), hall.delivery.gathering.deliveries) == ([], [text], 1)


def test_what_is_held_back_is_held_message_by_message(hall: Hall) -> None:
    bob = hall.session("bob")
    bob.held = []
    talk = group("ann", "bob")
    for _ in range(3):
        hall.say(talk)
    hall.tick()
    assert heard(bob) == []
    assert [(place, seq) for place, seq, _, _ in bob.release()] == [("group-1", 1), ("group-1", 2), ("group-1", 3)]


def test_members_are_those_of_the_moment_of_each_message(hall: Hall) -> None:
    """Whoever is removed hears what was said before, whoever is added what is said after."""
    bob, cem = hall.session("bob"), hall.session("cem")
    talk = group("ann", "bob")
    before = hall.say(talk)
    talk.members = {"ann", "cem"}
    after = hall.say(talk)
    hall.tick()
    assert (heard(bob), heard(cem)) == ([before], [after])


def test_what_else_happens_stands_in_its_place(hall: Hall) -> None:
    bob, cem = hall.session("bob"), hall.session("cem")
    talk = group("bob", "cem")
    first = hall.say(talk)
    hall.delivery.on_event(ConversationUpdated(talk, "{}", "{}", "changer", 1, None))
    second = hall.say(talk)
    talk.members = {"bob"}
    hall.delivery.on_event(MembersLeft(talk, ("cem",), "remover", 2))
    third = hall.say(talk)
    hall.tick()
    assert names(bob) == [first, "changer", second, "remover", third]
    assert names(cem) == [first, "changer", second, "remover"]


def test_only_who_knows_temporary_conversations_hears_them(hall: Hall) -> None:
    knows, does_not = hall.session("bob", bitmap=0xBB), hall.session("bob", bitmap=0)
    said = [hall.say(group("bob", kind=ConversationKind.TEMPORARY)) for _ in range(2)]
    hall.tick()
    assert (heard(knows), heard(does_not)) == (said, [])


def test_trouble_with_one_conversation_is_not_the_next_one_s(hall: Hall) -> None:
    broken: Any = hall.session("broken")
    del broken.connection.subprotocol
    bob = hall.session("bob")
    hall.say(group("broken", key=1))
    text = hall.say(group("bob", key=2))
    hall.tick()
    assert heard(bob) == [text]
