"""Files as SDKs and REST callers know them: what is known of one, and where it is to be uploaded (REST reference 3.13).

The bytes go to `uploads.py` and come from `hongyan.api.files`.
"""

import json
from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath

from hongyan.api.caller import caller_of
from hongyan.api.errors import HttpError
from hongyan.api.files import address, url_of
from hongyan.api.leancloud import parameters
from hongyan.api.leancloud.credentials import app_of, app_of_master, has_master_key, require_key
from hongyan.api.leancloud.parameters import Values, wrong
from hongyan.api.site import CurrentSite, Site
from hongyan.engine import file_types, json_text
from hongyan.engine.files import Draft, may_read
from hongyan.engine.limits import Operation, rate
from hongyan.engine.values import App, File, FileQuery, iso_time
from hongyan.errors import CONVERSATION_API_QUOTA_EXCEEDED, Refused

VERSIONS = ("/1.1", "/1.2")
#: Where what is known of files is read and written; the Objective-C SDK writes the class small.
FILES = [f"{version}/{name}" for version in VERSIONS for name in ("files", "classes/_File", "classes/_file")]
CLASSES = [f"{version}/classes/{name}" for version in VERSIONS for name in ("_File", "_file")]
UPLOADS = "/1.1/fileUploads"
#: What SDKs call the place that takes the bytes: that of the original's providers whose protocol it speaks.
PUT_PROVIDER, FORM_PROVIDER = "s3", "qiniu"
BUCKET = "hongyan"
#: It uploads by a form whatever it does not hold in memory: streams, and what a mini program has picked.
_FORM_SDK = "LeanCloud-JS-SDK"

BAD_NAME, BAD_ACL, WRONG_TYPE = 122, 123, 111
NAME_MAX, META_MAX, URL_MAX = 255, 16_384, 2_048
ROWS_DEFAULT, ROWS_MAX = 100, 1_000
#: The columns that files are found by, as callers call them, and as we do.
FOUND_BY = {"objectId": "id", "name": "name", "key": "key", "url": "url", "mime_type": "mime_type"}

AnyRequest = Request[Any, Any, Any]
FileId = FromPath[str]


@post([f"{version}/fileTokens" for version in VERSIONS], status_code=201)
async def begin(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """Where a file is to be uploaded, and what it will be called. What a caller proposes as `key` is not taken."""
    app = uploader(request, site)
    given = await parameters.body_of(request)
    file, token = await site.files.begin(app, draft(given))
    by_form = _FORM_SDK in request.headers.get("x-lc-ua", request.headers.get("user-agent", ""))
    return {
        **_row(request, site, app, file),
        "provider": FORM_PROVIDER if by_form else PUT_PROVIDER,
        "token": token,
        "upload_url": f"{address(request, site)}{UPLOADS}/{token}",
    }


@post([f"{version}/fileCallback" for version in VERSIONS], status_code=200)
async def end(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """Whether an upload went well, says the caller: if not, what has not arrived is forgotten."""
    app = app_of(request, site)
    require_key(request, app)
    given = await parameters.body_of(request)
    result, token = parameters.flag(given, "result"), parameters.text(given, "token")
    if not result:
        await site.files.give_up(await site.files.of_token(app, token))
    return {}


@post(FILES, status_code=201)
async def register(request: AnyRequest, site: CurrentSite) -> Response[dict[str, Any]]:
    """A file that is elsewhere, by its `url`."""
    app = uploader(request, site)
    given = await parameters.body_of(request)
    url = parameters.text(given, "url")
    if not url.startswith(("http://", "https://")) or len(url) > URL_MAX or not url.isprintable() or " " in url:
        raise wrong("url", f"a URL of http or https with at most {URL_MAX} characters")
    file = await site.files.register(app, draft(given), url)
    return created(request, site, app, file)


@get([f"{path}/{{file:str}}" for path in FILES])
async def fetch(request: AnyRequest, site: CurrentSite, file: FileId) -> dict[str, Any]:
    """What is known of a file; `{}` if there is none, or its ACL hides it (inferred)."""
    app = app_of(request, site)
    require_key(request, app)
    found = await site.files.get(app, file)
    if found is None or not (has_master_key(request) or may_read(found.acl)):
        return {}
    return _row(request, site, app, found)


@get(CLASSES)
async def find(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """Files by some of their columns. With the master key: everybody else must have been told an id."""
    app = app_of_master(request, site)
    asked = parameters.query_of(request)
    query = _query(asked)
    files = await site.files.find(app, query) if query.limit else []
    results = [_row(request, site, app, file) for file in files]
    if asked.get("count", "0") not in ("1", "true"):
        return {"results": results}
    return {"results": results, "count": await site.files.count(app, query)}


@delete([f"{path}/{{file:str}}" for path in FILES], status_code=200)
async def erase(request: AnyRequest, site: CurrentSite, file: FileId) -> dict[str, Any]:
    """A file and its bytes. With the master key, since anybody could delete what others have sent."""
    await site.files.delete(app_of_master(request, site), file)
    return {}


#: Part of the router of `uploads.py`.
HANDLERS = [begin, end, register, fetch, find, erase]


def uploader(request: AnyRequest, site: Site) -> App:
    """The app for which the caller may upload a file now. Raises HttpError and Refused."""
    app = app_of(request, site)
    require_key(request, app)
    if has_master_key(request):
        return app
    if app.settings.file_upload == "master":
        raise HttpError(403, "This app takes files with the master key only: its setting `file_upload` says so.")
    where = f"address {caller_of(request, site.settings).origin}"
    if not site.engine.limits.allow(app, where, Operation.FILE):
        raise Refused(CONVERSATION_API_QUOTA_EXCEEDED, f"at most {rate(app, Operation.FILE)} files per minute")
    return app


def draft(given: Values) -> Draft:
    """What a caller says of a file. Raises HttpError."""
    mime_type = given.get("mime_type")
    if mime_type is not None and not (isinstance(mime_type, str) and (not mime_type or plain_type(mime_type))):
        raise wrong("mime_type", "a type such as `image/png`")
    meta, acl = given.get("metaData"), given.get("ACL")
    if not isinstance(meta, dict | None) or len(json.dumps(meta)) > META_MAX:
        raise wrong("metaData", f"an object of at most {META_MAX} bytes")
    if not isinstance(acl, dict | None) or len(json.dumps(acl)) > META_MAX:
        raise HttpError(400, "The parameter `ACL` must be an object.", BAD_ACL)
    return Draft(
        name=name_of(given.get("name")),
        mime_type=plain_type(mime_type) if mime_type else None,
        meta=meta or {},
        acl=acl,
        keep_name=given.get("keep_file_name") is True,
    )


def name_of(name: object) -> str:
    """The name of a file. Raises HttpError."""
    if not isinstance(name, str) or len(name) > NAME_MAX or "\0" in name:
        raise HttpError(400, f"The parameter `name` must be a string of at most {NAME_MAX} characters.", BAD_NAME)
    return name


def plain_type(mime_type: str) -> str | None:
    """A type without its parameters; None for what is no type."""
    plain = mime_type.partition(";")[0].strip()
    return plain if file_types.is_type(plain) else None


def created(request: AnyRequest, site: Site, app: App, file: File) -> Response[dict[str, Any]]:
    """The answer to a caller that has made a file."""
    # The size stands beside the rest here only: in the JavaScript SDK it would take the place of a method.
    row = _row(request, site, app, file) | ({} if file.size is None else {"size": file.size})
    return Response(row, status_code=201, headers={"Location": f"{address(request, site)}/1.1/files/{file.id}"})


def _row(request: AnyRequest, site: Site, app: App, file: File) -> dict[str, Any]:
    row: dict[str, Any] = {
        "objectId": file.id,
        "name": file.name,
        "mime_type": file.mime_type,
        "url": url_of(request, site, app, file),
        "metaData": file.meta,
        "createdAt": iso_time(file.created_at),
        "updatedAt": iso_time(file.updated_at),
    }
    if file.key is not None:
        row |= {"key": file.key, "bucket": BUCKET, "provider": BUCKET}
    return row


def _query(asked: Values) -> FileQuery:
    limit = _whole(asked.get("limit"), ROWS_DEFAULT)
    order = asked.get("order", "createdAt")
    if order not in ("createdAt", "-createdAt"):
        raise wrong("order", "`createdAt` or `-createdAt`")
    return FileQuery(
        among=_among(asked.get("where", "")),
        newest_first=order.startswith("-"),
        limit=limit if limit <= ROWS_MAX and (limit or "count" in asked) else ROWS_DEFAULT,
        skip=_whole(asked.get("skip"), 0),
    )


def _among(where: str) -> dict[str, list[str]]:
    """The values that a `where` allows: one for a column, or several by `$in`."""
    try:
        given = json_text.parse(where) if where else {}
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise HttpError(400, "The parameter `where` is not a JSON object.", parameters.NOT_JSON)
    found = {FOUND_BY.get(name, ""): _values(value) for name, value in given.items()}
    if "" in found or not all(isinstance(each, str) for values in found.values() for each in values):
        raise wrong("where", f"values, or lists of them by `$in`, of {', '.join(FOUND_BY)}")
    return found


def _values(given: Any) -> list[Any]:
    several = given.get("$in") if isinstance(given, dict) and len(given) == 1 else None
    return several if isinstance(several, list) else [given]


def _whole(given: str | None, default: int) -> int:
    return int(given) if given and given.isascii() and given.isdigit() and len(given) <= parameters.DIGITS else default
