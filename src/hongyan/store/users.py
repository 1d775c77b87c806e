"""Users in the database: their passwords, sessions and accounts elsewhere, beside what all objects have."""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.conditions import Condition
from hongyan.engine.ports import Credentials
from hongyan.engine.values import ObjectRow
from hongyan.errors import Refused
from hongyan.store import schema
from hongyan.store.objects import USERS, Objects
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_user, _identity, _session = schema.user, schema.user_identity, schema.user_session
#: Sessions of a user; the oldest end.
SESSIONS_MAX = 100


class Users(Objects):
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        super().__init__(reader, writer, clock, USERS)

    async def sign_up(
        self,
        app_key: int,
        object_id: str,
        values: Mapping[str, Any],
        credentials: Credentials,
    ) -> ObjectRow:
        def write(bound: sa.Connection) -> ObjectRow:
            made = self.insert_in(bound, app_key, object_id, values, password=credentials.password)
            self._link(bound, app_key, made.key, credentials.identities)
            if credentials.digest is not None:
                self._begin(bound, made.key, credentials.digest)
            return made

        made: ObjectRow = await self._writer.call(write)
        return made

    async def change(
        self,
        app_key: int,
        object_id: str,
        change: Callable[[dict[str, Any]], Mapping[str, Any]],
        credentials: Credentials,
        condition: Condition | None = None,
    ) -> ObjectRow:
        def write(bound: sa.Connection) -> ObjectRow:
            if credentials.digest is not None and not self._is_held(bound, credentials.digest):
                raise Refused(errors.USER_NOT_FOUND, "the session has ended meanwhile")
            changed = self.update_in(bound, app_key, object_id, change, condition)
            self._link(bound, app_key, changed.key, credentials.identities)
            if credentials.password is not None:
                bound.execute(sa.update(_user).where(_user.c.key == changed.key).values(password=credentials.password))
                others = sa.delete(_session).where(_session.c.user == changed.key)
                bound.execute(
                    others if credentials.digest is None else others.where(_session.c.digest != credentials.digest)
                )
            return changed

        changed: ObjectRow = await self._writer.call(write)
        return changed

    async def delete(self, app_key: int, object_id: str) -> bool:
        def write(bound: sa.Connection) -> bool:
            found = sa.select(_user.c.key).where(_user.c.app == app_key, _user.c.id == object_id)
            key = bound.scalar(found)
            if key is None:
                return False
            for table, column in ((_session, _session.c.user), (_identity, _identity.c.user), (_user, _user.c.key)):
                bound.execute(sa.delete(table).where(column == key))
            return True

        return bool(await self._writer.call(write))

    async def password(self, user_key: int) -> str | None:
        found = sa.select(_user.c.password).where(_user.c.key == user_key)
        return await self._reader.run_bound(lambda bound: bound.scalar(found))

    async def log_in(
        self, user_key: int, digest: bytes, seen: str | None, password: str | None, *, alone: bool = False
    ) -> None:
        def write(bound: sa.Connection) -> None:
            kept = bound.execute(sa.select(_user.c.password).where(_user.c.key == user_key)).first()
            if kept is None or (seen is not None and kept.password != seen):
                raise Refused(errors.PASSWORD_WRONG, "the password was changed meanwhile")
            if password is not None:
                bound.execute(sa.update(_user).where(_user.c.key == user_key).values(password=password))
            if alone:
                bound.execute(sa.delete(_session).where(_session.c.user == user_key))
            self._begin(bound, user_key, digest)

        await self._writer.call(write)

    async def of_session(self, app_key: int, digest: bytes) -> ObjectRow | None:
        held = sa.select(_session.c.user).where(_session.c.digest == digest)
        return await self._one(_user.c.key.in_(held), _user.c.app == app_key)

    async def of_identity(self, app_key: int, provider: str, uid: str) -> ObjectRow | None:
        held = sa.select(_identity.c.user).where(
            _identity.c.app == app_key, _identity.c.provider == provider, _identity.c.uid == uid
        )
        return await self._one(_user.c.key.in_(held))

    def _is_held(self, bound: sa.Connection, digest: bytes) -> bool:
        return bound.scalar(sa.select(_session.c.user).where(_session.c.digest == digest)) is not None

    def _begin(self, bound: sa.Connection, user_key: int, digest: bytes) -> None:
        bound.execute(sa.insert(_session).values(digest=digest, user=user_key, created_at=self._clock.now()))
        own = _session.c.user == user_key
        newest = sa.select(_session.c.digest).where(own).order_by(_session.c.created_at.desc()).limit(SESSIONS_MAX)
        bound.execute(sa.delete(_session).where(own, _session.c.digest.not_in(newest)))

    def _link(self, bound: sa.Connection, app_key: int, user_key: int, identities: Mapping[str, str | None]) -> None:
        for provider, uid in identities.items():
            of_app = (_identity.c.app == app_key, _identity.c.provider == provider)
            bound.execute(sa.delete(_identity).where(*of_app, _identity.c.user == user_key))
            if uid is None:
                continue
            if bound.scalar(sa.select(_identity.c.user).where(*of_app, _identity.c.uid == uid)) is not None:
                raise Refused(errors.ACCOUNT_TAKEN, f"another user has this account of {provider}")
            bound.execute(sa.insert(_identity).values(app=app_key, provider=provider, uid=uid, user=user_key))
