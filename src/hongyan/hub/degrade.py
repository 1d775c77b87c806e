"""Rewriting what a platform cannot show (connectors reference 8); each rule that was needed is noted."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlencode

from hongyan.hub.connector import Note
from hongyan.hub.content import (
    Article,
    Articles,
    Audio,
    Button,
    Card,
    Content,
    File,
    Image,
    Level,
    Link,
    Location,
    Markdown,
    Media,
    Mention,
    Table,
    Text,
    Video,
)
from hongyan.hub.fitting import cut
from hongyan.hub.markdown import KEPT, Writer, ahead, aside, parse
from hongyan.hub.surroundings import MediaSource, Surroundings

#: What stands before a title where there are no colours.
SIGNS: Mapping[Level, str] = {"info": "", "success": "✅ ", "warning": "⚠️ ", "error": "🔴 "}

#: Every rule: what it does, in English and Chinese.
RULES: Mapping[str, tuple[str, str]] = {
    "card_to_markdown": ("a card is written as Markdown", "卡片改写为 Markdown"),
    "card_to_text": ("a card is written as text", "卡片改写为文本"),
    "markdown_to_text": ("Markdown is written as text", "Markdown 改写为文本"),
    "marks_dropped": (
        "marks that the platform does not have are left out, their text stays",
        "去掉平台不支持的标记，保留文字",
    ),
    "buttons_to_links": ("buttons are written as links", "按钮改写为链接"),
    "buttons_to_page": (
        "a button opens a page of the server, where it is pressed",
        "按钮打开服务器上的页面，在页面上完成操作",
    ),
    "buttons_split": ("buttons above the platform's number stand as links", "超出数量的按钮改写为链接"),
    "form_to_page": ("a form is filled in on a page of the server", "表单在服务器的页面上填写"),
    "no_page": (
        "a button or form is only named, as the server has no page for it: set `public_url`",
        "按钮或表单只显示名称，因为没有对应的服务器页面：请设置 `public_url`",
    ),
    "confirm_dropped": ("nobody is asked before a button is pressed", "按钮不再要求确认"),
    "fields_to_lines": ("fields are written as lines", "字段改写为文本行"),
    "table_to_lines": ("a table is written as lines `name: value`", "表格改写为“名称: 值”的文本行"),
    "articles_to_markdown": ("a list of articles is written as Markdown", "图文列表改写为 Markdown"),
    "articles_to_text": ("a list of articles is written as text", "图文列表改写为文本"),
    "articles_split": ("articles above the platform's number come in a further message", "超出数量的图文另发一条消息"),
    "link_to_text": ("a link is written as text", "链接改写为文本"),
    "link_to_markdown": ("a link is written as Markdown", "链接改写为 Markdown"),
    "location_to_link": ("a location is a link to a map", "位置改写为地图链接"),
    "image_to_link": ("a picture is a link", "图片改写为链接"),
    "image_to_markdown": ("a picture stands in Markdown", "图片放入 Markdown"),
    "file_to_link": ("a file is a link to download it", "文件改写为下载链接"),
    "audio_to_file": ("a sound is sent as a file", "语音改为文件发送"),
    "audio_to_link": ("a sound is a link", "语音改写为链接"),
    "video_to_file": ("a video is sent as a file", "视频改为文件发送"),
    "video_to_link": ("a video is a link", "视频改写为链接"),
    "cover_dropped": ("a video has no picture of its own", "视频不带封面"),
    "level_to_sign": ("colour is a sign before the title", "颜色改为标题前的符号"),
    "title_cut": ("a title or label is cut to the platform's length", "标题或标签按平台长度截断"),
    "text_cut": ("a text is cut to the platform's length", "文本按平台长度截断"),
    "text_split": ("a long text comes in several messages", "长文本分为多条消息"),
    "mention_unresolved": ("somebody is named, but not told", "只显示姓名，未能提醒此人"),
    "mention_dropped_direct": ("in a direct message nobody is mentioned", "单聊中不提醒"),
    "mention_separate": ("a second message tells those who are mentioned", "另发一条消息提醒被提及的人"),
    "keyword_added": ("a keyword that the robot asks for is added", "补上机器人要求的关键词"),
    "repeat_marked": (
        "the time is added, as the platform drops what says the same within a day",
        "补上时间，因为平台会丢弃一天内内容相同的消息",
    ),
    "thread_to_title": ("the thread is named, as the platform has none", "平台没有话题，改为注明所属话题"),
}


@dataclass(slots=True)
class Degrade:
    """Rewrites one message. `key` is the message's, by which pages of the server find it."""

    around: Surroundings
    key: str
    notes: list[Note] = field(default_factory=list)

    @property
    def media(self) -> MediaSource:
        return self.around.media

    def note(self, rule: str, detail: str = "") -> None:
        assert rule in RULES, rule
        if Note(rule, detail) not in self.notes:
            self.notes.append(Note(rule, detail))

    # texts

    def title(self, title: str, level: Level) -> str:
        """With the sign of its level."""
        if level != "info":
            self.note("level_to_sign")
        return SIGNS[level] + title

    def cut(self, text: str, most: int, *, size: Callable[[str], int] = len, rule: str = "text_cut") -> str:
        """At a line's end if one is near, and with an ellipsis."""
        if size(text) <= most:
            return text
        self.note(rule)
        return cut(text, most, size=size)

    def plain(self, markdown: str) -> str:
        """Markdown as text."""
        writer = Writer()
        text = writer.write(parse(markdown))
        if text != markdown:
            self.note("markdown_to_text")
        return text

    def written(self, markdown: str, writer: Writer) -> str:
        """Markdown in the dialect of a writer, whose rules are noted."""
        text = writer.write(parse(markdown))
        for rule in sorted(writer.used):
            self.note(rule)
        return text

    # buttons

    def address(self, button: Button) -> str | None:
        """Where a button leads on a platform whose buttons only open addresses."""
        if button.confirm:
            self.note("confirm_dropped", button.text)
        return button.url or self._page(button.id, button.text, "buttons_to_page", button.text)

    def form_address(self, card: Card) -> str | None:
        """Where a form is filled in."""
        return None if card.form is None else self._page(card.form.id, card.form.submit, "form_to_page")

    def _page(self, id_: str, name: str, rule: str, detail: str = "") -> str | None:
        url = self.around.act_url(self.key, id_)
        if url is None:
            self.note("no_page", name)
        else:
            self.note(rule, detail)
        return url

    # any content as Markdown of our subset

    async def markdown(self, content: Content, *, title: bool = True) -> str:
        """Everything it says, as Markdown, without its `title` if the platform shows that elsewhere."""
        text = await self._markdown(content, title)
        await ahead(text)
        return text

    async def _markdown(self, content: Content, title: bool) -> str:
        match content:
            case Text(text):
                return escape(text)
            case Markdown():
                head = self.title(content.title, content.level).strip() if title else ""
                return _joined(f"### {escape(head)}" if head else "", content.text)
            case Image(media, text):
                self.note("image_to_markdown")
                return picture(text or media.name, await self.media.link(media))
            case File(media):
                self.note("file_to_link")
                return link(media.name or "file", await self.media.link(media))
            case Audio(media):
                self.note("audio_to_link")
                return link(f"🔊 {media.name or 'audio'}", await self.media.link(media))
            case Video(media, heading, text):
                self.note("video_to_link")
                shown = link(f"▶ {heading or media.name or 'video'}", await self.media.link(media))
                return _joined(shown, escape(text))
            case Link(heading, url, text, image):
                self.note("link_to_markdown")
                return _joined(link(heading, url), escape(text), await self._picture(image))
            case Location():
                self.note("location_to_link")
                return _joined(link(f"📍 {place_name(content)}", map_url(content)), escape(content.address))
            case Articles(items):
                self.note("articles_to_markdown")
                return "\n\n".join([await self._article(each) for each in items])
            case Table():
                head = f"### {escape(content.title)}" if content.title and title else ""
                return _joined(head, table_markdown(content))
            case Card():
                self.note("card_to_markdown")
                return await self._card(content, title)

    async def text(self, content: Content) -> str:
        """Everything it says, as plain text."""
        if isinstance(content, Text):
            return content.text
        rules = {Card: "card_to_text", Articles: "articles_to_text", Link: "link_to_text"}
        before = list(self.notes)
        markdown = await self._markdown(content, title=True)
        text = await aside(markdown, lambda: Writer().write(parse(markdown)))
        rule = rules.get(type(content))
        if rule is not None:  # that it was Markdown on the way is nobody's concern
            self.notes = [note for note in self.notes if note in before or not note.rule.endswith("_to_markdown")]
            self.note(rule)
        elif isinstance(content, Markdown):
            self.note("markdown_to_text")
        elif isinstance(content, Image):
            self.notes = [note for note in self.notes if note in before or note.rule != "image_to_markdown"]
            self.note("image_to_link")
        elif isinstance(content, Table):
            self.note("table_to_lines")
        return text

    async def _article(self, article: Article) -> str:
        head = f"**{link(article.title, article.url)}**"
        return _joined(head, escape(article.text), await self._picture(article.image))

    async def _picture(self, image: Media | None) -> str:
        return picture(image.name, await self.media.link(image)) if image else ""

    async def _card(self, card: Card, title: bool) -> str:
        head = self.title(card.title, card.level)
        head = link(head, card.url) if card.url else escape(head)
        parts = [f"### {head}" if title else "", card.text, await self._picture(card.image)]
        if card.fields:
            self.note("fields_to_lines")
            parts.append("\n".join(f"- **{escape(each.name)}**: {escape(each.value)}" for each in card.fields))
        parts.append(self.links(card))
        if card.footer:
            parts.append(f"*{escape(card.footer.strip())}*")
        return _joined(*parts)

    def links(self, card: Card, buttons: tuple[Button, ...] | None = None) -> str:
        """These buttons of a card (all), and its form, as links of Markdown."""
        links = []
        for button in card.buttons if buttons is None else buttons:
            self.note("buttons_to_links")
            links.append(_link_or_name(button.text, self.address(button)))
        if card.form is not None:
            links.append(_link_or_name(card.form.submit, self.form_address(card)))
        return " | ".join(links)


async def prepare(content: Content) -> None:
    """Parse ahead what connectors will parse of a content as it is."""
    match content:
        case Markdown() | Card():
            await ahead(content.text)
        case Table():
            await ahead(await asyncio.to_thread(table_markdown, content))
        case _:
            pass


def _link_or_name(text: str, url: str | None) -> str:
    return link(text, url) if url else f"**{escape(text.strip())}**"


def name_of(mention: Mention) -> str:
    """What stands in a text for somebody who can't be told: `@…`."""
    return "@" + (mention.name or mention.user or mention.mobile or mention.email or "all")


def place_name(location: Location) -> str:
    """Its name, or its address, or where it is."""
    return location.name or location.address or f"{location.latitude:g}, {location.longitude:g}"


def map_url(location: Location) -> str:
    """A page with a map, good in every browser and in China (AMap)."""
    query = {"position": f"{location.longitude:.6f},{location.latitude:.6f}", "name": place_name(location)}
    return f"https://uri.amap.com/marker?{urlencode({**query, 'coordinate': 'wgs84'})}"


@lru_cache(KEPT)
def table_markdown(table: Table) -> str:
    """A table in Markdown."""

    def row(cells: tuple[str, ...]) -> str:
        filled = cells + ("",) * (len(table.columns) - len(cells))
        return "| " + " | ".join(escape(" ".join(cell.split())) for cell in filled) + " |"

    return "\n".join([row(table.columns), "|" + "---|" * len(table.columns), *map(row, table.rows)])


#: Characters that may be marks of Markdown, the beginnings of entities, and what is a mark at the start of a line.
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>~|"})
_ENTITY = re.compile(r"&(?=#?\w)")
_AT_START = re.compile(r"^([ \t]*)(?:([-+#=:])|(\d+)(?=[.)]))?", re.MULTILINE)
#: What has a meaning in the address of a link.
_IN_ADDRESS = re.compile(r"([\\()<>]|&(?=#?\w+;))")


def escape(text: str) -> str:
    """Plain text as Markdown; the ends of its lines stay."""
    return _AT_START.sub(_start, _ENTITY.sub(r"\\&", text.translate(_MARKS)))


def _start(found: re.Match[str]) -> str:
    """The start of a line that is no mark, and keeps its white space unless that is one blank."""
    space, mark, number = found.groups()
    if len(space) > 1 or space == "\t":
        space = f"&#{ord(space[0])};{space[1:]}"
    if mark:
        return f"{space}\\{mark}"
    return f"{space}{number}\\" if number else space


def link(text: str, url: str) -> str:
    """A link in Markdown."""
    return f"[{escape(text)}]({address(url)})"


def picture(text: str, url: str) -> str:
    """A picture in Markdown."""
    return f"![{escape(text)}]({address(url)})"


def address(url: str) -> str:
    """A URL as it stands in a link of Markdown."""
    return _IN_ADDRESS.sub(r"\\\1", url)


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
