"""Opening sessions: whose they are, and the tokens that reopen them (reference 1.9, 3.4)."""

import base64
import dataclasses
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.kicks import Voids, never
from hongyan.engine.ports import TokenStore
from hongyan.engine.values import CLIENT_ID_MAX, App
from hongyan.errors import Refused

#: The tag that counts as none (reference 3.6).
TAG_DEFAULT = "default"
#: Capabilities assumed for a reopen that doesn't say (reference 3.4, inferred).
BITMAP_DEFAULT = 0xAB
#: The capability without which a client is told nothing of temporary conversations (reference 4.1).
TEMPORARY = 0x02

#: What every token begins with: {"typ":"JWT","alg":"HS256"}.
_HEADER = b"eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a session token says. `id` stays the same when the token is renewed.

    `expires_at` (seconds since the epoch) is that of the latest token known to have been issued for it.
    """

    id: str
    client: str
    tag: str
    device: str
    bitmap: int
    expires_at: int = 0


def conflict(one: Ticket, other: Ticket) -> bool:
    """Whether two logins of a client may not be open at once: same tag, not the same device (reference 3.6).

    Devices that say nothing of themselves are taken for different ones.
    """
    if one.client != other.client or one.tag != other.tag or one.tag in ("", TAG_DEFAULT):
        return False
    return not one.device or one.device != other.device


def check_client_id(client: str) -> None:
    """Raises Refused(INVALID_LOGIN)."""
    if not 1 <= len(client) <= CLIENT_ID_MAX:
        raise Refused(errors.INVALID_LOGIN, f"a client id has 1 to {CLIENT_ID_MAX} characters")


class Sessions:
    """Tokens are signed and stateless; a logout puts the token's id on a list until it would have expired."""

    def __init__(self, store: TokenStore, clock: Clock, secret: bytes, voids: Voids = never) -> None:
        """`voids`: whether a client was expelled since a time; then its tokens from before are void."""
        self._voids = voids
        self._store = store
        self._clock = clock
        self._secret = hmac.digest(secret, b"session tokens", "sha256")
        self._key = OctKey.import_key(self._secret)
        self._revoked: dict[str, int] = {}
        self.on_revoked: list[Callable[[Ticket], None]] = []
        """Called when a ticket has become void."""

    async def load(self) -> None:
        self._revoked = await self._store.revoked()

    def new_ticket(self, client: str, tag: str, device: str, bitmap: int) -> Ticket:
        return Ticket(secrets.token_urlsafe(12), client, tag, device, bitmap)

    def issue(self, app: App, ticket: Ticket) -> tuple[str, Ticket]:
        """A token for this ticket, valid for the app's `session_ttl` seconds; and the ticket that knows of it."""
        expires_at = self._clock.now() // 1000 + app.settings.session_ttl
        claims = {
            "jti": ticket.id,
            "app": app.id,
            "sub": ticket.client,
            "tag": ticket.tag,
            "dev": ticket.device,
            "bit": ticket.bitmap,
            "exp": expires_at,
            "at": self._clock.now(),
        }
        latest = dataclasses.replace(ticket, expires_at=max(expires_at, ticket.expires_at))
        return _sign(claims, self._secret), latest

    def redeem(self, app: App, client: str, token: str, *, expired_too: bool = False) -> Ticket:
        """The ticket of a token of this app and client. Raises Refused(SESSION_TOKEN_EXPIRED)."""
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
            ticket = Ticket(
                claims["jti"], claims["sub"], claims["tag"], claims["dev"], claims["bit"], int(claims["exp"])
            )
        except (JoseError, ValueError, KeyError, TypeError):
            raise Refused(errors.SESSION_TOKEN_EXPIRED, "not a session token") from None
        if self._voids(app, client, claims.get("at", 0)):
            raise Refused(errors.SESSION_TOKEN_EXPIRED, "the client was expelled since this token was made")
        if claims["app"] != app.id or ticket.client != client or ticket.id in self._revoked:
            raise Refused(errors.SESSION_TOKEN_EXPIRED, "the token is not valid")
        if ticket.expires_at * 1000 <= self._clock.now() and not expired_too:
            raise Refused(errors.SESSION_TOKEN_EXPIRED, "the token has expired")
        return ticket

    def revoke(self, ticket: Ticket) -> Awaitable[None]:
        """Void a ticket and every token issued for it: at once, and for good when the result has been awaited."""
        expires_at = (ticket.expires_at + 1) * 1000
        self._forget_expired()
        self._revoked[ticket.id] = expires_at
        for tell in self.on_revoked:
            tell(ticket)
        return self._store.revoke(ticket.id, expires_at)

    def _forget_expired(self) -> None:
        """Drop what has expired from the front: ids stand in order of voiding, which is nearly that of expiry."""
        now = self._clock.now()
        while self._revoked and next(iter(self._revoked.values())) < now:
            del self._revoked[next(iter(self._revoked))]


def _sign(claims: dict[str, Any], secret: bytes) -> str:
    """What joserfc's `jwt.encode` makes of these claims, in a quarter of the time: each login is given a token.

    Only joserfc reads tokens, as only there a mistake would let somebody in.
    """
    signed = _HEADER + _base64url(_to_json(claims).encode())
    return (signed + b"." + _base64url(hmac.digest(secret, signed, "sha256"))).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
