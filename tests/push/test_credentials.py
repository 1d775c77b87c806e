from typing import Any

import msgspec
import pytest

from hongyan.push import ADAPTERS
from tests.support.push.emulator import Emulator


def test_all_of_it_is_needed(service: Emulator) -> None:
    kind = ADAPTERS[service.adapter].credentials
    given = service.credentials
    required = [name for name in given if name in kind.__struct_fields__ and _is_required(kind, name)]
    assert required
    for name in required:
        rest = {key: value for key, value in given.items() if key != name}
        with pytest.raises(ValueError, match=f"^the field `{name}` is missing$"):
            kind.parse(rest)


def test_what_is_no_text_is_refused_without_being_shown(service: Emulator) -> None:
    kind = ADAPTERS[service.adapter].credentials
    for name in service.credentials.keys() & set(kind.__struct_fields__):
        with pytest.raises(ValueError, match=f"^`{name}` (must be a text|is none that can be used here)$") as refused:
            kind.parse({**service.credentials, name: ["swordfish"]})
        assert "swordfish" not in str(refused.value)


def test_a_field_that_is_not_known_is_refused(service: Emulator) -> None:
    kind = ADAPTERS[service.adapter].credentials
    given = {**service.credentials, "secrt": "x"}
    if service.adapter == "fcm":  # Google's own file has more than is needed
        kind.parse(given)
        return
    with pytest.raises(ValueError, match=r"^there is no field `secrt`$"):
        kind.parse(given)


@pytest.mark.parametrize("url", ["ftp://x", "https://", "x", "http://[", "http://x:0", "https://ü"])
def test_an_address_that_is_none_is_refused(url: str, service: Emulator) -> None:
    with pytest.raises(ValueError, match=r"^`base_url` must be a URL"):
        ADAPTERS[service.adapter].credentials.parse({**service.credentials, "base_url": url})


def _is_required(kind: Any, name: str) -> bool:
    return {each.name: each.required for each in msgspec.structs.fields(kind)}[name]
