"""Users of an app (`_User`): signing up, logging in, and who may read and change what of them (REST reference 3.13).

With the app's key alone one may sign up, log in, and read what users show to all. A session token, which a login
gives, is a user's own; it is kept as a digest only. The master key may do everything but read passwords and tokens.
"""

import asyncio
import hashlib
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from hongyan import errors
from hongyan.engine import objects, passwords
from hongyan.engine.clock import Clock
from hongyan.engine.conditions import Condition
from hongyan.engine.passwords import Passwords
from hongyan.engine.ports import Credentials, UserStore
from hongyan.engine.query import Query
from hongyan.engine.values import App, ObjectRow, new_object_id
from hongyan.errors import Refused

USERNAME_MAX = 128
EMAIL_MAX = 254
#: Failures within the time (ms) after which a user's password is not looked at (REST reference 1.7).
FAILURES_MAX, FAILURES_TIME = 6, 15 * 60 * 1000
#: Users whose failures are remembered.
_REMEMBERED_MAX = 100_000
#: What nobody reads.
HIDDEN = frozenset({"password", "salt", "sessionToken", "bcryptPassword"})
#: What only a user itself and the master key read.
PRIVATE = frozenset({"email", "emailVerified", "mobilePhoneNumber", "mobilePhoneVerified", "authData"})
#: What only the master key writes.
_MASTER_ONLY = frozenset({"emailVerified", "mobilePhoneVerified"})
#: The account of a device: its id is made by the device, which alone knows it.
ANONYMOUS = "anonymous"
ANONYMOUS_ID_MIN = 16
#: Keys of `authData` that tell whose account it is.
_UIDS = ("uid", "openid", "id")
_ACCOUNT = "authData."
_PROVIDERS_MAX, _PROVIDER_MAX, _UID_MAX = 20, 64, 256
#: By which keys a login names its user.
_NAMES = ("username", "email", "mobilePhoneNumber")
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")
_MOBILE = re.compile(r"\+?[0-9]{5,20}")
_LETTERS = string.ascii_lowercase + string.digits
_TOKEN_LENGTH = 25


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: with the master key, or as the user of a session token, or neither."""

    is_master: bool = False
    user: ObjectRow | None = None
    digest: bytes | None = None

    def is_self(self, user: ObjectRow) -> bool:
        return self.user is not None and self.user.key == user.key


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A user and the token of the session that began."""

    user: ObjectRow
    token: str
    is_new: bool = False


class Users:
    def __init__(self, store: UserStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._passwords = Passwords()
        self._failures: dict[int, list[int]] = {}
        self._one_by_one: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def caller(self, app: App, token: str | None, *, is_master: bool) -> Caller:
        """Raises Refused(USER_NOT_FOUND) for a token that is not a user's."""
        if is_master or token is None:
            return Caller(is_master)
        user = await self.of_token(app, token)
        return Caller(user=user, digest=_digest(token))

    async def of_token(self, app: App, token: str) -> ObjectRow:
        """The user of a session token. Raises Refused(USER_NOT_FOUND)."""
        user = await self._store.of_session(app.key, _digest(token))
        if user is None:
            raise Refused(errors.USER_NOT_FOUND, "the session token is not valid")
        return user

    # coming in

    async def sign_up(
        self, app: App, given: Mapping[str, Any], caller: Caller, *, only_known: bool = False
    ) -> LoggedIn:
        """A new user, or the one who has this account of another platform; `only_known`: only that one."""
        values = _gathered(given)
        password = values.pop("password", None)
        identities = self._identities(values.get("authData"), caller)
        found = await self._find_by_identity(app, identities)
        if found is not None:
            return await self._log_in(found, None, None)
        if only_known:
            raise Refused(errors.USER_NOT_FOUND, "no user has this account")
        if not (app.settings.user_sign_up or caller.is_master):
            raise Refused(errors.SIGN_UP_CLOSED, "users are made by the app's own server")
        if password is None and not values.get("authData"):
            raise Refused(errors.PASSWORD_MISSING, "no password")
        if password is None and not any(identities.values()):
            raise Refused(errors.ACCOUNT_INVALID, "this server can't ask the other platform whose account it is")
        if "username" not in values:
            if password is not None:
                raise Refused(errors.USERNAME_MISSING, "no username")
            values["username"] = _random()
        values = _checked(objects.changed({}, values, _read_only(caller)))
        values = {"emailVerified": False, "mobilePhoneVerified": False, **values}
        kept = None if password is None else await self._passwords.hash(_text(password))
        token = _random()
        credentials = Credentials(kept, identities, _digest(token))
        return LoggedIn(await self._store.sign_up(app.key, new_object_id(), values, credentials), token, is_new=True)

    async def log_in(self, app: App, given: Mapping[str, Any]) -> LoggedIn:
        """By a password and a username, an e-mail address or a phone number."""
        name = next((key for key in _NAMES if given.get(key) is not None), None)
        if name is None:
            raise Refused(errors.USERNAME_MISSING, "no username, email or mobilePhoneNumber")
        if given.get("password") is None:
            raise Refused(errors.PASSWORD_MISSING, "no password")
        user = await self._store.by(app.key, name, _text(given[name]))
        if user is None:
            raise Refused(errors.USER_NOT_FOUND, f"no user has this {name}")
        password = _text(given["password"])
        async with self._turn(user):
            seen, newer = await self._check_password(user, password)
            return await self._log_in(user, seen, newer)

    async def change_password(self, app: App, object_id: str, old: str, new: str, caller: Caller) -> LoggedIn:
        """Who knows the old one. All sessions end but the new one."""
        user = await self._own(app, object_id, caller)
        passwords.check(new)
        async with self._turn(user):
            seen, _ = await self._check_password(user, old)
            return await self._log_in(user, seen, await self._passwords.hash(new), alone=True)

    async def renew(self, app: App, object_id: str, caller: Caller) -> LoggedIn:
        """A new session; all others end."""
        return await self._log_in(await self._own(app, object_id, caller), None, None, alone=True)

    # reading

    async def read(self, app: App, object_id: str, caller: Caller) -> ObjectRow:
        """Raises Refused(USER_NOT_FOUND), also for who may not read it."""
        user = await self._store.get(app.key, object_id)
        if user is None or not self._may_read(app, user, caller):
            raise Refused(errors.USER_NOT_FOUND, "no user has this id")
        return user

    async def find(self, app: App, wanted: Query) -> list[ObjectRow]:
        return await self._store.find(app.key, wanted)

    async def count(self, app: App, condition: Condition) -> int:
        return await self._store.count(app.key, condition)

    async def types(self, app: App) -> Mapping[str, str]:
        """What custom keys hold."""
        return await self._store.types(app.key)

    def shown(self, user: ObjectRow, caller: Caller) -> dict[str, Any]:
        """What of a user this caller sees."""
        hidden = (
            HIDDEN if caller.is_master else HIDDEN | {"ACL"} if caller.is_self(user) else HIDDEN | PRIVATE | {"ACL"}
        )
        return {key: value for key, value in user.values.items() if key not in hidden}

    # changing

    async def change(
        self, app: App, object_id: str, given: Mapping[str, Any], caller: Caller, condition: Condition | None = None
    ) -> ObjectRow:
        """Change a user: itself, or with the master key. A new password ends all sessions but the caller's."""
        await self._own(app, object_id, caller)
        values = _gathered({key: value for key, value in given.items() if key != "objectId" or value != object_id})
        password = values.pop("password", None)
        if "authData" in values and values["authData"] is None:
            raise Refused(errors.ACCOUNT_INVALID, "accounts are taken away one by one, each by its platform")

        def change(before: dict[str, Any]) -> Mapping[str, Any]:
            after = _checked(objects.changed(dict(before), _merged(before, values), _read_only(caller)))
            for key, mark in (("email", "emailVerified"), ("mobilePhoneNumber", "mobilePhoneVerified")):
                if before.get(key) != after.get(key) and mark not in values:
                    after[mark] = False
            return after

        identities = self._identities(values.get("authData"), caller)
        kept = None if password is None else await self._passwords.hash(_text(password))
        credentials = Credentials(kept, identities, caller.digest)
        return await self._store.change(app.key, object_id, change, credentials, condition)

    async def delete(self, app: App, object_id: str, caller: Caller) -> None:
        await self._own(app, object_id, caller)
        await self._store.delete(app.key, object_id)

    # its own

    async def _own(self, app: App, object_id: str, caller: Caller) -> ObjectRow:
        """The user, for itself and the master key. Raises Refused: USER_SESSION_MISSING, USER_NOT_FOUND."""
        if caller.user is not None and caller.user.id == object_id:
            return caller.user
        if not caller.is_master:
            raise Refused(errors.USER_SESSION_MISSING, "only this user itself may do this")
        user = await self._store.get(app.key, object_id)
        if user is None:
            raise Refused(errors.USER_NOT_FOUND, "no user has this id")
        return user

    def _may_read(self, app: App, user: ObjectRow, caller: Caller) -> bool:
        if caller.is_master or caller.is_self(user):
            return True
        acl = user.values.get("ACL")
        if not isinstance(acl, dict):
            return app.settings.user_read
        reader = caller.user.id if caller.user is not None else "*"
        return app.settings.user_read and any(_allows(acl.get(name)) for name in ("*", reader))

    async def _log_in(
        self, user: ObjectRow, seen: str | None, password: str | None, *, alone: bool = False
    ) -> LoggedIn:
        token = _random()
        await self._store.log_in(user.key, _digest(token), seen, password, alone=alone)
        return LoggedIn(user, token)

    async def _check_password(self, user: ObjectRow, password: str) -> tuple[str, str | None]:
        """The hash that was checked, and a newer one to keep. Raises Refused: PASSWORD_WRONG, LOGIN_LOCKED."""
        self._check_lock(user)
        kept = await self._store.password(user.key)
        is_right, newer = await self._passwords.verify(kept, password) if kept else (False, None)
        if not is_right or kept is None:
            self._note_failure(user)
            raise Refused(errors.PASSWORD_WRONG, "the password is wrong")
        self._failures.pop(user.key, None)
        return kept, newer

    def _turn(self, user: ObjectRow) -> asyncio.Lock:
        """Passwords of a user are looked at one at a time.

        So guesses at once are counted before the next, and a login finds what the one before it has kept anew.
        """
        lock = self._one_by_one.get(user.key)
        if lock is None:
            lock = self._one_by_one[user.key] = asyncio.Lock()
        return lock

    def _check_lock(self, user: ObjectRow) -> None:
        since = self._clock.now() - FAILURES_TIME
        recent = [at for at in self._failures.get(user.key, []) if at > since]
        if len(recent) > FAILURES_MAX:
            raise Refused(errors.LOGIN_LOCKED, "this user is locked for a while")

    def _note_failure(self, user: ObjectRow) -> None:
        now = self._clock.now()
        recent = [at for at in self._failures.pop(user.key, []) if at > now - FAILURES_TIME]
        while len(self._failures) >= _REMEMBERED_MAX:
            del self._failures[next(iter(self._failures))]  # the one whose last failure is the longest ago
        self._failures[user.key] = [*recent, now]

    def _identities(self, auth_data: Any, caller: Caller) -> dict[str, str | None]:
        """By which accounts a user may log in. The master key vouches for those of other platforms.

        Nobody else does, as this server can't ask the platforms: what a user says of itself is kept as data alone.
        Its own account anybody may take away.
        """
        if auth_data is None:
            return {}
        if not isinstance(auth_data, dict) or len(auth_data) > _PROVIDERS_MAX or "__op" in auth_data:
            raise Refused(errors.ACCOUNT_INVALID, "authData is an object of accounts by their platforms")
        found = {provider: _uid(provider, data) for provider, data in auth_data.items()}
        return {name: uid for name, uid in found.items() if caller.is_master or name == ANONYMOUS or uid is None}

    async def _find_by_identity(self, app: App, identities: Mapping[str, str | None]) -> ObjectRow | None:
        for provider, uid in identities.items():
            found = None if uid is None else await self._store.of_identity(app.key, provider, uid)
            if found is not None:
                return found
        return None


def _uid(provider: str, data: Any) -> str | None:
    """Whose account it is; None takes it away. Raises Refused(ACCOUNT_INVALID)."""
    if data is None:
        return None
    uid = next((data[key] for key in _UIDS if key in data), None) if isinstance(data, dict) else None
    least = ANONYMOUS_ID_MIN if provider == ANONYMOUS else 1
    if not isinstance(uid, str) or not least <= len(uid) <= _UID_MAX or not 1 <= len(provider) <= _PROVIDER_MAX:
        raise Refused(errors.ACCOUNT_INVALID, f"the account of {provider[:_PROVIDER_MAX]!r} has no id, or none of use")
    return uid


def _read_only(caller: Caller) -> frozenset[str]:
    return HIDDEN if caller.is_master else HIDDEN | _MASTER_ONLY


def _gathered(given: Mapping[str, Any]) -> dict[str, Any]:
    """With the accounts that SDKs name by dotted keys, as `authData.weixin`, in one object."""
    dotted = {key: value for key, value in given.items() if key.startswith(_ACCOUNT)}
    if not dotted:
        return dict(given)
    accounts = {key.removeprefix(_ACCOUNT): _unless_deleted(value) for key, value in dotted.items()}
    others = given.get("authData")
    values = {key: value for key, value in given.items() if key not in dotted}
    return {**values, "authData": {**(others if isinstance(others, dict) else {}), **accounts}}


def _unless_deleted(value: Any) -> Any:
    return None if isinstance(value, dict) and value.get("__op") == "Delete" else value


def _merged(before: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A new account is added to those there are; null takes one away."""
    given = values.get("authData")
    if not isinstance(given, dict):
        return values
    accounts = {**(before.get("authData") or {}), **given}
    return {**values, "authData": {name: data for name, data in accounts.items() if data is not None}}


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Raises Refused for keys of a user that are not as they must be."""
    name, email, mobile = (values.get(key) for key in _NAMES)
    if not isinstance(name, str) or not 1 <= len(name) <= USERNAME_MAX or not name.strip() or _has_control(name):
        raise Refused(errors.INVALID_USERNAME, "not a username")
    if email is not None and not (isinstance(email, str) and len(email) <= EMAIL_MAX and _EMAIL.fullmatch(email)):
        raise Refused(errors.INVALID_EMAIL, "not an e-mail address")
    if mobile is not None and not (isinstance(mobile, str) and _MOBILE.fullmatch(mobile)):
        raise Refused(errors.INVALID_MOBILE, "not a phone number")
    for key, kind in (("emailVerified", bool), ("mobilePhoneVerified", bool), ("authData", dict), ("ACL", dict)):
        if not isinstance(values.get(key), kind | None):
            raise Refused(errors.INVALID_VALUE, f"{key} is of another type")
    return {key: value for key, value in values.items() if key not in _NAMES or value is not None}


def _allows(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("read") is True


def _has_control(text: str) -> bool:
    return any(ord(character) < 32 or ord(character) == 127 for character in text)


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise Refused(errors.INVALID_VALUE, "username, email, mobilePhoneNumber and password are strings")
    return given


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _random() -> str:
    """25 letters and digits (129 bits), as the original's tokens and the names that it makes."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_TOKEN_LENGTH))
