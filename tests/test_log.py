"""The log: one line for each event, without secrets, for machines and for people."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from hongyan import log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes; what was set up before is put back."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().rstrip("\n").split("\n")]


def test_secrets_are_hidden_at_any_depth(stream: io.StringIO) -> None:
    log.configure("info", "json", stream)
    secret = "goose-s3cret"
    structlog.get_logger("x").info(
        "made",
        app_key=secret,
        master_key=secret,
        token=secret,
        **{"X-LC-Key": secret, "Authorization": secret},
        request={"headers": [{"x-lc-im-session-token": secret}], "password": secret},
        name="visible",
    )
    assert secret not in stream.getvalue()
    assert lines(stream)[0]["name"] == "visible"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_value_from_outside_cannot_look_like_another_line(stream: io.StringIO, form: str) -> None:
    log.configure("info", form, stream)
    forged = "x\n2030-01-01 [info] all is well\r\x1b[2K\u2028"
    structlog.get_logger("x").info(forged, who=forged, it={"name": forged})
    logging.getLogger("x").warning("%s", forged)
    assert stream.getvalue().count("\n") == 2
    assert not set("\r\x1b") & set(stream.getvalue())


def test_libraries_take_the_same_way_and_are_quiet(stream: io.StringIO) -> None:
    log.configure("info", "json", stream)
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("picows").warning("odd frame")
    logging.getLogger("hongyan.store").info("opened")
    assert [line["event"] for line in lines(stream)] == ["odd frame", "opened"]


def test_warnings_are_events(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        log.configure("info", "json", stream)
        warnings.warn("careful", stacklevel=1)
    (line,) = lines(stream)
    assert "careful" in str(line["event"])


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values_of_variables(stream: io.StringIO, form: str) -> None:
    log.configure("info", form, stream)
    try:
        _fail("-".join(["goose", "s3cret"]))
    except ZeroDivisionError:
        structlog.get_logger("x").exception("failed")
    assert "ZeroDivisionError" in stream.getvalue()
    assert "goose-s3cret" not in stream.getvalue()


def _fail(password: str) -> None:
    assert password
    1 / 0  # noqa: B018


def test_the_level_holds_for_all(stream: io.StringIO) -> None:
    log.configure("error", "json", stream)
    structlog.get_logger("x").info("no")
    logging.getLogger("y").warning("no")
    assert stream.getvalue() == ""
