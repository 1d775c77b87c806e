"""Fetching everything from LeanCloud's REST API into files, to be imported like any export (REST reference 8.7).

How far it is stands in a small database beside the files: what was broken off goes on there, and once all is fetched,
the next time brings what is new. So files may hold a page twice, which an import does not mind.
"""

import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from hongyan.errors import StartupError
from hongyan.importing import classes

#: Rows of one page of classes and messages, of subscribers, and of lists.
PAGE, SUBSCRIBERS, LISTS = 1_000, 50, 100
#: Clients that are asked for their lists without being told to: a quarter of an hour at 10 calls a second.
CLIENTS_MAX = 10_000
#: How often a request is made before it is given up, and how long is waited after the first failure and at most (s).
ATTEMPTS, WAIT, WAIT_MAX = 9, 1.0, 120.0
#: LeanCloud refuses for a minute whoever asks too fast (REST reference 3.15).
WAIT_LIMITED = 60.0
TIMEOUT = 60.0
#: Classes that an app has only if it uses them.
CLASSES = ("_User", "_Installation", "_File", "_Conversation", "_ConversationMemberInfo", "_SysMessage")
_UNKNOWN_CLASS, _NOT_FOUND = 101, 404

Page = list[dict[str, Any]]


class Api:
    """Calls with the master key, at most `rate` a second, again and again as long as the server is busy."""

    def __init__(
        self, url: str, app_id: str, master_key: str, rate: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        headers = {"X-LC-Id": app_id, "X-LC-Key": f"{master_key},master"}
        try:
            self._http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT)
        except (httpx.InvalidURL, UnicodeError):
            raise StartupError("The URL, the app id or the master key of --live is none.") from None
        if self._http.base_url.scheme not in ("http", "https") or not self._http.base_url.host:
            raise StartupError(f"{url} is no URL of an API: it begins with https://.")
        self._pause = 1 / rate
        self._sleep = sleep
        self._next = 0.0

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The answer; None for what is not there. Raises StartupError."""
        why = ""
        for attempt in range(ATTEMPTS):
            self._sleep(max(0.0, self._next - time.monotonic()))
            self._next = time.monotonic() + self._pause
            wait = min(WAIT * 2**attempt, WAIT_MAX) * random.uniform(0.8, 1.2)
            try:
                answer = self._http.get(path, params={name: each for name, each in query.items() if each is not None})
            except httpx.TransportError as error:
                why = f"it can't be reached: {error}"
            else:
                if answer.status_code < 300:
                    return self._json(answer)
                why = f"it answers {answer.status_code}: {answer.text[:200]}"
                if answer.status_code != 429 and answer.status_code < 500:
                    return self._refused(answer, why)
                wait = max(wait, _retry_after(answer))
            if attempt < ATTEMPTS - 1:
                self._sleep(wait)
        raise StartupError(f"LeanCloud's API is given up for now, {why}. The same command goes on from here.")

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise StartupError(f"{self._http.base_url} does not answer like LeanCloud's API.") from None

    def _refused(self, answer: httpx.Response, why: str) -> None:
        with suppress(ValueError):
            given = answer.json()
            if answer.status_code == _NOT_FOUND or (isinstance(given, dict) and given.get("code") == _UNKNOWN_CLASS):
                return
        raise StartupError(f"LeanCloud's API refuses: {why}.")


def _retry_after(answer: httpx.Response) -> float:
    given = answer.headers.get("Retry-After", "")
    if given.isdigit():
        return min(float(given), WAIT_MAX)
    return WAIT_LIMITED if answer.status_code == 429 else 0.0


class Progress:
    """What has been done, by name, as JSON."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("CREATE TABLE IF NOT EXISTS done (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
        self._database.execute("CREATE TABLE IF NOT EXISTS client (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def get(self, name: str) -> Any:
        row = self._database.execute("SELECT value FROM done WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def set(self, name: str, value: Any) -> None:
        self._database.execute("INSERT OR REPLACE INTO done VALUES (?, ?)", (name, json.dumps(value)))

    def note_clients(self, clients: Iterable[str]) -> int:
        """Keep these clients, each once; how many there are."""
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR IGNORE INTO client VALUES (?)", ((client,) for client in clients))
        self._database.execute("COMMIT")
        return int(self._database.execute("SELECT count(*) FROM client").fetchone()[0])

    def clients(self) -> Iterator[str]:
        return (client for (client,) in self._database.execute("SELECT id FROM client ORDER BY id"))

    def begin_again(self) -> None:
        """All is fetched: the next time all classes and lists are fetched anew, and the messages that are new."""
        self._database.execute("DELETE FROM done WHERE name NOT LIKE 'walk %'")
        self._database.execute("DELETE FROM client")

    def close(self) -> None:
        self._database.close()


class Fetch:
    """Into a folder; `tell(what, rows)` hears how far it is.

    `client_lists`: also the list of each client, None: unless there are many. Messages since `again` (ms) are fetched
    again, as they are now.
    """

    def __init__(
        self,
        api: Api,
        folder: Path,
        tell: Callable[[str, int], None],
        *,
        lists: bool = True,
        client_lists: bool | None = None,
        again: int | None = None,
    ) -> None:
        self._api = api
        self._folder = folder
        self._tell = tell
        self._lists = lists
        self._client_lists = client_lists
        self._again = again
        #: Clients whose lists were not asked for, as there are too many.
        self.unasked = 0
        self._progress = Progress(folder / "progress.db")
        self._rows: dict[str, int] = {}

    def run(self) -> None:
        """Fetch all, or what is new. Raises StartupError if it is broken off."""
        try:
            for name in CLASSES:
                self._once(name, lambda name=name: self._scan(name))  # type: ignore[misc]
            self._walk("/1.2/rtm/messages")
            for row in self._conversations():
                self._fetch_of(row)
            self._fetch_client_lists()
            self._progress.begin_again()
        finally:
            self._progress.close()

    def _fetch_of(self, row: dict[str, Any]) -> None:
        """What is kept of a conversation beside its row."""
        kind = "chatrooms" if row.get("tr") is True else "conversations"
        kind = "service-conversations" if row.get("sys") is True else kind
        path = f"/1.2/rtm/{kind}/{quote(row['objectId'], safe='')}"
        if kind == "chatrooms":
            self._walk(f"{path}/messages")
        if kind == "service-conversations":
            self._once(f"subscribers {path}", lambda: self._subscribers(f"{path}/subscribers"))
            for client in self._subscribers_of(row["objectId"]):
                self._walk(f"{path}/subscribers/{quote(client, safe='')}/messages")
        if self._lists:
            for name in ("permanent-silenceds", "blacklists"):
                if name == "blacklists" or kind != "service-conversations":
                    self._once(f"{name} {path}", lambda name=name: self._list(f"{path}/{name}", name, row["objectId"]))  # type: ignore[misc]

    def _fetch_client_lists(self) -> None:
        """Which conversations clients refuse: a call for each client, of whom most have no such list."""
        if self._client_lists is False:
            return
        count = self._progress.note_clients(self._clients_there())
        if self._client_lists is None and count > CLIENTS_MAX:
            self.unasked = count
            return
        for client in self._progress.clients():
            path = f"/1.2/rtm/clients/{quote(client, safe='')}/blacklists"
            self._once(f"client-blacklists {path}", lambda client=client, path=path: self._client_list(path, client))  # type: ignore[misc]

    def _once(self, name: str, fetch: Callable[[], None]) -> None:
        if self._progress.get(name) is None:
            fetch()
            self._progress.set(name, True)

    def _scan(self, name: str) -> None:
        self._file(name).unlink(missing_ok=True)
        cursor = None
        while True:
            answer = self._api.get(f"/1.1/scan/classes/{name}", limit=PAGE, cursor=cursor)
            if answer is None:
                return
            self._put(name, answer["results"])
            cursor = answer.get("cursor")
            if not cursor:
                return

    def _walk(self, path: str) -> None:
        """Messages from the newest to the oldest, then what came after the newest, in order."""
        name = f"walk {path}"
        at = self._progress.get(name) or {"newest": None, "oldest": None, "ended": False}
        was_ended = at["ended"]
        while not at["ended"]:
            page: Page = self._api.get(path, limit=PAGE, **_anchor(at["oldest"])) or []
            if not page and not at["newest"]:
                return  # there is nothing yet: the next time is the first one again
            self._put(classes.MESSAGES, page)
            at["ended"] = not page
            if page:
                at["newest"], at["oldest"] = at["newest"] or _place(page[0]), _place(page[-1])
            self._progress.set(name, at)
        if was_ended and self._again is not None:
            self._walk_again(path, self._again)
        while page := self._api.get(path, limit=PAGE, reversed="true", **_anchor(at["newest"])):
            self._put(classes.MESSAGES, page)
            at["newest"] = _place(page[-1])
            self._progress.set(name, at)

    def _walk_again(self, path: str, since: int) -> None:
        """Messages from the newest back to a time, as they are now: some have been edited or recalled meanwhile."""
        name = f"again {path}"
        oldest = self._progress.get(name)
        while oldest is None or oldest[0] >= since:
            page: Page = self._api.get(path, limit=PAGE, **_anchor(oldest)) or []
            if not page:
                return
            self._put(classes.MESSAGES, page)
            oldest = _place(page[-1])
            self._progress.set(name, oldest)

    def _subscribers(self, path: str) -> None:
        last = None
        while page := self._api.get(path, limit=SUBSCRIBERS, client_id=last):
            self._put("subscribers", page)
            last = page[-1]["subscriber"]

    def _list(self, path: str, name: str, conversation_id: str) -> None:
        for clients in self._pages(path, "client_ids"):
            self._put(name, [{"conv_id": conversation_id, "client_ids": clients}])

    def _client_list(self, path: str, client: str) -> None:
        for conversations in self._pages(path, "conv_ids"):
            self._put("client-blacklists", [{"client_id": client, "conv_ids": conversations}])

    def _pages(self, path: str, key: str) -> Iterator[list[str]]:
        following = None
        while True:
            answer = self._api.get(path, limit=LISTS, next=following) or {}
            if ids := answer.get(key):
                yield ids
            following = answer.get("next")
            if not following:
                return

    def _put(self, name: str, rows: Page) -> None:
        if not rows:
            return
        with self._file(name).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        self._rows[name] = self._rows.get(name, 0) + len(rows)
        self._tell(name, self._rows[name])

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.jsonl"

    def _clients_there(self) -> Iterator[str]:
        """All who are a member or a subscriber of something, or have made it; most of them more than once."""
        for row in self._conversations():
            yield from (
                client for client in (row.get("c"), *(row.get("m") or [])) if client and isinstance(client, str)
            )
        yield from (row["subscriber"] for row in _lines(self._file("subscribers")))

    def _conversations(self) -> Iterator[dict[str, Any]]:
        yield from _lines(self._file("_Conversation"))

    def _subscribers_of(self, conversation_id: str) -> Iterator[str]:
        for row in _lines(self._file("subscribers")):
            if row["conv_id"] == conversation_id:
                yield row["subscriber"]


def count(api: Api, name: str) -> int | None:
    """How many rows a class has there; None if it is not told."""
    answer = api.get(f"/1.1/classes/{name}", limit=0, count=1)
    found = answer.get("count") if isinstance(answer, dict) else None
    return found if isinstance(found, int) else None


def forget(folder: Path) -> None:
    """What was fetched is imported: only how far it was stays."""
    for file in folder.glob("*.jsonl"):
        file.unlink()


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file; the last one may be cut off."""
    if file.exists():
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                with suppress(ValueError):
                    yield json.loads(line)


def _place(record: dict[str, Any]) -> list[Any]:
    return [record["timestamp"], record["msg-id"]]


def _anchor(place: list[Any] | None) -> dict[str, Any]:
    return {} if place is None else {"timestamp": place[0], "msgid": place[1]}
