"""What is set about clients in conversations, in the database."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan.engine.clock import Clock
from hongyan.engine.values import NO_STANDING, Conversation, Decision, Role, Standing, StandingsChanged, StandingsNow
from hongyan.engine.work import Following
from hongyan.store import members, schema
from hongyan.store.writer import Writer

_standing = schema.standing
_COLUMNS = "client, role, role_id, silenced_until, blocked_at"
_OVER = "WHERE conversation = ? AND silenced_until <= ?"
_FORGET_OVER = f"DELETE FROM standing {_OVER} AND role IS NULL AND role_id IS NULL AND blocked_at IS NULL"
_LIFT_OVER = f"UPDATE standing SET silenced_until = NULL {_OVER}"
#: From an index each: a chat room may have ten thousand.
_COUNTS = (
    "SELECT (SELECT count(*) FROM standing WHERE conversation = ?1 AND silenced_until IS NOT NULL),"
    " (SELECT count(*) FROM standing WHERE conversation = ?1 AND blocked_at IS NOT NULL),"
    " (SELECT count(*) FROM standing WHERE conversation = ?1 AND role_id IS NOT NULL AND role >= ?2)"
)


class Standings:
    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    def change(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        decide: Callable[[StandingsNow], Decision],
        committed: Callable[[StandingsChanged], None],
        initiator: str = "",
        following: Following[StandingsChanged] | None = None,
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> StandingsChanged:
            key, now = conversation.key, self._clock.now()
            members.check_exists(bound, key)
            before = look(bound, key, clients, now)
            decision = decide(before)
            row = members.head(bound, key)
            gone = tuple(client for client in decision.removed if client in before.members)
            new = {c: s for c, s in decision.standings.items() if s != before.standings.get(c, NO_STANDING)}
            if not new and not gone:
                return StandingsChanged({}, (), row.version, row.updated_at)
            _write(bound, conversation, new)
            at = members.next_update(row, now)
            members.remove(bound, conversation, gone, initiator, at)
            changed = members.changed(bound, row, gone, -len(gone), at)
            return StandingsChanged(new, gone, changed.version, at)

        return self._writer.call_then(change, committed, conversation.key, following=following)


def load(bound: sa.Connection, key: int) -> dict[str, Standing]:
    """All that is set in a conversation."""
    driver: Any = bound.connection.driver_connection
    return _of(driver.execute(f"SELECT {_COLUMNS} FROM standing WHERE conversation = ?", (key,)))


def of_clients(bound: sa.Connection, key: int, clients: Sequence[str]) -> dict[str, Standing]:
    """What is set about these clients."""
    marks = ", ".join("?" * len(clients))
    found = f"SELECT {_COLUMNS} FROM standing WHERE conversation = ? AND client IN ({marks})"
    return _of(bound.exec_driver_sql(found, (key, *clients)))


def look(bound: sa.Connection, key: int, clients: Sequence[str], now: int) -> StandingsNow:
    """Inside a write; silences that are over are forgotten on this occasion."""
    driver: Any = bound.connection.driver_connection
    driver.execute(_FORGET_OVER, (key, now))
    driver.execute(_LIFT_OVER, (key, now))
    silenced, blocked, managers = driver.execute(_COUNTS, (key, int(Role.MANAGER))).fetchone()
    found = frozenset(members.present(bound, key, clients))
    return StandingsNow(found, of_clients(bound, key, clients), silenced, blocked, managers)


def _write(bound: sa.Connection, conversation: Conversation, new: Mapping[str, Standing]) -> None:
    if not new:
        return
    key = conversation.key
    bound.exec_driver_sql("DELETE FROM standing WHERE conversation = ? AND client = ?", [(key, c) for c in new])
    rows = [
        {"conversation": key, "client": client, "app": conversation.app_key, **standing._asdict()}
        for client, standing in new.items()
        if standing != NO_STANDING
    ]
    if rows:
        bound.execute(sa.insert(_standing), rows)


def _of(rows: Any) -> dict[str, Standing]:
    return {client: Standing(Role(role) if role else None, *rest) for client, role, *rest in rows}
