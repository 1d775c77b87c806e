"""Messages as WeCom takes them: what is sent, part after part, as pairs of `msgtype` and its object."""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.connectors.wecom.dialects import Markdown as Dialect
from hongyan.hub.connectors.wecom.dialects import MarkdownV2, inert, kinds, packed
from hongyan.hub.connectors.wecom.mentions import Told
from hongyan.hub.content import (
    Article,
    Articles,
    Audio,
    Card,
    Content,
    File,
    Image,
    Level,
    Link,
    Location,
    Markdown,
    Media,
    Message,
    Table,
    Text,
    Video,
)
from hongyan.hub.degrade import Degrade, escape, map_url, place_name, table_markdown
from hongyan.hub.fitting import cut, split, utf8
from hongyan.hub.markdown import Blocks, CodeBlock, Grid, Italic, LinkTo, Picture, Plain, Rule, aside, parse
from hongyan.hub.markdown import Bullets as List
from hongyan.hub.markdown import Heading as HeadingOf
from hongyan.hub.surroundings import Bytes

#: Bytes of a text, of both dialects of Markdown from a robot, and of Markdown from an application.
TEXT_MAX, ROBOT_MARKDOWN_MAX, APP_MARKDOWN_MAX = 2048, 4096, 2048
#: Bytes of titles, descriptions and addresses of articles and text cards; articles in one message.
TITLE_MAX, DESCRIPTION_MAX, URL_MAX, ARTICLES_MAX = 128, 512, 2048, 8
#: Bytes of files.
ROBOT_IMAGE_MAX, IMAGE_MAX, VOICE_MAX, VIDEO_MAX, FILE_MAX, FILE_MIN = (
    2_097_152,
    10_485_760,
    2_097_152,
    10_485_760,
    20_971_520,
    6,
)
VOICE_SECONDS = 60
#: Messages that a long text comes in; what is left is cut.
PARTS_MAX = 5
#: Room for the number before each of several parts, such as `(2/5)` and the end of its line.
_NUMBER = 8

_COLOURS: dict[Level, str] = {"success": "info", "warning": "warning", "error": "warning"}


class Part(NamedTuple):
    """One call: its `msgtype`, and the object of that name."""

    type: str
    value: dict[str, Any]


#: Uploads a file as image, voice, video or file, and returns its media id.
Upload = Callable[[str, Bytes], Awaitable[str]]


class Rendering:
    """What robots, applications and groups of applications have in common."""

    markdown_max = APP_MARKDOWN_MAX

    def __init__(self, degrade: Degrade, upload: Upload, told: Told) -> None:
        self.degrade = degrade
        self.upload = upload
        self.told = told

    async def parts(self, message: Message) -> list[Part]:
        content, before = self._threaded(message.content, message.thread)
        parts = [*before, *await self.content(content)]
        for name in self.told.names:
            self.degrade.note("mention_unresolved", name)
        return self.mentioning(parts)

    async def content(self, content: Content) -> list[Part]:
        match content:
            case Text(text):
                return self.text(text)
            case Markdown(text, title, level):
                return await self._written(text, title, level)
            case Table():
                return await self._written(table_markdown(content), content.title)
            case Image():
                return await self.image(content)
            case File(media):
                return await self.file(media) or await self._as_markdown(content)
            case Audio():
                return await self.audio(content)
            case Video():
                return await self.video(content)
            case Link():
                return await self.link(content)
            case Location():
                self.degrade.note("location_to_link")
                where = content.address or f"{content.latitude:g}, {content.longitude:g}"
                return await self.link(Link(f"📍 {place_name(content)}", map_url(content), where))
            case Articles(items):
                return await self.articles(items)
            case Card():
                return await self.card(content)

    # texts

    def text(self, text: str) -> list[Part]:
        return [Part("text", {"content": each}) for each in self._numbered(inert(text), TEXT_MAX)]

    def _numbered(self, text: str, most: int) -> list[str]:
        """In one piece, or in several that are numbered."""
        if utf8(text) <= most:
            return [text]
        room = most - _NUMBER
        pieces = split(text, room, size=utf8)
        if len(pieces) > PARTS_MAX:
            self.degrade.note("text_cut")
            pieces = [*pieces[: PARTS_MAX - 1], cut("\n".join(pieces[PARTS_MAX - 1 :]), room, size=utf8)]
        self.degrade.note("text_split")
        return [f"({number}/{len(pieces)})\n{piece}" for number, piece in enumerate(pieces, 1)]

    def markdown(self, text: str, title: str = "", level: Level = "info", url: str = "") -> list[Part]:
        return self.written(parse(text), Dialect(), "markdown", self.coloured(title, level, url))

    async def _written(self, text: str, title: str = "", level: Level = "info", url: str = "") -> list[Part]:
        return await aside(text, self.markdown, text, title, level, url)

    def coloured(self, title: str, level: Level, url: str = "") -> str:
        """A heading in the colour of its level; a link has no colour, and serious errors a sign besides."""
        if not title and level == "info":
            return ""
        title, url = self.short(title, url)
        colour = "" if url else _COLOURS.get(level, "")
        if level != "info" and (not colour or level == "error" or not title):
            title = self.degrade.title(title, level).strip()
        shown = Dialect().inline((LinkTo(url, (Plain(title),)) if url else Plain(title),)).replace("\n", " ")
        return f'### <font color="{colour}">{shown}</font>' if colour else f"### {shown}"

    def short(self, title: str, url: str) -> tuple[str, str]:
        """A title and its address as they leave room for the rest; an address that is too long is left out."""
        most = self.markdown_max // 4
        if utf8(url) > most:
            self.degrade.note("text_cut", "an address")
            url = ""
        return self.degrade.cut(title, most, size=utf8, rule="title_cut"), url

    def written(self, blocks: Blocks, dialect: Dialect, type_: str, heading: str) -> list[Part]:
        """Markdown in as many parts as it needs, at most PARTS_MAX."""
        room = self.markdown_max - utf8(heading) - 2 * len(dialect.gap)
        pieces = packed(blocks, dialect, room)
        for rule in sorted(dialect.used):
            self.degrade.note(rule)
        if len(pieces) > PARTS_MAX:
            self.degrade.note("text_cut")
            pieces = [*pieces[: PARTS_MAX - 1], cut("\n".join(pieces[PARTS_MAX - 1 :]), room, size=utf8)]
        if len(pieces) > 1:
            self.degrade.note("text_split")
        if heading:
            pieces = [dialect.gap.join(filter(None, (heading, *pieces[:1]))), *pieces[1:]]
        return [Part(type_, {"content": each}) for each in pieces]

    async def _as_markdown(self, content: Content) -> list[Part]:
        return await self._written(await self.degrade.markdown(content))

    # files

    async def image(self, image: Image) -> list[Part]:
        found = await self.read(image.media, IMAGE_MAX)
        if found is None or not _is_picture(found.content):
            return await self._as_markdown(image)
        return [Part("image", {"media_id": await self.upload("image", found)}), *self._caption(image)]

    def _caption(self, image: Image) -> list[Part]:
        return self.text(image.text) if image.text else []

    async def file(self, media: Media) -> list[Part]:
        """None if it is too large or small."""
        found = await self.read(media, FILE_MAX)
        if found is None or len(found.content) < FILE_MIN:
            return []
        return [Part("file", {"media_id": await self.upload("file", found)})]

    async def audio(self, audio: Audio) -> list[Part]:
        found = await self.read(audio.media, VOICE_MAX)
        short = audio.media.seconds is None or audio.media.seconds <= VOICE_SECONDS
        if found is not None and short and found.content.startswith(b"#!AMR"):
            return [Part("voice", {"media_id": await self.upload("voice", found)})]
        return await self.as_file(audio, "audio_to_file")

    async def video(self, video: Video) -> list[Part]:
        found = await self.read(video.media, VIDEO_MAX)
        if found is None or found.content[4:8] != b"ftyp":
            return await self.as_file(video, "video_to_file")
        if video.cover is not None:
            self.degrade.note("cover_dropped")
        value = {
            "media_id": await self.upload("video", found),
            "title": self.title(video.title),
            "description": self.description(video.text),
        }
        return [Part("video", {name: each for name, each in value.items() if each})]

    async def as_file(self, content: Audio | Video, rule: str) -> list[Part]:
        """As a file after what is said of it; or as a link."""
        parts = await self.file(content.media)
        if not parts:
            return await self._as_markdown(content)
        self.degrade.note(rule)
        if isinstance(content, Video) and (content.title or content.text):
            parts = [*await self._written(escape(content.text), content.title), *parts]
        return parts

    async def read(self, media: Media, most: int) -> Bytes | None:
        """None if it can't be read whole; then there may be a link to it all the same."""
        try:
            return await self.degrade.media.read(media, most)
        except Problem as problem:
            if problem.outcome is not Outcome.BAD_CONTENT:
                raise
            return None

    # links

    async def link(self, link: Link) -> list[Part]:
        return await self.articles((Article(link.title, link.url, link.text, link.image),))

    async def articles(self, items: Sequence[Article]) -> list[Part]:
        if any(utf8(each.url) > URL_MAX for each in items):
            return await self._as_markdown(Articles(tuple(items)))
        if len(items) > ARTICLES_MAX:
            self.degrade.note("articles_split")
        written = [await self._article(each) for each in items]
        return [
            Part("news", {"articles": written[start : start + ARTICLES_MAX]})
            for start in range(0, len(written), ARTICLES_MAX)
        ]

    async def _article(self, article: Article) -> dict[str, str]:
        value = {
            "title": self.title(article.title),
            "description": self.description(article.text),
            "url": article.url,
            "picurl": await self.degrade.media.link(article.image) if article.image else "",
        }
        return {name: each for name, each in value.items() if each}

    def title(self, text: str) -> str:
        return self.degrade.cut(text, TITLE_MAX, size=utf8, rule="title_cut")

    def description(self, text: str) -> str:
        return self.degrade.cut(text, DESCRIPTION_MAX, size=utf8)

    # cards

    async def card(self, card: Card) -> list[Part]:
        """As Markdown."""
        text = await self.degrade.markdown(replace(card, level="info", url=""), title=False)
        return await self._written(text, card.title, card.level, card.url)

    # whom it is for

    def mentioning(self, parts: list[Part]) -> list[Part]:
        """Those mentioned are told in a text or in Markdown of one dialect, or by a text that comes after."""
        names = " ".join(self.told.names)
        if self.told.nobody and not names:
            return parts
        for number, (type_, value) in enumerate(parts):
            shown = names
            if type_ == "markdown" and self.told.inline:
                shown = " ".join((*(f"<@{user}>" for user in self.told.users), *map(inert, self.told.names)))
            elif type_ != "text" and not (type_ == "markdown_v2" and self.told.nobody):
                continue
            content = f"{value['content']}\n{shown}".rstrip()
            if utf8(content) > (TEXT_MAX if type_ == "text" else self.markdown_max):
                continue
            told = self.told.fields() if type_ == "text" else {}
            return [*parts[:number], Part(type_, {"content": content, **told}), *parts[number + 1 :]]
        self.degrade.note("mention_separate")
        return [*parts, Part("text", {"content": inert(names) or "⬆️", **self.told.fields()})]

    def _threaded(self, content: Content, thread: str) -> tuple[Content, list[Part]]:
        """What it says, with the id of its thread in front; what has no text follows a text of its own."""
        if not thread:
            return content, []
        self.degrade.note("thread_to_title")
        mark = f"[#{thread}]"
        match content:
            case Text(text):
                return Text(f"{mark} {text}"), []
            case Markdown(text, title):
                if title:
                    return replace(content, title=f"{mark} {title}"), []
                return replace(content, text=f"{escape(mark)}\n\n{text}"), []
            case Table(title=title) | Card(title=title) | Link(title=title):
                return replace(content, title=f"{mark} {title}".rstrip()), []
            case Articles(items):
                first = replace(items[0], title=f"{mark} {items[0].title}")
                return Articles((first, *items[1:])), []
            case _:
                return content, [Part("text", {"content": mark})]


def _is_picture(content: bytes) -> bool:
    """JPEG or PNG."""
    return content.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


class RobotRendering(Rendering):
    """For the robot of a group, which has two dialects of Markdown, takes pictures as they are, and no videos."""

    markdown_max = ROBOT_MARKDOWN_MAX

    def markdown(self, text: str, title: str = "", level: Level = "info", url: str = "") -> list[Part]:
        """In the dialect it needs: tables, pictures and code are in one, colours and mentions in the other."""
        blocks = parse(text)
        needs = kinds(blocks)
        marked = bool(self.told.users) and self.told.inline
        coloured = bool(title) and level != "info" and not url
        if needs & {Grid, Picture, CodeBlock} or (needs & {List, Italic, Rule} and not marked and not coloured):
            title, url = self.short(title, url)
            head = self.degrade.title(title, level).strip()
            heading = HeadingOf(3, (LinkTo(url, (Plain(head),)) if url else Plain(head),))
            return self.written(blocks, MarkdownV2(), "markdown_v2", MarkdownV2().block(heading) if head else "")
        return super().markdown(text, title, level, url)

    async def image(self, image: Image) -> list[Part]:
        found = await self.read(image.media, ROBOT_IMAGE_MAX)
        if found is None or not _is_picture(found.content):
            return await self._as_markdown(image)
        digest = hashlib.md5(found.content, usedforsecurity=False).hexdigest()
        picture = {"base64": base64.b64encode(found.content).decode(), "md5": digest}
        return [Part("image", picture), *self._caption(image)]

    async def video(self, video: Video) -> list[Part]:
        return await self.as_file(video, "video_to_file")


class GroupRendering(Rendering):
    """For a group that an application has made, which takes no template cards."""

    async def link(self, link: Link) -> list[Part]:
        """As a text card, if there is no picture."""
        if link.image is not None or not link.text or utf8(link.url) > URL_MAX:
            return await super().link(link)
        text = self.description(inert(link.text)).replace("\n", "<br>")
        value = {"title": self.title(link.title), "description": text, "url": link.url}
        return [Part("textcard", value)]
