"""A mail server that takes what a test lets it take."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from hongyan.hub.connectors import email as connector
from hongyan.hub.connectors.email import Email, EmailCredentials
from tests.support.hub import Around


@dataclass
class Taker:
    """`answers` are what is said to a command instead of taking it: by the command, or the address of a recipient."""

    port: int = 0
    mails: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    sessions: int = 0

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if "MAIL" not in self.answers:
            envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if address not in self.answers:
            envelope.rcpt_tos.append(address)
        return self.answers.get(address, "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answers.get("DATA") == "close":
            assert server.transport is not None
            server.transport.close()
            return ""
        if "DATA" in self.answers:
            return self.answers["DATA"]
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((envelope.mail_from or "", list(envelope.rcpt_tos), mail))
        return "250 OK"


def _sign_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ann", b"s3cret")
    return AuthResult(success=good, handled=False)


@asynccontextmanager
async def serving(taker: Taker, *, implicit: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[None]:
    def connection() -> SMTP:
        taker.sessions += 1
        with warnings.catch_warnings():  # it warns of passwords without TLS, which is what is tried
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(taker, hostname="mail.example", loop=asyncio.get_running_loop(), **options)

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=implicit)
    taker.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def taker() -> AsyncIterator[Taker]:
    made = Taker()
    async with serving(made):
        yield made


@pytest.fixture
async def strict() -> AsyncIterator[Taker]:
    """Wants to know who it is."""
    made = Taker()
    async with serving(made, authenticator=_sign_in, auth_required=True, auth_require_tls=False):
        yield made


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """One that we believe."""
    made = trustme.CA()
    context = ssl.create_default_context()
    made.configure_trust(context)
    monkeypatch.setattr(connector, "_context", lambda: context)
    return made


@pytest.fixture
def email(around: Around) -> Callable[..., Email]:
    def make(taker: Taker, **given: Any) -> Email:
        usual = {"host": "127.0.0.1", "port": taker.port, "tls": "none", "sender": "鸿雁 <hongyan@example.com>"}
        return Email(EmailCredentials(**{**usual, **given}), around())

    return make
