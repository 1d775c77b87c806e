"""The credentials of a channel: checked when they are given, hidden when they are shown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, structs

from hongyan import errors
from hongyan.errors import Refused

if TYPE_CHECKING:
    from hongyan.hub.connectors import ChannelKind

#: What stands in answers instead of a secret, and leaves it as it is where it is given.
HIDDEN = "***"


def shown(kind: "ChannelKind", credentials: Mapping[str, Any]) -> dict[str, Any]:
    """Credentials without what is secret; what was not given is as by default."""
    told = {}
    for each in structs.fields(kind.credentials):
        value = credentials.get(each.encode_name)
        if value is None and each.default is not msgspec.NODEFAULT:
            value = each.default
        elif value is None and each.default_factory is not msgspec.NODEFAULT:
            value = each.default_factory()
        told[each.encode_name] = HIDDEN if value and each.name in kind.secret else value
    return told


def typed(kind: "ChannelKind", credentials: Mapping[str, Any]) -> Struct:
    """Raises ValueError with a sentence in which no secret stands."""
    try:
        return msgspec.convert(dict(credentials), kind.credentials)
    except msgspec.ValidationError as error:
        fields = ", ".join(f"`{each.encode_name}`" for each in structs.fields(kind.credentials))
        raise ValueError(f"{error}; {kind.name} has {fields}") from None


def kept(kind: "ChannelKind", given: Mapping[str, Any]) -> Mapping[str, Any]:
    """As they are kept. Raises Refused(INVALID_VALUE)."""
    try:
        found = typed(kind, given)
    except ValueError as mistake:
        raise Refused(errors.INVALID_VALUE, f"the credentials: {mistake}") from None
    told: dict[str, Any] = msgspec.to_builtins(found)
    return told


def changed(kind: "ChannelKind", before: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those that were kept `before` with what is given now. Raises Refused(INVALID_VALUE)."""
    news = {key: value for key, value in given.items() if value != HIDDEN}
    after = kept(kind, {**before, **news})
    _check_place(kind, before, after, news)
    return after


def _check_place(
    kind: "ChannelKind", before: Mapping[str, Any], after: Mapping[str, Any], news: Mapping[str, Any]
) -> None:
    """Secrets that were given for one place go to no other. Raises Refused(INVALID_VALUE)."""
    names = {each.name: each.encode_name for each in structs.fields(kind.credentials)}
    moved = [name for name in sorted(kind.place & names.keys()) if before.get(names[name]) != after.get(names[name])]
    left = [name for name in sorted(kind.secret) if after.get(names[name]) and names[name] not in news]
    if moved and left:
        told = ", ".join(f"`{name}`" for name in left)
        sentence = f"the credentials: with another `{moved[0]}` give {told} again, which would be sent there"
        raise Refused(errors.INVALID_VALUE, sentence)
