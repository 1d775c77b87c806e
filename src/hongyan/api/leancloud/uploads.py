"""Where the bytes of files arrive: under the addresses that `fileTokens` gives, and by one REST call.

One address speaks the protocols of the original's providers, as far as SDKs do: `PUT` is S3's, a form is Qiniu's and
that of Tencent COS, and below `buckets` a file comes in parts, as Qiniu has it. The token stands in the address, since
some SDKs send it behind the file.
"""

from typing import Any

from litestar import Request, Response, Router, delete, post, put
from litestar.params import FromPath

from hongyan.api.caller import caller_of
from hongyan.api.errors import HttpError
from hongyan.api.incoming import file_of_form, pieces
from hongyan.api.leancloud import files, parameters
from hongyan.api.leancloud.credentials import check_ready
from hongyan.api.leancloud.files import UPLOADS, VERSIONS, created, name_of, plain_type, uploader
from hongyan.api.leancloud.parameters import BODY_MAX, wrong
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.files import PARTS_MAX, Draft
from hongyan.engine.values import App, File
from hongyan.errors import FILE_TOO_LARGE, FILE_UPLOAD_REFUSED, Refused

#: The names of the file in the forms of the providers.
FORM_FIELDS = frozenset({"file", "fileContent", "filecontent"})
#: What a form has beside the file, at most.
FORM_REST = 65_536
#: For whose bodies the app's `file_max` holds, which is looked at as they come.
ANY_SIZE = None
#: What HTTP clients say of a body of which they know nothing.
_NO_TYPE = frozenset({"", "application/x-www-form-urlencoded"})

ADDRESS = f"{UPLOADS}/{{token:str}}"
PARTS = f"{ADDRESS}/buckets/{{bucket:str}}/objects/{{name:str}}/uploads"

AnyRequest = Request[Any, Any, Any]
Text = FromPath[str]


@put(ADDRESS, status_code=200, request_max_body_size=ANY_SIZE)
async def put_file(request: AnyRequest, site: CurrentSite, token: Text) -> Response[bytes]:
    """As a signed PUT of S3: the body is the file."""
    app, file = await _begun(request, site, token)
    file = await site.files.receive(app, file, pieces(request), _where(request, site))
    return Response(b"", headers={"ETag": f'"{file.md5}"'})


@post(ADDRESS, status_code=200, request_max_body_size=ANY_SIZE)
async def post_form(request: AnyRequest, site: CurrentSite, token: Text) -> dict[str, Any]:
    """As a form of Qiniu or Tencent COS: one field is the file."""
    app, file = await _begun(request, site, token)
    return _stored(await site.files.receive(app, file, file_of_form(request, FORM_FIELDS), _where(request, site)))


@post(PARTS, status_code=200)
async def begin_parts(request: AnyRequest, site: CurrentSite, token: Text, bucket: Text, name: Text) -> dict[str, str]:
    """A file that comes in parts."""
    _, file = await _begun(request, site, token)
    return {"uploadId": file.id}


@put(f"{PARTS}/{{upload:str}}/{{number:int}}", status_code=200, request_max_body_size=ANY_SIZE)
async def put_part(
    request: AnyRequest, site: CurrentSite, token: Text, bucket: Text, name: Text, upload: Text, number: FromPath[int]
) -> dict[str, str]:
    """One part."""
    app, file = await _begun(request, site, token)
    if not 1 <= number <= PARTS_MAX:
        raise HttpError(400, f"Parts have numbers from 1 to {PARTS_MAX}.", parameters.WRONG)
    md5 = await site.files.receive_part(app, file, number, pieces(request), _where(request, site))
    return {"etag": md5, "md5": md5}


@post(f"{PARTS}/{{upload:str}}", status_code=200)
async def join_parts(
    request: AnyRequest, site: CurrentSite, token: Text, bucket: Text, name: Text, upload: Text
) -> dict[str, Any]:
    """All parts are there: `{"parts": [{"partNumber": 1}, …]}`."""
    app, file = await _begun(request, site, token)
    given = (await parameters.body_of(request)).get("parts")
    numbers = [each.get("partNumber") if isinstance(each, dict) else None for each in given or []]
    if not isinstance(given, list) or not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise wrong("parts", "an array of objects with `partNumber` 1, 2, 3 …")
    return _stored(await site.files.join(app, file, numbers, _where(request, site)))


@delete(f"{PARTS}/{{upload:str}}", status_code=200)
async def drop_parts(
    request: AnyRequest, site: CurrentSite, token: Text, bucket: Text, name: Text, upload: Text
) -> dict[str, Any]:
    """The caller gives up."""
    _, file = await _begun(request, site, token)
    await site.files.give_up(file)
    return {}


@post([f"{version}/files/{{file:str}}" for version in VERSIONS], status_code=201, request_max_body_size=ANY_SIZE)
async def upload(request: AnyRequest, site: CurrentSite, file: Text) -> Response[dict[str, Any]]:
    """A file in one call: the body is the file, the path its name, `Content-Type` its type."""
    app = uploader(request, site)
    given = request.headers.get("content-type", "")
    begun, _ = await site.files.begin(app, Draft(name_of(file), None if given in _NO_TYPE else plain_type(given), {}))
    try:
        _check_length(request, app)
        arrived = await site.files.receive(app, begun, pieces(request), _where(request, site))
    except BaseException:
        await site.files.give_up(begun)
        raise
    return created(request, site, app, arrived)


#: With the calls on files, since one path has handlers of both.
router = Router(
    "/",
    route_handlers=[*files.HANDLERS, put_file, post_form, begin_parts, put_part, join_parts, drop_parts, upload],
    request_max_body_size=BODY_MAX,
)


async def _begun(request: AnyRequest, site: Site, token: str) -> tuple[App, File]:
    """The file of an address, and its app. Raises HttpError and Refused."""
    check_ready(site)
    file = await site.files.of_token(None, token)
    app = next((app for app in site.apps.list() if app.key == file.app_key), None)
    if app is None:
        raise Refused(FILE_UPLOAD_REFUSED, "the app is gone")
    _check_length(request, app)
    return app, file


def _check_length(request: AnyRequest, app: App) -> None:
    """Refuse what says that it is too long before it comes."""
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length[:20]) > app.settings.file_max + FORM_REST:
        raise Refused(FILE_TOO_LARGE, f"a file has at most {app.settings.file_max} bytes")


def _where(request: AnyRequest, site: Site) -> str:
    return caller_of(request, site.settings).origin


def _stored(file: File) -> dict[str, Any]:
    """What the providers answer, as far as SDKs look at it."""
    return {"code": 0, "hash": file.md5, "key": file.key}
