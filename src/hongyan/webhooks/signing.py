"""Signatures of deliveries (Standard Webhooks 1.0.0)."""

import base64
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def headers(secrets: Sequence[str], delivery_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of an attempt at a time (ms), signed with each of the secrets (`whsec_…`)."""
    seconds = at // 1000
    signed = f"{delivery_id}.{seconds}.".encode() + body
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def secret_of(key: str) -> str:
    """A key of an app as a secret that signs."""
    return PREFIX + base64.b64encode(key.encode()).decode()


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    # unlike `hmac.digest` it keeps the interpreter lock, for which the event loop would wait behind the writer
    return "v1," + base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()
