"""WeCom (企业微信): robots of groups, and the server interface of applications.

* `emulator` has the calls, `checks` what is refused in messages, `rates` how calls are counted.
* `world` is who there is; `callback` tells an application what a member does, in sealed XML.
"""

from hongyan.sandbox.wecom.emulator import WeCom

__all__ = ["WeCom"]
