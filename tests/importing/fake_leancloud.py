"""LeanCloud's REST API as far as an import asks it, strict about headers and parameters, and busy at times."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

APP, MASTER_KEY = "there", "there-master"
Row = dict[str, Any]


class Refused(Exception):
    """Status, code and text of an answer."""


class LeanCloud:
    """What the app has there. Each `busy`th request is refused, with 429 and 503 in turn."""

    def __init__(self) -> None:
        self.classes: dict[str, list[Row]] = {}
        self.messages: list[Row] = []
        self.subscribers: dict[str, list[str]] = {}
        self.lists: dict[tuple[str, str], list[str]] = {}
        self.client_lists: dict[str, list[str]] = {}
        self.busy = 0
        self.dead_after: int | None = None
        self.dead_for: str | None = None
        self.asked: list[str] = []
        self.url = ""
        self._count = itertools.count(1)

    def answer(self, path: str, query: dict[str, str], headers: Any) -> Any:
        if headers["X-LC-Id"] != APP or headers["X-LC-Key"] != f"{MASTER_KEY},master":
            raise Refused(401, 401, "Unauthorized.")
        number = next(self._count)
        if path == self.dead_for or (self.dead_after is not None and number > self.dead_after):
            raise Refused(400, 1, "It is over.")
        if self.busy and number % self.busy == 0:
            raise Refused(429 if number % (2 * self.busy) else 503, 429, "Too many requests.")
        self.asked.append(path)
        match path.strip("/").split("/"):
            case ["1.1", "scan", "classes", name]:
                return self._scan(name, query)
            case ["1.1", "classes", name]:
                assert (query["limit"], query["count"]) == ("0", "1")
                return {"results": [], "count": len(self.classes.get(name, []))}
            case ["1.2", "rtm", "messages"]:
                return self._page([m for m in self.messages if m["conv-id"].endswith("00000000")], query)
            case ["1.2", "rtm", "chatrooms", place, "messages"]:
                return self._page([m for m in self.messages if m["to"] == place], query)
            case ["1.2", "rtm", "service-conversations", place, "subscribers"]:
                return self._subscribers(unquote(place), query)
            case ["1.2", "rtm", "service-conversations", place, "subscribers", client, "messages"]:
                return self._page([m for m in self.messages if m.get("of") == (place, unquote(client))], query)
            case ["1.2", "rtm", "clients", client, "blacklists"]:
                return self._list(self.client_lists.get(unquote(client), []), query, "conv_ids")
            case ["1.2", "rtm", "conversations" | "chatrooms" | "service-conversations", place, name]:
                return self._list(self.lists.get((place, name), []), query)
        raise Refused(404, 1, "Not found.")

    def _scan(self, name: str, query: dict[str, str]) -> Any:
        if name not in self.classes:
            raise Refused(404, 101, "Class or object doesn't exists.")
        assert 1 <= int(query["limit"]) <= 1000
        start = int(query.get("cursor", 0))
        rows = self.classes[name][start : start + 2]
        return {"results": rows, "cursor": str(start + 2) if len(self.classes[name]) > start + 2 else None}

    def _page(self, messages: list[Row], query: dict[str, str]) -> list[Row]:
        """Pages of at most seven, though a thousand are asked for."""
        assert query["limit"] == "1000"
        newer = query.get("reversed") == "true"
        messages = sorted(messages, key=lambda m: (m["timestamp"], m["msg-id"]), reverse=not newer)
        if "msgid" in query:
            start = (int(query["timestamp"]), query["msgid"])
            places = [(m["timestamp"], m["msg-id"]) for m in messages]
            messages = [m for m, at in zip(messages, places, strict=True) if (at > start if newer else at < start)]
        return [{key: each for key, each in m.items() if key != "of"} for m in messages[:7]]

    def _subscribers(self, place: str, query: dict[str, str]) -> list[Row]:
        assert int(query["limit"]) <= 50
        after = query.get("client_id", "")
        clients = sorted(client for client in self.subscribers.get(place, []) if client > after)[:2]
        return [{"timestamp": 1_700_000_000_000, "subscriber": client, "conv_id": place} for client in clients]

    def _list(self, ids: list[str], query: dict[str, str], name: str = "client_ids") -> Row:
        start = int(query.get("next", 0))
        page: Row = {name: ids[start : start + 2]}
        return page | ({"next": str(start + 2)} if len(ids) > start + 2 else {})


@contextmanager
def serving(there: LeanCloud) -> Iterator[None]:
    """On a port of the loopback; `there.url` is where."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            try:
                status, value = 200, there.answer(parts.path, dict(parse_qsl(parts.query)), self.headers)
            except Refused as refusal:
                status, value = refusal.args[0], {"code": refusal.args[1], "error": refusal.args[2]}
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status in (429, 503):
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
