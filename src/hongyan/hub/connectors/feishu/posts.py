"""Posts that people have written, as our Markdown."""

from collections.abc import Callable, Mapping
from typing import Any

from hongyan.hub.degrade import escape

Json = Mapping[str, Any]
_STYLES = {"bold": "**", "italic": "*", "lineThrough": "~~"}


def markdown(post: Json, name: Callable[[str], str]) -> tuple[str, list[str]]:
    """The text and the keys of its pictures, in their order. `name` says who a number of a mention is."""
    lines = post.get("content")
    images: list[str] = []
    if not isinstance(lines, list):  # older posts have a language around
        inner = next((each for each in post.values() if isinstance(each, dict)), None)
        return markdown(inner, name) if inner is not None else ("", images)
    written = ["".join(_node(node, name, images) for node in line) for line in lines if isinstance(line, list)]
    return "\n\n".join(filter(None, written)), images


def _node(node: object, name: Callable[[str], str], images: list[str]) -> str:
    if not isinstance(node, dict):
        return ""
    said = node.get("text")
    text = said if isinstance(said, str) else ""
    match node.get("tag"):
        case "a":
            href = node.get("href")
            good = isinstance(href, str) and href.startswith(("http://", "https://")) and " " not in href
            return f"[{escape(text)}](<{href}>)" if good else escape(text)
        case "at":
            known = str(node.get("user_name") or "")
            return escape(name(str(node.get("user_id", ""))) if not known else f"@{known}")
        case "img":
            images.append(str(node.get("image_key", "")))
            return f"\\[🖼 {len(images)}\\]"
        case "media":
            return "\\[▶\\]"
        case "emotion":
            return f":{node.get('emoji_type', '')}:"
        case "hr":
            return "---"
        case "code_block":
            return f"```{str(node.get('language', '')).lower()}\n{text}\n```"
        case "button":
            return f"\\[{escape(text)}\\]"
        case "note":
            inner = node.get("elements")
            return "".join(_node(each, name, images) for each in inner) if isinstance(inner, list) else ""
        case _:
            return _styled(text, node.get("style"))


def _styled(text: str, styles: object) -> str:
    if not text.strip():
        return text
    marks = [_STYLES[style] for style in styles if style in _STYLES] if isinstance(styles, list) else []
    return "".join(marks) + escape(text) + "".join(reversed(marks))
