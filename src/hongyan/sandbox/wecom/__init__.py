"""WeCom (企业微信): robots of groups, and the server interface of applications."""

from hongyan.sandbox.wecom.emulator import WeCom

__all__ = ["WeCom"]
