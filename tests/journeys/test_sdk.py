"""The official LeanCloud SDKs, installed as published, against a real server."""

from collections.abc import Callable

import pytest

from tests.journeys.sdk import JOURNEYS, needs_tls, walk
from tests.support.server import App, Certificate, Server

SDKS = [pytest.param(sdk, marks=pytest.mark.xdist_group(f"sdk-{sdk}")) for sdk in ("4", "5")]
"""Each in one process: `test_sdk_interface` asks what the journeys have used."""
RESTART = "restart"
"""The journey that takes the server away; it gets one of its own."""
ROOM_RESTART = "chatroom-restart"
"""The same for chat rooms."""
GOAWAY = "goaway"
"""The journey in which the operator has all clients reconnect; it too gets a server of its own."""
SIGNATURES = "signatures"
"""The journey in an app that wants signatures."""
SIGNED = {"sign_login": "on", "sign_conversation": "on", "sign_blacklist": "on", "limits": "off"}
PUSH = "push"
"""The journey of an app that pushes (`test_push.py`)."""
ONLY_IN_4 = ["offline-push", "push-mode"]
"""SDK 5 has no such mode."""

HOOKS = "hooks"
"""The journey of an app with an engine of its own: `test_hooks`."""
SHARED = [name for name in JOURNEYS if name not in [RESTART, ROOM_RESTART, GOAWAY, SIGNATURES, HOOKS, PUSH, *ONLY_IN_4]]
"""The journeys of both SDKs that leave their server as it is."""


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("journey", SHARED)
def test_journey(journey: str, sdk: str, shared_server: Callable[[bool], Server]) -> None:
    walk(journey, sdk, shared_server(needs_tls(sdk)))


@pytest.mark.parametrize("journey", ONLY_IN_4)
def test_journey_of_sdk_4(journey: str, shared_server: Callable[[bool], Server]) -> None:
    walk(journey, "4", shared_server(True))


def test_sdk_5_over_tls(shared_server: Callable[[bool], Server]) -> None:
    walk("chat", "5", shared_server(True))


@pytest.mark.parametrize("end", [Server.kill, Server.stop])
@pytest.mark.parametrize("sdk", SDKS)
def test_restart(
    sdk: str, end: Callable[[Server], object], server_factory: Callable[..., Server], certificate: Certificate
) -> None:
    walk_restart(sdk, server_factory, certificate, end)


@pytest.mark.parametrize("end", [Server.kill, Server.stop])
@pytest.mark.parametrize("sdk", SDKS)
def test_restart_with_a_chat_room(
    sdk: str, end: Callable[[Server], object], server_factory: Callable[..., Server], certificate: Certificate
) -> None:
    walk_restart(sdk, server_factory, certificate, end, ROOM_RESTART)


def walk_restart(
    sdk: str,
    server_factory: Callable[..., Server],
    certificate: Certificate,
    end: Callable[[Server], object],
    journey: str = RESTART,
) -> None:
    """Walks a journey that takes its server away."""
    server = server_factory(certificate=certificate if needs_tls(sdk) else None)
    server.start()
    walk(journey, sdk, server, {"end": lambda: end(server), "start": server.start})


@pytest.mark.parametrize("sdk", SDKS)
def test_goaway(sdk: str, server_factory: Callable[..., Server], certificate: Certificate) -> None:
    server = server_factory(certificate=certificate if needs_tls(sdk) else None)
    server.start()
    walk(GOAWAY, sdk, server, {"goaway": lambda: server.hongyan("goaway", "--over", "0")})


@pytest.mark.parametrize("once", ["off", "on"])
@pytest.mark.parametrize("sdk", SDKS)
def test_signatures(sdk: str, once: str, shared_server: Callable[[bool], Server]) -> None:
    """Signatures that are good once are enough for an SDK, whose reconnects use its token."""
    server = shared_server(needs_tls(sdk))
    app = App(f"signed-once-{once}", "signed-key", "signed-master-key")
    server.create_app(app, signature_once=once, **SIGNED)
    walk(SIGNATURES, sdk, server, app=app)
