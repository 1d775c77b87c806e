"""The rules by which it is judged what a try has brought: what is final, what is tried again, and when.

They are pure functions of what stood before and of what the connector says (connectors reference 1.2).
"""

from collections.abc import Iterable
from dataclasses import replace

from hongyan.engine.values import DAY
from hongyan.hub.connector import Outcome, Problem, Result
from hongyan.hub.records import Delivery, State

#: After which waits (s) a target is tried again that was not reached, until a day is over.
WAITS = (5.0, 15.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0)
#: How often one is tried again of which nobody knows whether it was reached, and after how long (s).
UNKNOWN_MAX, UNKNOWN_WAIT = 2, 10.0
#: How long a channel rests whose credentials do not work, or that is disabled (s).
MENDING = 300.0
#: How long the platform takes nothing, if it does not say (s), and what is believed of what it says.
THROTTLED, THROTTLED_MAX = 5.0, 3_600.0
#: So many tries in a row that the whole platform has failed, later messages do not pass.
PATIENT = 4
#: Outcomes of which nothing was sent: if they concern everybody, nobody else is tried.
_STOPPING = frozenset({Outcome.THROTTLED, Outcome.TRANSIENT, Outcome.BAD_CREDENTIAL})


def judged(before: Delivery, result: Result, *, once: bool, age: int, now: int) -> Delivery:
    """What a target is after a try; a message that could not be sent for a day is given up.

    `once`: the platform tells nobody of a second call with the same key. `age` of the message and `now` in ms.
    """
    after = replace(
        before,
        outcome=result.outcome.value,
        receipt=result.receipt or before.receipt,
        reason=result.reason,
        code=result.code,
        advice=result.advice,
        updated_at=now,
    )
    late = age >= DAY
    match result.outcome:
        case Outcome.OK:
            return replace(after, state=State.SENT)
        case Outcome.THROTTLED:
            again = not late
        case Outcome.TRANSIENT | Outcome.BAD_CREDENTIAL:
            again, after = not late, replace(after, tries=before.tries + 1)
        case Outcome.UNKNOWN:
            after = replace(after, tries=before.tries + 1, unknown=before.unknown + 1)
            again = once and result.once and not late and after.unknown <= UNKNOWN_MAX
        case _:
            again, after = False, replace(after, tries=before.tries + 1)
    return after if again else replace(after, state=State.FAILED)


def stop(results: Iterable[Result]) -> Problem | None:
    """The problem for which nobody else is tried, if there is one."""
    for each in results:
        if each.everybody and each.outcome in _STOPPING:
            return Problem(
                each.outcome, each.reason, code=each.code, advice=each.advice, after=each.after, everybody=True
            )
    return None


def keeps_place(delivery: Delivery, result: Result) -> bool:
    """Whether later messages are not to pass: while a rate stops them, or the platform as a whole fails for a while."""
    if result.outcome is Outcome.TRANSIENT:
        return result.everybody and delivery.tries <= PATIENT
    return result.outcome is Outcome.THROTTLED


def wait(delivery: Delivery, result: Result) -> float:
    """Until it is tried again (s)."""
    after = min(result.after or 0.0, THROTTLED_MAX)
    match result.outcome:
        case Outcome.THROTTLED:
            return after or THROTTLED
        case Outcome.BAD_CREDENTIAL:
            return max(after, MENDING)
        case Outcome.UNKNOWN:
            return max(after, UNKNOWN_WAIT * delivery.unknown)
        case _:
            return max(after, WAITS[min(delivery.tries, len(WAITS)) - 1])
