"""Calls to addresses that somebody has given: they reach only what they may, and take only what they are given."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trustme

from hongyan.outbound import Answer, Forbidden, Outbound, TooSlow, Unreachable, Unreadable
from tests.support.app_engine import AppEngine, Raw, app_engine

LOOPBACK = ("127.0.0.0/8",)


class Names:
    """What names mean: one answer after another, the last for good."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
async def peer() -> AsyncIterator[AppEngine]:
    async with app_engine(hook=lambda params: "here") as made:
        yield made


async def post(outbound: Outbound, url: str, timeout: float = 30.0, **options: int) -> Answer:
    return await outbound.request("POST", url, headers={"X-Test": "1"}, body=b"{}", timeout=timeout, **options)


def url_of(peer: AppEngine, host: str = "127.0.0.1", scheme: str = "http") -> str:
    return f"{scheme}://{host}:{peer.port}/1.1/functions/_hook"


async def test_an_answer(peer: AppEngine) -> None:
    outbound = Outbound(LOOPBACK)
    answer = await post(outbound, url_of(peer))
    assert (answer.status, answer.body) == (200, b'{"result": "here"}')
    assert peer.calls[0].headers["host"] == f"127.0.0.1:{peer.port}"
    assert peer.calls[0].headers["accept-encoding"] == "identity"
    assert peer.calls[0].headers["x-test"] == "1"
    await outbound.close()


async def test_the_name_stays_that_of_the_url(peer: AppEngine) -> None:
    names = Names(["127.0.0.1"])
    outbound = Outbound(LOOPBACK, names)
    for _ in range(2):
        await post(outbound, url_of(peer, "engine.example"))
    assert [call.headers["host"] for call in peer.calls] == [f"engine.example:{peer.port}"] * 2
    assert names.asked == 1
    await outbound.close()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.0.0.1",
    ],
)
async def test_what_is_not_of_the_internet_is_refused(peer: AppEngine, host: str) -> None:
    outbound = Outbound()
    with pytest.raises(Forbidden):
        await post(outbound, url_of(peer, host))
    assert peer.calls == []
    await outbound.close()


@pytest.mark.parametrize("found", [["10.0.0.1"], ["127.0.0.1", "::1"], ["::ffff:127.0.0.1"], ["fe80::1%eth0"]])
async def test_a_name_of_such_an_address_is_refused(peer: AppEngine, found: list[str]) -> None:
    outbound = Outbound((), Names(found))
    with pytest.raises(Forbidden, match=r"engine\.example is"):
        await post(outbound, url_of(peer, "engine.example"))
    await outbound.close()


async def test_what_is_allowed_is_allowed_alone(peer: AppEngine) -> None:
    outbound = Outbound(("10.0.0.0/8",))
    with pytest.raises(Forbidden):
        await post(outbound, url_of(peer))
    await outbound.close()


async def test_a_name_that_changes_its_mind(peer: AppEngine) -> None:
    """The address that is called is the one that was looked at; the next one is looked at again."""
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    outbound = Outbound(("127.0.0.2",), names)
    with pytest.raises(Unreachable):  # nobody listens there; so the name is asked for again
        await post(outbound, url_of(peer, "engine.example"))
    with pytest.raises(Forbidden):
        await post(outbound, url_of(peer, "engine.example"))
    assert peer.calls == []
    await outbound.close()


async def test_only_allowed_ones_of_several_addresses_are_called(peer: AppEngine) -> None:
    outbound = Outbound(LOOPBACK, Names(["10.0.0.1", "127.0.0.3", "127.0.0.1"]))
    assert (await post(outbound, url_of(peer, "engine.example"))).status == 200
    await outbound.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(peer: AppEngine, status: int) -> None:
    async with app_engine() as inner:
        peer.hooks["_hook"] = lambda params: Raw(status, b"", f"Location: http://127.0.0.1:{inner.port}/x\r\n")
        outbound = Outbound(("127.0.0.1/32",))
        assert (await post(outbound, url_of(peer))).status == status
        assert inner.calls == []
        await outbound.close()


async def test_no_cookie_is_kept(peer: AppEngine) -> None:
    peer.hooks["_hook"] = lambda params: Raw(200, b"{}", "Set-Cookie: a=b\r\n")
    outbound = Outbound(LOOPBACK)
    for _ in range(2):
        await post(outbound, url_of(peer))
    assert all("cookie" not in call.headers for call in peer.calls)
    await outbound.close()


@pytest.mark.parametrize(
    "url",
    ["", "nothing", "ftp://example.com/", "file:///etc/passwd", "http://", "http:///x", "http://a:b@127.0.0.1/"],
)
async def test_what_is_no_address(url: str) -> None:
    outbound = Outbound(LOOPBACK)
    with pytest.raises(Forbidden):
        await post(outbound, url)
    await outbound.close()


@pytest.mark.parametrize(
    "answer",
    [
        Raw(200, b"x" * 1_001),
        Raw(200, b"\x1f\x8b", "Content-Encoding: gzip\r\n"),
        Raw(everything=b"SSH-2.0-OpenSSH\r\n\r\n"),
    ],
)
async def test_what_can_not_be_read(peer: AppEngine, answer: Raw) -> None:
    peer.hooks["_hook"] = lambda params: answer
    outbound = Outbound(LOOPBACK)
    with pytest.raises(Unreadable):
        await post(outbound, url_of(peer), answer_max=1_000)
    await outbound.close()


async def test_an_answer_without_end(peer: AppEngine) -> None:
    """It is not read further than it may be."""
    peer.hooks["_hook"] = lambda params: Raw(
        everything=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * 4_096 + b"\r\n"
    )
    outbound = Outbound(LOOPBACK)
    with pytest.raises(Unreadable):
        await post(outbound, url_of(peer), answer_max=1_000)
    await outbound.close()


async def test_who_says_nothing_is_given_up(peer: AppEngine) -> None:
    never = asyncio.Event()
    peer.hooks["_hook"] = lambda params: never.wait()
    outbound = Outbound(LOOPBACK)
    with pytest.raises(TooSlow, match="did not answer within"):
        await post(outbound, url_of(peer), timeout=0.05)
    await outbound.close()


async def test_who_hangs_up(peer: AppEngine) -> None:
    peer.hooks["_hook"] = lambda params: Raw(everything=b"")
    await peer.stop()
    outbound = Outbound(LOOPBACK)
    with pytest.raises(Unreachable, match="can't be reached"):
        await post(outbound, url_of(peer))
    await outbound.close()


async def test_a_name_that_nobody_knows(peer: AppEngine) -> None:
    async def resolve(name: str) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    outbound = Outbound(LOOPBACK, resolve)
    with pytest.raises(Unreachable, match=r"the name engine\.example can't be resolved: Name or service not known"):
        await post(outbound, url_of(peer, "engine.example"))
    await outbound.close()


async def test_the_certificate_is_that_of_the_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    server, client = (
        ssl.create_default_context(purpose) for purpose in (ssl.Purpose.CLIENT_AUTH, ssl.Purpose.SERVER_AUTH)
    )
    authority.issue_cert("engine.example").configure_cert(server)
    authority.configure_trust(client)
    asked: list[str | None] = []
    server.sni_callback = lambda _, name, __: asked.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    port = listening.sockets[0].getsockname()[1]
    outbound = Outbound(LOOPBACK, Names(["127.0.0.1"]), client)
    assert (await post(outbound, f"https://engine.example:{port}/")).status == 200
    assert asked == ["engine.example"]
    with pytest.raises(Unreachable, match="certificate"):
        await post(outbound, f"https://other.example:{port}/")
    await outbound.close()
    listening.close()


async def test_origins_are_forgotten(peer: AppEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hongyan.outbound.ORIGINS", 2)
    outbound = Outbound(LOOPBACK, Names(["127.0.0.1"]))
    for name in ("a", "b", "c", "d"):
        await post(outbound, url_of(peer, f"{name}.example"))
    assert [host for _, host, _ in outbound._origins] == ["c.example", "d.example"]
    await outbound.close()
