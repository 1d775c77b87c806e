"""Session tokens: whose they are, how long, and what is not one."""

import base64
import dataclasses
import hmac
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from hongyan import errors
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.sessions import Sessions, Ticket, check_client_id, conflict
from hongyan.engine.values import App
from hongyan.errors import Refused
from hongyan.store import Store
from tests.engine.conftest import SECRET
from tests.store.steps import Wall

DAY = 86_400
OTHER_APP = App(2, "other", "", "", "", "", AppSettings(), 0)


def ticket(engine: Engine, client: str = "ann") -> Ticket:
    return engine.sessions.new_ticket(client, "mobile", "device-1", 0xBB)


def assert_refused(engine: Engine, app: App, client: str, token: str, *, expired_too: bool = False) -> None:
    with pytest.raises(Refused) as refusal:
        engine.sessions.redeem(app, client, token, expired_too=expired_too)
    assert refusal.value.kind is errors.SESSION_TOKEN_EXPIRED


def test_a_token_brings_back_what_it_was_issued_for(engine: Engine, app: App) -> None:
    token, issued = engine.sessions.issue(app, ticket(engine, "安 ann"))
    assert engine.sessions.redeem(app, "安 ann", token) == issued


async def test_a_token_of_an_older_version_is_void_for_who_was_expelled_only(engine: Engine, app: App) -> None:
    """It does not say when it was made."""
    claims = {"app": app.id, "tag": "", "dev": "", "bit": 0, "exp": engine.clock.now() // 1000 + 60}
    key = hmac.digest(SECRET, b"session tokens", "sha256")
    old = {each: signed({**claims, "sub": each, "jti": each}, key) for each in ("ann", "bob")}
    await engine.kicks.kick(app, "bob", "")
    assert engine.sessions.redeem(app, "ann", old["ann"]).id == "ann"
    assert_refused(engine, app, "bob", old["bob"])


def test_tickets_are_never_the_same(engine: Engine) -> None:
    assert len({ticket(engine).id for _ in range(100)}) == 100


def test_a_token_holds_over_a_restart_inferred(engine: Engine, make_engine: Callable[[], Engine], app: App) -> None:
    token, issued = engine.sessions.issue(app, ticket(engine))
    assert make_engine().sessions.redeem(app, "ann", token) == issued


def test_a_token_expires(engine: Engine, app: App, wall: Wall) -> None:
    short = dataclasses.replace(app, settings=AppSettings(session_ttl=60))
    token, issued = engine.sessions.issue(short, ticket(engine))
    wall.at += 59_999
    assert engine.sessions.redeem(app, "ann", token) == issued
    wall.at += 1
    assert_refused(engine, app, "ann", token)
    assert engine.sessions.redeem(app, "ann", token, expired_too=True) == issued
    wall.at += 365 * DAY * 1000
    assert engine.sessions.redeem(app, "ann", token, expired_too=True) == issued


def test_a_token_is_for_one_client_of_one_app(engine: Engine, app: App) -> None:
    token, _ = engine.sessions.issue(app, ticket(engine))
    for of, client in ((app, "bob"), (app, ""), (app, "ANN"), (app, "ann "), (OTHER_APP, "ann")):
        assert_refused(engine, of, client, token)
        assert_refused(engine, of, client, token, expired_too=True)


async def test_logging_out_voids_every_token_of_the_ticket(
    engine: Engine, make_engine: Callable[[], Engine], app: App, wall: Wall
) -> None:
    first, issued = engine.sessions.issue(app, ticket(engine))
    wall.at += 1000
    second, issued = engine.sessions.issue(app, issued)
    tokens = [first, second]
    kept, other = engine.sessions.issue(app, ticket(engine))
    await engine.sessions.revoke(issued)
    restarted = make_engine()
    await restarted.start()
    for each in (engine, restarted):
        for token in tokens:
            assert_refused(each, app, "ann", token)
            assert_refused(each, app, "ann", token, expired_too=True)
        assert each.sessions.redeem(app, "ann", kept) == other


async def test_voided_tokens_are_forgotten_when_they_have_expired(
    engine: Engine, store: Store, app: App, wall: Wall
) -> None:
    token, issued = engine.sessions.issue(app, ticket(engine))
    await engine.sessions.revoke(issued)
    wall.at += (app.settings.session_ttl + 1) * 1000 + 1
    _, other = engine.sessions.issue(app, ticket(engine))
    await engine.sessions.revoke(other)
    await store.prune()
    assert len(await store.tokens.revoked()) == 1
    assert len(engine.sessions._revoked) == 1
    assert_refused(engine, app, "ann", token)


async def test_a_voided_token_stays_void_when_the_lifetime_is_shortened(
    engine: Engine, store: Store, app: App, wall: Wall
) -> None:
    token, issued = engine.sessions.issue(app, ticket(engine))
    short = await engine.apps.change(app.id, {"session_ttl": "1"})
    await engine.sessions.revoke(issued)
    wall.at += 5_000
    _, other = engine.sessions.issue(short, ticket(engine))
    await engine.sessions.revoke(other)
    await store.prune()
    assert_refused(engine, app, "ann", token)


def signed(claims: dict[str, object], secret: bytes, algorithm: str = "HS256") -> str:
    return jwt.encode({"alg": algorithm}, claims, OctKey.import_key(secret), algorithms=[algorithm])


def forged(token: str, **header: object) -> str:
    """The token with another header and no signature."""
    _, payload, _ = token.split(".")
    text = json.dumps(header).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode() + f".{payload}."


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")), st.integers(0, 2**63))
def test_tokens_are_those_of_the_library(client: str, tag: str, bitmap: int) -> None:
    sessions = Sessions(None, Clock(lambda: 0, lambda: 0), SECRET)  # type: ignore[arg-type]
    token, issued = sessions.issue(OTHER_APP, Ticket("id", client, tag, "device", bitmap))
    claims = {"jti": "id", "app": "other", "sub": client, "tag": tag, "dev": "device", "bit": bitmap}
    key = hmac.digest(SECRET, b"session tokens", "sha256")
    assert token == signed({**claims, "exp": issued.expires_at, "at": 0}, key)


CLAIMS = {"jti": "id", "app": "test", "sub": "ann", "tag": "", "dev": "", "bit": 0, "exp": 1 << 40}


def test_forgeries(engine: Engine, app: App) -> None:
    token, _ = engine.sessions.issue(app, ticket(engine))
    head, payload, signature = token.split(".")
    for each in (
        forged(token, alg="none"),
        forged(token, alg="None", typ="JWT"),
        forged(token, alg="HS256"),
        forged(token, alg="RS256"),
        forged(token),
        f"{head}.{payload}.",
        f"{head}.{payload}",
        f"{head}..{signature}",
        f"{head}.{payload[:-2]}AA.{signature}",
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{token}.{signature}",
        signed(CLAIMS, b"x" * 32),
        signed(CLAIMS, SECRET),  # the secret itself signs nothing: it seals the apps' keys
        signed(CLAIMS, SECRET, "HS512"),
    ):
        assert_refused(engine, app, "ann", each)
        assert_refused(engine, app, "ann", each, expired_too=True)


def test_another_servers_token(engine: Engine, app: App, store: Store, wall: Wall) -> None:
    other = Sessions(store.tokens, Clock(wall, lambda: 0), b"y" * 32)
    assert_refused(engine, app, "ann", other.issue(app, ticket(engine)))


@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", "a.b.c", "null", "日本.日本.日本", "\x00", "e30.e30.e30", "A" * 100_000]
)
def test_garbage(engine: Engine, app: App, text: str) -> None:
    assert_refused(engine, app, "ann", text)


@given(
    st.text() | st.lists(st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()), max_size=5).map(".".join)
)
def test_any_text(text: str) -> None:
    sessions = Sessions(None, Clock(), SECRET)  # type: ignore[arg-type]
    with pytest.raises(Refused) as refusal:
        sessions.redeem(OTHER_APP, "ann", text)
    assert refusal.value.kind is errors.SESSION_TOKEN_EXPIRED


@pytest.mark.parametrize("client", ["a", "x" * 64, "日" * 64, "with space"])
def test_client_ids(client: str) -> None:
    check_client_id(client)


@pytest.mark.parametrize("client", ["", "x" * 65])
def test_impossible_client_ids(client: str) -> None:
    with pytest.raises(Refused) as refusal:
        check_client_id(client)
    assert refusal.value.kind is errors.INVALID_LOGIN


@pytest.mark.parametrize(
    ("one", "other", "exclusive"),
    [
        (("web", "d-1"), ("web", "d-2"), True),
        (("web", "d-1"), ("web", ""), True),
        (("web", ""), ("web", ""), True),
        (("web", "d-1"), ("web", "d-1"), False),
        (("web", "d-1"), ("pad", "d-2"), False),
        (("default", "d-1"), ("default", "d-2"), False),
        (("", "d-1"), ("", "d-2"), False),
    ],
)
def test_which_logins_conflict(one: tuple[str, str], other: tuple[str, str], exclusive: bool) -> None:
    first, second = Ticket("1", "ann", *one, 0), Ticket("2", "ann", *other, 0)
    assert conflict(first, second) == conflict(second, first) == exclusive
    assert not conflict(first, dataclasses.replace(second, client="bob"))


async def test_a_token_is_void_before_that_is_on_disk(engine: Engine, app: App) -> None:
    token, issued = engine.sessions.issue(app, ticket(engine))
    written = engine.sessions.revoke(issued)
    assert_refused(engine, app, "ann", token)
    await written
