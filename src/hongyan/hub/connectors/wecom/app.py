"""An application: it sends to members, departments, tags, everyone and its own groups, and hears what members do.

WeCom tells nobody who has read a message, and drops without a word what is above the rates of a member: 30 messages a
minute and 1000 an hour, and in groups 200 a minute and 10 000 a day. What goes to an address is counted here; who is in
a department or group is not known here, but each of them has had what it has had.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import msgspec
from msgspec.structs import replace

from hongyan.hub.connector import (
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
    Unable,
    failed,
    nothing_said,
    said_twice,
)
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.known import Known
from hongyan.hub.connectors.wecom.api import Api, named
from hongyan.hub.connectors.wecom.callback import Callback
from hongyan.hub.connectors.wecom.cards import AppCards, key_of_task, task_id
from hongyan.hub.connectors.wecom.credentials import AppCredentials
from hongyan.hub.connectors.wecom.errors import NOBODY
from hongyan.hub.connectors.wecom.mentions import USER, Told, told
from hongyan.hub.connectors.wecom.rendering import FILE_MAX, GroupRendering, Part
from hongyan.hub.connectors.wecom.uploads import Uploads
from hongyan.hub.content import Mention, Message
from hongyan.hub.degrade import Degrade
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Surroundings

#: Members, departments and tags in one call.
USERS_MAX, PARTIES_MAX, TAGS_MAX = 1000, 100, 100
#: Messages to a member in a minute and an hour, and to one of a group in a minute and a day; a tenth below WeCom's
#: numbers.
MEMBER_MINUTE, MEMBER_HOUR, GROUP_MINUTE, GROUP_DAY, DAY = 27, 900, 180, 9000, 86_400.0
#: For how long WeCom refuses the same content to the same people, if it is asked to (s).
DUPLICATES = 600
#: How long it is remembered whom an address belongs to (s), and how many addresses and messages are.
PEOPLE, KEPT = 86_400.0, 20_000
_NUMBER, _GROUP = re.compile(r"[0-9]{1,18}"), re.compile(r"[0-9A-Za-z_-]{1,64}")
#: The field of `message/send` for each kind of target, how many it takes, and the field of the answer with those it
#: did not reach.
_FIELDS = {
    "user": ("touser", USERS_MAX, "invaliduser"),
    "department": ("toparty", PARTIES_MAX, "invalidparty"),
    "tag": ("totag", TAGS_MAX, "invalidtag"),
}
#: Sends a part of a message to some, by the message's key and the part's number: what became of it for each.
_Call = Callable[[Part, list[Target], str, int], Awaitable[dict[Target, Receipt | Problem]]]
_UNLICENSED = "Give the member a licence of the interface (接口许可) in the WeCom administration."


class App(Unable):
    """A receipt has `msgid`, and for cards that can be changed `response_code` and `task_id`; a group's has nothing."""

    def __init__(self, credentials: AppCredentials, around: Surroundings) -> None:
        self._around = around
        self._credentials = credentials
        self._api = Api(credentials, around)
        self._uploads = Uploads(self._api.upload, around.steady)
        self._sent = _Sent(around.steady)
        self._people = Known[Target](around.steady, PEOPLE, KEPT)
        self._callback = Callback(credentials, around.wall) if credentials.token else None
        can = {Feature.RECALL, Feature.UPDATE, Feature.LOOK_UP, Feature.ONCE}
        self.features = frozenset(can | ({Feature.RECEIVE} if self._callback else set()))

    # sending

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        degrade = Degrade(self._around, key)
        results: dict[Target, Result] = {}
        known: dict[Target, Target] = {}
        for target in dict.fromkeys(to):
            try:
                known[target] = await self.look_up(target) if target.kind in ("email", "mobile") else _valid(target)
            except Problem as problem:
                results[target] = failed(target, problem)
        ids = list(dict.fromkeys(known.values()))
        found: dict[Target, Result] = {}
        groups = [each for each in ids if each.kind == "group"]
        people = [each for each in ids if each.kind != "group"]
        if people:
            found |= await self._to_people(message, people, degrade)
        if groups:
            found |= await self._to_groups(message, groups, degrade)
        results |= {target: replace(found[id_], target=target) for target, id_ in known.items()}
        return Sent(tuple(results[target] for target in to), tuple(degrade.notes))

    async def _to_people(self, message: Message, to: list[Target], degrade: Degrade) -> dict[Target, Result]:
        if message.mentions:
            degrade.note("mention_dropped_direct")
        cards = AppCards(degrade, self._uploads.get, Told())
        cards.answered = self._callback is not None
        parts = await cards.parts(message)
        return await self._each(parts, _batches(to), degrade.key, self._send_to_people)

    async def _to_groups(self, message: Message, to: list[Target], degrade: Degrade) -> dict[Target, Result]:
        mentions = [await self._resolved(each) for each in message.mentions]
        parts = await GroupRendering(degrade, self._uploads.get, told(mentions, mobiles=False)).parts(message)
        return await self._each(parts, [[target] for target in to], degrade.key, self._send_to_group)

    async def _each(
        self, parts: list[Part], batches: Iterable[list[Target]], key: str, call: _Call
    ) -> dict[Target, Result]:
        """To one batch after the other; what concerns the whole channel fails those that follow without a call."""
        results: dict[Target, Result] = {}
        stop: Result | None = None
        for batch in batches:
            if stop is None:
                results |= await self._deliver(parts, batch, key, call)
                stop = next((each for each in results.values() if each.everybody), None)
            else:
                results |= {target: replace(stop, target=target) for target in batch}
        return results

    async def _deliver(
        self,
        parts: list[Part],
        to: list[Target],
        key: str,
        call: _Call,
    ) -> dict[Target, Result]:
        """Each part to those of them that lack it; who has missed one gets none of the next."""
        results: dict[Target, Result] = {}
        for number, part in enumerate(parts):
            lacking = [each for each in to if each not in results and self._around.progress.count(key, each) <= number]
            for target, answer in (await self._tried(part, lacking, key, number, call) if lacking else {}).items():
                if isinstance(answer, Problem):
                    results[target] = failed(target, answer)
                else:
                    self._around.progress.add(key, target, answer)
        for target in to:
            if target not in results:
                results[target] = Result(target, Outcome.OK, _whole(self._around.progress.done(key, target)) or None)
        return results

    async def _tried(
        self,
        part: Part,
        to: list[Target],
        key: str,
        number: int,
        call: _Call,
    ) -> dict[Target, Receipt | Problem]:
        try:
            return await call(part, to, key, number)
        except Problem as problem:
            return dict.fromkeys(to, problem)

    async def _send_to_people(
        self, part: Part, to: list[Target], key: str, number: int
    ) -> dict[Target, Receipt | Problem]:
        results: dict[Target, Receipt | Problem] = {}
        for target in to:
            try:
                self._count(target)
            except Problem as problem:
                results[target] = problem
        to = [target for target in to if target not in results]
        if not to:
            return results
        addressed = _addressed(to)
        receipt = {}
        if part.value.get("card_type", "").endswith("_interaction"):
            receipt["task_id"] = task_id(key, str(addressed))
        value = {
            **addressed,
            "agentid": self._credentials.agent_id,
            "msgtype": part.type,
            part.type: {**part.value, **receipt},
        }
        once = {"enable_duplicate_check": 1, "duplicate_check_interval": DUPLICATES}
        only = self._sent.only_by(f"{key} {number}", value)
        with nullcontext() if only else said_twice():
            answer = await self._api.post("/cgi-bin/message/send", {**value, **(once if only else {})})
        receipt |= {name: str(answer[name]) for name in ("msgid", "response_code") if answer.get(name)}
        unreached = _unreached(answer)
        return results | {target: unreached.get((target.kind, target.id.lower()), receipt) for target in to}

    async def _send_to_group(
        self, part: Part, to: list[Target], key: str, number: int
    ) -> dict[Target, Receipt | Problem]:
        [group] = to
        self._count(group)
        with said_twice():
            await self._api.post(
                "/cgi-bin/appchat/send", {"chatid": group.id, "msgtype": part.type, part.type: part.value}
            )
        return {group: {}}

    def _count(self, target: Target) -> None:
        """Raises Problem for an address that has got as many messages as WeCom lets through to its members."""
        key = (*self._api.account, target.kind, target.id.lower())
        if target.kind == "group":
            self._around.rates.take(Limit(key, GROUP_MINUTE, 60.0), Limit(key, GROUP_DAY, DAY))
        else:
            self._around.rates.take(Limit(key, MEMBER_MINUTE, 60.0), Limit(key, MEMBER_HOUR, 3600.0))

    # afterwards

    async def recall(self, receipt: Receipt) -> None:
        """Within 24 hours."""
        if not receipt.get("msgid"):
            raise Problem(Outcome.BAD_CONTENT, "WeCom gave no id for this message: what a group got stays there")
        for msgid in receipt["msgid"].split(","):
            await self._api.post("/cgi-bin/message/recall", {"msgid": msgid})

    async def update(self, receipt: Receipt, message: Message) -> Sequence[Note]:
        """Change a card for all who have it. WeCom's code for that is good once; a press of a button gives another."""
        code = receipt.get("response_code")
        if not code:
            raise Problem(Outcome.BAD_CONTENT, "WeCom changes only cards that have buttons or a form")
        degrade = Degrade(self._around, key_of_task(receipt.get("task_id", "")))
        card = await AppCards(degrade, self._uploads.get, Told()).changed(message.content)
        value = {"atall": 1, "agentid": self._credentials.agent_id, "response_code": code, "template_card": card}
        await self._api.post("/cgi-bin/message/update_template_card", value)
        return degrade.notes

    async def status(self, receipt: Receipt) -> Status:
        raise Problem(
            Outcome.BAD_CONTENT,
            "WeCom does not tell who has got or read a message; it counts only how many an application sends in a day",
        )

    async def look_up(self, target: Target) -> Target:
        """The member with a mobile number or mail address; who was found is remembered for a day."""
        known = self._people.get(target)
        return Target("user", known or self._people.keep(target, await self._ask_who(target)))

    async def check(self) -> str:
        asked = {"agentid": str(self._credentials.agent_id)}
        answer = await self._api.get("/cgi-bin/agent/get", asked)
        name = (answer.json or {}).get("name")
        return f"the WeCom application {name or self._credentials.agent_id}"

    async def close(self) -> None:
        await self._api.close()

    # what comes in

    async def receive(self, request: Incoming) -> Reception:
        if self._callback is None:
            return await super().receive(request)
        return self._callback.receive(request)

    async def fetch(self, media: Mapping[str, str]) -> bytes:
        answer = await self._api.get("/cgi-bin/media/get", {"media_id": media.get("media_id", "")}, answer_max=FILE_MAX)
        return answer.body

    async def _ask_who(self, target: Target) -> str:
        with nothing_said():
            return await self._ask(target)

    async def _ask(self, target: Target) -> str:
        if target.kind == "mobile":
            return named(await self._api.post("/cgi-bin/user/getuserid", {"mobile": target.id}), "userid")
        if target.kind != "email":
            raise Problem(Outcome.BAD_RECIPIENT, "WeCom finds members by mobile number or mail address")
        path = "/cgi-bin/user/get_userid_by_email"
        try:
            return named(await self._api.post(path, {"email": target.id, "email_type": 1}), "userid")
        except Problem as problem:
            if problem.outcome is not Outcome.BAD_RECIPIENT:
                raise
        return named(await self._api.post(path, {"email": target.id, "email_type": 2}), "userid")  # the member's own

    async def _resolved(self, mention: Mention) -> Mention:
        """With the member's id, if there is one."""
        target = Target("mobile", mention.mobile) if mention.mobile else Target("email", mention.email)
        if not target.id:
            return mention
        try:
            return Mention(user=(await self.look_up(target)).id, name=mention.name)
        except Problem as problem:
            if problem.outcome is not Outcome.BAD_RECIPIENT:
                raise
            return mention


class _Sent:
    """Which part of a message said what to whom, lately. WeCom can refuse the same content to the same people, which is
    good when a message is tried again, but would swallow another message, or part of it, that says the same."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._keys: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def only_by(self, key: str, value: object) -> bool:
        """Whether nothing but this part of a message has said it in the time that WeCom looks at."""
        digest = hashlib.sha256(msgspec.json.encode(value)).digest()
        first, until = self._keys.pop(digest, (key, 0.0))
        only = first == key or self._now() >= until
        self._keys[digest] = (key if only else "", self._now() + DUPLICATES)
        while len(self._keys) > KEPT:
            self._keys.popitem(last=False)
        return only


def _valid(target: Target) -> Target:
    """Raises Problem: an id must not reach others than those it names, such as `@all` or `a|b`."""
    good = {
        "user": USER.fullmatch(target.id),
        "department": _NUMBER.fullmatch(target.id),
        "tag": _NUMBER.fullmatch(target.id),
        "group": _GROUP.fullmatch(target.id),
        "all": target.id == "",
    }.get(target.kind)
    if not good:
        raise Problem(Outcome.BAD_RECIPIENT, f"{target} is no address that a WeCom application can send to")
    return target


def _batches(to: Sequence[Target]) -> Iterable[list[Target]]:
    """Those that go together in one call. Everyone goes alone."""
    if any(target.kind == "all" for target in to):
        yield [target for target in to if target.kind == "all"]
    left = {kind: [target for target in to if target.kind == kind] for kind in _FIELDS}
    while any(left.values()):
        batch: list[Target] = []
        for kind, (_, most, _) in _FIELDS.items():
            batch += left[kind][:most]
            left[kind] = left[kind][most:]
        yield batch


def _addressed(to: Sequence[Target]) -> dict[str, str]:
    """The fields of `message/send`."""
    if to[0].kind == "all":
        return {"touser": "@all"}
    ids = {field: "|".join(each.id for each in to if each.kind == kind) for kind, (field, _, _) in _FIELDS.items()}
    return {field: text for field, text in ids.items() if text}


def _unreached(answer: Mapping[str, Any]) -> dict[tuple[str, str], Problem]:
    """Whom the message did not reach, by kind and id in lower case, as WeCom spells ids of its own mind."""
    unreached = {}
    for kind, (_, _, field) in _FIELDS.items():
        for id_ in str(answer.get(field) or "").split("|"):
            unreached[kind, id_.lower()] = Problem(
                Outcome.BAD_RECIPIENT,
                f"there is no such {kind}, or the application may not see it",
                code=str(NOBODY),
                advice="Check the id and the application's visible range (可见范围).",
            )
    for id_ in str(answer.get("unlicenseduser") or "").split("|"):
        unreached["user", id_.lower()] = Problem(
            Outcome.BAD_RECIPIENT, "the member has no licence of the interface", advice=_UNLICENSED
        )
    return unreached


def _whole(receipts: Sequence[Receipt]) -> dict[str, str]:
    """The receipt of a message of several parts: their ids stand with commas between them."""
    names = dict.fromkeys(name for receipt in receipts for name in receipt)
    return {name: ",".join(receipt[name] for receipt in receipts if receipt.get(name)) for name in names}


KIND = ChannelKind(
    name="wecom",
    platform="wecom",
    credentials=AppCredentials,
    secret=frozenset({"secret", "token", "aes_key"}),
    targets=frozenset({"user", "group", "department", "tag", "email", "mobile", "all"}),
    open=App,
    features=frozenset({Feature.RECALL, Feature.UPDATE, Feature.LOOK_UP, Feature.RECEIVE, Feature.ONCE}),
    batch=_FIELDS["user"][1],
)
