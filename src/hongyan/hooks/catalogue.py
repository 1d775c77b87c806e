"""The hooks by name: what each is given, and what it may answer (REST reference 5.1, 5.2).

Answers are of whoever wrote the engine: what has another type than it must have is a failed hook.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
from hongyan.engine.values import RECALLED_BODY, Conversation, ConversationKind

#: What is asked before something happens.
NAMES: dict[type[Question], str] = {
    Sending: "_messageReceived",
    Editing: "_messageUpdate",
    Starting: "_conversationStart",
    Adding: "_conversationAdd",
    Removing: "_conversationRemove",
    Updating: "_conversationUpdate",
    Muting: "_conversationUpdate",
    Signing: "_rtmClientSign",
    ReceiversOffline: "_receiversOffline",
}
#: What is told afterwards.
MESSAGE_SENT = "_messageSent"
CONVERSATION_STARTED = "_conversationStarted"
CONVERSATION_ADDED = "_conversationAdded"
CONVERSATION_REMOVED = "_conversationRemoved"
CLIENT_ONLINE = "_clientOnline"
CLIENT_OFFLINE = "_clientOffline"
TOLD = (MESSAGE_SENT, CONVERSATION_STARTED, CONVERSATION_ADDED, CONVERSATION_REMOVED, CLIENT_ONLINE, CLIENT_OFFLINE)
ALL = (*dict.fromkeys(NAMES.values()), *TOLD)

#: Codes have 32 bits on the wire; longer texts are cut off.
_CODE_MAX, _DETAIL_MAX = 2**31, 1_024
#: Characters of the content of a push.
_PUSH_MAX = 16_384

Params = dict[str, Any]


def params_of(question: Question) -> Params:
    """What the hook is given."""
    match question:
        case Sending():
            return _sending(question)
        case Editing():
            return _editing(question)
        case Starting(by, members, attributes):
            return {"initBy": by, "members": list(members), "attr": attributes}
        case Adding(by, members, conversation_id) | Removing(by, members, conversation_id):
            return {"initBy": by, "members": list(members), "convId": conversation_id}
        case Updating(by, conversation_id, changes):
            return {"initBy": by, "convId": conversation_id, "attr": changes}
        case Muting(by, conversation_id, muted):
            return {"initBy": by, "convId": conversation_id, "mute": muted}
        case Signing(user):
            return dict(user)
        case ReceiversOffline():
            return _receivers_offline(question)


def content_of(content: str | bytes) -> Params:
    """A body as hooks have it."""
    if isinstance(content, bytes):
        return {"bin": True, "content": base64.b64encode(content).decode("ascii")}
    return {"bin": False, "content": content}


def system_of(conversation: Conversation) -> bool | None:
    """LeanCloud says nothing of conversations that are none."""
    return conversation.kind is ConversationKind.SERVICE or None


def _sending(question: Sending) -> Params:
    draft = question.draft
    return {
        "fromPeer": question.sender,
        "convId": question.conversation.id,
        "toPeers": list(question.receivers),
        "transient": draft.transient,
        **content_of(draft.content),
        "receipt": draft.receipt,
        "timestamp": question.at,
        "system": system_of(question.conversation),
        "sourceIP": draft.source,
        "groupId": None,
    }


def _editing(question: Editing) -> Params:
    edit = question.edit
    return {
        "fromPeer": question.sender,
        "convId": question.conversation.id,
        "toPeers": list(question.receivers),
        **content_of(RECALLED_BODY if edit.draft is None else edit.draft.content),
        "timestamp": question.at,
        "msgId": edit.message_id,
        "sourceIP": question.source,
        "recall": edit.draft is None,
        "system": system_of(question.conversation),
    }


def _receivers_offline(question: ReceiversOffline) -> Params:
    content = question.content
    return {
        "fromPeer": question.sender,
        "convId": question.conversation.id,
        "offlinePeers": list(question.clients),
        "content": content if isinstance(content, str) else base64.b64encode(content).decode("ascii"),
        "timestamp": question.at,
        "mentionAll": question.mention_all,
        "mentionOfflinePeers": [] if question.mention_all else list(question.mentions),
    }


# answers


def answer_of(question: Question, result: Any) -> Answer:
    """What a hook has answered. Raises HookFailed if that can't be."""
    if result is None or result == {}:
        return NOTHING
    if not isinstance(result, dict):
        raise _wrong("the result", "an object")
    return _READERS[type(question)](question, result)


def _of_message(question: Any, result: Mapping[str, Any]) -> Answer:
    code, detail = _code(result), _text(result, "detail")
    if result.get("drop"):
        return Answer(refused=True, code=code, detail=detail)
    receivers = _clients(result, "toPeers")
    if isinstance(question, Editing) and question.edit.draft is None:
        return Answer(code=code, detail=detail, receivers=receivers)
    given = question.draft.content if isinstance(question, Sending) else question.edit.draft.content
    content = _content(result, given)
    return Answer(code=code, detail=detail, content=None if content == given else content, receivers=receivers)


def _of_conversation(question: Any, result: Mapping[str, Any]) -> Answer:
    """Only what was asked about can be replaced."""
    code, detail = _code(result), _text(result, "detail")
    if result.get("reject"):
        return Answer(refused=True, code=code, detail=detail)
    changes, muted = result.get("attr"), result.get("mute")
    if isinstance(question, Updating) and changes is not None:
        if not isinstance(changes, dict):
            raise _wrong("attr", "an object")
        return Answer(changes=changes)
    if isinstance(question, Muting) and muted is not None:
        return Answer(muted=_flag(result, "mute"))
    return NOTHING


def _of_login(question: Any, result: Mapping[str, Any]) -> Answer:
    if "result" not in result or _flag(result, "result"):
        return NOTHING
    return Answer(refused=True, detail=_text(result, "error"))


def _of_push(question: Any, result: Mapping[str, Any]) -> Answer:
    push = result.get("pushMessage")
    if isinstance(push, dict):
        push = json.dumps(push, ensure_ascii=False, separators=(",", ":"))
    if not isinstance(push, str | None) or len(push or "") > _PUSH_MAX:
        raise _wrong("pushMessage", f"a string or an object of at most {_PUSH_MAX:,} characters")
    clients = _clients(result, "offlinePeers")
    if clients is not None:
        asked = frozenset(question.clients)
        clients = [client for client in dict.fromkeys(clients) if client in asked]
    return Answer(offline=Offline(bool(result.get("skip")), clients, push or "", bool(result.get("force"))))


_READERS: dict[type[Question], Callable[[Any, Mapping[str, Any]], Answer]] = {
    Sending: _of_message,
    Editing: _of_message,
    Starting: _of_conversation,
    Adding: _of_conversation,
    Removing: _of_conversation,
    Updating: _of_conversation,
    Muting: _of_conversation,
    Signing: _of_login,
    ReceiversOffline: _of_push,
}


def _code(result: Mapping[str, Any]) -> int | None:
    code = result.get("code")
    if code is None:
        return None
    if not isinstance(code, int) or isinstance(code, bool) or not -_CODE_MAX <= code < _CODE_MAX:
        raise _wrong("code", "a whole number of 32 bits")
    return code


def _text(result: Mapping[str, Any], name: str) -> str:
    text = result.get(name)
    if not isinstance(text, str | None):
        raise _wrong(name, "a string")
    return _clean(text or "")[:_DETAIL_MAX]


def _flag(result: Mapping[str, Any], name: str) -> bool:
    flag = result.get(name, False)
    if not isinstance(flag, bool | None):
        raise _wrong(name, "true or false")
    return bool(flag)


def _clients(result: Mapping[str, Any], name: str) -> Sequence[str] | None:
    clients = result.get(name)
    if clients is None:
        return None
    if not isinstance(clients, list) or not all(isinstance(client, str) for client in clients):
        raise _wrong(name, "an array of strings")
    return clients


def _content(result: Mapping[str, Any], given: str | bytes) -> str | bytes | None:
    content, is_binary = result.get("content"), result.get("bin")
    if not isinstance(is_binary, bool | None):
        raise _wrong("bin", "true or false")
    if content is None:
        return None
    if not isinstance(content, str):
        raise _wrong("content", "a string")
    if not (isinstance(given, bytes) if is_binary is None else is_binary):
        return _clean(content)
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("content", "base64, as `bin` is true") from None


def _clean(text: str) -> str:
    """JSON can say halves of characters, which nobody else can: they become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _wrong(name: str, what: str) -> HookFailed:
    return HookFailed(f"{name} is not {what}", answered=True)
