"""What an app sends: messages of its robot, work notifications, and interactive cards."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from hongyan.hub.connectors.dingtalk.dialect import dingtalk
from hongyan.hub.connectors.dingtalk.rendering import (
    DETAILS,
    Body,
    as_markdown,
    card_text,
    fitted,
    place,
    plain_lines,
    preview,
    thread_mark,
    title_of,
    url_buttons,
)
from hongyan.hub.content import (
    Audio,
    Card,
    Content,
    File,
    Image,
    Level,
    Link,
    Location,
    Media,
    Mention,
    Message,
    Text,
    Video,
)
from hongyan.hub.degrade import Degrade, escape, name_of
from hongyan.hub.surroundings import Bytes

#: Bytes of the parameter of a message of the robot, and of a work notification: a little below DingTalk's.
PARAM_MAX, WORK_MAX = 14_900, 2000
#: Buttons of a message of the robot, and of a work notification.
BUTTONS_MAX = 5
#: Bytes of files.
IMAGE_MAX, VOICE_MAX, FILE_MAX = 20 << 20, 2 << 20, 20 << 20
#: Colours of the head and of the status of a notification.
COLOURS: dict[Level, str] = {"info": "FF3296FA", "success": "FF15BC83", "warning": "FFFF943E", "error": "FFF25643"}
#: What sounds the robot and work notifications take.
SOUNDS = {"audio/amr", "audio/ogg", "audio/mpeg", "audio/mp3", "audio/wav", "audio/x-wav"}
ROBOT_SOUNDS = {"audio/amr", "audio/ogg"}

#: Where the mark of a repeated work notification stands, by its type, and what stands before the mark.
_MARKED = {
    "text": ("content", "\n"),
    "markdown": ("text", "\n\n"),
    "action_card": ("markdown", "\n\n"),
    "link": ("text", " "),
    "oa": ("content", "\n"),
}

#: Uploads a file and gives its media id. The kind is DingTalk's word.
Upload = Callable[[Media, str, int], Awaitable[tuple[str, Bytes]]]


class Sample(NamedTuple):
    """A message of the robot."""

    key: str
    param: dict[str, str]


class AppRendering:
    """Of one message. Files are uploaded once, whoever gets them."""

    def __init__(self, message: Message, degrade: Degrade, upload: Upload) -> None:
        self._message = message
        self._degrade = degrade
        self._upload = upload
        self._uploaded: dict[tuple[Media, str], tuple[str, Bytes]] = {}

    async def sample(self, *, direct: bool) -> Sample:
        """For people (`direct`) or a group."""
        content, degrade = self._message.content, self._degrade
        names = self._names(direct=direct)
        mark = thread_mark(self._message, degrade)
        match content:
            case Text(text):
                return _sample_text(mark + text, names, degrade)
            case Image(media, text) if not (mark or names or text):
                return Sample(
                    "sampleImageMsg", {"photoURL": media.url or (await self._media(media, "image", IMAGE_MAX))[0]}
                )
            case Audio(media) if not (mark or names):
                return await self._sample_sound(media)
            case File(media) if not (mark or names):
                return await self._sample_file(media)
            case Video() if not (mark or names or content.text or content.title):
                return await self._sample_video(content)
            case Link() | Location() if not names:
                link = content if isinstance(content, Link) else place(content, degrade)
                return await self._sample_link(link, mark)
            case Card():
                return await self._sample_card(content, mark, names)
            case _:
                return await self._sample_markdown(content, mark, names)

    async def work(self) -> Body:
        """A work notification."""
        content, degrade = self._message.content, self._degrade
        names = self._names(direct=False)
        mark = thread_mark(self._message, degrade)
        match content:
            case Text(text):
                ending = f"\n{names}" if names else ""
                return fitted(
                    degrade,
                    mark + text,
                    WORK_MAX,
                    lambda cut: {"msgtype": "text", "text": {"content": cut + ending}},
                )
            case Image(media, text) if not (mark or names or text):
                return await self._work_media("image", media, IMAGE_MAX)
            case Audio(media) if not (mark or names) and _plays(media, SOUNDS) and (media.seconds or 0) < 60:
                body = await self._work_media("voice", media, VOICE_MAX)
                body["voice"]["duration"] = str(max(round(media.seconds or 1), 1))
                return body
            case File(media) | Audio(media) if not (mark or names):
                if isinstance(content, Audio):
                    degrade.note("audio_to_file")
                return await self._work_media("file", media, FILE_MAX)
            case Video(media) if not (mark or names or content.text or content.title):
                degrade.note("video_to_file")
                return await self._work_media("file", media, FILE_MAX)
            case Link() | Location() if not names:
                return await self._work_link(content if isinstance(content, Link) else place(content, degrade), mark)
            case Card() if not content.buttons and not content.form and content.url:
                return await self._work_oa(content, mark, names)
            case Card():
                return await self._work_card(content, mark, names)
            case _:
                text = await as_markdown(content, degrade)
                title = mark + preview(await title_of(content, degrade), text)
                return _work_markdown(title, _framed(mark, names), text, degrade)

    def repeated(self, body: Body, mark: str) -> Body:
        """A work notification that says what one of this day has said, and differs by the mark."""
        kind = body["msgtype"]
        if kind not in _MARKED:  # a file is another one each time it is uploaded
            return body
        self._degrade.note("repeat_marked", mark)
        name, before = _MARKED[kind]
        parts = body[kind]["body"] if kind == "oa" else body[kind]
        written = {**parts, name: f"{parts[name]}{before}{mark}" if parts.get(name) else mark}
        return {**body, kind: {**body[kind], "body": written} if kind == "oa" else written}

    async def card(self, names: str = "") -> dict[str, str]:
        """The variables of the template of an interactive card; all are texts. `names` are named below the text.

        `title`, `markdown`, `level`, and `buttons`: a list of `text`, `id`, `value`, `url`, `style` and `confirm`.
        """
        content, degrade = self._message.content, self._degrade
        mark = thread_mark(self._message, degrade)
        if not isinstance(content, Card):
            text = await as_markdown(content, degrade)
            title = mark + preview(await title_of(content, degrade), text)
            return _card_params(title, text + _framed("", names)[1], "info", [])
        buttons: list[dict[str, str]] = [
            {
                "text": each.text,
                "id": each.id,
                "value": each.value,
                "url": each.url,
                "style": each.style,
                "confirm": each.confirm,
            }
            for each in content.buttons
        ]
        if content.form is not None:
            url = degrade.form_address(content) or ""
            buttons.append(
                {"text": content.form.submit, "id": "", "value": "", "url": url, "style": "primary", "confirm": ""}
            )
        text = await card_text(content, degrade) + _framed("", names)[1]
        return _card_params(mark + degrade.title(content.title, content.level), text, content.level, buttons)

    async def status(self) -> dict[str, str]:
        """What the status bar of a work notification says."""
        content = self._message.content
        level: Level = content.level if isinstance(content, Card) else "info"
        title = await title_of(content, self._degrade)
        value = preview(title, "" if title else await as_markdown(content, self._degrade))
        return {"status_value": value, "status_bg": "0x" + COLOURS[level]}

    def mentioned(self, *, direct: bool) -> tuple[dict[str, str], str]:
        """Who is told by a card, by id, in a group only; and the names of the others."""
        if direct:
            return {}, self._names(direct=True)
        told, names = {}, list[str]()
        for mention in self._message.mentions:
            if mention.everyone:
                told["@ALL"] = "@ALL"
            elif mention.user:
                told[mention.user] = mention.name or mention.user
            else:
                self._degrade.note("mention_unresolved", name_of(mention))
                names.append(name_of(mention))
        return told, " ".join(names)

    def _names(self, *, direct: bool) -> str:
        """Nobody is told, as the robot's messages can't; in a group those who are meant are named."""
        mentions: Sequence[Mention] = self._message.mentions
        if direct and mentions:
            self._degrade.note("mention_dropped_direct")
            return ""
        for mention in mentions:
            self._degrade.note("mention_unresolved", name_of(mention))
        return " ".join(name_of(mention) for mention in mentions)

    async def _media(self, media: Media, kind: str, most: int) -> tuple[str, Bytes]:
        if (media, kind) not in self._uploaded:
            self._uploaded[media, kind] = await self._upload(media, kind, most)
        return self._uploaded[media, kind]

    # the robot

    async def _sample_sound(self, media: Media) -> Sample:
        if not media.seconds or not _plays(media, ROBOT_SOUNDS):
            self._degrade.note("audio_to_file")
            return await self._sample_file(media)
        media_id, _ = await self._media(media, "voice", VOICE_MAX)
        return Sample("sampleAudio", {"mediaId": media_id, "duration": str(round(media.seconds * 1000))})

    async def _sample_file(self, media: Media) -> Sample:
        media_id, file = await self._media(media, "file", FILE_MAX)
        ending = file.name.rpartition(".")[2] if "." in file.name else "file"
        return Sample("sampleFile", {"mediaId": media_id, "fileName": file.name, "fileType": ending})

    async def _sample_video(self, video: Video) -> Sample:
        if video.cover is None or not video.media.seconds or not _plays(video.media, {"video/mp4"}):
            self._degrade.note("video_to_file")
            return await self._sample_file(video.media)
        video_id, _ = await self._media(video.media, "video", FILE_MAX)
        picture_id, _ = await self._media(video.cover, "image", IMAGE_MAX)
        seconds = str(max(round(video.media.seconds), 1))
        param = {"videoMediaId": video_id, "videoType": "mp4", "picMediaId": picture_id, "duration": seconds}
        return Sample("sampleVideo", param)

    async def _sample_link(self, link: Link, mark: str) -> Sample:
        picture = await self._degrade.media.link(link.image) if link.image else ""

        def build(text: str) -> dict[str, str]:
            return {"title": mark + link.title, "text": text, "messageUrl": link.url, "picUrl": picture}

        return Sample("sampleLink", fitted(self._degrade, link.text or link.url, PARAM_MAX, build))

    async def _sample_markdown(self, content: Content, mark: str, names: str) -> Sample:
        text = await as_markdown(content, self._degrade)
        title = mark + preview(await title_of(content, self._degrade), text)
        start, ending = _framed(mark, names)
        return Sample(
            "sampleMarkdown",
            fitted(self._degrade, text, PARAM_MAX, lambda cut: {"title": title, "text": start + cut + ending}),
        )

    async def _sample_card(self, card: Card, mark: str, names: str) -> Sample:
        buttons, rest = url_buttons(card, self._degrade, BUTTONS_MAX)
        text = await card_text(card, self._degrade, rest)
        title = mark + preview(self._degrade.title(card.title, card.level), text)
        start, ending = _framed(mark, names)
        match len(buttons):
            case 0:
                self._degrade.note("card_to_markdown")
                key, more = "sampleMarkdown", {}
            case 1:
                key, more = "sampleActionCard", {"singleTitle": buttons[0].text, "singleURL": buttons[0].url}
            case count:
                key = f"sampleActionCard{count}"
                more = {f"actionTitle{n}": each.text for n, each in enumerate(buttons, 1)}
                more |= {f"actionURL{n}": each.url for n, each in enumerate(buttons, 1)}

        def build(cut: str) -> dict[str, str]:
            return {"title": title, "text": start + cut + ending, **more}

        return Sample(key, fitted(self._degrade, text, PARAM_MAX, build))

    # work notifications

    async def _work_media(self, kind: str, media: Media, most: int) -> dict[str, Any]:
        media_id, _ = await self._media(media, kind, most)
        return {"msgtype": kind, kind: {"media_id": media_id}}

    async def _work_link(self, link: Link, mark: str) -> Body:
        """DingTalk's links have a picture; one without is a card with a button."""
        title, text = mark + link.title, link.text or link.url
        if link.image is None:
            heading = dingtalk(f"### {escape(title)}\n\n")[0] + "\n\n"

            def build(cut: str) -> Body:
                content = {"title": title, "markdown": heading + cut, "single_title": DETAILS, "single_url": link.url}
                return {"msgtype": "action_card", "action_card": content}

            return fitted(self._degrade, dingtalk(escape(text))[0], WORK_MAX, build)
        picture = await self._degrade.media.link(link.image)
        return fitted(
            self._degrade,
            text,
            WORK_MAX,
            lambda cut: {
                "msgtype": "link",
                "link": {"messageUrl": link.url, "picUrl": picture, "title": title, "text": cut},
            },
        )

    async def _work_oa(self, card: Card, mark: str, names: str) -> Body:
        """A card without buttons: it can have a status later."""
        parts: Body = {"title": mark + self._degrade.title(card.title, card.level)}
        if card.fields:
            parts["form"] = [{"key": f"{each.name}: ", "value": each.value} for each in card.fields]
        if card.image is not None:
            parts["image"] = (await self._media(card.image, "image", IMAGE_MAX))[0]
        if card.footer:
            parts["author"] = card.footer
        text = plain_lines(card.text)
        if text != card.text:
            self._degrade.note("markdown_to_text")

        def build(cut: str) -> Body:
            content = "\n".join(filter(None, (cut, names)))
            body = {**parts, **({"content": content} if content else {})}
            head = {"bgcolor": COLOURS[card.level], "text": preview(card.title, "")}
            oa = {"message_url": card.url, "pc_message_url": card.url, "head": head, "body": body}
            return {"msgtype": "oa", "oa": oa}

        return fitted(self._degrade, text, WORK_MAX, build)

    async def _work_card(self, card: Card, mark: str, names: str) -> Body:
        buttons, rest = url_buttons(card, self._degrade, BUTTONS_MAX)
        text = await card_text(card, self._degrade, rest)
        title = mark + preview(self._degrade.title(card.title, card.level), text)
        start, ending = _framed(mark, names)
        if not buttons:
            self._degrade.note("card_to_markdown")
            return _work_markdown(title, (start, ending), text, self._degrade)
        more: Body
        if len(buttons) == 1:
            more = {"single_title": buttons[0].text, "single_url": buttons[0].url}
        else:
            pairs = [{"title": each.text, "action_url": each.url} for each in buttons]
            more = {"btn_orientation": "1" if len(buttons) == 2 else "0", "btn_json_list": pairs}

        def build(cut: str) -> Body:
            content = {"title": title, "markdown": start + cut + ending, **more}
            return {"msgtype": "action_card", "action_card": content}

        return fitted(self._degrade, text, WORK_MAX, build)


def _sample_text(text: str, names: str, degrade: Degrade) -> Sample:
    ending = f"\n{names}" if names else ""
    return Sample("sampleText", fitted(degrade, text, PARAM_MAX, lambda cut: {"content": cut + ending}))


def _work_markdown(title: str, frame: tuple[str, str], text: str, degrade: Degrade) -> Body:
    start, ending = frame

    def build(cut: str) -> Body:
        return {"msgtype": "markdown", "markdown": {"title": title, "text": start + cut + ending}}

    return fitted(degrade, text, WORK_MAX, build)


def _framed(mark: str, names: str) -> tuple[str, str]:
    """What stands before and behind a text in Markdown."""
    return f"{mark.strip()}\n\n" if mark else "", f"\n\n{names}" if names else ""


def _card_params(title: str, markdown: str, level: Level, buttons: list[dict[str, str]]) -> dict[str, str]:
    listed = msgspec.json.encode(buttons).decode()
    return {"title": title, "markdown": markdown, "level": level, "buttons": listed}


def _plays(media: Media, types: set[str]) -> bool:
    return media.type.partition(";")[0].strip().lower() in types
