"""Signatures and encryption against fixed values (connectors reference 10)."""

from urllib.parse import urlencode

import pytest

from hongyan.hub.connector import Forged
from hongyan.hub.connectors.dingtalk.crypto import EventCrypto, card_sign, robot_sign

AES = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
SEALED = "Q3stYC6hdFzMh9T8HCvyDHPgJBp1hNiGJRGfxoOyXGI="


def crypto(*owners: str) -> EventCrypto:
    return EventCrypto("tok", AES, owners or ("wwcorp",))


def test_the_signature_of_a_robot() -> None:
    sign = robot_sign("SECtest0123456789", "1700000000000")
    assert sign == "yBKp5IlG6qCzcQWmgyRK/ziJBdVNJmHfFE2ST/CzT/g="
    assert urlencode({"sign": sign}) == "sign=yBKp5IlG6qCzcQWmgyRK%2FziJBdVNJmHfFE2ST%2FCzT%2Fg%3D"


def test_the_signature_of_a_card() -> None:
    """HMAC-SHA256 of the time alone; computed with OpenSSL."""
    assert card_sign("secret", "1700000000000") == "T+LOEv1r7F4GSLI7+/8Vi6X8GLOiFLTCBzFGcUSKleE="


def test_encryption() -> None:
    assert crypto().encrypt(b"hello", "wwcorp", b"0123456789abcdef") == SEALED
    assert crypto().decrypt(SEALED) == (b"hello", "wwcorp")
    assert crypto().sign("1700000000", "nonce1", SEALED) == "1e34d79e378e2866c724eaa7610dd9f19f674209"


@pytest.mark.parametrize("length", [0, 1, 5, 6, 7, 31, 32, 33, 1000])
def test_every_padding(length: int) -> None:
    message = b"x" * length
    assert crypto().decrypt(crypto().encrypt(message, "wwcorp", bytes(16))) == (message, "wwcorp")


@pytest.mark.parametrize(
    "encrypted", ["", "AAAA", "no base64!", SEALED[:-4] + "AAA=", "A" * 43 + "=", SEALED[4:]], ids=str
)
def test_what_was_not_encrypted_with_the_key(encrypted: str) -> None:
    with pytest.raises(Forged):
        crypto().decrypt(encrypted)


def test_what_is_for_somebody_else() -> None:
    with pytest.raises(Forged, match="another app"):
        crypto("dingother").decrypt(SEALED)
