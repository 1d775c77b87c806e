"""Finding conversations."""

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hongyan_client.client import Client
    from hongyan_client.conversation import Conversation

OPERATORS = {
    "ne": "$ne",
    "lt": "$lt",
    "lte": "$lte",
    "gt": "$gt",
    "gte": "$gte",
    "in_": "$in",
    "nin": "$nin",
    "all": "$all",
    "size": "$size",
    "exists": "$exists",
    "regex": "$regex",
    "options": "$options",
}
COMPACT = 0x01
WITH_LAST_MESSAGE = 0x02
_ABSENT: Any = object()


@dataclass(frozen=True)
class Query:
    """A query for conversations; each method returns a new one. Without a condition: those this client is in.

    found = await tom.query().where("name", "Geese").where("attr.size", gte=3).sort("-updatedAt").limit(20).find()
    """

    client: "Client"
    conditions: tuple[dict[str, Any], ...] = ()
    order: str | None = None
    count: int | None = None
    offset: int | None = None
    flag: int = field(default=0)

    def where(self, key: str, value: Any = _ABSENT, **operators: Any) -> "Query":
        """Demands that a column equals the value, or meets operators such as `gte=3` or `in_=["a", "b"]`.

        Attributes are `attr.NAME`; own columns have their names.
        """
        conditions: list[dict[str, Any]] = [] if value is _ABSENT else [{key: _plain(value)}]
        unknown = operators.keys() - OPERATORS.keys()
        if unknown or not (conditions or operators):
            raise ValueError(f"unknown operators: {sorted(unknown)}" if unknown else "give a value or an operator")
        if operators:
            conditions.append({key: {OPERATORS[name]: _plain(operand) for name, operand in operators.items()}})
        return dataclasses.replace(self, conditions=(*self.conditions, *conditions))

    def members_include(self, *clients: str) -> "Query":
        """Demands that all these clients are members."""
        return self.where("m", all=list(clients))

    def members_are(self, *clients: str) -> "Query":
        """Demands that these clients are the members, and nobody else."""
        return self.where("m", all=list(clients), size=len(set(clients)))

    def sort(self, *keys: str) -> "Query":
        """Orders by columns; `-` before a name puts the largest first. The default is the latest message first."""
        return dataclasses.replace(self, order=",".join(keys))

    def limit(self, count: int) -> "Query":
        """At most this many; the default of the server is 10."""
        return dataclasses.replace(self, count=count)

    def skip(self, count: int) -> "Query":
        """Leaves out the first ones."""
        return dataclasses.replace(self, offset=count)

    def compact(self) -> "Query":
        """Leaves out the members."""
        return dataclasses.replace(self, flag=self.flag | COMPACT)

    def with_last_message(self) -> "Query":
        """Also fetches the last message of each."""
        return dataclasses.replace(self, flag=self.flag | WITH_LAST_MESSAGE)

    async def find(self) -> list["Conversation"]:
        """The conversations."""
        return [self.client.conversation(row["objectId"])._load(row) for row in await self.rows()]

    async def first(self) -> "Conversation | None":
        """The first conversation; None if there is none."""
        found = await self.limit(1).find()
        return found[0] if found else None

    async def rows(self) -> list[dict[str, Any]]:
        """The conversations as the server tells them."""
        answer = await self.client.request(
            "conv",
            "query",
            idempotent=True,
            where={"data": json.dumps(self.condition(), ensure_ascii=False)},
            sort=self.order,
            limit=self.count,
            skip=self.offset,
            flag=self.flag or None,
        )
        rows: list[dict[str, Any]] = json.loads(answer.convMessage.results.data)
        return rows

    def condition(self) -> dict[str, Any]:
        """All conditions as one object; only if they name a key in ways that exclude each other, joined by `$and`."""
        merged: dict[str, Any] = {}
        for condition in self.conditions:
            for key, value in condition.items():
                if key not in merged:
                    merged[key] = value
                elif _are_operators(merged[key], value) and not merged[key].keys() & value.keys():
                    merged[key] = merged[key] | value
                else:
                    return {"$and": list(self.conditions)}
        return merged


def _are_operators(*values: Any) -> bool:
    return all(isinstance(value, dict) and all(name.startswith("$") for name in value) for value in values)


def _plain(value: Any) -> Any:
    """A value as JSON; times as the protocol writes them."""
    if isinstance(value, datetime):
        return {"__type": "Date", "iso": iso_time(value)}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return value


def iso_time(time: datetime) -> str:
    """A time as `2026-01-12T08:00:00.000Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
