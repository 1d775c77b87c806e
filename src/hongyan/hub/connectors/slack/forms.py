"""Forms, which stand in windows of their own: a button opens one, and carries the form until then."""

import re

import msgspec
from msgspec import Struct

from hongyan.hub.connectors.slack.rich_text import Element, plain_text
from hongyan.hub.content import Card, Form, Input
from hongyan.hub.fitting import cut

#: Of a form in a window: characters of its titles, of texts and values of options; boxes to tick; characters of labels.
VIEW_TITLE_MAX, OPTION_MAX, OPTION_VALUE_MAX, BOXES_MAX, LABEL_MAX = 24, 75, 150, 10, 2000
#: What the ids of forms begin with.
FORM_ID = "hongyan.form."
#: Characters of the id and of the value of what is pressed.
ID_MAX, VALUE_MAX = 200, 2000


class AskedForm(Struct, frozen=True):
    """What a button that opens a form carries."""

    title: str
    form: Form


def carried(card: Card, form: Form) -> str | None:
    """What the button for the form of a card carries; None if that is too much, or no window can have the form."""
    asked = msgspec.json.encode(AskedForm(cut(card.title, VIEW_TITLE_MAX), form)).decode()
    return asked if len(asked) <= VALUE_MAX and len(FORM_ID + form.id) <= ID_MAX and _fits(form) else None


def _fits(form: Form) -> bool:
    """Whether a window can have it as it is."""
    return all(
        len(each.id) <= ID_MAX
        and all(option.value and option.text and len(option.value) <= OPTION_VALUE_MAX for option in each.options)
        for each in form.inputs
    )


def view(asked: AskedForm, metadata: str) -> Element:
    """The window of a form; `metadata` comes back with what was filled in."""
    return {
        "type": "modal",
        "callback_id": FORM_ID + asked.form.id,
        "private_metadata": metadata,
        "title": plain_text(asked.title),
        "submit": plain_text(cut(asked.form.submit, VIEW_TITLE_MAX)),
        "blocks": [_input(each) for each in asked.form.inputs],
    }


def _input(input: Input) -> Element:
    hint = {"hint": plain_text(cut(input.hint, LABEL_MAX))} if input.hint else {}
    return {
        "type": "input",
        "block_id": input.id,
        "optional": not input.required,
        "label": plain_text(input.label or input.id),
        "element": _input_element(input),
        **hint,
    }


def _input_element(input: Input) -> Element:
    options = [
        {"text": plain_text(cut(each.text, OPTION_MAX)), "value": each.value, "chosen": each.value == input.value}
        for each in input.options
    ]
    chosen = [_without(each) for each in options if each["chosen"]]
    shown = [_without(each) for each in options]
    match input.kind:
        case "text" | "lines":
            initial = {"initial_value": input.value[:LABEL_MAX]} if input.value else {}
            lines = {"multiline": True} if input.kind == "lines" else {}
            return {"type": "plain_text_input", "action_id": input.id, **initial, **lines}
        case "select":
            initial_option = {"initial_option": chosen[0]} if chosen else {}
            return {"type": "static_select", "action_id": input.id, "options": shown, **initial_option}
        case "checks":
            type_ = "checkboxes" if len(shown) <= BOXES_MAX else "multi_static_select"
            initial_options = {"initial_options": chosen} if chosen else {}
            return {"type": type_, "action_id": input.id, "options": shown, **initial_options}
        case "date":
            initial_date = {"initial_date": input.value} if re.fullmatch(r"\d{4}-\d\d-\d\d", input.value) else {}
            return {"type": "datepicker", "action_id": input.id, **initial_date}


def _without(option: Element) -> Element:
    return {"text": option["text"], "value": option["value"]}
