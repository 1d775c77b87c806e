"""Rows of `_User` and `_Installation` (REST reference 8.5, 8.6)."""

from collections.abc import Iterator
from typing import Any

from hongyan.engine import passwords
from hongyan.engine.imported import ImportedInstallation, ImportedUser
from hongyan.importing.conversations import Note, times
from hongyan.importing.plain import Mistake, plain, text

#: What a row says of itself, and what a backup needs for itself.
_OWN = frozenset(["objectId", "_id", "createdAt", "updatedAt", "_created_at", "_updated_at", "__v"])
_SECRETS = frozenset(["password", "salt", "sessionToken", "bcryptPassword"])
#: A password as our own exports have it.
_OWN_FORM = "$argon2"
#: Keys of `authData` that tell whose account it is (as `engine/users.py` has them).
_UIDS = ("uid", "openid", "id")


def user(row: dict[str, Any], note: Note) -> ImportedUser:
    """The row, with its password in the form in which it is kept until the first login. Raises Mistake."""
    values = {name: plain(value) for name, value in row.items()}
    user_id, (created_at, updated_at) = text(values.get("objectId", values.get("_id")), "objectId"), times(values)
    for name in ("username", "email", "mobilePhoneNumber"):
        if values.get(name) is not None and not isinstance(values[name], str):
            raise Mistake(f"{name} is not a text")
    session = values.get("sessionToken")
    return ImportedUser(
        id=user_id,
        created_at=created_at,
        updated_at=updated_at,
        values=_custom(values),
        password=_password(values, note),
        session=session if isinstance(session, str) and session else None,
        accounts=dict(_accounts(values.get("authData"))),
    )


def installations(row: dict[str, Any], note: Note) -> Iterator[ImportedInstallation]:
    """The row, unless its device can't be reached any more. Raises Mistake."""
    values = {name: plain(value) for name, value in row.items()}
    own_id, (created_at, updated_at) = text(values.get("objectId", values.get("_id")), "objectId"), times(values)
    if values.get("valid") is False:
        note("valid is false: it is left out")
        return
    if not isinstance(values.get("deviceType"), str):
        raise Mistake("there is no deviceType")
    for name in ("deviceToken", "installationId"):
        if values.get(name) is not None:
            text(values[name], name, 4_096)
    yield ImportedInstallation(own_id, created_at, updated_at, {"valid": True, **_custom(values)})


def _custom(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _OWN | _SECRETS and value is not None}


def _password(values: dict[str, Any], note: Note) -> str | None:
    given, salt, bcrypt = (values.get(name) for name in ("password", "salt", "bcryptPassword"))
    if isinstance(given, str) and given.startswith(_OWN_FORM):
        return given
    if isinstance(given, str) and isinstance(salt, str):
        return passwords.imported(given, salt)
    if isinstance(bcrypt, str):
        kept = passwords.imported_bcrypt(bcrypt)
        if kept is None:
            note("bcryptPassword is none that can be checked: the user has to set a new one")
        return kept
    if given is not None:
        note("the password has no salt: the user has to set a new one")
    return None


def _accounts(auth_data: Any) -> Iterator[tuple[str, str]]:
    for provider, data in auth_data.items() if isinstance(auth_data, dict) else ():
        uid = next((data[key] for key in _UIDS if data.get(key)), None) if isinstance(data, dict) else None
        if isinstance(uid, str) and 1 <= len(uid) <= 256 and 1 <= len(provider) <= 64:
            yield provider, uid
