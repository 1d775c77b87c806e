"""A message as HTML that mail clients show well, on light and dark ground.

Styles stand at each element, as some clients leave out all others. There is no script, no form, and nothing is loaded
but pictures of the message.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape

from hongyan.hub.content import Field, Level
from hongyan.hub.markdown import Block, Blocks, Inlines, Paragraph, Writer

COLORS: Mapping[Level, str] = {"info": "#1d5c63", "success": "#1f7a4d", "warning": "#b7791f", "error": "#c0362c"}
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif"
_MONO = "font-family:ui-monospace,Menlo,Consolas,monospace"
_LINE, _SOFT, _INK = "#d9dfe1", "#5b676b", "#1d2426"
_CELL = f"border:1px solid {_LINE};padding:6px 10px;text-align:left;vertical-align:top"
#: For clients that know dark ground; the others get the styles above.
_DARK = (
    ":root{color-scheme:light dark;supported-color-schemes:light dark}"
    "@media (prefers-color-scheme:dark){"
    ".hy-page{background:#12181a!important}"
    ".hy-panel{background:#1b2325!important;color:#e4eaeb!important;border-left-color:#323d40!important;"
    "border-right-color:#323d40!important;border-bottom-color:#323d40!important}"
    ".hy-panel td,.hy-panel th,.hy-panel hr,.hy-panel pre,.hy-panel blockquote{border-color:#3b474a!important}"
    ".hy-soft,.hy-panel blockquote{color:#98a6aa!important}"
    ".hy-code{background:#283235!important;color:#e4eaeb!important}"
    ".hy-link{color:#6cc0c8!important}"
    ".hy-plain{background:#283235!important;color:#e4eaeb!important;border-color:#4a585c!important}"
    "}"
)
_URL = re.compile(r"https?://[^\s<>\"'，。；！？、（）《》】」]+[^\s<>\"'，。；！？、（）《》】」.,;:!?)\]]")


class Html(Writer):
    """Writes a tree of Markdown as HTML."""

    gap = "\n"

    def block(self, block: Block) -> str:
        if isinstance(block, Paragraph):
            return f'<p style="margin:0 0 12px">{self.inline(block.inner)}</p>'
        return super().block(block)

    def text(self, text: str) -> str:
        return escape(text)

    def line_break(self) -> str:
        return "<br>"

    def bold(self, inner: Inlines) -> str:
        return f"<strong>{self.inline(inner)}</strong>"

    def italic(self, inner: Inlines) -> str:
        return f"<em>{self.inline(inner)}</em>"

    def strike(self, inner: Inlines) -> str:
        return f"<s>{self.inline(inner)}</s>"

    def code(self, text: str) -> str:
        style = f"{_MONO};font-size:.92em;background:#eef1f2;border-radius:3px;padding:1px 4px"
        return f'<code class="hy-code" style="{style}">{escape(text)}</code>'

    def link(self, url: str, inner: Inlines) -> str:
        return link(url, self.inline(inner))

    def picture(self, url: str, text: str) -> str:
        return picture(url, text) if url.startswith(("http://", "https://")) else escape(f"{text} ({url})")

    def heading(self, level: int, inner: Inlines) -> str:
        size = {1: 21, 2: 18, 3: 16}.get(level, 15)
        style = f"margin:18px 0 8px;font-size:{size}px;line-height:1.35;font-weight:600"
        return f'<h{level} style="{style}">{self.inline(inner)}</h{level}>'

    def quote(self, blocks: Blocks) -> str:
        style = f"margin:0 0 12px;padding:2px 0 2px 12px;border-left:3px solid {_LINE};color:{_SOFT}"
        return f'<blockquote style="{style}">{self.item(blocks)}</blockquote>'

    def bullets(self, items: Sequence[Blocks], start: int | None) -> str:
        name, first = ("ul", "") if start is None else ("ol", f' start="{start}"' if start != 1 else "")
        shown = "".join(f'<li style="margin:2px 0">{self.item(item)}</li>' for item in items)
        return f'<{name}{first} style="margin:0 0 12px;padding-left:24px">{shown}</{name}>'

    def item(self, blocks: Blocks) -> str:
        """Without the space of paragraphs."""
        return "".join(
            self.inline(each.inner) + ("<br>" if number + 1 < len(blocks) else "")
            if isinstance(each, Paragraph)
            else self.block(each)
            for number, each in enumerate(blocks)
        )

    def code_block(self, text: str, language: str) -> str:
        style = (
            f"{_MONO};font-size:13px;line-height:1.5;background:#eef1f2;border:1px solid {_LINE};border-radius:4px;"
            "padding:10px 12px;margin:0 0 12px;white-space:pre-wrap;word-break:break-word"
        )
        return f'<pre class="hy-code" style="{style}">{escape(text)}</pre>'

    def rule(self) -> str:
        return f'<hr style="border:0;border-top:1px solid {_LINE};margin:16px 0">'

    def grid(self, columns: Sequence[Inlines], rows: Sequence[Sequence[Inlines]]) -> str:
        return table([self.inline(each) for each in columns], [[self.inline(cell) for cell in row] for row in rows])


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML."""
    head = "".join(f'<th style="{_CELL};font-weight:600">{each}</th>' for each in columns)
    body = "".join("<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows)
    style = "border-collapse:collapse;margin:0 0 12px;font-size:14px"
    return f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def plain(text: str) -> str:
    """Plain text; its lines and spaces stay, and addresses can be clicked."""
    shown: list[str] = []
    end = 0
    for found in _URL.finditer(text):
        shown += [_lines(text[end : found.start()]), link(found[0], escape(found[0]))]
        end = found.end()
    return f'<p style="margin:0 0 12px">{"".join([*shown, _lines(text[end:])])}</p>'


def _lines(text: str) -> str:
    kept = re.sub(r"(?m)^ +| {2,}", lambda spaces: "&nbsp;" * len(spaces[0]), escape(text))
    return kept.replace("\n", "<br>")


def link(url: str, inner: str) -> str:
    """`inner` is HTML. An address that is none of the web or mail stands beside its text."""
    if not url.startswith(("http://", "https://", "mailto:", "tel:")):
        return f"{inner} ({escape(url)})"
    style = "color:#1d5c63;text-decoration:underline"
    return f'<a class="hy-link" href="{escape(url)}" style="{style}">{inner or escape(url)}</a>'


def picture(url: str, text: str, width: str = "max-width:100%") -> str:
    style = f"{width};height:auto;border:0;border-radius:4px"
    return f'<img src="{escape(url)}" alt="{escape(text)}" style="{style}">'


def title(text: str) -> str:
    """`text` is HTML."""
    return f'<h1 style="margin:0 0 12px;font-size:20px;line-height:1.35;font-weight:600">{text}</h1>'


def block(inner: str) -> str:
    return f'<div style="margin:0 0 12px">{inner}</div>'


def fields(fields: Sequence[Field]) -> str:
    """Names and values beside each other."""
    rows = "".join(
        f'<tr><td class="hy-soft" style="padding:3px 16px 3px 0;color:{_SOFT};vertical-align:top">'
        f'{escape(each.name)}</td><td style="padding:3px 0;vertical-align:top">{_lines(each.value)}</td></tr>'
        for each in fields
    )
    return f'<table role="presentation" style="border-collapse:collapse;margin:0 0 12px;font-size:15px">{rows}</table>'


def button(url: str, text: str, style: str) -> str:
    ground = {"primary": COLORS["info"], "danger": COLORS["error"]}.get(style)
    look = (
        f"background:{ground};color:#ffffff;border:1px solid {ground}"
        if ground
        else f"background:#ffffff;color:{_INK};border:1px solid #b9c3c6"
    )
    shape = "display:inline-block;padding:8px 18px;margin:0 8px 8px 0;border-radius:6px;text-decoration:none"
    kind = "" if ground else ' class="hy-plain"'
    return f'<a{kind} href="{escape(url)}" style="{look};{shape};font-size:14px;font-weight:600">{escape(text)}</a>'


def article(head: str, text: str, image: str) -> str:
    """All HTML; the picture stands to the left."""
    side = f'<td style="padding:0 14px 0 0;vertical-align:top;width:96px">{image}</td>' if image else ""
    body = f'<td style="vertical-align:top"><strong style="font-size:16px">{head}</strong>{text}</td>'
    style = "border-collapse:collapse;width:100%;margin:0 0 14px"
    return f'<table role="presentation" style="{style}"><tr>{side}{body}</tr></table>'


def footer(text: str) -> str:
    style = f"margin:16px 0 0;font-size:13px;color:{_SOFT}"
    return f'<p class="hy-soft" style="{style}">{_lines(text)}</p>'


def page(subject: str, body: str, level: Level) -> str:
    """The whole document."""
    panel = (
        f"background:#ffffff;color:{_INK};border:1px solid {_LINE};border-top:4px solid {COLORS[level]};"
        f"border-radius:8px;padding:22px 24px 12px;text-align:left;{_FONT};font-size:15px;line-height:1.6;"
        "word-break:break-word"
    )
    return (
        '<!doctype html><html><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
        f"<title>{escape(subject)}</title><style>{_DARK}</style></head>"
        '<body class="hy-page" style="margin:0;padding:0;background:#eef1f2">'
        '<table role="presentation" class="hy-page" width="100%" style="border-collapse:collapse;background:#eef1f2">'
        '<tr><td align="center" style="padding:20px 10px">'
        '<table role="presentation" width="100%" style="border-collapse:separate;max-width:640px"><tr>'
        f'<td class="hy-panel" style="{panel}">{body}</td>'
        "</tr></table></td></tr></table></body></html>"
    )
