"""Calls to platforms: what is sent, and what a missing or strange answer means."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from email import message_from_bytes
from email.message import Message

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.http import AGENT, Http, lifetime, multipart
from hongyan.outbound import Outbound
from tests.support.hub import LOOPBACK

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Platform:
    """A server whose answer the test sets; it keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[web.Request, bytes]] = []
        self.answer: Handler = self.fine
        self.origin = ""

    async def fine(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"errcode": 0})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request, await request.read()))
        return await self.answer(request)


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    made = Platform()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.origin = "http://127.0.0.1:{1}".format(*runner.addresses[0])
    yield made
    await runner.cleanup()


@pytest.fixture
async def http(platform: Platform) -> AsyncIterator[Http]:
    outbound = Outbound(LOOPBACK)
    yield Http(outbound, platform.origin + "/")
    await outbound.close()


async def test_json_is_sent(platform: Platform, http: Http) -> None:
    answer = await http.post("/robot/send", {"text": "你"}, {"sign": "a+/=b"}, headers={"X-Token": "t"})
    ((request, body),) = platform.asked
    assert (request.method, request.path, body) == ("POST", "/robot/send", '{"text":"你"}'.encode())
    assert request.raw_path == "/robot/send?sign=a%2B%2F%3Db"  # encoded once
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert (request.headers["User-Agent"], request.headers["X-Token"]) == (AGENT, "t")
    assert (answer.status, answer.json) == (200, {"errcode": 0})


async def test_a_get_has_no_content_type(platform: Platform, http: Http) -> None:
    await http.get("/gettoken")
    assert "Content-Type" not in platform.asked[0][0].headers


async def test_a_whole_address_is_called_as_it_is(platform: Platform, http: Http) -> None:
    await http.get(f"{platform.origin}/elsewhere")
    assert platform.asked[0][0].path == "/elsewhere"


async def test_a_file_is_sent_as_a_form(platform: Platform, http: Http) -> None:
    await http.upload("/media", ("media", '年"报.pdf', "application/pdf", b"\r\n--x\0"), {"type": "file"}, {"key": "k"})
    ((request, body),) = platform.asked
    form = parsed(request.headers["Content-Type"], body)
    assert form["type"].get_payload(decode=True) == b"file"
    assert form["media"].get_payload(decode=True) == b"\r\n--x\0"
    assert form["media"].get_content_type() == "application/pdf"
    assert 'filename="年%22报.pdf"'.encode() in body


def parsed(type_: str, body: bytes) -> dict[str, Message]:
    """The parts of a form by name, read by the standard library."""
    whole = message_from_bytes(f"Content-Type: {type_}\r\n\r\n".encode() + body)
    parts = whole.get_payload()
    assert isinstance(parts, list)
    return {str(part.get_param("name", header="content-disposition")): part for part in parts}


@given(st.binary(max_size=200), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_nothing_in_a_file_or_its_name_ends_its_part(content: bytes, name: str) -> None:
    type_, body = multipart(("f", name, "text/plain", content), {"a": "b"})
    boundary = type_.partition("boundary=")[2].encode()
    assert body.count(b"--" + boundary) == 3
    head, _, rest = body.split(b"--" + boundary)[2].partition(b"\r\n\r\n")
    assert rest == content + b"\r\n"
    assert head.count(b"\r\n") == 2


def test_nothing_in_the_type_of_a_file_begins_a_header() -> None:
    _, body = multipart(("f", "a", "text/plain\r\nX-Other: 1", b""), {})
    assert b"X-Other" not in body


@pytest.mark.parametrize("text", ["<html>", "", "[1]", '"ok"', "{", '{"a":"\\ud800"}', "[" * 50_000, "null"])
async def test_an_answer_that_is_no_object(platform: Platform, http: Http, text: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text=text)

    platform.answer = answer
    got = await http.get("/")
    assert (got.status, got.json, got.body) == (502, None, text.encode())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("30", 30.0), ("0", 0.0), ("", None), ("-1", None), ("1.5", None), ("soon", None), ("9" * 400, 86_400.0)],
)
async def test_retry_after(platform: Platform, http: Http, header: str, seconds: float | None) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": header})

    platform.answer = answer
    assert (await http.get("/")).retry_after == seconds


async def test_no_redirect_is_followed(platform: Platform, http: Http) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    platform.answer = answer
    assert (await http.get("/")).status == 302
    assert len(platform.asked) == 1


async def test_nobody_there(http: Http, platform: Platform) -> None:
    nobody = Http(http._outbound, "http://127.0.0.1:1")
    assert await problem(nobody.get("/")) == (Outcome.TRANSIENT, True)


async def test_a_private_address(platform: Platform) -> None:
    outbound = Outbound()
    assert await problem(Http(outbound, platform.origin).get("/")) == (Outcome.BAD_CREDENTIAL, True)
    assert platform.asked == []
    await outbound.close()


async def test_what_may_have_been_done_is_unknown(platform: Platform, http: Http) -> None:
    """Closed without an answer, in the middle of one, late, or too long."""

    async def closed(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def half(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return answer

    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def long(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"a" * 2_000_000)

    for answer, timeout in ((closed, 30.0), (half, 30.0), (never, 2.0), (long, 30.0)):
        platform.answer = answer
        assert await problem(http.post("/", {}, timeout=timeout)) == (Outcome.UNKNOWN, False), answer
    assert len(platform.asked) == 4


async def problem(call: Awaitable[object]) -> tuple[Outcome, bool]:
    with pytest.raises(Problem) as raised:
        await call
    return raised.value.outcome, raised.value.everybody


@pytest.mark.parametrize("told", [10**400, -1, 1e300, "7200", None, []])
def test_a_lifetime_that_is_none(told: object) -> None:
    assert lifetime(told, 60.0) == 60.0
    assert lifetime(7200, 60.0) == 7200.0


async def test_what_a_platform_said_is_in_no_repr(platform: Platform, http: Http) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"access_token": "geheim"})

    platform.answer = answer
    assert "geheim" not in repr(await http.get("/"))
