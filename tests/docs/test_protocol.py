"""The table of the protocol is up to date, and has no row that nobody answers for."""

import dataclasses

import pytest

from hongyan.config import FIELDS
from hongyan.engine.app_settings import AppSettings
from hongyan.wire import messages2_pb2 as pb
from tools import protocol

LINKS_MAX = 3
"""Tests named for one row: those that try it best."""


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


def test_every_field_of_the_schema_has_a_row() -> None:
    messages = pb.DESCRIPTOR.message_types_by_name.values()
    assert protocol.fields().keys() == {
        f"{message.name}.{field.name}" for message in messages for field in message.fields
    }


def test_a_row_names_few_tests() -> None:
    assert {row: tests for row, tests in protocol.covered().items() if len(tests) > LINKS_MAX} == {}


def test_every_inferred_rule_has_tests_that_say_so_or_an_issue() -> None:
    for rule in protocol.ROWS["rules"]:
        tests = protocol.tests_of_rule(rule)
        assert bool(tests) != ("issue" in rule), rule
        assert len(tests) <= LINKS_MAX, rule
        assert [
            test for test in tests if test not in protocol.test_names() or "inferred" not in test.partition("::")[2]
        ] == [], rule


def test_a_rule_names_a_setting_that_there_is() -> None:
    settings = FIELDS.keys() | {field.name for field in dataclasses.fields(AppSettings)}
    assert {name for rule in protocol.ROWS["rules"] for name in protocol.settings_of_rule(rule)} <= settings


def test_a_rule_is_told_once_in_each_language() -> None:
    for language in protocol.PAGES:
        told = [rule[language] for rule in protocol.ROWS["rules"]]
        assert len(told) == len(set(told))
        assert [text for text in told if not text.strip() or "|" in text] == []


def test_every_test_of_an_inferred_rule_has_its_row() -> None:
    inferred = {test for test in protocol.test_names() if "inferred" in test.partition("::")[2]}
    inferred -= {test for test in inferred if test.startswith("tests/hub/")}  # rules of other platforms
    own = {f"tests/docs/test_protocol.py::{name}" for name, value in globals().items() if callable(value)}
    named = {test for rule in protocol.ROWS["rules"] for test in protocol.tests_of_rule(rule)}
    assert inferred - own - named == set()
