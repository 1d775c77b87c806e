"""Roles of members: for SDKs (reference 8.3), and for an app's own server (REST reference 3.8: P3, P4; 2.3)."""

from typing import Annotated, Any

from litestar import Request, Response, Router, delete, get, post, put
from litestar.params import FromPath, QueryParameter

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import rest
from hongyan.api.leancloud.credentials import app_of, app_of_master, client_of, has_master_key
from hongyan.api.leancloud.parameters import body_of, number, query_of, size, text, wrong
from hongyan.api.leancloud.rest import WITH_STANDINGS, ConversationId, call_on, paths
from hongyan.api.site import CurrentSite, Site
from hongyan.engine import json_text, roles
from hongyan.engine.limits import Operation, rate
from hongyan.engine.roles import NAMES
from hongyan.engine.values import App, InfoFilter, MemberInfo, iso_time
from hongyan.errors import CONVERSATION_API_QUOTA_EXCEEDED, Refused

#: Infos of one answer to an SDK: JavaScript asks for all and gives no limit.
SDK_PAGE = PAGE_MAX = 1_000
PAGE = 100
#: Clients may not look into the class: what SDKs understand as the feature being off.
NOT_FROM_CLIENTS = 119
#: No object has the id (REST reference 1.7).
MISSING = 101
SESSION_TOKEN = "X-LC-IM-Session-Token"
_CLASS = "/1.1/classes/_ConversationMemberInfo"
_OBJECT = f"{_CLASS}/{{info_id:str}}"
_INFOS, _INFO = paths("member-infos", WITH_STANDINGS), paths("member-infos/{info_id:str}", WITH_STANDINGS)

AnyRequest = Request[Any, Any, Any]
Text = str | None
ClientId = Annotated[Text, QueryParameter(name="client_id")]
Where = Annotated[Text, QueryParameter(name="where")]
Cid = Annotated[Text, QueryParameter(name="cid")]
InfoId = FromPath[str]


@get(_CLASS)
async def of_conversation(
    request: AnyRequest,
    site: CurrentSite,
    client_id: ClientId = None,
    where: Where = None,
    cid: Cid = None,
) -> Response[dict[str, Any]]:
    """The roles that were given: of a conversation to its members, of all with the master key.

    SDKs know the creator, and that others have none.
    """
    app = app_of(request, site)
    if has_master_key(request) and SESSION_TOKEN not in request.headers:
        return await _of_app(site, app, query_of(request))
    if not client_id:
        raise HttpError(400, "The parameter `client_id` is missing.")
    client = client_of(request, site, app, client_id).client
    if not app.settings.roles:
        raise HttpError(400, "Roles are off: the operator can allow them.", NOT_FROM_CLIENTS)
    wanted = _where(where, {"cid", "peerId", "clientId"}) if where is not None else InfoFilter(cid)
    if not wanted.conversation_id:
        raise HttpError(400, "The parameter `where` or `cid` must name a conversation.")
    given = query_of(request)
    limit, skip = min(number(given, "limit", SDK_PAGE), SDK_PAGE), number(given, "skip", 0)
    if not site.engine.limits.allow(app, client, Operation.READ):
        raise Refused(CONVERSATION_API_QUOTA_EXCEEDED, f"at most {rate(app, Operation.READ)} such calls per minute")
    found = await site.engine.roles.page(app, client, wanted.conversation_id, limit, skip, client=wanted.client)
    return _results([_row(wanted.conversation_id, info) for info in found])


@get(_OBJECT)
async def one_of_class(request: AnyRequest, site: CurrentSite, info_id: InfoId) -> dict[str, Any]:
    """One row; an unknown id is answered by an empty object."""
    found = await _find(site, app_of_master(request, site), info_id)
    return {} if found is None else _row(*found)


@post(_CLASS, status_code=201)
async def give_by_class(request: AnyRequest, site: CurrentSite) -> Response[dict[str, Any]]:
    """Give a role by a row; nobody is told."""
    app, given = app_of_master(request, site), await body_of(request)
    conversation, client, role = (text(given, name) for name in ("cid", "clientId", "role"))
    answer = await _give(site, app, conversation, client, role, told=False)
    path = f"{request.url.path.rstrip('/')}/{answer['objectId']}"
    made = {"objectId": answer["objectId"], "createdAt": answer["updatedAt"]}
    return Response(made, status_code=201, headers={"Location": path})


@put(_OBJECT)
async def change_by_class(request: AnyRequest, site: CurrentSite, info_id: InfoId) -> dict[str, Any]:
    """Change the role in a row, which stays with its client and its conversation; nobody is told."""
    app, given = app_of_master(request, site), await body_of(request)
    found = await _find(site, app, info_id)
    if found is None:
        raise HttpError(404, "No member info has this id.", MISSING)
    row = _row(*found)
    for name in ("cid", "clientId"):
        if given.get(name, row[name]) != row[name]:
            raise wrong(name, "that of this info")
    return await _give(site, app, row["cid"], row["clientId"], text(given, "role"), told=False)


@delete(_OBJECT, status_code=200)
async def take_by_class(request: AnyRequest, site: CurrentSite, info_id: InfoId) -> dict[str, Any]:
    """Delete a row: its client is a plain member again; nobody is told."""
    app = app_of_master(request, site)
    found = await _find(site, app, info_id)
    if found is not None:
        await site.engine.roles.take(app, found[0], info_id, lambda _, __: None, told=False)
    return {}


async def _of_app(site: Site, app: App, given: dict[str, Any]) -> Response[dict[str, Any]]:
    """Of all conversations, or those that `where` asks for."""
    wanted = _where(given["where"], {"cid", "peerId", "clientId", "role", "objectId"}) if given.get("where") else None
    limit, skip = size(given, PAGE, PAGE_MAX), number(given, "skip", 0)
    found = await site.engine.roles.of_app(app, wanted or InfoFilter(given.get("cid")), limit, skip)
    return _results([_row(*each) for each in found])


async def _find(site: Site, app: App, info_id: str) -> tuple[str, MemberInfo] | None:
    """The conversation and the role of this id."""
    found = await site.engine.roles.of_app(app, InfoFilter(info_id=info_id), 1, 0)
    return found[0] if found else None


def _row(conversation_id: str, info: MemberInfo) -> dict[str, Any]:
    return {"objectId": info.id, "cid": conversation_id, "clientId": info.client, "role": NAMES[info.role]}


def _results(rows: list[dict[str, Any]]) -> Response[dict[str, Any]]:
    return Response({"results": rows}, headers={"Cache-Control": "no-store"})


def _where(given: str, known: set[str]) -> InfoFilter:
    """What is asked for; Java names a member as `peerId`. Conditions of another form are refused."""
    try:
        condition = json_text.parse(given)
    except ValueError:
        raise HttpError(400, "The parameter `where` is not JSON.", 107) from None
    if not isinstance(condition, dict) or not all(isinstance(value, str) for value in condition.values()):
        raise HttpError(400, "The parameter `where` compares with texts alone.")
    if not condition.keys() <= known:
        raise HttpError(400, "The parameter `where` names a conversation as `cid`, and a member as `clientId`.")
    role = roles.parse(condition["role"]) if "role" in condition else None
    client = condition.get("peerId") or condition.get("clientId")
    return InfoFilter(condition.get("cid"), client, role, condition.get("objectId"))


@post(_INFOS, status_code=200)
async def give(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    app, given = await call_on(request, site, conversation_id)
    return await _give(site, app, conversation_id, text(given, "clientId"), text(given, "role"))


@put(_INFO)
async def change(
    request: AnyRequest, site: CurrentSite, conversation_id: ConversationId, info_id: InfoId
) -> dict[str, Any]:
    """`clientId` may be left out; an info stays with its client."""
    app, given = await call_on(request, site, conversation_id)
    client = await _holder(site, app, conversation_id, info_id)
    if given.get("clientId", client) != client:
        raise wrong("clientId", "the client of this info")
    return await _give(site, app, conversation_id, client, text(given, "role"))


@delete(_INFO, status_code=200)
async def take(
    request: AnyRequest, site: CurrentSite, conversation_id: ConversationId, info_id: InfoId
) -> dict[str, Any]:
    app, _ = await call_on(request, site, conversation_id)
    await _holder(site, app, conversation_id, info_id)
    await site.engine.roles.take(app, conversation_id, info_id, lambda _, __: None)
    return {}


@get(_INFOS)
async def infos(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    app, given = await call_on(request, site, conversation_id)
    limit, skip = min(number(given, "limit", PAGE), PAGE_MAX), number(given, "skip", 0)
    role = roles.parse(text(given, "role")) if "role" in given else None
    found = await site.engine.roles.page(app, None, conversation_id, limit, skip, role)
    return {"results": [{"clientId": i.client, "objectId": i.id, "role": NAMES[i.role]} for i in found]}


async def _give(
    site: Site, app: App, conversation_id: str, client: str, role: str, *, told: bool = True
) -> dict[str, Any]:
    answer: dict[str, Any] = {}

    def reply(info: MemberInfo, updated_at: int) -> None:
        answer.update(updatedAt=iso_time(updated_at), objectId=info.id)

    await site.engine.roles.give(app, None, conversation_id, client, role, reply, told=told)
    return answer


async def _holder(site: Site, app: App, conversation_id: str, info_id: str) -> str:
    conversation = await site.engine.access.conversation(app, conversation_id)
    client = roles.holder(conversation, info_id)
    if client is None:
        raise HttpError(404, "No member info has this id.")
    return client


_OF_MASTERS = rest.router(give, change, take, infos, one_of_class, give_by_class, change_by_class, take_by_class)
router = Router("/", route_handlers=[of_conversation, _OF_MASTERS])
