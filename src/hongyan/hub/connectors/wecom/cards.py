"""Template cards: notices, and those with buttons or a form that tell the application."""

import hashlib
import re
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from msgspec.structs import replace

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.connectors.wecom.rendering import GroupRendering, Part, Rendering, RobotRendering
from hongyan.hub.content import Button, Card, Content, Form, Input, Markdown, Table, Text
from hongyan.hub.degrade import Degrade, escape
from hongyan.hub.fitting import cut, utf8
from hongyan.hub.markdown import Writer, parse

#: Characters of titles, of what stands under them, of the text, of the source and of the text of a button.
TITLE_MAX, LINE_MAX, TEXT_MAX, SOURCE_MAX, BUTTON_MAX = 36, 44, 160, 20, 10
FIELDS_MAX, JUMPS_MAX, BUTTONS_MAX, SELECTS_MAX, CHECKS_MAX = 6, 3, 6, 3, 20
#: Characters of the value of a field; WeCom advises 30, and states no limit (unverified).
VALUE_MAX = 100
#: Bytes of the key of a button, of the id of an option; options of a list (unverified).
KEY_MAX, OPTION_ID_MAX, SELECT_OPTIONS_MAX = 1024, 128, 10
_STYLES = {"primary": 1, "danger": 2, "default": 4}
_TASK = re.compile(r"[0-9A-Za-z_@-]{1,100}")
#: What the buttons of a card turn into that has none any more.
_NO_BUTTONS = "✓"


class Pressed(NamedTuple):
    action: str
    value: str


def key_of(id: str, value: str) -> str:
    """The key of a button, from which `pressed` reads its id and value again."""
    return f"{quote(id, safe='')}:{value}" if value else quote(id, safe="")


def pressed(key: str) -> Pressed:
    id_, _, value = key.partition(":")
    return Pressed(unquote(id_), value)


def task_id(key: str, to: str) -> str:
    """Of a message's key and those it goes to: it may not come again in an application."""
    plain = key if _TASK.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()
    return f"{plain}-{hashlib.sha256(to.encode()).hexdigest()[:16]}"


def key_of_task(task: str) -> str:
    """The key that `task_id` was made of."""
    return task.rpartition("-")[0]


class _Cards(Rendering):
    """Notices: cards that lead somewhere. Others, and those with too much in them, are Markdown."""

    #: Whether there is room for pictures in Markdown, which are better than a link to them.
    pictures = False

    async def card(self, card: Card) -> list[Part]:
        notice = await self.notice(card)
        return await super().card(card) if notice is None else [Part("template_card", notice)]

    async def notice(self, card: Card) -> dict[str, Any] | None:
        """None if it does not fit."""
        text = Writer().write(parse(card.text))
        pages = [button.url or self._page(button.id) for button in card.buttons]
        pages += [self._page(card.form.id)] if card.form else []
        if not (card.url or any(pages)) or not all(pages) or len(pages) > JUMPS_MAX:
            return None
        pictured = card.image is not None and len(text) <= LINE_MAX and len(card.footer) <= SOURCE_MAX
        below = card.image is not None and not pictured  # where it is one more line
        if self._too_much(card, text) or (below and (self.pictures or len(card.fields) == FIELDS_MAX)):
            return None
        jumps = [{"type": 1, "title": each.text, "url": self.degrade.address(each)} for each in card.buttons]
        if card.form is not None:
            jumps.append({"type": 1, "title": card.form.submit, "url": self.degrade.form_address(card)})
        value = {
            **(await self._pictured(card, text) if pictured else await self._body(card)),
            "jump_list": jumps,
            "card_action": {"type": 1, "url": card.url or next(filter(None, pages))},
        }
        return {name: each for name, each in value.items() if each}

    def _page(self, id_: str) -> str | None:
        return self.degrade.around.act_url(self.degrade.key, id_)

    def _too_much(self, card: Card, text: str) -> bool:
        long = any(len(each.value) > VALUE_MAX or "\n" in each.value for each in card.fields)
        return len(text) > TEXT_MAX or len(card.fields) > FIELDS_MAX or long

    async def _pictured(self, card: Card, text: str) -> dict[str, Any]:
        assert card.image is not None
        self._plain(card)
        return {
            "card_type": "news_notice",
            **self._head(card),
            "main_title": self._title(card, text),
            "card_image": {"url": await self.degrade.media.link(card.image)},
            "horizontal_content_list": self._fields(card),
        }

    async def _body(self, card: Card) -> dict[str, Any]:
        """Everything but buttons, where a picture is a link."""
        fields = self._fields(card)
        if card.image is not None:
            self.degrade.note("image_to_link")
            url = await self.degrade.media.link(card.image)
            fields.append({"type": 1, "keyname": "🖼", "value": card.image.name or url, "url": url})
        return {
            "card_type": "text_notice",
            **self._head(card),
            "main_title": self._title(card),
            "sub_title_text": self.degrade.cut(self._plain(card), TEXT_MAX),
            "horizontal_content_list": fields[:FIELDS_MAX],
        }

    def _plain(self, card: Card) -> str:
        """The text, and what stands below it if there is no room above."""
        text = self.degrade.plain(card.text) if card.text else ""
        return text if len(card.footer) <= SOURCE_MAX else f"{text}\n{card.footer}".strip()

    def _head(self, card: Card) -> dict[str, Any]:
        return {"source": {"desc": card.footer}} if 0 < len(card.footer) <= SOURCE_MAX else {}

    def _title(self, card: Card, line: str = "") -> dict[str, str]:
        title = self.degrade.cut(self.degrade.title(card.title, card.level), TITLE_MAX, rule="title_cut")
        return {"title": title, **({"desc": line} if line else {})}

    def _fields(self, card: Card) -> list[dict[str, Any]]:
        return [{"keyname": each.name, "value": each.value} for each in card.fields]


class RobotCards(_Cards, RobotRendering):
    """Cards of a robot."""

    pictures = True


class AppCards(_Cards, GroupRendering):
    """Cards of an application. Buttons and forms tell it what was pressed if it has a callback (`answered`); who sends
    such a card adds the `task_id`."""

    answered = False

    async def card(self, card: Card) -> list[Part]:
        if not self.answered or not (card.form or any(button.id for button in card.buttons)):
            return await super().card(card)
        if card.form is None:
            return await self._buttons(card)
        if not card.buttons and _fits(card.form):
            return await self._form(card, card.form)
        # beside buttons a form needs a page; without one at least its text is there
        return await (self._buttons(card) if self._page(card.form.id) else super().card(card))

    async def _buttons(self, card: Card) -> list[Part]:
        """A card with buttons; what it has no room for comes before, as Markdown."""
        buttons = list(card.buttons)
        if card.form is not None:
            address = self.degrade.form_address(card)
            buttons += [Button(card.form.submit, address)] if address else []
        shown, rest = buttons[:BUTTONS_MAX], tuple(buttons[BUTTONS_MAX:])
        if rest:
            self.degrade.note("buttons_split")
        text = Writer().write(parse(card.text))
        before: list[Part] = []
        bare = card
        if rest or self._too_much(card, text) or (card.image and len(card.fields) == FIELDS_MAX):
            before = await self._before(replace(card, buttons=rest, form=None))
            bare = replace(card, text="", fields=(), image=None, footer="")
        body = {**await self._body(bare), "card_type": "button_interaction"}
        value = {
            **body,
            "button_list": [self._button(each) for each in shown],
            "card_action": {"type": 1, "url": card.url} if card.url else None,
        }
        return [*before, Part("template_card", {name: each for name, each in value.items() if each})]

    def _button(self, button: Button) -> dict[str, Any]:
        if button.confirm:
            self.degrade.note("confirm_dropped", button.text)
        text = self.degrade.cut(button.text, BUTTON_MAX, rule="title_cut")
        key = key_of(button.id, button.value)
        if button.url or utf8(key) > KEY_MAX:
            return {"text": text, "style": _STYLES[button.style], "type": 1, "url": self.degrade.address(button)}
        return {"text": text, "style": _STYLES[button.style], "type": 0, "key": key}

    async def _form(self, card: Card, form: Form) -> list[Part]:
        """A card with lists to choose from, or one with boxes to tick; the rest comes before, as Markdown."""
        ticked = form.inputs[0] if form.inputs[0].kind == "checks" else None
        text = Writer().write(parse(card.text))
        plain = card.fields or card.image or card.url or card.footer
        alone = not plain and len(text) <= LINE_MAX and not (ticked and text)
        before = [] if alone else await self._before(replace(card, form=None))
        line = ticked.label if ticked else text if alone else ""
        value: dict[str, Any] = {
            "card_type": "vote_interaction" if ticked else "multiple_interaction",
            "main_title": self._title(card, self.degrade.cut(line, LINE_MAX, rule="title_cut")),
            "submit_button": {
                "text": self.degrade.cut(form.submit, BUTTON_MAX, rule="title_cut"),
                "key": key_of(form.id, ""),
            },
        }
        if ticked:
            value["checkbox"] = {
                "question_key": ticked.id,
                "mode": 1,
                "option_list": [
                    {"id": each.value, "text": each.text, "is_checked": each.value == ticked.value}
                    for each in ticked.options
                ],
            }
        else:
            value["select_list"] = [_select(each) for each in form.inputs]
        return [*before, Part("template_card", value)]

    async def _before(self, card: Card) -> list[Part]:
        """What a card has no room for."""
        self.degrade.note("text_split")
        return await GroupRendering.card(self, card)

    async def changed(self, content: Content) -> dict[str, Any]:
        """What a card is changed to: it stays one card, so that what is too long is cut."""
        card = _as_card(self.degrade, content)
        body = {**await self._body(card), "card_type": "button_interaction"}
        if len(card.fields) > FIELDS_MAX:
            self.degrade.note("text_cut")
        buttons = [self._button(each) for each in card.buttons[:BUTTONS_MAX]]
        if len(card.buttons) > BUTTONS_MAX:
            self.degrade.note("buttons_split", "left out")
        address = self.degrade.form_address(card)
        if card.form is not None and address and len(buttons) < BUTTONS_MAX:
            buttons.append(self._button(Button(card.form.submit, address)))
        value = {
            **body,
            "card_action": {"type": 1, "url": card.url} if card.url else None,
            "button_list": buttons or [{"text": _NO_BUTTONS, "style": 4, "type": 0, "key": _NO_BUTTONS}],
            "replace_text": "" if buttons else _NO_BUTTONS,
        }
        return {name: each for name, each in value.items() if each}


def _as_card(degrade: Degrade, content: Content) -> Card:
    match content:
        case Card():
            return content
        case Markdown(text, title, level):
            return Card(title or cut(degrade.plain(text), TITLE_MAX), text if title else "", level)
        case Text(text):
            first, _, rest = text.partition("\n")
            return Card(first[:TITLE_MAX], escape((first[TITLE_MAX:] + "\n" + rest).strip()))
        case Table(title=title):
            raise _no_card(f"the table {title}".strip())
        case _:
            raise _no_card(type(content).__name__.lower())


def _no_card(what: str) -> Problem:
    return Problem(Outcome.BAD_CONTENT, f"a card of WeCom can only be changed to a card or text, not to {what}")


def _select(each: Input) -> dict[str, Any]:
    return {
        "question_key": each.id,
        "title": each.label,
        **({"selected_id": each.value} if any(each.value == option.value for option in each.options) else {}),
        "option_list": [{"id": option.value, "text": option.text} for option in each.options],
    }


def _fits(form: Form) -> bool:
    """Whether a card can show the form: up to three lists, or one set of boxes."""
    if any(each.hint or any(utf8(option.value) > OPTION_ID_MAX for option in each.options) for each in form.inputs):
        return False
    if [each.kind for each in form.inputs] == ["checks"]:
        return len(form.inputs[0].options) <= CHECKS_MAX
    return len(form.inputs) <= SELECTS_MAX and all(
        each.kind == "select" and len(each.options) <= SELECT_OPTIONS_MAX for each in form.inputs
    )
