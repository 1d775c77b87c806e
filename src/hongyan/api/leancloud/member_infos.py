"""Roles of members: for SDKs (reference 8.3), and for an app's own server (REST reference 3.8, P3 and P4)."""

from typing import Annotated, Any

from litestar import Request, Response, Router, delete, get, post, put
from litestar.params import FromPath, QueryParameter

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import rest
from hongyan.api.leancloud.credentials import app_of, client_of
from hongyan.api.leancloud.parameters import number, query_of, text, wrong
from hongyan.api.leancloud.rest import WITH_STANDINGS, ConversationId, call_on, paths
from hongyan.api.site import CurrentSite, Site
from hongyan.engine import json_text, roles
from hongyan.engine.limits import Operation, rate
from hongyan.engine.roles import NAMES
from hongyan.engine.values import App, MemberInfo, iso_time
from hongyan.errors import CONVERSATION_API_QUOTA_EXCEEDED, Refused

#: Infos of one answer to an SDK: JavaScript asks for all and gives no limit.
SDK_PAGE = PAGE_MAX = 1_000
PAGE = 100
#: Clients may not look into the class: what SDKs understand as the feature being off.
NOT_FROM_CLIENTS = 119
_INFOS, _INFO = paths("member-infos", WITH_STANDINGS), paths("member-infos/{info_id:str}", WITH_STANDINGS)

AnyRequest = Request[Any, Any, Any]
Text = str | None
ClientId = Annotated[Text, QueryParameter(name="client_id")]
Where = Annotated[Text, QueryParameter(name="where")]
Cid = Annotated[Text, QueryParameter(name="cid")]
InfoId = FromPath[str]


@get("/1.1/classes/_ConversationMemberInfo")
async def of_conversation(
    request: AnyRequest,
    site: CurrentSite,
    client_id: ClientId = None,
    where: Where = None,
    cid: Cid = None,
) -> Response[dict[str, Any]]:
    """The roles that were given in a conversation, to its members; SDKs know the creator, and that others have none."""
    app = app_of(request, site)
    if not client_id:
        raise HttpError(400, "The parameter `client_id` is missing.")
    client = client_of(request, site, app, client_id).client
    if not app.settings.roles:
        raise HttpError(400, "Roles are off: the operator can allow them.", NOT_FROM_CLIENTS)
    conversation_id, member = _where(where) if where is not None else (cid, None)
    if not conversation_id:
        raise HttpError(400, "The parameter `where` or `cid` must name a conversation.")
    given = query_of(request)
    limit, skip = min(number(given, "limit", SDK_PAGE), SDK_PAGE), number(given, "skip", 0)
    if not site.engine.limits.allow(app, client, Operation.READ):
        raise Refused(CONVERSATION_API_QUOTA_EXCEEDED, f"at most {rate(app, Operation.READ)} such calls per minute")
    found = await site.engine.roles.page(app, client, conversation_id, limit, skip, client=member)
    results = [{"objectId": i.id, "cid": conversation_id, "clientId": i.client, "role": NAMES[i.role]} for i in found]
    return Response({"results": results}, headers={"Cache-Control": "no-store"})


def _where(given: str) -> tuple[str, str | None]:
    """The conversation, and the member that Java asks for alone. Conditions of another form are refused."""
    try:
        condition = json_text.parse(given)
    except ValueError:
        raise HttpError(400, "The parameter `where` is not JSON.", 107) from None
    if not isinstance(condition, dict) or not all(isinstance(value, str) for value in condition.values()):
        raise HttpError(400, "The parameter `where` compares with texts alone.")
    member = condition.pop("peerId", None) or condition.pop("clientId", None)
    if set(condition) != {"cid"}:
        raise HttpError(400, "The parameter `where` names a conversation as `cid`, and a member as `clientId`.")
    return condition["cid"], member


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


async def _give(site: Site, app: App, conversation_id: str, client: str, role: str) -> dict[str, Any]:
    answer: dict[str, Any] = {}

    def reply(info: MemberInfo, updated_at: int) -> None:
        answer.update(updatedAt=iso_time(updated_at), objectId=info.id)

    await site.engine.roles.give(app, None, conversation_id, client, role, reply)
    return answer


async def _holder(site: Site, app: App, conversation_id: str, info_id: str) -> str:
    conversation = await site.engine.access.conversation(app, conversation_id)
    client = roles.holder(conversation, info_id)
    if client is None:
        raise HttpError(404, "No member info has this id.")
    return client


router = Router("/", route_handlers=[of_conversation, rest.router(give, change, take, infos)])
