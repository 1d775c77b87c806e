"""`hongyan import leancloud` and `hongyan export leancloud`, from files to files."""

import gzip
import itertools
import json

import bson
import pytest

from tests.importing.conftest import Home
from tests.importing.exports import NOW, conversation, everything, message, object_id
from tests.importing.forms import FORMS
from tests.support.server import TEST_APP


def test_an_export_of_an_import_is_the_same(home: Home, other: Home) -> None:
    counts = everything(home.folder / "in")
    tallies = home.bring_in(home.folder / "in")
    assert {name: tally["read"] for name, tally in tallies.items()} == counts
    assert not any(tally.get("bad") for tally in tallies.values()), home.reported()
    first = home.export()
    assert len(first["messages"]) == counts["messages"]
    assert len(first["_Conversation"]) == counts["_Conversation"]
    assert other.bring_in(home.folder / "out")
    assert other.export() == first


def test_a_second_import_changes_nothing(home: Home) -> None:
    everything(home.folder / "in")
    home.bring_in(home.folder / "in")
    before = home.export("before")
    tallies = home.bring_in(home.folder / "in")
    assert not any("new" in tally or "changed" in tally for tally in tallies.values())
    assert home.export("after") == before


def test_a_dry_run_says_what_would_be_and_changes_nothing(home: Home) -> None:
    everything(home.folder / "in")
    said = home.bring_in(home.folder / "in", "--dry-run")
    assert not any(home.export("before").values())
    done = home.bring_in(home.folder / "in")
    # what needs a conversation that is not there yet can't be looked at
    for name in ("_Conversation", "messages"):
        assert said[name] == done[name]


@pytest.mark.parametrize("form", FORMS)
def test_inferred_every_form_of_an_export_brings_in_the_same(form: str, home: Home, other: Home) -> None:
    """Inferred where LeanCloud does not describe it (REST reference 8.2, 8.3)."""
    everything(home.folder / "in", 40)
    everything(home.folder / "plain", 40)
    plain, packed = home.folder / "plain", home.folder / "in"
    for file in packed.iterdir():
        (plain / file.name).write_bytes(file.read_bytes())
    home.bring_in(plain)
    other.bring_in(FORMS[form](packed))
    assert not other.reported()
    expected, found = home.export(), other.export()
    for rows in (expected, found):
        for row in itertools.chain(*(rows[name] for name in ("_Conversation", "_User", "_Installation", "_File"))):
            row.pop("createdAt"), row.pop("updatedAt")
    assert found == expected


def test_what_is_bad_is_listed_and_the_rest_comes_in(home: Home) -> None:
    good, there = conversation("a"), object_id()
    text = f'{json.dumps(good)}\n{{"objectId": broken\n[1]\n{json.dumps({"objectId": 5, "createdAt": 1})}\n"x"\n'
    (home.folder / "_Conversation.jsonl").write_text(text + json.dumps(conversation()) + "\n")
    tallies = home.bring_in(home.folder / "_Conversation.jsonl")
    assert tallies["_Conversation"] == {"read": 6, "new": 2, "bad": 4}
    assert [(entry["line"], entry["left out"]) for entry in home.reported()] == [
        (2, "no JSON: Expecting value"),
        (3, "no object but a number"),
        (4, "objectId is not a text of 1 to 64 characters"),
        (5, "no object but a text"),
    ]
    home.write("subscribers.jsonl", {"timestamp": 1, "subscriber": "a", "conv_id": there})
    home.write("roles.jsonl", {"objectId": "r", "cid": good["objectId"], "clientId": "a", "role": "King"})
    home.bring_in(home.folder / "subscribers.jsonl", home.folder / "roles.jsonl")
    assert [(entry["file"], entry["left out"]) for entry in home.reported()] == [
        ("roles.jsonl", "role is not one of Owner, Manager, Member"),
        ("subscribers.jsonl", "the conversation is unknown"),
    ]


def test_a_file_that_ends_too_early_brings_in_what_it_has(home: Home) -> None:
    rows = [conversation("a") for _ in range(3)]
    (home.folder / "_Conversation.json").write_text(json.dumps({"results": rows})[:-20])
    assert home.bring_in(home.folder / "_Conversation.json")["_Conversation"]["new"] == 2
    (home.folder / "_Conversation.bson").write_bytes(bson.encode({"_id": bson.ObjectId()}) + b"\x40\0\0\0\x02")
    assert home.bring_in(home.folder / "_Conversation.bson")["_Conversation"]["bad"] == 2


def test_classes_that_have_no_place_are_named(home: Home) -> None:
    home.write("x/_Role.jsonl", {"objectId": "a"})
    home.write("x/stuff.jsonl", {"objectId": "a"})
    home.write("x/_Conversation.metadata.json", {"indexes": []})
    home.bring_in(home.folder / "x")
    assert home.left_out == ["_Role.jsonl", "stuff.jsonl"]


def test_the_class_may_be_said(home: Home) -> None:
    file = home.write("stuff.txt", conversation("a"))
    assert home.bring_in(file, "--class", "_Conversation")["_Conversation"]["new"] == 1
    assert "There is no class 'x'" in home.refused("import", "leancloud", file, "--app", TEST_APP.id, "--class", "x")


def test_mistakes_are_told_in_a_sentence(home: Home) -> None:
    command = ("import", "leancloud")
    assert "There is nothing at" in home.refused(*command, home.folder / "none", "--app", TEST_APP.id)
    file = home.write("_Conversation.jsonl", conversation())
    assert "No app has the id or name 'x'" in home.refused(*command, file, "--app", "x")
    assert "is not empty" in home.refused("export", "leancloud", home.data, "--app", TEST_APP.id)
    packed = home.folder / "x.tar.gz"
    packed.write_bytes(gzip.compress(b"x" * 100)[:-9])
    assert "can't be read" in home.refused(*command, packed, "--app", TEST_APP.id)


def test_a_row_that_was_changed_later_replaces_what_was_brought_in(home: Home) -> None:
    row = conversation("a", "b", name="old", mu=["a"])
    home.bring_in(home.write("_Conversation.jsonl", row))
    later = row | {"updatedAt": "2025-11-01T00:00:00.000Z", "name": "new", "m": ["c", "b"], "mu": ["b"]}
    assert home.bring_in(home.write("_Conversation.jsonl", later))["_Conversation"]["changed"] == 1
    (found,) = home.export()["_Conversation"]
    assert (found["name"], found["m"], found["mu"]) == ("new", ["c", "b"], ["b"])
    assert home.bring_in(home.write("_Conversation.jsonl", row))["_Conversation"] == {"read": 1, "same": 1}


def test_a_message_that_was_edited_or_received_since_is_brought_up_to_date(home: Home) -> None:
    row = message(object_id())
    home.bring_in(home.write("messages.jsonl", row))
    row |= {"data": "edited", "ack-at": NOW + 9}
    assert home.bring_in(home.write("messages.jsonl", row))["messages"]["changed"] == 1
    (found,) = home.export()["messages"]
    assert (found["data"], found["ack-at"]) == ("edited", NOW + 9)


def test_an_import_makes_the_sweep_ask(home: Home) -> None:
    home.command("app", "set", TEST_APP.id, "preset=leancloud")
    home.rows("SELECT 1")
    home.bring_in(home.write("messages.jsonl", message(object_id())))
    assert len(home.rows("SELECT name FROM meta WHERE name LIKE 'sweep_asks:%'")) == 1
