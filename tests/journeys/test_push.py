"""Pushes of what the official JavaScript SDKs send, up to the receiver of a webhook."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.sdk import needs_tls, walk
from tests.journeys.test_sdk import PUSH, SDKS
from tests.support.pushing import Receiver, push_by
from tests.support.server import Certificate, Server

STATIC = '{"alert":"from ${fromClientId} in ${convId}"}'


@pytest.mark.parametrize("sdk", SDKS)
def test_push(sdk: str, server_factory: Callable[..., Server], certificate: Certificate, tmp_path: Path) -> None:
    server = server_factory(certificate=certificate if needs_tls(sdk) else None)
    server.start()
    with Receiver() as receiver:
        push_by(server, receiver, tmp_path, push_content=STATIC)
        recalled = "of a message that is recalled later"
        made = walk(PUSH, sdk, server, {"pushed three": lambda: receiver.wait(lambda: recalled in receiver.alerts)})
        receiver.wait(lambda: "after all" in receiver.alerts)
        static = f"from {made['tom']} in {made['conversation']}"
        assert sorted(receiver.alerts) == sorted(["with its own content", static, recalled, "after all"])
        assert len(set(receiver.ids)) == 4
