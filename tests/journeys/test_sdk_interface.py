"""Everything that the official SDKs offer for normal conversations is used by some journey."""

from collections.abc import Callable

import pytest

from tests.journeys.sdk import USED, needs_tls, walk
from tests.journeys.test_sdk import RESTART, SDKS, SHARED, walk_restart
from tests.support.server import Certificate, Server

ISSUE_4 = {
    "Conversation.blockMembers",
    "Conversation.getAllMemberInfo",
    "Conversation.getMemberInfo",
    "Conversation.muteMembers",
    "Conversation.queryBlockedMembers",
    "Conversation.queryMutedMembers",
    "Conversation.unblockMembers",
    "Conversation.unmuteMembers",
    "Conversation.updateMemberRole",
    "IMClient.createChatRoom",
    "event:blocked",
    "event:memberinfoupdated",
    "event:membersblocked",
    "event:membersmuted",
    "event:membersunblocked",
    "event:membersunmuted",
    "event:muted",
    "event:unblocked",
    "event:unmuted",
}
"""Chat rooms, service and temporary conversations, roles and moderation: what issue 4 brings."""

NEVER_SENT = {"event:unhandledmessage"}
"""What an SDK says of commands that it does not know."""


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
    missing = sorted(offered - used - ISSUE_4 - NEVER_SENT)
    assert not missing, ", ".join(missing)
    assert not used & ISSUE_4, ", ".join(sorted(used & ISSUE_4))
