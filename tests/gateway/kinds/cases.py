"""Every command about a conversation, for every kind of conversation: who may, who may not, and what is no request.

`{cid}` and the like stand for what `stage` made. Codes are those of the reference, sections 3 and 9.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hongyan.engine.values import ConversationKind
from hongyan.errors import KINDS

NORMAL, CHATROOM, SERVICE, TEMPORARY = ConversationKind


@dataclasses.dataclass(frozen=True)
class Case:
    """A request, who sends it, and what comes of it.

    `reply` is a command's name, or the name of an error. Without a reply `told` says who is told what, both may be
    empty.
    """

    by: str
    fields: Mapping[str, Any]
    reply: str = ""
    told: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def refused(self) -> bool:
        return self.reply in KINDS


@dataclasses.dataclass(frozen=True)
class Cases:
    """Of one command for one kind. `forbidden` is None where everybody who is logged in may."""

    allowed: Case
    malformed: Case
    forbidden: Case | None = None

    def each(self) -> dict[str, Case]:
        # whoever may not, who has not logged in may not
        forbidden = self.forbidden or Case("nobody", self.allowed.fields, "SESSION_REQUIRED")
        return {"allowed": self.allowed, "forbidden": forbidden, "malformed": self.malformed}


LONG_ID = "x" * 65
"""No client has such an id."""
UNKNOWN = "65f0000000000000000000ff"
"""No conversation has this id."""
LONG_TEXT = "x" * 6_000
"""No message is so long."""


def by(who: str, reply: str, /, **fields: Any) -> Case:
    return Case(who, {"cid": "{cid}", **fields}, reply)


def none_such(error: str, /, **fields: Any) -> Cases:
    """A kind without this command, whoever asks."""
    request = fields if "srcCid" in fields else {"cid": "{cid}", **fields}
    unknown = {name: UNKNOWN if value == "{cid}" else value for name, value in request.items()}
    return Cases(
        Case("owner", request, error),
        Case("owner", unknown, "CONVERSATION_NOT_FOUND"),
        Case("stranger", request, error),
    )


BODY = {"data": '{"name":"new"}'}
NO_JSON = {"data": "["}
EVERYBODY = ["{owner}", "{member}"]
ONESELF, OTHERS = ["{stranger}"], ["{member}"]

_JOIN_ONLY_ONESELF = Cases(
    allowed=by("stranger", "conv/added", m=ONESELF),
    forbidden=by("owner", "CONVERSATION_OPERATION_UNAUTHORIZED", m=ONESELF),
    malformed=by("stranger", "CONVERSATION_NOT_FOUND", cid=UNKNOWN, m=ONESELF),
)
_LEAVE_ONLY_ONESELF = Cases(
    allowed=by("member", "conv/removed", m=["{member}"]),
    forbidden=by("owner", "CONVERSATION_OPERATION_UNAUTHORIZED", m=["{member}"]),
    malformed=by("member", "CONVERSATION_NOT_FOUND", cid=UNKNOWN, m=["{member}"]),
)


def _asked_by_anybody(reply: str, **fields: Any) -> Cases:
    """Nobody is kept from asking: rows and counts are open to every client of the app (reference 3.1)."""
    return Cases(
        by("stranger", reply, **fields), by("stranger", "CONVERSATION_NOT_FOUND", **{**fields, "cid": UNKNOWN})
    )


def _muting() -> Cases:
    return Cases(
        allowed=by("member", "conv/updated"),
        forbidden=by("stranger", "CONVERSATION_MEMBERSHIP_REQUIRED"),
        malformed=by("member", "CONVERSATION_NOT_FOUND", cid=UNKNOWN),
    )


def _updating() -> Cases:
    return Cases(
        allowed=by("member", "conv/updated", attr=BODY),
        forbidden=by("stranger", "CONVERSATION_UPDATE_REJECTED", attr=BODY),
        malformed=by("member", "CONVERSATION_UPDATE_FAILED", attr=NO_JSON),
    )


def _asking_marks() -> Cases:
    return Cases(
        allowed=by("member", "conv/max_read"),
        forbidden=by("stranger", "CONVERSATION_MEMBERSHIP_REQUIRED"),
        malformed=by("member", "CONVERSATION_NOT_FOUND", cid=UNKNOWN),
    )


def _silencing(reply: str) -> Cases:
    return Cases(
        allowed=by("owner", reply, m=OTHERS),
        forbidden=by("member", "CONVERSATION_OPERATION_UNAUTHORIZED", m=["{owner}"]),
        malformed=by("owner", "CONVERSATION_API_FAILED", m=[LONG_ID]),
    )


def _asking_silence(reply: str, *, in_room: bool = False, **fields: Any) -> Cases:
    """A chat room is open to every client: whoever may come in may ask."""
    return Cases(
        allowed=by("stranger" if in_room else "member", reply, **fields),
        forbidden=None if in_room else by("stranger", "CONVERSATION_MEMBERSHIP_REQUIRED", **fields),
        malformed=by("member", "CONVERSATION_NOT_FOUND", **{**fields, "cid": UNKNOWN}),
    )


def _blocking(reply: str) -> Cases:
    of = {"srcCid": "{cid}"}
    return Cases(
        allowed=Case("owner", {**of, "toPids": OTHERS}, reply),
        forbidden=Case("member", {**of, "toPids": ["{owner}"]}, "CONVERSATION_OPERATION_UNAUTHORIZED"),
        malformed=Case("owner", {**of, "toPids": [LONG_ID]}, "CONVERSATION_API_FAILED"),
    )


def _asking_blocks(reply: str, *, in_room: bool = False, **fields: Any) -> Cases:
    of = {"srcCid": "{cid}", **fields}
    return Cases(
        allowed=Case("stranger" if in_room else "member", of, reply),
        forbidden=None if in_room else Case("stranger", of, "CONVERSATION_MEMBERSHIP_REQUIRED"),
        malformed=Case("member", {**of, "srcCid": UNKNOWN}, "CONVERSATION_NOT_FOUND"),
    )


def _sending(forbidden: Case | None = None) -> Cases:
    return Cases(
        allowed=by("member" if forbidden else "stranger", "ack", msg="hi"),
        forbidden=forbidden,
        malformed=by("member", "FRAME_TOO_LONG", msg=LONG_TEXT),
    )


def _reading_history(forbidden: Case | None = None) -> Cases:
    return Cases(
        allowed=by("member" if forbidden else "stranger", "logs"),
        forbidden=forbidden,
        malformed=by("member", "CONVERSATION_NOT_FOUND", cid=UNKNOWN),
    )


def _patching(forbidden: Case) -> Cases:
    return Cases(
        allowed=_patch("owner", "patch/modified"),
        forbidden=forbidden,
        malformed=_patch("owner", "MESSAGE_NOT_FOUND", mid="no-such-message"),
    )


def _patch(who: str, reply: str, **fields: Any) -> Case:
    item = {"cid": "{cid}", "mid": "{mid}", "timestamp": "{t}", "data": "new", **fields}
    return Case(who, {"patches": [item]}, reply)


def _unanswered(told: Mapping[str, str], **fields: Any) -> Cases:
    """A command without an answer: what is allowed is seen by what it tells others, the rest is passed over."""
    of = {"cid": "{cid}", **fields}
    return Cases(
        allowed=Case("member", of, told=told),
        forbidden=Case("stranger", of),
        malformed=Case("member", {**of, "cid": UNKNOWN}),
    )


def _of_blacklist(cases: Mapping[ConversationKind, Cases], **fields: Any) -> Mapping[ConversationKind, Cases]:
    """Nobody but the application owns a service conversation, and temporary ones have no blacklist."""
    return {
        **cases,
        SERVICE: none_such("CONVERSATION_OPERATION_UNAUTHORIZED", srcCid="{cid}", **fields),
        TEMPORARY: none_such("NORMAL_CONVERSATION_REQUIRED", srcCid="{cid}", **fields),
    }


_MUTING = {
    NORMAL: _muting(),
    CHATROOM: _muting(),
    SERVICE: _muting(),
    TEMPORARY: Cases(
        allowed=by("member", "NORMAL_CONVERSATION_REQUIRED"),  # it ends soon enough
        forbidden=by("stranger", "CONVERSATION_MEMBERSHIP_REQUIRED"),
        malformed=by("member", "CONVERSATION_NOT_FOUND", cid=UNKNOWN),
    ),
}

CASES: Mapping[str, Mapping[ConversationKind, Cases]] = {
    "conv/start": {
        NORMAL: Cases(
            Case("owner", {"m": EVERYBODY}, "conv/started"), Case("owner", {"m": [LONG_ID]}, "CONVERSATION_API_FAILED")
        ),
        CHATROOM: Cases(
            Case("owner", {"transient": True}, "conv/started"),
            Case("owner", {"transient": True, "attr": NO_JSON}, "CONVERSATION_API_FAILED"),
        ),
        # the application makes these: a client that asks for one gets a normal conversation
        SERVICE: Cases(
            Case("owner", {"attr": {"data": '{"sys":true}'}}, "conv/started"),
            Case("owner", {"attr": {"data": "1"}}, "CONVERSATION_API_FAILED"),
        ),
        TEMPORARY: Cases(
            Case("owner", {"tempConv": True, "m": EVERYBODY}, "conv/started"),
            Case("owner", {"tempConv": True, "m": [f"p{number}" for number in range(11)]}, "CONVERSATION_FULL"),
        ),
    },
    "conv/add": {
        NORMAL: Cases(
            allowed=by("member", "conv/added", m=ONESELF),
            forbidden=by("stranger", "CONVERSATION_MEMBERSHIP_REQUIRED", m=["{stranger}", "somebody"]),
            malformed=by("member", "CONVERSATION_API_FAILED", m=[LONG_ID]),
        ),
        CHATROOM: _JOIN_ONLY_ONESELF,
        SERVICE: _JOIN_ONLY_ONESELF,
        TEMPORARY: none_such("CONVERSATION_READ_ONLY", m=ONESELF),
    },
    "conv/remove": {
        NORMAL: Cases(
            allowed=by("owner", "conv/removed", m=OTHERS),
            forbidden=by("stranger", "CONVERSATION_MEMBERSHIP_REQUIRED", m=OTHERS),
            malformed=by("owner", "CONVERSATION_API_FAILED", m=[LONG_ID]),
        ),
        CHATROOM: _LEAVE_ONLY_ONESELF,
        SERVICE: _LEAVE_ONLY_ONESELF,
        TEMPORARY: none_such("CONVERSATION_READ_ONLY", m=OTHERS),
    },
    "conv/query": {
        **dict.fromkeys(
            (NORMAL, CHATROOM, SERVICE),
            Cases(
                Case("stranger", {"where": {"data": '{"objectId":"{cid}"}'}}, "conv/results"),
                Case("stranger", {"where": NO_JSON}, "CONVERSATION_QUERY_FAILED"),
            ),
        ),
        TEMPORARY: Cases(
            Case("member", {"tempConvIds": ["{cid}"]}, "conv/results"),
            Case("member", {"tempConvIds": ["{cid}"] * 1_001}, "CONVERSATION_QUERY_FAILED"),
        ),
    },
    "conv/count": {
        **{kind: _asked_by_anybody("conv/result") for kind in (NORMAL, CHATROOM, SERVICE)},
        TEMPORARY: Cases(
            allowed=by("member", "conv/result"),
            forbidden=by("stranger", "CONVERSATION_MEMBERSHIP_REQUIRED"),
            malformed=by("member", "CONVERSATION_NOT_FOUND", cid=UNKNOWN),
        ),
    },
    "conv/update": {
        NORMAL: _updating(),
        CHATROOM: _updating(),
        SERVICE: none_such("CONVERSATION_READ_ONLY", attr=BODY),
        TEMPORARY: none_such("CONVERSATION_READ_ONLY", attr=BODY),
    },
    "conv/mute": _MUTING,
    "conv/unmute": _MUTING,
    "conv/members": {
        NORMAL: none_such("TRANSIENT_CONVERSATION_REQUIRED"),
        CHATROOM: _asked_by_anybody("conv/members"),
        SERVICE: none_such("TRANSIENT_CONVERSATION_REQUIRED"),
        TEMPORARY: none_such("TRANSIENT_CONVERSATION_REQUIRED"),
    },
    "conv/max_read": {
        NORMAL: _asking_marks(),
        CHATROOM: none_such("NORMAL_CONVERSATION_REQUIRED"),
        SERVICE: none_such("NORMAL_CONVERSATION_REQUIRED"),
        TEMPORARY: _asking_marks(),
    },
    "conv/is_member": dict.fromkeys(
        ConversationKind,
        Cases(
            Case("stranger", {"cids": ["{cid}"]}, "conv/is_member"),
            Case("stranger", {"cids": [f"{number:024x}" for number in range(101)]}, "CONVERSATION_API_FAILED"),
        ),
    ),
    "conv/member_info_update": {
        NORMAL: Cases(
            allowed=by(
                "owner",
                "conv/member_info_updated",
                targetClientId="{member}",
                info={"pid": "{member}", "role": "Manager"},
            ),
            forbidden=by(
                "member",
                "CONVERSATION_OPERATION_UNAUTHORIZED",
                targetClientId="{member}",
                info={"pid": "{member}", "role": "Manager"},
            ),
            malformed=by(
                "owner",
                "UNKNOWN_CONVERSATION_ROLE",
                targetClientId="{member}",
                info={"pid": "{member}", "role": "King"},
            ),
        ),
        **dict.fromkeys(
            (CHATROOM, SERVICE, TEMPORARY),
            none_such(
                "NORMAL_CONVERSATION_REQUIRED",
                targetClientId="{member}",
                info={"pid": "{member}", "role": "Manager"},
            ),
        ),
    },
    "conv/add_shutup": {
        NORMAL: _silencing("conv/shutup_added"),
        CHATROOM: _silencing("conv/shutup_added"),
        SERVICE: none_such("NORMAL_CONVERSATION_REQUIRED", m=OTHERS),
        TEMPORARY: none_such("NORMAL_CONVERSATION_REQUIRED", m=OTHERS),
    },
    "conv/remove_shutup": {
        NORMAL: _silencing("conv/shutup_removed"),
        CHATROOM: _silencing("conv/shutup_removed"),
        SERVICE: none_such("NORMAL_CONVERSATION_REQUIRED", m=OTHERS),
        TEMPORARY: none_such("NORMAL_CONVERSATION_REQUIRED", m=OTHERS),
    },
    "conv/query_shutup": {
        NORMAL: _asking_silence("conv/shutup_result"),
        CHATROOM: _asking_silence("conv/shutup_result", in_room=True),
        SERVICE: none_such("NORMAL_CONVERSATION_REQUIRED"),
        TEMPORARY: none_such("NORMAL_CONVERSATION_REQUIRED"),
    },
    "conv/check_shutup": {
        NORMAL: _asking_silence("conv/check_result", m=OTHERS),
        CHATROOM: _asking_silence("conv/check_result", in_room=True, m=OTHERS),
        SERVICE: none_such("NORMAL_CONVERSATION_REQUIRED", m=OTHERS),
        TEMPORARY: none_such("NORMAL_CONVERSATION_REQUIRED", m=OTHERS),
    },
    "direct": {
        NORMAL: _sending(by("stranger", "INVALID_MESSAGING_TARGET", msg="hi")),
        CHATROOM: _sending(),
        SERVICE: _sending(),
        TEMPORARY: _sending(by("stranger", "CONVERSATION_NOT_FOUND", msg="hi")),
    },
    "ack": {
        NORMAL: _unanswered({"owner": "rcp"}, mid="{mid}"),
        CHATROOM: _unanswered({}, mid="{mid}"),
        SERVICE: _unanswered({}, mid="{mid}"),
        TEMPORARY: _unanswered({"owner": "rcp"}, mid="{mid}"),
    },
    "read": {
        NORMAL: _unanswered({"owner": "rcp", "member": "unread"}),
        CHATROOM: _unanswered({}),
        SERVICE: _unanswered({"member": "unread"}),
        TEMPORARY: _unanswered({"owner": "rcp", "member": "unread"}),
    },
    "logs": {
        NORMAL: _reading_history(by("stranger", "CONVERSATION_LOG_REJECTED")),
        CHATROOM: _reading_history(),
        SERVICE: _reading_history(),
        TEMPORARY: _reading_history(by("stranger", "CONVERSATION_LOG_REJECTED")),
    },
    "patch/modify": {
        NORMAL: _patching(_patch("member", "MESSAGE_OWNERSHIP_REQUIRED")),
        CHATROOM: _patching(_patch("member", "MESSAGE_OWNERSHIP_REQUIRED")),
        # each has a stream of its own there: the message of another is nowhere
        SERVICE: _patching(_patch("member", "MESSAGE_NOT_FOUND")),
        TEMPORARY: _patching(_patch("member", "MESSAGE_OWNERSHIP_REQUIRED")),
    },
    "blacklist/block": _of_blacklist(dict.fromkeys((NORMAL, CHATROOM), _blocking("blacklist/blocked")), toPids=OTHERS),
    "blacklist/unblock": _of_blacklist(
        dict.fromkeys((NORMAL, CHATROOM), _blocking("blacklist/unblocked")), toPids=OTHERS
    ),
    "blacklist/query": _of_blacklist(
        {
            NORMAL: _asking_blocks("blacklist/query_result"),
            CHATROOM: _asking_blocks("blacklist/query_result", in_room=True),
        }
    ),
    "blacklist/check_block": _of_blacklist(
        {
            NORMAL: _asking_blocks("blacklist/check_result", toPids=OTHERS),
            CHATROOM: _asking_blocks("blacklist/check_result", in_room=True, toPids=OTHERS),
        },
        toPids=OTHERS,
    ),
}
