"""The robot of a group: what its group sees, and what becomes of what can't be sent."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from hongyan.hub.connector import HERE, Feature, Outcome, Problem, Result, Sent
from hongyan.hub.connectors.dingtalk.credentials import RobotCredentials
from hongyan.hub.connectors.dingtalk.robot import RobotConnector
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
from hongyan.sandbox.dingtalk.world import ROBOTS
from hongyan.sandbox.faults import What
from hongyan.sandbox.server import Sandbox
from tests.support.hub import Around, Clock

NOBODY = {"atUserIds": [], "atMobiles": [], "isAtAll": False}
PICTURE = Media(url="https://pictures.example/disk.png", name="disk.png")
SOUND = Media(url="https://files.example/call.amr", name="call.amr", type="audio/amr")


async def send(robot: RobotConnector, content: Content | Message, key: str = "m1") -> Sent:
    return await robot.send(content if isinstance(content, Message) else Message(content), [HERE], key=key)


async def sent(robot: RobotConnector, content: Content | Message, key: str = "m1") -> list[str]:
    """The rules that were needed for what was taken."""
    result = await send(robot, content, key)
    assert [each.outcome for each in result.results] == [Outcome.OK], result
    return [note.rule for note in result.notes]


def bodies(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What the group has got, without what is the same everywhere."""
    kept = []
    for shown in sandbox.board.all():
        body = {key: value for key, value in shown.payload.items() if key not in ("msgUuid", "msgtype")}
        if body.get("at") == NOBODY:
            del body["at"]
        kept.append(body)
    return kept


CASES: list[tuple[str, Content, dict[str, Any], list[str]]] = [
    ("text", Text("*disk* full"), {"text": {"content": "*disk* full"}}, []),
    (
        "markdown",
        Markdown("**Disk** of `db_1` is *full*\n~~not~~ now", title="Disk", level="error"),
        {"markdown": {"title": "🔴 Disk", "text": "### 🔴 Disk\n\n**Disk** of db_1 is *full*  \nnot now"}},
        ["level_to_sign", "marks_dropped"],
    ),
    (
        "image",
        Image(PICTURE, "the disk"),
        {"markdown": {"title": "the disk", "text": "![the disk](https://pictures.example/disk.png)"}},
        ["image_to_markdown"],
    ),
    (
        "file",
        File(Media(url="https://files.example/a(1).pdf", name="a.pdf")),
        {"markdown": {"title": "a.pdf", "text": "[a.pdf](https://files.example/a%281%29.pdf)"}},
        ["file_to_link"],
    ),
    (
        "audio",
        Audio(SOUND),
        {"markdown": {"title": "🔊 call.amr", "text": "[🔊 call.amr](https://files.example/call.amr)"}},
        ["audio_to_link"],
    ),
    (
        "video",
        Video(Media(url="https://files.example/a.mp4"), "Tour", "of the rack"),
        {"markdown": {"title": "▶ Tour", "text": "[▶ Tour](https://files.example/a.mp4)\n\nof the rack"}},
        ["video_to_link"],
    ),
    (
        "link",
        Link("Report", "https://a.example/r", "Monday", PICTURE),
        {"link": {"title": "Report", "text": "Monday", "messageUrl": "https://a.example/r", "picUrl": PICTURE.url}},
        [],
    ),
    (
        "location",
        Location(30.25, 120.16, "West Lake", "Hangzhou"),
        {
            "link": {
                "title": "📍 West Lake",
                "text": "Hangzhou",
                "messageUrl": "https://uri.amap.com/marker"
                "?position=120.160000%2C30.250000&name=West+Lake&coordinate=wgs84",
                "picUrl": "",
            }
        },
        ["location_to_link"],
    ),
    (
        "articles with pictures",
        Articles((Article("One", "https://a.example/1", image=PICTURE),)),
        {"feedCard": {"links": [{"title": "One", "messageURL": "https://a.example/1", "picURL": PICTURE.url}]}},
        [],
    ),
    (
        "articles with texts",
        Articles((Article("One", "https://a.example/1", "first"),)),
        {"markdown": {"title": "One", "text": "**[One](https://a.example/1)**\n\nfirst"}},
        ["articles_to_markdown"],
    ),
    (
        "table",
        Table(("host", "disk"), (("a", "90%"), ("b", "95%")), "Disks"),
        {
            "markdown": {
                "title": "Disks",
                "text": "### Disks\n\nhost: a  \ndisk: 90%\n\nhost: b  \ndisk: 95%",
            }
        },
        ["table_to_lines"],
    ),
    (
        "card",
        Card("Disk", "is **full**", fields=(Field("host", "a_b"),), footer="ops"),
        {"markdown": {"title": "Disk", "text": "### Disk\n\nis **full**\n\n- **host**: a_b\n\n*ops*"}},
        ["card_to_markdown", "fields_to_lines"],
    ),
    (
        "card that leads somewhere",
        Card("Disk", "is full", url="https://a.example/d"),
        {
            "actionCard": {
                "title": "Disk",
                "text": "### [Disk](https://a.example/d)\n\nis full",
                "singleTitle": "查看详情",
                "singleURL": "https://a.example/d",
            }
        },
        [],
    ),
    (
        "card with buttons",
        Card(
            "Disk",
            buttons=(
                Button("Look", url="https://a.example/look"),
                Button("Mine", id="take", confirm="Sure?"),
                Button("Ignore " * 10, url="https://a.example/no"),
            ),
        ),
        {
            "actionCard": {
                "title": "Disk",
                "text": "### Disk",
                "btnOrientation": "0",
                "btns": [
                    {"title": "Look", "actionURL": "https://a.example/look"},
                    {"title": "Mine", "actionURL": "https://hongyan.example/act/m1/take"},
                    {"title": ("Ignore " * 9).strip() + "…", "actionURL": "https://a.example/no"},
                ],
            }
        },
        ["confirm_dropped", "buttons_to_page", "title_cut"],
    ),
    (
        "card with a form",
        Card("Leave", form=Form("leave", (Input("days", "Days"),), "Ask")),
        {
            "actionCard": {
                "title": "Leave",
                "text": "### Leave",
                "singleTitle": "Ask",
                "singleURL": "https://hongyan.example/act/m1/leave",
            }
        },
        ["form_to_page"],
    ),
]


@pytest.mark.parametrize(("content", "body", "rules"), [each[1:] for each in CASES], ids=[each[0] for each in CASES])
async def test_each_type(
    robot: RobotConnector, sandbox: Sandbox, content: Content, body: dict[str, Any], rules: list[str]
) -> None:
    assert sorted(await sent(robot, content)) == sorted(rules)
    assert bodies(sandbox) == [body]


async def test_buttons_without_a_page_are_named(sandbox: Sandbox, around: Around) -> None:
    credentials = RobotCredentials(access_token="sandbox-network", base_url=sandbox.origin)
    robot = RobotConnector(credentials, around(pages=False))
    rules = await sent(robot, Card("Disk", buttons=(Button("Mine", id="take"),)))
    assert rules == ["no_page", "buttons_to_links"]
    assert bodies(sandbox) == [{"markdown": {"title": "Disk", "text": "### Disk\n\n**Mine**"}}]


async def test_markdown_that_would_be_marks_is_escaped(robot: RobotConnector, sandbox: Sandbox) -> None:
    await sent(robot, Card("a_b 5*3*1 <b>", "a\\*b\\*", fields=(Field("1. n", "# v"),)))
    text = bodies(sandbox)[0]["markdown"]["text"]
    assert text == "### a\\_b 5\\*3\\*1 \\<b\\>\n\na\\*b\\*\n\n- **1\\. n**: # v"


@pytest.mark.parametrize("value", ["[a\nb](https://evil.example)", "*a\nb*"])
async def test_marks_on_both_sides_of_a_line_are_none(robot: RobotConnector, sandbox: Sandbox, value: str) -> None:
    """Somebody's words, which the app puts into a field, make no link of theirs."""
    await sent(robot, Card("T", fields=(Field("n", value),)))
    text = bodies(sandbox)[0]["markdown"]["text"]
    assert f"\\{value[0]}a" in text
    assert value[:-1].rpartition("\n")[2].replace("](", "\\](") in text


@pytest.mark.parametrize("content", [Text("Look"), Markdown("Look")])
async def test_mentions_stand_in_the_text(robot: RobotConnector, sandbox: Sandbox, content: Content) -> None:
    mentions = (Mention(mobile="13800000001"), Mention(user="lisi"), Mention(email="w@a.example", name="Wang"))
    assert await sent(robot, Message(content, mentions)) == ["mention_unresolved"]
    shown = sandbox.board.all()[0]
    assert "@13800000001 @lisi @Wang" in str(shown.payload)
    assert shown.extra["mentions"] == ["张三", "李四"]


async def test_everyone_is_mentioned(robot: RobotConnector, sandbox: Sandbox) -> None:
    await sent(robot, Message(Text("Look"), (Mention(everyone=True),)))
    assert bodies(sandbox) == [
        {"text": {"content": "Look\n@所有人"}, "at": {"atUserIds": [], "atMobiles": [], "isAtAll": True}}
    ]


async def test_mentions_beside_a_card_come_separately_inferred(robot: RobotConnector, sandbox: Sandbox) -> None:
    rules = await sent(robot, Message(Link("Report", "https://a.example/r"), (Mention(mobile="13800000001"),)))
    assert rules == ["mention_separate"]
    link, told = sandbox.board.all()
    assert (link.kind, told.kind, told.extra["mentions"]) == ("link", "text", ["张三"])


@pytest.mark.parametrize("content", [Text("Look"), Markdown("Look"), Link("Look", "https://a.example")])
async def test_a_thread_is_named(robot: RobotConnector, sandbox: Sandbox, content: Content) -> None:
    assert await sent(robot, Message(content, thread="msg-0123456789ab")) == ["thread_to_title"]
    assert "[#0123456789ab]" in str(bodies(sandbox)[0])


@pytest.mark.parametrize("content", [each[1] for each in CASES], ids=[each[0] for each in CASES])
async def test_a_keyword_is_added_where_inferred_visible_content_has_none(
    sandbox: Sandbox, around: Around, content: Content
) -> None:
    credentials = RobotCredentials(access_token="sandbox-keyword", keywords=("发布",), base_url=sandbox.origin)
    rules = await sent(RobotConnector(credentials, around()), content)
    assert "keyword_added" in rules
    assert str(bodies(sandbox)).count("发布") == 1


async def test_a_keyword_that_is_there_is_not_added(sandbox: Sandbox, around: Around) -> None:
    credentials = RobotCredentials(access_token="sandbox-keyword", keywords=("告警", "发布"), base_url=sandbox.origin)
    assert await sent(RobotConnector(credentials, around()), Text("发布完成")) == []
    assert bodies(sandbox) == [{"text": {"content": "发布完成"}}]


async def test_a_long_text_comes_in_pieces(robot: RobotConnector, sandbox: Sandbox) -> None:
    text = "\n".join(f"第{number}行磁盘已满" for number in range(2000))
    rules = await sent(robot, Message(Text(text), (Mention(user="lisi"),)))
    assert rules == ["text_split"]
    pieces = [each["text"]["content"] for each in bodies(sandbox)]
    assert len(pieces) == 3
    assert pieces[0].startswith("(1/3)\n")
    whole = "\n".join(each.split("\n", 1)[1] for each in pieces).removesuffix("\n@lisi")
    assert whole == text
    assert [bool(each.extra["mentions"]) for each in sandbox.board.all()] == [False, False, True]


async def test_what_is_far_too_long_is_cut(robot: RobotConnector, sandbox: Sandbox) -> None:
    assert await sent(robot, Markdown("满" * 40_000)) == ["text_cut", "text_split"]
    assert len(sandbox.board.all()) == 5
    assert sandbox.board.all()[-1].payload["markdown"]["text"].endswith("…")


async def test_a_long_card_is_cut(robot: RobotConnector, sandbox: Sandbox) -> None:
    assert "text_cut" in await sent(
        robot, Card("Disk", "满" * 20_000, buttons=(Button("Go", url="https://a.example"),))
    )
    assert bodies(sandbox)[0]["actionCard"]["singleTitle"] == "Go"


async def test_a_card_whose_buttons_are_too_long(robot: RobotConnector) -> None:
    buttons = tuple(Button(f"B{number}", url="https://a.example/" + "x" * 2900) for number in range(8))
    (result,) = (await send(robot, Card("Disk", "text", buttons=buttons))).results
    assert (result.outcome, result.everybody) == (Outcome.BAD_CONTENT, False)


async def test_a_message_is_taken_once(robot: RobotConnector, sandbox: Sandbox) -> None:
    await sent(robot, Text("one"), key="same")
    await sent(robot, Text("one"), key="same")
    assert len(sandbox.board.all()) == 1


async def test_no_message_above_the_rate(robot: RobotConnector, sandbox: Sandbox, clock: Clock) -> None:
    results = [(await send(robot, Text("x"), key=f"m{number}")).results[0] for number in range(19)]
    assert [each.outcome for each in results[:18]] == [Outcome.OK] * 18
    assert (results[18].outcome, results[18].after, results[18].everybody) == (Outcome.THROTTLED, 60.0, True)
    assert len(sandbox.board.all()) == 18
    clock.advance(61)
    assert (await send(robot, Text("x"), key="m19")).results[0].outcome is Outcome.OK


async def test_a_long_text_waits_for_the_rate(robot: RobotConnector, sandbox: Sandbox, clock: Clock) -> None:
    """What has gone before is not shown again."""
    for number in range(17):
        await sent(robot, Text("x"), key=f"m{number}")
    sandbox.board.clear()
    assert (await send(robot, Text("满" * 15_000), key="long")).results[0].outcome is Outcome.THROTTLED
    clock.advance(61)
    assert await sent(robot, Text("满" * 15_000), key="long") == ["text_split"]
    assert [each["text"]["content"][:5] for each in bodies(sandbox)] == ["(1/3)", "(2/3)", "(3/3)"]


async def test_channels_of_one_robot_share_its_rate(sandbox: Sandbox, around: Around) -> None:
    surroundings = around()
    credentials = RobotCredentials(access_token="sandbox-network", base_url=sandbox.origin)
    robots = [RobotConnector(credentials, surroundings) for _ in range(2)]
    outcomes = [(await send(robots[n % 2], Text("x"), key=f"m{n}")).results[0].outcome for n in range(19)]
    assert outcomes == [Outcome.OK] * 18 + [Outcome.THROTTLED]


async def test_the_waits_when_dingtalk_throttles(sandbox: Sandbox, around: Around, clock: Clock) -> None:
    """First to the next minute; the second time the ten minutes of the block (inferred)."""
    credentials = RobotCredentials(access_token="sandbox-network", base_url=sandbox.origin)
    for number in range(20):  # somebody else uses the robot, too
        other = RobotConnector(credentials, around())
        assert (await send(other, Text("x"), key=f"o{number}")).results[0].outcome is Outcome.OK
    robot = RobotConnector(credentials, around())
    (first,) = (await send(robot, Text("x"))).results
    assert (first.outcome, first.code, first.after) == (Outcome.THROTTLED, "130101", 60.0)
    (paced,) = (await send(robot, Text("x"))).results
    assert (paced.outcome, paced.code) == (Outcome.THROTTLED, "")
    clock.advance(60)
    (second,) = (await send(robot, Text("x"))).results
    assert (second.outcome, second.code, second.after) == (Outcome.THROTTLED, "410100", 600.0)
    clock.advance(600)
    assert (await send(robot, Text("x"))).results[0].outcome is Outcome.OK


def wrong(**fields: Any) -> Callable[[str], RobotCredentials]:
    return lambda origin: RobotCredentials(base_url=origin, **fields)


@pytest.mark.parametrize(
    ("credentials", "skew", "outcome", "advice"),
    [
        (wrong(access_token="sandbox-signed", secret="SECother"), 0, Outcome.BAD_CREDENTIAL, "`secret`"),
        (wrong(access_token="sandbox-signed"), 0, Outcome.BAD_CREDENTIAL, "`secret`"),
        (
            wrong(access_token="sandbox-signed", secret=ROBOTS["sandbox-signed"].secret),
            3700,
            Outcome.BAD_CREDENTIAL,
            "clock",
        ),
        (wrong(access_token="sandbox-keyword"), 0, Outcome.BAD_CONTENT, "`keywords`"),
        (wrong(access_token="sandbox-elsewhere"), 0, Outcome.BAD_CREDENTIAL, "address of this server"),
        (wrong(access_token="nobody"), 0, Outcome.BAD_CREDENTIAL, "`access_token`"),
    ],
    ids=["wrong secret", "no secret", "clock an hour wrong", "no keyword", "address", "no robot"],
)
async def test_what_protects_a_robot(
    sandbox: Sandbox,
    around: Around,
    clock: Clock,
    credentials: Callable[[str], RobotCredentials],
    skew: float,
    outcome: Outcome,
    advice: str,
) -> None:
    clock.skew = skew
    result = await one(RobotConnector(credentials(sandbox.origin), around()))
    assert (result.outcome, result.everybody) == (outcome, outcome is Outcome.BAD_CREDENTIAL)
    assert advice in result.advice
    assert sandbox.board.all() == []


async def one(robot: RobotConnector) -> Result:
    return (await send(robot, Text("x"))).results[0]


async def test_a_signature_is_made_at_each_try(robot: RobotConnector, clock: Clock) -> None:
    assert (await one(robot)).outcome is Outcome.OK
    clock.advance(7200)
    assert (await send(robot, Text("later"), key="m2")).results[0].outcome is Outcome.OK


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("throttled", Outcome.THROTTLED),
        ("error", Outcome.TRANSIENT),
        ("garbage", Outcome.UNKNOWN),
        ("closed", Outcome.UNKNOWN),
        ("refused", Outcome.BAD_CONTENT),
        ("token_expired", Outcome.BAD_CREDENTIAL),
    ],
)
async def test_faults(robot: RobotConnector, sandbox: Sandbox, clock: Clock, what: What, outcome: Outcome) -> None:
    sandbox.faults.add("dingtalk", what)
    result = await one(robot)
    assert result.outcome is outcome
    if what == "throttled":  # the page of the gateway, which says how long
        assert (result.code, result.after) == ("1111", 5.0)
    clock.advance(600)
    assert (await send(robot, Text("again"), key="m2")).results[0].outcome is Outcome.OK


async def test_silence_is_unknown(robot: RobotConnector, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Http.call.__kwdefaults__, "timeout", 0.2)
    sandbox.faults.add("dingtalk", "silence")
    assert (await one(robot)).outcome is Outcome.UNKNOWN


async def test_check_inferred_tells_whether_the_robot_is_there(sandbox: Sandbox, around: Around) -> None:
    credentials = RobotCredentials(access_token="sandbox-network", base_url=sandbox.origin)
    assert await RobotConnector(credentials, around()).check() == "DingTalk robot"
    gone = RobotConnector(RobotCredentials(access_token="nobody", base_url=sandbox.origin), around())
    with pytest.raises(Problem, match="token is not exist"):
        await gone.check()
    assert sandbox.board.all() == []


async def test_what_a_robot_can_not(robot: RobotConnector) -> None:
    assert robot.features == {Feature.ONCE}
    for call in (robot.recall({}), robot.status({}), robot.update({}, Message(Text("x")))):
        with pytest.raises(Problem, match="cannot"):
            await call


async def test_credentials_are_never_shown(sandbox: Sandbox, around: Around, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = RobotCredentials(access_token="tok-hidden", secret="SEChidden", base_url=sandbox.origin)
    assert "hidden" not in f"{credentials!r} {credentials} {credentials.__rich_repr__()}"
    robot = RobotConnector(credentials, around())
    seen = [await one(robot)]
    for what in ("error", "garbage", "closed"):
        sandbox.faults.add("dingtalk", what)
        seen.append(await one(robot))
    elsewhere = RobotCredentials(access_token="tok-hidden", base_url="http://127.0.0.1:9")
    seen.append(await one(RobotConnector(elsewhere, around())))
    assert "hidden" not in f"{seen}"
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("hongyan")]
    assert "hidden" not in "".join(ours)


@pytest.mark.parametrize(
    "fields",
    [
        {"access_token": " "},
        {"access_token": "https://oapi.dingtalk.com/robot/send?access_token=x"},
        {"access_token": "x", "keywords": ("",)},
        {"access_token": "x", "base_url": "oapi.dingtalk.com"},
    ],
)
def test_credentials_that_can_not_be(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`"):
        RobotCredentials(**fields)
