"""What happened to conversations while the client was away, fetched over HTTP after a reconnect."""

import json
import logging
from typing import Any

from hongyan_client.errors import HongyanError
from hongyan_client.messages2_pb2 import GenericCommand
from hongyan_client.pushes import Pushes
from hongyan_client.router import Router
from hongyan_client.wire import command

log = logging.getLogger(__name__)

#: Answers fetched at most after one reconnect.
PAGES_MAX = 50
_PLAIN = ("cid", "initBy", "m", "udate")


async def fetch(router: Router, client_id: str, token: str, pushes: Pushes) -> None:
    """Hands the missed notifications to `pushes`, oldest first. A server that has none to give is no problem."""
    start = pushes.missed_since
    try:
        for _ in range(PAGES_MAX):
            parameters: dict[str, str | int] = {"client_id": client_id, "start_ts": start}
            answer = await router.get("/1.1/rtm/notifications", parameters, {"X-LC-IM-Session-Token": token})
            found = [item for item in _items(answer) if item["serverTs"] > start]
            for item in found:
                built = as_command(item)
                if built is not None:
                    pushes.notified(built)
            if not found or not answer.get("hasMore"):
                break
            start = found[-1]["serverTs"]
        pushes.missed_since = 0
    except HongyanError as error:
        log.info("missed notifications can't be fetched: %s", error)


def _items(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """All notifications of an answer in order of time; Swift's shape has kinds apart, JavaScript's one list."""
    lists = [answer.get("notifications")]
    for kind in ("permanent", "droppable"):
        part = answer.get(kind)
        lists.append(part.get("notifications") if isinstance(part, dict) else None)
    unique = {
        json.dumps(item, sort_keys=True): item
        for items in lists
        for item in items or ()
        if isinstance(item, dict) and isinstance(item.get("serverTs"), int)
    }
    return sorted(unique.values(), key=lambda item: int(item["serverTs"]))


def as_command(item: dict[str, Any]) -> GenericCommand | None:
    """A notification as the push that was missed; None if this client does not know its kind."""
    try:
        if item.get("cmd") == "rcp":
            built = command("rcp", **{name: item.get(name) for name in ("cid", "id", "t", "read", "from")})
        else:
            fields: dict[str, Any] = {name: item.get(name) for name in _PLAIN}
            for name in ("attr", "attrModified"):
                if item.get(name) is not None:
                    fields[name] = {"data": json.dumps(item[name], ensure_ascii=False)}
            if isinstance(item.get("info"), dict):
                fields["info"] = {name: item["info"].get(name) for name in ("pid", "role", "infoId")}
            built = command("conv", str(item.get("op")).replace("-", "_"), **fields)
    except ValueError:
        return None
    built.serverTs = item["serverTs"]
    return built
