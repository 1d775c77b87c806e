"""Channels over our own API: who may, what is taken, what becomes of messages."""

import asyncio
import itertools
import json
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from hongyan.api.v1 import channels as v1_channels
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.files import Files
from hongyan.engine.turns import Turns
from hongyan.engine.values import DAY, App
from hongyan.hub import connectors, order, tries
from hongyan.hub.channel_credentials import HIDDEN
from hongyan.hub.channels import CHANNELS_MAX
from hongyan.hub.connector import Acted, Chat, Feature, Happened, Outcome, Person, Problem, Result, Said, Target
from hongyan.hub.content import Message, Text
from hongyan.hub.hub import Hub
from hongyan.hub.judging import WAITS
from hongyan.hub.media import Addresses
from hongyan.hub.records import Heard, Linked, lane
from hongyan.hub.threads import Threads
from hongyan.hub.tries import SEND_STEP
from hongyan.hub.watching import Watching
from hongyan.jobs import Jobs
from hongyan.outbound import Outbound
from hongyan.store import Store
from hongyan.webhooks.follower import WebhookFollower
from tests.api.conftest import Calling, Served
from tests.support.fake_channel import SECRET, Judge, Platform, ok, platform

__all__ = ["platform"]

CHANNELS = "/api/v1/channels"
UNKNOWN = "65f000000000000000000001"
HELLO = {"content": {"type": "text", "text": "Hello"}}
PATIENCE = 60.0
"""Seconds after which what does not come is an error."""
WAIT_MAX = 30
"""Seconds for which a call waits at most."""


class Time(Clock):
    """A clock that tests set forward (s)."""

    ahead = 0.0

    def now(self) -> int:
        return super().now() + round(self.ahead * 1000)


@pytest.fixture
def time(engine: Engine, hub: Hub, store: Store) -> Time:
    """The clock of messages and of jobs."""
    made = Time()
    hub.sending._clock = hub.tries._clock = hub.afterwards._clock = made
    store.jobs._clock = made
    return made


@pytest.fixture
async def jobs(store: Store, hub: Hub, time: Time, platform: Platform) -> AsyncIterator[Jobs]:
    made = Jobs(store.jobs, time, hub.kinds())
    hub.channels._resume = made.resume
    await made.start()
    yield made
    platform.go_on.set()
    await made.stop(5)


async def call(http: httpx.AsyncClient, method: str, path: str = "", status: int = 200, **given: Any) -> Any:
    answer = await http.request(method, CHANNELS + path, **given)
    assert answer.status_code == status, answer.text
    return answer.json()


async def refused(http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = await http.request(method, CHANNELS + path, json=body)
    assert answer.json().keys() == {"code", "error"}, answer.text
    return answer.status_code, answer.json()["error"]


async def made(http: httpx.AsyncClient, name: str = "ops", kind: str = "fake", **values: Any) -> dict[str, Any]:
    body = {"name": name, "kind": kind, "credentials": {"key": SECRET}, **values}
    answer: dict[str, Any] = await call(http, "POST", "", 201, json=body)
    return answer


async def sent(http: httpx.AsyncClient, channel: str, *to: str, wait: float = WAIT_MAX, **more: Any) -> dict[str, Any]:
    body = {"to": to or ("user:u1",), "message": HELLO, "wait": wait, **more}
    answer = await http.post(f"{CHANNELS}/{channel}/messages", json=body)
    assert answer.status_code in (200, 202), answer.text
    assert (answer.status_code == 202) == (answer.json()["state"] == "waiting")
    shown: dict[str, Any] = answer.json()
    return shown


def became(message: dict[str, Any]) -> dict[str, str]:
    return {each["to"]: each["state"] for each in message["targets"]}


async def tried(platform: Platform, times: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(platform.calls) < times:
            await asyncio.sleep(0.005)


async def settled(hub: Hub, channel: str, message: str, tries: int) -> dict[str, Any]:
    """The message when so many tries are on disk."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await hub.sending.get(hub.channels._all[channel], message)
            if found.deliveries[0].tries >= tries:
                return {"targets": [{"to": str(each.target), "state": each.state} for each in found.deliveries]}
            await asyncio.sleep(0.005)


# channels


async def test_a_channel_is_made_read_changed_and_deleted(http: httpx.AsyncClient, platform: Platform) -> None:
    new = await made(http, description="alerts")
    assert new == {
        "id": new["id"],
        "name": "ops",
        "kind": "fake",
        "credentials": {"key": HIDDEN, "region": "cn", "base_url": "https://platform.example"},
        "description": "alerts",
        "enabled": True,
        "health": {"failing_since": None, "failure": None, "advice": None, "last_success_at": None},
        "inbound_url": new["inbound_url"],
        "created_at": new["created_at"],
        "updated_at": new["created_at"],
    }
    assert new["inbound_url"].startswith("https://chat.example.com/api/v1/channels/inbound/")
    assert await call(http, "GET", f"/{new['id']}") == new
    assert await call(http, "GET") == {"items": [new], "next": None}
    changed = await call(http, "PATCH", f"/{new['id']}", json={"name": "night", "enabled": False})
    assert changed == {**new, "name": "night", "enabled": False, "updated_at": changed["updated_at"]}
    assert await call(http, "DELETE", f"/{new['id']}") == {}
    assert await refused(http, "GET", f"/{new['id']}") == await refused(http, "GET", f"/{UNKNOWN}")


async def test_secrets_are_in_no_answer_repr_or_row(
    http: httpx.AsyncClient, hub: Hub, store: Store, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    new = await made(http)
    read = [await http.get(f"{CHANNELS}{path}") for path in ("", f"/{new['id']}")]
    assert SECRET not in json.dumps(new) + "".join(each.text for each in read)
    channel = hub.channels._all[new["id"]]
    assert SECRET not in repr(channel)
    assert channel.token not in repr(channel)
    rows = await store._reader.run(lambda driver: driver.execute("SELECT * FROM hub_channel").fetchall())
    assert SECRET not in repr(rows)
    assert channel.token not in repr(rows)
    assert SECRET not in caplog.text


async def test_credentials_that_are_left_out_or_hidden_stay(http: httpx.AsyncClient, platform: Platform) -> None:
    new = await made(http)
    await call(http, "PATCH", f"/{new['id']}", json={"credentials": {**new["credentials"], "region": "us"}})
    assert (platform.opened[-1].key, platform.opened[-1].region) == (SECRET, "us")
    await call(http, "PATCH", f"/{new['id']}", json={"credentials": {"key": "other"}})
    assert (platform.opened[-1].key, platform.opened[-1].region) == ("other", "us")


async def test_secrets_do_not_follow_to_another_place(http: httpx.AsyncClient, platform: Platform) -> None:
    """Whoever may change a channel, but not read its secrets, does not get them by leading it to a server of theirs."""
    new = await made(http)
    for given in ({"base_url": "https://evil.example"}, {"base_url": "https://evil.example", "key": HIDDEN}):
        status, error = await refused(http, "PATCH", f"/{new['id']}", {"credentials": given})
        assert (status, "`key` again" in error) == (400, True)
    assert (await call(http, "GET", f"/{new['id']}"))["credentials"] == new["credentials"]
    await call(http, "PATCH", f"/{new['id']}", json={"credentials": {"base_url": "https://platform.example"}})
    there = {"base_url": "https://elsewhere.example", "key": "another"}
    await call(http, "PATCH", f"/{new['id']}", json={"credentials": there})
    assert (platform.opened[-1].base_url, platform.opened[-1].key) == ("https://elsewhere.example", "another")


async def test_channels_are_there_after_a_start(http: httpx.AsyncClient, hub: Hub, platform: Platform) -> None:
    new = await made(http)
    before = hub.channels._all
    await hub.channels.load()
    assert hub.channels._all == before
    assert hub.channels._all is not before
    assert (await call(http, "GET", f"/{new['id']}"))["name"] == "ops"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"kind": "fax"}, "there is no kind of channel 'fax': there are fake, fake_robot, hongyan"),
        ({"name": ""}, "name has 1 to 64 printable characters"),
        ({"name": "a\nb"}, "name has 1 to 64 printable characters"),
        ({"credentials": {}}, "missing required field `key`"),
        ({"credentials": {"key": 7}}, "Expected `str`, got `int`"),
        ({"credentials": {"key": SECRET, "kez": 1}}, "unknown field `kez`; fake has `key`, "),
        ({"credentials": {"key": SECRET, "region": "nowhere"}}, "region is one of cn, us"),
        ({"description": "x" * 300}, "description has at most 256"),
        ({"more": 1}, "unknown field `more`"),
    ],
)
async def test_a_bad_channel_gets_one_clear_error(
    http: httpx.AsyncClient, platform: Platform, body: dict[str, Any], why: str
) -> None:
    good = {"name": "ops", "kind": "fake", "credentials": {"key": SECRET}}
    status, error = await refused(http, "POST", "", {**good, **body})
    assert status == 400
    assert why in error
    assert SECRET not in error
    assert (await call(http, "GET"))["items"] == []


async def test_names_are_unique_in_an_app(
    http: httpx.AsyncClient, platform: Platform, engine: Engine, calling: Calling
) -> None:
    await made(http)
    other = await made(http, name="night")
    good = {"name": "ops", "kind": "fake", "credentials": {"key": SECRET}}
    assert (await refused(http, "POST", "", good))[0] == 400
    assert (await refused(http, "PATCH", f"/{other['id']}", {"name": "ops"}))[0] == 400
    app = await engine.apps.create("second", id="second", key="second-key")
    async with calling() as stranger:
        stranger.headers.update({"X-LC-Id": app.id, "X-LC-Key": f"{app.master_key},master"})
        await made(stranger)


async def test_an_app_has_a_number_of_channels(
    http: httpx.AsyncClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.hub.channels.CHANNELS_MAX", 1)
    assert CHANNELS_MAX == 200
    await made(http)
    status, error = await refused(http, "POST", "", {"name": "two", "kind": "fake", "credentials": {"key": SECRET}})
    assert (status, "at most 1 channels" in error) == (409, True)


async def test_kinds_tell_their_fields(http: httpx.AsyncClient, platform: Platform) -> None:
    kinds = {each["name"]: each for each in (await call(http, "GET", "/kinds"))["items"]}
    assert kinds["fake"]["credentials"][:2] == [
        {"name": "key", "type": "string", "required": True, "secret": True, "default": None},
        {"name": "region", "type": "string", "required": False, "secret": False, "default": "cn"},
    ]
    assert kinds["fake"]["targets"] == ["all", "group", "user"]
    assert kinds["fake_robot"]["targets"] == ["here"]
    assert "recall" in kinds["fake"]["features"]
    assert kinds["hongyan"]["credentials"][0]["name"] == "sender"


async def test_foreign_and_missing_channels_look_the_same(
    http: httpx.AsyncClient, platform: Platform, engine: Engine, calling: Calling
) -> None:
    own = (await made(http))["id"]
    app = await engine.apps.create("second", id="second", key="second-key")
    async with calling() as stranger:
        stranger.headers.update({"X-LC-Id": app.id, "X-LC-Key": f"{app.master_key},master"})
        for method, path, body in (
            ("GET", "", None),
            ("PATCH", "", {"name": "mine"}),
            ("DELETE", "", None),
            ("POST", "/check", None),
            ("POST", "/test", {}),
            ("POST", "/messages", {"to": ["user:1"], "message": HELLO}),
            ("GET", "/messages", None),
            ("GET", f"/messages/{UNKNOWN}", None),
        ):
            foreign = await refused(stranger, method, f"/{own}{path}", body)
            assert foreign == await refused(stranger, method, f"/{UNKNOWN}{path}", body)
            assert foreign[0] == 404
    assert [each["id"] for each in (await call(http, "GET"))["items"]] == [own]


async def test_the_master_key_is_needed(calling: Calling, platform: Platform, app: App) -> None:
    async with calling() as stranger:
        stranger.headers.update({"X-LC-Id": app.id, "X-LC-Key": app.app_key})
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/kinds"), ("GET", f"/{UNKNOWN}/messages")):
            assert (await stranger.request(method, CHANNELS + path)).status_code == 401


async def test_a_check_tells_the_account_or_what_to_do(http: httpx.AsyncClient, platform: Platform) -> None:
    new = await made(http)
    good = await call(http, "POST", f"/{new['id']}/check")
    assert good == {"ok": True, "account": "Robot 7", "outcome": None, "reason": None, "advice": None}
    platform.problem = Problem(Outcome.BAD_CREDENTIAL, "invalid appsecret", advice="Copy the secret again.")
    bad = await call(http, "POST", f"/{new['id']}/check")
    assert bad == {
        "ok": False,
        "account": None,
        "outcome": "bad_credential",
        "reason": "invalid appsecret",
        "advice": "Copy the secret again.",
    }
    health = (await call(http, "GET", f"/{new['id']}"))["health"]
    assert (health["failure"], health["advice"]) == ("invalid appsecret", "Copy the secret again.")
    assert health["failing_since"] is not None


# sending


@pytest.mark.usefixtures("jobs")
async def test_a_message_is_sent_and_told_of(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]
    message = await sent(http, channel, "user:u1", "group:g1", "user:u1", "all")
    assert became(message) == {"user:u1": "sent", "group:g1": "sent", "all": "sent"}
    assert message["state"] == "sent"
    assert message["message"] == HELLO
    assert message["notes"] == [{"rule": "level_to_sign", "detail": ""}]
    assert message["targets"][0]["receipt"] == {"id": "m-user:u1"}
    (one,) = platform.calls
    assert one.key == message["id"]
    assert one.to == (Target("user", "u1"), Target("group", "g1"), Target("all"))
    assert await call(http, "GET", f"/{channel}/messages/{message['id']}") == message
    assert (await call(http, "GET", f"/{channel}"))["health"]["last_success_at"] is not None


@pytest.mark.usefixtures("jobs")
async def test_a_call_that_does_not_wait_answers_at_once(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]
    platform.go_on.clear()
    message = await sent(http, channel, wait=0)
    assert message["state"] == "waiting"
    platform.go_on.set()
    await tried(platform, 1)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"to": []}, "`to` names 1 to 1,000 targets"),
        ({"to": ["u1"]}, "have targets such as"),
        ({"to": ["user:"]}, "is no target"),
        ({"to": ["all:x"]}, "is no target"),
        ({"to": ["email:a@b.c"]}, "have targets such as `all`, `group:…`, `user:…`"),
        ({"message": {"content": {"type": "text", "text": " "}}}, "text is missing"),
        ({"message": {"content": {"type": "fax"}}}, "Invalid value 'fax'"),
        ({"message": {**HELLO, "thread": UNKNOWN}}, "no message of this channel"),
        ({"wait": 31}, "wait is a number of seconds from 0 to 30"),
        ({"idempotency_key": ""}, "idempotency_key has 1 to 64 characters"),
    ],
)
async def test_a_bad_message_gets_one_clear_error(
    http: httpx.AsyncClient, platform: Platform, body: dict[str, Any], why: str
) -> None:
    channel = (await made(http))["id"]
    status, error = await refused(http, "POST", f"/{channel}/messages", {"to": ["user:u1"], "message": HELLO, **body})
    assert status == 400
    assert why in error
    assert (await call(http, "GET", f"/{channel}/messages"))["items"] == []


@pytest.mark.usefixtures("jobs")
async def test_a_robot_needs_no_target(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http, kind="fake_robot"))["id"]
    answer = await http.post(f"{CHANNELS}/{channel}/messages", json={"message": HELLO, "wait": WAIT_MAX})
    assert became(answer.json()) == {"here": "sent"}
    status, error = await refused(http, "POST", f"/{channel}/messages", {"to": ["user:1"], "message": HELLO})
    assert (status, "targets such as `here`" in error) == (400, True)


@pytest.mark.usefixtures("jobs")
async def test_the_same_key_sends_once(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]
    first = await sent(http, channel, idempotency_key="order-7")
    assert await sent(http, channel, idempotency_key="order-7") == first
    assert len(platform.calls) == 1
    other = {"to": ["user:u2"], "message": HELLO, "idempotency_key": "order-7"}
    status, error = await refused(http, "POST", f"/{channel}/messages", other)
    assert (status, "with another message" in error) == (400, True)


@pytest.mark.usefixtures("jobs")
async def test_final_outcomes_are_final_and_others_are_tried_again(
    http: httpx.AsyncClient, platform: Platform, hub: Hub, time: Time
) -> None:
    channel = (await made(http))["id"]

    def first(target: Target) -> Result:
        outcomes = {"u1": Outcome.OK, "u2": Outcome.BAD_RECIPIENT, "u3": Outcome.TRANSIENT}
        return Result(target, outcomes[target.id], reason="because")

    platform.judges = [first, ok]
    message = await sent(http, channel, "user:u1", "user:u2", "user:u3", wait=0)
    async with asyncio.timeout(PATIENCE):
        while became(message) != {"user:u1": "sent", "user:u2": "failed", "user:u3": "waiting"}:
            message = await call(http, "GET", f"/{channel}/messages/{message['id']}")
    time.ahead = WAITS[0] * 1.2
    async with asyncio.timeout(PATIENCE):
        while len(platform.calls) < 2:
            await http.patch(f"{CHANNELS}/{channel}", json={"enabled": True})  # so that it is looked at now
    assert platform.calls[1].to == (Target("user", "u3"),)
    assert platform.calls[1].key == platform.calls[0].key
    await hub.sending.ended(await hub.sending.get(hub.channels._all[channel], message["id"]), PATIENCE)
    message = await call(http, "GET", f"/{channel}/messages/{message['id']}")
    assert became(message) == {"user:u1": "sent", "user:u2": "failed", "user:u3": "sent"}
    assert message["state"] == "partial"
    assert hub.tries.counts == {("fake", "ok"): 2, ("fake", "bad_recipient"): 1}


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    ("features", "once", "tries"),
    [(frozenset[Feature](), True, 1), (frozenset({Feature.ONCE}), True, 3), (frozenset({Feature.ONCE}), False, 1)],
)
async def test_what_is_unknown_is_tried_again_only_where_that_is_harmless(
    http: httpx.AsyncClient, platform: Platform, hub: Hub, features: frozenset[Feature], once: bool, tries: int
) -> None:
    platform.features = features
    platform.judges = [platform.says(Outcome.UNKNOWN, reason="no answer", once=once)]
    channel = (await made(http))["id"]
    message = await sent(http, channel, wait=0)
    async with asyncio.timeout(PATIENCE):
        while (await settled(hub, channel, message["id"], 1))["targets"][0]["state"] == "waiting":
            await http.patch(f"{CHANNELS}/{channel}", json={"enabled": True})  # so that it is looked at now
    message = await call(http, "GET", f"/{channel}/messages/{message['id']}")
    assert became(message) == {"user:u1": "failed"}
    assert message["targets"][0]["tries"] == len(platform.calls) == tries
    assert len({call.key for call in platform.calls}) == 1


@pytest.mark.usefixtures("jobs")
async def test_a_bad_credential_keeps_messages_until_it_is_mended(
    http: httpx.AsyncClient, platform: Platform, hub: Hub
) -> None:
    channel = (await made(http))["id"]
    bad = platform.says(Outcome.BAD_CREDENTIAL, reason="invalid key", advice="Give the new key.")
    platform.judges = [bad]
    message = await sent(http, channel, wait=0)
    await settled(hub, channel, message["id"], 1)
    async with asyncio.timeout(PATIENCE):
        while (health := (await call(http, "GET", f"/{channel}"))["health"])["failing_since"] is None:
            pass
    assert (health["failure"], health["advice"]) == ("invalid key", "Give the new key.")
    assert [each.id for each in hub.channels.failing()] == [channel]
    assert became(await call(http, "GET", f"/{channel}/messages/{message['id']}")) == {"user:u1": "waiting"}
    platform.judges = [ok]
    async with asyncio.timeout(PATIENCE):
        while (await hub.sending.get(hub.channels._all[channel], message["id"])).waits:
            await call(http, "PATCH", f"/{channel}", json={"credentials": {"key": "new"}})
    assert became(await call(http, "GET", f"/{channel}/messages/{message['id']}")) == {"user:u1": "sent"}
    assert (await call(http, "GET", f"/{channel}"))["health"]["failing_since"] is None


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("outcome", [Outcome.BAD_CREDENTIAL, Outcome.THROTTLED, Outcome.TRANSIENT])
async def test_after_a_day_a_message_is_given_up(
    http: httpx.AsyncClient, platform: Platform, time: Time, outcome: Outcome
) -> None:
    channel = (await made(http))["id"]
    platform.judges = [platform.says(outcome, reason="not today")]
    message = await sent(http, channel, wait=0)
    await tried(platform, 1)
    time.ahead = DAY / 1000 + 1
    async with asyncio.timeout(PATIENCE):
        while (message := await call(http, "GET", f"/{channel}/messages/{message['id']}"))["state"] == "waiting":
            await http.patch(f"{CHANNELS}/{channel}", json={"enabled": True})
    assert became(message) == {"user:u1": "failed"}
    assert (message["targets"][0]["outcome"], message["targets"][0]["reason"]) == (outcome, "not today")


@pytest.mark.usefixtures("jobs")
async def test_a_throttled_channel_waits_as_a_whole(
    http: httpx.AsyncClient, platform: Platform, time: Time, hub: Hub, jobs: Jobs
) -> None:
    channel = (await made(http))["id"]
    platform.judges = [platform.says(Outcome.THROTTLED, after=60.0, everybody=True), ok]
    first = await sent(http, channel, wait=0)
    await tried(platform, 1)
    async with asyncio.timeout(PATIENCE):
        while not jobs._lanes[lane(channel)]._paused_until:
            await asyncio.sleep(0.005)
    second = await sent(http, channel, "user:u2", wait=0.2)
    assert second["state"] == "waiting"
    assert len(platform.calls) == 1
    time.ahead = 70
    jobs.look({lane(channel)})
    for message in (first, second):
        await hub.sending.ended(await hub.sending.get(hub.channels._all[channel], message["id"]), PATIENCE)
        assert (await call(http, "GET", f"/{channel}/messages/{message['id']}"))["state"] == "sent"
    assert next(iter(platform.calls)).to == (Target("user", "u1"),)


MANY = tuple(f"user:u{number}" for number in range(2 * SEND_STEP + 50))


async def states(hub: Hub, channel: str, message: str) -> Counter[tuple[str, str]]:
    """How many targets are how, as it is on disk."""
    found = await hub.sending.get(hub.channels._all[channel], message)
    return Counter((each.state.value, each.outcome) for each in found.deliveries)


def then(platform: Platform, do: Callable[[], object]) -> Judge:
    """Takes everything, and has something happen with it."""

    def judge(target: Target) -> Result:
        do()
        return ok(target)

    return judge


async def test_what_became_of_some_targets_is_written_before_others_are_tried(
    http: httpx.AsyncClient, platform: Platform, hub: Hub, store: Store, time: Time, jobs: Jobs
) -> None:
    channel = (await made(http))["id"]
    platform.judges = [then(platform, platform.go_on.clear), ok]
    message = (await sent(http, channel, *MANY, wait=0))["id"]
    await tried(platform, 2)
    assert await states(hub, channel, message) == {("sent", "ok"): SEND_STEP, ("waiting", ""): SEND_STEP + 50}
    await jobs.stop(0)  # as if the server were killed
    platform.go_on.set()
    again = Jobs(store.jobs, time, hub.kinds())
    await again.start()
    await hub.sending.ended(await hub.sending.get(hub.channels._all[channel], message), PATIENCE)
    await again.stop(5)
    assert await states(hub, channel, message) == {("sent", "ok"): len(MANY)}
    assert [len(each.to) for each in platform.calls] == [SEND_STEP, SEND_STEP, SEND_STEP, 50]
    assert platform.calls[2].to == platform.calls[1].to
    assert [str(each) for call in platform.calls[:1] + platform.calls[2:] for each in call.to] == list(MANY)


@pytest.mark.usefixtures("jobs")
async def test_targets_that_were_reached_are_not_unknown_when_a_try_takes_too_long(
    http: httpx.AsyncClient, platform: Platform, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = (await made(http))["id"]

    def stalled(target: Target) -> Result:
        monkeypatch.setattr(tries, "TRY_MAX", 0.0)
        raise TimeoutError

    platform.judges = [ok, stalled, ok]
    message = (await sent(http, channel, *MANY, wait=0))["id"]
    wanted = {("sent", "ok"): SEND_STEP, ("failed", "unknown"): SEND_STEP, ("waiting", "transient"): 50}
    async with asyncio.timeout(PATIENCE):
        while await states(hub, channel, message) != wanted:
            await asyncio.sleep(0.005)
    assert len(platform.calls) == 2


@pytest.mark.usefixtures("jobs")
async def test_what_concerns_the_whole_channel_fails_the_other_targets_without_a_call(
    http: httpx.AsyncClient, platform: Platform, hub: Hub
) -> None:
    channel = (await made(http))["id"]
    platform.judges = [platform.says(Outcome.THROTTLED, after=60.0, everybody=True), ok]
    message = (await sent(http, channel, *MANY, wait=0))["id"]
    async with asyncio.timeout(PATIENCE):
        while await states(hub, channel, message) != {("waiting", "throttled"): len(MANY)}:
            await asyncio.sleep(0.005)
    assert len(platform.calls) == 1


@pytest.mark.usefixtures("jobs")
async def test_a_channel_that_is_disabled_meanwhile_sends_to_nobody_else(
    http: httpx.AsyncClient, platform: Platform, hub: Hub
) -> None:
    channel = (await made(http))["id"]
    platform.go_on.clear()
    message = (await sent(http, channel, *MANY, wait=0))["id"]
    await tried(platform, 1)
    await call(http, "PATCH", f"/{channel}", json={"enabled": False})
    platform.go_on.set()
    wanted = {("sent", "ok"): SEND_STEP, ("waiting", "bad_credential"): SEND_STEP + 50}
    async with asyncio.timeout(PATIENCE):
        while await states(hub, channel, message) != wanted:
            await hub.channels._jobs.hasten(lane(channel))  # so that it is looked at now
    assert len(platform.calls) == 1


@pytest.mark.usefixtures("jobs")
async def test_targets_that_one_call_of_the_platform_reaches_stay_together(
    http: httpx.AsyncClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = connectors.kind("fake")
    assert fake is not None
    monkeypatch.setattr(connectors, "kind", lambda name: replace(fake, batch=1_000))
    channel = (await made(http))["id"]
    message = await sent(http, channel, *MANY, "all", "group:g1")
    assert message["state"] == "sent"
    assert [len(each.to) for each in platform.calls] == [len(MANY) + 1, 1]


@pytest.mark.usefixtures("jobs")
async def test_messages_to_one_target_go_in_their_order(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]
    platform.go_on.clear()
    messages = [await sent(http, channel, wait=0) for _ in range(5)]
    other = await sent(http, channel, "user:u2", wait=0)
    await tried(platform, 2)
    assert {call.key for call in platform.calls} == {messages[0]["id"], other["id"]}
    platform.go_on.set()
    await tried(platform, 6)
    own = [call.key for call in platform.calls if call.to == (Target("user", "u1"),)]
    assert own == [each["id"] for each in messages]


@pytest.mark.usefixtures("jobs")
async def test_while_it_is_written_what_became_of_a_message_the_next_goes_and_an_answer_to_it_waits(
    http: httpx.AsyncClient, platform: Platform, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, goes = hub.tries._posts.keep, asyncio.Event()

    async def slowly(*given: Any) -> None:
        await goes.wait()
        await keep(*given)

    monkeypatch.setattr(hub.tries._posts, "keep", slowly)
    channel = (await made(http))["id"]
    first = (await sent(http, channel, wait=0))["id"]
    answer = (await sent(http, channel, message={**HELLO, "thread": first}, wait=0))["id"]
    others = [(await sent(http, channel, *to, wait=0))["id"] for to in (("user:u2",), ("user:u2",))]
    await tried(platform, 3)
    assert [call.key for call in platform.calls] == [first, *others]
    goes.set()
    await tried(platform, 4)
    assert (platform.calls[3].key, platform.calls[3].thread) == (answer, {"id": "m-user:u1"})


@pytest.mark.usefixtures("jobs")
async def test_an_answer_that_waits_for_others_to_its_target_keeps_nobody_from_the_message(
    http: httpx.AsyncClient, platform: Platform
) -> None:
    """Neither its recall, nor answers to other targets."""
    channel = (await made(http))["id"]
    thread = {**HELLO, "thread": (await sent(http, channel))["id"]}
    platform.go_on.clear()
    await sent(http, channel, "user:slow", wait=0)
    await tried(platform, 2)
    await sent(http, channel, "user:slow", message=thread, wait=0)
    other = (await sent(http, channel, "user:u1", message=thread, wait=0))["id"]
    await tried(platform, 3)
    assert platform.calls[2].key == other
    recalled = await call(http, "DELETE", f"/{channel}/messages/{thread['thread']}")
    assert recalled["message"]["state"] == "recalled"


@pytest.mark.parametrize(
    ("outcome", "everybody"),  # one that fails alone lets others pass
    [(Outcome.THROTTLED, True), (Outcome.THROTTLED, False), (Outcome.TRANSIENT, True)],
)
async def test_messages_to_one_target_keep_their_order_while_a_rate_stops_them(
    http: httpx.AsyncClient,
    platform: Platform,
    time: Time,
    jobs: Jobs,
    everybody: bool,
    outcome: Outcome,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(order, "HELD_MAX", DAY)  # the test's minutes are shorter than its tries
    channel = (await made(http))["id"]
    went: list[str] = []
    room = 2

    def paced(target: Target) -> Result:
        nonlocal room
        if target.id == "u2":
            return ok(target)
        if not room:
            return Result(target, outcome, reason="not now", after=5.0, everybody=everybody)
        room -= 1
        went.append(platform.calls[-1].key)
        return ok(target)

    platform.judges = [paced]
    messages = [(await sent(http, channel, wait=0))["id"] for _ in range(20)]
    async with asyncio.timeout(PATIENCE):
        while len(went) < len(messages):
            await asyncio.sleep(0.02)
            room = 2
            time.ahead += 7
            jobs.look({lane(channel)})
    assert went == messages


async def test_they_keep_it_also_across_a_restart(
    http: httpx.AsyncClient,
    hub: Hub,
    store: Store,
    platform: Platform,
    time: Time,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(order, "HELD_MAX", DAY)  # it is the order that is tried, however long the restart takes
    channel = (await made(http))["id"]
    platform.judges = [platform.says(Outcome.TRANSIENT, after=3_000.0)]
    failing = await sent(http, channel, "user:u2", wait=0)  # alone: it lets others pass
    await settled(hub, channel, failing["id"], 1)
    platform.judges = [platform.says(Outcome.THROTTLED, after=60.0)]
    stopped = await sent(http, channel, wait=0)
    await tried(platform, 2)
    behind = await sent(http, channel, wait=0)
    place = channel, Target("user", "u1")
    async with asyncio.timeout(PATIENCE):
        while len(hub.tries._order._held[place]._jobs) < 2:
            await asyncio.sleep(0.005)
    await jobs.stop(5)
    platform.judges = [ok]
    posts = store.hub.posts
    threads = Threads(posts, store.hub.heard)
    anew = tries.Tries(hub.channels, posts, store.jobs, threads, time, Turns(), Watching())
    again = Jobs(store.jobs, time, {tries.KIND: anew.kind})
    hub.channels._resume = again.resume
    await again.start()
    later = await sent(http, channel, wait=0)
    passing = await sent(http, channel, "user:u2", wait=0)
    await tried(platform, 3)
    assert platform.calls[-1].key == passing["id"]
    time.ahead += 70
    again.look({lane(channel)})
    await tried(platform, 6)
    assert [call.key for call in platform.calls[3:]] == [stopped["id"], behind["id"], later["id"]]
    await again.stop(5)


async def test_parts_that_have_arrived_do_not_come_again_after_a_restart(
    http: httpx.AsyncClient,
    hub: Hub,
    store: Store,
    engine: Engine,
    files: Files,
    platform: Platform,
    time: Time,
    jobs: Jobs,
) -> None:
    channel = (await made(http))["id"]
    platform.parts = 3
    platform.judges = [lambda to: ok(to) if len(platform.arrived) < 2 else Result(to, Outcome.THROTTLED, after=60.0)]
    stopped = await sent(http, channel, wait=0)
    await tried(platform, 1)
    async with asyncio.timeout(PATIENCE):
        while not (found := await hub.sending.get(hub.channels._all[channel], stopped["id"])).deliveries[0].parts:
            await asyncio.sleep(0.005)
    assert found.deliveries[0].parts == ({"id": "0"}, {"id": "1"})
    await jobs.stop(5)
    platform.judges = [ok]
    outbound = Outbound()
    anew = Hub(store.hub, store.jobs, engine, files, outbound, bytes(32), lambda: Addresses(None, "http://127.0.0.1"))
    await anew.start()
    again = Jobs(store.jobs, time, anew.kinds())
    await again.start()
    time.ahead += 70
    again.look({lane(channel)})
    await tried(platform, 2)
    await again.stop(5)
    assert platform.arrived == [(stopped["id"], Target("user", "u1"), number) for number in range(3)]
    found = await hub.sending.get(hub.channels._all[channel], stopped["id"])
    assert (found.deliveries[0].receipt, found.deliveries[0].parts) == ({"id": "0,1,2"}, ())
    await anew.close()
    await outbound.close()


@pytest.mark.usefixtures("jobs")
async def test_a_target_that_a_rate_stops_holds_up_no_other(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]

    def paced(target: Target) -> Result:
        return Result(target, Outcome.THROTTLED, after=60.0) if target.id == "u1" else ok(target)

    platform.judges = [paced]
    first = await sent(http, channel, wait=0)
    await tried(platform, 1)
    both = await sent(http, channel, "user:u1", "user:u2", wait=0)
    async with asyncio.timeout(PATIENCE):
        while became(both) != {"user:u1": "waiting", "user:u2": "sent"}:
            both = await call(http, "GET", f"/{channel}/messages/{both['id']}")
    assert [str(each.to[0]) for each in platform.calls] == ["user:u1", "user:u2"]
    await call(http, "DELETE", f"/{channel}/messages/{first['id']}")
    platform.judges = [ok]
    async with asyncio.timeout(PATIENCE):
        while became(both) != {"user:u1": "sent", "user:u2": "sent"}:
            await http.patch(f"{CHANNELS}/{channel}", json={"enabled": True})  # so that it is looked at now
            both = await call(http, "GET", f"/{channel}/messages/{both['id']}")


@pytest.mark.usefixtures("jobs")
async def test_a_connector_that_breaks_is_a_failure_of_the_message_alone(
    http: httpx.AsyncClient, platform: Platform
) -> None:
    channel = (await made(http))["id"]

    def broken(target: Target) -> Result:
        raise KeyError(SECRET)

    platform.judges = [broken, ok]
    message = await sent(http, channel)
    assert (message["state"], message["targets"][0]["outcome"]) == ("failed", "unknown")
    assert SECRET not in json.dumps(message)
    assert (await sent(http, channel))["state"] == "sent"


async def test_a_disabled_channel_takes_nothing(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http, enabled=False))["id"]
    status, error = await refused(http, "POST", f"/{channel}/messages", {"to": ["user:1"], "message": HELLO})
    assert (status, "the channel is disabled" in error) == (400, True)


@pytest.mark.usefixtures("jobs")
async def test_a_test_sends_a_real_message(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]
    message = await call(http, "POST", f"/{channel}/test", json={"to": ["user:u1"]})
    assert message["state"] == "sent"
    assert "test" in message["message"]["content"]["text"]


@pytest.mark.usefixtures("jobs")
async def test_messages_are_listed_the_newest_first(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]
    ids = [(await sent(http, channel))["id"] for _ in range(3)]
    page = await call(http, "GET", f"/{channel}/messages?limit=2")
    assert [each["id"] for each in page["items"]] == [ids[2], ids[1]]
    rest = await call(http, "GET", f"/{channel}/messages?limit=2&cursor={page['next']}")
    assert [each["id"] for each in rest["items"]] == [ids[0]]
    assert rest["next"] is None


async def test_what_is_made_in_a_thread_is_the_same(
    http: httpx.AsyncClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages to many would otherwise keep everybody waiting."""
    id = (await made(http))["id"]
    for number in range(2):
        await sent(http, id, *(f"user:u{number}-{each}" for each in range(3)), wait=0)
    before = await call(http, "GET", f"/{id}/messages?limit=1")
    monkeypatch.setattr("hongyan.api.v1.channels.LARGE", 0)
    monkeypatch.setattr("hongyan.api.v1.channels._target", _not_by_the_loop(v1_channels._target))
    assert await call(http, "GET", f"/{id}/messages?limit=1") == before
    message = before["items"][0]
    assert await call(http, "GET", f"/{id}/messages/{message['id']}") == message


def _not_by_the_loop(make: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*given: Any) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        return make(*given)

    return checked


@pytest.mark.usefixtures("jobs")
async def test_a_thread_is_given_its_receipt(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]
    first = await sent(http, channel, "user:u1", "user:u2")
    await sent(http, channel, "user:u1", "user:u2", message={**HELLO, "thread": first["id"]})
    assert [(call.to, call.thread) for call in platform.calls[1:]] == [
        ((Target("user", "u1"),), {"id": "m-user:u1"}),
        ((Target("user", "u2"),), {"id": "m-user:u2"}),
    ]


# afterwards


@pytest.mark.usefixtures("jobs")
async def test_a_message_is_recalled(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]
    message = await sent(http, channel, "user:u1", "user:u2")
    answer = await call(http, "DELETE", f"/{channel}/messages/{message['id']}")
    assert (answer["message"]["state"], answer["failures"]) == ("recalled", [])
    assert platform.recalled == [{"id": "m-user:u1"}, {"id": "m-user:u2"}]


@pytest.mark.usefixtures("jobs")
async def test_what_waits_is_recalled_without_being_sent(http: httpx.AsyncClient, platform: Platform, hub: Hub) -> None:
    channel = (await made(http))["id"]
    platform.judges = [platform.says(Outcome.BAD_CREDENTIAL, reason="no")]
    message = await sent(http, channel, wait=0)
    await settled(hub, channel, message["id"], 1)
    answer = await call(http, "DELETE", f"/{channel}/messages/{message['id']}")
    assert answer["message"]["state"] == "recalled"
    platform.judges = [ok]
    await call(http, "PATCH", f"/{channel}", json={"credentials": {"key": "new"}})
    assert (await sent(http, channel))["state"] == "sent"
    assert len(platform.calls) == 2


@pytest.mark.usefixtures("jobs")
async def test_all_of_what_a_message_says_now_is_sent_although_parts_of_it_have_arrived(
    http: httpx.AsyncClient, platform: Platform, hub: Hub
) -> None:
    channel = (await made(http))["id"]
    platform.parts = 3
    failure = platform.says(Outcome.BAD_CREDENTIAL, reason="no")
    platform.judges = [lambda to: ok(to) if len(platform.arrived) < 2 else failure(to)]
    message = await sent(http, channel, wait=0)
    await settled(hub, channel, message["id"], 1)
    new = {"message": {"content": {"type": "text", "text": "It says something else"}}}
    await call(http, "PUT", f"/{channel}/messages/{message['id']}", json=new)
    platform.judges = [ok]
    await call(http, "PATCH", f"/{channel}", json={"credentials": {"key": "new"}})
    await tried(platform, 2)
    assert [number for _, _, number in platform.arrived] == [0, 1, 0, 1, 2]


@pytest.mark.usefixtures("jobs")
async def test_a_recall_that_fails_says_why(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]
    message = await sent(http, channel)
    platform.problem = Problem(Outcome.BAD_CONTENT, "it is older than 24 hours", code="230026")
    answer = await call(http, "DELETE", f"/{channel}/messages/{message['id']}")
    assert answer["message"]["state"] == "sent"
    assert answer["failures"] == [
        {
            "to": "user:u1",
            "outcome": "bad_content",
            "reason": "it is older than 24 hours",
            "code": "230026",
            "advice": None,
        }
    ]


@pytest.mark.usefixtures("jobs")
async def test_what_a_kind_cannot_do_is_refused(http: httpx.AsyncClient, platform: Platform) -> None:
    platform.features = frozenset()
    channel = (await made(http))["id"]
    path = f"/{channel}/messages/{(await sent(http, channel))['id']}"
    assert (await refused(http, "DELETE", path))[0] == 400
    assert (await refused(http, "PUT", path, {"message": HELLO}))[0] == 400
    assert (await refused(http, "GET", f"{path}/status"))[0] == 400


@pytest.mark.usefixtures("jobs")
async def test_a_message_is_updated_and_asked_about(http: httpx.AsyncClient, platform: Platform) -> None:
    channel = (await made(http))["id"]
    message = await sent(http, channel)
    news = {"content": {"type": "text", "text": "Good bye"}}
    answer = await call(http, "PUT", f"/{channel}/messages/{message['id']}", json={"message": news})
    assert answer["message"]["message"] == news
    assert answer["message"]["notes"] == [{"rule": "text_cut", "detail": ""}]
    assert platform.updated == [({"id": "m-user:u1"}, Message(Text("Good bye")))]
    answer = await call(http, "GET", f"/{channel}/messages/{message['id']}/status")
    assert answer["items"] == [
        {
            "to": "user:u1",
            "delivered": True,
            "read": ["u1"],
            "unread": ["u2"],
            "read_count": None,
            "failed": {},
        }
    ]


async def test_old_messages_are_swept_unless_they_wait(
    http: httpx.AsyncClient, platform: Platform, hub: Hub, time: Time, jobs: Jobs
) -> None:
    channel = (await made(http))["id"]
    await sent(http, channel)
    platform.judges = [platform.says(Outcome.BAD_CREDENTIAL, reason="no")]
    waiting = await sent(http, channel, wait=0)
    await settled(hub, channel, waiting["id"], 1)
    assert await hub.sending.sweep() == 0
    await jobs.stop(5)  # or it would be tried once more, and given up
    time.ahead = 31 * DAY / 1000
    assert await hub.sending.sweep() == 1
    assert [each["id"] for each in (await call(http, "GET", f"/{channel}/messages"))["items"]] == [waiting["id"]]


async def test_a_channel_that_is_deleted_takes_all_with_it(
    http: httpx.AsyncClient, platform: Platform, store: Store
) -> None:
    channel = (await made(http))["id"]
    await sent(http, channel, wait=0)
    await call(http, "DELETE", f"/{channel}")
    assert await rows_of(store, "hub_channel", "hub_message", "hub_delivery", "job") == []


async def rows_of(store: Store, *tables: str) -> list[tuple[Any, ...]]:
    query = " UNION ALL ".join(f"SELECT '{table}' FROM {table}" for table in tables)
    rows: list[tuple[Any, ...]] = await store._reader.run(lambda driver: driver.execute(query).fetchall())
    return rows


HISTORY = ("hub_message", "hub_delivery", "hub_event", "hub_link")


async def history(http: httpx.AsyncClient, store: Store, channel: str) -> None:
    """More of everything than goes in one step: many messages, one to many targets, events and links."""
    await sent(http, channel, *(f"user:u{number}" for number in range(25)), wait=0)
    for _ in range(12):
        await sent(http, channel, wait=0)
    events = [Heard(f"e{number}", 1) for number in range(25)]
    await store.hub.heard.add(1, channel, events, lambda heard: [])
    for number in range(25):
        await store.hub.bridges.link(Linked(channel, channel, f"id={number}", channel, "ann", f"m{number}", 1))


async def test_a_channel_is_deleted_in_steps_of_bounded_size(
    http: httpx.AsyncClient, platform: Platform, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.store.hub_channels.STEP", 10)
    gone, kept = (await made(http))["id"], (await made(http, name="kept"))["id"]
    await history(http, store, kept)
    before = await rows_of(store, *HISTORY)
    await history(http, store, gone)
    left, call_in_bulk = [len(await rows_of(store, *HISTORY))], store.writer.call_in_bulk

    async def counted(change: Any) -> Any:
        answer = await call_in_bulk(change)
        left.append(len(await rows_of(store, *HISTORY)))
        return answer

    monkeypatch.setattr(store.writer, "call_in_bulk", counted)
    await call(http, "DELETE", f"/{gone}")
    assert await rows_of(store, *HISTORY) == before
    assert max(one - next_ for one, next_ in itertools.pairwise(left)) <= 10 * len(HISTORY)


async def test_what_a_crash_leaves_of_a_deleted_channel_is_swept(
    http: httpx.AsyncClient, platform: Platform, store: Store, hub: Hub, app: App
) -> None:
    gone, kept = (await made(http))["id"], (await made(http, name="kept"))["id"]
    await history(http, store, kept)
    before = await rows_of(store, *HISTORY)
    await history(http, store, gone)
    await hub.channels.delete(app, gone)  # and no more: as if the server were killed then
    assert len(await rows_of(store, *HISTORY)) == 2 * len(before)
    assert await hub.sending.sweep() == 0
    assert await rows_of(store, *HISTORY) == before
    assert (await call(http, "GET", f"/{kept}/messages?limit=1"))["items"]


# what comes in

SAID = Said(
    "ev-1",
    Chat(Target("group", "g1"), "Team"),
    Person("u7", "Wang"),
    Message(Text("Good morning")),
    1_795_639_511_852,
    {"id": "m-7"},
)
GOOD = {"x-signature": "good"}


async def webhook_jobs(store: Store) -> list[dict[str, Any]]:
    """What webhooks will be told."""
    found = []
    for name in await store.jobs.lanes():
        if name.startswith("webhook:"):
            found += [json.loads(job.body) for job in await store.jobs.next(name, 100)]
    return found


@pytest.fixture
async def door(http: httpx.AsyncClient, platform: Platform, engine: Engine, app: App) -> str:
    """The path of an inbound door, of whose events a webhook is told."""
    engine.aftermath.add(WebhookFollower(engine.webhooks, engine.clock))
    await engine.webhooks.create(app, "https://shop.example/hook", [], "", enabled=True)
    url: str = (await made(http))["inbound_url"]
    return url.removeprefix("https://chat.example.com")


async def test_an_event_is_told_to_webhooks_once(calling: Calling, platform: Platform, store: Store, door: str) -> None:
    platform.hears(SAID, SAID)
    async with calling("203.0.113.7") as stranger:
        for _ in range(3):
            answer = await stranger.post(f"{door}?a=1", content=b"{}", headers=GOOD)
            assert (answer.status_code, answer.content) == (200, b"{}")
    assert platform.incoming[0].query == {"a": "1"}
    (told,) = await webhook_jobs(store)
    assert told["type"] == "channel.message"
    assert told["data"] == {
        "channel": {"id": told["data"]["channel"]["id"], "name": "ops", "kind": "fake"},
        "id": "ev-1",
        "chat": {"to": "group:g1", "title": "Team", "direct": False},
        "from": {"id": "u7", "name": "Wang"},
        "message": {"content": {"type": "text", "text": "Good morning"}},
        "mentioned": False,
        "files": 0,
        "receipt": {"id": "m-7"},
    }


async def test_what_will_end_a_channel_is_told_to_the_operator_once(
    calling: Calling, http: httpx.AsyncClient, platform: Platform, door: str, hub: Hub
) -> None:
    platform.hears(Happened("ev-1", "inactive_alert", 1_795_639_511_852, alarm=("It will be switched off", "Use it.")))
    async with calling() as anybody:
        await anybody.post(door, content=b"{}", headers=GOOD)
        [channel] = (await call(http, "GET"))["items"]
        assert (channel["health"]["failure"], channel["health"]["advice"]) == ("It will be switched off", "Use it.")
        await hub.channels.worked(hub.channels._all[channel["id"]])
        await anybody.post(door, content=b"{}", headers=GOOD)
        [channel] = (await call(http, "GET"))["items"]
        assert channel["health"]["failure"] is None


async def test_an_action_is_told_to_webhooks(calling: Calling, platform: Platform, store: Store, door: str) -> None:
    platform.hears(Acted("a-1", Person("u7"), "approve", 1_795_639_511_852, "7", {"why": "fine"}))
    async with calling() as stranger:
        await stranger.post(door, content=b"{}", headers=GOOD)
    (told,) = await webhook_jobs(store)
    assert told["type"] == "channel.action"
    assert (told["data"]["action"], told["data"]["value"], told["data"]["inputs"]) == ("approve", "7", {"why": "fine"})


@pytest.mark.parametrize("error", [KeyError("chat"), TypeError("no list"), AttributeError("get"), ValueError("year 0")])
async def test_what_has_another_shape_than_the_platforms_requests_gets_one_line(
    calling: Calling, platform: Platform, store: Store, door: str, error: Exception
) -> None:
    platform.reception = error
    async with calling() as anybody:
        answer = await anybody.post(door, content=b"{}", headers=GOOD)
    assert answer.status_code == 400
    assert "this is no request that the platform makes" in answer.json()["error"]
    assert await webhook_jobs(store) == []


async def test_what_is_forged_or_wrong_gets_one_line(calling: Calling, platform: Platform, door: str) -> None:
    async with calling() as stranger:
        forged = await stranger.post(door, content=b"{}")
        assert (forged.status_code, forged.json()["error"]) == (401, "the signature is wrong.")
        wrong = await stranger.post(door, content=b"<xml/>", headers=GOOD)
        assert wrong.status_code == 400
        unknown = await stranger.post(door[:-5] + "xxxxx", content=b"{}", headers=GOOD)
        assert unknown.status_code == 404
        large = await stranger.post(door, content=b"{" + b" " * 1_048_577, headers=GOOD)
        assert large.status_code == 413
        got = await stranger.get(door, headers=GOOD)
        assert (got.status_code, got.content) == (200, b'{"fine":1}')


async def test_a_body_is_read_for_who_knows_the_door(
    calling: Calling, platform: Platform, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers fill no memory."""

    async def body(_: object) -> bytes:
        raise AssertionError("it was read")

    monkeypatch.setattr("litestar.Request.body", body)
    async with calling() as stranger:
        assert (await stranger.post(door[:-5] + "xxxxx", content=b"{}", headers=GOOD)).status_code == 404


async def test_a_door_is_in_no_log(
    calling: Calling, platform: Platform, hub: Hub, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(hub.inbound), "receive", lambda *_: 1 / 0)
    with capture_logs() as lines:
        async with calling() as stranger:
            assert (await stranger.post(door, content=b"{}", headers=GOOD)).status_code == 500
    assert [line["path"] for line in lines] == ["/api/v1/channels/inbound/{token}"]


async def test_who_hangs_up_leaves_no_line_in_the_log(served: Served, platform: Platform, door: str) -> None:
    """Whoever knows an address could fill the log with it."""
    answers: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answers.append(message)

    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": door,
        "raw_path": door.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"chat.example.com"), (b"content-length", b"1000000")],
        "client": ("203.0.113.7", 1),
        "server": ("chat.example.com", 443),
    }
    with capture_logs() as lines:
        await served[1](scope, receive, send)
    assert (answers[0]["status"], lines) == (400, [])


async def test_a_disabled_channel_listens_to_nobody(
    http: httpx.AsyncClient, calling: Calling, platform: Platform, door: str
) -> None:
    (channel,) = (await call(http, "GET"))["items"]
    await call(http, "PATCH", f"/{channel['id']}", json={"enabled": False})
    async with calling() as stranger:
        off = await stranger.post(door, content=b"{}", headers=GOOD)
        unknown = await stranger.post(door[:-5] + "xxxxx", content=b"{}", headers=GOOD)
    assert (off.status_code, off.json()) == (unknown.status_code, unknown.json())


async def test_a_flood_is_refused(
    calling: Calling, platform: Platform, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.hub.inbound.MOST", 3)
    monkeypatch.setattr("hongyan.hub.inbound.SECONDS", 600.0)
    async with calling() as stranger:
        found = [(await stranger.post(door, content=b"{}", headers=GOOD)).status_code for _ in range(5)]
    assert found == [200, 200, 200, 429, 429]


async def test_who_forges_keeps_the_platform_from_nothing(
    calling: Calling, platform: Platform, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.hub.inbound.MOST", 3)
    monkeypatch.setattr("hongyan.hub.inbound.SECONDS", 600.0)
    async with calling() as stranger:
        assert {(await stranger.post(door, content=b"{}")).status_code for _ in range(5)} == {401}
        assert (await stranger.post(door, content=b"{}", headers=GOOD)).status_code == 200


async def test_channels_come_in_pages(http: httpx.AsyncClient, platform: Platform) -> None:
    ids = [(await made(http, name))["id"] for name in ("a", "b", "c")]
    first = await call(http, "GET", "?limit=2")
    assert ([each["id"] for each in first["items"]], first["next"]) == (ids[:2], ids[1])
    last = await call(http, "GET", f"?limit=2&cursor={first['next']}")
    assert ([each["id"] for each in last["items"]], last["next"]) == (ids[2:], None)
    assert (await call(http, "GET", f"?limit=2&cursor={ids[2]}"))["items"] == []
    assert "cursor" in (await refused(http, "GET", "?cursor=nobody"))[1]


@pytest.mark.usefixtures("jobs")
async def test_a_thread_may_answer_what_has_strange_ids(
    http: httpx.AsyncClient, calling: Calling, platform: Platform, door: str
) -> None:
    platform.hears(msgspec.structs.replace(SAID, receipt={"id": "m\n7"}))
    async with calling() as stranger:
        await stranger.post(door, content=b"{}", headers=GOOD)
    (channel,) = (await call(http, "GET"))["items"]
    await sent(http, channel["id"], message={**HELLO, "thread": "ev-1"})
    assert platform.calls[-1].thread == {"id": "m 7"}


async def test_a_thread_may_answer_what_came_in(
    http: httpx.AsyncClient, calling: Calling, platform: Platform, door: str, jobs: Jobs
) -> None:
    platform.hears(SAID)
    async with calling() as stranger:
        await stranger.post(door, content=b"{}", headers=GOOD)
    (channel,) = (await call(http, "GET"))["items"]
    await sent(http, channel["id"], "group:g1", message={**HELLO, "thread": "ev-1"})
    assert platform.calls[-1].thread == {"id": "m-7"}


async def test_a_channel_may_hear_by_a_connection_of_its_own(
    http: httpx.AsyncClient, platform: Platform, store: Store, engine: Engine, app: App
) -> None:
    platform.stream = asyncio.Queue()
    engine.aftermath.add(WebhookFollower(engine.webhooks, engine.clock))
    await engine.webhooks.create(app, "https://shop.example/hook", [], "", enabled=True)
    channel = await made(http)
    platform.stream.put_nowait(SAID)
    async with asyncio.timeout(PATIENCE):
        while not (told := await webhook_jobs(store)):
            await asyncio.sleep(0.005)
    assert told[0]["data"]["id"] == "ev-1"
    closed = platform.closed
    await call(http, "DELETE", f"/{channel['id']}")
    async with asyncio.timeout(PATIENCE):
        while platform.closed == closed:
            await asyncio.sleep(0.005)


async def test_credentials_that_the_platform_replaces_are_kept(
    http: httpx.AsyncClient, hub: Hub, platform: Platform
) -> None:
    new = await made(http)
    assert platform.around is not None
    assert platform.around.renewed is not None
    await platform.around.renewed({"key": "renewed"})
    await hub.channels.load()
    assert hub.channels._all[new["id"]].credentials["key"] == "renewed"
