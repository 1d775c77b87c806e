"""Pages of the server on which a button is pressed, or a form filled in, whose platform can only open addresses.

Whoever has the address may press: it is signed, ends after some days, and stands in the message alone. To look at it
does nothing, since programs look at addresses, too.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import msgspec

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.errors import Refused
from hongyan.hub.channels import Channels
from hongyan.hub.connector import Acted, Chat, Person
from hongyan.hub.content import TEXT_MAX, Button, Card, Form, Input, Message
from hongyan.hub.inbound import Inbound
from hongyan.hub.records import Channel, Posted, State
from hongyan.hub.sending import Sending

PATH = "/act"
#: How long an address is good (s).
TTL = 30 * 86_400
#: Bytes of what a page sends, and characters of an address.
BODY_MAX, TOKEN_MAX = 262_144, 2_000
#: The field of a page by which a second press of the same page is the same.
ONCE = "_once"
_MAC = 32


class _Signed(NamedTuple):
    """What an address says."""

    message: str
    action: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Act:
    """What an address leads to."""

    channel: Channel
    posted: Posted
    card: Card
    button: Button | None
    form: Form | None


class Wrong(Exception):
    """What was filled in is not what the form asks for; the sentence is for who fills it in."""


class Acts:
    """`public` is the server's address, None where nobody has said."""

    def __init__(
        self,
        secret: bytes,
        channels: Channels,
        sending: Sending,
        inbound: Inbound,
        clock: Clock,
        public: Callable[[], str | None],
    ) -> None:
        self._key = hmac.digest(secret, b"acts", "sha256")
        self._channels = channels
        self._sending = sending
        self._inbound = inbound
        self._clock = clock
        self._public = public

    def url(self, key: str, action: str) -> str | None:
        """The address at which this button or form of a message is."""
        base = self._public()
        if base is None or not key:
            return None
        return f"{base.rstrip('/')}{PATH}/{self.token(key, action)}"

    def token(self, key: str, action: str) -> str:
        body = msgspec.json.encode(_Signed(key, action, self._clock.now() // 1000 + TTL))
        return f"{_text(body)}.{self._mac(body)}"

    async def find(self, token: str) -> Act:
        """Raises Refused(OBJECT_NOT_FOUND), whatever is wrong with the address."""
        signed = self._read(token)
        posted = await self._sending.find(signed.message) if signed is not None else None
        channel = self._channels.find(posted.channel_id) if posted is not None else None
        if signed is not None and posted is not None and channel is not None and channel.enabled:
            card = msgspec.json.decode(posted.body, type=Message).content
            recalled = all(each.state is State.RECALLED for each in posted.deliveries)
            if isinstance(card, Card) and not recalled:
                for button in card.buttons:
                    if button.id == signed.action:
                        return Act(channel, posted, card, button, None)
                if card.form is not None and card.form.id == signed.action:
                    return Act(channel, posted, card, None, card.form)
        raise Refused(errors.OBJECT_NOT_FOUND, "this link is not good any more")

    async def do(self, act: Act, given: Mapping[str, Sequence[str]]) -> None:
        """Press it. Raises Wrong for what does not fit the form, and Refused."""
        self._inbound.take_press(act.posted.id)
        first, *others = given.get(ONCE) or [""]
        once, given = first[:64] or secrets.token_urlsafe(16), {**given, ONCE: others}  # an input may have this id
        targets = act.posted.deliveries
        chat = Chat(targets[0].target) if len(targets) == 1 else None
        receipt = dict(targets[0].receipt or {}) if len(targets) == 1 else {}
        action = act.button.id if act.button is not None else act.form.id if act.form is not None else ""
        acted = Acted(
            f"page:{act.posted.id}:{action}:{once}",
            Person(""),
            action,
            self._clock.now(),
            act.button.value if act.button is not None else "",
            filled(act.form, given) if act.form is not None else {},
            chat,
            receipt,
        )
        await self._inbound.hear(act.channel, [acted])

    def _read(self, token: str) -> _Signed | None:
        text, _, mac = token.partition(".")
        if len(token) > TOKEN_MAX or not token.isascii():
            return None
        try:
            body = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        if not hmac.compare_digest(mac, self._mac(body)):
            return None
        signed = msgspec.json.decode(body, type=_Signed)
        return signed if signed.expires_at > self._clock.now() // 1000 else None

    def _mac(self, body: bytes) -> str:
        return hmac.new(self._key, body, "sha256").hexdigest()[:_MAC]


def filled(form: Form, given: Mapping[str, Sequence[str]]) -> dict[str, str | list[str]]:
    """The values of a form by the ids of its inputs. Raises Wrong."""
    return {each.id: _value(each, [value for value in given.get(each.id, ()) if value]) for each in form.inputs}


def _value(asked: Input, given: Sequence[str]) -> str | list[str]:
    if asked.required and not "".join(given).strip():
        raise Wrong(asked.label)
    known = {option.value for option in asked.options}
    if asked.kind in ("select", "checks") and not known.issuperset(given):
        raise Wrong(asked.label)
    if asked.kind == "checks":
        return list(dict.fromkeys(given))
    if len(given) > 1 or sum(map(len, given)) > TEXT_MAX:
        raise Wrong(asked.label)
    value = given[0] if given else ""
    if (asked.kind == "text" and not value.replace("\t", " ").isprintable()) or (
        asked.kind == "date" and value and not _is_date(value)
    ):
        raise Wrong(asked.label)
    return value


def _is_date(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [4, 2, 2] and all(part.isascii() and part.isdigit() for part in parts)


def _text(body: bytes) -> str:
    return urlsafe_b64encode(body).decode().rstrip("=")


# the page

_WORDS = {
    "en": {
        "done": "Done. The sender has been told.",
        "close": "You can close this page.",
        "over": "This link is not good any more.",
        "wrong": "Please check this field:",
        "choose": "Please choose",
        "busy": "Too many requests. Please try again in a moment.",
    },
    "zh": {
        "done": "已提交，发送方已收到。",
        "close": "可以关闭此页面。",
        "over": "此链接已失效。",
        "wrong": "请检查此项：",
        "choose": "请选择",
        "busy": "请求过多，请稍后重试。",
    },
}
_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ground: #f3f4f6; --ink: #1b1f24; --soft: #59626d;
  --line: #d3d8de; --deep: #1f5fbf; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --paper: #1d2126; --ground: #121417; --ink: #e9ecef; --soft: #a3acb6;
  --line: #3a424b; --deep: #7fb0ff; --bad: #ff9a91; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 16px; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "PingFang SC", "Noto Sans CJK SC", sans-serif; }
main { max-width: 480px; margin: 4vh auto; padding: 24px; background: var(--paper); border: 1px solid var(--line);
  border-radius: 12px; overflow-wrap: anywhere; }
h1 { margin: 0 0 8px; font-size: 20px; line-height: 1.35; }
p { margin: 0 0 12px; color: var(--soft); white-space: pre-wrap; }
p.ask { color: var(--ink); } p.wrong { color: var(--bad); }
label, legend { display: block; margin: 16px 0 4px; padding: 0; font-weight: 600; }
fieldset { border: 0; margin: 16px 0 0; padding: 0; }
fieldset label { display: flex; gap: 8px; margin: 6px 0; font-weight: 400; }
input:not([type=checkbox]), select, textarea { width: 100%; padding: 10px; font: inherit; color: inherit;
  background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
small { color: var(--soft); }
button { width: 100%; margin-top: 20px; padding: 12px; font: inherit; font-weight: 600; color: var(--paper);
  background: var(--deep); border: 0; border-radius: 8px; cursor: pointer; }
button.danger { background: var(--bad); }
:focus-visible { outline: 3px solid var(--deep); outline-offset: 2px; }
"""


class Page(NamedTuple):
    """A page, and the policy under which a browser shows it: nothing is loaded, no script runs."""

    html: str
    policy: str


def language(accepted: str) -> str:
    """`zh` for who reads Chinese first."""
    return "zh" if accepted.strip().lower().startswith("zh") else "en"


def ask(act: Act, lang: str, wrong: str = "", given: Mapping[str, Sequence[str]] | None = None) -> Page:
    """The page that asks; `wrong` is the label of the field that was filled in wrongly."""
    card, words = act.card, _WORDS[lang]
    parts = [f"<h1>{escape(card.title)}</h1>", _about(card)]
    if wrong:
        parts.append(f'<p class="wrong" role="alert">{words["wrong"]} {escape(wrong)}</p>')
    parts.append(f'<form method="post"><input type="hidden" name="{ONCE}" value="{secrets.token_urlsafe(12)}">')
    if act.button is not None:
        if act.button.confirm:
            parts.append(f'<p class="ask">{escape(act.button.confirm)}</p>')
        danger = ' class="danger"' if act.button.style == "danger" else ""
        parts.append(f"<button{danger}>{escape(act.button.text)}</button>")
    if act.form is not None:
        parts += [_input(each, number, lang, given) for number, each in enumerate(act.form.inputs)]
        parts.append(f"<button>{escape(act.form.submit)}</button>")
    return _page(lang, card.title, "".join([*parts, "</form>"]))


def _about(card: Card) -> str:
    """What it is about, as plain text."""
    from hongyan.hub import markdown  # here: connectors have loaded it

    text = markdown.Writer().write(markdown.parse(card.text)) if card.text else ""
    lines = [text, *(f"{each.name}: {each.value}" for each in card.fields)]
    told = "\n".join(line for line in lines if line)
    return f"<p>{escape(told)}</p>" if told else ""


def done(act: Act, lang: str) -> Page:
    words = _WORDS[lang]
    body = f'<h1>{escape(act.card.title)}</h1><p class="ask" role="status">{words["done"]}</p><p>{words["close"]}</p>'
    return _page(lang, act.card.title, body)


def told(lang: str, what: str) -> Page:
    """A page that says one thing: `over` or `busy`."""
    sentence = _WORDS[lang][what]
    return _page(lang, sentence, f'<p class="ask" role="alert">{sentence}</p>')


def _input(asked: Input, number: int, lang: str, given: Mapping[str, Sequence[str]] | None) -> str:
    name, id_ = escape(asked.id), f"i{number}"
    needed = " required" if asked.required else ""
    values = list(given.get(asked.id, ())) if given is not None else [asked.value] if asked.value else []
    hint = f"<small>{escape(asked.hint)}</small>" if asked.hint else ""
    if asked.kind == "checks":
        boxes = "".join(
            f'<label><input type="checkbox" name="{name}" value="{escape(option.value)}"'
            f"{' checked' if option.value in values else ''}> {escape(option.text)}</label>"
            for option in asked.options
        )
        return f"<fieldset><legend>{escape(asked.label)}</legend>{boxes}{hint}</fieldset>"
    label = f'<label for="{id_}">{escape(asked.label)}</label>'
    value = values[0] if values else ""
    if asked.kind == "select":
        options = "".join(
            f'<option value="{escape(option.value)}"{" selected" if option.value == value else ""}>'
            f"{escape(option.text)}</option>"
            for option in asked.options
        )
        first = f'<option value="">{_WORDS[lang]["choose"]}</option>'
        return f'{label}<select id="{id_}" name="{name}"{needed}>{first}{options}</select>{hint}'
    if asked.kind == "lines":
        return f'{label}<textarea id="{id_}" name="{name}" rows="4"{needed}>{escape(value)}</textarea>{hint}'
    kind = "date" if asked.kind == "date" else "text"
    return f'{label}<input id="{id_}" type="{kind}" name="{name}" value="{escape(value)}"{needed}>{hint}'


def _page(lang: str, title: str, body: str) -> Page:
    nonce = secrets.token_urlsafe(12)
    html = (
        f'<!doctype html><html lang="{"zh-CN" if lang == "zh" else "en"}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="robots" content="noindex"><title>{escape(title)}</title>'
        f'<style nonce="{nonce}">{_STYLE}</style><main>{body}</main></html>'
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return Page(html, policy)
