"""The table of limits says what the defaults are."""

from dataclasses import fields

import pytest

from hongyan.engine.app_settings import AppSettings
from tools import limits


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_reference_is_up_to_date(language: str) -> None:
    written = limits.PAGES[language].read_text(encoding="utf-8")
    assert written == limits.render(language), "run `make docs`"


def test_what_is_compared_exists() -> None:
    assert limits.LEANCLOUD.keys() <= {field.name for field in fields(AppSettings)}
