"""The pages of `acts`, in English or Chinese: they load nothing and run no script."""

import secrets
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from hongyan.hub.acts import ONCE, Act
from hongyan.hub.content import Card, Input

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
    """The page after a press."""
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
