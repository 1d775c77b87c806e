"""Bodies of webhooks that somebody writes: a little of Jinja, with which nothing can be done but write a body."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from jinja2 import TemplateError, nodes
from jinja2.runtime import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hongyan.hub.connector import Outcome, Problem

#: Characters of a template, bytes of a body, and how deep loops stand in each other.
TEMPLATE_MAX, BODY_MAX, LOOPS_MAX = 20_000, 1_048_576, 2
#: Turns of all loops of a template together, and seconds that they may take.
TURNS, SECONDS = 20_000, 1.0
#: The names that a template reads.
NAMES = frozenset({"message", "content", "title", "text", "markdown", "key", "time", "reply_to"})
TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded", "text": "text/plain; charset=utf-8"}
_NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.For,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.CondExpr,
)
_FILTERS = frozenset({"default", "first", "join", "last", "length", "lower", "tojson", "trim", "truncate", "upper"})
#: Names that no template can have: the filter that counts the turns of a loop, and what it counts with.
_TURNS, _COUNT = "_turns", "_count"
_TESTS = frozenset({"defined", "undefined", "none", "string", "number", "eq", "ne", "lt", "le", "gt", "ge", "in"})


class _Ready(str):
    """What is JSON already."""


class Body:
    """A template of a kind. Raises ValueError with a sentence for what is not allowed in one."""

    def __init__(self, source: str, kind: str) -> None:
        self.type = TYPES[kind]
        self._kind = kind
        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, finalize=_printed if kind == "text" else _json_text, cache_size=0
        )
        environment.globals.clear()
        environment.filters = {name: each for name, each in environment.filters.items() if name in _FILTERS}
        environment.filters |= {"tojson": _to_json, "join": _join, _TURNS: _turns}
        environment.tests = {name: each for name, each in environment.tests.items() if name in _TESTS}
        if len(source) > TEMPLATE_MAX:
            raise ValueError(f"the template has at most {TEMPLATE_MAX:,} characters")
        try:
            tree = environment.parse(source)
            _look_at(tree, frozenset(NAMES), 0, 0)
            for loop in tree.find_all(nodes.For):
                loop.iter = nodes.Filter(loop.iter, _TURNS, [nodes.Name(_COUNT, "load")], [], None, None)
            code = environment.compile(tree)
            self._template = environment.template_class.from_code(environment, code, {})
        except (TemplateError, SyntaxError) as error:
            raise ValueError(f"the template can't be read: {error}") from None
        except RecursionError:
            raise ValueError("the template is nested too deep") from None

    def fill_in(self, values: Mapping[str, Any]) -> bytes:
        """Raises Problem. Belongs in a thread."""
        try:
            body = "".join(_bounded(self._template.generate(values, **{_COUNT: _counter()}))).encode()
        except (TemplateError, TypeError, ValueError, LookupError) as error:
            raise _wrong(f"the template does not fit this message: {error}") from None
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
        return urlencode({name: _printed(each) for name, each in value.items()}).encode()


def _bounded(pieces: Iterable[str]) -> Iterator[str]:
    length = 0
    for piece in pieces:
        length += len(piece)
        _fits(length)
        yield piece


def _fits(length: int) -> None:
    if length > BODY_MAX:
        raise _wrong(f"the template gives more than {BODY_MAX:,} characters")


def _counter() -> Callable[[], None]:
    """Called at each turn of a loop: one that writes nothing must end, too."""
    until, turns = time.monotonic() + SECONDS, 0

    def count() -> None:
        nonlocal turns
        turns += 1
        if turns > TURNS or time.monotonic() > until:
            raise _wrong(f"the template's loops take more than {TURNS:,} turns, or {SECONDS:g} s")

    return count


def _turns(values: Iterable[Any], count: Callable[[], None]) -> Iterator[Any]:
    for each in values:
        count()
        yield each


def _to_json(value: Any) -> str:
    """One text after another would double its backslashes without end."""
    text = json.dumps(value, ensure_ascii=False)
    _fits(len(text))
    return _Ready(text)


def _join(values: Iterable[Any], separator: Any = "") -> str:
    """As Jinja's; that a text is joined by another one is looked at before it is done."""
    texts = [str(each) for each in values]
    _fits(sum(map(len, texts)) + len(str(separator)) * max(len(texts) - 1, 0))
    return str(separator).join(texts)


def _json_text(value: Any) -> str:
    """Within the quotation marks of a text, or as a number."""
    if isinstance(value, _Ready) or not isinstance(value, str):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _printed(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _look_at(node: nodes.Node, names: frozenset[str], depth: int, loops: int) -> None:
    """Every node of it. Raises ValueError."""
    if depth > 40:
        raise ValueError("the template is nested too deep")
    if not isinstance(node, _NODES):
        raise ValueError(f"the template may have no {type(node).__name__.lower()}")
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise ValueError(f"there is nothing called `{node.attr}` in the template")
    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in names:
        raise ValueError(f"the template can't read `{node.name}`, only {', '.join(sorted(NAMES))}")
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        raise ValueError(f"the template has no filter `{node.name}`")
    if isinstance(node, nodes.Test) and node.name not in _TESTS:
        raise ValueError(f"the template has no test `{node.name}`")
    if isinstance(node, nodes.For):
        if node.recursive or loops == LOOPS_MAX:
            raise ValueError(f"the template has loops in loops, more than {LOOPS_MAX} deep")
        loops += 1
        names |= {each.name for each in node.target.find_all(nodes.Name)} | {"loop"}
        if isinstance(node.target, nodes.Name):
            names |= {node.target.name}
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Keyword):
            child = child.value
        _look_at(child, names, depth + 1, loops)


def _wrong(reason: str) -> Problem:
    return Problem(Outcome.BAD_CONTENT, reason, advice="Correct the channel's template.")


def at_path(value: Any, path: str) -> Any:
    """What is at a path like `data.items[0].id` of JSON; None if there is nothing."""
    for step in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
