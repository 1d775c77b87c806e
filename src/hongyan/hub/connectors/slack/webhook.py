"""An incoming webhook of Slack: one address for one channel, which takes messages and tells nothing back."""

from collections.abc import Sequence
from dataclasses import dataclass

from hongyan.hub.connector import HERE, Outcome, Problem, Receipt, Result, Sent, Target, Unable, failed
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.credentials import Credentials, at_base
from hongyan.hub.connectors.slack.errors import judge_hook
from hongyan.hub.connectors.slack.rendering import render
from hongyan.hub.content import Message
from hongyan.hub.degrade import Degrade
from hongyan.hub.http import Http
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Surroundings

#: Messages that a webhook takes at once, and the time for so many (s): one a second, and short bursts.
BURST, BURST_TIME = 5, 5.5
#: How long a webhook rests that answers 429 without a time (s).
REST = 10.0


class SlackWebhookCredentials(Credentials, frozen=True):
    """`url` as Slack shows it: https://hooks.slack.com/services/…; the address is the secret."""

    url: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.url.startswith(("https://", "http://")):
            raise ValueError("`url` is the address of the webhook: https://hooks.slack.com/services/…")


@dataclass(eq=False, repr=False)
class SlackWebhook(Unable):
    credentials: SlackWebhookCredentials
    around: Surroundings

    def __post_init__(self) -> None:
        self._url = at_base(self.credentials.url, self.credentials.base_url)
        self._http = Http(self.around.outbound, "")

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        degrade = Degrade(self.around, key)
        if message.thread:
            degrade.note("thread_to_title")
        try:
            parts = await render(message, degrade, message.mentions, interactive=False, thread=message.thread)
            await self._send(parts, key)
        except Problem as problem:
            return Sent((failed(HERE, problem),), tuple(degrade.notes))
        return Sent((Result(HERE, Outcome.OK),), tuple(degrade.notes))

    async def _send(self, parts: list[dict[str, object]], key: str) -> None:
        bucket = ("slack webhook", self._url)
        left = parts[self.around.progress.count(key, HERE) :]
        self.around.rates.take(*[Limit(bucket, BURST, BURST_TIME)] * len(left), everybody=True)
        for part in left:
            try:
                judge_hook(await self._http.post(self._url, part))
            except Problem as problem:
                if problem.outcome is Outcome.THROTTLED:
                    self.around.rates.close(bucket, problem.after or REST)
                    problem.everybody = True
                raise
            self.around.progress.add(key, HERE, {})
        self.around.progress.done(key, HERE)

    async def check(self) -> str:
        """A message that says nothing is refused by a webhook that is there, as `no_text` (inferred)."""
        try:
            judge_hook(await self._http.post(self._url, {}))
        except Problem as problem:
            if problem.code in ("no_text", "invalid_payload"):
                return "a webhook of Slack"
            raise
        return "a webhook of Slack"


KIND = ChannelKind(
    name="slack_webhook",
    platform="slack",
    credentials=SlackWebhookCredentials,
    secret=frozenset({"url"}),
    targets=frozenset(),
    open=SlackWebhook,
)
