"""Credentials of channels: never shown, not even by accident."""

import hashlib
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct


class Credentials(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """`base_url` is where the platform is, if not at its usual place."""

    base_url: str = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> Any:
        return ()


def account(*parts: object) -> str:
    """Of an account, by which its rates are kept: whoever does not know its secret, or says that the platform is
    somewhere else, has another one, and can't use up its rates or have it slowed down. It tells nothing of the secret.
    """
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def at_base(url: str, base_url: str) -> str:
    """An address with the scheme and host of `base_url` instead of its own, if there is one."""
    if not base_url:
        return url
    base, own = urlsplit(base_url.rstrip("/")), urlsplit(url)
    return urlunsplit((base.scheme, base.netloc, base.path + own.path, own.query, ""))
