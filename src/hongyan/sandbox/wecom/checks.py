"""What WeCom refuses in a message (its documentation: 群机器人配置说明, 发送应用消息, 应用推送消息)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from hongyan.sandbox.wecom.answers import Refusal

ROBOT_TYPES = ("text", "markdown", "markdown_v2", "image", "news", "file", "voice", "template_card")
APP_TYPES = (
    *("text", "image", "voice", "video", "file", "textcard", "news", "mpnews", "markdown"),
    *("miniprogram_notice", "template_card"),
)
CHAT_TYPES = ("text", "image", "voice", "video", "file", "textcard", "news", "mpnews", "markdown")
NOTICES = ("text_notice", "news_notice")
INTERACTIONS = ("button_interaction", "vote_interaction", "multiple_interaction")
_TASK = re.compile(r"[0-9A-Za-z_@-]{1,128}")
#: Whether there is a media id of a type.
HasMedia = Callable[[str, str], bool]


def message(body: Mapping[str, Any], where: str, has_media: HasMedia) -> tuple[str, dict[str, Any]]:
    """The type and object of a message to a robot, by an application (`app`), or to a group (`chat`)."""
    type_ = body.get("msgtype")
    if type_ not in {"robot": ROBOT_TYPES, "app": APP_TYPES, "chat": CHAT_TYPES}[where]:
        raise Refusal(40008, "invalid message type")
    value = body.get(type_)
    if not isinstance(value, dict):
        raise Refusal(44004, "empty content")
    value = dict(value)
    match type_:
        case "text":
            value["content"] = _text(value, where)
        case "markdown" | "markdown_v2":
            _filled(value, "content")
            _bytes(value, "content", 4096 if where == "robot" else 2048, type_)
        case "image" if where == "robot":
            _picture(value)
        case "image" | "voice" | "video" | "file":
            if not has_media(type_, str(value.get("media_id", ""))):
                raise Refusal(40007, "invalid media_id")
        case "textcard":
            _textcard(value)
        case "news" | "mpnews":
            _articles(value, type_)
        case "miniprogram_notice":
            _notice(value)
        case "template_card":
            template_card(value, where)
    return type_, value


def _wrong(text: str) -> Refusal:
    return Refusal(40058, f"invalid Request Parameter, {text}")


def _filled(value: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not isinstance(value.get(name), str) or not value[name]:
            raise Refusal(44004, f"empty content, missing {name}")


def _bytes(value: Mapping[str, Any], name: str, most: int, what: str) -> None:
    if len(str(value.get(name) or "").encode()) > most:
        raise _wrong(f"{what}.{name} exceed max length {most}")


def _characters(value: Mapping[str, Any], name: str, most: int, what: str) -> None:
    if len(str(value.get(name) or "")) > most:
        raise _wrong(f"{what}.{name} exceed max length {most}")


def _text(value: Mapping[str, Any], where: str) -> str:
    """A robot refuses what is too long; applications have it cut."""
    _filled(value, "content")
    if where == "robot":
        _bytes(value, "content", 2048, "text")
    for name in ("mentioned_list", "mentioned_mobile_list"):
        if not isinstance(value.get(name, []), list):
            raise _wrong(f"text.{name} is not a list")
    return str(value["content"]).encode()[:2048].decode(errors="ignore")


def _picture(value: Mapping[str, Any]) -> None:
    try:
        content = base64.b64decode(str(value.get("base64", "")), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("image.base64") from None
    if not content or len(content) > 2 * 1024 * 1024:
        raise Refusal(40009, "invalid image size")
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != value.get("md5"):
        raise _wrong("image.md5 not match")
    if picture_type(content) is None:
        raise Refusal(40005, "invalid file type")


def picture_type(content: bytes) -> str | None:
    """The MIME type, if it is one that WeCom takes."""
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/png" if content.startswith(b"\x89PNG\r\n\x1a\n") else None


def _textcard(value: Mapping[str, Any]) -> None:
    _filled(value, "title", "description", "url")
    _bytes(value, "title", 128, "textcard")
    _bytes(value, "description", 512, "textcard")
    _bytes(value, "url", 2048, "textcard")
    _characters(value, "btntxt", 4, "textcard")


def _articles(value: Mapping[str, Any], type_: str) -> None:
    articles = value.get("articles")
    if not isinstance(articles, list) or not articles:
        raise Refusal(44004, "empty content, missing articles")
    if len(articles) > 8:
        raise Refusal(45008, "article size out of limit")
    for article in articles:
        if not isinstance(article, dict):
            raise _wrong(f"{type_}.articles")
        _filled(article, "title", *(("thumb_media_id", "content") if type_ == "mpnews" else ()))
        _bytes(article, "title", 128, type_)
        _bytes(article, "description", 512, type_)
        if type_ == "news" and not (article.get("url") or article.get("appid")):
            raise _wrong("news.articles.url")
        if type_ == "news" and article.get("url"):
            _address(article["url"], "news.articles.url")


def _notice(value: Mapping[str, Any]) -> None:
    _filled(value, "appid", "title")
    items = value.get("content_item", [])
    if not isinstance(items, list) or len(items) > 10:
        raise _wrong("miniprogram_notice.content_item")
    for item in items:
        _characters(item, "key", 10, "content_item")
        _characters(item, "value", 30, "content_item")


# template cards


def template_card(card: Mapping[str, Any], where: str, *, changed: bool = False) -> None:
    """`changed`: it is what another card is changed to."""
    type_ = card.get("card_type")
    if type_ not in (NOTICES if where == "robot" else (*NOTICES, *INTERACTIONS)):
        raise _wrong("template_card.card_type")
    title = card.get("main_title")
    if not isinstance(title, dict):
        title = {}
    _characters(title, "title", 36, "main_title")
    _characters(title, "desc", 44, "main_title")
    _characters(card, "sub_title_text", 160, "template_card")
    if not title.get("title") and not (type_ == "text_notice" and card.get("sub_title_text")):
        raise _wrong("template_card.main_title.title missing")
    _rows(card)
    _task(card, str(type_), changed)
    if type_ in NOTICES:
        _action(card.get("card_action"), "card_action", needed=True)
    else:
        _action(card.get("card_action"), "card_action", needed=False)
    match type_:
        case "news_notice":
            _news_notice(card)
        case "button_interaction":
            _buttons(card)
        case "vote_interaction":
            _question(card.get("checkbox"), 20, "checkbox")
            _submit(card)
        case "multiple_interaction":
            selects = _list(card, "select_list", 3)
            if not selects:
                raise _wrong("template_card.select_list missing")
            for each in selects:
                _question(each, 10, "select_list")
            _submit(card)


def updatable(card: Mapping[str, Any]) -> bool:
    """Whether a card gets a code by which it is changed."""
    return card.get("card_type") in INTERACTIONS or bool(card.get("action_menu"))


def _list(card: Mapping[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    found = card.get(name, [])
    if not isinstance(found, list) or len(found) > most or not all(isinstance(each, dict) for each in found):
        raise _wrong(f"template_card.{name}")
    return found


def _rows(card: Mapping[str, Any]) -> None:
    for row in _list(card, "horizontal_content_list", 6):
        _filled(row, "keyname")
        if row.get("type") == 1:
            _address(row.get("url"), "horizontal_content_list.url")
    for jump in _list(card, "jump_list", 3):
        _filled(jump, "title")
        _action(jump, "jump_list", needed=True)
    for part in _list(card, "vertical_content_list", 4):
        _filled(part, "title")
    menu = card.get("action_menu")
    if menu is not None and not 1 <= len(menu.get("action_list", [])) <= 3:
        raise _wrong("template_card.action_menu.action_list")


def _task(card: Mapping[str, Any], type_: str, changed: bool) -> None:
    task = card.get("task_id")
    needed = (type_ in INTERACTIONS or card.get("action_menu")) and not changed
    if (needed or task) and not _TASK.fullmatch(str(task or "")):
        raise _wrong("template_card.task_id")


def _action(action: Any, what: str, *, needed: bool) -> None:
    if action is None and not needed:
        return
    if not isinstance(action, dict) or action.get("type", 0) not in (0, 1, 2) or (needed and not action.get("type")):
        raise _wrong(f"template_card.{what}")
    if action.get("type") == 1:
        _address(action.get("url"), f"{what}.url")
    if action.get("type") == 2:
        _filled(action, "appid")


def _address(url: Any, what: str) -> None:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise _wrong(what)


def _news_notice(card: Mapping[str, Any]) -> None:
    image, area = card.get("card_image"), card.get("image_text_area")
    if not isinstance(image, dict) and not isinstance(area, dict):
        raise _wrong("template_card.card_image missing")
    if isinstance(image, dict):
        _address(image.get("url"), "card_image.url")
        if not 1.3 <= float(image.get("aspect_ratio", 1.3)) <= 2.25:
            raise _wrong("card_image.aspect_ratio")


def _buttons(card: Mapping[str, Any]) -> None:
    buttons = _list(card, "button_list", 6)
    if not buttons:
        raise _wrong("template_card.button_list missing")
    for button in buttons:
        _filled(button, "text")
        _characters(button, "text", 10, "button_list")
        if button.get("type") == 1:
            _address(button.get("url"), "button_list.url")
        else:
            _filled(button, "key")
            _bytes(button, "key", 1024, "button_list")
    if card.get("button_selection") is not None:
        _question(card["button_selection"], 10, "button_selection")


def _question(question: Any, most: int, what: str) -> None:
    if not isinstance(question, dict):
        raise _wrong(f"template_card.{what}")
    _filled(question, "question_key")
    options = question.get("option_list")
    if not isinstance(options, list) or not 1 <= len(options) <= most:
        raise _wrong(f"template_card.{what}.option_list")
    for option in options:
        _filled(option, "id", "text")
        _bytes(option, "id", 128, "option_list")


def _submit(card: Mapping[str, Any]) -> None:
    button = card.get("submit_button")
    if not isinstance(button, dict):
        raise _wrong("template_card.submit_button")
    _filled(button, "text", "key")
    _characters(button, "text", 10, "submit_button")
    _bytes(button, "key", 1024, "submit_button")
