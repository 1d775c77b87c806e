"""What the SDK does, with a real server."""

import asyncio
import ssl
from dataclasses import dataclass

import pytest
from hongyan_client import (
    Binary,
    Client,
    HongyanError,
    Image,
    Invited,
    Kicked,
    Location,
    MembersJoined,
    MembersLeft,
    MessageReceived,
    Raw,
    Text,
    Typed,
    UnreadChanged,
    message_type,
)

from tests.sdk.conftest import Open
from tests.sdk.take import Events
from tests.support.server import Server


@message_type(7)
@dataclass(frozen=True)
class Poll(Typed):
    question: str
    answers: list[str]
    text: str = ""


async def test_a_message_reaches_the_other_member(log_in: Open) -> None:
    async with log_in("talk-tom") as tom, log_in("talk-jerry") as jerry:
        heard = Events(jerry)
        conversation = await tom.create_conversation("talk-jerry", name="Geese")
        assert (await heard.next(Invited)).by == "talk-tom"
        sent = await conversation.send(Text("hi"), mentions=["talk-jerry"])
        received = await heard.message()
        assert received == sent
        assert received.content == Text("hi")
        assert received.mentions == ("talk-jerry",)


@pytest.mark.parametrize(
    "content",
    [
        Text("你好", {"mood": "good"}),
        Raw("plain"),
        Raw(""),
        Binary(b"\x00\xff"),
        Image("https://example.com/goose.png", "A goose", {"width": 10}),
        Location(1.5, -2.5, "here"),
        Poll("Fly?", ["yes", "no"], "A poll"),
    ],
    ids=lambda content: type(content).__name__,
)
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "base64"])
async def test_contents_arrive_as_sent(log_in: Open, content: Text, binary: bool) -> None:
    async with log_in("kinds-tom", binary=binary) as tom, log_in("kinds-jerry", binary=binary) as jerry:
        heard = Events(jerry)
        conversation = await tom.create_conversation("kinds-jerry")
        await conversation.send(content)
        assert (await heard.message()).content == content
        last = [message async for message in conversation.history(limit=1)]
        assert [message.content for message in last] == [content]


async def test_history_is_read_both_ways_over_pages(log_in: Open) -> None:
    async with log_in("pages-tom") as tom:
        conversation = await tom.create_conversation("pages-jerry")
        sent = [await conversation.send(f"message {number}") for number in range(230)]
        forward = [message async for message in conversation.history(newest_first=False)]
        assert forward == sent
        backward = [message async for message in conversation.history()]
        assert backward == sent[::-1]
        part = [message async for message in conversation.history(start=sent[200], limit=150)]
        assert part == sent[199:49:-1]
        await conversation.send(Location(1, 2))
        places = [message.content async for message in conversation.history(type=Location)]
        assert places == [Location(1, 2)]


async def test_members_come_and_go(log_in: Open) -> None:
    async with log_in("group-tom") as tom, log_in("group-jerry") as jerry:
        heard, told = Events(jerry), Events(tom)
        conversation = await tom.create_conversation("group-spike", unique=False)
        await told.next(MembersJoined)
        assert (await conversation.add("group-jerry")).done == ("group-jerry",)
        await heard.next(Invited)
        assert (await told.next(MembersJoined)).members == ("group-jerry",)
        theirs = await jerry.get_conversation(conversation.id)
        assert set(theirs.members) == {"group-tom", "group-jerry", "group-spike"}
        await theirs.quit()
        assert (await heard.next(Kicked)).by == "group-jerry"
        assert (await told.next(MembersLeft)).members == ("group-jerry",)
        assert set(conversation.members) == {"group-tom", "group-spike"}
        await theirs.join()
        await conversation.remove("group-jerry")
        await heard.next(Invited)
        assert (await heard.next(Kicked)).by == "group-tom"
        with pytest.raises(HongyanError, match="4401 INVALID_MESSAGING_TARGET"):
            await theirs.send("still here?")


async def test_conversations_are_found(log_in: Open) -> None:
    async with log_in("find-tom") as tom:
        made = await tom.create_conversation("find-jerry", name="Finders", attributes={"colour": "grey"}, unique=False)
        await tom.create_conversation("find-spike", unique=False)
        assert [one.id for one in await tom.query().where("name", "Finders").find()] == [made.id]
        assert [one.id for one in await tom.query().members_include("find-jerry").find()] == [made.id]
        assert [one.id for one in await tom.query().members_are("find-tom", "find-jerry").find()] == [made.id]
        assert len(await tom.query().limit(1).find()) == 1
        found = await tom.query().sort("createdAt").first()
        assert found is made
        assert (found.attributes, found.creator) == ({"colour": "grey"}, "find-tom")
        assert await tom.query().where("name", "nobody").first() is None
        with pytest.raises(HongyanError, match="4303 CONVERSATION_NOT_FOUND"):
            await tom.get_conversation("0" * 24)


async def test_a_unique_conversation_is_the_same_for_both(log_in: Open) -> None:
    async with log_in("same-tom") as tom, log_in("same-jerry") as jerry:
        made = await tom.create_conversation("same-jerry", name="First")
        assert (await jerry.create_conversation("same-tom")).id == made.id
        assert (await tom.create_conversation("same-jerry")) is made
        assert made.name == "First"


async def test_unread_counts_follow_login_messages_and_reading(log_in: Open) -> None:
    async with log_in("count-tom") as tom:
        conversation = await tom.create_conversation("count-jerry")
        for number in range(3):
            await conversation.send(f"{number}", mention_all=number == 2)
        async with log_in("count-jerry") as jerry, log_in("count-jerry") as phone:
            heard, other = Events(jerry), Events(phone)
            told = await heard.next(UnreadChanged)
            assert (told.count, told.mentioned, told.conversation.unread) == (3, True, 3)
            assert told.last_message is not None
            assert told.last_message.content == Text("2")
            assert (await other.next(UnreadChanged)).count == 3
            await conversation.send("3")
            await heard.message()
            assert told.conversation.unread == 4
            await told.conversation.read()
            assert (await heard.next(UnreadChanged)).count == 0
            assert (await other.next(UnreadChanged)).count == 0
            assert told.conversation.unread == 0


async def test_reading_up_to_a_message_leaves_the_later_ones(log_in: Open) -> None:
    async with log_in("part-tom") as tom, log_in("part-jerry") as jerry:
        heard = Events(jerry)
        conversation = await tom.create_conversation("part-jerry")
        sent = [await conversation.send(f"{number}") for number in range(3)]
        await heard.messages(3)
        await jerry.conversation(conversation.id).read(sent[0])
        assert (await heard.next(UnreadChanged)).count == 2


async def test_transient_messages_are_delivered_and_not_kept(log_in: Open) -> None:
    async with log_in("brief-tom") as tom, log_in("brief-jerry") as jerry:
        heard = Events(jerry)
        conversation = await tom.create_conversation("brief-jerry")
        await conversation.send("typing", transient=True)
        received = await heard.message()
        assert (received.transient, received.content) == (True, Text("typing"))
        assert [message async for message in conversation.history()] == []


async def test_own_messages_reach_the_other_devices_only(log_in: Open) -> None:
    async with log_in("twice-tom") as tom, log_in("twice-tom") as phone:
        seen, other = Events(tom), Events(phone)
        conversation = await tom.create_conversation("twice-jerry")
        await conversation.send("from the desk")
        assert (await other.message()).content == Text("from the desk")
        await phone.conversation(conversation.id).send("from the phone")
        assert (await seen.message()).content == Text("from the phone")


async def test_callbacks_are_called_in_order_and_survive_errors(log_in: Open, caplog: pytest.LogCaptureFixture) -> None:
    async with log_in("call-tom") as tom, log_in("call-jerry") as jerry:

        @jerry.on(MessageReceived)
        def fail(event: MessageReceived) -> None:
            raise ValueError("a bug of the application")

        @jerry.on(MessageReceived)
        async def answer(event: MessageReceived) -> None:
            await event.conversation.send(event.message.content)

        heard = Events(tom)
        conversation = await tom.create_conversation("call-jerry")
        for number in range(5):
            await conversation.send(f"{number}")
        assert [message.content for message in await heard.messages(5)] == [Text(f"{number}") for number in range(5)]
        assert "a bug of the application" in caplog.text
        with pytest.raises(RuntimeError, match="go to callbacks"):
            jerry.events()


async def test_who_is_online(log_in: Open) -> None:
    async with log_in("on-tom") as tom, log_in("on-jerry"):
        names = [f"off-{number}" for number in range(30)]
        assert await tom.online(*names, "on-jerry", "on-tom") == ["on-jerry", "on-tom"]


async def test_the_server_names_a_client_without_an_id(shared: Server) -> None:
    async with Client.open(shared.gateway_url, app_id=shared.app.id) as client:
        assert client.client_id
        conversation = await client.create_conversation("somebody")
        assert client.client_id in conversation.members


async def test_a_wrong_app_is_refused(shared: Server) -> None:
    for server in (shared.http_url, shared.gateway_url):
        with pytest.raises(HongyanError) as refused:
            async with Client.open(server, app_id="no-such-app", client_id="tom"):
                pass
        assert refused.value.code == 4100


async def test_tls(tls_server: Server) -> None:
    assert tls_server.certificate
    trust = ssl.create_default_context(cafile=tls_server.certificate.authority)
    async with Client.open(tls_server.http_url, app_id=tls_server.app.id, client_id="tom", tls=trust) as tom:
        conversation = await tom.create_conversation("jerry")
        assert (await conversation.send("hi")).id


async def test_one_task_waits_for_events_at_a_time(log_in: Open) -> None:
    async with log_in("wait-tom") as tom:
        waiting = asyncio.create_task(anext(tom.events()))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(tom.events())
        with pytest.raises(RuntimeError, match="go to `events"):
            tom.on(Invited)
        await tom.create_conversation("wait-jerry")
        assert isinstance(await waiting, Invited)
        assert isinstance(await anext(tom.events()), MembersJoined)
