"""Message records, key by key."""

from hongyan.api.leancloud.message_record import message_record, partition
from hongyan.engine.values import RECALLED_BODY, Message

ID = "65f000000000000000000002"


def test_a_text_message() -> None:
    assert message_record(ID, Message("id-1", 3, 1_700_000_000_000, "alice", "你好")) == {
        "msg-id": "id-1",
        "timestamp": 1_700_000_000_000,
        "from": "alice",
        "to": ID,
        "conv-id": f"{ID}00000000",
        "data": "你好",
        "bin": False,
        "is-conv": True,
        "is-room": False,
        "from-ip": None,
    }


def test_a_binary_message_is_base64() -> None:
    record = message_record(ID, Message("id-1", 3, 5, "alice", b"\x00\xff"))
    assert (record["data"], record["bin"]) == ("AP8=", True)


def test_when_it_was_first_received_is_told_if_it_was() -> None:
    assert message_record(ID, Message("id-1", 3, 5, "alice", "x", acked_at=9))["ack-at"] == 9
    assert "ack-at" not in message_record(ID, Message("id-1", 3, 5, "alice", "x"))


def test_of_a_recalled_message_what_took_its_place_is_told_inferred() -> None:
    recalled = Message("id-1", 3, 5, "alice", RECALLED_BODY, patched_at=6, recalled=True)
    assert message_record(ID, recalled)["data"] == RECALLED_BODY


def test_the_stream_of_a_client_in_a_service_conversation() -> None:
    """The vector of the reference."""
    assert partition(ID, "alice") == "0e36f5ef192742e93de3d9ab3317483a"
    record = message_record(ID, Message("id-1", 3, 5, "alice", "x"), client="alice")
    assert (record["to"], record["conv-id"]) == (ID, "0e36f5ef192742e93de3d9ab3317483a")
