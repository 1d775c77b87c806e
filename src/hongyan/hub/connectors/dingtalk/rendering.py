"""What messages look like in DingTalk: what robots and apps have in common, and the bodies of a robot's webhook."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.connectors.dingtalk.dialect import Dialect
from hongyan.hub.content import Articles, Card, Content, Link, Location, Markdown, Mention, Message, Table, Text
from hongyan.hub.degrade import Degrade, escape, link, map_url, name_of, picture, place_name
from hongyan.hub.fitting import split
from hongyan.hub.markdown import Inlines, Writer, aside, parse

#: Bytes of a body of a robot: a little below DingTalk's 20,000; and messages that a long text becomes at most.
ROBOT_MAX, PARTS_MAX = 19_900, 5
#: Characters of what stands in the list of chats, and of a label, beyond which no client shows more.
PREVIEW_MAX, LABEL_MAX = 64, 64
#: Characters of a text of which its first line is taken for the list of chats.
PREVIEW_FROM = 500
#: What a card's own address is called if it has no button.
DETAILS = "查看详情"
Body = dict[str, Any]


class At(NamedTuple):
    """Who is told: as DingTalk takes it, and what stands in the text for it."""

    users: tuple[str, ...]
    mobiles: tuple[str, ...]
    everyone: bool
    text: str

    @property
    def anybody(self) -> bool:
        return bool(self.users or self.mobiles or self.everyone)

    def body(self) -> Body:
        return {"atUserIds": list(self.users), "atMobiles": list(self.mobiles), "isAtAll": self.everyone}


NOBODY = At((), (), False, "")


class Labelled(NamedTuple):
    """A button that opens an address."""

    text: str
    url: str


def size(text: str) -> int:
    """Bytes of a text in JSON."""
    return len(msgspec.json.encode(text)) - 2


def fitted(degrade: Degrade, text: str, most: int, build: Callable[[str], Body]) -> Body:
    """A body with its text, cut so that all has at most so many bytes. Raises Problem if the rest alone has more."""
    body = build(text)
    if len(msgspec.json.encode(body)) <= most:
        return body
    room = most - len(msgspec.json.encode(build("")))
    if room < 4:
        raise Problem(Outcome.BAD_CONTENT, f"the message has more than {most:,} bytes, even without its text")
    return build(degrade.cut(text, room, size=size))


class _Preview(Writer):
    """Without addresses."""

    def link(self, url: str, inner: Inlines) -> str:
        return self.inline(inner)

    def picture(self, url: str, text: str) -> str:
        return text


def preview(title: str, markdown: str) -> str:
    """What stands in the list of chats: the title, or else the first line."""
    text = title or _Preview().write(parse(markdown[:PREVIEW_FROM])).strip()
    line = text.split("\n")[0].strip()
    return line if len(line) <= PREVIEW_MAX else line[: PREVIEW_MAX - 1] + "…"


def thread_mark(message: Message, degrade: Degrade) -> str:
    """What names the thread, where there are none."""
    if not message.thread:
        return ""
    degrade.note("thread_to_title")
    return f"[#{message.thread[-12:]}] "


async def title_of(content: Content, degrade: Degrade) -> str:
    """What stands above it in the list of chats; empty where its text says it."""
    match content:
        case Markdown(text, title, level) if title or level != "info":
            return degrade.title(title or preview("", text), level)
        case Card(title, level=level):
            return degrade.title(title, level)
        case Table(title=title) | Link(title=title):
            return title
        case _:
            return ""


async def as_markdown(content: Content, degrade: Degrade) -> str:
    """Everything it says, in DingTalk's Markdown."""
    text = await degrade.markdown(content)
    return await aside(text, degrade.written, text, Dialect())


async def card_text(card: Card, degrade: Degrade, rest: str = "") -> str:
    """What stands above the buttons, in DingTalk's Markdown. `rest`: what did not become a button."""
    head = degrade.title(card.title, card.level)
    parts = [f"### {link(head, card.url) if card.url else escape(head)}"]
    if card.image is not None:
        parts.append(picture(card.image.name, await degrade.media.link(card.image)))
    parts.append(card.text)
    if card.fields:
        degrade.note("fields_to_lines")
        parts.append("\n".join(f"- **{escape(each.name)}**: {escape(each.value)}" for each in card.fields))
    parts.append(rest)
    if card.footer:
        parts.append(f"*{escape(card.footer)}*")
    text = "\n\n".join(filter(None, parts))
    return await aside(text, degrade.written, text, Dialect())


def url_buttons(card: Card, degrade: Degrade, most: int | None = None) -> tuple[list[Labelled], str]:
    """The buttons and the form of a card as buttons that open addresses; what is above the number as Markdown."""
    wanted = [(button.text, degrade.address(button)) for button in card.buttons]
    if card.form is not None:
        wanted.append((card.form.submit, degrade.form_address(card)))
    shown: list[Labelled] = []
    rest: list[str] = []
    for text, url in wanted:
        if url is None:
            degrade.note("buttons_to_links", text)
            rest.append(f"**{escape(text)}**")
        elif most is not None and len(shown) >= most:
            degrade.note("buttons_split")
            rest.append(link(text, url))
        else:
            shown.append(Labelled(degrade.cut(text, LABEL_MAX, rule="title_cut"), url))
    if not wanted and card.url:
        shown.append(Labelled(DETAILS, card.url))
    return shown, " | ".join(rest)


def place(location: Location, degrade: Degrade) -> Link:
    """A location as a link to a map."""
    degrade.note("location_to_link")
    return Link(f"📍 {place_name(location)}", map_url(location), location.address or place_name(location))


# a robot's webhook


async def robot_bodies(message: Message, degrade: Degrade, keywords: Sequence[str]) -> list[Body]:
    """The messages that say it, in their order."""
    at = robot_at(message.mentions, degrade)
    mark = thread_mark(message, degrade)
    content = message.content
    match content:
        case Text(text):
            return _texts(mark + text, at, degrade, keywords)
        case Location():
            bodies = [await _link(place(content, degrade), mark, degrade, keywords)]
        case Link():
            bodies = [await _link(content, mark, degrade, keywords)]
        case Articles(items) if all(each.image and not each.text for each in items):
            bodies = [await _feed(content, mark, degrade, keywords)]
        case Card() if content.buttons or content.form or content.url:
            bodies = [await _action_card(content, mark, degrade, keywords)]
        case Card():
            degrade.note("card_to_markdown")
            title = await title_of(content, degrade)
            return _markdowns(title, await card_text(content, degrade), at, mark, degrade, keywords)
        case _:
            title = await title_of(content, degrade)
            return _markdowns(title, await as_markdown(content, degrade), at, mark, degrade, keywords)
    if at.text:
        degrade.note("mention_separate")
        bodies += _texts(mark.strip(), at, degrade, keywords)
    return bodies


def robot_at(mentions: Sequence[Mention], degrade: Degrade) -> At:
    """DingTalk tells those whose number or id stands in the text, too."""
    users, mobiles, named, everyone = [], [], [], False
    for mention in mentions:
        if mention.everyone:
            everyone = True
        elif mention.mobile:
            mobiles.append(mention.mobile)
        elif mention.user:
            users.append(mention.user)
        else:
            degrade.note("mention_unresolved", mention.email)
            named.append(name_of(mention))
    text = " ".join([*(f"@{each}" for each in [*mobiles, *users]), *named, *(["@所有人"] if everyone else [])])
    return At(tuple(users), tuple(mobiles), everyone, text)


def _texts(text: str, at: At, degrade: Degrade, keywords: Sequence[str]) -> list[Body]:
    def build(content: str, told: At) -> Body:
        return {"msgtype": "text", "text": {"content": content.strip("\n")}, "at": told.body()}

    return _pieces(text, at, "\n", keyword_for(text, keywords, degrade), build, degrade)


def _markdowns(title: str, text: str, at: At, mark: str, degrade: Degrade, keywords: Sequence[str]) -> list[Body]:
    shown = (mark + preview(title, text)) or "…"

    def build(content: str, told: At) -> Body:
        return {"msgtype": "markdown", "markdown": {"title": shown, "text": content}, "at": told.body()}

    whole = f"{mark.strip()}\n\n{text}" if mark else text
    return _pieces(whole, at, "\n\n", keyword_for(shown + text, keywords, degrade), build, degrade)


def _pieces(
    text: str, at: At, gap: str, keyword: str, build: Callable[[str, At], Body], degrade: Degrade
) -> list[Body]:
    """The text in as few messages as hold it; what is far too long is cut. The last one tells who is mentioned.

    Each has the keyword, as each is a message of its own.
    """
    word, names = (gap + keyword if keyword else ""), (gap + at.text if at.text else "")
    room = ROBOT_MAX - len(msgspec.json.encode(build(word + names, at)))
    if size(text) <= room:
        return [build(text + word + names, at)]
    pieces = split(text, room - 20, size=size)
    if len(pieces) > PARTS_MAX:
        degrade.note("text_cut")
        pieces = [*pieces[: PARTS_MAX - 1], pieces[PARTS_MAX - 1][:-1] + "…"]
    degrade.note("text_split", str(len(pieces)))
    count = len(pieces)
    whole = [f"({number}/{count}){gap}{piece}{word}" for number, piece in enumerate(pieces, 1)]
    return [*(build(each, NOBODY) for each in whole[:-1]), build(whole[-1] + names, at)]


async def _link(content: Link, mark: str, degrade: Degrade, keywords: Sequence[str]) -> Body:
    image = await degrade.media.link(content.image) if content.image else ""
    title = mark + content.title
    ending = _spaced(keyword_for(title + content.text, keywords, degrade))

    def build(text: str) -> Body:
        return {
            "msgtype": "link",
            "link": {"title": title, "text": text + ending, "messageUrl": content.url, "picUrl": image},
        }

    return fitted(degrade, content.text or content.url, ROBOT_MAX, build)


async def _feed(articles: Articles, mark: str, degrade: Degrade, keywords: Sequence[str]) -> Body:
    """Titles with pictures; those that have texts, too, become Markdown."""
    titles = [each.title for each in articles.items]
    titles[0] = mark + titles[0] + _spaced(keyword_for(mark + "\n".join(titles), keywords, degrade))
    links = []
    for title, article in zip(titles, articles.items, strict=True):
        assert article.image is not None
        links.append({"title": title, "messageURL": article.url, "picURL": await degrade.media.link(article.image)})
    body = {"msgtype": "feedCard", "feedCard": {"links": links}}
    if len(msgspec.json.encode(body)) > ROBOT_MAX:
        raise Problem(Outcome.BAD_CONTENT, f"the articles have more than {ROBOT_MAX:,} bytes")
    return body


async def _action_card(card: Card, mark: str, degrade: Degrade, keywords: Sequence[str]) -> Body:
    buttons, rest = url_buttons(card, degrade)
    text = await card_text(card, degrade, rest)
    title = mark + preview(degrade.title(card.title, card.level), text)
    ending = _spaced(keyword_for(title + text, keywords, degrade), "\n\n")
    start = f"{mark.strip()}\n\n" if mark else ""
    if not buttons:
        return fitted(
            degrade,
            text,
            ROBOT_MAX,
            lambda cut: {"msgtype": "markdown", "markdown": {"title": title, "text": start + cut + ending}},
        )
    if len(buttons) == 1:
        more: Body = {"singleTitle": buttons[0].text, "singleURL": buttons[0].url}
    else:
        across = "1" if len(buttons) == 2 else "0"
        more = {"btnOrientation": across, "btns": [{"title": each.text, "actionURL": each.url} for each in buttons]}
    return fitted(
        degrade,
        text,
        ROBOT_MAX,
        lambda cut: {"msgtype": "actionCard", "actionCard": {"title": title, "text": start + cut + ending, **more}},
    )


def keyword_for(visible: str, keywords: Sequence[str], degrade: Degrade) -> str:
    """The keyword that must be added, if none is there."""
    if not keywords or any(word in visible for word in keywords):
        return ""
    degrade.note("keyword_added", keywords[0])
    return keywords[0]


def _spaced(word: str, space: str = " ") -> str:
    return space + word if word else ""


def plain_lines(markdown: str) -> str:
    """Markdown as text in one paragraph."""
    return re.sub(r"\n{2,}", "\n", Writer().write(parse(markdown)))
