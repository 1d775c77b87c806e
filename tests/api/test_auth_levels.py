"""Every call that is served × everybody who may knock: who is let in, and who is not.

What is not named here needs the master key, so a new call that lets others in must be named.
"""

import re
from dataclasses import dataclass

import pytest

from hongyan.api.openapi import document
from hongyan.engine.engine import Engine
from hongyan.engine.values import App
from tests.api.conftest import Calling
from tests.api.test_users import WORD, Door

ID = "65f000000000000000000001"
#: Where the address itself is the secret (`test_file_content.py`, `test_files.py`).
ADDRESSES = ("/files/", "/1.1/fileUploads/")
CALLS = [
    (method.upper(), path)
    for path, calls in document()["paths"].items()
    for method in calls
    if not path.startswith(ADDRESSES)
]


def plain(path: str) -> str:
    """The path without its version: a call is the same in each."""
    return re.sub(r"^/1(\.[12])?/", "/", path)


MAILED = re.compile("/(request|verify|changePhoneNumber|usersByMobilePhone)")
FILES = (("POST", ""), ("GET", "/{file}"))
STRANGERS = {"nobody", "no app", "no key", "android", "wrong key", "wrong master", "other master", "bare master"}
#: Who is let in, by the level of a call (REST reference 0).
APP = {"app key", "tom", "jerry", "client", "master"}
SELF = {"tom", "master"}
OF_TOKEN = {"tom", "jerry"}
CLIENT = {"client"}
MASTER = {"master"}
OPEN = STRANGERS | APP

LEVELS: dict[str, tuple[set[str], set[tuple[str, str]]]] = {
    "nothing is secret": (OPEN, {("GET", "/route"), ("GET", "/2/route"), ("GET", "/v1/route")}),
    "the app's key": (
        APP,
        {
            ("POST", "/users"),
            ("POST", "/classes/_User"),
            ("POST", "/login"),
            ("GET", "/login"),
            ("GET", "/users/{user_id}"),
            ("GET", "/classes/_User/{user_id}"),
            ("POST", "/rtm/sign"),
            ("GET", "/rtm/clients/sign"),
            ("POST", "/rtm/clients/sign"),
            ("POST", "/installations"),
            ("POST", "/classes/_Installation"),
            ("GET", "/installations/{installation}"),
            ("GET", "/classes/_Installation/{installation}"),
            ("PUT", "/installations/{installation}"),
            ("PUT", "/classes/_Installation/{installation}"),
            ("GET", "/date"),
            ("POST", "/batch"),
            ("PUT", "/resetPasswordBySmsCode/{code}"),
            *(("POST", path) for path in map(plain, document()["paths"]) if MAILED.match(path)),
            ("GET", "/rtm/conversations/{conversation_id}/messages"),
            ("GET", "/rtm/chatrooms/{conversation_id}/messages"),
            ("GET", "/rtm/messages/history"),
            ("GET", "/rtm/transient_group/members"),
            ("GET", "/rtm/transient_group/onlines"),
            ("GET", "/rtm/clients/{client}/unread-count"),
            ("GET", "/rtm/messages/unread/{client}"),
            ("GET", "/rtm/messages/unread/{client}/{conversation_id}"),
            ("GET", "/push/vapid"),
            ("POST", "/fileTokens"),
            ("POST", "/fileCallback"),
            ("POST", "/files"),
            ("POST", "/files/{file}"),
            ("GET", "/files/{file}"),
            *((method, f"/classes/{name}{rest}") for name in ("_File", "_file") for method, rest in FILES),
        },
    ),
    "a user itself": (
        SELF,
        {
            ("PUT", "/users/{user_id}"),
            ("DELETE", "/users/{user_id}"),
            ("PUT", "/classes/_User/{user_id}"),
            ("DELETE", "/classes/_User/{user_id}"),
            ("PUT", "/users/{user_id}/updatePassword"),
            ("PUT", "/users/{user_id}/refreshSessionToken"),
        },
    ),
    "a user's token": (OF_TOKEN, {("GET", "/users/me")}),
    "a client's session": (CLIENT, {("GET", "/rtm/notifications")}),
    "a client's session, or the master key": (
        CLIENT | MASTER,
        {
            ("POST", "/LiveQuery/subscribe"),
            ("POST", "/LiveQuery/unsubscribe"),
            ("GET", "/classes/_ConversationMemberInfo"),
        },
    ),
}
NAMED = {call: who for who, calls in LEVELS.values() for call in calls}
#: What says that somebody was not let in: these statuses, or there is no such user for a token that is none.
REFUSED = {401, 403}
NO_SUCH_USER = 211


@dataclass(frozen=True)
class Knocking:
    """Who calls, with which headers."""

    callers: dict[str, dict[str, str]]
    user: str


@pytest.fixture
async def knocking(calling: Calling, engine: Engine, app: App) -> Knocking:
    async with calling() as http:
        door = Door(http, app)
        tom, jerry = await door.sign_up("tom"), await door.sign_up("jerry")
    other = await engine.apps.create("other")
    ticket = engine.sessions.new_ticket("tom", "", "", 0)
    token, _ = engine.sessions.issue(app, ticket)
    key = {"X-LC-Id": "home", "X-LC-Key": "home-key"}
    return Knocking(
        {
            "nobody": {},
            "no app": {"X-LC-Id": "nowhere", "X-LC-Key": "home-key"},
            "no key": {"X-LC-Id": "home"},
            "android": {"X-LC-Id": "home", "X-LC-Sign": "x,1,ax-sig-1"},
            "wrong key": {"X-LC-Id": "home", "X-LC-Key": "wrong"},
            "wrong master": {"X-LC-Id": "home", "X-LC-Key": "home-key,master"},
            "other master": {"X-LC-Id": "home", "X-LC-Key": f"{other.master_key},master"},
            "bare master": {"X-LC-Id": "home", "X-LC-Key": app.master_key},
            "app key": key,
            "jerry": {**key, "X-LC-Session": jerry["sessionToken"]},
            "client": {**key, "X-LC-IM-Session-Token": token},
            "tom": {**key, "X-LC-Session": tom["sessionToken"]},
            "master": {"X-LC-Id": "home", "X-LC-Key": f"{app.master_key},master"},
        },
        tom["objectId"],
    )


@pytest.mark.parametrize(("method", "path"), CALLS, ids=[" ".join(call) for call in CALLS])
async def test_who_is_let_in(calling: Calling, knocking: Knocking, method: str, path: str) -> None:
    welcome = NAMED.get((method, plain(path)), MASTER)
    url = path.replace("{user_id}", knocking.user)
    while "{" in url:
        url = url[: url.index("{")] + ID + url[url.index("}") + 1 :]
    body = {"old_password": WORD, "new_password": WORD, "requests": [{"path": "/date"}]}
    query = {"client_id": "tom", "appId": "home", "start_ts": "0", "convid": ID, "where": '{"cid":"x"}'}
    query |= {} if "_User" in path or "users" in path else {"cid": "x"}
    if method == "PUT":
        query.pop("where")
    let_in = set()
    async with calling() as http:
        # The changes of those who are let in come last: what they change must not keep others out.
        for caller in sorted(knocking.callers, key=lambda caller: caller in welcome):
            sent = None if method == "GET" else body
            answer = await http.request(method, url, headers=knocking.callers[caller], json=sent, params=query)
            assert answer.status_code < 500
            told = answer.json()
            assert (isinstance(told, dict) and "error" in told) == answer.is_error, told
            code = told.get("code") if isinstance(told, dict) else None
            is_unknown = caller == "no app" and code == 4100
            is_nobody = code == NO_SUCH_USER and path == "/1.1/users/me"
            if answer.status_code not in REFUSED and not is_unknown and not is_nobody:
                let_in.add(caller)
            if caller not in welcome:
                assert answer.json().keys() == {"code", "error"}
            if method == "DELETE" and caller == "tom" and caller in welcome:
                break  # there is no such user any more
    assert let_in == (welcome - MASTER if method == "DELETE" and "tom" in welcome else welcome)


def test_what_is_named_is_served() -> None:
    assert NAMED.keys() - {(method, plain(path)) for method, path in CALLS} == set()
