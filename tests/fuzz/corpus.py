"""Inputs to begin with: the sample frames of the protocol's reference, and what clients say."""

import base64
import random
from collections.abc import Iterator, Sequence

from hongyan.gateway.live_queries import LIVE_QUERY_SERVICE
from hongyan.wire.messages2_pb2 import GenericCommand, LogsCommand
from tests.fuzz.harness import (
    CONVERSATION,
    FOREIGN_CONVERSATION,
    FOREIGN_MESSAGE,
    FOREIGN_TOKEN,
    HOME,
    LIMITED,
    MESSAGE,
    ROOM,
    SERVICE,
    TEMPORARY,
    TOKEN,
    numbered,
    open_command,
)
from tests.support.client import command

SAMPLES = [
    bytes.fromhex(text)
    for text in (
        "080010011a0864656d6f2d6170702203746f6d2801b20615220d6a732f352e302e302d72632e3828009801bb01",
        "080010052203746f6d280240024880d095ffbc31b206085203746f6b58901c",
        "08022203746f6d2802c2061e0a0268695a18363566303030303030303030303030303030303030303031",
        "08032203746f6d280240024881d095ffbc31ca060b2881d095ffbc3132026d31",
        "080e2803",
        "080e28fbffffffffffffffff01",
    )
]
"""Reference 2.5."""

DATA = "data"


def spoken() -> list[GenericCommand]:
    """A command of each kind that clients use, with the fields they fill; some about conversations of others."""
    reopen = open_command(HOME, "known-1")
    reopen.sessionMessage.st, reopen.sessionMessage.r = TOKEN, True
    forged = open_command(HOME, "mallory")
    forged.sessionMessage.st = FOREIGN_TOKEN
    limited = open_command(LIMITED, "mallory")
    signed = open_command(HOME, "mallory")
    signed.sessionMessage.s, signed.sessionMessage.t, signed.sessionMessage.n = SIGNATURE["s"], SIGNATURE["t"], "n"
    about = [CONVERSATION, FOREIGN_CONVERSATION, ROOM, SERVICE, TEMPORARY]
    return [
        open_command(HOME, "mallory"),
        reopen,
        forged,
        limited,
        signed,
        command("session", "query", sessionPeerIds=["known-1", "x"]),
        command("session", "refresh", st=TOKEN),
        command("session", "close"),
        command("echo"),
        command("conv", "start", m=["mallory", "known-1"], unique=True, attr={DATA: '{"name":"n","attr":{"a":1}}'}),
        command("conv", "start", m=["mallory"], transient=True),
        command("conv", "start", m=["mallory"], tempConv=True, tempConvTTL=60),
        *(command("conv", "query", where={DATA: text}, **fields) for text, fields in CONDITIONS),
        command("conv", "query", tempConvIds=[TEMPORARY, CONVERSATION], flag=2),
        *(command("conv", op, cid=cid, m=["mallory"], **SIGNATURE) for op in MEMBER_OPERATIONS for cid in about),
        *(command("conv", op, cid=cid, m=["known-2"]) for op in SILENCE_OPERATIONS for cid in about),
        command("conv", "query_shutup", cid=CONVERSATION, limit=2, next="1"),
        *(
            command(
                "conv", "member_info_update", cid=cid, targetClientId="known-2", info={"pid": "known-2", "role": role}
            )
            for cid in about
            for role in ("Manager", "Member")
        ),
        command("conv", "is_member", cids=about),
        *(command("conv", op, cid=cid) for op in CONVERSATION_OPERATIONS for cid in about),
        command("conv", "max_read", cid=CONVERSATION, queryAllMembers=True),
        command("conv", "update", cid=CONVERSATION, attr={DATA: '{"name":"new","attr.a":2}'}),
        *(command("direct", cid=cid, msg="hi", r=True, dt="again", mentionPids=["known-1"]) for cid in about),
        command("direct", cid=ROOM, msg='{"_lctype":-1,"_lctext":"hi"}', transient=True),
        command("direct", cid=CONVERSATION, binaryMsg=b"\0\xff", transient=True),
        command("direct", cid=CONVERSATION, msg="gone", will=True),
        *(command("ack", cid=cid, mid=MESSAGE, fromts=1, tots=2) for cid in about),
        command("read", convs=[{"cid": CONVERSATION, "mid": MESSAGE, "timestamp": 1}], cids=about, cid=CONVERSATION),
        *(command("logs", cid=cid, l=20, t=1_700_000_000_000, mid=MESSAGE, tmid=FOREIGN_MESSAGE) for cid in about),
        command("logs", cid=CONVERSATION, limit=-1, direction=LogsCommand.NEW, tIncluded=True, lctype=-1),
        *(command("blacklist", op, srcCid=cid, toPids=["known-1"]) for op in BLACKLIST_OPERATIONS for cid in about),
        *(command("blacklist", op, srcPid="mallory", toCids=about, next="1") for op in BLACKLIST_OPERATIONS),
        *(command("patch", "modify", patches=[{"cid": cid, "mid": MESSAGE, "data": "x"}]) for cid in about),
        live_query("login"),
        live_query("logout"),
    ]


def live_query(cmd: str) -> GenericCommand:
    """Who listens says so by the id of an installation."""
    request = command(cmd)
    request.installationId, request.appId, request.service = "an-id-of-an-installation", HOME, LIVE_QUERY_SERVICE
    return request


CONDITIONS = [
    ("", {}),
    ('{"m":"known-1"}', {"sort": "-lm,createdAt", "limit": 5, "skip": 1, "flag": 3}),
    ('{"m":{"$all":["known-1","known-2"],"$size":2}}', {"limit": 1000}),
    ('{"objectId":{"$in":["' + CONVERSATION + '","' + FOREIGN_CONVERSATION + '"]}}', {"flag": 2}),
    ('{"$or":[{"name":{"$regex":"(a+)+$"}},{"attr.a":{"$exists":true}}]}', {}),
    ('{"updatedAt":{"$gt":{"__type":"Date","iso":"2026-01-01T00:00:00.000Z"}}}', {}),
]
MEMBER_OPERATIONS = ["add", "remove"]
SILENCE_OPERATIONS = ["add_shutup", "remove_shutup", "check_shutup"]
SIGNATURE = {"s": "0123456789abcdef" * 2 + "01234567", "t": 1_700_000_000_000, "n": "nonce"}
BLACKLIST_OPERATIONS = ["block", "unblock", "query", "check_block"]
#: Every other operation of `conv` that a client may ask for (reference 3.3).
CONVERSATION_OPERATIONS = [
    "update", "mute", "unmute", "count", "members", "is_member", "max_read", "status",
    "add_shutup", "remove_shutup", "query_shutup", "check_shutup", "member_info_update",
]  # fmt: skip


def said() -> list[bytes]:
    """`spoken`, with serials, as the payloads of binary frames, and the samples."""
    return SAMPLES + [
        numbered(serial, request).SerializePartialToString() for serial, request in enumerate(spoken(), 1)
    ]


def texts(payloads: Sequence[bytes]) -> list[bytes]:
    """The payloads of text frames for these."""
    return [base64.b64encode(payload) for payload in payloads]


def garbage(chance: random.Random, count: int) -> Iterator[bytes]:
    """Payloads, most of them damaged."""
    payloads = said()
    for _ in range(count):
        payload = bytearray(chance.choice(payloads))
        for _ in range(chance.choice([0, 0, 1, 1, 2, 5])):
            place = chance.randrange(len(payload) + 1)
            payload[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        yield bytes(payload)
