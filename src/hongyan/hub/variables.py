"""The variables of a template: what may be given, by a small subset of JSON Schema (draft 2020-12)."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from hongyan.errors import INVALID_VALUE, Refused

#: How deep a schema is, how many properties it has in all, and characters of a text that says no other limit.
DEPTH_MAX, PROPERTIES_MAX, TEXT_MAX = 4, 100, 20_000
#: Elements of an array that says no other limit; and values in all in an example.
ITEMS_MAX, EXAMPLE_MAX = 1000, 20_000

Json = Any


class Schema(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """One value. The keywords mean what they mean in JSON Schema; properties that are not named are refused.

    A property that is neither required nor given is its `default`, or null.
    """

    type: Literal["string", "number", "integer", "boolean", "array", "object"]
    title: str = ""
    description: str = ""
    default: Json | UnsetType = UNSET
    examples: tuple[Json, ...] = ()
    enum: tuple[Json, ...] = ()
    min_length: int = 0
    max_length: int = TEXT_MAX
    minimum: float | None = None
    maximum: float | None = None
    items: "Schema | None" = None
    min_items: int = 0
    max_items: int = ITEMS_MAX
    properties: "dict[str, Schema]" = {}
    required: tuple[str, ...] = ()


NOTHING = Schema("object")


def check_schema(schema: Schema) -> None:
    """Raises Refused with one sentence, for a schema that no variables could satisfy, or that is too large."""
    if schema.type != "object":
        raise _wrong("the schema of variables has the type object")
    if _check_part(schema, "", DEPTH_MAX) > PROPERTIES_MAX:
        raise _wrong(f"a schema has at most {PROPERTIES_MAX} properties")
    if _in_example(schema) > EXAMPLE_MAX:
        raise _wrong(f"an example of the variables has at most {EXAMPLE_MAX:,} values: lower minItems")


def _check_part(schema: Schema, path: str, depth: int) -> int:
    """How many properties there are within."""
    if not depth:
        raise _wrong(f"a schema is at most {DEPTH_MAX} levels deep")
    missing = set(schema.required) - schema.properties.keys()
    if missing:
        raise _wrong(f"`{path}{min(missing)}` is required, but is no property")
    if not 0 <= schema.max_length <= TEXT_MAX or not 0 <= schema.max_items <= ITEMS_MAX:
        raise _wrong(f"maxLength is at most {TEXT_MAX:,}, maxItems at most {ITEMS_MAX:,}")
    for name in schema.properties:
        if not name.isidentifier() or name.startswith("_"):
            raise _wrong(f"`{name}` can't be the name of a variable: letters, digits and _, no digit or _ first")
    if not isinstance(schema.default, UnsetType):
        fill(msgspec.structs.replace(schema, default=UNSET), schema.default, f"the default of {path or 'all'}")
    count = len(schema.properties)
    for name, each in schema.properties.items():
        count += _check_part(each, f"{path}{name}.", depth - 1)
    return count + (_check_part(schema.items, f"{path}[].", depth - 1) if schema.items else 0)


def _in_example(schema: Schema) -> int:
    """How many values an example has: arrays within arrays multiply."""
    within = sum(map(_in_example, schema.properties.values()))
    return 1 + within + max(schema.min_items, 1) * (_in_example(schema.items) if schema.items else 1)


def fill(schema: Schema, value: Json, path: str = "") -> Json:
    """The value with defaults where nothing is given. Raises Refused with one sentence."""
    name = f"`{path}`" if path and " " not in path else path or "the variables"
    if schema.enum and value not in schema.enum:
        raise _wrong(f"{name} is one of {', '.join(map(repr, schema.enum))}")
    match schema.type:
        case "string" if isinstance(value, str):
            if not schema.min_length <= len(value) <= schema.max_length:
                raise _wrong(f"{name} has {schema.min_length:,} to {schema.max_length:,} characters")
            return value
        case "number" | "integer" if _is_number(value, whole=schema.type == "integer"):
            low, high = schema.minimum, schema.maximum
            if (low is not None and value < low) or (high is not None and value > high):
                limits = [
                    f"at least {low:g}" if low is not None else "",
                    f"at most {high:g}" if high is not None else "",
                ]
                raise _wrong(f"{name} is {' and '.join(filter(None, limits))}")
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "array" if isinstance(value, list | tuple):
            if not schema.min_items <= len(value) <= schema.max_items:
                raise _wrong(f"{name} has {schema.min_items:,} to {schema.max_items:,} elements")
            if schema.items is None:
                return list(value)
            return [fill(schema.items, each, f"{path}[{index}]") for index, each in enumerate(value)]
        case "object" if isinstance(value, dict):
            return _fill_object(schema, value, path)
        case _:
            article = "an" if schema.type[0] in "aio" else "a"
            raise _wrong(f"{name} is {article} {schema.type}, not {_type_of(value)}")


def _fill_object(schema: Schema, value: dict[str, Json], path: str) -> dict[str, Json]:
    dot = f"{path}." if path else ""
    unknown = value.keys() - schema.properties.keys()
    if unknown:
        raise _wrong(f"there is no variable `{dot}{min(unknown, key=str)}`")
    filled: dict[str, Json] = {}
    for name, each in schema.properties.items():
        if name in value:
            filled[name] = fill(each, value[name], dot + name)
        elif name in schema.required:
            raise _wrong(f"the variable `{dot}{name}` is missing")
        else:
            filled[name] = None if isinstance(each.default, UnsetType) else each.default
    return filled


def example(schema: Schema) -> Json:
    """A value that satisfies it, for a preview: an example, the default, or something that shows what it is."""
    if schema.examples:
        return schema.examples[0]
    if not isinstance(schema.default, UnsetType):
        return schema.default
    if schema.enum:
        return schema.enum[0]
    match schema.type:
        case "string":
            return (schema.title or "text")[: schema.max_length].ljust(schema.min_length, "…")
        case "boolean":
            return True
        case "array":
            one = example(schema.items) if schema.items else "…"
            return [one] * min(max(schema.min_items, 1), schema.max_items)
        case "object":
            return {name: example(each) for name, each in schema.properties.items()}
        case _:
            return int(min(max(1.0, schema.minimum or 1.0), schema.maximum if schema.maximum is not None else 1.0))


def _is_number(value: Json, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not whole or isinstance(value, int) or value.is_integer()


def _type_of(value: Json) -> str:
    for name, type_ in (("null", type(None)), ("boolean", bool), ("number", int | float), ("string", str)):
        if isinstance(value, type_):
            return name
    return "array" if isinstance(value, list | tuple) else "object"


def _wrong(sentence: str) -> Refused:
    return Refused(INVALID_VALUE, sentence)
