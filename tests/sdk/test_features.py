"""What the SDK and the server do together besides talking: receipts, edits, attributes, wills, conflicts, push mode."""

import pytest
from hongyan_client import (
    Binary,
    Conflict,
    ConversationUpdated,
    Delivered,
    Disconnected,
    HongyanError,
    Invited,
    MessageEdited,
    MessageRecalled,
    Read,
    Recalled,
    Reconnected,
    State,
    Text,
)

from tests.sdk.conftest import Open
from tests.sdk.take import Events
from tests.support.link import linked
from tests.support.server import Server


async def test_receipts_tell_who_received_and_read(log_in: Open) -> None:
    async with log_in("rcp-tom") as tom, log_in("rcp-jerry") as jerry:
        own, heard = Events(tom), Events(jerry)
        conversation = await tom.create_conversation("rcp-jerry")
        sent = await conversation.send("hi", receipt=True)
        await heard.message()
        delivered = await own.next(Delivered)
        assert (delivered.message_id, delivered.by) == (sent.id, "rcp-jerry")
        await jerry.conversation(conversation.id).read()
        read = await own.next(Read)
        assert (read.message_id, read.by) == (sent.id, "rcp-jerry")
        marks = await conversation.receipts()
        assert min(marks.delivered, marks.read) >= sent.timestamp
        assert (await conversation.receipts_by_member()).keys() == {"rcp-jerry"}
        (last,) = [message async for message in conversation.history(limit=1)]
        assert last.delivered_at is not None
        assert last.read_at is not None


async def test_receipts_in_a_group_reach_this_sdk(log_in: Open) -> None:
    async with log_in("many-tom") as tom, log_in("many-jerry") as jerry, log_in("many-spike") as spike:
        own, at_jerry, at_spike = Events(tom), Events(jerry), Events(spike)
        conversation = await tom.create_conversation("many-jerry", "many-spike")
        await conversation.send("hi", receipt=True)
        await at_jerry.message()
        await at_spike.message()
        assert {(await own.next(Delivered)).by for _ in range(2)} == {"many-jerry", "many-spike"}


async def test_edits_and_recalls_reach_the_others(log_in: Open) -> None:
    async with log_in("edit-tom") as tom, log_in("edit-jerry") as jerry:
        heard = Events(jerry)
        conversation = await tom.create_conversation("edit-jerry")
        sent = await conversation.send("old")
        assert await heard.message() == sent
        changed = await conversation.edit(sent, "new")
        told = await heard.next(MessageEdited)
        assert (told.message.id, told.message.content, told.message.edited_at) == (
            sent.id,
            Text("new"),
            changed.edited_at,
        )
        await conversation.edit(sent, Binary(b"\x00\xff"))
        assert (await heard.next(MessageEdited)).message.content == Binary(b"\x00\xff")
        await conversation.recall(sent)
        assert (await heard.next(MessageRecalled)).message.id == sent.id
        (last,) = [message async for message in conversation.history(limit=1)]
        assert (last.id, last.content, last.recalled) == (sent.id, Recalled(), True)
        with pytest.raises(HongyanError, match="4403 MESSAGE_OWNERSHIP_REQUIRED"):
            await jerry.conversation(conversation.id).edit(sent, "mine")


async def test_edits_during_a_cut_are_told_after_it(log_in: Open, shared: Server) -> None:
    async with (
        linked(shared.gateway_port) as link,
        log_in("miss-tom") as tom,
        log_in("miss-jerry", server=link.url) as jerry,
    ):
        heard = Events(jerry)
        conversation = await tom.create_conversation("miss-jerry")
        sent = await conversation.send("old")
        await heard.message()
        link.refuse()
        await heard.next(Disconnected)
        await conversation.edit(sent, "new")
        link.resume()
        assert (await heard.next(MessageEdited)).message.content == Text("new")


async def test_updates_reach_the_others(log_in: Open) -> None:
    async with log_in("upd-tom") as tom, log_in("upd-jerry") as jerry:
        heard = Events(jerry)
        conversation = await tom.create_conversation("upd-jerry", name="Old", attributes={"a": 1}, topic="geese")
        theirs = await jerry.get_conversation(conversation.id)
        await conversation.update(name="New", topic=None, **{"attr.b": 2})
        told = await heard.next(ConversationUpdated)
        assert told.conversation is theirs
        assert (theirs.name, theirs.attributes, theirs.columns) == ("New", {"a": 1, "b": 2}, {})
        assert (conversation.name, conversation.attributes, conversation.columns) == ("New", {"a": 1, "b": 2}, {})
        fetched = await conversation.fetch()
        assert (fetched.name, fetched.attributes, fetched.columns) == ("New", {"a": 1, "b": 2}, {})


async def test_mute_and_count(log_in: Open) -> None:
    async with log_in("mute-tom") as tom:
        conversation = await tom.create_conversation("mute-jerry")
        await conversation.mute()
        assert (await conversation.fetch()).muted
        await conversation.unmute()
        assert not (await conversation.fetch()).muted
        assert await conversation.count() == 2


async def test_query_operators(log_in: Open) -> None:
    async with log_in("ops-tom") as tom:
        made = [
            await tom.create_conversation(name=f"ops {size}", attributes={"size": size}, unique=False)
            for size in range(4)
        ]
        mine = tom.query().members_include("ops-tom").sort("createdAt")
        assert await mine.where("attr.size", gte=2).find() == made[2:]
        assert await mine.where("attr.size", in_=[0, 3]).find() == [made[0], made[3]]
        assert await mine.where("name", regex="^ops [12]$").find() == made[1:3]
        assert await mine.where("attr.size", exists=True).where("attr.size", ne=1).find() == [made[0], *made[2:]]
        last = made[3].created_at
        assert last is not None
        assert made[3] in await mine.where("createdAt", gte=last).find()


async def test_a_will_is_delivered_when_its_sender_vanishes(log_in: Open, shared: Server) -> None:
    async with (
        linked(shared.gateway_port) as link,
        log_in("will-tom", server=link.url) as tom,
        log_in("will-jerry") as jerry,
    ):
        heard = Events(jerry)
        conversation = await tom.create_conversation("will-jerry")
        will = await conversation.send("I was here", will=True)
        await conversation.send("now")
        assert (await heard.message()).content == Text("now")
        link.refuse()
        received = await heard.message()
        assert (received.id, received.content) == (will.id, Text("I was here"))
        link.resume()
        await Events(tom).next(Reconnected)


async def test_a_login_with_the_same_tag_ends_the_other(log_in: Open) -> None:
    async with log_in("tag-tom", tag="Mobile") as old, log_in("tag-tom", tag="Mobile") as new:
        assert (await Events(old).next(Conflict)).reason == "SESSION_CONFLICT"
        assert old.state is State.CLOSED
        assert new.state is State.CONNECTED
        assert await new.online("tag-tom") == ["tag-tom"]


async def test_a_reconnect_does_not_end_the_newer_login(log_in: Open, shared: Server) -> None:
    async with linked(shared.gateway_port) as link, log_in("back-tom", server=link.url, tag="Mobile") as old:
        link.refuse()
        events = Events(old)
        await events.next(Disconnected)
        async with log_in("back-tom", tag="Mobile") as new:
            link.resume()
            assert (await events.next(Conflict)).code == 4111
            assert new.state is State.CONNECTED


async def test_offline_messages_in_push_mode(log_in: Open) -> None:
    async with log_in("off-tom") as tom:
        conversation = await tom.create_conversation("off-jerry")
        for number in range(45):
            await conversation.send(str(number))
        async with log_in("off-jerry", offline_messages=True) as jerry:
            received = await Events(jerry).messages(45)
            assert [message.content for message in received] == [Text(str(number)) for number in range(45)]


async def test_missed_invitations_are_told_after_a_cut(log_in: Open, shared: Server) -> None:
    """Needs GET /1.1/rtm/notifications; the client reaches HTTP directly and the gateway through the link."""
    async with linked(shared.gateway_port) as link, log_in("inv-jerry") as jerry, log_in("inv-tom") as tom:
        jerry._router._addresses, heard = [link.url], Events(jerry)
        assert jerry._connection is not None
        link.refuse()
        jerry._connection.end()
        await heard.next(Disconnected)
        conversation = await tom.create_conversation("inv-jerry", unique=False)
        link.resume()
        invited = await heard.next(Invited)
        assert (invited.conversation.id, invited.by) == (conversation.id, "inv-tom")
