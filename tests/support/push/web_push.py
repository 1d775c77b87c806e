"""A browser and the push service of its maker: decrypts as the browser does (RFC 8291) and checks VAPID (RFC 8292)."""

import base64
import json
import os
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from hongyan.engine.pushing import Device
from tests.support.push.emulator import Emulator, Reply, Request, need


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class Browser:
    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.secret = os.urandom(16)

    @property
    def keys(self) -> dict[str, str]:
        return {"p256dh": b64(public(self.key)), "auth": b64(self.secret)}

    def decrypt(self, body: bytes) -> bytes:
        """One record, the last."""
        salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        info = b"WebPush: info\0" + public(self.key) + sender
        keying = HKDF(hashes.SHA256(), 32, self.secret, info).derive(shared)
        key = HKDF(hashes.SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(keying)
        nonce = HKDF(hashes.SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(keying)
        padded = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert padded[-1:] == b"\2"
        return padded[:-1]


class WebPush(Emulator):
    adapter = "web_push"
    wait = 11.0

    def __init__(self) -> None:
        super().__init__()
        self.browser = Browser()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.signatures: set[str] = set()

    @property
    def device(self) -> Device:  # type: ignore[override]
        return Device("web", f"{self.url}/push/one", keys=self.browser.keys)

    @property
    def credentials(self) -> dict[str, Any]:
        return self._credentials(self.key)

    @property
    def wrong_credentials(self) -> dict[str, Any]:
        return self._credentials(ec.generate_private_key(ec.SECP256R1()))

    def _credentials(self, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
        scalar = key.private_numbers().private_value.to_bytes(32)
        return {"private_key": b64(scalar), "subject": "mailto:push@example.com", "base_url": self.url}

    @property
    def secrets(self) -> list[str]:
        return [self.credentials["private_key"], self.browser.keys["auth"]]

    def limited(self) -> Reply:
        return Reply(429, b"Too many", {"Retry-After": "11"})

    def deliver(self, request: Request) -> Reply:
        headers = request.headers
        self._check_vapid(headers.get("authorization", ""))
        need(headers.get("ttl", "").isdigit(), Reply(400, b"Missing TTL"))
        need(headers.get("content-encoding") == "aes128gcm", Reply(400, b"Unknown encoding"))
        need(headers.get("urgency") in ("very-low", "low", "normal", "high"), Reply(400, b"Bad urgency"))
        topic = headers.get("topic", "")
        need(len(topic) <= 32 and all(each.isalnum() or each in "-_" for each in topic), Reply(400, b"Bad topic"))
        need(len(request.body) <= 4_096, Reply(413, b"Too large"))
        need(request.path == "/push/one", Reply(410, b"Gone"))
        told = json.loads(self.browser.decrypt(request.body))
        self.shown.append((told.get("title", ""), told.get("body", "")))
        self.delivered.append({**told, "topic": topic})
        return Reply(201, headers={"Location": f"{self.url}/message/1"})

    def _check_vapid(self, given: str) -> None:
        scheme, _, rest = given.partition(" ")
        need(scheme.lower() == "vapid", Reply(401, b"Missing VAPID"))
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        point = unb64(parts["k"])
        need(point == public(self.key), Reply(403, b"Key does not match the subscription"))
        jwk = {"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
        try:
            claims = jwt.decode(parts["t"], ECKey.import_key(jwk), ["ES256"]).claims
        except JoseError:
            need(False, Reply(403, b"Bad signature"))
        need(claims["aud"] == self.url, Reply(403, b"Wrong audience"))
        need(0 < claims["exp"] - time.time() <= 86_400, Reply(403, b"Bad expiry"))
        need(claims["sub"].startswith(("mailto:", "https:")), Reply(403, b"Bad subject"))
        self.signatures.add(parts["t"])
