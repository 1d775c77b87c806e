"""The page of the sandbox in Debian's Chromium: what arrives is seen at once, and what people do is told."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from hongyan.sandbox import emulators
from hongyan.sandbox.server import Sandbox
from tests.journeys.test_chat_page import WIDTHS, browser

__all__ = ["browser"]

pytestmark = pytest.mark.services

TEXT = {"msgtype": "text", "text": {"content": "<b>The disk</b> of db-1 is full"}}
BOTH = [("phone", "light", "en-GB"), ("desktop", "dark", "zh-CN")]
Open = Callable[..., Page]


@pytest.fixture
def origin() -> Iterator[str]:
    """A running sandbox."""
    loop = asyncio.new_event_loop()
    made = Sandbox(emulators())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield asyncio.run_coroutine_threadsafe(made.start(), loop).result(60)
    asyncio.run_coroutine_threadsafe(made.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Open]:
    """Opens it; it may throw nothing, and load nothing that it may not."""
    problems: list[str] = []
    contexts = []

    def enter(screen: str = "desktop", scheme: Any = "light", locale: str = "en-GB") -> Page:
        context = browser.new_context(viewport=WIDTHS[screen], color_scheme=scheme, locale=locale)
        contexts.append(context)
        made = context.new_page()
        made.set_default_timeout(40_000)
        made.on("pageerror", lambda error: problems.append(str(error)))
        made.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        made.goto(origin)
        expect(made.locator("#live")).to_have_attribute("data-state", "live")
        return made

    yield enter
    for context in contexts:
        context.close()
    assert problems == []


def send(origin: str, body: Any = TEXT) -> None:
    """By the robot of a group in WeCom."""
    with urllib.request.urlopen(f"{origin}/sandbox/world") as answer:
        key = json.load(answer)["platforms"]["wecom"]["robots"][0]["key"]
    request = urllib.request.Request(
        f"{origin}/cgi-bin/webhook/send?key={key}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["errcode"] == 0


@pytest.mark.parametrize(("screen", "scheme", "locale"), BOTH)
def test_what_arrives_is_seen_at_once(page: Open, origin: str, screen: str, scheme: str, locale: str) -> None:
    opened = page(screen, scheme, locale)
    expect(opened.locator("html")).to_have_attribute("lang", "zh-CN" if locale == "zh-CN" else "en")
    send(origin)
    if screen == "phone":
        expect(opened.locator("#tab-wecom .count")).to_have_text("1")
        opened.locator("#tab-dingtalk").press("ArrowRight")
    message = opened.locator("#column-wecom .message")
    expect(message.locator(".look")).to_contain_text("<b>The disk</b> of db-1 is full")
    message.locator("summary").click()
    expect(message.locator(".raw")).to_contain_text('"content": "<b>The disk</b>')
    assert opened.evaluate("document.documentElement.scrollWidth") == WIDTHS[screen]["width"]
    opened.reload()
    expect(opened.locator("#column-wecom .message")).to_have_count(1)
    opened.locator("#clear").click()
    expect(opened.locator("#column-wecom .message")).to_have_count(0)


def test_languages_are_switched_and_kept(page: Open) -> None:
    opened = page()
    opened.locator("#language").click()
    expect(opened.locator("#clear")).to_have_text("清空消息")
    opened.reload()
    expect(opened.locator("#clear")).to_have_text("清空消息")


def test_faults_are_made_and_taken_back(page: Open, origin: str) -> None:
    opened = page()
    opened.locator("#faults-open").click()
    opened.locator("#fault-platform").select_option("wecom")
    opened.locator("#fault-what").select_option("refused")
    opened.locator("#faults-form button").click()
    expect(opened.locator("#faults-count")).to_have_text("1")
    expect(opened.locator("#faults-list li")).to_have_count(1)
    with pytest.raises(AssertionError):
        send(origin)
    opened.keyboard.press("Escape")
    send(origin)
    expect(opened.locator("#column-wecom .message")).to_have_count(1)


def test_what_people_say_is_told(page: Open, origin: str) -> None:
    told: list[bytes] = []

    class App(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), App) as app:
        threading.Thread(target=app.serve_forever).start()
        opened = page()
        column = opened.locator("#column-slack")
        column.locator(".row > input").fill("anybody there?")
        opened.keyboard.press("Enter")
        expect(opened.locator(".toast")).to_contain_text("First give the inbound address")
        column.locator(".where input").fill(f"http://127.0.0.1:{app.server_port}/in")
        column.locator(".row > button").click()
        expect(opened.locator(".toast").last).to_contain_text("The app answered 200")
        app.shutdown()
    assert b"anybody there?" in told[0]


def test_accounts_are_shown(page: Open, origin: str) -> None:
    opened = page()
    opened.locator("#column-feishu > header button").click()
    expect(opened.locator("#accounts")).to_contain_text(origin)
    expect(opened.locator("#accounts")).to_contain_text("cli_sandbox00000001")
    opened.keyboard.press("Escape")
    expect(opened.locator("#accounts")).to_be_hidden()
