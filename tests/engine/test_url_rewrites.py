"""URLs in old messages that lead elsewhere for who reads them: `url_rewrites`."""

import json

import pytest

from hongyan.engine import url_rewrites
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.apps import change_settings
from hongyan.engine.values import App, Archived, Message

OLD, NEW = "http://ac-old.clouddn.com/", "https://chat.example.com/files/"


def app(setting: str) -> App:
    return App(1, "app", "", "", "", "", change_settings(AppSettings(), {"url_rewrites": setting}), 0)


async def read(content: str | bytes, setting: str = f"{OLD}={NEW}") -> str | bytes:
    """The body of a message, as it is read."""
    (found,) = await url_rewrites.rewritten(app(setting), [Message("m", 1, 1, "ann", content)])
    return found.content


def image(url: str) -> str:
    return json.dumps({"_lctype": -2, "_lcfile": {"url": url, "objId": "f", "metaData": {"name": "a.png"}}})


async def test_the_address_of_a_file_is_rewritten_and_all_else_stays() -> None:
    assert await read(image(OLD + "k/a.png?x=1")) == image(NEW + "k/a.png?x=1")


@pytest.mark.parametrize(
    "body",
    [
        OLD + "a.png",
        f'see "{OLD}a.png"',
        json.dumps({"_lctext": f"see {OLD}a.png"}),
        json.dumps({"_lctext": f'she wrote "{OLD}a.png"'}),
        json.dumps({"_lctext": f'\\"{OLD}a.png'}),
        json.dumps({OLD + "a.png": 1}),
        f'{{"{OLD}a" : "x"}}',
        '{"url": "http://ac-old.clouddn.com.evil.example/a.png"}',
        f'{{"url": "{OLD}a.png"',
        "[" * 100_000 + f'"{OLD}"',
        "",
    ],
)
async def test_what_is_no_value_of_json_that_begins_so_stays(body: str) -> None:
    assert await read(body) == body


@pytest.mark.parametrize(
    ("body", "read_as"),
    [
        (f'"{OLD}a"', f'"{NEW}a"'),
        (f'["{OLD}a",{{"x":["{OLD}b"]}}]', f'["{NEW}a",{{"x":["{NEW}b"]}}]'),
        ('{"url":"http:\\/\\/ac-old.clouddn.com\\/a\\/b"}', f'{{"url":"{NEW}a\\/b"}}'),
        (f'{{"a\\\\":"{OLD}a","b":"\\\\","c":"{OLD}"}}', f'{{"a\\\\":"{NEW}a","b":"\\\\","c":"{NEW}"}}'),
        (f' {{ "url" : "{OLD}照片" }} ', f' {{ "url" : "{NEW}照片" }} '),
    ],
)
async def test_values_of_json_are_rewritten_wherever_they_stand(body: str, read_as: str) -> None:
    assert await read(body) == read_as


async def test_bytes_stay() -> None:
    assert await read(f'"{OLD}a"'.encode()) == f'"{OLD}a"'.encode()


async def test_the_longest_prefix_counts_and_nothing_is_rewritten_twice() -> None:
    setting = (
        "http://a.example/=http://b.example/,http://a.example/x/=https://c.example/,http://b.example/=http://d.example/"
    )
    assert await read('["http://a.example/1","http://a.example/x/2"]', setting) == (
        '["http://b.example/1","https://c.example/2"]'
    )


async def test_what_is_kept_is_not_changed_and_without_rewrites_nothing_is_done() -> None:
    message = Message("m", 1, 1, "ann", image(OLD + "a"))
    messages = [message]
    (found,) = await url_rewrites.rewritten(app(f"{OLD}={NEW}"), messages)
    assert (message.content, found.content) == (image(OLD + "a"), image(NEW + "a"))
    assert await url_rewrites.rewritten(app(""), messages) is messages
    archived = [Archived("c", "", message)]
    assert await url_rewrites.rewritten_archive(app(""), archived) is archived


async def test_much_content_is_rewritten_as_well() -> None:
    body = json.dumps([OLD + "a" * 1_000] * 500)
    assert await read(body) == body.replace(OLD, NEW)


def test_the_setting_is_kept_as_it_was_meant() -> None:
    given = f" {OLD}={NEW} , https://x.example:8443/a?b=https://[::1]/ ,,"
    assert url_rewrites.parse("") == ""
    assert url_rewrites.parse(given) == f"{OLD}={NEW},https://x.example:8443/a?b=https://[::1]/"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x", "has pairs of URLs with a host and a path"),
        (OLD, "has pairs of URLs with a host and a path"),
        (f"{OLD}=", "has pairs of URLs with a host and a path"),
        (f"http://ac-old.clouddn.com={NEW}", "has pairs of URLs with a host and a path"),
        (f"{OLD}=ftp://x/", "has pairs of URLs with a host and a path"),
        (f"{OLD}=javascript:alert(1)", "has pairs of URLs with a host and a path"),
        (f'{OLD}=https://x/"', "has pairs of URLs with a host and a path"),
        (f"{OLD}={NEW},{OLD}={NEW}x", "twice"),
        (",".join(f"http://a/{n}=http://b/" for n in range(101)), "at most 100 pairs"),
        (f"{OLD}=https://x/{'y' * 20_000}", "at most 100 pairs in 16384 characters"),
    ],
)
def test_a_wrong_setting_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        change_settings(AppSettings(), {"url_rewrites": text})
