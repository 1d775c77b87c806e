"""The services by name, as `hongyan app push` has them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hongyan.engine.pushing import Pusher
from hongyan.push.apns import Apns, ApnsCredentials
from hongyan.push.credentials import Credentials
from hongyan.push.fcm import Fcm, FcmCredentials
from hongyan.push.honor import Honor, HonorCredentials
from hongyan.push.huawei import Huawei, HuaweiCredentials
from hongyan.push.meizu import Meizu, MeizuCredentials
from hongyan.push.oppo import Oppo, OppoCredentials
from hongyan.push.vivo import Vivo, VivoCredentials
from hongyan.push.web_push import WebPush, WebPushCredentials
from hongyan.push.webhook import Webhook, WebhookCredentials
from hongyan.push.xiaomi import Xiaomi, XiaomiCredentials


@dataclass(frozen=True, slots=True)
class Adapter:
    """`platform`: of the devices that it brings pushes to, and of the content for them."""

    platform: str
    credentials: type[Credentials]
    pusher: Callable[[Any], Pusher]

    def open(self, given: Mapping[str, Any]) -> Pusher:
        """With credentials as they were given. Raises ValueError with one sentence."""
        return self.pusher(self.credentials.parse(given))

    def public_key(self, given: Mapping[str, Any]) -> str | None:
        """What those need that subscribe to pushes of these credentials, if anything. Raises ValueError."""
        credentials = self.credentials.parse(given)
        return credentials.public_key if isinstance(credentials, WebPushCredentials) else None


ADAPTERS: Mapping[str, Adapter] = {
    "apns": Adapter("ios", ApnsCredentials, Apns),
    "fcm": Adapter("fcm", FcmCredentials, Fcm),
    "web_push": Adapter("web", WebPushCredentials, WebPush),
    "huawei": Adapter("hms", HuaweiCredentials, Huawei),
    "honor": Adapter("honor", HonorCredentials, Honor),
    "xiaomi": Adapter("mi", XiaomiCredentials, Xiaomi),
    "oppo": Adapter("oppo", OppoCredentials, Oppo),
    "vivo": Adapter("vivo", VivoCredentials, Vivo),
    "meizu": Adapter("mz", MeizuCredentials, Meizu),
    "webhook": Adapter("webhook", WebhookCredentials, Webhook),
}
