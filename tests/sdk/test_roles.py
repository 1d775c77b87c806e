"""Roles and silence in the Python client, against a real server and a scripted one."""

from typing import Any

import pytest
from hongyan_client import (
    Changed,
    Disconnected,
    HongyanError,
    MembersJoined,
    MembersSilenced,
    MembersUnsilenced,
    Role,
    RoleChanged,
    Silenced,
    Unsilenced,
)

from tests.sdk.conftest import Open
from tests.sdk.gateway import Gateway
from tests.sdk.take import Events
from tests.support.link import linked
from tests.support.server import Server


async def test_roles(log_in: Open) -> None:
    async with log_in("roles-tom") as tom, log_in("roles-jerry") as jerry:
        heard = Events(jerry)
        conversation = await tom.create_conversation("roles-jerry", "roles-spike", unique=False)
        theirs = jerry.conversation(conversation.id)
        assert await conversation.roles() == {}
        await conversation.set_role("roles-jerry", Role.MANAGER)
        told = await heard.next(RoleChanged)
        assert told == RoleChanged(theirs, "roles-jerry", Role.MANAGER, "roles-tom")
        assert await theirs.roles() == {"roles-jerry": Role.MANAGER}
        await theirs.remove("roles-spike")
        with pytest.raises(HongyanError, match="CONVERSATION_NEED_OWNER"):
            await conversation.quit()
        with pytest.raises(HongyanError, match="CONVERSATION_OPERATION_UNAUTHORIZED"):
            await theirs.set_role("roles-jerry", Role.MEMBER)
        with pytest.raises(HongyanError, match="CONVERSATION_OPERATION_UNAUTHORIZED"):
            await conversation.set_role("roles-jerry", Role.OWNER)


async def test_many_roles_are_read_page_by_page(log_in: Open, shared: Server) -> None:
    shared.hongyan("app", "set", shared.app.id, "limits=off")
    async with log_in("many-tom") as tom:
        everybody = [f"many-{number:03}" for number in range(101)]
        conversation = await tom.create_conversation(*everybody, unique=False)
        for member in everybody:
            await conversation.set_role(member, Role.MEMBER)
        assert await conversation.roles() == dict.fromkeys(everybody, Role.MEMBER)


async def test_roles_are_asked_over_http(log_in: Open, shared: Server) -> None:
    async with log_in("http-tom", server=shared.gateway_url) as tom:
        with pytest.raises(HongyanError, match="HTTP port"):
            await tom.conversation("x").roles()
    async with log_in("http-tom") as tom:
        with pytest.raises(HongyanError) as refused:
            await tom.conversation("x").roles()
        assert refused.value.code == 4303


async def test_silence(log_in: Open) -> None:
    async with log_in("hush-tom") as tom, log_in("hush-jerry") as jerry:
        heard, own = Events(jerry), Events(tom)
        conversation = await tom.create_conversation("hush-jerry", unique=False)
        theirs = jerry.conversation(conversation.id)
        assert await conversation.silence("hush-jerry", "hush-spike") == Changed(("hush-jerry", "hush-spike"))
        both = ("hush-jerry", "hush-spike")
        assert await heard.next(Silenced) == Silenced(theirs, "hush-tom")
        assert await heard.next(MembersSilenced) == MembersSilenced(theirs, both, "hush-tom")
        assert (await own.next(MembersSilenced)).clients == both
        with pytest.raises(HongyanError, match="SILIENCED"):
            await theirs.send("hello")
        assert await theirs.is_silenced("hush-jerry")
        assert not await theirs.is_silenced("hush-tom")
        with pytest.raises(HongyanError, match="CONVERSATION_OPERATION_UNAUTHORIZED"):
            await theirs.unsilence("hush-jerry")
        await conversation.unsilence("hush-jerry")
        assert await heard.next(Unsilenced) == Unsilenced(theirs, "hush-tom")
        assert await heard.next(MembersUnsilenced) == MembersUnsilenced(theirs, ("hush-jerry",), "hush-tom")
        await theirs.send("thanks")
        assert [client async for client in theirs.silenced()] == ["hush-spike"]


async def test_all_pages_of_the_silenced(log_in: Open) -> None:
    async with log_in("pages-tom") as tom:
        conversation = await tom.create_conversation(unique=False)
        everybody = [f"c{number:03}" for number in range(250)]
        await conversation.silence(*everybody)
        assert [client async for client in conversation.silenced()] == everybody


async def test_what_was_missed_is_told_after_a_cut(log_in: Open, shared: Server) -> None:
    """The client reaches HTTP directly and the gateway through the link."""
    async with linked(shared.gateway_port) as link, log_in("missed-jerry") as jerry, log_in("missed-tom") as tom:
        jerry._router._addresses, heard = [link.url], Events(jerry)
        assert jerry._connection is not None
        conversation = await tom.create_conversation("missed-jerry", unique=False)
        await heard.next(MembersJoined)
        link.refuse()
        jerry._connection.end()
        await heard.next(Disconnected)
        await conversation.set_role("missed-jerry", Role.MANAGER)
        await conversation.silence("missed-jerry")
        link.resume()
        told: dict[type, Any] = {}  # it may have come back in between: then some is pushed, before the rest is fetched
        while not told.keys() >= {RoleChanged, Silenced, MembersSilenced}:
            event = await heard.next(object)
            told[type(event)] = event
        assert told[RoleChanged].role is Role.MANAGER
        assert told[Silenced].by == "missed-tom"
        assert told[MembersSilenced].clients == ("missed-jerry",)


async def test_a_role_that_is_not_known_is_no_news(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        heard = Events(tom)
        for role in ("Emperor", "Manager"):
            await gateway.push("conv", "member_info_changed", cid="c1", info={"pid": "jerry", "role": role})
        assert (await heard.next(RoleChanged)).role is Role.MANAGER
