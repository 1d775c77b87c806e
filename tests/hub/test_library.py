"""Previews are heavy: few are made at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hongyan import errors
from hongyan.errors import Refused
from hongyan.hub.content import Media, Message, Text
from hongyan.hub.library import REHEARSALS_WAITING, REHEARSED_AT_ONCE, Preview, Rehearsals


def message(platform: str) -> Message:
    return Message(Text(platform))


async def link(media: Media) -> str:
    return media.url


async def test_few_previews_are_made_at_once_and_not_many_wait() -> None:
    go_on, running, most = asyncio.Event(), 0, 0

    async def rehearse(message: Callable[[str], Message], link: Callable[[Media], Awaitable[str]]) -> list[Preview]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go_on.wait()
        running -= 1
        return []

    rehearsals = Rehearsals(rehearse)
    taken = [asyncio.create_task(rehearsals(message, link)) for _ in range(REHEARSED_AT_ONCE + REHEARSALS_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as caught:
        await rehearsals(message, link)
    assert caught.value.kind is errors.SERVER_BUSY
    taken.pop().cancel()  # who goes away leaves the place
    await asyncio.sleep(0)
    taken.append(asyncio.create_task(rehearsals(message, link)))
    go_on.set()
    assert await asyncio.gather(*taken) == [[]] * (REHEARSED_AT_ONCE + REHEARSALS_WAITING)
    assert most == REHEARSED_AT_ONCE
    assert await rehearsals(message, link) == []
