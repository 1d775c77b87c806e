"""Blacklists of conversations, with the SDK against the server."""

import pytest
from hongyan_client import (
    Blocked,
    Changed,
    Client,
    HongyanError,
    Kicked,
    MembersBlocked,
    MembersLeft,
    MembersUnblocked,
    Signature,
    SignatureRequest,
    Unblocked,
)

from tests.sdk.conftest import Open
from tests.sdk.take import Events


async def blocked(client: Client, conversation: str) -> list[str]:
    return [name async for name in client.conversation(conversation).blocked()]


async def test_a_blocked_client_is_out_and_everybody_is_told(log_in: Open) -> None:
    async with log_in("block-tom") as tom, log_in("block-jerry") as jerry, log_in("block-spike") as spike:
        own, at_jerry, at_spike = Events(tom), Events(jerry), Events(spike)
        conversation = await tom.create_conversation("block-jerry", "block-spike")
        assert await conversation.block("block-jerry", "block-eve") == Changed(("block-eve", "block-jerry"))
        assert set(conversation.members) == {"block-tom", "block-spike"}
        told = await at_jerry.next(Blocked)
        assert (told.conversation.id, told.by) == (conversation.id, "block-tom")
        assert (await at_jerry.next(Kicked)).by == "block-tom"
        for events in (own, at_spike):
            news = await events.next(MembersBlocked)
            assert (sorted(news.clients), news.by) == (["block-eve", "block-jerry"], "block-tom")
            assert (await events.next(MembersLeft)).members == ("block-jerry",)
        assert await blocked(spike, conversation.id) == ["block-eve", "block-jerry"]
        assert await conversation.is_blocked("block-eve")
        assert not await conversation.is_blocked("block-spike")
        at_jerrys = jerry.conversation(conversation.id)
        with pytest.raises(HongyanError, match="4548 BLOCKED_BY_CONV"):
            await at_jerrys.join()
        with pytest.raises(HongyanError, match="4548 BLOCKED_BY_CONV"):
            await conversation.add("block-jerry")
        added = await conversation.add("block-jerry", "block-max")
        assert (added.done, [failure.code for failure in added.failed]) == (("block-max",), [4548])
        with pytest.raises(HongyanError, match="4320 CONVERSATION_OPERATION_UNAUTHORIZED"):
            await at_jerrys.unblock("block-jerry")
        await conversation.unblock("block-jerry")
        assert (await at_jerry.next(Unblocked)).by == "block-tom"
        for events in (own, at_spike):
            assert (await events.next(MembersUnblocked)).clients == ("block-jerry",)
        await at_jerrys.join()
        await at_jerrys.send("back")
        assert (await at_spike.message()).content.text == "back"  # type: ignore[union-attr]


async def test_a_long_blacklist_is_read_to_its_end(log_in: Open) -> None:
    async with log_in("long-tom") as tom:
        conversation = await tom.create_conversation(unique=False)
        everyone = [f"long-{number:03}" for number in range(250)]
        await conversation.block(*everyone)
        assert await blocked(tom, conversation.id) == everyone


async def test_what_is_signed(log_in: Open) -> None:
    asked: list[SignatureRequest] = []

    async def sign(request: SignatureRequest) -> Signature:
        asked.append(request)
        return Signature("s", 1, "n")

    async with log_in("sign-tom", sign=sign) as tom:
        conversation = await tom.create_conversation(unique=False)
        await conversation.block("b", "a", "b")
        await conversation.unblock("a")
    assert [(request.action, request.members) for request in asked[-2:]] == [
        ("conversation-block-clients", ("a", "b")),
        ("conversation-unblock-clients", ("a",)),
    ]
