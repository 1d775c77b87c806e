"""What all adapters have in common."""

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Container
from email.utils import parsedate_to_datetime
from typing import Any

from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, Refused, RetryLater
from hongyan.push.failed import Failed
from hongyan.push.http import Answer, Http
from hongyan.tokens import Token, Tokens

#: Characters of what a service says, and of a code, that are kept.
SAID_MAX, CODE_MAX = 200, 40
#: A service that asks to be left alone for longer is asked again after this time (s).
RETRY_MAX = 86_400.0
#: How long before its end a token is no more used (s).
MARGIN = 300.0
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_BUSY = (408, 425, 429)


class Service(ABC):
    """One service with the credentials of one app. `now` tells seconds since the Unix epoch."""

    def __init__(self, *, http2: bool = False, now: Callable[[], float] = time.time) -> None:
        self._http = Http(http2=http2)
        self._now = now

    async def send(self, push: Push, device: Device) -> Outcome:
        if push.expires_at <= self._now() * 1000:
            return Refused("Expired", "the push was not sent in time")
        try:
            outcome = await self._send(push, device)
        except Failed as failed:
            outcome = failed.outcome
        return _for_the_log(device.token, outcome)

    async def close(self) -> None:
        await self._http.close()

    @abstractmethod
    async def _send(self, push: Push, device: Device) -> Outcome:
        """Raises Failed."""

    def _ttl(self, push: Push, shortest: int, longest: int) -> int:
        """The seconds for which the service may still try, within what it takes."""
        return min(max(int(push.expires_at / 1000 - self._now()), shortest), longest)


class TokenService(Service):
    """A service that wants a token with each push, which it gives for the credentials."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self._tokens = Tokens(self._fetch, now)

    async def close(self) -> None:
        await self._tokens.close()
        await super().close()

    @abstractmethod
    async def _fetch(self) -> Token:
        """A new token. Raises Failed."""

    async def _with_token(self, ask: Callable[[str], Awaitable[Answer]], voids: Callable[[Answer], bool]) -> Answer:
        """Ask; once more with a new token if the answer says that the token is not valid. Raises Failed."""
        token = await self._tokens.get()
        answer = await ask(token)
        if voids(answer):
            self._tokens.void(token)
            answer = await ask(await self._tokens.get())
        return answer

    def _token(self, text: Any, lifetime: Any, answer: Answer) -> Token:
        """The token of an answer. Raises Failed if there is none."""
        if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
            raise Failed(unsuccessful(answer) or unreadable(answer))
        seconds = lifetime if isinstance(lifetime, int | float) and lifetime > 0 else 0.0
        return Token(text, self._now() + max(seconds - MARGIN, seconds / 2))


def client_credentials(client_id: str, secret: str) -> dict[str, str]:
    """The form by which OAuth gives an app a token of its own (RFC 6749, 4.4)."""
    return {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}


def busy(answer: Answer) -> bool:
    """Whether another time may be better."""
    return answer.status in _BUSY or answer.status >= 500


def unsuccessful(answer: Answer) -> Outcome | None:
    """What the status alone says; None for success."""
    if busy(answer):
        return RetryLater(retry_after(answer), f"HTTP {answer.status}{_said(answer)}")
    if 200 <= answer.status < 300:
        return None
    elsewhere = ", an address elsewhere, where nothing is sent" if 300 <= answer.status < 400 else ""
    return Refused(str(answer.status), f"HTTP {answer.status}{elsewhere}{_said(answer)}")


def failure(answer: Answer, number: str, text: str, later: Container[str]) -> Outcome:
    """What an answer without success says: by the service's code, or else by its status."""
    if number in later or busy(answer):
        return RetryLater(retry_after(answer), f"{number} {text}".strip() or f"HTTP {answer.status}")
    if number:
        return Refused(number, text)
    return unsuccessful(answer) or unreadable(answer)


def unreadable(answer: Answer) -> RetryLater:
    """Never taken for success: somebody else may stand between us and the service."""
    return RetryLater(None, f"HTTP {answer.status}, not as the service answers")


def retry_after(answer: Answer) -> float | None:
    """Seconds, from the header `Retry-After`: a number or a date."""
    given = answer.headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdigit():
        return min(float(given), RETRY_MAX)
    try:
        until = parsedate_to_datetime(given).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(until - time.time(), 0.0), RETRY_MAX)


def said(text: Any) -> str:
    """What a service says, for the log."""
    return text if isinstance(text, str) else ""


def code(value: Any) -> str:
    """Codes come as numbers and as texts; empty for what is none."""
    return str(value)[:CODE_MAX] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _said(answer: Answer) -> str:
    """An OAuth error, if it is one (RFC 6749, 5.2)."""
    found = answer.json()
    words = [said(found.get(key)) for key in ("error", "error_description")]
    return "".join(f": {word}" for word in words if word)


def _for_the_log(token: str, outcome: Outcome) -> Outcome:
    """Services like to repeat the address, which is not for logs, and some say much."""

    def told(text: str) -> str:
        return (text.replace(token, "(token)") if token else text)[:SAID_MAX]

    match outcome:
        case InvalidToken(reason):
            return InvalidToken(told(reason))
        case RetryLater(after, reason):
            return RetryLater(after, told(reason))
        case Refused(number, text):
            return Refused(number, told(text))
    return outcome
