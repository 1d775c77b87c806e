"""Messages to members gather until the end of the tick: who hears what, in which order, in how many pieces."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hongyan.engine.events import ConversationUpdated, MembersLeft, MessageSent, SilenceChanged
from hongyan.engine.values import Conversation, ConversationKind, Message
from hongyan.gateway.registry import Session
from tests.fuzz.harness import Harness, Pair, Running, app_of, numbered, open_command, running
from tests.fuzz.peers import Peer
from tests.gateway.hall import APP, TEXT, Hall, commands, heard, writes
from tests.support.client import command, named


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


def test_who_speaks_has_been_told_before_what_stands_before_its_own(hall: Hall) -> None:
    ann, bob, cem = (hall.session(client) for client in ("ann", "bob", "cem"))
    bobs_other = hall.session("bob")
    talk = group("ann", "bob", "cem")
    said = []
    for origin in (ann, bob, ann, bob, bob):
        hall.delivery.gathering.tell_speaker(origin, talk.id)
        heard_before = heard(origin)
        assert heard_before == [text for text, speaker in said if speaker is not origin]
        said.append((hall.say(talk, origin=origin), origin))
    hall.delivery.gathering.tell_speaker(cem, "another")
    assert heard(cem) == []
    hall.tick()
    everything = [text for text, _ in said]
    assert heard(ann) == [text for text, speaker in said if speaker is not ann]
    assert heard(bob) == [text for text, speaker in said if speaker is not bob]
    assert heard(bobs_other) == heard(cem) == everything
    assert (writes(bobs_other), writes(cem)) == (1, 1)
    assert hall.delivery.gathering.deliveries == 15


def test_who_is_told_early_is_told_once(hall: Hall) -> None:
    """A message sent again is answered, and told to nobody."""
    ann, bob = hall.session("ann"), hall.session("bob")
    talk = group("ann", "bob")
    text = hall.say(talk, origin=ann)
    hall.delivery.gathering.tell_speaker(bob, talk.id)
    hall.tick()
    assert (heard(bob), hall.delivery.gathering.deliveries) == ([text], 1)


@pytest.mark.parametrize("why", ["left", "logged out", "knows no temporary ones"])
def test_nobody_is_told_early_what_it_may_not_hear(hall: Hall, why: str) -> None:
    ann, bob = hall.session("ann", bitmap=0xBB), hall.session("bob", bitmap=0xBB)
    talk = group("ann", *(["bob"] if why != "left" else []), kind=ConversationKind.TEMPORARY)
    if why == "logged out":
        del bob.connection.sessions["bob"]
    elif why != "left":
        bob.ticket = dataclasses.replace(bob.ticket, bitmap=0)
    hall.say(talk, origin=ann)
    hall.delivery.gathering.tell_speaker(bob, talk.id)
    assert heard(bob) == []


def test_a_small_room_hears_what_was_said_before_what_else_happens(hall: Hall) -> None:
    bob, cem = hall.session("bob"), hall.session("cem")
    room = hall.room()
    hall.enter(bob, room)
    hall.enter(cem, room)
    text = hall.say(room)
    hall.delivery.on_event(SilenceChanged(room, ("bob",), silenced=True, by="silencer", at=1))
    hall.leave(cem, room)
    hall.tick()
    assert names(bob) == [text, "silencer", "silencer"]
    assert names(cem) == [text, "silencer"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as made:
        yield made


def say_at_once(harness: Harness, pair: Pair, text: str) -> None:
    """A commit brings the pair a message of somebody else."""

    def use(found: Any) -> None:
        harness.gateway.delivery.on_event(MessageSent(found, Message("m", 1_000, 1_000, "other", text), None))

    harness.engine.access.with_conversation(app_of(harness, pair.app), pair.conversation, use)


def told(peer: Peer) -> list[str]:
    return [named(got) for got in peer.commands() if named(got) != "unread"]


def test_who_logs_out_is_told_what_was_said_before(server: Running) -> None:
    async def go(harness: Harness) -> None:
        pair, peer = harness.secret, harness.secret.peers[1]
        say_at_once(harness, pair, "said before")
        peer.say(numbered(1, command("session", "close", pair.names[1])))
        say_at_once(harness, pair, "said after")
        await harness.settle()
        assert told(peer) == ["direct", "session/closed"]
        assert told(pair.peers[0]) == ["direct", "direct"]

    server.run(go(server.harness))


def test_who_is_logged_out_by_another_device_is_told_what_was_said_before(server: Running) -> None:
    async def go(harness: Harness) -> None:
        pair, client = harness.secret, harness.secret.names[1]
        devices = []
        for device in ("one", "other"):
            devices.append(harness.connect())
            login = open_command(pair.app, client)
            login.sessionMessage.tag, login.sessionMessage.deviceId = "mobile", device
            say_at_once(harness, pair, f"before {device}")
            devices[-1].say(numbered(1, login))
            await harness.settle()
        assert told(devices[0]) == ["session/opened", "direct", "session/closed"]
        assert told(devices[1]) == ["session/opened"]

    server.run(go(server.harness))
