"""Templates of an app: messages with places for variables, in versions."""

import asyncio
from typing import Any

import msgspec
from litestar import MediaType, Response, delete, get, post, put
from litestar.params import FromPath
from msgspec import Struct

from hongyan.api.site import CurrentSite, Site
from hongyan.api.v1 import calls
from hongyan.api.v1.calls import BODY, PAGES, QUERY, AnyRequest, Page, app_of, body_of, limit_of
from hongyan.engine.values import App, iso_time
from hongyan.errors import INVALID_VALUE, Refused
from hongyan.hub import library, templates, variables
from hongyan.hub.library import Preview
from hongyan.hub.records import KeptTemplate
from hongyan.hub.templates import TEMPLATE_MAX, Template

ALL = "/templates"
ONE = "/templates/{template:str}"
#: Bytes of a call with a template, as callers write it.
BODY_MAX = 2 * TEMPLATE_MAX
Id = FromPath[str]


class TemplateShown(Struct):
    name: str
    version: int
    template: Template
    created_at: str


class VersionShown(Struct):
    version: int
    created_at: str


class Wanted(Struct, forbid_unknown_fields=True):
    """Without variables, examples of them are taken."""

    variables: dict[str, Any] | None = None
    language: str = ""
    version: int | None = None


class Draft(Struct, forbid_unknown_fields=True):
    """A template that is not kept. Without variables, examples of them are taken."""

    template: Template
    variables: dict[str, Any] | None = None
    language: str = ""


class Previews(Struct):
    items: list[Preview]


@get(ALL, opt={QUERY: PAGES})
async def find(request: AnyRequest, site: CurrentSite) -> Response[Page[TemplateShown]]:
    """List the templates of the app by name, each in its newest version."""
    app, limit = app_of(request, site), limit_of(request)
    begin = request.query_params.get("cursor", "")
    own = [each for each in await site.hub.library.all(app) if each.name > begin]
    after = own[limit - 1].name if len(own) > limit else None

    def encode() -> bytes:
        return msgspec.json.encode(Page([_shown(each) for each in own[:limit]], after))

    body: Any = await asyncio.to_thread(encode)  # templates may be large
    return Response(body, media_type=MediaType.JSON)


@put(ONE, status_code=200, opt={BODY: Template}, request_max_body_size=BODY_MAX)
async def save(request: AnyRequest, site: CurrentSite, template: Id) -> Response[TemplateShown]:
    """Make a template, or a new version of it: 201; 200 if nothing is different from the newest."""
    app = app_of(request, site)
    asked = await body_of(request, Template)
    before = await site.hub.library.newest(app, template)
    kept = await site.hub.library.save(app, template, asked)
    is_same = before is not None and before.version == kept.version
    return Response(_shown(kept), status_code=200 if is_same else 201)


@get(ONE, opt={QUERY: ("version",)})
async def read(request: AnyRequest, site: CurrentSite, template: Id) -> TemplateShown:
    """Read a template in its newest version, or in `version`."""
    return _shown(await site.hub.library.get(app_of(request, site), template, _version(request)))


@get(f"{ONE}/versions")
async def versions(request: AnyRequest, site: CurrentSite, template: Id) -> Page[VersionShown]:
    """List the versions of a template, the newest first."""
    found = await site.hub.library.versions(app_of(request, site), template)
    return Page([VersionShown(each.version, iso_time(each.created_at)) for each in found], None)


@delete(ONE, status_code=200)
async def erase(request: AnyRequest, site: CurrentSite, template: Id) -> dict[str, Any]:
    """Delete a template with all its versions."""
    await site.hub.library.delete(app_of(request, site), template)
    return {}


@post(f"{ONE}/preview", status_code=200, opt={BODY: Wanted})
async def preview(request: AnyRequest, site: CurrentSite, template: Id) -> Previews:
    """Show what each kind of channel would make of a template; nothing is sent."""
    app = app_of(request, site)
    asked = await body_of(request, Wanted)
    kept = await site.hub.library.get(app, template, asked.version)
    return await _previews(site, app, library.read(kept), asked.variables, asked.language)


@post(f"{ALL}/preview", status_code=200, opt={BODY: Draft}, request_max_body_size=BODY_MAX)
async def preview_draft(request: AnyRequest, site: CurrentSite) -> Previews:
    """Show what each kind of channel would make of a template that is not kept; nothing is sent."""
    app = app_of(request, site)
    asked = await body_of(request, Draft)
    await asyncio.to_thread(templates.check, asked.template)
    return await _previews(site, app, asked.template, asked.variables, asked.language)


router = calls.router(find, save, read, versions, erase, preview, preview_draft)


async def _previews(site: Site, app: App, template: Template, given: dict[str, Any] | None, language: str) -> Previews:
    values = variables.example(template.variables) if given is None else given
    await asyncio.to_thread(templates.fill_in, template, values, language)  # what is wrong is said once
    media = site.hub.media(app.key)
    items = await site.rehearse(lambda platform: templates.fill_in(template, values, language, platform), media.link)
    return Previews(items)


def _version(request: AnyRequest) -> int | None:
    """Raises Refused(INVALID_VALUE)."""
    given = request.query_params.get("version")
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise Refused(INVALID_VALUE, "version is a whole number")
    return int(given)


def _shown(kept: KeptTemplate) -> TemplateShown:
    return TemplateShown(kept.name, kept.version, library.read(kept), iso_time(kept.created_at))
