"""Webhooks in the database. Their secrets are sealed."""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hongyan.engine.values import Webhook, WebhookSecret
from hongyan.store import schema, secrets
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_table = schema.webhook


class Webhooks:
    def __init__(self, reader: Reader, writer: Writer, secret: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._secret = secret

    async def all(self) -> list[Webhook]:
        found = sa.select(_table).order_by(_table.c.key)
        rows = await self._reader.run_bound(lambda bound: bound.execute(found).all())
        return [self._webhook(row) for row in rows]

    async def insert(self, webhook: Webhook) -> None:
        values = self._values(webhook)
        made = sa.insert(_table).values(id=webhook.id, app=webhook.app_key, created_at=webhook.created_at, **values)
        await self._write(made)

    async def update(self, webhook: Webhook) -> None:
        await self._write(sa.update(_table).where(_table.c.id == webhook.id).values(**self._values(webhook)))

    async def note(self, webhook_id: str, failing_since: int | None, succeeded_at: int | None) -> None:
        change = sa.update(_table).where(_table.c.id == webhook_id)
        await self._write(change.values(failing_since=failing_since, succeeded_at=succeeded_at))

    async def delete(self, webhook_id: str) -> None:
        await self._write(sa.delete(_table).where(_table.c.id == webhook_id))

    async def _write(self, change: sa.Executable) -> None:
        def write(bound: sa.Connection) -> None:
            bound.execute(change)

        await self._writer.call(write)

    def _values(self, webhook: Webhook) -> dict[str, Any]:
        sealed = secrets.seal(self._secret, _sealed_as(webhook.id), {"secrets": json.dumps(webhook.secrets)})
        return {
            "url": webhook.url,
            "types": list(webhook.types),
            "description": webhook.description,
            "enabled": webhook.enabled,
            "secrets": sealed,
            "updated_at": webhook.updated_at,
            "disabled_at": webhook.disabled_at,
            "disabled_reason": webhook.disabled_reason,
        }

    def _webhook(self, row: sa.Row[tuple[object, ...]]) -> Webhook:
        sealed = secrets.unseal(self._secret, _sealed_as(row.id), row.secrets)
        kept: Sequence[Sequence[Any]] = json.loads(sealed["secrets"])
        return Webhook(
            row.id,
            row.app,
            row.url,
            tuple(row.types),
            row.description,
            row.enabled,
            tuple(WebhookSecret(*each) for each in kept),
            row.created_at,
            row.updated_at,
            row.disabled_at,
            row.disabled_reason,
            row.failing_since,
            row.succeeded_at,
        )


def _sealed_as(webhook_id: str) -> str:
    """What the seal is bound to, so that secrets can't be moved to another webhook, or be taken for an app's keys."""
    return f"webhook {webhook_id}"
