"""Callbacks as WeCom seals them: AES-256-CBC, signed by SHA-1 (its documentation, 加解密方案说明)."""

import base64
import binascii
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from hongyan.hub.connector import Forged

#: Random bytes before the message; bytes that say its length; what the padding fills up.
_RANDOM, _LENGTH, _BLOCK = 16, 4, 32


def key_bytes(encoding_aes_key: str) -> bytes:
    """The key of its 43 characters. Raises ValueError."""
    try:
        key = base64.b64decode(encoding_aes_key + "=", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(encoding_aes_key) != 43 or len(key) != 32:
        raise ValueError("`aes_key` is the EncodingAESKey of 43 letters and digits")
    return key


def signature(token: str, timestamp: str, nonce: str, sealed: str) -> str:
    text = "".join(sorted((token, timestamp, nonce, sealed)))
    return hashlib.sha1(text.encode(errors="replace"), usedforsecurity=False).hexdigest()


def check_signature(given: str, token: str, timestamp: str, nonce: str, sealed: str) -> None:
    """Raises Forged."""
    if not hmac.compare_digest(given.encode(errors="replace"), signature(token, timestamp, nonce, sealed).encode()):
        raise Forged("the signature is wrong: the callback's token is another one, or it is not from WeCom")


def unseal(key: bytes, sealed: str, owner: str) -> bytes:
    """The message, if it was sealed for this corp. Only for what has a good signature. Raises Forged."""
    try:
        secret = base64.b64decode(sealed, validate=True)
        decryptor = Cipher(AES(key), CBC(key[:16])).decryptor()
        padded = decryptor.update(secret) + decryptor.finalize()
    except (binascii.Error, ValueError):
        raise Forged("it can't be decrypted") from None
    padding = padded[-1] if padded else 0
    plain = padded[_RANDOM : len(padded) - padding]
    length = int.from_bytes(plain[:_LENGTH], "big")
    message, found = plain[_LENGTH : _LENGTH + length], plain[_LENGTH + length :]
    if not 1 <= padding <= _BLOCK or len(message) != length or found != owner.encode():
        raise Forged("it can't be decrypted with this EncodingAESKey, or is for another corp")
    return message
