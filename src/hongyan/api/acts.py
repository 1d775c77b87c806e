"""Pages on which a button of a message is pressed, or its form filled in, from a platform that only opens addresses."""

import asyncio
from urllib.parse import parse_qs

from litestar import MediaType, Response, Router, get, post
from litestar.params import FromPath

from hongyan.api.leancloud.credentials import check_ready
from hongyan.api.site import CurrentSite
from hongyan.api.v1.calls import AnyRequest
from hongyan.errors import OBJECT_NOT_FOUND, Refused
from hongyan.hub import act_pages, acts
from hongyan.hub.act_pages import Page
from hongyan.hub.acts import Wrong

Token = FromPath[str]
#: Fields of a form that are read.
FIELDS_MAX = 200


@get(f"{acts.PATH}/{{token:str}}", media_type=MediaType.HTML)
async def ask(request: AnyRequest, site: CurrentSite, token: Token) -> Response[str]:
    """Ask whether the button is to be pressed; nothing happens yet."""
    check_ready(site)
    lang = _language(request)
    try:
        act = await site.hub.acts.find(token)
        return _answer(await asyncio.to_thread(act_pages.ask, act, lang))  # its text may be long
    except Refused as refusal:
        return _refused(refusal, lang)


@post(f"{acts.PATH}/{{token:str}}", media_type=MediaType.HTML, status_code=200)
async def press(request: AnyRequest, site: CurrentSite, token: Token) -> Response[str]:
    """Press it, and tell the app."""
    check_ready(site)
    lang = _language(request)
    try:
        act = await site.hub.acts.find(token)
        given = await _form(request)
        try:
            await site.hub.acts.do(act, given)
        except Wrong as wrong:
            return _answer(await asyncio.to_thread(act_pages.ask, act, lang, str(wrong), given), 400)
        return _answer(act_pages.done(act, lang))
    except Refused as refusal:
        return _refused(refusal, lang)


router = Router("/", route_handlers=[ask, press], request_max_body_size=acts.BODY_MAX, include_in_schema=False)


async def _form(request: AnyRequest) -> dict[str, list[str]]:
    body = await request.body()
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:  # it is no form, and then nothing is filled in
        return {}


def _language(request: AnyRequest) -> str:
    return act_pages.language(request.headers.get("accept-language", ""))


def _refused(refusal: Refused, lang: str) -> Response[str]:
    return _answer(act_pages.told(lang, "over" if refusal.kind is OBJECT_NOT_FOUND else "busy"), refusal.kind.status)


def _answer(page: Page, status: int = 200) -> Response[str]:
    headers = {
        "Content-Security-Policy": page.policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Robots-Tag": "noindex",
    }
    return Response(page.html, status_code=status, headers=headers, media_type=MediaType.HTML)
