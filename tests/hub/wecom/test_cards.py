"""Cards with buttons and forms that tell the application what was pressed."""

import pytest

from hongyan.hub.connectors.wecom.app import App
from hongyan.hub.connectors.wecom.cards import key_of, key_of_task, pressed, task_id
from hongyan.hub.content import Button, Card, Field, Form, Input, Option
from hongyan.sandbox.wecom import WeCom
from tests.hub.wecom.sending import LI, ZHANG, arrived, receipt, rules, tell
from tests.support.hub import Files

URL = "https://example.com/a"
DAYS = tuple(Option(str(number), f"{number} 天") for number in range(1, 4))


async def test_buttons(app: App, wecom: WeCom) -> None:
    card = Card(
        "请审批",
        "三天年假",
        "warning",
        fields=(Field("申请人", "李四"),),
        buttons=(
            Button("同意", id="yes", value="42", style="primary"),
            Button("拒绝", id="no", style="danger", confirm="确定？"),
            Button("查看这一次申请的详情", url=URL),
        ),
        url=URL,
        footer="人事",
    )
    sent = await tell(app, card)
    [(type_, value)] = arrived(wecom)
    assert type_ == "template_card"
    assert value == {
        "card_type": "button_interaction",
        "source": {"desc": "人事"},
        "main_title": {"title": "⚠️ 请审批"},
        "sub_title_text": "三天年假",
        "horizontal_content_list": [{"keyname": "申请人", "value": "李四"}],
        "button_list": [
            {"text": "同意", "style": 1, "type": 0, "key": "yes:42"},
            {"text": "拒绝", "style": 2, "type": 0, "key": "no"},
            {"text": "查看这一次申请的详情", "style": 4, "type": 1, "url": URL},
        ],
        "card_action": {"type": 1, "url": URL},
        "task_id": receipt(sent)["task_id"],
    }
    assert set(receipt(sent)) == {"task_id", "msgid", "response_code"}
    assert rules(sent) == {"level_to_sign", "confirm_dropped"}


async def test_what_a_card_has_no_room_for_comes_before(app: App, wecom: WeCom) -> None:
    buttons = tuple(Button(f"按钮{number}", id=f"b{number}") for number in range(8))
    sent = await tell(app, Card("选择", "字" * 200, buttons=buttons))
    (first, text), (second, card) = arrived(wecom)
    assert (first, second) == ("markdown", "template_card")
    assert "字" * 200 in text["content"]
    assert "[按钮6](https://hongyan.example/act/k1/b6) | [按钮7]" in text["content"]
    assert "sub_title_text" not in card
    assert [each["text"] for each in card["button_list"]] == [f"按钮{number}" for number in range(6)]
    assert {"buttons_split", "text_split"} <= rules(sent)
    assert "text_cut" not in rules(sent)


async def test_a_label_that_is_too_long_is_cut(app: App, wecom: WeCom) -> None:
    sent = await tell(app, Card("题" * 50, buttons=(Button("这个按钮的字实在太多了", id="x"),)))
    [(_, card)] = arrived(wecom)
    assert len(card["main_title"]["title"]) == 36
    assert len(card["button_list"][0]["text"]) == 10
    assert rules(sent) == {"title_cut"}


async def test_a_picture_in_a_card_with_buttons_is_a_link(app: App, wecom: WeCom, files: Files) -> None:
    sent = await tell(app, Card("看", image=files.add(), buttons=(Button("好", id="ok"),)))
    [(_, card)] = arrived(wecom)
    assert card["horizontal_content_list"] == [
        {"type": 1, "keyname": "🖼", "value": "picture.png", "url": "https://files.example/picture.png"}
    ]
    assert rules(sent) == {"image_to_link"}


async def test_a_form_of_lists(app: App, wecom: WeCom) -> None:
    inputs = (Input("days", "天数", "select", DAYS, value="2"), Input("kind", "类型", "select", DAYS))
    sent = await tell(app, Card("请假", "请选择", form=Form("leave", inputs, "提交")))
    [(_, card)] = arrived(wecom)
    options = [{"id": str(number), "text": f"{number} 天"} for number in range(1, 4)]
    assert card == {
        "card_type": "multiple_interaction",
        "main_title": {"title": "请假", "desc": "请选择"},
        "select_list": [
            {"question_key": "days", "title": "天数", "selected_id": "2", "option_list": options},
            {"question_key": "kind", "title": "类型", "option_list": options},
        ],
        "submit_button": {"text": "提交", "key": "leave"},
        "task_id": receipt(sent)["task_id"],
    }
    assert rules(sent) == set()


async def test_a_form_of_boxes_is_a_vote(app: App, wecom: WeCom) -> None:
    form = Form("lunch", (Input("what", "吃什么", "checks", DAYS, value="1"),))
    sent = await tell(app, Card("午餐", "随便选", form=form))
    (first, _), (_, card) = arrived(wecom)
    assert first == "markdown"
    assert (card["card_type"], card["main_title"]["desc"]) == ("vote_interaction", "吃什么")
    assert (card["checkbox"]["mode"], card["checkbox"]["option_list"][0]["is_checked"]) == (1, True)
    assert rules(sent) == {"text_split", "card_to_markdown"}


LONG_ID, MANY = (Option("x" * 129, "长"),), tuple(Option(str(number), "x") for number in range(11))


@pytest.mark.parametrize(
    "inputs",
    [
        (Input("why", "原因"),),
        (Input("when", "日期", "date"),),
        (Input("days", "天数", "select", DAYS, hint="几天"),),
        (Input("days", "天数", "select", LONG_ID),),
        (Input("days", "天数", "select", MANY),),
        tuple(Input(str(number), "x", "select", DAYS) for number in range(4)),
        (Input("a", "x", "checks", DAYS), Input("b", "x", "checks", DAYS)),
    ],
)
async def test_other_forms_are_filled_in_on_a_page_unverified(
    app: App, wecom: WeCom, inputs: tuple[Input, ...]
) -> None:
    sent = await tell(app, Card("请假", form=Form("leave", inputs, "提交")))
    [(_, card)] = arrived(wecom)
    assert card["button_list"] == [
        {"text": "提交", "style": 4, "type": 1, "url": "https://hongyan.example/act/k1/leave"}
    ]
    assert rules(sent) == {"form_to_page"}


async def test_a_form_beside_buttons_is_filled_in_on_a_page(app: App, wecom: WeCom) -> None:
    form = Form("leave", (Input("days", "天数", "select", DAYS),), "提交")
    sent = await tell(app, Card("请假", buttons=(Button("取消", id="no"),), form=form))
    [(_, card)] = arrived(wecom)
    assert [(each["text"], each["type"]) for each in card["button_list"]] == [("取消", 0), ("提交", 1)]
    assert rules(sent) == {"form_to_page"}


async def test_a_long_value_is_no_field_of_a_card_unverified(app: App, wecom: WeCom) -> None:
    sent = await tell(app, Card("日志", fields=(Field("输出", "字" * 101),), url=URL))
    [(type_, value)] = arrived(wecom)
    assert type_ == "markdown"
    assert "字" * 101 in value["content"]
    assert "fields_to_lines" in rules(sent)


async def test_titles_and_addresses_leave_room(app: App, wecom: WeCom) -> None:
    sent = await tell(app, Card("题" * 300, "字" * 900, url="https://example.com/" + "a" * 2900))
    parts = [value["content"] for _, value in arrived(wecom)]
    assert all(len(part.encode()) <= 2048 for part in parts)
    assert {"title_cut", "text_cut", "text_split"} <= rules(sent)


async def test_without_a_callback_buttons_open_pages(mute_app: App, wecom: WeCom) -> None:
    sent = await tell(mute_app, Card("请审批", buttons=(Button("同意", id="yes"),)))
    [(_, card)] = arrived(wecom)
    assert card["card_type"] == "text_notice"
    assert card["jump_list"] == [{"type": 1, "title": "同意", "url": "https://hongyan.example/act/k1/yes"}]
    assert rules(sent) == {"buttons_to_page"}
    assert set(receipt(sent)) == {"msgid"}


async def test_a_notice_without_buttons(app: App, wecom: WeCom) -> None:
    await tell(app, Card("发布", "已上线", url=URL))
    assert arrived(wecom)[0][1]["card_type"] == "text_notice"


async def test_tasks_differ_by_those_they_go_to(app: App, wecom: WeCom) -> None:
    card = Card("请审批", buttons=(Button("同意", id="yes"),))
    tasks = {receipt(await tell(app, card, to))["task_id"] for to in (ZHANG, LI)}
    assert len(tasks) == 2
    assert {key_of_task(task) for task in tasks} == {"k1"}


def test_keys_of_any_text() -> None:
    for id_, value in (("a:b/ü", "x:y"), ("a", ""), ("", "v")):
        assert pressed(key_of(id_, value)) == (id_, value)
    assert len(task_id("键" * 300, "x")) <= 128
    assert task_id("键", "x").isascii()
