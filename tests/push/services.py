"""The services that `hongyan.push` has adapters for, as emulators."""

from tests.support.push.apns import Apns
from tests.support.push.emulator import Emulator
from tests.support.push.fcm import Fcm
from tests.support.push.web_push import WebPush

SERVICES: list[type[Emulator]] = [Apns, Fcm, WebPush]
