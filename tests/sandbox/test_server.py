"""The sandbox itself: what the page asks it."""

from aiohttp import ClientSession

from hongyan.sandbox.server import Sandbox


async def test_it_starts_with_all_emulators(sandbox: Sandbox) -> None:
    async with ClientSession() as session, session.get(f"{sandbox.origin}/sandbox/world") as answer:
        world = await answer.json()
    assert world["origin"] == sandbox.origin
    assert world["platforms"].keys() == sandbox.emulators.keys()
