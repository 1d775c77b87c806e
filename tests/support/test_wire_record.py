"""A test that claims to cover a row of the protocol and does not is failed."""

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.support import wire_record
from tests.support.client import command

pytest_plugins = ["pytester"]


def test_what_goes_over_the_wire_is_recorded_by_its_name() -> None:
    wire_record.start()
    wire_record.note(command("conv", "start", "tom", m=["jerry"], unique=False, attr={"data": "{}"}))
    wire_record.note(GenericCommand(cmd="session"))
    assert wire_record.stop() == {
        "conv/start",
        "session",
        *(f"GenericCommand.{name}" for name in ("cmd", "op", "peerId", "convMessage")),
        *(f"ConvCommand.{name}" for name in ("m", "unique", "attr")),
        "JsonObjectMessage.data",
    }


def test_nothing_is_recorded_unasked() -> None:
    wire_record.note(command("echo"))
    wire_record.start()
    assert wire_record.stop() == set()


@pytest.mark.parametrize(("named", "passed"), [("echo", 1), ("echo', 'GenericCommand.i", 0), ("direct", 0)])
def test_a_test_is_failed_for_what_it_does_not_try(pytester: pytest.Pytester, named: str, passed: int) -> None:
    pytester.makepyfile(f"""
        import pytest
        from tests.support import wire_record
        from tests.support.client import command

        @pytest.mark.covers('{named}')
        def test_echo():
            wire_record.note(command("echo"))
    """)
    pytester.makeini("[pytest]\nmarkers = covers\nasyncio_default_fixture_loop_scope = function")
    result = pytester.runpytest_inprocess("-p", "tests.support.plugin")
    result.assert_outcomes(passed=passed, failed=1 - passed)
