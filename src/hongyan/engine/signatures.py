"""Signatures by which an app's own server allows a client to do something (reference section 5).

HMAC-SHA1 with the app's master key, as hexadecimal digits in either case. Each check passes while its switch among the
app's settings is off, whatever was given.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.kicks import Voids, never
from hongyan.engine.ports import SignatureStore
from hongyan.engine.values import App
from hongyan.errors import Kind, Refused

#: How long a signature is good (ms).
VALIDITY = 6 * 60 * 60 * 1000
#: How far the clock of an app's server may be ahead of ours (ms).
AHEAD_MAX = 5 * 60 * 1000
#: Times below are seconds (reference 5.1, inferred).
_MILLISECONDS_FROM = 10**11
_TIME_DIGITS = 15
_TEMPORARY = "_tmp:"


@dataclass(frozen=True, slots=True)
class Signature:
    """What came with a request. `time` is its digits as they came: they are what was signed."""

    digits: str
    time: str
    nonce: str

    @property
    def is_given(self) -> bool:
        return bool(self.digits or self.time or self.nonce)


@dataclass(frozen=True, slots=True)
class Use:
    """A good signature that is to be used up: then it is refused with `kind`."""

    digest: bytes
    expires_at: int
    kind: Kind


# what is signed


def login_text(app_id: str, client: str, time: str, nonce: str) -> str:
    return f"{app_id}:{client}::{time}:{nonce}"


def start_texts(app_id: str, client: str, members: Sequence[str], time: str, nonce: str) -> Iterator[str]:
    """Of SDKs some sign the creator among the members and some don't (reference 5.2, inferred)."""
    others = [member for member in members if member != client]
    with_creator = members if len(others) < len(members) else [*others, client]
    for each in (members, others, with_creator):
        yield f"{app_id}:{client}:{_sorted(each)}:{time}:{nonce}"


def conversation_text(
    app_id: str, client: str, conversation_id: str, clients: Iterable[str], time: str, nonce: str, action: str
) -> str:
    """`action` is `invite`, `kick`, or one of those of blacklists."""
    return f"{app_id}:{client}:{conversation_id}:{_sorted(clients)}:{time}:{nonce}:{action}"


def history_texts(app_id: str, client: str, conversation_id: str, time: str, nonce: str) -> Iterator[str]:
    """The documented order, and that of the original's sample code (reference 4 of the REST one)."""
    yield f"{app_id}:{client}:{conversation_id}:{nonce}:{time}"
    yield f"{app_id}:{client}:{conversation_id}:{time}:{nonce}"


def _sorted(clients: Iterable[str]) -> str:
    """By UTF-16 code units, as JavaScript and Java sort."""
    return ":".join(sorted(clients, key=lambda client: client.encode("utf-16-be", "surrogatepass")))


class Signatures:
    """Raises Refused(SIGNATURE_FAILED, CONVERSATION_… or BLACKLIST_SIGNATURE_FAILED) for what is not well signed.

    Where the app wants each signature used once, a check returns when that it was used is on disk.
    """

    def __init__(self, store: SignatureStore, clock: Clock, voids: Voids = never) -> None:
        """`voids`: whether a client was expelled since a time."""
        self._store = store
        self._clock = clock
        self._voids = voids

    def login(self, app: App, client: str, given: Signature) -> Use | None:
        """Check a login without waiting; what is returned must be used up before the client is logged in."""
        if not app.settings.sign_login:
            return None
        text = login_text(app.id, client, given.time, given.nonce)
        use = self._verify(app, given, [text], errors.SIGNATURE_FAILED)
        if self._voids(app, client, _made_at(given.time)):
            raise Refused(errors.SIGNATURE_FAILED, "the client was expelled since this was signed")
        return use

    def make_login(self, app: App, client: str) -> Signature:
        """A signature for a login of this client, from now on."""
        time, nonce = str(self._clock.now()), secrets.token_urlsafe(12)
        text = login_text(app.id, client, time, nonce)
        return Signature(hmac.digest(app.master_key.encode(), text.encode(), "sha1").hex(), time, nonce)

    async def check_start(
        self, app: App, client: str, members: Sequence[str], given: Signature, *, temporary: bool
    ) -> None:
        """`members` as the request has them. Temporary conversations need no signature (reference 5.2, inferred)."""
        if app.settings.sign_conversation and not temporary:
            texts = start_texts(app.id, client, members, given.time, given.nonce)
            await self._check(app, given, texts, errors.CONVERSATION_SIGNATURE_FAILED)

    async def check_add(
        self, app: App, client: str, conversation_id: str, clients: Sequence[str], given: Signature
    ) -> None:
        """Joining, inviting and subscribing."""
        await self._check_members(app, client, conversation_id, clients, given, "invite")

    async def check_remove(
        self, app: App, client: str, conversation_id: str, clients: Sequence[str], given: Signature
    ) -> None:
        """Who quits needs no signature, but one that comes must be right (reference 5.2, inferred)."""
        if set(clients) != {client} or given.is_given:
            await self._check_members(app, client, conversation_id, clients, given, "kick")

    async def check_block(
        self,
        app: App,
        client: str,
        conversation_id: str,
        clients: Sequence[str],
        given: Signature,
        *,
        unblock: bool = False,
    ) -> None:
        """Blocking clients from a conversation, or unblocking them."""
        if app.settings.sign_blacklist:
            action = "conversation-unblock-clients" if unblock else "conversation-block-clients"
            text = conversation_text(app.id, client, conversation_id, clients, given.time, given.nonce, action)
            await self._check(app, given, [text], errors.BLACKLIST_SIGNATURE_FAILED)

    async def check_client_block(
        self, app: App, client: str, conversation_id: str, given: Signature, *, unblock: bool = False
    ) -> None:
        """A client blocking a conversation for itself, or unblocking it."""
        if app.settings.sign_blacklist:
            action = "client-unblock-conversations" if unblock else "client-block-conversations"
            text = conversation_text(app.id, client, conversation_id, [], given.time, given.nonce, action)
            await self._check(app, given, [text], errors.BLACKLIST_SIGNATURE_FAILED)

    async def check_history(
        self, app: App, client: str, conversation_id: str, given: Signature, *, has_session: bool
    ) -> None:
        """Reading history over HTTP without the master key; `has_session`: a session token proves who the client is.

        Where logins are signed nobody reads what a client may read by just naming that client (inferred).
        """
        if app.settings.sign_history or (app.settings.sign_login and not has_session):
            texts = history_texts(app.id, client, conversation_id, given.time, given.nonce)
            await self._check(app, given, texts, errors.CONVERSATION_SIGNATURE_FAILED)

    async def use(self, use: Use) -> None:
        """Use a signature up. Raises Refused if it was before."""
        if not await self._store.use(use.digest, use.expires_at):
            raise Refused(use.kind, "the signature was used before")

    async def _check_members(
        self, app: App, client: str, conversation_id: str, clients: Sequence[str], given: Signature, action: str
    ) -> None:
        if app.settings.sign_conversation and not conversation_id.startswith(_TEMPORARY):
            text = conversation_text(app.id, client, conversation_id, clients, given.time, given.nonce, action)
            await self._check(app, given, [text], errors.CONVERSATION_SIGNATURE_FAILED)

    async def _check(self, app: App, given: Signature, texts: Iterable[str], kind: Kind) -> None:
        use = self._verify(app, given, texts, kind)
        if use is not None:
            await self.use(use)

    def _verify(self, app: App, given: Signature, texts: Iterable[str], kind: Kind) -> Use | None:
        """Raises Refused(kind) unless one of the texts was signed, not too long ago."""
        if not given.is_given:
            raise Refused(kind, "a signature is needed")
        expires_at = self._expires_at(given.time, kind)
        digest = _signed(app, given.digits, texts)
        if digest is None:
            raise Refused(kind, "the signature is wrong")
        # not the digest itself, which would be good again when the setting is changed
        return Use(hashlib.sha256(digest).digest(), expires_at, kind) if app.settings.signature_once else None

    def _expires_at(self, time: str, kind: Kind) -> int:
        if not (time.isascii() and time.isdigit() and len(time) <= _TIME_DIGITS):
            raise Refused(kind, "the time of the signature is not a number of milliseconds")
        made_at = _made_at(time)
        now = self._clock.now()
        if made_at > now + AHEAD_MAX:
            raise Refused(kind, "the time of the signature is in the future")
        if made_at + VALIDITY < now:
            raise Refused(kind, "the signature has expired")
        return made_at + VALIDITY


def _made_at(time: str) -> int:
    return int(time) if int(time) >= _MILLISECONDS_FROM else int(time) * 1000


def _signed(app: App, digits: str, texts: Iterable[str]) -> bytes | None:
    """The digest of the first text of which these are the digits."""
    given = digits.lower().encode("utf-8", "surrogatepass")
    key = app.master_key.encode()
    for text in texts:
        digest = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha1")
        if hmac.compare_digest(given, digest.hex().encode()):
            return digest
    return None
