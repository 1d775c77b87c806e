"""Who a call of an SDK comes from: app, key and client session in its headers (REST reference 1.2, 1.3)."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from litestar import Request

from hongyan.api.errors import HttpError
from hongyan.api.site import Site
from hongyan.engine import web_domains
from hongyan.engine.sessions import Ticket
from hongyan.engine.values import App
from hongyan.errors import APP_NOT_AVAILABLE, INVALID_ORIGIN, Refused

MASTER = "master"
#: Signed with the key that the original gives to Android apps; without `android_key` there is none to check it with.
ANDROID = "ax-sig-1"

_LEGACY = ("X-AVOSCloud-", "X-Uluru-")
AnyRequest = Request[Any, Any, Any]


def _names(name: str, legacy: str) -> tuple[str, ...]:
    """A header and what it was called before."""
    return tuple(each for each in (name, *(prefix + legacy for prefix in _LEGACY)) if each)


_APP_ID = _names("X-LC-Id", "Application-Id")
_KEY = _names("X-LC-Key", "Application-Key")
_MASTER_KEY = _names("", "Master-Key")
_SIGN = _names("X-LC-Sign", "Request-Sign")
_ORIGIN = ("Origin",)
_SESSION = _names("X-LC-Session", "Session-Token")


class _Given(NamedTuple):
    """What a call says of its app; None is not there."""

    app_id: str | None
    key: str | None
    master_key: str | None
    sign: str | None
    origin: str | None

    @classmethod
    def of(cls, request: AnyRequest) -> "_Given":
        headers = request.headers  # once: each look at it costs more than all that follows
        return cls(*(_header(headers, names) for names in (_APP_ID, _KEY, _MASTER_KEY, _SIGN, _ORIGIN)))

    def has_master_key(self) -> bool:
        return self.master_key is not None or _mark(self.key, 1) == MASTER or _mark(self.sign, 2) == MASTER

    def has_key(self, app: App) -> bool:
        checked = _mark(self.sign, 2) != ANDROID or app.settings.android_key
        signed = self.sign is not None and bool(checked)
        return self.has_master_key() or signed or self.key is not None


def check_ready(site: Site) -> None:
    """Raises HttpError."""
    if not site.ready:
        raise HttpError(503, "The server is starting or stopping.")


def app_of(request: AnyRequest, site: Site) -> App:
    """The app that calls. A key or signature is checked if there is one; what needs it must ask for more.

    Raises HttpError, also while the server is not ready, and Refused(APP_NOT_AVAILABLE).
    """
    return _app_of(_Given.of(request), site)


def app_of_master(request: AnyRequest, site: Site) -> App:
    """The app that calls with its master key. Raises HttpError and Refused(APP_NOT_AVAILABLE)."""
    given = _Given.of(request)
    app = _app_of(given, site)
    if not given.has_master_key():
        raise HttpError(403, "This call needs the master key.")
    return app


def app_by_keys(request: AnyRequest, site: Site, app_id: str, master_key: str) -> App:
    """The app with this id, if that is its master key. Raises as `app_of_master`."""
    given = _Given(app_id, None, master_key, None, _header(request.headers, _ORIGIN))
    return _app_of(given, site)


def app_of_class(request: AnyRequest, site: Site, *, writes: bool = False) -> tuple[App, str | None]:
    """The app that calls on conversations, and as whom it looks (REST reference 0, 2.1: M*).

    That is None for the application itself; whoever has just the app's key, where the operator lets it, is nobody in
    particular. Raises HttpError and Refused(APP_NOT_AVAILABLE).
    """
    app = app_of(request, site)
    if has_master_key(request):
        return app, None
    name = "conversation_write" if writes else "conversation_read"
    if not getattr(app.settings, name):
        raise HttpError(
            403,
            f"The class _Conversation is closed to {request.method}: use the master key. "
            f"The operator can open it with the app setting `{name}`.",
        )
    require_key(request, app)
    return app, ""


def client_of(request: AnyRequest, site: Site, app: App, client: str) -> Ticket:
    """The session of the client that calls. Raises Refused(SESSION_TOKEN_EXPIRED)."""
    token = request.headers.get("X-LC-IM-Session-Token", "")
    return site.engine.sessions.redeem(app, client, token)


def session_of(request: AnyRequest) -> str | None:
    """The session token of the user that calls, if there is one."""
    return _header(request.headers, _SESSION) or None


def has_master_key(request: AnyRequest) -> bool:
    """Whether the call has the master key, after `app_of` has found it right."""
    return _Given.of(request).has_master_key()


def has_key(request: AnyRequest, app: App) -> bool:
    """Whether the call has any key of the app that `app_of` could check."""
    return _Given.of(request).has_key(app)


def require_key(request: AnyRequest, app: App) -> None:
    """Raises HttpError for a call that `app_of` let in without a key that it could check."""
    if not has_key(request, app):
        raise HttpError(401, "The app's key is missing.")


def _app_of(given: _Given, site: Site) -> App:
    check_ready(site)
    if not given.app_id:
        raise HttpError(401, "The header `X-LC-Id` is missing.")
    app = site.apps.get(given.app_id)
    if app is None:
        raise Refused(APP_NOT_AVAILABLE, "no app has this id")
    if not web_domains.allows(app.settings.web_domains, given.origin):
        raise Refused(INVALID_ORIGIN, "pages of this site may not use the app")
    _check_key(app, given.key)
    _check_master_key(app, given.master_key)
    _check_signature(app, given.sign)
    return app


def _mark(given: str | None, after: int) -> str:
    """What stands after so many commas: a time before it may be any text, `master` too."""
    return "".join((given or "").split(",", after)[after:])


def _header(headers: Mapping[str, str], names: Sequence[str]) -> str | None:
    """The value of the first of these that is there."""
    for name in names:
        value = headers.get(name)
        if value is not None:
            return value
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
    """`md5(milliseconds + key),milliseconds[,mark]`; old ones are taken, since SDKs keep them for a while."""
    if given is None:
        return
    digest, _, rest = given.partition(",")
    time, _, mark = rest.partition(",")
    key = {"": app.app_key, MASTER: app.master_key, ANDROID: app.settings.android_key}.get(mark)
    if mark == ANDROID and not key:
        return
    if key is None or not _equal(digest.lower(), _digest(time + key)):
        raise HttpError(401, "The signature is wrong.")


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _equal(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())
