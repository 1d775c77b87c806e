"""Conversations of the stored kinds: rows, members, muting (REST reference 3.2, 3.6, 3.7: C1-C10, R1-R4, S1-S4; G2).

Reading and writing them needs the master key, unless the operator opens the class.
"""

import json
from collections.abc import Mapping
from typing import Any

from litestar import Response, delete, get, post, put

from hongyan.api.leancloud import conversation_rows, parameters, rest
from hongyan.api.leancloud.credentials import AnyRequest, app_of_class
from hongyan.api.leancloud.rest import KINDS, ConversationId, kind_of, of_kind, write_on, writer_of
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.conversations import Members
from hongyan.engine.info import Updated
from hongyan.engine.values import Conversation, ConversationKind, ConversationRow, iso_time
from hongyan.errors import CONVERSATION_NOT_FOUND, Refused

ALL = [f"/1.2/rtm/{kind}" for kind in KINDS]
ONE = [f"{path}/{{conversation_id:str}}" for path in ALL]
NORMAL = "/1.2/rtm/conversations/{conversation_id:str}"
EVERY_KIND = "/1.2/rtm/all-conversations"


@post(ALL, status_code=200)
async def create(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """C1, R1, S1: make a conversation, or find the unique one; members are told that they joined."""
    kind, _ = kind_of(request)
    app = writer_of(request, site, kind)
    values = await parameters.body_of(request)
    check_columns(kind, values)
    row = await site.engine.rows.create(app, kind, values, as_row=False)
    if kind is ConversationKind.NORMAL:
        return conversation_rows.row_json(row)
    return {"objectId": row.id, "createdAt": iso_time(row.created_at)}


@get(ALL)
async def find(request: AnyRequest, site: CurrentSite) -> Response[bytes]:
    """C2, R2, S2: rows of this kind only."""
    app, caller = app_of_class(request, site)
    return await conversation_rows.page(site, app, caller, parameters.query_of(request), kind_of(request)[0])


@get(EVERY_KIND)
async def find_all(request: AnyRequest, site: CurrentSite) -> Response[bytes]:
    """G2: rows of all stored kinds."""
    app, caller = app_of_class(request, site)
    return await conversation_rows.page(site, app, caller, parameters.query_of(request), None)


@put(ONE)
async def update(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, str]:
    """C3, R3, S3: change any column but the members; members who are online are told."""
    app, conversation = await write_on(request, site, conversation_id)
    values = conversation_rows.writable(await parameters.body_of(request), "m", "mu", "unique")
    done: list[Updated] = []
    await site.engine.info.update(app, None, conversation.id, json.dumps(values), None, done.append)
    return _changed(conversation, done[0].updated_at)


@delete(ONE, status_code=200)
async def erase(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    """C4, R4, S4: with all that is in it."""
    app, conversation = await write_on(request, site, conversation_id)
    await site.engine.rows.erase(app, conversation)
    return {}


# members


@post(f"{NORMAL}/members", status_code=200)
async def add(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, str]:
    """C5: who is a member already stays one."""
    app, conversation = await write_on(request, site, conversation_id)
    clients = await _clients(request)
    done: list[Members] = []
    await site.engine.conversations.add(app, None, conversation.id, clients, done.append)
    return _changed(conversation, done[0].updated_at)


@delete(f"{NORMAL}/members", status_code=200)
async def remove(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, str]:
    """C6: anybody, the owner too."""
    app, conversation = await write_on(request, site, conversation_id)
    clients = await _clients(request)
    done: list[Members] = []
    await site.engine.conversations.remove(app, None, conversation.id, clients, done.append)
    return _changed(conversation, done[0].updated_at)


@get(f"{NORMAL}/members")
async def members(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> Response[bytes]:
    """C7: all of them, in the order in which they joined."""
    row = await _row(request, site, conversation_id)
    return conversation_rows.encoded({"result": row.members})


@post(f"{NORMAL}/mutes", status_code=200)
async def mute(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, str]:
    """C8: these members get no offline push from it."""
    return await _mute(request, site, conversation_id, muted=True)


@delete(f"{NORMAL}/mutes", status_code=200)
async def unmute(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, str]:
    """C9: these get them again."""
    return await _mute(request, site, conversation_id, muted=False)


@get(f"{NORMAL}/mutes")
async def muted(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> Response[bytes]:
    """C10: who gets no offline push; of that the app's key alone tells nothing."""
    row = await _row(request, site, conversation_id)
    return conversation_rows.encoded({"result": row.muted_by})


router = rest.router(create, find, find_all, update, erase, add, remove, members, mute, unmute, muted)


def check_columns(kind: ConversationKind, values: Mapping[str, Any]) -> None:
    """Raises HttpError for columns of a new conversation that are of a wrong type.

    Members may be an operator: LeanCloud's Python SDK adds them to what is not there yet.
    """
    if kind is ConversationKind.NORMAL:
        if "m" in values and not isinstance(values["m"], dict):
            parameters.texts(values, "m")
        if not isinstance(values.get("unique", False), bool):
            raise parameters.wrong("unique", "true or false")
    if not isinstance(values.get("c", ""), str):
        raise parameters.wrong("c", "a string")


async def _clients(request: AnyRequest) -> list[str]:
    """`client_ids`: in the body, or of a `DELETE` in the query too (REST reference 1.1, inferred). Raises HttpError."""
    is_delete = request.method == "DELETE"
    given = await (parameters.body_or_query(request) if is_delete else parameters.body_of(request))
    return parameters.texts(given, parameters.CLIENTS)


async def _mute(request: AnyRequest, site: Site, conversation_id: str, *, muted: bool) -> dict[str, str]:
    _, conversation = await write_on(request, site, conversation_id)
    clients = await _clients(request)
    return _changed(conversation, await site.engine.info.mute_members(conversation, clients, muted))


async def _row(request: AnyRequest, site: Site, conversation_id: str) -> ConversationRow:
    """A conversation of the kind in the path, as the caller sees it. Raises HttpError and Refused."""
    app, caller = app_of_class(request, site)
    conversation = await of_kind(request, site, app, conversation_id)
    row = await conversation_rows.one(site, app, caller, conversation.id)
    if row is None:
        raise Refused(CONVERSATION_NOT_FOUND, "the conversation is gone")
    return row


def _changed(conversation: Conversation, updated_at: int) -> dict[str, str]:
    return {"updatedAt": iso_time(updated_at), "objectId": conversation.id}
