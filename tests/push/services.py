"""The services that `hongyan.push` has adapters for, as emulators."""

from tests.support.push.apns import Apns
from tests.support.push.emulator import Emulator
from tests.support.push.fcm import Fcm

SERVICES: list[type[Emulator]] = [Apns, Fcm]
