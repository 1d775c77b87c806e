"""An app: what people, groups and departments see, and what happens to it afterwards."""

import asyncio
import dataclasses
import itertools
import json
import logging
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from hongyan.hub.connector import Outcome, Problem, Result, Sent, Status, Target
from hongyan.hub.connectors.dingtalk import app as app_module
from hongyan.hub.connectors.dingtalk import app_rendering
from hongyan.hub.connectors.dingtalk.app import AppConnector
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
from hongyan.hub.http import Http
from hongyan.hub.rates import Rates
from hongyan.sandbox.dingtalk import DingTalk, work
from hongyan.sandbox.faults import What
from hongyan.sandbox.server import Sandbox
from tests.hub.dingtalk.conftest import app_credentials
from tests.support.hub import Around, Clock, Files

ZHANG, LI, WANG = (Target("user", each) for each in ("zhangsan", "lisi", "wangwu"))
OPS, DEV = Target("group", "cidOps0sandbox=="), Target("group", "cidDev0sandbox==")
RESEARCH, EVERYONE = Target("department", "2"), Target("all")
PICTURE = Media(url="https://pictures.example/disk.png", name="disk.png", type="image/png")


async def send(app: AppConnector, content: Content | Message, *to: Target, key: str = "m1") -> Sent:
    return await app.send(content if isinstance(content, Message) else Message(content), to or [ZHANG], key=key)


async def one(app: AppConnector, to: Target = ZHANG, content: Content | None = None, key: str = "m1") -> Result:
    (result,) = (await send(app, content or Text("Disk full"), to, key=key)).results
    return result


def rules(sent: Sent) -> list[str]:
    assert {each.outcome for each in sent.results} == {Outcome.OK}, sent
    return [note.rule for note in sent.notes]


def receipt(result: Result) -> dict[str, str]:
    assert result.outcome is Outcome.OK, result
    assert result.receipt is not None
    return result.receipt


#: What each type becomes: for people and groups the parameter of the robot's message, and the work notification.
CASES: list[tuple[str, Content, tuple[str, dict[str, str]], dict[str, Any]]] = [
    ("text", Text("*a*"), ("sampleText", {"content": "*a*"}), {"text": {"content": "*a*"}}),
    (
        "markdown",
        Markdown("**full**", title="Disk"),
        ("sampleMarkdown", {"title": "Disk", "text": "### Disk\n\n**full**"}),
        {"markdown": {"title": "Disk", "text": "### Disk\n\n**full**"}},
    ),
    (
        "link",
        Link("Report", "https://a.example/r", "Monday", PICTURE),
        (
            "sampleLink",
            {"title": "Report", "text": "Monday", "messageUrl": "https://a.example/r", "picUrl": PICTURE.url},
        ),
        {"link": {"messageUrl": "https://a.example/r", "picUrl": PICTURE.url, "title": "Report", "text": "Monday"}},
    ),
    (
        "link without a picture",
        Link("Report", "https://a.example/r"),
        (
            "sampleLink",
            {"title": "Report", "text": "https://a.example/r", "messageUrl": "https://a.example/r", "picUrl": ""},
        ),
        {
            "action_card": {
                "title": "Report",
                "markdown": "### Report\n\nhttps://a.example/r",
                "single_title": "查看详情",
                "single_url": "https://a.example/r",
            }
        },
    ),
    (
        "articles",
        Articles((Article("One", "https://a.example/1", "first"),)),
        ("sampleMarkdown", {"title": "One", "text": "**[One](https://a.example/1)**\n\nfirst"}),
        {"markdown": {"title": "One", "text": "**[One](https://a.example/1)**\n\nfirst"}},
    ),
    (
        "table",
        Table(("host", "disk"), (("a", "90%"),)),
        ("sampleMarkdown", {"title": "host: a", "text": "host: a  \ndisk: 90%"}),
        {"markdown": {"title": "host: a", "text": "host: a  \ndisk: 90%"}},
    ),
    (
        "card",
        Card("Disk", "full", fields=(Field("host", "a"),)),
        ("sampleMarkdown", {"title": "Disk", "text": "### Disk\n\nfull\n\n- **host**: a"}),
        {"markdown": {"title": "Disk", "text": "### Disk\n\nfull\n\n- **host**: a"}},
    ),
    (
        "card that leads somewhere",
        Card("Disk", "**full**", "warning", fields=(Field("host", "a"),), url="https://a.example/d", footer="ops"),
        (
            "sampleActionCard",
            {
                "title": "⚠️ Disk",
                "text": "### [⚠️ Disk](https://a.example/d)\n\n**full**\n\n- **host**: a\n\n*ops*",
                "singleTitle": "查看详情",
                "singleURL": "https://a.example/d",
            },
        ),
        {
            "oa": {
                "message_url": "https://a.example/d",
                "pc_message_url": "https://a.example/d",
                "head": {"bgcolor": "FFFF943E", "text": "Disk"},
                "body": {
                    "title": "⚠️ Disk",
                    "form": [{"key": "host: ", "value": "a"}],
                    "author": "ops",
                    "content": "full",
                },
            }
        },
    ),
    (
        "card with a button",
        Card("Disk", buttons=(Button("Look", url="https://a.example/1"),)),
        (
            "sampleActionCard",
            {"title": "Disk", "text": "### Disk", "singleTitle": "Look", "singleURL": "https://a.example/1"},
        ),
        {
            "action_card": {
                "title": "Disk",
                "markdown": "### Disk",
                "single_title": "Look",
                "single_url": "https://a.example/1",
            }
        },
    ),
    (
        "card with a callback and a form",
        Card("Disk", buttons=(Button("Mine", id="take"),), form=Form("f", (Input("why", "Why"),), "Send")),
        (
            "sampleActionCard2",
            {
                "title": "Disk",
                "text": "### Disk",
                "actionTitle1": "Mine",
                "actionURL1": "https://hongyan.example/act/m1/take",
                "actionTitle2": "Send",
                "actionURL2": "https://hongyan.example/act/m1/f",
            },
        ),
        {
            "action_card": {
                "title": "Disk",
                "markdown": "### Disk",
                "btn_orientation": "1",
                "btn_json_list": [
                    {"title": "Mine", "action_url": "https://hongyan.example/act/m1/take"},
                    {"title": "Send", "action_url": "https://hongyan.example/act/m1/f"},
                ],
            }
        },
    ),
]


@pytest.mark.parametrize(("content", "sample", "work"), [each[1:] for each in CASES], ids=[each[0] for each in CASES])
async def test_each_type(
    app: AppConnector,
    sandbox: Sandbox,
    content: Content,
    sample: tuple[str, dict[str, str]],
    work: dict[str, Any],
) -> None:
    rules(await send(app, content, ZHANG, OPS, RESEARCH))
    to_person, to_group, notification = (each.payload for each in sandbox.board.all())
    assert (to_person["msgKey"], to_person["msgParam"]) == sample
    assert to_group == to_person
    assert {key: value for key, value in notification.items() if key != "msgtype"} == work


@pytest.mark.parametrize("count", [3, 4, 5])
async def test_more_buttons_unverified(app: AppConnector, sandbox: Sandbox, count: int) -> None:
    buttons = tuple(Button(f"B{number}", url=f"https://a.example/{number}") for number in range(count))
    assert rules(await send(app, Card("Disk", buttons=buttons))) == []
    payload = sandbox.board.all()[0].payload
    assert payload["msgKey"] == f"sampleActionCard{count}"
    assert payload["msgParam"][f"actionTitle{count}"] == f"B{count - 1}"
    assert payload["msgParam"][f"actionURL{count}"] == f"https://a.example/{count - 1}"


@pytest.mark.parametrize(
    ("content", "most"),
    [(File, "FILE_MAX"), (Image, "IMAGE_MAX"), (Audio, "VOICE_MAX")],
)
async def test_files_above_the_sizes_of_media_are_refused_unverified(
    app: AppConnector, files: Files, content: Any, most: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (app_rendering.IMAGE_MAX, app_rendering.VOICE_MAX, app_rendering.FILE_MAX) == (20 << 20, 2 << 20, 20 << 20)
    monkeypatch.setattr(app_rendering, most, 10)
    media = msgspec.structs.replace(files.add("a", "audio/amr", b"#!AMR\n12345"), seconds=2)
    result = await one(app, ZHANG, content(media))
    assert (result.outcome, result.reason) == (Outcome.BAD_CONTENT, "the file has more than 10 bytes")


async def test_six_buttons(app: AppConnector, sandbox: Sandbox) -> None:
    buttons = tuple(Button(f"B{number}", url=f"https://a.example/{number}") for number in range(6))
    assert rules(await send(app, Card("Disk", buttons=buttons))) == ["buttons_split"]
    payload = sandbox.board.all()[0].payload
    assert payload["msgKey"] == "sampleActionCard5"
    assert payload["msgParam"]["text"] == "### Disk\n\n[B5](https://a.example/5)"


async def test_a_location(app: AppConnector, sandbox: Sandbox) -> None:
    assert rules(await send(app, Location(30, 120, "Lake"), ZHANG, RESEARCH)) == ["location_to_link"]
    person, work = sandbox.board.all()
    assert person.payload["msgParam"]["title"] == "📍 Lake"
    assert work.payload["action_card"]["title"] == "📍 Lake"


async def test_files_are_uploaded_once(app: AppConnector, sandbox: Sandbox, files: Files) -> None:
    report = files.add("report.pdf", "application/pdf", b"%PDF")
    assert rules(await send(app, File(report), ZHANG, OPS, RESEARCH)) == []
    person, group, work = (each.payload for each in sandbox.board.all())
    media_id = person["msgParam"]["mediaId"]
    assert person == {
        "msgKey": "sampleFile",
        "msgParam": {"mediaId": media_id, "fileName": "report.pdf", "fileType": "pdf"},
    }
    assert group == person
    assert work == {"msgtype": "file", "file": {"media_id": media_id}}
    assert sandbox.board.media(media_id) == ("report.pdf", "application/pdf", b"%PDF")


async def test_pictures(app: AppConnector, sandbox: Sandbox, files: Files) -> None:
    assert rules(await send(app, Image(files.add()))) == []
    assert rules(await send(app, Image(PICTURE))) == []
    assert rules(await send(app, Image(PICTURE, "the disk"))) == ["image_to_markdown"]
    uploaded, linked, described = (each.payload["msgParam"] for each in sandbox.board.all())
    assert sandbox.board.media(uploaded["photoURL"]) is not None
    assert linked == {"photoURL": PICTURE.url}
    assert described["text"] == f"![the disk]({PICTURE.url})"


async def test_sounds_and_films(app: AppConnector, sandbox: Sandbox, files: Files) -> None:
    sound = msg_seconds(files.add("call.amr", "audio/amr", b"#!AMR"), 2.5)
    film = msg_seconds(files.add("tour.mp4", "video/mp4", b"mp4"), 12)
    assert rules(await send(app, Audio(sound), ZHANG, RESEARCH)) == []
    assert rules(await send(app, Video(film, cover=files.add()))) == []
    voice, work, video = (each.payload for each in sandbox.board.all())
    assert (voice["msgKey"], voice["msgParam"]["duration"]) == ("sampleAudio", "2500")
    assert (work["msgtype"], work["voice"]["duration"]) == ("voice", "2")
    assert (video["msgKey"], video["msgParam"]["videoType"], video["msgParam"]["duration"]) == (
        "sampleVideo",
        "mp4",
        "12",
    )


async def test_sounds_and_films_that_it_does_not_play(app: AppConnector, sandbox: Sandbox, files: Files) -> None:
    assert rules(await send(app, Audio(files.add("call.flac", "audio/flac")), ZHANG, RESEARCH)) == ["audio_to_file"]
    assert rules(await send(app, Video(files.add("tour.mov", "video/quicktime")))) == ["video_to_file"]
    assert [each.kind for each in sandbox.board.all()] == ["sampleFile", "file", "sampleFile"]


def msg_seconds(media: Media, seconds: float) -> Media:
    return Media(media.url, media.file, media.name, media.type, seconds)


async def test_a_file_that_is_too_large_or_gone(app: AppConnector, sandbox: Sandbox, files: Files) -> None:
    large = files.add("large.bin", "application/octet-stream", bytes(20 * 1024 * 1024 + 1))
    assert (await one(app, content=File(large))).outcome is Outcome.BAD_CONTENT
    assert (await one(app, content=File(Media(file="gone", name="gone")))).outcome is Outcome.BAD_CONTENT
    assert sandbox.board.all() == []


async def test_mentions(app: AppConnector, sandbox: Sandbox) -> None:
    message = Message(Text("Look"), (Mention(user="lisi", name="李四"), Mention(everyone=True)))
    assert rules(await send(app, message, ZHANG)) == ["mention_dropped_direct"]
    assert rules(await send(app, message, OPS)) == ["mention_unresolved"] * 2
    direct, group = (each.payload["msgParam"]["content"] for each in sandbox.board.all())
    assert (direct, group) == ("Look", "Look\n@李四 @all")


async def test_a_thread_is_named(app: AppConnector, sandbox: Sandbox) -> None:
    for content in (Text("Look"), Markdown("Look"), Link("Look", "https://a.example"), Card("Look")):
        sent = await send(app, Message(content, thread="msg-1"), ZHANG, RESEARCH)
        assert "thread_to_title" in rules(sent)
    assert all("[#msg-1]" in json.dumps(each.payload) for each in sandbox.board.all())


async def test_long_texts_are_cut(app: AppConnector, sandbox: Sandbox) -> None:
    for content in (Text("满" * 30_000), Markdown("满" * 30_000), Card("Disk", "满" * 30_000, url="https://a.example")):
        assert "text_cut" in rules(await send(app, content, ZHANG, OPS, RESEARCH))
    assert len(sandbox.board.all()) == 9


# many recipients


async def test_people_in_calls_of_twenty(app: AppConnector, sandbox: Sandbox) -> None:
    people = [Target("user", f"nobody{number}") for number in range(30)]
    results = (await send(app, Text("x"), ZHANG, *people, LI)).results
    assert [each.target for each in results] == [ZHANG, *people, LI]
    assert [each.outcome for each in results] == [Outcome.OK, *[Outcome.BAD_RECIPIENT] * 30, Outcome.OK]
    assert [each.to for each in sandbox.board.all()] == [["zhangsan"], ["lisi"]]
    assert receipt(results[0])["key"] != receipt(results[-1])["key"]


async def test_a_group_that_is_not_there(app: AppConnector) -> None:
    results = (await send(app, Text("x"), Target("group", "cidNone"), OPS)).results
    assert [each.outcome for each in results] == [Outcome.BAD_RECIPIENT, Outcome.OK]


async def test_the_same_one_twice(app: AppConnector, sandbox: Sandbox) -> None:
    results = (await send(app, Text("x"), ZHANG, ZHANG, Target("mobile", "13800000001"))).results
    assert [each.target for each in results] == [ZHANG, ZHANG, Target("mobile", "13800000001")]
    assert {each.outcome for each in results} == {Outcome.OK}
    assert len(sandbox.board.all()) == 1


async def test_people_by_mobile_number(app: AppConnector, sandbox: Sandbox) -> None:
    known, unknown = Target("mobile", "13800000002"), Target("mobile", "13900000000")
    results = (await send(app, Text("x"), known, unknown, Target("email", "a@a.example"))).results
    assert [each.outcome for each in results] == [Outcome.OK, Outcome.BAD_RECIPIENT, Outcome.BAD_RECIPIENT]
    assert sandbox.board.all()[0].to == ["lisi"]


async def test_a_kind_of_recipient_that_it_does_not_have(app: AppConnector) -> None:
    assert (await one(app, Target("tag", "1"))).outcome is Outcome.BAD_RECIPIENT


async def test_departments_and_everyone(app: AppConnector, sandbox: Sandbox) -> None:
    results = (await send(app, Text("x"), RESEARCH, Target("department", "3"), EVERYONE)).results
    assert {each.outcome for each in results} == {Outcome.OK}
    (first,) = sandbox.board.all()
    assert first.to == ["zhangsan", "lisi", "wangwu"]
    status = await app.status(receipt(results[2]))  # the same content, the same people, the same day
    assert set(status.failed) == {"zhangsan", "lisi", "wangwu"}
    assert "143106" in status.failed["lisi"]
    assert status.delivered is False


async def test_departments_need_the_id_of_the_agent(sandbox: Sandbox, around: Around) -> None:
    app = AppConnector(app_credentials(sandbox.origin, agent_id=None), around())
    results = (await send(app, Text("x"), RESEARCH, ZHANG)).results
    assert (results[0].outcome, results[1].outcome) == (Outcome.BAD_RECIPIENT, Outcome.OK)
    assert "agent_id" in results[0].advice
    await app.close()


# afterwards


async def test_of_a_person(app: AppConnector, sandbox: Sandbox) -> None:
    results = (await send(app, Text("x"), ZHANG, LI)).results
    sandbox.board.all()[0].read_by.append("lisi")
    assert await app.status(receipt(results[0])) == Status(True, (), ("zhangsan",), 0)
    assert await app.status(receipt(results[1])) == Status(True, ("lisi",), (), 1)
    await app.recall(receipt(results[0]))
    assert sandbox.board.all()[0].state == "recalled"


async def test_recalled_twice_inferred(app: AppConnector) -> None:
    """The people of one call lose it together: for the second it is no failure."""
    results = (await send(app, Text("x"), ZHANG, LI)).results
    await app.recall(receipt(results[0]))
    await app.recall(receipt(results[1]))


async def test_of_a_group(app: AppConnector, sandbox: Sandbox) -> None:
    sent = receipt(await one(app, OPS))
    assert await app.status(sent) == Status(True, (), read_count=0)
    readers = [f"reader{number}" for number in range(450)]
    sandbox.board.all()[0].read_by.extend(readers)
    assert await app.status(sent) == Status(True, tuple(readers), read_count=450)
    await app.recall(sent)
    assert sandbox.board.all()[0].state == "recalled"


async def test_of_a_work_notification(app: AppConnector, sandbox: Sandbox) -> None:
    results = (await send(app, Text("x"), RESEARCH, Target("department", "77"))).results
    sandbox.board.all()[0].read_by.append("lisi")
    status = await app.status(receipt(results[0]))
    assert (status.delivered, status.read, status.unread, status.read_count) == (True, ("lisi",), ("zhangsan",), 1)
    assert status.failed == {"department:77": "DingTalk knows no such department"}
    await app.recall(receipt(results[0]))
    assert sandbox.board.all()[0].state == "recalled"


async def test_the_day_is_full(app: AppConnector, emulator: DingTalk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hongyan.sandbox.dingtalk.work.DAILY", 1)
    await one(app, RESEARCH)
    status = await app.status(receipt(await one(app, RESEARCH, Text("another"))))
    assert "all work notifications" in status.failed["zhangsan"]


async def said(app: AppConnector, content: Content, *to: Target, key: str) -> Sent:
    sent = await app.send(Message(content), to or [RESEARCH], key=key)
    assert {each.outcome for each in sent.results} == {Outcome.OK}, sent
    return sent


DISK = "The disk of db-1 is full"


@pytest.mark.parametrize(
    ("content", "type_", "where"),
    [
        (Text(DISK), "text", "content"),
        (Markdown(DISK), "markdown", "text"),
        (Card("Disk", text=DISK, buttons=(Button("Open", url="https://x.example"),)), "action_card", "markdown"),
        (Link("Disk", "https://x.example", DISK, Media(url="https://x.example/a.png")), "link", "text"),
    ],
)
async def test_what_is_said_again_on_a_day_arrives_again(
    app: AppConnector, sandbox: Sandbox, clock: Clock, content: Content, type_: str, where: str
) -> None:
    """DingTalk would accept it, and show it to nobody."""
    first = await said(app, content, key="a")
    assert "repeat_marked" not in {note.rule for note in first.notes}
    for key in ("b", "c"):
        clock.advance(3600)
        again = await said(app, content, key=key)
        assert "repeat_marked" in {note.rule for note in again.notes}
        status = await app.status(receipt(again.results[0]))
        assert (status.failed, status.unread) == ({}, ("zhangsan", "lisi"))
    texts = [shown.payload[type_][where] for shown in sandbox.board.all()]
    assert len(set(texts)) == 3
    assert all(text.startswith(texts[0]) for text in texts)
    assert texts[2].endswith(" (3)")


async def test_a_card_with_a_status_that_is_said_again(app: AppConnector, sandbox: Sandbox) -> None:
    for key in ("a", "b", "c"):
        await said(app, Card("Deploy", url="https://x.example"), key=key)
    contents = [shown.payload["oa"]["body"].get("content", "") for shown in sandbox.board.all()]
    assert [each[-4:] for each in contents] == ["", " (2)", " (3)"]


async def test_what_is_tried_again_does_not_arrive_twice(app: AppConnector, sandbox: Sandbox) -> None:
    for key in ("a", "b", "a", "b"):
        await said(app, Text(DISK), key=key)
    assert len(sandbox.board.all()) == 2


async def test_the_next_day_it_is_new(app: AppConnector, sandbox: Sandbox, clock: Clock) -> None:
    await said(app, Text(DISK), key="a")
    clock.advance(86_400)
    assert (await said(app, Text(DISK), key="b")).notes == ()
    assert len(sandbox.board.all()) == 2


async def test_everyone_is_told_three_times_a_day(app: AppConnector, sandbox: Sandbox, clock: Clock) -> None:
    for number in range(3):
        await said(app, Text(f"news {number}"), EVERYONE, key=str(number))
        clock.advance(3600)
    fourth = (await app.send(Message(Text("news 3")), [EVERYONE, RESEARCH], key="3")).results
    assert [each.outcome for each in fourth] == [Outcome.THROTTLED, Outcome.OK]
    assert (fourth[0].after, fourth[0].everybody) == (86_400 - 3 * 3600, False)
    clock.advance(86_400 - 3 * 3600)
    result = (await said(app, Text("news 3"), EVERYONE, key="3")).results[0]
    assert "lisi" in (await app.status(receipt(result))).unread or ()


async def test_a_department_gets_no_more_than_its_people_may(
    app: AppConnector, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (app_module.PERSON_DAY, work.DAILY) == (450, 500)
    monkeypatch.setattr(app_module, "PERSON_DAY", 2)
    for number in range(2):
        await said(app, Text(str(number)), key=str(number))
    third = (await app.send(Message(Text("2")), [RESEARCH, Target("department", "3")], key="2")).results
    assert [each.outcome for each in third] == [Outcome.THROTTLED, Outcome.OK]


async def test_a_status_of_a_work_notification_changes(app: AppConnector, sandbox: Sandbox) -> None:
    sent = receipt(await one(app, RESEARCH, Card("Disk", "full", url="https://a.example")))
    await app.update(sent, Message(Card("Mended", level="success")))
    (shown,) = sandbox.board.all()
    assert shown.state == "changed"
    assert shown.payload["oa"]["status_bar"] == {"status_value": "✅ Mended", "status_bg": "0xFF15BC83"}


@pytest.mark.parametrize(("to", "content"), [(ZHANG, Text("x")), (OPS, Card("x")), (RESEARCH, Text("x"))])
async def test_what_does_not_change(app: AppConnector, to: Target, content: Content) -> None:
    sent = receipt(await one(app, to, content))
    with pytest.raises(Problem, match="changes only interactive cards"):
        await app.update(sent, Message(Text("y")))


async def test_what_is_not_there(app: AppConnector) -> None:
    gone = {"key": "gone", "user": "lisi", "group": OPS.id, "task": "1", "card": "gone"}
    for via in ("user", "group", "work"):
        with pytest.raises(Problem) as caught:
            await app.recall({**gone, "via": via})
        assert caught.value.outcome is Outcome.BAD_RECIPIENT
        with pytest.raises(Problem):
            await app.status({**gone, "via": via})
    with pytest.raises(Problem):
        await app.update({**gone, "via": "card"}, Message(Text("x")))


@pytest.mark.parametrize("odd", [7, "x", [7], {"x": 7}, None])
async def test_answers_of_another_shape(card_app: AppConnector, monkeypatch: pytest.MonkeyPatch, odd: object) -> None:
    """Only problems come out, whatever DingTalk says."""
    names = (
        "deliverResults result processQueryKey invalidStaffIdList messageReadInfoList sendStatus readUserIds hasMore"
        " nextToken failedResult send_result forbidden_list task_id userid downloadUrl"
    )

    async def answer(*_: object, **__: object) -> dict[str, object]:
        return dict.fromkeys(names.split(), odd)

    monkeypatch.setattr(card_app._api, "v1", answer)
    monkeypatch.setattr(card_app._api, "legacy", answer)
    receipt = {"key": "k", "user": "lisi", "group": OPS.id, "task": "1", "card": "c"}
    with suppress(Problem):
        await card_app.fetch({"code": "x"})
    for via in ("user", "group", "work", "card"):
        for call in (card_app.status, card_app.recall):
            with suppress(Problem):
                await call({**receipt, "via": via})
    for content in (Text("x"), BUTTONS):
        await send(card_app, content, ZHANG, OPS, RESEARCH, Target("mobile", "1"))


# interactive cards

BUTTONS = Card("Disk", "full", buttons=(Button("Mine", id="take", value="7"), Button("Look", url="https://a.example")))


async def test_an_interactive_card(card_app: AppConnector, sandbox: Sandbox) -> None:
    message = Message(BUTTONS, (Mention(user="lisi", name="李四"), Mention(mobile="13800000001")))
    sent = await send(card_app, message, ZHANG, OPS)
    assert sorted(rules(sent)) == ["mention_dropped_direct", "mention_unresolved"]
    person, group = sandbox.board.all()
    params = person.payload["cardParamMap"]
    assert (params["title"], params["markdown"]) == ("Disk", "### Disk\n\nfull")
    assert json.loads(params["buttons"])[0] == {
        "text": "Mine",
        "id": "take",
        "value": "7",
        "url": "",
        "style": "default",
        "confirm": "",
    }
    assert group.extra["mentions"] == ["李四"]
    assert await card_app.status(receipt(sent.results[0])) == Status()


async def test_an_interactive_card_is_written_anew(card_app: AppConnector, sandbox: Sandbox) -> None:
    sent = receipt(await one(card_app, OPS, BUTTONS))
    await card_app.update(sent, Message(Card("Mended", "by 张三", "success")))
    (shown,) = sandbox.board.all()
    assert shown.state == "changed"
    assert shown.payload["cardParamMap"]["title"] == "✅ Mended"
    assert json.loads(shown.payload["cardParamMap"]["buttons"]) == []
    await card_app.update(sent, Message(Text("gone")))
    assert sandbox.board.all()[0].payload["cardParamMap"]["markdown"] == "gone"
    with pytest.raises(Problem, match="take interactive cards back"):
        await card_app.recall(sent)


async def test_an_interactive_card_has_one_id_at_each_try(card_app: AppConnector) -> None:
    first = receipt(await one(card_app, OPS, BUTTONS))
    assert first == receipt(await one(card_app, OPS, BUTTONS))
    assert first != receipt(await one(card_app, DEV, BUTTONS))
    assert first != receipt(await one(card_app, OPS, BUTTONS, key="m2"))


async def test_an_interactive_card_for_nobody(card_app: AppConnector) -> None:
    result = await one(card_app, Target("user", "nobody"), BUTTONS)
    assert (result.outcome, result.reason) == (Outcome.BAD_RECIPIENT, "用户不存在")


async def test_a_card_is_not_interactive_if_nobody_would_be_told(sandbox: Sandbox, around: Around) -> None:
    """A template alone leads nowhere: its buttons open pages, as without one."""
    given = {"card_template_id": "t.schema", "card_route_key": "", "card_secret": ""}
    deaf = AppConnector(app_credentials(sandbox.origin, **given), around())
    assert rules(await send(deaf, BUTTONS, ZHANG, OPS)) == ["buttons_to_page"]
    assert [shown.kind for shown in sandbox.board.all()] == ["sampleActionCard2"] * 2
    assert sandbox.board.all()[0].payload["msgParam"]["actionURL1"] == "https://hongyan.example/act/m1/take"
    hearing = AppConnector(app_credentials(sandbox.origin, **given, stream=True), around())
    assert rules(await send(hearing, BUTTONS, OPS)) == []
    assert "cardParamMap" in sandbox.board.all()[-1].payload


async def test_departments_get_no_interactive_card(card_app: AppConnector, sandbox: Sandbox) -> None:
    assert rules(await send(card_app, BUTTONS, RESEARCH)) == ["buttons_to_page"]
    assert sandbox.board.all()[0].kind == "action_card"


# tokens, rates and faults


async def test_fifty_senders_with_an_old_token(sandbox: Sandbox, around: Around, emulator: DingTalk) -> None:
    """One of them fetches a new one."""
    emulator.rates.qps = 1000
    ticks = itertools.count()
    surroundings = dataclasses.replace(around(), rates=Rates(lambda: float(next(ticks))))
    app = AppConnector(app_credentials(sandbox.origin), surroundings)
    await one(app, RESEARCH)
    await one(app)
    before = emulator.tokens.requests
    assert before == 2
    emulator.tokens.expire()
    results = await asyncio.gather(*(one(app, key=f"m{number}") for number in range(50)))
    assert {each.outcome for each in results} == {Outcome.OK}
    assert emulator.tokens.requests == before + 1
    emulator.tokens.expire()
    await asyncio.gather(*(app.look_up(Target("mobile", "13800000001")) for _ in range(50)))
    assert emulator.tokens.requests == before + 2
    await app.close()


async def test_a_token_is_renewed_before_its_end(app: AppConnector, clock: Clock, emulator: DingTalk) -> None:
    await one(app)
    clock.advance(6900)
    await one(app)
    assert emulator.tokens.requests == 1
    clock.advance(150)
    await one(app)
    assert emulator.tokens.requests == 2


async def test_a_token_that_is_refused_again_is_no_credential(
    app: AppConnector, sandbox: Sandbox, emulator: DingTalk
) -> None:
    sandbox.faults.add("dingtalk", "token_expired", 2, "/v1.0/robot/")
    result = await one(app)
    assert (result.outcome, result.code, result.everybody) == (
        Outcome.BAD_CREDENTIAL,
        "InvalidAuthentication",
        True,
    )
    assert emulator.tokens.requests == 2


async def test_a_wrong_secret(sandbox: Sandbox, around: Around) -> None:
    app = AppConnector(app_credentials(sandbox.origin, app_secret="wrong-hidden"), around())
    for to in (ZHANG, RESEARCH):
        result = await one(app, to)
        assert (result.outcome, result.everybody) == (Outcome.BAD_CREDENTIAL, True)
        assert "`app_secret`" in result.advice
    with pytest.raises(Problem):
        await app.check()
    await app.close()


async def test_check(app: AppConnector, sandbox: Sandbox) -> None:
    assert await app.check() == "DingTalk app dingsandboxapp"
    assert sandbox.board.all() == []


async def test_no_call_above_the_rate(app: AppConnector, sandbox: Sandbox, clock: Clock) -> None:
    results = [await one(app, key=f"m{number}") for number in range(19)]
    assert [each.outcome for each in results] == [Outcome.OK] * 18 + [Outcome.THROTTLED]
    clock.advance(1)
    assert (await one(app)).outcome is Outcome.OK


@pytest.mark.parametrize("to", [ZHANG, OPS, RESEARCH], ids=str)
@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("throttled", Outcome.THROTTLED),
        ("error", Outcome.TRANSIENT),
        ("garbage", Outcome.UNKNOWN),
        ("closed", Outcome.UNKNOWN),
        ("token_expired", Outcome.OK),
    ],
)
async def test_faults(app: AppConnector, sandbox: Sandbox, to: Target, what: What, outcome: Outcome) -> None:
    await app.check()
    sandbox.faults.add("dingtalk", what)
    assert (await one(app, to)).outcome is outcome
    assert (await one(app, to)).outcome is Outcome.OK


@pytest.mark.parametrize("what", ["garbage", "error", "closed"])
async def test_faults_before_anything_is_sent(app: AppConnector, sandbox: Sandbox, what: What) -> None:
    """Nothing was done, so that another try does nothing twice."""
    sandbox.faults.add("dingtalk", what)
    assert (await one(app)).outcome is Outcome.TRANSIENT


async def test_refused_in_a_success(app: AppConnector, sandbox: Sandbox) -> None:
    await app.check()
    sandbox.faults.add("dingtalk", "refused")
    assert (await one(app, RESEARCH)).outcome is Outcome.UNKNOWN
    sandbox.faults.add("dingtalk", "refused")
    assert (await one(app, OPS)).outcome is Outcome.BAD_CONTENT


async def test_a_success_that_says_nothing_is_unknown(app: AppConnector, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(*_: object) -> dict[str, object]:
        return {"errcode": 0}

    monkeypatch.setattr(app._api, "v1", answer)
    monkeypatch.setattr(app._api, "legacy", answer)
    results = (await send(app, Text("x"), ZHANG, OPS, RESEARCH)).results
    assert {each.outcome for each in results} == {Outcome.UNKNOWN}


async def test_silence_is_unknown(app: AppConnector, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    await app.check()
    monkeypatch.setitem(Http.call.__kwdefaults__, "timeout", 0.2)
    sandbox.faults.add("dingtalk", "silence")
    result = await one(app, OPS)
    assert (result.outcome, result.everybody) == (Outcome.UNKNOWN, False)


async def test_what_concerns_all_is_tried_once(app: AppConnector, sandbox: Sandbox) -> None:
    await app.check()
    sandbox.faults.add("dingtalk", "error", 2)
    results = (await send(app, Text("x"), ZHANG, OPS, RESEARCH)).results
    assert {each.outcome for each in results} == {Outcome.TRANSIENT}
    assert len(sandbox.faults.all()) == 1


async def test_look_up(app: AppConnector) -> None:
    assert await app.look_up(Target("mobile", "13800000003")) == WANG
    for target in (Target("mobile", "1"), Target("email", "a@a.example")):
        with pytest.raises(Problem) as caught:
            await app.look_up(target)
        assert caught.value.outcome is Outcome.BAD_RECIPIENT


async def test_a_number_is_asked_about_once_a_day(app: AppConnector, sandbox: Sandbox, clock: Clock) -> None:
    """Calls of a month are counted."""
    mobile = Target("mobile", "13800000003")
    assert await app.look_up(mobile) == WANG
    sandbox.faults.add("dingtalk", "error", 1, "/topapi/v2/user/")
    clock.advance(86_399)
    assert await app.look_up(mobile) == WANG
    clock.advance(1)
    with pytest.raises(Problem):
        await app.look_up(mobile)


async def test_credentials_are_never_shown(sandbox: Sandbox, around: Around, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = app_credentials(sandbox.origin, app_secret="s-hidden", card_secret="c-hidden")
    assert "hidden" not in f"{credentials!r} {credentials.__rich_repr__()}"
    app = AppConnector(credentials, around())
    seen = [await one(app)]
    for what in ("error", "garbage", "closed", "throttled"):
        sandbox.faults.add("dingtalk", what)
        seen.append(await one(app, RESEARCH))
    assert "hidden" not in f"{seen}"
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("hongyan")]
    assert "hidden" not in "".join(ours)
    await app.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"app_key": " "},
        {"callback_aes_key": ""},
        {"callback_aes_key": "short"},
        {"callback_aes_key": "!" * 43},
        {"card_secret": ""},
        {"base_url": "ftp://a.example"},
    ],
)
def test_credentials_that_can_not_be(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="`"):
        app_credentials("https://a.example", **fields)
