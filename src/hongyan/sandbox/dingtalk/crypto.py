"""How DingTalk signs and encrypts what it tells an app."""

import base64
import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

BLOCK = 32


def sign(secret: str, timestamp: str) -> str:
    """Of a robot: the secret signs the time (ms) and itself."""
    digest = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), "sha256")
    return base64.b64encode(digest).decode()


def card_sign(secret: str, timestamp: str) -> str:
    """Of what is pressed on a card: the secret signs the time (ms)."""
    return base64.b64encode(hmac.digest(secret.encode(), timestamp.encode(), "sha256")).decode()


class Envelope:
    """Of events, and of the answers to them. `owner` is the key of the app."""

    def __init__(self, token: str, aes_key: str, owner: str) -> None:
        self._token = token
        self._key = base64.b64decode(aes_key + "=")
        self._owner = owner.encode()

    def wrap(self, text: str, timestamp: str) -> tuple[str, dict[str, str]]:
        """The query and the body of a push."""
        message = text.encode()
        plain = secrets.token_bytes(16) + len(message).to_bytes(4, "big") + message + self._owner
        pad = BLOCK - len(plain) % BLOCK
        encryptor = self._cipher().encryptor()
        sealed = encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()
        encrypted, nonce = base64.b64encode(sealed).decode(), secrets.token_hex(8)
        query = {"signature": self._sign(timestamp, nonce, encrypted), "timestamp": timestamp, "nonce": nonce}
        return urlencode(query), {"encrypt": encrypted}

    def unwrap(self, answer: dict[str, Any]) -> str:
        """What an app has answered. Raises ValueError with a sentence."""
        encrypted = str(answer.get("encrypt", ""))
        signed = self._sign(str(answer.get("timeStamp", "")), str(answer.get("nonce", "")), encrypted)
        if not encrypted or answer.get("msg_signature") != signed:
            raise ValueError("the answer is not signed as it must be")
        decryptor = self._cipher().decryptor()
        plain = decryptor.update(base64.b64decode(encrypted)) + decryptor.finalize()
        plain = plain[16 : -plain[-1]]
        end = 4 + int.from_bytes(plain[:4], "big")
        if plain[end:] != self._owner:
            raise ValueError("the answer is not that of this app")
        return plain[4:end].decode()

    def _sign(self, *parts: str) -> str:
        return hashlib.sha1("".join(sorted([self._token, *parts])).encode()).hexdigest()

    def _cipher(self) -> Cipher[CBC]:
        return Cipher(AES(self._key), CBC(self._key[:16]))
