"""The configuration reference says what the settings say."""

import pytest

from tools import configuration


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_reference_is_up_to_date(language: str) -> None:
    written = configuration.PAGES[language].read_text(encoding="utf-8")
    assert written == configuration.render(language), "run `make docs`"
