"""The rules of messaging. Knows no socket, no SQL and no HTTP: `ports` is its whole outside world."""
