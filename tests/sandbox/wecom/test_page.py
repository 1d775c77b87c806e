"""The page, in a browser: cards of WeCom tell the application what was pressed."""

import shutil
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, async_playwright

from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.wecom.world import AGENTS, CORP

pytestmark = pytest.mark.services
OPTIONS = [{"id": "1", "text": "一"}, {"id": "2", "text": "二"}]
CARD = {
    "card_type": "vote_interaction",
    "main_title": {"title": "<b>午餐</b>"},
    "task_id": "t1",
    "checkbox": {"question_key": "q", "mode": 1, "option_list": OPTIONS},
    "submit_button": {"text": "提交", "key": "done"},
}


@pytest.fixture
async def page(sandbox: Sandbox) -> AsyncIterator[Page]:
    """As wide as a small phone; nothing on it may throw anything."""
    program = shutil.which("chromium")
    assert program, "`make test-services` installs Debian's chromium"
    problems: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        opened = await browser.new_page(viewport={"width": 360, "height": 700}, locale="zh-CN")
        opened.on("pageerror", lambda error: problems.append(str(error)))
        yield opened
        await browser.close()
    assert problems == []


async def send(origin: str, type_: str, value: object) -> None:
    base = f"{origin}/cgi-bin"
    async with aiohttp.ClientSession() as session:
        asked = {"corpid": CORP, "corpsecret": AGENTS[0].secret}
        async with session.get(f"{base}/gettoken", params=asked) as answer:
            token = (await answer.json())["access_token"]
        body = {"touser": "lisi", "agentid": AGENTS[0].id, "msgtype": type_, type_: value}
        async with session.post(f"{base}/message/send?access_token={token}", json=body) as answer:
            assert (await answer.json())["errcode"] == 0


async def test_a_form_is_sent(sandbox: Sandbox, page: Page) -> None:
    calls: list[str] = []

    async def callback(request: web.Request) -> web.Response:
        calls.append(request.query["msg_signature"])
        return web.Response()

    door = web.Application()
    door.router.add_post("/callback", callback)
    async with TestServer(door) as server:
        await page.goto(sandbox.origin)
        await page.evaluate("url => localStorage.setItem('sandbox-url-wecom', url)", str(server.make_url("/callback")))
        await page.evaluate("localStorage.setItem('sandbox-tab', 'wecom')")
        await page.reload()
        await send(sandbox.origin, "template_card", CARD)
        await page.get_by_label("二").check()
        await page.get_by_role("button", name="提交").click()
        await page.get_by_text("应用返回 200").wait_for()
    assert len(calls) == 1
    assert await page.locator(".wc-template .wc-title").text_content() == "<b>午餐</b>"


async def test_what_stands_in_a_message_is_text(sandbox: Sandbox, page: Page) -> None:
    evil = '<img src=x onerror="document.title=1"> [x](javascript:alert(1)) <a href="javascript:alert(1)">y</a>'
    await page.goto(sandbox.origin)
    await page.evaluate("localStorage.setItem('sandbox-tab', 'wecom')")
    await page.reload()
    for type_ in ("text", "markdown"):
        await send(sandbox.origin, type_, {"content": evil})
    await page.locator(".wc-message").nth(1).wait_for()
    assert await page.locator(".wc-message img").count() == 0
    assert await page.locator(".wc-message a[href]").count() == 0
