"""What Feishu refuses in a card, by the documentation of its schemas 2.0 and 1.0."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

#: Elements of a card, tables of it, containers within each other, and characters of a button.
ELEMENTS_MAX, TABLES_MAX, DEPTH_MAX, BUTTON_MAX = 200, 5, 5, 100


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


TEMPLATES = _names("blue wathet turquoise green yellow orange red carmine violet purple indigo grey default")
_LAYOUT = _names(
    "tag element_id margin padding direction horizontal_spacing horizontal_align vertical_spacing vertical_align"
)
_INPUT = _LAYOUT | _names("name required disabled disabled_tips placeholder width behaviors confirm value")
_TEXT = _names("tag element_id content i18n_content text_size text_color text_align lines icon")
_ICON = _names("tag token color img_key size")
_PEOPLE = _INPUT | _names("type initial_option selected_values options")
#: The properties of each tag of schema 2.0, which refuses others.
PROPERTIES: Mapping[str, frozenset[str]] = {
    "div": _LAYOUT | _names("text icon width fields extra"),
    "plain_text": _TEXT,
    "lark_md": _TEXT,
    "markdown": _LAYOUT | _names("content i18n_content text_size text_align icon"),
    "hr": _LAYOUT,
    "img": _LAYOUT | _names("img_key alt title corner_radius scale_type size transparent preview mode custom_width"),
    "img_combination": _LAYOUT | _names("combination_mode img_list corner_radius combination_transparent"),
    "person": _LAYOUT | _names("user_id size show_avatar show_name style"),
    "person_list": _LAYOUT | _names("persons size show_avatar show_name lines drop_invalid_user_id"),
    "chart": _LAYOUT | _names("chart_spec aspect_ratio color_theme preview height"),
    "table": _LAYOUT | _names("page_size row_height row_max_height freeze_first_column header_style columns rows"),
    "audio": _LAYOUT | _names("file_key audio_id show_time style width background_color"),
    "column_set": _LAYOUT | _names("flex_mode background_style columns action"),
    "column": _LAYOUT | _names("width weight background_style elements action"),
    "form": _LAYOUT | _names("name elements confirm"),
    "interactive_container": _LAYOUT
    | _names("width height background_style has_border border_color corner_radius behaviors elements")
    | _names("hover_tips disabled disabled_tips confirm"),
    "collapsible_panel": _LAYOUT | _names("expanded header border background_color elements"),
    "button": _INPUT
    | _names("type size text icon hover_tips form_action_type action_type url multi_url complex_interaction"),
    "overflow": _INPUT | _names("options"),
    "input": _INPUT
    | _names("default_value max_length input_type rows auto_resize max_rows show_icon label label_position"),
    "select_static": _INPUT | _names("type initial_option initial_index options"),
    "multi_select_static": _INPUT | _names("type selected_values options"),
    "select_person": _PEOPLE,
    "multi_select_person": _PEOPLE,
    "date_picker": _INPUT | _names("initial_date"),
    "picker_time": _INPUT | _names("initial_time"),
    "picker_datetime": _INPUT | _names("initial_datetime"),
    "checker": _INPUT | _names("checked text overall_checkable button_area checked_style"),
    "select_img": _INPUT | _names("multi_select layout can_preview aspect_ratio options style"),
    "text_tag": _names("tag element_id text color"),
    "standard_icon": _ICON,
    "custom_icon": _ICON,
}
_CONTAINERS = frozenset({"column_set", "form", "interactive_container", "collapsible_panel"})
_TOP = frozenset({"schema", "config", "card_link", "header", "i18n_header", "body", "fallback"})
#: Inputs, which need a name within a form.
_NAMED = _names(
    "input select_static multi_select_static select_person multi_select_person date_picker picker_time"
    " picker_datetime checker select_img button"
)
_AT = re.compile(r"<at\s+(?:id|ids)=[\"']?([^\"'>\s]+)[\"']?\s*>")
_AT_MAIL = re.compile(r"<at\s+email=[\"']?([^\"'>\s]+)[\"']?\s*>")
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]*)\)")


class BadCard(Exception):
    """`code` is that within 230099."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class CardChecker:
    """`is_picture` and `is_person` say whether a key or an id is known."""

    def __init__(self, is_picture: Callable[[str], bool], is_person: Callable[[str], bool]) -> None:
        self._is_picture = is_picture
        self._is_person = is_person

    def check(self, card: object) -> None:
        """Raises BadCard."""
        if not isinstance(card, dict):
            raise BadCard(200621, "parse card json err, please check whether the card json is correct")
        if card.get("type") == "template":
            raise BadCard(200380, "template does not exist, please confirm whether this template has been released")
        if sum(1 for _ in elements(card)) > ELEMENTS_MAX:
            raise BadCard(11310, f"element exceeds the limit; limit: {ELEMENTS_MAX}")
        if sum(each.get("tag") == "table" for each in elements(card)) > TABLES_MAX:
            raise BadCard(11310, "card table number over limit")
        if card.get("schema") == "2.0":
            self._check_second(card)
        for text in _texts(card):
            self._check_text(text)
        for each in elements(card):
            key = each.get("img_key")
            if each.get("tag") == "img" and not (isinstance(key, str) and self._is_picture(key)):
                raise BadCard(200570, f"card contains invalid image keys; ErrorValue: image key {key}")

    def _check_second(self, card: Mapping[str, Any]) -> None:
        _known(card, _TOP, "ROOT")
        header = card.get("header")
        if header is not None and (not isinstance(header, dict) or "title" not in header):
            raise BadCard(200621, "parse card json err; ErrorValue: header has no title")
        if header is not None and header.get("template", "default") not in TEMPLATES:
            raise BadCard(200621, f"parse card json err; ErrorValue: template {header.get('template')}")
        if card.get("config", {}).get("update_multi", True) is not True:
            raise BadCard(200621, "parse card json err; ErrorValue: update_multi must be true")
        body = card.get("body")
        if not isinstance(body, dict) or not isinstance(body.get("elements"), list):
            raise BadCard(200621, "parse card json err; ErrorValue: body.elements is required")
        names: set[str] = set()
        for number, each in enumerate(body["elements"]):
            _check_element(each, f"ROOT -> body -> elements -> [{number}]", 0, False, names)

    def _check_text(self, text: str) -> None:
        for ids in _AT.findall(text):
            for each in ids.split(","):
                if each != "all" and not self._is_person(each):
                    raise BadCard(
                        100290, f"There is an invalid user resource(at/person) in your card; ErrorValue: {each}"
                    )
        for mail in _AT_MAIL.findall(text):
            if not self._is_person(mail):
                raise BadCard(100290, f"There is an invalid user resource(at/person) in your card; ErrorValue: {mail}")
        for key in _PICTURE.findall(text):
            if not self._is_picture(key):
                raise BadCard(200570, f"card contains invalid image keys; ErrorValue: image key {key}")


def elements(value: object) -> Iterator[dict[str, Any]]:
    """Whatever has a tag, however deep."""
    if isinstance(value, dict):
        if isinstance(value.get("tag"), str):
            yield value
        for each in value.values():
            yield from elements(each)
    elif isinstance(value, list):
        for each in value:
            yield from elements(each)


def buttons(card: object) -> Iterator[dict[str, Any]]:
    """All of a card."""
    return (each for each in elements(card) if each["tag"] == "button")


def callback(button: Mapping[str, Any]) -> Any:
    """What a button tells the app; None if it tells nothing."""
    for each in button.get("behaviors") or ():
        if isinstance(each, dict) and each.get("type") == "callback":
            return each.get("value")
    return button.get("value")


def _texts(card: object) -> Iterator[str]:
    """Those in which marks are read."""
    return (each["content"] for each in elements(card) if each["tag"] in ("markdown", "lark_md") and "content" in each)


def _check_element(each: object, path: str, depth: int, in_form: bool, names: set[str]) -> None:
    tag = each.get("tag") if isinstance(each, dict) else None
    if not isinstance(each, dict) or not isinstance(tag, str):
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: an element has a tag")
    path = f"{path}(tag: {tag})"
    if tag not in PROPERTIES or tag in ("plain_text", "lark_md", "column"):
        raise BadCard(
            200861,
            f"ErrPath: {path}; ErrMsg: cards of schema V2 no longer support this capability;"
            f" ErrorValue: unsupported tag {tag}",
        )
    _known(each, PROPERTIES[tag], path)
    if tag in ("form", "table") and depth:
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: {tag} stands in the body only")
    if depth > DEPTH_MAX:
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: nested too deep")
    for inner in elements({name: value for name, value in each.items() if name not in ("elements", "columns", "tag")}):
        if inner["tag"] in PROPERTIES:
            _known(inner, PROPERTIES[inner["tag"]], path)
    if tag in _NAMED:
        _check_named(each, path, in_form, names)
    match tag:
        case "table":
            _check_table(each, path)
        case "button":
            _check_button(each, path)
        case "markdown" if not isinstance(each.get("content"), str):
            raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: content is required")
        case "form":
            _check_form(each, path, names)
        case "column_set":
            for number, column in enumerate(_list(each, "columns", path)):
                if not isinstance(column, dict) or column.get("tag") != "column":
                    raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: columns[{number}]")
                _known(column, PROPERTIES["column"], path)
                for inner in _list(column, "elements", path):
                    _check_element(inner, f"{path} -> columns -> [{number}]", depth + 1, in_form, names)
    if tag in _CONTAINERS and tag != "column_set":
        for number, inner in enumerate(_list(each, "elements", path)):
            _check_element(inner, f"{path} -> elements -> [{number}]", depth + 1, in_form or tag == "form", names)


def _check_named(each: Mapping[str, Any], path: str, in_form: bool, names: set[str]) -> None:
    name = each.get("name")
    if in_form and not name:
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: name is required in a form")
    if name:
        if name in names:
            raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: duplicate name {name}")
        names.add(str(name))
    if each.get("required") is not None and not in_form:
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: required outside of a form")
    if each["tag"] == "multi_select_static" and not in_form:
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: it stands in forms only")


def _check_button(each: Mapping[str, Any], path: str) -> None:
    text = each.get("text", {}).get("content", "")
    if len(text) > BUTTON_MAX:
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: text of more than {BUTTON_MAX}")
    for behaviour in each.get("behaviors") or ():
        if behaviour.get("type") not in ("open_url", "callback", "form_action"):
            raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: behaviors")


def _check_form(each: Mapping[str, Any], path: str, names: set[str]) -> None:
    name = each.get("name")
    if not name or name in names:
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: a form has a name of its own")
    names.add(str(name))
    if not any(
        button.get("form_action_type") == "submit" or button.get("action_type") == "form_submit"
        for button in buttons(each)
    ):
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: a form has a submit button")


def _check_table(each: Mapping[str, Any], path: str) -> None:
    size = each.get("page_size", 5)
    if not isinstance(size, int) or not 1 <= size <= 10:
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: page_size {size}")
    columns = [column.get("name") for column in _list(each, "columns", path) if isinstance(column, dict)]
    for row in _list(each, "rows", path):
        if not isinstance(row, dict):
            raise BadCard(200914, "table rows is invalid")
        if any(name not in columns for name in row):
            raise BadCard(200915, "table rows name is invalid")
        if any(not isinstance(cell, str | int | float | list) for cell in row.values()):
            raise BadCard(200914, "table rows is invalid")


def _list(each: Mapping[str, Any], name: str, path: str) -> Sequence[Any]:
    found = each.get(name)
    if not isinstance(found, list):
        raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: {name} is required")
    return found


def _known(each: Mapping[str, Any], names: frozenset[str], path: str) -> None:
    for name in each:
        if name not in names:
            raise BadCard(200621, f"parse card json err; ErrPath: {path}; ErrorValue: unknown property {name}")
