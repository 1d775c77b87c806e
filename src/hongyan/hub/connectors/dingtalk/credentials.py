"""What a channel keeps for DingTalk. None of it is ever shown by accident."""

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct


class Credentials(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`base_url`: where DingTalk is, if not where it is for everybody: the sandbox, or a proxy."""

    base_url: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError with a sentence."""
        parts = urlsplit(self.base_url)
        if self.base_url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("`base_url` begins with http:// or https:// and a host")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # msgspec has one of its own, which would show all
        return [("…", None)]

    def host(self, usual: str) -> str:
        return self.base_url or usual


class RobotCredentials(Credentials, frozen=True, kw_only=True):
    """`secret` if the robot asks for signatures; `keywords` if it asks for one of them in each message."""

    access_token: str
    secret: str = ""
    keywords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.access_token.strip() or "://" in self.access_token:
            raise ValueError("`access_token` is what follows access_token= in the address of the robot's webhook")
        if any(not word.strip() for word in self.keywords) or len(self.keywords) > 10:
            raise ValueError("`keywords` are at most 10 words")


class AppCredentials(Credentials, frozen=True, kw_only=True):
    """`robot_code` is the app's key unless it is said; `agent_id` is needed for departments and everyone.

    `callback_token` and `callback_aes_key` open the events that DingTalk pushes; they are for the app's key, or for
    `corp_id`. With `stream` all is heard by a connection of our own instead. With a `card_template_id` cards with
    buttons are interactive, if what is pressed can come back: to the address that is registered as `card_route_key`
    with `card_secret`, or by the stream.
    """

    app_key: str
    app_secret: str
    robot_code: str = ""
    agent_id: int | None = None
    corp_id: str = ""
    callback_token: str = ""
    callback_aes_key: str = ""
    stream: bool = False
    card_template_id: str = ""
    card_route_key: str = ""
    card_secret: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.app_key.strip() or not self.app_secret.strip():
            raise ValueError("`app_key` and `app_secret` are those of the app (Client ID and Client Secret)")
        if bool(self.callback_token) != bool(self.callback_aes_key):
            raise ValueError("`callback_token` and `callback_aes_key` go together")
        if self.callback_aes_key and not _is_aes_key(self.callback_aes_key):
            raise ValueError("`callback_aes_key` has 43 letters and digits")
        if self.card_route_key and not self.card_secret:
            raise ValueError("`card_route_key` needs the `card_secret` it is registered with")

    @property
    def robot(self) -> str:
        return self.robot_code or self.app_key


def _is_aes_key(text: str) -> bool:
    try:
        return len(text) == 43 and len(base64.b64decode(text + "=", validate=True)) == 32
    except (binascii.Error, ValueError):
        return False
