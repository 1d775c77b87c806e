"""Apps in the database. Their keys are sealed."""

from dataclasses import asdict, replace

import sqlalchemy as sa

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.values import App
from hongyan.store import schema, secrets, sweep_gate
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_table = schema.app


class Apps:
    def __init__(self, reader: Reader, writer: Writer, secret: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._secret = secret

    async def insert(self, app: App) -> App:
        """Keep a new app; its key is given here. Raises ValueError if the id is taken."""
        key = await self._writer.call(lambda bound: self._insert(bound, app))
        if key is None:
            raise ValueError(f"An app with the id {app.id} exists already.")
        return replace(app, key=key)

    async def update(self, app: App, *, asks: bool = False) -> None:
        """Change name and settings."""
        change = sa.update(_table).where(_table.c.key == app.key)
        change = change.values(name=app.name, settings=asdict(app.settings))

        def write(bound: sa.Connection) -> None:
            bound.execute(change)
            if asks:
                sweep_gate.ask(bound, app.key)

        await self._writer.call(write)

    async def all(self) -> list[App]:
        rows = await self._reader.run_bound(lambda bound: bound.execute(sa.select(_table).order_by(_table.c.key)).all())
        return [self._app(row) for row in rows]

    def _insert(self, bound: sa.Connection, app: App) -> int | None:
        if bound.scalar(sa.select(_table.c.key).where(_table.c.id == app.id)) is not None:
            return None
        keys = {"app_key": app.app_key, "master_key": app.master_key, "hook_key": app.hook_key}
        result = bound.execute(
            sa.insert(_table).values(
                id=app.id,
                name=app.name,
                secrets=secrets.seal(self._secret, app.id, keys),
                settings=asdict(app.settings),
                created_at=app.created_at,
            )
        )
        assert result.inserted_primary_key is not None
        return int(result.inserted_primary_key[0])

    def _app(self, row: sa.Row[tuple[object, ...]]) -> App:
        known = {name: value for name, value in row.settings.items() if name in AppSettings.__slots__}
        return App(
            key=row.key,
            id=row.id,
            name=row.name,
            settings=AppSettings(**known),
            created_at=row.created_at,
            **secrets.unseal(self._secret, row.id, row.secrets),
        )
