"""Callbacks as DingTalk and WeCom seal them (connectors reference 2.7 and 3.7): AES-256-CBC, signed by SHA-1."""

import base64
import binascii
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from hongyan.hub.connector import Forged

#: Random bytes before the message, bytes that say its length, and what the padding fills up: no block of AES.
_RANDOM, _LENGTH, _PADDING = 16, 4, 32


def is_key(text: str) -> bool:
    """Whether it is an EncodingAESKey: 43 characters for 32 bytes."""
    try:
        return len(text) == 43 and len(base64.b64decode(text + "=", validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


class SealedCallback:
    """`aes_key` is a good key. `owners` are those whom a message may be for."""

    def __init__(self, token: str, aes_key: str, owners: tuple[str, ...]) -> None:
        self._token = token
        self._key = base64.b64decode(aes_key + "=")
        self._owners = owners

    def sign(self, timestamp: str, nonce: str, sealed: str) -> str:
        text = "".join(sorted((self._token, timestamp, nonce, sealed)))
        return hashlib.sha1(text.encode(errors="replace"), usedforsecurity=False).hexdigest()

    def check(self, given: str, timestamp: str, nonce: str, sealed: str) -> None:
        """Raises Forged if it is not the signature."""
        if not hmac.compare_digest(given.encode(errors="replace"), self.sign(timestamp, nonce, sealed).encode()):
            raise Forged("the signature is wrong: the token of the channel is another one, or it is from somebody else")

    def seal(self, message: bytes, owner: str, random: bytes) -> str:
        """`random` are 16 bytes."""
        plain = random + len(message).to_bytes(_LENGTH, "big") + message + owner.encode()
        pad = _PADDING - len(plain) % _PADDING
        encryptor = Cipher(AES(self._key), CBC(self._key[:16])).encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()).decode()

    def unseal(self, sealed: str) -> tuple[bytes, str]:
        """The message and its owner; only of what has a good signature. Raises Forged."""
        try:
            secret = base64.b64decode(sealed, validate=True)
            decryptor = Cipher(AES(self._key), CBC(self._key[:16])).decryptor()
            plain = decryptor.update(secret) + decryptor.finalize()
        except (binascii.Error, ValueError):
            raise Forged("what is encrypted is cut off, or no Base64") from None
        pad = plain[-1] if plain else 0
        if not 1 <= pad <= _PADDING or plain[-pad:] != bytes([pad]) * pad:
            raise Forged("it was encrypted with another key")
        plain = plain[_RANDOM:-pad]
        end = _LENGTH + int.from_bytes(plain[:_LENGTH], "big")
        if len(plain) < end:
            raise Forged("what is encrypted is cut off")
        owner = plain[end:].decode(errors="replace")
        if owner not in self._owners:
            raise Forged("it is for another app or company")
        return plain[_LENGTH:end], owner
