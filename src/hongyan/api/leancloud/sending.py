"""What all calls share that send or change messages (REST reference 3.3, 3.5, 3.15)."""

from typing import Any

from litestar import Request

from hongyan.api.caller import caller_of
from hongyan.api.errors import HttpError
from hongyan.api.leancloud.parameters import (
    Values,
    clients,
    content,
    flag,
    identity,
    named,
    number,
    priority,
    text_or_object,
)
from hongyan.api.site import Site
from hongyan.engine.budgets import Budget
from hongyan.engine.values import App, Draft, Priority, Stored

#: Clients that one call may name.
CLIENTS_MAX = 20
#: What a change of a message answers: older callers look for `result`.
CHANGED: dict[str, Any] = {"result": {}}


def sent(place: Stored) -> dict[str, Any]:
    """Callers look for both forms (REST reference 3.3)."""
    answer = {"msg-id": place.id, "timestamp": place.timestamp}
    return {**answer, "result": answer}


def sender_of(values: Values, *names: str) -> str:
    """In whose name a call is made. Raises HttpError."""
    return identity(values, named(values, *(names or ("from_client", "from_peer"))))


def draft_of(values: Values, source: str, *, transient: bool = False, default: Priority = Priority.NORMAL) -> Draft:
    """A message from this address; `transient` and `default` are what it is unless it says so. Raises HttpError."""
    mentions = values.get("mention_client_ids")
    return Draft(
        content(values),
        transient=flag(values, "transient", default=transient),
        mention_all=flag(values, "mention_all"),
        mentions=tuple(clients(values, "mention_client_ids", CLIENTS_MAX)) if mentions else (),
        push_data=push_of(values),
        priority=priority(values, default),
        source=source,
    )


def source_of(request: Request[Any, Any, Any], site: Site) -> str:
    """The address that a call comes from; empty if it is unknown."""
    address = caller_of(request, site.settings).address
    return "" if address is None else str(address)


def push_of(values: Values) -> str:
    """What is pushed to who is offline, as text. Raises HttpError."""
    return text_or_object(values, named(values, "push_data", "push"))


def target_of(values: Values) -> tuple[str, int]:
    """Whose message it is and of when, beside its id. Raises HttpError."""
    return sender_of(values), number(values, "timestamp")


def spend(site: Site, app: App, budget: Budget) -> None:
    """Raises HttpError if the app has made too many calls of this kind."""
    refusal = site.engine.budgets.refusal(app, budget)
    if refusal is not None:
        raise HttpError(429, refusal)
