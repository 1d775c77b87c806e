import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.engine.pushing import Device, Refused
from hongyan.push import content
from hongyan.push.failed import Failed

DEVICE = Device("ios", "00ff", badge=5)


def test_an_alert_is_a_text_or_an_object() -> None:
    for given_alert in ("Hi", {"body": "Hi", "title-loc-key": "T"}):
        notice = content.notice({"alert": given_alert, "title": "Ada"})
        assert (notice.title, notice.body, notice.silent) == ("Ada", "Hi", False)


def test_the_title_of_an_alert_counts_where_there_is_no_other() -> None:
    alert = {"title": "Ada", "body": "Hi"}
    assert content.notice({"alert": alert}, "News").title == "Ada"
    assert content.notice({"alert": "Hi"}, "News").title == "News"


def test_a_title_alone_is_shown() -> None:
    assert content.notice({"title": "Ada"}).body == "Ada"


def test_what_is_no_key_of_the_reference_is_data() -> None:
    given_content = {"alert": "Hi", "sound": "a.wav", "action": "com.example.OPEN", "order": {"id": 7}}
    assert content.notice(given_content).data == {"action": "com.example.OPEN", "order": {"id": 7}}


def test_a_badge_is_a_number_or_counts_on() -> None:
    assert content.badge({"badge": 3}, DEVICE) == 3
    assert content.badge({"badge": 0}, DEVICE) == 0
    assert content.badge({"badge": "Increment"}, DEVICE) == 5
    assert content.badge({"badge": "Increment"}, Device("ios", "00ff")) == 1
    assert content.badge({"badge": "increment"}, DEVICE) is None
    assert content.badge({}, DEVICE) is None


def test_numbers_of_texts_are_such_as_all_services_take() -> None:
    numbers = {content.number(str(each)) for each in range(1_000)}
    assert len(numbers) == 1_000
    assert min(numbers) >= 1
    assert max(numbers) < 2**31


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Hello", 5, "Hello"),
        ("Hello!", 5, "Hell…"),
        ("你好，世界", 4, "你好，…"),
        ("ab" + "e\u0301" + "cd", 4, "ab…"),
        ("a👍🏽bc", 3, "a…"),
        ("a👩‍🚀bcd", 4, "a…"),
        ("\u0301" * 9, 4, "…"),
    ],
)
def test_what_people_see_as_one_character_is_not_parted(text: str, limit: int, expected: str) -> None:
    assert content.shorten(text, limit) == expected


@given(st.text(max_size=300), st.text(max_size=300), st.integers(min_value=40, max_value=700))
def test_texts_are_made_to_fit_and_no_more_is_lost_than_must(title: str, body: str, limit: int) -> None:
    def build(title: str, body: str) -> bytes:
        return content.packed({"t": title, "b": body})

    shorter_title, shorter_body = content.fit(build, title, body, limit)
    assert len(build(shorter_title, shorter_body)) <= limit
    if len(build(title, body)) <= limit:
        assert (shorter_title, shorter_body) == (title, body)
    elif shorter_title == title:
        assert body.startswith(shorter_body[:-1])
    else:
        assert (shorter_body, title.startswith(shorter_title[:-1])) == ("…", True)


def test_data_are_never_cut() -> None:
    def build(title: str, body: str) -> bytes:
        return json.dumps([title, body, "x" * 100]).encode()

    with pytest.raises(Failed) as failed:
        content.fit(build, "title", "body", 100)
    assert isinstance(failed.value.outcome, Refused)
    assert failed.value.outcome.code == "PayloadTooLarge"
