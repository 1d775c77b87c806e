"""A message as a mail: text and HTML, pictures within, files beside."""

import email.policy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from html import escape

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.connectors import email_html as html
from hongyan.hub.connectors.email_html import Html
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
from hongyan.hub.degrade import SIGNS, Degrade, map_url, name_of, place_name
from hongyan.hub.fitting import cut
from hongyan.hub.markdown import Writer, aside, parse
from hongyan.hub.surroundings import Bytes

#: Characters of a subject; bytes of all files of a mail, as many servers take 25 MB in Base64.
SUBJECT_MAX, FILES_MAX = 150, 15_000_000
_TOO_LARGE: Mapping[type[Content], str] = {File: "file_to_link", Audio: "audio_to_link", Video: "video_to_link"}


@dataclass(slots=True)
class Mail:
    """What a message becomes; `write` makes it a mail to somebody."""

    subject: str
    text: str
    html: str
    pictures: list[tuple[str, Bytes]] = field(default_factory=list)
    files: list[Bytes] = field(default_factory=list)

    def write(self, sender: Address, to: Address, id: str, at: int, headers: Mapping[str, str]) -> bytes:
        """`at` in ms. Values of headers have no ends of lines, which is checked by the library, too."""
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["To"], mail["Subject"] = sender, to, self.subject
        mail["Date"] = datetime.fromtimestamp(at // 1000, UTC)
        mail["Message-ID"] = id
        mail["Auto-Submitted"] = "auto-generated"  # so that nobody's absence is answered
        for name, value in headers.items():
            mail[name] = value
        mail.set_content(self.text, cte="base64")
        mail.add_alternative(self.html, subtype="html", cte="base64")
        parts = mail.get_payload()
        assert isinstance(parts, list)
        for number, picture in self.pictures:
            main, sub = _type(picture)
            part = parts[1]
            assert isinstance(part, EmailMessage)
            name = one_line(picture.name) or "picture"
            part.add_related(picture.content, main, sub, cid=f"<{number}>", filename=name, disposition="inline")
        for file in self.files:
            main, sub = _type(file)
            mail.add_attachment(file.content, main, sub, filename=one_line(file.name) or "file")
        return mail.as_bytes()


def message_id(key: str, domain: str) -> str:
    """The same at each try: servers and clients may tell that a mail comes again."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"


def one_line(text: str) -> str:
    """Without ends of lines and other controls, which have no place in a header."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


async def render(message: Message, degrade: Degrade) -> Mail:
    return await _Rendering(degrade).mail(message)


class _Rendering:
    def __init__(self, degrade: Degrade) -> None:
        self._degrade = degrade
        self._mail = Mail("", "", "")
        self._size = 0

    async def mail(self, message: Message) -> Mail:
        content = message.content
        level: Level = content.level if isinstance(content, Markdown | Card) else "info"
        self._mail.subject = cut(one_line(SIGNS[level] + _subject(content)), SUBJECT_MAX)
        body = await self._content(content)
        names = [name_of(mention) for mention in message.mentions]
        for name in names:
            self._degrade.note("mention_unresolved", name)
        if names:
            body = html.plain(" ".join(names)) + body
        text = await self._text(content)
        self._mail.text = "\n\n".join(filter(None, (" ".join(names), text))) + "\n"
        self._mail.html = html.page(self._mail.subject, body, level)
        return self._mail

    async def _text(self, content: Content) -> str:
        """The same as plain text; that it is text here is no loss."""
        degrade = Degrade(self._degrade.around, self._degrade.key)
        if isinstance(content, Image | File | Audio | Video) and (self._mail.files or self._mail.pictures):
            attached = [each.name for each in self._mail.files] or [each.name for _, each in self._mail.pictures]
            words = [getattr(content, "title", ""), getattr(content, "text", ""), *(f"[{name}]" for name in attached)]
            return "\n".join(filter(None, words))
        return await degrade.text(content)

    async def _content(self, content: Content) -> str:
        match content:
            case Text(text):
                return html.plain(text)
            case Markdown():
                head = html.title(escape(content.title)) if content.title else ""
                return head + await _html(content.text)
            case Image(media, text):
                caption = html.plain(text) if text else ""
                return html.block(await self._picture(media, text)) + caption
            case File() | Audio() | Video():
                return await self._file(content)
            case Link(heading, url, text, image):
                return await self._article(Article(heading, url, text, image))
            case Location():
                link = html.link(map_url(content), escape(f"📍 {place_name(content)}"))
                self._degrade.note("location_to_link")
                return html.block(link) + (html.plain(content.address) if content.address else "")
            case Articles(items):
                return "".join([await self._article(each) for each in items])
            case Table():
                return (html.title(escape(content.title)) if content.title else "") + _table(content)
            case Card():
                return await self._card(content)

    async def _picture(self, media: Media, text: str, width: str = "max-width:100%") -> str:
        """Within the mail, as clients do not load pictures from elsewhere; a link if it is too large."""
        picture = await self._read(media)
        if picture is None or not picture.type.startswith("image/"):
            self._degrade.note("image_to_link", media.name)
            return html.link(await self._degrade.media.link(media), escape(text or media.name or "picture"))
        number = f"picture-{len(self._mail.pictures) + 1}@hongyan"
        self._mail.pictures.append((number, picture))
        return html.picture(f"cid:{number}", text or media.name, width)

    async def _read(self, media: Media) -> Bytes | None:
        """None if there is no room for it."""
        room = FILES_MAX - self._size
        try:
            found = await self._degrade.media.read(media, room)
        except Problem as problem:
            if problem.outcome is Outcome.BAD_CONTENT:
                return None
            raise
        self._size += len(found.content)
        return found

    async def _file(self, content: File | Audio | Video) -> str:
        heading = html.title(escape(content.title)) if isinstance(content, Video) and content.title else ""
        text = html.plain(content.text) if isinstance(content, Video) and content.text else ""
        file = await self._read(content.media)
        if file is None:
            self._degrade.note(_TOO_LARGE[type(content)])
            shown = html.link(await self._degrade.media.link(content.media), escape(content.media.name or "file"))
        else:
            if not isinstance(content, File):
                self._degrade.note("audio_to_file" if isinstance(content, Audio) else "video_to_file")
            self._mail.files.append(file)
            shown = escape(f"📎 {file.name}")
        return heading + html.block(shown) + text

    async def _article(self, article: Article) -> str:
        image = await self._picture(article.image, article.title, "width:96px") if article.image else ""
        text = f"<br>{html.plain(article.text)}" if article.text else ""
        return html.article(html.link(article.url, escape(article.title)), text, image)

    async def _card(self, card: Card) -> str:
        head = html.link(card.url, escape(card.title)) if card.url else escape(card.title)
        parts = [html.title(head), await _html(card.text) if card.text else ""]
        if card.image is not None:
            parts.append(html.block(await self._picture(card.image, "")))
        if card.fields:
            parts.append(html.fields(card.fields))
        buttons = []
        for each in card.buttons:
            address = self._degrade.address(each)
            shown = html.button(address, each.text, each.style) if address else f"<b>{escape(each.text)}</b> "
            buttons.append(shown)
        if card.form is not None:
            address = self._degrade.form_address(card)
            submit = card.form.submit
            buttons.append(html.button(address, submit, "primary") if address else f"<b>{escape(submit)}</b>")
        if buttons:
            parts.append(html.block("".join(buttons)))
        if card.footer:
            parts.append(html.footer(card.footer))
        return "".join(parts)


async def _html(markdown: str) -> str:
    return await aside(markdown, lambda: Html().write(parse(markdown)))


def _table(table: Table) -> str:
    rows = [[*row, *[""] * (len(table.columns) - len(row))] for row in table.rows]
    cells = [[escape(each).replace("\n", "<br>") for each in row] for row in rows]
    return html.table([escape(each) for each in table.columns], cells)


def _subject(content: Content) -> str:
    """A title, or the first line of the text."""
    match content:
        case Text(text):
            return _first(text)
        case Markdown():
            return content.title or _first(Writer().write(parse(content.text)))
        case Image(media, text):
            return text or media.name or "Picture"
        case Video(media, heading):
            return heading or media.name or "Video"
        case File(media) | Audio(media):
            return media.name or "File"
        case Link(heading) | Card(heading):
            return heading
        case Location():
            return place_name(content)
        case Articles(items):
            return items[0].title
        case Table():
            return content.title or ", ".join(content.columns)


def _first(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "Message")


def _type(file: Bytes) -> tuple[str, str]:
    main, _, sub = file.type.partition(";")[0].strip().partition("/")
    token = main.replace("-", "").isalnum() and sub.replace("-", "").replace("+", "").replace(".", "").isalnum()
    # a mail within a mail would be made of other parts
    if not token or not (main + sub).isascii() or main in ("message", "multipart"):
        return "application", "octet-stream"
    return main, sub
