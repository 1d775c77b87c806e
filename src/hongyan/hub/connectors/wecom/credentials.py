"""What a channel keeps for WeCom: checked when it is given, its secrets never shown."""

import re

from hongyan.hub.connectors.credentials import Credentials
from hongyan.hub.connectors.sealed_callback import is_key

#: Where WeCom is.
BASE = "https://qyapi.weixin.qq.com"
_KEY = re.compile(r"[0-9A-Za-z_-]{8,100}")
_PRINTABLE = re.compile(r"[!-~]{1,256}")


class RobotCredentials(Credentials, frozen=True, kw_only=True):
    """Of a group's robot: what stands after `key=` in the address of its webhook."""

    key: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _KEY.fullmatch(self.key):
            raise ValueError("`key` is what stands after `key=` in the address of the robot's webhook")


class AppCredentials(Credentials, frozen=True, kw_only=True):
    """Of an application. `token` and `aes_key` are those of its callback (接收消息), if it has one."""

    corp_id: str
    secret: str
    agent_id: int
    token: str = ""
    aes_key: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("corp_id", "secret", *(["token"] if self.token else [])):
            if not _PRINTABLE.fullmatch(getattr(self, name)):
                raise ValueError(f"`{name}` must be a text of printable ASCII characters")
        if self.agent_id < 1:
            raise ValueError("`agent_id` is the number of the application, such as 1000002")
        if bool(self.token) != bool(self.aes_key):
            raise ValueError("`token` and `aes_key` of the callback are given together, or neither")
        if self.aes_key and not is_key(self.aes_key):
            raise ValueError("`aes_key` is the EncodingAESKey of 43 letters and digits")
