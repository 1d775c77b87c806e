"""An app of Slack with a bot: it writes to channels and people, changes and deletes that, and hears them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from hongyan.hub.connector import (
    AGAIN,
    Event,
    Feature,
    Happened,
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
)
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.known import Known
from hongyan.hub.connectors.slack import inbound
from hongyan.hub.connectors.slack.api import Api, told
from hongyan.hub.connectors.slack.credentials import SlackCredentials
from hongyan.hub.connectors.slack.forms import AskedForm, view
from hongyan.hub.connectors.slack.rendering import escape, mention_text, render
from hongyan.hub.connectors.slack.socket_mode import SocketMode
from hongyan.hub.content import Audio, Content, File, Image, Media, Mention, Message, Video
from hongyan.hub.degrade import Degrade
from hongyan.hub.surroundings import Surroundings

#: Bytes of a file that is sent or fetched; Slack takes more, but it is held in memory here.
FILE_MAX = 50 * 1024 * 1024
#: How long it is believed whose address a mail address is, and what people are called (s); and how many are remembered.
KNOWN_TIME, KNOWN_MAX = 3600.0, 10_000
#: Time for calls while Slack waits for an answer, which it does for 3 s.
QUICK = 2.0
#: What an app can do; it hears only with a signing secret or an app-level token.
FEATURES = frozenset({Feature.RECALL, Feature.UPDATE, Feature.LOOK_UP, Feature.RECEIVE})


class SlackApp(Unable):
    """A message is found again by its channel and `ts`; `more` has those of the parts that followed."""

    def __init__(self, credentials: SlackCredentials, around: Surroundings) -> None:
        self._credentials = credentials
        self._around = around
        self._api = Api(credentials, around)
        self._known = Known[tuple[str, str]](around.steady, KNOWN_TIME, KNOWN_MAX)
        hears = credentials.signing_secret or credentials.app_token
        self.features = FEATURES if hears else FEATURES - {Feature.RECEIVE}
        self._socket = SocketMode(credentials, around, self._heard)
        if credentials.app_token:
            self.listen = self._listen

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
        left = parts[self._around.progress.count(key, target) :]
        self._api.pace(channel, len(left))
        for part in left:
            body = {"channel": channel, **part, "unfurl_links": False, **({"thread_ts": within} if within else {})}
            answer = await self._api.post(channel, body)
            self._around.progress.add(key, target, {name: told(answer, name) for name in ("channel", "ts")})
        first, *more = self._around.progress.done(key, target)
        return {**first, **({"more": ",".join(each["ts"] for each in more)} if more else {})}

    @property
    def _interactive(self) -> bool:
        return Feature.RECEIVE in self.features

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
        self._api.pace(channel)
        text = str(getattr(content, "text", ""))
        alt = {"alt_txt": text[:1000]} if isinstance(content, Image) and text else {}
        asked = {"filename": file.name or "file", "length": str(len(file.content)), **alt}
        place = await self._api.call("files.getUploadURLExternal", asked)
        await self._api.upload(told(place, "upload_url"), file.content)
        title = str(getattr(content, "title", "")) or file.name
        comment = "\n".join(filter(None, (mention_text(mentions, degrade), escape(text))))
        body = {
            "files": [{"id": told(place, "file_id"), "title": title}],
            "channel_id": channel,
            **({"initial_comment": comment} if comment else {}),
            **({"thread_ts": within} if within else {}),
        }
        await self._api.call("files.completeUploadExternal", body)
        return {"channel": channel, "file": told(place, "file_id")}

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
        known = self._known.get(("direct", user))
        if known is None:
            answer = await self._api.call("conversations.open", {"users": user})
            known = self._known.keep(("direct", user), told(answer, "channel", "id"))
        return known

    # afterwards

    async def recall(self, receipt: Receipt) -> None:
        if "file" in receipt:
            await self._api.call("files.delete", {"file": receipt["file"]})
            return
        for stamp in filter(None, reversed(receipt.get("more", "").split(","))):
            try:
                await self._api.call("chat.delete", {"channel": receipt["channel"], "ts": stamp})
            except Problem as problem:
                if problem.code != "message_not_found":  # an earlier try has deleted it
                    raise
        await self._api.call("chat.delete", {"channel": receipt["channel"], "ts": receipt.get("ts", "")})

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
            await self._api.call("chat.update", {"channel": channel, "ts": stamp, **cleared, **part})
        for stamp in stamps[len(parts) :]:
            await self._api.call("chat.delete", {"channel": channel, "ts": stamp})
        return degrade.notes

    async def look_up(self, target: Target) -> Target:
        if target.kind == "mobile":
            raise Problem(Outcome.BAD_RECIPIENT, "Slack finds people by their mail addresses, not by mobile numbers")
        if target.kind != "email":
            return target
        known = self._known.get(("email", target.id))
        if known is None:
            answer = await self._api.call("users.lookupByEmail", {"email": target.id})
            known = self._known.keep(("email", target.id), told(answer, "user", "id"))
        return Target("user", known)

    async def check(self) -> str:
        answer = await self._api.call("auth.test", {})
        if self._credentials.app_token:
            await self._socket.open()
        return f"{answer.get('user', 'a bot')} in {answer.get('team', 'a workspace')}"

    # what comes in

    async def receive(self, request: Incoming) -> Reception:
        if not self._credentials.signing_secret:
            return await super().receive(request)
        inbound.verify(request, self._credentials.signing_secret, self._around.wall())
        body = inbound.read(request)
        if body.get("type") == "url_verification":
            return Reception(Reply(200, str(body.get("challenge", "")).encode(), "text/plain; charset=utf-8"))
        if body.get("ssl_check"):
            return Reception(Reply())
        return Reception(Reply(), await self._heard(body))

    async def _listen(self, tell: Callable[[Event], Awaitable[None]]) -> None:
        await self._socket.run(tell)

    async def _heard(self, body: Mapping[str, Any]) -> tuple[Event, ...]:
        """What a body tells, whichever way it came; a form that it asks for is opened. Raises Problem."""
        events = inbound.events(body, self._around.wall())
        for asked, metadata in inbound.forms_asked(body):
            await self._open_form(asked, metadata, str(body.get("trigger_id", "")))
        return tuple([await self._named(event) for event in events])

    async def _open_form(self, asked: str, metadata: str, trigger: str) -> None:
        try:
            form = msgspec.json.decode(asked, type=AskedForm)
        except msgspec.MsgspecError:
            raise Problem(Outcome.BAD_CONTENT, "the button does not carry a form") from None
        await self._api.call("views.open", {"trigger_id": trigger, "view": view(form, metadata)}, timeout=QUICK)

    async def _named(self, event: Event) -> Event:
        """With the name of who has said it, if Slack tells it soon."""
        if isinstance(event, Happened) and event.edited is not None:
            return msgspec.structs.replace(event, edited=await self._named(event.edited))
        if not isinstance(event, Said) or event.sender.name or not event.sender.id.startswith(("U", "W")):
            return event
        user = event.sender.id
        name = self._known.get(("name", user))
        if name is None:
            try:
                profile = (await self._api.call("users.info", {"user": user}, timeout=QUICK))["user"]
                name = str(profile.get("profile", {}).get("display_name") or profile.get("real_name") or "")
            except (Problem, KeyError, AttributeError):
                name = ""  # remembered, too: a missing scope is asked about once an hour
            self._known.keep(("name", user), name)
        return msgspec.structs.replace(event, sender=msgspec.structs.replace(event.sender, name=name))

    async def fetch(self, media: Mapping[str, str]) -> bytes:
        return await self._api.download(media.get("url", ""), FILE_MAX)

    async def close(self) -> None:
        await self._api.close()


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
    secret=frozenset({"bot_token", "signing_secret", "app_token", "refresh_token", "client_secret"}),
    targets=frozenset({"user", "group", "email"}),
    open=SlackApp,
    features=FEATURES,
)
