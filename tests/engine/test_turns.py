"""Lines: all go on at once, and end in order."""

import asyncio

from hongyan.engine.turns import Turns


async def test_who_came_first_is_first() -> None:
    turns, ended = Turns(), list[str]()

    async def go(name: str, *keys: str) -> None:
        turn = turns.take(keys)
        await turn.comes()
        ended.append(name)
        turn.end()

    first = turns.take(["a"])
    tasks = [asyncio.create_task(go(name, *keys)) for name, keys in {"1": "a", "2": "ab", "3": "b", "4": "c"}.items()]
    await tasks[3]
    assert ended == ["4"], "another line"
    assert turns.any("a")
    first.end()
    await asyncio.gather(*tasks)
    assert ended == ["4", "1", "2", "3"]
    assert not any(map(turns.any, "abc"))


async def test_who_leaves_early_keeps_nobody() -> None:
    turns = Turns()
    first, second, third = (turns.take(["a", "a"]) for _ in range(3))
    second.end()
    waiting = asyncio.create_task(third.comes())
    first.end()
    await waiting
    third.end()
    assert not turns.any("a")


async def test_one_line_is_left_before_the_others() -> None:
    turns = Turns()
    first, second, third = turns.take("ab"), turns.take("a"), turns.take("b")
    first.leave(["a", "c"])
    await second.comes()
    second.end()
    waiting = asyncio.create_task(third.comes())
    first.end()
    await waiting
    third.end()
    assert not any(map(turns.any, "ab"))
