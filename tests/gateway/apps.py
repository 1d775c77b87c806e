"""The app of the shared server beside the one without limits."""

import ssl
from dataclasses import dataclass

from tests.support.client import Gateway
from tests.support.server import App

#: With the rate limits that every new app has; tokens live a second, conversations have three members, messages
#: 100 bytes, nothing is edited or recalled, and there are no roles.
STRICT = App(id="strict-app", key="strict-key", master_key="strict-master-key")


@dataclass(frozen=True)
class Door:
    """The way into an app."""

    gateway_url: str
    app: App
    ssl_context: ssl.SSLContext | None = None


def into(server: Gateway, app: App) -> Door:
    """The same server, for clients of another app."""
    return Door(server.gateway_url, app)
