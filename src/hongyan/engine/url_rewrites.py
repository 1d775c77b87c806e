"""URLs in old messages that lead elsewhere now: the app setting `url_rewrites`, applied when history is read.

Messages keep their bodies. Of a body that is JSON, the values that are texts and begin with an old prefix begin with
the new one for who reads it: so do the addresses of files, `_lcfile.url`.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from hongyan.engine.values import App, Archived, ConversationRow, Message

_MAX, _REWRITES_MAX = 16_384, 100
#: Letters that a URL has as they are and JSON as well; a comma or `=` would end a prefix.
_PREFIX = r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/[A-Za-z0-9._~:/?#@!$&'()*+;%-]*"
_REWRITE = re.compile(f"({_PREFIX})=({_PREFIX})")
#: More bytes or characters of content, times the rewrites and one, are looked through in a thread.
LARGE = 262_144
#: The rest of a text in JSON that is no name of a value.
_REST = r'(?=(?:[^"\\]|\\.)*+"(?!\s*:))'


def parse(text: str) -> str:
    """The setting as it is kept. Raises ValueError with a sentence."""
    pairs = dict[str, str]()
    for each in (part.strip() for part in text.split(",") if part.strip()):
        found = _REWRITE.fullmatch(each)
        if found is None:
            raise ValueError(
                "The app setting url_rewrites has pairs of URLs with a host and a path, such as"
                f" http://old.example.com/=https://new.example.com/files/, not {each!r}."
            )
        if found[1] in pairs:
            raise ValueError(f"The app setting url_rewrites has {found[1]} twice.")
        pairs[found[1]] = found[2]
    kept = ",".join(f"{old}={new}" for old, new in pairs.items())
    if len(kept) > _MAX or len(pairs) > _REWRITES_MAX:
        raise ValueError(f"The app setting url_rewrites has at most {_REWRITES_MAX} pairs in {_MAX} characters.")
    return kept


async def rewritten(app: App, messages: list[Message]) -> list[Message]:
    """The messages for who reads them."""
    if not app.settings.url_rewrites:
        return messages
    table = _table(app.settings.url_rewrites)
    if sum(len(message.content) for message in messages) > LARGE // (1 + len(table)):
        return await asyncio.to_thread(table.all, messages)
    return table.all(messages)


async def rewritten_archive(app: App, archived: list[Archived]) -> list[Archived]:
    """The same of messages of many conversations."""
    if not app.settings.url_rewrites:
        return archived
    messages = await rewritten(app, [each.message for each in archived])
    return [replace(each, message=message) for each, message in zip(archived, messages, strict=True)]


async def rewritten_rows(app: App, rows: list[ConversationRow]) -> list[ConversationRow]:
    """The same of the last messages of conversations."""
    if not app.settings.url_rewrites:
        return rows
    messages = iter(await rewritten(app, [row.last_message for row in rows if row.last_message is not None]))
    return [row if row.last_message is None else replace(row, last_message=next(messages)) for row in rows]


class _Table:
    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._new = dict(pairs)
        longest = sorted(self._new, key=len, reverse=True)
        # JSON may have a slash with a backslash before it
        prefixes = "|".join(re.escape(old).replace("/", r"\\?/") for old in longest)
        self._found = re.compile(rf'(?<!\\)"({prefixes}){_REST}')

    def __len__(self) -> int:
        return len(self._new)

    def all(self, messages: list[Message]) -> list[Message]:
        return [self._message(message) for message in messages]

    def _message(self, message: Message) -> Message:
        if isinstance(message.content, bytes):
            return message
        content = self._found.sub(lambda found: '"' + self._new[found[1].replace("\\", "")], message.content)
        if content == message.content or not _is_json(message.content):
            return message
        return replace(message, content=content)


@lru_cache(maxsize=256)
def _table(setting: str) -> _Table:
    return _Table([(found[1], found[2]) for found in map(_REWRITE.fullmatch, setting.split(",")) if found])


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
