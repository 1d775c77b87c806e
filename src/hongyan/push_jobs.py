"""What of pushing is done by jobs, and by which services."""

from collections.abc import Mapping

from hongyan.engine.engine import Engine
from hongyan.engine.push_plans import CALL, CHECK, PLAN, SEND
from hongyan.engine.push_sending import Later
from hongyan.engine.push_services import PushService
from hongyan.engine.work import Job, NewJob
from hongyan.jobs import Failed, Kind

#: How long what failed waits until it is tried again (s): finding out who is to be pushed to, and sending. That ends
#: after a week, when nobody is to see the push any more.
PLAN_WAITS = (1, 5, 30, 120, 600, 3_600, 14_400, 43_200)
SEND_WAITS = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, *(86_400,) * 7)
#: The longest that a service keeps all of its pushes waiting (s).
PAUSE_MAX = 3_600.0
#: Jobs of one service of an app, and plans of an app, that are under way at once.
SENDING, PLANNING = 16, 8


def push_services() -> Mapping[str, PushService]:
    """Loaded when an app pushes: it takes some tenths of a second, and no app may."""
    from hongyan.push import ADAPTERS, http

    http.load()
    return ADAPTERS


def kinds(engine: Engine) -> dict[str, Kind]:
    """The kinds of jobs, and how they are done."""

    async def send(job: Job) -> list[NewJob]:
        try:
            return await engine.push_sending.send(job)
        except Later as later:
            # a service that says how long it takes nothing means all of them, but not as long as this one waits
            raise Failed(str(later), later.after, pause=min(later.after or 0.0, PAUSE_MAX)) from None

    return {
        PLAN: Kind(engine.pushes.plan, PLAN_WAITS, PLANNING),
        CHECK: Kind(engine.pushes.check, PLAN_WAITS, PLANNING),
        CALL: Kind(engine.push_calls.plan, PLAN_WAITS, PLANNING),
        SEND: Kind(send, SEND_WAITS, SENDING),
    }
