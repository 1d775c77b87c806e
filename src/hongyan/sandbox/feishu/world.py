"""Who and what there is at the sandbox's Feishu."""

from dataclasses import dataclass

from hongyan.sandbox.emulator import Robot

APP_ID, APP_SECRET, APP_NAME = "cli_sandbox00000001", "sandbox-app-secret-of-feishu", "鸿雁助手"
ENCRYPT_KEY, VERIFICATION_TOKEN = "sandbox-encrypt-key", "sandbox-verification-token"
BOT_ID, TENANT = "ou_sandbox_bot", "sandboxtenant"


@dataclass(frozen=True)
class Person:
    """`inside`: of the app's availability range."""

    open_id: str
    user_id: str
    union_id: str
    name: str
    email: str
    mobile: str
    departments: tuple[str, ...] = ()
    inside: bool = True

    @property
    def chat(self) -> str:
        """The chat of this person and the bot."""
        return f"oc_sandbox_with_{self.user_id}"

    def ids(self) -> dict[str, str]:
        return {"open_id": self.open_id, "user_id": self.user_id, "union_id": self.union_id}


@dataclass(frozen=True)
class Group:
    """`bot`: the app's bot is in it. `muted`: only its owner speaks."""

    id: str
    title: str
    members: tuple[str, ...] = ()
    bot: bool = True
    muted: bool = False
    dissolved: bool = False
    threads: bool = True


def _person(number: str, name: str, *departments: str, inside: bool = True) -> Person:
    return Person(
        f"ou_sandbox_{number}",
        number,
        f"on_sandbox_{number}",
        name,
        f"{number}@example.com",
        f"1380000{sum(map(ord, number)) % 10000:04}",
        departments,
        inside,
    )


PEOPLE = {
    each.open_id: each
    for each in (
        _person("zhangsan", "张三", "od-sandbox-dev"),
        _person("lisi", "李四", "od-sandbox-dev"),
        _person("wangwu", "王五", "od-sandbox-ops"),
        _person("outsider", "赵六", inside=False),
    )
}
DEPARTMENTS = {"od-sandbox-dev": "研发部", "od-sandbox-ops": "运维部"}
_ALL = ("ou_sandbox_zhangsan", "ou_sandbox_lisi", "ou_sandbox_wangwu")
GROUPS = {
    each.id: each
    for each in (
        Group("oc_sandbox_ops", "运维值班群", _ALL),
        Group("oc_sandbox_dev", "研发交流群", _ALL[:2]),
        Group("oc_sandbox_plain", "不支持话题的群", _ALL, threads=False),
        Group("oc_sandbox_without", "机器人不在的群", _ALL, bot=False),
        Group("oc_sandbox_muted", "全员禁言群", _ALL, muted=True),
        Group("oc_sandbox_dissolved", "已解散的群", (), dissolved=True),
    )
}
ROBOTS = {
    "sandbox-open": Robot("通知机器人", "oc_sandbox_dev"),
    "sandbox-signed": Robot("告警机器人", "oc_sandbox_ops", secret="sandbox-robot-secret"),
    "sandbox-keyword": Robot("发布助手", "oc_sandbox_dev", keywords=("告警", "发布")),
    "sandbox-network": Robot("内网机器人", "oc_sandbox_dev", networks=("127.0.0.*", "::1")),
    "sandbox-elsewhere": Robot("机房机器人", "oc_sandbox_dev", networks=("203.0.113.1/24",)),
}


def find_person(id: str) -> Person | None:
    """By any of the ids, or the mail address."""
    for each in PEOPLE.values():
        if id in (each.open_id, each.user_id, each.union_id, each.email):
            return each
    return None
