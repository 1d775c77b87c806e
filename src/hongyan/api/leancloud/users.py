"""Users over HTTP: signing up, logging in, and what SDKs ask of `_User` (REST reference 3.9 U6, 3.11, 3.13)."""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import objects, parameters
from hongyan.api.leancloud.credentials import app_of, app_of_master, has_master_key, require_key, session_of
from hongyan.api.leancloud.keys import Keys
from hongyan.api.leancloud.parameters import WRONG, body_of, body_or_query, query_of
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.objects import parse_condition
from hongyan.engine.questions import Signing
from hongyan.engine.users import Caller, LoggedIn
from hongyan.engine.values import App, ObjectRow

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]
Row = dict[str, Any]

#: Both names of the class; SDKs use the second for users that they have loaded.
USERS, CLASS = "/1.1/users", "/1.1/classes/_User"
ONE = [f"{USERS}/{{user_id:str}}", f"{CLASS}/{{user_id:str}}"]
#: Answers with tokens are not to be kept by anybody on the way.
_NOT_KEPT = {"Cache-Control": "no-store"}
#: What only a server that sends mail or text messages can do.
_BY_MAIL = ["requestPasswordReset", "requestEmailVerify"]
_BY_TEXT = [
    "requestMobilePhoneVerify",
    "verifyMobilePhone/{code:str}",
    "requestPasswordResetBySmsCode",
    "requestLoginSmsCode",
    "requestSmsCode",
    "verifySmsCode/{code:str}",
    "requestChangePhoneNumber",
    "changePhoneNumber",
    "usersByMobilePhone",
    "requestCaptcha",
    "verifyCaptcha",
]


# coming in


@post([USERS, CLASS])
async def sign_up(request: AnyRequest, site: CurrentSite) -> Response[Row]:
    """Sign up, or come in with an account of another platform: 201 for a new user, else 200."""
    app, caller = await _caller(request, site, with_session=False)
    asked, values = query_of(request), await body_of(request)
    _refuse_codes(values)
    only_known = parameters.flag(asked, "failOnNotExist")
    came = await site.engine.users.sign_up(app, values, caller, only_known=only_known)
    if not came.is_new:
        return _came_in(site, came)
    if objects.wants_row(asked):
        told = _own_row(site, came.user)
    else:
        told = {key: came.user.values[key] for key in ("username", "authData") if _is_made(key, values)}
    answer = objects.created(USERS, came.user, {**told, "sessionToken": came.token})
    answer.headers.update(_NOT_KEPT)
    return answer


@get("/1.1/login")
async def log_in_by_query(request: AnyRequest, site: CurrentSite) -> Response[Row]:
    """Log in by a password, given in the query."""
    return await _log_in(request, site, query_of(request))


@post("/1.1/login", status_code=200)
async def log_in(request: AnyRequest, site: CurrentSite) -> Response[Row]:
    """Log in by `username`, `email` or `mobilePhoneNumber`, and `password`: the user, with a session token."""
    return await _log_in(request, site, await body_of(request))


@put(f"{USERS}/{{user_id:str}}/updatePassword")
async def update_password(request: AnyRequest, site: CurrentSite, user_id: Id) -> Response[Row]:
    """Change one's own password, by `old_password` and `new_password`; all sessions end but the new one."""
    app, caller = await _caller(request, site)
    values = await body_of(request)
    old, new = parameters.text(values, "old_password"), parameters.text(values, "new_password")
    return _came_in(site, await site.engine.users.change_password(app, user_id, old, new, caller))


@put(f"{USERS}/{{user_id:str}}/refreshSessionToken")
async def refresh_session_token(request: AnyRequest, site: CurrentSite, user_id: Id) -> Response[Row]:
    """A new session token; all others of the user end."""
    app, caller = await _caller(request, site)
    return _came_in(site, await site.engine.users.renew(app, user_id, caller))


@post(["/1.1/rtm/sign", "/1.2/rtm/clients/sign"], status_code=200)
async def sign(request: AnyRequest, site: CurrentSite) -> Response[Row]:
    """U6: what the user of `session_token` logs in to the gateway with."""
    return await _sign(request, site, await body_or_query(request))


@get("/1.2/rtm/clients/sign")
async def sign_by_query(request: AnyRequest, site: CurrentSite) -> Response[Row]:
    """U6."""
    return await _sign(request, site, query_of(request))


# users


@get(f"{USERS}/me")
async def me(request: AnyRequest, site: CurrentSite) -> Response[Row]:
    """The user of the session token, in the header or as `session_token`."""
    app = _app(request, site)
    token = session_of(request) or query_of(request).get("session_token", "")
    user = await site.engine.users.of_token(app, token)
    return Response({**_own_row(site, user), "sessionToken": token}, headers=_NOT_KEPT)


@get([USERS, CLASS])
async def find(request: AnyRequest, site: CurrentSite) -> Row:
    """Users by `where`, `order`, `limit`, `skip`, `keys`, `count`; with the master key."""
    app, users = app_of_master(request, site), site.engine.users
    caller, asked = Caller(is_master=True), query_of(request)
    return await objects.found(
        asked,
        lambda wanted: users.find(app, wanted),
        lambda condition: users.count(app, condition),
        lambda user: _shown(site, user, caller, asked),
    )


@get("/1.1/scan/classes/_User")
async def scan(request: AnyRequest, site: CurrentSite) -> Row:
    """All users, page by page in the order of one key; with the master key."""
    app, users = app_of_master(request, site), site.engine.users
    caller, asked = Caller(is_master=True), query_of(request)
    return await objects.scanned(
        asked,
        site.engine.clock.now(),
        lambda wanted: users.find(app, wanted),
        lambda user: _shown(site, user, caller, asked),
    )


@get(ONE)
async def read(request: AnyRequest, site: CurrentSite, user_id: Id) -> Row:
    """One user: all of oneself or with the master key, else what users show to all."""
    app, caller = await _caller(request, site)
    asked = query_of(request)
    user = await site.engine.users.read(app, user_id, caller)
    return Keys(asked.get("keys", "")).show(objects.row_of(user, _shown(site, user, caller, asked)))


@put(ONE)
async def change(request: AnyRequest, site: CurrentSite, user_id: Id) -> Row:
    """Change oneself, or any user with the master key."""
    app, caller = await _caller(request, site)
    asked, values = query_of(request), await body_of(request)
    condition = parse_condition(asked.get("where", ""))
    user = await site.engine.users.change(app, user_id, values, caller, condition)
    if not objects.wants_row(asked):
        return objects.updated(user)
    return objects.row_of(user, site.engine.users.shown(user, caller))


@delete(ONE, status_code=200)
async def erase(request: AnyRequest, site: CurrentSite, user_id: Id) -> Row:
    """Delete oneself, or any user with the master key."""
    app, caller = await _caller(request, site)
    await site.engine.users.delete(app, user_id, caller)
    return {}


def _without(paths: list[str], what: str) -> HTTPRouteHandler:
    """The calls of a server that can send this."""

    @post([f"/1.1/{path}" for path in paths], status_code=200)
    async def unavailable(request: AnyRequest, site: CurrentSite) -> Row:
        """Refused: nothing can be sent to the user."""
        _app(request, site)
        raise HttpError(
            400, f"This server sends no {what}: the app's own server must do this with the master key.", WRONG
        )

    return unavailable


@put("/1.1/resetPasswordBySmsCode/{code:str}")
async def reset_by_code(request: AnyRequest, site: CurrentSite, code: Id) -> Row:
    """Refused: there are no codes."""
    _app(request, site)
    raise HttpError(
        400, "This server sends no text messages: the app's own server must do this with the master key.", WRONG
    )


router: Router = objects.router(
    sign_up,
    log_in,
    log_in_by_query,
    update_password,
    refresh_session_token,
    sign,
    sign_by_query,
    me,
    find,
    scan,
    read,
    change,
    erase,
    _without(_BY_MAIL, "mail"),
    _without(_BY_TEXT, "text messages"),
    reset_by_code,
)


def _app(request: AnyRequest, site: Site) -> App:
    app = app_of(request, site)
    require_key(request, app)
    return app


async def _caller(request: AnyRequest, site: Site, *, with_session: bool = True) -> tuple[App, Caller]:
    """The app, and by what right it is called. Raises HttpError and Refused."""
    app = _app(request, site)
    token = session_of(request) if with_session else None
    return app, await site.engine.users.caller(app, token, is_master=has_master_key(request))


async def _log_in(request: AnyRequest, site: Site, given: Mapping[str, Any]) -> Response[Row]:
    app = _app(request, site)
    _refuse_codes(given)
    return _came_in(site, await site.engine.users.log_in(app, given))


def _refuse_codes(given: Mapping[str, Any]) -> None:
    """Raises HttpError for who comes with a code from a text message."""
    if given.get("smsCode") is not None:
        raise HttpError(400, "This server sends no text messages: log in by a password.", WRONG)


async def _sign(request: AnyRequest, site: Site, given: Mapping[str, Any]) -> Response[Row]:
    app = _app(request, site)
    token = parameters.text(given, "session_token")
    user = await site.engine.users.of_token(app, token)
    if site.engine.hooks.concern(app, Signing):
        await site.engine.hooks.ask(app, Signing(_signing(site, user, token)))
        user = await site.engine.users.of_token(app, token)  # the session may have ended meanwhile
    made = site.engine.signatures.make_login(app, user.id)
    body = {
        "signature": made.digits,
        "nonce": made.nonce,
        "client_id": user.id,
        "timestamp": int(made.time),
    }
    return Response(body, headers=_NOT_KEPT)


def _signing(site: Site, user: ObjectRow, token: str) -> Row:
    """A user as the hook `_rtmClientSign` is given it (REST reference 5.2)."""
    row = _own_row(site, user)
    named = {"username": row.get("username"), "email": row.get("email"), "phone": row.get("mobilePhoneNumber")}
    return {
        "objectId": user.id,
        **named,
        "sessionToken": token,
        "emailVerified": row.get("emailVerified") is True,
        "mobilePhoneVerified": row.get("mobilePhoneVerified") is True,
        "createdAt": row["createdAt"],
        "updatedAt": row["updatedAt"],
    }


def _came_in(site: Site, came: LoggedIn) -> Response[Row]:
    return Response({**_own_row(site, came.user), "sessionToken": came.token}, status_code=200, headers=_NOT_KEPT)


def _own_row(site: Site, user: ObjectRow) -> Row:
    return objects.row_of(user, site.engine.users.shown(user, Caller(user=user)))


def _shown(site: Site, user: ObjectRow, caller: Caller, asked: Mapping[str, Any]) -> Row:
    """The ACL only if it is asked for."""
    shown = site.engine.users.shown(user, caller)
    return shown if asked.get("returnACL") == "true" else {key: shown[key] for key in shown if key != "ACL"}


def _is_made(key: str, given: Mapping[str, Any]) -> bool:
    """Whether the answer to a new user names this, as the server made it or an SDK compares it."""
    return "authData" in given if key == "authData" else "username" not in given
