"""Work notifications: accepted at once; who did not get one is told by the result alone."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board, Shown, State
from hongyan.sandbox.dingtalk.answers import Refusal, fields, json_object, legacy
from hongyan.sandbox.dingtalk.checks import work_type
from hongyan.sandbox.dingtalk.world import AGENT_ID, APP_NAME, DEPARTMENTS, PEOPLE

#: Work notifications of a person in a day, and to everyone.
DAILY, ALL_DAILY = 500, 3


@dataclass
class Task:
    """A work notification: who got it, and who did not, by the code of why."""

    shown: str
    users: list[str]
    invalid_users: list[str]
    invalid_departments: list[str]
    forbidden: dict[str, int]


class Work:
    """The same content reaches a person once a day, and no more than DAILY notifications do."""

    def __init__(self, board: Board, now: Callable[[], float]) -> None:
        self._board = board
        self._now = now
        self._tasks: dict[int, Task] = {}
        self._days: dict[tuple[str, int], int] = {}
        self._to_all: dict[int, int] = {}
        self._contents: set[tuple[str, int, str]] = set()

    async def send(self, request: web.Request) -> web.Response:
        body = await fields(request)
        if str(body.get("agent_id")) != str(AGENT_ID):
            return legacy(33001, "无效的企业应用ID")
        message = body.get("msg")
        if isinstance(message, str):
            message = json_object(message.encode())
        kind = work_type(message)
        assert isinstance(message, dict)
        for media in [message[kind].get("media_id")] if kind in ("image", "voice", "file") else []:
            if self._board.media(str(media)) is None:
                return legacy(40007, "不合法的媒体文件id")
        users = [each for each in str(body.get("userid_list") or "").split(",") if each]
        departments = [each for each in str(body.get("dept_id_list") or "").split(",") if each]
        if len(users) > 100 or len(departments) > 20:
            return legacy(40035, "接收者数量超过限制")
        if to_all := body.get("to_all_user") in (True, "true"):
            departments = ["1"]
        if not users and not departments:
            return legacy(40035, "缺少参数 userid_list、dept_id_list、to_all_user")
        return legacy(0, "ok", task_id=self._new_task(kind, message, users, departments, to_all), request_id="sandbox")

    def _new_task(
        self, kind: str, message: dict[str, Any], users: list[str], departments: list[str], to_all: bool
    ) -> int:
        """Who gets nothing is told by the result alone."""
        day = int(self._now() // 86_400)
        self._to_all[day] = self._to_all.get(day, 0) + to_all
        content = hashlib.sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()
        wanted = [each for each in users if each in PEOPLE]
        for person in PEOPLE.values():
            if person.id not in wanted and any(str(each) in departments for each in person.departments):
                wanted.append(person.id)
        forbidden: dict[str, int] = {}
        for each in wanted:
            if (each, day, content) in self._contents:
                forbidden[each] = 143106
            elif self._days.get((each, day), 0) >= DAILY or (to_all and self._to_all[day] > ALL_DAILY):
                forbidden[each] = 143105
            else:
                self._contents.add((each, day, content))
                self._days[each, day] = self._days.get((each, day), 0) + 1
        got = [each for each in wanted if each not in forbidden]
        number = len(self._tasks) + 500_001
        shown_id = ""
        if got:
            extra = {"title": "工作通知", "work": True, "task": number}
            shown_id = self._board.add("dingtalk", "app", APP_NAME, got, kind, message, extra=extra).id
        self._tasks[number] = Task(
            shown_id,
            got,
            [each for each in users if each not in PEOPLE],
            [each for each in departments if not (each.isdecimal() and int(each) in DEPARTMENTS)],
            forbidden,
        )
        return number

    def _task(self, number: object) -> Task:
        task = self._tasks.get(int(str(number))) if str(number).isdecimal() else None
        if task is None:
            raise Refusal(legacy(33012, "无效的任务ID"))
        return task

    async def progress(self, request: web.Request) -> web.Response:
        self._task((await fields(request)).get("task_id"))
        return legacy(0, "ok", progress={"progress_in_percent": 100, "status": 2})

    async def result(self, request: web.Request) -> web.Response:
        task = self._task((await fields(request)).get("task_id"))
        shown = self._board.get(task.shown)
        read = shown.read_by if shown else []
        result = {
            "invalid_user_id_list": task.invalid_users,
            "forbidden_user_id_list": list(task.forbidden),
            "failed_user_id_list": [],
            "read_user_id_list": [each for each in task.users if each in read],
            "unread_user_id_list": [each for each in task.users if each not in read],
            "invalid_dept_id_list": task.invalid_departments,
            "forbidden_list": [{"code": str(c), "count": 1, "userid": each} for each, c in task.forbidden.items()],
        }
        return legacy(0, "ok", send_result=result)

    async def recall(self, request: web.Request) -> web.Response:
        shown = self._board.get(self._task((await fields(request)).get("msg_task_id")).shown)
        if shown is not None:
            self._change(shown, "recalled")
        return legacy(0, "ok")

    async def update(self, request: web.Request) -> web.Response:
        body = await fields(request)
        shown = self._board.get(self._task(body.get("task_id")).shown)
        if shown is None or shown.kind != "oa" or not body.get("status_value"):
            return legacy(40035, "只有OA消息可以更新状态栏")
        shown.payload["oa"]["status_bar"] = {
            "status_value": str(body["status_value"]),
            "status_bg": str(body.get("status_bg", "")),
        }
        self._change(shown, "changed")
        return legacy(0, "ok")

    def _change(self, shown: Shown, state: State) -> None:
        shown.state = state
        self._board.changed(shown)
