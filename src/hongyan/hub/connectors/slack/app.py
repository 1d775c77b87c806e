"""An app of Slack with a bot: it writes to channels and people, changes and deletes that, and hears them."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from hongyan.hub.connector import (
    AGAIN,
    Event,
    Feature,
    Incoming,
    Note,
    Outcome,
    Problem,
    Receipt,
    Reception,
    Reply,
    Result,
    Said,
    Sent,
    Target,
    Unable,
    failed,
    nothing_said,
)
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.credentials import Credentials, account
from hongyan.hub.connectors.progress import Progress
from hongyan.hub.connectors.slack import inbound
from hongyan.hub.connectors.slack.errors import judge
from hongyan.hub.connectors.slack.rendering import AskedForm, escape, mention_text, render, view
from hongyan.hub.connectors.slack.webhook import BURST, BURST_TIME, REST
from hongyan.hub.content import Audio, Content, File, Image, Media, Mention, Message, Video
from hongyan.hub.degrade import Degrade
from hongyan.hub.http import FILE_TIMEOUT, TIMEOUT, Answer, Http, lifetime
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Surroundings
from hongyan.tokens import Token, Tokens

BASE = "https://slack.com"
#: Bytes of a file that is sent or fetched; Slack takes more, but it is held in memory here.
FILE_MAX = 50 * 1024 * 1024
#: How long it is believed whose address a mail address is, and what people are called (s); and how many are remembered.
KNOWN_TIME, KNOWN_MAX = 3600.0, 10_000
#: Time for calls while Slack waits for an answer, which it does for 3 s.
QUICK = 2.0
#: A token is renewed so long before its end (s).
EARLY = 300.0
#: Messages of an app to a workspace in a minute: "several hundred".
WORKSPACE = 200
#: What an app can do; it hears only with a signing secret.
FEATURES = frozenset({Feature.RECALL, Feature.UPDATE, Feature.LOOK_UP, Feature.RECEIVE})
#: Methods that take JSON; the others take forms only.
_JSON = frozenset(
    {
        "auth.test",
        "chat.delete",
        "chat.postMessage",
        "chat.update",
        "conversations.open",
        "files.completeUploadExternal",
        "files.delete",
        "views.open",
    }
)
#: Methods by which somebody is told something.
_SAYS = frozenset({"chat.postMessage", "files.completeUploadExternal"})


class SlackCredentials(Credentials, frozen=True):
    """`bot_token` is the app's (xoxb-…). With `signing_secret` it can be told what happens. If token rotation is on for
    the app, `refresh_token`, `client_id` and `client_secret` renew it.
    """

    bot_token: str = ""
    signing_secret: str = ""
    refresh_token: str = ""
    client_id: str = ""
    client_secret: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        rotation = (self.refresh_token, self.client_id, self.client_secret)
        if any(rotation) and not all(rotation):
            raise ValueError("`refresh_token`, `client_id` and `client_secret` are given together")
        if not self.bot_token and not self.refresh_token:
            raise ValueError("`bot_token` is needed: xoxb-…")


class SlackApp(Unable):
    """A message is found again by its channel and `ts`; `more` has those of the parts that followed."""

    def __init__(self, credentials: SlackCredentials, around: Surroundings) -> None:
        self._credentials = credentials
        self._around = around
        self._http = Http(around.outbound, credentials.base_url or BASE)
        self._tokens = Tokens(self._token, around.steady)
        self._given: str | None = credentials.bot_token or None
        self._refresh_token = credentials.refresh_token
        self._progress = Progress[tuple[str, str]]()
        self._known: dict[tuple[str, str], tuple[float, str]] = {}
        self._account = account(self._http.base, credentials.bot_token or credentials.client_secret)
        self.features = FEATURES if credentials.signing_secret else FEATURES - {Feature.RECEIVE}

    # sending

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        degrade = Degrade(self._around, key)
        mentions = await self._mentions(message)
        results: list[Result] = []
        stopped: Problem | None = None
        for target in to:
            try:
                if stopped is not None:
                    raise stopped
                receipt = await self._send(message, mentions, target, key, thread, degrade)
                results.append(Result(target, Outcome.OK, receipt))
            except Problem as problem:
                results.append(failed(target, problem))
                stopped = problem if problem.everybody else None
        return Sent(tuple(results), tuple(degrade.notes))

    async def _send(
        self,
        message: Message,
        mentions: Sequence[Mention],
        target: Target,
        key: str,
        thread: Receipt | None,
        degrade: Degrade,
    ) -> dict[str, str]:
        channel = (await self.look_up(target)).id
        if target.kind != "group" and mentions:
            degrade.note("mention_dropped_direct")
            mentions = ()
        within = thread.get("thread") or thread.get("ts", "") if thread else ""
        if message.thread and not within:
            degrade.note("thread_to_title")
        media = _uploaded(message.content)
        if media is not None:
            if target.kind != "group":
                channel = await self._direct(channel)
            return await self._send_file(message.content, media, mentions, channel, within, degrade)
        parts = await render(
            message, degrade, mentions, interactive=self._interactive, thread="" if within else message.thread
        )
        left = parts[self._progress.count(key, target) :]
        self._pace(channel, len(left))
        for part in left:
            body = {"channel": channel, **part, "unfurl_links": False, **({"thread_ts": within} if within else {})}
            answer = await self._post(channel, body)
            self._progress.add(key, target, (_told(answer, "channel"), _told(answer, "ts")))
        (where, first), *more = self._progress.done(key, target)
        return {"channel": where, "ts": first, **({"more": ",".join(ts for _, ts in more)} if more else {})}

    @property
    def _interactive(self) -> bool:
        return Feature.RECEIVE in self.features

    def _pace(self, channel: str, count: int = 1) -> None:
        limits = [
            Limit(("slack", self._account, channel), BURST, BURST_TIME),
            Limit(("slack app", self._account), WORKSPACE, 60.0),
        ]
        self._around.rates.take(*limits * count)

    async def _post(self, channel: str, body: Mapping[str, object]) -> dict[str, Any]:
        try:
            return await self._call("chat.postMessage", body)
        except Problem as problem:
            if problem.outcome is Outcome.THROTTLED:
                self._around.rates.close(("slack", self._account, channel), problem.after or REST)
            raise

    async def _send_file(
        self,
        content: Content,
        media: Media,
        mentions: Sequence[Mention],
        channel: str,
        within: str,
        degrade: Degrade,
    ) -> dict[str, str]:
        rule = {Audio: "audio_to_file", Video: "video_to_file"}.get(type(content))
        if rule is not None:
            degrade.note(rule)
        file = await self._around.media.read(media, FILE_MAX)
        if not file.content:
            raise Problem(Outcome.BAD_CONTENT, "Slack takes no empty file")
        self._pace(channel)
        text = str(getattr(content, "text", ""))
        alt = {"alt_txt": text[:1000]} if isinstance(content, Image) and text else {}
        asked = {"filename": file.name or "file", "length": str(len(file.content)), **alt}
        place = await self._call("files.getUploadURLExternal", asked)
        with nothing_said():
            answer = await self._http.call(
                "POST",
                _told(place, "upload_url"),
                body=file.content,
                type_="application/octet-stream",
                timeout=FILE_TIMEOUT,
            )
        if answer.status != 200:
            reason = f"the upload is answered with HTTP {answer.status}"
            raise Problem(Outcome.TRANSIENT, reason, code=str(answer.status))
        title = str(getattr(content, "title", "")) or file.name
        comment = "\n".join(filter(None, (mention_text(mentions, degrade), escape(text))))
        body = {
            "files": [{"id": _told(place, "file_id"), "title": title}],
            "channel_id": channel,
            **({"initial_comment": comment} if comment else {}),
            **({"thread_ts": within} if within else {}),
        }
        await self._call("files.completeUploadExternal", body)
        return {"channel": channel, "file": _told(place, "file_id")}

    async def _mentions(self, message: Message) -> list[Mention]:
        """With the ids of those who are named by their mail addresses, if they are found."""
        return [await self._resolved(mention) for mention in message.mentions]

    async def _resolved(self, mention: Mention) -> Mention:
        if not mention.email:
            return mention
        try:
            found = await self.look_up(Target("email", mention.email))
        except Problem as problem:
            if problem.outcome in AGAIN:
                raise
            return mention
        return Mention(user=found.id, name=mention.name)

    async def _direct(self, user: str) -> str:
        """The channel in which one person is written to."""
        known = self._remembered("direct", user)
        if known is None:
            answer = await self._call("conversations.open", {"users": user})
            known = self._remember("direct", user, _told(answer, "channel", "id"))
        return known

    # afterwards

    async def recall(self, receipt: Receipt) -> None:
        if "file" in receipt:
            await self._call("files.delete", {"file": receipt["file"]})
            return
        for stamp in filter(None, reversed(receipt.get("more", "").split(","))):
            try:
                await self._call("chat.delete", {"channel": receipt["channel"], "ts": stamp})
            except Problem as problem:
                if problem.code != "message_not_found":  # an earlier try has deleted it
                    raise
        await self._call("chat.delete", {"channel": receipt["channel"], "ts": receipt.get("ts", "")})

    async def update(self, receipt: Receipt, message: Message) -> Sequence[Note]:
        if "file" in receipt:
            raise Problem(Outcome.BAD_CONTENT, "Slack can't change a message that is a file")
        degrade = Degrade(self._around, receipt.get("ts", ""))
        channel = receipt["channel"]
        mentions = await self._mentions(message)
        parts = await render(message, degrade, mentions, interactive=self._interactive)
        stamps = [receipt.get("ts", ""), *filter(None, receipt.get("more", "").split(","))]
        if len(parts) > len(stamps):
            degrade.note("text_cut")
        for stamp, part in zip(stamps, parts, strict=False):
            cleared: dict[str, object] = {"text": "", "blocks": [], "attachments": []}
            await self._call("chat.update", {"channel": channel, "ts": stamp, **cleared, **part})
        for stamp in stamps[len(parts) :]:
            await self._call("chat.delete", {"channel": channel, "ts": stamp})
        return degrade.notes

    async def look_up(self, target: Target) -> Target:
        if target.kind == "mobile":
            raise Problem(Outcome.BAD_RECIPIENT, "Slack finds people by their mail addresses, not by mobile numbers")
        if target.kind != "email":
            return target
        known = self._remembered("email", target.id)
        if known is None:
            answer = await self._call("users.lookupByEmail", {"email": target.id})
            known = self._remember("email", target.id, _told(answer, "user", "id"))
        return Target("user", known)

    async def check(self) -> str:
        answer = await self._call("auth.test", {})
        return f"{answer.get('user', 'a bot')} in {answer.get('team', 'a workspace')}"

    # what comes in

    async def receive(self, request: Incoming) -> Reception:
        if not self._credentials.signing_secret:
            return await super().receive(request)
        now = self._around.wall()
        inbound.verify(request, self._credentials.signing_secret, now)
        body = inbound.read(request)
        if body.get("type") == "url_verification":
            return Reception(Reply(200, str(body.get("challenge", "")).encode(), "text/plain; charset=utf-8"))
        if body.get("ssl_check"):
            return Reception(Reply())
        events = inbound.events(body, now)
        for asked, metadata in inbound.forms_asked(body):
            await self._open_form(asked, metadata, str(body.get("trigger_id", "")))
        return Reception(Reply(), tuple([await self._named(event) for event in events]))

    async def _open_form(self, asked: str, metadata: str, trigger: str) -> None:
        try:
            form = msgspec.json.decode(asked, type=AskedForm)
        except msgspec.MsgspecError:
            raise Problem(Outcome.BAD_CONTENT, "the button does not carry a form") from None
        await self._call("views.open", {"trigger_id": trigger, "view": view(form, metadata)}, timeout=QUICK)

    async def _named(self, event: Event) -> Event:
        """With the name of who has said it, if Slack tells it soon."""
        if not isinstance(event, Said) or event.sender.name or not event.sender.id.startswith(("U", "W")):
            return event
        user = event.sender.id
        name = self._remembered("name", user)
        if name is None:
            try:
                profile = (await self._call("users.info", {"user": user}, timeout=QUICK))["user"]
                name = str(profile.get("profile", {}).get("display_name") or profile.get("real_name") or "")
            except (Problem, KeyError, AttributeError):
                name = ""  # remembered, too: a missing scope is asked about once an hour
            self._remember("name", user, name)
        return msgspec.structs.replace(event, sender=msgspec.structs.replace(event.sender, name=name))

    async def fetch(self, media: Mapping[str, str]) -> bytes:
        address = media.get("url", "")
        parts, base = urlsplit(address), urlsplit(self._http.base)
        ours = (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
        slacks = parts.scheme == "https" and (parts.hostname or "").endswith(".slack.com")
        if not ours and not slacks:  # the token goes with it
            raise Problem(Outcome.BAD_CONTENT, "the file is not at Slack")
        token = await self._tokens.get()
        answer = await self._http.call(
            "GET",
            address,
            headers={"Authorization": f"Bearer {token}"},
            timeout=FILE_TIMEOUT,
            answer_max=FILE_MAX,
        )
        if answer.status in (302, 401, 403):
            advice = "Give the app the scope files:read, and install it again."
            raise Problem(Outcome.BAD_CREDENTIAL, "Slack does not let the app read the file", advice=advice)
        if answer.status != 200:
            outcome = Outcome.TRANSIENT if answer.status >= 500 or answer.status == 429 else Outcome.BAD_CONTENT
            raise Problem(outcome, f"Slack answers HTTP {answer.status} for the file", after=answer.retry_after)
        return answer.body

    async def close(self) -> None:
        await self._tokens.close()

    # calls

    async def _call(self, method: str, arguments: Mapping[str, object], timeout: float = TIMEOUT) -> dict[str, Any]:
        with nullcontext() if method in _SAYS else nothing_said():
            return await self._answered(method, arguments, timeout)

    async def _answered(self, method: str, arguments: Mapping[str, object], timeout: float) -> dict[str, Any]:
        token = await self._tokens.get()
        try:
            return judge(await self._ask(method, arguments, token, timeout))
        except Problem as problem:
            if problem.code != "token_expired" or not self._refresh_token:
                raise
        self._tokens.void(token)
        return judge(await self._ask(method, arguments, await self._tokens.get(), timeout))

    async def _ask(self, method: str, arguments: Mapping[str, object], token: str, timeout: float) -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        path = f"/api/{method}"
        if method in _JSON:
            return await self._http.post(path, arguments, headers=headers, timeout=timeout)
        body = urlencode({name: str(value) for name, value in arguments.items()}).encode()
        type_ = "application/x-www-form-urlencoded"
        return await self._http.call("POST", path, body=body, type_=type_, headers=headers, timeout=timeout)

    async def _token(self) -> Token:
        """The one that was given, and later those that take its place."""
        if self._given is not None:
            given, self._given = self._given, None
            return Token(given, math.inf)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._refresh_token,
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        type_ = "application/x-www-form-urlencoded"
        with nothing_said():
            answer = judge(
                await self._http.call("POST", "/api/oauth.v2.access", body=urlencode(form).encode(), type_=type_)
            )
        text, again = answer.get("access_token"), answer.get("refresh_token")
        if not isinstance(text, str) or not isinstance(again, str):
            raise Problem(Outcome.UNKNOWN, "Slack's answer has no token", everybody=True)
        self._refresh_token = again
        if self._around.renewed is not None:
            # the old one is good no more: whoever waits for the token may go, this must be kept
            await asyncio.shield(self._around.renewed({"bot_token": text, "refresh_token": again}))
        seconds = lifetime(answer.get("expires_in"), 43_200.0)
        return Token(text, self._around.steady() + max(seconds - EARLY, seconds / 2))

    def _remembered(self, kind: str, name: str) -> str | None:
        until, value = self._known.get((kind, name), (0.0, ""))
        return value if self._around.steady() < until else None

    def _remember(self, kind: str, name: str, value: str) -> str:
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[kind, name] = (self._around.steady() + KNOWN_TIME, value)
        return value


def _told(answer: Any, *path: str) -> str:
    """A text of Slack's answer. Raises Problem if it is not there."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(answer, str):
        raise Problem(Outcome.UNKNOWN, f"Slack's answer has no {'.'.join(path)}")
    return answer


def _uploaded(content: Content) -> Media | None:
    """What is sent as a file."""
    match content:
        case File(media) | Audio(media) | Video(media=media):
            return media
        case Image(media) if media.file:
            return media
        case _:
            return None


KIND = ChannelKind(
    name="slack",
    platform="slack",
    credentials=SlackCredentials,
    secret=frozenset({"bot_token", "signing_secret", "refresh_token", "client_secret"}),
    targets=frozenset({"user", "group", "email"}),
    open=SlackApp,
    features=FEATURES,
)
