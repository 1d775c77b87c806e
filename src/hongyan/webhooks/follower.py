"""Makes the deliveries to webhooks of what happens: one job for each webhook and event."""

from collections.abc import Iterable, Iterator

from hongyan.engine.clock import Clock
from hongyan.engine.events import Event
from hongyan.engine.values import Draft
from hongyan.engine.webhooks import Webhooks, lane
from hongyan.engine.work import NewJob
from hongyan.webhooks import payloads

WEBHOOK = "webhook"


class WebhookFollower:
    def __init__(self, webhooks: Webhooks, clock: Clock) -> None:
        self._webhooks = webhooks
        self._clock = clock

    def wants(self, app_key: int, kind: type[Event]) -> bool:
        """Whether an app's webhooks are told of such events."""
        listening = self._webhooks.listening(app_key)
        teller = payloads.TELLERS.get(kind) if listening else None
        return teller is not None and any(name in listening for name in teller.types)

    def jobs(self, app_key: int, event: Event, draft: Draft | None) -> Iterable[NewJob]:
        return list(self._jobs(app_key, event))

    def _jobs(self, app_key: int, event: Event) -> Iterator[NewJob]:
        listening = self._webhooks.listening(app_key)
        for told in payloads.TELLERS[type(event)].tell(event):
            webhooks = [each for each in listening.get(told.type, ()) if self._webhooks.may_wait(each)]
            if webhooks:
                body = payloads.body(told, self._clock.now())
                for webhook_id in webhooks:
                    yield NewJob(app_key, lane(webhook_id), WEBHOOK, body)
