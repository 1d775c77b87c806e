"""Making apps and changing their settings: what an operator may say, and what is answered."""

import asyncio
import dataclasses
import re
from collections.abc import Callable

import pytest

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.apps import change_settings
from hongyan.engine.engine import Engine
from hongyan.engine.values import App

SETTINGS = ", ".join(field.name for field in dataclasses.fields(AppSettings))

SENTENCE = r"[A-Z].*[^.]\."


def test_no_change() -> None:
    settings = AppSettings(limits=False, session_ttl=7)
    assert change_settings(settings, {}) == settings


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("limits", "off", False),
        ("limits", "on", True),
        ("filter", "refuse", "refuse"),
        ("session_ttl", "1", 1),
        ("session_ttl", "31536000", 31_536_000),
        ("session_ttl", "0060", 60),
        ("members_max", "100000", 100_000),
        ("message_max", "61440", 61_440),
        ("android_key", "a-key", "a-key"),
        ("android_key", "", ""),
    ],
)
def test_settings(name: str, text: str, value: bool | int | str) -> None:
    changed = change_settings(AppSettings(), {name: text})
    assert changed == dataclasses.replace(AppSettings(), **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("file_types", "image", "The app setting file_types is a list such as */*, not 'image'."),
        ("file_types", "", "The app setting file_types is a list such as */*, not ''."),
        ("limits", "yes", "The app setting limits is on or off, not 'yes'."),
        ("limits", "OFF", "The app setting limits is on or off, not 'OFF'."),
        ("limits", "", "The app setting limits is on or off, not ''."),
        ("session_ttl", "0", "The app setting session_ttl is a whole number from 1 to 31536000, not '0'."),
        (
            "session_ttl",
            "31536001",
            "The app setting session_ttl is a whole number from 1 to 31536000, not '31536001'.",
        ),
        ("members_max", "1", "The app setting members_max is a whole number from 2 to 100000, not '1'."),
        ("members_max", "-5", "The app setting members_max is a whole number from 2 to 100000, not '-5'."),
        ("members_max", "5.0", "The app setting members_max is a whole number from 2 to 100000, not '5.0'."),
        ("members_max", "1e3", "The app setting members_max is a whole number from 2 to 100000, not '1e3'."),
        ("members_max", " 5", "The app setting members_max is a whole number from 2 to 100000, not ' 5'."),
        ("members_max", "５", "The app setting members_max is a whole number from 2 to 100000, not '５'."),
        ("members_max", "²", "The app setting members_max is a whole number from 2 to 100000, not '²'."),
        ("members_max", "", "The app setting members_max is a whole number from 2 to 100000, not ''."),
        ("filter", "off", "The app setting filter is replace or refuse, not 'off'."),
        ("android_key", "a b", "The app setting android_key has printable characters without spaces and commas."),
        ("android_key", "a,b", "The app setting android_key has printable characters without spaces and commas."),
        ("members_max", "off", "The app setting members_max is a whole number from 2 to 100000, not 'off'."),
        ("colour", "red", f"There is no app setting 'colour'; the settings are {SETTINGS}."),
        ("__class__", "x", f"There is no app setting '__class__'; the settings are {SETTINGS}."),
    ],
)
def test_mistakes_in_settings(name: str, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=SENTENCE) as mistake:
        change_settings(AppSettings(), {"limits": "off", name: text})
    assert str(mistake.value) == sentence


def test_a_number_of_any_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="a whole number from"):
        change_settings(AppSettings(), {"members_max": "1" * 100_000})


def test_every_setting_says_what_it_is() -> None:
    for field in dataclasses.fields(AppSettings):
        assert field.metadata["help"].endswith(".")
        if "choices" in field.metadata:
            assert field.default in field.metadata["choices"]
        elif field.metadata.keys() & {"sites", "key", "url", "rewrites", "push"}:
            assert field.default == ""
        elif "pattern" in field.metadata:
            assert re.fullmatch(field.metadata["pattern"], field.default)
        else:
            assert isinstance(field.default, bool) or field.metadata["min"] <= field.default <= field.metadata["max"]


async def test_what_is_not_given_is_generated(engine: Engine) -> None:
    first, second = [await engine.apps.create("shop") for _ in range(2)]
    secrets = [first.id, first.app_key, first.master_key, first.hook_key]
    secrets += [second.id, second.app_key, second.master_key, second.hook_key]
    assert len(set(secrets)) == 8
    assert min(map(len, secrets)) >= 24
    assert first.settings == AppSettings()


async def test_what_is_given_is_kept(engine: Engine, make_engine: Callable[[], Engine]) -> None:
    made = await engine.apps.create("店", id="shop", key="k1", master_key="m1", settings={"limits": "off"})
    assert (made.name, made.id, made.app_key, made.master_key) == ("店", "shop", "k1", "m1")
    assert made.settings == AppSettings(limits=False)
    restarted = make_engine()
    await restarted.start()
    assert restarted.apps.list() == engine.apps.list() == [made]
    assert (restarted.apps.get("shop"), restarted.apps.get("absent")) == (made, None)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"id": ""}, "An app id has 1 to 128 printable characters without spaces."),
        ({"id": "x" * 129}, "An app id has 1 to 128 printable characters without spaces."),
        ({"id": "two words"}, "An app id has 1 to 128 printable characters without spaces."),
        ({"id": "line\n"}, "An app id has 1 to 128 printable characters without spaces."),
        ({"id": "test"}, "An app with the id test exists already."),
        ({"key": ""}, "The key has printable characters without spaces and commas."),
        ({"key": "a,b"}, "The key has printable characters without spaces and commas."),
        ({"master_key": "a b"}, "The master key has printable characters without spaces and commas."),
        ({"master_key": "\x7f"}, "The master key has printable characters without spaces and commas."),
        ({"settings": {"limits": "no"}}, "The app setting limits is on or off, not 'no'."),
    ],
)
async def test_mistakes_make_no_app(engine: Engine, app: App, fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=SENTENCE) as mistake:
        await engine.apps.create("name", **fields)  # type: ignore[arg-type]
    assert str(mistake.value) == sentence
    assert engine.apps.list() == [app]


async def test_two_at_once_cannot_take_one_id(engine: Engine) -> None:
    made = await asyncio.gather(
        *(engine.apps.create(name, id="shop") for name in ("first", "second")), return_exceptions=True
    )
    assert isinstance(made[0], App)
    assert str(made[1]) == "An app with the id shop exists already."
    assert engine.apps.list() == [made[0]]


async def test_changes_are_kept(engine: Engine, make_engine: Callable[[], Engine], app: App) -> None:
    changed = await engine.apps.change("test", {"limits": "off"})
    changed = await engine.apps.change("test", {"members_max": "9"})
    assert changed == dataclasses.replace(app, settings=AppSettings(limits=False, members_max=9))
    restarted = make_engine()
    await restarted.start()
    assert restarted.apps.list() == engine.apps.list() == [changed]


async def test_a_mistake_changes_nothing(engine: Engine, app: App) -> None:
    with pytest.raises(ValueError, match="members_max"):
        await engine.apps.change("test", {"limits": "off", "members_max": "1"})
    with pytest.raises(ValueError, match=r"^There is no app with the id absent\.$"):
        await engine.apps.change("absent", {"limits": "off"})
    assert engine.apps.list() == [app]


async def test_two_changes_at_once_are_both_kept(engine: Engine, app: App) -> None:
    await asyncio.gather(
        engine.apps.change("test", {"limits": "off"}), engine.apps.change("test", {"members_max": "9"})
    )
    assert engine.apps.list()[0].settings == AppSettings(limits=False, members_max=9)
