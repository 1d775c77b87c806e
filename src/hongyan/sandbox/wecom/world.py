"""The company of the sandbox: its members, departments, tags, applications, robots and groups."""

from dataclasses import dataclass, field

CORP = "wwsandbox0001"


@dataclass(frozen=True, slots=True)
class Member:
    """`licensed`: applications may send to them; `visible`: they are in the applications' range."""

    id: str
    name: str
    mobile: str
    email: str
    department: int
    licensed: bool = True
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Agent:
    """An application. `token` and `aes_key` are those of its callback."""

    id: int
    name: str
    secret: str
    token: str
    aes_key: str


@dataclass(slots=True)
class Chat:
    """A group that an application has made."""

    id: str
    name: str
    owner: str
    members: list[str]
    agent: int


MEMBERS = (
    Member("ZhangSan", "张三", "13800000001", "zhangsan@example.com", 2),
    Member("lisi", "李四", "13800000002", "lisi@example.com", 2),
    Member("wangwu", "王五", "13800000003", "wangwu@example.com", 3),
    Member("zhaoliu", "赵六", "13800000004", "zhaoliu@example.com", 3),
    Member("sunqi", "孙七", "13800000005", "sunqi@example.com", 3, licensed=False),
    Member("boss", "周总", "13800000006", "boss@example.com", 1, visible=False),
)
DEPARTMENTS = {1: "鸿雁科技", 2: "研发部", 3: "运维部"}
TAGS = {1: ("值班", ("ZhangSan", "wangwu"))}
AGENTS = (
    Agent(
        1000002,
        "鸿雁通知",
        "wecom-sandbox-secret-of-the-first-app-000001",
        "wecomToken",
        "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    ),
    Agent(
        1000003,
        "审批助手",
        "wecom-sandbox-secret-of-the-second-app-00002",
        "otherToken",
        "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcbA",
    ),
)
ROBOTS = {
    "693a91f6-7a3c-4bc4-97a0-0ec2fa5d0001": "告警群",
    "693a91f6-7a3c-4bc4-97a0-0ec2fa5d0002": "发布群",
}


@dataclass(slots=True)
class Company:
    """`chats` are the groups by their ids."""

    chats: dict[str, Chat] = field(
        default_factory=lambda: {"ops": Chat("ops", "运维协作群", "ZhangSan", ["ZhangSan", "lisi", "wangwu"], 1000002)}
    )

    def member(self, user_id: str) -> Member | None:
        """Ids are the same in capital and small letters."""
        return next((each for each in MEMBERS if each.id.lower() == user_id.lower()), None)

    def visible(self) -> list[Member]:
        return [each for each in MEMBERS if each.visible]

    def of_department(self, number: int) -> list[Member]:
        """And of those below it."""
        return [each for each in self.visible() if number in (1, each.department)]


def names() -> dict[str, str]:
    """How the page shows those who are mentioned: by id, and by mobile."""
    return {**{each.id: each.name for each in MEMBERS}, **{each.mobile: each.name for each in MEMBERS}}
