"""What operators ask about hooks."""

from collections.abc import Sequence
from typing import Any

import msgspec

from hongyan.engine.ports import JobStore
from hongyan.engine.questions import HookFailed
from hongyan.engine.values import App, iso_time
from hongyan.engine.work import Job
from hongyan.hooks import catalogue
from hongyan.hooks.engines import Engines
from hongyan.hooks.told import KIND

#: Jobs that are read at once, shown, and revived by one command.
PAGE, SHOWN_MAX, REVIVED_MAX = 500, 1_000, 10_000


class Desk:
    def __init__(self, engines: Engines, jobs: JobStore) -> None:
        self._engines = engines
        self._jobs = jobs

    async def check(self, app: App) -> dict[str, Any]:
        """What the app's engine has. Raises ValueError with a sentence."""
        if not app.settings.hook_url:
            raise ValueError(f"The app {app.name} has no engine: its setting `hook_url` is empty.")
        try:
            names = (await self._engines.find(app)).names
        except HookFailed as failure:
            raise ValueError(f"The engine {app.settings.hook_url} does not answer: {failure}.") from None
        if names is None:
            raise ValueError(
                f"What answers at {app.settings.hook_url} does not tell its functions to this app: is it its engine,"
                " with this app's id and master key?"
            )
        hooks = sorted(names & set(catalogue.ALL))
        return {"url": app.settings.hook_url, "hooks": hooks, "other_functions": len(names) - len(hooks)}

    async def dead(self, app: App) -> list[dict[str, Any]]:
        """What could not be told, oldest first."""
        return [_described(job) for job in await self._dead(app, SHOWN_MAX)]

    async def replay(self, app: App, ids: Sequence[str]) -> int:
        """Have these told again, or all if none are named; how many that are."""
        dead = [job.id for job in await self._dead(app, REVIVED_MAX) if not ids or job.id in ids]
        revived = 0
        for start in range(0, len(dead), PAGE):
            revived += await self._jobs.revive(app.key, dead[start : start + PAGE], PAGE)
        return revived

    async def _dead(self, app: App, most: int) -> list[Job]:
        found: list[Job] = []
        after = 0
        while len(found) < most and (page := await self._jobs.dead(app.key, after, PAGE)):
            found += [job for job in page if job.kind == KIND]
            after = page[-1].key
        return found[:most]


def _described(job: Job) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(job.body)
        name = told["hook"]
    except (msgspec.DecodeError, KeyError, TypeError):
        name = None
    return {
        "id": job.id,
        "hook": name,
        "happened_at": iso_time(job.created_at),
        "attempts": job.attempts,
        "error": job.error,
    }
