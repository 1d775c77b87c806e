"""Everything that the official SDKs offer is used by some journey."""

from collections.abc import Callable

import pytest

from tests.journeys.sdk import USED, needs_tls, walk
from tests.journeys.test_sdk import RESTART, SDKS, SHARED, walk_restart
from tests.support.server import Certificate, Server

NEVER_SENT = {"event:unhandledmessage"}
"""What an SDK says of commands that it does not know."""


@pytest.mark.long
@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.timeout(600)
def test_the_journeys_use_the_whole_interface(
    sdk: str,
    shared_server: Callable[[bool], Server],
    server_factory: Callable[..., Server],
    certificate: Certificate,
) -> None:
    """Walks what was not walked in this run before."""
    server = shared_server(needs_tls(sdk))
    offered = set(walk("interface", sdk, server))
    for journey in SHARED:
        if (journey, sdk) not in USED:
            walk(journey, sdk, server)
    if (RESTART, sdk) not in USED:
        walk_restart(sdk, server_factory, certificate, Server.stop)
    used = {name for (_, of), names in USED.items() if of == sdk for name in names}
    missing = sorted(offered - used - NEVER_SENT)
    assert not missing, ", ".join(missing)
