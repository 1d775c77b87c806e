"""What each content becomes at Slack, as the emulator has taken it."""

from collections.abc import Callable
from typing import Any

import pytest

from hongyan.hub.connector import HERE, Note, Outcome, Problem, Target
from hongyan.hub.connectors.slack.app import SlackApp
from hongyan.hub.connectors.slack.webhook import SlackWebhook, SlackWebhookCredentials
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
    Mention,
    Message,
    Option,
    Table,
    Text,
    Video,
)
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.slack import Slack
from tests.hub.slack.conftest import ALERTS, ALICE, Sending
from tests.support.hub import Around, Clock, Files

BOTH = pytest.mark.parametrize("kind", ["app", "hook"])


def spans(block: dict[str, Any]) -> list[dict[str, Any]]:
    """The elements of the first section of rich text."""
    assert block["type"] == "rich_text"
    found: list[dict[str, Any]] = block["elements"][0]["elements"]
    return found


@BOTH
async def test_text_is_literal(connector: SlackApp | SlackWebhook, sending: Sending) -> None:
    text = "*a* _b_ <!channel> <@U0ALICE001> & :smile: https://a.example/?x=1&y=2。"
    sent = await sending(connector, Text(text))
    assert [each.outcome for each in sent.results] == [Outcome.OK]
    assert sent.notes == ()
    payload = sending.shown[0].payload
    assert spans(payload["blocks"][0]) == [
        {"type": "text", "text": "*a* _b_ <!channel> <@U0ALICE001> & :smile: "},
        {"type": "link", "url": "https://a.example/?x=1&y=2"},
        {"type": "text", "text": "。"},
    ]
    assert "&lt;!channel&gt; &lt;@U0ALICE001&gt; &amp; " in payload["text"]


@BOTH
async def test_markdown_is_rich_text(connector: SlackApp | SlackWebhook, sending: Sending) -> None:
    text = "# 标题\n这是**重要**的 `a*b` ~~x~~ *y* [文](https://a.example)\n\nnext\n"
    text += "\n- 1\n  - 2\n- 3\n\n> q\n\n```\nc\n```\n---"
    sent = await sending(connector, Markdown(text, title="Title"))
    assert sent.notes == ()
    header, rich, divider = sending.shown[0].payload["blocks"]
    assert header["text"]["text"] == "Title"
    assert divider["type"] == "divider"
    section, *lists, quote, code = rich["elements"]
    assert section["elements"] == [
        {"type": "text", "text": "标题", "style": {"bold": True}},
        {"type": "text", "text": "\n"},
        {"type": "text", "text": "这是"},
        {"type": "text", "text": "重要", "style": {"bold": True}},
        {"type": "text", "text": "的 "},
        {"type": "text", "text": "a*b", "style": {"code": True}},
        {"type": "text", "text": " "},
        {"type": "text", "text": "x", "style": {"strike": True}},
        {"type": "text", "text": " "},
        {"type": "text", "text": "y", "style": {"italic": True}},
        {"type": "text", "text": " "},
        {"type": "link", "url": "https://a.example", "text": "文"},
        {"type": "text", "text": "\n\n"},
        {"type": "text", "text": "next"},
    ]
    assert [(each["style"], each["indent"], len(each["elements"])) for each in lists] == [
        ("bullet", 0, 1),
        ("bullet", 1, 1),
        ("bullet", 0, 1),
    ]
    assert quote == {"type": "rich_text_quote", "elements": [{"type": "text", "text": "q"}]}
    assert code == {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "c"}]}


async def test_numbers_of_a_list_go_on_after_a_list_within(app: SlackApp, sending: Sending) -> None:
    await sending(app, Markdown("3. a\n   - b\n4. c"))
    lists = sending.shown[0].payload["blocks"][0]["elements"]
    assert [(each["style"], each.get("offset")) for each in lists] == [("ordered", 2), ("bullet", None), ("ordered", 3)]


async def test_tables_come_in_messages_of_their_own_as_slack_takes_one(app: SlackApp, sending: Sending) -> None:
    table = "| a | b |\n|---|---|\n| 1 | **2** |"
    sent = await sending(app, Markdown(f"{table}\n\nbetween\n\n{table}"))
    assert [note.rule for note in sent.notes] == ["text_split"]
    assert [[b["type"] for b in each.payload["blocks"]] for each in sending.shown] == [
        ["table", "rich_text"],
        ["table"],
    ]
    receipt = sent.results[0].receipt
    assert receipt is not None
    assert receipt["more"] == sending.shown[1].id.rpartition(":")[2]


async def test_a_table_that_is_too_large_is_lines(app: SlackApp, sending: Sending) -> None:
    sent = await sending(app, Table(("name", "value"), (("x" * 300, "y" * 300),) * 20))
    assert Note("table_to_lines") in sent.notes
    texts = [b["type"] for each in sending.shown for b in each.payload["blocks"]]
    assert set(texts) == {"rich_text"}


@BOTH
async def test_a_table(connector: SlackApp | SlackWebhook, sending: Sending) -> None:
    sent = await sending(connector, Table(("名", "b|c"), (("1", "*2*"), ("3",)), title="T"))
    assert sent.notes == ()
    header, table = sending.shown[0].payload["blocks"]
    assert header["text"]["text"] == "T"
    cells = [[cell["elements"][0]["elements"][0]["text"] for cell in row] for row in table["rows"]]
    assert cells == [["名", "b|c"], ["1", "*2*"], ["3", " "]]


@BOTH
@pytest.mark.parametrize(
    ("level", "color"), [("success", "#2eb67d"), ("warning", "#ecb22e"), ("error", "#e01e5a"), ("info", None)]
)
async def test_a_level_is_a_bar_of_colour(
    connector: SlackApp | SlackWebhook, sending: Sending, level: Any, color: str | None
) -> None:
    await sending(connector, Markdown("x", title="T", level=level))
    payload = sending.shown[0].payload
    if color is None:
        assert "attachments" not in payload
    else:
        [attachment] = payload["attachments"]
        assert (attachment["color"], attachment["fallback"]) == (color, "T\nx")
        assert "text" not in payload  # it would stand above the bar


@BOTH
async def test_a_picture_at_an_address(connector: SlackApp | SlackWebhook, sending: Sending, files: Files) -> None:
    sent = await sending(connector, Image(files.add_url("a.png"), "what it shows"))
    assert sent.notes == ()
    [block] = sending.shown[0].payload["blocks"]
    assert (block["image_url"], block["alt_text"]) == ("https://pictures.example/a.png", "what it shows")


@pytest.mark.parametrize(
    ("type_", "name", "mime", "note"),
    [
        (File, "a.pdf", "application/pdf", None),
        (Audio, "a.mp3", "audio/mpeg", "audio_to_file"),
        (Video, "a.mp4", "video/mp4", "video_to_file"),
        (Image, "a.png", "image/png", None),
    ],
)
async def test_an_app_uploads_files(
    app: SlackApp,
    sending: Sending,
    sandbox: Sandbox,
    files: Files,
    type_: Any,
    name: str,
    mime: str,
    note: str | None,
) -> None:
    media = files.add(name, mime, b"content")
    sent = await sending(app, Message(type_(media), mentions=(Mention(user="U0BOB00001"),)), [ALERTS, ALICE])
    assert [each.outcome for each in sent.results] == [Outcome.OK] * 2
    assert [each.rule for each in sent.notes] == [*([note] if note else []), "mention_dropped_direct"]
    assert [each.to for each in sending.shown] == [["#alerts"], ["Alice 王"]]
    file = sending.shown[0].payload["files"][0]
    assert sandbox.board.media(file["id"]) == (name, mime, b"content")
    assert [each.payload.get("text") for each in sending.shown] == ["<@U0BOB00001>", None]


async def test_no_empty_file(app: SlackApp, sending: Sending, files: Files) -> None:
    sent = await sending(app, File(files.add("a.txt", "text/plain", b"")))
    assert (sent.results[0].outcome, sent.results[0].reason) == (Outcome.BAD_CONTENT, "Slack takes no empty file")


@pytest.mark.parametrize(
    ("content", "note"), [(File, "file_to_link"), (Audio, "audio_to_link"), (Video, "video_to_link")]
)
async def test_a_webhook_links_to_files(
    hook: SlackWebhook, sending: Sending, files: Files, content: Any, note: str
) -> None:
    sent = await sending(hook, content(files.add("a.pdf")))
    assert [each.rule for each in sent.notes] == [note]
    [link] = [each for each in spans(sending.shown[0].payload["blocks"][0]) if each["type"] == "link"]
    assert link["url"] == "https://files.example/a.pdf"


@BOTH
async def test_links_and_articles(connector: SlackApp | SlackWebhook, sending: Sending, files: Files) -> None:
    picture = files.add_url("a.png")
    await sending(connector, Link("A & B", "https://a.example/x|y", "text <b>", picture))
    await sending(connector, Articles((Article("one", "https://a.example"), Article("two", "https://b.example"))))
    link, articles = (each.payload["blocks"] for each in sending.shown)
    assert link[0]["text"]["text"] == "*<https://a.example/x%7Cy|A &amp; B>*\ntext &lt;b&gt;"
    assert link[0]["accessory"]["image_url"] == picture.url
    assert [each["text"]["text"] for each in articles] == ["*<https://a.example|one>*", "*<https://b.example|two>*"]


@pytest.mark.parametrize(("title", "text"), [("a *b* c", "x"), ("a", "> no quote"), ("a", "_x_")])
async def test_what_could_be_marks_in_links_is_left_alone(
    app: SlackApp, sending: Sending, files: Files, title: str, text: str
) -> None:
    await sending(app, Link(title, "https://a.example", text, files.add_url()))
    rich, picture = sending.shown[0].payload["blocks"]
    assert spans(rich) == [
        {"type": "link", "url": "https://a.example", "text": title, "style": {"bold": True}},
        {"type": "text", "text": "\n"},
        {"type": "text", "text": text},
    ]
    assert picture["type"] == "image"


@BOTH
async def test_a_location_is_a_link(connector: SlackApp | SlackWebhook, sending: Sending) -> None:
    sent = await sending(connector, Location(31.2, 121.5, "外滩", "上海"))
    assert [each.rule for each in sent.notes] == ["location_to_link"]
    assert spans(sending.shown[0].payload["blocks"][0])[0]["url"].startswith("https://uri.amap.com/")


CARD = Card(
    "Deploy?",
    text="Ship **it**",
    fields=(Field("Env", "prod", True), Field("By", "*ann*", True), Field("Why", "because")),
    buttons=(
        Button("Yes", id="yes", value="1", style="primary", confirm="Sure?"),
        Button("Docs", url="https://d.example"),
    ),
    form=Form("form", (Input("why", "Why", required=True), Input("env", "Env", "select", (Option("p", "Prod"),)))),
    footer="foot",
)


async def test_a_card_of_an_app(app: SlackApp, sending: Sending) -> None:
    sent = await sending(app, CARD)
    assert sent.notes == ()
    header, text, short, long, actions, footer = sending.shown[0].payload["blocks"]
    assert header["text"]["text"] == "Deploy?"
    assert spans(text)[1] == {"type": "text", "text": "it", "style": {"bold": True}}
    # a value that could be taken for marks stands as it is
    assert [(each["type"], each["text"]) for each in short["fields"]] == [
        ("mrkdwn", "*Env*\nprod"),
        ("plain_text", "By\n*ann*"),
    ]
    assert long["text"]["text"] == "*Why*\nbecause"
    yes, docs, form = actions["elements"]
    assert (yes["action_id"], yes["value"], yes["style"]) == ("yes", "1", "primary")
    assert yes["confirm"]["text"]["text"] == "Sure?"
    assert docs["url"] == "https://d.example"
    assert form["action_id"] == "hongyan.form.form"
    assert footer["elements"][0]["text"] == "foot"


@BOTH
async def test_nobody_is_told_by_what_a_message_says(connector: SlackApp | SlackWebhook, sending: Sending) -> None:
    evil = "*x* <!channel> <@U0ALICE001>"
    card = Card(
        evil,
        evil,
        fields=(Field(evil, evil, True), Field("a", "<!here>")),
        footer=evil,
        buttons=(Button(evil, id="a"),),
    )
    table = Table((evil,), ((evil,),))
    for content in (
        card,
        table,
        Link(evil, "https://a.example/<!channel>", evil),
        Link("a", "https://a.example", "<!here>"),
    ):
        await sending(connector, content)
    for each in sending.shown:
        marked = [each.payload["text"], *_marked(each.payload["blocks"])]
        assert not any(tag in text for text in marked for tag in ("<!", "<@"))


@BOTH
async def test_names_in_fields_are_left_alone(connector: SlackApp | SlackWebhook, sending: Sending) -> None:
    """Slack looks for addresses in a field, and then for names of channels and people, too."""
    await sending(connector, Card("T", fields=(Field("a", "@channel"), Field("b", "#general"), Field("c", "plain"))))
    fields = [each["text"] for each in sending.shown[-1].payload["blocks"] if each["type"] == "section"]
    assert [each["verbatim"] for each in fields] == [True, True, False]


def _marked(value: Any) -> list[str]:
    """Texts in which Slack's marks count."""
    if isinstance(value, list):
        return [text for each in value for text in _marked(each)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if value.get("type") == "mrkdwn" else []
    return own + [text for each in value.values() for text in _marked(each)]


async def test_a_card_of_a_webhook_leads_to_pages(hook: SlackWebhook, sending: Sending) -> None:
    sent = await sending(hook, CARD, key="k")
    assert [(each.rule, each.detail) for each in sent.notes] == [("buttons_to_page", "Yes"), ("form_to_page", "")]
    actions = sending.shown[0].payload["blocks"][4]["elements"]
    assert [each["url"] for each in actions] == [
        "https://hongyan.example/act/k/yes",
        "https://d.example",
        "https://hongyan.example/act/k/form",
    ]
    assert "confirm" in actions[0]


async def test_without_pages_the_words_of_buttons_stay(
    make_app: Callable[..., SlackApp], around: Around, sending: Sending
) -> None:
    app = make_app(around(pages=False), signing_secret="")
    await sending(app, CARD)
    *_, actions, lost, _ = sending.shown[0].payload["blocks"]
    assert [each["text"]["text"] for each in actions["elements"]] == ["Docs"]
    assert lost["elements"][0]["text"] == "Yes | OK"


async def test_many_buttons_stand_in_several_rows(app: SlackApp, sending: Sending) -> None:
    buttons = tuple(Button(f"B{number}", id=f"b{number}") for number in range(25))
    form = Form("form", (Input("why", "Why"),))
    await sending(app, Card("Many", buttons=buttons, form=form))
    rows = [each for each in sending.shown[0].payload["blocks"] if each["type"] == "actions"]
    assert [len(each["elements"]) for each in rows] == [25, 1]


async def test_a_card_with_everything_at_its_longest_is_taken(app: SlackApp, sending: Sending) -> None:
    card = Card(
        "标" * 300,
        text="字" * 9_000,
        fields=tuple(Field("名" * 300, "<值>" * 2000, short=bool(number % 2)) for number in range(6)),
        buttons=tuple(
            Button("钮" * 300, id=f"{number}" + "i" * 250, value="v" * 3000, confirm="问" * 900) for number in range(25)
        ),
        footer="脚" * 300,
    )
    sent = await sending(app, card)
    assert [each.reason for each in sent.results] == [""]
    rules = {note.rule for note in sent.notes}
    assert {"title_cut", "text_cut", "text_split", "buttons_to_page"} <= rules


async def test_a_card_whose_title_is_a_link(app: SlackApp, sending: Sending) -> None:
    await sending(app, Card("T", url="https://a.example", footer="f"))
    assert sending.shown[0].payload["blocks"][0]["text"]["text"] == "*<https://a.example|T>*"


@BOTH
async def test_long_text_comes_in_several_messages_and_nothing_is_lost(
    connector: SlackApp | SlackWebhook, sending: Sending
) -> None:
    text = "\n".join(f"line {number} " + "x" * 80 for number in range(400))
    sent = await sending(connector, Text(text))
    assert [each.rule for each in sent.notes] == ["text_split"]
    said = [
        span["text"]
        for each in sending.shown
        for block in each.payload["blocks"]
        for element in block["elements"]
        for span in element["elements"]
    ]
    assert "\n".join(said).split() == text.split()


async def test_another_try_says_nothing_twice(app: SlackApp, sending: Sending, sandbox: Sandbox, clock: Clock) -> None:
    text = Text("\n".join(f"line {number} " + "x" * 80 for number in range(400)))
    whole = await sending(app, text)
    count = len(sending.shown)
    assert count > 2
    assert whole.results[0].receipt is not None
    sandbox.board.clear()
    clock.advance(60)

    class Second:
        """The second call fails."""

        left = 1

    original = app._api._http.post

    async def post(*given: Any, **options: Any) -> Any:
        Second.left -= 1
        if Second.left == -1:
            sandbox.faults.add("slack", "error")
        return await original(*given, **options)

    app._api._http.post = post  # type: ignore[method-assign]
    failed = await sending(app, text, key="again")
    assert failed.results[0].outcome is Outcome.TRANSIENT
    clock.advance(60)
    done = await sending(app, text, key="again")
    assert done.results[0].outcome is Outcome.OK
    assert len(sending.shown) == count


MENTIONS = (
    Mention(user="U0ALICE001"),
    Mention(everyone=True),
    Mention(email="bob@sandbox.example"),
    Mention(email="nobody@sandbox.example", name="Nobody"),
    Mention(mobile="13800000000", name="小明"),
    Mention(user="<!channel>"),
)


async def test_mentions_by_an_app(app: SlackApp, sending: Sending) -> None:
    sent = await sending(app, Message(Text("hi"), MENTIONS))
    assert [(each.rule, each.detail) for each in sent.notes] == [
        ("mention_unresolved", "@Nobody"),
        ("mention_unresolved", "@小明"),
        ("mention_unresolved", "@<!channel>"),
    ]
    elements = [each for each in spans(sending.shown[0].payload["blocks"][0]) if each.get("text") != " "]
    assert elements == [
        {"type": "user", "user_id": "U0ALICE001"},
        {"type": "broadcast", "range": "channel"},
        {"type": "user", "user_id": "U0BOB00001"},
        {"type": "text", "text": "@Nobody"},
        {"type": "text", "text": "@小明"},
        {"type": "text", "text": "@<!channel>"},
        {"type": "text", "text": "hi"},
    ]


async def test_mentions_by_a_webhook(hook: SlackWebhook, sending: Sending) -> None:
    sent = await sending(hook, Message(Card("T", level="error"), MENTIONS))
    assert len([each for each in sent.notes if each.rule == "mention_unresolved"]) == 4
    payload = sending.shown[0].payload
    # they stand above the bar of colour, in which nobody would be told
    assert spans(payload["blocks"][0])[0] == {"type": "user", "user_id": "U0ALICE001"}
    assert payload["attachments"][0]["blocks"][0]["text"]["text"] == "T"


async def test_threads(app: SlackApp, sending: Sending) -> None:
    first = (await sending(app, Text("one"))).results[0].receipt
    await sending(app, Message(Text("two"), thread="m1"), thread=first)
    assert sending.shown[1].thread == sending.shown[0].id


@BOTH
async def test_a_thread_that_is_not_there_is_named(connector: SlackApp | SlackWebhook, sending: Sending) -> None:
    sent = await sending(connector, Message(Text("two"), thread="m1"))
    assert [each.rule for each in sent.notes] == ["thread_to_title"]
    assert sending.shown[0].payload["blocks"][0]["elements"][0]["text"] == "[#m1]"


async def test_several_targets_each_with_their_result(app: SlackApp, sending: Sending) -> None:
    to = [
        ALERTS,
        Target("email", "alice@sandbox.example"),
        Target("email", "nobody@sandbox.example"),
        Target("group", "C0NOBODY01"),
        Target("group", "C0OTHERS01"),
        Target("group", "C0ARCHIVE1"),
        ALICE,
    ]
    sent = await sending(app, Text("x"), to)
    assert [(each.target, each.outcome, each.code) for each in sent.results] == [
        (to[0], Outcome.OK, ""),
        (to[1], Outcome.OK, ""),
        (to[2], Outcome.BAD_RECIPIENT, "users_not_found"),
        (to[3], Outcome.BAD_RECIPIENT, "channel_not_found"),
        (to[4], Outcome.BAD_RECIPIENT, "not_in_channel"),
        (to[5], Outcome.BAD_RECIPIENT, "is_archived"),
        (to[6], Outcome.OK, ""),
    ]
    assert "Invite the app" in sent.results[4].advice


async def test_a_message_is_changed_and_deleted(app: SlackApp, sending: Sending) -> None:
    receipt = (await sending(app, Card("Deploy?", level="warning"), [ALICE])).results[0].receipt
    assert receipt is not None
    assert receipt["channel"] == "D0ALICE001"
    assert await app.update(receipt, Message(Text("done"))) == []
    [shown] = sending.shown
    assert (shown.state, "attachments" in shown.payload, shown.payload["text"]) == ("changed", False, "done")
    await app.recall(receipt)
    assert shown.state == "recalled"
    with pytest.raises(Problem, match="message_not_found") as caught:
        await app.recall(receipt)
    assert caught.value.outcome is Outcome.BAD_CONTENT


async def test_all_parts_are_deleted_and_changed(app: SlackApp, sending: Sending) -> None:
    long = Text("\n".join(f"line {number} " + "x" * 80 for number in range(400)))
    receipt = (await sending(app, long)).results[0].receipt
    assert receipt is not None
    await app.update(receipt, Message(Text("short")))
    assert [each.state for each in sending.shown] == ["changed", *["recalled"] * (len(sending.shown) - 1)]
    await app.recall(receipt)
    assert {each.state for each in sending.shown} == {"recalled"}


async def test_a_file_is_deleted_but_not_changed(app: SlackApp, sending: Sending, files: Files) -> None:
    receipt = (await sending(app, File(files.add("a.txt", "text/plain", b"x")))).results[0].receipt
    assert receipt is not None
    with pytest.raises(Problem, match="can't change a message that is a file"):
        await app.update(receipt, Message(Text("x")))
    await app.recall(receipt)
    assert sending.shown[0].state == "recalled"


async def test_people_are_looked_up_once(app: SlackApp, sandbox: Sandbox) -> None:
    mail = Target("email", "alice@sandbox.example")
    assert await app.look_up(mail) == ALICE
    sandbox.faults.add("slack", "error")
    assert await app.look_up(mail) == ALICE
    with pytest.raises(Problem) as caught:
        await app.look_up(Target("mobile", "13800000000"))
    assert caught.value.outcome is Outcome.BAD_RECIPIENT


async def test_checks_send_nothing(app: SlackApp, hook: SlackWebhook, sending: Sending) -> None:
    assert await app.check() == "hongyan in Sandbox"
    assert await hook.check() == "a webhook of Slack"
    assert sending.shown == []


async def test_inferred_a_webhook_that_is_gone_is_found_by_a_check(around: Around, slack: Slack) -> None:
    gone = SlackWebhook(SlackWebhookCredentials(url=f"{slack.origin}/services/T/B/X"), around())
    with pytest.raises(Problem, match="no_service") as caught:
        await gone.check()
    assert caught.value.outcome is Outcome.BAD_CREDENTIAL


async def test_another_base_takes_the_place_of_the_webhooks_host(
    around: Around, slack: Slack, sending: Sending
) -> None:
    url = "https://hooks.slack.com" + next(iter(slack.webhooks.channels))
    hook = SlackWebhook(SlackWebhookCredentials(url=url, base_url=slack.origin), around())
    assert (await sending(hook, Text("x"), [HERE])).results[0].outcome is Outcome.OK


@pytest.mark.parametrize("content", [Text("x"), CARD])
async def test_a_webhook_can_do_nothing_else(hook: SlackWebhook, content: Content) -> None:
    assert hook.features == frozenset()
    with pytest.raises(Problem, match="cannot change"):
        await hook.update({}, Message(content))
