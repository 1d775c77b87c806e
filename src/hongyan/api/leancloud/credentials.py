"""Who a call of an SDK comes from: app, key and client session in its headers (REST reference 1.2, 1.3)."""

import hashlib
import hmac
from typing import Any

from litestar import Request

from hongyan.api.errors import HttpError
from hongyan.api.site import Site
from hongyan.engine.sessions import Ticket
from hongyan.engine.values import App
from hongyan.errors import APP_NOT_AVAILABLE, Refused

MASTER = "master"
#: Signed with the key that the original gives to Android apps; there is none here to check it with.
ANDROID = "ax-sig-1"

_LEGACY = ("X-AVOSCloud-", "X-Uluru-")
AnyRequest = Request[Any, Any, Any]


def app_of(request: AnyRequest, site: Site) -> App:
    """The app that calls. A key or signature is checked if there is one; what needs it must ask for more.

    Raises HttpError and Refused(APP_NOT_AVAILABLE).
    """
    app_id = _header(request, "X-LC-Id", "Application-Id")
    if not app_id:
        raise HttpError(401, "The header `X-LC-Id` is missing.")
    app = site.apps.get(app_id)
    if app is None:
        raise Refused(APP_NOT_AVAILABLE, "no app has this id")
    _check_key(app, _header(request, "X-LC-Key", "Application-Key"))
    _check_master_key(app, _header(request, "", "Master-Key"))
    _check_signature(app, _header(request, "X-LC-Sign", "Request-Sign"))
    return app


def app_of_master(request: AnyRequest, site: Site) -> App:
    """The app that calls with its master key. Raises what `app_of` does, and HttpError for a call without that key."""
    app = app_of(request, site)
    key, sign = _header(request, "X-LC-Key", "Application-Key"), _header(request, "X-LC-Sign", "Request-Sign")
    is_master = (
        _header(request, "", "Master-Key") is not None
        or (key or "").endswith(f",{MASTER}")
        or (sign or "").endswith(f",{MASTER}")
    )
    if not is_master:
        raise HttpError(403, f"{request.method} {request.url.path} needs the app's master key.")
    return app


def client_of(request: AnyRequest, site: Site, app: App, client: str) -> Ticket:
    """The session of the client that calls. Raises Refused(SESSION_TOKEN_EXPIRED)."""
    token = request.headers.get("X-LC-IM-Session-Token", "")
    return site.engine.sessions.redeem(app, client, token)


def _header(request: AnyRequest, name: str, legacy: str) -> str | None:
    for each in (name, *(prefix + legacy for prefix in _LEGACY)):
        if each and each in request.headers:
            return request.headers[each]
    return None


def _check_key(app: App, given: str | None) -> None:
    if given is None:
        return
    key, _, mark = given.partition(",")
    if not _equal(key, app.master_key if mark == MASTER else app.app_key) or mark not in ("", MASTER):
        raise HttpError(401, "The app's key is wrong.")


def _check_master_key(app: App, given: str | None) -> None:
    if given is not None and not _equal(given, app.master_key):
        raise HttpError(401, "The app's master key is wrong.")


def _check_signature(app: App, given: str | None) -> None:
    """`md5(milliseconds + key),milliseconds[,master]`; old ones are taken, since SDKs keep them for a while."""
    if given is None:
        return
    digest, _, rest = given.partition(",")
    time, _, mark = rest.partition(",")
    if mark == ANDROID:
        return
    key = app.master_key if mark == MASTER else app.app_key
    right = hashlib.md5((time + key).encode(), usedforsecurity=False).hexdigest()
    if not _equal(digest.lower(), right) or mark not in ("", MASTER):
        raise HttpError(401, "The signature is wrong.")


def _equal(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())
