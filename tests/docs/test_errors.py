"""The reference of errors says what the table of errors says."""

import pytest

from tools import errors


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_reference_is_up_to_date(language: str) -> None:
    written = errors.PAGES[language].read_text(encoding="utf-8")
    assert written == errors.render(language), "run `make docs`"
