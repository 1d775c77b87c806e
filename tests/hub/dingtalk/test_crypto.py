"""Signatures against fixed values (connectors reference 10)."""

from urllib.parse import urlencode

from hongyan.hub.connectors.dingtalk.crypto import card_sign, robot_sign


def test_the_signature_of_a_robot() -> None:
    sign = robot_sign("SECtest0123456789", "1700000000000")
    assert sign == "yBKp5IlG6qCzcQWmgyRK/ziJBdVNJmHfFE2ST/CzT/g="
    assert urlencode({"sign": sign}) == "sign=yBKp5IlG6qCzcQWmgyRK%2FziJBdVNJmHfFE2ST%2FCzT%2Fg%3D"


def test_the_signature_of_a_card() -> None:
    """HMAC-SHA256 of the time alone; computed with OpenSSL."""
    assert card_sign("secret", "1700000000000") == "T+LOEv1r7F4GSLI7+/8Vi6X8GLOiFLTCBzFGcUSKleE="
