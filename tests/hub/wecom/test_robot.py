"""What a robot sends, for every type of content."""

import hashlib
from typing import Any

import pytest

from hongyan.hub.connector import HERE, Outcome, Problem, Target
from hongyan.hub.connectors.wecom.credentials import RobotCredentials
from hongyan.hub.connectors.wecom.robot import Robot
from hongyan.hub.content import (
    Article,
    Articles,
    Audio,
    Button,
    Card,
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
from hongyan.hub.fitting import utf8
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.wecom import WeCom
from tests.hub.wecom.sending import arrived, rules, say
from tests.support.hub import PNG, Around, Clock, Files

URL = "https://example.com/a"


async def only(robot: Robot, wecom: WeCom, content: Any, *mentions: Mention) -> tuple[str, Any, set[str]]:
    """The one message that arrived, and the rules that were needed."""
    sent = await say(robot, content, *mentions)
    [(type_, value)] = arrived(wecom)
    return type_, value, rules(sent)


async def test_text(robot: Robot, wecom: WeCom) -> None:
    assert await only(robot, wecom, Text("构建 #42 失败")) == ("text", {"content": "构建 #42 失败"}, set())


async def test_plain_text_mentions_and_links_nobody(robot: Robot, wecom: WeCom) -> None:
    _, value, _ = await only(robot, wecom, Text('<@all> <a href="https://evil.example">x</a>'))
    assert "<@" not in value["content"]
    assert "<a" not in value["content"]


async def test_long_text_comes_in_numbered_parts(robot: Robot, wecom: WeCom) -> None:
    text = "\n".join(f"第 {number} 行的内容" for number in range(300))
    sent = await say(robot, Text(text))
    parts = [value["content"] for _, value in arrived(wecom)]
    assert rules(sent) == {"text_split"}
    assert [part.split("\n")[0] for part in parts] == [f"({n}/{len(parts)})" for n in range(1, len(parts) + 1)]
    assert all(utf8(part) <= 2048 for part in parts)
    assert "\n".join(part.partition("\n")[2] for part in parts) == text


async def test_very_long_text_is_cut(robot: Robot, wecom: WeCom) -> None:
    sent = await say(robot, Text("字" * 10_000))
    parts = [value["content"] for _, value in arrived(wecom)]
    assert rules(sent) == {"text_split", "text_cut"}
    assert len(parts) == 5
    assert parts[-1].endswith("…")


async def test_mentions_in_text(robot: Robot, wecom: WeCom) -> None:
    mentions = (Mention(user="lisi"), Mention(mobile="13800000001"), Mention(everyone=True))
    _, value, needed = await only(robot, wecom, Text("看一下"), *mentions)
    assert value == {
        "content": "看一下",
        "mentioned_list": ["lisi", "@all"],
        "mentioned_mobile_list": ["13800000001"],
    }
    assert needed == set()


async def test_a_mention_by_mail_is_named_only(robot: Robot, wecom: WeCom) -> None:
    mention = Mention(email="lisi@example.com", name="李四")
    _, value, needed = await only(robot, wecom, Text("看一下"), mention)
    assert value == {"content": "看一下\n@李四"}
    assert needed == {"mention_unresolved"}


async def test_a_mention_can_not_be_more_than_one_id(robot: Robot, wecom: WeCom) -> None:
    _, value, needed = await only(robot, wecom, Markdown("**x**"), Mention(user="a><@all"))
    assert "<@" not in value["content"]
    assert needed == {"mention_unresolved"}


async def test_unverified_code_calls_nobody(robot: Robot, wecom: WeCom) -> None:
    text = "`<@all>` <@all> [a](https://a.example/<@all>) `<b>`"
    _, value, _ = await only(robot, wecom, Markdown(text))
    assert "<@" not in value["content"]
    assert "`<b>`" in value["content"]


async def test_mentions_in_markdown(robot: Robot, wecom: WeCom) -> None:
    type_, value, _ = await only(robot, wecom, Markdown("**坏了**"), Mention(user="lisi"))
    assert (type_, value) == ("markdown", {"content": "**坏了**\n<@lisi>"})


async def test_everyone_is_told_by_a_text_after_markdown(robot: Robot, wecom: WeCom) -> None:
    sent = await say(robot, Markdown("**坏了**"), Mention(everyone=True))
    assert arrived(wecom) == [
        ("markdown", {"content": "**坏了**"}),
        ("text", {"content": "⬆️", "mentioned_list": ["@all"]}),
    ]
    assert rules(sent) == {"mention_separate"}


@pytest.mark.parametrize(
    ("level", "heading", "needed"),
    [
        ("info", "### 部署", set()),
        ("success", '### <font color="info">部署</font>', set()),
        ("warning", '### <font color="warning">部署</font>', set()),
        ("error", '### <font color="warning">🔴 部署</font>', {"level_to_sign"}),
    ],
)
async def test_colours(robot: Robot, wecom: WeCom, level: Any, heading: str, needed: set[str]) -> None:
    markdown = Markdown("[日志](https://example.com/(1))", "部署", level)
    assert await only(robot, wecom, markdown) == (
        "markdown",
        {"content": f"{heading}\n\n[日志](https://example.com/%281%29)"},
        needed,
    )


async def test_tables_lists_and_pictures_need_the_second_dialect(robot: Robot, wecom: WeCom) -> None:
    text = (
        "- 一\n- *二*\n\n![图](https://example.com/p.png)\n\n"
        "| a | b |\n|---|---|\n| 1 | x\\|y |\n\n```sh\nls\n```\n\n---"
    )
    type_, value, needed = await only(robot, wecom, Markdown(text, "周报", "warning"))
    assert type_ == "markdown_v2"
    assert value["content"] == (
        "### ⚠️ 周报\n\n- 一\n- *二*\n\n![图](https://example.com/p.png)\n\n"
        "| a | b |\n| --- | --- |\n| 1 | x｜y |\n\n```sh\nls\n```\n\n---"
    )
    assert needed == {"level_to_sign"}


async def test_a_list_with_a_mention_stays_in_the_first_dialect(robot: Robot, wecom: WeCom) -> None:
    type_, value, needed = await only(robot, wecom, Markdown("- 一\n- *二*"), Mention(user="lisi"))
    assert (type_, value["content"]) == ("markdown", "- 一\n- 二\n<@lisi>")
    assert needed == {"marks_dropped"}


async def test_a_table_with_a_mention(robot: Robot, wecom: WeCom) -> None:
    sent = await say(robot, Table(("名称", "值"), (("cpu", "97%"),), "负载"), Mention(user="lisi"))
    assert arrived(wecom) == [
        ("markdown_v2", {"content": "### 负载\n\n| 名称 | 值 |\n| --- | --- |\n| cpu | 97% |"}),
        ("text", {"content": "⬆️", "mentioned_list": ["lisi"]}),
    ]
    assert rules(sent) == {"mention_separate"}


async def test_a_long_table_is_divided_between_rows(robot: Robot, wecom: WeCom) -> None:
    rows = tuple((f"主机-{number}", "x" * 80) for number in range(90))
    sent = await say(robot, Table(("名称", "值"), rows))
    parts = [value["content"] for _, value in arrived(wecom)]
    assert len(parts) > 1
    assert all(part.startswith("| 名称 | 值 |\n| --- | --- |\n| 主机-") for part in parts)
    assert sum(part.count("主机-") for part in parts) == 90
    assert rules(sent) == {"text_split"}


async def test_image(robot: Robot, wecom: WeCom, files: Files) -> None:
    type_, value, needed = await only(robot, wecom, Image(files.add()))
    assert (type_, needed) == ("image", set())
    assert value["md5"] == hashlib.md5(PNG).hexdigest()
    assert wecom.board.media(wecom.board.all()[0].extra["media"]) == ("image", "image/png", PNG)


@pytest.mark.parametrize("content", [b"GIF89a......", b"\x89PNG\r\n\x1a\n" + bytes(2 * 2**20)])
async def test_a_picture_of_another_kind_or_too_large(robot: Robot, wecom: WeCom, files: Files, content: bytes) -> None:
    media = files.add("a.gif", "image/gif", content)
    type_, value, needed = await only(robot, wecom, Image(media, "动图"))
    assert (type_, value) == ("markdown_v2", {"content": "![动图](https://files.example/a.gif)"})
    assert needed == {"image_to_markdown"}


async def test_file(robot: Robot, wecom: WeCom, files: Files) -> None:
    type_, value, needed = await only(robot, wecom, File(files.add("报告.pdf", "application/pdf", b"%PDF-1.7")))
    assert (type_, needed) == ("file", set())
    assert wecom.board.media(value["media_id"]) == ("报告.pdf", "application/octet-stream", b"%PDF-1.7")


async def test_a_file_is_uploaded_once(robot: Robot, wecom: WeCom, files: Files) -> None:
    file = File(files.add("a.txt", "text/plain", b"some text"))
    for key in ("k1", "k2"):
        await say(robot, file, key=key)
    assert len({value["media_id"] for _, value in arrived(wecom)}) == 1


@pytest.mark.parametrize("content", [b"tiny", bytes(20 * 2**20 + 1)])
async def test_a_file_that_is_too_large_or_small(robot: Robot, wecom: WeCom, files: Files, content: bytes) -> None:
    type_, value, needed = await only(robot, wecom, File(files.add("a.bin", "", content)))
    assert (type_, value) == ("markdown", {"content": "[a.bin](https://files.example/a.bin)"})
    assert needed == {"file_to_link"}


async def test_voice(robot: Robot, wecom: WeCom, files: Files) -> None:
    type_, _, needed = await only(robot, wecom, Audio(files.add("a.amr", "audio/amr", b"#!AMR\n....")))
    assert (type_, needed) == ("voice", set())


async def test_a_long_or_other_sound_is_a_file(robot: Robot, wecom: WeCom, files: Files) -> None:
    media = files.add("a.amr", "audio/amr", b"#!AMR\n....")
    long = Audio(Media(file=media.file, seconds=61))
    other = Audio(files.add("a.mp3", "audio/mpeg", b"ID3......"))
    for key, audio in (("k1", long), ("k2", other)):
        assert rules(await say(robot, audio, key=key)) == {"audio_to_file"}
    assert [type_ for type_, _ in arrived(wecom)] == ["file", "file"]


async def test_video_is_a_file_after_its_title(robot: Robot, wecom: WeCom, files: Files) -> None:
    media = files.add("a.mp4", "video/mp4", b"\0\0\0\x18ftypmp42")
    sent = await say(robot, Video(media, "演示", "*第一版*"))
    assert [type_ for type_, _ in arrived(wecom)] == ["markdown", "file"]
    assert arrived(wecom)[0][1]["content"] == "### 演示\n\n*第一版*"
    assert rules(sent) == {"video_to_file"}


async def test_link(robot: Robot, wecom: WeCom, files: Files) -> None:
    link = Link("标题", URL, "说明", files.add_url())
    article = {"title": "标题", "url": URL, "description": "说明", "picurl": "https://pictures.example/picture.png"}
    assert await only(robot, wecom, link) == ("news", {"articles": [article]}, set())


async def test_a_title_that_is_too_long_is_cut_by_bytes(robot: Robot, wecom: WeCom) -> None:
    _, value, needed = await only(robot, wecom, Link("标" * 100, URL, "说" * 300))
    [article] = value["articles"]
    assert utf8(article["title"]) <= 128
    assert utf8(article["description"]) <= 512
    assert needed == {"title_cut", "text_cut"}


async def test_a_link_with_a_very_long_address(robot: Robot, wecom: WeCom) -> None:
    url = "https://example.com/" + "a" * 2100
    type_, value, needed = await only(robot, wecom, Link("标题", url))
    assert (type_, value) == ("markdown", {"content": f"**[标题]({url})**"})
    assert needed == {"articles_to_markdown"}


async def test_location(robot: Robot, wecom: WeCom) -> None:
    type_, value, needed = await only(robot, wecom, Location(39.9, 116.4, "天安门", "东长安街"))
    [article] = value["articles"]
    assert (type_, article["title"], article["description"]) == ("news", "📍 天安门", "东长安街")
    assert "116.400000%2C39.900000" in article["url"]
    assert needed == {"location_to_link"}


async def test_articles_above_eight_come_in_a_second_message(robot: Robot, wecom: WeCom) -> None:
    sent = await say(robot, Articles(tuple(Article(f"第 {n} 篇", URL) for n in range(10))))
    assert [len(value["articles"]) for _, value in arrived(wecom)] == [8, 2]
    assert rules(sent) == {"articles_split"}


async def test_a_card_that_leads_somewhere_is_a_notice(robot: Robot, wecom: WeCom) -> None:
    card = Card(
        "磁盘将满",
        "剩余 **3%**",
        "warning",
        fields=(Field("主机", "db-1"),),
        buttons=(Button("查看", URL), Button("静默", id="mute", confirm="确定？")),
        footer="监控",
    )
    type_, value, needed = await only(robot, wecom, card)
    assert type_ == "template_card"
    assert value == {
        "card_type": "text_notice",
        "source": {"desc": "监控"},
        "main_title": {"title": "⚠️ 磁盘将满"},
        "sub_title_text": "剩余 3%",
        "horizontal_content_list": [{"keyname": "主机", "value": "db-1"}],
        "jump_list": [
            {"type": 1, "title": "查看", "url": URL},
            {"type": 1, "title": "静默", "url": "https://hongyan.example/act/k1/mute"},
        ],
        "card_action": {"type": 1, "url": URL},
    }
    assert needed == {"level_to_sign", "markdown_to_text", "buttons_to_page", "confirm_dropped"}


async def test_a_card_with_a_picture_is_a_news_notice(robot: Robot, wecom: WeCom, files: Files) -> None:
    type_, value, needed = await only(robot, wecom, Card("发布", "已上线", image=files.add(), url=URL))
    assert type_ == "template_card"
    assert value == {
        "card_type": "news_notice",
        "main_title": {"title": "发布", "desc": "已上线"},
        "card_image": {"url": "https://files.example/picture.png"},
        "card_action": {"type": 1, "url": URL},
    }
    assert needed == set()


async def test_a_card_that_leads_nowhere_is_markdown(robot: Robot, wecom: WeCom) -> None:
    card = Card("磁盘将满", "剩余 **3%**", "error", fields=(Field("主机", "db-1"),), footer="监控")
    type_, value, needed = await only(robot, wecom, card)
    assert type_ == "markdown"
    assert value["content"] == '### <font color="warning">🔴 磁盘将满</font>\n\n剩余 **3%**\n\n- **主机**: db-1\n\n监控'
    assert needed == {"card_to_markdown", "fields_to_lines", "level_to_sign", "marks_dropped"}


async def test_a_card_with_many_buttons_is_markdown_with_links(robot: Robot, wecom: WeCom) -> None:
    card = Card("选择", buttons=tuple(Button(f"按钮{n}", URL) for n in range(4)), url=URL)
    type_, value, needed = await only(robot, wecom, card)
    assert type_ == "markdown"
    assert value["content"].startswith(f"### [选择]({URL})\n\n[按钮0]({URL}) | [按钮1]")
    assert needed == {"card_to_markdown", "buttons_to_links"}


async def test_a_form_is_filled_in_on_a_page(robot: Robot, wecom: WeCom) -> None:
    card = Card("申请", form=Form("leave", (Input("days", "天数"),), "提交"))
    _, value, needed = await only(robot, wecom, card)
    assert value["jump_list"] == [{"type": 1, "title": "提交", "url": "https://hongyan.example/act/k1/leave"}]
    assert needed == {"form_to_page"}


async def test_buttons_without_pages_are_named(sandbox: Sandbox, around: Around, wecom: WeCom) -> None:
    credentials = RobotCredentials(key="693a91f6-7a3c-4bc4-97a0-0ec2fa5d0001", base_url=sandbox.origin)
    robot = Robot(credentials, around(pages=False))
    sent = await say(robot, Card("申请", buttons=(Button("同意", id="yes"),)))
    assert arrived(wecom) == [("markdown", {"content": "### 申请\n\n**同意**"})]
    assert "buttons_to_links" in rules(sent)


async def test_a_thread_is_named(robot: Robot, wecom: WeCom, files: Files) -> None:
    for key, content in (("1", Text("好了")), ("2", Card("好了", url=URL)), ("3", Image(files.add()))):
        assert "thread_to_title" in rules(await say(robot, content, thread="m7", key=key))
    text, card, mark, image = arrived(wecom)
    assert text[1] == {"content": "[#m7] 好了"}
    assert card[1]["main_title"] == {"title": "[#m7] 好了"}
    assert mark[1] == {"content": "[#m7]"}
    assert image[0] == "image"


async def test_another_target_is_refused(robot: Robot) -> None:
    sent = await robot.send(Message(Text("x")), [Target("user", "lisi"), HERE], key="k")
    assert [result.outcome for result in sent.results] == [Outcome.BAD_RECIPIENT, Outcome.OK]


async def test_it_is_paced_below_the_rate_of_wecom(robot: Robot, wecom: WeCom, clock: Clock) -> None:
    for number in range(18):
        await say(robot, Text("x"), key=str(number))
    with pytest.raises(Problem) as caught:
        await say(robot, Text("x"), key="18")
    assert (caught.value.outcome, caught.value.after, caught.value.everybody) == (Outcome.THROTTLED, 60, True)
    assert len(arrived(wecom)) == 18
    clock.advance(60)
    await say(robot, Text("x"), key="18")


async def test_what_is_sent_in_parts_goes_on_where_it_stopped(
    robot: Robot, wecom: WeCom, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Text("字" * 1500)
    post = robot._post

    async def post_until_two(value: dict[str, Any]) -> None:
        if len(arrived(wecom)) == 2:
            raise Problem(Outcome.TRANSIENT, "gone")
        await post(value)

    with monkeypatch.context() as patch:
        patch.setattr(robot, "_post", post_until_two)
        with pytest.raises(Problem, match="gone"):
            await say(robot, text)
    await say(robot, text)
    assert [value["content"][:5] for _, value in arrived(wecom)] == ["(1/3)", "(2/3)", "(3/3)"]


async def test_nothing_else_can_be_done_with_a_robot(robot: Robot) -> None:
    assert robot.features == frozenset()
    for call in (robot.recall({}), robot.update({}, Message(Text("x"))), robot.status({})):
        with pytest.raises(Problem, match="cannot"):
            await call


async def test_check_inferred_shows_nothing(robot: Robot, wecom: WeCom, sandbox: Sandbox, around: Around) -> None:
    assert await robot.check() == "a robot of a WeCom group"
    other = Robot(RobotCredentials(key="693a91f6-0000-4bc4-97a0-000000000000", base_url=sandbox.origin), around())
    with pytest.raises(Problem) as caught:
        await other.check()
    assert (caught.value.outcome, caught.value.code) == (Outcome.BAD_CREDENTIAL, "93000")
    assert wecom.board.all() == []


def test_the_key_is_never_shown() -> None:
    credentials = RobotCredentials(key="693a91f6-7a3c-4bc4-97a0-0ec2fa5d0001")
    assert "693a" not in f"{credentials!r} {credentials}"
    with pytest.raises(ValueError, match="after `key=`"):
        RobotCredentials(key="https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x")
