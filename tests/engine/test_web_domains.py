"""The sites whose pages may use an app."""

import pytest

from hongyan.engine import web_domains

SETTING = "chat.example.com,*.example.org,https://safe.example,[::2]:8000,host:8080"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "https://chat.example.com",
        "http://chat.example.com:3000",
        "https://CHAT.example.com",
        "https://a.example.org",
        "https://a.b.example.org",
        "https://safe.example",
        "http://[::2]:8000",
        "http://host:8080",
        "http://localhost",
        "https://localhost:5173",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
    ],
)
def test_who_may(origin: str | None) -> None:
    assert web_domains.allows(SETTING, origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "https://evil.example",
        "https://xchat.example.com",
        "https://chat.example.com.evil.example",
        "https://example.org",
        "https://badexample.org",
        "http://safe.example",
        "http://host",
        "http://host:80801",
        "http://localhost.evil.example",
        "file://chat.example.com",
        "https://user@evil.example",
        "chat.example.com",
        "http://[::1",
    ],
)
def test_who_may_not(origin: str) -> None:
    assert not web_domains.allows(SETTING, origin)


def test_without_the_setting_everybody_may() -> None:
    assert web_domains.allows("", "https://evil.example")


def test_the_setting_is_kept_in_one_form() -> None:
    assert web_domains.parse(" Chat.example.com/ , *.b ,, chat.example.com") == "chat.example.com,*.b"
    assert web_domains.parse("") == ""


@pytest.mark.parametrize(
    "text", ["a b", "ftp://a", "*", "a.*", "http://", "a/b", "a:port", "鸿雁.cn", "a," * 101 + "b" * 5_000]
)
def test_settings_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="web_domains"):
        web_domains.parse(text)
