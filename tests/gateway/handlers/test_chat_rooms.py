"""Chat rooms: who is in, who hears what, and who comes back (reference 3.4, 3.8, 3.9, 3.11, 3.12, 3.16)."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.handlers.chat_rooms import HIGH, LOW, NORMAL, count, device, join, leave, make, say
from tests.gateway.handlers.conversations import names, row
from tests.gateway.handlers.refusals import refusal
from tests.gateway.handlers.test_will import gone
from tests.gateway.talk import clients, login_pushes, people, push_names, pushes, settle, settled, texts, told
from tests.support.client import Session, command, connect, login, named
from tests.support.server import Server

CHAT_ROOM = 2
UNKNOWN = "65f000000000000000000001"
NOT_FOUND = (4303, "CONVERSATION_NOT_FOUND")
UNAUTHORIZED = (4320, "CONVERSATION_OPERATION_UNAUTHORIZED")


async def is_in(session: Session, room: str) -> bool:
    reply = await session.request("conv", "is_member", cids=[room])
    found: dict[str, bool] = json.loads(reply.convMessage.results.data)
    return found[room]


# start


@pytest.mark.covers("conv/start", "ConvCommand.transient")
async def test_the_creator_of_a_chat_room_is_in_it_and_nobody_is_told(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        attr = {"data": '{"name":"hall","attr":{"x":1},"colour":"red"}'}
        start = command("conv", "start", tom.peer, m=[tom.peer, jerry.peer], transient=True, attr=attr)
        own = await told(tom, start)
        assert names(own) == ["conv/started"]
        room = own[0].convMessage
        assert not any(room.HasField(field) for field in ("uniqueId", "existing"))
        assert await push_names(jerry) == []
        assert (await is_in(tom, room.cid), await is_in(jerry, room.cid)) == (True, False)
        shown = await row(jerry, room.cid)
        assert (shown["tr"], shown["conv_type"], shown["c"], shown["name"]) == (True, CHAT_ROOM, tom.peer, "hall")
        assert (shown["attr"], shown["colour"], shown["createdAt"]) == ({"x": 1}, "red", room.cdate)
        assert not {"m", "mu", "unique", "uniqueId", "sys", "temp"} & shown.keys()


@pytest.mark.parametrize("flags", [{"unique": True}, {"tempConv": True}, {"unique": True, "tempConv": True}])
async def test_a_chat_room_is_one_whatever_else_is_asked_for(server: Server, flags: dict[str, bool]) -> None:
    async with clients(server, "tom") as (tom,):
        one, other = await make(tom, m=[tom.peer], **flags), await make(tom, m=[tom.peer], **flags)
        assert one != other
        assert (await row(tom, one))["conv_type"] == CHAT_ROOM


@pytest.mark.parametrize("members", [[""], ["x" * 65], [f"m{number}" for number in range(600)]])
async def test_members_of_a_new_chat_room_are_not_looked_at(server: Server, members: list[str]) -> None:
    async with clients(server, "tom") as (tom,):
        room = await make(tom, m=members)
        assert (await count(tom, room), "m" in await row(tom, room)) == (1, False)


@pytest.mark.parametrize("attr", ["{", "[]", '{"name":1}', '{"attr":[]}'])
async def test_a_chat_room_with_impossible_attributes_is_not_made(server: Server, attr: str) -> None:
    async with clients(server, "tom") as (tom,):
        room = await make(tom)
        start = tom.request("conv", "start", transient=True, attr={"data": attr})
        assert await refusal(start) == (4301, "CONVERSATION_API_FAILED")
        assert len(await tom.query({"tr": True, "c": tom.peer})) == 1
        assert await is_in(tom, room)


# join and leave


@pytest.mark.covers("conv/add", "conv/added", "conv/remove", "conv/removed")
async def test_joining_and_leaving_is_told_to_nobody_else(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room = await make(tom)
        for op, done, there in (("add", "conv/added", True), ("remove", "conv/removed", False)):
            received = await told(jerry, command("conv", op, jerry.peer, cid=room, m=[jerry.peer]))
            assert names(received) == [done]
            reply = received[0].convMessage
            assert (reply.cid, list(reply.allowedPids), list(reply.failedPids)) == (room, [jerry.peer], [])
            assert reply.udate == (await row(tom, room))["updatedAt"]
            assert await is_in(jerry, room) is there
        assert await push_names(tom) == []


async def test_joining_or_leaving_again_succeeds(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room = await make(tom)
        for change, there in ((join, True), (leave, False)):
            for _ in range(2):
                assert (await change(jerry, room)).convMessage.cid == room
                assert (await is_in(jerry, room), await count(tom, room)) == (there, 1 + there)


@pytest.mark.parametrize("op", ["add", "remove"])
async def test_nobody_adds_or_removes_others_inferred(server: Server, op: str) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room = await make(tom)
        await join(jerry, room)
        for members in ([jerry.peer], [tom.peer, jerry.peer], [tom.peer, ""], ["x" * 65], []):
            assert await refusal(tom.request("conv", op, cid=room, m=members)) == UNAUTHORIZED
        assert (await count(tom, room), await is_in(jerry, room)) == (2, True)
        assert await refusal(tom.request("conv", op, cid=UNKNOWN, m=[tom.peer])) == NOT_FOUND


async def test_a_login_is_in_one_chat_room_at_a_time(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        former, latter = await make(tom), await make(tom)
        assert (await is_in(tom, former), await is_in(tom, latter)) == (False, True)
        await join(jerry, former)
        await join(jerry, latter)
        assert (await count(tom, former), await count(tom, latter)) == (0, 2)
        await say(tom, former, "anybody here?")
        await say(tom, latter, "hello")
        assert await texts(jerry) == ["hello"]
        await leave(jerry, former)  # long since
        assert await is_in(jerry, latter)


async def test_other_devices_and_other_clients_are_in_rooms_of_their_own(server: Server) -> None:
    async with clients(server, "tom") as (tom,), settled(server, tom.peer) as tablet:
        jerry = await tom.connection.open(people("jerry")[0])
        await settle(jerry)
        one, other = await make(tom), await make(tablet)
        await join(jerry, other)
        assert (await count(tom, one), await count(tom, other)) == (1, 2)
        await say(tablet, other, "hi")
        assert [(push.peerId, named(push)) for push in await pushes(tom)] == [(jerry.peer, "direct")]
        await leave(tablet, other)
        assert (await is_in(tablet, one), await is_in(tablet, other)) == (True, False)


async def test_a_flood_of_joins_leaves_one_place(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        rooms = [await make(tom) for _ in range(3)]
        requests = [command("conv", "add", jerry.peer, cid=room, m=[jerry.peer]) for room in rooms * 100]
        for serial, request in enumerate(requests, 1):
            request.i = -serial
            await jerry.connection.send(request)
        for serial in range(1, len(requests) + 1):
            await jerry.connection.expect(lambda push, serial=serial: push.i == -serial)  # type: ignore[misc]
        assert [await is_in(jerry, room) for room in rooms] == [False, False, True]
        assert await count(tom, rooms[2]) == 2


# messages


@pytest.mark.covers("direct", "DirectCommand.convType")
async def test_those_in_the_room_hear_what_is_said(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike), settled(server, jerry.peer) as tablet:
        await pushes(jerry)
        room = await make(tom)
        await join(jerry, room)
        ack = (await say(tom, room, "hi")).ackMessage
        (push,) = await pushes(jerry)
        message = push.directMessage
        assert (named(push), message.id, message.timestamp, message.cid) == ("direct", ack.uid, ack.t, room)
        assert (message.msg, message.fromPeerId, message.convType) == ("hi", tom.peer, CHAT_ROOM)
        for session in (tom, spike, tablet):
            assert await push_names(session) == []
        await join(spike, room)
        await leave(jerry, room)
        await say(tom, room, "jerry?")
        assert (await texts(spike), await texts(jerry)) == (["jerry?"], [])


async def test_everybody_in_a_large_room_hears_everything_once_and_in_order(server: Server) -> None:
    """More than are told at once, on few connections; who came later hears what was said then."""
    peers, count = people(*(f"guest{number}" for number in range(300))), 30
    async with clients(server, "tom") as (tom,), connect(server) as one, connect(server) as other:
        room = await make(tom)
        crowd = [await (one if place % 2 else other).open(peer) for place, peer in enumerate(peers)]
        await asyncio.gather(*(join(guest, room) for guest in crowd))
        said = [str(number) for number in range(count)]
        for text in said:
            await say(tom, room, text)
        late = await one.open(people("late")[0])
        await join(late, room)
        await say(tom, room, "the end")
        heard: dict[str, list[str]] = {guest.peer: [] for guest in (*crowd, late)}
        last = [await session.expect("direct") for session in [crowd[-1], crowd[-2]] for _ in range(count + 1)]
        last.append(await late.expect("direct"))
        for connection in (one, other):  # those were the last to be told
            await connection.echo()
        for push in [*last, *one.pushes, *other.pushes]:
            if named(push) == "direct":
                heard[push.peerId].append(push.directMessage.msg)
        assert heard == {**{peer: [*said, "the end"] for peer in peers}, late.peer: ["the end"]}


async def test_anybody_logged_in_may_send_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room = await make(tom)
        await say(jerry, room, "from outside")
        assert await texts(tom) == ["from outside"]
        assert await refusal(say(jerry, UNKNOWN, "?")) == (4401, "INVALID_MESSAGING_TARGET")


@pytest.mark.covers("GenericCommand.priority")
@pytest.mark.parametrize("priority", [HIGH, NORMAL, LOW, 0, 4, -1, 2**31 - 1])
async def test_messages_of_every_priority_are_heard_while_there_is_room(server: Server, priority: int) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room, talk = await make(tom), await tom.start(jerry.peer)
        await join(jerry, room)
        await pushes(jerry)
        await say(tom, room, "in the room", priority)
        await say(tom, talk, "in a conversation", priority)
        assert await texts(jerry) == ["in the room", "in a conversation"]


async def test_transient_messages_are_heard_and_kept_nowhere(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room = await make(tom)
        await join(jerry, room)
        await tom.send(room, "typing", transient=True)
        assert (await texts(jerry), await tom.history(room)) == (["typing"], [])


async def test_a_chat_room_has_no_counts_receipts_and_marks(server: Server) -> None:
    (peer,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        room = await make(tom)
        async with settled(server, peer) as jerry:
            await join(jerry, room)
            ack = await tom.send(room, "hi", r=True, mentionPids=[jerry.peer], mentionAll=True)
            await pushes(jerry)
            await jerry.post("ack", cid=room, mid=ack.uid)
            await jerry.read(room)
            required = (4314, "NORMAL_CONVERSATION_REQUIRED")
            assert await refusal(jerry.request("read", convs=[{"cid": room}])) == required
            assert await push_names(jerry) == []
        await tom.send(room, "still there?")
        async with login(server, peer) as jerry:
            (unread,) = [push for push in await login_pushes(jerry) if named(push) == "unread"]
            assert list(unread.unreadMessage.convs) == []
        assert await push_names(tom) == []


async def test_no_marks_of_a_chat_room_are_told_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room = await make(tom)
        for session in (tom, jerry):
            for everybody in (False, True):
                asked = session.request("conv", "max_read", cid=room, queryAllMembers=everybody)
                assert await refusal(asked) == (4314, "NORMAL_CONVERSATION_REQUIRED")


@pytest.mark.covers("logs", "patch/modify", "patch/modified")
async def test_anybody_reads_the_history_and_authors_edit(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        room = await make(tom)
        first, second = await spike.send(room, "a"), await spike.send(room, "b")
        await join(jerry, room)
        for session in (tom, jerry):
            await pushes(session)
        edit = {"cid": room, "mid": first.uid, "timestamp": first.t, "data": "A"}
        recall = {"cid": room, "mid": second.uid, "timestamp": second.t, "recall": True}
        await spike.request("patch", "modify", patches=[edit, recall])
        for session in (tom, jerry):
            (one,), (other,) = [push.patchMessage.patches for push in await pushes(session)]
            assert (one.data, one.mid, other.recall, other.mid) == ("A", first.uid, True, second.uid)
        assert await push_names(spike) == []
        assert [(item.data, item.convType) for item in await spike.history(room)] == [
            ("A", CHAT_ROOM),
            ('{"_lctype":-127}', CHAT_ROOM),
        ]
        stolen = tom.request("patch", "modify", patches=[edit])
        assert await refusal(stolen) == (4403, "MESSAGE_OWNERSHIP_REQUIRED")
        missing = spike.request("patch", "modify", patches=[{**edit, "timestamp": 1}])
        assert await refusal(missing) == (4404, "MESSAGE_NOT_FOUND")
        assert await refusal(tom.request("logs", cid=UNKNOWN)) == NOT_FOUND


async def test_a_query_shows_the_last_message_to_anybody(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room = await make(tom, attr={"data": '{"place":"hall"}'})
        ack = await tom.send(room, "hi")
        (found,) = await jerry.query({"tr": True, "place": "hall", "c": tom.peer}, flag=2)
        assert (found["objectId"], found["msg"], found["msg_mid"], found["bin"]) == (room, "hi", ack.uid, False)
        assert found["lm"]["__type"] == "Date"
        assert room not in [each["objectId"] for each in await tom.query({}, limit=1000)]


# attributes, muting, who is there


@pytest.mark.covers("conv/update", "conv/updated", "ConvCommand.transient")
async def test_anybody_in_the_room_changes_its_attributes_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike), settled(server, jerry.peer) as tablet:
        room = await make(tom)
        for session in (jerry, tablet):
            await join(session, room)
            await pushes(session)
        attr = {"data": '{"attr.topic":"geese","name":"hall"}'}
        own = await told(jerry, command("conv", "update", jerry.peer, cid=room, attr=attr))
        assert names(own) == ["conv/updated"]
        for session in (tom, tablet):
            (push,) = [each for each in await pushes(session) if each.convMessage.cid == room]
            message = push.convMessage
            assert (named(push), message.cid, message.initBy, message.transient) == (
                "conv/updated",
                room,
                jerry.peer,
                True,
            )
            assert json.loads(message.attrModified.data) == {"attr": {"topic": "geese"}, "name": "hall"}
            assert message.udate == own[0].convMessage.udate
        before = await row(tom, room)
        refused = spike.request("conv", "update", cid=room, attr=attr)
        assert await refusal(refused) == (4309, "CONVERSATION_UPDATE_REJECTED")
        for bad in ('{"m":[]}', "{", '{"tr":false}'):
            asked = jerry.request("conv", "update", cid=room, attr={"data": bad})
            assert await refusal(asked) == (4306, "CONVERSATION_UPDATE_FAILED")
        assert await row(tom, room) == before
        assert await push_names(tom) == []


@pytest.mark.parametrize("op", ["mute", "unmute"])
async def test_muting_a_chat_room_succeeds_and_changes_nothing_inferred(server: Server, op: str) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room = await make(tom)
        before = await row(tom, room)
        reply = await tom.request("conv", op, cid=room)
        assert (named(reply), reply.convMessage.cid, reply.convMessage.udate) == (
            "conv/updated",
            room,
            before["updatedAt"],
        )
        assert await row(tom, room) == before
        required = (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")
        assert await refusal(jerry.request("conv", op, cid=room)) == required


@pytest.mark.covers("conv/count", "conv/members", "conv/is_member")
async def test_who_is_in_a_chat_room_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike), settled(server, jerry.peer) as tablet:
        room = await make(tom)
        for session in (jerry, tablet):
            await join(session, room)
        for session in (tom, spike):
            reply = await session.request("conv", "members", cid=room, limit=50)
            assert (named(reply), reply.convMessage.cid) == ("conv/members", room)
            assert sorted(reply.convMessage.m) == sorted([tom.peer, jerry.peer])
            assert await count(session, room) == 2
        await leave(jerry, room)
        assert (await count(tom, room), await is_in(jerry, room)) == (2, True)
        await leave(tablet, room)
        assert (await count(tom, room), await is_in(jerry, room)) == (1, False)


@pytest.mark.parametrize(
    ("limit", "shown"), [(None, 50), (50, 50), (1, 1), (0, 0), (-1, 0), (51, 50), (2**31 - 1, 50), (-(2**31), 0)]
)
async def test_at_most_fifty_of_a_chat_room_are_shown(server: Server, limit: int | None, shown: int) -> None:
    everybody = people(*(f"guest{number}" for number in range(60)))
    async with connect(server) as connection:
        first = await connection.open(everybody[0])
        room = await make(first)
        for peer in everybody[1:]:
            await join(await connection.open(peer), room)
        members = list((await first.request("conv", "members", cid=room, limit=limit)).convMessage.m)
        assert len(set(members)) == len(members) == shown
        assert set(members) <= set(everybody)


# coming back


def token(session: Session) -> dict[str, Any]:
    """A reopen, as JS does it."""
    return {"r": True, "st": session.token}


async def lose(session: Session, witness: Session) -> None:
    """Cut the only connection of a client, and wait until the server has noticed."""
    session.connection.abort()
    await gone(witness, session.peer)


async def test_who_lost_the_connection_is_back_in_the_room_at_its_login(server: Server) -> None:
    (peer,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        room = await make(tom)
        async with device(server, peer, deviceId="phone") as jerry:
            await join(jerry, room)
            await lose(jerry, tom)
        assert (await count(tom, room), await is_in(tom, room)) == (1, True)
        await say(tom, room, "missed")
        async with connect(server) as connection:
            back = await connection.open(peer, **token(jerry))
            assert await count(tom, room) == 2
            await say(tom, room, "heard")
            assert (await back.expect("direct")).directMessage.msg == "heard"
            assert await push_names(tom) == []


@pytest.mark.parametrize(
    ("fields", "comes_back"),
    [({"deviceId": "phone"}, True), ({"deviceToken": "phone"}, True), ({"deviceId": "tablet"}, False), ({}, False)],
)
async def test_a_place_is_kept_for_the_device_that_had_it_inferred(
    server: Server, fields: dict[str, str], comes_back: bool
) -> None:
    (peer,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        room = await make(tom)
        async with device(server, peer, deviceId="phone") as jerry:
            await join(jerry, room)
            await lose(jerry, tom)
        async with connect(server) as connection:
            back = await connection.open(peer, **fields)
            assert await is_in(back, room) is comes_back


async def test_a_device_that_says_nothing_of_itself_is_known_by_its_token(server: Server) -> None:
    (peer,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        room = await make(tom)
        async with device(server, peer) as jerry:
            await join(jerry, room)
            await lose(jerry, tom)
        async with connect(server) as connection, connect(server) as other:
            assert not await is_in(await other.open(peer), room)
            assert await is_in(await connection.open(peer, **token(jerry)), room)


async def test_nobody_takes_the_place_of_another_client(server: Server) -> None:
    (peer,) = people("jerry")
    async with clients(server, "tom", "eve") as (tom, eve):
        room = await make(tom)
        async with device(server, peer, deviceId="phone") as jerry:
            await join(jerry, room)
            await lose(jerry, tom)
        async with device(server, eve.peer, deviceId="phone") as thief:
            assert not await is_in(thief, room)


async def test_who_comes_back_before_the_loss_is_noticed_takes_its_place_inferred(server: Server) -> None:
    """A phone that changes its network: the old connection seems to be there for a while."""
    (peer,) = people("jerry")
    async with clients(server, "tom") as (tom,), device(server, peer, deviceId="phone") as jerry:
        room = await make(tom)
        await join(jerry, room)
        await pushes(jerry)
        async with device(server, peer, deviceId="phone") as back:
            await say(tom, room, "hi")
            assert (await texts(back), await texts(jerry)) == (["hi"], [])
            await jerry.connection.close()
            assert (await is_in(back, room), await count(tom, room)) == (True, 2)
        assert await count(tom, room) == 1


async def test_a_closed_socket_without_a_logout_is_a_loss(server: Server) -> None:
    (peer,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        room = await make(tom)
        async with device(server, peer, deviceId="phone") as jerry:
            await join(jerry, room)
        await gone(tom, peer)
        async with device(server, peer, deviceId="phone") as back:
            assert await is_in(back, room)


@pytest.mark.covers("session/close")
async def test_a_logout_leaves_the_room(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room = await make(tom)
        phone = await jerry.connection.open(people("spike")[0], deviceId="phone")
        await join(phone, room)
        await phone.close()
        assert await count(tom, room) == 1
        again = await jerry.connection.open(phone.peer, deviceId="phone")
        assert not await is_in(again, room)


async def test_who_is_logged_out_by_another_device_leaves_the_room(server: Server) -> None:
    (peer,) = people("jerry")
    async with clients(server, "tom") as (tom,), device(server, peer, tag="mobile", deviceId="old") as old:
        room = await make(tom)
        await join(old, room)
        async with device(server, peer, tag="mobile", deviceId="new") as new:
            assert not await is_in(new, room)
            await new.close()
            again = await new.connection.open(peer, tag="mobile", deviceId="old")
            assert not await is_in(again, room)


async def test_who_had_left_does_not_come_back(server: Server) -> None:
    (peer,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        room = await make(tom)
        async with device(server, peer, deviceId="phone") as jerry:
            await join(jerry, room)
            await leave(jerry, room)
        await gone(tom, peer)
        async with device(server, peer, deviceId="phone") as back:
            assert not await is_in(back, room)


async def test_opening_a_session_again_keeps_its_place(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        room = await make(tom)
        again = await tom.connection.open(tom.peer, **token(tom))
        await say(again, room, "still here")
        assert (await is_in(again, room), await count(again, room)) == (True, 1)


@pytest.mark.parametrize("end", [Server.kill, Server.stop])
async def test_a_restart_of_the_server_leaves_everybody_in_place(
    server_factory: Callable[..., Server], end: Callable[[Server], object]
) -> None:
    server = server_factory()
    server.start()
    async with clients(server, "tom", "jerry") as (tom, jerry):
        room = await make(tom)
        await join(jerry, room)
        end(server)
    server.start()
    async with connect(server) as one, connect(server) as other:
        tom, jerry = await one.open(tom.peer, **token(tom)), await other.open(jerry.peer, **token(jerry))
        await say(tom, room, "where were we?")
        push: GenericCommand = await jerry.expect("direct")
        assert push.directMessage.msg == "where were we?"
        assert await count(tom, room) == 2
        await leave(tom, room)
        await jerry.close()
        end(server)
    server.start()
    async with connect(server) as one:
        back = await one.open(tom.peer, **token(tom))
        assert (await is_in(back, room), await count(back, room)) == (False, 0)
