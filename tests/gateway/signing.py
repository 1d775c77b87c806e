"""An app's own server, which signs what its clients want to do."""

import hmac
import itertools
import time
from collections.abc import Iterable

from tests.support.server import App

_nonces = itertools.count(1)

Fields = dict[str, str | int]


def sign(app: App, *parts: str, action: str = "", at: int | None = None, nonce: str | None = None) -> Fields:
    """`s`, `t` and `n` of a command, for the parts of the text that come before the time."""
    at = round(time.time() * 1000) if at is None else at
    nonce = f"nonce-{next(_nonces)}" if nonce is None else nonce
    text = ":".join([app.id, *parts, str(at), nonce, *([action] if action else [])])
    return {"s": hmac.digest(app.master_key.encode(), text.encode(), "sha1").hex(), "t": at, "n": nonce}


def login(app: App, client: str) -> Fields:
    return sign(app, client, "")


def start(app: App, client: str, *members: str) -> Fields:
    return sign(app, client, _joined(members))


def invite(app: App, client: str, conversation: str, *members: str) -> Fields:
    return sign(app, client, conversation, _joined(members), action="invite")


def kick(app: App, client: str, conversation: str, *members: str) -> Fields:
    return sign(app, client, conversation, _joined(members), action="kick")


def block(app: App, client: str, conversation: str, *members: str, op: str = "block") -> Fields:
    return sign(app, client, conversation, _joined(members), action=f"conversation-{op}-clients")


def _joined(members: Iterable[str]) -> str:
    return ":".join(sorted(members))
