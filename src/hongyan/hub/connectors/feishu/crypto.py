"""Feishu's signatures, and its encryption of what it tells us."""

import base64
import binascii
import hashlib
import hmac

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16


def robot_sign(secret: str, timestamp: str) -> str:
    """The signature of a robot's message: the key is time and secret, and nothing is signed. `timestamp` in seconds."""
    return base64.b64encode(hmac.digest(f"{timestamp}\n{secret}".encode(), b"", "sha256")).decode()


def event_signature(timestamp: str, nonce: str, encrypt_key: str, body: bytes) -> str:
    return hashlib.sha256(f"{timestamp}{nonce}{encrypt_key}".encode() + body).hexdigest()


def card_signature(timestamp: str, nonce: str, verification_token: str, body: bytes) -> str:
    """That of the older callback of cards."""
    return hashlib.sha1(f"{timestamp}{nonce}{verification_token}".encode() + body).hexdigest()


def decrypt(encrypt_key: str, text: str) -> bytes:
    """Raises ValueError."""
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("what is encrypted is not Base64") from None
    if len(packed) < 2 * BLOCK or len(packed) % BLOCK:
        raise ValueError("what is encrypted has no whole blocks")
    key = hashlib.sha256(encrypt_key.encode()).digest()
    decryptor = Cipher(algorithms.AES(key), modes.CBC(packed[:BLOCK])).decryptor()
    unpadder = padding.PKCS7(BLOCK * 8).unpadder()
    try:
        plain = unpadder.update(decryptor.update(packed[BLOCK:]) + decryptor.finalize())
        return plain + unpadder.finalize()
    except ValueError:
        raise ValueError("the Encrypt Key does not fit") from None
