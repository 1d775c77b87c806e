"""What comes of single rows: conversations (REST reference 8.8) and messages (8.7), item by item."""

import base64
import hashlib
import json
from typing import Any

import pytest

from hongyan.engine.clock import wall_ms
from tests.importing.conftest import Home
from tests.importing.exports import NOW, conversation, message, object_id, stream

PLACE = object_id(1)


def brought(home: Home, *records: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that are there after an import of these."""
    home.bring_in(home.write("messages.jsonl", *records))
    return home.export()["messages"]


def conversation_brought(home: Home, **more: Any) -> dict[str, Any]:
    """The conversation that is there after an import of it."""
    home.bring_in(home.write("_Conversation.jsonl", conversation("alice", "bob") | more))
    (found,) = home.export()["_Conversation"]
    return found


# messages, 8.7


def test_2_the_conversation_is_found_by_the_key_if_the_target_is_missing(home: Home) -> None:
    record = message(PLACE)
    del record["to"]
    assert brought(home, record)[0]["to"] == PLACE


def test_2_a_stream_is_found_by_its_subscribers_and_by_who_wrote_it(home: Home) -> None:
    news = conversation(sys=True)
    key = news["objectId"]
    home.write("x/_Conversation.jsonl", news)
    home.write("x/subscribers.jsonl", {"timestamp": NOW, "subscriber": "bob", "conv_id": key})
    to_bob = message(key, NOW, "news", **{"conv-id": stream(key, "bob")})
    del to_bob["to"]
    by_eve = message(key, NOW + 1, "eve", **{"conv-id": stream(key, "eve")})
    home.write("x/messages.jsonl", to_bob, by_eve)
    home.bring_in(home.folder / "x")
    found = home.export()["messages"]
    assert {(row["peer"], row["to"], row["conv-id"]) for row in found} == {
        (client, key, stream(key, client)) for client in ("bob", "eve")
    }


def test_2_a_stream_that_nobody_knows_is_kept_and_taken_over_when_its_client_is_known(home: Home) -> None:
    news = conversation(sys=True)
    key = stream(news["objectId"], "bob")
    record = message(PLACE, **{"conv-id": key})
    del record["to"]
    (found,) = brought(home, record)
    assert found["conv-id"] == key
    assert not {"to", "peer"} & found.keys()
    home.write("x/_Conversation.jsonl", news)
    home.write("x/subscribers.jsonl", {"timestamp": NOW, "subscriber": "bob", "conv_id": news["objectId"]})
    more = message(news["objectId"], NOW + 5, "news", **{"conv-id": key})
    home.write("x/messages.jsonl", more)
    home.bring_in(home.folder / "x")
    assert [row["peer"] for row in home.export("later")["messages"]] == ["bob", "bob"]


def test_2_what_all_subscribers_were_told_is_not_kept_again_for_each(home: Home) -> None:
    news = conversation(sys=True)
    key = news["objectId"]
    told = message(key, NOW, "news")
    home.write("x/_Conversation.jsonl", news)
    home.write("x/subscribers.jsonl", {"timestamp": NOW, "subscriber": "bob", "conv_id": key})
    home.write("x/messages.jsonl", told, told | {"conv-id": stream(key, "bob")})
    home.bring_in(home.folder / "x")
    assert len(home.export()["messages"]) == 1


def test_3_a_decoded_body_is_written_compactly_and_none_is_a_recall(home: Home) -> None:
    decoded = message(PLACE, NOW, data={"_lctype": -1, "_lctext": "é"})
    recalled = message(PLACE, NOW + 1, data=None)
    first, second = brought(home, decoded, recalled)
    assert first["data"] == '{"_lctype":-1,"_lctext":"é"}'
    assert second["recall"] is True
    assert json.loads(second["data"]) == {"_lctype": -127}


def test_4_binary_bodies_stay_bytes(home: Home) -> None:
    body = base64.b64encode(b"\x00\xff\x01").decode()
    sent = message(PLACE, data=body, bin=True)
    del sent["is-conv"]
    plain = message(PLACE, NOW + 1)
    del plain["bin"]
    first, second = brought(home, sent, plain)
    assert (first["data"], first["bin"], second["bin"]) == (body, True, False)
    assert home.bring_in(home.write("messages.jsonl", message(PLACE, data="?", bin=True)))["messages"]["bad"] == 1


def test_5_addresses_and_times_of_receipt_may_be_missing(home: Home) -> None:
    bare = message(PLACE, NOW, **{"from-ip": None})
    received = message(PLACE, NOW + 1, **{"ack-at": NOW + 7})
    del received["from-ip"]
    first, second = brought(home, bare, received)
    assert "ack-at" not in first
    assert second["ack-at"] == NOW + 7


def test_6_doubles_are_one_message_and_one_id_at_two_times_is_two(home: Home) -> None:
    record = message(PLACE)
    found = brought(
        home, record, record, record | {"timestamp": NOW + 1}, message(object_id(2), **{"msg-id": record["msg-id"]})
    )
    assert len(found) == 3


@pytest.mark.parametrize("message_id", ["+/=", "a+b/c", "-_", "ü", "x" * 64])
def test_7_ids_stay_byte_for_byte(message_id: str, home: Home) -> None:
    assert brought(home, message(PLACE, **{"msg-id": message_id}))[0]["msg-id"] == message_id


def test_8_times_may_be_texts_and_fractions_and_decide_the_order(home: Home) -> None:
    given = [NOW + 3, str(NOW + 1), NOW + 2.7, f"{NOW}.25"]
    found = brought(home, *(message(PLACE, **{"timestamp": at, "msg-id": f"m{n}"}) for n, at in enumerate(given)))
    assert [(row["timestamp"] - NOW, row["msg-id"]) for row in found] == [(0, "m3"), (1, "m1"), (2, "m2"), (3, "m0")]


def test_8_messages_of_one_moment_stand_by_their_ids(home: Home) -> None:
    found = brought(home, *(message(PLACE, **{"msg-id": name}) for name in ("b", "a", "B", "~")))
    assert [row["msg-id"] for row in found] == ["B", "a", "b", "~"]


def test_9_history_of_a_conversation_that_no_longer_exists_is_kept_under_its_id(home: Home) -> None:
    (found,) = brought(home, message(PLACE))
    assert found["to"] == PLACE
    assert home.export("again")["_Conversation"] == []
    row = conversation("alice") | {"objectId": PLACE}
    assert home.bring_in(home.write("_Conversation.jsonl", row))["_Conversation"]["changed"] == 1
    after = home.export("after")
    assert ([each["m"] for each in after["_Conversation"]], len(after["messages"])) == ([["alice"]], 1)


@pytest.mark.parametrize("client", ["1abc", "24f00000000000000000000a", "小明", "a b", "x" * 64])
def test_10_client_ids_need_not_have_todays_format(client: str, home: Home) -> None:
    row = conversation(client)
    home.write("x/_Conversation.jsonl", row)
    home.write("x/messages.jsonl", message(row["objectId"], sender=client))
    home.bring_in(home.folder / "x")
    found = home.export()
    assert (found["_Conversation"][0]["m"], found["messages"][0]["from"]) == ([client], client)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no id": ({"msg-id": None}, "msg-id is not a text"),
    "long id": ({"msg-id": "x" * 65}, "msg-id is not a text"),
    "no sender": ({"from": None}, "from is not a text"),
    "no place": ({"to": None, "conv-id": None}, "there is neither to nor conv-id"),
    "no time": ({"timestamp": "soon"}, "timestamp is not a number"),
    "huge time": ({"timestamp": 1e300}, "timestamp is not a number"),
    "early time": ({"timestamp": 0}, "is not between 1970 and"),
    "late time": ({"timestamp": wall_ms() + 3_600_000}, "is not between 1970 and"),
    "late edit": ({"patch-timestamp": wall_ms() + 3_600_000}, "later than this machine's time"),
    "number": ({"data": 5}, "data is neither a text nor an object"),
    "half a character": ({"msg-id": "\ud800"}, "msg-id is not UTF-8"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_bad_messages_are_listed(mistake: str, home: Home) -> None:
    change, reason = BAD[mistake]
    text = json.dumps(message(PLACE) | change) + "\n" + json.dumps(message(PLACE)) + "\n"
    (home.folder / "messages.jsonl").write_text(text)
    assert home.bring_in(home.folder / "messages.jsonl")["messages"] == {"read": 2, "new": 1, "bad": 1}
    (entry,) = home.reported()
    assert entry["line"] == 1
    assert reason in entry["left out"]


def test_what_clients_said_to_a_service_conversation_is_brought_in(home: Home) -> None:
    news = conversation(sys=True)
    said = {"objectId": object_id(), "msgId": "m1", "from": "bob", "fromIp": "10.0.0.1", "data": "hi", "bin": False}
    said |= {"conv": {"__type": "Pointer", "className": "_Conversation", "objectId": news["objectId"]}}
    said |= {"timestamp": NOW, "ackAt": NOW + 3, "createdAt": "2025-10-09T08:00:00.000Z"}
    home.write("x/_Conversation.jsonl", news)
    home.write("x/_SysMessage.jsonl", said)
    home.bring_in(home.folder / "x")
    (found,) = home.export()["messages"]
    assert (found["msg-id"], found["peer"], found["data"], found["ack-at"]) == ("m1", "bob", "hi", NOW + 3)


# conversations, 8.8 and 8.2


def test_all_columns_stay(home: Home) -> None:
    row = conversation("bob", "alice", c="alice", mu=["bob"], name="n", attr={"topic": "x"}, ACL={"*": {"read": True}})
    row |= {"department": "custom", "when": {"__type": "Date", "iso": "2026-02-01T09:30:00.000Z"}, "n": 1.5}
    row |= {"lm": {"__type": "Date", "iso": "2025-10-09T08:00:01.000Z"}, "unique": True, "uniqueId": "0" * 32}
    home.bring_in(home.write("_Conversation.jsonl", row))
    assert home.export()["_Conversation"] == [row]


@pytest.mark.parametrize("given", [{"m": None}, {"m": []}, {"mu": None}, {"name": None}, {"attr": None}])
def test_inferred_what_is_empty_is_taken(given: dict[str, Any], home: Home) -> None:
    found = conversation_brought(home, **given)
    assert found["m"] == ([] if "m" in given else ["alice", "bob"])
    assert not {"mu", "name", "attr"} & found.keys()


def test_inferred_attributes_that_are_text_are_kept(home: Home) -> None:
    assert conversation_brought(home, attr="old")["attr"] == "old"


def test_inferred_the_same_client_twice_is_one_member(home: Home) -> None:
    assert conversation_brought(home, m=["b", "a", "b"])["m"] == ["b", "a"]


def test_inferred_members_beyond_500_are_kept_aside(home: Home) -> None:
    clients = [f"c{number}" for number in range(600)]
    assert conversation_brought(home, m=clients)["m"] == clients
    assert home.rows("SELECT member_count FROM conversation") == [(500,)]
    assert home.reported()[0]["note"].startswith("600 members")


def test_who_muted_without_being_a_member_is_kept_aside(home: Home) -> None:
    assert conversation_brought(home, mu=["bob", "eve"])["mu"] == ["bob", "eve"]


def test_members_of_chat_rooms_are_not_members(home: Home) -> None:
    assert conversation_brought(home, tr=True)["m"] == ["alice", "bob"]
    assert home.rows("SELECT count(*) FROM member") == [(0,)]


def test_a_missing_unique_id_follows_from_the_members(home: Home) -> None:
    expected = hashlib.md5(b"alicebob").hexdigest()
    assert conversation_brought(home, unique=True)["uniqueId"] == expected


def test_a_unique_id_without_the_flag_makes_nothing_unique(home: Home) -> None:
    assert conversation_brought(home, unique=False, uniqueId="abc")["uniqueId"] == "abc"
    assert home.rows("SELECT unique_id FROM conversation") == [(None,)]


def test_ids_that_are_none_are_left_out_of_the_members(home: Home) -> None:
    assert conversation_brought(home, m=["alice", 5, "", "x" * 65])["m"] == ["alice"]
    assert len(home.reported()) == 3


def test_inferred_pages_of_lists_say_by_their_folder_whose_they_are(home: Home) -> None:
    row = conversation("alice")
    home.write("x/_Conversation.jsonl", row)
    home.write(f"x/{row['objectId']}/blacklists.json", {"client_ids": ["eve"], "next": "n"})
    home.write(f"x/{row['objectId']}/permanent-silenceds.json", {"client_ids": ["bob"]})
    home.write("x/bob/client-blacklists.json", {"conv_ids": [row["objectId"]]})
    home.bring_in(home.folder / "x")
    found = home.export()
    assert found["blacklists"] == [{"conv_id": row["objectId"], "client_ids": ["eve"]}]
    assert found["permanent-silenceds"] == [{"conv_id": row["objectId"], "client_ids": ["bob"]}]
    assert found["client-blacklists"] == [{"client_id": "bob", "conv_ids": [row["objectId"]]}]
