"""A conversation of each kind, with somebody in every relation to it."""

import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import httpx

from hongyan.engine.values import ConversationKind
from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.talk import people, pushes, settled
from tests.support.client import TIMEOUT, Connection, Session, command, connect
from tests.support.server import Server

PEOPLE = ("owner", "member", "stranger")


@dataclasses.dataclass
class Stage:
    """`owner` has made the conversation, `member` is in it, `stranger` is not, `nobody` has not logged in.

    `names` are what stands for `{cid}` and the like in a request: the three clients' ids, the conversation, and the
    id and time of a message that the owner sent there and wants receipts for.
    """

    kind: ConversationKind
    server: Server
    sessions: dict[str, Session]
    nobody: Connection
    names: dict[str, Any]

    def request(self, name: str, fields: Mapping[str, Any], by: str) -> GenericCommand:
        cmd, _, op = name.partition("/")
        peer = self.sessions[by].peer if by in self.sessions else self.names["stranger"]
        return command(cmd, op or None, peer, **self._filled(fields))

    def connection(self, by: str) -> Connection:
        return self.sessions[by].connection if by in self.sessions else self.nobody

    async def told(self) -> dict[str, list[GenericCommand]]:
        """What each has been told unasked since the last call."""
        return {name: await pushes(session) for name, session in self.sessions.items()}

    async def state(self) -> dict[str, Any]:
        """All that can be seen of the conversation: what a refused request must not change."""
        owner = self.sessions["owner"]
        cid = self.names["cid"]
        where = {"tempConvIds": [cid]} if self.kind is ConversationKind.TEMPORARY else _by_id(cid)
        row = await owner.request("conv", "query", flag=2, **where)
        rows = json.loads(row.convMessage.results.data)
        for each in rows:
            each.pop("ttl", None)  # of a temporary conversation: what is left
            each.pop("tempConvTTL", None)
        seen: dict[str, Any] = {"rows": rows, "history": str(await owner.logs(cid))}
        for name, session in self.sessions.items():
            seen[f"{name} is in"] = (await session.request("conv", "is_member", cids=[cid])).convMessage.results.data
        if self.kind in (ConversationKind.NORMAL, ConversationKind.CHATROOM):
            seen["silenced"] = list((await owner.request("conv", "query_shutup", cid=cid)).convMessage.m)
            blocked = await owner.request("blacklist", "query", srcCid=cid)
            seen["blocked"] = list(blocked.blacklistMessage.blockedPids)
        return seen

    def _filled(self, value: Any) -> Any:
        """`{cid}` and the like replaced; a text that is nothing but a name gets the value as it is."""
        match value:
            case str():
                return self.names[value[1:-1]] if value[:1] == "{" and value[1:-1] in self.names else value
            case Mapping():
                return {key: self._filled(item) for key, item in value.items()}
            case list():
                return [self._filled(item) for item in value]
        return value


def _by_id(cid: str) -> dict[str, Any]:
    return {"where": {"data": json.dumps({"objectId": cid})}}


@contextlib.asynccontextmanager
async def stage(server: Server, kind: ConversationKind) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        ids = people(*PEOPLE)
        sessions = {
            name: await stack.enter_async_context(settled(server, peer)) for name, peer in zip(PEOPLE, ids, strict=True)
        }
        nobody = await stack.enter_async_context(connect(server))
        owner, member = sessions["owner"], sessions["member"]
        cid = await _MAKERS[kind](server, owner, member)
        ack = await owner.send(cid, "hello", r=True)
        names = {**dict(zip(PEOPLE, ids, strict=True)), "cid": cid, "mid": ack.uid, "t": ack.t}
        made = Stage(kind, server, sessions, nobody, names)
        await made.told()
        yield made


async def _normal(server: Server, owner: Session, member: Session) -> str:
    return await owner.start(member.peer)


async def _chatroom(server: Server, owner: Session, member: Session) -> str:
    cid = await owner.start(transient=True)
    await member.request("conv", "add", cid=cid, m=[member.peer])
    return cid


async def _service(server: Server, owner: Session, member: Session) -> str:
    """The owner of a service conversation is the app: `owner` is its first subscriber."""
    headers = {"X-LC-Id": server.app.id, "X-LC-Key": f"{server.app.master_key},master"}
    async with httpx.AsyncClient(headers=headers, verify=server.ssl_context or False, timeout=TIMEOUT) as http:
        made = await http.post(f"{server.http_url}/1.2/rtm/service-conversations", json={"name": "news"})
        cid: str = made.json()["objectId"]
    for session in (owner, member):
        await session.request("conv", "add", cid=cid, m=[session.peer])
    return cid


async def _temporary(server: Server, owner: Session, member: Session) -> str:
    return await owner.start(member.peer, tempConv=True)


_MAKERS = {
    ConversationKind.NORMAL: _normal,
    ConversationKind.CHATROOM: _chatroom,
    ConversationKind.SERVICE: _service,
    ConversationKind.TEMPORARY: _temporary,
}
