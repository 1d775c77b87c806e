"""Passwords: the forms that are known, and that nobody keeps the server busy with them."""

import asyncio

import bcrypt
import pytest

from hongyan import errors
from hongyan.engine import passwords
from hongyan.engine.passwords import WAITING_MAX, Passwords
from hongyan.errors import Refused

WORD = "open sesame"
#: The vector of the REST reference, 8.5.
KEPT = "h7oRIIN7MfHNUMljp0QzMDM2nubKXavtCxOOcOVHesqa5pxCf081T2E+9FblM9NqID76yVglxOKDQVauhURCgg=="


async def test_a_password_is_kept_as_argon2id_and_each_time_otherwise() -> None:
    first, second = await Passwords().hash(WORD), await Passwords().hash(WORD)
    assert first.startswith("$argon2id$")
    assert first != second
    assert await Passwords().verify(first, WORD) == (True, None)
    assert await Passwords().verify(first, "open barley") == (False, None)


def test_the_vector_of_the_reference() -> None:
    assert passwords.leancloud_hash(WORD, "s4lt") == KEPT


@pytest.mark.parametrize("salt", ["s4lt", "", "a$b", "盐"])
async def test_the_original_form(salt: str) -> None:
    kept = passwords.imported(passwords.leancloud_hash(WORD, salt), salt)
    is_right, newer = await Passwords().verify(kept, WORD)
    assert is_right
    assert newer is not None
    assert await Passwords().verify(newer, WORD) == (True, None)
    assert await Passwords().verify(kept, "open barley") == (False, None)


@pytest.mark.parametrize("mark", [b"$2a$", b"$2b$", b"$2y$"])
async def test_bcrypt(mark: bytes) -> None:
    long = "x" * 100
    digest = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).replace(b"$2b$", mark).decode()
    kept = passwords.imported_bcrypt(digest)
    assert kept == digest
    is_right, newer = await Passwords().verify(kept, long)
    assert is_right
    assert str(newer).startswith("$argon2id$")
    assert await Passwords().verify(kept, "x" * 10) == (False, None)


@pytest.mark.parametrize(
    "digest", ["", "x", "$2b$", "$2b$xx$y", "$2b$31$" + "x" * 53, "$1$x$y", "$2b$15$" + "x" * 53, "$2b$04$short"]
)
async def test_what_no_password_fits(digest: str) -> None:
    """Least of all a form that would take hours to check."""
    if digest != "$2b$04$short":
        assert passwords.imported_bcrypt(digest) is None
    assert await Passwords().verify(digest, WORD) == (False, None)


@pytest.mark.parametrize("kept", ["$argon2id$nonsense", "leancloud$czRsdA==$", "other$a$b"])
async def test_what_is_kept_in_no_known_form_fits_nothing(kept: str) -> None:
    assert await Passwords().verify(kept, WORD) == (False, None)


@pytest.mark.parametrize("password", ["", "x" * 513])
async def test_passwords_that_are_none(password: str) -> None:
    with pytest.raises(Refused) as refusal:
        await Passwords().hash(password)
    assert refusal.value.kind is errors.INVALID_PASSWORD
    assert await Passwords().verify(KEPT, password) == (False, None)


async def test_no_more_wait_than_can_be_served_soon() -> None:
    made = Passwords()
    outcomes = await asyncio.gather(*(made.hash(WORD) for _ in range(WAITING_MAX + 3)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert [refusal.kind for refusal in refused] == [errors.SERVER_BUSY] * 3
    assert (await made.hash(WORD)).startswith("$argon2id$")
