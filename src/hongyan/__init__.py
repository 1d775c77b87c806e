"""Hongyan: a self-hosted enterprise messaging server that speaks the LeanCloud realtime protocol."""

__version__ = "0.1.0"
