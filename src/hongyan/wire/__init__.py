"""The LeanCloud realtime protocol: bytes and values. No sockets, no clock, no event loop."""
