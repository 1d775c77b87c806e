"""The how-to page's code for browsers in Debian's Chromium: a page registers, a push is encrypted for its keys.

The push services of the browsers' makers are outside: the subscription and the way from there to the service worker
are the test's. The keys, the decryption, and what the worker shows are the browser's own.
"""

import base64
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.docs.test_howto import HOWTO
from tests.docs.tree import markdown
from tests.support.push.emulator import Reply, Request
from tests.support.push.web_push import WebPush, b64, public
from tests.support.pushing import PATIENCE, apart
from tests.support.server import Server

pytestmark = pytest.mark.services

LISTEN, WORKER = (
    token.content for token in markdown(HOWTO / "push.md") if token.type == "fence" and token.info == "js"
)
#: A subscription as a push service would give it, with keys that the browser makes and keeps.
SUBSCRIBE = """
PushManager.prototype.subscribe = async function (options) {
  window.asked = options;
  const pair = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']);
  const p256dh = await crypto.subtle.exportKey('raw', pair.publicKey);
  const auth = crypto.getRandomValues(new Uint8Array(16));
  window.own = { pair, p256dh, auth };
  const text = bytes => btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  const keys = { p256dh: text(p256dh), auth: text(auth) };
  return { toJSON: () => ({ endpoint: ENDPOINT, expirationTime: null, keys }) };
};
"""
#: RFC 8291 and RFC 8188, by the browser's own cryptography.
DECRYPT = """
async encoded => {
  const body = Uint8Array.from(atob(encoded), letter => letter.charCodeAt(0));
  const [salt, length] = [body.slice(0, 16), body[20]];
  const [sender, sealed] = [body.slice(21, 21 + length), body.slice(21 + length)];
  const { pair, p256dh, auth } = window.own;
  const curve = { name: 'ECDH', namedCurve: 'P-256' };
  const other = await crypto.subtle.importKey('raw', sender, curve, false, []);
  const shared = await crypto.subtle.deriveBits({ name: 'ECDH', public: other }, pair.privateKey, 256);
  const words = text => new TextEncoder().encode(text);
  const join = (...parts) => new Uint8Array(parts.flatMap(part => [...new Uint8Array(part)]));
  const derive = async (secret, salt, info, size) => {
    const key = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
    return crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, key, size * 8);
  };
  const keying = await derive(shared, auth, join(words('WebPush: info\\0'), p256dh, sender), 32);
  const content = await derive(keying, salt, words('Content-Encoding: aes128gcm\\0'), 16);
  const iv = await derive(keying, salt, words('Content-Encoding: nonce\\0'), 12);
  const key = await crypto.subtle.importKey('raw', content, 'AES-GCM', false, ['decrypt']);
  const plain = new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, sealed));
  return new TextDecoder().decode(plain.slice(0, plain.lastIndexOf(2)));
}
"""

#: The worker tells what it shows, as Debian's browser has nowhere to show it, and may drop it at once.
TELL = """
const show = ServiceWorkerRegistration.prototype.showNotification;
ServiceWorkerRegistration.prototype.showNotification = async function (title, options) {
  await show.call(this, title, options);
  new BroadcastChannel('shown').postMessage([title, options.body, options.data]);
};
"""


class PushService(WebPush):
    """Takes what is sent to a subscription, and can't read it."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.came = threading.Event()

    def deliver(self, request: Request) -> Reply:
        self._check_vapid(request.headers["authorization"])
        assert request.headers["content-encoding"] == "aes128gcm"
        self.bodies.append(request.body)
        self.came.set()
        return Reply(201)


@pytest.fixture
def service() -> Iterator[PushService]:
    made = PushService()
    apart(made.start())
    yield made
    apart(made.stop())


@pytest.fixture
def site(server: Server) -> Iterator[str]:
    """A page of another site, with a service worker."""
    listen = LISTEN.replace("http://127.0.0.1:8000", server.http_url)
    listen = listen.replace("'APP'", f"'{server.app.id}'").replace("'KEY'", f"'{server.app.key}'")
    files = {"/": ("text/html", f"<script>{listen}</script>"), "/worker.js": ("text/javascript", TELL + WORKER)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = files.get(self.path, ("text/plain", ""))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Not to the tests' output."""

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "`make test-services` installs Debian's chromium"
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=program, chromium_sandbox=False, args=["--disable-gpu", "--no-first-run"]
        )
        yield made
        made.close()


def test_a_browser_gets_what_is_pushed_to_it(
    server: Server, service: PushService, site: str, browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "web_push.json"
    file.write_text(json.dumps(service.credentials))
    server.hongyan("app", "push", "set", server.app.id, "web_push", "--file", str(file))

    context = browser.new_context()
    context.grant_permissions(["notifications"], origin=site)
    page = context.new_page()
    page.add_init_script(SUBSCRIBE.replace("ENDPOINT", json.dumps(f"{service.url}/push/one")))
    page.goto(site)
    page.evaluate(
        "async () => { await navigator.serviceWorker.register('worker.js'); await navigator.serviceWorker.ready; }"
    )
    made = page.evaluate("async () => listen(await navigator.serviceWorker.ready, 'jerry')")
    assert made.keys() == {"objectId", "createdAt"}
    assert page.evaluate("window.asked.applicationServerKey") == b64(public(service.key))

    say(server, {"alert": "hello", "title": "tom", "room": 7})
    assert service.came.wait(PATIENCE)
    plain = page.evaluate(DECRYPT, base64.b64encode(service.bodies[0]).decode())
    assert json.loads(plain) == {"title": "tom", "body": "hello", "data": {"room": 7}}

    tools = context.new_cdp_session(page)
    workers: list[str] = []
    tools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda e: workers.extend(r["registrationId"] for r in e["registrations"]),
    )
    tools.send("ServiceWorker.enable")
    page.evaluate(  # Playwright's own wait takes any promise for a yes
        "async () => { const { active } = await navigator.serviceWorker.ready;"
        " while (active.state !== 'activated') await new Promise(go => setTimeout(go, 20)); }"
    )
    page.evaluate("window.shown = new Promise(go => { new BroadcastChannel('shown').onmessage = e => go(e.data) }); 0")
    tools.send("ServiceWorker.deliverPushMessage", {"origin": site, "registrationId": workers[0], "data": plain})
    shown = page.evaluate("window.shown")
    assert shown == ["tom", "hello", {"room": 7}]
    context.close()


def say(server: Server, push: dict[str, object]) -> None:
    """The application sends jerry, who is not online, a message."""
    headers = {"X-LC-Id": server.app.id, "X-LC-Key": f"{server.app.master_key},master"}
    with httpx.Client(base_url=server.http_url, headers=headers) as http:
        made = http.post("/1.2/rtm/conversations", json={"m": ["tom", "jerry"]}).json()
        message = {"from_client": "tom", "message": "hi", "push_data": push}
        assert http.post(f"/1.2/rtm/conversations/{made['objectId']}/messages", json=message).status_code == 200
