"""The language in the texts of templates, and in the bodies of webhooks: Jinja's, of which little is left.

Variables are printed, `if` and `for`, comparisons, sums, and the filters of `template_filters` are there. Nothing can
be called, no attribute be reached, and what is worked out ends within a size.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateError, nodes
from jinja2.exceptions import UndefinedError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import LoopContext, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hongyan.hub import degrade
from hongyan.hub.content import TEXT_MAX
from hongyan.hub.template_filters import FILTERS, VALUE_MAX, Json, Raw, fits, text_of, wrong

#: Seconds that filling one in may take, and turns of all its loops together.
SECONDS, TURNS = 1.0, 20_000

_NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.For,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.CondExpr,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
)
_WORDS = {
    nodes.Call: "calls nothing",
    nodes.Macro: "has no macros",
    nodes.CallBlock: "has no macros",
    nodes.Include: "includes nothing",
    nodes.Import: "imports nothing",
    nodes.FromImport: "imports nothing",
    nodes.Extends: "extends nothing",
    nodes.Assign: "sets nothing",
    nodes.AssignBlock: "sets nothing",
}
_TESTS = {
    "defined",
    "undefined",
    "none",
    "true",
    "false",
    "number",
    "string",
    "odd",
    "even",
    "in",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
}

#: Elements of the lists that stand in one text: each may be as long as a text.
ELEMENTS_MAX = 200

#: Names that no template can have.
_TURNS, _COUNT, _TIMED, _TIME = "_turns", "_count", "_timed", "_time"


def _turns(values: Json, count: Callable[[], None]) -> Iterator[Json]:
    if not isinstance(values, list | tuple):
        raise wrong("a loop goes through an array")
    for each in values:
        count()
        yield each


def _timed(value: Json, in_time: Callable[[], None]) -> Json:
    in_time()
    return value


class Environment(ImmutableSandboxedEnvironment):
    """`write` writes a value in the language of the field, in at most so many characters."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%"))

    def __init__(self, write: Callable[[str], str], most: int = VALUE_MAX) -> None:
        finalize = partial(_finalize, write, most)
        # nothing is worked out before its time counts
        super().__init__(
            undefined=StrictUndefined, finalize=finalize, cache_size=0, keep_trailing_newline=True, optimized=False
        )
        self.globals.clear()
        self.filters = {**FILTERS, _TURNS: _turns, _TIMED: _timed}
        self.tests = {name: test for name, test in self.tests.items() if name in _TESTS}

    def getattr(self, obj: Json, attribute: str) -> Json:
        """Attributes are those of variables that are objects, and of `loop`."""
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Json, argument: Json) -> Json:
        if isinstance(obj, Undefined):
            return obj[argument]
        try:
            if isinstance(obj, dict) or (isinstance(obj, list | tuple | str) and isinstance(argument, int)):
                return obj[argument]
        except (LookupError, TypeError):
            pass
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Any, operator: str, left: Json, right: Json) -> Json:
        """Of numbers; `+` of texts as well."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            fits(len(left) + len(right))
            return str(left) + str(right)
        for each in (left, right):
            if isinstance(each, bool) or not isinstance(each, int | float):
                raise wrong(f"`{operator}` is for numbers")
        if abs(left) > 1e15 or abs(right) > 1e15:
            raise wrong(f"`{operator}` is for numbers up to 10^15")
        return super().call_binop(context, operator, left, right)


_LOOP = {"index", "index0", "first", "last", "length", "revindex", "revindex0"}


def _finalize(write: Callable[[str], str], most: int, value: Json) -> str:
    text = value if isinstance(value, Raw) else write(text_of(value))
    fits(len(text), most)
    return text


#: By what a text is: plain, Markdown, an address. Variables in Markdown are no marks, and a part of an address has no
#: marks of addresses; `raw` is the way around.
_PLAIN, _MARKDOWN, _ADDRESS = (Environment(write) for write in (str, degrade.escape, partial(quote, safe="")))
#: A text that is one variable and nothing else: it may become an array or object.
_WHOLE = re.compile(r"\s*\{\{(?:(?!\}\}|\{\{).)*\}\}\s*", re.DOTALL)


def environment(path: tuple[Json, ...], type_: Json, source: str) -> Environment:
    """For a text at this place of a message."""
    if path == ("content", "text") and type_ in ("markdown", "card"):
        return _MARKDOWN
    return _ADDRESS if path[-1:] == ("url",) and not _WHOLE.fullmatch(source) else _PLAIN


class Program(NamedTuple):
    """A text of a template, ready to be filled in. `names` are the variables it reads.

    `whole` is the way to the one variable that it is, if it is nothing else.
    """

    template: JinjaTemplate
    names: frozenset[str]
    whole: tuple[Json, ...] | None


@lru_cache(512)
def program(language: Environment, source: str) -> Program:
    """Raises Refused for what is not of the language."""
    tree = _parsed(language, source)
    whole = _way(tree) if _WHOLE.fullmatch(source) else None
    _watch(tree)
    try:
        code = language.compile(tree)
        names = frozenset(find_undeclared_variables(tree)) - {
            _COUNT,
            _TIME,
        }  # after that, as Jinja works out what it can here
    except (SyntaxError, RecursionError, MemoryError):
        raise wrong("it is nested too deep") from None
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:  # of what is worked out beforehand
        raise wrong(f"it can't be worked out: {error}") from None
    return Program(language.template_class.from_code(language, code, {}), names, whole)


def _watch(tree: nodes.Template) -> None:
    """Have loops count their turns, and whatever is as slow as its values are large look at the time."""

    def by(node: nodes.Node, name: str, given: str) -> nodes.Filter:
        return nodes.Filter(node, name, [nodes.Name(given, "load")], [], None, None)

    for slow in list(tree.find_all((nodes.Filter, nodes.Test))):
        slow.node = by(slow.node, _TIMED, _TIME)
    for operand in list(tree.find_all(nodes.Operand)):
        operand.expr = by(operand.expr, _TIMED, _TIME)
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = by(loop.iter, _TURNS, _COUNT)


@dataclass(slots=True)
class Filling:
    """Fills in texts: all of them together within a time, and in at most so many characters."""

    most: int
    until: float = field(default_factory=lambda: time.monotonic() + SECONDS)
    turns: int = 0
    length: int = 0

    def text(self, ready: Program, variables: Mapping[str, Json]) -> str:
        """Raises Refused with one sentence. Belongs in a thread."""
        try:
            text = self._joined(ready.template.generate(variables, **{_COUNT: self._count, _TIME: self._in_time}))
            text.encode()
            return text
        except UnicodeEncodeError:
            raise wrong("half of a character is in it") from None
        except UndefinedError as error:
            raise wrong(str(error.message)) from None
        except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
            raise wrong(f"it can't be worked out: {error}") from None

    def _joined(self, pieces: Iterable[str]) -> str:
        kept = []
        for piece in pieces:
            self._in_time()
            self.length += len(piece)
            if self.length > self.most:
                raise wrong("it would become too long")
            kept.append(piece)
        return "".join(kept)

    def _count(self) -> None:
        self.turns += 1
        if self.turns > TURNS:
            raise wrong(f"its loops take more than {TURNS:,} turns")
        self._in_time()

    def _in_time(self) -> None:
        if time.monotonic() > self.until:
            raise wrong(f"it takes more than {SECONDS:g} s")


def _way(tree: nodes.Template) -> tuple[Json, ...] | None:
    """`a.b[0]` as ("a", "b", 0); None for anything else."""
    (output,) = tree.body or (None,)
    node = output.nodes[-1] if isinstance(output, nodes.Output) else None
    way: list[Json] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            way.append(node.attr)
        elif isinstance(node.arg, nodes.Const):
            way.append(node.arg.value)
        else:
            return None
        node = node.node
    return (node.name, *reversed(way)) if isinstance(node, nodes.Name) else None


def _parsed(language: Environment, source: str) -> nodes.Template:
    if len(source) > TEXT_MAX:
        raise wrong(f"a text of a template has at most {TEXT_MAX:,} characters")
    try:
        tree = language.parse(source)
    except TemplateError as error:
        raise wrong(f"it can't be read: {error.message}") from None
    except RecursionError:
        raise wrong("it is nested too deep") from None
    _look_at(tree)
    return tree


def _look_at(tree: nodes.Template) -> None:
    """Every node of it; not by recursion, as it may be deep."""
    left: list[tuple[nodes.Node, int]] = [(tree, 0)]
    elements = 0
    while left:
        node, depth = left.pop()
        if depth > 60:
            raise wrong("it is nested too deep")
        if not isinstance(node, _NODES):
            raise wrong("a template " + _WORDS.get(type(node), f"has no {type(node).__name__.lower()}"))
        name = node.attr if isinstance(node, nodes.Getattr) else node.name if isinstance(node, nodes.Name) else ""
        if name.startswith("_") or name in ("self", "super"):
            raise wrong(f"there is nothing called `{name}`")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise wrong(f"there is no filter `{node.name}`")
        if isinstance(node, nodes.Test) and node.name not in _TESTS:
            raise wrong(f"there is no test `{node.name}`")
        if isinstance(node, nodes.Filter | nodes.Test) and (node.dyn_args or node.dyn_kwargs):
            raise wrong("a template has no `*` before arguments")
        elements += len(node.items) if isinstance(node, nodes.List | nodes.Tuple) else 0
        if elements > ELEMENTS_MAX:
            raise wrong(f"the lists in it have more than {ELEMENTS_MAX} elements")
        if isinstance(node, nodes.Const) and isinstance(node.value, float) and not isfinite(node.value):
            raise wrong("a number in it is too large")
        if isinstance(node, nodes.For) and node.recursive:
            raise wrong("a template has no recursive loops")
        left += [(child, depth + 1) for child in node.iter_child_nodes() if not isinstance(child, nodes.Keyword)]
        left += [(child.value, depth + 1) for child in node.iter_child_nodes() if isinstance(child, nodes.Keyword)]
