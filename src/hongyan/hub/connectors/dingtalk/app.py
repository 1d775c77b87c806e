"""An app: its robot tells people and groups, its work notifications departments and everyone."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from hongyan.hub.connector import (
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
    nothing_said,
)
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.dingtalk.api import Api
from hongyan.hub.connectors.dingtalk.app_rendering import FILE_MAX, AppRendering
from hongyan.hub.connectors.dingtalk.credentials import AppCredentials
from hongyan.hub.connectors.dingtalk.errors import FORBIDDEN
from hongyan.hub.connectors.dingtalk.inbound import Inbound
from hongyan.hub.connectors.dingtalk.repeats import Repeats
from hongyan.hub.connectors.dingtalk.stream import Stream
from hongyan.hub.connectors.known import Known
from hongyan.hub.content import Card, Media, Message
from hongyan.hub.degrade import Degrade
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Bytes, Surroundings

#: People of a message of the robot, departments of a work notification, and pages of who has read.
USERS_MAX, DEPARTMENTS_MAX, PAGES_MAX = 20, 20, 25
#: Work notifications in a day: to everyone, of which DingTalk takes three, and to a person, a tenth below its 500. Who
#: is in a department is not known here, but each of them has had what it has had.
ALL_DAY, PERSON_DAY, DAY = 3, 450, 86_400.0
#: For how long it is believed whose a number is (s), as calls of a month are counted; and how many are remembered.
PEOPLE_GOOD, PEOPLE_KEPT = 86_400.0, 20_000
WORK = "/topapi/message/corpconversation/"
ROBOT = "/v1.0/robot/"
#: What is done for some targets: it gives the result of each.
Step = Callable[[Sequence[Target]], Awaitable[Mapping[Target, Result]]]


FEATURES = frozenset({Feature.RECALL, Feature.UPDATE, Feature.STATUS, Feature.RECEIVE, Feature.LOOK_UP})


class AppConnector:
    """Receipts have under `via` by what a message went: user, group, work (notification) or card."""

    features = FEATURES

    def __init__(self, credentials: AppCredentials, around: Surroundings) -> None:
        self._credentials = credentials
        self._around = around
        self._api = Api(credentials, around)
        self._inbound = Inbound(credentials, around.wall)
        self._people = Known[Target](around.steady, PEOPLE_GOOD, PEOPLE_KEPT)
        self._repeats = Repeats(around.wall, around.steady)
        if credentials.stream:
            self.listen = self._listen

    # sending

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        degrade = Degrade(self._around, key)
        rendering = AppRendering(message, degrade, self._upload)
        results: dict[Target, Result] = {}
        known: dict[Target, list[Target]] = {}
        for target in dict.fromkeys(to):
            try:
                known.setdefault(await self._resolved(target), []).append(target)
            except Problem as problem:
                results[target] = failed(target, problem)
        for step, targets in self._steps(message, list(known), rendering, key):
            for found, result in (await _tried(step, targets, results)).items():
                results |= {each: _renamed(result, each) for each in known[found]}
        return Sent(tuple(results[target] for target in to), tuple(degrade.notes))

    async def _resolved(self, target: Target) -> Target:
        return await self.look_up(target) if target.kind in ("mobile", "email") else target

    def _steps(
        self, message: Message, targets: Sequence[Target], rendering: AppRendering, key: str
    ) -> list[tuple[Step, Sequence[Target]]]:
        """What is done for which targets."""
        of = {kind: [each for each in targets if each.kind == kind] for kind in ("user", "group", "department", "all")}
        steps: list[tuple[Step, Sequence[Target]]] = []

        async def users(some: Sequence[Target]) -> Mapping[Target, Result]:
            return await self._send_users(rendering, some)

        async def group(some: Sequence[Target]) -> Mapping[Target, Result]:
            return {each: await self._send_group(rendering, each) for each in some}

        async def card(some: Sequence[Target]) -> Mapping[Target, Result]:
            return {each: await self._send_card(rendering, each, key) for each in some}

        async def work(some: Sequence[Target]) -> Mapping[Target, Result]:
            return await self._send_work(rendering, some, key)

        if self._interactive(message):
            steps += [(card, [each]) for each in (*of["user"], *of["group"])]
        else:
            steps += [(users, some) for some in _chunks(of["user"], USERS_MAX)]
            steps += [(group, [each]) for each in of["group"]]
        steps += [(work, some) for some in (*_chunks(of["department"], DEPARTMENTS_MAX), *_chunks(of["all"], 1))]
        rest = [each for each in targets if each.kind not in of]
        return [*steps, (_unknown_kind, rest)] if rest else steps

    def _interactive(self, message: Message) -> bool:
        """Whether something in it is to be pressed that the app is told."""
        given, card = self._credentials, message.content
        told = given.card_template_id and (given.card_route_key or given.stream)
        return bool(told and isinstance(card, Card) and any(button.id for button in card.buttons))

    async def _send_users(self, rendering: AppRendering, targets: Sequence[Target]) -> Mapping[Target, Result]:
        sample = await rendering.sample(direct=True)
        answer = await self._api.v1(
            "POST",
            ROBOT + "oToMessages/batchSend",
            {"userIds": [each.id for each in targets], **self._sample_body(sample.key, sample.param)},
        )
        wrong = _ids(answer, "invalidStaffIdList")
        filtered = _ids(answer, "filteredStaffIdList")
        slowed = _ids(answer, "flowControlledStaffIdList")
        query_key = str(answer.get("processQueryKey") or "")
        results = {}
        for each in targets:
            if each.id in wrong:
                results[each] = failed(each, Problem(Outcome.BAD_RECIPIENT, "DingTalk knows nobody with this id"))
            elif each.id in filtered:
                results[each] = failed(each, Problem(Outcome.BAD_RECIPIENT, "the app may not write to this person"))
            elif each.id in slowed:
                results[each] = failed(each, Problem(Outcome.THROTTLED, "this person has been told too much"))
            elif not query_key:
                results[each] = failed(each, _unclear())
            else:
                results[each] = Result(each, Outcome.OK, {"via": "user", "key": query_key, "user": each.id})
        return results

    async def _send_group(self, rendering: AppRendering, target: Target) -> Result:
        sample = await rendering.sample(direct=False)
        answer = await self._api.v1(
            "POST",
            ROBOT + "groupMessages/send",
            {"openConversationId": target.id, **self._sample_body(sample.key, sample.param)},
        )
        query_key = str(answer.get("processQueryKey") or "")
        if not query_key:
            raise _unclear()
        return Result(target, Outcome.OK, {"via": "group", "key": query_key, "group": target.id})

    def _sample_body(self, key: str, param: Mapping[str, str]) -> dict[str, str]:
        return {"robotCode": self._credentials.robot, "msgKey": key, "msgParam": _json(param)}

    async def _send_card(self, rendering: AppRendering, target: Target, key: str) -> Result:
        """The same id at each try."""
        card_id = hashlib.sha256(f"{key}\n{target}".encode()).hexdigest()[:32]
        mentioned, names = rendering.mentioned(direct=target.kind == "user")
        params = await rendering.card(names)
        route = self._credentials.card_route_key
        robot = self._credentials.robot
        body: dict[str, object] = {
            "cardTemplateId": self._credentials.card_template_id,
            "outTrackId": card_id,
            "cardData": {"cardParamMap": params},
            "callbackType": "HTTP" if route else "STREAM",
            **({"callbackRouteKey": route} if route else {}),
            "userIdType": 1,
        }
        if target.kind == "group":
            body |= {
                "openSpaceId": f"dtv1.card//IM_GROUP.{target.id}",
                "imGroupOpenSpaceModel": {"supportForward": True},
                "imGroupOpenDeliverModel": {"robotCode": robot, "atUserIds": mentioned},
            }
        else:
            body |= {
                "openSpaceId": f"dtv1.card//IM_ROBOT.{target.id}",
                "imRobotOpenSpaceModel": {"supportForward": True},
                "imRobotOpenDeliverModel": {"spaceType": "IM_ROBOT", "robotCode": robot},
            }
        answer = await self._api.v1("POST", "/v1.0/card/instances/createAndDeliver", body)
        result = answer.get("result")
        delivered = result.get("deliverResults") if isinstance(result, dict) else None
        if not _dicts(delivered):
            raise _unclear()
        for each in _dicts(delivered):
            if not each.get("success"):
                raise Problem(Outcome.BAD_RECIPIENT, str(each.get("errorMsg") or "the card was not delivered"))
        return Result(target, Outcome.OK, {"via": "card", "card": card_id, "message": key})

    async def _send_work(self, rendering: AppRendering, targets: Sequence[Target], key: str) -> Mapping[Target, Result]:
        """DingTalk accepts what is above its numbers for a day, and tells nobody."""
        body: dict[str, object] = {"agent_id": self._agent(), "msg": await rendering.work()}
        results: dict[Target, Result] = {}
        for target in targets:
            try:
                self._around.rates.take(self._daily(target))
            except Problem as problem:
                results[target] = failed(target, problem)
        told = [target for target in targets if target not in results]
        if not told:
            return results
        if mark := self._repeats.mark(key, body["msg"]):
            body["msg"] = rendering.repeated(_dict(body["msg"]), mark)
        if told[0].kind == "all":
            body["to_all_user"] = True
        else:
            body["dept_id_list"] = ",".join(each.id for each in told)
        answer = await self._api.legacy(WORK + "asyncsend_v2", body)
        task = str(answer.get("task_id") or "")
        if not (task.isascii() and task.isdecimal()):
            raise _unclear()
        receipt = {"via": "work", "task": task, "type": str(_dict(body["msg"]).get("msgtype"))}
        return results | {each: Result(each, Outcome.OK, receipt) for each in told}

    def _daily(self, target: Target) -> Limit:
        return Limit(
            ("dingtalk work", self._api.account, *target), ALL_DAY if target.kind == "all" else PERSON_DAY, DAY
        )

    def _agent(self) -> int:
        if self._credentials.agent_id is None:
            raise Problem(
                Outcome.BAD_RECIPIENT,  # others are reached all the same
                "the channel has no `agent_id`, which work notifications need",
                advice="Set `agent_id` to that of the app to reach departments and everyone.",
            )
        return self._credentials.agent_id

    async def _upload(self, media: Media, kind: str, most: int) -> tuple[str, Bytes]:
        file = await self._around.media.read(media, most)
        return await self._api.upload(kind, file), file

    # afterwards

    async def recall(self, receipt: Receipt) -> None:
        """People who were told by one call lose the message together."""
        match receipt.get("via"):
            case "user":
                body: dict[str, object] = {"robotCode": self._credentials.robot, "processQueryKeys": [receipt["key"]]}
                _recalled(await self._api.v1("POST", ROBOT + "otoMessages/batchRecall", body))
            case "group":
                body = {
                    "robotCode": self._credentials.robot,
                    "openConversationId": receipt["group"],
                    "processQueryKeys": [receipt["key"]],
                }
                _recalled(await self._api.v1("POST", ROBOT + "groupMessages/recall", body))
            case "work":
                body = {"agent_id": self._agent(), "msg_task_id": int(receipt["task"])}
                await self._api.legacy(WORK + "recall", body)
            case "card":
                raise Problem(Outcome.BAD_CONTENT, "DingTalk does not take interactive cards back.")
            case _:
                raise Problem(Outcome.BAD_CONTENT, "DingTalk takes back only what the app has sent.")

    async def update(self, receipt: Receipt, message: Message) -> Sequence[Note]:
        """A card is written anew; of a work notification in the style of OA the status changes."""
        degrade = Degrade(self._around, receipt.get("message", ""))
        rendering = AppRendering(message, degrade, self._upload)
        if receipt.get("via") == "card":
            body: dict[str, object] = {
                "outTrackId": receipt["card"],
                "cardData": {"cardParamMap": await rendering.card()},
            }
            await self._api.v1("PUT", "/v1.0/card/instances", body)
        elif receipt.get("via") == "work" and receipt.get("type") == "oa":
            body = {"agent_id": self._agent(), "task_id": int(receipt["task"]), **await rendering.status()}
            await self._api.legacy(WORK + "status_bar/update", body)
        else:
            raise Problem(
                Outcome.BAD_CONTENT,
                "DingTalk changes only interactive cards, and the status of cards that are work notifications.",
            )
        return tuple(degrade.notes)

    async def status(self, receipt: Receipt) -> Status:
        match receipt.get("via"):
            case "user":
                return await self._status_of_user(receipt)
            case "group":
                return await self._status_of_group(receipt)
            case "work":
                return await self._status_of_work(receipt)
            case _:
                return Status()

    async def _status_of_user(self, receipt: Receipt) -> Status:
        query = {"robotCode": self._credentials.robot, "processQueryKey": receipt["key"]}
        answer = await self._api.v1("GET", ROBOT + "oToMessages/readStatus", query=query)
        delivered = _delivered(answer)
        for each in _dicts(answer.get("messageReadInfoList")):
            if each.get("userId") == receipt["user"]:
                read = str(each.get("readStatus")).lower() == "read"
                some = (receipt["user"],)
                return Status(delivered, some if read else (), () if read else some, int(read))
        return Status(delivered)

    async def _status_of_group(self, receipt: Receipt) -> Status:
        read: list[str] = []
        token, answer = "", {}
        for _ in range(PAGES_MAX):
            body: dict[str, object] = {
                "robotCode": self._credentials.robot,
                "openConversationId": receipt["group"],
                "processQueryKey": receipt["key"],
                "maxResults": 200,
                **({"nextToken": token} if token else {}),
            }
            answer = await self._api.v1("POST", ROBOT + "groupMessages/query", body)
            read += _ids(answer, "readUserIds")
            token = str(answer.get("nextToken") or "")
            if not answer.get("hasMore") or not token:
                break
        return Status(_delivered(answer), tuple(read), read_count=len(read))

    async def _status_of_work(self, receipt: Receipt) -> Status:
        """DingTalk accepts what it will not deliver: only this tells."""
        body = {"agent_id": self._agent(), "task_id": int(receipt["task"])}
        result = _dict((await self._api.legacy(WORK + "getsendresult", body)).get("send_result"))
        failed_ones: dict[str, str] = {each: "not delivered" for each in _ids(result, "failed_user_id_list")}
        failed_ones |= {each: "the app may not write to this person" for each in _ids(result, "forbidden_user_id_list")}
        failed_ones |= {each: "DingTalk knows nobody with this id" for each in _ids(result, "invalid_user_id_list")}
        for each in _ids(result, "invalid_dept_id_list"):
            failed_ones[f"department:{each}"] = "DingTalk knows no such department"
        for refused in _dicts(result.get("forbidden_list")):
            code = str(refused.get("code"))
            failed_ones[str(refused.get("userid") or code)] = f"{FORBIDDEN.get(code, 'refused')} ({code})"
        read = tuple(_ids(result, "read_user_id_list"))
        unread = tuple(_ids(result, "unread_user_id_list"))
        return Status(bool(read or unread), read, unread, len(read), failed_ones)

    # people, and the app itself

    async def look_up(self, target: Target) -> Target:
        if target.kind != "mobile":
            raise Problem(
                Outcome.BAD_RECIPIENT,
                "DingTalk finds people by mobile number only",
                advice="Give the person's DingTalk user id or mobile number instead.",
            )
        known = self._people.get(target)
        return Target("user", known or self._people.keep(target, await self._of_mobile(target.id)))

    async def _of_mobile(self, mobile: str) -> str:
        with nothing_said():
            answer = await self._api.legacy("/topapi/v2/user/getbymobile", {"mobile": mobile})
        user = _dict(answer.get("result")).get("userid")
        if not user:
            raise Problem(Outcome.BAD_RECIPIENT, "DingTalk knows nobody with this mobile number")
        return str(user)

    async def check(self) -> str:
        await self._api.check()
        return f"DingTalk app {self._credentials.app_key}"

    # what comes in

    async def receive(self, request: Incoming) -> Reception:
        return self._inbound.receive(request)

    async def _listen(self, tell: Callable[[Event], Awaitable[None]]) -> None:
        await Stream(self._credentials, self._around, self._inbound, tell).run()

    async def fetch(self, media: Mapping[str, str]) -> bytes:
        body = {"robotCode": self._credentials.robot, "downloadCode": media["code"]}
        url = (await self._api.v1("POST", ROBOT + "messageFiles/download", body)).get("downloadUrl")
        if not isinstance(url, str):
            raise Problem(Outcome.UNKNOWN, "DingTalk gives no address of the file")
        return await self._api.fetch(url, FILE_MAX)

    async def close(self) -> None:
        await self._api.close()


async def _tried(step: Step, targets: Sequence[Target], before: Mapping[Target, Result]) -> Mapping[Target, Result]:
    """The results, or the problem as that of each; what concerns everybody is not tried for the next ones."""
    ended = next((each for each in before.values() if each.everybody), None)
    if ended is not None:
        return {target: _renamed(ended, target) for target in targets}
    try:
        return await step(targets)
    except Problem as problem:
        return {target: failed(target, problem) for target in targets}


async def _unknown_kind(targets: Sequence[Target]) -> Mapping[Target, Result]:
    problem = Problem(Outcome.BAD_RECIPIENT, "DingTalk has no such kind of recipient")
    return {target: failed(target, problem) for target in targets}


def _unclear() -> Problem:
    return Problem(Outcome.UNKNOWN, "DingTalk's answer does not say what became of the message")


def _renamed(result: Result, target: Target) -> Result:
    return msgspec.structs.replace(result, target=target)


def _recalled(answer: Mapping[str, Any]) -> None:
    """That it was recalled before is no failure (inferred: the reasons are not documented)."""
    for reason in _dict(answer.get("failedResult")).values():
        if "already" not in str(reason).lower() and "已撤回" not in str(reason):
            raise Problem(Outcome.BAD_RECIPIENT, f"DingTalk does not take the message back: {reason}")


def _delivered(answer: Mapping[str, Any]) -> bool | None:
    status = str(answer.get("sendStatus", "")).upper()
    return {"SUCCESS": True, "RECALLED": True, "PROCESSING": None}.get(status)


def _ids(answer: Mapping[str, Any], name: str) -> list[str]:
    found = answer.get(name)
    return [str(each) for each in found] if isinstance(found, list) else []


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _chunks(targets: Sequence[Target], most: int) -> list[Sequence[Target]]:
    return [targets[start : start + most] for start in range(0, len(targets), most)]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


KIND = ChannelKind(
    name="dingtalk",
    platform="dingtalk",
    credentials=AppCredentials,
    secret=frozenset({"app_secret", "callback_token", "callback_aes_key", "card_secret"}),
    targets=frozenset({"user", "group", "department", "mobile", "all"}),
    open=AppConnector,
    features=FEATURES,
)
