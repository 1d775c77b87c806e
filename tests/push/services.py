"""The services that `hongyan.push` has adapters for, as emulators."""

from tests.support.push.apns import Apns
from tests.support.push.emulator import Emulator
from tests.support.push.fcm import Fcm
from tests.support.push.makers import Meizu, Oppo, Vivo, Xiaomi
from tests.support.push.push_kits import Honor, Huawei
from tests.support.push.web_push import WebPush
from tests.support.push.webhook import Webhook

SERVICES: list[type[Emulator]] = [Apns, Fcm, WebPush, Huawei, Honor, Xiaomi, Oppo, Vivo, Meizu, Webhook]
