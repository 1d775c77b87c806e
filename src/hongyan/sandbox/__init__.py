"""Emulators of the outside platforms, to try channels without an account anywhere; and a page that shows what arrives.

They are written from the platforms' own words and checked with the platforms' own SDKs, and share no code with the
connectors: the one is no mirror of the other's mistakes. All serve from one origin, as their paths differ.
"""
