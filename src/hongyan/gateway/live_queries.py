"""Which connection listens for which subscription of LiveQuery, and what it is told (reference 10.4)."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hongyan.engine.events import LiveQueriesMatched, Match
from hongyan.engine.live_queries import LiveQueries
from hongyan.engine.values import App, ConversationRow
from hongyan.gateway.connection import Connection
from hongyan.gateway.conversation_json import to_json
from hongyan.wire.messages2_pb2 import CommandType, DataCommand, GenericCommand, JsonObjectMessage

LIVE_QUERY_SERVICE = 1
CLASS = "_Conversation"
#: More members than these are not told: who needs them asks for them.
MEMBERS_TOLD_MAX = 1_000
#: What an object has whatever keys are asked for.
_ALWAYS = ("className", "objectId", "createdAt", "updatedAt")


class Listeners:
    """An id is held by the connection that logged in with it last: one that reconnects takes it from its lost one."""

    def __init__(self, queries: LiveQueries) -> None:
        self._queries = queries
        self._holders: dict[tuple[int, str], Connection] = {}

    def login(self, connection: Connection, app: App, id: str) -> None:
        if connection.live_queries is None:
            connection.live_queries = {}
        if connection.live_queries.get(id, app) is not app:
            self.logout(connection, id)
        connection.live_queries[id] = app
        self._holders[(app.key, id)] = connection
        self._queries.connected(app, id)

    def logout(self, connection: Connection, id: str) -> bool:
        """Whether the connection had logged in with this id. Its subscriptions end unless another one holds it now."""
        app = (connection.live_queries or {}).pop(id, None)
        if app is not None and self._let_go(connection, app, id):
            self._queries.ended(app, id)
        return app is not None

    def lost(self, connection: Connection) -> None:
        """The connection has ended."""
        for id, app in (connection.live_queries or {}).items():
            if self._let_go(connection, app, id):
                self._queries.lost(app, id)

    def tell(self, event: LiveQueriesMatched) -> None:
        texts = _Texts(event)
        for match in event.matches:
            connection = self._holders.get((event.app_key, match.subscription_id))
            if connection is not None:
                connection.send(_data(match.subscription_id, texts.of(match)))

    def _let_go(self, connection: Connection, app: App, id: str) -> bool:
        held = self._holders.get((app.key, id)) is connection
        if held:
            del self._holders[(app.key, id)]
        return held


def _data(id: str, text: str) -> GenericCommand:
    message = DataCommand(ids=[uuid.uuid4().hex], msg=[JsonObjectMessage(data=text)])
    return GenericCommand(cmd=CommandType.data, service=LIVE_QUERY_SERVICE, installationId=id, dataMessage=message)


class _Texts:
    """What to tell of one change. Objects that look the same to several queries are put into words once."""

    def __init__(self, event: LiveQueriesMatched) -> None:
        self._event = event
        self._updated = json.dumps(event.keys, ensure_ascii=False)
        self._objects: dict[tuple[object, ...], str] = {}

    def of(self, match: Match) -> str:
        parts = f'"op":"{match.op}","object":{self._object(match)},"query_id":"{match.query_id}"'
        updated = "" if match.op in ("create", "delete") else f',"updatedKeys":{self._updated}'
        return f"{{{parts}{updated}}}"

    def _object(self, match: Match) -> str:
        row = None if match.hidden else self._event.row
        looks = (row is None, match.caller if match.muted else None, match.keys)
        if looks not in self._objects:
            content = {"className": CLASS, "objectId": self._event.conversation_id}
            if row is not None:
                content |= select(_rest(row, match), match.keys)
            self._objects[looks] = json.dumps(content, ensure_ascii=False)
        return self._objects[looks]


def _rest(row: ConversationRow, match: Match) -> dict[str, Any]:
    """The row as the REST API shows it (REST reference 2.1)."""
    content = to_json(replace(row, muted=match.muted), match.caller, now=0)  # that is for temporary ones: none are here
    del content["conv_type"]
    content.pop("joined", None)  # one row is for all who are told
    if len(row.members) > MEMBERS_TOLD_MAX:
        content.pop("m", None)
    return content


def select(content: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The part of an object that is asked for; `-key` leaves one out, dots reach into objects (REST reference 3.13)."""
    wanted = [key.split(".") for key in keys if not key.startswith("-")]
    chosen: dict[str, Any] = {key: content[key] for key in _ALWAYS if key in content} if wanted else dict(content)
    for path in wanted:
        _copy(content, chosen, path)
    for key in keys:
        if key.startswith("-") and key[1:] not in _ALWAYS:
            _leave_out(chosen, key[1:].split("."))
    return chosen


def _leave_out(target: dict[str, Any], path: Sequence[str]) -> None:
    key, *rest = path
    if not rest:
        target.pop(key, None)
    elif isinstance(target.get(key), Mapping):
        target[key] = dict(target[key])
        _leave_out(target[key], rest)


def _copy(source: Any, target: dict[str, Any], path: Sequence[str]) -> None:
    *way, last = path
    places = []
    for key in way:
        if not isinstance(source, Mapping) or key not in source:
            return
        source = source[key]
        places.append(key)
    if not isinstance(source, Mapping) or last not in source:
        return
    for key in places:
        inner = target.get(key)
        target[key] = target = dict(inner) if isinstance(inner, Mapping) else {}
    target[last] = source[last]
