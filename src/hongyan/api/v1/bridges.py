"""Bridges of an app: conversations that are mirrored with a group on another platform."""

from typing import Any

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath
from msgspec import Struct

from hongyan.api.site import CurrentSite
from hongyan.api.v1 import calls
from hongyan.api.v1.calls import BODY, PAGES, QUERY, AnyRequest, Page, app_of, body_of, part_of
from hongyan.engine.values import iso_time
from hongyan.hub.records import Bridge

ALL = "/bridges"
ONE = "/bridges/{bridge:str}"
Id = FromPath[str]


class NewBridge(Struct, forbid_unknown_fields=True):
    """`to` is the group, as a message of the channel would name it; a robot has one of its own."""

    conversation: str
    channel: str
    to: str = ""
    enabled: bool = True


class BridgeChange(Struct, forbid_unknown_fields=True):
    enabled: bool


class BridgeShown(Struct):
    id: str
    conversation: str
    channel: str
    to: str
    enabled: bool
    created_at: str
    updated_at: str


@get(ALL, opt={QUERY: PAGES})
async def find(request: AnyRequest, site: CurrentSite) -> Page[BridgeShown]:
    """List the bridges of the app, the oldest first."""
    found, cursor = part_of(request, site.hub.bridges.of_app(app_of(request, site)))
    return Page([_shown(each) for each in found], cursor)


@post(ALL, opt={BODY: NewBridge})
async def create(request: AnyRequest, site: CurrentSite) -> Response[BridgeShown]:
    """Have a conversation and a group hear each other."""
    app = app_of(request, site)
    asked = await body_of(request, NewBridge)
    made = await site.hub.bridges.create(app, asked.conversation, asked.channel, asked.to, enabled=asked.enabled)
    return Response(_shown(made), status_code=201, headers={"Location": f"{calls.PREFIX}{ALL}/{made.id}"})


@get(ONE)
async def read(request: AnyRequest, site: CurrentSite, bridge: Id) -> BridgeShown:
    """Read a bridge."""
    return _shown(site.hub.bridges.get(app_of(request, site), bridge))


@patch(ONE, opt={BODY: BridgeChange})
async def change(request: AnyRequest, site: CurrentSite, bridge: Id) -> BridgeShown:
    """Enable or disable a bridge; what is said while it is disabled is not told later."""
    app = app_of(request, site)
    asked = await body_of(request, BridgeChange)
    return _shown(await site.hub.bridges.enable(app, bridge, enabled=asked.enabled))


@delete(ONE, status_code=200)
async def erase(request: AnyRequest, site: CurrentSite, bridge: Id) -> dict[str, Any]:
    """Delete a bridge; what was said stays on both sides."""
    await site.hub.bridges.delete(app_of(request, site), bridge)
    return {}


router = calls.router(find, create, read, change, erase)


def _shown(bridge: Bridge) -> BridgeShown:
    return BridgeShown(
        bridge.id,
        bridge.conversation_id,
        bridge.channel_id,
        str(bridge.target),
        bridge.enabled,
        iso_time(bridge.created_at),
        iso_time(bridge.updated_at),
    )
