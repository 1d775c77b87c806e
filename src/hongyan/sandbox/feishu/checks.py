"""What Feishu refuses in the content of a message."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from hongyan.sandbox.feishu.answers import Refusal
from hongyan.sandbox.feishu.cards import BadCard, CardChecker
from hongyan.sandbox.feishu.world import find_person

TEXT_MAX, RICH_MAX = 150 * 1024, 30 * 1024
_POST_TAGS: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "a": ("text", "href"),
    "at": ("user_id",),
    "img": ("image_key",),
    "media": ("file_key",),
    "emotion": ("emoji_type",),
    "hr": (),
    "code_block": ("text",),
    "md": ("text",),
}
#: What stands in a paragraph of its own.
_ALONE = frozenset({"img", "media", "md"})
#: The type of the uploaded file that a message needs; files take all but these.
_FILES = {"audio": "opus", "media": "mp4"}


class ContentChecker:
    """`file_type` says as what a key was uploaded ("image" for pictures); None if it was not."""

    def __init__(self, file_type: Callable[[str], str | None]) -> None:
        self._file_type = file_type
        self._cards = CardChecker(lambda key: file_type(key) == "image", lambda id: find_person(id) is not None)

    def packed(self, type_: object, content: object, size: int) -> dict[str, Any]:
        """The content of a message to an application, which is JSON in a text. Raises Refusal."""
        try:
            found = json.loads(content) if isinstance(content, str) else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Refusal(
                230001, "Your request contains an invalid request parameter, ext=content is not a json string."
            )
        if size > (TEXT_MAX if type_ == "text" else RICH_MAX):
            raise Refusal(230025, "The length of the message content reaches its limit.")
        self.check(type_, found)
        return found

    def check(self, type_: object, content: Mapping[str, Any]) -> None:
        """Raises Refusal."""
        match type_:
            case "text":
                self._text(content)
            case "post":
                self._post(content)
            case "image":
                self._key(content, "image_key", "image")
            case "file" | "audio" | "media":
                self._file(type_, content)
            case "interactive":
                self.card(content)
            case "share_chat":
                if not any(str(content.get(name, "")).startswith("oc_") for name in ("chat_id", "share_chat_id")):
                    raise _wrong("invalid chat_id")
            case "share_user":
                if find_person(str(content.get("user_id"))) is None:
                    raise _wrong("invalid user_id")
            case "sticker" | "system":
                pass
            case _:
                raise _wrong("invalid msg_type")

    def card(self, card: object) -> None:
        try:
            self._cards.check(card)
        except BadCard as error:
            raise Refusal(
                230099, f"Failed to create card content, ext=ErrCode: {error.code}; ErrMsg: {error}; "
            ) from None

    def _text(self, content: Mapping[str, Any]) -> None:
        text = content.get("text")
        if not isinstance(text, str) or not text.strip():
            raise _wrong("content: text is empty")

    def _post(self, content: Mapping[str, Any]) -> None:
        languages = {name: each for name, each in content.items() if "_" in name and isinstance(each, dict)}
        if not languages or len(languages) != len(content):
            raise _wrong("content: a post has languages such as zh_cn")
        for each in languages.values():
            if not isinstance(each.get("content"), list) or not isinstance(each.get("title", ""), str):
                raise _wrong("content: a post has a title and a content")
            for paragraph in each["content"]:
                if not isinstance(paragraph, list):
                    raise _wrong("content: paragraphs of a post are lists")
                for node in paragraph:
                    self._node(node, len(paragraph))

    def _node(self, node: object, beside: int) -> None:
        tag = node.get("tag") if isinstance(node, dict) else None
        if not isinstance(node, dict) or not isinstance(tag, str) or tag not in _POST_TAGS:
            raise _wrong(f"content: unknown tag {tag}")
        for name in _POST_TAGS[tag]:
            if not isinstance(node.get(name), str):
                raise _wrong(f"content: {tag} has no {name}")
        if tag in _ALONE and beside != 1:
            raise _wrong(f"content: {tag} stands in a paragraph of its own")
        if tag == "a" and not node["href"].startswith(("http://", "https://", "mailto:")):
            raise _wrong("content: invalid href")
        if tag == "img":
            self._key(node, "image_key", "image")
        if tag == "media":
            self._file("media", node)

    def _file(self, type_: str, content: Mapping[str, Any]) -> None:
        key = content.get("file_key")
        found = self._file_type(key) if isinstance(key, str) else None
        if found is None or found == "image":
            raise _wrong("content: invalid file_key")
        if _FILES.get(type_, found) != found or (type_ == "file" and found in _FILES.values()):
            raise Refusal(230055, "The type of file upload does not match the type of message being sent.")
        if content.get("image_key"):
            self._key(content, "image_key", "image")

    def _key(self, content: Mapping[str, Any], name: str, wanted: str) -> None:
        key = content.get(name)
        if not isinstance(key, str) or self._file_type(key) != wanted:
            raise _wrong(f"content: invalid {name}")


def _wrong(what: str) -> Refusal:
    return Refusal(230001, f"Your request contains an invalid request parameter, ext={what}.")
