"""`hongyan import leancloud --live`: from an API that pages, is busy, and breaks off."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from hongyan.engine.clock import wall_ms
from hongyan.importing import live
from tests.importing.conftest import Home
from tests.importing.exports import NOW, conversation, everything, message, object_id, stream
from tests.importing.fake_leancloud import APP, MASTER_KEY, LeanCloud, serving
from tests.support.server import TEST_APP, Server


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[LeanCloud]:
    """An app on LeanCloud with something of all that there is."""
    monkeypatch.setenv("LEANCLOUD_MASTER_KEY", MASTER_KEY)
    monkeypatch.setattr(live, "WAIT", 0.0)
    found = LeanCloud()
    talk, room, news = conversation("alice", "bob"), conversation(tr=True), conversation(sys=True)
    found.classes["_Conversation"] = [talk, room, news]
    key = news["objectId"]
    found.subscribers[key] = ["alice", "bob", "小明"]
    found.lists[talk["objectId"], "blacklists"] = ["eve", "mallory", "trudy"]
    found.lists[room["objectId"], "permanent-silenceds"] = ["bob"]
    places = [talk["objectId"], room["objectId"], object_id()]
    found.messages = [message(places[n % 3], NOW + n // 2) for n in range(40)]
    own = {"conv-id": stream(key, "小明"), "of": (key, "小明")}
    found.messages += [message(key, NOW + n, "news", **own) for n in range(9)]
    with serving(found):
        yield found


def fetch(home: Home, there: LeanCloud, *options: object) -> dict[str, Any]:
    return home.bring_in("--live", there.url, "--live-app", APP, "--rate", "1000", *options)


def test_all_is_fetched_page_by_page_and_a_busy_server_is_asked_again(home: Home, there: LeanCloud) -> None:
    there.busy = 5
    tallies = fetch(home, there)
    assert tallies["messages"]["new"] == 49
    assert home.counts["_Conversation"] == {"there": 3, "here": 3}
    found = home.export()
    assert {row["msg-id"] for row in found["messages"]} == {row["msg-id"] for row in there.messages}
    assert {row["peer"] for row in found["messages"] if "peer" in row} == {"小明"}
    assert len(found["_Conversation"]) == 3
    assert [row["client_ids"] for row in found["blacklists"]] == [["eve", "mallory", "trudy"]]
    assert [row["client_ids"] for row in found["permanent-silenceds"]] == [["bob"]]
    assert sorted(row["subscriber"] for row in found["subscribers"]) == ["alice", "bob", "小明"]


def test_what_is_broken_off_goes_on_and_what_is_new_is_fetched_later(home: Home, there: LeanCloud) -> None:
    there.dead_after = 5
    arguments = ("import", "leancloud", "--live", there.url, "--live-app", APP, "--app", TEST_APP.id, "--rate", "1000")
    assert "LeanCloud's API refuses" in home.refused(*arguments)
    asked = there.asked[:]
    there.dead_after = None
    fetch(home, there)
    assert "/1.1/scan/classes/_Conversation" not in there.asked[len(asked) :]
    first = home.export("first")
    assert len(first["messages"]) == 49
    there.messages.append(message(there.classes["_Conversation"][0]["objectId"], NOW + 999))
    assert fetch(home, there)["messages"] == {"read": 1, "new": 1}
    assert "messages" not in fetch(home, there)
    assert len(home.export("second")["messages"]) == 50


def refusing(there: LeanCloud) -> list[str]:
    """The clients that were asked which conversations they refuse."""
    return [unquote(path.split("/")[4]) for path in there.asked if path.startswith("/1.2/rtm/clients/")]


def test_clients_are_asked_which_conversations_they_refuse(home: Home, there: LeanCloud) -> None:
    talk = there.classes["_Conversation"][0]["objectId"]
    there.client_lists["小明"] = [talk, *(row["objectId"] for row in there.classes["_Conversation"][1:])]
    fetch(home, there)
    assert refusing(there) == ["alice", "bob", "小明", "小明"]  # members and subscribers; the last one has two pages
    assert {(row["client_id"], *row["conv_ids"]) for row in home.export()["client-blacklists"]} == {
        ("小明", row["objectId"]) for row in there.classes["_Conversation"]
    }
    there.asked.clear()
    fetch(home, there, "--no-lists")
    fetch(home, there, "--no-client-lists")
    assert refusing(there) == []
    fetch(home, there, "--no-lists", "--client-lists")
    assert len(refusing(there)) == 4


def test_many_clients_are_asked_only_if_that_is_wanted(
    home: Home, there: LeanCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CLIENTS_MAX", 2)
    fetch(home, there)
    assert (refusing(there), home.not_asked) == ([], 3)
    fetch(home, there, "--client-lists")
    assert (len(refusing(there)), home.not_asked) == (3, 0)


def test_what_is_broken_off_among_the_clients_goes_on_there(home: Home, there: LeanCloud) -> None:
    there.dead_for = "/1.2/rtm/clients/bob/blacklists"
    arguments = ("import", "leancloud", "--live", there.url, "--live-app", APP, "--app", TEST_APP.id, "--rate", "1000")
    assert "LeanCloud's API refuses" in home.refused(*arguments)
    assert refusing(there) == ["alice"]
    there.dead_for = None
    fetch(home, there)
    assert refusing(there) == ["alice", "bob", "小明"]


def test_what_was_edited_or_recalled_since_is_fetched_again_on_demand(home: Home, there: LeanCloud) -> None:
    now = wall_ms()
    place = there.classes["_Conversation"][0]["objectId"]
    old, new, gone = (message(place, now - days * 86_400_000) for days in (9, 2, 1))
    # of one page are all messages on it, whatever their age
    between = [message(place, now - 4 * 86_400_000 - number) for number in range(8)]
    there.messages += [old, *between, new, gone]
    fetch(home, there)
    old["data"], new["data"], new["patch-timestamp"] = "edited", "edited", now - 5
    gone |= {"data": None, "recall": True}
    assert "messages" not in fetch(home, there)
    assert fetch(home, there, "--again", 3)["messages"]["changed"] == 2
    found = {row["msg-id"]: row for row in home.export("out3")["messages"]}
    assert found[new["msg-id"]]["data"] == "edited"
    assert found[gone["msg-id"]]["recall"] is True
    assert found[old["msg-id"]]["data"] != "edited"
    assert fetch(home, there, "--again", 30)["messages"]["changed"] == 1


def test_again_needs_an_api(home: Home) -> None:
    file = home.write("_Conversation.jsonl", conversation("alice"))
    told = home.refused("import", "leancloud", file, "--app", TEST_APP.id, "--again", 3)
    assert "--again goes with --live" in told


def test_a_dry_run_changes_nothing_here(home: Home, there: LeanCloud) -> None:
    assert fetch(home, there, "--dry-run", "--no-lists")["messages"]["new"] == 49
    assert not any(home.export().values())
    assert fetch(home, there)["messages"]["new"] == 49


def test_a_wrong_key_is_told(home: Home, there: LeanCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEANCLOUD_MASTER_KEY", "wrong")
    command = ("import", "leancloud", "--app", TEST_APP.id)
    assert "it answers 401" in home.refused(*command, "--live", there.url, "--live-app", APP)
    monkeypatch.delenv("LEANCLOUD_MASTER_KEY")
    assert "LEANCLOUD_MASTER_KEY must hold" in home.refused(*command, "--live", there.url)
    assert "Say either" in home.refused(*command)
    monkeypatch.setenv("LEANCLOUD_MASTER_KEY", "x")
    assert "is no URL of an API" in home.refused(*command, "--live", "there.example")


def test_hongyan_itself_is_a_source(
    server: Server, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counts = everything(tmp_path / "in", 120)
    server.hongyan("import", "leancloud", str(tmp_path / "in"), "--app", server.app.id)
    key = {"X-LC-Id": server.app.id, "X-LC-Key": server.app.key}
    device = {"deviceType": "android", "installationId": "6f9f1e5e-1f5c-4b1a-9d7e-7a4f5a0f7a10"}
    for path, body in (("users", {"username": "tom", "password": "a word"}), ("installations", device)):
        assert httpx.post(f"{server.http_url}/1.1/{path}", json=body, headers=key).status_code == 201
    server.hongyan("export", "leancloud", str(tmp_path / "there"), "--app", server.app.id)
    monkeypatch.setenv("LEANCLOUD_MASTER_KEY", server.app.master_key)
    tallies = home.bring_in("--live", server.http_url, "--rate", "1000")
    assert not any("bad" in tally for tally in tallies.values()), home.reported()
    there = {
        file.stem: [json.loads(line) for line in file.read_text().splitlines()]
        for file in (tmp_path / "there").iterdir()
    }
    here = home.export()
    # there, what is only history is a conversation without members
    assert home.counts["_Conversation"] == dict.fromkeys(["there", "here"], counts["_Conversation"] + 1)
    for name in ("subscribers", "permanent-silenceds", "blacklists", "client-blacklists"):
        assert here[name] == there[name]
    for name in ("_User", "_Installation"):
        assert [row["objectId"] for row in here[name]] == [row["objectId"] for row in there[name]]
        assert len(here[name]) >= 1
    assert {row["msg-id"] for row in here["messages"]} == {row["msg-id"] for row in there["messages"]}
