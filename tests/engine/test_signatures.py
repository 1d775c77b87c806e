"""Signatures: what is signed, for how long it is good, and what is asked for nothing."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine import signatures
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.signatures import AHEAD_MAX, VALIDITY, Signature, Signatures
from hongyan.engine.values import App
from hongyan.errors import Kind, Refused
from tests.store.steps import NOON, Wall

MASTER_KEY = "demo-master-key"
AT = 1_700_000_000_000
CID = "65f000000000000000000001"
SWITCHES = ("sign_login", "sign_conversation", "sign_history", "sign_blacklist")
REFUSED = errors.CONVERSATION_SIGNATURE_FAILED


def demo_app(**settings: bool) -> App:
    return App(1, "demo-app", "demo", "demo-key", MASTER_KEY, "", AppSettings(**settings), 0)


SIGNING = demo_app(**dict.fromkeys(SWITCHES, True))


class NoStore:
    """The store of apps whose signatures may be used again."""

    async def use(self, digest: bytes, expires_at: int) -> bool:
        raise AssertionError("nothing is to be remembered")


def at(time: int) -> Signatures:
    return Signatures(NoStore(), Clock(Wall(time), lambda: 0))


def signed(text: str, key: str = MASTER_KEY) -> str:
    return hmac.digest(key.encode(), text.encode(), "sha1").hex()


# the vectors of the references: of the realtime one by tom, of the REST one by alice


async def login(app: App, given: Signature, client: str) -> None:
    assert at(AT).login(app, client, given) is None


def starting(*members: str) -> Callable[[App, Signature, str], Awaitable[None]]:
    return lambda app, given, client: at(AT).check_start(app, client, members, given, temporary=False)


def adding(*members: str) -> Callable[[App, Signature, str], Awaitable[None]]:
    return lambda app, given, client: at(AT).check_add(app, client, CID, members, given)


def removing(*members: str) -> Callable[[App, Signature, str], Awaitable[None]]:
    return lambda app, given, client: at(AT).check_remove(app, client, CID, members, given)


def blocking(*members: str, unblock: bool = False) -> Callable[[App, Signature, str], Awaitable[None]]:
    return lambda app, given, client: at(AT).check_block(app, client, CID, members, given, unblock=unblock)


def refusing(*, unblock: bool = False) -> Callable[[App, Signature, str], Awaitable[None]]:
    return lambda app, given, client: at(AT).check_client_block(app, client, CID, given, unblock=unblock)


async def history(app: App, given: Signature, client: str) -> None:
    await at(AT).check_history(app, client, CID, given, has_session=False)


VECTORS: list[tuple[str, str, Any, str, Kind]] = [
    ("tom", "n0nce", login, "b71b17ba7b926779ae4ecc676e6ec87f45a83e59", errors.SIGNATURE_FAILED),
    ("tom", "n0nce", starting("jerry", "tom"), "189fe4f887736abe54848a3bee226127c362a624", REFUSED),
    ("tom", "n0nce", adding("jerry", "spike"), "e68a196fe1fb88eb9f0826e48e7b2dbeaa289896", REFUSED),
    ("tom", "n0nce", removing("jerry"), "b152c06dd1367ad7bf9c1c3a8b17a70fe590356e", REFUSED),
    (
        "tom",
        "n0nce",
        blocking("jerry"),
        "f241b2c4c9dbe1ba3a68d42034654141624d35ae",
        errors.BLACKLIST_SIGNATURE_FAILED,
    ),
    ("alice", "n7k2", login, "c3ad6a095d2cc73e78a89e5fc685c2598b50c9b7", errors.SIGNATURE_FAILED),
    ("alice", "n7k2", starting("bob", "carol"), "fafb1d61ede8269d87d619edf7bc272f9ce7151b", REFUSED),
    ("alice", "n7k2", adding("bob", "carol"), "9087a0cd955a45b04be87a99818f8d9770c53a6a", REFUSED),
    ("alice", "n7k2", removing("carol"), "28a4567c686fad38c9c7c5586c8aa072f5c61ef4", REFUSED),
    ("alice", "n7k2", history, "25c5e148477edf51726c7b96af4c4ef7967e43f0", REFUSED),
    ("alice", "n7k2", refusing(), "c35ad00f2cc9922bb4034e5947bcc5908f824eb0", errors.BLACKLIST_SIGNATURE_FAILED),
    ("alice", "n7k2", blocking("bob"), "01eff1f3b7f7a19c02722aa51a689dfae0b2ae9a", errors.BLACKLIST_SIGNATURE_FAILED),
]


@pytest.mark.parametrize(("client", "nonce", "check", "digits", "kind"), VECTORS)
async def test_the_vectors_of_the_references(client: str, nonce: str, check: Any, digits: str, kind: Kind) -> None:
    """Good for this client, nonce, time and key, and for no other."""
    await check(SIGNING, Signature(digits, str(AT), nonce), client)
    other_key = App(1, "demo-app", "demo", "demo-key", "another", "", SIGNING.settings, 0)
    other_app = App(1, "other-app", "demo", "demo-key", MASTER_KEY, "", SIGNING.settings, 0)
    for app, given, by in (
        (SIGNING, Signature(digits, str(AT), nonce), "jerry"),
        (SIGNING, Signature(digits, str(AT), "other"), client),
        (SIGNING, Signature(digits, str(AT + 1), nonce), client),
        (SIGNING, Signature(digits[:-1], str(AT), nonce), client),
        (SIGNING, Signature("", str(AT), nonce), client),
        (SIGNING, Signature("é" * 40, str(AT), nonce), client),
        (SIGNING, Signature(digits, "", nonce), client),
        (SIGNING, Signature("", "", ""), client),
        (other_key, Signature(digits, str(AT), nonce), client),
        (other_app, Signature(digits, str(AT), nonce), client),
    ):
        with pytest.raises(Refused) as refusal:
            await check(app, given, by)
        assert refusal.value.kind is kind


@pytest.mark.parametrize(("client", "nonce", "check", "digits", "kind"), VECTORS)
async def test_the_case_of_the_digits_does_not_matter_inferred(
    client: str, nonce: str, check: Any, digits: str, kind: Kind
) -> None:
    await check(SIGNING, Signature(digits.upper(), str(AT), nonce), client)


@pytest.mark.parametrize("given", [Signature("", "", ""), Signature("wrong", "5", "n")])
async def test_whatever_comes_is_ignored_while_the_switch_is_off(given: Signature) -> None:
    app = demo_app(signature_once=True)
    for check in (
        login,
        starting("a"),
        adding("a"),
        removing("a"),
        removing("tom"),
        blocking("a"),
        refusing(),
        history,
    ):
        await check(app, given, "tom")


@pytest.mark.parametrize("switch", SWITCHES)
async def test_each_switch_is_for_its_own_operations(switch: str) -> None:
    app, nothing = demo_app(**{switch: True}), Signature("", "", "")
    needed = {"sign_login": [login], "sign_conversation": [starting("a"), adding("a"), removing("a")]}
    needed["sign_blacklist"] = [blocking("a"), refusing()]
    for name, checks in needed.items():
        for check in checks:
            if name == switch:
                with pytest.raises(Refused):
                    await check(app, nothing, "tom")
            else:
                await check(app, nothing, "tom")


# the members


def start_signed(*members: str) -> Signature:
    return Signature(signed(f"demo-app:tom:{':'.join(members)}:{AT}:n"), str(AT), "n")


@pytest.mark.parametrize(
    ("asked", "signed_for"),
    [
        (["tom", "jerry"], ["jerry", "tom"]),
        (["tom", "jerry"], ["jerry"]),
        (["jerry"], ["jerry"]),
        (["jerry"], ["jerry", "tom"]),
        (["tom"], []),
        ([], []),
        ([], ["tom"]),
        (["jerry", "jerry"], ["jerry", "jerry"]),
    ],
)
async def test_the_creator_may_be_left_out_of_what_is_signed_or_not_inferred(
    asked: list[str], signed_for: list[str]
) -> None:
    await starting(*asked)(SIGNING, start_signed(*signed_for), "tom")


@pytest.mark.parametrize("signed_for", [["jerry"], ["jerry", "spike", "tom", "tyke"], ["spike"], ["tom"], []])
async def test_no_other_members_are_signed_for(signed_for: list[str]) -> None:
    with pytest.raises(Refused, match="CONVERSATION_SIGNATURE_FAILED"):
        await starting("tom", "jerry", "spike")(SIGNING, start_signed(*signed_for), "tom")


async def test_members_are_sorted_by_code_units() -> None:
    """As JavaScript and Java sort: what is beyond U+FFFF comes before U+FF5E."""
    text = signatures.conversation_text("app", "tom", CID, ["～", "🦢", "b", "B", "10", "9", "乙"], "1", "n", "kick")
    assert text == f"app:tom:{CID}:10:9:B:b:乙:🦢:～:1:n:kick"


@pytest.mark.parametrize("unblock", [False, True])
async def test_unblocking_is_signed_in_its_own_words(unblock: bool) -> None:
    word = "unblock" if unblock else "block"
    for text, check, other in (
        (f"demo-app:tom:{CID}:a:b:{AT}:n:conversation-{word}-clients", blocking("b", "a", unblock=unblock), blocking),
        (f"demo-app:tom:{CID}::{AT}:n:client-{word}-conversations", refusing(unblock=unblock), refusing),
    ):
        given = Signature(signed(text), str(AT), "n")
        await check(SIGNING, given, "tom")
        opposite: Any = other("b", "a", unblock=not unblock) if other is blocking else refusing(unblock=not unblock)
        with pytest.raises(Refused, match="BLACKLIST_SIGNATURE_FAILED"):
            await opposite(SIGNING, given, "tom")


async def test_both_orders_of_a_history_signature() -> None:
    for text in (f"demo-app:tom:{CID}:n:{AT}", f"demo-app:tom:{CID}:{AT}:n"):
        await history(SIGNING, Signature(signed(text), str(AT), "n"), "tom")


@pytest.mark.parametrize(
    ("settings", "has_session", "needed"),
    [
        ({}, False, False),
        ({"sign_history": True}, False, True),
        ({"sign_history": True}, True, True),
        ({"sign_login": True}, False, True),
        ({"sign_login": True}, True, False),
    ],
)
async def test_where_logins_are_signed_history_is_not_read_in_anybodys_name_inferred(
    settings: dict[str, bool], has_session: bool, needed: bool
) -> None:
    app = demo_app(**settings)
    if needed:
        with pytest.raises(Refused, match="CONVERSATION_SIGNATURE_FAILED"):
            await at(AT).check_history(app, "tom", CID, Signature("", "", ""), has_session=has_session)
    else:
        await at(AT).check_history(app, "tom", CID, Signature("", "", ""), has_session=has_session)
    good = Signature(signed(f"demo-app:tom:{CID}:n:{AT}"), str(AT), "n")
    await at(AT).check_history(app, "tom", CID, good, has_session=has_session)


async def test_quitting_needs_no_signature_but_a_wrong_one_is_refused_inferred() -> None:
    """Java signs no quit, JS does."""
    good = Signature(signed(f"demo-app:tom:{CID}:tom:{AT}:n:kick"), str(AT), "n")
    for given in (Signature("", "", ""), good):
        await removing("tom")(SIGNING, given, "tom")
    for wrong in (Signature("x", str(AT), "n"), Signature("", str(AT), ""), Signature("", "", "n")):
        with pytest.raises(Refused, match="CONVERSATION_SIGNATURE_FAILED"):
            await removing("tom")(SIGNING, wrong, "tom")
    for others in (["jerry"], ["tom", "jerry"], []):
        with pytest.raises(Refused, match="CONVERSATION_SIGNATURE_FAILED"):
            await removing(*others)(SIGNING, Signature("", "", ""), "tom")


async def test_joining_needs_a_signature() -> None:
    with pytest.raises(Refused, match="CONVERSATION_SIGNATURE_FAILED"):
        await adding("tom")(SIGNING, Signature("", "", ""), "tom")
    await adding("tom")(SIGNING, Signature(signed(f"demo-app:tom:{CID}:tom:{AT}:n:invite"), str(AT), "n"), "tom")


async def test_temporary_conversations_need_none_inferred() -> None:
    """Swift signs none."""
    for given in (Signature("", "", ""), Signature("wrong", str(AT), "n")):
        await at(AT).check_start(SIGNING, "tom", ["jerry"], given, temporary=True)
        await at(AT).check_add(SIGNING, "tom", "_tmp:1", ["jerry"], given)
        await at(AT).check_remove(SIGNING, "tom", "_tmp:1", ["jerry"], given)


# the time


def login_signed(time: str) -> Signature:
    return Signature(signed(f"demo-app:tom::{time}:n"), time, "n")


@pytest.mark.parametrize(
    ("now", "good"),
    [
        (NOON, True),
        (NOON + VALIDITY, True),
        (NOON + VALIDITY + 1, False),
        (NOON - AHEAD_MAX, True),
        (NOON - AHEAD_MAX - 1, False),
    ],
)
async def test_a_signature_is_good_for_six_hours(now: int, good: bool) -> None:
    if good:
        assert at(now).login(SIGNING, "tom", login_signed(str(NOON))) is None
    else:
        with pytest.raises(Refused, match="SIGNATURE_FAILED"):
            at(now).login(SIGNING, "tom", login_signed(str(NOON)))


async def test_small_times_are_seconds_inferred() -> None:
    """They are signed as they came."""
    seconds = str(NOON // 1000)
    assert at(NOON + 5_000).login(SIGNING, "tom", login_signed(seconds)) is None
    with pytest.raises(Refused, match="SIGNATURE_FAILED"):
        at(NOON + VALIDITY + 1).login(SIGNING, "tom", login_signed(seconds))
    in_milliseconds = Signature(signed(f"demo-app:tom::{NOON}:n"), seconds, "n")
    with pytest.raises(Refused, match="SIGNATURE_FAILED"):
        at(NOON).login(SIGNING, "tom", in_milliseconds)


@pytest.mark.parametrize(
    "time", ["0", "-1", "1.8e12", f" {NOON}", f"+{NOON}", "١٨٠٠٠٠٠٠٠٠٠٠٠", "1" * 16, "9" * 5000, ""]
)
async def test_other_times_are_refused(time: str) -> None:
    with pytest.raises(Refused, match="SIGNATURE_FAILED"):
        at(NOON).login(SIGNING, "tom", login_signed(time))


async def test_leading_zeros_are_signed_as_they_came() -> None:
    assert at(NOON).login(SIGNING, "tom", login_signed(f"00{NOON}")) is None


# once


@pytest.fixture
async def once(engine: Engine) -> App:
    """An app whose signatures are good once."""
    made = await engine.apps.create("once", id="demo-app", master_key=MASTER_KEY)
    return await engine.apps.change(made.id, dict.fromkeys([*SWITCHES, "signature_once"], "on"))


async def logs_in(engine: Engine, app: App, given: Signature) -> None:
    use = engine.signatures.login(app, "tom", given)
    assert use is not None
    await engine.signatures.use(use)


async def test_a_signature_is_good_once_if_the_app_wants_it(
    engine: Engine, make_engine: Callable[[], Engine], once: App
) -> None:
    given = login_signed(str(NOON))
    await logs_in(engine, once, given)
    restarted = make_engine()
    await restarted.start()
    upper = Signature(given.digits.upper(), given.time, given.nonce)
    for each in (engine, restarted):
        for again in (given, upper):
            with pytest.raises(Refused, match="used before") as refusal:
                await logs_in(each, once, again)
            assert refusal.value.kind is errors.SIGNATURE_FAILED
    await logs_in(engine, once, Signature(signed(f"demo-app:tom::{NOON}:m"), str(NOON), "m"))


async def test_every_operation_uses_its_signature_up(engine: Engine, once: App) -> None:
    def given(text: str) -> Signature:
        return Signature(signed(f"demo-app:tom:{text}"), str(NOON), "n")

    checks: list[tuple[Callable[[], Awaitable[None]], Kind]] = [
        (
            lambda: engine.signatures.check_start(once, "tom", ["ann"], given(f"ann:{NOON}:n"), temporary=False),
            REFUSED,
        ),
        (
            lambda: engine.signatures.check_add(once, "tom", CID, ["ann"], given(f"{CID}:ann:{NOON}:n:invite")),
            REFUSED,
        ),
        (
            lambda: engine.signatures.check_remove(once, "tom", CID, ["ann"], given(f"{CID}:ann:{NOON}:n:kick")),
            REFUSED,
        ),
        (
            lambda: engine.signatures.check_block(
                once, "tom", CID, ["ann"], given(f"{CID}:ann:{NOON}:n:conversation-block-clients")
            ),
            errors.BLACKLIST_SIGNATURE_FAILED,
        ),
        (
            lambda: engine.signatures.check_history(once, "tom", CID, given(f"{CID}:n:{NOON}"), has_session=True),
            REFUSED,
        ),
    ]
    for check, kind in checks:
        await check()
        with pytest.raises(Refused, match="used before") as refusal:
            await check()
        assert refusal.value.kind is kind


async def test_a_wrong_signature_uses_nothing_up(engine: Engine, once: App) -> None:
    given = login_signed(str(NOON))
    with pytest.raises(Refused, match="is wrong"):
        engine.signatures.login(once, "ann", given)
    await logs_in(engine, once, given)
