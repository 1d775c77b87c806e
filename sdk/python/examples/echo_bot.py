"""A bot that answers every message with the same: run it, and write to the client `echo`."""

import asyncio
import sys
from contextlib import suppress

from hongyan_client import Client, MessageReceived


async def main(server: str = "http://127.0.0.1:8000") -> None:
    async with Client.open(server, app_id="demo", app_key="demo-key", client_id="echo") as bot:
        async for event in bot.events():
            if isinstance(event, MessageReceived) and event.message.sender != bot.client_id:
                await event.conversation.send(event.message.content)


with suppress(KeyboardInterrupt):
    asyncio.run(main(*sys.argv[1:]))
