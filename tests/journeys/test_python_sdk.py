"""LeanCloud's SDK for servers (`leancloud` of PyPI), installed as published, beside a client that receives."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from tests.gateway.talk import people, push_names, settled, texts
from tests.journeys.python_sdk import LeanCloudError, PythonSdk, python_sdk
from tests.support.client import Session, login
from tests.support.rest import rest
from tests.support.server import App, Server


@pytest.fixture
def server(server_factory: Callable[..., Server]) -> Server:
    """A server of its own: a broadcast reaches every client."""
    made = server_factory()
    made.start()
    return made


@pytest.fixture
def sdk(server: Server) -> Iterator[PythonSdk]:
    """The SDK with the master key of the server's app."""
    with python_sdk(server, server.app) as running:
        yield running


async def heard(session: Session) -> str:
    """The next message that a session receives."""
    return (await session.expect("direct")).directMessage.msg


async def test_messages_and_their_history(server: Server, sdk: PythonSdk) -> None:
    ann, bob = people("ann", "bob")
    async with settled(server, ann) as session:
        cid = await session.start(bob)
        await texts(session)
        sdk.do("send", cid, bob, "hello")
        assert await heard(session) == "hello"
        sdk.do("send", cid, bob, {"_lctype": -1, "_lctext": "typed"}, push_data={"alert": "!"})
        assert json.loads(await heard(session)) == {"_lctype": -1, "_lctext": "typed"}
        sdk.do("send", cid, bob, "now", transient=True)
        assert (await session.expect("direct")).directMessage.transient
        own = (await session.send(cid, "answer")).uid
    found = sdk.do("find_by_conversation", cid)
    assert [message["data"] for message in found][::2] == ["answer", "hello"]
    newest = found[0]
    assert newest.keys() >= {"bin", "conversation_id", "data", "from_client", "from_ip", "is_conversation", "is_room"}
    assert (newest["message_id"], newest["from_client"], newest["to"]) == (own, ann, cid)
    assert (newest["bin"], newest["is_conversation"], newest["is_room"]) == (False, True, False)
    assert newest["conversation_id"] == f"{cid}00000000"
    assert abs(newest["timestamp"] - datetime.now(UTC).timestamp()) < 3_600
    assert sdk.do("find_by_conversation", cid, reversed=True) == found[::-1]
    assert sdk.do("find_by_conversation", cid, limit=1) == found[:1]
    before = {"before_time": newest["timestamp"], "before_message_id": newest["message_id"]}
    assert sdk.do("find_by_conversation", cid, **before) == found[1:]
    assert sdk.do("find_by_client", ann) == [newest]
    assert sdk.do("find_by_client", bob) == found[1:]
    assert sdk.do("find_all") == found
    assert sdk.do("find_all", 2, before["before_time"], before["before_message_id"]) == found[1:]


async def test_conversations(server: Server, sdk: PythonSdk) -> None:
    """Made, found and joined as rows of the class, of which clients are not told; unique ones are found again."""
    ann, bob, cem = people("ann", "bob", "cem")
    async with settled(server, ann) as of_ann, settled(server, cem) as of_cem:
        cid = sdk.do("create", "tea", [ann, bob], is_unique=True)
        assert sdk.do("read", cid) == {"name": "tea", "members": [ann, bob], "is_system": None}
        assert sdk.do("create", "tea", [bob, ann], is_unique=True) == cid
        sdk.do("add_member", cid, cem)
        assert sdk.do("read", cid)["members"] == [ann, bob, cem]
        assert await push_names(of_ann) == await push_names(of_cem) == []
        sdk.do("send", cid, bob, "hello")
        assert [await heard(session) for session in (of_ann, of_cem)] == ["hello"] * 2
        news = sdk.do("create", "news", [], is_system=True)
        assert sdk.do("read", news)["is_system"]
        sdk.do("send", news, "news", "to ann", to_clients=[ann])
        assert await heard(of_ann) == "to ann"
        hall = sdk.do("create", "hall", [], is_transient=True)
        await of_ann.request("conv", "add", cid=hall, m=[ann])
        sdk.do("send", hall, "host", "welcome")
        assert await heard(of_ann) == "welcome"


async def test_service_conversations(server: Server, sdk: PythonSdk) -> None:
    """To some clients, and to everybody."""
    ann, bob = people("ann", "bob")
    async with rest(server) as api, settled(server, ann) as of_ann, settled(server, bob) as of_bob:
        news = (await api.service()).id
        sdk.do("send", news, "news", "to ann", to_clients=[ann])
        assert await heard(of_ann) == "to ann"
        sdk.do("broadcast", news, "news", "to all", push_data={"alert": "!"})
        assert [await heard(session) for session in (of_ann, of_bob)] == ["to all"] * 2
    async with login(server, people("cem")[0]) as new:
        assert await heard(new) == "to all"
    (found,) = sdk.do("find_all")
    assert (found["data"], found["to"]) == ("to ann", news)
    assert sdk.do("find_by_conversation", found["conversation_id"])[-1]["data"] == "to ann"


async def test_what_it_is_refused(server: Server, sdk: PythonSdk) -> None:
    """Its errors carry the codes; without the master key it may read nothing that is everybody's."""
    with pytest.raises(LeanCloudError) as unknown:
        sdk.do("send", "0" * 24, "bob", "x")
    assert unknown.value.code == 4401
    with pytest.raises(LeanCloudError) as long:
        sdk.do("find_by_conversation", "0" * 24)
    assert long.value.code == 4303
    with python_sdk(server, server.app, master=False) as weak:
        for action in (("send", "0" * 24, "bob", "x"), ("broadcast", "0" * 24, "bob", "x"), ("find_by_client", "ann")):
            with pytest.raises(LeanCloudError) as refused:
                weak.do(*action)
            assert refused.value.code in (403, 1)
    wrong = App(server.app.id, server.app.key, "wrong-master-key")
    with python_sdk(server, wrong) as wronged, pytest.raises(LeanCloudError) as unsigned:
        wronged.do("find_all")
    assert unsigned.value.code == 401


async def test_making_a_conversation_and_adding_a_member(server: Server, sdk: PythonSdk) -> None:
    """By the class, as the SDK does: who was added is a member for other clients too."""
    ann, bob, cem = people("ann", "bob", "cem")
    cid = sdk.do("create", "trip", [ann, bob])
    assert sdk.do("read", cid) == {"name": "trip", "members": [ann, bob], "is_system": None}
    sdk.do("add_member", cid, cem)
    assert sdk.do("read", cid)["members"] == [ann, bob, cem]
    async with login(server, cem) as session:
        assert (await session.send(cid, "hello")).t > 0
    assert sdk.do("create", "trip", [ann, bob]) != cid
    news = sdk.do("create", "news", [], is_system=True)
    assert sdk.do("read", news)["is_system"] is True
