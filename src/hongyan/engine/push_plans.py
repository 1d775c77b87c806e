"""Pushes on their way: which devices get what, as jobs for the services that bring them."""

import json
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from hongyan.engine.push_content import INCREMENT, PushContent
from hongyan.engine.push_devices import address_of, platform_of
from hongyan.engine.push_services import PushServices
from hongyan.engine.pushing import Environment
from hongyan.engine.values import DAY, Badges, ObjectRow
from hongyan.engine.work import NewJob

#: Kinds of jobs: who is to hear of a message, who has not heard of it, which devices a call means, and sending.
PLAN, CHECK, CALL, SEND = "push.plan", "push.check", "push.call", "push.send"
#: Nobody sees a push later (ms); devices that have not been seen for so long get none.
LIFETIME, SEEN_WITHIN = 7 * DAY, 90 * DAY
#: Devices that one job sends to, and those of one client that a message is pushed to.
BATCH, DEVICES_MAX = 20, 100
#: Clients of a device that are looked at again when it is sent to.
FOR_MAX = 3


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent: by a message (conversation key, time, seq), or for a push that was asked for (its id).

    The id of the push of each device begins with `id`. `delay(place)` says when it goes out, after so many ms.
    Of a message, `clients` are those it is pushed to: a device that listens to none of them any more gets nothing.
    """

    id: str
    content: PushContent
    expires_at: int
    environment: Environment
    message: tuple[int, int, int] | None = None
    asked: str | None = None
    team: str = ""
    topic: str = ""
    delay: Callable[[int], int] = lambda place: 0
    clients: Set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Direct:
    """A device that is known by its address alone."""

    platform: str
    token: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs(numbers)` are those that send, with the badges that installations (keys) have now."""

    devices: int
    badges: Badges
    jobs: Callable[[Mapping[int, int]], Sequence[NewJob]]


@dataclass(frozen=True, slots=True)
class _Target:
    service: str
    platform: str
    row: ObjectRow | None
    token: str | None


def lane(app_key: int, service: str = "") -> str:
    """Where the jobs of an app wait, and those of each of its services."""
    return f"push:{app_key}:{service}" if service else f"push:{app_key}"


def plan(
    services: PushServices, app_key: int, what: Sending, rows: Sequence[ObjectRow], direct: Sequence[Direct] = ()
) -> Plan:
    """Those of the devices that the app has a service for, each once."""
    targets = []
    for row in {row.key: row for row in rows}.values():
        platform = platform_of(row.values)
        service = services.route(app_key, platform)
        if service is not None and address_of(row.values, platform) is not None:
            targets.append(_Target(service, platform, row, None))
    for device in direct:
        service = services.route(app_key, device.platform)
        if service is not None:
            targets.append(_Target(service, device.platform, None, device.token))
    contents = {target.platform: what.content.for_platform(target.platform) for target in targets}

    def jobs(numbers: Mapping[int, int]) -> list[NewJob]:
        return _jobs(app_key, what, targets, contents, numbers)

    return Plan(len(targets), _badges(targets, contents), jobs)


def _badges(targets: Sequence[_Target], contents: Mapping[str, Mapping[str, Any]]) -> Badges:
    incremented, numbers = [], {}
    for target in targets:
        badge = contents[target.platform].get("badge")
        if target.row is None or badge is None:
            continue
        if badge == INCREMENT:
            incremented.append(target.row.key)
        else:
            numbers[target.row.key] = badge
    return Badges(incremented, numbers)


def _jobs(
    app_key: int,
    what: Sending,
    targets: Sequence[_Target],
    contents: Mapping[str, Mapping[str, Any]],
    numbers: Mapping[int, int],
) -> list[NewJob]:
    groups: dict[tuple[str, str], list[_Target]] = {}
    for target in targets:
        groups.setdefault((target.service, target.platform), []).append(target)
    jobs = []
    place = 0
    for (service, platform), group in groups.items():
        shared = _shared(what, service, platform, contents[platform])
        for start in range(0, len(group), BATCH):
            batch = group[start : start + BATCH]
            body = {**shared, "devices": [_device(target, what.clients, numbers) for target in batch]}
            jobs.append(NewJob(app_key, lane(app_key, service), SEND, encode(body), what.delay(place)))
            place += len(batch)
    return jobs


def _shared(what: Sending, service: str, platform: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """What all devices of a job have in common. The content of what was asked for is with that."""
    given = {
        "id": what.id,
        "service": service,
        "platform": platform,
        "until": what.expires_at,
        "environment": what.environment,
        "team": what.team,
        "topic": what.topic,
        "message": what.message,
        "asked": what.asked,
        "content": None if what.asked is not None else content,
    }
    return {key: value for key, value in given.items() if value is not None and value != ""}


def _device(target: _Target, clients: Set[str], numbers: Mapping[int, int]) -> dict[str, Any]:
    if target.row is None:
        return {"token": target.token}
    planned: dict[str, Any] = {"id": target.row.id}
    if clients:
        planned["for"] = [each for each in target.row.values.get("channels") or () if each in clients][:FOR_MAX]
    if (badge := numbers.get(target.row.key)) is not None:
        planned["badge"] = badge
    return planned


def encode(body: Mapping[str, Any]) -> bytes:
    """The body of a job. What is no valid Unicode is kept with replacements."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
