"""Which addresses are of the internet, and who is behind proxies."""

import pytest

from hongyan import addresses

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",  # shared
    "100.100.100.200",  # where machines of a cloud ask about themselves
    "168.63.129.16",
    "169.254.169.254",
    "192.0.2.1",  # for documentation
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",  # 6to4
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", PRIVATE)
def test_what_is_not_of_the_internet(text: str) -> None:
    address = addresses.parse(text)
    assert address is not None
    assert not addresses.is_public(address)


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_of_the_internet(text: str) -> None:
    address = addresses.parse(text)
    assert address is not None
    assert addresses.is_public(address)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "forwarded", "expected"),
    [
        ("8.8.8.8", [], False, "8.8.8.8"),
        ("8.8.8.8", ["1.2.3.4"], True, "8.8.8.8"),  # anybody can write that
        ("10.0.0.1", ["1.2.3.4"], True, "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4, 10.0.0.7"], True, "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4"], True, "1.2.3.4"),
        ("10.0.0.1", ["unknown"], True, None),
        ("10.0.0.1", [], False, "10.0.0.1"),
        ("127.0.0.1", [], False, "127.0.0.1"),
        ("127.0.0.1", ["1.2.3.4"], True, None),  # a proxy here that nobody has declared
    ],
)
def test_who_is_behind_proxies(peer: str, forwarded_for: list[str], forwarded: bool, expected: str | None) -> None:
    found = addresses.source(addresses.parse(peer), forwarded_for, forwarded, ["10.0.0.0/8"])
    assert found == (None if expected is None else addresses.parse(expected))
