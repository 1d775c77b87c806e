"""Any server that takes a message over HTTP (connectors reference 6.1 and 6.2)."""

import asyncio
import base64
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import field

from hongyan import signing
from hongyan.hub.connector import (
    HERE,
    Feature,
    Note,
    Outcome,
    Problem,
    Receipt,
    Result,
    Sent,
    Target,
    Unable,
    failed,
)
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.credentials import Credentials, at_base
from hongyan.hub.connectors.webhook_body import TYPES, Body, at_path
from hongyan.hub.content import Media, Message, Part
from hongyan.hub.degrade import Degrade
from hongyan.hub.http import Answer, Http, reach
from hongyan.hub.surroundings import Surroundings

#: Time for a call (s), bytes of an answer that are read, and the longest wait that is believed (s).
TIMEOUT, ANSWER_MAX, WAIT_MAX = 20.0, 65_536, 86_400.0
#: Headers that are made here.
_OWN = {
    *("host", "content-length", "transfer-encoding", "connection", "content-type"),
    *("webhook-id", "webhook-timestamp", "webhook-signature"),
}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_PATH = re.compile(r"[\w$-]+(\[\d+\])*(\.[\w$-]+(\[\d+\])*)*")


class WebhookCredentials(Credentials, frozen=True):
    """Where, how, and with what proof.

    Without `template` the body is `{"type": "message", "timestamp": …, "data": message}`, and files are links. With the
    method GET the form that the template gives is the query. `user`
    and `password` are for HTTP's basic authentication, `token` for a bearer; `headers` are any others.
    `signing_secret` (whsec_…) signs by Standard Webhooks, and so does `previous_signing_secret` beside it, until the
    other side has the new one; `hmac_secret` puts the HMAC-SHA256 of the body, in hexadecimal digits after
    `hmac_prefix`, into the header `hmac_header`.

    It has succeeded if the answer is 2xx, has `success_text` in it, and what is at `success_path` of its JSON is
    `success_value`. `receipt_path` is where the answer has an id of the message.
    """

    url: str
    method: Literal["POST", "PUT", "PATCH", "GET"] = "POST"
    template: str = ""
    body: Literal["json", "form", "text"] = "json"
    user: str = ""
    password: str = ""
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    signing_secret: str = ""
    previous_signing_secret: str = ""
    hmac_secret: str = ""
    hmac_header: str = "X-Hub-Signature-256"
    hmac_prefix: str = "sha256="
    success_text: str = ""
    success_path: str = ""
    success_value: str = ""
    receipt_path: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_url(self.url)
        if self.template:
            Body(self.template, self.body)
        elif self.body != "json":
            raise ValueError("without `template` the body is JSON")
        if self.method == "GET" and not (self.template and self.body == "form"):
            raise ValueError("with the method GET there is a `template`, and `body` is `form`: it becomes the query")
        if (self.user or self.password) and self.token:
            raise ValueError("either `user` and `password`, or `token`")
        for name, value in {**self.headers, self.hmac_header: self.hmac_prefix}.items():
            if not _TOKEN.fullmatch(name) or name.lower() in _OWN or not _is_header(value):
                raise ValueError(f"`{name[:100]}` is no header that can be set, or has no value that one may have")
        if not _is_header(self.token) or ":" in self.user:
            raise ValueError("`token` has no characters that a header may not have, and `user` no colon")
        for secret in filter(None, (self.signing_secret, self.previous_signing_secret)):
            if not _is_secret(secret):
                raise ValueError("`signing_secret` is whsec_ and 24 to 64 bytes in Base64, and so is the previous one")
        if self.previous_signing_secret and not self.signing_secret:
            raise ValueError("`previous_signing_secret` stands beside `signing_secret`")
        if bool(self.success_path) != bool(self.success_value):
            raise ValueError("`success_path` and `success_value` are given together")
        for path in filter(None, (self.success_path, self.receipt_path)):
            if not _PATH.fullmatch(path):
                raise ValueError(f"`{path[:100]}` is no path like data.items[0].id")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("`url` is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or not url.isascii():
        raise ValueError("`url` begins with https:// or http:// and a host; name and password are fields of their own")


def _is_header(text: str) -> bool:
    return len(text) <= 4000 and all(" " <= each <= "~" or each == "\t" for each in text)


def _is_secret(text: str) -> bool:
    try:
        return (
            text.startswith(signing.PREFIX)
            and 24 <= len(base64.b64decode(text[len(signing.PREFIX) :], validate=True)) <= 64
        )
    except ValueError:
        return False


class Webhook(Unable):
    """`key` of a message is its `webhook-id`, the same at each try: whoever takes it can tell that it comes again."""

    features = frozenset({Feature.ONCE})

    def __init__(self, credentials: WebhookCredentials, around: Surroundings) -> None:
        self._given = credentials
        self._around = around
        self._url = at_base(credentials.url, credentials.base_url)
        self._http = Http(around.outbound, "")
        self._body = Body(credentials.template, credentials.body) if credentials.template else None

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        notes: list[Note] = []
        try:
            body, url = await self._written(message, key, thread, notes), self._url
            if self._given.method == "GET":
                body, url = b"", f"{url}{'&' if urlsplit(url).query else '?'}{body.decode()}"
            answer = await self._http.call(
                self._given.method,
                url,
                body=body,
                type_=self._body.type if self._body else TYPES["json"],
                headers=self._headers(key, body),
                timeout=TIMEOUT,
                answer_max=ANSWER_MAX,
            )
            receipt = self._judge(answer)
        except Problem as problem:
            return Sent((failed(HERE, problem),), tuple(notes))
        return Sent((Result(HERE, Outcome.OK, receipt),), tuple(notes))

    async def check(self) -> str:
        """Whether the server may be called; what it would say is not known without sending something."""
        host = urlsplit(self._url).hostname or ""
        await reach(self._around.outbound, host)
        return f"{self._given.method} to {host}"

    async def _written(self, message: Message, key: str, thread: Receipt | None, notes: list[Note]) -> bytes:
        linked = await self._linked(message)
        value = msgspec.to_builtins(linked)
        time = datetime.fromtimestamp(self._around.wall() / 1000, UTC).isoformat(timespec="milliseconds")
        time = time.replace("+00:00", "Z")
        if self._body is None:
            data = {**value, **({"reply_to": thread["id"]} if thread and "id" in thread else {})}
            return msgspec.json.encode({"type": "message", "timestamp": time, "data": data})
        degrade = Degrade(self._around, key)
        text, markdown = await degrade.text(message.content), await degrade.markdown(message.content)
        notes += degrade.notes
        given = {
            "message": value,
            "content": value["content"],
            "title": str(getattr(message.content, "title", "")),
            "text": text,
            "markdown": markdown,
            "key": key,
            "time": time,
            "reply_to": thread.get("id", "") if thread else "",
        }
        return await asyncio.to_thread(self._body.fill_in, given)

    async def _linked(self, part: Any) -> Any:
        """With addresses instead of files of this server, which nobody else can read."""
        if isinstance(part, Media):
            if not part.file:
                return part
            return msgspec.structs.replace(part, file="", url=await self._around.media.link(part))
        if isinstance(part, tuple):
            return tuple([await self._linked(each) for each in part])
        if isinstance(part, Part):
            changed = {name: await self._linked(getattr(part, name)) for name in part.__struct_fields__}
            return type(part)(**changed)
        return part

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        given = self._given
        secrets = [each for each in (given.signing_secret, given.previous_signing_secret) if each]
        headers = {**given.headers, **signing.headers(secrets, key, self._around.wall(), body)}
        if not secrets:
            del headers["webhook-signature"]
        if given.user or given.password:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{given.user}:{given.password}".encode()).decode()
        elif given.token:
            headers["Authorization"] = f"Bearer {given.token}"
        if given.hmac_secret:
            digest = hmac.digest(given.hmac_secret.encode(), body, "sha256").hex()
            headers[given.hmac_header] = given.hmac_prefix + digest
        return headers

    def _judge(self, answer: Answer) -> dict[str, str] | None:
        """The receipt, if the answer has one. Raises Problem."""
        if not 200 <= answer.status < 300:
            raise _refused(answer, self._around.wall())
        if self._given.success_text.encode() not in answer.body:
            shown = answer.body[:100].decode(errors="replace")
            raise Problem(Outcome.UNKNOWN, f"the answer has no {self._given.success_text} in it: {shown}")
        found: Any = None
        if self._given.success_path or self._given.receipt_path:
            try:
                found = msgspec.json.decode(answer.body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                if self._given.success_path:
                    raise Problem(Outcome.UNKNOWN, "the answer is no JSON, in which success would stand") from None
        if self._given.success_path:
            value = _shown(at_path(found, self._given.success_path))
            if value != self._given.success_value:
                path = self._given.success_path
                raise Problem(
                    Outcome.UNKNOWN,
                    f"{path} of the answer is {value[:100] or 'absent'}, not {self._given.success_value}",
                    code=value[:100],
                )
        receipt = _shown(at_path(found, self._given.receipt_path)) if self._given.receipt_path else ""
        return {"id": receipt} if receipt else None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()


def _refused(answer: Answer, now: int) -> Problem:
    status = answer.status
    after = _wait(answer.headers.get("retry-after", ""), now)
    reason = f"the server answers HTTP {status}"
    if status == 429 or (status in (502, 503, 504) and after is not None):
        return Problem(Outcome.THROTTLED, reason, code=str(status), after=after, everybody=True)
    if status in (408, 425) or status >= 500:
        return Problem(Outcome.TRANSIENT, reason, code=str(status), after=after)
    advice = {
        401: "Correct the credentials of the channel.",
        403: "Correct the credentials of the channel.",
        410: "The address is gone for good: set another, or delete the channel.",
    }.get(status, "Set the address to where it leads." if status < 400 else "")
    if advice:
        return Problem(Outcome.BAD_CREDENTIAL, reason, code=str(status), advice=advice, everybody=True)
    advice = "Check the address and the method." if status in (404, 405) else "Check the template."
    return Problem(Outcome.BAD_CONTENT, reason, code=str(status), advice=advice)


def _wait(text: str, now: int) -> float | None:
    """Seconds, of seconds or a date of HTTP."""
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), WAIT_MAX)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return min(max(0.0, until.timestamp() - now / 1000), WAIT_MAX)


KIND = ChannelKind(
    name="webhook",
    platform="webhook",
    credentials=WebhookCredentials,
    secret=frozenset(
        {"url", "password", "token", "headers", "signing_secret", "previous_signing_secret", "hmac_secret"}
    ),
    targets=frozenset(),
    open=Webhook,
    place=frozenset({"base_url", "url"}),
)
