"""What hooks are given and may answer (REST reference 5.1, 5.2)."""

from typing import Any

import pytest

from hongyan.engine.questions import (
    NOTHING,
    Adding,
    Answer,
    Editing,
    HookFailed,
    Muting,
    Offline,
    Question,
    ReceiversOffline,
    Removing,
    Sending,
    Signing,
    Starting,
    Updating,
)
from hongyan.engine.values import Conversation, ConversationKind, Draft, Edit
from hongyan.hooks import catalogue
from hongyan.hooks.catalogue import answer_of, params_of


def conversation(kind: ConversationKind = ConversationKind.NORMAL) -> Conversation:
    return Conversation(1, 1, "c1", kind, 1, {"tom", "jerry"})


SENDING = Sending(conversation(), "tom", Draft("hi", receipt=True, source="1.2.3.4"), ["jerry"], 5)
BINARY = Sending(conversation(), "tom", Draft(b"\x00\x01"), ["jerry"], 5)
EDIT = Edit("c1", "m1", 3, Draft("new"))
EDITING = Editing(conversation(), "tom", EDIT, ["jerry"], 5, "1.2.3.4")
RECALLING = Editing(conversation(), "tom", Edit("c1", "m1", 3, None), ["jerry"], 5, "")
UPDATING = Updating("tom", "c1", {"name": "Cats"})
MUTING = Muting("tom", "c1", True)
OFFLINE = ReceiversOffline(conversation(), "tom", ["jerry", "spike"], "hi", 5, mentions=["spike"])


def test_all_fourteen_are_there() -> None:
    assert set(catalogue.ALL) == {
        "_messageReceived",
        "_receiversOffline",
        "_messageSent",
        "_messageUpdate",
        "_conversationStart",
        "_conversationStarted",
        "_conversationAdd",
        "_conversationAdded",
        "_conversationRemove",
        "_conversationRemoved",
        "_conversationUpdate",
        "_clientOnline",
        "_clientOffline",
        "_rtmClientSign",
    }
    assert len(catalogue.ALL) == 14


@pytest.mark.parametrize(
    ("question", "params"),
    [
        (
            SENDING,
            {
                "fromPeer": "tom",
                "convId": "c1",
                "toPeers": ["jerry"],
                "transient": False,
                "bin": False,
                "content": "hi",
                "receipt": True,
                "timestamp": 5,
                "system": None,
                "sourceIP": "1.2.3.4",
                "groupId": None,
            },
        ),
        (
            EDITING,
            {
                "fromPeer": "tom",
                "convId": "c1",
                "toPeers": ["jerry"],
                "bin": False,
                "content": "new",
                "timestamp": 5,
                "msgId": "m1",
                "sourceIP": "1.2.3.4",
                "recall": False,
                "system": None,
            },
        ),
        (
            Starting("tom", ["tom", "jerry"], {"name": "Cats"}),
            {"initBy": "tom", "members": ["tom", "jerry"], "attr": {"name": "Cats"}},
        ),
        (Adding("tom", ["tom"], "c1"), {"initBy": "tom", "members": ["tom"], "convId": "c1"}),
        (Removing("tom", ["jerry"], "c1"), {"initBy": "tom", "members": ["jerry"], "convId": "c1"}),
        (UPDATING, {"initBy": "tom", "convId": "c1", "attr": {"name": "Cats"}}),
        (MUTING, {"initBy": "tom", "convId": "c1", "mute": True}),
        (Signing({"objectId": "u1", "username": "tom"}), {"objectId": "u1", "username": "tom"}),
        (
            OFFLINE,
            {
                "fromPeer": "tom",
                "convId": "c1",
                "offlinePeers": ["jerry", "spike"],
                "content": "hi",
                "timestamp": 5,
                "mentionAll": False,
                "mentionOfflinePeers": ["spike"],
            },
        ),
    ],
)
def test_what_hooks_are_given(question: Question, params: dict[str, Any]) -> None:
    assert params_of(question) == params


def test_binary_bodies_recalls_and_service_conversations() -> None:
    assert {"bin": True, "content": "AAE="}.items() <= params_of(BINARY).items()
    assert {"recall": True, "content": '{"_lctype":-127}'}.items() <= params_of(RECALLING).items()
    service = Sending(conversation(ConversationKind.SERVICE), "tom", Draft("hi"), [], 5)
    assert params_of(service)["system"] is True
    everybody = ReceiversOffline(conversation(), "tom", ["jerry"], b"\x00", 5, mention_all=True, mentions=["jerry"])
    assert {"mentionAll": True, "mentionOfflinePeers": [], "content": "AA=="}.items() <= params_of(everybody).items()


@pytest.mark.parametrize("question", [SENDING, EDITING, UPDATING, MUTING, OFFLINE, Signing({})])
@pytest.mark.parametrize("result", [None, {}])
def test_nothing_is_wanted(question: Question, result: Any) -> None:
    assert answer_of(question, result) == NOTHING


@pytest.mark.parametrize(
    ("question", "result", "answer"),
    [
        (SENDING, {"drop": True}, Answer(refused=True)),
        (SENDING, {"drop": 1, "code": 7, "detail": "no"}, Answer(refused=True, code=7, detail="no")),
        (SENDING, {"drop": False, "content": "ho"}, Answer(content="ho")),
        (SENDING, {"content": "ho", "code": 7, "detail": "why"}, Answer(content="ho", code=7, detail="why")),
        (SENDING, {"content": "AAE=", "bin": True}, Answer(content=b"\x00\x01")),
        (SENDING, {"content": "hi"}, NOTHING),
        (SENDING, {"content": "\ud800"}, Answer(content="?")),
        (SENDING, {"toPeers": ["spike"]}, Answer(receivers=["spike"])),
        (SENDING, {"toPeers": []}, Answer(receivers=[])),
        (BINARY, {"content": "AAI="}, Answer(content=b"\x00\x02")),
        (BINARY, {"content": "text", "bin": False}, Answer(content="text")),
        (EDITING, {"drop": True, "code": 9}, Answer(refused=True, code=9)),
        (EDITING, {"content": "ho"}, Answer(content="ho")),
        (RECALLING, {"content": "ho"}, NOTHING),
        (RECALLING, {"drop": True}, Answer(refused=True)),
        (UPDATING, {"reject": True, "code": 1, "detail": "no"}, Answer(refused=True, code=1, detail="no")),
        (UPDATING, {"attr": {"name": "Dogs"}, "mute": True}, Answer(changes={"name": "Dogs"})),
        (MUTING, {"attr": {"name": "Dogs"}, "mute": False}, Answer(muted=False)),
        (Starting("tom", ["tom"], {}), {"reject": True}, Answer(refused=True)),
        (Starting("tom", ["tom"], {}), {"attr": {"a": 1}}, NOTHING),
        (Signing({}), {"result": True}, NOTHING),
        (Signing({}), {"result": False, "error": "banned"}, Answer(refused=True, detail="banned")),
        (OFFLINE, {"skip": True}, Answer(offline=Offline(skip=True))),
        (
            OFFLINE,
            {"offlinePeers": ["spike", "tyke", "spike"], "force": 1},
            Answer(offline=Offline(clients=["spike"], force=True)),
        ),
        (OFFLINE, {"pushMessage": {"alert": "你好"}}, Answer(offline=Offline(push_message='{"alert":"你好"}'))),
        (OFFLINE, {"pushMessage": '{"alert":"hi"}'}, Answer(offline=Offline(push_message='{"alert":"hi"}'))),
    ],
)
def test_what_is_wanted(question: Question, result: Any, answer: Answer) -> None:
    assert answer_of(question, result) == answer


@pytest.mark.parametrize(
    ("question", "result"),
    [
        (SENDING, "dropped"),
        (SENDING, [1]),
        (SENDING, True),
        (SENDING, {"drop": True, "code": "7"}),
        (SENDING, {"code": 1.5}),
        (SENDING, {"code": True}),
        (SENDING, {"code": 2**31}),
        (SENDING, {"detail": 5}),
        (SENDING, {"content": 5}),
        (SENDING, {"content": {"_lctype": -1}}),
        (SENDING, {"content": "no base64!", "bin": True}),
        (SENDING, {"content": "é", "bin": True}),
        (SENDING, {"content": "x", "bin": "true"}),
        (SENDING, {"toPeers": "jerry"}),
        (SENDING, {"toPeers": [1]}),
        (UPDATING, {"attr": "x"}),
        (MUTING, {"mute": "yes"}),
        (Signing({}), {"result": "no"}),
        (OFFLINE, {"pushMessage": 5}),
        (OFFLINE, {"pushMessage": "x" * 20_000}),
        (OFFLINE, {"offlinePeers": {"a": 1}}),
    ],
)
def test_other_types_are_a_failure(question: Question, result: Any) -> None:
    with pytest.raises(HookFailed) as failed:
        answer_of(question, result)
    assert failed.value.answered


def test_long_texts_are_cut_off() -> None:
    assert answer_of(SENDING, {"drop": True, "detail": "x" * 5_000}).detail == "x" * 1_024
