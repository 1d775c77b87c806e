"""Signatures and the encryption of DingTalk (connectors reference 2.1, 2.7)."""

import base64
import binascii
import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from hongyan.hub.connector import Forged

#: Padding is to so many bytes, not to a block of AES.
PADDING = 32


def robot_sign(secret: str, timestamp: str) -> str:
    """What is sent to a robot, and what the app's robot sends: the secret signs the time (ms) and itself."""
    return base64.b64encode(hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), "sha256")).decode()


def card_sign(secret: str, timestamp: str) -> str:
    """What is pressed on an interactive card: the secret signs the time (ms)."""
    return base64.b64encode(hmac.digest(secret.encode(), timestamp.encode(), "sha256")).decode()


class EventCrypto:
    """Of events that are pushed. `owners`: those whom an event may be for, the app's key or the company's id."""

    def __init__(self, token: str, aes_key: str, owners: tuple[str, ...]) -> None:
        self._token = token
        self._key = base64.b64decode(aes_key + "=")
        self._owners = owners

    def sign(self, timestamp: str, nonce: str, encrypted: str) -> str:
        return hashlib.sha1("".join(sorted([self._token, timestamp, nonce, encrypted])).encode()).hexdigest()

    def encrypt(self, message: bytes, owner: str, random: bytes) -> str:
        """`random` are 16 bytes."""
        plain = random + len(message).to_bytes(4, "big") + message + owner.encode()
        pad = PADDING - len(plain) % PADDING
        encryptor = Cipher(AES(self._key), CBC(self._key[:16])).encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()).decode()

    def decrypt(self, encrypted: str) -> tuple[bytes, str]:
        """The message and its owner. Raises Forged."""
        try:
            sealed = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError):
            raise Forged("what is encrypted is not base64") from None
        if not sealed or len(sealed) % 16:
            raise Forged("what is encrypted is cut off")
        decryptor = Cipher(AES(self._key), CBC(self._key[:16])).decryptor()
        plain = decryptor.update(sealed) + decryptor.finalize()
        pad = plain[-1]
        if not 1 <= pad <= PADDING or plain[-pad:] != bytes([pad]) * pad:
            raise Forged("it was encrypted with another key")
        plain = plain[16:-pad]
        end = 4 + int.from_bytes(plain[:4], "big")
        if len(plain) < end:
            raise Forged("what is encrypted is cut off")
        owner = plain[end:].decode(errors="replace")
        if owner not in self._owners:
            raise Forged("it is for another app or company")
        return plain[4:end], owner

    def answer(self, owner: str, timestamp: str) -> dict[str, str]:
        """That an event has arrived."""
        nonce = secrets.token_hex(8)
        encrypted = self.encrypt(b"success", owner, secrets.token_bytes(16))
        return {
            "msg_signature": self.sign(timestamp, nonce, encrypted),
            "timeStamp": timestamp,
            "nonce": nonce,
            "encrypt": encrypted,
        }
