"""Calls to addresses that somebody has given: they reach only what they may, and take only what they are given."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest
import trustme

from hongyan.outbound import Answer, Forbidden, Outbound, OutboundError, TooSlow, Unreachable, Unreadable
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


@contextlib.asynccontextmanager
async def echo(**options: object) -> AsyncIterator[int]:
    """Answers each call with all its bytes; the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if b"content-length" in line]
                said = head + await reader.readexactly(int(lengths[0]) if lengths else 0)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **options)  # type: ignore[arg-type]
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Blocking:
    """A peer in a thread: what it does has happened before the event loop of the test goes on.

    It answers each call, counted over all connections, and then does with the connection what the test says.
    """

    def __init__(self, *then: Callable[[socket.socket], None]) -> None:
        self._then = list(then)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._done = threading.Semaphore(0)
        self.port = self._listening.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def wait(self) -> None:
        """Until one more call is done with. The event loop stands still meanwhile."""
        assert self._done.acquire(timeout=30)

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.thread.join(30)

    def _serve(self) -> None:
        calls = 0
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, contextlib.suppress(ConnectionError):
                while connection.fileno() >= 0 and connection.recv(65_536):
                    calls += 1
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % calls)
                    if self._then:
                        self._then.pop(0)(connection)
                    self._done.release()


@contextlib.contextmanager
def blocking(*then: Callable[[socket.socket], None]) -> Iterator[Blocking]:
    peer = Blocking(*then)
    peer.thread.start()
    try:
        yield peer
    finally:
        peer.stop()


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


async def test_what_is_allowed_is_not_for_everybody(peer: AppEngine) -> None:
    outbound = Outbound(LOOPBACK, Names(["127.0.0.1"]))
    assert (await post(outbound, url_of(peer, "engine.example"))).status == 200
    with pytest.raises(Forbidden, match=r"engine\.example is no address"):
        await outbound.request("GET", url_of(peer, "engine.example"), headers={}, timeout=5, public_only=True)
    assert len(peer.calls) == 1
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


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\0b"])
async def test_what_is_no_header(peer: AppEngine, value: str) -> None:
    outbound = Outbound(LOOPBACK)
    with pytest.raises(Forbidden, match="a header for"):
        await outbound.request("POST", url_of(peer), headers={"Authorization": value}, timeout=30.0)
    await outbound.close()


@pytest.mark.parametrize(
    "answer",
    [
        Raw(200, b"", f"X-Long: {'x' * 20_000}\r\n"),
        Raw(200, b"", "".join(f"X-{n}: x\r\n" for n in range(1_000))),
        Raw(200, b"x" * 1_001),
        Raw(200, b"\x1f\x8b", "Content-Encoding: gzip\r\n"),
        Raw(everything=b"SSH-2.0-OpenSSH\r\n\r\n"),
        Raw(everything=b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1_000 + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_what_can_not_be_read(peer: AppEngine, answer: Raw) -> None:
    peer.hooks["_hook"] = lambda params: answer
    outbound = Outbound(LOOPBACK)
    with pytest.raises(Unreadable):
        await post(outbound, url_of(peer), answer_max=1_000)
    await outbound.close()


@pytest.mark.parametrize(("chunks", "is_read"), [(20_000, True), (200_000, False)])
async def test_chunks_with_hardly_anything_in_them(peer: AppEngine, chunks: int, is_read: bool) -> None:
    """Each costs as much as a large one."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.hooks["_hook"] = lambda params: Raw(everything=head + b"1\r\na\r\n" * chunks + b"0\r\n\r\n")
    outbound = Outbound(LOOPBACK)
    if is_read:
        assert len((await post(outbound, url_of(peer))).body) == chunks
    else:
        with pytest.raises(Unreadable, match="end of its answer"):
            await post(outbound, url_of(peer))
    await outbound.close()


async def test_an_answer_that_is_announced(peer: AppEngine) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3
    peer.hooks["_hook"] = lambda params: Raw(everything=early + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    outbound = Outbound(LOOPBACK)
    assert (await post(outbound, url_of(peer))).body == b"ok"
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


@pytest.mark.parametrize("sent", ["HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
async def test_an_answer_that_is_cut_off(sent: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent.encode())
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    outbound = Outbound(LOOPBACK)
    with pytest.raises(Unreadable, match="before the end of its answer"):
        await post(outbound, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
    await outbound.close()
    listening.close()


def close(connection: socket.socket) -> None:
    connection.close()


def say_more(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 500 Not asked for\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("then", [close, say_more])
async def test_a_kept_connection_that_is_no_good_is_not_used(then: Callable[[socket.socket], None]) -> None:
    """It is closed, or more has come than was asked for, and the event loop does not know yet."""
    with blocking(then) as peer:
        outbound = Outbound(LOOPBACK)
        assert (await post(outbound, f"http://127.0.0.1:{peer.port}/")).body == b"1"
        peer.wait()
        answer = await post(outbound, f"http://127.0.0.1:{peer.port}/")
        assert (answer.status, answer.body) == (200, b"2")
        await outbound.close()


async def test_a_kept_connection_is_used_again() -> None:
    connections = set()
    with blocking(*[lambda connection: connections.add(connection.getpeername())] * 3) as peer:
        outbound = Outbound(LOOPBACK)
        for _ in range(3):
            await post(outbound, f"http://127.0.0.1:{peer.port}/")
            peer.wait()
        await outbound.close()
    assert len(connections) == 1


async def test_a_request_goes_as_it_is() -> None:
    """With no header that nobody gave, its path not spelled otherwise, and any bytes as its body."""
    form = b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n\x00\xff\r\n--x--\r\n'
    async with echo() as port:
        outbound = Outbound(LOOPBACK)
        answer = await outbound.request(
            "POST",
            f"http://127.0.0.1:{port}/a%2Fb?c=d%2fe+%20&f==",
            headers={"Content-Type": "multipart/form-data; boundary=x"},
            body=form,
            timeout=30.0,
        )
        head, _, body = answer.body.partition(b"\r\n\r\n")
        first, *headers = head.decode().split("\r\n")
        assert first == "POST /a%2Fb?c=d%2fe+%20&f== HTTP/1.1"
        assert sorted(line.lower() for line in headers) == [
            "accept-encoding: identity",
            f"content-length: {len(form)}",
            "content-type: multipart/form-data; boundary=x",
            f"host: 127.0.0.1:{port}",
        ]
        assert body == form
        await outbound.close()


async def test_no_proxy_of_the_environment_is_used(peer: AppEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    outbound = Outbound(LOOPBACK)
    assert (await post(outbound, url_of(peer))).status == 200
    await outbound.close()


async def test_so_many_connections_to_one_origin(peer: AppEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hongyan.outbound.CONNECTIONS", 2)
    go_on, waiting = asyncio.Event(), 0

    async def hook(_: object) -> str:
        nonlocal waiting
        waiting += 1
        if waiting == 2:
            go_on.set()
        await go_on.wait()
        waiting -= 1
        return str(waiting)

    peer.hooks["_hook"] = hook
    outbound = Outbound(LOOPBACK, Names(["127.0.0.1"]))
    await asyncio.gather(*(post(outbound, url_of(peer, "a.example")) for _ in range(6)))
    assert len(peer._writers) == 2
    await post(outbound, url_of(peer, "b.example"))
    assert len(peer._writers) == 3  # another name has its own
    await outbound.close()


@pytest.mark.parametrize(
    "answer",
    [
        Raw(200, b"x" * 1_001),
        Raw(200, b"", "Content-Encoding: gzip\r\n"),
        Raw(everything=b"no HTTP\r\n\r\n"),
        Raw(everything=b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
        None,
    ],
)
async def test_a_reason_does_not_tell_the_path(peer: AppEngine, answer: Raw | None) -> None:
    """It may hold a secret."""
    peer.hooks["_hook"] = peer.others = lambda params: answer
    if answer is None:
        await peer.stop()
    outbound = Outbound(LOOPBACK)
    with pytest.raises(OutboundError) as raised:
        await post(outbound, url_of(peer) + "?token=secret", answer_max=1_000)
    assert f"127.0.0.1:{peer.port}" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "functions" not in str(raised.value)
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
    with pytest.raises(Unreachable, match="can't be reached: Connection refused"):
        await post(outbound, url_of(peer))
    await outbound.close()


async def test_a_name_that_nobody_knows(peer: AppEngine) -> None:
    async def resolve(name: str) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    outbound = Outbound(LOOPBACK, resolve)
    with pytest.raises(Unreachable, match=r"the name engine\.example can't be resolved: Name or service not known"):
        await post(outbound, url_of(peer, "engine.example"))
    await outbound.close()


async def test_a_name_is_looked_up_once_for_all_who_ask(peer: AppEngine) -> None:
    go_on, asked = asyncio.Event(), 0

    async def resolve(name: str) -> Sequence[str]:
        nonlocal asked
        asked += 1
        await go_on.wait()
        return ["127.0.0.1"]

    outbound = Outbound(LOOPBACK, resolve)
    with pytest.raises(TooSlow):  # who gives up takes nothing from the others
        await post(outbound, url_of(peer, "engine.example"), timeout=0.01)
    calls = [asyncio.create_task(post(outbound, url_of(peer, "engine.example"))) for _ in range(5)]
    await asyncio.sleep(0)
    go_on.set()
    assert [answer.status for answer in await asyncio.gather(*calls)] == [200] * 5
    assert asked == 1
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

    async with echo(ssl=server) as port:
        outbound = Outbound(LOOPBACK, Names(["127.0.0.1"]), client)
        assert (await post(outbound, f"https://engine.example:{port}/")).status == 200
        assert asked == ["engine.example"]
        with pytest.raises(Unreachable, match="certificate"):  # the connection that is kept is not for other names
            await post(outbound, f"https://other.example:{port}/")
        await outbound.close()


async def test_names_are_forgotten(peer: AppEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hongyan.outbound.NAMES", 2)
    outbound = Outbound(LOOPBACK, Names(["127.0.0.1"]))
    for name in ("a", "b", "c", "d"):
        await post(outbound, url_of(peer, f"{name}.example"))
    assert list(outbound._names) == ["c.example", "d.example"]
    await outbound.close()
