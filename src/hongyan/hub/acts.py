"""Addresses of the server at which a button is pressed, or a form filled in, whose platform can only open addresses.

Whoever has the address may press: it is signed, ends after some days, and stands in the message alone. To look at it
does nothing, since programs look at addresses, too.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.errors import Refused
from hongyan.hub.channels import Channels
from hongyan.hub.connector import Acted, Chat, Person
from hongyan.hub.content import TEXT_MAX, Button, Card, Form, Input, Message
from hongyan.hub.inbound import Inbound
from hongyan.hub.records import Channel, Posted, State
from hongyan.hub.sending import Sending

PATH = "/act"
#: How long an address is good (s).
TTL = 30 * 86_400
#: Bytes of what a page sends, and characters of an address.
BODY_MAX, TOKEN_MAX = 262_144, 2_000
#: The field of a page by which a second press of the same page is the same.
ONCE = "_once"
_MAC = 32


class _Signed(NamedTuple):
    """What an address says."""

    message: str
    action: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Act:
    """What an address leads to."""

    channel: Channel
    posted: Posted
    card: Card
    button: Button | None
    form: Form | None


class Wrong(Exception):
    """What was filled in is not what the form asks for; the sentence is for who fills it in."""


class Acts:
    """`public` is the server's address, None where nobody has said."""

    def __init__(
        self,
        secret: bytes,
        channels: Channels,
        sending: Sending,
        inbound: Inbound,
        clock: Clock,
        public: Callable[[], str | None],
    ) -> None:
        self._key = hmac.digest(secret, b"acts", "sha256")
        self._channels = channels
        self._sending = sending
        self._inbound = inbound
        self._clock = clock
        self._public = public

    def url(self, key: str, action: str) -> str | None:
        """The address at which this button or form of a message is."""
        base = self._public()
        if base is None or not key:
            return None
        return f"{base.rstrip('/')}{PATH}/{self.token(key, action)}"

    def token(self, key: str, action: str) -> str:
        body = msgspec.json.encode(_Signed(key, action, self._clock.now() // 1000 + TTL))
        return f"{_text(body)}.{self._mac(body)}"

    async def find(self, token: str) -> Act:
        """Raises Refused(OBJECT_NOT_FOUND), whatever is wrong with the address."""
        signed = self._read(token)
        posted = await self._sending.find(signed.message) if signed is not None else None
        channel = self._channels.find(posted.channel_id) if posted is not None else None
        if signed is not None and posted is not None and channel is not None and channel.enabled:
            card = msgspec.json.decode(posted.body, type=Message).content
            recalled = all(each.state is State.RECALLED for each in posted.deliveries)
            if isinstance(card, Card) and not recalled:
                for button in card.buttons:
                    if button.id == signed.action:
                        return Act(channel, posted, card, button, None)
                if card.form is not None and card.form.id == signed.action:
                    return Act(channel, posted, card, None, card.form)
        raise Refused(errors.OBJECT_NOT_FOUND, "this link is not good any more")

    async def do(self, act: Act, given: Mapping[str, Sequence[str]]) -> None:
        """Press it. Raises Wrong for what does not fit the form, and Refused."""
        self._inbound.take_press(act.posted.id)
        first, *others = given.get(ONCE) or [""]
        once, given = first[:64] or secrets.token_urlsafe(16), {**given, ONCE: others}  # an input may have this id
        targets = act.posted.deliveries
        chat = Chat(targets[0].target) if len(targets) == 1 else None
        receipt = dict(targets[0].receipt or {}) if len(targets) == 1 else {}
        action = act.button.id if act.button is not None else act.form.id if act.form is not None else ""
        acted = Acted(
            f"page:{act.posted.id}:{action}:{once}",
            Person(""),
            action,
            self._clock.now(),
            act.button.value if act.button is not None else "",
            filled(act.form, given) if act.form is not None else {},
            chat,
            receipt,
        )
        await self._inbound.hear(act.channel, [acted])

    def _read(self, token: str) -> _Signed | None:
        text, _, mac = token.partition(".")
        if len(token) > TOKEN_MAX or not token.isascii():
            return None
        try:
            body = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        if not hmac.compare_digest(mac, self._mac(body)):
            return None
        signed = msgspec.json.decode(body, type=_Signed)
        return signed if signed.expires_at > self._clock.now() // 1000 else None

    def _mac(self, body: bytes) -> str:
        return hmac.new(self._key, body, "sha256").hexdigest()[:_MAC]


def filled(form: Form, given: Mapping[str, Sequence[str]]) -> dict[str, str | list[str]]:
    """The values of a form by the ids of its inputs. Raises Wrong."""
    return {each.id: _value(each, [value for value in given.get(each.id, ()) if value]) for each in form.inputs}


def _value(asked: Input, given: Sequence[str]) -> str | list[str]:
    if asked.required and not "".join(given).strip():
        raise Wrong(asked.label)
    known = {option.value for option in asked.options}
    if asked.kind in ("select", "checks") and not known.issuperset(given):
        raise Wrong(asked.label)
    if asked.kind == "checks":
        return list(dict.fromkeys(given))
    if len(given) > 1 or sum(map(len, given)) > TEXT_MAX:
        raise Wrong(asked.label)
    value = given[0] if given else ""
    if (asked.kind == "text" and not value.replace("\t", " ").isprintable()) or (
        asked.kind == "date" and value and not _is_date(value)
    ):
        raise Wrong(asked.label)
    return value


def _is_date(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [4, 2, 2] and all(part.isascii() and part.isdigit() for part in parts)


def _text(body: bytes) -> str:
    return urlsafe_b64encode(body).decode().rstrip("=")
