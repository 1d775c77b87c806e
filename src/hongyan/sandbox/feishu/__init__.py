"""Feishu: robots of groups, an app with its bot, batches, and what it tells the app, also by its long connection.

Written from the documentation of open.feishu.cn; where that is silent, from what people report of the live service.
"""

from hongyan.sandbox.feishu.emulator import Feishu

__all__ = ["Feishu"]
