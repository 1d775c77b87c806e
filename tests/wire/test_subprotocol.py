"""The choice among the subprotocols a client offers (reference 1.4)."""

import pytest

from hongyan.wire import subprotocol


@pytest.mark.parametrize(
    ("name", "text", "unread"),
    [
        ("lc.protobuf2.3", False, True),
        ("lc.protobuf2.1", False, False),
        ("lc.proto2base64.3", True, True),
        ("lc.proto2base64.1", True, False),
    ],
)
def test_current_names(name: str, text: bool, unread: bool) -> None:
    assert subprotocol.choose(name) == subprotocol.Subprotocol(name, text, unread)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("lc.protobuf2.1, lc.protobuf2.3", "lc.protobuf2.1"),
        ("lc.json.3,lc.proto2base64.1 ", "lc.proto2base64.1"),
        (" lc.protobuf2.3", "lc.protobuf2.3"),
    ],
)
def test_the_first_known_of_several(offered: str, chosen: str) -> None:
    found = subprotocol.choose(offered)
    assert found is not None
    assert found.name == chosen


@pytest.mark.parametrize(
    "offered", ["", ",", "chat", "lc.protobuf.3", "lc.protobase64.1", "lc.json.3", "LC.PROTOBUF2.3", "lc.protobuf2.3x"]
)
def test_others_are_not_spoken(offered: str) -> None:
    assert subprotocol.choose(offered) is None
