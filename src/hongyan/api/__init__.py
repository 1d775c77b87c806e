"""The HTTP door: REST calls, pages, health, metrics; see docs/rooms/api.md."""
