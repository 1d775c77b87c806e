"""What clients are told of what the application does to their conversations by REST (REST reference 3.14)."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.gateway.handlers.conversations import row
from tests.gateway.talk import clients, push_names, pushes
from tests.support.client import Refused, Session, named
from tests.support.rest import Rest, rest
from tests.support.server import Server

GROUPS, ROOMS = "/1.2/rtm/conversations", "/1.2/rtm/chatrooms"
ROWS = "/1.1/classes/_Conversation"


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Rest]:
    async with rest(server) as made:
        yield made


async def told(session: Session) -> list[tuple[str, str, list[str]]]:
    """What a session is told: the command, who did it, and whom it concerns."""
    return [(named(push), push.convMessage.initBy, sorted(push.convMessage.m)) for push in await pushes(session)]


async def refusal(request: Any) -> int:
    with pytest.raises(Refused) as refused:
        await request
    return refused.value.code


async def test_members_hear_what_they_hear_of_sdks_inferred(server: Server, api: Rest) -> None:
    async with clients(server, "tom", "jerry", "kate") as (tom, jerry, kate):
        made = await api.call("POST", GROUPS, m=[tom.peer, jerry.peer], name="tea")
        path, both = f"{GROUPS}/{made['objectId']}", sorted([tom.peer, jerry.peer])
        for session in (tom, jerry):
            assert await told(session) == [("conv/joined", "", []), ("conv/members_joined", "", both)]
        await api.call("POST", f"{path}/members", client_ids=[kate.peer, tom.peer])
        assert await told(kate) == [("conv/joined", "", []), ("conv/members_joined", "", [kate.peer])]
        assert await told(tom) == [("conv/members_joined", "", [kate.peer])]
        await api.call("PUT", path, name="coffee", color={"__op": "Increment", "amount": 1})
        for session in (tom, kate):
            (push,) = [push for push in await pushes(session) if named(push) == "conv/updated"]
            assert push.convMessage.initBy == ""
            assert json.loads(push.convMessage.attrModified.data) == {"name": "coffee", "color": 1}
        await pushes(jerry)
        await api.call("DELETE", f"{path}/members", client_ids=[kate.peer])
        assert await told(kate) == [("conv/left", "", [])]
        assert await told(tom) == [("conv/members_left", "", [kate.peer])]
        await pushes(jerry)
        await api.call("POST", f"{path}/mutes", client_ids=[tom.peer])
        await api.call("DELETE", path)
        for session in (tom, jerry, kate):
            assert await push_names(session) == []


async def test_mutes_show_to_the_client(server: Server, api: Rest) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        id = (await api.call("POST", GROUPS, m=[tom.peer, jerry.peer]))["objectId"]
        await api.call("POST", f"{GROUPS}/{id}/mutes", client_ids=[tom.peer])
        assert (await row(tom, id))["mu"] == [tom.peer]
        assert (await row(jerry, id))["mu"] == []


async def test_rows_are_written_and_nobody_is_told(server: Server, api: Rest) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        id = (await api.call("POST", GROUPS, m=[tom.peer]))["objectId"]
        await pushes(tom)
        await api.call("PUT", f"{ROWS}/{id}", name="x", m={"__op": "AddUnique", "objects": [jerry.peer]})
        for session in (tom, jerry):
            assert await push_names(session) == []
            assert (await row(session, id))["name"] == "x"
        # the next message finds the members as they are
        await tom.request("direct", cid=id, msg="hello")
        assert await push_names(jerry) == ["direct"]
        await api.call("PUT", f"{ROWS}/{id}", m=[jerry.peer])
        assert await push_names(tom) == []
        assert await refusal(tom.request("direct", cid=id, msg="hello")) == 4401
        await jerry.request("direct", cid=id, msg="hello")
        assert await push_names(tom) == []


async def test_who_was_removed_by_rest_hears_nothing_more(server: Server, api: Rest) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        id = (await api.call("POST", GROUPS, m=[tom.peer, jerry.peer]))["objectId"]
        await api.call("DELETE", f"{GROUPS}/{id}/members", client_ids=[jerry.peer])
        await tom.request("direct", cid=id, msg="secret")
        assert "direct" not in await push_names(jerry)


async def test_a_deleted_chat_room_has_nobody_to_hear(server: Server, api: Rest) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        id = (await api.call("POST", ROOMS, name="hall"))["objectId"]
        for session in (tom, jerry):
            await session.request("conv", "add", cid=id, m=[session.peer])
        assert await api.call("GET", f"{ROOMS}/{id}/members/online-count") == {"result": 2}
        await api.call("PUT", f"{ROOMS}/{id}", name="room")
        assert await push_names(tom) == ["conv/updated"]
        await api.call("DELETE", f"{ROOMS}/{id}")
        assert await refusal(tom.request("direct", cid=id, msg="x")) == 4401
        assert await refusal(tom.request("conv", "add", cid=id, m=[tom.peer])) == 4303


async def test_silence_in_a_service_conversation_is_told_to_nobody_else(server: Server, api: Rest) -> None:
    service = await api.service()
    async with clients(server, "tom", "jerry") as (tom, jerry):
        for session in (tom, jerry):
            await session.request("conv", "add", cid=service.id, m=[session.peer])
            await pushes(session)
        await api.call("POST", "/1.1/rtm/conversation/blacklist", conv_id=service.id, client_id=tom.peer, ttl=60)
        assert await told(tom) == [("conv/shutuped", "", [])]
        assert await push_names(jerry) == []
        assert await refusal(tom.request("direct", cid=service.id, msg="x")) == 4315
