"""Bodies of webhooks that somebody writes, in the language of templates."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from hongyan.errors import Refused
from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.template_language import Environment, Filling, program

#: Characters of a template, and of a body.
TEMPLATE_MAX, BODY_MAX = 20_000, 1_048_576
#: The names that a template reads.
NAMES = frozenset({"message", "content", "title", "text", "markdown", "key", "time", "reply_to"})
TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded", "text": "text/plain; charset=utf-8"}


def _in_quotes(text: str) -> str:
    """Within the quotation marks of a text of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


_JSON, _PLAIN = Environment(_in_quotes, BODY_MAX), Environment(str, BODY_MAX)


class Body:
    """A template of a kind. Raises ValueError with a sentence for what is not allowed in one."""

    def __init__(self, source: str, kind: str) -> None:
        self.type = TYPES[kind]
        self._kind = kind
        if len(source) > TEMPLATE_MAX:
            raise ValueError(f"the template has at most {TEMPLATE_MAX:,} characters")
        try:
            self._program = program(_PLAIN if kind == "text" else _JSON, source)
        except Refused as refused:
            raise ValueError(f"the template: {refused.detail}") from None
        if unknown := self._program.names - NAMES:
            raise ValueError(f"the template can't read `{min(unknown)}`, only {', '.join(sorted(NAMES))}")

    def fill_in(self, values: Mapping[str, Any]) -> bytes:
        """Raises Problem. Belongs in a thread."""
        try:
            body = Filling(BODY_MAX).text(self._program, values).encode()
        except Refused as refused:
            raise _wrong(f"the template does not fit this message: {refused.detail}") from None
        if self._kind == "text":
            return body
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise _wrong("the template does not give JSON") from None
        if self._kind == "json":
            return body
        if not isinstance(value, dict) or any(isinstance(each, dict | list) for each in value.values()):
            raise _wrong("the template of a form gives a JSON object of texts")
        return urlencode({name: _field(each) for name, each in value.items()}).encode()


def _field(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _wrong(reason: str) -> Problem:
    return Problem(Outcome.BAD_CONTENT, reason, advice="Correct the channel's template.")


def at_path(value: Any, path: str) -> Any:
    """What is at a path like `data.items[0].id` of JSON; None if there is nothing."""
    for step in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and len(step) < 10 and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
