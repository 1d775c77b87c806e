"""To what a client has subscribed, and the older names of the calls on subscribers."""

from typing import Any

import pytest

from tests.api.conftest import Calling
from tests.support.rest import Rest, Service, passed

UNKNOWN = "65f000000000000000000009"
OLD = "/1.1/rtm/conversation"


@pytest.fixture
async def three(api: Rest) -> list[Service]:
    """What ann has subscribed to, in that order; besides she is in a group and was told something alone."""
    services = [await api.service() for _ in range(3)]
    await api.call("POST", "/1.2/rtm/conversations", m=["ann"])
    for service in services:
        await service.subscribe("ann")
        (found,) = await api.call("GET", f"{service.path}/subscribers")
        await passed(found["timestamp"])
    other = await api.service()
    await other.tell("x", "ann")
    return services


@pytest.mark.parametrize("old", [False, True])
async def test_subscriptions_in_pages(api: Rest, three: list[Service], old: bool) -> None:
    path = f"{OLD}/subscription" if old else "/1.2/rtm/clients/ann/service-conversations"

    async def page(**query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await api.call("GET", path, {**({"client_id": "ann"} if old else {}), **query})
        return found

    everything = await page()
    assert [each["conv_id"] for each in everything] == [service.id for service in three]
    assert all(each.keys() == {"timestamp", "subscriber", "conv_id"} for each in everything)
    assert {each["subscriber"] for each in everything} == {"ann"}
    for direction, expected in (("new", everything), ("old", everything[::-1])):
        walked: list[dict[str, Any]] = []
        place: dict[str, Any] = {}
        while found := await page(limit=1, direction=direction, **place):
            walked += found
            place = {name: found[-1][name] for name in ("conv_id", "timestamp")}
        assert walked == expected
    assert await page(timestamp=everything[0]["timestamp"]) == everything[1:]
    assert await page(timestamp=everything[2]["timestamp"], direction="old") == everything[1::-1]
    await three[1].unsubscribe("ann")
    assert [each["conv_id"] for each in await page()] == [three[0].id, three[2].id]
    await api.call("DELETE", three[0].path)
    assert [each["conv_id"] for each in await page()] == [three[2].id]


async def test_who_has_subscribed_to_nothing(api: Rest) -> None:
    assert await api.call("GET", "/1.2/rtm/clients/nobody/service-conversations") == []


@pytest.mark.parametrize("version", ["1.1", "1"])
async def test_subscribers_by_older_names(api: Rest, version: str) -> None:
    service, old = await api.service(), f"/{version}/rtm/conversation"
    which = {"conv_id": service.id, "client_id": "ann"}
    assert await api.call("GET", f"{old}/subscribed", which) is False
    assert await api.call("POST", f"{old}/subscription", **which) == {}
    assert await api.call("POST", f"{old}/subscription", **which) == {}
    assert await api.call("GET", f"{old}/subscribed", which) is True
    await service.subscribe("bob")
    assert await api.call("GET", f"{old}/subscribers/count", {"conv_id": service.id}) == {"count": 2}
    found = await api.call("GET", f"{old}/subscribers", {"conv_id": service.id})
    assert found == await api.call("GET", f"{service.path}/subscribers")
    assert await api.call("GET", f"{old}/subscribers", which) == found[1:]
    assert await api.call("GET", f"{old}/subscribers", {"conv_id": service.id, "limit": "1"}) == found[:1]
    assert await api.call("DELETE", f"{old}/subscription", which) == {}
    assert await api.call("DELETE", f"{old}/subscription", **which) == {}
    assert await api.call("GET", f"{old}/subscribed", which) is False


CALLS = [
    ("POST", "/subscription"),
    ("DELETE", "/subscription"),
    ("GET", "/subscribers"),
    ("GET", "/subscribers/count"),
    ("GET", "/subscribed"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_wrong_calls(api: Rest, method: str, path: str) -> None:
    group = (await api.call("POST", "/1.2/rtm/conversations", m=["ann"]))["objectId"]
    service = (await api.service()).id
    for values, code in (
        ({"client_id": "ann"}, 1),
        ({"conv_id": UNKNOWN, "client_id": "ann"}, 4303),
        ({"conv_id": group, "client_id": "ann"}, 4313),
        *(
            (({"conv_id": service}, 1), ({"conv_id": service, "client_id": "x" * 65}, 1))
            if "subscribers" not in path
            else ()
        ),
    ):
        given: dict[str, Any] = {"query": values} if method == "GET" else values
        assert await api.refused(method, OLD + path, **given) == (400, code), values


@pytest.mark.parametrize(
    "query",
    [
        {"direction": "up"},
        {"limit": "x"},
        {"conv_id": UNKNOWN},
        {"timestamp": "x"},
        {"conv_id": UNKNOWN, "timestamp": "-1"},
    ],
)
async def test_wrong_pages(api: Rest, query: dict[str, str]) -> None:
    assert await api.refused("GET", "/1.2/rtm/clients/ann/service-conversations", query) == (400, 1)
    assert await api.refused("GET", f"{OLD}/subscription", {"client_id": "ann", **query}) == (400, 1)


async def test_a_client_is_named(api: Rest) -> None:
    assert await api.refused("GET", f"{OLD}/subscription") == (400, 1)


@pytest.mark.parametrize(("method", "path"), [*CALLS, ("GET", "/subscription")])
async def test_the_master_key_is_needed(calling: Calling, method: str, path: str) -> None:
    headers = {"X-LC-Id": "home", "X-LC-Key": "home-key"}
    assert (await calling().request(method, OLD + path, headers=headers)).status_code == 403
    subscribed = "/1.2/rtm/clients/ann/service-conversations"
    assert (await calling().get(subscribed, headers=headers)).status_code == 403
