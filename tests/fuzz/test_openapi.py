"""Calls made up from the OpenAPI document are answered as it says, whoever makes them."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import schemathesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hongyan.api.openapi import document
from tests.fuzz.test_http import Door, door  # noqa: F401

OPERATIONS: list[Any] = [
    found.ok() for found in schemathesis.openapi.from_dict(document()).get_all_operations() if isinstance(found, Ok)
]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
#: Calls of each operation: all together some three hundred, which take less than half a minute.
EXAMPLES = max(1, 300 // len(OPERATIONS))


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.label for operation in OPERATIONS])
def test_calls_are_answered_as_the_document_says(door: Door, operation: Any) -> None:  # noqa: F811
    @settings(max_examples=EXAMPLES, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
    @given(case=operation.as_strategy(), right=st.sampled_from([{}, *door.rights]))
    def call(case: Case, right: dict[bytes, bytes]) -> None:
        case.validate_response(answer(door, case, right), checks=CHECKS)

    call()


def test_the_document_has_calls() -> None:
    assert len(OPERATIONS) > 50


def answer(door: Door, case: Case, right: dict[bytes, bytes]) -> httpx.Response:  # noqa: F811
    """The call as it would come over a socket, and its answer."""
    request = httpx.Request(**_arguments(case))
    headers = [(name.lower(), value) for name, value in request.headers.raw if name.lower() not in right]
    got = door.call(
        case.method, request.url.raw_path.split(b"?")[0], request.url.query, [*headers, *right.items()], request.read()
    )
    response = httpx.Response(got.status, headers=got.headers, content=got.body, request=request)
    response.elapsed = timedelta(0)  # which is known only of what came over a socket
    return response


def _arguments(case: Case) -> dict[str, Any]:
    given = case.as_transport_kwargs(base_url="http://127.0.0.1:8000")
    kept = {name: given[name] for name in ("method", "json", "content") if name in given}
    query = urlencode(given.get("params") or {}, doseq=True)
    headers = {name: value for name, value in given["headers"].items() if not name.lower().startswith("x-lc-")}
    headers.pop("Accept-Encoding", None)
    return {**kept, "url": f"{given['url']}?{query}" if query else given["url"], "headers": headers}
