"""Which columns of a row an answer shows: the parameter `keys` of queries (REST reference 3.13)."""

from collections.abc import Mapping, Sequence
from typing import Any

#: Columns of every row, whatever `keys` says.
ALWAYS = ("objectId", "createdAt", "updatedAt")


class Keys:
    """Which columns are shown: those that `keys` names, or all but those it names with a `-` before."""

    def __init__(self, given: str) -> None:
        names = [name.strip() for name in given.split(",") if name.strip()]
        self._shown = [tuple(name.split(".")) for name in names if not name.startswith("-")]
        self._hidden = [tuple(name[1:].split(".")) for name in names if name.startswith("-")]

    def shows(self, name: str) -> bool:
        """Whether anything of a column is shown."""
        if (name,) in self._hidden:
            return False
        return not self._shown or any(path[0] == name for path in self._shown)

    def show(self, row: dict[str, Any]) -> dict[str, Any]:
        if self._shown:
            shown: dict[str, Any] = {key: row[key] for key in ALWAYS}
            for path in self._shown:
                _copy(row, shown, path)
        else:
            shown = row
        for path in self._hidden:
            if path[0] not in ALWAYS:
                shown = _without(shown, path)
        return shown


def _copy(source: Mapping[str, Any], target: dict[str, Any], path: Sequence[str]) -> None:
    first, *rest = path
    if first not in source:
        return
    value = source[first]
    if not rest:
        target[first] = value
    elif isinstance(value, dict):
        inner = target.get(first)
        inner = {} if not isinstance(inner, dict) else inner
        if inner is not value:  # the whole of it may be there already
            target[first] = inner
            _copy(value, inner, rest)


def _without(row: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    first, *rest = path
    if first not in row:
        return row
    if not rest:
        return {key: value for key, value in row.items() if key != first}
    return {**row, first: _without(row[first], rest)} if isinstance(row[first], dict) else row
