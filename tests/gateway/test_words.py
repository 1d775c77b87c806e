"""Word lists on the wire: who receives what when a message is masked or refused (reference 3.16, 3.21)."""

import pytest

from hongyan.wire.messages2_pb2 import PatchItem
from tests.gateway.apps import Door, into
from tests.gateway.handlers import chat_rooms
from tests.gateway.handlers.test_patch import edit
from tests.gateway.talk import clients, login_pushes, push_names, pushes, settled, texts, told
from tests.support.client import BASE64, CAPABILITIES, Refused, Session, command, connect, named
from tests.support.server import App, Server

WITHOUT_PATCHES = CAPABILITIES & ~1
CENSORED = -4408
REASON = "The message contains words that this app does not allow."
TYPED = '{"_lctype":-1, "_lctext":"so b\\u0061d","_lcattrs":{"n":1.0,"bad":"bad"}}'
MASKED = '{"_lctype":-1, "_lctext":"so ***","_lcattrs":{"n":1.0,"bad":"bad"}}'


@pytest.fixture(scope="session")
def doors(shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Door]:
    """Apps with a word list, by their setting `filter`."""
    words = tmp_path_factory.mktemp("words") / "words.txt"
    words.write_text("bad\n坏蛋\n", encoding="utf-8")
    made = {}
    for choice in ("replace", "refuse"):
        app = shared_server.create_app(App(choice, "key", "master-key"), filter=choice, limits="off")
        shared_server.hongyan("app", "words", choice, str(words))
        made[choice] = into(shared_server, app)
    return made


@pytest.fixture
def door(server: Server, doors: dict[str, Door]) -> Door:
    """The app that masks."""
    return doors["replace"]


@pytest.fixture
def strict(server: Server, doors: dict[str, Door]) -> Door:
    """The app that refuses."""
    return doors["refuse"]


async def censored(session: Session) -> PatchItem:
    """What an author is told of its own message."""
    push = await session.expect("patch/modify")
    (item,) = push.patchMessage.patches
    assert (push.HasField("i"), push.peerId) == (False, session.peer)
    assert (item.patchCode, item.patchReason, getattr(item, "from")) == (CENSORED, REASON, session.peer)
    return item


@pytest.mark.parametrize("subprotocol", ["lc.protobuf2.3", BASE64])
@pytest.mark.covers("PatchItem.patchCode", "PatchItem.patchReason")
async def test_members_get_the_masked_body_and_all_of_the_author_s_devices_are_told(
    door: Door, subprotocol: str
) -> None:
    async with (
        clients(door, "tom", "jerry", "spike", subprotocol=subprotocol) as (tom, jerry, spike),
        settled(door, tom.peer) as pad,
    ):
        conversation = await tom.start(jerry.peer, spike.peer)
        for session in (tom, jerry, spike, pad):
            await pushes(session)
        ack = await tom.send(conversation, TYPED, mentionAll=True)
        assert ack.uid
        assert not ack.HasField("code")
        for session in (jerry, spike):
            assert await texts(session) == [MASKED]
        assert (await pad.expect("direct")).directMessage.msg == MASKED
        for session in (tom, pad):
            item = await censored(session)
            assert (item.cid, item.mid, item.timestamp) == (conversation, ack.uid, ack.t)
            assert (item.data, item.mentionAll, item.HasField("patchTimestamp")) == (MASKED, True, True)
        for session in (tom, jerry, spike, pad):
            assert await push_names(session) == []
        assert [log.data for log in await spike.logs(conversation)] == [MASKED]


async def test_the_acknowledgement_comes_first(door: Door) -> None:
    async with clients(door, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        await pushes(tom)
        request = command("direct", peer=tom.peer, cid=conversation, msg="坏蛋")
        assert [named(push) for push in await told(tom, request)] == ["ack", "patch/modify"]


async def test_who_is_away_sees_the_masked_message(door: Door) -> None:
    async with clients(door, "tom", "jerry") as (tom, jerry):
        async with clients(door, "spike") as (spike,):
            away = spike.peer
        conversation = await tom.start(jerry.peer, away)
        await tom.send(conversation, "bad")
        async with connect(door) as connection:
            unread = [
                push.unreadMessage
                for push in await login_pushes(await connection.open(away, lastPatchTime=1))
                if named(push) in ("unread", "patch/modify")
            ]
            assert [item.data for push in unread for item in push.convs] == ["***"]


async def test_who_wants_no_edits_is_not_told(door: Door) -> None:
    async with clients(door, "jerry", "spike", "tom") as (jerry, spike, tom), connect(door) as connection:
        pad = await connection.open(tom.peer, configBitmap=WITHOUT_PATCHES)
        await login_pushes(pad)
        conversation = await pad.start(jerry.peer, spike.peer)
        await pushes(pad)
        await pad.send(conversation, "bad")
        await censored(tom)
        assert await push_names(pad) == []


@pytest.mark.parametrize("members", [1, 2])
async def test_two_are_among_themselves(door: Door, members: int) -> None:
    async with clients(door, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(*[jerry.peer][: members - 1])
        await tom.send(conversation, "bad")
        assert [log.data for log in await tom.logs(conversation)] == ["bad"]
        assert "patch/modify" not in await push_names(tom)


async def test_a_conversation_is_filtered_while_it_has_more_than_two(door: Door) -> None:
    async with clients(door, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, "bad 1")
        await tom.request("conv", "add", cid=conversation, m=[spike.peer])
        await tom.send(conversation, "bad 2")
        await tom.request("conv", "remove", cid=conversation, m=[spike.peer])
        await tom.send(conversation, "bad 3")
        assert [log.data for log in await tom.logs(conversation)] == ["bad 1", "*** 2", "bad 3"]


async def test_an_edit_is_masked_inferred(door: Door) -> None:
    async with clients(door, "tom", "jerry", "spike") as (tom, jerry, spike), settled(door, tom.peer) as pad:
        conversation = await tom.start(jerry.peer, spike.peer)
        ack = await tom.send(conversation, "good")
        for session in (tom, jerry, spike, pad):
            await pushes(session)
        at = await edit(tom, conversation, ack, data="bad now")
        for session in (tom, pad):
            item = await censored(session)
            assert (item.mid, item.data, item.patchTimestamp) == (ack.uid, "*** now", at)
        for session in (jerry, spike):
            (item,) = (await session.expect("patch/modify")).patchMessage.patches
            assert (item.data, item.patchTimestamp) == ("*** now", at)
            assert not item.HasField("patchCode")
            assert not item.HasField("patchReason")
        for session in (tom, jerry, spike, pad):
            assert await push_names(session) == []


async def test_an_author_in_a_chat_room_is_told_once_of_a_masked_edit_inferred(door: Door) -> None:
    async with clients(door, "tom", "jerry") as (tom, jerry), settled(door, tom.peer) as pad:
        room = await chat_rooms.make(tom)
        for session in (jerry, pad):
            await chat_rooms.join(session, room)
        ack = await tom.send(room, "good")
        for session in (tom, jerry, pad):
            await pushes(session)
        at = await edit(tom, room, ack, data="bad now")
        for session in (tom, pad):
            item = await censored(session)
            assert (item.mid, item.data, item.patchTimestamp) == (ack.uid, "*** now", at)
        (item,) = (await jerry.expect("patch/modify")).patchMessage.patches
        assert (item.data, item.HasField("patchCode")) == ("*** now", False)
        for session in (tom, jerry, pad):
            assert await push_names(session) == []


async def test_who_speaks_from_outside_a_chat_room_is_told(door: Door) -> None:
    async with clients(door, "tom", "jerry") as (tom, jerry):
        room = await chat_rooms.make(tom)
        ack = await jerry.send(room, "bad")
        item = await censored(jerry)
        assert (item.cid, item.mid, item.data) == (room, ack.uid, "***")
        assert await texts(tom) == ["***"]
        assert await push_names(jerry) == []


async def test_a_will_is_masked_inferred(door: Door) -> None:
    async with clients(door, "jerry", "spike") as (jerry, spike):
        async with connect(door) as connection:
            tom = await connection.open("tom-with-a-will")
            conversation = await tom.start(jerry.peer, spike.peer)
            ack = await tom.send(conversation, "bad end", will=True)
            assert (await censored(tom)).mid == ack.uid
            connection.abort()
        message = (await jerry.expect("direct")).directMessage
        assert (message.id, message.msg) == (ack.uid, "*** end")


@pytest.mark.covers("AckCommand.appMsg")
async def test_a_refused_message_reaches_nobody_inferred(strict: Door) -> None:
    async with clients(strict, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        for session in (tom, jerry, spike):
            await pushes(session)
        with pytest.raises(Refused) as refused:
            await tom.send(conversation, "bad")
        ack = refused.value.answer.ackMessage
        assert (ack.code, ack.reason) == (4402, "MESSAGE_REJECTED_BY_APP")
        assert ack.appMsg == "the message contains words that this app does not allow"
        assert not ack.HasField("appCode")
        with pytest.raises(Refused) as refused:
            await tom.send(conversation, "bad", will=True)
        assert refused.value.code == 4402
        ack = await tom.send(conversation, "good")
        with pytest.raises(Refused) as refused:
            await edit(tom, conversation, ack, data="bad")
        assert (refused.value.code, refused.value.reason) == (4405, "MESSAGE_UPDATE_REJECTED_BY_APP")
        assert [log.data for log in await tom.logs(conversation)] == ["good"]
        assert [await texts(session) for session in (jerry, spike)] == [["good"], ["good"]]


async def test_other_apps_have_no_words(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        await tom.send(conversation, "bad")
        assert [log.data for log in await tom.logs(conversation)] == ["bad"]
