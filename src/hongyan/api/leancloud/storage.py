"""Small calls of the storage service: the time, which classes there are, and classes that are not (3.13)."""

from typing import Any

from litestar import HttpMethod, Request, Router, get, route
from litestar.params import FromPath

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import objects
from hongyan.api.leancloud.credentials import app_of, app_of_master, require_key
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.values import App, iso_time

AnyRequest = Request[Any, Any, Any]
Fields = dict[str, dict[str, str]]

#: REST reference 1.7.
UNKNOWN_CLASS = 101
_ANY = [HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE]
_EVERY = {"objectId": "String", "createdAt": "Date", "updatedAt": "Date", "ACL": "ACL"}
#: The keys that the server knows (REST reference 2.1, 2.3, 8.5, 8.6).
CLASSES: dict[str, dict[str, str]] = {
    "_Conversation": {
        "name": "String",
        "attr": "Object",
        "c": "String",
        "m": "Array",
        "mu": "Array",
        "lm": "Date",
        "tr": "Boolean",
        "sys": "Boolean",
        "unique": "Boolean",
        "uniqueId": "String",
    },
    "_ConversationMemberInfo": {"cid": "String", "clientId": "String", "role": "String"},
    "_User": {
        "username": "String",
        "password": "String",
        "email": "String",
        "emailVerified": "Boolean",
        "mobilePhoneNumber": "String",
        "mobilePhoneVerified": "Boolean",
        "authData": "Object",
        "sessionToken": "String",
    },
    "_File": {
        "name": "String",
        "key": "String",
        "url": "String",
        "mime_type": "String",
        "metaData": "Object",
        "bucket": "String",
        "provider": "String",
    },
    "_Installation": {
        "deviceType": "String",
        "deviceToken": "String",
        "installationId": "String",
        "channels": "Array",
        "valid": "Boolean",
        "badge": "Number",
        "timeZone": "String",
        "deviceProfile": "String",
    },
}
#: SQLite's names of JSON types; a value with a `__type` has that.
_JSON_TYPES = {
    "text": "String",
    "integer": "Number",
    "real": "Number",
    "true": "Boolean",
    "false": "Boolean",
    "array": "Array",
    "object": "Object",
}


@get("/1.1/date")
async def date(request: AnyRequest, site: CurrentSite) -> dict[str, str]:
    """The server's time."""
    app = app_of(request, site)
    require_key(request, app)
    return {"__type": "Date", "iso": iso_time(site.engine.clock.now())}


@get("/1.1/schemas")
async def schemas(request: AnyRequest, site: CurrentSite) -> dict[str, Fields]:
    """The classes and what their keys hold; with the master key."""
    app = app_of_master(request, site)
    return {name: await _fields(site, app, name) for name in CLASSES}


@get("/1.1/schemas/{class_name:str}")
async def schema(request: AnyRequest, site: CurrentSite, class_name: FromPath[str]) -> Fields:
    """What the keys of one class hold; with the master key."""
    app = app_of_master(request, site)
    if class_name not in CLASSES:
        raise HttpError(404, "There is no such class.", UNKNOWN_CLASS)
    return await _fields(site, app, class_name)


@route(
    [
        "/1.1/classes/{class_name:str}",
        "/1.1/classes/{class_name:str}/{object_id:str}",
        "/1.1/scan/classes/{class_name:str}",
    ],
    http_method=_ANY,
    include_in_schema=False,
)
async def unknown_class(request: AnyRequest, site: CurrentSite, class_name: FromPath[str]) -> dict[str, str]:
    """Refused: only the classes that messaging needs are here, and not all of them are scanned."""
    app = app_of(request, site)
    require_key(request, app)
    raise HttpError(404, "There is no such class, or no scan of it: only what messaging needs is here.", UNKNOWN_CLASS)


router: Router = objects.router(date, schemas, schema, unknown_class)


async def _fields(site: Site, app: App, name: str) -> Fields:
    of_class = {"_User": site.engine.users.types, "_Installation": site.engine.installations.types}.get(name)
    custom = {} if of_class is None else await of_class(app)
    types = {**{key: _JSON_TYPES.get(kind, kind) for key, kind in custom.items()}, **CLASSES[name], **_EVERY}
    return {key: {"type": kind} for key, kind in sorted(types.items())}
