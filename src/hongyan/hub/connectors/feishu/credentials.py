"""What a channel keeps for Feishu."""

from hongyan.hub.connectors.credentials import Credentials

#: Where Feishu is; Lark is at https://open.larksuite.com.
CHINA = "https://open.feishu.cn"
#: Where a robot's own part of its address begins.
HOOK = "/open-apis/bot/v2/hook/"
KEYWORDS_MAX = 10


class RobotCredentials(Credentials, frozen=True, kw_only=True):
    """`token` is what follows `/hook/` in the robot's address, or all of that address. `secret` is there if the robot
    asks for signatures, `keywords` if it asks for one of them in each message.
    """

    token: str
    secret: str = ""
    keywords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hook.isascii() or not self.hook.replace("-", "").replace("_", "").isalnum():
            raise ValueError("`token` is what follows /hook/ in the robot's address, or all of that address")
        if len(self.keywords) > KEYWORDS_MAX or not all(word.strip() for word in self.keywords):
            raise ValueError(f"`keywords` are at most {KEYWORDS_MAX}, and none is empty")

    @property
    def hook(self) -> str:
        """The robot's own part of its address."""
        return self.token.strip().partition(HOOK)[2].strip("/") if HOOK in self.token else self.token.strip()

    @property
    def base(self) -> str:
        """Where the robot is: as its whole address says, if that was given."""
        base = self.token.strip().partition(HOOK)[0] if HOOK in self.token else ""
        return self.base_url or base or CHINA


class AppCredentials(Credentials, frozen=True, kw_only=True):
    """`encrypt_key` and `verification_token` are those of the app's page "Events and callbacks": one of them is needed
    to receive anything at an address. With `stream` all is heard by a connection of our own instead.
    """

    app_id: str
    app_secret: str
    encrypt_key: str = ""
    verification_token: str = ""
    stream: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("app_id", "app_secret"):
            value = getattr(self, name)
            if not value or not value.isascii() or not value.isprintable() or value != value.strip():
                raise ValueError(f"`{name}` must be a text of printable ASCII characters")
