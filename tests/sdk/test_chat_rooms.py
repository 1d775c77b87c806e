"""Chat rooms with the Python SDK."""

import pytest
from hongyan_client import ConversationUpdated, Disconnected, HongyanError, MessageRecalled, Reconnected, Text

from tests.sdk.conftest import Open
from tests.sdk.take import Events
from tests.support.link import linked
from tests.support.server import Server


async def test_those_in_a_chat_room_hear_each_other(log_in: Open) -> None:
    async with log_in("room-tom") as tom, log_in("room-jerry") as jerry, log_in("room-spike") as spike:
        heard = {client: Events(client) for client in (tom, jerry)}
        room = await tom.create_conversation("room-jerry", chat_room=True, name="Hall", topic="geese")
        assert (room.chat_room, room.members, room.creator) == (True, (), "room-tom")
        (theirs,) = await jerry.query().where("tr", True).where("topic", "geese").find()
        assert (theirs.id, theirs.chat_room, theirs.name, theirs.members) == (room.id, True, "Hall", ())
        assert (await room.is_member(), await theirs.is_member()) == (True, False)
        await theirs.join()
        assert (await theirs.is_member(), theirs.members) == (True, ())
        for priority in (1, 2, 3):
            sent = await room.send(f"priority {priority}", priority=priority)
            received = await heard[jerry].message()
            assert (received.id, received.content) == (sent.id, Text(f"priority {priority}"))
        await spike.conversation(room.id).send("from outside")
        for events in heard.values():
            assert (await events.message()).sender == "room-spike"
        assert await room.count() == 2
        assert sorted(await theirs.online_members()) == ["room-jerry", "room-tom"]
        await theirs.quit()
        assert (await room.count(), await theirs.is_member(), theirs.members) == (1, False, ())


async def test_a_chat_room_is_changed_and_its_messages_are_recalled(log_in: Open) -> None:
    async with log_in("chg-tom") as tom, log_in("chg-jerry") as jerry:
        heard = Events(tom)
        room = await tom.create_conversation(chat_room=True, topic="geese")
        theirs = jerry.conversation(room.id)
        with pytest.raises(HongyanError, match="4309 CONVERSATION_UPDATE_REJECTED"):
            await theirs.update(topic="swans")
        await theirs.join()
        await theirs.update(topic="swans")
        await heard.next(ConversationUpdated)
        assert room.columns == {"topic": "swans"}
        await theirs.recall(await theirs.send("oops"))
        await heard.next(MessageRecalled)
        assert [message.sender async for message in room.history()] == ["chg-jerry"]
        await theirs.mute()
        with pytest.raises(HongyanError, match="4320 CONVERSATION_OPERATION_UNAUTHORIZED"):
            await room.add("chg-jerry")


async def test_who_was_cut_off_is_back_in_the_room_and_told_what_it_missed(log_in: Open, shared: Server) -> None:
    async with (
        linked(shared.gateway_port) as link,
        log_in("cut-tom") as tom,
        log_in("cut-jerry", server=link.url) as jerry,
    ):
        heard = Events(jerry)
        room = await tom.create_conversation(chat_room=True)
        await room.send("before")
        await jerry.conversation(room.id).join()
        link.refuse()
        await heard.next(Disconnected)
        await room.send("meanwhile")
        link.resume()
        await heard.next(Reconnected)
        await room.send("afterwards")
        told = [message.content for message in await heard.messages(2)]
        assert told == [Text("meanwhile"), Text("afterwards")]
        assert await room.count() == 2
        await jerry.conversation(room.id).quit()
        await room.send("gone?")
        pair = await tom.create_conversation("cut-jerry")
        await pair.send("between us")
        assert (await heard.message()).content == Text("between us")
