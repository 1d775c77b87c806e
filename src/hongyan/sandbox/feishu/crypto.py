"""How Feishu signs and encrypts what it tells an app."""

import base64
import hashlib
import json
import os

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def compact(value: object) -> bytes:
    """JSON without white space: the SDK for Node checks signatures on what it has written again itself."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def encrypted(key: str, plain: bytes) -> str:
    """By AES-256-CBC, with the digest of the key; the vector stands in front."""
    iv = os.urandom(16)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(hashlib.sha256(key.encode()).digest()), modes.CBC(iv)).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(iv + encryptor.update(padded) + encryptor.finalize()).decode()


def signed(timestamp: str, nonce: str, key: str, body: bytes) -> str:
    """What `X-Lark-Signature` says."""
    return hashlib.sha256((timestamp + nonce + key).encode() + body).hexdigest()


def signed_card(timestamp: str, nonce: str, token: str, body: bytes) -> str:
    """As the older callback of cards is."""
    return hashlib.sha1((timestamp + nonce + token).encode() + body).hexdigest()
