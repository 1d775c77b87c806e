"""Slack: the Web API of an app with a bot, incoming webhooks, uploads, and what Slack tells an app."""

from hongyan.sandbox.slack.emulator import Slack

__all__ = ["Slack"]
