"""An app of a real server that pushes by a webhook, whose receiver is the test."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.support.push.emulator import Reply, Request
from tests.support.push.webhook import Webhook
from tests.support.server import Server

PATIENCE = 240.0
"""Seconds after which a push that has not come is an error: one answered too late comes again after minutes."""


class Receiver(Webhook):
    """Notes what it is given, in its order, with the ids. It takes as many pushes as there are `permits`, if any."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: list[dict[str, Any]] = []
        self.permits: threading.Semaphore | None = None
        self._news = threading.Condition()

    def __enter__(self) -> "Receiver":
        apart(self.start())
        return self

    def __exit__(self, *_: object) -> None:
        apart(self.stop())

    def deliver(self, request: Request) -> Reply:
        if self.permits is not None:
            self.permits.acquire()
        with self._news:
            reply = super().deliver(request)
            self.contents.append(self.delivered[-1]["data"]["content"])
            self._news.notify_all()
        return reply

    @property
    def alerts(self) -> list[str]:
        return [content["alert"] for content in self.contents]

    def wait(self, enough: Callable[[], object]) -> None:
        """Return when that is so; it is asked at each push."""
        with self._news:
            assert self._news.wait_for(enough, PATIENCE), f"pushed so far: {self.contents}"


def apart(work: Coroutine[Any, Any, None]) -> None:
    """In a loop of its own, whether one runs here or not."""
    thread = threading.Thread(target=asyncio.run, args=(work,))
    thread.start()
    thread.join()


def push_by(server: Server, receiver: Receiver, folder: Path, **settings: str) -> None:
    """Have the server's app push to the receiver."""
    file = folder / "credentials.json"
    file.write_text(json.dumps(receiver.credentials))
    server.hongyan("app", "push", "set", server.app.id, "webhook", "--file", str(file))
    if settings:
        server.hongyan("app", "set", server.app.id, *(f"{name}={value}" for name, value in settings.items()))
