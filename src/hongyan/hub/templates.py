"""Templates: messages with places for variables, in several languages, with what differs on a platform.

Every text of a template is a template of its own, in `hub.template_language`; they end within a time and a size.
Whoever may write a template may thereby do nothing but write messages.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from jinja2 import Undefined
from msgspec import Struct

from hongyan.errors import INVALID_VALUE, Refused
from hongyan.hub import content
from hongyan.hub.content import BYTES_MAX, Message
from hongyan.hub.template_language import Environment, Filling, environment, program
from hongyan.hub.variables import NOTHING, Schema, check_schema, fill

#: Bytes of a template as JSON; languages and platforms of one; texts of one message of it.
TEMPLATE_MAX, LANGUAGES_MAX, PLATFORMS_MAX, TEXTS_MAX = 262_144, 30, 20, 2000
#: How deep a message is.
DEPTH_MAX = 12
DEFAULT = "default"

Json = Any
#: A message as JSON, whose texts have places for variables, by language; `default` is for all others.
Languages = dict[str, dict[str, Json]]


class Template(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`languages` are what it says by language; `platforms` what it says instead on a platform."""

    languages: Languages
    platforms: dict[str, Languages] = {}
    variables: Schema = msgspec.field(default_factory=lambda: NOTHING)
    description: str = ""


def parse(body: bytes) -> Template:
    """A template of its JSON, checked. Raises Refused with one sentence."""
    template = content.decoded(body, Template, TEMPLATE_MAX, "template")
    check(template)
    return template


def check(template: Template) -> None:
    """Raises Refused with one sentence. Takes long enough to be done in a thread."""
    check_schema(template.variables)
    if DEFAULT not in template.languages:
        raise _wrong(f"a template has the language `{DEFAULT}`, for all that it does not have")
    if len(template.platforms) > PLATFORMS_MAX:
        raise _wrong(f"a template has at most {PLATFORMS_MAX} platforms")
    for where, languages in [("", template.languages), *template.platforms.items()]:
        if len(languages) > LANGUAGES_MAX:
            raise _wrong(f"a template has at most {LANGUAGES_MAX} languages")
        for language, message in languages.items():
            place = f"{where} {language}".strip()
            if not _LANGUAGE.fullmatch(language):
                raise _wrong(f"`{language}` is no language: write such as en, zh-CN, or {DEFAULT}")
            _check_message(message, template.variables, place)


_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}")


def choose(template: Template, language: str = "", platform: str = "") -> dict[str, Json]:
    """What it says: on this platform, if something of its own is there; in the language, or the nearest to it."""
    for languages in (template.platforms.get(platform), template.languages):
        by_name = {name.lower(): message for name, message in (languages or {}).items()}
        for name in _nearest(language.lower()):
            if name in by_name:
                return by_name[name]
    raise _wrong(f"the template has no language `{DEFAULT}`")


def _nearest(language: str) -> Iterator[str]:
    """`zh-hans-cn`, `zh-hans`, `zh`, `default`."""
    while language:
        yield language
        language = language.rpartition("-")[0]
    yield DEFAULT


def fill_in(template: Template, variables: Mapping[str, Json], language: str = "", platform: str = "") -> Message:
    """The message with these variables. Raises Refused with one sentence. Belongs in a thread."""
    given = fill(template.variables, dict(variables))
    written = _Message(given).value(choose(template, language, platform), (), DEPTH_MAX)
    try:
        message = msgspec.convert(written, Message, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong(f"with these variables the message is wrong: {error}") from None
    if len(content.encode(message)) > BYTES_MAX:
        raise _wrong(f"with these variables the message has more than {BYTES_MAX:,} bytes")
    content.check(message)
    return message


def _check_message(message: dict[str, Json], variables: Schema, place: str) -> None:
    """That it has the shape of a message, as far as that is known without variables, and that its texts can be read."""
    inner = message.get("content")
    type_ = inner.get("type") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(type_, str) or type_ not in content.TYPES:
        raise _wrong(f"{place}: the content of a message has a type: {', '.join(content.TYPES)}")
    unknown = message.keys() - {*Message.__struct_fields__}
    unknown |= inner.keys() - {"type", *content.TYPES[type_].__struct_fields__}
    if unknown:
        raise _wrong(f"{place}: there is no field `{min(unknown)}` here")
    for number, (path, source) in enumerate(_texts(message, (), place)):
        if number >= TEXTS_MAX:
            raise _wrong(f"{place}: a message of a template has at most {TEXTS_MAX:,} texts")
        try:
            names = program(environment(path, type_, source), source).names
            if missing := names - variables.properties.keys():
                raise _wrong(f"there is no variable `{min(missing)}`")
        except Refused as refused:
            raise _wrong(f"{place}, {'.'.join(map(str, path))}: {refused.detail}") from None


def _texts(value: Json, path: tuple[Json, ...], place: str) -> Iterator[tuple[tuple[Json, ...], str]]:
    if len(path) > DEPTH_MAX:
        raise _wrong(f"{place}: a message is at most {DEPTH_MAX} levels deep")
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(each, (*path, key), place)


@dataclass(slots=True)
class _Message:
    """Fills in one message. A text that is a variable which is null is left out."""

    variables: Mapping[str, Json]
    filling: Filling = field(default_factory=lambda: Filling(BYTES_MAX))
    type: Json = None

    def value(self, value: Json, path: tuple[Json, ...], depth: int) -> Json:
        if not depth:
            raise _wrong(f"a message is at most {DEPTH_MAX} levels deep")
        if path == ("content",):
            self.type = value.get("type")
        match value:
            case str():
                return self._text(value, path)
            case dict():
                items = ((key, self.value(each, (*path, key), depth - 1)) for key, each in value.items())
                return {key: each for key, each in items if each is not None}
            case list():
                elements = [self.value(each, (*path, index), depth - 1) for index, each in enumerate(value)]
                return [each for each in elements if each is not None]
            case _:
                return value

    def _text(self, source: str, path: tuple[Json, ...]) -> Json:
        if "{" not in source:
            return source
        language = environment(path, self.type, source)
        try:
            ready = program(language, source)
            if ready.whole is not None:
                value = self._variable(language, ready.whole)
                if value is None or isinstance(value, list | dict):
                    return value
            return self.filling.text(ready, self.variables)
        except Refused as refused:
            raise _wrong(f"{'.'.join(map(str, path))}: {refused.detail}") from None

    def _variable(self, language: Environment, way: tuple[Json, ...]) -> Json:
        """It is Undefined if something on the way is not there."""
        value = self.variables[way[0]]
        for key in way[1:]:
            if isinstance(value, Undefined):
                break
            value = language.getitem(value, key)
        return value


def _wrong(sentence: str) -> Refused:
    return Refused(INVALID_VALUE, sentence)
