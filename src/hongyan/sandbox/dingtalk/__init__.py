"""DingTalk: robots of groups, an app with its robot, work notifications, interactive cards, and what it tells the app.

Written from the documentation of open.dingtalk.com; where that is silent, from what people report of the live service.
"""

from hongyan.sandbox.dingtalk.emulator import DingTalk

__all__ = ["DingTalk"]
