"""What a refused request gets."""

from collections.abc import Awaitable
from typing import Any

import pytest

from tests.support.client import Refused

EXPIRED = (4112, "SESSION_TOKEN_EXPIRED")
REQUIRED = (4105, "SESSION_REQUIRED")


async def refusal(asked: Awaitable[Any]) -> tuple[int, str]:
    """Code and reason of the error that the request must get."""
    with pytest.raises(Refused) as refused:
        await asked
    assert refused.value.answer.HasField("i")
    return refused.value.code, refused.value.reason
