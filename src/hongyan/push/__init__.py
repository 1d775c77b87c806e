"""Pushes to devices that are not connected, through the services of their makers."""

from hongyan.push.adapters import ADAPTERS, Adapter

__all__ = ["ADAPTERS", "Adapter"]
