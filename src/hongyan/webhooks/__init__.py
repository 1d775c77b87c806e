"""Telling an app's own servers what has happened: webhooks, and LeanCloud's callback of service conversations."""
