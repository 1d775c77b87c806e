"""The table of the protocol is up to date, and has no row that nobody answers for."""

import pytest

from hongyan.wire import messages2_pb2 as pb
from tools import protocol


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_table_is_up_to_date(language: str) -> None:
    assert protocol.PAGES[language].read_text(encoding="utf-8") == protocol.render(language), "run `make docs`"


def test_every_row_has_a_test_or_an_issue() -> None:
    answered = protocol.covered().keys() | protocol.later().keys() | protocol.unused()
    assert [row for row in [*protocol.commands(), *protocol.fields()] if row not in answered] == []


def test_what_is_left_for_later_has_no_test_yet() -> None:
    """Nor is anything called unused that a test uses."""
    assert (protocol.later().keys() | protocol.unused()) & protocol.covered().keys() == set()


def test_marks_name_rows() -> None:
    rows = protocol.commands().keys() | protocol.fields().keys()
    assert (protocol.covered().keys() | protocol.unused()) - rows == set()
    named = {row for rows in protocol.ROWS["later"].values() for row in rows}
    messages = {row.partition(".")[0] for row in protocol.fields()}
    assert named - rows - messages == set()


def test_every_command_and_operation_of_the_schema_has_a_row() -> None:
    parts = [row.split("/") for row in protocol.commands()]
    assert {part[0] for part in parts} == set(pb.CommandType.keys())
    assert {part[1] for part in parts if len(part) > 1} == set(pb.OpType.keys())


def test_every_inferred_rule_has_a_test_that_says_so_or_an_issue() -> None:
    tests = protocol.test_names()
    for rule in protocol.ROWS["rules"]:
        assert ("test" in rule) != ("issue" in rule), rule
        assert "issue" in rule or (rule["test"] in tests and "inferred" in rule["test"]), rule


def test_every_test_of_an_inferred_rule_has_its_row() -> None:
    inferred = {test for test in protocol.test_names() if "inferred" in test.partition("::")[2]}
    own = {f"tests/docs/test_protocol.py::{name}" for name, value in globals().items() if callable(value)}
    assert inferred - own - {rule.get("test") for rule in protocol.ROWS["rules"]} == set()
