"""Passwords: kept as Argon2id, and checked in the forms that imported users bring (REST reference 8.5).

Hashing takes tens of milliseconds of CPU and megabytes: a few threads of its own do it, and not for everybody at once.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
import bcrypt

from hongyan import errors
from hongyan.errors import Refused

T = TypeVar("T")

PASSWORD_MAX = 512
_THREADS = 2
#: Passwords that wait to be hashed; more are refused.
WAITING_MAX = 64
#: Applications of SHA-512 in the original's form.
_ROUNDS = 513
#: Marks the original's form: `leancloud$salt$hash`, both as the export has them, the salt in base64.
_LEANCLOUD = "leancloud"
_BCRYPT = ("$2a$", "$2b$", "$2y$")
_BCRYPT_BYTES = 72
#: A second of CPU; a kept hash that asks for more would hold up everybody's logins.
_BCRYPT_COST_MAX = 14
#: OWASP's recommendation: 19 MiB, two passes, one lane.
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


class Passwords:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="passwords")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The form in which a password is kept. Raises Refused(INVALID_PASSWORD, SERVER_BUSY)."""
        check(password)
        return await self._run(lambda: _hasher.hash(password))

    async def verify(self, kept: str, password: str) -> tuple[bool, str | None]:
        """Whether it is the password, and a newer form to keep if the kept one is old. Raises Refused(SERVER_BUSY)."""
        if not 1 <= len(password) <= PASSWORD_MAX:
            return False, None
        return await self._run(lambda: _verify(kept, password))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Refused(errors.SERVER_BUSY, "too many passwords are being checked")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def check(password: str) -> None:
    """Raises Refused(INVALID_PASSWORD)."""
    if not 1 <= len(password) <= PASSWORD_MAX:
        raise Refused(errors.INVALID_PASSWORD, f"a password has 1 to {PASSWORD_MAX} characters")


def imported(password: str, salt: str) -> str:
    """What to keep of an exported user: `password` and `salt` as the export has them."""
    return f"{_LEANCLOUD}${base64.b64encode(salt.encode()).decode()}${password}"


def imported_bcrypt(digest: str) -> str | None:
    """What to keep of a user's `bcryptPassword`; None if it is none that can be checked."""
    parts = digest.split("$")
    is_known = digest.startswith(_BCRYPT) and len(parts) == 4 and parts[2].isascii() and parts[2].isdigit()
    return digest if is_known and int(parts[2]) <= _BCRYPT_COST_MAX else None


def exported(kept: str | None) -> dict[str, str]:
    """The columns of an exported user that hold its password; one that was hashed here is as it is kept."""
    if kept is None:
        return {}
    if kept.startswith(_BCRYPT):
        return {"bcryptPassword": kept}
    if not kept.startswith(f"{_LEANCLOUD}$"):
        return {"password": kept}
    _, salt, digest = kept.split("$", 2)
    return {"password": digest, "salt": base64.b64decode(salt).decode()}


def leancloud_hash(password: str, salt: str) -> str:
    """The original's form, in base64."""
    digest = salt.encode() + password.encode()
    for _ in range(_ROUNDS):
        digest = hashlib.sha512(digest).digest()
    return base64.b64encode(digest).decode()


def _verify(kept: str, password: str) -> tuple[bool, str | None]:
    if kept.startswith("$argon2"):
        return _verify_argon2(kept, password)
    is_right = _is_bcrypt(kept, password) if kept.startswith(_BCRYPT) else _is_leancloud(kept, password)
    return is_right, _hasher.hash(password) if is_right else None


def _verify_argon2(kept: str, password: str) -> tuple[bool, str | None]:
    try:
        _hasher.verify(kept, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False, None
    return True, _hasher.hash(password) if _hasher.check_needs_rehash(kept) else None


def _is_bcrypt(kept: str, password: str) -> bool:
    if imported_bcrypt(kept) is None:
        return False
    try:
        return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], kept.encode())
    except ValueError:
        return False


def _is_leancloud(kept: str, password: str) -> bool:
    mark, _, rest = kept.partition("$")
    salt, _, digest = rest.partition("$")
    if mark != _LEANCLOUD:
        return False
    right = leancloud_hash(password, base64.b64decode(salt).decode())
    return hmac.compare_digest(right.encode(), digest.encode())
