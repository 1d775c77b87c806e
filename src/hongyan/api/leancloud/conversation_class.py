"""The class `_Conversation` of the storage API (REST reference 2.1, 3.11, 3.13): rows of a table.

What is written here no client is told. An id that is unknown is answered by an empty object, but for a write, which
would be lost.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar import Response, delete, get, post, put

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import conversation_rows, parameters, rest, scans
from hongyan.api.leancloud.conversation_rows import condition_of, writable
from hongyan.api.leancloud.conversations import check_columns
from hongyan.api.leancloud.credentials import AnyRequest, app_of_class, app_of_master
from hongyan.api.leancloud.keys import Keys
from hongyan.api.leancloud.rest import ConversationId, writer_of
from hongyan.api.site import CurrentSite, Site
from hongyan.engine import conditions
from hongyan.engine.values import App, Conversation, ConversationKind, ConversationRow, iso_time
from hongyan.errors import CONVERSATION_NOT_FOUND, Refused

VERSIONS = ("1.1", "1.2")
ALL = [f"/{version}/classes/_Conversation" for version in VERSIONS]
ONE = [f"{path}/{{conversation_id:str}}" for path in ALL]
SCAN = [f"/{version}/scan/classes/_Conversation" for version in VERSIONS]
#: No object has the id (REST reference 1.7).
MISSING = 101
#: Columns of the server's own by which rows are scanned.
SCAN_KEYS = frozenset({scans.SCAN_KEY, "createdAt", "updatedAt", "lm"})


@post(ALL, status_code=201)
async def create(request: AnyRequest, site: CurrentSite) -> Response[dict[str, Any]]:
    """A row; `tr` and `sys` make it a chat room or a service conversation."""
    app, _ = app_of_class(request, site, writes=True)
    values = await parameters.body_of(request)
    kind = _kind(values)
    writer_of(request, site, kind)
    check_columns(kind, values)
    row = await site.engine.rows.create(app, kind, values, as_row=True)
    answer: dict[str, Any] = {"objectId": row.id, "createdAt": iso_time(row.created_at)}
    if _fetches(request):
        answer = conversation_rows.row_json(row)
    return Response(answer, status_code=201, headers={"Location": f"{request.url.path.rstrip('/')}/{row.id}"})


@get(ALL)
async def find(request: AnyRequest, site: CurrentSite) -> Response[bytes]:
    """Rows of all stored kinds."""
    app, caller = app_of_class(request, site)
    return await conversation_rows.page(site, app, caller, parameters.query_of(request), None)


@get(ONE)
async def read(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> Response[bytes]:
    """One row."""
    app, caller = app_of_class(request, site)
    row = await conversation_rows.one(site, app, caller, conversation_id)
    if row is None:
        return conversation_rows.encoded({})
    keys = Keys(parameters.query_of(request).get("keys", ""))
    return conversation_rows.encoded(keys.show(conversation_rows.row_json(row)))


@put(ONE)
async def write(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    """Columns, with operators; members as `m`. With `where` only if the row meets it."""
    app, caller = app_of_class(request, site, writes=True)
    asked, values = parameters.query_of(request), await parameters.body_of(request)
    conversation = await _existing(request, site, app, conversation_id)
    if conversation is None:
        raise HttpError(404, "No conversation has this id.", MISSING)
    written = writable(values)
    at = await site.engine.rows.write(app, conversation.id, written, caller, condition_of(asked))
    row = await conversation_rows.one(site, app, caller, conversation_id) if _fetches(request) else None
    if row is not None:
        return conversation_rows.row_json(row)
    return {"updatedAt": iso_time(at), "objectId": conversation_id}


@delete(ONE, status_code=200)
async def erase(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    """The conversation with all that is in it. With `where` only if the row meets it."""
    app, caller = app_of_class(request, site, writes=True)
    conversation = await _existing(request, site, app, conversation_id)
    if conversation is not None:
        await site.engine.rows.erase(app, conversation, caller, condition_of(parameters.query_of(request)))
    return {}


@get(SCAN)
async def scan(request: AnyRequest, site: CurrentSite) -> Response[bytes]:
    """All rows, page by page in the order of one key; `cursor` is null with the last page."""
    app = app_of_master(request, site)
    asked = parameters.query_of(request)
    place = scans.place(asked, site.engine.clock.now(), _is_scanned)
    ordered = {**asked, "order": place.order, "skip": "0"}
    wanted, show = await asyncio.to_thread(conversation_rows.parse, ordered, None, place.beyond)
    found = await site.engine.conversations.query(app, None, wanted)
    cursor = None
    if len(found) == wanted.limit:
        cursor = place.cursor(_value(found[-1], place.key), site.engine.clock.now())
    return await conversation_rows.rows_of({"results": found, "cursor": cursor}, show)


router = rest.router(create, find, read, write, erase, scan)


async def _existing(request: AnyRequest, site: Site, app: App, conversation_id: str) -> Conversation | None:
    """The conversation to be written, None if there is none. Raises HttpError if it is not for this caller to write."""
    try:
        conversation = await site.engine.rows.find(app, conversation_id)
    except Refused as refusal:
        if refusal.kind is CONVERSATION_NOT_FOUND:
            return None
        raise
    writer_of(request, site, conversation.kind)
    return conversation


def _kind(values: Mapping[str, Any]) -> ConversationKind:
    """The kind that a new row is of. Raises HttpError."""
    room, service = (parameters.flag(values, name) for name in ("tr", "sys"))
    if room and service:
        raise parameters.wrong("tr", "false where `sys` is true")
    if service:
        return ConversationKind.SERVICE
    return ConversationKind.CHATROOM if room else ConversationKind.NORMAL


def _fetches(request: AnyRequest) -> bool:
    """Whether the whole row is wanted as the answer to a write. Raises HttpError."""
    return parameters.flag(parameters.query_of(request), "fetchWhenSave")


# scanning


def _is_scanned(key: str) -> bool:
    """Whether all values of a key have one order."""
    return key in SCAN_KEYS or key not in conditions.TYPES


def _value(row: ConversationRow, key: str) -> Any:
    """By what a row is scanned. Its own times: a service conversation shows the one of its last message elsewhere."""
    if key == "updatedAt":
        return iso_time(row.updated_at)
    if key == "lm" and row.last_message_at is not None:
        return {"__type": "Date", "iso": iso_time(row.last_message_at)}
    return conversation_rows.row_json(row)[key]
