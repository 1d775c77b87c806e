"""LeanCloud's callback: what clients say in service conversations goes to one address of the app (REST reference 5.5).

Those that wait go together, as an array. Signed besides, which the original does not do.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from hongyan import signing
from hongyan.engine.apps import Apps
from hongyan.engine.clock import Clock
from hongyan.engine.events import Event, UpstreamReceived
from hongyan.engine.values import DAY, Conversation, Draft, Message, iso_time
from hongyan.engine.work import Job, NewJob
from hongyan.jobs import Failed, Hopeless, ManyKind
from hongyan.outbound import OutboundError
from hongyan.webhooks.delivery import HEADERS, Caller
from hongyan.webhooks.payloads import encode

CALLBACK = "callback"
#: Items of one call, and their bytes.
ITEMS_MAX, BYTES_MAX = 100, 1_048_576
#: How long a call may take, and after which waits it is made again (s).
TIMEOUT, WAITS = 5.0, (5, 30, 120)


class Callback:
    """Makes the jobs, one for each message, and does them."""

    def __init__(self, apps: Apps, caller: Caller, clock: Clock) -> None:
        self._apps = apps
        self._caller = caller
        self._clock = clock

    @property
    def kind(self) -> ManyKind:
        return ManyKind(self.do, WAITS, ITEMS_MAX, BYTES_MAX)

    def wants(self, app_key: int, kind: type[Event]) -> bool:
        """Whether an app has a callback."""
        return kind is UpstreamReceived and bool(self._url(app_key))

    def jobs(self, app_key: int, event: Event, draft: Draft | None) -> Iterable[NewJob]:
        if not isinstance(event, UpstreamReceived) or event.message.transient:
            return ()
        return (NewJob(app_key, f"{CALLBACK}:{app_key}", CALLBACK, encode(item(event.conversation, event.message))),)

    async def do(self, jobs: Sequence[Job]) -> None:
        app = self._apps.of_key(jobs[0].app_key)
        url = self._url(jobs[0].app_key)
        if app is None or not url:
            return  # nobody wants to hear of it any more
        if self._clock.now() - max(job.created_at for job in jobs) > DAY:
            raise Hopeless("it has waited too long")  # or what waits for a server that is away would grow for ever
        body = b"[" + b",".join(job.body for job in jobs) + b"]"
        signed = signing.headers([signing.secret_of(app.hook_key)], _call_id(jobs), self._clock.now(), body)
        try:
            answer = await self._caller.request("POST", url, headers={**HEADERS, **signed}, body=body, timeout=TIMEOUT)
        except OutboundError as reason:
            raise Failed(str(reason), everybody=True) from None
        if not 200 <= answer.status < 300:
            raise Failed(f"HTTP {answer.status}", everybody=True)

    def _url(self, app_key: int) -> str:
        app = self._apps.of_key(app_key)
        return app.settings.callback_url if app is not None else ""


def item(conversation: Conversation, message: Message) -> dict[str, Any]:
    """A row of `_SysMessage` (REST reference 2.4). Senders' addresses are not kept."""
    content, at = message.content, {"__type": "Date", "iso": iso_time(message.timestamp)}
    return {
        "msgId": message.id,
        "from": message.sender,
        "fromIp": None,
        "conv": {"__type": "Pointer", "className": "_Conversation", "objectId": conversation.id},
        "bin": isinstance(content, bytes),
        "data": base64.b64encode(content).decode() if isinstance(content, bytes) else content,
        "timestamp": message.timestamp,
        "createdAt": at,
        "updatedAt": at,
    }


def _call_id(jobs: Sequence[Job]) -> str:
    """The same for the same messages only: another attempt may have more of them."""
    return hashlib.sha256(" ".join(job.id for job in jobs).encode()).hexdigest()[:32]
