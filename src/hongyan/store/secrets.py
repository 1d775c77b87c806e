"""Sealing an app's keys: AES-256-GCM with the data directory's secret (NIST SP 800-38D)."""

import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hongyan.errors import StartupError

_NONCE = 12


def seal(secret: bytes, app_id: str, keys: Mapping[str, str]) -> bytes:
    """Nonce and ciphertext; bound to the app id, so that a row's keys can't be moved to another app."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(secret).encrypt(nonce, json.dumps(dict(keys)).encode(), app_id.encode())


def unseal(secret: bytes, app_id: str, sealed: bytes) -> dict[str, str]:
    """Raises StartupError if the secret isn't the one that sealed."""
    try:
        plain = AESGCM(secret).decrypt(sealed[:_NONCE], sealed[_NONCE:], app_id.encode())
    except InvalidTag:
        raise StartupError(
            f"The keys of app {app_id} can't be read: secret.key is not the one this database was made with."
        ) from None
    keys: dict[str, str] = json.loads(plain)
    return keys
