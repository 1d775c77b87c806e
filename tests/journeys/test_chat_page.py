"""The chat page at `/` in Debian's Chromium: the official browser SDK against a real server."""

import asyncio
import re
import shutil
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hongyan_client import Client, Conversation, Message
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.server import Server

pytestmark = pytest.mark.services

QUIET = ["--disable-gpu", "--no-first-run", "--disable-component-update", "--disable-sync"]
WIDTHS = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 800}}
PAGE = 30
"""Messages that the page loads at a time."""

expect.set_options(timeout=40_000)  # a busy machine is slow, and a reconnection waits up to 16 s

Enter = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "`make test-services` installs Debian's chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, chromium_sandbox=False, args=[*QUIET, "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def enter(browser: Browser, server: Server) -> Iterator[Enter]:
    """Opens the page as somebody, each in a browser profile of their own; no page may throw anything."""
    problems: list[str] = []
    contexts = []

    def enter(name: str, screen: str = "desktop", **options: Any) -> Page:
        context = browser.new_context(viewport=WIDTHS[screen], **{"locale": "en-GB", **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(40_000)
        page.on("pageerror", lambda error: problems.append(f"{name}: {error}"))
        page.on("console", lambda line: problems.extend(re.findall(".*Content Security Policy.*", line.text)))
        page.goto(server.http_url)
        page.locator("#name").fill(name)
        page.keyboard.press("Enter")
        expect(page.locator("#me")).to_have_text(name)
        expect(page.locator("#me")).to_be_visible()
        return page

    yield enter
    for context in contexts:
        context.close()
    assert not problems


def start_chat(page: Page, peer: str) -> None:
    page.locator("#peer").fill(peer)
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text(peer)


def say(page: Page, *texts: str) -> None:
    for text in texts:
        page.locator("#text").fill(text)
        page.locator("#text").press("Enter")


def sent(page: Page, text: str) -> None:
    row = page.locator(".row.mine[data-state=sent]").filter(has=page.get_by_text(text, exact=True))
    expect(row).to_have_count(1)


def bubbles(page: Page) -> list[str]:
    texts: list[str] = page.locator(".bubble").all_inner_texts()
    return texts


def test_two_people_talk(enter: Enter) -> None:
    lin, mei = enter("Lin"), enter("Mei")
    start_chat(lin, "Mei")
    say(lin, "Is the report ready?", "<b>By Friday</b> & no later")

    expect(mei.locator(".badge")).to_have_text(re.compile("^2"))
    expect(mei).to_have_title(re.compile(r"^\(2\)"))
    expect(mei.locator(".preview")).to_have_text("<b>By Friday</b> & no later")

    mei.locator(".conversation").press("Enter")
    expect(mei.locator(".bubble")).to_have_text(["Is the report ready?", "<b>By Friday</b> & no later"])
    expect(mei.locator(".badge")).to_have_count(0)

    say(mei, "Tomorrow morning")
    expect(lin.locator(".row:not(.mine) .bubble")).to_have_text("Tomorrow morning")
    sent(mei, "Tomorrow morning")
    expect(lin.locator(".badge")).to_have_count(0)


def test_an_edit_and_a_recall_are_seen_at_once(enter: Enter, server: Server) -> None:
    lin = enter("Lin")
    start_chat(lin, "Mei")
    draft, slip = elsewhere(server, "Mei", lambda chat: [chat.send("At ten"), chat.send("Wrong window")])
    expect(lin.locator(".bubble")).to_have_text(["At ten", "Wrong window"])
    elsewhere(server, "Mei", lambda chat: [chat.edit(draft, "At eleven"), chat.recall(slip)])
    expect(lin.locator(".bubble")).to_have_text(["At eleven", "[A message that was taken back]"])
    expect(lin.locator(".preview")).to_have_text("[A message that was taken back]")


def elsewhere(
    server: Server, name: str, steps: Callable[[Conversation], list[Coroutine[Any, Any, Message]]]
) -> list[Message]:
    """What somebody does without a page in the only conversation; in a thread, for Playwright's loop runs here."""

    async def act() -> list[Message]:
        async with Client.open(server.http_url, app_id=server.app.id, app_key=server.app.key, client_id=name) as client:
            chat = await client.query().members_include(name).first()
            assert chat
            return [await step for step in steps(chat)]

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, act()).result()


def test_history_and_read_position_outlive_the_page(enter: Enter) -> None:
    lin, mei = enter("Lin"), enter("Mei")
    start_chat(lin, "Mei")
    texts = [f"line {number}" for number in range(PAGE + 12)]
    say(lin, *texts)
    sent(lin, texts[-1])
    expect(mei.locator(".badge")).to_have_text(re.compile(f"^{len(texts)}"))
    mei.locator(".conversation").click()
    expect(mei.locator(".badge")).to_have_count(0)

    for page in (lin, mei):
        page.reload()
        expect(page.locator(".bubble")).to_have_text(texts[-PAGE:])
        expect(page.locator(".badge")).to_have_count(0)
        page.get_by_role("button", name="Earlier messages").click()
        expect(page.locator(".bubble")).to_have_text(texts)
        expect(page.get_by_role("button", name="Earlier messages")).to_be_hidden()


def test_a_lost_connection_comes_back(enter: Enter, server: Server) -> None:
    lin, mei = enter("Lin"), enter("Mei")
    start_chat(lin, "Mei")
    say(lin, "before")
    mei.locator(".conversation").click()
    sent(lin, "before")

    server.kill()
    for page in (lin, mei):
        expect(page.get_by_role("status")).to_have_text("Reconnecting…")
        expect(page.locator("#lost")).to_be_visible()
    say(lin, "while away")
    expect(lin.locator(".row[data-state=sending]")).to_have_text(re.compile("while away.*Sending"))

    server.start()
    for page in (lin, mei):
        expect(page.get_by_role("status")).to_have_text("Connected")
        expect(page.locator(".bubble")).to_have_text(["before", "while away"])
    sent(lin, "while away")
    say(mei, "welcome back")
    for page in (lin, mei):
        expect(page.locator(".bubble")).to_have_text(["before", "while away", "welcome back"])
        page.reload()
        expect(page.locator(".bubble")).to_have_text(["before", "while away", "welcome back"])


def test_a_person_on_two_devices_sees_the_same(enter: Enter) -> None:
    desk, phone, mei = enter("Lin"), enter("Lin", "phone"), enter("Mei")
    start_chat(desk, "Mei")
    say(desk, "from the desk")
    phone.locator(".conversation").click()
    expect(phone.locator(".row.mine .bubble")).to_have_text("from the desk")
    mei.locator(".conversation").click()
    say(mei, "seen")
    for page in (desk, phone):
        expect(page.locator(".row:not(.mine) .bubble")).to_have_text("seen")
    say(phone, "from the phone")
    expect(desk.locator(".row.mine .bubble")).to_have_text(["from the desk", "from the phone"])


def test_a_refused_message_says_so_and_can_be_tried_again(enter: Enter) -> None:
    lin = enter("Lin")
    start_chat(lin, "Mei")
    say(lin, "long " * 2_000)
    failed = lin.locator(".row[data-state=failed]")
    expect(failed).to_have_text(re.compile(r"Not sent \(.+\)"))
    failed.get_by_role("button", name="Try again").click()
    expect(failed).to_have_count(1)
    say(lin, "short")
    sent(lin, "short")


def test_enter_that_ends_a_composition_does_not_send(enter: Enter) -> None:
    lin = enter("林", locale="zh-CN")
    start_chat(lin, "陈美")
    lin.get_by_label("输入消息").focus()
    keyboard = lin.context.new_cdp_session(lin)
    keyboard.send("Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5})
    keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", "key": "Enter", "code": "Enter"})
    keyboard.send("Input.insertText", {"text": "你好"})
    expect(lin.get_by_label("输入消息")).to_have_value("你好")
    assert bubbles(lin) == []
    lin.keyboard.press("Shift+Enter")
    lin.keyboard.insert_text("再见")
    lin.keyboard.press("Enter")
    expect(lin.locator(".bubble")).to_have_text("你好 再见")
    assert bubbles(lin) == ["你好\n再见"]


def test_a_name_is_remembered_until_it_is_changed(enter: Enter) -> None:
    page = enter("Lin")
    page.reload()
    expect(page.locator("#me")).to_have_text("Lin")
    page.locator("#peer").fill("Lin")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That is your own name.")
    page.get_by_role("button", name="Switch name").click()
    expect(page.get_by_label("Your name")).to_be_focused()


def test_two_pages_of_one_browser_are_two_people(enter: Enter, server: Server) -> None:
    lin = enter("Lin")
    mei = lin.context.new_page()
    mei.set_default_timeout(40_000)
    mei.goto(server.http_url)
    mei.locator("#name").fill("  ")
    mei.keyboard.press("Enter")
    expect(mei.get_by_role("alert")).to_have_text("Please enter a name.")
    mei.locator("#name").fill("Mei")
    mei.keyboard.press("Enter")
    start_chat(lin, "Mei")
    say(lin, "Good morning")
    expect(mei.locator(".badge")).to_have_text(re.compile("^1"))
    for page, name in ((lin, "Lin"), (mei, "Mei")):
        page.reload()
        expect(page.locator("#me")).to_have_text(name)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", WIDTHS)
def test_the_page_fits_each_screen_and_theme(enter: Enter, tmp_path: Path, screen: str, theme: str) -> None:
    page = enter("Lin", screen, color_scheme=theme)
    page.screenshot(path=tmp_path / f"list-{screen}-{theme}.png")
    start_chat(page, "Mei")
    say(page, "A-very-long-word-without-a-place-to-break-" * 8, "short")
    sent(page, "short")
    page.screenshot(path=tmp_path / f"thread-{screen}-{theme}.png")

    assert page.evaluate("document.documentElement.scrollWidth") == WIDTHS[screen]["width"]
    expect(page.locator(".sidebar")).to_be_visible(visible=screen == "desktop")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", ground)) / 3
    assert (brightness > 128) == (theme == "light")
    if screen == "phone":
        page.get_by_role("link", name="Back to conversations").click()
        expect(page.locator(".conversation")).to_be_visible()
