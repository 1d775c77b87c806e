"""Slack: incoming webhooks, and apps with a bot (connectors reference 5)."""
