"""The reference of channels shows what they make of messages."""

import asyncio

import pytest

from hongyan.hub.connector import Outcome
from hongyan.hub.content import TYPES
from hongyan.hub.degrade import RULES
from tools import channels
from tools.channels import Found


@pytest.fixture(scope="module")
def found() -> Found:
    return asyncio.run(channels.find())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_reference_is_up_to_date(found: Found, language: str) -> None:
    written = channels.PAGES[language].read_text(encoding="utf-8")
    assert written == channels.render(found, language), "run `make docs`"


def test_everything_arrives_everywhere(found: Found) -> None:
    """Every type of content is sent to every kind of address, and its platform takes it."""
    assert {type(row.message.content) for row in channels.CASES} == set(TYPES.values())
    wrong = {place: scene.reason for place, scene in found.cells.items() if scene.outcome is not Outcome.OK}
    assert wrong == {}
    assert all(scene.shown for scene in found.cells.values())


def test_what_is_rewritten_is_said_by_rules_of_the_catalogue(found: Found) -> None:
    noted = {note.rule for scene in found.cells.values() for note in scene.notes}
    assert noted <= RULES.keys()
