"""Users over HTTP: who comes in how, who reads and changes what of whom, and every way to ask wrongly."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from hongyan.engine import passwords
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.signatures import Signature
from hongyan.engine.values import App
from hongyan.store import Store
from tests.api.conftest import Calling

USERS = "/1.1/users"
WORD = "open sesame"
NOBODY = "65f000000000000000000001"

Answer = tuple[int, Any]


class Door:
    """Calls with the app's key, as a user or with the master key."""

    def __init__(self, http: httpx.AsyncClient, app: App) -> None:
        self.http = http
        self.app = app

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str = "", master: bool = False, **query: Any
    ) -> Answer:
        key = f"{self.app.master_key},master" if master else self.app.app_key
        headers = {"X-LC-Id": self.app.id, "X-LC-Key": key, **({"X-LC-Session": token} if token else {})}
        answer = await self.http.request(method, path, headers=headers, json=body, params=query)
        content = answer.json()
        assert ("error" in content) == (not answer.is_success), content
        return answer.status_code, content if answer.is_success else content["code"]

    async def sign_up(self, name: str = "tom", **more: Any) -> dict[str, Any]:
        status, made = await self.call("POST", USERS, {"username": name, "password": WORD, **more})
        assert status == 201, made
        return dict(made)

    async def log_in(self, password: str = WORD, **name: str) -> Answer:
        return await self.call("POST", "/1.1/login", {"password": password, **(name or {"username": "tom"})})


@pytest.fixture
async def door(calling: Calling, app: App) -> AsyncIterator[Door]:
    async with calling() as http:
        yield Door(http, app)


@pytest.fixture
async def tom(door: Door) -> dict[str, Any]:
    return await door.sign_up(email="tom@example.com", mobilePhoneNumber="+8613800000000", nick="Tommy")


# coming in


async def test_signing_up_answers_an_id_a_time_and_a_token(door: Door) -> None:
    made = await door.sign_up()
    assert made.keys() == {"objectId", "createdAt", "sessionToken"}
    status, me = await door.call("GET", f"{USERS}/me", token=made["sessionToken"])
    assert status == 200
    assert me == {
        "objectId": made["objectId"],
        "username": "tom",
        "emailVerified": False,
        "mobilePhoneVerified": False,
        "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"],
        "sessionToken": made["sessionToken"],
    }


async def test_signing_up_tells_where_the_user_is(door: Door, calling: Calling) -> None:
    headers = {"X-LC-Id": "home", "X-LC-Key": door.app.app_key}
    answer = await door.http.post(
        "/1.1/classes/_User?new=true", headers=headers, json={"username": "a", "password": "b", "nick": "c"}
    )
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{USERS}/{answer.json()['objectId']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["nick"] == "c"


@pytest.mark.parametrize(
    "name", [{"username": "tom"}, {"email": "tom@example.com"}, {"mobilePhoneNumber": "+8613800000000"}]
)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_logging_in(door: Door, tom: dict[str, Any], method: str, name: dict[str, str]) -> None:
    given = {**name, "password": WORD}
    body, query = (given, {}) if method == "POST" else (None, given)
    status, user = await door.call(method, "/1.1/login", body, **query)
    assert (status, user["objectId"], user["nick"]) == (200, tom["objectId"], "Tommy")
    assert "password" not in user
    assert user["sessionToken"] != tom["sessionToken"]
    for token in (user["sessionToken"], tom["sessionToken"]):
        assert (await door.call("GET", f"{USERS}/me", token=token))[0] == 200


LOGINS = {
    "no name": ({"password": WORD}, 200),
    "no password": ({"username": "tom"}, 201),
    "an unknown name": ({"username": "jerry", "password": WORD}, 211),
    "an unknown address": ({"email": "jerry@example.com", "password": WORD}, 211),
    "a wrong password": ({"username": "tom", "password": "x"}, 210),
    "an empty password": ({"username": "tom", "password": ""}, 210),
    "a long password": ({"username": "tom", "password": "x" * 100_000}, 210),
    "a name that is no text": ({"username": {"$ne": 1}, "password": WORD}, 111),
    "a password that is no text": ({"username": "tom", "password": 1}, 111),
    "no object": ([], 107),
}


@pytest.mark.parametrize(("body", "code"), LOGINS.values(), ids=LOGINS)
async def test_logins_that_fail(door: Door, tom: dict[str, Any], body: Any, code: int) -> None:
    assert await door.call("POST", "/1.1/login", body) == (400, code)


async def test_a_code_from_a_text_message_is_refused_with_a_reason(door: Door, tom: dict[str, Any]) -> None:
    assert await door.call("POST", "/1.1/login", {"mobilePhoneNumber": "+86138", "smsCode": "1"}) == (400, 1)


SIGN_UPS = {
    "no name": ({"password": "x"}, 400, 200),
    "no password": ({"username": "x"}, 400, 201),
    "an empty name": ({"username": "", "password": "x"}, 400, 217),
    "a blank name": ({"username": "  ", "password": "x"}, 400, 217),
    "a name with a control character": ({"username": "a\0b", "password": "x"}, 400, 217),
    "a long name": ({"username": "x" * 129, "password": "x"}, 400, 217),
    "a name that is no text": ({"username": 7, "password": "x"}, 400, 217),
    "an empty password": ({"username": "x", "password": ""}, 400, 218),
    "a long password": ({"username": "x", "password": "x" * 513}, 400, 218),
    "a password that is no text": ({"username": "x", "password": ["x"]}, 400, 111),
    "a taken name": ({"username": "tom", "password": "x"}, 400, 202),
    "a taken address": ({"username": "x", "password": "x", "email": "tom@example.com"}, 400, 203),
    "a taken number": ({"username": "x", "password": "x", "mobilePhoneNumber": "+8613800000000"}, 400, 214),
    "no address": ({"username": "x", "password": "x", "email": "tom"}, 400, 125),
    "no number": ({"username": "x", "password": "x", "mobilePhoneNumber": "call me"}, 400, 127),
    "a verified address": ({"username": "x", "password": "x", "emailVerified": True}, 400, 117),
    "a token of one's own": ({"username": "x", "password": "x", "sessionToken": "mine"}, 400, 117),
    "a bcrypt hash": ({"username": "x", "password": "x", "bcryptPassword": "$2b$"}, 400, 117),
    "an id of one's own": ({"username": "x", "password": "x", "objectId": NOBODY}, 400, 117),
    "a key that can't be": ({"username": "x", "password": "x", "$where": 1}, 400, 111),
    "a prototype": ({"username": "x", "password": "x", "a.__proto__": 1}, 400, 111),
    "an unknown operator": ({"username": "x", "password": "x", "n": {"__op": "Explode"}}, 400, 111),
    "too much": ({"username": "x", "password": "x", "bio": "x" * 200_000}, 400, 116),
    "far too much": ({"username": "x", "password": "x", "bio": "x" * 2_000_000}, 413, 413),
    "an account elsewhere": ({"authData": {"weixin": {"openid": "o"}}}, 400, 251),
    "an account without an id": ({"authData": {"anonymous": {}}}, 400, 251),
    "an account with a short id": ({"authData": {"anonymous": {"id": "1"}}}, 400, 251),
    "accounts that are none": ({"authData": "weixin"}, 400, 251),
    "an operator for accounts": ({"authData": {"__op": "Delete"}}, 400, 251),
}


@pytest.mark.parametrize(("body", "status", "code"), SIGN_UPS.values(), ids=SIGN_UPS)
async def test_sign_ups_that_fail_change_nothing(
    door: Door, tom: dict[str, Any], body: Any, status: int, code: int
) -> None:
    assert await door.call("POST", USERS, body) == (status, code)
    assert (await door.call("GET", USERS, master=True, count=1, limit=0))[1] == {"results": [], "count": 1}


async def test_an_app_may_close_sign_up(door: Door, engine: Engine) -> None:
    await engine.apps.change("home", {"user_sign_up": "off"})
    body = {"username": "tom", "password": WORD}
    assert await door.call("POST", USERS, body) == (403, 207)
    assert await door.call("POST", USERS, {"authData": {"anonymous": {"id": "x" * 36}}}) == (403, 207)
    assert (await door.call("POST", USERS, body, master=True))[0] == 201
    assert (await door.log_in())[0] == 200


async def test_a_device_without_a_name_is_the_same_user_again(door: Door) -> None:
    body = {"authData": {"anonymous": {"id": "0e36f5ef-1927-42e9-3de3-d9ab3317483a"}}}
    status, made = await door.call("POST", USERS, body)
    assert status == 201
    assert made["authData"] == body["authData"]
    assert made["username"]
    status, again = await door.call("POST", USERS, body)
    assert (status, again["objectId"]) == (200, made["objectId"])
    other = {"authData": {"anonymous": {"id": "1e36f5ef-1927-42e9-3de3-d9ab3317483a"}}}
    assert await door.call("POST", USERS, other, failOnNotExist="true") == (400, 211)
    one = f"{USERS}/{made['objectId']}"
    named = {"username": "tom", "password": WORD, "authData.anonymous": {"__op": "Delete"}}
    assert (await door.call("PUT", one, named, token=again["sessionToken"]))[0] == 200
    assert (await door.log_in())[1]["objectId"] == made["objectId"]
    assert await door.call("POST", USERS, body, failOnNotExist="true") == (400, 211)


async def test_only_the_master_key_vouches_for_accounts_of_other_platforms(door: Door) -> None:
    """Whoever claims an account must not come in as its owner, nor take the place the owner will come to."""
    thief = await door.sign_up("thief", authData={"weixin": {"openid": "of-tom"}})
    body = {"authData": {"weixin": {"openid": "of-tom", "access_token": "x"}}}
    assert await door.call("POST", USERS, body) == (400, 251)
    status, tom = await door.call("POST", USERS, body, master=True)
    assert status == 201
    assert tom["objectId"] != thief["objectId"]
    status, again = await door.call("POST", USERS, body, master=True)
    assert (status, again["objectId"]) == (200, tom["objectId"])
    claim = {"authData": {"weixin": {"openid": "of-tom"}}}
    assert await door.call("PUT", f"{USERS}/{thief['objectId']}", claim, master=True) == (400, 208)


async def test_an_account_that_its_user_takes_away_lets_nobody_in(door: Door) -> None:
    body = {"authData": {"weixin": {"openid": "of-tom"}}}
    _, tom = await door.call("POST", USERS, body, master=True)
    gone = {"authData.weixin": {"__op": "Delete"}}
    assert (await door.call("PUT", f"{USERS}/{tom['objectId']}", gone, token=tom["sessionToken"]))[0] == 200
    assert await door.call("POST", USERS, body, master=True, failOnNotExist="true") == (400, 211)


async def test_accounts_are_not_taken_away_all_at_once(door: Door) -> None:
    """They would be gone from what is shown, and let in still."""
    device = {"authData": {"anonymous": {"id": "x" * 36}}}
    _, tom = await door.call("POST", USERS, device)
    one, token = f"{USERS}/{tom['objectId']}", tom["sessionToken"]
    assert await door.call("PUT", one, {"authData": None}, token=token) == (400, 251)
    assert (await door.call("GET", one, token=token))[1]["authData"] == device["authData"]


async def test_accounts_come_to_a_user_who_was_made_with_none(door: Door) -> None:
    tom = await door.sign_up(authData=None)
    device = {"authData": {"anonymous": {"id": "x" * 36}}}
    one, token = f"{USERS}/{tom['objectId']}", tom["sessionToken"]
    assert (await door.call("PUT", one, device, token=token))[0] == 200
    assert (await door.call("POST", USERS, device))[1]["objectId"] == tom["objectId"]


@pytest.mark.parametrize("key", ["objectId", "createdAt", "sessionToken", "password", "salt", "emailVerified"])
async def test_no_path_leads_into_what_only_the_server_writes(door: Door, tom: dict[str, Any], key: str) -> None:
    change = {f"{key}.x": 1}
    assert await door.call("PUT", f"{USERS}/{tom['objectId']}", change, token=tom["sessionToken"]) == (400, 117)


async def test_a_session_that_ends_meanwhile_changes_nothing(
    door: Door, tom: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thief's new password waits to be hashed while the owner ends all sessions: it must not come after."""
    one, thief = f"{USERS}/{tom['objectId']}", tom["sessionToken"]
    _, owner = await door.log_in()
    arrived, may_go, hash_ = asyncio.Event(), asyncio.Event(), passwords.Passwords.hash

    async def slow(self: passwords.Passwords, password: str) -> str:
        arrived.set()
        await may_go.wait()
        return await hash_(self, password)

    monkeypatch.setattr(passwords.Passwords, "hash", slow)
    change = asyncio.create_task(door.call("PUT", one, {"password": "of the thief"}, token=thief))
    await arrived.wait()
    assert (await door.call("PUT", f"{one}/refreshSessionToken", token=owner["sessionToken"]))[0] == 200
    may_go.set()
    assert await change == (400, 211)
    assert (await door.log_in())[0] == 200


async def test_a_user_is_locked_after_more_than_six_failures_until_fifteen_minutes_later(
    door: Door, tom: dict[str, Any], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for guesses that come at once, and for the password that is right."""
    outcomes = await asyncio.gather(*(door.log_in("wrong") for _ in range(10)))
    assert sorted(code for _, code in outcomes) == [210] * 7 + [219] * 3
    assert await door.log_in() == (400, 219)
    await door.sign_up("jerry")
    assert (await door.log_in(username="jerry"))[0] == 200
    now = engine.clock.now()
    monkeypatch.setattr(Clock, "now", lambda _: now + 15 * 60 * 1000 + 1)
    assert (await door.log_in())[0] == 200


async def test_a_good_login_forgives_the_failures_before_it(door: Door, tom: dict[str, Any]) -> None:
    for _ in range(2):
        for _ in range(6):
            assert await door.log_in("wrong") == (400, 210)
        assert (await door.log_in())[0] == 200


async def test_many_logins_at_once_lock_nobody(door: Door, tom: dict[str, Any]) -> None:
    assert {status for status, _ in await asyncio.gather(*(door.log_in() for _ in range(12)))} == {200}


@pytest.mark.parametrize(
    "kept",
    [
        passwords.imported(
            "h7oRIIN7MfHNUMljp0QzMDM2nubKXavtCxOOcOVHesqa5pxCf081T2E+9FblM9NqID76yVglxOKDQVauhURCgg==", "s4lt"
        ),
        bcrypt.hashpw(WORD.encode(), bcrypt.gensalt(4)).decode(),
    ],
    ids=["as the original keeps it", "bcrypt"],
)
async def test_imported_passwords_are_kept_anew_at_the_first_login(
    door: Door, tom: dict[str, Any], store: Store, engine: Engine, app: App, kept: str
) -> None:
    user = await store.users.by(app.key, "username", "tom")
    assert user is not None
    await store.users.log_in(user.key, b"x" * 32, None, kept)
    assert await door.log_in("wrong") == (400, 210)
    assert await store.users.password(user.key) == kept
    assert {status for status, _ in await asyncio.gather(*(door.log_in() for _ in range(3)))} == {200}
    assert str(await store.users.password(user.key)).startswith("$argon2id$")
    assert (await door.log_in())[0] == 200


async def test_neither_passwords_nor_tokens_are_in_the_file(
    door: Door, tom: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    token = (await door.log_in())[1]["sessionToken"]
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("hongyan.db*"))
    assert b"Tommy" in kept
    assert WORD.encode() not in kept
    assert token.encode() not in kept


# tokens


async def test_a_new_password_ends_all_sessions_but_the_new_one(door: Door, tom: dict[str, Any]) -> None:
    other = (await door.log_in())[1]["sessionToken"]
    path = f"{USERS}/{tom['objectId']}/updatePassword"
    body = {"old_password": WORD, "new_password": "open barley"}
    assert await door.call("PUT", path, {**body, "old_password": "x"}, token=other) == (400, 210)
    assert await door.call("PUT", path, {**body, "new_password": "x" * 600}, token=other) == (400, 218)
    assert await door.call("PUT", path, {"old_password": WORD}, token=other) == (400, 1)
    assert await door.call("PUT", path, body) == (403, 206)
    status, user = await door.call("PUT", path, body, token=other)
    assert status == 200
    for token, code in ((other, 400), (tom["sessionToken"], 400), (user["sessionToken"], 200)):
        assert (await door.call("GET", f"{USERS}/me", token=token))[0] == code
    assert await door.log_in() == (400, 210)
    assert (await door.log_in("open barley"))[0] == 200


async def test_a_new_token_ends_the_others(door: Door, tom: dict[str, Any]) -> None:
    path = f"{USERS}/{tom['objectId']}/refreshSessionToken"
    assert await door.call("PUT", path) == (403, 206)
    status, user = await door.call("PUT", path, token=tom["sessionToken"])
    assert status == 200
    assert await door.call("PUT", path, token=tom["sessionToken"]) == (400, 211)
    assert (await door.call("GET", f"{USERS}/me", token=user["sessionToken"]))[0] == 200


@pytest.mark.parametrize("by_master", [False, True])
async def test_a_password_that_is_just_set_ends_other_sessions(
    door: Door, tom: dict[str, Any], by_master: bool
) -> None:
    other = (await door.log_in())[1]["sessionToken"]
    token = "" if by_master else other
    path = f"{USERS}/{tom['objectId']}"
    assert (await door.call("PUT", path, {"password": "new"}, token=token, master=by_master))[0] == 200
    assert (await door.call("GET", f"{USERS}/me", token=tom["sessionToken"]))[0] == 400
    assert (await door.call("GET", f"{USERS}/me", token=other))[0] == (400 if by_master else 200)
    assert (await door.log_in("new"))[0] == 200


async def test_me_by_a_token_in_the_query(door: Door, tom: dict[str, Any]) -> None:
    status, me = await door.call("GET", f"{USERS}/me", session_token=tom["sessionToken"])
    assert (status, me["objectId"]) == (200, tom["objectId"])
    assert await door.call("GET", f"{USERS}/me") == (400, 211)
    assert await door.call("GET", f"{USERS}/me", token="nonsense") == (400, 211)


async def test_a_token_is_of_one_app(door: Door, tom: dict[str, Any], engine: Engine, calling: Calling) -> None:
    other = Door(door.http, await engine.apps.create("other"))
    assert await other.call("GET", f"{USERS}/me", token=tom["sessionToken"]) == (400, 211)
    assert await other.call("GET", f"{USERS}/{tom['objectId']}", master=True) == (400, 211)
    assert await other.call("DELETE", f"{USERS}/{tom['objectId']}", master=True) == (400, 211)
    assert await other.log_in() == (400, 211)
    assert (await other.call("GET", USERS, master=True))[1] == {"results": []}
    assert (await other.sign_up())["objectId"] != tom["objectId"]


# signing in to IM


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/1.1/rtm/sign"), ("GET", "/1.2/rtm/clients/sign"), ("POST", "/1.2/rtm/clients/sign")]
)
async def test_a_token_is_good_for_a_signature_that_the_gateway_takes(
    door: Door, tom: dict[str, Any], engine: Engine, app: App, method: str, path: str
) -> None:
    given = {"session_token": tom["sessionToken"]}
    body, query = (given, {}) if method == "POST" else (None, given)
    status, made = await door.call(method, path, body, **query)
    assert status == 200
    assert made.keys() == {"signature", "nonce", "client_id", "timestamp"}
    assert made["client_id"] == tom["objectId"]
    assert type(made["timestamp"]) is int
    text = f"home:{tom['objectId']}::{made['timestamp']}:{made['nonce']}"
    assert made["signature"] == hmac.new(app.master_key.encode(), text.encode(), hashlib.sha1).hexdigest()
    await engine.apps.change("home", {"sign_login": "on"})
    engine.signatures.login(app, made["client_id"], Signature(made["signature"], str(made["timestamp"]), made["nonce"]))
    _, again = await door.call(method, path, body, **query)
    assert again["nonce"] != made["nonce"]


@pytest.mark.parametrize(("body", "code"), [({}, 1), ({"session_token": "x"}, 211), ({"session_token": 1}, 1)])
async def test_inferred_no_signature_without_a_users_token(door: Door, body: Any, code: int) -> None:
    assert await door.call("POST", "/1.1/rtm/sign", body) == (400, code)


# reading


async def test_what_others_see_of_a_user(door: Door, tom: dict[str, Any]) -> None:
    jerry = await door.sign_up("jerry")
    public = {"objectId", "username", "nick", "createdAt", "updatedAt"}
    private = {"email", "emailVerified", "mobilePhoneNumber", "mobilePhoneVerified"}
    for path in (f"{USERS}/{tom['objectId']}", f"/1.1/classes/_User/{tom['objectId']}"):
        assert (await door.call("GET", path))[1].keys() == public
        assert (await door.call("GET", path, token=jerry["sessionToken"]))[1].keys() == public
        assert (await door.call("GET", path, token=tom["sessionToken"]))[1].keys() == public | private
        assert (await door.call("GET", path, master=True))[1].keys() == public | private
    assert (await door.call("GET", path, keys="nick"))[1].keys() == {"objectId", "nick", "createdAt", "updatedAt"}
    assert (await door.call("GET", path, keys="-nick"))[1].keys() == public - {"nick"}


async def test_keys_reach_into_objects(door: Door) -> None:
    made = await door.sign_up(home={"city": "Peking", "zip": 1})
    for path in (f"{USERS}/{made['objectId']}", USERS):
        for keys, home in (
            ("home.city", {"city": "Peking"}),
            ("-home.city", {"zip": 1}),
            ("home", {"city": "Peking", "zip": 1}),
        ):
            _, row = await door.call("GET", path, master=True, keys=keys)
            row = row["results"][0] if path == USERS else row
            assert row["home"] == home
            assert ("username" in row) == keys.startswith("-")


async def test_nobody_finds_out_by_keys_what_is_private(door: Door, tom: dict[str, Any]) -> None:
    path = f"{USERS}/{tom['objectId']}"
    for key in ("email", "authData", "password", "sessionToken", "ACL"):
        assert key not in (await door.call("GET", path, keys=key, returnACL="true"))[1]


async def test_lists_are_for_the_master_key(door: Door, tom: dict[str, Any]) -> None:
    for path in (USERS, "/1.1/classes/_User"):
        assert await door.call("GET", path) == (403, 403)
        assert await door.call("GET", path, token=tom["sessionToken"]) == (403, 403)
        (user,) = (await door.call("GET", path, master=True))[1]["results"]
        assert user["email"] == "tom@example.com"
        assert "password" not in user


async def test_a_user_that_is_not_there(door: Door, tom: dict[str, Any]) -> None:
    assert await door.call("GET", f"{USERS}/{NOBODY}") == (400, 211)
    assert await door.call("GET", f"{USERS}/{NOBODY}", master=True) == (400, 211)
    assert await door.call("PUT", f"{USERS}/{NOBODY}", {"a": 1}, master=True) == (400, 211)


async def test_an_acl_hides_a_user_as_if_it_were_not_there(door: Door, tom: dict[str, Any]) -> None:
    jerry, spike = await door.sign_up("jerry"), await door.sign_up("spike")
    path = f"{USERS}/{tom['objectId']}"
    acl = {"ACL": {jerry["objectId"]: {"read": True, "write": True}}}
    assert (await door.call("PUT", path, acl, token=tom["sessionToken"]))[0] == 200
    assert await door.call("GET", path) == (400, 211)
    assert await door.call("GET", path, token=spike["sessionToken"]) == (400, 211)
    assert (await door.call("GET", path, token=jerry["sessionToken"]))[0] == 200
    assert (await door.call("GET", path, token=tom["sessionToken"]))[0] == 200
    assert "ACL" not in (await door.call("GET", path, master=True))[1]
    assert (await door.call("GET", path, master=True, returnACL="true"))[1]["ACL"] == acl["ACL"]
    assert await door.call("PUT", path, {"nick": "x"}, token=jerry["sessionToken"]) == (403, 206)


async def test_an_app_may_hide_users(door: Door, tom: dict[str, Any], engine: Engine) -> None:
    await engine.apps.change("home", {"user_read": "off"})
    path = f"{USERS}/{tom['objectId']}"
    assert await door.call("GET", path) == (400, 211)
    assert (await door.call("GET", path, token=tom["sessionToken"]))[0] == 200
    assert (await door.call("GET", path, master=True))[0] == 200


QUERIES = {
    "all, the newest first": ({}, ["c", "b", "a"]),
    "an order": ({"order": "username"}, ["a", "b", "c"]),
    "an order by a custom key": ({"order": "-age"}, ["b", "a", "c"]),
    "a page": ({"order": "username", "limit": "1", "skip": "1"}, ["b"]),
    "a limit that is none": ({"order": "username", "limit": "5000"}, ["a", "b", "c"]),
    "a name": ({"where": '{"username":"b"}'}, ["b"]),
    "an address": ({"where": '{"email":"a@x.org"}'}, ["a"]),
    "a number": ({"where": '{"age":{"$gt":20}}'}, ["b"]),
    "an element": ({"where": '{"tags":"x"}'}, ["a"]),
    "a part": ({"where": '{"home.city":"杭州"}'}, ["a"]),
    "a key that is not there": ({"where": '{"age":{"$exists":false}}'}, ["c"]),
    "a pattern": ({"where": '{"username":{"$regex":"^[ab]$"}}', "order": "username"}, ["a", "b"]),
    "either": ({"where": '{"$or":[{"username":"a"},{"age":30}]}', "order": "username"}, ["a", "b"]),
    "a time": ({"where": '{"createdAt":{"$gt":{"__type":"Date","iso":"2100-01-01T00:00:00Z"}}}'}, []),
}


@pytest.mark.parametrize(("query", "names"), QUERIES.values(), ids=QUERIES)
async def test_queries(door: Door, query: dict[str, str], names: list[str]) -> None:
    await door.sign_up("a", age=20, tags=["x", "y"], home={"city": "杭州"}, email="a@x.org")
    await door.sign_up("b", age=30)
    await door.sign_up("c")
    status, answer = await door.call("GET", USERS, master=True, **query)
    assert (status, [user["username"] for user in answer["results"]]) == (200, names)


@pytest.mark.parametrize(
    "query",
    [{"where": "x"}, {"where": "[1]"}, {"where": '{"a":{"$where":1}}'}, {"order": "$x"}, {"skip": "9999999"}],
)
async def test_queries_that_fail(door: Door, query: dict[str, str]) -> None:
    assert await door.call("GET", USERS, master=True, **query) == (400, 102)


async def test_nobody_is_found_by_a_password(door: Door, tom: dict[str, Any]) -> None:
    for key in ("password", "sessionToken"):
        where = f'{{"{key}":{{"$exists":true}}}}'
        assert (await door.call("GET", USERS, master=True, where=where))[1] == {"results": []}


# changing


async def test_a_user_changes_itself(door: Door, tom: dict[str, Any]) -> None:
    path, token = f"/1.1/classes/_User/{tom['objectId']}", tom["sessionToken"]
    change = {"nick": "T", "n": {"__op": "Increment", "amount": 2}, "tags": {"__op": "AddUnique", "objects": ["a"]}}
    status, answer = await door.call("PUT", path, change, token=token)
    assert (status, answer.keys()) == (200, {"objectId", "updatedAt"})
    assert answer["updatedAt"] > tom["createdAt"]
    status, row = await door.call("PUT", path, {"nick": {"__op": "Delete"}}, token=token, fetchWhenSave="true")
    assert (row["n"], row["tags"], "nick" in row) == (2, ["a"], False)
    assert (await door.call("PUT", path, {"objectId": tom["objectId"], "a": 1}, token=token))[0] == 200


async def test_a_new_address_is_not_verified(door: Door, tom: dict[str, Any]) -> None:
    path, token = f"{USERS}/{tom['objectId']}", tom["sessionToken"]
    assert (await door.call("PUT", path, {"emailVerified": True}, master=True))[0] == 200
    assert (await door.call("PUT", path, {"nick": "x"}, token=token, new="true"))[1]["emailVerified"]
    row = (await door.call("PUT", path, {"email": "new@example.com"}, token=token, new="true"))[1]
    assert (row["email"], row["emailVerified"]) == ("new@example.com", False)


CHANGES = {
    "a taken name": ({"username": "jerry"}, 202),
    "no name": ({"username": {"__op": "Delete"}}, 217),
    "an address that is none": ({"email": "x"}, 125),
    "an address verified": ({"emailVerified": True}, 117),
    "a token": ({"sessionToken": "x"}, 117),
    "another id": ({"objectId": NOBODY}, 117),
    "a time": ({"createdAt": "2026-01-01T00:00:00.000Z"}, 117),
    "a wrong operator": ({"nick": {"__op": "Increment", "amount": 1}}, 111),
    "into a text": ({"nick.x": 1}, 111),
    "no ACL": ({"ACL": 1}, 111),
}


@pytest.mark.parametrize(("change", "code"), CHANGES.values(), ids=CHANGES)
async def test_changes_that_fail_change_nothing(
    door: Door, tom: dict[str, Any], change: dict[str, Any], code: int
) -> None:
    await door.sign_up("jerry")
    path, token = f"{USERS}/{tom['objectId']}", tom["sessionToken"]
    before = await door.call("GET", path, master=True)
    assert await door.call("PUT", path, {**change, "more": 1}, token=token) == (400, code)
    assert await door.call("GET", path, master=True) == before


async def test_a_conditional_change(door: Door, tom: dict[str, Any]) -> None:
    path, token = f"{USERS}/{tom['objectId']}", tom["sessionToken"]
    assert await door.call("PUT", path, {"a": 1}, token=token, where='{"nick":"nobody"}') == (400, 305)
    assert (await door.call("PUT", path, {"a": 1}, token=token, where='{"nick":"Tommy"}'))[0] == 200
    assert await door.call("PUT", path, {"a": 1}, token=token, where='{"nick":{"$regex":"a|b"}}') == (400, 102)


async def test_only_the_user_itself_and_the_master_key_delete_it(door: Door, tom: dict[str, Any]) -> None:
    jerry = await door.sign_up("jerry")
    path = f"{USERS}/{tom['objectId']}"
    assert await door.call("DELETE", path) == (403, 206)
    assert await door.call("DELETE", path, token=jerry["sessionToken"]) == (403, 206)
    assert await door.call("DELETE", path, token=tom["sessionToken"]) == (200, {})
    assert await door.call("GET", f"{USERS}/me", token=tom["sessionToken"]) == (400, 211)
    assert await door.log_in() == (400, 211)
    assert await door.call("DELETE", f"{USERS}/{jerry['objectId']}", master=True) == (200, {})
    assert (await door.sign_up())["objectId"] != tom["objectId"]


@pytest.mark.parametrize(
    "path", ["requestPasswordReset", "requestEmailVerify", "requestLoginSmsCode", "verifySmsCode/1"]
)
async def test_what_needs_mail_says_so(door: Door, path: str) -> None:
    assert await door.call("POST", f"/1.1/{path}", {"email": "tom@example.com"}) == (400, 1)


async def test_a_user_has_at_most_a_hundred_sessions(door: Door, tom: dict[str, Any], store: Store, app: App) -> None:
    user = await store.users.by(app.key, "username", "tom")
    assert user is not None
    for number in range(100):
        await store.users.log_in(user.key, number.to_bytes(32), None, None)
    assert await store.users.of_session(app.key, (99).to_bytes(32)) == user
    assert await door.call("GET", f"{USERS}/me", token=tom["sessionToken"]) == (400, 211)
