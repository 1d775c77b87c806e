"""Whom a message of a channel may go to, as callers write it: `user:tom`, `group:ID`, `all`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hongyan import errors
from hongyan.errors import Refused
from hongyan.hub.connector import HERE, Target, TargetKind

if TYPE_CHECKING:
    from hongyan.hub.connectors import ChannelKind

#: Targets of one message, and characters of one.
TARGETS_MAX, TARGET_MAX = 1_000, 256
_WITHOUT_ID = frozenset({"all", "here"})


def targets_of(kind: "ChannelKind", given: Sequence[str]) -> tuple[Target, ...]:
    """Whom a message goes to: `user:…`, `group:…` and so on. Raises Refused(INVALID_VALUE) with one sentence."""
    if not given and not kind.targets:
        return (HERE,)
    if not 1 <= len(given) <= TARGETS_MAX:
        raise Refused(errors.INVALID_VALUE, f"`to` names 1 to {TARGETS_MAX:,} targets, such as {example(kind)}")
    return tuple(dict.fromkeys(target_of(kind, each) for each in given))


def target_of(kind: "ChannelKind", text: str) -> Target:
    """Raises Refused(INVALID_VALUE)."""
    name, _, id_ = text.partition(":")
    known: frozenset[TargetKind | str] = kind.targets or frozenset({"here"})
    if name not in known:
        raise Refused(
            errors.INVALID_VALUE,
            f"channels of the kind {kind.name} have targets such as {example(kind)}, not {text[:64]!r}",
        )
    if (name in _WITHOUT_ID) == bool(id_) or len(id_) > TARGET_MAX or not id_.isprintable():
        raise Refused(errors.INVALID_VALUE, f"{text[:64]!r} is no target: `user:ID`, or `all` alone")
    return Target(name, id_)  # type: ignore[arg-type]


def example(kind: "ChannelKind") -> str:
    """The kinds of targets that it has, for a sentence."""
    if not kind.targets:
        return "`here`"
    return ", ".join(f"`{name}`" if name in _WITHOUT_ID else f"`{name}:…`" for name in sorted(kind.targets))
