"""An application of Feishu: it speaks to people, groups and departments, and hears them."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

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
    Result,
    Sent,
    Status,
    Target,
    failed,
)
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.feishu.api import Api, data
from hongyan.hub.connectors.feishu.batches import Batches, user_id_type
from hongyan.hub.connectors.feishu.credentials import AppCredentials
from hongyan.hub.connectors.feishu.inbound import Inbound
from hongyan.hub.connectors.feishu.long_connection import LongConnection
from hongyan.hub.connectors.feishu.rendering import Body, Renderer
from hongyan.hub.connectors.feishu.uploads import Uploads
from hongyan.hub.connectors.known import Known
from hongyan.hub.content import Audio, File, Mention, Message, Video
from hongyan.hub.degrade import Degrade
from hongyan.hub.surroundings import Surroundings

MESSAGES = "/open-apis/im/v1/messages"
#: More users than this get a message as a batch.
BATCH_FROM = 50
#: Requests that are under way at once for one message.
TOGETHER = 8
#: Bytes of what is received, and people read on one page, and pages.
DOWNLOAD_MAX, PAGE, PAGES_MAX = 100 * 1024 * 1024, 100, 50
#: Names that are kept, how long they are waited for (s), as a request must be answered within three, and are good (s).
NAMES_KEPT, NAME_TIMEOUT, NAME_GOOD = 2000, 0.8, 3600.0
#: For how long it is believed whose an address or number is (s), and how many are remembered.
PEOPLE_GOOD, PEOPLE_KEPT = 86_400.0, 20_000
#: The group takes no threads: an answer stands beside the others.
NO_THREADS = frozenset({"230071", "230072"})


class AppConnector:
    features = frozenset(
        {Feature.RECALL, Feature.UPDATE, Feature.STATUS, Feature.RECEIVE, Feature.LOOK_UP, Feature.ONCE}
    )

    def __init__(self, credentials: AppCredentials, around: Surroundings) -> None:
        self._credentials = credentials
        self._around = around
        self._api = Api(credentials, around)
        self._batches = Batches(self._api)
        self._inbound = Inbound(credentials, _Names(self._api, around), around.wall)
        self._found = Known[Target](around.steady, PEOPLE_GOOD, PEOPLE_KEPT)
        if credentials.stream:
            self.listen = self._listen

    # out

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        """Each target gets a message of its own, but for departments and many users, who get one as a batch."""
        degrade = Degrade(self._around, key)
        renderer = Renderer(degrade, self._find, Uploads(self._api))
        batch, single = _divided(message, to)
        sending = _Sending(self._api, key, _answers(thread, single))
        if message.thread and not (single and all(sending.is_answer(target) for target in single)):
            degrade.note("thread_to_title", message.thread)
        results: dict[Target, Result] = {}
        try:
            if batch:
                named = await renderer.bodies(message, direct=True, files=False, thread=message.thread)
                results |= await self._batches.send(named[0], batch)
            bodies = {
                target: await renderer.bodies(
                    message,
                    direct=target.kind != "group",
                    thread="" if sending.is_answer(target) else message.thread,
                )
                for target in single
            }
        except Problem as problem:
            return Sent(tuple(results.get(target) or failed(target, problem) for target in to), tuple(degrade.notes))
        limit = asyncio.Semaphore(TOGETHER)

        async def one(target: Target) -> Result:
            async with limit:
                return await self._send_one(target, bodies[target], sending)

        results |= zip(single, await asyncio.gather(*map(one, single)), strict=True)
        return Sent(tuple(results[target] for target in to), tuple(degrade.notes))

    async def _send_one(self, target: Target, bodies: Sequence[Body], sending: "_Sending") -> Result:
        """Nothing more is tried after a problem that concerns everybody."""
        try:
            if sending.stopped is not None:
                raise sending.stopped
            place = await self.look_up(target) if target.kind == "mobile" else target
            first, *more = [await sending.post(body, place, target, number) for number, body in enumerate(bodies)]
        except Problem as problem:
            if problem.everybody:
                sending.stopped = problem
            return failed(target, problem)
        also = {"also": " ".join(each["message_id"] for each in more)} if more else {}
        return Result(target, Outcome.OK, {**first, **also})

    async def recall(self, receipt: Receipt) -> None:
        if "batch_message_id" in receipt:
            await self._batches.recall(receipt)
            return
        for message_id in (receipt["message_id"], *receipt.get("also", "").split()):
            await self._api.call("DELETE", f"{MESSAGES}/{quote(message_id, safe='')}")

    async def update(self, receipt: Receipt, message: Message) -> Sequence[Note]:
        """Cards become other cards, and texts other texts: Feishu changes no message's type."""
        degrade = Degrade(self._around, receipt.get("message_id", ""))
        renderer = Renderer(degrade, self._find, Uploads(self._api))
        type_ = receipt.get("msg_type", "")
        if "batch_message_id" in receipt or type_ not in ("interactive", "text", "post"):
            raise Problem(
                Outcome.BAD_CONTENT, "Feishu changes texts and cards only, and none that were sent as a batch."
            )
        path = f"{MESSAGES}/{quote(receipt['message_id'], safe='')}"
        self._api.take(receipt["message_id"])
        if type_ == "interactive":
            body = await renderer.card_of(message)
            await self._api.call("PATCH", path, value={"content": _packed(body)})
        else:
            body = await renderer.text_of(message)
            await self._api.call("PUT", path, value={"msg_type": body.type, "content": _packed(body)})
        return degrade.notes

    async def status(self, receipt: Receipt) -> Status:
        """Who has read it, in the first seven days; of a batch only how many."""
        if "batch_message_id" in receipt:
            return await self._batches.status(receipt)
        path = f"{MESSAGES}/{quote(receipt['message_id'], safe='')}/read_users"
        query = {"user_id_type": "open_id", "page_size": str(PAGE)}
        read: list[str] = []
        for _ in range(PAGES_MAX):
            found = data(await self._api.call("GET", path, query))
            read += [str(each.get("user_id")) for each in found.get("items") or () if isinstance(each, dict)]
            if not found.get("has_more") or not found.get("page_token"):
                break
            query["page_token"] = str(found["page_token"])
        return Status(delivered=True, read=tuple(dict.fromkeys(read)), read_count=len(set(read)))

    async def look_up(self, target: Target) -> Target:
        if target.kind not in ("email", "mobile"):
            return target
        known = self._found.get(target)
        return Target("user", known or self._found.keep(target, await self._look_up(target)))

    async def _look_up(self, target: Target) -> str:
        asked = {"emails": [target.id]} if target.kind == "email" else {"mobiles": [target.id]}
        path, query = "/open-apis/contact/v3/users/batch_get_id", {"user_id_type": "open_id"}
        for each in data(await self._api.call("POST", path, query, asked)).get("user_list") or ():
            if isinstance(each, dict) and each.get("user_id"):
                return str(each["user_id"])
        raise Problem(
            Outcome.BAD_RECIPIENT,
            f"Feishu knows nobody with this {'mail address' if target.kind == 'email' else 'mobile number'}",
            advice="The person must be in the app's availability range; numbers outside of China begin with +.",
        )

    async def check(self) -> str:
        bot = (await self._api.call("GET", "/open-apis/bot/v3/info")).get("bot")
        name = bot.get("app_name") if isinstance(bot, dict) else None
        return f"Feishu app {name}" if name else "Feishu app"

    async def _find(self, mention: Mention) -> str | None:
        """The id of who is mentioned; that nobody is found, or may be looked up, keeps no message from being sent."""
        if mention.user:
            return mention.user
        try:
            target = Target("email", mention.email) if mention.email else Target("mobile", mention.mobile)
            return (await self.look_up(target)).id
        except Problem as problem:
            if problem.outcome in AGAIN:
                raise
            return None

    # in

    async def receive(self, request: Incoming) -> Reception:
        return await self._inbound.receive(request)

    async def _listen(self, tell: Callable[[Event], Awaitable[None]]) -> None:
        await LongConnection(self._credentials, self._around, self._inbound, tell).run()

    async def fetch(self, media: Mapping[str, str]) -> bytes:
        message_id, key = quote(media["message_id"], safe=""), quote(media["key"], safe="")
        return await self._api.download(
            f"{MESSAGES}/{message_id}/resources/{key}", {"type": media["type"]}, DOWNLOAD_MAX
        )

    async def close(self) -> None:
        await self._api.close()


class _Sending:
    """One message on its way; `answers` is the message that it answers, by the targets where it can."""

    def __init__(self, api: Api, key: str, answers: Mapping[Target, str]) -> None:
        self._api = api
        self._key = key
        self._answers = answers
        self.stopped: Problem | None = None

    def is_answer(self, target: Target) -> bool:
        return target in self._answers

    async def post(self, body: Body, place: Target, target: Target, number: int) -> dict[str, str]:
        """The receipt. Feishu takes a message once in an hour that has the same `uuid`."""
        self._api.take(place.id)
        sent: dict[str, Any] = {"msg_type": body.type, "content": _packed(body), "uuid": self._uuid(target, number)}
        answered = self._answers.get(target)
        if answered is None:
            sent["receive_id"] = place.id
            answer = await self._api.call("POST", MESSAGES, {"receive_id_type": _id_type(place)}, sent)
        else:
            answer = await self._reply(f"{MESSAGES}/{quote(answered, safe='')}/reply", sent)
        found = data(answer)
        if not isinstance(found.get("message_id"), str):
            raise Problem(Outcome.UNKNOWN, "the answer has no message_id")
        chat = found.get("chat_id")
        known = {"chat_id": chat} if isinstance(chat, str) and chat else {}
        return {"message_id": found["message_id"], "msg_type": body.type, **known}

    async def _reply(self, path: str, sent: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._api.call("POST", path, value={**sent, "reply_in_thread": True})
        except Problem as problem:
            if problem.code not in NO_THREADS:
                raise
            return await self._api.call("POST", path, value=sent)

    def _uuid(self, target: Target, number: int) -> str:
        """At most 50 characters: one for each message that goes out."""
        return hashlib.sha256(f"{self._key}\0{target}\0{number}".encode()).hexdigest()[:40]


class _Names:
    """Of people, groups and the bot. What Feishu does not say, or not soon, is empty for an hour."""

    def __init__(self, api: Api, around: Surroundings) -> None:
        self._api = api
        self._known = Known[str](around.steady, NAME_GOOD, NAMES_KEPT)

    async def person(self, open_id: str) -> str:
        path = f"/open-apis/contact/v3/users/{quote(open_id, safe='')}"
        return await self._get(path, ("data", "user", "name"), {"user_id_type": "open_id"})

    async def chat(self, chat_id: str) -> str:
        return await self._get(f"/open-apis/im/v1/chats/{quote(chat_id, safe='')}", ("data", "name"))

    async def bot(self) -> str:
        return await self._get("/open-apis/bot/v3/info", ("bot", "open_id"))

    async def _get(self, path: str, within: Sequence[str], query: Mapping[str, str] | None = None) -> str:
        known = self._known.get(path)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(NAME_TIMEOUT):
                found: Any = await self._api.call("GET", path, query)
        except (Problem, TimeoutError):
            found = {}
        for each in within:
            found = found.get(each) if isinstance(found, dict) else None
        return self._known.keep(path, found if isinstance(found, str) else "")


def _divided(message: Message, to: Sequence[Target]) -> tuple[list[Target], list[Target]]:
    """Those who get it as a batch, and the others. Files can't be sent as a batch, and batches answer nothing."""
    users = [target for target in to if target.kind == "user"]
    many = len(users) > BATCH_FROM and not message.thread and not isinstance(message.content, File | Audio | Video)
    batch = [target for target in to if target.kind == "department" or (many and target.kind == "user")]
    single = [target for target in to if target not in set(batch)]
    return list(dict.fromkeys(batch)), list(dict.fromkeys(single))


def _answers(thread: Receipt | None, single: Sequence[Target]) -> dict[Target, str]:
    """The message that is answered, for the targets where it is."""
    if thread is None or "message_id" not in thread:
        return {}
    return {target: thread["message_id"] for target in single if len(single) == 1 or target.id == thread.get("chat_id")}


def _id_type(target: Target) -> str:
    match target.kind:
        case "group":
            return "chat_id"
        case "email":
            return "email"
        case _:
            return user_id_type(target.id)


def _packed(body: Body) -> str:
    return msgspec.json.encode(body.content).decode()


KIND = ChannelKind(
    "feishu",
    "feishu",
    AppCredentials,
    frozenset({"app_secret", "encrypt_key", "verification_token"}),
    frozenset({"user", "group", "department", "email", "mobile"}),
    AppConnector,
)
