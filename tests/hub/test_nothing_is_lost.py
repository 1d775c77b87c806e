"""Nothing is dropped silently: every word of a message is in what the platform got, or a note says why it is not."""

import html
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from hongyan import rehearsal
from hongyan.hub.connector import Note, Outcome, Target
from hongyan.hub.connectors import email_message, own
from hongyan.hub.content import (
    Article,
    Articles,
    Audio,
    Button,
    Card,
    Content,
    Field,
    File,
    Form,
    Image,
    Input,
    Level,
    Link,
    Location,
    Markdown,
    Media,
    Mention,
    Message,
    Option,
    Part,
    Table,
    Text,
    Video,
    check,
)
from hongyan.hub.degrade import Degrade
from hongyan.hub.surroundings import Mentions
from hongyan.rehearsal import Props
from hongyan.sandbox.board import Shown
from tests.support.hub import Around

X = "https://www.example.com/"
_WORD = re.compile(r"zq\d+z")
#: Fields whose words need not arrive, and the rules of which one then says so. No rule: what a picture's file is
#: called, or a sound's that is played, and where it was before it was uploaded, is no part of what is said.
EXCUSED: Sequence[tuple[str, frozenset[str] | None]] = (
    (r"(image|cover)\.name", None),
    (r"(image|cover|media)\.url", None),
    (r"(Image|Audio|Video)\.media\.name", None),
    (r"mentions\.name", frozenset({"mention_dropped_direct"})),
    (r"mentions\.(email|mobile)", frozenset({"mention_dropped_direct", "mention_unresolved"})),
    (r"buttons\.confirm", frozenset({"confirm_dropped", "no_page"})),
    (r"buttons\.(id|value)", frozenset({"buttons_to_page", "no_page"})),
    (r"form\.id|form\.inputs\..*", frozenset({"form_to_page", "no_page"})),
    (r"(.*\.)?(title|name|submit|label|hint)|buttons\.text|options\.text|.*footer|.*columns", frozenset({"title_cut"})),
    (r".*", frozenset({"text_cut"})),
)


class Words:
    """Gives words that stand nowhere else."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, count: int = 1, between: str = " ") -> str:
        self._count += count
        return between.join(f"zq{number}z" for number in range(self._count - count, self._count))


def words_of(part: Part, place: str) -> Iterator[tuple[str, str]]:
    """Every word, and the field in which it stands."""
    for name in part.__struct_fields__:
        value: Any = getattr(part, name)
        for each in value if isinstance(value, tuple) else (value,):
            for cell in each if isinstance(each, tuple) else (each,):
                if isinstance(cell, Part):
                    yield from words_of(cell, f"{place}.{name}")
                elif isinstance(cell, str):
                    yield from ((f"{place}.{name}", word) for word in _WORD.findall(cell))


def lost(message: Message, got: str, notes: Sequence[Note]) -> list[tuple[str, str]]:
    """The words that did not arrive, and of which no note tells."""
    there, rules = set(_WORD.findall(got)), {note.rule for note in notes}
    places = [*words_of(message.content, type(message.content).__name__)]
    places += [found for each in message.mentions for found in words_of(each, "mentions")]
    return [(place, word) for place, word in places if word not in there and not _excused(place, rules)]


def _excused(place: str, rules: set[str]) -> bool:
    for pattern, excuses in EXCUSED:
        if re.search(rf"(^|\.)({pattern})$", place) and (excuses is None or excuses & rules):
            return True
    return False


def plain(shown: Sequence[Shown], names: Sequence[str]) -> str:
    """What arrived, without the ways in which texts are written."""
    whole = json.dumps([[each.payload, each.extra] for each in shown], ensure_ascii=False)
    return html.unescape(unquote(whole + " ".join(names))).replace("\\", "")


async def _link(media: Media) -> str:
    return media.url or f"{X}files/{media.name}"


def picture(words: Words) -> Media:
    return Media(file="f1", name=f"{words()}.png", type="image/png")


def linked(words: Words) -> Media:
    return Media(url=f"{X}{words()}.png", name=f"{words()}.png", type="image/png")


def fields(words: Words, count: int, length: int = 2) -> tuple[Field, ...]:
    return tuple(Field(words(), words(length), bool(number % 2)) for number in range(count))


def buttons(words: Words, count: int, *, ids: bool = True) -> tuple[Button, ...]:
    made = []
    for number in range(count):
        if ids and number % 2:
            made.append(Button(words(), id=words(), value=words(), style="danger", confirm=words(3)))
        else:
            made.append(Button(words(), url=X + words(), confirm=words(2) if number % 3 == 0 else ""))
    return tuple(made)


def form(words: Words, *kinds: str) -> Form:
    inputs = []
    for kind in kinds:
        options = tuple(Option(words(), words()) for _ in range(3)) if kind in ("select", "checks") else ()
        value = options[1].value if options else "2026-11-26" if kind == "date" else words()
        inputs.append(Input(words(), words(2), kind, options, value, words(2), True))  # type: ignore[arg-type]
    return Form(words(), tuple(inputs), words())


def card(words: Words, **more: Any) -> Card:
    return Card(**{"title": words(), "text": f"**{words()}** {words()}", **more})


Make = Callable[[Words], Content]
CASES: Mapping[str, Make] = {
    "text": lambda w: Text(f"{w()} & <b>{w()}</b> *{w()}*\n\n# {w()}"),
    "long text": lambda w: Text(w(5000, "\n")),
    "markdown": lambda w: Markdown(
        f"# {w()}\n**{w()}** *{w()}* ~~{w()}~~ `{w()}` [{w()}]({X}{w()})\n\n> {w()}\n\n- {w()}\n- {w()}\n\n"
        f"```\n{w()}\n```\n\n| {w()} | {w()} |\n|---|---|\n| {w()} | {w()} |\n\n![{w()}]({X}{w()}.png)",
        w(),
        "warning",
    ),
    "long markdown": lambda w: Markdown(w(4000, "\n\n"), w()),
    "long titles": lambda w: Markdown(w(), w(40), "error"),
    "picture": lambda w: Image(picture(w), w(3)),
    "picture at an address": lambda w: Image(linked(w), w(3)),
    "file": lambda w: File(Media(file="f2", name=f"{w()}.pdf", type="application/pdf")),
    "amr": lambda w: Audio(Media(file="f3", name=f"{w()}.amr", type="audio/amr", seconds=5)),
    "opus": lambda w: Audio(Media(file="f4", name=f"{w()}.opus", type="audio/ogg", seconds=5)),
    "video": lambda w: Video(Media(file="f5", name=f"{w()}.mp4", type="video/mp4", seconds=9), w(2), w(4), picture(w)),
    "bare video": lambda w: Video(Media(file="f5", name=f"{w()}.mp4", type="video/mp4", seconds=9)),
    "video of another type": lambda w: Video(Media(file="f6", name=f"{w()}.mkv", type="video/x-matroska"), w(), w()),
    "link": lambda w: Link(w(2), X + w(), w(5), linked(w)),
    "link of a title": lambda w: Link(w(2), X + w()),
    "long link": lambda w: Link(w(40), X + w(), w(3000)),
    "location": lambda w: Location(39.9, 116.4, w(2), w(3)),
    "location of an address": lambda w: Location(39.9, 116.4, "", w(3)),
    "articles": lambda w: Articles(tuple(Article(w(2), X + w(), w(3), linked(w)) for _ in range(3))),
    "articles of titles": lambda w: Articles(tuple(Article(w(2), X + w()) for _ in range(10))),
    "articles with pictures": lambda w: Articles(tuple(Article(w(2), X + w(), "", linked(w)) for _ in range(10))),
    "long articles": lambda w: Articles(tuple(Article(w(30), X + w(), w(400)) for _ in range(10))),
    "table": lambda w: Table((w(), w()), ((w(), w()), (w(),)), w()),
    "large table": lambda w: Table(
        tuple(w() for _ in range(12)), tuple(tuple(w() for _ in range(12)) for _ in range(100)), w()
    ),
    "card": card,
    "whole card": lambda w: card(
        w, level="error", image=picture(w), fields=fields(w, 4), buttons=buttons(w, 2), footer=w(2), url=X + w()
    ),
    "card with six fields, a picture and a text": lambda w: card(
        w, text=w(14), image=linked(w), fields=fields(w, 6), url=X + w()
    ),
    "card with 50 fields": lambda w: card(w, fields=fields(w, 50), url=X + w()),
    "card with long fields": lambda w: card(w, fields=fields(w, 3, 60), url=X + w(), footer=w(30)),
    "card with three addresses": lambda w: card(w, buttons=buttons(w, 3, ids=False)),
    "card with 25 buttons": lambda w: card(w, buttons=buttons(w, 25), footer=w()),
    "card with long labels": lambda w: card(
        w, title=w(40), buttons=(Button(w(30), url=X + w()), Button(w(30), id=w(), value=w(100))), form=None
    ),
    "form of lists": lambda w: card(w, form=form(w, "select", "select")),
    "form of boxes": lambda w: card(w, form=form(w, "checks")),
    "form of everything": lambda w: card(w, form=form(w, "text", "lines", "select", "checks", "date"), footer=w()),
    "form beside buttons": lambda w: card(
        w, fields=fields(w, 3), buttons=buttons(w, 6), form=form(w, "select"), image=picture(w)
    ),
    "long card": lambda w: card(w, text=w(3500, "\n\n"), fields=fields(w, 10), buttons=buttons(w, 4), footer=w()),
}


def any_card(seed: int) -> Make:
    def make(words: Words) -> Content:
        chance = random.Random(seed)
        kinds = chance.choices(["text", "lines", "select", "checks", "date"], k=chance.randint(1, 4))
        return card(
            words,
            text=words(chance.choice([0, 1, 3, 6, 12, 20, 50])),
            level=chance.choice(["info", "error"]),
            image=chance.choice([None, None, picture(words), linked(words)]),
            fields=fields(words, chance.choice([0, 0, 1, 5, 6, 7, 21]), chance.choice([1, 5, 15])),
            buttons=buttons(words, chance.choice([0, 0, 1, 3, 4, 6, 7]), ids=chance.random() < 0.6),
            form=form(words, *kinds) if chance.random() < 0.3 else None,
            url=X + words() if chance.random() < 0.5 else "",
            footer=words(chance.choice([0, 1, 3, 6])),
        )

    return make


ALL = {**CASES, **{f"card {seed}": any_card(seed) for seed in range(12)}}
MENTIONED = ("text", "markdown", "picture", "video", "link", "articles", "table", "whole card", "form of lists")


def messages(name: str) -> Iterator[Message]:
    words = Words()
    yield Message(ALL[name](words))
    if name in MENTIONED:
        mentions = (Mention(email=f"{words()}@example.com", name=words()), Mention(everyone=True))
        yield Message(ALL[name](words), mentions)


@pytest.mark.parametrize("pages", [True, False], ids=["pages", "no pages"])
@pytest.mark.parametrize("name", ALL)
async def test_every_word_arrives_or_is_accounted_for(name: str, pages: bool) -> None:
    def act_url(key: str, id: str) -> str | None:
        return f"{X}act/{key}/{id}" if pages else None

    for message in messages(name):
        check(message)
        async with rehearsal.stage(Props(_link), act_url) as stage:
            for account in stage.accounts:
                for target in account.targets:
                    scene = await stage.show(account, target, message)
                    if scene.outcome is Outcome.BAD_CONTENT:
                        assert scene.reason
                        continue
                    assert scene.outcome is Outcome.OK, (account.kind, scene.reason)
                    names = [each[0] for each in stage.sandbox.board._media.values()]
                    missing = lost(message, plain(scene.shown, names), scene.notes)
                    assert not missing, (account.kind, str(target), missing[:5], scene.notes)


@pytest.mark.parametrize("name", ALL)
async def test_every_word_is_in_a_mail(name: str, around: Around) -> None:
    for message in messages(name):
        degrade = Degrade(_with_props(around), "k1")
        mail = await email_message.render(message, degrade)
        names = " ".join([*(each.name for each in mail.files), *(each.name for _, each in mail.pictures)])
        for got in (mail.html, mail.text):  # each is all that some clients show
            missing = lost(message, html.unescape(unquote(f"{mail.subject} {got} {names}")), degrade.notes)
            assert not missing, (missing[:5], degrade.notes)


class _Home:
    """Notes what is said in the app itself."""

    def __init__(self) -> None:
        self.said = ""

    async def send(self, sender: str, to: Target, content: str, token: str, mentions: Mentions) -> dict[str, str]:
        self.said = content
        return {}

    async def edit(self, receipt: Mapping[str, str], content: str | None) -> None:
        raise AssertionError("nothing is changed here")

    async def link(self, media: Media) -> str:
        return await _link(media)


@pytest.mark.parametrize("name", ALL)
async def test_every_word_is_in_a_typed_message(name: str, around: Around) -> None:
    home = _Home()
    connector = own.Own(own.Credentials(), replace(_with_props(around), home=home))
    for message in messages(name):
        sent = await connector.send(message, [Target("user", "ann")], key="k1")
        assert sent.results[0].outcome is Outcome.OK
        missing = lost(message, unquote(home.said), sent.notes)
        assert not missing, (missing[:5], sent.notes)


def _with_props(around: Around) -> Any:
    return replace(around(), media=Props(_link))


#: How each platform shows that something is serious.
SERIOUS = ("🔴", '"red"', "e01e5a", 'color="warning"', "F25643", '"level": "error"')


@pytest.mark.parametrize("level", ["error"])
@pytest.mark.parametrize("titled", [True, False], ids=["title", "no title"])
async def test_how_serious_it_is_arrives(level: Level, titled: bool) -> None:
    contents: list[Content] = [Markdown("All is down", "Alert" if titled else "", level)]
    if titled:
        contents += [Card("Alert", "All is down", level), Card("Alert", "x", level, buttons=(Button("Go", url=X),))]
    for content in contents:
        async with rehearsal.stage(Props()) as stage:
            for account in stage.accounts:
                for target in account.targets:
                    scene = await stage.show(account, target, Message(content))
                    assert scene.outcome is Outcome.OK
                    got = json.dumps([each.payload for each in scene.shown], ensure_ascii=False).replace("\\", "")
                    assert any(sign in got for sign in SERIOUS), (account.kind, target, got)
