import asyncio

import pytest

from hongyan.engine.pushing import Refused
from hongyan.push.failed import Failed
from hongyan.tokens import Token, Tokens


class Service:
    """Gives tokens when the test lets it."""

    def __init__(self) -> None:
        self.asked = 0
        self.open = asyncio.Event()
        self.broken = False

    async def fetch(self) -> Token:
        self.asked += 1
        name = f"token {self.asked}"
        await self.open.wait()
        if self.broken:
            raise Failed(Refused("no"))
        return Token(name, until=100.0)


async def test_all_wait_for_one_request() -> None:
    service = Service()
    tokens = Tokens(service.fetch, lambda: 0.0)
    waiting = [asyncio.create_task(tokens.get()) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # who had it begun
    service.open.set()
    assert await asyncio.gather(*waiting[1:]) == ["token 1"] * 4
    assert service.asked == 1


async def test_a_token_serves_until_its_time() -> None:
    service, now = Service(), 0.0
    service.open.set()
    tokens = Tokens(service.fetch, lambda: now)
    assert await tokens.get() == "token 1"
    now = 99.9
    assert await tokens.get() == "token 1"
    now = 100.0
    assert await tokens.get() == "token 2"


async def test_who_hears_late_that_a_token_is_void_does_not_void_its_successor() -> None:
    service = Service()
    service.open.set()
    tokens = Tokens(service.fetch, lambda: 0.0)
    first = await tokens.get()
    tokens.void(first)
    assert await tokens.get() == "token 2"
    tokens.void(first)
    assert await tokens.get() == "token 2"


async def test_a_failure_is_told_to_all_who_wait_and_not_kept() -> None:
    service = Service()
    service.open.set()
    service.broken = True
    tokens = Tokens(service.fetch, lambda: 0.0)
    outcomes = await asyncio.gather(tokens.get(), tokens.get(), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Failed, Failed]
    assert service.asked == 1
    service.broken = False
    assert await tokens.get() == "token 2"


async def test_closing_gives_up_what_is_under_way() -> None:
    service = Service()
    tokens = Tokens(service.fetch, lambda: 0.0)
    waiting = asyncio.create_task(tokens.get())
    await asyncio.sleep(0)
    await tokens.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
