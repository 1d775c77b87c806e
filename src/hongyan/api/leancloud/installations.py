"""Installations over HTTP (REST reference 3.13, 8.6): who has the app's key registers a device and changes it."""

from typing import Any

from litestar import Request, Response, Router, delete, get, post, put
from litestar.params import FromPath

from hongyan.api.leancloud import objects
from hongyan.api.leancloud.credentials import app_of, app_of_master, has_master_key, require_key
from hongyan.api.leancloud.keys import Keys
from hongyan.api.leancloud.parameters import body_of, query_of
from hongyan.api.site import CurrentSite, Site
from hongyan.engine import installations
from hongyan.engine.objects import parse_condition
from hongyan.engine.values import App

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]
Row = dict[str, Any]

INSTALLATIONS, CLASS = "/1.1/installations", "/1.1/classes/_Installation"
ONE = [f"{INSTALLATIONS}/{{installation:str}}", f"{CLASS}/{{installation:str}}"]


@post([INSTALLATIONS, CLASS])
async def register(request: AnyRequest, site: CurrentSite) -> Response[Row]:
    """Register a device: 201 for a new one; one that is known by its id or token is changed, with 200."""
    app = _app(request, site)
    row, is_new = await site.engine.installations.register(app, await body_of(request))
    if is_new:
        return objects.created(INSTALLATIONS, row, {})
    return Response(objects.updated(row), status_code=200)


@get([INSTALLATIONS, CLASS])
async def find(request: AnyRequest, site: CurrentSite) -> Row:
    """Installations by `where`, `order`, `limit`, `skip`, `keys`, `count`; with the master key."""
    app, devices = app_of_master(request, site), site.engine.installations
    return await objects.found(
        query_of(request),
        lambda wanted: devices.find(app, wanted),
        lambda condition: devices.count(app, condition),
        lambda row: installations.shown(row, is_master=True),
    )


@get("/1.1/scan/classes/_Installation")
async def scan(request: AnyRequest, site: CurrentSite) -> Row:
    """All installations, page by page in the order of one key; with the master key."""
    app, devices = app_of_master(request, site), site.engine.installations
    return await objects.scanned(
        query_of(request),
        site.engine.clock.now(),
        lambda wanted: devices.find(app, wanted),
        lambda row: installations.shown(row, is_master=True),
    )


@get(ONE)
async def read(request: AnyRequest, site: CurrentSite, installation: Id) -> Row:
    """One installation, without the device's address unless with the master key; `{}` if there is none."""
    app = _app(request, site)
    row = await site.engine.installations.read(app, installation)
    if row is None:
        return {}
    shown = installations.shown(row, is_master=has_master_key(request))
    return Keys(query_of(request).get("keys", "")).show(objects.row_of(row, shown))


@put(ONE)
async def change(request: AnyRequest, site: CurrentSite, installation: Id) -> Row:
    """Change the installation whose id one was told."""
    app, asked = _app(request, site), query_of(request)
    values = await body_of(request)
    condition = parse_condition(asked.get("where", "")) if has_master_key(request) else None
    row = await site.engine.installations.change(app, installation, values, condition)
    if not objects.wants_row(asked):
        return objects.updated(row)
    return objects.row_of(row, installations.shown(row, is_master=has_master_key(request)))


@delete(ONE, status_code=200)
async def erase(request: AnyRequest, site: CurrentSite, installation: Id) -> Row:
    """With the master key."""
    await site.engine.installations.delete(app_of_master(request, site), installation)
    return {}


router: Router = objects.router(register, find, scan, read, change, erase)


def _app(request: AnyRequest, site: Site) -> App:
    app = app_of(request, site)
    require_key(request, app)
    return app
