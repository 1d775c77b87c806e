"""What is sent for a message: texts, posts, cards, pictures and files, within Feishu's sizes."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.connectors.feishu.cards import PARTS_MAX, Cards, Json, Uploaded, parts, with_text
from hongyan.hub.connectors.feishu.dialect import escape, pictures
from hongyan.hub.connectors.feishu.uploads import Uploads
from hongyan.hub.content import (
    Article,
    Articles,
    Audio,
    Card,
    Content,
    File,
    Image,
    Link,
    Location,
    Markdown,
    Media,
    Mention,
    Message,
    Table,
    Text,
    Video,
)
from hongyan.hub.degrade import Degrade, name_of, place_name
from hongyan.hub.fitting import cut
from hongyan.hub.markdown import parse

#: Bytes of a request: a text or anything else to an application, and anything to a robot.
TEXT_BYTES, RICH_BYTES, ROBOT_BYTES = 150_000, 30_000, 20_000
#: Bytes of a request besides its content: names, ids, signature.
AROUND = 400
#: What Feishu would read as a mark in a text; a post has plain texts besides.
_MARKED = re.compile(r"</?(?:at|[bisu])\b|\*\*|\]\(", re.IGNORECASE)
#: What no id has: it would end the mark that calls somebody.
_ID = re.compile(r"[^\w.@+-]")
#: The id of the user who is mentioned, if there is one.
Find = Callable[[Mention], Awaitable[str | None]]


class Body(NamedTuple):
    """`content` as an object."""

    type: str
    content: Json


class Who(NamedTuple):
    """Who is mentioned: `id` is empty if it is not known, and "all" for everyone."""

    id: str
    name: str


class Renderer:
    """Of one message. `uploads` are None for robots, which have none; files are uploaded once."""

    def __init__(self, degrade: Degrade, find: Find, uploads: Uploads | None, keywords: Sequence[str] = ()) -> None:
        self._degrade = degrade
        self._find = find
        self._uploads = uploads
        self._keywords = keywords
        self._robot = uploads is None

    async def bodies(
        self, message: Message, *, direct: bool = False, files: bool = True, thread: str = ""
    ) -> list[Body]:
        """One body, and one more for mentions that have no place in it.

        `files` may be sent as such or be links. `thread` is named where the message can't stand in it.
        """
        content, who = message.content, await self._who(message.mentions, direct)
        if thread:
            content = _in_thread(content, thread)
        if isinstance(content, Text):
            return [await self._text(content, who)]
        if self._uploads is not None and isinstance(content, Image | File | Audio | Video):
            bodies = await self._attached(content, files)
            if bodies:
                return [*bodies, *self._separate(who)]
        return [await self.card(content, who)]

    async def card(self, content: Content, who: Sequence[Who] = ()) -> Body:
        cards = Cards(self._degrade, await self._uploaded(content), acts=not self._robot)
        mentioned = " ".join(self._in_card(each) for each in who)
        limit = ROBOT_BYTES if self._robot else RICH_BYTES

        def make(content: Content) -> Body:
            card = cards.card(content)
            if parts(card) > PARTS_MAX or len(msgspec.json.encode(card)) > limit:
                card = cards.card(content, form=False)
            if mentioned:
                card = with_text(card, mentioned)
            return self._with_keyword(Body("interactive", card))

        body = await self._fitted(content, make, limit)
        if parts(body.content) > PARTS_MAX:
            raise Problem(Outcome.BAD_CONTENT, f"a card of Feishu has at most {PARTS_MAX} parts")
        return body

    async def card_of(self, message: Message) -> Body:
        """What a card can be changed to."""
        return await self.card(message.content, await self._who(message.mentions, direct=False))

    async def text_of(self, message: Message) -> Body:
        """What a text or post can be changed to."""
        text = Text(await self._degrade.text(message.content))
        return await self._text(text, await self._who(message.mentions, direct=False))

    async def _text(self, content: Text, who: Sequence[Who]) -> Body:
        def make(content: Content) -> Body:
            assert isinstance(content, Text)
            return self._with_keyword(_text_body(content.text, who))

        limit = ROBOT_BYTES if self._robot else RICH_BYTES if _MARKED.search(content.text) else TEXT_BYTES
        return await self._fitted(content, make, limit)

    # files

    async def _attached(self, content: Image | File | Audio | Video, files: bool) -> list[Body]:
        """As a picture, file, sound or video; nothing if it can only be a link."""
        assert self._uploads is not None
        if isinstance(content, Image):
            key = await self._uploads.image(content.media, self._degrade)
            if key is None:
                return []
            if not content.text:
                return [Body("image", {"image_key": key})]
            return [_post("", [[{"tag": "img", "image_key": key}], [{"tag": "text", "text": content.text}]])]
        found = await self._uploads.file(content, self._degrade) if files else None
        if found is None:
            return []
        type_, key = found
        if type_ != "media" or not isinstance(content, Video):
            return [Body(type_, {"file_key": key}), *([_text_body(text, ())] if (text := _words(content)) else [])]
        cover = await self._uploads.image(content.cover, self._degrade) if content.cover else None
        video = {"file_key": key, **({"image_key": cover} if cover else {})}
        if not content.title and not content.text:
            return [Body("media", video)]
        words = [[{"tag": "text", "text": content.text}]] if content.text else []
        return [_post(content.title, [[{"tag": "media", **video}], *words])]

    async def _uploaded(self, content: Content) -> Uploaded:
        """The pictures of a card, and the addresses of what can't be in it."""
        media, links, shown = {}, {}, {}
        for each, picture in _media(content):
            key = await self._uploads.image(each, self._degrade) if self._uploads is not None and picture else None
            if key is not None:
                media[each] = key
            else:
                links[each] = await self._degrade.media.link(each)
        if self._uploads is not None and isinstance(content, Markdown | Card):
            for url in dict.fromkeys(pictures(parse(content.text))):
                if url.startswith(("http://", "https://")):
                    key = await self._uploads.image(Media(url=url), self._degrade)
                    shown.update({url: key} if key is not None else {})
        return Uploaded(media, links, shown)

    # mentions

    async def _who(self, mentions: Sequence[Mention], direct: bool) -> list[Who]:
        if mentions and direct:
            self._degrade.note("mention_dropped_direct")
            return []
        return [await self._one(mention) for mention in mentions]

    async def _one(self, mention: Mention) -> Who:
        if mention.everyone:
            return Who("all", mention.name)
        found = await self._find(mention)
        if found is None:
            self._degrade.note("mention_unresolved", name_of(mention))
            return Who("", name_of(mention).removeprefix("@"))
        return Who(found, mention.name)

    def _in_card(self, who: Who) -> str:
        """Cards know no ids of the kind union_id."""
        if who.id.startswith("on_"):
            self._degrade.note("mention_unresolved", f"@{who.name or who.id}")
        if not who.id or who.id.startswith("on_"):
            return escape(f"@{who.name or who.id}")
        return f"<at id={_ID.sub('', who.id)}></at>"

    def _separate(self, who: Sequence[Who]) -> list[Body]:
        if not who:
            return []
        self._degrade.note("mention_separate")
        return [_text_body("", who)]

    # keywords and sizes

    def _with_keyword(self, body: Body) -> Body:
        """Robots may ask for a word; it is added where it is missing."""
        said = "\n".join(_said(body.content))
        if not self._keywords or any(word in said for word in self._keywords):
            return body
        word = self._keywords[0]
        self._degrade.note("keyword_added", word)
        match body:
            case Body("text", {"text": text}):
                return Body("text", {"text": f"{text}\n{word}"})
            case Body("post", {"zh_cn": post}):
                return _post(post["title"], [*post["content"], [{"tag": "text", "text": word}]])
            case _:
                return Body(body.type, with_text(body.content, escape(word)))

    async def _fitted(self, content: Content, make: Callable[[Content], Body], limit: int) -> Body:
        """Cut until it fits: the longest text first. What is far too long is cut before it is written, which costs."""
        most = limit - AROUND
        while (size := len(msgspec.json.encode(content))) > most * 1.2 and (shorter := _smaller(content, most / size)):
            self._degrade.note("text_cut")
            content = shorter
        body = await asyncio.to_thread(make, content)
        while (size := _size(body)) > most:
            smaller: Content | None = _smaller(content, most / size)
            if smaller is None:
                raise Problem(Outcome.BAD_CONTENT, f"a message of Feishu has at most {limit:,} bytes")
            self._degrade.note("text_cut")
            content, body = smaller, await asyncio.to_thread(make, smaller)
        return body


def _text_body(text: str, who: Sequence[Who]) -> Body:
    """As a text; or as a post, in which nothing is a mark, where Feishu would read something of it as one."""
    if _MARKED.search(text) or any("<" in each.name for each in who):
        lines: list[list[Json]] = [[{"tag": "text", "text": line}] for line in text.split("\n")]
        calls = [
            {"tag": "at", "user_id": each.id, **({"user_name": each.name} if each.name else {})}
            if each.id
            else {"tag": "text", "text": f"@{each.name}"}
            for each in who
        ]
        lines[0] = [part for call in calls for part in (call, {"tag": "text", "text": " "})] + lines[0]
        return _post("", lines)
    called = [f'<at user_id="{_ID.sub("", each.id)}">{each.name}</at>' if each.id else f"@{each.name}" for each in who]
    return Body("text", {"text": " ".join([*called, text] if text else called)})


def _post(title: str, content: list[list[Json]]) -> Body:
    return Body("post", {"zh_cn": {"title": title, "content": content}})


def _in_thread(content: Content, thread: str) -> Content:
    """With the thread before the title or text, if there is one."""
    match content:
        case Text(text):
            return Text(f"[#{thread}] {text}")
        case Markdown() | Card() | Table() | Link() | Video():
            return msgspec.structs.replace(content, title=f"[#{thread}] {content.title}".rstrip())
        case Articles(items):
            first = msgspec.structs.replace(items[0], title=f"[#{thread}] {items[0].title}")
            return Articles((first, *items[1:]))
        case Location():
            return msgspec.structs.replace(content, name=f"[#{thread}] {place_name(content)}")
        case Image(text=text):
            return msgspec.structs.replace(content, text=f"[#{thread}] {text}".rstrip())
        case _:
            return content


def _words(content: File | Audio | Video) -> str:
    """What is said besides the file."""
    return "\n".join(filter(None, (content.title, content.text))) if isinstance(content, Video) else ""


def _media(content: Content) -> list[tuple[Media, bool]]:
    """What a card shows, and whether as a picture."""
    match content:
        case Image(media):
            return [(media, True)]
        case File(media) | Audio(media) | Video(media):
            return [(media, False)]
        case Card() | Link():
            return [(content.image, True)] if content.image is not None else []
        case Articles(items):
            return [(each.image, True) for each in items if each.image is not None]
        case _:
            return []


def _said(value: Any) -> list[str]:
    """The texts in which Feishu looks for keywords."""
    match value:
        case dict():
            own = [
                each for name, each in value.items() if name in ("text", "title", "content") and isinstance(each, str)
            ]
            return own + [text for each in value.values() for text in _said(each)]
        case list():
            return [text for each in value for text in _said(each)]
        case _:
            return []


def _size(body: Body) -> int:
    """Bytes of a request: applications send JSON as a text in JSON."""
    return len(msgspec.json.encode(msgspec.json.encode(body.content).decode()))


def _smaller(content: Content, share: float) -> Any:
    """The content with about this share of its longest text, or of its rows; None if nothing is left to cut."""
    share = min(share, 0.95)
    match content:
        case Text() | Markdown():
            return _shorter(content, share)
        case Table(rows=rows) if len(rows) > 1:
            return msgspec.structs.replace(content, rows=rows[: int(len(rows) * share)])
        case Card(fields=fields):
            longest = max(fields, key=lambda each: len(each.value), default=None)
            if longest is not None and len(longest.value) > len(content.text):
                shorter = msgspec.structs.replace(longest, value=_cut(longest.value, share))
                return msgspec.structs.replace(
                    content, fields=tuple(shorter if each is longest else each for each in fields)
                )
            return _shorter(content, share)
        case Articles(items):
            longest_one = max(items, key=lambda each: len(each.text))
            shorter_one = _shorter(longest_one, share)
            if shorter_one is None:
                return None
            return Articles(tuple(shorter_one if each is longest_one else each for each in items))
        case Link() | Image() | Video():
            return _shorter(content, share)
        case _:
            return None


def _shorter(part: Text | Markdown | Card | Article | Link | Image | Video, share: float) -> Any:
    """The same with a shorter text; None if that is short already."""
    return msgspec.structs.replace(part, text=_cut(part.text, share)) if len(part.text) >= 50 else None


def _cut(text: str, share: float) -> str:
    return cut(text, int(len(text) * share))
