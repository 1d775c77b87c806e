"""What DingTalk and WeCom seal, against fixed values (connectors reference 10)."""

import base64

import pytest

from hongyan.hub.connector import Forged
from hongyan.hub.connectors.sealed_callback import SealedCallback, is_key

AES = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
SEALED = "Q3stYC6hdFzMh9T8HCvyDHPgJBp1hNiGJRGfxoOyXGI="
SIGNED = "1e34d79e378e2866c724eaa7610dd9f19f674209"


def crypto(*owners: str) -> SealedCallback:
    return SealedCallback("tok", AES, owners or ("wwcorp",))


def test_encryption() -> None:
    assert crypto().seal(b"hello", "wwcorp", b"0123456789abcdef") == SEALED
    assert crypto().unseal(SEALED) == (b"hello", "wwcorp")
    assert crypto().sign("1700000000", "nonce1", SEALED) == SIGNED
    crypto().check(SIGNED, "1700000000", "nonce1", SEALED)


@pytest.mark.parametrize(
    ("given", "timestamp", "nonce", "sealed"),
    [
        ("0" * 40, "1700000000", "nonce1", SEALED),
        ("ü", "1700000000", "nonce1", SEALED),
        ("", "1700000000", "nonce1", SEALED),
        (SIGNED, "1700000001", "nonce1", SEALED),
        (SIGNED, "1700000000", "\ud800", SEALED),
        (SIGNED, "1700000000", "nonce1", "AAAA"),
    ],
)
def test_signatures_that_are_wrong(given: str, timestamp: str, nonce: str, sealed: str) -> None:
    with pytest.raises(Forged, match="signature"):
        crypto().check(given, timestamp, nonce, sealed)


@pytest.mark.parametrize(("key", "good"), [(AES, True), (AES[:-1], False), (AES + "H", False), ("!" * 43, False)])
def test_keys(key: str, good: bool) -> None:
    assert is_key(key) is good


@pytest.mark.parametrize("length", [0, 1, 5, 6, 7, 31, 32, 33, 1000])
def test_every_padding(length: int) -> None:
    message = b"x" * length
    assert crypto().unseal(crypto().seal(message, "wwcorp", bytes(16))) == (message, "wwcorp")


@pytest.mark.parametrize(
    "encrypted",
    [
        "",
        "AAAA",
        "!!",
        "no base64!",
        base64.b64encode(bytes(32)).decode(),
        SEALED[:-4] + "AAA=",
        "A" * 43 + "=",
        SEALED[4:],
    ],
    ids=str,
)
def test_what_was_not_encrypted_with_the_key(encrypted: str) -> None:
    with pytest.raises(Forged):
        crypto().unseal(encrypted)


def test_what_is_for_somebody_else() -> None:
    with pytest.raises(Forged, match="another app"):
        crypto("dingother").unseal(SEALED)
