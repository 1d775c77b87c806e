"""Web Push: browsers, each by the push service of its maker.

From RFC 8030 (the request and its answers), RFC 8188 and 8291 (encryption), RFC 8292 (VAPID), and W3C's Push API. The
URL of a browser's push service comes from the browser, so that only those of known makers are called.
"""

import base64
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, Refused, Sent
from hongyan.push import content
from hongyan.push.credentials import Credentials
from hongyan.push.http import Answer
from hongyan.push.service import Service, said, unreadable, unsuccessful

#: The push services of Chrome, Edge (both of its own), Firefox and Safari: hosts, and ends of hosts.
SERVICES = (
    "fcm.googleapis.com",
    "android.googleapis.com",
    ".push.services.mozilla.com",
    ".notify.windows.com",
    ".push.apple.com",
)
#: Bytes of a record that all services take, of its header, and of the mark and the tag at its end.
RECORD, HEADER, OVERHEAD = 4_096, 86, 17
PAYLOAD_MAX = RECORD - HEADER - OVERHEAD
TTL_MAX = 2_419_200
#: Seconds for which a signature is valid; 24 hours at most.
VAPID_LIFETIME, VAPID_AGE = 43_200, 36_000.0
TOPIC_MAX = 32
URL_MAX = 4_096
#: Signatures that are kept, one for each push service.
SIGNED_MAX = 64


class WebPushCredentials(Credentials, frozen=True, kw_only=True):
    """`private_key`: 32 bytes in base64url, as all Web Push tools write it; `subject`: how to reach the app's owner.

    With `base_url` the push services of makers are not called, but what lies there.
    """

    private_key: str
    subject: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.subject.startswith(("mailto:", "https://")) or not self.subject.isascii():
            raise ValueError("`subject` must begin with mailto: or https://")
        try:
            private_key(self.private_key)
        except ValueError:
            raise ValueError("`private_key` must be a VAPID key: 32 bytes in base64url") from None

    @property
    def public_key(self) -> str:
        """What browsers need to subscribe."""
        return encoded(point(private_key(self.private_key)))


def private_key(text: str) -> ec.EllipticCurvePrivateKey:
    """Raises ValueError."""
    scalar = decoded(text)
    if len(scalar) != 32:
        raise ValueError("not 32 bytes")
    return ec.derive_private_key(int.from_bytes(scalar), ec.SECP256R1())


class WebPush(Service):
    def __init__(self, credentials: WebPushCredentials, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self._credentials = credentials
        key = private_key(credentials.private_key)
        self._public = encoded(point(key))
        self._key = ECKey.import_key(
            {"kty": "EC", "crv": "P-256", "d": credentials.private_key.rstrip("="), **_coordinates(key)}
        )
        self._signed: dict[str, tuple[str, float]] = {}

    async def _send(self, push: Push, device: Device) -> Outcome:
        origin = self._origin(device.token)
        if origin is None:
            return InvalidToken("not the URL of a known push service")
        try:
            receiver, secret = decoded(device.keys.get("p256dh", "")), decoded(device.keys.get("auth", ""))
            body = encrypt(payload(push, device), receiver, secret)
        except ValueError:
            return InvalidToken("the keys of the browser are none")
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(self._ttl(push, 0, TTL_MAX)),
            "Urgency": "high",
            "Authorization": f"vapid t={self._vapid(origin)}, k={self._public}",
        }
        collapse = content.collapse(push)
        if collapse is not None:
            headers["Topic"] = topic(collapse)
        return self._outcome(await self._http.post(device.token, body, headers))

    def _outcome(self, answer: Answer) -> Outcome:
        if answer.status in (404, 410):
            return InvalidToken(f"HTTP {answer.status}")
        if answer.status in (201, 202):
            return Sent()
        if 200 <= answer.status < 300:
            return unreadable(answer)
        failed = unsuccessful(answer)
        assert failed is not None, "no success"
        if isinstance(failed, Refused) and answer.body:
            return Refused(failed.code, said(answer.body.decode(errors="replace").strip()))
        return failed

    def _origin(self, url: str) -> str | None:
        """Of a push service; None for anything else, as a browser may name any address."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return None
        if len(url) > URL_MAX or not url.isascii() or not url.isprintable() or parts.username is not None:
            return None
        base = self._credentials.base_url
        if base is not None:
            own = urlsplit(base)
            if (parts.scheme, host, port) != (own.scheme, own.hostname, own.port):
                return None
        elif parts.scheme != "https" or port not in (None, 443) or not _known(host):
            return None
        return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")

    def _vapid(self, origin: str) -> str:
        """One signature for all pushes to a service for a while."""
        token, until = self._signed.pop(origin, ("", 0.0))
        if not self._now() < until:
            claims = {"aud": origin, "exp": int(self._now()) + VAPID_LIFETIME, "sub": self._credentials.subject}
            token, until = jwt.encode({"alg": "ES256"}, claims, self._key, ["ES256"]), self._now() + VAPID_AGE
        self._signed[origin] = (token, until)
        if len(self._signed) > SIGNED_MAX:
            del self._signed[next(iter(self._signed))]
        return token


def payload(push: Push, device: Device) -> bytes:
    """JSON for the page's service worker, which shows it: `title`, `body`, `badge`, `tag`, `silent`, `data`."""
    notice = content.notice(push.content)
    rest: dict[str, Any] = {"badge": content.badge(push.content, device), "tag": content.collapse(push)}
    rest = {key: value for key, value in rest.items() if value is not None}
    if notice.silent:
        rest["silent"] = True
    if notice.data:
        rest["data"] = notice.data

    def build(title: str, body: str) -> bytes:
        texts = {key: text for key, text in (("title", title), ("body", body)) if text}
        return content.packed({**texts, **rest})

    return build(*content.fit(build, notice.title, notice.body, PAYLOAD_MAX))


def encrypt(
    plain: bytes,
    receiver: bytes,
    secret: bytes,
    salt: bytes | None = None,
    sender: ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """One record for a browser (RFC 8291, 3.4). `salt` and `sender` are new each time.

    Raises ValueError.
    """
    salt = os.urandom(16) if salt is None else salt
    sender = ec.generate_private_key(ec.SECP256R1()) if sender is None else sender
    if len(secret) != 16:
        raise ValueError("the secret has 16 bytes")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), receiver)
    own = point(sender)
    shared = sender.exchange(ec.ECDH(), public)
    keying = _derive(shared, secret, b"WebPush: info\0" + receiver + own, 32)
    key = _derive(keying, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(keying, salt, b"Content-Encoding: nonce\0", 12)
    # the byte 2 marks the last record
    sealed = AESGCM(key).encrypt(nonce, plain + b"\2", None)
    return salt + RECORD.to_bytes(4) + bytes([len(own)]) + own + sealed


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key, uncompressed: 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def topic(text: str) -> str:
    """What takes the place of an older one that was not fetched: at most 32 characters of base64url."""
    return encoded(content.number(text).to_bytes(4)) if not _plain_topic(text) else text


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Raises ValueError for what is not base64url, with or without padding."""
    bare = text.rstrip("=")
    if not bare.isascii():
        raise ValueError("not base64url")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def _coordinates(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    whole = point(key)
    return {"x": encoded(whole[1:33]), "y": encoded(whole[33:])}


def _plain_topic(text: str) -> bool:
    return 0 < len(text) <= TOPIC_MAX and text.isascii() and all(each.isalnum() or each in "-_" for each in text)


def _known(host: str) -> bool:
    return any(host == each or (each.startswith(".") and host.endswith(each)) for each in SERVICES)
