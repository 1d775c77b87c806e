"""Apps: made by operators, asked for by every door."""

import asyncio
import dataclasses
import re
import secrets
import string
from collections.abc import Mapping
from typing import Any

from hongyan.engine import json_text, push_content, url_rewrites, urls, web_domains
from hongyan.engine.app_settings import PRESETS, AppSettings
from hongyan.engine.clock import Clock
from hongyan.engine.ports import AppStore
from hongyan.engine.values import App

_ID_MAX = 128
_NAME_MAX = 128
_LETTERS = string.ascii_letters + string.digits


class Apps:
    """All apps, in memory; changes go to the store first."""

    def __init__(self, store: AppStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._by_id: dict[str, App] = {}
        self._by_key: dict[int, App] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        self._by_id = {app.id: app for app in await self._store.all()}
        self._by_key = {app.key: app for app in self._by_id.values()}

    def get(self, app_id: str) -> App | None:
        return self._by_id.get(app_id)

    def of_key(self, key: int) -> App | None:
        """The app with this key in the store. May be asked in any thread."""
        return self._by_key.get(key)

    def list(self) -> "list[App]":
        """Oldest first; the first is the company's home app."""
        return list(self._by_id.values())

    async def create(
        self,
        name: str,
        id: str | None = None,
        key: str | None = None,
        master_key: str | None = None,
        settings: Mapping[str, str] | None = None,
        hook_key: str | None = None,
    ) -> App:
        """Make an app; what is None is generated. Raises ValueError with a sentence."""
        app_id = _random_text() if id is None else id
        _check_id(app_id)
        _check_name(name)
        if app_id in self._by_id:
            raise ValueError(f"An app with the id {app_id} exists already.")
        app = App(
            key=0,
            id=app_id,
            name=name,
            app_key=_key(key, "key"),
            master_key=_key(master_key, "master key"),
            hook_key=_key(hook_key, "hook key"),
            settings=change_settings(AppSettings(), settings or {}),
            created_at=self._clock.now(),
        )
        made = self._by_id[app_id] = await self._store.insert(app)
        self._by_key[made.key] = made
        return made

    async def change(self, app_id: str, settings: Mapping[str, str]) -> App:
        """Change settings of an app. Raises ValueError with a sentence; then nothing is changed."""
        async with self._changing:
            app = self._by_id.get(app_id)
            if app is None:
                raise ValueError(f"There is no app with the id {app_id}.")
            changed = change_settings(app.settings, settings)
            asks = _deletes_more(app.settings, changed)
            await self._store.update(dataclasses.replace(app, settings=changed), asks=asks)
            app.settings = changed
            return app


def change_settings(settings: AppSettings, changes: Mapping[str, str]) -> AppSettings:
    """`settings` with the `KEY=VALUE` texts applied. Raises ValueError with a sentence."""
    fields = {field.name: field for field in dataclasses.fields(AppSettings)}
    values: dict[str, Any] = {}
    for name, text in _with_preset(changes).items():
        if name not in fields:
            known = ", ".join(fields)
            raise ValueError(f"There is no app setting {name!r}; the settings are {known}.")
        values[name] = _parse(fields[name], text)
    return dataclasses.replace(settings, **values)


def _with_preset(changes: Mapping[str, str]) -> dict[str, str]:
    """`preset=NAME` stands for several settings; what is given besides has precedence."""
    given = dict(changes)
    preset = given.pop("preset", None)
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"There is no preset {preset!r}; the presets are {', '.join(PRESETS)}.")
    return PRESETS[preset] | given if preset is not None else given


def _deletes_more(before: AppSettings, after: AppSettings) -> bool:
    """Whether something expires that would not have expired yet."""
    pairs = (
        (before.message_days, after.message_days),
        (before.conversation_days, after.conversation_days),
    )
    return any(new and (not old or new < old) for old, new in pairs)


def _parse(field: "dataclasses.Field[Any]", text: str) -> bool | int | str:
    if isinstance(field.default, bool):
        if text not in ("on", "off"):
            raise ValueError(f"The app setting {field.name} is on or off, not {text!r}.")
        return text == "on"
    if "choices" in field.metadata:
        return _choose(field, text)
    if "push" in field.metadata:
        return _push_content(field, text)
    if "sites" in field.metadata:
        return web_domains.parse(text)
    if "key" in field.metadata:
        return _key(text, f"app setting {field.name}") if text else ""
    if "url" in field.metadata:
        return _url(field, text)
    if "rewrites" in field.metadata:
        return url_rewrites.parse(text)
    if "pattern" in field.metadata:
        return _match(field, text)
    low, high = field.metadata["min"], field.metadata["max"]
    if not text.isascii() or not text.isdigit() or not low <= int(text[:12]) <= high:
        raise ValueError(f"The app setting {field.name} is a whole number from {low} to {high}, not {text!r}.")
    return int(text)


def _url(field: "dataclasses.Field[Any]", text: str) -> str:
    is_whole = field.metadata["url"] == "whole"  # otherwise paths are added to it
    if text and (not urls.is_web_url(text) or ("?" in text and not is_whole)):
        raise ValueError(f"The app setting {field.name} is a URL that begins with http:// or https://, not {text!r}.")
    return text if is_whole else text.rstrip("/")


def _choose(field: "dataclasses.Field[Any]", text: str) -> str:
    choices = field.metadata["choices"]
    if text not in choices:
        raise ValueError(f"The app setting {field.name} is {' or '.join(choices)}, not {text!r}.")
    return text


def _match(field: "dataclasses.Field[Any]", text: str) -> str:
    if not re.fullmatch(field.metadata["pattern"], text):
        raise ValueError(f"The app setting {field.name} is a list such as {field.default}, not {text!r}.")
    return text


def _push_content(field: "dataclasses.Field[Any]", text: str) -> str:
    if not text:
        return ""
    if len(text.encode("utf-8", "replace")) > field.metadata["push"]:
        raise ValueError(f"The app setting {field.name} has at most {field.metadata['push']:,} bytes.")
    try:
        if text.lstrip().startswith("{"):
            json_text.parse(text)  # otherwise half an object would be the alert
        push_content.parse(text)
    except ValueError as mistake:
        raise ValueError(f"The app setting {field.name} is no content of a push: {mistake}.") from None
    return text


def _random_text() -> str:
    """32 letters and digits, 190 bits; nothing that a shell or a command line could take for something else."""
    return "".join(secrets.choice(_LETTERS) for _ in range(32))


def _check_id(app_id: str) -> None:
    if not 1 <= len(app_id) <= _ID_MAX or not app_id.isprintable() or " " in app_id:
        raise ValueError(f"An app id has 1 to {_ID_MAX} printable characters without spaces.")


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _NAME_MAX or not name.isprintable():
        raise ValueError(f"An app's name has 1 to {_NAME_MAX} printable characters, and not spaces only.")


def _key(given: str | None, what: str) -> str:
    if given is None:
        return _random_text()
    if not given or not given.isprintable() or "," in given or " " in given:
        raise ValueError(f"The {what} has printable characters without spaces and commas.")
    return given
