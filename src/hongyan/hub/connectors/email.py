"""Mail, by any server that takes it from us (SMTP, RFC 5321)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from email.headerregistry import Address
from email.utils import getaddresses
from functools import cache
from typing import Literal
from urllib.parse import urlsplit

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from hongyan.hub.connector import Outcome, Problem, Receipt, Result, Sent, Target, Unable, failed
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.credentials import Credentials
from hongyan.hub.connectors.email_message import Mail, message_id, one_line, render
from hongyan.hub.content import Message
from hongyan.hub.degrade import Degrade
from hongyan.hub.http import dial
from hongyan.hub.surroundings import Surroundings

#: Time to connect, and for each answer (s).
TIMEOUT = 60.0
#: The usual ports.
PORTS = {"none": 25, "starttls": 587, "tls": 465}
#: How long one waits with somebody whose server wants it later (greylisting) (s).
LATER = 300.0


class EmailCredentials(Credentials, frozen=True):
    """`host`, and `port` if it is not the usual one of `tls`; `sender` is an address, or `Name <address>`.

    `base_url` (smtp://host:port) leads elsewhere.
    """

    host: str
    sender: str
    port: int = 0
    tls: Literal["none", "starttls", "tls"] = "starttls"
    user: str = ""
    password: str = ""

    def __post_init__(self) -> None:
        if not self.host or not self.host.isascii() or any(each <= " " or each in "/@?#" for each in self.host):
            raise ValueError("`host` is the name of a mail server")
        if not 0 <= self.port <= 65_535:
            raise ValueError("`port` is between 1 and 65535")
        if bool(self.user) != bool(self.password):
            raise ValueError("`user` and `password` are given together")
        if address_of(self.sender) is None:
            raise ValueError("`sender` is a mail address, or a name and one: Name <name@example.com>")
        if self.base_url and urlsplit(self.base_url).scheme != "smtp":
            raise ValueError("`base_url` is smtp://host:port")

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        if self.base_url:
            parts = urlsplit(self.base_url)
            return parts.hostname or "", parts.port or PORTS[self.tls]
        return self.host, self.port or PORTS[self.tls]


def address_of(text: str) -> Address | None:
    """A mail address, with or without a name; None if it is none."""
    if any(not each.isprintable() for each in text) or len(text) > 500:
        return None
    found = getaddresses([text])
    if len(found) != 1:
        return None
    name, spec = found[0]
    local, at, domain = spec.rpartition("@")
    if not (local and at and domain and spec.isascii()) or any(each in spec for each in ' <>,;:\\"()[]'):
        return None
    if len(local) > 64 or len(domain) > 253 or not all(domain.split(".")):
        return None
    try:
        return Address(display_name=name, username=local, domain=domain)
    except (ValueError, IndexError):
        return None


class Email(Unable):
    """A mail for each person, who does not learn who else gets it. A receipt is its `message_id`."""

    def __init__(self, credentials: EmailCredentials, around: Surroundings) -> None:
        self._given = credentials
        self._around = around
        sender = address_of(credentials.sender)
        assert sender is not None
        self._sender = sender

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        degrade = Degrade(self._around, key)
        mail = await render(message, degrade)
        before = one_line(thread.get("message_id", "")) if thread else ""
        if message.thread and not before:
            degrade.note("thread_to_title")
            mail.subject = f"[#{one_line(message.thread)}] {mail.subject}"
        results: list[Result] = []
        try:
            async with self._connected() as smtp:
                for target in to:
                    results.append(await self._result(smtp, mail, target, key, before))
        except Problem as problem:
            results += [failed(target, problem) for target in to[len(results) :]]
        return Sent(tuple(results), tuple(degrade.notes))

    async def check(self) -> str:
        async with self._connected():
            return f"{self._sender.addr_spec} by {self._given.place[0]}"

    async def _result(self, smtp: SMTP, mail: Mail, target: Target, key: str, before: str) -> Result:
        """Raises Problem for what concerns all that follow, too."""
        to = address_of(target.id) if target.kind == "email" else None
        if to is None:
            return failed(target, Problem(Outcome.BAD_RECIPIENT, "it is no mail address"))
        id = message_id(f"{key}\n{target.id}", self._sender.domain)
        headers = {"In-Reply-To": before, "References": before} if before else {}
        # files make it large
        content = await asyncio.to_thread(mail.write, self._sender, to, id, self._around.wall(), headers)
        try:
            await self._deliver(smtp, to.addr_spec, content)
        except Problem as problem:
            if problem.everybody:
                raise
            return failed(target, problem)
        return Result(target, Outcome.OK, {"message_id": id})

    async def _deliver(self, smtp: SMTP, to: str, content: bytes) -> None:
        """Raises Problem."""
        try:
            if not smtp.is_connected:
                raise SMTPServerDisconnected("the connection was lost")
            await smtp.mail(self._sender.addr_spec)
            await smtp.rcpt(to)
        except (SMTPException, OSError) as error:
            with suppress(SMTPException, OSError):
                await smtp.rset()
            raise _problem(error, sent=False) from None
        try:
            await smtp.data(content)
        except (SMTPException, OSError) as error:
            raise _problem(error, sent=True) from None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[SMTP]:
        """Signed in. Raises Problem."""
        host, port = self._given.place
        given = self._given
        smtp = SMTP(
            hostname=host,
            sock=await dial(self._around.outbound, host, port),
            use_tls=given.tls == "tls",
            start_tls=given.tls == "starttls",
            tls_context=await asyncio.to_thread(_context) if given.tls != "none" else None,
            username=given.user or None,
            password=given.password or None,
            local_hostname=self._sender.domain,
            timeout=TIMEOUT,
        )
        try:
            try:
                await smtp.connect()
            except (SMTPException, OSError, ValueError) as error:
                raise _problem(error, sent=False, connecting=True) from None
            yield smtp
            with suppress(SMTPException, OSError):
                await smtp.quit()
        finally:
            smtp.close()


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _problem(error: Exception, *, sent: bool, connecting: bool = False) -> Problem:
    """`sent`: the mail itself was on its way."""
    if isinstance(error, SMTPResponseException):
        return _refused(error, connecting)
    if isinstance(error, ssl.SSLError | ssl.CertificateError) or isinstance(error.__cause__, ssl.SSLError):
        cause = error if isinstance(error, ssl.SSLError) else error.__cause__
        return Problem(
            Outcome.BAD_CREDENTIAL,
            f"there is no safe connection: {cause}",
            advice="Check `tls` and `port` (465 for tls, 587 for starttls), and the certificate of the server.",
            everybody=True,
        )
    if isinstance(error, SMTPServerDisconnected | SMTPTimeoutError | SMTPConnectError | OSError):
        outcome = Outcome.UNKNOWN if sent else Outcome.TRANSIENT
        return Problem(outcome, f"the mail server: {one_line(str(error))[:300]}", everybody=not sent)
    return Problem(
        Outcome.BAD_CREDENTIAL,
        f"the mail server: {one_line(str(error))[:300]}",
        advice="Check `tls`, `user` and `password`: the server does not offer what they need.",
        everybody=True,
    )


def _refused(error: SMTPResponseException, connecting: bool) -> Problem:
    code = error.code
    reason = f"{code} {one_line(str(error.message))[:300]}"
    if isinstance(error, SMTPAuthenticationError) or code in (530, 534, 535, 538):
        advice = "Check `user` and `password`; some services want a password made for programs."
        outcome = Outcome.TRANSIENT if 400 <= code < 500 else Outcome.BAD_CREDENTIAL
        return Problem(outcome, reason, code=str(code), advice=advice, everybody=True)
    if (code in (421, 451) and connecting) or code == 421:
        return Problem(Outcome.TRANSIENT, reason, code=str(code), everybody=True)
    if 400 <= code < 500:
        outcome = Outcome.THROTTLED if code == 452 else Outcome.TRANSIENT
        return Problem(outcome, reason, code=str(code), after=LATER)
    if isinstance(error, SMTPRecipientRefused):
        relaying = " 5.7." in f" {error.message}"
        advice = (
            "The server does not send mail there for this account: sign in, or use another server." if relaying else ""
        )
        return Problem(Outcome.BAD_RECIPIENT, reason, code=str(code), advice=advice)
    if isinstance(error, SMTPSenderRefused) or connecting:
        advice = "The server does not take mail of this `sender`: use an address that belongs to `user`."
        return Problem(
            Outcome.BAD_CREDENTIAL, reason, code=str(code), advice=advice if not connecting else "", everybody=True
        )
    return Problem(Outcome.BAD_CONTENT, reason, code=str(code))


KIND = ChannelKind(
    name="email",
    platform="email",
    credentials=EmailCredentials,
    secret=frozenset({"password"}),
    targets=frozenset({"email"}),
    open=Email,
    place=frozenset({"base_url", "host", "port", "tls"}),
)
