"""Messages to departments and many users: one call for all, of which Feishu tells only numbers."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from hongyan.hub.connector import Outcome, Problem, Receipt, Result, Status, Target, failed, said_twice
from hongyan.hub.connectors.feishu.api import Api, data
from hongyan.hub.connectors.feishu.rendering import Body

SEND, BATCHES = "/open-apis/message/v4/batch_send/", "/open-apis/im/v1/batch_messages"
#: Ids of one kind in a call.
IDS_MAX = 200


def user_id_type(id: str) -> str:
    """By what the id begins with."""
    return "open_id" if id.startswith("ou_") else "union_id" if id.startswith("on_") else "user_id"


class Batches:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def send(self, body: Body, to: Sequence[Target]) -> dict[Target, Result]:
        """Feishu has nothing that keeps it from sending twice what is asked twice."""
        results: dict[Target, Result] = {}
        for group in _groups(to):
            try:
                with said_twice():
                    results |= await self._send(body, group)
            except Problem as problem:
                results |= {target: failed(target, problem) for target in group}
        return results

    async def _send(self, body: Body, to: Sequence[Target]) -> dict[Target, Result]:
        self._api.take()
        content = {"post": body.content} if body.type == "post" else body.content
        asked: dict[str, Any] = {"msg_type": body.type, "card" if body.type == "interactive" else "content": content}
        for target in to:
            asked.setdefault(_list(target), []).append(target.id)
        found = data(await self._api.call("POST", SEND, value=asked, once=False))
        message_id = found.get("message_id")
        if not isinstance(message_id, str):
            raise Problem(Outcome.UNKNOWN, "the answer has no message_id")
        return {target: _result(target, found, message_id) for target in to}

    async def recall(self, receipt: Receipt) -> None:
        """For everybody: a batch is one message."""
        await self._api.call("DELETE", f"{BATCHES}/{quote(receipt['batch_message_id'], safe='')}")

    async def status(self, receipt: Receipt) -> Status:
        path = f"{BATCHES}/{quote(receipt['batch_message_id'], safe='')}/get_progress"
        progress = data(await self._api.call("GET", path)).get("batch_message_send_progress")
        counts = progress if isinstance(progress, dict) else {}
        valid, sent, read = (counts.get(f"{name}_user_ids_count", 0) or 0 for name in ("valid", "success", "read"))
        return Status(delivered=sent >= valid if valid else None, read_count=int(read))


def _groups(to: Sequence[Target]) -> list[Sequence[Target]]:
    """So that no call has too many ids of one kind."""
    kinds: dict[str, list[Target]] = {}
    for target in to:
        kinds.setdefault(_list(target), []).append(target)
    groups: list[list[Target]] = []
    for targets in kinds.values():
        for number, target in enumerate(targets):
            if number // IDS_MAX == len(groups):
                groups.append([])
            groups[number // IDS_MAX].append(target)
    return list(groups)


def _list(target: Target) -> str:
    return "department_ids" if target.kind == "department" else f"{user_id_type(target.id)}s"


def _result(target: Target, found: Mapping[str, Any], message_id: str) -> Result:
    invalid = found.get(f"invalid_{_list(target)}")
    if isinstance(invalid, list) and target.id in invalid:
        return Result(target, Outcome.BAD_RECIPIENT, reason="Feishu knows nobody with this id, or the app may not")
    return Result(target, Outcome.OK, {"batch_message_id": message_id})
