"""What an application sends, for every type of content; whom it reaches; and what it can do afterwards."""

import asyncio
from typing import Any

import pytest

from hongyan.hub.connector import Feature, Outcome, Problem, Target
from hongyan.hub.connectors.wecom import app as rates
from hongyan.hub.connectors.wecom.app import App
from hongyan.hub.connectors.wecom.credentials import AppCredentials
from hongyan.hub.content import (
    Article,
    Articles,
    Audio,
    Button,
    Card,
    File,
    Image,
    Link,
    Location,
    Markdown,
    Mention,
    Message,
    Table,
    Text,
    Video,
)
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.wecom import WeCom
from tests.hub.wecom.conftest import AGENT, CORP, SECRET
from tests.hub.wecom.sending import GROUP, LI, ZHANG, arrived, receipt, rules, tell
from tests.support.hub import Around, Clock, Files

URL = "https://example.com/a"
EVERYONE = Target("all")
BUTTONS = Card("请审批", "三天年假", buttons=(Button("同意", id="yes"), Button("拒绝", id="no", style="danger")))


async def only(
    app: App, wecom: WeCom, content: Any, to: Target = ZHANG, *mentions: Mention
) -> tuple[str, Any, set[str]]:
    """The one message that arrived, and the rules that were needed."""
    sent = await tell(app, content, to, mentions=mentions)
    [(type_, value)] = arrived(wecom)
    return type_, value, rules(sent)


# content


@pytest.mark.parametrize("to", [ZHANG, GROUP])
async def test_text(app: App, wecom: WeCom, to: Target) -> None:
    assert await only(app, wecom, Text("你好"), to) == ("text", {"content": "你好"}, set())
    assert wecom.board.all()[0].to == [to.id]


@pytest.mark.parametrize("to", [ZHANG, GROUP])
async def test_markdown_has_one_dialect(app: App, wecom: WeCom, to: Target) -> None:
    text = "# 一\n\n*二* ~~三~~\n\n- 四\n\n![图](https://example.com/p.png)\n\n```\na = 1\n```\n\n> 五"
    assert await only(app, wecom, Markdown(text, "标题", "success"), to) == (
        "markdown",
        {
            "content": '### <font color="info">标题</font>\n\n# 一\n\n二 三\n\n- 四\n\n[图](https://example.com/p.png)\n\n'
            "`a = 1`\n\n> 五"
        },
        {"marks_dropped", "image_to_link"},
    )


async def test_a_table_is_lines(app: App, wecom: WeCom) -> None:
    table = Table(("名称", "值"), (("cpu", "97%"), ("mem", "40%")), "负载")
    assert await only(app, wecom, table) == (
        "markdown",
        {"content": "### 负载\n\n名称: cpu\n值: 97%\n\n名称: mem\n值: 40%"},
        {"table_to_lines"},
    )


async def test_long_markdown_comes_in_parts(app: App, wecom: WeCom) -> None:
    sent = await tell(app, Markdown("\n\n".join(f"第 **{n}** 段 " + "字" * 60 for n in range(30)), "周报"))
    parts = [value["content"] for _, value in arrived(wecom)]
    assert rules(sent) == {"text_split"}
    assert all(len(part.encode()) <= 2048 for part in parts)
    assert sum(part.count("**") for part in parts) == 60
    assert len(receipt(sent)["msgid"].split(",")) == len(parts) > 1


@pytest.mark.parametrize("to", [ZHANG, GROUP])
@pytest.mark.parametrize(
    ("type_", "content"),
    [("voice", b"#!AMR\n...."), ("video", b"\0\0\0\x18ftypmp42"), ("file", b"%PDF-1.7")],
)
async def test_files(app: App, wecom: WeCom, files: Files, to: Target, type_: str, content: bytes) -> None:
    media = files.add("文件", "", content)
    said = {"voice": Audio(media), "video": Video(media, "标题", "说明"), "file": File(media)}[type_]
    kind, value, needed = await only(app, wecom, said, to)
    assert (kind, needed) == (type_, set())
    kept = wecom.board.media(value["media_id"])
    assert kept is not None
    assert kept[2] == content
    if type_ == "video":
        assert (value["title"], value["description"]) == ("标题", "说明")


async def test_image(app: App, wecom: WeCom, files: Files) -> None:
    type_, value, needed = await only(app, wecom, Image(files.add()))
    assert (type_, list(value), needed) == ("image", ["media_id"], set())


async def test_a_picture_of_another_kind_is_a_link(app: App, wecom: WeCom, files: Files) -> None:
    type_, value, needed = await only(app, wecom, Image(files.add("a.gif", "image/gif", b"GIF89a......")))
    assert (type_, value["content"]) == ("markdown", "[a.gif](https://files.example/a.gif)")
    assert needed == {"image_to_markdown", "image_to_link"}


async def test_another_video_is_a_file(app: App, wecom: WeCom, files: Files) -> None:
    media = files.add("a.webm", "video/webm", b"\x1aE\xdf\xa3....")
    sent = await tell(app, Video(media, "标题"))
    assert [type_ for type_, _ in arrived(wecom)] == ["markdown", "file"]
    assert rules(sent) == {"video_to_file"}


@pytest.mark.parametrize("to", [ZHANG, GROUP])
async def test_link(app: App, wecom: WeCom, files: Files, to: Target) -> None:
    assert await only(app, wecom, Link("标题", URL, "一\n<b>二"), to) == (
        "textcard",
        {"title": "标题", "description": "一<br><\u200bb>二", "url": URL},
        set(),
    )


async def test_a_link_with_a_picture(app: App, wecom: WeCom, files: Files) -> None:
    type_, value, _ = await only(app, wecom, Link("标题", URL, "说明", files.add_url()))
    assert (type_, value["articles"][0]["picurl"]) == ("news", "https://pictures.example/picture.png")


async def test_location_and_articles(app: App, wecom: WeCom) -> None:
    await tell(app, Location(39.9, 116.4, "天安门"), key="1")
    await tell(app, Articles((Article("一", URL), Article("二", URL))), key="2")
    (first, place), (second, articles) = arrived(wecom)
    assert (first, place["title"], place["description"]) == ("textcard", "📍 天安门", "39.9, 116.4")
    assert (second, [each["title"] for each in articles["articles"]]) == ("news", ["一", "二"])


async def test_a_card_to_a_group_is_markdown(app: App, wecom: WeCom) -> None:
    type_, value, needed = await only(app, wecom, BUTTONS, GROUP)
    assert type_ == "markdown"
    assert value["content"] == (
        "### 请审批\n\n三天年假\n\n[同意](https://hongyan.example/act/k1/yes)"
        " | [拒绝](https://hongyan.example/act/k1/no)"
    )
    assert needed == {"card_to_markdown", "buttons_to_links", "buttons_to_page"}


# mentions


async def test_nobody_is_mentioned_in_a_direct_message(app: App, wecom: WeCom) -> None:
    assert await only(app, wecom, Text("x"), ZHANG, Mention(user="lisi")) == (
        "text",
        {"content": "x"},
        {"mention_dropped_direct"},
    )


async def test_mentions_in_a_group_are_looked_up(app: App, wecom: WeCom) -> None:
    mentions = (
        Mention(mobile="13800000003"),
        Mention(email="lisi@example.com"),
        Mention(everyone=True),
        Mention(email="nobody@example.com", name="无名"),
    )
    assert await only(app, wecom, Text("x"), GROUP, *mentions) == (
        "text",
        {"content": "x\n@无名", "mentioned_list": ["wangwu", "lisi", "@all"]},
        {"mention_unresolved"},
    )


async def test_mentions_in_markdown_of_a_group(app: App, wecom: WeCom) -> None:
    _, value, needed = await only(app, wecom, Markdown("**x**"), GROUP, Mention(mobile="13800000003"))
    assert (value, needed) == ({"content": "**x**\n<@wangwu>"}, set())


# whom it reaches


async def test_one_call_for_members_departments_and_tags(app: App, wecom: WeCom) -> None:
    sent = await tell(
        app, Text("x"), Target("department", "2"), Target("tag", "1"), LI, Target("mobile", "13800000004")
    )
    [shown] = wecom.board.all()
    assert shown.to == ["lisi", "zhaoliu", "ZhangSan", "wangwu"]
    assert len({str(result.receipt) for result in sent.results}) == 1


async def test_everyone(app: App, wecom: WeCom) -> None:
    await tell(app, Text("x"), EVERYONE)
    assert wecom.board.all()[0].to == ["ZhangSan", "lisi", "wangwu", "zhaoliu"]


async def test_those_who_are_not_reached_are_named_whatever_their_letters(app: App, wecom: WeCom) -> None:
    to = [
        Target("user", "NoBody"),
        Target("user", "zhangsan"),
        Target("user", "SunQi"),
        Target("department", "99"),
        Target("tag", "99"),
        Target("email", "none@example.com"),
    ]
    sent = await app.send(Message(Text("x")), to, key="k")
    outcomes = {str(result.target): (result.outcome, result.reason) for result in sent.results}
    assert outcomes["user:zhangsan"] == (Outcome.OK, "")
    assert {outcome for outcome, _ in outcomes.values()} == {Outcome.OK, Outcome.BAD_RECIPIENT}
    assert outcomes["user:SunQi"][1] == "the member has no licence of the interface"
    assert sum(outcome is Outcome.OK for outcome, _ in outcomes.values()) == 1
    assert wecom.board.all()[0].to == ["ZhangSan"]


async def test_nobody_is_reached(app: App) -> None:
    sent = await app.send(Message(Text("x")), [Target("user", "nobody"), Target("department", "99")], key="k")
    assert [(result.outcome, result.code) for result in sent.results] == [(Outcome.BAD_RECIPIENT, "81013")] * 2


@pytest.mark.parametrize(
    "target",
    [Target("user", "@all"), Target("user", "a|b"), Target("user", ""), Target("department", "x"), Target("here")],
)
async def test_an_id_reaches_nobody_else(app: App, wecom: WeCom, target: Target) -> None:
    sent = await app.send(Message(Text("x")), [target], key="k")
    assert sent.results[0].outcome is Outcome.BAD_RECIPIENT
    assert wecom.board.all() == []


async def test_a_group_that_does_not_exist(app: App, wecom: WeCom) -> None:
    sent = await app.send(Message(Text("x")), [Target("group", "none"), GROUP], key="k")
    assert [result.outcome for result in sent.results] == [Outcome.BAD_RECIPIENT, Outcome.OK]


async def test_many_members_go_in_batches(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    async def post(path: str, value: dict[str, Any]) -> dict[str, Any]:
        calls.append((value["touser"].count("|") + 1, value.get("toparty", "").count("|") + 1))
        return {"msgid": f"m{len(calls)}"}

    monkeypatch.setattr(app._api, "post", post)
    to = [Target("user", f"u{number}") for number in range(1500)]
    to += [Target("department", str(number)) for number in range(1, 151)]
    sent = await app.send(Message(Text("x")), to, key="k")
    assert calls == [(1000, 100), (500, 50)]
    assert [sent.results[number].receipt for number in (999, 1000, 1599, 1600)] == [
        {"msgid": "m1"},
        {"msgid": "m2"},
        {"msgid": "m1"},
        {"msgid": "m2"},
    ]


async def test_what_concerns_the_channel_stops_all_batches(app: App, sandbox: Sandbox, wecom: WeCom) -> None:
    sandbox.faults.add("wecom", "throttled", 1, "/cgi-bin/appchat/send")
    sent = await app.send(Message(Text("x")), [GROUP, Target("group", "other")], key="k")
    assert [result.outcome for result in sent.results] == [Outcome.THROTTLED] * 2
    assert [result.after for result in sent.results] == [60.0] * 2


async def test_a_member_gets_no_more_than_wecom_lets_through(app: App, wecom: WeCom, clock: Clock) -> None:
    for number in range(27):
        await tell(app, Text(str(number)), key=str(number))
    sent = await app.send(Message(Text("28")), [ZHANG, LI], key="28")
    assert [result.outcome for result in sent.results] == [Outcome.THROTTLED, Outcome.OK]
    assert sent.results[0].after == 60
    assert not sent.results[0].everybody
    assert [shown.extra["dropped"] for shown in wecom.board.all()] == [[]] * 28
    clock.advance(60)
    await tell(app, Text("28"), key="28")


@pytest.mark.parametrize("to", [Target("department", "2"), Target("tag", "1"), Target("all")])
async def test_nor_do_those_of_a_department_or_tag_or_all(app: App, wecom: WeCom, clock: Clock, to: Target) -> None:
    for number in range(27):
        await tell(app, Text(str(number)), to, key=str(number))
    sent = await app.send(Message(Text("28")), [to, ZHANG], key="28")
    assert [result.outcome for result in sent.results] == [Outcome.THROTTLED, Outcome.OK]
    assert (sent.results[0].after, sent.results[0].everybody) == (60, False)
    clock.advance(60)
    await tell(app, Text("28"), to, key="29")
    assert [shown.extra["dropped"] for shown in wecom.board.all()] == [[]] * 29


async def test_nor_do_those_of_a_group(app: App, wecom: WeCom, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hongyan.sandbox.wecom.groups.CHAT_MINUTE", 20)
    monkeypatch.setattr("hongyan.hub.connectors.wecom.app.GROUP_MINUTE", 18)
    for number in range(18):
        await tell(app, Text(str(number)), GROUP, key=str(number))
    result = (await app.send(Message(Text("19")), [GROUP], key="19")).results[0]
    assert (result.outcome, result.after, result.everybody) == (Outcome.THROTTLED, 60, False)
    clock.advance(60)
    await tell(app, Text("19"), GROUP, key="19")
    assert [shown.extra["dropped"] for shown in wecom.board.all()] == [[]] * 19


async def test_nor_in_a_day(app: App, wecom: WeCom, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hongyan.hub.connectors.wecom.app.GROUP_DAY", 2)
    for number in range(2):
        await tell(app, Text(str(number)), GROUP, key=str(number))
    clock.advance(3600)
    result = (await app.send(Message(Text("2")), [GROUP], key="2")).results[0]
    assert (result.outcome, result.after) == (Outcome.THROTTLED, 82_800)


def test_the_rates_of_a_member_are_a_tenth_below_those_of_wecom() -> None:
    ours = (rates.MEMBER_MINUTE, rates.MEMBER_HOUR, rates.GROUP_MINUTE, rates.GROUP_DAY)
    assert ours == (30 * 0.9, 1000 * 0.9, 200 * 0.9, 10_000 * 0.9)


async def test_a_message_that_is_tried_again_is_taken_once(app: App, wecom: WeCom, clock: Clock) -> None:
    first = receipt(await tell(app, Text("构建失败")))
    again = receipt(await tell(app, Text("构建失败")))
    assert first == again
    assert len(arrived(wecom)) == 1


async def test_another_message_that_says_the_same_is_taken(app: App, wecom: WeCom) -> None:
    for key in ("k1", "k2", "k3"):
        await tell(app, Text("构建失败"), key=key)
    assert len(arrived(wecom)) == 3


async def test_parts_of_a_message_that_say_the_same_all_arrive(app: App, wecom: WeCom) -> None:
    line = "**line**" + "x" * 1000
    await tell(app, Markdown("\n\n".join([line] * 6)))
    parts = [value["content"] for _, value in arrived(wecom)]
    assert len(parts) > len(set(parts))
    assert "".join(parts).count(line) == 6


# afterwards


async def test_recall(app: App, wecom: WeCom, clock: Clock) -> None:
    sent = await tell(app, Text("字" * 1500))
    await app.recall(receipt(sent))
    assert [shown.state for shown in wecom.board.all()] == ["recalled"] * 3


async def test_recall_after_a_day_and_in_groups(app: App, clock: Clock) -> None:
    sent = await tell(app, Text("x"))
    clock.advance(24 * 3600 + 1)
    with pytest.raises(Problem, match="24 hours") as caught:
        await app.recall(receipt(sent))
    assert caught.value.outcome is Outcome.BAD_CONTENT
    sent = await tell(app, Text("x"), GROUP)
    assert sent.results[0].receipt is None
    with pytest.raises(Problem, match="what a group got stays there"):
        await app.recall({})


async def test_a_card_is_changed_once(app: App, wecom: WeCom) -> None:
    sent = await tell(app, BUTTONS)
    assert await app.update(receipt(sent), Message(Card("已同意", "三天年假", "success"))) != ()
    [shown] = wecom.board.all()
    assert shown.state == "changed"
    assert shown.payload["main_title"] == {"title": "✅ 已同意"}
    assert shown.payload["replace_text"] == "✓"
    with pytest.raises(Problem) as caught:
        await app.update(receipt(sent), Message(Card("又一次")))
    assert (caught.value.outcome, caught.value.code) == (Outcome.BAD_CONTENT, "42017")
    assert "once" in caught.value.advice


async def test_a_card_is_changed_to_text_or_to_other_buttons(app: App, wecom: WeCom) -> None:
    sent = await tell(app, BUTTONS, key="1")
    await app.update(receipt(sent), Message(Text("已同意\n*李四*")))
    assert wecom.board.all()[0].payload["main_title"] == {"title": "已同意"}
    assert wecom.board.all()[0].payload["sub_title_text"] == "*李四*"
    sent = await tell(app, BUTTONS, key="2")
    notes = await app.update(receipt(sent), Message(Card("确认", "字" * 200, buttons=(Button("好", id="ok"),))))
    assert wecom.board.all()[1].payload["button_list"] == [{"text": "好", "style": 4, "type": 0, "key": "ok"}]
    assert [note.rule for note in notes] == ["text_cut"]


async def test_only_cards_are_changed_and_only_to_cards(app: App, files: Files) -> None:
    with pytest.raises(Problem, match="only cards that have buttons"):
        await app.update(receipt(await tell(app, Text("x"))), Message(Text("y")))
    with pytest.raises(Problem, match="not to image"):
        await app.update(receipt(await tell(app, BUTTONS)), Message(Image(files.add())))


async def test_status_is_not_told(app: App) -> None:
    assert Feature.STATUS not in app.features
    with pytest.raises(Problem, match="does not tell who has got or read"):
        await app.status({"msgid": "x"})


async def test_look_up(app: App, sandbox: Sandbox) -> None:
    assert await app.look_up(Target("mobile", "13800000001")) == ZHANG
    assert await app.look_up(Target("email", "lisi@example.com")) == LI
    sandbox.faults.add("wecom", "error", 1)
    assert await app.look_up(Target("email", "lisi@example.com")) == LI  # remembered
    sandbox.faults.clear()
    for target in (Target("mobile", "13900000000"), Target("email", "x@example.com"), Target("user", "x")):
        with pytest.raises(Problem) as caught:
            await app.look_up(target)
        assert caught.value.outcome is Outcome.BAD_RECIPIENT


async def test_check(app: App, sandbox: Sandbox, around: Around, wecom: WeCom) -> None:
    assert await app.check() == "the WeCom application 鸿雁通知"
    other = App(AppCredentials(corp_id=CORP, secret=SECRET, agent_id=AGENT + 1, base_url=sandbox.origin), around())
    with pytest.raises(Problem) as caught:
        await other.check()
    assert (caught.value.outcome, caught.value.code) == (Outcome.BAD_CREDENTIAL, "301002")
    wrong = App(AppCredentials(corp_id=CORP, secret="wrong", agent_id=AGENT, base_url=sandbox.origin), around())
    with pytest.raises(Problem) as caught:
        await wrong.check()
    assert (caught.value.outcome, caught.value.code, caught.value.everybody) == (Outcome.BAD_CREDENTIAL, "40001", True)
    assert wecom.board.all() == []
    await other.close()
    await wrong.close()


# tokens


async def test_a_token_is_kept_until_it_ends(app: App, wecom: WeCom, clock: Clock) -> None:
    for key in ("1", "2"):
        await tell(app, Text(key), key=key)
    assert wecom.tokens.requests == 1
    clock.advance(7200)
    await tell(app, Text("3"), key="3")
    assert wecom.tokens.requests == 2


async def test_an_expired_token_that_many_use_is_renewed_once(app: App, wecom: WeCom) -> None:
    await tell(app, Text("first"), key="first")
    wecom.tokens.expire()
    users = ("ZhangSan", "lisi")
    sent = await asyncio.gather(
        *(
            app.send(Message(Text(str(number))), [Target("user", users[number % 2])], key=str(number))
            for number in range(50)
        )
    )
    assert [each.results[0].outcome for each in sent] == [Outcome.OK] * 50
    assert wecom.tokens.requests == 2


async def test_a_token_that_is_refused_again_is_a_bad_credential(app: App, sandbox: Sandbox, wecom: WeCom) -> None:
    sandbox.faults.add("wecom", "token_expired", 2, "/cgi-bin/message/send")
    sent = await app.send(Message(Text("x")), [ZHANG], key="k")
    assert (sent.results[0].outcome, sent.results[0].code) == (Outcome.BAD_CREDENTIAL, "42001")
    assert sent.results[0].everybody
    assert wecom.tokens.requests == 2


async def test_no_secret_is_shown(app: App, sandbox: Sandbox) -> None:
    credentials = AppCredentials(corp_id=CORP, secret="S3CRET", agent_id=1, token="T0KEN", aes_key="k" * 43)
    for secret in ("S3CRET", "T0KEN", "kkk"):
        assert secret not in f"{credentials!r} {credentials} {vars(type(credentials)).get('__rich_repr__')}"
    sandbox.faults.add("wecom", "closed", 10, "/cgi-bin/gettoken")  # a GET may be tried again below us
    with pytest.raises(Problem) as caught:
        await app.check()
    assert SECRET not in f"{caught.value} {caught.value.advice} {caught.value.code}"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"secret": ""}, "`secret` must be"),
        ({"agent_id": 0}, "`agent_id` is the number"),
        ({"token": "x"}, "given together"),
        ({"token": "x", "aes_key": "short"}, "EncodingAESKey of 43"),
    ],
)
def test_bad_credentials(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        AppCredentials(**{"corp_id": CORP, "secret": "s", "agent_id": 1, **wrong})
