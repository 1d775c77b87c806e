"""The reference of webhooks shows what they are told."""

import pytest

from hongyan.engine.webhooks import TYPES
from tools import webhooks


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_reference_is_up_to_date(language: str) -> None:
    written = webhooks.PAGES[language].read_text(encoding="utf-8")
    assert written == webhooks.render(language), "run `make docs`"


def test_every_type_has_its_example() -> None:
    assert set(webhooks.EVENTS) == set(webhooks.MEANINGS) == set(TYPES)
