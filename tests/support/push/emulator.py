"""A push service of a test, on loopback. It checks what the real one checks and answers as that does."""

import json
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl

from hongyan.engine.pushing import Device

Mood = Literal["fine", "limited", "down", "garbage", "huge", "silence", "redirect"]
ELSEWHERE = "/elsewhere"
HUGE = 300_000


@dataclass
class Request:
    path: str
    headers: Mapping[str, str]
    """By their names in small letters."""
    body: bytes

    def json(self) -> dict[str, Any]:
        assert self.headers["content-type"].startswith("application/json")
        value: dict[str, Any] = json.loads(self.body)
        return value

    def form(self) -> dict[str, str]:
        assert self.headers["content-type"].startswith("application/x-www-form-urlencoded")
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))


@dataclass
class Reply:
    status: int
    content: Any = None
    """JSON, or bytes as they are."""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        if self.content is None:
            return b""
        return self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()


class Stop(Exception):
    """The answer is known."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(repr(reply))
        self.reply = reply


def need(condition: object, reply: Reply) -> None:
    """What the service asks for; otherwise it answers this."""
    if not condition:
        raise Stop(reply)


class Emulator:
    """`device` is known to it, every other one is not. `shown` are the titles and bodies that it has delivered."""

    adapter: str
    device: Device
    silent = True
    """Whether it brings pushes that show nothing."""
    wait: float | None = None
    """For how long it asks to be left alone when it is `limited` (s)."""

    def __init__(self) -> None:
        self.url = ""
        self.mood: Mood = "fine"
        self.shown: list[tuple[str, str]] = []
        self.delivered: list[dict[str, Any]] = []
        self.auths = 0
        self.valid: set[str] = set()
        self.elsewhere = 0
        self._released = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    @property
    def credentials(self) -> dict[str, Any]:
        """What an app has for this service."""
        raise NotImplementedError

    @property
    def wrong_credentials(self) -> dict[str, Any]:
        """Such as nobody was given, but of the right form."""
        raise NotImplementedError

    @property
    def secrets(self) -> list[str]:
        """What must not be seen anywhere."""
        raise NotImplementedError

    def authenticate(self, request: Request) -> Reply | None:
        """The answer to a request for a token; None if it is none."""
        return None

    def deliver(self, request: Request) -> Reply:
        raise NotImplementedError

    def limited(self) -> Reply:
        """The service is asked too often."""
        raise NotImplementedError

    def new_token(self) -> str:
        self.auths += 1
        self.valid.add(f"token-{self.auths}")
        return f"token-{self.auths}"

    def expire_tokens(self) -> None:
        """The tokens that it has given are valid no more, before their time."""
        self.valid.clear()

    def answer(self, request: Request) -> Reply:
        try:
            if request.path == ELSEWHERE:
                self.elsewhere += 1
                return Reply(200, {})
            reply = self.authenticate(request) or self._moody() or self.deliver(request)
            return reply if self.mood != "huge" else Reply(reply.status, b" " * HUGE + reply.body, reply.headers)
        except Stop as stop:
            return stop.reply

    def _moody(self) -> Reply | None:
        match self.mood:
            case "limited":
                return self.limited()
            case "down":
                return Reply(503)
            case "garbage":
                return Reply(200, b"<html>Welcome to the hotel's network</html>")
            case "redirect":
                return Reply(307, headers={"Location": self.url + ELSEWHERE})
        return None

    async def start(self) -> None:
        emulator = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {key.lower(): value for key, value in self.headers.items()}
                if emulator.mood == "silence":
                    emulator._released.wait()
                    self.close_connection = True
                    return
                self._write(emulator.answer(Request(self.path, headers, body)))

            def do_GET(self) -> None:
                self._write(emulator.answer(Request(self.path, {}, b"")))

            def _write(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for key, value in reply.headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: Any) -> None:
                """Not to the tests' output."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128  # with the usual 5 the system lets some who come at once wait for a second
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Whoever asks may hang up; anything else belongs into the test's output."""
                if not isinstance(sys.exception(), ConnectionError):
                    super().handle_error(request, client_address)

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    async def stop(self) -> None:
        self._released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
