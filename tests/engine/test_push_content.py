import pytest

from hongyan.engine.push_content import parse, parse_static


def test_an_object_is_taken_as_it_is_or_as_text() -> None:
    for given in ({"alert": "Hi", "order": 7}, '{"alert": "Hi", "order": 7}'):
        assert parse(given).for_platform("mi") == {"alert": "Hi", "order": 7}


@pytest.mark.parametrize("text", ["Lunch?", "7", '["a"]', "{not JSON", '"quoted"'])
def test_any_other_text_is_the_alert_inferred(text: str) -> None:
    assert parse(text).for_platform("ios") == {"alert": text}


def test_what_is_said_for_one_platform_goes_before_the_rest() -> None:
    content = parse(
        {
            "alert": "all",
            "title": "all",
            "ios": {"alert": "apple", "badge": "Increment"},
            "android": {"alert": "android", "silent": True},
            "mi": {"alert": "xiaomi"},
        }
    )
    assert content.for_platform("ios") == {"alert": "apple", "title": "all", "badge": "Increment"}
    assert content.for_platform("mi") == {"alert": "xiaomi", "title": "all", "silent": True}
    assert content.for_platform("fcm") == {"alert": "android", "title": "all", "silent": True}
    assert content.for_platform("web") == {"alert": "all", "title": "all"}


def test_profile_and_team_count_at_the_top_only_and_are_not_sent_on() -> None:
    content = parse({"alert": "Hi", "_profile": "dev", "_apns_team_id": "TEAM", "ios": {"_profile": "prod"}})
    assert (content.environment, content.team) == ("dev", "TEAM")
    assert content.for_platform("ios") == {"alert": "Hi"}
    inside = parse({"alert": "Hi", "ios": {"_profile": "dev", "_apns_team_id": "TEAM"}})
    assert (inside.environment, inside.team) == ("prod", "")
    assert inside.for_platform("ios") == {"alert": "Hi"}


def test_variables_are_filled_into_the_static_text_only() -> None:
    text = '{"alert": "${fromClientId}: news", "in": ["${convId}", {"at": "${timestamp}"}], "${convId}": 1}'
    filled = parse_static(text, "5f", 1_700_000_000_999, "tom")
    assert filled.for_platform("ios") == {
        "alert": "tom: news",
        "in": ["5f", {"at": "1700000000"}],
        "${convId}": 1,
    }
    assert parse("${convId}").for_platform("ios") == {"alert": "${convId}"}


def test_a_client_id_in_a_variable_stays_a_text() -> None:
    client = 'x", "sound": "${convId}'
    assert parse_static('{"alert": "${fromClientId}"}', "5f", 0, client).for_platform("ios") == {"alert": client}
    assert parse_static("From ${fromClientId}", "5f", 0, client).for_platform("ios") == {"alert": f"From {client}"}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "the content of a push is empty"),
        ({"ios": {}}, "the content of a push is empty"),
        ({"_profile": "dev"}, "the content of a push is empty"),
        ({"ios": "Hi"}, "`ios` must be an object"),
        ({"alert": 7}, "`alert` in the content of a push must be a text or an object"),
        (
            {"alert": "Hi", "mi": {"badge": "increment"}},
            "`badge` in `mi` must be a number or the word Increment",
        ),
        (
            {"alert": "Hi", "badge": True},
            "`badge` in the content of a push must be a number or the word Increment",
        ),
        (
            {"alert": "Hi", "badge": 2**31},
            "`badge` in the content of a push must be a number or the word Increment",
        ),
        (
            {"alert": "Hi", "badge": -1},
            "`badge` in the content of a push must be a number or the word Increment",
        ),
        ({"alert": "Hi", "_apns_team_id": 7}, "`_apns_team_id` must be a text"),
    ],
)
def test_what_can_not_be_sent_is_refused_with_one_sentence(given: dict[str, object], error: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text follows
        parse(given)
    assert str(refused.value) == error
