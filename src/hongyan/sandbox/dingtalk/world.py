"""The company that there is at DingTalk: its app, robots, people and groups."""

from dataclasses import dataclass

from hongyan.sandbox.emulator import Robot

APP_KEY, APP_SECRET, AGENT_ID = "dingsandboxapp", "sandbox-app-secret-of-dingtalk", 1000001
CORP_ID, CALLBACK_TOKEN = "dingsandboxcorp", "sandboxtoken"
AES_KEY = "sandboxAESkeyOfDingTalk0123456789abcdefghij"
APP_NAME, ROUTE_KEY, CARD_SECRET = "鸿雁助手", "sandbox-route", "sandbox-card-secret"


@dataclass(frozen=True)
class Person:
    id: str
    name: str
    mobile: str
    departments: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    id: str
    title: str
    members: tuple[str, ...]


PEOPLE = {
    each.id: each
    for each in (
        Person("zhangsan", "张三", "13800000001", (1, 2)),
        Person("lisi", "李四", "13800000002", (1, 2)),
        Person("wangwu", "王五", "13800000003", (1, 3)),
    )
}
DEPARTMENTS = {1: "鸿雁科技", 2: "研发部", 3: "运维部"}
GROUPS = {
    each.id: each
    for each in (
        Group("cidOps0sandbox==", "运维值班群", ("zhangsan", "lisi", "wangwu")),
        Group("cidDev0sandbox==", "研发交流群", ("zhangsan", "lisi")),
    )
}
ROBOTS = {
    "sandbox-signed": Robot("告警机器人", "cidOps0sandbox==", secret="SECsandbox0123456789"),
    "sandbox-keyword": Robot("发布助手", "cidDev0sandbox==", keywords=("告警", "发布")),
    "sandbox-network": Robot("内网机器人", "cidDev0sandbox==", networks=("127.0.0.0/8", "::1/128")),
    "sandbox-elsewhere": Robot("机房机器人", "cidDev0sandbox==", networks=("203.0.113.0/24",)),
}
