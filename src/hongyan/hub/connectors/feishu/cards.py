"""Our content as cards of Feishu's schema 2.0, which clients have since version 7.20."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hongyan.hub.connectors.feishu.dialect import CardWriter, escape, link
from hongyan.hub.content import (
    Article,
    Articles,
    Audio,
    Button,
    Card,
    Content,
    Field,
    File,
    Form,
    Image,
    Input,
    Level,
    Link,
    Location,
    Markdown,
    Media,
    Table,
    Text,
    Video,
)
from hongyan.hub.degrade import Degrade, map_url, place_name

Json = dict[str, Any]
#: The colour of the header.
COLOURS: Mapping[Level, str] = {"info": "blue", "success": "green", "warning": "orange", "error": "red"}
STYLES = {"default": "default", "primary": "primary_filled", "danger": "danger"}
#: Parts of a card; characters of a button and of a hint; rows of a table on one page.
PARTS_MAX, BUTTON_MAX, HINT_MAX, PAGE_ROWS = 200, 100, 100, 10
#: Characters that people may write into one input.
INPUT_MAX = 1000
#: Fields that stand in columns; more of them are lines of one text.
COLUMNS_MAX = 20


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What was uploaded, by what it was: `media` and `pictures` are keys of Feishu, `links` addresses of the others."""

    media: Mapping[Media, str] = field(default_factory=dict)
    links: Mapping[Media, str] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Cards:
    """`acts`: whether buttons can tell the app who has pressed them, which those of robots can't."""

    degrade: Degrade
    uploaded: Uploaded
    acts: bool

    def card(self, content: Content, *, form: bool = True) -> Json:
        """Without `form` a form is filled in on a page."""
        match content:
            case Card():
                return self._card(content, form)
            case Table():
                return _made(content.title, "info", [self._table(content)])
            case Link():
                card = _made("", "info", self._link(content.title, content.url, content.text, content.image))
                return {**card, "card_link": {"url": content.url}}
            case Articles(items):
                return _made("", "info", list(_between(self._article(each) for each in items)))
            case Markdown(text, title, level):
                head = title or {"info": "", "success": "✅", "warning": "⚠️", "error": "🔴"}[level]
                return _made(head, level, [self._markdown(text)])
            case Text(text):
                return _made("", "info", [_text(escape(text))])
            case Image(media, text):
                return _made("", "info", [self._image(media, text)])
            case Location():
                self.degrade.note("location_to_link")
                name = link(escape(f"📍 {place_name(content)}"), map_url(content))
                address = [_text(escape(content.address))] if content.address and content.name else []
                return _made("", "info", [_text(name), *address])
            case File(media):
                return _made("", "info", [self._file(media, "📎", "file")])
            case Audio(media):
                return _made("", "info", [self._file(media, "🔊", "audio")])
            case Video(media, title, text):
                words = [_text(escape(text))] if text else []
                return _made("", "info", [self._file(media, "▶", "video", title), *words])

    def _card(self, card: Card, form: bool) -> Json:
        parts: list[Json] = []
        if card.image is not None:
            parts.append(self._image(card.image, card.title))
        if card.text:
            parts.append(self._markdown(card.text))
        parts += self._fields(card.fields)
        buttons = [self._button(each) for each in card.buttons]
        if card.form is not None and form and self.acts:
            parts.append(self._form(card.form))
        elif card.form is not None:
            buttons.append(self._page(card.form.submit, self.degrade.form_address(card)))
        parts += _beside(buttons)
        if card.footer:
            parts += [{"tag": "hr"}, _text(f"<font color='grey'>{escape(card.footer)}</font>", "notation")]
        made = _made(card.title, card.level, parts)
        return {**made, "card_link": {"url": card.url}} if card.url else made

    # texts and pictures

    def _markdown(self, text: str) -> Json:
        return _text(self.degrade.written(text, CardWriter(self.uploaded.pictures)))

    def _image(self, media: Media, text: str) -> Json:
        key = self.uploaded.media.get(media)
        if key is not None:
            return {"tag": "img", "img_key": key, "alt": _plain(text or media.name)}
        self.degrade.note("image_to_link")
        return _text(link(escape(f"🖼 {text or media.name or 'picture'}"), self.uploaded.links[media]))

    def _file(self, media: Media, sign: str, kind: str, title: str = "") -> Json:
        self.degrade.note(f"{kind}_to_link")
        return _text(link(escape(f"{sign} {title or media.name or kind}"), self.uploaded.links[media]))

    def _link(self, title: str, url: str, text: str, image: Media | None) -> list[Json]:
        parts = [self._image(image, title)] if image is not None else []
        parts.append(_text(f"**{link(escape(title), url)}**"))
        return [*parts, *([_text(escape(text))] if text else [])]

    def _article(self, article: Article) -> list[Json]:
        return self._link(article.title, article.url, article.text, article.image)

    # tables and fields

    def _table(self, table: Table) -> Json:
        """Feishu shows ten rows at most at a time, and turns pages."""
        names = [f"c{number}" for number in range(len(table.columns))]
        columns = [
            {"name": name, "display_name": shown, "data_type": "text", "width": "auto"}
            for name, shown in zip(names, table.columns, strict=True)
        ]
        rows = [{name: cell for name, cell in zip(names, row, strict=False)} for row in table.rows]
        return {
            "tag": "table",
            "page_size": max(1, min(len(rows), PAGE_ROWS)),
            "row_height": "auto",
            "columns": columns,
            "rows": rows,
        }

    def _fields(self, fields: Sequence[Field]) -> list[Json]:
        """Short ones beside each other."""
        if len(fields) > COLUMNS_MAX:
            self.degrade.note("fields_to_lines")
            return [_text("\n".join(f"**{escape(each.name)}**: {escape(each.value)}" for each in fields))]
        parts: list[Json] = []
        waiting: list[Json] = []
        for each in fields:
            shown = _text(f"**{escape(each.name)}**\n{escape(each.value)}")
            if each.short:
                waiting.append(shown)
            if waiting and (not each.short or len(waiting) == 2):
                parts.append(_columns(waiting))
                waiting = []
            if not each.short:
                parts.append(shown)
        return [*parts, _columns(waiting)] if waiting else parts

    # buttons and forms

    def _button(self, button: Button) -> Json:
        if not self.acts and not button.url:
            return self._page(button.text, self.degrade.address(button), button)
        behaviour = (
            {"type": "open_url", "default_url": button.url}
            if button.url
            else {"type": "callback", "value": {"action": button.id, "value": button.value}}
        )
        made = self._named(button.text, STYLES[button.style]) | {"behaviors": [behaviour]}
        if button.confirm:
            made["confirm"] = {"title": _plain(button.text), "text": _plain(button.confirm)}
        return made

    def _page(self, text: str, address: str | None, button: Button | None = None) -> Json:
        """A button that opens a page of the server; without one its text stays."""
        if address is None:
            return _text(f"**{escape(text)}**")
        style = STYLES[button.style] if button else "primary_filled"
        return self._named(text, style) | {"behaviors": [{"type": "open_url", "default_url": address}]}

    def _named(self, text: str, style: str) -> Json:
        return {"tag": "button", "text": _plain(self._label(text, BUTTON_MAX)), "type": style}

    def _form(self, form: Form) -> Json:
        submit = self._named(form.submit, "primary_filled") | {
            "name": f"{form.id}:submit",
            "form_action_type": "submit",
            "behaviors": [{"type": "callback", "value": {"action": form.id}}],
        }
        parts = [part for each in form.inputs for part in self._input(each)]
        return {"tag": "form", "name": form.id, "elements": [*parts, submit]}

    def _input(self, each: Input) -> list[Json]:
        """Text inputs have labels of their own, the others a text before them."""
        named: Json = {"name": each.id, "required": each.required, "width": "fill"}
        if each.hint:
            named["placeholder"] = _plain(self._label(each.hint, HINT_MAX))
        if each.kind in ("text", "lines"):
            lines = {"input_type": "multiline_text", "rows": 3} if each.kind == "lines" else {}
            value = {"default_value": self._label(each.value, INPUT_MAX)} if each.value else {}
            made = {"tag": "input", **named, **lines, **value, "label": _plain(each.label), "max_length": INPUT_MAX}
            return [made]
        label = _text(f"{escape(each.label)}{' *' if each.required else ''}")
        if each.kind == "date":
            return [label, {"tag": "date_picker", **named, **({"initial_date": each.value} if each.value else {})}]
        options = [{"text": _plain(option.text), "value": option.value} for option in each.options]
        chosen: Json = {}
        if each.kind == "checks":
            values = [one for one in each.value.split("\n") if one]
            chosen = {"selected_values": values} if values else {}
            return [label, {"tag": "multi_select_static", **named, **chosen, "options": options}]
        if each.value:
            chosen = {"initial_option": each.value}
        return [label, {"tag": "select_static", **named, **chosen, "options": options}]

    def _label(self, text: str, most: int) -> str:
        return self.degrade.cut(text, most, rule="title_cut")


def with_text(card: Json, markdown: str) -> Json:
    """The card with one more text at its end."""
    elements = [*card["body"]["elements"], _text(markdown)]
    return {**card, "body": {**card["body"], "elements": elements}}


def parts(value: object) -> int:
    """How many parts Feishu counts: whatever has a tag."""
    match value:
        case dict():
            return int("tag" in value) + sum(parts(each) for each in value.values())
        case list():
            return sum(parts(each) for each in value)
        case _:
            return 0


def _made(title: str, level: Level, elements: Sequence[Json]) -> Json:
    header = {"header": {"title": _plain(title), "template": COLOURS[level]}} if title else {}
    return {"schema": "2.0", "config": {"update_multi": True}, **header, "body": {"elements": list(elements)}}


def _plain(text: str) -> Json:
    return {"tag": "plain_text", "content": text}


def _text(markdown: str, size: str = "") -> Json:
    return {"tag": "markdown", "content": markdown, **({"text_size": size} if size else {})}


def _columns(elements: Sequence[Json]) -> Json:
    columns = [{"tag": "column", "width": "weighted", "weight": 1, "elements": [each]} for each in elements]
    return {"tag": "column_set", "flex_mode": "bisect", "columns": columns}


def _beside(buttons: Sequence[Json]) -> list[Json]:
    """Buttons in as many lines as they need."""
    if len(buttons) <= 1:
        return list(buttons)
    columns = [{"tag": "column", "width": "auto", "elements": [each]} for each in buttons]
    return [{"tag": "column_set", "flex_mode": "flow", "columns": columns}]


def _between(groups: Iterator[list[Json]]) -> Iterator[Json]:
    """With a line between the groups."""
    for number, group in enumerate(groups):
        if number:
            yield {"tag": "hr"}
        yield from group
