"""Each content to a group, a person, and a robot: what Feishu gets, and what is said to be rewritten."""

import json
from typing import Any

import pytest

from hongyan.hub.connector import HERE, Outcome, Problem, Target
from hongyan.hub.connectors.feishu.app import AppConnector
from hongyan.hub.connectors.feishu.dialect import escape
from hongyan.hub.connectors.feishu.robot import RobotConnector
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
    Option,
    Table,
    Text,
    Video,
)
from hongyan.sandbox.board import Shown
from hongyan.sandbox.server import Sandbox
from tests.support.hub import Around, Clock, Files

GROUP = Target("group", "oc_sandbox_ops")
PERSON = Target("user", "ou_sandbox_zhangsan")
MAP = "https://uri.amap.com/marker?position=121.400000%2C31.200000&name=%E5%A4%96%E6%BB%A9&coordinate=wgs84"


def contents(files: Files) -> dict[str, Content]:
    """One of each kind, and of those that Feishu takes in two ways both."""
    picture = files.add()
    return {
        "text": Text("磁盘 90%"),
        "marked text": Text('a **b** <at user_id="all"></at>'),
        "markdown": Markdown("# 一\n\n**b** [l](https://a.example) `c`", "标题", "error"),
        "image": Image(picture),
        "image with text": Image(picture, "a picture"),
        "file": File(files.add("a.pdf", "application/pdf", b"%PDF")),
        "audio": Audio(files.add("a.opus", "audio/opus", b"opus")),
        "other audio": Audio(files.add("a.mp3", "audio/mpeg", b"mp3")),
        "video": Video(files.add("a.mp4", "video/mp4", b"mp4"), cover=picture),
        "video with text": Video(files.add("b.mp4", "video/mp4", b"mp4"), "T", "t"),
        "other video": Video(files.add("a.mov", "video/quicktime", b"mov"), "T"),
        "link": Link("T", "https://a.example/(x)", "t", picture),
        "location": Location(31.2, 121.4, "外滩", "中山东一路"),
        "articles": Articles((Article("A", "https://a.example", "a", picture), Article("B", "https://b.example"))),
        "table": Table(("名", "值"), (("cpu", "1"), ("mem",)), "T"),
        "card": card(picture),
    }


def card(picture: Media) -> Card:
    return Card(
        "T",
        "**x**",
        "warning",
        picture,
        (Field("a", "1", True), Field("b", "2", True), Field("c", "3")),
        (Button("Open", "https://a.example"), Button("Ack", id="ack", value="7", style="primary", confirm="Sure?")),
        Form("f", (Input("why", "Why", "lines", required=True), Input("day", "Day", "date"))),
        "https://c.example",
        "foot",
    )


#: What becomes of each: type for an application, and the rules noted there and at a robot.
KINDS = {
    "text": ("text", set(), set()),
    "marked text": ("post", set(), set()),
    "markdown": ("interactive", set(), set()),
    "image": ("image", set(), {"image_to_link"}),
    "image with text": ("post", set(), {"image_to_link"}),
    "file": ("file", set(), {"file_to_link"}),
    "audio": ("audio", set(), {"audio_to_link"}),
    "other audio": ("file", {"audio_to_file"}, {"audio_to_link"}),
    "video": ("media", set(), {"video_to_link"}),
    "video with text": ("post", set(), {"video_to_link"}),
    "other video": ("file", {"video_to_file"}, {"video_to_link"}),
    "link": ("interactive", set(), {"image_to_link"}),
    "location": ("interactive", {"location_to_link"}, {"location_to_link"}),
    "articles": ("interactive", set(), {"image_to_link"}),
    "table": ("interactive", set(), set()),
    "card": ("interactive", set(), {"image_to_link", "buttons_to_page", "form_to_page", "confirm_dropped"}),
}


def shown(sandbox: Sandbox) -> Shown:
    """What has come last."""
    return sandbox.board.all()[-1]


def texts(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", [GROUP, PERSON], ids=str)
async def test_an_application_sends_each_kind(
    app: AppConnector, sandbox: Sandbox, files: Files, kind: str, target: Target
) -> None:
    type_, rules, _ = KINDS[kind]
    sent = await app.send(Message(contents(files)[kind]), [target], key="k")
    assert [(each.outcome, each.reason) for each in sent.results] == [(Outcome.OK, "")]
    assert {note.rule for note in sent.notes} == rules
    first = sandbox.board.all()[0]
    assert (first.address, first.kind) == ("app", type_)
    assert first.to == ["运维值班群" if target is GROUP else "张三"]
    assert sent.results[0].receipt is not None
    assert sent.results[0].receipt["message_id"] == first.id


@pytest.mark.parametrize("kind", KINDS)
async def test_a_robot_sends_each_kind(robot: RobotConnector, sandbox: Sandbox, files: Files, kind: str) -> None:
    type_, _, rules = KINDS[kind]
    sent = await robot.send(Message(contents(files)[kind]), [HERE], key="k")
    assert [(each.outcome, each.reason, each.receipt) for each in sent.results] == [(Outcome.OK, "", None)]
    assert {note.rule for note in sent.notes} == rules
    assert (shown(sandbox).address, shown(sandbox).kind) == (
        "robot",
        type_ if type_ in ("text",) or kind == "marked text" else "interactive",
    )


async def test_a_text_is_sent_as_it_is(app: AppConnector, sandbox: Sandbox) -> None:
    await app.send(Message(Text("磁盘\n90%")), [GROUP], key="k")
    assert shown(sandbox).payload == {"text": "磁盘\n90%"}


async def test_a_text_calls_nobody_by_its_characters(
    app: AppConnector, robot: RobotConnector, sandbox: Sandbox
) -> None:
    said = '<at user_id="all">all</at>'
    post = {"zh_cn": {"title": "", "content": [[{"tag": "text", "text": said}]]}}
    await app.send(Message(Text(said)), [GROUP], key="k")
    assert (shown(sandbox).kind, shown(sandbox).payload) == ("post", post)
    await robot.send(Message(Text(said)), [HERE], key="k")
    assert (shown(sandbox).kind, shown(sandbox).payload) == ("post", post)


async def test_unverified_code_in_a_card_calls_nobody(app: AppConnector, sandbox: Sandbox) -> None:
    said = "`<at id=all></at>` `<b>`\n\n```\n<AT id=all></AT>\n```"
    await app.send(Message(Markdown(said)), [GROUP], key="k")
    content = shown(sandbox).payload["body"]["elements"][0]["content"]
    assert "<at" not in content.lower()
    assert "`<b>`" in content


async def test_markdown_is_a_card_in_its_colour_with_headings_and_tables_unverified(
    app: AppConnector, sandbox: Sandbox
) -> None:
    said = "# 一\n\n**b** *i* ~~s~~ `c`\n\n- a\n- b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n---"
    await app.send(Message(Markdown(said, "标题", "error")), [GROUP], key="k")
    assert shown(sandbox).payload == {
        "schema": "2.0",
        "config": {"update_multi": True},
        "header": {"title": {"tag": "plain_text", "content": "标题"}, "template": "red"},
        "body": {
            "elements": [
                {
                    "tag": "markdown",
                    "content": "# 一\n\n**b** *i* ~~s~~ `c`\n\n- a\n- b\n\n| x | y |\n| --- | --- |\n| 1 | 2 |\n\n---",
                }
            ]
        },
    }


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("a_b * c", "a&#95;b &#42; c"),
        ("<at id=all></at>", "&#60;at id=all&#62;&#60;/at&#62;"),
        (":OK: 10:30", "&#58;OK: 10:30"),
        ("1\\. one", "1&#46; one"),
        ("\\- one", "&#45; one"),
        ("&amp;lt;", "&#38;lt;"),
        ("[x](javascript:alert)", "[x](javascript:alert)"),
        ("[x](https://a.example/\\(b\\))", "[x](https://a.example/%28b%29)"),
        ("`` a`b ``", "``a`b``"),
        ("- a\n  - b", "- a\n    - b"),
        ("> a\n> b", "> a\n> b"),
    ],
)
async def test_marks_of_cards(app: AppConnector, sandbox: Sandbox, said: str, written: str) -> None:
    sent = await app.send(Message(Markdown(said)), [GROUP], key="k")
    assert sent.results[0].outcome is Outcome.OK
    content = shown(sandbox).payload["body"]["elements"][0]["content"]
    assert content == (written if "javascript" not in said else "&#91;x&#93;(javascript:alert)")


async def test_pictures_in_markdown_are_uploaded_once(app: AppConnector, sandbox: Sandbox, files: Files) -> None:
    picture = files.add_url()
    said = Markdown(f"![a]({picture.url}) ![b]({picture.url}) ![c](https://nowhere.example/x.png)")
    sent = await app.send(Message(said), [GROUP, PERSON], key="k")
    assert {note.rule for note in sent.notes} == {"image_to_link"}
    contents = {each.payload["body"]["elements"][0]["content"] for each in sandbox.board.all()}
    assert len(contents) == 1
    content = contents.pop()
    key = content.partition("![a](")[2].partition(")")[0]
    assert content == f"![a]({key}) ![b]({key}) [c](https://nowhere.example/x.png)"
    assert sandbox.board.media(key) is not None


async def test_a_card_of_an_application(app: AppConnector, sandbox: Sandbox, files: Files) -> None:
    await app.send(Message(card(files.add())), [GROUP], key="k")
    made = shown(sandbox).payload
    assert made["header"] == {"title": {"tag": "plain_text", "content": "T"}, "template": "orange"}
    assert made["card_link"] == {"url": "https://c.example"}
    assert [each["tag"] for each in made["body"]["elements"]] == [
        *("img", "markdown", "column_set", "markdown", "form", "column_set", "hr", "markdown")
    ]
    form, row = made["body"]["elements"][4:6]
    assert form["elements"][-1]["behaviors"] == [{"type": "callback", "value": {"action": "f"}}]
    assert form["elements"][-1]["form_action_type"] == "submit"
    opens, tells = (column["elements"][0] for column in row["columns"])
    assert opens["behaviors"] == [{"type": "open_url", "default_url": "https://a.example"}]
    assert tells["behaviors"] == [{"type": "callback", "value": {"action": "ack", "value": "7"}}]
    assert tells["confirm"]["text"]["content"] == "Sure?"


async def test_a_robots_buttons_open_pages(robot: RobotConnector, sandbox: Sandbox, files: Files) -> None:
    await robot.send(Message(card(files.add())), [HERE], key="key")
    said = texts(shown(sandbox).payload)
    assert "https://hongyan.example/act/key/ack" in said
    assert "https://hongyan.example/act/key/f" in said
    assert "callback" not in said


async def test_without_pages_a_robots_buttons_are_texts(around: Around, sandbox: Sandbox, files: Files) -> None:
    from hongyan.hub.connectors.feishu.credentials import RobotCredentials

    robot = RobotConnector(RobotCredentials(token="sandbox-open", base_url=sandbox.origin), around(pages=False))
    await robot.send(Message(card(files.add())), [HERE], key="key")
    assert {"tag": "markdown", "content": "**Ack**"} in _elements(shown(sandbox).payload)


def _elements(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return ([value] if "tag" in value else []) + [each for inner in value.values() for each in _elements(inner)]
    return [each for inner in value for each in _elements(inner)] if isinstance(value, list) else []


async def test_inputs_of_each_kind(app: AppConnector, sandbox: Sandbox) -> None:
    options = (Option("1", "one"), Option("2", "two"))
    inputs = (
        Input("a", "A", value="x", hint="h"),
        Input("b", "B", "lines"),
        Input("c", "C", "select", options, value="2"),
        Input("d", "D", "checks", options, value="1\n2"),
        Input("e", "E", "date", value="2026-11-26", required=True),
    )
    sent = await app.send(Message(Card("T", form=Form("f", inputs))), [GROUP], key="k")
    assert sent.results[0].outcome is Outcome.OK
    named = {each["name"]: each for each in _elements(shown(sandbox).payload) if "name" in each}
    assert named["a"]["default_value"] == "x"
    assert named["a"]["placeholder"]["content"] == "h"
    assert named["b"]["input_type"] == "multiline_text"
    assert named["c"]["initial_option"] == "2"
    assert named["d"]["selected_values"] == ["1", "2"]
    assert (named["e"]["initial_date"], named["e"]["required"]) == ("2026-11-26", True)


async def test_a_table_turns_pages_of_ten_rows(app: AppConnector, sandbox: Sandbox) -> None:
    rows = tuple((str(number), "x") for number in range(30))
    await app.send(Message(Table(("a", "b"), rows)), [GROUP], key="k")
    table = shown(sandbox).payload["body"]["elements"][0]
    assert (table["tag"], table["page_size"], len(table["rows"])) == ("table", 10, 30)


# mentions

MENTIONS = (
    Mention(user="ou_sandbox_lisi", name="李四"),
    Mention(email="wangwu@example.com"),
    Mention(mobile="13900000000", name="小明"),
    Mention(everyone=True),
)


async def test_mentions_in_a_text_are_resolved(app: AppConnector, sandbox: Sandbox) -> None:
    sent = await app.send(Message(Text("hi"), MENTIONS), [GROUP], key="k")
    assert shown(sandbox).payload["text"] == (
        '<at user_id="ou_sandbox_lisi">李四</at> <at user_id="ou_sandbox_wangwu"></at> @小明 <at user_id="all"></at> hi'
    )
    assert [(note.rule, note.detail) for note in sent.notes] == [("mention_unresolved", "@小明")]


async def test_mentions_in_a_card(app: AppConnector, sandbox: Sandbox) -> None:
    await app.send(Message(Markdown("hi"), MENTIONS), [GROUP], key="k")
    assert shown(sandbox).payload["body"]["elements"][-1]["content"] == (
        "<at id=ou_sandbox_lisi></at> <at id=ou_sandbox_wangwu></at> @小明 <at id=all></at>"
    )


async def test_a_union_id_is_named_in_a_card_inferred(app: AppConnector, sandbox: Sandbox) -> None:
    mention = Mention(user="on_sandbox_lisi", name="李四")
    sent = await app.send(Message(Markdown("hi"), (mention,)), [GROUP], key="k")
    assert shown(sandbox).payload["body"]["elements"][-1]["content"] == "@李四"
    assert [note.rule for note in sent.notes] == ["mention_unresolved"]


async def test_mentions_beside_a_picture_are_a_message_of_their_own(
    app: AppConnector, sandbox: Sandbox, files: Files
) -> None:
    sent = await app.send(Message(Image(files.add()), MENTIONS[:1]), [GROUP], key="k")
    picture, mention = sandbox.board.all()
    assert (picture.kind, mention.kind) == ("image", "text")
    receipt = sent.results[0].receipt
    assert receipt is not None
    assert receipt["also"] == mention.id
    assert [note.rule for note in sent.notes] == ["mention_separate"]
    await app.recall(receipt)
    assert [each.state for each in sandbox.board.all()] == ["recalled", "recalled"]


async def test_in_a_direct_message_nobody_is_mentioned(app: AppConnector, sandbox: Sandbox) -> None:
    sent = await app.send(Message(Text("hi"), MENTIONS), [PERSON], key="k")
    assert shown(sandbox).payload == {"text": "hi"}
    assert [note.rule for note in sent.notes] == ["mention_dropped_direct"]


async def test_a_robot_knows_users_by_their_ids_only(robot: RobotConnector, sandbox: Sandbox) -> None:
    sent = await robot.send(Message(Text("hi"), MENTIONS), [HERE], key="k")
    assert shown(sandbox).payload["text"] == (
        '<at user_id="ou_sandbox_lisi">李四</at> @wangwu@example.com @小明 <at user_id="all"></at> hi'
    )
    assert {note.rule for note in sent.notes} == {"mention_unresolved"}


async def test_an_id_ends_no_mark(app: AppConnector, sandbox: Sandbox) -> None:
    await app.send(Message(Text("hi"), (Mention(user='x"></at><at user_id="all'),)), [GROUP], key="k")
    assert shown(sandbox).payload["text"].count("<at ") == 1


# keywords, threads


@pytest.mark.parametrize("kind", ["text", "marked text", "markdown", "card"])
async def test_a_keyword_is_added_where_it_is_missing(
    around: Around, sandbox: Sandbox, files: Files, kind: str
) -> None:
    from hongyan.hub.connectors.feishu.credentials import RobotCredentials

    given = RobotCredentials(token="sandbox-keyword", keywords=("告警", "发布"), base_url=sandbox.origin)
    robot = RobotConnector(given, around())
    sent = await robot.send(Message(contents(files)[kind]), [HERE], key="k")
    assert sent.results[0].outcome is Outcome.OK
    assert ("keyword_added", "告警") in [(note.rule, note.detail) for note in sent.notes]
    assert "告警" in texts(shown(sandbox).payload)
    sent = await robot.send(Message(Text("发布完成")), [HERE], key="k")
    assert (sent.notes, shown(sandbox).payload) == ((), {"text": "发布完成"})


async def test_an_answer_stands_in_the_thread(app: AppConnector, sandbox: Sandbox) -> None:
    first = await app.send(Message(Text("first")), [GROUP], key="a")
    receipt = first.results[0].receipt
    sent = await app.send(Message(Text("answer"), thread="m1"), [GROUP], key="b", thread=receipt)
    assert sent.notes == ()
    assert shown(sandbox).thread == sandbox.board.all()[0].id
    assert shown(sandbox).payload == {"text": "answer"}


async def test_a_group_without_threads_gets_an_answer_beside_the_others(app: AppConnector, sandbox: Sandbox) -> None:
    group = Target("group", "oc_sandbox_plain")
    first = await app.send(Message(Text("first")), [group], key="a")
    sent = await app.send(Message(Text("answer"), thread="m1"), [group], key="b", thread=first.results[0].receipt)
    assert sent.results[0].outcome is Outcome.OK
    assert shown(sandbox).thread == sandbox.board.all()[0].id


@pytest.mark.parametrize(
    ("content", "said"),
    [(Text("x"), '"[#m1] x"'), (Card("T"), '"[#m1] T"'), (Markdown("x"), '"[#m1]"')],
)
async def test_a_thread_elsewhere_is_named(
    app: AppConnector, robot: RobotConnector, sandbox: Sandbox, content: Content, said: str
) -> None:
    for connector, target in ((app, GROUP), (robot, HERE)):
        sent = await connector.send(Message(content, thread="m1"), [target], key="k")
        assert [note.rule for note in sent.notes] == ["thread_to_title"]
        assert said in texts(shown(sandbox).payload)


# sizes


@pytest.mark.parametrize(
    "content",
    [
        Text("磁盘 90%\n" * 20_000),
        Text("**磁盘 90%**\n" * 5_000),
        Markdown("**磁盘** 90%\n\n" * 5_000, "T"),
        Card("T", "磁盘 90% " * 5_000),
        Card("T", fields=(Field("a", "磁盘 90% " * 5_000),)),
        Table(("a",), tuple(("磁盘 " * 100,) for _ in range(100))),
        Articles((Article("T", "https://a.example", "磁盘 " * 8_000),)),
        Link("T", "https://a.example", "磁盘 " * 10_000),
    ],
    ids=lambda content: type(content).__name__,
)
async def test_what_is_too_long_is_cut(
    app: AppConnector, robot: RobotConnector, sandbox: Sandbox, content: Content
) -> None:
    for connector, target in ((app, GROUP), (robot, HERE)):
        sent = await connector.send(Message(content), [target], key="k")
        assert [(each.outcome, each.reason) for each in sent.results] == [(Outcome.OK, "")]
        assert "text_cut" in {note.rule for note in sent.notes}
        assert "磁盘" in texts(shown(sandbox).payload)


async def test_a_text_is_cut_no_further_than_it_must_be(app: AppConnector, sandbox: Sandbox) -> None:
    await app.send(Message(Text("磁" * 60_000)), [GROUP], key="k")
    assert 140_000 < len(shown(sandbox).payload["text"].encode()) <= 150_000


async def test_a_card_of_too_many_parts_has_its_form_on_a_page(app: AppConnector, sandbox: Sandbox) -> None:
    options = tuple(Option(str(number), str(number)) for number in range(100))
    form = Form("f", tuple(Input(f"i{number}", "I", "select", options) for number in range(10)))
    sent = await app.send(Message(Card("T", form=form)), [GROUP], key="key")
    assert sent.results[0].outcome is Outcome.OK
    assert [note.rule for note in sent.notes] == ["form_to_page"]
    assert "https://hongyan.example/act/key/f" in texts(shown(sandbox).payload)


async def test_a_form_of_too_many_bytes_is_on_a_page(app: AppConnector, sandbox: Sandbox) -> None:
    options = tuple(Option(f"{number}" * 100, "选" * 100) for number in range(100))
    sent = await app.send(Message(Card("T", form=Form("f", (Input("i", "I", "select", options),)))), [GROUP], key="key")
    assert sent.results[0].outcome is Outcome.OK
    assert [note.rule for note in sent.notes] == ["form_to_page"]


async def test_many_fields_are_lines(app: AppConnector, sandbox: Sandbox) -> None:
    fields = tuple(Field(f"n{number}", "v", True) for number in range(50))
    buttons = tuple(Button(f"b{number}", id=f"b{number}", confirm="?") for number in range(25))
    sent = await app.send(Message(Card("T", fields=fields, buttons=buttons)), [GROUP], key="key")
    assert sent.results[0].outcome is Outcome.OK
    assert [note.rule for note in sent.notes] == ["fields_to_lines"]


async def test_a_label_is_cut(app: AppConnector, sandbox: Sandbox) -> None:
    sent = await app.send(Message(Card("T", buttons=(Button("x" * 150, id="a"),))), [GROUP], key="key")
    assert sent.results[0].outcome is Outcome.OK
    assert [note.rule for note in sent.notes] == ["title_cut"]


@pytest.mark.parametrize("kind", ["image", "file"])
async def test_a_file_that_is_too_large_is_a_link(app: AppConnector, sandbox: Sandbox, files: Files, kind: str) -> None:
    media = files.add("large.png", "image/png", b"\x89PNG" + bytes(31 * 1024 * 1024))
    sent = await app.send(Message(Image(media) if kind == "image" else File(media)), [GROUP], key="k")
    assert [note.rule for note in sent.notes] == [f"{kind}_to_link"]
    assert "https://files.example/large.png" in texts(shown(sandbox).payload)


async def test_a_picture_that_feishu_does_not_show_is_a_link(app: AppConnector, sandbox: Sandbox, files: Files) -> None:
    sent = await app.send(Message(Image(files.add("a.svg", "image/svg+xml", b"<svg/>"))), [GROUP], key="k")
    assert [note.rule for note in sent.notes] == ["image_to_link"]


async def test_a_file_that_is_not_there_is_refused(app: AppConnector, sandbox: Sandbox) -> None:
    sent = await app.send(Message(File(Media(file="gone"))), [GROUP], key="k")
    assert [each.outcome for each in sent.results] == [Outcome.BAD_CONTENT]
    assert sandbox.board.all() == []


# recipients


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (Target("user", "ou_nobody"), "99992351"),
        (Target("user", "nobody"), "99992352"),
        (Target("user", "on_nobody"), "99992353"),
        (Target("email", "nobody@example.com"), "230001"),
        (Target("mobile", "13900000000"), ""),
        (Target("group", "oc_nobody"), "230001"),
        (Target("group", "oc_sandbox_without"), "230002"),
        (Target("group", "oc_sandbox_muted"), "230018"),
        (Target("group", "oc_sandbox_dissolved"), "232009"),
        (Target("user", "ou_sandbox_outsider"), "230013"),
    ],
    ids=str,
)
async def test_one_who_cannot_get_it_keeps_it_from_nobody(
    app: AppConnector, sandbox: Sandbox, target: Target, code: str
) -> None:
    sent = await app.send(Message(Text("x")), [target, PERSON], key="k")
    bad, good = sent.results
    assert (bad.target, bad.outcome, bad.code) == (target, Outcome.BAD_RECIPIENT, code)
    assert bad.reason
    assert not bad.everybody
    assert good.outcome is Outcome.OK


@pytest.mark.parametrize(
    "target",
    [
        PERSON,
        Target("user", "zhangsan"),
        Target("user", "on_sandbox_zhangsan"),
        Target("email", "zhangsan@example.com"),
        Target("mobile", "13800000861"),
    ],
    ids=str,
)
async def test_a_person_by_any_id(app: AppConnector, sandbox: Sandbox, target: Target) -> None:
    people = sandbox.emulators["feishu"].world()["people"]
    if target.kind == "mobile":
        target = Target("mobile", people[0]["mobile"])
    sent = await app.send(Message(Text("x")), [target], key="k")
    assert sent.results[0].outcome is Outcome.OK
    assert sent.results[0].target == target
    assert shown(sandbox).to == ["张三"]


async def test_departments_get_a_batch(app: AppConnector, sandbox: Sandbox) -> None:
    targets = [Target("department", "od-sandbox-dev"), Target("department", "od-nobody"), GROUP]
    sent = await app.send(Message(Markdown("**x**", "T")), targets, key="k")
    known, unknown, group = sent.results
    assert known.receipt is not None
    assert known.receipt["batch_message_id"].startswith("bm-")
    assert (unknown.outcome, unknown.receipt) == (Outcome.BAD_RECIPIENT, None)
    assert group.outcome is Outcome.OK
    assert [each.to for each in sandbox.board.all()] == [["张三", "李四"], ["运维值班群"]]


async def test_many_users_get_a_batch(app: AppConnector, sandbox: Sandbox) -> None:
    users = [Target("user", id) for id in ("ou_sandbox_zhangsan", "lisi", "on_sandbox_wangwu")]
    users += [Target("user", f"ou_nobody{number}") for number in range(250)]
    sent = await app.send(Message(Text("x")), users, key="k")
    assert [each.outcome for each in sent.results] == [Outcome.OK] * 3 + [Outcome.BAD_RECIPIENT] * 250
    first, second = sandbox.board.all()
    assert (first.to, second.to) == (["张三", "李四", "王五"], [])


async def test_a_batch_has_files_as_links(app: AppConnector, sandbox: Sandbox, files: Files) -> None:
    target = Target("department", "od-sandbox-dev")
    sent = await app.send(Message(File(files.add("a.pdf", "application/pdf", b"%PDF"))), [target], key="k")
    assert sent.results[0].outcome is Outcome.OK
    assert [note.rule for note in sent.notes] == ["file_to_link"]
    sent = await app.send(Message(Image(files.add(), "x")), [target], key="k")
    assert (sent.results[0].outcome, shown(sandbox).kind) == (Outcome.OK, "post")


# once


async def test_what_is_tried_again_arrives_once(app: AppConnector, sandbox: Sandbox, clock: Clock) -> None:
    targets = [GROUP, PERSON]
    first = await app.send(Message(Text("x")), targets, key="k")
    clock.advance(60)
    again = await app.send(Message(Text("x")), targets, key="k")
    other = await app.send(Message(Text("x")), targets, key="other")
    assert [each.receipt for each in again.results] == [each.receipt for each in first.results]
    assert len(sandbox.board.all()) == 4
    assert all(each.outcome is Outcome.OK for each in other.results)


# afterwards


async def test_recall(app: AppConnector, sandbox: Sandbox) -> None:
    sent = await app.send(Message(Text("x")), [GROUP], key="k")
    receipt = sent.results[0].receipt
    assert receipt is not None
    await app.recall(receipt)
    assert shown(sandbox).state == "recalled"
    with pytest.raises(Problem) as caught:
        await app.recall(receipt)
    assert (caught.value.outcome, caught.value.code) == (Outcome.BAD_CONTENT, "230011")


async def test_recall_of_a_batch(app: AppConnector, sandbox: Sandbox) -> None:
    sent = await app.send(Message(Text("x")), [Target("department", "od-sandbox-dev")], key="k")
    assert sent.results[0].receipt is not None
    await app.recall(sent.results[0].receipt)
    assert shown(sandbox).state == "recalled"


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (Card("T", "a"), Card("T", "b", "success"), "interactive"),
        (Card("T", "a"), Text("b"), "interactive"),
        (Text("a"), Text("b"), "text"),
        (Text("a"), Text("**b**"), "post"),
        (Text("a"), Markdown("**b**", "T"), "text"),
    ],
)
async def test_update(app: AppConnector, sandbox: Sandbox, before: Content, after: Content, kind: str) -> None:
    sent = await app.send(Message(before), [GROUP], key="k")
    assert sent.results[0].receipt is not None
    notes = await app.update(sent.results[0].receipt, Message(after))
    assert (shown(sandbox).state, shown(sandbox).kind) == ("changed", kind)
    assert "b" in texts(shown(sandbox).payload)
    assert [note.rule for note in notes] == (["markdown_to_text"] if isinstance(after, Markdown) else [])


async def test_a_picture_is_not_changed(app: AppConnector, files: Files) -> None:
    sent = await app.send(Message(Image(files.add())), [GROUP], key="k")
    assert sent.results[0].receipt is not None
    with pytest.raises(Problem) as caught:
        await app.update(sent.results[0].receipt, Message(Text("b")))
    assert caught.value.outcome is Outcome.BAD_CONTENT


async def test_who_has_read_it_on_several_pages(app: AppConnector, sandbox: Sandbox, clock: Clock) -> None:
    sent = await app.send(Message(Text("x")), [GROUP], key="k")
    receipt = sent.results[0].receipt
    assert receipt is not None
    message = sandbox.emulators["feishu"].messages.find(receipt["message_id"])  # type: ignore[attr-defined]
    message.read = {f"ou_{number}": clock.platforms() for number in range(250)}
    status = await app.status(receipt)
    assert status.delivered
    assert status.read == tuple(f"ou_{number}" for number in range(250))
    assert status.read_count == 250
    clock.advance(8 * 86_400)
    with pytest.raises(Problem) as caught:
        await app.status(receipt)
    assert (caught.value.outcome, caught.value.code) == (Outcome.BAD_CONTENT, "230033")


async def test_how_many_have_read_a_batch(app: AppConnector, sandbox: Sandbox) -> None:
    sent = await app.send(Message(Text("x")), [Target("department", "od-sandbox-dev")], key="k")
    assert sent.results[0].receipt is not None
    shown(sandbox).read_by.append("ou_sandbox_lisi")
    status = await app.status(sent.results[0].receipt)
    assert (status.delivered, status.read, status.read_count) == (True, None, 1)


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (Target("email", "lisi@example.com"), Target("user", "ou_sandbox_lisi")),
        (PERSON, PERSON),
    ],
)
async def test_look_up(app: AppConnector, target: Target, found: Target) -> None:
    assert await app.look_up(target) == found


async def test_an_address_may_become_somebody_elses(app: AppConnector, sandbox: Sandbox, clock: Clock) -> None:
    mail = Target("email", "lisi@example.com")
    await app.look_up(mail)
    sandbox.faults.add("feishu", "error", 1, "/open-apis/contact/")
    clock.advance(86_000)
    await app.look_up(mail)
    clock.advance(400)
    with pytest.raises(Problem):
        await app.look_up(mail)


async def test_look_up_of_nobody(app: AppConnector) -> None:
    with pytest.raises(Problem) as caught:
        await app.look_up(Target("email", "nobody@example.com"))
    assert caught.value.outcome is Outcome.BAD_RECIPIENT
    assert caught.value.advice


async def test_check(app: AppConnector, robot: RobotConnector, sandbox: Sandbox) -> None:
    assert await app.check() == "Feishu app 鸿雁助手"
    assert await robot.check() == "robot of a Feishu group"
    assert sandbox.board.all() == []


def test_lines_without_text_are_looked_at_once() -> None:
    """Each is looked at for a mark at its start alone, not for one many lines below, which would take minutes."""
    assert escape("\n" * 40_000) == "\n" * 40_000
    assert escape("a\n\n  - b\n\t2. c") == "a\n\n  &#45; b\n\t2&#46; c"
