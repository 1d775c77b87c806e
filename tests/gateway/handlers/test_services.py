"""Service conversations over the websocket: what a client may do there, and what it is told (reference 3.9, 3.16)."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.gateway.talk import clients, login_pushes, people, push_names, pushes, settled, texts
from tests.gateway.test_missed_notifications import missed
from tests.support.client import Refused, Session, connect, login, named
from tests.support.rest import Rest, Service, passed, rest
from tests.support.server import Server

PUSH_MODE = "lc.protobuf2.1"


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Rest]:
    async with rest(server) as made:
        yield made


@pytest.fixture
async def service(api: Rest) -> Service:
    return await api.service()


def stream_of(service: Service, client: str) -> str:
    return hashlib.md5(f"{service.id}:{client}".encode()).hexdigest()


async def subscribe(session: Session, service: Service) -> None:
    await session.request("conv", "add", cid=service.id, m=[session.peer])


async def unsubscribe(session: Session, service: Service) -> None:
    await session.request("conv", "remove", cid=service.id, m=[session.peer])


async def row(session: Session, service: Service, **fields: Any) -> dict[str, Any]:
    (found,) = await session.query({"objectId": service.id}, **fields)
    return found


async def unread(session: Session, service: Service) -> Any:
    """The unread state of the service conversation that the login of this session told."""
    for push in await login_pushes(session):
        for item in push.unreadMessage.convs:
            if item.cid == service.id:
                return item
    return None


async def refusal(request: Any) -> int:
    with pytest.raises(Refused) as refused:
        await request
    return refused.value.code


# subscribing


async def test_a_client_subscribes_and_only_it_is_told(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry), settled(server, tom.peer) as tablet:
        await subscribe(jerry, service)
        for session in (tom, jerry):
            await pushes(session)
        reply = (await tom.request("conv", "add", cid=service.id, m=[tom.peer])).convMessage
        assert (reply.cid, list(reply.allowedPids), list(reply.failedPids)) == (service.id, [tom.peer], [])
        for session in (tom, tablet):
            (joined,) = await pushes(session)
            assert (named(joined), joined.convMessage.initBy) == ("conv/joined", tom.peer)
            assert joined.convMessage.udate == reply.udate
        assert await push_names(jerry) == []
        found = await row(tom, service)
        assert (found["sys"], found["conv_type"], found["joined"], found["muted"]) == (True, 3, True, False)
        assert type(found["joinedAt"]) is int
        assert {"m", "mu", "lm"}.isdisjoint(found)
        # again: no news
        await subscribe(tom, service)
        assert await push_names(tablet) == []
        await unsubscribe(tom, service)
        for session in (tom, tablet):
            assert await push_names(session) == ["conv/left"]
        assert await push_names(jerry) == []
        found = await row(tom, service)
        assert found["joined"] is False
        assert {"joinedAt", "muted"}.isdisjoint(found)
        await unsubscribe(tom, service)
        assert await push_names(tom) == []


async def test_counting_gives_subscribers_inferred(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        for number, session in enumerate((tom, jerry), 1):
            await subscribe(session, service)
            assert (await tom.request("conv", "count", cid=service.id)).convMessage.count == number
        await unsubscribe(tom, service)
        assert (await tom.request("conv", "count", cid=service.id)).convMessage.count == 1


async def test_nobody_subscribes_others_or_ends_their_subscriptions(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        await subscribe(jerry, service)
        await pushes(jerry)
        for op in ("add", "remove"):
            for members in ([jerry.peer], [tom.peer, jerry.peer], []):
                assert await refusal(tom.request("conv", op, cid=service.id, m=members)) == 4320
        assert await push_names(jerry) == []
        assert (await row(jerry, service))["joined"] is True
        assert (await row(tom, service))["joined"] is False


async def test_service_conversations_have_no_receipt_marks_inferred(server: Server, service: Service) -> None:
    async with clients(server, "tom") as (tom,):
        await subscribe(tom, service)
        for all_members in (False, True):
            asked = tom.request("conv", "max_read", cid=service.id, queryAllMembers=all_members)
            assert await refusal(asked) == 4314


async def test_what_clients_do_not_do_with_service_conversations(server: Server, service: Service) -> None:
    async with clients(server, "tom") as (tom,):
        await subscribe(tom, service)
        attr = {"data": '{"name":"x"}'}
        assert await refusal(tom.request("conv", "update", cid=service.id, attr=attr)) == 4307
        assert await refusal(tom.request("conv", "members", cid=service.id)) == 4316
        started = await tom.request("conv", "start", m=[tom.peer], attr={"data": '{"sys":true}'})
        assert (await tom.query({"objectId": started.convMessage.cid}))[0]["conv_type"] == 1


async def test_muting_is_of_one_subscriber(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        assert await refusal(tom.request("conv", "mute", cid=service.id)) == 4317
        for session in (tom, jerry):
            await subscribe(session, service)
            await pushes(session)
        reply = await tom.request("conv", "mute", cid=service.id)
        assert (named(reply), reply.convMessage.cid) == ("conv/updated", service.id)
        assert (await row(tom, service))["muted"] is True
        assert (await row(jerry, service))["muted"] is False
        await service.broadcast("still heard")
        assert await texts(tom) == ["still heard"]
        await tom.request("conv", "unmute", cid=service.id)
        assert (await row(tom, service))["muted"] is False


async def test_queries_find_them_by_sys_and_never_by_members_inferred(server: Server, api: Rest) -> None:
    mark = people("mark")[0]
    service = await api.service(mark=mark)
    async with clients(server, "tom", "jerry") as (tom, jerry):
        await subscribe(tom, service)
        (found,) = await jerry.query({"sys": True, "mark": mark})
        assert (found["objectId"], found["name"], found["joined"]) == (service.id, "news", False)
        assert await jerry.query({"sys": {"$ne": True}, "mark": mark}) == []
        for members in (
            tom.peer,
            {"$all": [tom.peer]},
            {"$in": [tom.peer]},
            {"$size": 1},
            {"$regex": "tom"},
            [tom.peer],
        ):
            assert await jerry.query({"mark": mark, "m": members}) == []
        assert len(await jerry.query({"mark": mark, "m": {"$ne": tom.peer}})) == 1
        answer = (await tom.request("conv", "is_member", cids=[service.id])).convMessage.results.data
        assert json.loads(answer) == {service.id: True}
        answer = (await jerry.request("conv", "is_member", cids=[service.id])).convMessage.results.data
        assert json.loads(answer) == {service.id: False}


async def test_a_client_subscribes_to_so_many_inferred(server: Server, api: Rest) -> None:
    server.hongyan("app", "set", server.app.id, "subscriptions_max=1")
    try:
        async with clients(server, "tom") as (tom,):
            first, second = await api.service(), await api.service()
            for _ in range(2):  # who has subscribed already is no more by doing it again
                await subscribe(tom, first)
            assert await refusal(tom.request("conv", "add", cid=second.id, m=[tom.peer])) == 4304
            assert (await row(tom, second))["joined"] is False
    finally:
        server.hongyan("app", "set", server.app.id, "subscriptions_max=500")


# messages


async def test_a_broadcast_reaches_all_subscribers_and_nobody_else(server: Server, service: Service) -> None:
    async with (
        clients(server, "tom", "jerry", "spike") as (tom, jerry, spike),
        settled(server, tom.peer, PUSH_MODE) as tablet,
    ):
        for session in (tom, jerry):
            await subscribe(session, service)
        for session in (tom, jerry, tablet):
            await pushes(session)
        sent = await service.broadcast("hello")
        for session in (tom, jerry, tablet):
            (push,) = await pushes(session)
            direct = push.directMessage
            assert (direct.cid, direct.fromPeerId, direct.msg, direct.convType) == (service.id, "news", "hello", 3)
            assert (direct.id, direct.timestamp) == (sent["msg-id"], sent["timestamp"])
        assert await push_names(spike) == []
        await unsubscribe(jerry, service)
        await pushes(jerry)
        await service.broadcast("again")
        assert await texts(tom) == ["again"]
        assert await push_names(jerry) == []


async def test_subscribers_hear_from_their_login_on_and_not_after_it(server: Server, service: Service) -> None:
    (peer,) = people("tom")
    await service.subscribe(peer)
    async with settled(server, peer) as tom:
        await service.broadcast("one")
        assert await texts(tom) == ["one"]
        await service.unsubscribe(peer)
        assert await push_names(tom) == ["conv/left"]
        await service.broadcast("two")
        assert await texts(tom) == []
        await service.subscribe(peer)
        (joined,) = await pushes(tom)
        assert (named(joined), joined.convMessage.initBy) == ("conv/joined", "")
        await service.broadcast("three")
        assert await texts(tom) == ["three"]
        await tom.close()
        await service.broadcast("four")
        assert await push_names(tom) == []


async def test_what_one_client_is_told_alone(server: Server, service: Service) -> None:
    """Subscribed or not; and its sender is told, unless the application does not want it."""
    async with clients(server, "tom", "jerry", "agent") as (tom, jerry, agent), settled(server, tom.peer) as tablet:
        await subscribe(jerry, service)
        for session in (tom, jerry):
            await pushes(session)
        sent = await service.tell("for you", tom.peer, sender=agent.peer)
        for session in (tom, tablet, agent):
            (push,) = await pushes(session)
            direct = push.directMessage
            assert (direct.cid, direct.msg, direct.convType) == (service.id, "for you", 3)
            assert (direct.id, direct.timestamp) == (sent["msg-id"], sent["timestamp"])
        assert await push_names(jerry) == []
        await service.tell("quietly", tom.peer, jerry.peer, sender=agent.peer, no_sync=True)
        assert await texts(tom) == ["quietly"]
        assert await texts(jerry) == ["quietly"]
        assert await push_names(agent) == []
        await service.tell("gone", tom.peer, sender=agent.peer, transient=True)
        assert await texts(tom) == ["gone"]
        assert await texts(agent) == ["gone"]
        assert [item.data for item in await tom.logs(service.id)] == ["for you", "quietly"]
        assert [item.data for item in await jerry.logs(service.id)] == ["quietly"]
        assert await agent.logs(service.id) == []


async def test_what_a_client_says_reaches_the_application_only(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry), settled(server, tom.peer) as tablet:
        for session in (tom, jerry):
            await subscribe(session, service)
        for session in (tom, jerry, tablet):
            await pushes(session)
        ack = await tom.send(service.id, "question", dt="a")
        again = await tom.send(service.id, "question", dt="a")
        assert (ack.uid, ack.t) == (again.uid, again.t)
        transient = await tom.send(service.id, "typing", transient=True)
        assert transient.uid
        for session in (tom, jerry, tablet):
            assert await push_names(session) == []
        (item,) = await tom.logs(service.id)
        assert (item.msgId, item.timestamp, item.data, item.convType) == (ack.uid, ack.t, "question", 3)
        assert await jerry.logs(service.id) == []
        (record,) = await service.history(tom.peer)
        assert (record["msg-id"], record["from"], record["data"]) == (ack.uid, tom.peer, "question")
        assert (record["to"], record["conv-id"]) == (service.id, stream_of(service, tom.peer))
        assert await service.history(jerry.peer) == []


async def test_a_will_reaches_no_subscriber(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        await subscribe(jerry, service)
        await pushes(jerry)
        await tom.send(service.id, "farewell", will=True)
        talk = await tom.start(jerry.peer)
        await pushes(jerry)
        tom.connection.abort()
        async with settled(server, tom.peer) as back:
            await back.send(talk, "back")
            assert await texts(jerry) == ["back"]


@pytest.mark.parametrize("guess", ["own", "other"])
async def test_a_stream_can_not_be_asked_for(server: Server, service: Service, guess: str) -> None:
    """Its id is no secret: anybody can make it of two ids."""
    async with clients(server, "tom", "spy") as (tom, spy):
        await tom.send(service.id, "secret")
        await spy.send(service.id, "mine")
        stream = stream_of(service, tom.peer if guess == "other" else spy.peer)
        assert await spy.query({"objectId": stream}) == []
        assert await spy.query({"objectId": {"$in": [stream]}}) == []
        assert await refusal(spy.request("logs", cid=stream)) == 4303
        assert await refusal(spy.request("direct", cid=stream, msg="x")) == 4401
        for op in ("add", "remove"):
            assert await refusal(spy.request("conv", op, cid=stream, m=[spy.peer])) == 4303
        for op in ("mute", "count", "members", "max_read"):
            assert await refusal(spy.request("conv", op, cid=stream)) == 4303
        assert await refusal(spy.request("conv", "update", cid=stream, attr={"data": "{}"})) == 4303
        assert await refusal(spy.request("read", cid=stream)) == 4303
        patches = [{"cid": stream, "mid": "x", "timestamp": 1, "recall": True}]
        assert await refusal(spy.request("patch", "modify", patches=patches)) == 4401
        answer = (await spy.request("conv", "is_member", cids=[stream])).convMessage.results.data
        assert json.loads(answer) == {stream: False}
        assert [item.data for item in await spy.logs(service.id)] == ["mine"]


async def test_missed_notifications_tell_a_subscriber_of_itself_alone(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        for session in (tom, jerry):
            await subscribe(session, service)
        await unsubscribe(jerry, service)
        told = await missed(server, tom, tom.opened.serverTs)
        of_service = [item["op"] for item in told["permanent"]["notifications"] if item["cid"] == service.id]
        assert of_service == ["joined"]
        assert [item for item in told["droppable"]["notifications"] if item["cid"] == service.id] == []


async def test_no_receipts_are_given(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        for session in (tom, jerry):
            await subscribe(session, service)
        sent = await service.broadcast("hello", sender=tom.peer)
        own = await jerry.send(service.id, "thanks", r=True)
        for session in (tom, jerry):
            await session.post("ack", cid=service.id, mid=sent["msg-id"])
            await session.post("ack", cid=service.id, mid=own.uid)
            await session.read(service.id)
            await session.expect("unread")
        assert "rcp" not in [*await push_names(tom), *await push_names(jerry)]


# history


async def test_history_is_one_of_broadcasts_and_stream(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        await subscribe(tom, service)
        expected = []
        for number in range(4):
            await service.broadcast(f"all {number}")
            await service.tell(f"tom {number}", tom.peer)
            for session, name in ((tom, "tom"), (jerry, "jerry")):
                await passed((await session.send(service.id, f"from {name} {number}")).t)
            expected += [f"all {number}", f"tom {number}", f"from tom {number}"]
        whole = await tom.history(service.id)
        assert [item.data for item in whole] == expected
        for limit in (1, 2, 5):
            for direction in ("OLD", "NEW"):
                assert await walk(tom, service, limit, direction) == [item.msgId for item in whole]
        first, last = whole[1], whole[-2]
        bounds = {"t": last.timestamp, "mid": last.msgId, "tt": first.timestamp, "tmid": first.msgId}
        assert [item.data for item in await tom.logs(service.id, **bounds)] == expected[2:-2]
        both = await tom.logs(service.id, **bounds, tIncluded=True, ttIncluded=True)
        assert [item.data for item in both] == expected[1:-1]
        assert [item.data for item in await jerry.logs(service.id)] == [
            text for number in range(4) for text in (f"all {number}", f"from jerry {number}")
        ]
        assert await tom.logs(service.id, l=0) == []


async def walk(session: Session, service: Service, limit: int, direction: str) -> list[str]:
    """The ids of all messages, oldest first, read page by page."""
    found: list[str] = []
    start: dict[str, Any] = {}
    while page := await session.logs(service.id, l=limit, direction=direction, **start):
        ids = [item.msgId for item in page]
        found = found + ids if direction == "NEW" else ids + found
        edge = page[-1] if direction == "NEW" else page[0]
        start = {"t": edge.timestamp, "mid": edge.msgId}
    return found


# what is missed


async def test_unread_counts_of_broadcasts_and_stream_together(server: Server, service: Service) -> None:
    (peer,) = people("tom")
    await service.broadcast("before")
    await service.subscribe(peer)
    await service.broadcast("one")
    await service.tell("two", peer)
    sent = await service.broadcast("three")
    async with login(server, peer) as tom, login(server, peer) as tablet:
        item = await unread(tom, service)
        assert (item.unread, item.convType, item.data, item.mid) == (3, 3, "three", sent["msg-id"])
        assert (await unread(tablet, service)).unread == 3
        await passed((await tom.send(service.id, "own words do not count")).t)
        await tom.read(service.id, timestamp=sent["timestamp"] - 1)
        for session in (tom, tablet):
            (left,) = (await session.expect("unread")).unreadMessage.convs
            assert (left.cid, left.unread, left.data) == (service.id, 1, "own words do not count")
        await tom.read(service.id)
        (left,) = (await tom.expect("unread")).unreadMessage.convs
        assert left.unread == 0
    async with login(server, peer) as tom:
        assert await unread(tom, service) is None


async def test_unread_counts_of_who_has_not_subscribed(server: Server, service: Service) -> None:
    (peer,) = people("tom")
    await service.broadcast("not for tom")
    await service.tell("for tom", peer)
    async with login(server, peer) as tom:
        item = await unread(tom, service)
        assert (item.unread, item.data) == (1, "for tom")
        found = await row(tom, service, flag=2)
        assert (found["msg"], found["joined"]) == ("for tom", False)


async def test_marking_what_one_has_nothing_of_is_refused(server: Server, service: Service) -> None:
    await service.broadcast("news")
    async with clients(server, "tom") as (tom,):
        assert await refusal(tom.request("read", cid=service.id)) == 4317


async def test_older_clients_are_pushed_what_they_missed_once(server: Server, service: Service) -> None:
    (peer,) = people("tom")
    await service.subscribe(peer)
    for number in range(3):
        await service.broadcast(f"all {number}")
        await service.tell(f"tom {number}", peer)
    expected = [f"{who} {number}" for number in range(3) for who in ("all", "tom")]
    async with login(server, peer, PUSH_MODE) as tom:
        missed = [push for push in await login_pushes(tom) if named(push) == "direct"]
        assert [push.directMessage.msg for push in missed] == expected
        assert {push.directMessage.cid for push in missed} == {service.id}
        assert [push.directMessage.hasMore for push in missed] == [True] * 5 + [False]
        times = [push.directMessage.timestamp for push in missed]
        await tom.post("ack", cid=service.id, fromts=times[0], tots=times[-2])
        await tom.connection.echo()
        await tom.send(service.id, "settles the acks")
    async with login(server, peer, PUSH_MODE) as tom:
        missed = [push for push in await login_pushes(tom) if named(push) == "direct"]
        assert [push.directMessage.msg for push in missed] == expected[-1:]
        await tom.post("ack", cid=service.id, mid=missed[0].directMessage.id)
        await tom.connection.echo()
        await tom.send(service.id, "settles the acks")
    async with login(server, peer, PUSH_MODE) as tom:
        assert [push for push in await login_pushes(tom) if named(push) == "direct"] == []


# editing


@asynccontextmanager
async def back(server: Server, peer: str, last_patch: int) -> AsyncIterator[Session]:
    """A login that has seen no edits since."""
    async with connect(server) as connection:
        yield await connection.open(peer, lastPatchTime=last_patch)


async def test_the_application_edits_and_recalls_broadcasts(server: Server, service: Service) -> None:
    async with clients(server, "tom", "spike") as (tom, spike):
        await subscribe(tom, service)
        sent = await service.broadcast("helo")
        await pushes(tom)
        which = {"from_client": "news", "timestamp": sent["timestamp"]}
        path = f"{service.path}/messages/{sent['msg-id']}"
        assert await service.rest.call("PUT", path, message="hello", **which) == {"result": {}}
        (push,) = await pushes(tom)
        (patch,) = push.patchMessage.patches
        assert (named(push), patch.cid, patch.mid, patch.data) == ("patch/modify", service.id, sent["msg-id"], "hello")
        assert await service.rest.call("PUT", f"{path}/recall", **which) == {"result": {}}
        (push,) = await pushes(tom)
        assert push.patchMessage.patches[0].recall
        assert await push_names(spike) == []
        (item,) = await tom.logs(service.id)
        assert json.loads(item.data)["_lctype"] == -127
    async with back(server, tom.peer, sent["timestamp"]) as tom:
        patches = [push.patchMessage.patches[0] for push in await login_pushes(tom) if named(push) == "patch/modify"]
        assert [(patch.cid, patch.mid, patch.recall) for patch in patches] == [(service.id, sent["msg-id"], True)]


async def test_the_application_edits_what_it_told_some_clients(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        sent = await service.tell("helo", tom.peer, jerry.peer, spike.peer)
        for session in (tom, jerry, spike):
            await pushes(session)
        which = {"from_client": "news", "timestamp": sent["timestamp"], "to_clients": [tom.peer, jerry.peer]}
        path = f"{service.path}/messages/{sent['msg-id']}"
        await service.rest.call("PUT", path, message="hello", **which)
        for session in (tom, jerry):
            (push,) = await pushes(session)
            assert (push.patchMessage.patches[0].cid, push.patchMessage.patches[0].data) == (service.id, "hello")
        assert await push_names(spike) == []
        assert [item.data for item in await spike.logs(service.id)] == ["helo"]
        await service.rest.call("PUT", f"{path}/recall", **which)
        assert [push.patchMessage.patches[0].recall for push in await pushes(tom)] == [True]
        # all or none
        which["to_clients"] = [spike.peer, "nobody"]
        assert await service.rest.refused("PUT", f"{path}/recall", **which) == (400, 4404)
        assert await push_names(spike) == []
    async with back(server, tom.peer, sent["timestamp"]) as tom:
        patches = [push.patchMessage.patches[0] for push in await login_pushes(tom) if named(push) == "patch/modify"]
        assert [(patch.cid, patch.recall) for patch in patches] == [(service.id, True)]


async def test_clients_edit_only_their_own_words_inferred(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        await subscribe(tom, service)
        broadcast = await service.broadcast("news", sender=tom.peer)
        told = await service.tell("for tom", tom.peer)
        own = await tom.send(service.id, "mistake")
        for mid, timestamp, code in (
            (broadcast["msg-id"], broadcast["timestamp"], 4404),
            (told["msg-id"], told["timestamp"], 4403),
            ("unknown", own.t, 4404),
        ):
            patches = [{"cid": service.id, "mid": mid, "timestamp": timestamp, "recall": True}]
            assert await refusal(tom.request("patch", "modify", patches=patches)) == code
        patches = [{"cid": service.id, "mid": own.uid, "timestamp": own.t, "data": "better"}]
        assert await refusal(jerry.request("patch", "modify", patches=patches)) == 4404
        await tom.request("patch", "modify", patches=patches)
        assert [item.data for item in await tom.logs(service.id)] == ["news", "for tom", "better"]


async def test_an_update_is_told_to_subscribers_inferred(server: Server, service: Service) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        await subscribe(tom, service)
        await pushes(tom)
        answer = await service.rest.call("PUT", service.path, name="good news", attr={"color": "red"})
        assert answer["objectId"] == service.id
        (push,) = await pushes(tom)
        assert (named(push), push.convMessage.initBy) == ("conv/updated", "")
        assert json.loads(push.convMessage.attrModified.data) == {"name": "good news", "attr": {"color": "red"}}
        assert await push_names(jerry) == []
        found = await row(jerry, service)
        assert (found["name"], found["attr"]) == ("good news", {"color": "red"})


# erasing


async def test_what_was_erased_is_gone_at_once(server: Server, service: Service) -> None:
    (peer,) = people("tom")
    async with settled(server, peer) as tom:
        await subscribe(tom, service)
        await service.broadcast("one")
        await service.tell("two", peer)
        await tom.send(service.id, "three")
        await pushes(tom)
        assert await service.rest.call("DELETE", service.path) == {}
        assert await tom.query({"objectId": service.id}) == []
        assert await refusal(tom.request("direct", cid=service.id, msg="x")) == 4401
        assert await refusal(tom.request("logs", cid=service.id)) == 4303
        assert await refusal(tom.request("conv", "add", cid=service.id, m=[peer])) == 4303
        send = {"from_client": "news", "message": "x"}
        assert await service.rest.refused("POST", f"{service.path}/broadcasts", **send) == (400, 4401)
        assert await service.rest.refused("DELETE", service.path) == (400, 4303)
        assert await push_names(tom) == []
    for subprotocol in ("lc.protobuf2.3", PUSH_MODE):
        async with login(server, peer, subprotocol) as tom:
            told = await login_pushes(tom)
            assert [push for push in told if named(push) == "direct"] == []
            assert [item for push in told for item in push.unreadMessage.convs] == []
