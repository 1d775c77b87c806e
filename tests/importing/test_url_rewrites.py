"""Old messages with addresses of files that are elsewhere now, as clients and the application read them."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.importing.exports import NOW, conversation, jsonl, message, stream
from tests.support.client import login
from tests.support.rest import rest
from tests.support.server import Server

OLD, NEW = "http://ac-old.clouddn.com/", "https://files.example.com/shop/"


def image(prefix: str) -> str:
    """A message with an image."""
    return json.dumps({"_lctype": -2, "_lctext": f"see {OLD}", "_lcfile": {"url": f"{prefix}a.png", "objId": "f"}})


@pytest.fixture
async def places(server: Server, tmp_path: Path) -> dict[str, str]:
    """A conversation and a service conversation with an old image each, in an app that rewrites."""
    talk, news = conversation("alice", "bob"), conversation(sys=True)
    own = {"conv-id": stream(news["objectId"], "bob")}
    jsonl(tmp_path / "in/_Conversation.jsonl", talk, news)
    jsonl(tmp_path / "in/subscribers.jsonl", {"timestamp": NOW, "subscriber": "bob", "conv_id": news["objectId"]})
    records = [
        message(talk["objectId"], data=image(OLD)),
        message(news["objectId"], sender="n", data=image(OLD), **own),
    ]
    jsonl(tmp_path / "in/messages.jsonl", *records)
    arguments = ("import", "leancloud", str(tmp_path / "in"), "--app", server.app.id)
    await asyncio.to_thread(server.hongyan, *arguments)
    await asyncio.to_thread(server.hongyan, "app", "set", server.app.id, f"url_rewrites={OLD}={NEW}")
    return {"talk": talk["objectId"], "news": news["objectId"]}


async def test_clients_read_the_new_addresses(server: Server, places: dict[str, str]) -> None:
    async with login(server, "bob") as bob:
        for place in places.values():
            assert [item.data for item in await bob.history(place)] == [image(NEW)]
        (found,) = await bob.query({"objectId": places["talk"]}, flag=2)
        assert found["msg"] == image(NEW)


async def test_the_application_reads_the_new_addresses(server: Server, places: dict[str, str]) -> None:
    async with rest(server) as api:
        for path in (
            f"/1.2/rtm/conversations/{places['talk']}/messages",
            f"/1.2/rtm/service-conversations/{places['news']}/subscribers/bob/messages",
            "/1.2/rtm/messages",
            "/1.2/rtm/clients/alice/messages",
            "/1.1/rtm/messages/history?convid=" + places["talk"],
            "/1.1/rtm/messages/logs?from=alice",
        ):
            found = await api.call("GET", path)
            assert {record["data"] for record in found} == {image(NEW)}, path


async def test_bodies_are_kept_and_told_as_they_were_sent(
    server: Server, places: dict[str, str], tmp_path: Path
) -> None:
    async with login(server, "alice") as alice, login(server, "bob") as bob:
        await alice.send(places["talk"], image(OLD))
        assert (await bob.expect("direct")).directMessage.msg == image(OLD)
        assert [item.data for item in await bob.history(places["talk"])] == [image(NEW)] * 2
    await asyncio.to_thread(server.hongyan, "export", "leancloud", str(tmp_path / "out"), "--app", server.app.id)
    rows = [json.loads(line) for line in (tmp_path / "out/messages.jsonl").read_text().splitlines()]
    assert [row["data"] for row in rows] == [image(OLD)] * 3
    await asyncio.to_thread(server.hongyan, "app", "set", server.app.id, "url_rewrites=")
    async with login(server, "bob") as bob:
        assert [item.data for item in await bob.history(places["talk"])] == [image(OLD)] * 2
