"""The websocket door: connections, sessions, a handler file per wire command, fan-out. The only fast code."""
